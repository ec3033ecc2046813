import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { isArch } from '../../src/abi/arch.ts';
import { hex64, toHex } from '../../src/codec/hex.ts';
import { bytesOf, count, flag, oneOf, RecordError, word } from '../../src/trace/fields.ts';
import type { Implementation, PageRun, Reply, Request } from './implementation.ts';
import { protocolVersion } from './wire.ts';

// The other side of the protocol: an implementation in TypeScript, driven through a pipe.

type Json = { readonly [key: string]: unknown };

/**
 * Answers the requests on `input`, a line each, by the implementation, on `output`; until `bye` or
 * the end of the input.
 */
export async function serve(implementation: Implementation, input: Readable, output: Writable): Promise<void> {
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (!output.write(`${answerLine(line, implementation)}\n`)) await new Promise((resolve) => output.once('drain', resolve));
    if (line.includes('"op":"bye"')) return;
  }
}

/** The line that answers a line. */
export function answerLine(line: string, implementation: Implementation): string {
  const request = JSON.parse(line) as Json;
  return JSON.stringify({ id: request['id'], ...answerTo(request, implementation) });
}

function answerTo(json: Json, implementation: Implementation): object {
  if (json['op'] === 'bye') return {};
  if (json['op'] === 'hello') {
    const { capabilities, limits, ...rest } = implementation.hello;
    const texts = Object.entries(limits).map(([key, value]) => [key, typeof value === 'bigint' ? hex64(value) : value]);
    return { protocol: protocolVersion, ...rest, capabilities: [...capabilities], limits: Object.fromEntries(texts) };
  }
  if (json['op'] !== 'batch') return written(implementation.answer([requestOf(json)])[0]);
  const results: object[] = [];
  for (const step of json['steps'] as readonly Json[]) {
    const [answer] = implementation.answer([requestOf(step)]);
    results.push(written(answer));
    if (answer?.error) break;
  }
  return { results };
}

function requestOf(json: Json): Request {
  const op = oneOf(json['op'], 'op', ['reset', 'write', 'read', 'call', 'translate', 'churn', 'pages', 'changes']);
  const number = (key: string): number => count(json[key], key, 0xffff_ffff, '2^32 - 1');
  if (op === 'reset') {
    const arch = json['arch'];
    if (typeof arch !== 'string' || !isArch(arch)) throw new RecordError('arch', 'not known');
    const free = json['free'] as { low: number; high: number };
    return { op, arch, free, domains: (json['domains'] as readonly Json[]).map(domainOf) };
  }
  const domid = number('domid');
  if (op === 'pages' || op === 'changes') return { op, domid };
  if (op === 'translate' || op === 'churn') return { op, domid, gfn: word(json['gfn'], 'gfn'), pages: number('pages') };
  if (op === 'call') {
    const inject = json['inject'] as { fail_alloc?: number; preempt?: number } | undefined;
    return { op, domid, cmd: number('cmd'), arg: word(json['arg'], 'arg'), ...(inject && { inject }) };
  }
  const addr = word(json['addr'], 'addr');
  return op === 'write' ? { op, domid, addr, bytes: bytesOf(json['hex'], 'hex') } : { op, domid, addr, length: number('length') };
}

function domainOf({ domid, privileged, ram, holes }: Json): { domid: number; privileged: boolean; ram: PageRun[]; holes: PageRun[] } {
  const runs = (of: unknown): PageRun[] =>
    ((of ?? []) as readonly Json[]).map(({ gfn, pages }) => ({
      gfn: word(gfn, 'gfn'),
      pages: count(pages, 'pages', 0xffff_ffff, '2^32 - 1'),
    }));
  return { domid: domid as number, privileged: flag(privileged, 'privileged'), ram: runs(ram), holes: runs(holes) };
}

/** An answer as JSON. Whatever else it has goes along: the gate judges it, not this. */
function written(answer: Reply | undefined): object {
  if (!answer) return {};
  const { bytes, mfns, ranges, ...rest } = answer;
  return {
    ...rest,
    ...(bytes && { hex: toHex(bytes) }),
    ...(mfns && { mfns: mfns.map((mfn) => (typeof mfn === 'bigint' ? hex64(mfn) : mfn)) }),
    ...(ranges && { ranges: ranges.map(({ address, length }) => [hex64(address), length]) }),
  };
}
