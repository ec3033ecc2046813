import { jsonFault } from './json-fault.ts';
import { linesOf } from './lines.ts';
import { decodeUtf8, firstNotUtf8 } from './utf8.ts';

/** A line of NDJSON: what it holds, or why it cannot be read. Lines count from 1. */
export type JsonLine =
  | { readonly line: number; readonly json: unknown; readonly problem?: undefined }
  | { readonly line: number; readonly problem: string };

/** The objects of an NDJSON stream, each as soon as its line is complete. Blank lines and `#` lines are passed over. */
export async function* jsonLinesOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<JsonLine> {
  for await (const { number: line, bytes } of linesOf(source)) {
    if (!bytes) yield { line, problem: 'longer than 1 MiB' };
    else if (!isComment(bytes)) yield parse(line, bytes);
  }
}

function parse(line: number, bytes: Uint8Array): JsonLine {
  const text = decodeUtf8(bytes);
  if (text === undefined) return { line, problem: `not UTF-8 at byte ${(firstNotUtf8(bytes) ?? 0) + 1} of the line` };
  try {
    return { line, json: JSON.parse(text) };
  } catch {
    const fault = jsonFault(text);
    return { line, problem: fault ? `not JSON at column ${fault.column}: ${fault.reason}` : 'not JSON' };
  }
}

function isComment(line: Uint8Array): boolean {
  const first = line.find((byte) => byte !== 0x20 && (byte < 0x09 || byte > 0x0d));
  return first === undefined || first === 0x23;
}
