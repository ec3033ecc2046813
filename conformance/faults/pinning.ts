import { type Edit, type Fault, family } from './fault.ts';

const get = 'get-dma-buf.ts';
const put = 'put-dma-buf.ts';
const door = 'memory-op.ts';

/** The line that pins, and those that unpin. */
const pins = 'if (pins) domain.pins.add(gfn);';
const unpins = 'for (const pages of extents.slice(0, step)) for (const gfn of pages) pins.delete(gfn);';
const pinsOf = 'const { pins } = domainNamed(call, asked.domid) as Domain;';
const domainType = "import type { Domain } from './state.ts';";
const putCase = 'return strayStart(call, cmd) || putDmaBuf(call);';

const refused = "if (typeof chunk === 'number') return ended(call, -chunk, count(done));";

/** Puts pages so, with something of p2m.ts at hand. */
const puts = (does: string, needs = ''): Edit[] => [
  ...(needs ? [[put, domainType, `import { ${needs} } from './p2m.ts';\n${domainType}`] as const] : []),
  [put, pinsOf, 'const domain = domainNamed(call, asked.domid) as Domain;'],
  [put, unpins, `for (const pages of extents.slice(0, step)) {\n      for (const gfn of pages) {\n        ${does}\n      }\n    }`],
];

/** Takes an entry of put for a machine frame, and for this where no page has it. */
const byFrame = (otherwise: string): Edit[] => [
  [put, 'const { pins } = domainNamed(call, domid) as Domain;', 'const { p2m, pins } = domainNamed(call, domid) as Domain;'],
  [
    put,
    'for (const base of bases) {',
    `for (const entry of bases) {\n    const base = [...p2m.keys()].find((gfn) => p2m.get(gfn) === entry) ?? ${otherwise};`,
  ],
];

const guestMayChangePins: Edit = [
  'freedoms.ts',
  "'guest-changes-pinned': ['refused', 'accepted']",
  "'guest-changes-pinned': ['accepted', 'refused']",
];
const putsAnything: Edit = ['freedoms.ts', "'put-not-pinned': ['refused', 'accepted']", "'put-not-pinned': ['accepted', 'refused']"];

/** What is pinned, by whom, and what takes the pin away. */
export const pinning: readonly Fault[] = family('pinning', [
  ['never pins', ['get-pinned'], [[door, 'getDmaBuf(call, true)', 'getDmaBuf(call, false)']], ['put-refused-prefix', 'put-works']],
  ['pins on exchange too', ['get-works'], [[door, 'getDmaBuf(call, false)', 'getDmaBuf(call, true)']], ['get-same-gfn']],
  ['pins only the first page of an extent', ['get-pinned'], [[get, pins, 'if (pins && j === 0) domain.pins.add(gfn);']], ['put-works']],
  [
    'does not pin the last page of an extent',
    ['get-pinned'],
    [[get, pins, 'if (pins && (j < x.outPages - 1 || x.outPages === 1)) domain.pins.add(gfn);']],
    ['put-works'],
  ],
  [
    'pins only the first extent',
    ['get-pinned'],
    [[get, pins, 'if (pins && index === 0 && k === 0) domain.pins.add(gfn);']],
    ['put-refused-prefix', 'put-works'],
  ],
  [
    'pins the inputs',
    ['get-pinned'],
    [
      [get, pins, ''],
      [get, 'return told;', 'if (pins) for (const gfn of inputs) domain.pins.add(gfn);\n  return told;'],
    ],
    ['put-works', 'get-works'],
  ],
  [
    'moves pinned pages',
    ['get-pinned'],
    [['p2m.ts', 'if (old === undefined || pins.has(page) || isLeft(page))', 'if (old === undefined || isLeft(page))']],
    ['put-refused-prefix'],
  ],
  [
    'moves unpinned pages never, pinned ones always',
    ['get-pinned'],
    [['p2m.ts', 'old === undefined || pins.has(page) || isLeft(page)', 'old === undefined || !pins.has(page) || isLeft(page)']],
    ['put-refused-prefix'],
  ],
  [
    'loses pins on the next get',
    ['get-pinned'],
    [
      [
        door,
        'return strayStart(call, cmd) || getDmaBuf(call, true);',
        'call.caller.pins.clear();\n      return strayStart(call, cmd) || getDmaBuf(call, true);',
      ],
    ],
    ['put-only-listed', 'put-refused-prefix', 'put-works'],
  ],
  [
    'loses pins on an exchange',
    ['get-pinned'],
    [
      [
        door,
        'return strayStart(call, cmd) || getDmaBuf(call, false);',
        'call.caller.pins.clear();\n      return strayStart(call, cmd) || getDmaBuf(call, false);',
      ],
    ],
    ['put-only-listed', 'put-works'],
  ],
  [
    'loses pins when memory is given back',
    ['get-pinned'],
    [['reservation-ops.ts', 'giveUp(call.state, domain, gfn);', '{\n    giveUp(call.state, domain, gfn);\n    domain.pins.clear();\n  }']],
    ['put-works'],
  ],
  [
    'loses pins when memory is populated',
    ['get-pinned', 'put-works'],
    [['reservation-ops.ts', 'mapPage(domain, gpfn + j, mfn + j);', 'mapPage(domain, gpfn + j, mfn + j);\n    domain.pins.clear();']],
    ['put-only-listed'],
  ],
  [
    'loses pins when a call fails',
    ['get-pinned'],
    [
      [
        get,
        refused,
        "if (typeof chunk === 'number') {\n      x.named?.pins.clear();\n      return ended(call, -chunk, count(done));\n    }",
      ],
      [get, 'if (!told) return ended(', 'if (!told) x.named?.pins.clear();\n    if (!told) return ended('],
    ],
    ['put-only-listed', 'put-works'],
  ],
  [
    'loses pins when preempted',
    ['get-pinned'],
    [
      [
        get,
        'if (n === pause && done < chunks) return ended(call, -ERESTART, count(done));',
        'if (n === pause && done < chunks) {\n      x.named?.pins.clear();\n      return ended(call, -ERESTART, count(done));\n    }',
      ],
      [put, 'if (step >= left) return 0;', 'if (step >= left) return 0;\n    pins.clear();'],
    ],
    ['put-works', 'put-only-listed'],
  ],
  [
    'loses the pin when the guest writes the page',
    ['put-refused-prefix', 'put-works'],
    [
      [
        'hypervisor.ts',
        'write: (domid, address, bytes) => writeBytes(state, domainOf(state, domid), at(address), bytes),',
        `write(domid, address, bytes) {
      const domain = domainOf(state, domid);
      const { page, offset } = at(address);
      const isWritten = writeBytes(state, domain, { page, offset }, bytes);
      for (let i = 0; isWritten && 4096 * i < offset + bytes.length; i++) domain.pins.delete(page + i);
      return isWritten;
    },`,
      ],
    ],
    ['get-pinned', 'put-only-listed'],
  ],
  // What the seed's own patch would do if the continuation were made for the op whose code it
  // shares.
  [
    'goes on as an exchange when preempted',
    ['get-pinned'],
    [[get, 'exchange(call, pins, fresh);', 'exchange(call, pins && fresh, fresh);']],
    ['put-works'],
  ],
  [
    'puts the pin of every page',
    ['put-only-listed', 'put-refused-prefix'],
    [
      [door, "case 'put_dma_buf':", "case 'put_dma_buf': {"],
      [door, putCase, 'const rc = strayStart(call, cmd) || putDmaBuf(call);\n      call.caller.pins.clear();\n      return rc;\n    }'],
    ],
    ['get-pinned', 'put-works'],
  ],
  [
    'puts the page after as well',
    ['get-pinned', 'put-only-listed'],
    [[put, unpins, unpins.replace('pins.delete(gfn);', 'for (const page of [gfn, gfn + 1]) pins.delete(page);')]],
    ['put-works'],
  ],
  [
    'puts the page before as well',
    ['put-only-listed'],
    [[put, unpins, unpins.replace('pins.delete(gfn);', 'for (const page of [gfn - 1, gfn]) pins.delete(page);')]],
    ['get-pinned', 'put-works'],
  ],
  // Over variants that let a later call through which the fault would make fail too.
  [
    'puts the page before as well, and takes a put of anything',
    ['put-only-listed'],
    [[put, unpins, unpins.replace('pins.delete(gfn);', 'for (const page of [gfn - 1, gfn]) pins.delete(page);')], putsAnything],
    ['get-pinned'],
  ],
  [
    'puts only the first page of an extent, and exchanges pinned pages',
    ['put-unpins'],
    [[put, unpins, unpins.replace('of pages)', 'of pages.slice(0, 1))')], guestMayChangePins],
  ],
  [
    'puts only the first page of an extent',
    ['put-unpins'],
    [[put, unpins, unpins.replace('of pages)', 'of pages.slice(0, 1))')]],
    ['get-same-gfn', 'get-works'],
  ],
  [
    'puts all but the first page of an extent',
    ['put-unpins'],
    [[put, unpins, unpins.replace('of pages)', 'of pages.slice(1))')]],
    ['get-same-gfn', 'get-works'],
  ],
  ['puts nothing', ['put-unpins'], [[put, unpins, unpins.replace('pins.delete', 'pins.add')]], ['get-same-gfn', 'get-works']],
  ['puts by machine frame', ['put-only-listed'], byFrame('entry'), ['get-pinned', 'put-works']],
  ['puts by machine frame only', ['put-only-listed', 'put-works'], byFrame('2 ** 52'), ['get-pinned']],
  ['ends a put when preempted', ['put-unpins'], [[put, 'if (step >= left) return 0;', 'return 0;']]],
  ['unmaps what is put', ['put-keeps-pages'], puts('unmapPage(domain, gfn);\n        domain.unaddressed++;', 'unmapPage')],
  ['frees what is put', ['put-keeps-pages', 'frames-conserved'], puts('giveUp(call.state, domain, gfn);', 'giveUp')],
  [
    'clears what is put',
    ['put-keeps-pages', 'no-stray-writes'],
    puts(
      'domain.pins.delete(gfn);\n        call.state.content.delete(domain.p2m.get(gfn) as number);\n        domain.changed.pages.add(gfn);',
    ),
  ],
  [
    'loses the content of a page that moves',
    ['put-keeps-pages', 'no-stray-writes'],
    [
      ['p2m.ts', 'const bytes = state.content.get(from);', ''],
      ['p2m.ts', 'if (bytes) state.content.set(to, bytes);', 'domain.changed.pages.add(gfn);'],
    ],
    [
      'get-rest-untouched',
      'get-in-untouched',
      'get-refuses-domid-mismatch',
      'get-refuses-size-mismatch',
      'get-refuses-foreign-domid',
      'put-in-untouched',
      'refuses-unknown-domid',
      'bad-address-fails',
    ],
  ],
  [
    'always refuses to put',
    ['put-works'],
    [
      [door, "import { putDmaBuf } from './put-dma-buf.ts';\n", ''],
      [door, putCase, 'return -errno.EPERM;'],
    ],
  ],
  [
    'unpins all it can of a put that it refuses',
    ['put-refused-prefix'],
    [
      [
        'put-dma-buf.ts',
        'if (isPartly && isAllOrNothing) return -EINVAL; // put-not-pinned',
        `if (isPartly && isAllOrNothing) {
      for (const base of bases) for (let gfn = base; gfn < base + 2 ** asked.extent_order; gfn++) pins.delete(gfn);
      return -EINVAL;
    }`,
      ],
    ],
  ],
]);
