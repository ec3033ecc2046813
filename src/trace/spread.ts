import type { JsonLine } from './json-lines.ts';
import { type Line, longestLine } from './lines.ts';
import { decodeUtf8 } from './utf8.ts';

interface Text {
  readonly line: number;
  readonly text: string;
}

/**
 * Records that are spread over lines, or stand in an array, each as soon as its last brace is
 * there. A record holds at most as much as a line may; what is between records is skipped up to the
 * next line that begins one, and told once.
 */
export async function* spreadRecords(
  first: Text & { readonly problem?: string | undefined },
  lines: AsyncIterable<Line>,
): AsyncGenerator<JsonLine> {
  let held = '';
  let from = first.line;
  let depth = 0;
  let quoted = false;
  let tooLong = false;
  let inArray = false;
  const unended = (): JsonLine => ({
    line: from,
    problem: from === first.line && first.problem ? first.problem : 'the record does not end',
  });
  const take = function* ({ line, text }: Text): Generator<JsonLine> {
    let start = 0;
    if (depth > 0 && /^\{\s*"/.test(text)) {
      // No printer begins a part of a record there: the record before it was cut.
      yield unended();
      depth = 0;
      held = '';
      quoted = false;
      tooLong = false;
    }
    for (let at = 0; at < text.length; at++) {
      const character = text[at];
      if (quoted) {
        if (character === '\\') at++;
        else quoted = character !== '"';
      } else if (depth > 0) {
        if (character === '"') quoted = true;
        else if (character === '{' || character === '[') depth++;
        else if ((character === '}' || character === ']') && --depth === 0) {
          const whole = held + text.slice(start, at + 1);
          held = '';
          yield tooLong || whole.length > longestLine ? { line: from, problem: 'a record longer than 1 MiB' } : parse(from, whole);
          tooLong = false;
        }
      } else if (character === '{') {
        depth = 1;
        start = at;
        from = line;
      } else if (character === '[' && !inArray) {
        inArray = true;
      } else if (!/[\s,\]]/.test(character as string)) {
        yield { line, problem: `a record was expected at column ${at + 1}` };
        return;
      }
    }
    if (depth > 0 && !tooLong) {
      held += `${text.slice(start)}\n`;
      tooLong = held.length > longestLine;
      if (tooLong) held = '';
    }
  };
  yield* take(first);
  for await (const { number: line, bytes } of lines) {
    const text = bytes && decodeUtf8(bytes);
    if (text === undefined) yield { line, problem: bytes ? 'not UTF-8' : 'longer than 1 MiB' };
    else yield* take({ line, text });
  }
  if (depth > 0) yield unended();
}

function parse(line: number, text: string): JsonLine {
  try {
    return { line, json: JSON.parse(text) };
  } catch {
    return { line, problem: 'not JSON in this record: jq says where (jq . FILE)' };
  }
}
