import { arches, isHandle } from '../../abi/arch.ts';
import { MAX_ORDER, MEMOP_MAX_EXTENTS, PAGE_SHIFT, XENMEMF } from '../../abi/constants.ts';
import { entryOf, type Field, fieldOf, type Layout, meantWhere } from '../../abi/layout.ts';
import { isMemoryStruct, type ListOf, memoryLists } from '../../abi/memory-h.ts';
import { argumentOf, type JudgedOp, opsTaking } from '../../abi/ops.ts';
import type { Severity } from '../answer.ts';
import { type Basis, everyOp, exchanges, reservationOps } from '../rule.ts';
import {
  all,
  bytesOf,
  type Claim,
  decimal,
  domid,
  end,
  eq,
  filled,
  fits,
  gt,
  hex,
  high,
  low,
  lt,
  type Message,
  type Nat,
  ne,
  node,
  not,
  parameter,
  say,
  shl,
} from './expression.ts';

/**
 * One way to break a duty, and where it is told: at a field of the struct or at padding, by path.
 */
export interface Breach {
  readonly where: string;
  /** What is so when the duty is broken. */
  readonly broken: Claim;
  readonly message: Message;
}

/**
 * A duty of the caller that its struct alone shows, as data: rules, the C header, Wireshark and gdb
 * check it from here.
 */
export interface StructDuty {
  readonly id: string;
  readonly severity: Severity;
  readonly ops: readonly JudgedOp[];
  /** Is it asked of every struct of memory.h, those of ops included that are not judged? */
  readonly everywhere?: true;
  /** Ops on which it weighs less. */
  readonly noteOn?: readonly JudgedOp[];
  readonly basis: Basis;
  readonly reading: string;
  /** The ways to break it in a struct of this layout; none where it cannot be broken. */
  readonly breaches: (layout: Layout) => readonly Breach[];
  /** Why there is none, where there is none. */
  readonly elsewhere?: string;
}

/**
 * A reservation inside a struct: its path with the dot behind it, and the list that it describes.
 */
interface ListSide {
  readonly path: string;
  readonly name: string;
  /** Where the list begins: the pointer in the handle. */
  readonly start: Nat;
}

const withList: readonly JudgedOp[] = everyOp.filter((op) => op !== 'increase_reservation');
const withFlags: readonly JudgedOp[] = ['increase_reservation', 'populate_physmap', 'exchange'];

/** The duties by id, in the order in which they are judged. */
export const structDuties: { readonly [id: string]: StructDuty } = byId([
  {
    id: 'caller-handle-high-zero',
    severity: 'error',
    ops: everyOp,
    everywhere: true,
    basis: {
      source: 'arch-arm.h',
      quote: '_sxghr_tmp->q = 0;',
      remark: 'set_xen_guest_handle_raw clears the 64-bit view, q, before it stores the pointer, p',
    },
    reading: 'On arm32 bytes 4..7 of each guest handle are zero: the pointer is the low 32 bits, and a 64-bit Xen reads all 64.',
    elsewhere: 'a handle has no unused half here',
    breaches(layout) {
      const { pointer, word } = arches[layout.arch];
      if (pointer === word) return [];
      return handlesOf(layout).map(({ path, within }) => {
        const half = high(path, 8 * pointer);
        return { where: path, broken: meant(within, ne(half, 0)), message: say`the handle's high half is ${hex(half)}, not zero` };
      });
    },
  },
  {
    id: 'caller-list-aligned',
    severity: 'warning',
    ops: everyOp,
    everywhere: true,
    basis: { source: 'arch-arm.h', quote: 'always 8 bytes sizes and 8 bytes aligned' },
    reading:
      'Each list starts at a multiple of what its entries are aligned to: frames to 8, on x86_32 to 4. Real Xen copies bytewise and does not check.',
    breaches: (layout) =>
      handlesOf(layout).flatMap(({ path, type, within }) => {
        const align = entryOf(type, layout.arch)?.align ?? 1;
        const start = startOf(layout, path);
        const message = say`the list at ${hex(start)} is not ${decimal(align)}-aligned`;
        return align === 1 ? [] : { where: path, broken: meant(within, ne(low(start, Math.log2(align)), 0)), message };
      }),
  },
  {
    id: 'caller-order',
    severity: 'warning',
    ops: everyOp,
    basis: { source: 'memory.h', quote: 'size/alignment of each (2^extent_order pages)' },
    reading: `extent_order is at most ${MAX_ORDER}, the largest any present Xen accepts.`,
    breaches: (layout) =>
      eachPart(layout, ({ path }) => {
        const order = `${path}extent_order`;
        return [{ where: order, broken: gt(order, MAX_ORDER), message: say`order ${decimal(order)} is above ${decimal(MAX_ORDER)}` }];
      }),
  },
  {
    id: 'caller-padding-zero',
    severity: 'note',
    ops: everyOp,
    everywhere: true,
    basis: { source: 'convention', remark: 'the headers are silent: Xen neither reads nor writes it' },
    reading: 'Padding bytes are zero. Harmless where they are not, but stack or heap contents may be leaking.',
    breaches: ({ padding }) =>
      padding.map((gap) => ({
        where: gap.path,
        broken: meant(gap.within, filled(gap)),
        message: say`padding is ${bytesOf(gap)}, not zero`,
      })),
  },
  {
    id: 'caller-domid-match',
    severity: 'error',
    ops: exchanges,
    basis: { source: 'xen_get_dma_buf', quote: '@in.domid == @out.domid' },
    reading: "Equal as raw 16-bit numbers: DOMID_SELF beside one's own number is a mismatch too.",
    breaches: () => [
      {
        where: 'out.domid',
        broken: ne('in.domid', 'out.domid'),
        message: say`in.domid is ${domid('in.domid')}, out.domid is ${domid('out.domid')}`,
      },
    ],
  },
  {
    id: 'caller-size-match',
    severity: 'error',
    ops: exchanges,
    basis: { source: 'xen_get_dma_buf', quote: '@in.nr_extents << @in.extent_order == @out.nr_extents << @out.extent_order' },
    reading: 'Exact equality of the two totals, not modulo 2^64.',
    breaches: () => [
      {
        where: 'out.nr_extents',
        broken: ne(shl('in.nr_extents', 'in.extent_order'), shl('out.nr_extents', 'out.extent_order')),
        message: say`in is ${decimal('in.nr_extents')} << ${decimal('in.extent_order')} pages, out is ${decimal('out.nr_extents')} << ${decimal('out.extent_order')}`,
      },
    ],
  },
  {
    id: 'caller-lists-disjoint',
    severity: 'error',
    ops: [...exchanges, 'put_dma_buf'],
    basis: { source: 'xen_get_dma_buf', quote: '@in.extent_start and @out.extent_start lists must not overlap' },
    reading:
      'The byte ranges of the lists and of the struct itself are pairwise disjoint; a range that wraps (at 2^32 on arm32, else 2^64) is an error; an empty list is nowhere.',
    breaches: listBreaches,
  },
  {
    id: 'caller-nr-exchanged-zero',
    severity: 'error',
    ops: exchanges,
    basis: { source: 'xen_get_dma_buf', quote: 'THIS FIELD MUST BE INITIALISED TO ZERO BY THE CALLER!' },
    reading: 'nr_exchanged is 0 on entry. Real Xen takes anything else as the point to resume from.',
    breaches: () => [
      { where: 'nr_exchanged', broken: ne('nr_exchanged', 0), message: say`nr_exchanged is ${hex('nr_exchanged')} on entry` },
    ],
  },
  {
    id: 'caller-address-bits',
    severity: 'warning',
    ops: everyOp.filter((op) => op !== 'put_dma_buf'),
    basis: { source: 'xen_get_dma_buf', quote: 'contiguous and under 4G if so requested' },
    reading:
      'The low 8 bits of address_bits, out.address_bits of an exchange, are not 1..12: Xen takes no limit of a page or less. On op 26 there is nothing above them: more spills into the node bits of mem_flags.',
    breaches(layout) {
      const bits = `${limited(layout)}address_bits`;
      const limit = low(bits, 8);
      const stored = low(high(bits, 8), 8);
      const spills = layout.struct === argumentOf.get_dma_buf ? [gt(bits, 0xff)] : [];
      return [
        ...spills.flatMap((more) => [
          {
            where: bits,
            broken: all(more, eq(stored, 0)),
            message: say`${hex(bits)} spills past bit 7: Xen reads flags there`,
          },
          {
            where: bits,
            broken: all(more, ne(stored, 0)),
            message: say`${hex(bits)} spills past bit 7: Xen reads node ${node(stored)} there`,
          },
        ]),
        {
          where: bits,
          broken: all(gt(limit, 0), not(gt(limit, PAGE_SHIFT))),
          message: say`Xen takes no limit of 2^${decimal(PAGE_SHIFT)} bytes or less`,
        },
      ];
    },
  },
  {
    id: 'caller-list-null',
    severity: 'warning',
    ops: withList,
    everywhere: true,
    basis: { source: 'convention', remark: 'Xen reads the list of a guest at that address, and finds nothing there' },
    reading: 'Where extents are asked for the handle is not null. Op 0 alone may have no list: then the new frames are told to nobody.',
    breaches: (layout) =>
      listsOf(layout).map(({ handle, count, where, entries }) => ({
        where: handle,
        broken: all(...(where ? [eq(...where)] : []), gt(count, 0), eq(startOf(layout, handle), 0)),
        message: { texts: ['', ` ${entries} are asked for, and the handle is null`], values: [decimal(count)] },
      })),
  },
  {
    id: 'caller-count',
    severity: 'warning',
    noteOn: [...exchanges, 'put_dma_buf'],
    ops: everyOp,
    basis: { source: 'convention', remark: 'cmd has 26 bits for start_extent (MEMOP_EXTENT_SHIFT)' },
    reading:
      'nr_extents is at most 0x3ffffff, which start_extent can count: of more, ops 0, 1 and 6 do nothing. Op 11 has no such limit, 26 and 27 may have it.',
    breaches: (layout) =>
      eachPart(layout, ({ path }) => [
        {
          where: `${path}nr_extents`,
          broken: gt(`${path}nr_extents`, Number(MEMOP_MAX_EXTENTS)),
          message: say`${decimal(`${path}nr_extents`)} extents are more than the ${hex(Number(MEMOP_MAX_EXTENTS))} that start_extent can count`,
        },
      ]),
  },
  {
    id: 'caller-start-extent',
    severity: 'warning',
    ops: reservationOps,
    basis: { source: 'convention', remark: 'Xen answers such a call with start_extent itself' },
    reading:
      'start_extent, from bit 6 of cmd, is below nr_extents. An ioctl number or the size of a struct in cmd does not look like that.',
    breaches: () => {
      const start = parameter('start_extent');
      return [
        {
          where: 'nr_extents',
          broken: all(gt(start, 0), not(lt(start, 'nr_extents'))),
          message: say`start_extent is ${decimal(start)} of ${decimal('nr_extents')} extents: nothing is left to do`,
        },
      ];
    },
  },
  {
    id: 'caller-flags',
    severity: 'warning',
    ops: withFlags,
    basis: { source: 'convention', remark: 'the bits that Xen 4.17 defines as XENMEMF_*' },
    reading:
      'Above bit 7 of mem_flags is a node up to 63, stored plus one, and the bits 16 (populate on demand), 17 (exact node) and 18 (virtual node); no Xen defines others.',
    breaches(layout) {
      const flags = `${limited(layout)}address_bits`;
      const stored = low(high(flags, 8), 8);
      return [
        { where: flags, broken: gt(stored, 64), message: say`mem_flags ${hex(flags)} ask for node ${node(stored)}, beyond 63` },
        {
          where: flags,
          broken: ne(high(flags, Math.log2(XENMEMF.vnode) + 1), 0),
          message: say`mem_flags ${hex(flags)} have bits that no Xen defines`,
        },
      ];
    },
  },
]);

/** The duties that a struct of this layout alone shows, whichever of its ops it is of. */
export function dutiesOf({ struct }: Layout): StructDuty[] {
  const all = Object.values(structDuties);
  if (isMemoryStruct(struct)) return all.filter(({ everywhere }) => everywhere);
  return all.filter(({ ops }) => opsTaking(struct).every((op) => ops.includes(op)));
}

/** Where the limit of an argument's new memory stands: in `out`, or in the one reservation. */
function limited({ members }: Layout): string {
  return members.some(({ name }) => name === 'out') ? 'out.' : '';
}

/** What must be so for something in unions to be meant; `undefined` where it always is. */
export function meantClaim(within: Field['within']): Claim | undefined {
  const claims = meantWhere({ within }).flatMap((one): Claim[] => {
    if ('is' in one) return [not(all(...one.is.map((value) => ne(one.by, value))))];
    return one.isNot.map((value) => ne(one.by, value));
  });
  return claims.length > 0 ? all(...claims) : undefined;
}

function handlesOf({ fields }: Layout): Field[] {
  return fields.filter(({ type }) => isHandle(type));
}

/** Where a list begins: the pointer in the handle. */
function startOf(layout: Layout, handle: string): Nat {
  const { pointer } = arches[layout.arch];
  return fieldOf(layout, handle).size === pointer ? { is: 'field', path: handle } : low(handle, 8 * pointer);
}

/** The lists whose length the struct says, and what their entries are. */
function listsOf(layout: Layout): (ListOf & { readonly entries: string })[] {
  const { struct } = layout;
  if (isMemoryStruct(struct)) return (memoryLists[struct] ?? []).map((list) => ({ ...list, entries: 'entries' }));
  return partsOf(layout).map(({ path }) => ({ handle: `${path}extent_start`, count: `${path}nr_extents`, entries: 'extents' }));
}

/** A claim about a part of unions, which says nothing where that part is not meant. */
function meant(within: Field['within'], claim: Claim): Claim {
  const condition = meantClaim(within);
  return condition ? all(condition, claim) : claim;
}

function partsOf(layout: Layout): ListSide[] {
  const nested = layout.members.filter((member) => member.nested).map(({ name }) => name);
  return (nested.length > 0 ? nested : ['']).map((name) => {
    const path = name === '' ? '' : `${name}.`;
    return { path, name, start: startOf(layout, `${path}extent_start`) };
  });
}

function eachPart(layout: Layout, breaches: (part: ListSide) => Breach[]): Breach[] {
  return partsOf(layout).flatMap(breaches);
}

function listBreaches(layout: Layout): Breach[] {
  const { pointer, word } = arches[layout.arch];
  const parts = partsOf(layout);
  const wraps = parts.map(({ path, start }) => {
    const count = `${path}nr_extents`;
    const message = say`the list of ${decimal(count)} entries at ${hex(start)} runs past the end of the address space`;
    return { where: `${path}extent_start`, broken: not(fits(end(start, word, count), 8 * pointer)), message };
  });
  const lists = parts.map(({ path, name, start }) => {
    const count = `${path}nr_extents`;
    return { path, name: `the ${name} list`, start, behind: end(start, word, count), some: [gt(count, 0)] };
  });
  const address = parameter('address');
  const struct = { path: '', name: 'the struct', start: address, behind: end(address, layout.size, 1), some: [] as Claim[] };
  const overlaps = lists.flatMap((b, i) =>
    [struct, ...lists.slice(0, i)].map((a) => ({
      where: `${b.path}extent_start`,
      broken: all(...a.some, ...b.some, lt(a.start, b.behind), lt(b.start, a.behind)),
      message: {
        texts: [`${b.name} `, '..', ` overlaps ${a.name} `, '..', ''],
        values: [hex(b.start), hex(b.behind), hex(a.start), hex(a.behind)],
      },
    })),
  );
  return [...wraps, ...overlaps];
}

function byId(duties: readonly StructDuty[]): { readonly [id: string]: StructDuty } {
  return Object.fromEntries(duties.map((duty) => [duty.id, duty]));
}
