import type { Members } from './structs.ts';

/**
 * The other structs of `xen/include/public/memory.h`: arguments of ops that xenmem names and shows,
 * and does not judge. C tags, C order, C type words, as in `structs.ts`, with three words more:
 * `type[n]` is an array, `union` and `struct` hold members that share their bytes or follow one
 * another. Where a field says which member of a union is meant, `by` names it, and `of` the member
 * for each of its values. The table stands apart from that of `structs.ts` since each of those has
 * value types in the library and requirements in the document, and these have neither; layout,
 * codec, exports and gates read both as one.
 */
export const memoryStructs: { readonly [tag in MemoryStructName]: Members } = {
  xen_machphys_mfn_list: {
    max_extents: 'unsigned int',
    extent_start: 'XEN_GUEST_HANDLE(xen_pfn_t)',
    nr_extents: 'unsigned int',
  },
  xen_machphys_mapping: { v_start: 'xen_ulong_t', v_end: 'xen_ulong_t', max_mfn: 'xen_ulong_t' },
  xen_memory_domain: { domid: 'domid_t' },
  xen_add_to_physmap: {
    domid: 'domid_t',
    size: 'uint16_t',
    space: 'unsigned int',
    idx: 'xen_ulong_t',
    gpfn: 'xen_pfn_t',
  },
  xen_add_to_physmap_batch: {
    domid: 'domid_t',
    space: 'uint16_t',
    size: 'uint16_t',
    u: { union: { foreign_domid: 'domid_t', res0: 'uint16_t' }, by: 'space', of: { 4: 'foreign_domid' }, else: 'res0' },
    idxs: 'XEN_GUEST_HANDLE(xen_ulong_t)',
    gpfns: 'XEN_GUEST_HANDLE(xen_pfn_t)',
    errs: 'XEN_GUEST_HANDLE(int)',
  },
  xen_remove_from_physmap: { domid: 'domid_t', gpfn: 'xen_pfn_t' },
  xen_memory_map: { nr_entries: 'unsigned int', buffer: 'XEN_GUEST_HANDLE(void)' },
  xen_foreign_memory_map: {
    domid: 'domid_t',
    map: { struct: { nr_entries: 'unsigned int', buffer: 'XEN_GUEST_HANDLE(void)' } },
  },
  xen_pod_target: {
    target_pages: 'uint64_t',
    tot_pages: 'uint64_t',
    pod_cache_pages: 'uint64_t',
    pod_entries: 'uint64_t',
    domid: 'domid_t',
  },
  xen_mem_paging_op: {
    op: 'uint8_t',
    domain: 'domid_t',
    buffer: 'XEN_GUEST_HANDLE_64(const_uint8)',
    gfn: 'uint64_aligned_t',
  },
  xen_mem_access_op: {
    op: 'uint8_t',
    access: 'uint8_t',
    domid: 'domid_t',
    nr: 'uint32_t',
    pfn: 'uint64_aligned_t',
    pfn_list: 'XEN_GUEST_HANDLE(const_uint64)',
    access_list: 'XEN_GUEST_HANDLE(const_uint8)',
  },
  xen_mem_sharing_op: {
    op: 'uint8_t',
    domain: 'domid_t',
    u: {
      union: {
        nominate: {
          struct: {
            u: { union: { gfn: 'uint64_aligned_t', grant_ref: 'uint32_t' }, by: 'op', of: { 0: 'gfn', 1: 'grant_ref' } },
            handle: 'uint64_aligned_t',
          },
        },
        share: {
          struct: {
            source_gfn: 'uint64_aligned_t',
            source_handle: 'uint64_aligned_t',
            client_gfn: 'uint64_aligned_t',
            client_handle: 'uint64_aligned_t',
            client_domain: 'domid_t',
          },
        },
        range: {
          struct: {
            first_gfn: 'uint64_aligned_t',
            last_gfn: 'uint64_aligned_t',
            opaque: 'uint64_aligned_t',
            client_domain: 'domid_t',
            _pad: 'uint16_t[3]',
          },
        },
        debug: {
          struct: {
            u: {
              union: { gfn: 'uint64_aligned_t', mfn: 'uint64_aligned_t', gref: 'uint32_t' },
              by: 'op',
              of: { 3: 'gfn', 4: 'mfn', 5: 'gref' },
            },
          },
        },
        fork: { struct: { parent_domain: 'domid_t', flags: 'uint16_t', pad: 'uint32_t' } },
      },
      by: 'op',
      of: { 0: 'nominate', 1: 'nominate', 2: 'share', 3: 'debug', 4: 'debug', 5: 'debug', 6: 'share', 8: 'range', 9: 'fork', 10: 'fork' },
    },
  },
  xen_reserved_device_memory: { start_pfn: 'xen_pfn_t', nr_pages: 'xen_ulong_t' },
  xen_reserved_device_memory_map: {
    flags: 'uint32_t',
    nr_entries: 'unsigned int',
    buffer: 'XEN_GUEST_HANDLE(xen_reserved_device_memory_t)',
    dev: { union: { pci: { struct: { seg: 'uint16_t', bus: 'uint8_t', devfn: 'uint8_t' } } } },
  },
  xen_mem_acquire_resource: {
    domid: 'domid_t',
    type: 'uint16_t',
    id: 'uint32_t',
    nr_frames: 'uint32_t',
    pad: 'uint32_t',
    frame: 'uint64_t',
    frame_list: 'XEN_GUEST_HANDLE(xen_pfn_t)',
  },
  xen_vmemrange: { start: 'uint64_t', end: 'uint64_t', flags: 'unsigned int', nid: 'unsigned int' },
  xen_vnuma_topology_info: {
    domid: 'domid_t',
    pad: 'uint16_t',
    nr_vnodes: 'unsigned int',
    nr_vcpus: 'unsigned int',
    nr_vmemranges: 'unsigned int',
    vdistance: { union: { h: 'XEN_GUEST_HANDLE(uint)', pad: 'uint64_t' }, by: '', of: {}, else: 'h' },
    vcpu_to_vnode: { union: { h: 'XEN_GUEST_HANDLE(uint)', pad: 'uint64_t' }, by: '', of: {}, else: 'h' },
    vmemrange: { union: { h: 'XEN_GUEST_HANDLE(xen_vmemrange_t)', pad: 'uint64_t' }, by: '', of: {}, else: 'h' },
  },
};

/** The C tag of one of these structs. */
export type MemoryStructName =
  | 'xen_machphys_mfn_list'
  | 'xen_machphys_mapping'
  | 'xen_memory_domain'
  | 'xen_add_to_physmap'
  | 'xen_add_to_physmap_batch'
  | 'xen_remove_from_physmap'
  | 'xen_memory_map'
  | 'xen_foreign_memory_map'
  | 'xen_pod_target'
  | 'xen_mem_paging_op'
  | 'xen_mem_access_op'
  | 'xen_mem_sharing_op'
  | 'xen_reserved_device_memory'
  | 'xen_reserved_device_memory_map'
  | 'xen_mem_acquire_resource'
  | 'xen_vmemrange'
  | 'xen_vnuma_topology_info';

/** Their tags, in the header's order. */
export const memoryStructNames: readonly MemoryStructName[] = Object.keys(memoryStructs) as MemoryStructName[];

/**
 * The lists of these structs: for a guest handle, by its path, the field that counts its entries,
 * and the value of another field with which alone it is a list. Absent are those that the header
 * lets be null: the buffer of `xen_memory_map`, which then asks for the count.
 */
export const memoryLists: { readonly [tag in MemoryStructName]?: readonly ListOf[] } = {
  xen_machphys_mfn_list: [{ handle: 'extent_start', count: 'max_extents' }],
  xen_add_to_physmap_batch: [
    { handle: 'idxs', count: 'size' },
    { handle: 'gpfns', count: 'size' },
    { handle: 'errs', count: 'size' },
  ],
  xen_foreign_memory_map: [{ handle: 'map.buffer', count: 'map.nr_entries' }],
  xen_mem_access_op: [
    { handle: 'pfn_list', count: 'nr', where: ['op', 4] }, // XENMEM_access_op_set_access_multi
    { handle: 'access_list', count: 'nr', where: ['op', 4] },
  ],
  xen_reserved_device_memory_map: [{ handle: 'buffer', count: 'nr_entries' }],
  xen_mem_acquire_resource: [{ handle: 'frame_list', count: 'nr_frames' }],
  xen_vnuma_topology_info: [
    { handle: 'vdistance.h', count: 'nr_vnodes', times: 'nr_vnodes' }, // from each node to each
    { handle: 'vcpu_to_vnode.h', count: 'nr_vcpus' },
    { handle: 'vmemrange.h', count: 'nr_vmemranges' },
  ],
};

/** A list of a struct, by paths of its fields. */
export interface ListOf {
  readonly handle: string;
  readonly count: string;
  /** Another count, where there is an entry for each of one and each of the other. */
  readonly times?: string;
  readonly where?: readonly [field: string, value: number];
}

/** True for the tag of one of these structs. */
export function isMemoryStruct(name: string): name is MemoryStructName {
  return Object.hasOwn(memoryStructs, name);
}

/**
 * What the ops that are not judged take: a struct, a number (`domid`), or nothing. Names as in
 * `XENMEM`; the ops that were withdrawn or that no header gives an argument are absent.
 */
export const memoryArguments: { readonly [op: string]: MemoryStructName | 'xen_memory_reservation' | 'domid' | 'nothing' } = {
  maximum_ram_page: 'nothing',
  current_reservation: 'xen_memory_domain',
  maximum_reservation: 'xen_memory_domain',
  machphys_mfn_list: 'xen_machphys_mfn_list',
  add_to_physmap: 'xen_add_to_physmap',
  memory_map: 'xen_memory_map',
  machine_memory_map: 'xen_memory_map',
  machphys_mapping: 'xen_machphys_mapping',
  set_memory_map: 'xen_foreign_memory_map',
  maximum_gpfn: 'xen_memory_domain',
  remove_from_physmap: 'xen_remove_from_physmap',
  set_pod_target: 'xen_pod_target',
  get_pod_target: 'xen_pod_target',
  get_sharing_freed_pages: 'nothing',
  get_sharing_shared_pages: 'nothing',
  paging_op: 'xen_mem_paging_op',
  access_op: 'xen_mem_access_op',
  sharing_op: 'xen_mem_sharing_op',
  add_to_physmap_batch: 'xen_add_to_physmap_batch',
  claim_pages: 'xen_memory_reservation',
  machphys_compat_mfn_list: 'xen_machphys_mfn_list',
  get_vnumainfo: 'xen_vnuma_topology_info',
  reserved_device_memory_map: 'xen_reserved_device_memory_map',
  acquire_resource: 'xen_mem_acquire_resource',
};
