import { type Edit, type Fault, family } from '../fault.ts';

const get = 'get-dma-buf.ts';
const first = 'let done = Math.floor(Number(asked.nr_exchanged) / x.insPerChunk);';
const failed = "if (typeof chunk === 'number') return ended(call, -chunk, count(done));";
const fails = (rc: string, count = 'count(done)'): Edit => [get, failed, failed.replace('-chunk', rc).replace('count(done)', count)];
const reads = 'const inputs = inputsOf(call, x, index * insPerChunk, insPerChunk);';
const bases = 'const bases = readEntries(call, ins, first, count);\n  if (!bases) return EFAULT; // bad-address-fails';
const outs = 'const gpfns = readEntries(call, outs, index * outsPerChunk, outsPerChunk);';
const write = 'told = writeEntry(call, x.outs, index * x.outsPerChunk + k, mfn) && told;';
const writes = (from: string, to: string): Edit => [get, write, write.replace(from, to)];
const went = 'Math.floor(Number(x.nr_exchanged) / x.insPerChunk)';
const inChunk = 'if (!p2m.has(gfn) || inputs.has(gfn)) continue;';
const same = 'const isSameSize = given.nr_extents << BigInt(given.extent_order) === wanted.nr_extents << BigInt(wanted.extent_order);';
const chunks = 'Number(asked.in.nr_extents) / x.insPerChunk';
const wholeChunks: Edit = [get, chunks, `Math.floor(${chunks})`];
const giveUp = 'for (const gfn of inputs) giveUp(call.state, domain, gfn);';
const allocated = 'const frames = allocate(call, x);';
const commits = 'const told = commit(call, x, chunk, done, pins);';
const again = 'return ended(call, -ERESTART, count(done));';
const ends = 'return ended(call, 0, count(done));';
const owned = "import type { Domain } from './state.ts';";

/** How an exchange goes on from chunk to chunk, and what it says of it. */
export const chunksOf: readonly Fault[] = family('progress accounting', [
  [
    'steps through the input list by pages',
    ['get-works', 'get-inputs-released'],
    [[get, reads, reads.replace('index * insPerChunk', 'index * insPerChunk * x.inPages')]],
  ],
  [
    'steps through the output list by pages when it writes',
    ['get-mfns-returned', 'no-stray-writes'],
    [writes('index * x.outsPerChunk + k', '(index * x.outsPerChunk + k) * x.outPages')],
  ],
  ['writes from the first entry on again when preempted', ['get-mfns-returned', 'no-stray-writes'], [writes('index', `(index - ${went})`)]],
  [
    'reads the outputs from the first on again when preempted',
    ['get-works', 'get-mfns-returned'],
    [[get, outs, outs.replace('index *', `(index - ${went}) *`)]],
  ],
  [
    'reads the inputs from the first on again when preempted',
    ['get-works', 'get-inputs-released'],
    [[get, reads, reads.replace('index *', `(index - ${went}) *`)]],
  ],
  [
    'writes the last frame of an extent',
    ['get-mfns-returned', 'get-partial-mfns', 'get-aligned'],
    [writes('mfn)', 'mfn + x.outPages - 1)')],
  ],
  [
    'writes no frame for an output that is an input',
    ['get-mfns-returned', 'get-partial-mfns'],
    [[get, write, `if (!inputs.has(gpfns[k] as number)) ${write}`]],
  ],
  [
    'tells the frames of the inputs',
    ['get-mfns-returned', 'get-partial-mfns'],
    [
      [get, giveUp, `const olds = [...inputs].map((gfn) => domain.p2m.get(gfn));\n  ${giveUp}`],
      writes('mfn)', 'olds[k * x.outPages] ?? mfn)'),
    ],
  ],
  [
    'takes the inputs of a chunk in ascending order only',
    ['get-works'],
    [[get, bases, `${bases}\n  if (bases.some((base, i) => i > 0 && base < (bases[i - 1] as number))) return EINVAL;`]],
  ],
  [
    'takes the inputs of a chunk side by side only',
    ['get-works'],
    [[get, bases, `${bases}\n  if (bases.some((base, i) => base !== (bases[0] as number) + i * inPages)) return EINVAL;`]],
  ],
  [
    'takes it that the inputs of a chunk lie side by side',
    ['get-inputs-released', 'get-works'],
    [
      [
        get,
        'const inputs = new Set<number>();',
        'for (const i of bases.keys()) bases[i] = (bases[0] as number) + i * inPages;\n  const inputs = new Set<number>();',
      ],
    ],
  ],
  [
    'takes it that the outputs of a chunk lie side by side',
    ['get-populates-gpfns', 'get-works', 'get-mfns-returned'],
    [
      [
        get,
        'const outputs = new Set<number>();',
        'for (const k of gpfns.keys()) gpfns[k] = (gpfns[0] as number) + k * outPages;\n  const outputs = new Set<number>();',
      ],
    ],
  ],
  [
    'takes output lists in ascending order only',
    ['get-works'],
    [
      [
        get,
        'if (!fresh) return 0;',
        `const wish = readEntries(call, outs, 0, Number(wanted.nr_extents));
  if (fresh && wish?.some((gpfn, k) => k > 0 && gpfn < (wish[k - 1] as number))) return EINVAL;
  if (!fresh) return 0;`,
      ],
    ],
  ],
  ['returns 0 where no memory is left', ['get-incomplete-nonzero', 'get-complete-count'], [fails('(chunk === ENOMEM ? 0 : -chunk)')]],
  ['says EBUSY where no memory is left', ['get-works'], [fails('(chunk === ENOMEM ? -errno.EBUSY : -chunk)')]],
  ['returns 0 where it fails after it was preempted', ['get-incomplete-nonzero', 'get-complete-count'], [fails('(fresh ? -chunk : 0)')]],
  ['returns EINTR where it fails after it was preempted', ['get-rc-zero-or-negative'], [fails('(fresh ? -chunk : -errno.EINTR)')]],
  [
    'counts what it did since it was preempted where it then fails',
    ['get-rest-untouched', 'no-stray-writes'],
    [fails('-chunk', 'count(done) - asked.nr_exchanged')],
  ],
  [
    'counts what it did since it was preempted',
    ['get-complete-count', 'get-incomplete-nonzero'],
    [[get, ends, ends.replace('count(done)', 'count(done) - asked.nr_exchanged')]],
  ],
  [
    'looks at all inputs again when preempted',
    ['get-works'],
    [
      [
        get,
        'if (!fresh) return 0;',
        "if (!fresh) {\n    const all = inputsOf(call, x, 0, Number(given.nr_extents));\n    return typeof all === 'number' ? all : 0;\n  }",
      ],
    ],
  ],
  [
    'is preempted once at most, and then done',
    ['get-incomplete-nonzero', 'get-complete-count'],
    [[get, again, `if (!fresh) ${ends}\n    ${again}`]],
  ],
  [
    'handles orders that differ by one only',
    ['get-works', 'get-new-pages'],
    [
      [
        'exchange.ts',
        '2 ** Math.max(0, wanted.extent_order - given.extent_order)',
        '2 ** Math.min(1, Math.max(0, wanted.extent_order - given.extent_order))',
      ],
      [
        'exchange.ts',
        '2 ** Math.max(0, given.extent_order - wanted.extent_order)',
        '2 ** Math.min(1, Math.max(0, given.extent_order - wanted.extent_order))',
      ],
      wholeChunks,
    ],
  ],
  [
    'takes an output that is an input only where the orders are the same',
    ['get-same-gfn', 'get-works'],
    [[get, inChunk, inChunk.replace('inputs.has(gfn)', '(inputs.has(gfn) && x.inPages === outPages)')]],
  ],
  [
    'refuses an output that an earlier chunk released',
    ['get-works'],
    [
      [
        get,
        '/** What a chunk takes and gives',
        'const began = new WeakMap<Call, ReadonlySet<number>>();\n\n/** What a chunk takes and gives',
      ],
      [
        get,
        'const x = exchangeOf(call, asked);',
        'const x = exchangeOf(call, asked);\n  if (fresh) began.set(call, new Set(x.named?.p2m.keys()));',
      ],
      [get, inChunk, inChunk.replace('!p2m.has(gfn)', '!(p2m.has(gfn) || began.get(call)?.has(gfn))')],
      [
        get,
        "if (pins.has(gfn) && freedoms['guest-changes-pinned'] === 'refused') return EINVAL; // get-pinned\n    if (freedoms['populated-output']",
        "if (freedoms['populated-output']",
      ],
      [get, 'const { p2m, pins, dying } = x.named as Domain;', 'const { p2m, dying } = x.named as Domain;'],
    ],
  ],
  [
    'compares totals rounded down to chunks',
    ['get-refuses-size-mismatch'],
    [
      [
        get,
        same,
        'const isSameSize = (given.nr_extents << BigInt(given.extent_order)) >> BigInt(order) === (wanted.nr_extents << BigInt(wanted.extent_order)) >> BigInt(order);',
      ],
      wholeChunks,
    ],
  ],
  ['takes it that outputs are enough', ['get-refuses-size-mismatch'], [[get, same, same.replace('===', '<=')]]],
  [
    'is done at once where there are no inputs',
    ['get-refuses-size-mismatch'],
    [
      [
        get,
        'const refused = refusal(call, x, fresh);',
        'if (asked.in.nr_extents === 0n) return 0;\n  const refused = refusal(call, x, fresh);',
      ],
    ],
  ],
  [
    'is done at once where there are no outputs',
    ['get-refuses-size-mismatch'],
    [
      [
        get,
        'const refused = refusal(call, x, fresh);',
        'if (asked.out.nr_extents === 0n) return 0;\n  const refused = refusal(call, x, fresh);',
      ],
    ],
  ],
  [
    'pins outputs before it has memory for them',
    ['get-works', 'get-same-gfn'],
    [
      [get, 'const chunk = chunkAt(call, x, done);', 'const chunk = chunkAt(call, x, done, pins);'],
      [
        get,
        'function chunkAt(call: Call, x: Exchange, index: number)',
        'function chunkAt(call: Call, x: Exchange, index: number, isGet: boolean)',
      ],
      [get, allocated, `if (isGet) for (const gfn of outputs) pins.add(gfn);\n  ${allocated}`],
      [get, 'if (pins) domain.pins.add(gfn);', 'if (pins) domain.pins.add(gfn); else domain.pins.delete(gfn);'],
      [
        get,
        giveUp,
        `const held = new Set(domain.pins);\n  ${giveUp}\n  for (const gfn of held) if (domain.p2m.has(gfn)) domain.pins.add(gfn);`,
      ],
    ],
  ],
  [
    'clears the inputs of a chunk that finds no memory',
    ['get-rest-untouched', 'no-stray-writes'],
    [
      [
        get,
        allocated,
        `${allocated}
  if (!frames) {
    for (const gfn of inputs) {
      state.content.delete(p2m.get(gfn) as number);
      x.named?.changed.pages.add(gfn);
    }
  }`,
      ],
    ],
  ],
  [
    'clears inputs before it looks at the outputs',
    ['get-rest-untouched', 'no-stray-writes'],
    [
      [
        get,
        outs,
        `for (const gfn of inputs) {
    state.content.delete(p2m.get(gfn) as number);
    x.named?.changed.pages.add(gfn);
  }
  ${outs}`,
      ],
    ],
  ],
  [
    'takes an input in two chunks at most once, or is stuck with it',
    ['get-works'],
    [
      [get, owned, `${owned}\n\nconst taken = new WeakMap<Domain, Set<number>>();`],
      [
        get,
        giveUp,
        `const all = taken.get(domain) ?? new Set<number>();\n  taken.set(domain, all);\n  for (const gfn of inputs) all.add(gfn);\n  ${giveUp}`,
      ],
      [get, 'if (!p2m.has(gfn)) return EINVAL;', 'if (!p2m.has(gfn) || taken.get(named as Domain)?.has(gfn)) return EINVAL;'],
    ],
  ],
  [
    'unpins what a call that fails part-way has pinned',
    ['get-pinned'],
    [
      [get, first, `${first}\n  const got: number[] = [];`],
      [get, commits, `${commits}\n    got.push(...pagesOf(chunk.gpfns, x.outPages));`],
      [get, failed, `if (typeof chunk === 'number') for (const gfn of got) x.named?.pins.delete(gfn);\n    ${failed}`],
    ],
  ],
  [
    'pins only what it did since it was last preempted',
    ['get-pinned'],
    [
      [get, first, `${first}\n  const got: number[] = [];`],
      [get, commits, `${commits}\n    got.push(...pagesOf(chunk.gpfns, x.outPages));`],
      [
        get,
        'if (n === pause && done < chunks) return',
        'if (n === pause && done < chunks) for (const gfn of got) x.named?.pins.delete(gfn);\n    if (n === pause && done < chunks) return',
      ],
    ],
  ],
]);
