import { type Edit, type Fault, family } from '../fault.ts';

const call = 'call.ts';
const get = 'get-dma-buf.ts';
const put = 'put-dma-buf.ts';
const door = 'memory-op.ts';
const neighbours = 'reservation-ops.ts';

const named = 'return domid === DOMID.SELF ? caller : state.domains.get(domid);';
const stranger = 'if (named !== caller && !caller.privileged) return EPERM; // get-refuses-foreign-domid';
const pins = 'if (pins) domain.pins.add(gfn);';
const unpins = 'for (const pages of extents.slice(0, step)) for (const gfn of pages) pins.delete(gfn);';
const refused = 'if (refused !== 0) return ended(call, -refused, asked.nr_exchanged);';
const mismatch = 'if (given.domid !== wanted.domid) return EINVAL;';
const putRefused = 'if (refused !== 0) return -refused;';
const putForeign = 'const foreign = refusedDomain(call, domainNamed(call, domid), domid);';
const entry = 'told = writeEntry(call, x.outs, index * x.outsPerChunk + k, mfn) && told;';
const bases = 'const bases = readEntries(call, ins, first, count);';
const outs = 'const gpfns = readEntries(call, outs, index * outsPerChunk, outsPerChunk);';
const isOp11 = '(call.op ?? 0) === 11';

/** Lets what is below the door know which op it is. */
const knowsOp: readonly Edit[] = [
  [
    call,
    '  /** How many output extents memory was asked for so far',
    '  readonly op?: number;\n  /** How many output extents memory was asked for so far',
  ],
  [door, 'const call: Call = { state, caller', 'const call: Call = { op: cmd & 63, state, caller'],
];

/** Whose memory a call is about, and who may name it. */
export const domains: readonly Fault[] = family('isolation', [
  ["pins the pages of its caller instead of the named domain's", ['get-pinned'], [[get, pins, 'if (pins) call.caller.pins.add(gfn);']]],
  [
    "puts the pages of its caller instead of the named domain's",
    ['put-unpins'],
    [
      [put, unpins, unpins.replace('pins.delete', 'call.caller.pins.delete')],
      [put, 'const { pins } = domainNamed(call, asked.domid) as Domain;', ''],
    ],
  ],
  [
    'puts for its caller when preempted',
    ['put-unpins'],
    [[put, unpins, unpins.replace('pins.delete', '(start > 0 ? call.caller.pins : pins).delete')]],
  ],
  [
    'goes on for its caller when preempted',
    ['get-works'],
    [
      [
        get,
        'const x = exchangeOf(call, asked);',
        'const asIs = exchangeOf(call, asked);\n  const x = fresh ? asIs : { ...asIs, named: call.caller };',
      ],
    ],
  ],
  [
    'reads the input list in the memory of the domain it names',
    ['get-works'],
    [[get, bases, bases.replace('call,', '{ ...call, caller: named as Domain },')]],
  ],
  [
    'reads the output list in the memory of the domain it names',
    ['get-works'],
    [[get, outs, outs.replace('call,', '{ ...call, caller: x.named as Domain },')]],
  ],
  [
    'writes the frames into the memory of the domain it names',
    ['get-mfns-returned', 'no-stray-writes'],
    [[get, entry, entry.replace('call,', '{ ...call, caller: domain },')]],
  ],
  [
    'reads the list of a put in the memory of the domain it names',
    ['put-works'],
    [[put, 'const bases = readEntries(call,', 'const bases = readEntries({ ...call, caller: domainNamed(call, asked.domid) as Domain },']],
  ],
  [
    'takes domain 0 for the privileged one',
    ['get-refuses-foreign-domid', 'get-works'],
    [[call, stranger, stranger.replace('!caller.privileged', 'caller.domid !== 0')]],
  ],
  [
    'takes a privileged caller always for itself',
    ['get-inputs-released', 'no-stray-writes'],
    [[call, named, named.replace('domid === DOMID.SELF', 'domid === DOMID.SELF || (caller.privileged && state.domains.has(domid))')]],
  ],
  [
    'refuses DOMID_SELF of a privileged caller',
    ['get-works', 'put-works'],
    [[call, named, named.replace('domid === DOMID.SELF', 'domid === DOMID.SELF && !caller.privileged')]],
  ],
  [
    'refuses another domain to a privileged caller',
    ['get-works', 'put-works'],
    [[call, stranger, stranger.replace(' && !caller.privileged', '')]],
  ],
  [
    'takes a domid for a place in its list of domains',
    ['refuses-unknown-domid', 'get-refuses-foreign-domid'],
    [[call, named, named.replace('state.domains.get(domid)', '[...state.domains.values()][domid]')]],
  ],
  [
    'lets anybody put the pages of any domain',
    ['get-refuses-foreign-domid', 'put-only-listed'],
    [[put, putForeign, 'const foreign = domainNamed(call, domid) ? 0 : refusedDomain(call, undefined, domid);']],
  ],
  [
    'lets anybody exchange the pages of any domain',
    ['get-refuses-foreign-domid'],
    [
      ...knowsOp,
      [
        get,
        'const foreign = refusedDomain(call, x.named, given.domid);',
        `const foreign = ${isOp11} && x.named ? 0 : refusedDomain(call, x.named, given.domid);`,
      ],
    ],
  ],
  [
    'lets anybody get where no page is pinned yet',
    ['get-refuses-foreign-domid'],
    [
      [
        get,
        'const foreign = refusedDomain(call, x.named, given.domid);',
        'const foreign = x.named?.pins.size === 0 ? 0 : refusedDomain(call, x.named, given.domid);',
      ],
    ],
  ],
  [
    'takes two domids of a privileged caller',
    ['get-refuses-domid-mismatch'],
    [[get, mismatch, 'if (given.domid !== wanted.domid && !caller.privileged) return EINVAL;']],
  ],
  [
    'takes two domids of an exchange',
    ['get-refuses-domid-mismatch'],
    [...knowsOp, [get, mismatch, `if (given.domid !== wanted.domid && !(${isOp11})) return EINVAL;`]],
  ],
  [
    'is done at once with a domain that does not exist',
    ['refuses-unknown-domid'],
    [[get, refused, 'if (refused !== 0) return ended(call, refused === errno.ESRCH ? 0 : -refused, asked.nr_exchanged);']],
  ],
  [
    'is done at once with a put for a domain that does not exist',
    ['refuses-unknown-domid'],
    [[put, putRefused, 'if (refused !== 0) return refused === errno.ESRCH ? 0 : -refused;']],
  ],
  [
    'is done at once with ops 0, 1, 6 for a domain that does not exist',
    ['refuses-unknown-domid'],
    [
      [
        neighbours,
        'if (!asked || !domain ||',
        'if (asked && !domain) return Math.max(start, Number(asked.nr_extents));\n  if (!asked || !domain ||',
      ],
    ],
  ],
  [
    'refuses strangers with a number that is no errno',
    ['get-rc-zero-or-negative', 'put-rc-zero-or-negative'],
    [[call, stranger, stranger.replace('EPERM;', '524;')]],
  ],
  [
    'gives up the pages of its caller for another domain',
    ['reservation-effects', 'no-stray-writes'],
    [
      [
        neighbours,
        'for (const gfn of pagesOf(bases, pages)) giveUp(call.state, domain, gfn);',
        'for (const gfn of pagesOf(bases, pages)) giveUp(call.state, call.caller.p2m.has(gfn) ? call.caller : domain, gfn);',
      ],
    ],
  ],
  [
    'populates its caller for another domain',
    ['reservation-effects'],
    [[neighbours, 'mapPage(domain, gpfn + j, mfn + j);', 'mapPage(call.caller, gpfn + j, mfn + j);']],
  ],
  [
    'reads the list of ops 1 and 6 in the memory of the domain it names',
    ['reservation-effects'],
    [
      [
        neighbours,
        'const work: Work = { ...asked, call, domain,',
        'const work: Work = { ...asked, call: { ...call, caller: domain }, domain,',
      ],
    ],
  ],
  [
    'has ops 0, 1, 6 for strangers where they only populate',
    ['reservation-refuses-foreign-domid'],
    [
      [
        neighbours,
        'if (domain !== caller && !caller.privileged) return true;',
        "if (domain !== caller && !caller.privileged && op !== 'populate_physmap') return true;",
      ],
    ],
  ],
  [
    'has ops 0, 1, 6 for strangers where they only increase',
    ['reservation-refuses-foreign-domid'],
    [
      [
        neighbours,
        'if (domain !== caller && !caller.privileged) return true;',
        "if (domain !== caller && !caller.privileged && op !== 'increase_reservation') return true;",
      ],
    ],
  ],
  [
    'has ops 0, 1, 6 for strangers in a continuation',
    ['reservation-refuses-foreign-domid'],
    [
      ...knowsOp,
      [door, 'op: cmd & 63', 'op: cmd'],
      [neighbours, 'function isUnwelcome({ caller, freedoms }: Call,', 'function isUnwelcome({ caller, freedoms, op: cmd = 0 }: Call,'],
      [
        neighbours,
        'if (domain !== caller && !caller.privileged) return true;',
        'if (domain !== caller && !caller.privileged && startExtent(cmd) === 0) return true;',
      ],
    ],
  ],
  ['op 11 leaves the list of a translated guest alone', ['get-mfns-returned', 'get-partial-mfns'], [[get, entry, `if (pins) ${entry}`]]],
  [
    'op 11 takes no output that is an input',
    ['get-same-gfn', 'get-works'],
    [
      ...knowsOp,
      [get, 'if (!p2m.has(gfn) || inputs.has(gfn)) continue;', `if (!p2m.has(gfn) || (inputs.has(gfn) && !(${isOp11}))) continue;`],
    ],
  ],
  [
    'op 11 has no limit',
    ['get-address-limit'],
    [...knowsOp, [get, 'frameLimit(address_bits)', `frameLimit(${isOp11} ? 0 : address_bits)`]],
  ],
  [
    'op 11 takes the limit of its inputs',
    ['get-ignores-in-address-bits', 'get-address-limit'],
    [
      ...knowsOp,
      [get, '{ out: { extent_order, address_bits }, outPages,', '{ in: given, out: { extent_order, address_bits }, outPages,'],
      [get, 'frameLimit(address_bits)', `frameLimit(${isOp11} ? given.address_bits : address_bits)`],
    ],
  ],
  [
    'op 11 does not count',
    ['get-complete-count', 'get-incomplete-nonzero'],
    [...knowsOp, [get, 'return ended(call, 0, count(done));', `return ended(call, 0, ${isOp11} ? 0n : count(done));`]],
  ],
  [
    'op 11 moves on where it was preempted as op 26',
    ['get-works'],
    [[get, 'exchange(call, pins, fresh);', 'exchange(call, pins || !fresh, fresh);']],
  ],
]);
