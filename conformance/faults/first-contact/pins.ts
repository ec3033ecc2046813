import { type Edit, type Fault, family } from '../fault.ts';

const get = 'get-dma-buf.ts';
const put = 'put-dma-buf.ts';
const p2m = 'p2m.ts';
const neighbours = 'reservation-ops.ts';

const pins = 'if (pins) domain.pins.add(gfn);';
const pinsIf = (condition: string): Edit => [get, pins, pins.replace('(pins)', `(pins && ${condition})`)];
const unpins = 'for (const pages of extents.slice(0, step)) for (const gfn of pages) pins.delete(gfn);';
const puts = (does: string): Edit => [put, unpins, `for (const pages of extents.slice(0, step)) for (const gfn of pages) ${does}`];
const pinsOfNamed = 'const { pins } = domainNamed(call, asked.domid) as Domain;';
const left = 'if (old === undefined || pins.has(page) || isLeft(page)) return; // get-pinned';
const partly = 'if (isPartly && isAllOrNothing) return -EINVAL; // put-not-pinned';
const pinnedPages = 'const { extents, refused: isPartly } = pinnedIn(call, asked, bases);';
const pinnedOutput =
  "if (pins.has(gfn) && freedoms['guest-changes-pinned'] === 'refused') return EINVAL; // get-pinned\n    if (freedoms['populated-output']";
const pinnedInput = "if (pins.has(gfn) && call.freedoms['guest-changes-pinned'] === 'refused') return EINVAL;";
const door = '/** Takes a page out of the p2m; a pin';
const each = 'for (const base of bases) {';
const domain = "import type { Domain } from './state.ts';";

/** Something kept of each pinned page, in p2m.ts, and known to get and put. */
const keeps = (what: string): Edit[] => [
  [p2m, door, `export const kept = new WeakMap<Domain, Map<number, ${what}>>();\n\n${door}`],
  [get, 'import { giveUp, mapPage, mappableGfns }', 'import { giveUp, kept, mapPage, mappableGfns }'],
  [put, domain, `import { kept } from './p2m.ts';\n${domain}`],
];
const keep = (value: string): Edit => [
  get,
  pins,
  `${pins}\n      const all = kept.get(domain) ?? new Map();\n      kept.set(domain, all.set(gfn, ${value}));`,
];
const putsIf = (condition: string): Edit => [
  put,
  partly,
  `const all = kept.get(domainNamed(call, asked.domid) as Domain);\n    const listed = extents.flat();\n    if (listed.length > 0 && !(${condition})) return -EINVAL;\n    ${partly}`,
];

/** What is pinned, for whom and how long. */
export const pinsOf: readonly Fault[] = family('pinning', [
  ['does not pin guest frame 0', ['get-pinned'], [pinsIf('gfn !== 0')]],
  ['does not put guest frame 0', ['put-unpins'], [puts('if (gfn !== 0) pins.delete(gfn);')]],
  ['pins only where a limit is asked for', ['get-pinned'], [pinsIf('x.out.address_bits !== 0')]],
  ['pins only what lies below 4 GiB', ['get-pinned'], [pinsIf('mfn + j < 2 ** 20')]],
  ['pins only extents of more than one page', ['get-pinned'], [pinsIf('x.outPages > 1')]],
  ['does not pin an output that is an input', ['get-pinned'], [pinsIf('!inputs.has(gfn)')]],
  ['pins guest frames below 4 GiB only', ['get-pinned'], [pinsIf('gfn < 2 ** 20')]],
  ['has room for 64 pins', ['get-pinned'], [pinsIf('domain.pins.size < 64')]],
  ['has room for 16 pins', ['get-pinned'], [pinsIf('domain.pins.size < 16')]],
  [
    'has room for 4 pins and forgets the oldest',
    ['get-pinned'],
    [[get, pins, `${pins}\n      if (domain.pins.size > 4) domain.pins.delete([...domain.pins][0] as number);`]],
  ],
  ['pins the first four pages of an extent', ['get-pinned'], [pinsIf('j < 4')]],
  ['puts the first four pages of an extent', ['put-unpins'], [[put, unpins, unpins.replace('of pages)', 'of pages.slice(0, 4))')]]],
  [
    'moves a pinned page that lies above 4 GiB',
    ['get-pinned'],
    [[p2m, left, left.replace('pins.has(page)', '(pins.has(page) && old < 2 ** 20)')]],
  ],
  [
    'moves a pinned page that lies below 4 GiB',
    ['get-pinned'],
    [[p2m, left, left.replace('pins.has(page)', '(pins.has(page) && old >= 2 ** 20)')]],
  ],
  [
    'moves a pinned page that nothing was written to',
    ['get-pinned'],
    [[p2m, left, left.replace('pins.has(page)', '(pins.has(page) && state.content.has(old))')]],
  ],
  [
    'moves a pinned page that was written to',
    ['get-pinned'],
    [[p2m, left, left.replace('pins.has(page)', '(pins.has(page) && !state.content.has(old))')]],
  ],
  [
    'looks whether the page before is pinned',
    ['get-pinned'],
    [[p2m, left, left.replace('pins.has(page)', '(pins.has(page) && pins.has(page - 1))')]],
  ],
  [
    'has one set of pins for all domains',
    ['get-works', 'put-only-listed'],
    [
      ['world.ts', 'let index = 0;', 'let index = 0;\n  const pins = new Set<number>();'],
      [
        'world.ts',
        'const domain = emptyDomain(wish.domid, wish.privileged, pagesOf(wish.ram) + pagesOf(wish.holes));',
        'const domain = { ...emptyDomain(wish.domid, wish.privileged, pagesOf(wish.ram) + pagesOf(wish.holes)), pins };',
      ],
    ],
  ],
  [
    'puts the page of every domain',
    ['get-pinned', 'put-only-listed'],
    [puts('for (const d of call.state.domains.values()) d.pins.delete(gfn);'), [put, pinsOfNamed, '']],
  ],
  [
    'puts all eight pages of a byte of its bitmap',
    ['put-only-listed'],
    [puts('for (let page = gfn - (gfn % 8), end = page + 8; page < end; page++) pins.delete(page);')],
  ],
  [
    'puts all pages of a 2 MiB block',
    ['put-only-listed'],
    [puts('for (const page of [...pins]) if (Math.floor(page / 512) === Math.floor(gfn / 512)) pins.delete(page);')],
  ],
  [
    'puts every page whose low 16 bits are the same',
    ['put-only-listed'],
    [puts('for (const page of [...pins]) if (page % 65536 === gfn % 65536) pins.delete(page);')],
  ],
  ['puts what was pinned last', ['put-only-listed', 'put-unpins'], [puts('if (pins.has(gfn)) pins.delete([...pins].at(-1) as number);')]],
  ['puts what was pinned first', ['put-only-listed', 'put-unpins'], [puts('if (pins.has(gfn)) pins.delete([...pins][0] as number);')]],
  [
    'puts all where it is asked for nothing',
    ['put-only-listed'],
    [[put, pinnedPages, `if (asked.nr_extents === 0n) pins.clear();\n    ${pinnedPages}`]],
  ],
  [
    'a decrease that is refused takes the pin',
    ['get-pinned'],
    [[neighbours, '(isPinRefused && domain.pins.has(gfn))) return false;', '(isPinRefused && domain.pins.delete(gfn))) return false;']],
  ],
  [
    'a get that is refused takes the pin of its input',
    ['get-pinned'],
    [[get, pinnedInput, pinnedInput.replace('pins.has', 'pins.delete')]],
  ],
  [
    'a get that is refused takes the pin of its output',
    ['get-pinned'],
    [[get, pinnedOutput, pinnedOutput.replace('pins.has', 'pins.delete')]],
  ],
  [
    'a populate that is refused takes the pin',
    ['get-pinned'],
    [
      [
        neighbours,
        "if (domain.pins.has(gfn) && call.freedoms['guest-changes-pinned'] === 'refused') return false;",
        "if (domain.pins.delete(gfn) && call.freedoms['guest-changes-pinned'] === 'refused') return false;",
      ],
    ],
  ],
  [
    'a get that is refused takes the pins of all its inputs',
    ['get-pinned'],
    [
      [
        get,
        "if (typeof inputs === 'number') return inputs;",
        `if (typeof inputs === 'number') {
    for (const gfn of pagesOf(readEntries(call, x.ins, index * insPerChunk, insPerChunk) ?? [], Math.min(x.inPages, 512))) pins.delete(gfn);
    return inputs;
  }`,
      ],
    ],
  ],
  [
    'puts a list from its end until it cannot',
    ['put-refused-prefix'],
    [
      [
        put,
        partly,
        `if (isPartly && isAllOrNothing) {
      for (const base of bases.toReversed()) if (!pins.delete(base)) return -EINVAL;
      return -EINVAL;
    }`,
      ],
    ],
  ],
  [
    'puts each extent it can though an earlier one was refused',
    ['put-refused-prefix'],
    [
      [
        put,
        partly,
        `if (isPartly && isAllOrNothing) {
      for (const base of bases.slice(1)) for (let gfn = base; gfn < base + 2 ** asked.extent_order; gfn++) pins.delete(gfn);
      return -EINVAL;
    }`,
      ],
    ],
  ],
  [
    'puts before it looks whether it may',
    ['put-refused-prefix', 'put-only-listed', 'get-pinned'],
    [
      [
        put,
        'const refused = refusal(call, asked);',
        `const early = readEntries(call, listOf(call, asked), 0, Math.min(16, Number(asked.nr_extents)));
    const owner = domainNamed(call, asked.domid);
    const refused = refusal(call, asked);
    if (refused !== 0) for (const gfn of early ?? []) owner?.pins.delete(gfn);`,
      ],
    ],
  ],
  [
    'puts the aligned extent around a frame',
    ['put-only-listed', 'put-works'],
    [[put, each, `for (const frame of bases) {\n    const base = frame - (frame % size);`]],
  ],
  [
    'starts a put again from its first extent when preempted',
    ['put-works'],
    [[put, 'start, isAllOrNothing ? left', '0, isAllOrNothing ? left']],
  ],
  ['leaves an extent out when a put is preempted', ['put-unpins'], [[put, 'start += step)', 'start += step + 1)']]],
  [
    'lets ERESTART out of a put',
    ['put-rc-zero-or-negative', 'put-works'],
    [[put, 'if (step >= left) return 0;', 'return step >= left ? 0 : -errno.ERESTART;']],
  ],
  [
    'counts a put down in its struct when preempted',
    ['put-in-untouched', 'no-stray-writes'],
    [
      [put, 'start += step)', 'start += 0)'],
      [put, domain, `import { at, storeBytes } from './p2m.ts';\n${domain}`],
      [
        put,
        "import type { XenMemoryReservation } from '../abi/values.ts';",
        "import type { XenMemoryReservation } from '../abi/values.ts';\nimport { entryBytes } from '../guest/handle.ts';",
      ],
      [
        put,
        'if (step >= left) return 0;',
        `if (step >= left) return 0;
    storeBytes(call.state, call.caller, at(call.arg), entryBytes(asked.extent_start + BigInt(8 * step), 8));
    storeBytes(call.state, call.caller, at(call.arg + 8n), entryBytes(BigInt(left - step), 8));`,
      ],
    ],
  ],
  [
    'a put writes a count where a get has it',
    ['no-stray-writes'],
    [
      [put, '  readStruct,\n', '  readStruct,\n  writeNrExchanged,\n'],
      [put, 'if (step >= left) return 0;', 'if (step >= left) {\n      writeNrExchanged(call, asked.nr_extents);\n      return 0;\n    }'],
    ],
  ],
  [
    'answers a put that it refuses part-way with the extents before',
    ['put-rc-zero-or-negative'],
    [[put, partly, 'if (isPartly && isAllOrNothing) return extents.length > 1 ? extents.length - 1 : -EINVAL;']],
  ],
  [
    'a put stops at a list that it cannot read, and is done',
    ['bad-address-fails'],
    [
      [put, 'if (!bases) return -EFAULT; // bad-address-fails', 'if (!bases) return 0;'],
      [
        put,
        "return freedoms['bad-list'] === 'up-front' && !isReadable(call, list) ? EFAULT : 0;",
        "return freedoms['bad-list'] === 'part-way' && !isReadable(call, list) ? EFAULT : 0;",
      ],
    ],
  ],
  [
    'puts only extents of the order they were got by',
    ['put-works'],
    [...keeps('number'), keep('x.out.extent_order'), putsIf('listed.every((gfn) => all?.get(gfn) === asked.extent_order)')],
  ],
  [
    'puts pages of one get only',
    ['put-works'],
    [
      ...keeps('Call'),
      [put, '  type Call,\n', '  type Call,\n'],
      [
        p2m,
        "import type { Domain, State } from './state.ts';",
        "import type { Call } from './call.ts';\nimport type { Domain, State } from './state.ts';",
      ],
      keep('call'),
      putsIf('listed.every((gfn) => all?.get(gfn) === all?.get(listed[0] as number))'),
    ],
  ],
  [
    'puts whole gets only',
    ['put-works'],
    [
      ...keeps('Call'),
      [
        p2m,
        "import type { Domain, State } from './state.ts';",
        "import type { Call } from './call.ts';\nimport type { Domain, State } from './state.ts';",
      ],
      keep('call'),
      putsIf('[...pins].every((gfn) => listed.includes(gfn) || !listed.some((other) => all?.get(other) === all?.get(gfn)))'),
    ],
  ],
  [
    'lets only the domain put that got',
    ['put-works'],
    [...keeps('number'), keep('call.caller.domid'), putsIf('listed.every((gfn) => all?.get(gfn) === call.caller.domid)')],
  ],
  [
    'does not pin what was put before',
    ['get-pinned'],
    [
      ...keeps('boolean'),
      puts(
        '{ pins.delete(gfn); kept.set(domainNamed(call, asked.domid) as Domain, (kept.get(domainNamed(call, asked.domid) as Domain) ?? new Map()).set(gfn, true)); }',
      ),
      [get, pins, pins.replace('(pins)', '(pins && !kept.get(domain)?.has(gfn))')],
    ],
  ],
  [
    'sets its pins up on the first get, and loses the first of them',
    ['get-pinned'],
    [
      [get, domain, `${domain}\n\nconst known = new WeakSet<Domain>();`],
      [get, pins, 'if (pins && known.has(domain)) domain.pins.add(gfn);\n      if (pins) known.add(domain);'],
    ],
  ],
  [
    'counts pins, and lets a guest exchange a pinned page',
    ['put-unpins'],
    [
      ...keeps('number'),
      keep('(all.get(gfn) ?? 0) + (pins ? 1 : 0)'),
      puts(`{
      const all = kept.get(domainNamed(call, asked.domid) as Domain) ?? new Map();
      const count = (all.get(gfn) ?? 1) - 1;
      all.set(gfn, count);
      if (count === 0) pins.delete(gfn);
    }`),
      ['freedoms.ts', "'guest-changes-pinned': ['refused', 'accepted']", "'guest-changes-pinned': ['accepted', 'refused']"],
    ],
  ],
  [
    'unpins what lies near the first output of a get',
    ['get-pinned'],
    [
      [
        get,
        'let told = true;',
        'let told = true;\n  if (pins && index === 0) for (const gfn of [...domain.pins]) if (Math.abs(gfn - (gpfns[0] as number)) < 8) domain.pins.delete(gfn);',
      ],
    ],
  ],
]);
