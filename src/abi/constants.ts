/** `__HYPERVISOR_memory_op`: the hypercall that carries every op below. */
export const HYPERVISOR_memory_op = 12;

/**
 * How a process issues a hypercall on Linux (uapi/xen/privcmd.h): an ioctl of type 'P', number 0,
 * whose argument is a 64-bit hypercall number and five 64-bit arguments, on every architecture.
 * `cmd` and `arg` are where those of memory_op stand in it.
 */
export const PRIVCMD_HYPERCALL = { ioctl: 0x305000, type: 0x50, size: 48, cmd: 8, arg: 16 } as const;

/**
 * "MEMOP_EXTENT_SHIFT": `cmd` holds the op in bits 0..5 and, in a continuation, `start_extent` from
 * bit 6.
 */
export const MEMOP_EXTENT_SHIFT = 6;
export const MEMOP_CMD_MASK: number = (1 << MEMOP_EXTENT_SHIFT) - 1;

/**
 * The largest `nr_extents` that `start_extent` can count through in a 32-bit `cmd`; Xen refuses
 * more.
 */
export const MEMOP_MAX_EXTENTS: bigint = 0xffffffffn >> BigInt(MEMOP_EXTENT_SHIFT);

/** Guest pages are 4 KiB. */
export const PAGE_SHIFT = 12;
export const PAGE_SIZE: number = 1 << PAGE_SHIFT;

/** The highest order any present Xen accepts (MAX_ORDER, a control domain's limit). */
export const MAX_ORDER = 18;

/** Special values of a `domid_t`; ordinary ids are below `FIRST_RESERVED`. */
export const DOMID = {
  FIRST_RESERVED: 0x7ff0,
  SELF: 0x7ff0,
  IO: 0x7ff1,
  XEN: 0x7ff2,
  COW: 0x7ff3,
  INVALID: 0x7ff4,
  IDLE: 0x7fff,
} as const;

/** Parts of the word the patch calls `address_bits` and later headers `mem_flags` (XENMEMF_*). */
export const XENMEMF = {
  address_bits: (flags: number): number => flags & 0xff,
  /** The requested node, or `undefined` for none: it is stored plus one, in bits 8..15. */
  node: (flags: number): number | undefined => {
    const stored = (flags >>> 8) & 0xff;
    return stored === 0 ? undefined : stored - 1;
  },
  populate_on_demand: 1 << 16,
  exact_node_request: 1 << 17,
  vnode: 1 << 18,
} as const;

/** Numbers of Xen's public errno.h (4.17). A refused hypercall returns the negative of one. */
export const errno = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  ENOEXEC: 8,
  EBADF: 9,
  ECHILD: 10,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOSPC: 28,
  EROFS: 30,
  EMLINK: 31,
  EDOM: 33,
  ERANGE: 34,
  EDEADLK: 35,
  ENAMETOOLONG: 36,
  ENOLCK: 37,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ENODATA: 61,
  ETIME: 62,
  EBADMSG: 74,
  EOVERFLOW: 75,
  EILSEQ: 84,
  ERESTART: 85,
  ENOTSOCK: 88,
  EMSGSIZE: 90,
  EOPNOTSUPP: 95,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENOBUFS: 105,
  EISCONN: 106,
  ENOTCONN: 107,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
} as const;

/** Internal to the hypervisor ("should never be exposed to the guest"). */
export const internalErrnos: ReadonlySet<number> = new Set([errno.EINTR, errno.ERESTART]);

const errnoNames = new Map<number, string>(Object.entries(errno).map(([name, value]) => [value, name]));

/**
 * The name behind a return code, as `-EINVAL`; `undefined` if it is not the negative of a known
 * errno.
 */
export function errnoName(rc: number): string | undefined {
  const name = errnoNames.get(-rc);
  return name === undefined ? undefined : `-${name}`;
}

/** The name of a reserved domain id, as `DOMID_SELF`; `undefined` for an ordinary one. */
export function domidName(domid: number): string | undefined {
  if (domid === DOMID.SELF) return 'DOMID_SELF';
  const found = Object.entries(DOMID).find(([, value]) => value === domid);
  return found && `DOMID_${found[0]}`;
}
