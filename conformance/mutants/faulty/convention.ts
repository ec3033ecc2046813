import { errno } from '../../../src/abi/constants.ts';
import { type Decisions, OP } from '../../../src/model/decisions.ts';
import { strict } from '../../../src/model/strict.ts';
import { family, type Mutant } from '../mutant.ts';

const isExchange = (op: number): boolean => op === OP.get || op === OP.exchange;

/** The hypercall convention, and the neighbours of the two ops. */
export const convention: readonly Mutant[] = family('convention and neighbours', [
  [
    'returns errnos as positive numbers',
    [
      'get-rc-zero-or-negative',
      'get-same-gfn',
      'get-refuses-domid-mismatch',
      'get-refuses-size-mismatch',
      'get-refuses-foreign-domid',
      'get-works',
      'bad-address-fails',
      'bounded-work',
    ],
    { answer: (rc, op) => (isExchange(op) ? -rc : rc) },
  ],
  [
    'returns the errno of a put as a positive number',
    ['get-refuses-foreign-domid', 'put-rc-zero-or-negative', 'bad-address-fails', 'bounded-work'],
    { answer: (rc, op) => (op === OP.put ? -rc : rc) },
  ],
  [
    'returns a number that is no errno',
    ['get-rc-zero-or-negative', 'get-same-gfn', 'get-works'],
    { answer: (rc, op) => (isExchange(op) && rc < 0 ? -1000 : rc) },
  ],
  [
    'returns a number that is no errno from put',
    ['put-rc-zero-or-negative'],
    { answer: (rc, op) => (op === OP.put && rc < 0 ? -1000 : rc) },
  ],
  ['lets ERESTART out', ['get-rc-zero-or-negative', 'get-same-gfn', 'get-works'], { continuationOp: () => -errno.ERESTART }],
  ['returns EINTR', ['get-rc-zero-or-negative'], { answer: (rc, op) => (isExchange(op) && rc === -errno.EINVAL ? -errno.EINTR : rc) }],
  [
    'returns 1 for a put that is done',
    ['put-works', 'put-rc-zero-or-negative'],
    { answer: (rc, op) => (op === OP.put && rc === 0 ? 1 : rc) },
  ],
  ['has another errno for a get whose inputs have address bits', ['get-ignores-in-address-bits'], errnoByAddressBits(isExchange)],
  ['has another errno for a put with address bits', ['put-ignores-address-bits'], errnoByAddressBits((op) => op === OP.put)],
  // A bigint that was taken for a number.
  [
    'crashes on a count beyond 2^53',
    ['survives'],
    {
      exchangeSeen(x) {
        if (x.in.nr_extents > 2n ** 53n) throw new RangeError('no such number');
        return x;
      },
    },
  ],
  ['counts one extent too many in ops 0, 1, 6', ['reservation-count'], { reservationCount: (done, nr) => (done < nr ? done : done + 1) }],
  ['counts one extent too few in ops 0, 1, 6', ['reservation-count'], { reservationCount: (done) => Math.max(0, done - 1) }],
  [
    'returns EINTR from ops 0, 1, 6',
    ['reservation-count'],
    { answer: (rc, op) => (!isExchange(op) && op !== OP.put && rc === 0 ? -errno.EINTR : rc) },
  ],
  [
    'writes frames into the list of a decrease',
    ['no-stray-writes', 'reservation-list'],
    { reservationSlot: (i, op) => (op === OP.decrease ? i : -1) },
  ],
  [
    'writes frames one entry on in ops 0, 6',
    ['no-stray-writes'],
    { reservationSlot: (i, op) => (op === OP.decrease ? -1 : i + 1) },
    ['reservation-list'],
  ],
  ['ignores start_extent in ops 0, 1, 6', ['reservation-count'], { reservationStart: () => 0 }],
  ['serves op 11 alone', ['get-same-gfn', 'get-works'], { refuses: (op) => (op === OP.get ? errno.ENOSYS : strict.refuses(op)) }],
]);

/** Refuses what it should, by an errno that depends on a field which is to be ignored. */
function errnoByAddressBits(ofOp: (op: number) => boolean): Partial<Decisions> {
  let bits = 0;
  return {
    exchangeSeen(x) {
      bits = x.in.address_bits;
      return x;
    },
    reservationSeen(r) {
      bits = r.address_bits;
      return r;
    },
    answer: (rc, op) => (ofOp(op) && rc === -errno.EINVAL && bits !== 0 ? -errno.EXDEV : rc),
  };
}
