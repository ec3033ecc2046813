import { quoted } from './quoted.ts';

/** Where a text stops being JSON, and why. */
export interface JsonFault {
  /** In UTF-16 units, from 1. */
  readonly column: number;
  readonly reason: string;
}

type Expected = 'value' | 'value or ]' | 'key' | 'key or }' | 'colon' | 'comma' | 'end';

const blank = /[ \t\r\n]*/y;
const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const literal = /true|false|null/y;
const hexNumber = /-?0x[0-9a-f]+/iy;
const word = /[^\s,:[\]{}"]{1,41}|./suy;

/**
 * The first place where a text breaks JSON's grammar (RFC 8259), `undefined` if nowhere. Engines
 * word their own reasons differently and mostly without a place, so a line that `JSON.parse`
 * refused is walked once more here.
 */
export function jsonFault(text: string): JsonFault | undefined {
  const open: ('{' | '[')[] = [];
  let expected: Expected = 'value';
  let at = 0;
  const take = (token: RegExp): string | undefined => {
    token.lastIndex = at;
    const found = token.exec(text)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  };
  const close = (): void => {
    at++;
    open.pop();
    expected = open.length > 0 ? 'comma' : 'end';
  };
  for (;;) {
    take(blank);
    const next = text[at];
    if (next === undefined) {
      return expected === 'end' ? undefined : { column: at + 1, reason: 'the line ends too early (a record is one line)' };
    }
    if ((expected === 'value or ]' && next === ']') || (expected === 'key or }' && next === '}')) {
      close();
    } else if (expected === 'key' || expected === 'key or }') {
      if (next !== '"') return unexpected('a key in double quotes');
      const fault = string();
      if (fault) return fault;
      expected = 'colon';
    } else if (expected === 'colon') {
      if (next !== ':') return unexpected('":" after a key');
      at++;
      expected = 'value';
    } else if (expected === 'comma') {
      const inObject = open.at(-1) === '{';
      if (next === ',') {
        at++;
        expected = inObject ? 'key' : 'value';
      } else if (next === (inObject ? '}' : ']')) {
        close();
      } else {
        return unexpected(inObject ? '"," or "}"' : '"," or "]"');
      }
    } else if (expected === 'end') {
      return unexpected('nothing more on the line');
    } else if (next === '{' || next === '[') {
      at++;
      open.push(next);
      expected = next === '{' ? 'key or }' : 'value or ]';
    } else {
      const fault = scalar(next);
      if (fault) return fault;
      expected = open.length > 0 ? 'comma' : 'end';
    }
  }

  function scalar(next: string): JsonFault | undefined {
    if (next === '"') return string();
    const start = at;
    const hex = take(hexNumber);
    if (hex !== undefined) return { column: start + 1, reason: `a hex number is written as a string: ${quoted(hex)}` };
    return take(literal) === undefined && take(number) === undefined ? unexpected('a value') : undefined;
  }

  // By hand: a regular expression over a string of a megabyte can exhaust the engine's backtracking
  // stack.
  function string(): JsonFault | undefined {
    for (at++; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === 0x22) {
        at++;
        return undefined;
      }
      if (code < 0x20) return { column: at + 1, reason: 'a control character in a string' };
      if (code === 0x5c && !/^(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/.test(text.slice(at + 1, at + 6))) {
        return { column: at + 1, reason: `${quoted(text.slice(at, at + 2))} is no escape in a string` };
      }
      if (code === 0x5c) at++;
    }
    return { column: at + 1, reason: 'the line ends inside a string (a record is one line)' };
  }

  function unexpected(what: string): JsonFault {
    const column = at + 1;
    return { column, reason: `${what} was expected, not ${quoted(take(word) ?? '')}` };
  }
}
