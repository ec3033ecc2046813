import type { Arch } from '../../src/abi/arch.ts';
import { DOMID, PAGE_SHIFT } from '../../src/abi/constants.ts';
import { XENMEM } from '../../src/abi/ops.ts';
import type { XenMemoryReservation } from '../../src/abi/values.ts';
import type { Hello, PageRun, World } from '../protocol/implementation.ts';
import { kindsFor } from './kinds.ts';
import { caller } from './plan.ts';
import type { CallStep, Scenario } from './scenario.ts';

// Scenarios that chance would hardly ever make: each was a fault that a run of thousands did not
// find.

const { get_dma_buf, put_dma_buf } = XENMEM['dma-buf'];
const shift = BigInt(PAGE_SHIFT);

interface Rare {
  /** What a hypervisor has to do, or to have, for this to be asked of it. */
  readonly fits: (arch: Arch, hello: Hello) => boolean;
  readonly scenario: (arch: Arch) => Scenario;
}

/**
 * A list of such a scenario: where it is, what is written there, and how many of it the struct
 * names (by default all).
 */
interface RareList {
  readonly at: bigint;
  readonly of: readonly bigint[] | undefined;
  readonly count?: number;
  readonly order?: number;
}

const rares: readonly Rare[] = [
  {
    // Frames got for a chunk that then failed are free again: each of two gets fails with one of
    // two frames in hand.
    fits: (_, { capabilities, limits }) =>
      capabilities.has('free') && capabilities.has('fail-alloc') && reaches(limits, 0x41fn) && (limits.max_order ?? 1) > 0,
    scenario: (arch) => {
      const base = 0x400n;
      const list = (page: bigint, of: readonly bigint[], order = 0): RareList => ({ at: (base + page) << shift, of, order });
      const one = (first: bigint, hole: bigint): CallStep => ({
        ...call(get_dma_buf, base << shift, [list(1n, [base + first], 1), list(2n, [base + hole, base + hole + 1n])]),
        inject: { fail_alloc: 1 },
      });
      return {
        world: worldOf(arch, [{ gfn: base, pages: 16 }], [{ gfn: base + 16n, pages: 16 }], { low: 0, high: 2 }),
        steps: [one(8n, 16n), one(10n, 18n), call(get_dma_buf, base << shift, [list(1n, [base + 12n]), list(2n, [base + 20n])])],
      };
    },
  },
  {
    // A list of two entries that begins with the last word there is: the first call writes that
    // one, the second the one at 0.
    fits: (arch, { limits }) =>
      arch === 'arm32' && reaches(limits, 0xfffffn) && (limits.ram_pages ?? 18) >= 18 && (limits.max_extents ?? 2n) >= 2n,
    scenario: (arch) => {
      const base = 0x400n;
      const [last, first] = [0xffff_fff8n, 0n];
      const arg = base << shift;
      const page = (n: bigint): bigint => base + n;
      return {
        world: worldOf(
          arch,
          [
            { gfn: base, pages: 16 },
            { gfn: 0xfffffn, pages: 1 },
            { gfn: 0n, pages: 1 },
          ],
          [{ gfn: page(16n), pages: 16 }],
        ),
        steps: [
          call(put_dma_buf, arg, [{ at: last, of: [page(8n)], count: 0 }]),
          call(put_dma_buf, arg, [{ at: first, of: [page(9n)], count: 0 }]),
          call(get_dma_buf, arg, [
            { at: last, of: undefined, count: 2 },
            { at: page(2n) << shift, of: [page(16n), page(17n)] },
          ]),
        ],
      };
    },
  },
  // Frame numbers of more than 32 bits, and the frame number 0, are numbers like any other.
  {
    fits: (arch, { limits }) => arch === 'arm64' && reaches(limits, 0x1_0000_041fn) && (limits.max_extents ?? 3n) >= 3n,
    scenario: (arch) => lifeAt(arch, 0x1_0000_0400n),
  },
  { fits: (_, { limits }) => reaches(limits, 0x1fn) && (limits.max_extents ?? 3n) >= 3n, scenario: (arch) => lifeAt(arch, 0n) },
];

/** One scenario in so many is one of these, and one is of the kinds that others' faults showed. */
const oneIn = 32;

/**
 * The one that a number stands for, if it stands for one, of those that this implementation has
 * room for.
 */
export function rareFor(number: number, arch: Arch, hello: Hello): Scenario | undefined {
  const { commands, limits } = hello;
  const turn = number % oneIn;
  if (commands.get_dma_buf === undefined || commands.put_dma_buf === undefined) return undefined;
  const at = Math.floor(number / oneIn);
  if (turn === oneIn - 1) {
    const fitting = rares.filter(({ fits }) => fits(arch, hello));
    return fitting[at % fitting.length]?.scenario(arch);
  }
  if (turn !== oneIn / 2 - 1) return undefined;
  const kinds = kindsFor(arch, hello);
  return kinds[at % kinds.length]?.(limits.max_gfn !== undefined && limits.max_gfn < 0x4_2000n ? 0x400n : 0x4_0000n);
}

/** Pages got, by names that lie at the start of memory too, and put. */
function lifeAt(arch: Arch, base: bigint): Scenario {
  const inputs = [base, base + 8n, base + 9n];
  const outputs = [base + 16n, base, base + 17n];
  const at = (page: bigint): bigint => (base + page) << shift;
  return {
    world: worldOf(arch, [{ gfn: base, pages: 16 }], [{ gfn: base + 16n, pages: 16 }]),
    steps: [
      call(get_dma_buf, at(1n), [
        { at: at(2n), of: inputs },
        { at: at(3n), of: outputs },
      ]),
      call(put_dma_buf, at(1n), [{ at: at(2n), of: outputs }]),
    ],
  };
}

function worldOf(arch: Arch, ram: readonly PageRun[], holes: readonly PageRun[], free = { low: 16, high: 16 }): World {
  return { arch, domains: [{ domid: caller, privileged: false, ram, holes }], free };
}

function call(cmd: number, arg: bigint, lists: readonly RareList[]): CallStep {
  const reservations = lists.map(({ at, of, count, order = 0 }): XenMemoryReservation => {
    return { extent_start: at, nr_extents: BigInt(count ?? of?.length ?? 0), extent_order: order, address_bits: 0, domid: DOMID.SELF };
  });
  return { do: 'call', domid: caller, cmd, arg, reservations, nrExchanged: 0n, padding: 0, lists: lists.map(({ of }) => of) };
}

function reaches({ max_gfn }: Hello['limits'], gfn: bigint): boolean {
  return max_gfn === undefined || max_gfn >= gfn;
}
