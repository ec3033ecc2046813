import type { Arch } from '../../src/abi/arch.ts';
import { DOMID, errno } from '../../src/abi/constants.ts';
import { codecFor } from '../../src/codec/codec.ts';
import type { Style } from '../../src/text/style.ts';
import { printable } from '../../src/text/style.ts';
import { Child } from './child.ts';
import type { Capability, Hello, Inject, Reply, Request, World } from './implementation.ts';
import { CrashError } from './play.ts';
import { Session } from './session.ts';
import { StartError } from './transport.ts';

/** What one probe found. */
export interface Probed {
  readonly name: string;
  readonly ended: 'right' | 'wrong' | 'left out' | 'undriven';
  /** What to mend, or why it was left out. */
  readonly advice?: string;
  readonly evidence?: readonly string[];
}

type Ask = (...requests: Request[]) => Promise<readonly Reply[]>;

interface Probe {
  readonly name: string;
  readonly needs?: Capability;
  /** Answers what is wrong, in words its author can act on. */
  readonly run: (ask: Ask, session: Session, arch: Arch) => Promise<string | undefined>;
}

const pages = 16;
const first = 0x40000n;
const base = first << 12n;
const hole = first + BigInt(pages);
const page = 4096;

/** The smallest world that is ever asked for, with a hole beside it. */
function world(arch: Arch): World {
  const ram = [{ gfn: first, pages }];
  return { arch, domains: [{ domid: 1, privileged: false, ram, holes: [{ gfn: hole, pages }] }], free: { low: 64, high: 64 } };
}

const write = (addr: bigint, bytes: Uint8Array): Request => ({ op: 'write', domid: 1, addr, bytes });
const read = (addr: bigint, length: number): Request => ({ op: 'read', domid: 1, addr, length });
const some = Uint8Array.from({ length: 64 }, (_, i) => i + 1);
const equal = (a: Uint8Array | undefined, b: Uint8Array): boolean => a !== undefined && Buffer.compare(a, b) === 0;

const probes: readonly Probe[] = [
  {
    name: 'has the arch that is tested',
    run: async (_ask, { hello }, arch) =>
      hello.arch.includes(arch) ? undefined : `hello does not list ${arch}: "arch":["${arch}"], or run with --arch ${hello.arch[0] ?? '…'}`,
  },
  {
    name: 'implements get_dma_buf or another op that is judged',
    run: async (_ask, { hello }) =>
      hello.commands.get_dma_buf === undefined && hello.commands.exchange === undefined
        ? 'neither get_dma_buf nor exchange is in commands: most requirements will stay unknown'
        : undefined,
  },
  {
    name: 'RAM reads as zero after reset',
    run: async (ask) => {
      const [answer] = await ask(read(base, page));
      return equal(answer?.bytes, new Uint8Array(page)) ? undefined : 'reset builds RAM full of zeros; the first page is not';
    },
  },
  {
    name: 'memory keeps what the guest writes',
    run: async (ask) => {
      const [, answer] = await ask(write(base + 8n, some), read(base + 8n, some.length));
      return equal(answer?.bytes, some) ? undefined : 'read does not give back the 64 bytes that write put at offset 8 of the first page';
    },
  },
  {
    name: 'a write crosses from one page to the next',
    run: async (ask) => {
      const at = base + BigInt(page) - 32n;
      const [, answer] = await ask(write(at, some), read(at, some.length));
      return equal(answer?.bytes, some)
        ? undefined
        : 'a write over a page boundary is cut: guest pages are neighbours whatever frames they have';
    },
  },
  {
    name: 'reset forgets memory',
    run: async (ask, _session, arch) => {
      const [, , answer] = await ask(write(base, some), { op: 'reset', ...world(arch) }, read(base, 64));
      return equal(answer?.bytes, new Uint8Array(64)) ? undefined : 'bytes from before a reset are still there';
    },
  },
  {
    name: 'a read of 65536 bytes is answered',
    run: async (ask) => {
      const [answer] = await ask(read(base, pages * page));
      return answer?.bytes || answer?.error ? undefined : 'all 16 pages in one read are RAM, and it faults';
    },
  },
  { name: 'a read of a hole faults', run: async (ask) => faults(await ask(read(hole << 12n, 8)), 'a read of an unmapped page') },
  { name: 'a write to a hole faults', run: async (ask) => faults(await ask(write(hole << 12n, some)), 'a write to an unmapped page') },
  {
    name: 'a read across the end of RAM faults',
    run: async (ask) => faults(await ask(read((hole << 12n) - 4n, 8)), 'a read of four bytes inside RAM and four outside'),
  },
  {
    name: 'a read at the end of the address space faults',
    run: async (ask) => faults(await ask(read((1n << 64n) - 8n, 16)), 'a read that wraps beyond 2^64'),
  },
  {
    name: 'a call whose struct is nowhere is refused',
    run: async (ask, { hello }) => {
      // The older ops answer how many extents they did, and that may be 0.
      for (const op of ['get_dma_buf', 'put_dma_buf', 'exchange'] as const) {
        const number = hello.commands[op];
        if (number === undefined) continue;
        const [answer] = await ask({ op: 'call', domid: 1, cmd: number, arg: hole << 12n });
        if (answer?.error || (answer?.rc ?? 0) < 0) continue;
        return `${op} with an argument in unmapped memory answers rc ${answer?.rc}: expected -${errno.EFAULT} (-EFAULT)`;
      }
      return undefined;
    },
  },
  {
    name: 'a call with an unknown op is refused',
    run: async (ask, { hello }) => {
      const unknown = [63, 62, 61, 60, 59, 58, 57].find((n) => !Object.values(hello.commands).includes(n)) as number;
      const [answer] = await ask({ op: 'call', domid: 1, cmd: unknown, arg: base });
      return answer?.error || (answer?.rc ?? 0) < 0
        ? undefined
        : `cmd ${unknown} answers rc ${answer?.rc}: expected -${errno.ENOSYS} (-ENOSYS)`;
    },
  },
  {
    name: 'translate gives a frame for RAM and null for a hole',
    needs: 'translate',
    run: async (ask) => {
      const [ram, none] = await ask({ op: 'translate', domid: 1, gfn: first, pages }, { op: 'translate', domid: 1, gfn: hole, pages: 2 });
      if (ram?.error || none?.error) return undefined;
      if (ram?.mfns?.includes(null)) return 'a page of RAM translates to null';
      if (new Set(ram?.mfns).size < pages) return 'two pages of RAM have the same frame';
      return none?.mfns?.every((frame) => frame === null) ? undefined : 'a hole translates to a frame';
    },
  },
  {
    name: 'churn keeps the content of pages',
    needs: 'churn',
    run: async (ask) => {
      const [, , answer] = await ask(write(base, some), { op: 'churn', domid: 1, gfn: first, pages }, read(base, some.length));
      return equal(answer?.bytes, some) ? undefined : 'after churn the page has lost what the guest wrote';
    },
  },
  {
    name: 'churn moves pages that nobody has pinned',
    needs: 'churn',
    run: async (ask) => {
      const look: Request = { op: 'translate', domid: 1, gfn: first, pages };
      const moves = Array.from({ length: 4 }, (): Request => ({ op: 'churn', domid: 1, gfn: first, pages }));
      const answers = await ask(look, ...moves, look);
      const [before, after] = [answers[0]?.mfns, answers.at(-1)?.mfns];
      if (!before || !after) return undefined;
      return before.some((frame, i) => frame !== after[i]) ? undefined : 'four churns moved no page: then no pin can ever be seen to hold';
    },
  },
  {
    name: 'pages counts what the domain owns',
    needs: 'pages',
    run: async (ask) => {
      const [answer] = await ask({ op: 'pages', domid: 1 });
      return answer?.error || answer?.pages === pages ? undefined : `a domain of ${pages} pages answers ${answer?.pages}`;
    },
  },
  {
    name: 'changes reports ranges of bytes inside RAM',
    needs: 'changes',
    run: async (ask) => {
      const [, answer] = await ask(write(base, some), { op: 'changes', domid: 1 });
      const huge = answer?.ranges?.some(({ length }) => length > pages * page) ?? false;
      return huge ? 'a range is longer than all of RAM: lengths are in bytes' : undefined;
    },
  },
  {
    name: 'a fault does not stop a batch',
    needs: 'batch',
    run: async (ask) => {
      const [, answer] = await ask(read(hole << 12n, 8), read(base, 8));
      return answer?.bytes ? undefined : 'the step after a fault was not run';
    },
  },
  {
    name: 'a get of one page is done',
    run: async (ask, { hello }, arch) => {
      const rc = await got(ask, hello, arch);
      return rc === undefined || rc === 0 ? undefined : `one page of RAM for one hole, nothing wrong with it, answers rc ${rc}`;
    },
  },
  {
    name: 'the same get fails where fail_alloc says so',
    needs: 'fail-alloc',
    run: async (ask, { hello }, arch) => {
      const rc = await got(ask, hello, arch, { fail_alloc: 0 });
      return rc === undefined || rc < 0 ? undefined : `with fail_alloc 0 there is no memory for its output extent, and it answers rc ${rc}`;
    },
  },
  {
    name: 'and is done where it is preempted',
    needs: 'preempt',
    run: async (ask, { hello }, arch) => {
      const rc = await got(ask, hello, arch, { preempt: 1 });
      return rc === undefined || rc === 0 ? undefined : `preempted after each extent it answers rc ${rc}: preemption is no failure`;
    },
  },
];

/**
 * What a get of one page of RAM for the hole beside it returns; `undefined` where there is no such
 * op.
 */
async function got(ask: Ask, { commands }: Hello, arch: Arch, inject?: Inject): Promise<number | undefined> {
  const cmd = commands.get_dma_buf;
  if (cmd === undefined) return undefined;
  const [inList, outList] = [base + BigInt(page), base + BigInt(2 * page)];
  const one = { nr_extents: 1n, extent_order: 0, address_bits: 0, domid: DOMID.SELF };
  const lists = { in: { ...one, extent_start: inList }, out: { ...one, extent_start: outList }, nr_exchanged: 0n };
  const answers = await ask(
    write(base, codecFor(arch).xen_get_dma_buf.encode(lists)),
    write(inList, new Uint8Array(BigUint64Array.of(first + 4n).buffer)),
    write(outList, new Uint8Array(BigUint64Array.of(hole).buffer)),
    { op: 'call', domid: 1, cmd, arg: base, ...(inject && { inject }) },
  );
  return answers[3]?.rc;
}

function faults([answer]: readonly Reply[], what: string): string | undefined {
  return answer?.fault || answer?.error ? undefined : `${what} must answer "fault":true`;
}

/** Probes an implementation, a thing at a time, each on a world of its own. */
export async function probe(command: readonly string[], arch: Arch, scale: number): Promise<Probed[]> {
  const found: Probed[] = [];
  let session: Session | undefined;
  const opened = async (): Promise<Session> => {
    session ??= await Session.open(await Child.start(command), arch, scale);
    return session;
  };
  const start = 'starts, and answers hello with one line of JSON';
  try {
    const { hello } = await opened();
    found.push({ name: start, ended: 'right', advice: `${hello.name} ${hello.version}` });
  } catch (error) {
    if (!(error instanceof CrashError || error instanceof StartError)) throw error;
    const said = error instanceof CrashError ? { advice: adviceOn(error.message), evidence: error.evidence } : { advice: error.message };
    return [{ name: start, ended: 'undriven', ...said }];
  }
  for (const { name, needs, run } of probes) {
    try {
      const open = await opened();
      if (needs && !open.hello.capabilities.has(needs)) {
        found.push({ name, ended: 'left out', advice: `without the capability ${needs}` });
        continue;
      }
      const [reset] = await open.ask([{ op: 'reset', ...world(arch) }]);
      const unbuilt = reset?.error && `the smallest world, one domain of ${pages} pages, is refused: ${reset.error.message}`;
      const advice = unbuilt || (await run((...requests) => open.ask(requests), open, arch));
      found.push(advice === undefined ? { name, ended: 'right' } : { name, ended: 'wrong', advice });
    } catch (error) {
      session = undefined;
      found.push(stumbled(name, error));
    }
  }
  const bye = 'bye is answered, and ends it with exit code 0';
  const closing = 'the end of stdin ends it';
  try {
    const { how } = await (await opened()).end();
    found.push(ending(bye, how, how === 'exited with code 0'));
    const closed = await (await Child.start(command)).close(2_000 * scale);
    found.push(ending(closing, closed.how, !closed.how.includes('killed')));
  } catch (error) {
    found.push(stumbled(bye, error));
  }
  return found;
}

/** A probe that the implementation did not live through, or for which it did not start again. */
function stumbled(name: string, error: unknown): Probed {
  if (error instanceof StartError) return { name, ended: 'wrong', advice: `it does not start a second time: ${error.message}` };
  if (!(error instanceof CrashError)) throw error;
  return { name, ended: 'wrong', advice: adviceOn(error.message), evidence: error.evidence };
}

function ending(name: string, how: string, right: boolean): Probed {
  return right ? { name, ended: 'right' } : { name, ended: 'wrong', advice: `it ${how}` };
}

/** The message of a crash, with what is most likely behind it. */
function adviceOn(message: string): string {
  const likely = [
    [/is not JSON/, 'stdout is for answers only, one line each; free text belongs on stderr'],
    [/no answer within/, 'is stdout flushed after each line?'],
    [/answer\.id/, 'each answer repeats the id of its request, and there is one answer for each'],
    [/closed its stdout|exited with code 0/, 'it stays alive until bye or the end of stdin'],
  ] as const;
  const hint = likely.find(([pattern]) => pattern.test(message));
  return hint ? `${message} (${hint[1]})` : message;
}

/** The probes for a person: what to fix first comes first. */
export function probeText(found: readonly Probed[], style: Style): string[] {
  const mark = { right: style.good('✓'), wrong: style.bad('✗'), undriven: style.bad('✗'), 'left out': style.dim('-') };
  const lines = found.map(
    ({ name, ended, advice }) => `${mark[ended]} ${name}${advice === undefined ? '' : style.dim(`: ${printable(advice)}`)}`,
  );
  const worst = found.find((p) => p.ended === 'wrong' || p.ended === 'undriven');
  if (!worst) return [...lines, '', style.good('nothing to fix: run it without --check')];
  const evidence = (worst.evidence ?? []).map((text) => `  ${printable(text)}`);
  return [...lines, '', `${style.bold('fix first')}: ${worst.name}: ${printable(worst.advice ?? '')}`, ...evidence];
}
