/**
 * Each requirement on the hypervisor as a sentence of its own, in the style of Xen's
 * docs/fusa/reqs: one thought, "Xen shall …". Our words; the sentence of the header that it stands
 * on is its rationale.
 */
export const shall: Readonly<Record<string, string>> = {
  'get-rc-zero-or-negative':
    'Xen shall return zero, or the negative of an error number of its public errno.h other than EINTR and ERESTART.',
  'get-complete-count': 'Xen shall set nr_exchanged to in.nr_extents where it returns zero.',
  'get-incomplete-nonzero': 'Xen shall return a value other than zero where nr_exchanged is less than in.nr_extents.',
  'get-partial-count': 'Xen shall count in nr_exchanged the input extents of the whole chunks that it has exchanged.',
  'get-mfns-returned': 'Xen shall write to each entry of the output list the first machine frame of the new extent where it returns zero.',
  'get-partial-mfns':
    'Xen shall write to each output entry that nr_exchanged covers the first machine frame of the new extent where it returns an error.',
  'get-new-pages': 'Xen shall back the output extents of a chunk with machine frames that backed none of the input extents of that chunk.',
  'get-populates-gpfns': 'Xen shall map every page of every output extent that nr_exchanged covers.',
  'get-contiguous': 'Xen shall back each output extent with machine frames that follow one another.',
  'get-aligned': 'Xen shall return machine frame numbers that are multiples of 2^out.extent_order.',
  'get-address-limit': 'Xen shall back each output extent with memory below 2^out.address_bits where out.address_bits is not zero.',
  'get-inputs-released':
    'Xen shall remove the mappings of the input extents that nr_exchanged covers, unless the call populates them again.',
  'get-rest-untouched': 'Xen shall leave the input and output extents that nr_exchanged does not cover as they were.',
  'get-pinned': 'Xen shall keep the machine frames of the output extents behind their guest frames until the domain puts them.',
  'get-in-untouched': 'Xen shall leave the argument but for nr_exchanged, and the input list, as they were.',
  'get-ignores-in-address-bits': 'Xen shall give the same result whatever in.address_bits holds.',
  'get-same-gfn': 'Xen shall accept a guest frame that both the input list and the output list name.',
  'get-refuses-domid-mismatch': 'Xen shall return an error and change nothing where in.domid and out.domid differ.',
  'get-refuses-size-mismatch': 'Xen shall return an error and change nothing where the two lists do not name the same number of pages.',
  'get-refuses-foreign-domid':
    'Xen shall return an error and change nothing where an unprivileged domain names a domain other than itself.',
  'get-works': 'Xen shall return zero for a valid call within its limits while it has the memory that is asked for.',
  'put-unpins': 'Xen shall be free to move each page that is put where it returns zero.',
  'put-only-listed': 'Xen shall keep pinned the pages that are not put.',
  'put-keeps-pages': 'Xen shall leave the mapping, the content and the ownership of the pages that are put as they were.',
  'put-works': 'Xen shall return zero for a put of pages that are all pinned.',
  'put-refused-prefix': 'Xen shall unpin no page but those of a prefix of the list where it refuses a put.',
  'put-rc-zero-or-negative':
    'Xen shall return zero, or the negative of an error number of its public errno.h other than EINTR and ERESTART, to a put.',
  'put-in-untouched': 'Xen shall leave the argument and the list of a put as they were.',
  'put-ignores-address-bits': 'Xen shall give the same result of a put whatever in.address_bits holds.',
  'no-stray-writes': 'Xen shall write to no guest memory but what the documentation of the call names.',
  'frames-conserved': 'Xen shall leave the domain the owner of as many pages as before the call.',
  isolation: 'Xen shall leave the mappings and the memory of domains that have no part in the call as they were.',
  'bad-address-fails': 'Xen shall return an error where the argument or a list does not lie in the memory of the domain.',
  'bounded-work': 'Xen shall refuse an extent order above its limit within the time of any other call.',
  survives: 'Xen shall remain in operation whatever the arguments of the call are.',
  'refuses-unknown-domid': 'Xen shall refuse a call that names a domain which does not exist, and change nothing.',
  'reservation-refuses-foreign-domid': 'Xen shall refuse a call of an unprivileged domain that names another domain, and change nothing.',
  'reservation-effects':
    'Xen shall unmap or map the pages of exactly the extents that it returns as processed, and change their owner accordingly.',
  'reservation-contiguous':
    'Xen shall back each extent that it populates with machine frames that follow one another, aligned to its size.',
  'reservation-limit': 'Xen shall take the frames of new extents from below the limit that address_bits asks for.',
  'reservation-count': 'Xen shall return the number of extents that it has processed, those of earlier continuations included.',
  'reservation-list': 'Xen shall write to no entry of the list but those of the extents that it has allocated.',
};
