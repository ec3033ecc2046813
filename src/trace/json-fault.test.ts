import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jsonFault } from './json-fault.ts';

describe('jsonFault', () => {
  it.each([
    ['', 1, 'the line ends too early (a record is one line)'],
    ['{', 2, 'the line ends too early (a record is one line)'],
    ['{"cmd":26', 10, 'the line ends too early (a record is one line)'],
    ['{"cmd', 6, 'the line ends inside a string (a record is one line)'],
    ['{cmd:26}', 2, 'a key in double quotes was expected, not "cmd"'],
    ["{'cmd':26}", 2, 'a key in double quotes was expected, not "\'cmd\'"'],
    ['{"cmd":26,}', 11, 'a key in double quotes was expected, not "}"'],
    ['{"cmd" 26}', 8, '":" after a key was expected, not "26"'],
    ['{"cmd":}', 8, 'a value was expected, not "}"'],
    ['{"arg":0x40000100}', 8, 'a hex number is written as a string: "0x40000100"'],
    ['{"rc":None}', 7, 'a value was expected, not "None"'],
    ['{"rc":-}', 7, 'a value was expected, not "-"'],
    ['{"rc":01}', 8, '"," or "}" was expected, not "1"'],
    ['{"rc":1 "x":2}', 9, '"," or "}" was expected, not """'],
    ['[1 2]', 4, '"," or "]" was expected, not "2"'],
    ['[1,]', 4, 'a value was expected, not "]"'],
    ['{"rc":0}{"rc":0}', 9, 'nothing more on the line was expected, not "{"'],
    ['{"a":"\\x41"}', 7, '"\\x" is no escape in a string'],
    ['{"a":"\\N"}', 7, '"\\N" is no escape in a string'],
    ['{"a":"\\uD8G0"}', 7, '"\\u" is no escape in a string'],
    ['{"a":"b\tc"}', 8, 'a control character in a string'],
    ['{"a":\u0007}', 6, 'a value was expected, not "\\u{7}"'],
    [`{"a":${'x'.repeat(60)}}`, 6, `a value was expected, not "${'x'.repeat(40)}…"`],
  ])('%s', (text, column, reason) => {
    expect(jsonFault(text)).toEqual({ column, reason });
  });

  it('finds a fault exactly where JSON.parse does', () => {
    const pieces = [
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '"',
      '\\',
      '\\n',
      'u0041',
      '0',
      '1',
      '-',
      '.5',
      'e3',
      'true',
      'nul',
      ' ',
      '\t',
      '\x01',
      '\ud800',
    ];
    const broken = fc.array(fc.constantFrom(...pieces), { maxLength: 12 }).map((parts) => parts.join(''));
    const nearlyRight = fc
      .tuple(fc.json(), fc.nat(), fc.constantFrom('', ...pieces))
      .map(([json, at, piece]) => json.slice(0, at % (json.length + 1)) + piece + json.slice((at % (json.length + 1)) + 1));
    fc.assert(
      fc.property(fc.oneof(broken, nearlyRight, fc.json()), (text) => {
        let parses = true;
        try {
          JSON.parse(text);
        } catch {
          parses = false;
        }
        expect(jsonFault(text) === undefined).toBe(parses);
      }),
      { numRuns: 5000 },
    );
  });

  it('is no deeper than the text it reads', () => {
    expect(jsonFault('['.repeat(500_000))?.column).toBe(500_001);
    expect(jsonFault(`"${'a'.repeat(1_000_000)}`)?.column).toBe(1_000_002);
  });
});
