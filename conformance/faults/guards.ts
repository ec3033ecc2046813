import type { Edit } from './fault.ts';

/**
 * The guards of get and put, in their order; together are those of which one has to come before
 * another.
 */
const getOrder = [
  'if (done > given.nr_extents) return EINVAL; // get-partial-count',
  `// "5. THIS FIELD MUST BE INITIALISED TO ZERO BY THE CALLER!"
  if (fresh && done !== 0n && freedoms['count-not-zero'] === 'refused') return EINVAL; // caller-nr-exchanged-zero`,
  `// "1. @in.domid == @out.domid", as raw numbers
  if (given.domid !== wanted.domid) return EINVAL; // get-refuses-domid-mismatch`,
  `if (order > max_order) return EINVAL; // bounded-work: before anything is shifted by it
  if (given.nr_extents > max_extents || wanted.nr_extents > max_extents) return EINVAL; // bounded-work
  // "2. @in.nr_extents << @in.extent_order == @out.nr_extents << @out.extent_order"
  const isSameSize = given.nr_extents << BigInt(given.extent_order) === wanted.nr_extents << BigInt(wanted.extent_order);
  if (!isSameSize) return EINVAL; // get-refuses-size-mismatch
  // "3. @in.extent_start and @out.extent_start lists must not overlap": the caller's to keep
  // (caller-lists-disjoint)`,
  'if (isRefusedHandle(call, given) || isRefusedHandle(call, wanted)) return EFAULT; // caller-handle-high-zero',
  'if (ins.wraps || outs.wraps) return EFAULT; // bad-address-fails',
  'if (order > max_order_unprivileged && !caller.privileged) return EPERM; // bounded-work',
  `const foreign = refusedDomain(call, x.named, given.domid);
  if (foreign !== 0) return foreign; // get-refuses-foreign-domid, caller-self-only`,
  `const looksAhead = freedoms['bad-list'] === 'up-front';
  if (looksAhead && !(isReadable(call, ins) && isReadable(call, outs))) return EFAULT; // bad-address-fails`,
];
const laterInput = "if (freedoms['later-input'] === 'refused' && overlapsLaterInput(call, x)) return EINVAL; // caller-out-not-later-input";
const putOrder = [
  `if (extent_order > max_order) return EINVAL; // bounded-work
  if (nr_extents > max_extents) return EINVAL; // bounded-work`,
  'if (isRefusedHandle(call, asked)) return EFAULT; // caller-handle-high-zero',
  'if (list.wraps) return EFAULT; // bad-address-fails',
  'if (extent_order > max_order_unprivileged && !caller.privileged) return EPERM; // bounded-work',
  `const foreign = refusedDomain(call, domainNamed(call, domid), domid);
  if (foreign !== 0) return foreign; // get-refuses-foreign-domid, caller-self-only`,
];
const putLast = "return freedoms['bad-list'] === 'up-front' && !isReadable(call, list) ? EFAULT : 0;";
const putFirst = "if (freedoms['bad-list'] === 'up-front' && !isReadable(call, list)) return EFAULT;";

/** Every guard of get and put is asked in the reverse order. */
export const reversedGuards: readonly Edit[] = [
  ['get-dma-buf.ts', laterInput, ''],
  ['get-dma-buf.ts', getOrder.join('\n  '), [laterInput.replace('if (', 'if (fresh && '), ...getOrder.toReversed()].join('\n  ')],
  ['put-dma-buf.ts', [...putOrder, putLast].join('\n  '), [putFirst, ...putOrder.toReversed(), 'return 0;'].join('\n  ')],
];
