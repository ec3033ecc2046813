import type { Arch } from '../../src/abi/arch.ts';
import { PAGE_SHIFT, PAGE_SIZE } from '../../src/abi/constants.ts';
import { framesInAll } from '../../src/abi/frames.ts';
import { isExchangeOp, type JudgedOp } from '../../src/abi/ops.ts';
import type { StructCodec } from '../../src/codec/codec.ts';
import { pointerOf } from '../../src/codec/handle.ts';
import type { ByteRange, Piece } from '../../src/guest/memory.ts';
import type { DomainPlan, PageRun } from '../protocol/implementation.ts';
import { isIn, joined, pagesIn } from '../protocol/page-runs.ts';
import { type CallStep, mostOrder, type Scenario } from '../scenario/scenario.ts';
import type { DomainView } from './domain-view.ts';

// What a guest writes into its memory for a call.

/** Pages that are marked at most, of those that a call or a scenario names. */
export const mostMarks = 8;
const shift = BigInt(PAGE_SHIFT);

/** The marks of named pages that have none: a move after the put must keep their content. */
export function newMarks(view: DomainView, names: ReadonlySet<bigint>): Piece[] {
  const unmarked = [...names].filter((gfn) => view.mapped(gfn) && !view.isMarked(gfn));
  return unmarked.slice(0, mostMarks).map((gfn) => markOf(view.domid, gfn));
}

/**
 * Pages at the start of RAM that are left as they are: structs and lists lie there, and what is
 * read by mistake is then zero.
 */
const unfilled = 4;
/** Most bytes of one write. */
const mostWritten = 16 * PAGE_SIZE;
/**
 * Bytes without a pattern that a page is filled with a stretch of; the stretches of two pages next
 * to each other begin at different places.
 */
const noise = noiseOf(32 * PAGE_SIZE);

/** Pages of one domain that are filled at most: that calls name, and that none does. */
const mostFilled = { named: 24, others: 8 };

/**
 * The RAM that is filled of what a scenario plays in: all of it, or where an implementation says
 * itself what changes, the ends of extents that are named, and some other pages, with each scenario
 * other ones. Over a pipe it is the filling that costs.
 */
export function ramToFill(scenario: Scenario, plan: DomainPlan, all: boolean): PageRun[] {
  const ram = plan.ram.map(({ gfn, pages }, i) => {
    const skipped = i === 0 ? Math.min(unfilled, pages) : 0;
    return { gfn: gfn + BigInt(skipped), pages: pages - skipped };
  });
  if (all) return ram;
  const named = new Set(endsNamed(scenario, plan.domid).filter((page) => isIn(ram, page)));
  const others = pagesIn(ram).filter((page) => !named.has(page));
  const turn = [...named].reduce((sum, page) => (sum * 31 + Number(page & 0xffffn)) % 0x1_0000, scenario.steps.length);
  const wanted = [...spreadOut([...named], turn, mostFilled.named), ...spreadOut(others, turn, mostFilled.others)];
  return joined(wanted.sort((a, b) => Number(a - b)).map((gfn) => ({ gfn, pages: 1 })));
}

/** The first and the last page of each extent that calls on a domain's pages name, and of each churn. */
function endsNamed({ steps, world }: Scenario, domid: number): bigint[] {
  return steps.flatMap((step) => {
    if (step.do === 'churn') return step.domid === domid ? [step.gfn, step.gfn + BigInt(step.pages - 1)] : [];
    if (ownerOf(step, world) !== domid) return [];
    return step.lists.flatMap((list, i) => {
      const last = (1n << BigInt(Math.min(step.reservations[i]?.extent_order ?? 0, mostOrder))) - 1n;
      return (list ?? []).flatMap((base) => [base, base + last]);
    });
  });
}

/**
 * RAM filled, so that a byte shows that is lost, also where it becomes zero, or goes to another
 * page.
 */
export function fillOf(domid: number, ram: readonly PageRun[]): Piece[] {
  return ram.flatMap(({ gfn, pages }) => {
    const found: Piece[] = [];
    for (let at = 0; at < pages; at += mostWritten / PAGE_SIZE) {
      const count = Math.min(mostWritten / PAGE_SIZE, pages - at);
      const bytes = new Uint8Array(count * PAGE_SIZE);
      const view = new DataView(bytes.buffer);
      for (let i = 0; i < count; i++) {
        const page = Number(gfn) + at + i;
        const from = ((((page % 0x1_0000) * 31_153 + domid * 40_503) % 0x1_0000) * 8) % (noise.length - PAGE_SIZE);
        bytes.set(noise.subarray(from, from + PAGE_SIZE), i * PAGE_SIZE);
        mark(view, i * PAGE_SIZE, domid, page);
      }
      found.push({ address: (gfn + BigInt(at)) << shift, bytes });
    }
    return found;
  });
}

/**
 * What is read of a page to see whether it holds what it held: its mark, eight bytes that another
 * step looks for elsewhere, or all.
 */
export function looksInto(gfn: bigint, step: number, whole: boolean): ByteRange[] {
  const address = gfn << shift;
  if (whole) return [{ address, length: BigInt(PAGE_SIZE) }];
  const offset = 8 + ((Number(gfn & 0xffffn) * 977 + step * 1_361) % (PAGE_SIZE - 16));
  return [
    { address, length: 8n },
    { address: address + BigInt(offset & ~7), length: 8n },
  ];
}

/** So many of some pages, others with each step. */
export function spreadOut(gfns: readonly bigint[], step: number, count: number): bigint[] {
  const from = gfns.length > count ? (step * count) % gfns.length : 0;
  return [...gfns.slice(from), ...gfns.slice(0, from)].slice(0, count);
}

/** Most frames that are watched beside the RAM and the holes of a domain. */
const mostElsewhere = 4;

/** The first frames beside a domain's RAM and holes that calls on its pages name. */
export function namedElsewhere({ steps, world }: Scenario, { domid, ram, holes }: DomainPlan): bigint[] {
  const runs = [...ram, ...holes];
  const found = new Set<bigint>();
  for (const step of steps) {
    if (step.do !== 'call' || ownerOf(step, world) !== domid) continue;
    for (const list of step.lists) for (const gfn of list ?? []) if (gfn < framesInAll && !isIn(runs, gfn)) found.add(gfn);
  }
  return [...found].slice(0, mostElsewhere);
}

/** The domain whose pages a call names. */
function ownerOf({ domid, reservations }: CallStep, { domains }: Scenario['world']): number {
  const named = reservations[0]?.domid;
  return domains.find((one) => one.domid === named)?.domid ?? domid;
}

function noiseOf(length: number): Uint8Array {
  const words = new Uint32Array(length / 4);
  let state = 0x9e37_79b9;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return new Uint8Array(words.buffer);
}

/** The call's lists, where they go. */
export function listsOf(step: CallStep, arch: Arch): Piece[] {
  return step.lists.flatMap((list, i) => {
    const handle = step.reservations[i]?.extent_start;
    if (list === undefined || list.length === 0 || handle === undefined) return [];
    return [{ address: pointerOf(handle, arch), bytes: new Uint8Array(new BigUint64Array(list as bigint[]).buffer) }];
  });
}

/**
 * A piece as a guest can write it: where some of its pages are RAM and some are not, what lies in
 * those that are, page by page. What ends behind memory is so far there.
 */
export function writable(piece: Piece, isRam: (gfn: bigint) => boolean): Piece[] {
  const { address, bytes } = piece;
  const parts: Piece[] = [];
  for (let from = 0; from < bytes.length; ) {
    const end = Math.min(bytes.length, from + PAGE_SIZE - Number((address + BigInt(from)) % BigInt(PAGE_SIZE)));
    parts.push({ address: address + BigInt(from), bytes: bytes.subarray(from, end) });
    from = end;
  }
  const there = parts.filter((part) => isRam(part.address >> shift));
  return there.length === 0 || there.length === parts.length ? [piece] : there;
}

/** The call's struct. */
export function structOf(step: CallStep, op: JudgedOp, codec: StructCodec<'xen_get_dma_buf'>): Uint8Array {
  const [first, second] = step.reservations;
  const value = isExchangeOp(op)
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

/** Eight bytes that no other page has, at its start. */
export function markOf(domid: number, gfn: bigint): Piece {
  const bytes = new Uint8Array(8);
  mark(new DataView(bytes.buffer), 0, domid, Number(gfn));
  return { address: gfn << shift, bytes };
}

function mark(view: DataView, at: number, domid: number, page: number): void {
  view.setUint32(at, page, true);
  view.setUint32(at + 4, 0x4d41_524b ^ (domid << 16) ^ Math.floor(page / 2 ** 32), true);
}
