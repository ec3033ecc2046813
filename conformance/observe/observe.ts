import { DOMID, PAGE_SHIFT, PAGE_SIZE } from '../../src/abi/constants.ts';
import { argumentOf, judgedOp, opNumber } from '../../src/abi/ops.ts';
import { codecFor, type StructCodec } from '../../src/codec/codec.ts';
import { pointerOf } from '../../src/codec/handle.ts';
import { type ByteRange, type Piece, sparseMemory } from '../../src/guest/memory.ts';
import type { ObservedCall, OtherDomain, P2m } from '../../src/trace/call.ts';
import type { Hello, Inject, Reply, Request } from '../protocol/implementation.ts';
import type { Play } from '../protocol/play.ts';
import type { CallStep, ChurnStep, Scenario } from '../scenario/scenario.ts';
import { DomainView } from './domain-view.ts';
import { believe, countIn, spill, touchedBy } from './effects.ts';
import { type InUse, inUseOf } from './in-use.ts';
import { Learnt, sameBytes } from './learnt.ts';
import { fillOf, listsOf, looksInto, mostMarks, namedElsewhere, newMarks, ramToFill, spreadOut, structOf, writable } from './marks.ts';
import { inFrames, namedBefore } from './own-p2m.ts';

/** What was seen of one step. */
export type Event =
  | {
      readonly kind: 'call';
      readonly step: number;
      readonly call: ObservedCall;
      /** What was asked for beside the call, as far as the implementation can do it. */
      readonly inject: Inject | undefined;
      /**
       * Was a guest frame of the named domain RAM before the call? `undefined` too of one that is
       * no RAM or hole of the world.
       */
      readonly wasMapped: (gfn: bigint) => boolean | undefined;
      readonly inUse: InUse | undefined;
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
      readonly inUse: InUse | undefined;
    }
  /**
   * The implementation could not do the step: what depends on it is unknown. `half`: something may
   * have been done all the same.
   */
  | { readonly kind: 'skipped'; readonly step: number; readonly why: string; readonly half?: boolean };

/** Bytes that mark a page, so that a move that loses its content shows. */
const markBytes = 8;
/**
 * `canaries`: number of marked pages that are read again after each call even if `changes` does not
 * list them, to catch an implementation whose `changes` lies; `said`: ranges that are read because
 * a move is said to have changed them.
 */
const most = { listBytes: 16_384, unlisted: 16n, canaries: 4, moved: 4, said: 64 };
const shift = BigInt(PAGE_SHIFT);

/** An environment fault of the implementation under test: no verdict on the hypervisor. */
export class SetupError extends Error {
  override readonly name = 'SetupError';
}

/**
 * Plays a scenario: yields requests, takes their answers, and returns what was seen. It judges
 * nothing and waits for nothing, so one text serves an implementation in this process and one at
 * the end of a pipe. A step goes out in one go wherever possible: over a pipe it is the round trips
 * that cost.
 */
export function* observe(scenario: Scenario, hello: Hello, seen: (event: Event) => void): Play<void> {
  const stage = new PlayedWorld(scenario, hello);
  const unbuilt = yield* stage.open();
  for (const [step, what] of scenario.steps.entries()) {
    if (unbuilt !== undefined) seen({ kind: 'skipped', step, why: unbuilt });
    else seen(what.do === 'call' ? yield* stage.call(what, step) : yield* stage.churn(what, step));
  }
}

class PlayedWorld {
  readonly #scenario: Scenario;
  readonly #hello: Hello;
  readonly #views: readonly DomainView[];

  constructor(scenario: Scenario, hello: Hello) {
    this.#scenario = scenario;
    this.#hello = hello;
    this.#views = scenario.world.domains.map((plan) => new DomainView(plan, namedElsewhere(scenario, plan)));
  }

  /**
   * Builds the world, marks the pages that the scenario names and looks at it; says why if there is
   * no such world.
   */
  *open(): Play<string | undefined> {
    const marks = this.#views.flatMap((view, i) => {
      const plan = this.#scenario.world.domains[i];
      const ram = plan ? ramToFill(this.#scenario, plan, !this.#hello.capabilities.has('changes')) : [];
      return fillOf(view.domid, ram).map((piece) => ({ view, piece }));
    });
    const [built, ...told] = yield* this.#ask([
      { op: 'reset', ...this.#scenario.world },
      ...marks.map(({ view, piece }) => writeRequest(view.domid, piece)),
      ...this.#lookRequests(this.#views),
    ]);
    if (built?.error) return built.error.message;
    for (const [i, { view, piece }] of marks.entries()) if (isDone(told[i])) view.filled(piece.address, piece.bytes);
    this.#look(told.slice(marks.length), this.#views);
    return undefined;
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

    const listed = this.#hello.translated ? step : inFrames(step, op, caller);
    const names = new Set(step.lists.flatMap((list) => list ?? []));
    const writes = [
      ...(op === 'put_dma_buf' ? newMarks(caller, names) : []),
      ...[...listsOf(listed, arch), { address: step.arg, bytes: structOf(step, op, codec) }].flatMap((piece) =>
        writable(piece, (gfn) => caller.mapped(gfn) === true),
      ),
    ];
    const marking = new Set(writes.map(({ address }) => caller.markedBy(address)));
    const marked = [...names].filter((gfn) => caller.isMarked(gfn) || marking.has(gfn)).slice(0, mostMarks);
    const reads = this.#reads(step, codec.size, caller, marked);
    const inject = this.#injectable(step.inject);
    // Where nobody is named, it is the caller's own pages that are to stay as they are.
    const owner = named ?? caller;
    const inUse = inUseOf(this.#views);
    const p2mBefore = owner.p2m;
    const othersBefore = others.map((view) => view.p2m);
    const pagesBefore = owner.pages;
    const unmapped = caller.holes;
    const mappedBefore = named?.mappedNow;
    const wasMapped = listed === step ? mappedBefore : namedBefore(listed, p2mBefore, mappedBefore);

    const told = [
      ...(yield* this.#ask([
        ...writes.map((piece) => writeRequest(step.domid, piece)),
        { op: 'call', domid: step.domid, cmd: step.cmd - opNumber(step.cmd) + number, arg: step.arg, ...(inject && { inject }) },
        ...this.#changeRequests(),
        ...reads.map((range) => readRequest(step.domid, range)),
        ...this.#lookRequests(this.#views),
      ])),
    ];
    const written = told.splice(0, writes.length);
    for (const [i, { address, bytes }] of writes.entries()) if (isDone(written[i])) caller.wrote(address, bytes);
    const [called] = told.splice(0, 1);
    if (called?.rc === undefined) return { kind: 'skipped', step: index, why: called?.error?.message ?? 'no return code' };
    const reported = told.splice(0, this.#changeRequests().length);
    const readBack = told.splice(0, reads.length);
    // Copies: the view's own pages go on changing.
    const before = sparseMemory(
      reads.flatMap((range) => caller.memory.known(range).map(({ address, bytes }) => ({ address, bytes: bytes.slice() }))),
    );
    const own = new Learnt(caller, this.#changesOf(caller, reported), reads, readBack);
    const after = sparseMemory([...own.got]);
    const elsewhere = others.map((view) => new Learnt(view, this.#changesOf(view, reported)));
    yield* this.#fetch([own, ...elsewhere]);
    const settled = [own, ...elsewhere].map((of) => of.settle());
    const outcome = { step, op, rc: called.rc, N: countIn(codec, readBack[0]?.bytes) };
    if (named) spill(named, outcome, before, arch);
    // What a call did to the content of a domain that is not the caller's is nobody's to look at.
    if (named && named !== caller && !(called.rc < 0 && outcome.N === 0n)) named.forgetAll();
    const touched = touchedBy(outcome, before, arch);
    const moved = this.#look(told, this.#views, (view, gfn) => view !== named || !touched(gfn));
    const lost = yield* this.#lostIn(moved, index);
    const [changes, ...otherChanges] = settled.map((found, i) => [
      ...found,
      ...(lost.get([own, ...elsewhere][i]?.view as DomainView) ?? []),
    ]);
    if (named && !named.p2m.isWhole) believe(named, outcome);
    const failed = written.find((answer) => answer.error);
    if (failed) return { kind: 'skipped', step: index, why: failed.error?.message ?? '', half: true };

    const seenOthers = others.map((view, i): OtherDomain => {
      return { domid: view.domid, changes: otherChanges[i] ?? [], p2mBefore: othersBefore[i] ?? new Map(), p2mAfter: view.p2m };
    });
    const watched = this.#views.length > 1 && elsewhere.every(({ whole }) => whole) && others.every((view) => this.#isLookedAt(view));
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
      after,
      changes: own.whole ? changes : undefined,
      unmapped,
      p2mBefore,
      p2mAfter: owner.p2m,
      pagesBefore,
      pagesAfter: owner.pages,
      others: watched ? seenOthers : undefined,
      domids: this.#views.map((view) => view.domid),
    };
    return {
      kind: 'call',
      step: index,
      call,
      inject,
      wasMapped: (gfn) => wasMapped?.(gfn),
      inUse,
    };
  }

  *churn(step: ChurnStep, index: number): Play<Event> {
    const view = this.#views.find((v) => v.domid === step.domid);
    if (!view || !this.#hello.capabilities.has('churn')) return { kind: 'skipped', step: index, why: 'the implementation cannot churn' };
    const before = view.p2m;
    const inUse = inUseOf(this.#views);
    const marked = spreadOut(view.marked(step.gfn, step.pages), index, mostMarks);
    const looks = this.#hello.capabilities.has('changes')
      ? marked.flatMap((gfn, i) => looksInto(gfn, index, i === 0))
      : view.ramPages().flatMap((gfn) => looksInto(gfn, index, true));
    const [churned, ...told] = yield* this.#ask([
      { op: 'churn', domid: step.domid, gfn: step.gfn, pages: step.pages },
      ...looks.map((range) => readRequest(step.domid, range)),
      ...this.#lookRequests([view]),
      // Asked for so that the next call's hold nothing of this.
      ...this.#changeRequests(),
    ]);
    if (churned?.error) return { kind: 'skipped', step: index, why: churned.error.message };
    const answers = told.slice(looks.length);
    this.#look(answers, [view], () => true);
    // What is said to have changed is looked into at once: the next call is not to be blamed for
    // it.
    const ranges = this.#changeRequests().length > 0 ? (answers.slice(-this.#views.length)[this.#views.indexOf(view)]?.ranges ?? []) : [];
    const said = view.knownParts(ranges).slice(0, most.said);
    looks.push(...said);
    const further = said.length > 0 ? yield* this.#ask(said.map((range) => readRequest(step.domid, range))) : [];
    const found = [...told.slice(0, looks.length - said.length), ...further];
    const lost: bigint[] = [];
    const kept: bigint[] = [];
    for (const gfn of new Set(looks.map(({ address }) => address >> shift))) {
      const own = [...looks.entries()].filter(([, { address }]) => address >> shift === gfn);
      const isLost = ([i, { address, length }]: (typeof own)[number]): boolean => {
        const held = view.memory.read(address, Number(length));
        const now = found[i]?.bytes;
        return held !== undefined && (now === undefined || !sameBytes(held, now));
      };
      if (own.some(([i]) => found[i]?.error)) view.forget(gfn);
      else if (own.some(isLost)) lost.push(gfn);
      else kept.push(gfn);
    }
    for (const gfn of lost) view.forget(gfn);
    return { kind: 'churn', step: index, domid: step.domid, before, after: view.p2m, lost, kept, inUse };
  }

  *#ask(requests: readonly Request[]): Play<readonly Reply[]> {
    const answers = yield requests;
    for (const [i, answer] of answers.entries()) {
      if (answer.error?.kind === 'setup') throw new SetupError(`${requests[i]?.op}: ${answer.error.message}`);
    }
    return answers;
  }

  /** What a look asks: the p2m of these views, and how many pages every domain owns. */
  #lookRequests(views: readonly DomainView[]): Request[] {
    const { capabilities } = this.#hello;
    const requests: Request[] = [];
    if (capabilities.has('translate')) {
      for (const { domid, runs } of views) for (const { gfn, pages } of runs) requests.push({ op: 'translate', domid, gfn, pages });
    }
    if (capabilities.has('pages')) for (const { domid } of this.#views) requests.push({ op: 'pages', domid });
    return requests;
  }

  /**
   * Takes in a look: `keeps` says of a page with another frame whether it must have been moved with
   * its content. Answers the moved pages.
   */
  #look(
    answers: readonly Reply[],
    views: readonly DomainView[],
    keeps: (view: DomainView, gfn: bigint) => boolean = () => false,
  ): Map<DomainView, bigint[]> {
    const moved = new Map<DomainView, bigint[]>();
    let at = 0;
    if (this.#hello.capabilities.has('translate')) {
      for (const view of views) {
        const frames = view.runs.map(({ pages }) => answers[at++]?.mfns?.slice(0, pages));
        moved.set(
          view,
          view.looked(frames, (gfn) => keeps(view, gfn)),
        );
      }
    }
    for (const view of this.#views) view.pages = answers[at++]?.pages;
    return moved;
  }

  /**
   * Looks into pages that were moved during a call, some of them: whatever is reported, they must
   * hold what they held.
   */
  *#lostIn(moved: ReadonlyMap<DomainView, readonly bigint[]>, index: number): Play<Map<DomainView, ByteRange[]>> {
    const looks = [...moved].flatMap(([view, gfns]) =>
      spreadOut(gfns, index, most.moved)
        .flatMap((gfn, i) => looksInto(gfn, index, i === 0))
        .map((range) => ({ view, range })),
    );
    const lost = new Map<DomainView, ByteRange[]>();
    if (looks.length === 0) return lost;
    const answers = yield* this.#ask(looks.map(({ view, range }) => readRequest(view.domid, range)));
    for (const [i, { view, range }] of looks.entries()) {
      const held = view.memory.read(range.address, Number(range.length));
      const now = answers[i]?.bytes;
      if (held === undefined || answers[i]?.error || (now && sameBytes(held, now))) continue;
      lost.set(view, [...(lost.get(view) ?? []), range]);
      view.forget(range.address >> shift);
    }
    return lost;
  }

  /** Was the view seen as far as the implementation can show it? */
  #isLookedAt(view: DomainView): boolean {
    return view.p2m.isWhole || !this.#hello.capabilities.has('translate');
  }

  /**
   * What is read back after a call whatever it reports: the struct, the lists, and the marks of the
   * pages it names.
   */
  #reads(step: CallStep, structSize: number, caller: DomainView, marked: readonly bigint[]): ByteRange[] {
    const own: ByteRange[] = [{ address: step.arg, length: BigInt(structSize) }];
    if (!this.#hello.capabilities.has('changes')) {
      return [...own, ...caller.ramPages().map((gfn) => ({ address: gfn << shift, length: BigInt(PAGE_SIZE) }))];
    }
    for (const [i, { extent_start, nr_extents }] of step.reservations.entries()) {
      const entries = BigInt(step.lists[i]?.length ?? 0) || (nr_extents < most.unlisted ? nr_extents : most.unlisted);
      const length = entries * 8n < BigInt(most.listBytes) ? entries * 8n : BigInt(most.listBytes);
      if (length > 0n) own.push({ address: pointerOf(extent_start, this.#scenario.world.arch), length });
    }
    return [...own, ...marked.slice(0, most.canaries).map((gfn) => ({ address: gfn << shift, length: BigInt(markBytes) }))];
  }

  #changeRequests(): Request[] {
    return this.#hello.capabilities.has('changes') ? this.#views.map(({ domid }) => ({ op: 'changes', domid })) : [];
  }

  /** What is said to have changed of a domain; nothing is of one that does not say so. */
  #changesOf(view: DomainView, reported: readonly Reply[]): Pick<Reply, 'ranges'> {
    return this.#hello.capabilities.has('changes') ? (reported[this.#views.indexOf(view)] ?? {}) : { ranges: [] };
  }

  /** Fetches what else is said to have changed. */
  *#fetch(learnt: readonly Learnt[]): Play<void> {
    const wanted = learnt.flatMap((of) => of.missing.map((range) => ({ of, range })));
    if (wanted.length === 0) return;
    const answers = yield* this.#ask(wanted.map(({ of, range }) => readRequest(of.view.domid, range)));
    for (const [i, { of, range }] of wanted.entries()) of.fetched(range, answers[i] ?? {});
  }

  #injectable(inject: Inject | undefined): Inject | undefined {
    const { capabilities } = this.#hello;
    const can: Inject = {
      ...(inject?.fail_alloc !== undefined && capabilities.has('fail-alloc') && { fail_alloc: inject.fail_alloc }),
      ...(inject?.preempt !== undefined && capabilities.has('preempt') && { preempt: inject.preempt }),
    };
    return can.fail_alloc === undefined && can.preempt === undefined ? undefined : can;
  }
}

function isDone(answer: Reply | undefined): boolean {
  return answer !== undefined && !answer.fault && !answer.error;
}

function readRequest(domid: number, { address, length }: ByteRange): Request {
  return { op: 'read', domid, addr: address, length: Number(length) };
}

function writeRequest(domid: number, { address, bytes }: Piece): Request {
  return { op: 'write', domid, addr: address, bytes };
}
