import { describe, expect, it } from 'vitest';
import { words } from './words.ts';

describe('words', () => {
  it.each<[string, string[]]>([
    ['./iut --fault none', ['./iut', '--fault', 'none']],
    ['  a\t b ', ['a', 'b']],
    [`"my iut" '' x`, ['my iut', '', 'x']],
    [`a\\ b "c\\"d" 'e\\f' g\\\\h`, ['a b', 'c"d', 'e\\f', 'g\\h']],
    ['a"b c"d', ['ab cd']],
    // Nothing is expanded: a shell would do something with each of these.
    ['$HOME `id` $(id) * ; | > ~', ['$HOME', '`id`', '$(id)', '*', ';', '|', '>', '~']],
    ['', []],
  ])('of %j', (text, expected) => {
    expect(words(text)).toEqual(expected);
  });

  it('with an open quote are an error', () => {
    expect(() => words('a "b')).toThrow(new SyntaxError('a " is never closed'));
  });
});
