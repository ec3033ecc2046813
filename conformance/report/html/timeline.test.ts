import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { judge } from '../../../src/rules/judge.ts';
import { addToDigest, newDigest } from '../../../src/text/digest.ts';
import { defaultSetting } from '../../../src/trace/call.ts';
import { readRecord } from '../../../src/trace/record.ts';
import { timelinePage } from './timeline.ts';

/** A decrease or populate of one page of domain 1, as a record. */
const record = (cmd: 1 | 6, gfn: number): object => ({
  cmd,
  domid: 1,
  arg: '0x1000',
  before: [
    ['0x1000', '00200000000000000100000000000000 00000000 00000000 f07f 000000000000'.replaceAll(' ', '')],
    ['0x2000', Buffer.from(new BigUint64Array([BigInt(gfn)]).buffer).toString('hex')],
  ],
  rc: 1,
});

const page = (records: readonly object[], source = 'a.ndjson'): string => {
  const digest = newDigest();
  for (const [i, json] of records.entries()) {
    const { call } = readRecord(json, defaultSetting);
    if (call) addToDigest(digest, call, judge(call), `#${i}`);
  }
  return timelinePage(digest, { sources: [source], verdict: ['3 calls: 3 judged'] });
};

describe('the timeline of a trace', () => {
  const shown = page([record(1, 0x100), record(1, 0x101), record(6, 0x100)]);

  it('tells pages, orders and ops, with the numbers of each column', () => {
    expect(shown).toContain('<title>calls 0 to 0: 0 taken, 1 given back, -1 net</title>');
    expect(shown).toContain('<title>calls 2 to 2: 1 taken, 0 given back, -1 net</title>');
    expect(shown).toContain('all taken less all given back, -1 at the end');
    expect(shown).toContain('<title>calls 1 to 1: 1 of order 0</title>');
    expect(shown).toContain('<td class="mono">decrease_reservation</td><td>2</td><td>0</td><td>2 of 2</td>');
    expect(shown).not.toContain('Pinned pages');
    expect(page([record(1, 0x100), record(1, 0x100)])).toContain('<h2>Given back twice: 1</h2>');
  });

  it('lets nothing run or load, and escapes what comes from outside', () => {
    const style = /<style>([\s\S]*)<\/style>/.exec(shown)?.[1] ?? '';
    expect(shown).toContain(`style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`);
    expect(shown).not.toMatch(/<script|https?:\/\/|src=|@import|url\(/);
    expect(page([], '<img onerror=x>')).toContain('&lt;img onerror=x&gt;');
    expect(page([], 'x')).toContain('No call was read.');
  });
});
