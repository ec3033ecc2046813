import { type Edit, type Fault, family } from './fault.ts';

const door = 'memory-op.ts';
const exchange = 'strayStart(call, cmd) || getDmaBuf(call, false)';
const get = 'strayStart(call, cmd) || getDmaBuf(call, true)';
const put = 'strayStart(call, cmd) || putDmaBuf(call)';
const reservation = 'reservationOp(call, op, cmd)';

const rc = 'if (rc !== -ERESTART) return rc;';
const refused = 'return ended(call, -refused, asked.nr_exchanged);';
const failed = 'return ended(call, -chunk, count(done));';
const otherErrno = (e: string): string => `${e} === EINVAL && asked.in.address_bits !== 0 ? -errno.EXDEV : -${e}`;

const neighbours = 'reservation-ops.ts';
const taken = "import { type Call, domainNamed, frameLimit, isMisaligned, listOf, pagesOf, readEntries, readStruct } from './call.ts';";
const gives = 'for (const gfn of pagesOf(bases, pages)) giveUp(call.state, domain, gfn);';
const writing: Edit = [neighbours, taken, taken.replace('readStruct', 'readStruct, writeEntry')];

/** The hypercall convention, and the neighbours of the two ops. */
export const convention: readonly Fault[] = family('convention and neighbours', [
  [
    'returns errnos as positive numbers',
    [
      'get-rc-zero-or-negative',
      'get-same-gfn',
      'get-refuses-domid-mismatch',
      'get-refuses-size-mismatch',
      'get-refuses-foreign-domid',
      'get-works',
      'refuses-unknown-domid',
      'bad-address-fails',
      'bounded-work',
    ],
    [
      [door, exchange, `-(${exchange})`],
      [door, get, `-(${get})`],
    ],
  ],
  [
    'returns the errno of a put as a positive number',
    ['get-refuses-foreign-domid', 'put-rc-zero-or-negative', 'refuses-unknown-domid', 'bad-address-fails', 'bounded-work'],
    [[door, put, `-(${put})`]],
  ],
  [
    'returns a number that is no errno',
    ['get-rc-zero-or-negative', 'get-same-gfn', 'get-works'],
    [
      [door, exchange, `(${exchange}) && -1000`],
      [door, get, `(${get}) && -1000`],
    ],
  ],
  ['returns a number that is no errno from put', ['put-rc-zero-or-negative'], [[door, put, `(${put}) && -1000`]]],
  ['lets ERESTART out', ['get-rc-zero-or-negative', 'get-same-gfn', 'get-works'], [['get-dma-buf.ts', rc, 'return rc;']]],
  [
    'returns EINTR',
    ['get-rc-zero-or-negative'],
    [
      ['get-dma-buf.ts', rc, `${rc.slice(0, -1)} === -EINVAL ? -errno.EINTR : rc;`],
      [door, exchange, exchange.replace('strayStart(call, cmd)', '(strayStart(call, cmd) && -errno.EINTR)')],
      [door, get, get.replace('strayStart(call, cmd)', '(strayStart(call, cmd) && -errno.EINTR)')],
    ],
  ],
  [
    'returns 1 for a put that is done',
    ['put-works', 'put-rc-zero-or-negative'],
    [['put-dma-buf.ts', 'if (step >= left) return 0;', 'if (step >= left) return 1;']],
  ],
  [
    'has another errno for a get whose inputs have address bits',
    ['get-ignores-in-address-bits'],
    [
      ['get-dma-buf.ts', refused, refused.replace('-refused', otherErrno('refused'))],
      ['get-dma-buf.ts', failed, failed.replace('-chunk', otherErrno('chunk'))],
    ],
  ],
  [
    'has another errno for a put with address bits',
    ['put-ignores-address-bits'],
    [
      [
        'put-dma-buf.ts',
        'if (isPartly && isAllOrNothing) return -EINVAL;',
        'if (isPartly && isAllOrNothing) return asked.address_bits === 0 ? -EINVAL : -errno.EXDEV;',
      ],
    ],
  ],
  // A bigint that was taken for a number.
  [
    'crashes on a count beyond 2^53',
    ['survives'],
    [
      [
        'exchange.ts',
        'return {\n    in: given,',
        "if (given.nr_extents > 2n ** 53n) throw new RangeError('no such number');\n  return {\n    in: given,",
      ],
    ],
  ],
  [
    'counts one extent too many in ops 0, 1, 6',
    ['reservation-count', 'reservation-effects'],
    [[neighbours, 'return done;', 'return done < asked.nr_extents ? done : done + 1;']],
    ['frames-conserved'],
  ],
  [
    'counts one extent too few in ops 0, 1, 6',
    ['reservation-count', 'reservation-effects'],
    [[neighbours, 'return done;', 'return Math.max(0, done - 1);']],
    ['frames-conserved'],
  ],
  ['returns EINTR from ops 0, 1, 6', ['reservation-count'], [[door, reservation, `${reservation} || -errno.EINTR`]]],
  [
    'writes frames into the list of a decrease',
    ['no-stray-writes', 'reservation-list'],
    [
      writing,
      [
        neighbours,
        gives,
        `const first = domain.p2m.get(bases[0] as number) as number;\n  ${gives}\n  writeEntry(call, list, index, first);`,
      ],
    ],
  ],
  [
    'writes frames one entry on in ops 0, 6',
    ['no-stray-writes', 'reservation-effects'],
    [
      writing,
      [neighbours, 'function increase(work: Work)', 'function increase(work: Work, index: number)'],
      [
        neighbours,
        'if (newExtent(work) === undefined) return false;',
        'const mfn = newExtent(work);\n  if (mfn === undefined) return false;',
      ],
      [
        neighbours,
        'work.domain.unaddressed += 2 ** work.extent_order;',
        'work.domain.unaddressed += 2 ** work.extent_order;\n  writeEntry(work.call, work.list, index + 1, mfn);',
      ],
      [
        neighbours,
        `    mapPage(domain, gpfn + j, mfn + j);
  }
`,
        `    mapPage(domain, gpfn + j, mfn + j);
  }
  writeEntry(call, list, index + 1, mfn);
`,
      ],
    ],
    ['reservation-list', 'reservation-contiguous', 'reservation-limit'],
  ],
  [
    'ignores start_extent in ops 0, 1, 6',
    ['reservation-count', 'reservation-effects'],
    [[neighbours, 'let done = start;', 'let done = 0;']],
  ],
  ['serves op 11 alone', ['get-same-gfn', 'get-works'], [[door, `    case 'get_dma_buf':\n      return ${get};\n`, '']]],
  [
    'gives up for a stranger',
    ['reservation-refuses-foreign-domid'],
    [[neighbours, 'if (domain !== caller && !caller.privileged) return true; // reservation-refuses-foreign-domid', '']],
  ],
  ['counts what it does not give up', ['reservation-effects'], [[neighbours, gives, gives.replace('pages)', '0)')]]],
  [
    'populates an extent backwards',
    ['reservation-contiguous'],
    [[neighbours, 'mapPage(domain, gpfn + j, mfn + j);', 'mapPage(domain, gpfn + j, mfn + pages - 1 - j);']],
  ],
  [
    'populates above the limit',
    ['reservation-limit'],
    [
      [
        neighbours,
        'const mfn = take(call.state.free, extent_order, frameLimit(address_bits));',
        'const mfn = take(call.state.free, extent_order, frameLimit(0 * address_bits));',
      ],
    ],
  ],
  [
    'takes a domid that names nobody for its privileged caller',
    ['refuses-unknown-domid'],
    [
      [
        'call.ts',
        'return domid === DOMID.SELF ? caller : state.domains.get(domid);',
        'return domid === DOMID.SELF ? caller : (state.domains.get(domid) ?? (caller.privileged ? caller : undefined));',
      ],
    ],
    ['no-stray-writes'],
  ],
]);
