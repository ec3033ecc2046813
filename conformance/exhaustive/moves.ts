import { XENMEM } from '../../src/abi/ops.ts';
import type { Inject } from '../../src/model/request.ts';
import { callMove, endOfPage, inFirstPage, type Move, nowhere, usual, type Wish } from './move.ts';
import { bystander, caller, firstFrame, firstGfn, type Scope, type Shape } from './scope.ts';

const { get_dma_buf, put_dma_buf, exchange, decrease_reservation, populate_physmap } = XENMEM['dma-buf'];

/** Every move of a scope. It does not depend on the state: what is out of place there is refused, and that is judged too. */
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
        for (const bits of scope.limits) {
          const wish = { in: ins, out: outs, inOrder, outOrder, bits };
          for (const inject of faultsOf(shape)) {
            const fault = inject === noFault ? '' : inject.preempt === undefined ? ', no memory' : ', preempted';
            wishes.push({ ...wish, kind: `get ${kind}${fault}`, cmd: get_dma_buf, inject, pair: inject === noFault });
          }
          if (scope.hostile && bits === 0) wishes.push({ ...wish, kind: `exchange ${kind}`, cmd: exchange });
        }
      }
    }
  }
  return wishes;
}

const noFault: Inject = {};

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
  const bases = Array.from({ length: scope.gfns - pages + 1 }, (_, i) => i).filter((b) => which === 'any' || b % pages === 0);
  let lists: number[][] = [[]];
  for (let i = 0; i < count; i++) lists = lists.flatMap((list) => bases.map((base) => [...list, base]));
  return which === 'any' ? lists : lists.filter((list) => new Set(list).size === count);
}

/** Lists without repetitions, of every length. */
function sublists(gfns: number): number[][] {
  const lists: number[][] = [];
  for (let count = 1; count <= gfns; count++) {
    let some: number[][] = [[]];
    for (let i = 0; i < count; i++) {
      some = some.flatMap((list) => Array.from({ length: gfns }, (_, g) => [...list, g]).filter((l) => new Set(l).size === l.length));
    }
    lists.push(...some);
  }
  return lists;
}

function puts(scope: Scope): Wish[] {
  const put: Wish = { kind: 'put', cmd: put_dma_buf, in: [] };
  const wishes: Wish[] = [];
  for (const list of sublists(scope.gfns)) {
    wishes.push({ ...put, in: list, pair: true });
    if (list.length > 1) wishes.push({ ...put, kind: 'put, preempted', in: list, inject: { preempt: 1 } });
  }
  for (let base = 0; base + 2 <= scope.gfns; base++) wishes.push({ ...put, kind: 'put of order 1', in: [base], inOrder: 1 });
  if (scope.gfns > 3) wishes.push({ ...put, kind: 'put of order 1', in: [0, 2], inOrder: 1 });
  return wishes;
}

function balloons(scope: Scope): Wish[] {
  const wishes: Wish[] = [];
  for (let gfn = 0; gfn < scope.gfns; gfn++) {
    wishes.push({ kind: 'decrease', cmd: decrease_reservation, in: [gfn] });
    for (const bits of scope.limits) wishes.push({ kind: 'populate', cmd: populate_physmap, in: [gfn], bits });
    wishes.push({ kind: 'populate, no memory', cmd: populate_physmap, in: [gfn], inject: { fail_alloc: 0 } });
  }
  return wishes;
}

function churns(scope: Scope): Move[] {
  const single = Array.from({ length: scope.gfns }, (_, g) => churn(g, 1));
  return [churn(0, scope.gfns), ...single];
}

function churn(gfn: number, pages: number): Move {
  return { do: 'churn', kind: 'churn', text: `churn of ${pages} from ${gfn}`, named: 0, gfn: firstGfn + gfn, pages };
}

/** A way to spoil a call. */
interface Flaw extends Pick<Wish, 'struct' | 'at' | 'padding' | 'mustRefuse'> {
  readonly name: string;
  /** Bits of start_extent. */
  readonly start?: number;
}

/** What can be wrong with struct and lists whatever the op is; the reservation that is spoiled is `in`. */
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
  const base: Wish[] = [];
  for (let a = 0; a < scope.gfns; a++) {
    for (let b = 0; b < scope.gfns; b++) base.push({ kind: '', cmd: get_dma_buf, in: [a], out: [b] });
  }
  const turned = [1, 0];
  for (const out of [[0, 1], turned]) base.push({ kind: '', cmd: get_dma_buf, in: [0, 1], out });
  const spoiled = base.flatMap((wish) => [...flaws, ...exchangeFlaws].map((flaw) => spoil('get', wish, flaw)));
  const last = scope.gfns - 1;
  // Entries that name no page, before and after a sound one. As an output only those where nothing can be populated.
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
  for (let gfn = 0; gfn < scope.gfns; gfn++) {
    wishes.push(...flaws.map((flaw) => spoil('put', { ...put, in: [gfn] }, flaw)));
    wishes.push(...flaws.map((flaw) => spoil('put', { ...put, in: [gfn, (gfn + 1) % scope.gfns] }, flaw)));
    wishes.push({ ...put, in: [gfn, gfn] }, { ...put, in: [gfn, 2 ** 52] }, { ...put, in: [firstGfn + 0x1000, gfn] });
  }
  // The frames that a get left in the list, in place of the gfns: the likely mistake
  for (let i = 0; i < scope.low + scope.high; i++) wishes.push({ ...put, kind: 'put of frames', in: [firstFrame(scope) + i] });
  return wishes;
}

function spoil(op: string, wish: Wish, { name, start = 0, ...flaw }: Flaw): Wish {
  const struct = op === 'get' ? flaw.struct : flaw.struct?.in && { in: flaw.struct.in };
  return { ...wish, ...flaw, ...(struct && { struct }), kind: `${op}, ${name}`, cmd: wish.cmd + (start << 6) };
}
