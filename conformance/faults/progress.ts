import { type Edit, type Fault, family } from './fault.ts';

const file = 'get-dma-buf.ts';

// Every way in which the call ends, and the count that it ends with.
const refused = 'return ended(call, -refused, asked.nr_exchanged);';
const failed = "if (typeof chunk === 'number') return ended(call, -chunk, count(done));";
const preempted = 'return ended(call, -ERESTART, count(done));';
const written = 'return writeNrExchanged(call, nrExchanged) ? rc : -EFAULT;';

const count = 'BigInt(done * x.insPerChunk)';
const chunks = 'Number(asked.in.nr_extents) / x.insPerChunk';
const fewer = 'const by = wanted.extent_order - given.extent_order;\n  const chunks = given.nr_extents >> BigInt(Math.abs(by));';
const first = 'let done = Math.floor(Number(asked.nr_exchanged) / x.insPerChunk);';

/** Writes another count when the call is over; what a continuation goes on at is right. */
const tells = (wrong: string): Edit => [file, written, written.replace('nrExchanged)', `rc === -ERESTART ? nrExchanged : ${wrong})`)];

/**
 * Counts other things than input extents, done and handed in; what a continuation goes on at is
 * right.
 */
const counts = (done: string, given: string): readonly Edit[] => [
  [file, refused, refused.replace('asked.nr_exchanged', given)],
  [file, preempted, preempted.replace('count(done)', count)],
  [file, `=> ${count}`, `=> ${done}`],
];

const fails = (rc: string): Edit => [file, failed, failed.replace('-chunk', rc)];

/** What nr_exchanged and the return code say of the work that was done. */
export const progress: readonly Fault[] = family('progress accounting', [
  [
    'counts one input too few',
    [
      'get-complete-count',
      'get-incomplete-nonzero',
      'get-partial-count',
      'get-inputs-released',
      'get-rest-untouched',
      'get-refuses-domid-mismatch',
      'get-refuses-size-mismatch',
      'get-refuses-foreign-domid',
      'no-stray-writes',
      'refuses-unknown-domid',
    ],
    [tells('nrExchanged && nrExchanged - 1n')],
    ['get-in-untouched', 'get-works'],
  ],
  [
    'counts one input too many',
    [
      'get-complete-count',
      'get-partial-count',
      'get-partial-mfns',
      'get-new-pages',
      'get-populates-gpfns',
      'get-contiguous',
      'get-inputs-released',
      'get-rest-untouched',
      'get-pinned',
      'get-refuses-domid-mismatch',
      'get-refuses-size-mismatch',
      'get-refuses-foreign-domid',
      'no-stray-writes',
      'refuses-unknown-domid',
    ],
    [tells('nrExchanged + 1n')],
    ['get-aligned', 'get-address-limit', 'get-in-untouched', 'get-same-gfn', 'get-works', 'put-works'],
  ],
  [
    'counts pages',
    [
      'get-complete-count',
      'get-partial-count',
      'get-partial-mfns',
      'get-inputs-released',
      'get-rest-untouched',
      'no-stray-writes',
      'refuses-unknown-domid',
    ],
    counts('BigInt(done * x.insPerChunk * x.inPages)', 'asked.nr_exchanged << BigInt(asked.in.extent_order & 31)'),
    [
      'get-new-pages',
      'get-populates-gpfns',
      'get-contiguous',
      'get-pinned',
      'get-refuses-domid-mismatch',
      'get-refuses-size-mismatch',
      'get-refuses-foreign-domid',
      'put-works',
      'get-works',
      'get-in-untouched',
    ],
  ],
  [
    'counts output extents',
    [
      'get-complete-count',
      'get-incomplete-nonzero',
      'get-partial-count',
      'get-inputs-released',
      'get-rest-untouched',
      'get-refuses-domid-mismatch',
      'get-refuses-size-mismatch',
      'no-stray-writes',
      'refuses-unknown-domid',
    ],
    counts(
      'BigInt(done * x.outsPerChunk)',
      '(asked.nr_exchanged << BigInt(asked.in.extent_order & 31)) >> BigInt(asked.out.extent_order & 31)',
    ),
    [
      'get-partial-mfns',
      'get-new-pages',
      'get-populates-gpfns',
      'get-contiguous',
      'get-pinned',
      'get-refuses-foreign-domid',
      'put-works',
      'get-in-untouched',
      'get-works',
    ],
  ],
  [
    'counts chunks',
    [
      'get-complete-count',
      'get-incomplete-nonzero',
      'get-partial-count',
      'get-inputs-released',
      'get-rest-untouched',
      'no-stray-writes',
      'refuses-unknown-domid',
    ],
    counts('BigInt(done)', 'asked.nr_exchanged >> BigInt(Math.max(0, asked.out.extent_order - asked.in.extent_order) & 31)'),
    ['get-refuses-domid-mismatch', 'get-refuses-size-mismatch', 'get-refuses-foreign-domid', 'get-in-untouched'],
  ],
  [
    'counts what it was asked for, not what it did',
    [
      'get-partial-mfns',
      'get-new-pages',
      'get-populates-gpfns',
      'get-contiguous',
      'get-inputs-released',
      'get-pinned',
      'get-refuses-domid-mismatch',
      'get-refuses-size-mismatch',
      'get-refuses-foreign-domid',
      'put-works',
      'refuses-unknown-domid',
    ],
    [
      [file, refused, refused.replace('asked.nr_exchanged', 'asked.in.nr_extents')],
      [file, failed, failed.replace('count(done)', 'asked.in.nr_extents')],
    ],
    ['get-aligned', 'get-address-limit'],
  ],
  [
    'counts the chunk that failed',
    [
      'get-partial-count',
      'get-partial-mfns',
      'get-new-pages',
      'get-populates-gpfns',
      'get-contiguous',
      'get-inputs-released',
      'get-pinned',
    ],
    [[file, failed, failed.replace('count(done)', 'count(done) + (chunk === ENOMEM ? 1n : 0n)')]],
    ['get-aligned', 'get-address-limit', 'put-works'],
  ],
  [
    'counts nothing when it fails',
    [
      'get-rest-untouched',
      'get-refuses-domid-mismatch',
      'get-refuses-size-mismatch',
      'get-refuses-foreign-domid',
      'no-stray-writes',
      'refuses-unknown-domid',
    ],
    [tells('rc === 0 ? nrExchanged : 0n')],
  ],
  [
    'leaves the count alone when it fails',
    ['get-rest-untouched', 'no-stray-writes'],
    [[file, written, `if (rc < 0 && rc !== -ERESTART) return rc;\n  ${written}`]],
  ],
  [
    'writes the count only when it fails',
    ['get-complete-count', 'get-incomplete-nonzero', 'get-rest-untouched', 'no-stray-writes'],
    [[file, written, `if (rc === 0) return 0;\n  ${written}`]],
    ['get-inputs-released', 'get-in-untouched', 'get-works'],
  ],
  ['returns 0 for what it did not finish', ['get-complete-count', 'get-incomplete-nonzero', 'get-mfns-returned'], [fails('0')]],
  [
    'returns 0 once anything was done',
    ['get-complete-count', 'get-incomplete-nonzero', 'get-mfns-returned'],
    [fails('done > 0 ? 0 : -chunk')],
  ],
  [
    'returns the number of inputs done',
    ['get-rc-zero-or-negative'],
    [fails('done > 0 ? done * x.insPerChunk : -chunk')],
    ['get-same-gfn', 'get-works'],
  ],
  [
    'forgets the last chunk',
    ['get-complete-count', 'get-incomplete-nonzero', 'get-mfns-returned'],
    [[file, chunks, `Math.max(1, ${chunks} - 1)`]],
    ['get-partial-count', 'no-stray-writes', 'bad-address-fails'],
  ],
  [
    'does too few chunks where inputs are the larger',
    ['get-complete-count', 'get-incomplete-nonzero', 'get-mfns-returned', 'bad-address-fails'],
    [
      ['exchange.ts', 'return {\n    in: given,', `${fewer}\n  return {\n    in: given,`],
      ['exchange.ts', 'listOf(call, given)', 'listOf(call, { ...given, nr_extents: chunks << BigInt(Math.max(0, by)) })'],
      ['exchange.ts', 'listOf(call, wanted)', 'listOf(call, { ...wanted, nr_extents: chunks << BigInt(Math.max(0, -by)) })'],
      [file, chunks, 'Number(x.ins.count) / x.insPerChunk'],
    ],
  ],
  [
    'works from the last chunk to the first',
    [
      'get-partial-mfns',
      'get-populates-gpfns',
      'get-contiguous',
      'get-inputs-released',
      'get-rest-untouched',
      'get-pinned',
      'get-works',
      'no-stray-writes',
    ],
    [
      [file, 'chunkAt(call, x, done)', 'chunkAt(call, x, chunks - 1 - done)'],
      [file, 'commit(call, x, chunk, done, pins)', 'commit(call, x, chunk, chunks - 1 - done, pins)'],
    ],
    ['get-new-pages', 'get-aligned', 'get-address-limit', 'get-in-untouched', 'put-works'],
  ],
  [
    'goes on after a chunk that failed',
    [
      'get-complete-count',
      'get-incomplete-nonzero',
      'get-mfns-returned',
      'get-populates-gpfns',
      'get-contiguous',
      'get-inputs-released',
      'get-rest-untouched',
      'get-pinned',
      'no-stray-writes',
    ],
    [
      [file, 'for (let n = 1; done < chunks; n++) {', 'for (let n = 1, at = done; at < chunks; n++, at++) {'],
      [file, 'chunkAt(call, x, done)', 'chunkAt(call, x, at)'],
      [file, failed, "if (typeof chunk === 'number') continue;"],
      [file, 'commit(call, x, chunk, done, pins)', 'commit(call, x, chunk, at, pins)'],
      [file, 'if (n === pause && done < chunks)', 'if (n % pause === 0 && at + 1 < chunks)'],
    ],
    ['get-new-pages', 'get-aligned', 'get-address-limit', 'get-in-untouched'],
  ],
  [
    'starts again from the first chunk when preempted',
    ['get-rest-untouched', 'get-same-gfn', 'get-works', 'no-stray-writes'],
    [
      [file, first, 'let done = 0;'],
      // Preempted again only when it has come further: otherwise it would go on for ever.
      [file, 'if (n === pause && done < chunks)', 'if (n % pause === 0 && count(done) > asked.nr_exchanged && done < chunks)'],
    ],
    ['get-mfns-returned', 'get-populates-gpfns', 'get-partial-mfns'],
  ],
  [
    'leaves a chunk out when preempted',
    [
      'get-mfns-returned',
      'get-partial-mfns',
      'get-new-pages',
      'get-populates-gpfns',
      'get-contiguous',
      'get-inputs-released',
      'get-pinned',
      'get-works',
      'put-works',
    ],
    [[file, first, first.replace('Number(asked.nr_exchanged)', '(Number(asked.nr_exchanged) + 1)')]],
    ['get-complete-count', 'get-partial-count', 'get-aligned', 'get-address-limit'],
  ],
]);
