import type { Arch } from '../../abi/arch.ts';
import { errno, HYPERVISOR_memory_op, PRIVCMD_HYPERCALL } from '../../abi/constants.ts';
import { layoutOf } from '../../abi/layout.ts';
import { argumentOf, type JudgedOp, judgedOp, opsTaking, type Profile, XENMEM } from '../../abi/ops.ts';
import { structNames } from '../../abi/structs.ts';
import { fromHex } from '../../codec/hex.ts';
import type { Piece } from '../../guest/memory.ts';
import { type Payload, payloadIn } from './payload.ts';
import type { Tool } from './tools.ts';

/**
 * What a line says of a call. Each part may be missing, `cmd` too: then the bytes stand for
 * themselves.
 */
export interface SeenCall {
  readonly kind: 'call';
  readonly tool: Tool;
  /** Of a call that is told in several lines: which part this one is, and whose. */
  readonly part?: { readonly stage: Stage; readonly thread: string };
  readonly cmd?: number;
  readonly arg?: bigint;
  /** The caller. */
  readonly domid?: number;
  readonly rc?: number;
  readonly bytes?: Uint8Array;
  /** More of memory, as one line of ftrace has it. */
  readonly pieces?: readonly Piece[];
  /** The ops that it may have been, where `cmd` is one of several. */
  readonly mayBe?: readonly JudgedOp[];
  readonly note?: string;
}

/** The parts of a call, in their order; `out` is the last. */
export type Stage = 'in' | 'list' | 'after' | 'out';

/** What a line of a log is: part of a call, of no interest, or at fault. */
export type LogLine =
  | SeenCall
  | { readonly kind: 'other'; readonly tool: Tool; readonly says?: string }
  | { readonly kind: 'problem'; readonly tool: Tool; readonly message: string };

/** What is known before a line is read. */
export interface Known {
  readonly arch: Arch;
  readonly profile: Profile;
}

interface Form {
  readonly tool: Tool;
  readonly pattern: RegExp;
  readonly read: (found: RegExpExecArray, known: Known, line: string) => LogLine | undefined;
}

const { ioctl, type, size } = PRIVCMD_HYPERCALL;
const hexOf = (value: number): string => `0x${value.toString(16)}`;
const privcmd = String.raw`ioctl\((?:0x)?[0-9a-f]+(?:<[^>]{0,256}>)?, (?:_IOC\((?:_IOC_NONE|0), ${hexOf(type)}, 0(?:x0)?, ${hexOf(size)}\)|${hexOf(ioctl)})`;

/**
 * The lines that are known, first match first: each after the source of the tool that prints it, or
 * after what Debian's version of it was seen to print. Every pattern takes time linear in the line.
 */
const forms: readonly Form[] = [
  {
    tool: 'recipe',
    pattern: /(?:^|\s)xenmem_(in|list|after|out)\d*: /,
    read: ([head, stage], known, line) => {
      const [text = '', ...more] = line.split(/\s(?=at\d+=)/, 9);
      const read = keyed('recipe', known, text);
      if (read.kind === 'problem') return read;
      const pieces = more.flatMap((part) => pieceOf(part, known));
      return { ...read, ...(pieces.length > 0 && { pieces }), part: { stage: stage as Stage, thread: threadOf(line, head) } };
    },
  },
  // bpftrace, src/output.cpp and src/main.cpp; newer ones say "Attached".
  { tool: 'bpftrace', pattern: /^Attach(?:ing|ed) \d+ probes?(?:\.\.\.)?$/, read: () => ({ kind: 'other', tool: 'bpftrace' }) },
  {
    tool: 'bpftrace',
    pattern: /^Lost (\d+) events$/,
    read: ([, lost]) => ({ kind: 'problem', tool: 'bpftrace', message: `bpftrace lost ${lost} events here` }),
  },
  // strace, src/ioctl.c: from 6.11 on -v prints the buffer, as long as -s allows.
  {
    tool: 'strace',
    pattern: new RegExp(`${privcmd}, "((?:\\\\x[0-9a-f]{2})*)"(\\.\\.\\.)?(?: => "[^"]*"(?:\\.\\.\\.)?)?\\)\\s+= (.*)$`),
    read: ([, argument = '', , result = '']) => straced(argument, result),
  },
  {
    tool: 'strace',
    pattern: new RegExp(`${privcmd}, (?:0x[0-9a-f]+|NULL)\\)\\s+= `),
    read: () => other('strace', 'strace before 6.11, or without -v, does not show which hypercall it was'),
  },
  // QEMU, target/i386/kvm/trace-events; the patches before the first release printed `ret` as a
  // decimal behind its 0x.
  {
    tool: 'qemu',
    pattern: /xen_hypercall: cpu \d+ (?:cpl \d+ )?input (\d+) a0 0x([0-9a-f]+) a1 0x([0-9a-f]+) a2 0x[0-9a-f]+ ret 0x([0-9a-f]+)/i,
    read: ([, nr, cmd, arg, ret = '']) =>
      argumentsOf('qemu', Number(nr), BigInt(`0x${cmd}`), BigInt(`0x${arg}`), register(BigInt(/^\d{17,}$/.test(ret) ? ret : `0x${ret}`))),
  },
  // krata, crates/xen/xencall/src/lib.rs.
  {
    tool: 'krata',
    pattern: /call fd=-?\d+ hypercall op=0x([0-9a-f]+) arg=\[(\d+), (\d+)(?:, \d+)*\]/,
    read: ([, nr, cmd, arg]) => argumentsOf('krata', Number.parseInt(nr as string, 16), BigInt(cmd as string), BigInt(arg as string)),
  },
  // Xen, common/memory.c: increase_reservation and populate_physmap print the same; `done of
  // asked`.
  {
    tool: 'xen',
    pattern: /(?:d(\d+)v\d+ )?Could not allocate order=(\d+) extent: ?id=(?:vm)?(\d+) memflags=(?:0x)?([0-9a-f]+) \((\d+) of (\d+)\)/,
    read: ([, caller, order, domain, , done, asked]) => ({
      kind: 'call',
      tool: 'xen',
      cmd: XENMEM.upstream.populate_physmap,
      mayBe: ['populate_physmap', 'increase_reservation'],
      ...(caller !== undefined && { domid: Number(caller) }),
      rc: Number(done),
      note: `Xen found no memory for order ${order} of domain ${domain}: ${done} of ${asked} extents, by populate_physmap or increase_reservation`,
    }),
  },
  // Valgrind, coregrind/m_syswrap/syswrap-xen.c: `%ld, %lx`, newer `%lu, %#lx`.
  {
    tool: 'valgrind',
    pattern: /__HYPERVISOR_memory_op \( (\d+), (?:0x)?([0-9a-f]+) \)/,
    read: ([, cmd, arg]) => argumentsOf('valgrind', HYPERVISOR_memory_op, BigInt(cmd as string), BigInt(`0x${arg}`)),
  },
  // Linux, include/trace/events/xen.h.
  {
    tool: 'multicall',
    pattern: /xen_mc_entry: +op (\d+)[ (]*\w*\)? args \[([0-9a-f]+), ([0-9a-f]+)[,\]]/,
    read: ([, nr, cmd, arg]) => argumentsOf('multicall', Number(nr), BigInt(`0x${cmd}`), BigInt(`0x${arg}`)),
  },
  // Linux, kernel/trace/trace_probe.c and trace_output.c, as trace_pipe, trace-cmd and perf script
  // print them.
  { tool: 'ftrace', pattern: /^# tracer: \w+$|^cpus=\d+$/, read: () => ({ kind: 'other', tool: 'ftrace' }) },
  {
    tool: 'ftrace',
    pattern: /\s\[\d{3,}\]\s(?:\S+\s)?\s*\d+\.\d+:\s+\S/,
    read: (_, known, line) => withCmd(keyed('ftrace', known, line)) ?? { kind: 'other', tool: 'ftrace' },
  },
  // What a script of one's own prints: `cmd=26 arg=0x… \x00…`.
  { tool: 'bpftrace', pattern: /(?:^|[\s,(])(?:cmd|op)=/, read: (_, known, line) => withCmd(keyed('bpftrace', known, line)) },
  // bytes alone, as printf("%rx\n", buf(…)) has them.
  { tool: 'bpftrace', pattern: /^(?:\\x[0-9a-f]{2}){2}/i, read: (_, known, line) => bare(known, line) },
];

/** Longest line of a log that is looked at, in characters. */
const longest = 1 << 16;

/** What a line is to a capture; `undefined` for a line that no tool is known to print. */
export function logLine(line: string, known: Known): LogLine | undefined {
  if (line.length > longest) return undefined;
  for (const form of forms) {
    const found = form.pattern.exec(line);
    const read = found && form.read(found, known, line);
    if (read) return read;
  }
  return undefined;
}

/**
 * What bpftrace printed where it is known to be its output: bytes without a name, or behind the
 * number of their op.
 */
export function printedByBpftrace(line: string, known: Known): LogLine | undefined {
  const numbered = /^(\d{1,10}) ((?:[0-9a-f]{2} )*[0-9a-f]{2})$/i.exec(line);
  const op = numbered ? judgedOp(Number(numbered[1]), known.profile) : undefined;
  const size = op && layoutOf(argumentOf[op], known.arch).size;
  if (numbered && (numbered[2] as string).length + 1 === 3 * (size ?? 0))
    return keyed('bpftrace', known, `cmd=${numbered[1]} ${numbered[2]}`);
  return bare(known, line);
}

function bare(known: Known, line: string): LogLine | undefined {
  const payload = payloadIn(line, sizesOf(undefined, known));
  return payload && withBytes({ kind: 'call', tool: 'bpftrace' }, payload);
}

const pair = /(?:^|[\s,(])(cmd|op|arg|at|va|addr|rc|ret|retval|domid|dom)=(0x[0-9a-f]+|-?\d+)(?=$|[\s,):])/gi;

/** `key=value` pairs and bytes, wherever they stand in the line. */
function keyed(tool: Tool, known: Known, line: string): SeenCall | Extract<LogLine, { kind: 'problem' }> {
  const cmdOnly = /(?:^|[\s,(])(?:cmd|op)=(0x[0-9a-f]+|\d+)/i.exec(line)?.[1];
  const cmd = cmdOnly === undefined ? undefined : Number(cmdOnly);
  const payload = payloadIn(line, sizesOf(cmd, known));
  const head = payload ? line.slice(0, payload.start) : line;
  const made: { -readonly [K in keyof SeenCall]: SeenCall[K] } = { kind: 'call', tool };
  for (const [, key = '', text = ''] of head.matchAll(pair)) {
    const value = text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text);
    const what = names[key.toLowerCase()];
    if (what === 'cmd' && value <= 0xffff_ffffn) made.cmd ??= Number(value);
    if (what === 'arg' && value >= 0n && value < 1n << 64n) made.arg ??= value;
    if (what === 'domid' && value <= 0xffffn) made.domid ??= Number(value);
    const rc = what === 'rc' ? register(value) : undefined;
    if (rc !== undefined) made.rc ??= rc;
  }
  return payload ? withBytes(made, payload) : made;
}

/** `at1=0x… mem64_1={…}`: what is behind a handle; nothing where it could not be read. */
function pieceOf(text: string, known: Known): Piece[] {
  const address = /^at\d+=(0x[0-9a-f]+)/i.exec(text)?.[1];
  const payload = payloadIn(text, sizesOf(undefined, known));
  return address !== undefined && payload && 'bytes' in payload ? [{ address: BigInt(address), bytes: payload.bytes }] : [];
}

const names: { readonly [key: string]: 'cmd' | 'arg' | 'rc' | 'domid' } = {
  cmd: 'cmd',
  op: 'cmd',
  arg: 'arg',
  at: 'arg',
  va: 'arg',
  addr: 'arg',
  rc: 'rc',
  ret: 'rc',
  retval: 'rc',
  domid: 'domid',
  dom: 'domid',
};

function withCmd(read: LogLine): LogLine | undefined {
  if (read.kind === 'problem') return read;
  return read.kind === 'call' && read.cmd !== undefined && (read.arg ?? read.bytes ?? read.rc) !== undefined ? read : undefined;
}

function withBytes(made: SeenCall, payload: Payload): SeenCall | Extract<LogLine, { kind: 'problem' }> {
  if ('problem' in payload) return { kind: 'problem', tool: made.tool, message: payload.problem };
  return { ...made, bytes: payload.bytes };
}

/**
 * The sizes that a struct may have here: the op's, else every struct's, and the 64 bytes at which
 * many tools cut.
 */
function sizesOf(cmd: number | undefined, { arch, profile }: Known): readonly number[] {
  const op = cmd === undefined ? undefined : judgedOp(cmd, profile);
  if (op) return [layoutOf(argumentOf[op], arch).size];
  return [...new Set([...structNames.filter((name) => opsTaking(name).length > 0).map((name) => layoutOf(name, arch).size), 64])];
}

function threadOf(line: string, mark: string): string {
  const said = /\btid=(\d+)/.exec(line)?.[1];
  if (said !== undefined) return said;
  return /[-\s](\d+)(?:\/\d+)?\s+(?:\([^)]*\)\s+)?\[\d+\]/.exec(line.slice(0, line.indexOf(mark) + 1))?.[1] ?? '';
}

/** A call by its arguments; another hypercall than memory_op is of no interest. */
function argumentsOf(tool: Tool, nr: number, cmd: bigint, arg: bigint, rc?: number): LogLine {
  if (nr !== HYPERVISOR_memory_op || cmd > 0xffff_ffffn || arg >= 1n << 64n) return { kind: 'other', tool };
  return { kind: 'call', tool, cmd: Number(cmd), arg, ...(rc !== undefined && { rc }) };
}

/** The signed value of a register; `undefined` for what is no return code. */
function register(value: bigint): number | undefined {
  if (value >= 1n << 64n) return undefined;
  const signed = BigInt.asIntN(64, value);
  return Number.isSafeInteger(Number(signed)) ? Number(signed) : undefined;
}

/**
 * `struct privcmd_hypercall` is five 64-bit arguments behind a 64-bit number of the hypercall, on
 * every architecture.
 */
function straced(argument: string, result: string): LogLine {
  const bytes = fromHex(argument.replaceAll('\\x', '')) ?? new Uint8Array(0);
  const word = (at: number): bigint => bytes.slice(at, at + 8).reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  if (bytes.length < PRIVCMD_HYPERCALL.arg + 8) return other('strace', `strace cut the arguments: -s ${size} shows them`);
  const refused = /^-1 (E\w+) /.exec(result)?.[1];
  // A hypercall's refusal is what ioctl says as errno; one that Xen does not have is the system
  // call's own.
  const rc = refused !== undefined && Object.hasOwn(errno, refused) ? -errno[refused as keyof typeof errno] : undefined;
  const count = /^(?:0x[0-9a-f]+|\d+)(?=\s|$)/.exec(result)?.[0];
  return argumentsOf(
    'strace',
    Number(word(0)),
    word(PRIVCMD_HYPERCALL.cmd),
    word(PRIVCMD_HYPERCALL.arg),
    count === undefined ? rc : register(BigInt(count)),
  );
}

function other(tool: Tool, says: string): LogLine {
  return { kind: 'other', tool, says };
}
