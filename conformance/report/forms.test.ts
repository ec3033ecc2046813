import { describe, expect, it } from 'vitest';
import { formNames, forms } from './forms.ts';
import * as samples from './sample.stage.ts';

const { conformant, nonconformant, inconclusive, crashed, hostile } = samples;

describe('every form', () => {
  it('has its name', () => {
    expect(formNames).toEqual(['text', 'json', 'junit', 'ktap', 'sarif', 'github', 'markdown', 'html']);
  });

  it.each(formNames)('%s ends with one line end, and is the same each time', (name) => {
    for (const result of [conformant, nonconformant, inconclusive, crashed, hostile]) {
      const text = forms[name](result);
      expect(text).toMatch(/[^\n]\n$/);
      expect(forms[name](structuredClone(result))).toBe(text);
    }
  });

  it.each(formNames)('%s takes a result that is all but empty', (name) => {
    const { strength, ...rest } = conformant;
    const empty = { ...rest, requirements: [], cells: {}, readings: {}, arch: [], runs: 0, played: 0, calls: 0 };
    expect(forms[name](empty)).not.toMatch(/undefined|NaN|\[object/);
  });

  it.each(formNames)('%s says nothing of "undefined" in any sample', (name) => {
    for (const result of [conformant, nonconformant, inconclusive, crashed]) {
      expect(forms[name](result)).not.toMatch(/undefined|NaN|\[object/);
    }
  });
});
