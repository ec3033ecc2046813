import { type Arch, archNames } from '../../src/abi/arch.ts';
import type { JudgedOp } from '../../src/abi/ops.ts';
import { hex64 } from '../../src/codec/hex.ts';
import { bytesOf, count, flag, object, oneOf, pairs, RecordError, returnCode, shown, word } from '../../src/trace/fields.ts';
import { type Capability, capabilities, type Hello, type PageRun, type Reply, type Request } from './implementation.ts';

// The implementation protocol as lines of text. Requests are written so that a small C program can
// read them; answers may be any JSON.

/** The version of the protocol. */
export const protocolVersion = 1;
/** Longest line either side may write, in bytes, its line end not counted. */
export const longestLine = 1 << 20;

const most32 = 0xffff_ffff;
const mostName = 200;

/** Everything that one side may be asked: what a scenario needs, and the frame around it. */
export type WireRequest =
  | Request
  | { readonly op: 'hello'; readonly arch: Arch }
  | { readonly op: 'bye' }
  | { readonly op: 'batch'; readonly steps: readonly Request[] };

/**
 * A request as a line, its line end included: ASCII, no white space, no escapes, keys in the order
 * of the protocol.
 */
export function requestLine(id: number, request: WireRequest): string {
  return `{"id":${id},${fieldsOf(request)}}\n`;
}

function fieldsOf(request: WireRequest): string {
  const op = `"op":"${request.op}"`;
  switch (request.op) {
    case 'hello':
      return `${op},"protocol":${protocolVersion},"arch":"${request.arch}"`;
    case 'reset': {
      const runs = (of: readonly PageRun[]): string => of.map(({ gfn, pages }) => `{"gfn":"${hex64(gfn)}","pages":${pages}}`).join(',');
      const domains = request.domains.map(
        ({ domid, privileged, ram, holes }) =>
          `{"domid":${domid},"privileged":${privileged},"ram":[${runs(ram)}],"holes":[${runs(holes)}]}`,
      );
      const { low, high } = request.free;
      return `${op},"arch":"${request.arch}","domains":[${domains.join(',')}],"free":{"low":${low},"high":${high}}`;
    }
    case 'write':
      return `${op},"domid":${request.domid},"addr":"${hex64(request.addr)}","hex":"${hexOf(request.bytes)}"`;
    case 'read':
      return `${op},"domid":${request.domid},"addr":"${hex64(request.addr)}","length":${request.length}`;
    case 'call': {
      const { inject } = request;
      const faults = inject && Object.entries(inject).map(([name, value]) => `"${name}":${value}`);
      return `${op},"domid":${request.domid},"cmd":${request.cmd},"arg":"${hex64(request.arg)}"${faults ? `,"inject":{${faults.join(',')}}` : ''}`;
    }
    case 'translate':
    case 'churn':
      return `${op},"domid":${request.domid},"gfn":"${hex64(request.gfn)}","pages":${request.pages}`;
    case 'pages':
    case 'changes':
      return `${op},"domid":${request.domid}`;
    case 'batch':
      return `${op},"steps":[${request.steps.map((step) => `{${fieldsOf(step)}}`).join(',')}]`;
    case 'bye':
      return op;
  }
}

/** Pages are written by the thousand: the runtime's own way is several times as fast as `toHex`. */
function hexOf({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('hex');
}

/**
 * About how many bytes a request takes in a line, and its answer in another: what a batch must keep
 * below the longest line.
 */
export function weight(request: Request): number {
  const room = 160;
  if (request.op === 'write') return room + 2 * request.bytes.length;
  if (request.op === 'read') return room + 2 * request.length;
  return request.op === 'translate' ? room + 24 * request.pages : room;
}

/** The object on a line; a `RecordError` where it holds none. */
export function objectOf(line: string): { readonly [key: string]: unknown } {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    throw new RecordError('answer', `${shown(line)} is not JSON`);
  }
  return object(json, 'answer');
}

/** What an answer says to a request; a `RecordError` where it does not say what was asked. */
export function answerOf(request: Request, json: unknown, where = 'answer'): Reply {
  const answer = object(json, where);
  const at = (key: string): string => `${where}.${key}`;
  if (answer['error'] !== undefined) {
    const error = object(answer['error'], at('error'));
    const kind = oneOf(error['kind'], at('error.kind'), ['unsupported', 'setup']);
    return { error: { kind, message: typeof error['message'] === 'string' ? error['message'].slice(0, mostName) : 'no message' } };
  }
  const missing = (key: string): RecordError => new RecordError(at(key), `missing from the answer to ${request.op}`);
  const mayFault = request.op === 'read' || request.op === 'write';
  if (mayFault && answer['fault'] !== undefined && flag(answer['fault'], at('fault'))) return { fault: true };
  switch (request.op) {
    case 'read': {
      if (answer['hex'] === undefined) throw missing('hex');
      const bytes = bytesOf(answer['hex'], at('hex'));
      if (bytes.length !== request.length) throw new RecordError(at('hex'), `${bytes.length} bytes, asked for ${request.length}`);
      return { bytes };
    }
    case 'call':
      if (answer['rc'] === undefined) throw missing('rc');
      return { rc: returnCode(answer['rc'], at('rc')) };
    case 'translate': {
      const frames = answer['mfns'];
      if (frames === undefined) throw missing('mfns');
      if (!Array.isArray(frames)) throw new RecordError(at('mfns'), `${shown(frames)} is not a list`);
      if (frames.length !== request.pages) throw new RecordError(at('mfns'), `${frames.length} frames, asked for ${request.pages}`);
      return {
        mfns: frames.map((frame: unknown, i) => (frame === null ? null : (known.get(frame) ?? frameOf(frame, `${where}.mfns[${i}]`)))),
      };
    }
    case 'pages':
      if (answer['pages'] === undefined) throw missing('pages');
      return { pages: count(answer['pages'], at('pages'), Number.MAX_SAFE_INTEGER, '2^53 - 1') };
    case 'changes':
      if (answer['ranges'] === undefined) throw missing('ranges');
      return {
        ranges: pairs(answer['ranges'], at('ranges'), '[address, length]', (address, length, i) => ({
          address: word(address, `${i}[0]`),
          length: count(length, `${i}[1]`, Number.MAX_SAFE_INTEGER, '2^53 - 1'),
        })),
      };
    default:
      return {};
  }
}

/**
 * Frames by how they are written: the same few are looked up again and again, and to read one costs
 * more than all else of an answer.
 */
const known = new Map<unknown, bigint>();
const mostKnown = 4096;
/** `0x` and 16 digits: with leading zeros a frame may be as long as a line. */
const longestFrame = 18;

function frameOf(frame: unknown, where: string): bigint {
  const number = word(frame, where);
  if (typeof frame !== 'string' || frame.length > longestFrame) return number;
  if (known.size >= mostKnown) known.clear();
  known.set(frame, number);
  return number;
}

/** The results of a batch, as many as there are; each is read as the answer to its step. */
export function resultsOf(json: { readonly [key: string]: unknown }): readonly unknown[] {
  const { results } = json;
  if (!Array.isArray(results)) throw new RecordError('answer.results', `${shown(results)} is not a list`);
  return results;
}

/** How an implementation introduces itself; a `RecordError` at the first thing that cannot be. */
export function helloOf(json: { readonly [key: string]: unknown }): Hello {
  const { protocol, name, version, arch, commands, capabilities: can, limits, translated, error } = json;
  if (error !== undefined) throw new RecordError('hello.error', shown(object(error, 'hello.error')['message']));
  if (protocol !== protocolVersion) throw new RecordError('hello.protocol', `${shown(protocol)} is not ${protocolVersion}`);
  const text = (value: unknown, key: string): string => {
    if (typeof value === 'string') return value.slice(0, mostName);
    throw new RecordError(`hello.${key}`, `${shown(value)} is not a string`);
  };
  const list = (value: unknown, key: string): readonly unknown[] => {
    if (Array.isArray(value)) return value;
    throw new RecordError(`hello.${key}`, `${shown(value)} is not a list`);
  };
  const archs = list(arch, 'arch').filter((a): a is Arch => archNames.some((known) => known === a));
  return {
    name: text(name, 'name'),
    version: text(version ?? '', 'version'),
    arch: archs,
    commands: commandsOf(commands),
    capabilities: new Set(list(can ?? [], 'capabilities').filter((c): c is Capability => capabilities.some((known) => known === c))),
    limits: limitsOf(limits),
    translated: translated === undefined ? true : flag(translated, 'hello.translated'),
  };
}

/** The ops an implementation may have, by the names of the protocol. */
const commandNames: readonly JudgedOp[] = [
  'get_dma_buf',
  'put_dma_buf',
  'exchange',
  'increase_reservation',
  'decrease_reservation',
  'populate_physmap',
];

/** Op numbers share `cmd` with a start extent above bit 6. */
const mostOp = 63;

function commandsOf(value: unknown): Hello['commands'] {
  const given = object(value, 'hello.commands');
  const commands: { [op in JudgedOp]?: number } = {};
  for (const op of commandNames) {
    if (given[op] !== undefined) commands[op] = count(given[op], `hello.commands.${op}`, mostOp, `${mostOp}, what cmd has room for`);
  }
  const numbers = Object.values(commands);
  if (numbers.length === 0) throw new RecordError('hello.commands', `none of ${commandNames.join(', ')}`);
  if (new Set(numbers).size < numbers.length) throw new RecordError('hello.commands', 'two ops share a number');
  return commands;
}

function limitsOf(value: unknown): Hello['limits'] {
  if (value === undefined) return {};
  const given = object(value, 'hello.limits');
  const small = (key: 'ram_pages' | 'domains' | 'max_order', most: number): object =>
    given[key] === undefined ? {} : { [key]: count(given[key], `hello.limits.${key}`, most, String(most)) };
  const large = (key: 'max_extents' | 'max_gfn'): object =>
    given[key] === undefined ? {} : { [key]: word(given[key], `hello.limits.${key}`) };
  return {
    ...small('ram_pages', most32),
    ...small('domains', most32),
    ...small('max_order', most32),
    ...large('max_extents'),
    ...large('max_gfn'),
  };
}
