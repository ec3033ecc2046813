/**
 * The structs of the ABI, declared once: C tags, C order, C type words, one phrase per field.
 *
 * Hold this page beside `xen/include/public/memory.h` and the patch of 2013-08-05. Layout, codec,
 * value types, dumps, exports and documentation are all derived from it. `address_bits` carries the
 * name the patch uses; Xen's later headers call the same four bytes `mem_flags`.
 */
export const structs = {
  xen_memory_reservation: {
    extent_start: 'XEN_GUEST_HANDLE(xen_pfn_t)', // list of extent bases, one xen_pfn_t each
    nr_extents: 'xen_ulong_t', // number of extents, and the length of the list
    extent_order: 'unsigned int', // size/alignment of each (2^extent_order pages)
    address_bits: 'unsigned int', // maximum address width; 0: no addressing restriction
    domid: 'domid_t', // whose memory; unprivileged domains can specify only DOMID_SELF
  },
  xen_memory_exchange: {
    in: 'struct xen_memory_reservation', // [IN] extents to be exchanged (GMFN bases)
    out: 'struct xen_memory_reservation', // [IN/OUT] new extents (GPFN bases in, GMFN bases out)
    nr_exchanged: 'xen_ulong_t', // [OUT] input extents exchanged; the caller initialises it to zero
  },
  xen_get_dma_buf: {
    in: 'struct xen_memory_reservation', // [IN] extents to be exchanged (GMFN bases); address_bits is ignored
    out: 'struct xen_memory_reservation', // [IN/OUT] new extents: GPFN bases to be populated in, GMFN bases out
    nr_exchanged: 'xen_ulong_t', // [OUT] input extents that were successfully exchanged; zero on entry
  },
  xen_put_dma_buf: {
    in: 'struct xen_memory_reservation', // [IN] extents to be unpinned; address_bits is ignored
  },
} as const;

structs satisfies { readonly [tag: string]: Members };

/** The C tag of a struct in the table. */
export type StructName = keyof typeof structs;

/**
 * The C type words the table may use. `unsigned long` and plain pointers are absent on purpose:
 * their width varies.
 */
export type CType = 'XEN_GUEST_HANDLE(xen_pfn_t)' | 'xen_ulong_t' | 'xen_pfn_t' | 'unsigned int' | 'domid_t';

/** Every C type word, those of `memory-h.ts` included. */
export type Word = CType | `XEN_GUEST_HANDLE${'' | '_64'}(${string})` | `uint${8 | 16 | 32 | 64}_t` | 'uint64_aligned_t';

/** Members by name, in C's order. */
export interface Members {
  readonly [name: string]: FieldType;
}

/**
 * A word, or an array of it; a struct of the table by its C tag, or one without a tag; a union.
 */
export type FieldType = Word | `${Word}[${number}]` | 'struct xen_memory_reservation' | { readonly struct: Members } | UnionType;

/**
 * A union: `by` is the field of the outermost struct that tells its member, `of` the member for
 * each of its values, `else` that for every other value.
 */
export interface UnionType {
  readonly union: Members;
  readonly by?: string;
  readonly of?: { readonly [value: number]: string };
  readonly else?: string;
}

/** Every struct name, in the table's order. */
export const structNames: readonly StructName[] = Object.keys(structs) as StructName[];

/** True for the C tag of a struct in the table. */
export function isStructName(name: string): name is StructName {
  return Object.hasOwn(structs, name);
}
