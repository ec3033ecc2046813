import { DOMID, PAGE_SHIFT, PAGE_SIZE } from '../src/abi/constants.ts';
import { argumentOf, type JudgedOp, judgedOp, opNumber, startExtent } from '../src/abi/ops.ts';
import { codecFor, type StructCodec } from '../src/codec/codec.ts';
import { pointerOf } from '../src/codec/handle.ts';
import { knownEntries, listBehind } from '../src/guest/handle.ts';
import { type ByteRange, differences, type GuestMemory, inside, type Piece, sparseMemory } from '../src/guest/memory.ts';
import type { ObservedCall, OtherDomain, P2m } from '../src/trace/call.ts';
import { DomainView } from './domain-view.ts';
import type { Answer, ChangedRange, Hello, Inject, Request } from './implementation.ts';
import { type CallStep, type ChurnStep, framesOf, type Scenario } from './scenario.ts';

/** What was seen of one step. */
export type Event =
  | {
      readonly kind: 'call';
      readonly step: number;
      readonly call: ObservedCall;
      readonly failureInjected: boolean;
      readonly preempted: boolean;
      /** Was a guest frame of the named domain RAM before the call? */
      readonly wasMapped: (gfn: bigint) => boolean | undefined;
    }
  | {
      readonly kind: 'churn';
      readonly step: number;
      readonly domid: number;
      readonly before: P2m;
      readonly after: P2m;
      /** Marked pages whose content did not survive. */
      readonly lost: readonly bigint[];
      /** Marked pages whose content did. */
      readonly kept: readonly bigint[];
    }
  /** The implementation could not do the step: what depends on it is unknown. */
  | { readonly kind: 'skipped'; readonly step: number; readonly why: string };

/** Yields requests, takes their answers. */
export type Play<T> = Generator<readonly Request[], T, readonly Answer[]>;

/** Bytes that mark a page, so that a move that loses its content shows. */
const markBytes = 8;
const most = { marks: 16, listBytes: 4096, unlisted: 16n };
const shift = BigInt(PAGE_SHIFT);

/** An environment fault of the implementation under test: no verdict on the hypervisor. */
export class SetupError extends Error {
  override readonly name = 'SetupError';
}

/**
 * Plays a scenario: yields requests, takes their answers, and returns what was seen. It judges nothing and waits for nothing,
 * so one text serves an implementation in this process and one at the end of a pipe.
 */
export function* observe(scenario: Scenario, hello: Hello, seen: (event: Event) => void): Play<void> {
  const stage = new Stage(scenario, hello);
  yield* stage.open();
  for (const [index, step] of scenario.steps.entries()) {
    seen(step.do === 'call' ? yield* stage.call(step, index) : yield* stage.churn(step, index));
  }
}

class Stage {
  readonly #scenario: Scenario;
  readonly #hello: Hello;
  readonly #views: readonly DomainView[];

  constructor(scenario: Scenario, hello: Hello) {
    this.#scenario = scenario;
    this.#hello = hello;
    this.#views = scenario.world.domains.map((plan) => new DomainView(plan));
  }

  /** Builds the world and marks the pages that the scenario names. */
  *open(): Play<void> {
    const named = new Set(this.#scenario.steps.flatMap((s) => (s.do === 'call' ? s.lists.flatMap((list) => list ?? []) : [])));
    const requests: Request[] = [{ op: 'reset', ...this.#scenario.world }];
    for (const view of this.#views) {
      for (const gfn of [...named].filter((g) => view.mapped(g)).slice(0, most.marks)) requests.push(this.#mark(view, gfn));
    }
    yield* this.#ask(requests);
  }

  *call(step: CallStep, index: number): Play<Event> {
    const op = judgedOp(step.cmd, 'dma-buf');
    const caller = this.#views.find((view) => view.domid === step.domid);
    const number = op && this.#hello.commands[op];
    if (op === undefined || number === undefined || caller === undefined) {
      return { kind: 'skipped', step: index, why: 'the implementation does not have this op' };
    }
    const { arch } = this.#scenario.world;
    const codec = codecFor(arch)[argumentOf[op]] as unknown as StructCodec<'xen_get_dma_buf'>;
    const namedId = step.reservations[0]?.domid;
    // Nobody is behind an unknown number: then nothing is known of the pages that the call names.
    const named = namedId === DOMID.SELF ? caller : this.#views.find((view) => view.domid === namedId);
    const others = this.#views.filter((view) => view !== caller && view !== named);

    yield* this.#look();
    yield* this.#write(caller, step, op, codec);
    const p2mBefore = new Map(this.#views.map((view) => [view, view.p2m]));
    const holes = caller.holes();
    const mappedBefore = new Map([...listed(step)].map((gfn) => [gfn, named?.mapped(gfn)]));
    const inject = this.#injectable(step.inject);
    const reads = this.#reads(step, codec.size, caller);
    // Copies: the view's own pages go on changing.
    const before = sparseMemory(
      reads.flatMap((range) => caller.memory.known(range).map(({ address, bytes }) => ({ address, bytes: bytes.slice() }))),
    );

    const [[called, ...told], pagesBefore] = yield* this.#pagesAround(named, [
      { op: 'call', domid: step.domid, cmd: step.cmd - opNumber(step.cmd) + number, arg: step.arg, ...(inject && { inject }) },
      ...this.#changeRequests(),
      ...reads.map((range) => readRequest(step.domid, range)),
    ]);
    if (called?.rc === undefined) return { kind: 'skipped', step: index, why: called?.error?.message ?? 'no return code' };
    const reported = this.#hello.capabilities.has('changes') ? told.splice(0, this.#views.length) : [];
    const reportedBy = (view: DomainView): readonly ChangedRange[] => reported[this.#views.indexOf(view)]?.ranges ?? [];
    const after = reads.flatMap(({ address }, i): Piece[] => {
      const bytes = told[i]?.bytes;
      return bytes ? [{ address, bytes }] : [];
    });
    const changes = yield* this.#settle(caller, after, reportedBy(caller));
    const otherChanges: ByteRange[][] = [];
    for (const view of others) otherChanges.push(yield* this.#settle(view, [], reportedBy(view)));
    if (named && mayHavePopulated(op, step, called.rc, countAfter(codec, told[0]?.bytes))) this.#spill(named, step, op, before);
    if (named && !this.#hello.capabilities.has('translate')) this.#believe(named, step, op, called.rc, codec, told[0]?.bytes);
    for (const view of this.#views) view.isStale = true;
    yield* this.#look();
    const [, pagesAfter] = yield* this.#pagesAround(named, []);
    const seenOthers = others.map((view, i): OtherDomain => {
      return { domid: view.domid, changes: otherChanges[i] ?? [], p2mBefore: p2mBefore.get(view) ?? new Map(), p2mAfter: view.p2m };
    });
    const call: ObservedCall = {
      cmd: step.cmd,
      profile: 'dma-buf',
      argument: undefined,
      arch,
      space: 'physical',
      translated: this.#hello.translated,
      privileged: caller.privileged,
      fromStart: true,
      seq: index,
      domid: step.domid,
      arg: step.arg,
      rc: called.rc,
      before,
      after: sparseMemory(after),
      changes,
      get unmapped() {
        return holes();
      },
      p2mBefore: (named && p2mBefore.get(named)) ?? new Map(),
      p2mAfter: named?.p2m ?? new Map(),
      pagesBefore,
      pagesAfter,
      others: this.#views.length > 1 ? seenOthers : undefined,
    };
    return {
      kind: 'call',
      step: index,
      call,
      failureInjected: inject?.fail_alloc !== undefined,
      preempted: inject?.preempt !== undefined,
      wasMapped: (gfn) => mappedBefore.get(gfn),
    };
  }

  *churn(step: ChurnStep, index: number): Play<Event> {
    const view = this.#views.find((v) => v.domid === step.domid);
    if (!view || !this.#hello.capabilities.has('churn')) return { kind: 'skipped', step: index, why: 'the implementation cannot churn' };
    yield* this.#look();
    const before = view.p2m;
    const marked = view.marked(step.gfn, step.pages).slice(0, most.marks);
    const [, ...reads] = yield* this.#ask([
      { op: 'churn', domid: step.domid, gfn: step.gfn, pages: step.pages },
      ...marked.map((gfn) => readRequest(step.domid, { address: gfn << shift, length: BigInt(markBytes) })),
      ...this.#changeRequests(),
    ]);
    view.isStale = true;
    yield* this.#look(true);
    const lost = marked.filter((gfn, i) => {
      const held = view.memory.read(gfn << shift, markBytes);
      const now = reads[i]?.bytes;
      return held !== undefined && (now === undefined || !sameBytes(held, now));
    });
    const kept = marked.filter((gfn) => !lost.includes(gfn));
    for (const gfn of lost) view.forget(gfn);
    return { kind: 'churn', step: index, domid: step.domid, before, after: view.p2m, lost, kept };
  }

  *#ask(requests: readonly Request[]): Play<readonly Answer[]> {
    const answers = yield requests;
    for (const [i, answer] of answers.entries()) {
      if (answer.error?.kind === 'setup') throw new SetupError(`${requests[i]?.op}: ${answer.error.message}`);
    }
    return answers;
  }

  /** Asks for the pages a domain owns, then these; answers both. */
  *#pagesAround(view: DomainView | undefined, requests: readonly Request[]): Play<[Answer[], number | undefined]> {
    if (!view || !this.#hello.capabilities.has('pages')) return [requests.length > 0 ? [...(yield* this.#ask(requests))] : [], undefined];
    const [first, ...rest] = yield* this.#ask([{ op: 'pages', domid: view.domid }, ...requests]);
    return [rest, first?.pages];
  }

  /** Brings the views of all p2ms up to date. */
  *#look(contentKept = false): Play<void> {
    if (!this.#hello.capabilities.has('translate')) return;
    const stale = this.#views.filter((view) => view.isStale);
    const wanted = stale.flatMap((view) => view.runs.map((run) => ({ view, run })));
    if (wanted.length === 0) return;
    const answers = yield* this.#ask(wanted.map(({ view, run }) => ({ op: 'translate', domid: view.domid, ...run })));
    const seen = new Map(stale.map((view) => [view, new Map<bigint, bigint | null>()]));
    for (const [i, { view, run }] of wanted.entries()) {
      const mfns = answers[i]?.mfns ?? [];
      for (let j = 0; j < mfns.length; j++) seen.get(view)?.set(run.gfn + BigInt(j), mfns[j] ?? null);
    }
    for (const [view, p2m] of seen) view.looked(p2m, contentKept);
  }

  /** Puts the call's struct and lists into the guest's memory, and marks the pages of a put. */
  *#write(caller: DomainView, step: CallStep, op: JudgedOp, codec: StructCodec<'xen_get_dma_buf'>): Play<void> {
    const { arch } = this.#scenario.world;
    const writes: Piece[] = [];
    if (op === 'put_dma_buf') {
      const unmarked = [...listed(step)].filter((gfn) => caller.mapped(gfn) && caller.marked(gfn, 1).length === 0).slice(0, most.marks);
      for (const gfn of unmarked) writes.push({ address: gfn << shift, bytes: markOf(caller.domid, gfn) });
    }
    for (const [i, list] of step.lists.entries()) {
      const handle = step.reservations[i]?.extent_start;
      if (list === undefined || list.length === 0 || handle === undefined) continue;
      writes.push({ address: pointerOf(handle, arch), bytes: new Uint8Array(BigUint64Array.from(list).buffer) });
    }
    writes.push({ address: step.arg, bytes: structBytes(step, op, codec) });
    const answers = yield* this.#ask(writes.map(({ address, bytes }) => ({ op: 'write', domid: step.domid, addr: address, bytes })));
    for (const [i, { address, bytes }] of writes.entries()) {
      if (answers[i]?.fault) continue;
      // A page that the last call populated held whatever it held: what is written now is what is known.
      caller.wrote(address, bytes);
    }
  }

  /** What is read back after a call whatever it reports: the struct, the lists, and the marks of the pages it names. */
  #reads(step: CallStep, structSize: number, caller: DomainView): ByteRange[] {
    const own: ByteRange[] = [{ address: step.arg, length: BigInt(structSize) }];
    if (!this.#hello.capabilities.has('changes')) {
      return [...own, ...caller.ramPages().map((gfn) => ({ address: gfn << shift, length: BigInt(PAGE_SIZE) }))];
    }
    for (const [i, { extent_start, nr_extents }] of step.reservations.entries()) {
      const entries = BigInt(step.lists[i]?.length ?? 0) || (nr_extents < most.unlisted ? nr_extents : most.unlisted);
      const length = entries * 8n < BigInt(most.listBytes) ? entries * 8n : BigInt(most.listBytes);
      if (length > 0n) own.push({ address: pointerOf(extent_start, this.#scenario.world.arch), length });
    }
    const marked = [...listed(step)].filter((gfn) => caller.marked(gfn, 1).length > 0).slice(0, most.marks);
    return [...own, ...marked.map((gfn) => ({ address: gfn << shift, length: BigInt(markBytes) }))];
  }

  #changeRequests(): Request[] {
    return this.#hello.capabilities.has('changes') ? this.#views.map(({ domid }) => ({ op: 'changes', domid })) : [];
  }

  /** Takes in what was read back, fetches what else is said to have changed, and returns what really did. */
  *#settle(view: DomainView, readBack: readonly Piece[], reported: readonly ChangedRange[]): Play<ByteRange[]> {
    const got = [...readBack];
    const missing = reported
      .flatMap((range) => view.knownParts(range))
      .filter((range) => !got.some((p) => inside(range, { address: p.address, length: BigInt(p.bytes.length) })));
    if (missing.length > 0) {
      const more = yield* this.#ask(missing.map((range) => readRequest(view.domid, range)));
      for (const [i, { address }] of missing.entries()) {
        const bytes = more[i]?.bytes;
        if (bytes) got.push({ address, bytes });
        else view.forget(address >> shift);
      }
    }
    const changes: ByteRange[] = [];
    for (const piece of got) {
      const held = view.memory.read(piece.address, piece.bytes.length);
      if (held && sameBytes(held, piece.bytes)) continue;
      changes.push(...differences(view.memory, sparseMemory([piece]), { address: piece.address, length: BigInt(piece.bytes.length) }));
      view.memory.learn(piece.address, piece.bytes);
    }
    return changes;
  }

  #injectable(inject: Inject | undefined): Inject | undefined {
    const { capabilities } = this.#hello;
    if (inject?.fail_alloc !== undefined && capabilities.has('fail-alloc')) return { fail_alloc: inject.fail_alloc };
    return inject?.preempt !== undefined && capabilities.has('preempt') ? { preempt: inject.preempt } : undefined;
  }

  #mark(view: DomainView, gfn: bigint): Request {
    const bytes = markOf(view.domid, gfn);
    view.wrote(gfn << shift, bytes);
    return { op: 'write', domid: view.domid, addr: gfn << shift, bytes };
  }

  /** Which frames the call may have populated, by what its list really held: that can be more than was written for it. */
  #spill(view: DomainView, step: CallStep, op: JudgedOp, before: GuestMemory): void {
    const populates = op === 'populate_physmap' ? step.reservations[0] : op === 'put_dma_buf' ? undefined : step.reservations[1];
    if (!populates) return;
    const list = listBehind(populates.extent_start, populates.nr_extents, this.#scenario.world.arch);
    const entries = knownEntries(before, list);
    for (const gfn of framesOf(
      entries.map((e) => e.value),
      populates.extent_order,
    ))
      view.populated(gfn);
    if (BigInt(entries.length) < list.count) view.populated(-1n);
  }

  /** Without a p2m to look at: what the outcome of a call lets one believe of the frames it named. */
  #believe(
    view: DomainView,
    step: CallStep,
    op: JudgedOp,
    rc: number,
    codec: StructCodec<'xen_get_dma_buf'>,
    after: Uint8Array | undefined,
  ): void {
    if (op === 'put_dma_buf') return;
    const [inputs, outputs] = step.reservations.map((r, i) => framesOf(step.lists[i] ?? [], r.extent_order));
    if (op === 'get_dma_buf' || op === 'exchange') {
      const N = countAfter(codec, after);
      if (N === 0n && rc <= 0) return;
      const sure = rc === 0 && N === step.reservations[0]?.nr_extents && step.lists.every((list) => list !== undefined);
      for (const gfn of inputs ?? []) view.believe(gfn, sure ? false : undefined);
      for (const gfn of outputs ?? []) view.believe(gfn, sure ? true : undefined);
      return;
    }
    if (rc <= startExtent(step.cmd)) return;
    const sure = BigInt(rc) === step.reservations[0]?.nr_extents && startExtent(step.cmd) === 0 && op !== 'increase_reservation';
    for (const gfn of inputs ?? []) view.believe(gfn, sure ? op === 'populate_physmap' : undefined);
  }
}

/** `nr_exchanged` as the call left it, where it can be read. */
function countAfter(codec: StructCodec<'xen_get_dma_buf'>, after: Uint8Array | undefined): bigint | undefined {
  return after?.length === codec.size ? codec.decode(after).nr_exchanged : undefined;
}

function mayHavePopulated(op: JudgedOp, step: CallStep, rc: number, N: bigint | undefined): boolean {
  if (op === 'get_dma_buf' || op === 'exchange') return N !== 0n;
  return op === 'populate_physmap' && rc > startExtent(step.cmd);
}

function readRequest(domid: number, { address, length }: ByteRange): Request {
  return { op: 'read', domid, addr: address, length: Number(length) };
}

/** The frames that a call's lists name, extents by their bases. */
function listed(step: CallStep): Set<bigint> {
  return new Set(step.lists.flatMap((list) => list ?? []));
}

function structBytes(step: CallStep, op: JudgedOp, codec: StructCodec<'xen_get_dma_buf'>): Uint8Array {
  const [first, second] = step.reservations;
  const value =
    op === 'get_dma_buf' || op === 'exchange'
      ? { in: first, out: second, nr_exchanged: step.nrExchanged }
      : op === 'put_dma_buf'
        ? { in: first }
        : first;
  const padding =
    step.padding === 0
      ? undefined
      : Object.fromEntries(codec.layout.padding.map((gap) => [gap.owner, new Uint8Array(gap.size).fill(step.padding)]));
  return codec.encode(value as never, padding);
}

/** Eight bytes that no other page has. */
function markOf(domid: number, gfn: bigint): Uint8Array {
  return new Uint8Array(BigUint64Array.of(0x4d41_524b_0000_0000n ^ (BigInt(domid) << 48n) ^ gfn).buffer);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
