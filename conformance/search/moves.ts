import { XENMEM } from '../../src/abi/ops.ts';
import type { Inject } from '../../src/guest/world.ts';
import { callMove, type Ending, endOfPage, inFirstPage, type Move, nowhere, usual, type Wish } from './move.ts';
import { bystander, caller, firstFrame, firstGfn, type Scope, type Shape } from './scope.ts';

const { get_dma_buf, put_dma_buf, exchange, decrease_reservation, populate_physmap } = XENMEM['dma-buf'];

/**
 * Every move of a scope. It does not depend on the state: what is out of place there is refused,
 * and that is judged too.
 */
export function movesOf(scope: Scope): Move[] {
  const wishes = [...gets(scope), ...puts(scope)];
  if (scope.balloons) wishes.push(...balloons(scope));
  if (scope.hostile) wishes.push(...malformedGets(scope), ...malformedPuts(scope));
  return [...wishes.map(callMove), ...churns(scope)];
}

function gets(scope: Scope): Wish[] {
  const wishes: Wish[] = [];
  for (const shape of scope.shapes) {
    const { inOrder, outOrder } = shape;
    const kind = `${inOrder}→${outOrder}${chunksOf(shape) > 1 ? ', two chunks' : ''}`;
    for (const ins of listsOf(scope, inOrder, shape.ins, shape.lists)) {
      for (const outs of listsOf(scope, outOrder, shape.outs, shape.lists)) {
        const lists = { in: ins, out: outs, inOrder, outOrder };
        // Lists that are wrong anyway need neither a limit nor a fault beside it, and a fault needs
        // no limit
        const wrong = overlap(ins, inOrder) || overlap(outs, outOrder);
        for (const bits of wrong ? [0] : scope.limits) {
          for (const inject of wrong || bits !== 0 ? [noFault] : faultsOf(shape)) {
            const fault = inject === noFault ? '' : inject.preempt === undefined ? ', no memory' : ', preempted';
            const all = chunksOf(shape) > 1 ? anyEnding : doneOrNot;
            const endings = fault === ', no memory' ? all.slice(1) : all;
            const pair = inject === noFault && bits === 0 && ins.length * outs.length < 3;
            wishes.push({ ...lists, kind: `get ${kind}${fault}`, cmd: get_dma_buf, bits, inject, endings, pair });
            if (scope.hostile && !wrong && inject === noFault) {
              wishes.push({ ...lists, kind: `exchange ${kind}`, cmd: exchange, bits, endings: all });
            }
          }
        }
      }
    }
  }
  return wishes;
}

const noFault: Inject = {};
const doneOrNot: readonly Ending[] = ['done', 'refused'];
const anyEnding: readonly Ending[] = ['done', 'partly', 'refused'];

/** No fault, each one alone, and a preemption after which memory runs out. */
function faultsOf(shape: Shape): Inject[] {
  const failures = Array.from({ length: shape.outs }, (_, k): Inject => ({ fail_alloc: k }));
  if (chunksOf(shape) === 1) return [noFault, ...failures];
  const preempt = shape.ins / chunksOf(shape);
  return [noFault, ...failures, { preempt }, { preempt, fail_alloc: shape.outs - 1 }];
}

function chunksOf({ ins, inOrder, outOrder }: Shape): number {
  return ins / 2 ** Math.max(0, outOrder - inOrder);
}

/** Every list of so many extents that lie in the scope. */
function listsOf(scope: Scope, order: number, count: number, which: Shape['lists']): number[][] {
  const pages = 2 ** order;
  if (which === 'paired') {
    const halves = (base: number): number[][] =>
      order === 1
        ? [[base]]
        : [
            [base, base + 1],
            [base + 1, base],
          ];
    const pairs = [halves(0), halves(2)];
    return [pairs, pairs.toReversed()].flatMap(([first = [], second = []]) => first.flatMap((a) => second.map((b) => [...a, ...b])));
  }
  return sequences(scope.gfns - pages + 1, count);
}

/** Every sequence of so many of the numbers below `n`. */
function sequences(n: number, count: number): number[][] {
  let lists: number[][] = [[]];
  for (let i = 0; i < count; i++) lists = lists.flatMap((list) => Array.from({ length: n }, (_, next) => [...list, next]));
  return lists;
}

function overlap(bases: readonly number[], order: number): boolean {
  return bases.some((a, i) => bases.some((b, j) => i < j && Math.abs(a - b) < 2 ** order));
}

function puts({ gfns, pieces }: Scope): Wish[] {
  const put: Wish = { kind: 'put', cmd: put_dma_buf, in: [], endings: doneOrNot };
  const wishes: Wish[] = [];
  const all = Array.from({ length: gfns }, (_, i) => i);
  const lists = pieces === 'extents' ? [all] : all.flatMap((i) => sequences(gfns, i + 1)).filter((list) => !overlap(list, 0));
  for (const list of lists) {
    wishes.push({ ...put, in: list, pair: list.length < 2 });
    if (list.length > 1) wishes.push({ ...put, kind: 'put, preempted', in: list, inject: { preempt: 1 } });
  }
  const extents = all.filter((base) => base + 2 <= gfns && (pieces === 'pages' || base % 2 === 0)).map((base) => [base]);
  for (const list of gfns > 3 ? [...extents, [0, 2]] : extents) wishes.push({ ...put, kind: 'put of order 1', in: list, inOrder: 1 });
  return wishes;
}

function balloons(scope: Scope): Wish[] {
  const wishes: Wish[] = [];
  for (let gfn = 0; gfn < scope.gfns; gfn++) {
    wishes.push({ kind: 'decrease', cmd: decrease_reservation, in: [gfn], endings: doneOrNot });
    for (const bits of scope.limits) wishes.push({ kind: 'populate', cmd: populate_physmap, in: [gfn], bits, endings: doneOrNot });
    wishes.push({ kind: 'populate, no memory', cmd: populate_physmap, in: [gfn], inject: { fail_alloc: 0 }, endings: ['refused'] });
  }
  return wishes;
}

function churns({ gfns, pieces }: Scope): Move[] {
  const single = pieces === 'extents' ? [] : Array.from({ length: gfns }, (_, g) => churn(g, 1));
  return [churn(0, gfns), ...single];
}

function churn(gfn: number, pages: number): Move {
  return { do: 'churn', kind: 'churn', text: `churn of ${pages} from ${gfn}`, named: 0, endings: doneOrNot, gfn: firstGfn + gfn, pages };
}

/** A way to spoil a call. */
interface Flaw extends Pick<Wish, 'struct' | 'at' | 'padding' | 'mustRefuse'> {
  readonly name: string;
  /** Bits of start_extent. */
  readonly start?: number;
}

/**
 * What can be wrong with struct and lists whatever the op is; the reservation that is spoiled is
 * `in`.
 */
const flaws: readonly Flaw[] = [
  { name: 'unknown domid', struct: { in: { domid: 7 }, out: { domid: 7 } }, mustRefuse: true },
  { name: 'foreign domid', struct: { in: { domid: bystander }, out: { domid: bystander } }, mustRefuse: true },
  { name: 'own number', struct: { in: { domid: caller }, out: { domid: caller } } },
  { name: 'struct nowhere', at: { struct: nowhere } },
  { name: 'struct cut off', at: { struct: endOfPage - 8n } },
  { name: 'struct at the end', at: { struct: 2n ** 64n - 8n } },
  { name: 'list nowhere', at: { in: nowhere } },
  { name: 'list wraps', at: { in: 2n ** 64n - 4n } },
  { name: 'list cut off', at: { in: endOfPage - 8n } },
  { name: 'list in struct', at: { in: usual.struct + 40n } },
  { name: 'list unaligned', at: { in: usual.in + 4n } },
  { name: 'list in its page', at: { in: inFirstPage } },
  { name: 'struct in its page', at: { struct: inFirstPage } },
  { name: 'start_extent', start: 1 },
  { name: 'padding', padding: 0xee },
  { name: 'order 10', struct: { in: { extent_order: 10 }, out: { extent_order: 10 } }, mustRefuse: true },
  { name: 'order 19', struct: { in: { extent_order: 19 }, out: { extent_order: 19 } }, mustRefuse: true },
  { name: 'order 2^32-1', struct: { in: { extent_order: 2 ** 32 - 1 }, out: { extent_order: 2 ** 32 - 1 } }, mustRefuse: true },
  { name: 'too many', struct: { in: { nr_extents: 2n ** 26n }, out: { nr_extents: 2n ** 26n } } },
  { name: 'far too many', struct: { in: { nr_extents: 2n ** 64n - 1n }, out: { nr_extents: 2n ** 64n - 1n } } },
];

/** What can be wrong only where there are two lists and a count. */
const exchangeFlaws: readonly Flaw[] = [
  { name: 'domids differ', struct: { out: { domid: caller } }, mustRefuse: true },
  { name: 'domids differ', struct: { in: { domid: bystander } }, mustRefuse: true },
  { name: 'sizes differ', struct: { out: { nr_extents: 0n } }, mustRefuse: true },
  { name: 'sizes differ', struct: { in: { nr_extents: 0n } }, mustRefuse: true },
  { name: 'sizes differ', struct: { out: { extent_order: 1 } }, mustRefuse: true },
  { name: 'sizes differ', struct: { in: { nr_extents: 2n ** 63n, extent_order: 1 }, out: { nr_extents: 0n } }, mustRefuse: true },
  { name: 'count', struct: { nr_exchanged: 1n } },
  { name: 'count', struct: { nr_exchanged: 3n } },
  { name: 'count', struct: { nr_exchanged: 2n ** 64n - 1n } },
  { name: 'out list nowhere', at: { out: nowhere } },
  { name: 'out list cut off', at: { out: endOfPage - 8n } },
  { name: 'out list in struct', at: { out: usual.struct + 64n } },
  { name: 'out list in its page', at: { out: inFirstPage } },
  { name: 'lists are one', at: { out: usual.in } },
  { name: 'lists overlap', at: { out: usual.in + 4n } },
  { name: 'address bits 12', struct: { out: { address_bits: 12 } } },
  { name: 'address bits above 255', struct: { out: { address_bits: 256 + 32 } } },
];

function malformedGets(scope: Scope): Wish[] {
  const bases = [
    { in: [0], out: [0] },
    { in: [0, 1], out: [1, 0] },
  ];
  const wishes = bases.map((lists): Wish => ({ kind: '', cmd: get_dma_buf, ...lists }));
  const spoiled = wishes.flatMap((wish) => [...flaws, ...exchangeFlaws].map((flaw) => spoil('get', wish, flaw)));
  const last = scope.gfns - 1;
  // Entries that name no page, before and after a sound one. As an output only those where nothing
  // can be populated.
  const beyond = [2 ** 52, 2 ** 52 - 1 + 2 ** 52];
  const strange = [
    ...[...beyond, firstFrame(scope), firstGfn + 0x1000].flatMap((e) => [
      { in: [e], out: [last] },
      { in: [last, e], out: [last, 0] },
    ]),
    ...beyond.flatMap((e) => [
      { in: [last], out: [e] },
      { in: [last, 0], out: [last, e] },
    ]),
    { in: [], out: [] },
  ];
  return [...spoiled, ...strange.map((lists): Wish => ({ kind: 'get, strange entries', cmd: get_dma_buf, ...lists }))];
}

function malformedPuts(scope: Scope): Wish[] {
  const put: Wish = { kind: 'put, strange entries', cmd: put_dma_buf, in: [] };
  const wishes: Wish[] = [put];
  for (const flaw of flaws) wishes.push(spoil('put', { ...put, in: [0] }, flaw), spoil('put', { ...put, in: [0, 1] }, flaw));
  for (let gfn = 0; gfn < scope.gfns; gfn++) {
    wishes.push({ ...put, in: [gfn, gfn] }, { ...put, in: [gfn, 2 ** 52] }, { ...put, in: [firstGfn + 0x1000, gfn] });
  }
  // The frames that a get left in the list, in place of the gfns: the likely mistake
  for (let i = 0; i < scope.low + scope.high; i++) wishes.push({ ...put, kind: 'put of frames', in: [firstFrame(scope) + i] });
  return wishes;
}

function spoil(op: string, wish: Wish, { name, start = 0, ...flaw }: Flaw): Wish {
  const struct = op === 'get' ? flaw.struct : flaw.struct?.in && { in: flaw.struct.in };
  return {
    ...wish,
    ...flaw,
    ...(struct && { struct }),
    endings: flaw.mustRefuse ? ['refused'] : [],
    kind: `${op}, ${name}`,
    cmd: wish.cmd + (start << 6),
  };
}
