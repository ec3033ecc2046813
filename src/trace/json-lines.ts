import { jsonFault } from './json-fault.ts';
import { linesOf } from './lines.ts';
import { decodeUtf8, firstNotUtf8 } from './utf8.ts';

/** A line of NDJSON: what it holds, or why it cannot be read. Lines count from 1. */
export type JsonLine =
  | { readonly line: number; readonly json: unknown; readonly problem?: undefined; readonly endsEarly?: undefined }
  | {
      readonly line: number;
      readonly problem: string;
      /** True where only its end is missing: the line after it may go on. */
      readonly endsEarly?: boolean;
    };

/**
 * The objects of an NDJSON stream, each as soon as its line is complete. Blank lines and `#` lines
 * are passed over.
 */
export async function* jsonLinesOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<JsonLine> {
  for await (const { number: line, bytes } of linesOf(source)) {
    if (!bytes) yield { line, problem: 'longer than 1 MiB' };
    else if (!isComment(bytes)) yield parseJson(line, bytes);
  }
}

/** What a line of JSON holds. */
export function parseJson(line: number, bytes: Uint8Array): JsonLine {
  const text = decodeUtf8(bytes);
  if (text === undefined) return { line, problem: `not UTF-8 at byte ${(firstNotUtf8(bytes) ?? 0) + 1} of the line` };
  try {
    return { line, json: JSON.parse(text) };
  } catch {
    const fault = jsonFault(text);
    if (!fault) return { line, problem: 'not JSON' };
    return { line, problem: `not JSON at column ${fault.column}: ${fault.reason}`, ...(fault.column > text.length && { endsEarly: true }) };
  }
}

/** True for a line with nothing on it, or with a comment. */
function isComment(line: Uint8Array): boolean {
  const first = line.find((byte) => byte !== 0x20 && (byte < 0x09 || byte > 0x0d));
  return first === undefined || first === 0x23;
}
