import type { Arch } from './arch.ts';
import { MEMOP_CMD_MASK, MEMOP_EXTENT_SHIFT } from './constants.ts';
import { type AnyStruct, layoutOf } from './layout.ts';
import { memoryArguments } from './memory-h.ts';
import { type StructName, structs } from './structs.ts';

const shared = {
  increase_reservation: 0,
  decrease_reservation: 1,
  maximum_ram_page: 2,
  current_reservation: 3,
  maximum_reservation: 4,
  machphys_mfn_list: 5,
  populate_physmap: 6,
  add_to_physmap: 7,
  translate_gpfn_list: 8,
  memory_map: 9,
  machine_memory_map: 10,
  exchange: 11,
  machphys_mapping: 12,
  set_memory_map: 13,
  maximum_gpfn: 14,
  remove_from_physmap: 15,
  set_pod_target: 16,
  get_pod_target: 17,
  get_sharing_freed_pages: 18,
  get_sharing_shared_pages: 19,
  paging_op: 20,
  access_op: 21,
  sharing_op: 22,
  add_to_physmap_batch: 23,
  claim_pages: 24,
} as const;

/**
 * Op numbers (XENMEM_*) by profile. `dma-buf` is the patch of 2013; `upstream` is what shipped:
 * there 26 became get_vnumainfo in Xen 4.5 and 27 reserved_device_memory_map in 4.6. Never issue
 * the patch's numbers to a Xen unasked.
 */
export const XENMEM = {
  'dma-buf': { ...shared, get_dma_buf: 26, put_dma_buf: 27 },
  upstream: {
    ...shared,
    machphys_compat_mfn_list: 25,
    get_vnumainfo: 26,
    reserved_device_memory_map: 27,
    acquire_resource: 28,
  },
} as const;

export type Profile = keyof typeof XENMEM;

export const profileNames: readonly Profile[] = Object.keys(XENMEM) as Profile[];

/**
 * The ops whose argument the table describes, and which argument that is: these, and only these,
 * are judged.
 */
export const argumentOf = {
  increase_reservation: 'xen_memory_reservation',
  decrease_reservation: 'xen_memory_reservation',
  populate_physmap: 'xen_memory_reservation',
  exchange: 'xen_memory_exchange',
  get_dma_buf: 'xen_get_dma_buf',
  put_dma_buf: 'xen_put_dma_buf',
} as const satisfies { readonly [op: string]: StructName };

export type JudgedOp = keyof typeof argumentOf;

/** The judged ops whose struct has a list of new extents beside the one of given extents. */
export type ExchangeOp = { [Op in JudgedOp]: (typeof structs)[(typeof argumentOf)[Op]] extends { out: unknown } ? Op : never }[JudgedOp];

/** Does an op exchange: pages that are given for new ones? */
export function isExchangeOp(op: JudgedOp | undefined): op is ExchangeOp {
  return op !== undefined && 'out' in structs[argumentOf[op]];
}

/** The judged ops that take a struct. */
export function opsTaking(struct: AnyStruct): JudgedOp[] {
  return (Object.keys(argumentOf) as JudgedOp[]).filter((op) => argumentOf[op] === struct);
}

const names = new Map<Profile, ReadonlyMap<number, string>>(
  profileNames.map((p) => [p, new Map(Object.entries(XENMEM[p]).map(([name, nr]) => [nr, name]))]),
);

/** The op in a `cmd`: its low six bits. */
export function opNumber(cmd: number): number {
  return (cmd & MEMOP_CMD_MASK) >>> 0;
}

/** The continuation's `start_extent` in a `cmd`, 0 for a fresh call. */
export function startExtent(cmd: number): number {
  return cmd >>> MEMOP_EXTENT_SHIFT;
}

/** The name of an op number in a profile, as `get_dma_buf`; `undefined` if the profile has none. */
export function opName(nr: number, profile: Profile): string | undefined {
  return names.get(profile)?.get(nr);
}

/**
 * The number of an op by its name in a profile, with or without `XENMEM_`; `undefined` if the
 * profile has none.
 */
export function opNamed(name: string, profile: Profile): number | undefined {
  const bare = name.replace(/^XENMEM_/i, '').toLowerCase();
  return [...(names.get(profile) ?? [])].find(([, known]) => known === bare)?.[0];
}

/**
 * Xen's name of the op in a `cmd`. A number that the profile does not know has the name it has
 * upstream, since no Xen had another; `op_63` where no Xen has one.
 */
export function xenName(cmd: number, profile: Profile): string {
  const nr = opNumber(cmd);
  return opName(nr, profile) ?? opName(nr, 'upstream') ?? `op_${nr}`;
}

/** The op a `cmd` asks for, if it is one that xenmem judges. */
export function judgedOp(cmd: number, profile: Profile): JudgedOp | undefined {
  const name = opName(opNumber(cmd), profile);
  return name !== undefined && Object.hasOwn(argumentOf, name) ? (name as JudgedOp) : undefined;
}

/** Bytes of the argument of an op, where xenmem knows them. */
function argumentSize(op: string, arch: Arch): number | undefined {
  const takes = Object.hasOwn(argumentOf, op) ? argumentOf[op as JudgedOp] : memoryArguments[op];
  return takes === undefined || takes === 'domid' || takes === 'nothing' ? undefined : layoutOf(takes, arch).size;
}

/**
 * The op that a captured argument of this many bytes fits better than the one `cmd` means in this
 * profile: the same number in another profile. `undefined` if the length fits here, or nowhere.
 */
export function betterFit(cmd: number, profile: Profile, arch: Arch, bytes: number): { profile: Profile; op: string } | undefined {
  const here = opName(opNumber(cmd), profile);
  if (here !== undefined && argumentSize(here, arch) === bytes) return undefined;
  for (const other of profileNames) {
    const op = opName(opNumber(cmd), other);
    if (other !== profile && op !== undefined && op !== here && argumentSize(op, arch) === bytes) return { profile: other, op };
  }
  return undefined;
}
