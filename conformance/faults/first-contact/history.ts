import { type Edit, type Fault, family } from '../fault.ts';

const get = 'get-dma-buf.ts';
const put = 'put-dma-buf.ts';
const p2m = 'p2m.ts';
const neighbours = 'reservation-ops.ts';
const door = 'memory-op.ts';

const gives = 'for (const gfn of inputs) giveUp(call.state, domain, gfn);';
const notThere = 'if (!p2m.has(gfn)) return EINVAL; // frames-conserved: no page is there to be exchanged';
const inChunk = 'if (!p2m.has(gfn) || inputs.has(gfn)) continue;';
const moved = 'if (bytes) state.content.set(to, bytes); // put-keeps-pages';
const domain = "import type { Domain } from './state.ts';";
const unmaps = '/** Takes a page out of the p2m; a pin';
const unpins = 'for (const pages of extents.slice(0, step)) for (const gfn of pages) pins.delete(gfn);';
const decreases = 'for (const gfn of pagesOf(bases, pages)) giveUp(call.state, domain, gfn);';
const populates = 'mapPage(domain, gpfn + j, mfn + j);';
const imports = 'import { giveUp, mapPage, mappableGfns } from';

/** Pages that something was done to once, by domain, known to all ops. */
const remembers = (...files: string[]): Edit[] => [
  [
    p2m,
    unmaps,
    `export const once = new WeakMap<Domain, Set<number>>();\n\n/** Keeps a page in mind. */\nexport function remember(domain: Domain, gfn: number): void {\n  once.set(domain, (once.get(domain) ?? new Set()).add(gfn));\n}\n\n${unmaps}`,
  ],
  ...files.map(
    (file): Edit =>
      file === put
        ? [put, domain, `import { remember } from './p2m.ts';\n${domain}`]
        : [file, imports, 'import { giveUp, mapPage, mappableGfns, once, remember } from'],
  ),
];
const takesIfNew: Edit = [get, notThere, `if (!p2m.has(gfn) || once.get(named as Domain)?.has(gfn)) return EINVAL;`];
const unusedRemember = 'import { giveUp, mapPage, mappableGfns, once, remember } from';
const only = (file: string, name: string): Edit => [file, unusedRemember, `import { giveUp, mapPage, mappableGfns, ${name} } from`];

/** What an earlier call does to a later one. */
export const history: readonly Fault[] = family('allocation', [
  [
    'loses the content of a page that moves after it was put',
    ['put-keeps-pages'],
    [
      ...remembers(put),
      [
        put,
        unpins,
        unpins.replace(
          'pins.delete(gfn);',
          '{\n      pins.delete(gfn);\n      remember(domainNamed(call, asked.domid) as Domain, gfn);\n    }',
        ),
      ],
      [p2m, moved, 'if (bytes && !once.get(domain)?.has(gfn)) state.content.set(to, bytes);'],
    ],
  ],
  [
    'cannot populate what a decrease gave up',
    ['get-works'],
    [
      ...remembers(get, neighbours),
      only(get, 'once'),
      only(neighbours, 'remember'),
      [
        neighbours,
        decreases,
        decreases.replace('giveUp(call.state, domain, gfn);', '{\n    giveUp(call.state, domain, gfn);\n    remember(domain, gfn);\n  }'),
      ],
      [get, inChunk, `if (once.get(x.named as Domain)?.has(gfn) && !inputs.has(gfn)) return EINVAL;\n    ${inChunk}`],
    ],
  ],
  [
    'cannot populate what a get released',
    ['get-works'],
    [
      ...remembers(get),
      [get, gives, `${gives}\n  for (const gfn of inputs) remember(domain, gfn);`],
      [get, inChunk, `if (once.get(x.named as Domain)?.has(gfn) && !p2m.has(gfn)) return EINVAL;\n    ${inChunk}`],
    ],
  ],
  [
    'cannot exchange what a populate gave',
    ['get-works'],
    [
      ...remembers(get, neighbours),
      only(get, 'once'),
      only(neighbours, 'remember'),
      [neighbours, populates, `${populates}\n    remember(domain, gpfn + j);`],
      takesIfNew,
    ],
  ],
  [
    'cannot exchange what a get gave, after it was put',
    ['get-works'],
    [
      ...remembers(get),
      [get, gives, `${gives}\n  for (const gfn of pagesOf(gpfns, x.outPages)) if (pins) remember(domain, gfn);`],
      takesIfNew,
    ],
  ],
  [
    'cannot exchange what an exchange gave',
    ['get-works'],
    [
      ...remembers(get),
      [get, gives, `${gives}\n  for (const gfn of pagesOf(gpfns, x.outPages)) if (!pins) remember(domain, gfn);`],
      takesIfNew,
    ],
  ],
  [
    'cannot put what was put before and got again',
    ['put-works'],
    [
      ...remembers(put),
      [p2m, 'export const once', 'const once'],
      [put, 'import { remember } from', 'import { once, remember } from'],
      [p2m, 'const once', 'export const once'],
      [
        put,
        'if (isPartly && isAllOrNothing) return -EINVAL; // put-not-pinned',
        'const known = once.get(domainNamed(call, asked.domid) as Domain);\n    if ((isPartly && isAllOrNothing) || extents.flat().some((gfn) => known?.has(gfn))) return -EINVAL;',
      ],
      [
        put,
        unpins,
        unpins.replace(
          'pins.delete(gfn);',
          '{\n      pins.delete(gfn);\n      remember(domainNamed(call, asked.domid) as Domain, gfn);\n    }',
        ),
      ],
    ],
  ],
  [
    'is busy for ever once it found no memory',
    ['get-works'],
    [
      [get, domain, `${domain}\n\nconst busy = new WeakSet<Domain>();`],
      [
        get,
        'return frames ? { inputs, gpfns, frames } : ENOMEM;',
        'if (!frames) busy.add(call.caller);\n  return frames ? { inputs, gpfns, frames } : ENOMEM;',
      ],
      [
        get,
        'if (done > given.nr_extents) return EINVAL; // get-partial-count',
        'if (busy.has(caller)) return errno.EBUSY;\n  if (done > given.nr_extents) return EINVAL;',
      ],
    ],
  ],
  [
    'is busy for the next call once it was preempted',
    ['get-works'],
    [
      [get, domain, `${domain}\n\nconst busy = new WeakSet<Domain>();`],
      [get, 'if (rc !== -ERESTART) return rc;', 'if (rc !== -ERESTART) return rc;\n    busy.add(call.caller);'],
      [
        get,
        'if (done > given.nr_extents) return EINVAL; // get-partial-count',
        'if (fresh && busy.delete(caller)) return errno.EBUSY;\n  if (done > given.nr_extents) return EINVAL;',
      ],
    ],
  ],
  [
    'answers the same call twice with what it answered first',
    ['get-mfns-returned', 'get-works'],
    [
      [door, 'export function memoryOp(', 'const last = new WeakMap<State, readonly [MemoryOp, number]>();\n\nexport function memoryOp('],
      [
        door,
        "const op = judgedOp(cmd, 'dma-buf');\n  switch (op) {",
        "const op = judgedOp(cmd, 'dma-buf');\n  const [before, answer] = last.get(state) ?? [];\n  if (op === 'put_dma_buf' && before?.cmd === cmd && before.arg === arg && before.domid === domid && answer === 0) return 0;\n  const rc = serve(call, op, cmd);\n  last.set(state, [{ domid, cmd, arg }, rc]);\n  return rc;\n}\n\nfunction serve(call: Call, op: ReturnType<typeof judgedOp>, cmd: number): number {\n  switch (op) {",
      ],
    ],
  ],
  [
    'lets a get of a domain that is full take pages beyond its allowance away',
    ['get-works'],
    [[get, 'if (dying) return EINVAL;', 'if (dying || (x.named as Domain).owned.size < outPages * outsPerChunk + 1) return EINVAL;']],
  ],
]);
