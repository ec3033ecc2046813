import { referenceImplementation } from '../protocol/reference.ts';
import type { Edit, Legal } from './fault.ts';
import { reversedGuards } from './guards.ts';

const { hello } = referenceImplementation();
const { exchange: _, ...withoutExchange } = hello.commands;

const get = 'get-dma-buf.ts';
const put = 'put-dma-buf.ts';
const freedoms = 'freedoms.ts';

/** Another reading of an open point is the first one. */
const reads = (id: string, was: string, is: string): Edit => [freedoms, `'${id}': [${was}]`, `'${id}': [${is}]`];

/** Something is answered with another errno. */
const answers = (file: string, guard: string, was: string, is: string): Edit => [file, `${guard} return ${was};`, `${guard} return ${is};`];

const preemption = `export function preemptedAfter({ inject: { preempt = 0 } }: Call, unit = 1): number {
  return preempt > 0 ? Math.ceil(preempt / unit) : Number.POSITIVE_INFINITY;`;
const preemptedAfter = (what: string): Edit => [
  'call.ts',
  preemption,
  `export function preemptedAfter(_call: Call, _unit = 1): number {\n  return ${what};`,
];

const overwritesOutputs = reads('populated-output', "'refused', 'overwritten'", "'overwritten', 'refused'");
const resumes = reads('count-not-zero', "'refused', 'resumed'", "'resumed', 'refused'");

/** A page moves to a frame on its side of 4 GiB, or not at all. */
const movesWithinZone: readonly Edit[] = [
  [
    'p2m.ts',
    'const found = take(state.free, 0, Number.POSITIVE_INFINITY);',
    `const isLow = old < FRAMES_BELOW_4G;
    const taken = take(state.free, 0, isLow ? FRAMES_BELOW_4G : Number.POSITIVE_INFINITY);
    const found = taken === undefined || taken < FRAMES_BELOW_4G === isLow ? taken : undefined;
    if (taken !== undefined && found === undefined) release(state.free, taken);`,
  ],
  ['p2m.ts', "import { release, take } from './allocator.ts';", "import { FRAMES_BELOW_4G, release, take } from './allocator.ts';"],
];

/**
 * Hypervisors that do what the specification leaves open in their own way. None of them is ever to
 * be blamed.
 */
export const legal: readonly Legal[] = [
  {
    name: 'takes memory from the bottom',
    freedom: 'which-frames',
    edits: [
      ['allocator.ts', 'zoneOf(candidate) > zoneOf(block)', 'candidate < block'],
      [
        'allocator.ts',
        'const end = Math.min(block + 2 ** from, limit);\n  const piece = Math.floor((end - pages) / pages) * pages;',
        'const piece = block;',
      ],
      [
        'allocator.ts',
        `/** Which power of two a frame number has reached: Xen's zones, one per bit of address width. */
function zoneOf(frame: number): number {
  return 31 - Math.clz32(frame);
}

/** The highest base`,
        '/** The lowest base, if it is',
      ],
      [
        'allocator.ts',
        `const last = list[list.length - 1] as number;
  if (last <= most) return last;
  const at = position(list, Math.floor(most) + 1);
  return at === 0 ? -1 : (list[at - 1] as number);`,
        'const first = list[0] as number;\n  return first <= most ? first : -1;',
      ],
    ],
  },
  {
    name: 'checks in the reverse order',
    freedom: 'first-errno',
    edits: reversedGuards,
  },
  {
    name: 'has an errno of its own for everything',
    freedom: 'order-too-big',
    edits: [
      reads('start-extent-bits', "'refused', 'unimplemented', 'ignored'", "'unimplemented', 'refused', 'ignored'"),
      [
        get,
        'const { EFAULT, EINVAL, ENOMEM, EPERM, ERESTART } = errno;',
        'const { E2BIG, EACCES, EBUSY, EEXIST, EFAULT, EINVAL, ENOENT, ENOMEM, ERESTART, EXDEV } = errno;',
      ],
      answers(get, 'if (done > given.nr_extents)', 'EINVAL', 'ENOENT'),
      answers(get, "freedoms['count-not-zero'] === 'refused')", 'EINVAL', 'EBUSY'),
      answers(get, 'if (given.domid !== wanted.domid)', 'EINVAL', 'EXDEV'),
      answers(get, 'if (order > max_order)', 'EINVAL', 'E2BIG'),
      answers(get, 'wanted.nr_extents > max_extents)', 'EINVAL', 'E2BIG'),
      answers(get, 'if (!isSameSize)', 'EINVAL', 'EXDEV'),
      answers(get, 'if (ins.wraps || outs.wraps)', 'EFAULT', 'EINVAL'),
      answers(get, 'if (order > max_order_unprivileged && !caller.privileged)', 'EPERM', 'EACCES'),
      ['call.ts', 'const { EPERM, ESRCH } = errno;', 'const { EACCES, ENOENT, ESRCH } = errno;'],
      answers('call.ts', 'if (!named)', 'ESRCH', 'ENOENT'),
      answers('call.ts', 'if (named !== caller && !caller.privileged)', 'EPERM', 'ESRCH'),
      answers('call.ts', 'if (isLetter && domid !== DOMID.SELF)', 'EPERM', 'EACCES'),
      answers(get, 'isReadable(call, outs)))', 'EFAULT', 'EINVAL'),
      answers(get, 'if (outputs.has(gfn))', 'EINVAL', 'EEXIST'),
      answers(get, "if (freedoms['populated-output'] === 'refused')", 'EINVAL', 'EEXIST'),
      answers(get, 'if (!p2m.has(gfn))', 'EINVAL', 'ENOENT'),
      answers(get, 'if (inputs.has(gfn))', 'EINVAL', 'EBUSY'),
      answers(get, 'if (!asked)', '-EFAULT', '-EINVAL'),
      [put, 'const { EFAULT, EINVAL, EPERM } = errno;', 'const { E2BIG, EACCES, EFAULT, EINVAL, ENOENT } = errno;'],
      answers(put, 'if (!asked)', '-EFAULT', '-EINVAL'),
      answers(put, 'if (isPartly && isAllOrNothing)', '-EINVAL', '-ENOENT'),
      answers(put, 'if (extent_order > max_order)', 'EINVAL', 'E2BIG'),
      answers(put, 'if (nr_extents > max_extents)', 'EINVAL', 'E2BIG'),
      answers(put, 'if (list.wraps)', 'EFAULT', 'EINVAL'),
      answers(put, 'if (extent_order > max_order_unprivileged && !caller.privileged)', 'EPERM', 'EACCES'),
      [put, '!isReadable(call, list) ? EFAULT : 0;', '!isReadable(call, list) ? EINVAL : 0;'],
    ],
  },
  {
    name: 'looks at all inputs first',
    freedom: 'late-fault',
    edits: [reads('late-fault', "'part-way', 'up-front'", "'up-front', 'part-way'")],
  },
  { name: 'is preempted after every chunk', freedom: 'preemption', edits: [preemptedAfter('1')] },
  { name: 'is never preempted', freedom: 'preemption', edits: [preemptedAfter('Number.POSITIVE_INFINITY')] },
  {
    name: 'goes no further than order 1, and says so',
    freedom: 'more-limits',
    edits: [
      [freedoms, 'max_order: MAX_ORDER', 'max_order: 1'],
      [freedoms, 'import { MAX_ORDER, MEMOP_MAX_EXTENTS }', 'import { MEMOP_MAX_EXTENTS }'],
    ],
    hello: { limits: { ...hello.limits, max_order: 1 } },
  },
  {
    name: 'takes two extents at most, and says so',
    freedom: 'more-limits',
    edits: [
      [freedoms, 'max_extents: MEMOP_MAX_EXTENTS', 'max_extents: 2n'],
      [freedoms, 'import { MAX_ORDER, MEMOP_MAX_EXTENTS }', 'import { MAX_ORDER }'],
    ],
    hello: { limits: { ...hello.limits, max_extents: 2n } },
  },
  {
    name: 'refuses misaligned frames',
    freedom: 'misaligned-frame',
    edits: [reads('misaligned-frame', "'accepted', 'refused'", "'refused', 'accepted'")],
  },
  {
    name: 'overwrites outputs that are populated',
    freedom: 'populated-output',
    edits: [overwritesOutputs],
  },
  {
    name: 'welcomes a put of pages that are not pinned',
    freedom: 'put-not-pinned',
    edits: [reads('put-not-pinned', "'refused', 'accepted'", "'accepted', 'refused'")],
  },
  {
    name: 'puts up to the first page that is not pinned',
    freedom: 'put-partly-pinned',
    edits: [reads('put-partly-pinned', "'all-or-nothing', 'prefix'", "'prefix', 'all-or-nothing'")],
  },
  { name: 'resumes at a count that is not zero', freedom: 'count-not-zero', edits: [resumes] },
  {
    name: 'resumes, and has nothing left to do at the end',
    freedom: 'count-not-zero',
    edits: [
      resumes,
      [
        get,
        'if (refused !== 0) return ended(call, -refused, asked.nr_exchanged);',
        'if (refused !== 0) return ended(call, -refused, asked.nr_exchanged);\n  if (asked.nr_exchanged === asked.in.nr_extents) return 0;',
      ],
    ],
  },
  {
    name: 'ignores start_extent',
    freedom: 'start-extent-bits',
    edits: [reads('start-extent-bits', "'refused', 'unimplemented', 'ignored'", "'ignored', 'refused', 'unimplemented'")],
  },
  {
    name: 'has no op with a start_extent',
    freedom: 'start-extent-bits',
    edits: [reads('start-extent-bits', "'refused', 'unimplemented', 'ignored'", "'unimplemented', 'refused', 'ignored'")],
  },
  {
    name: 'faults on a dirty handle',
    freedom: 'dirty-handle',
    edits: [reads('dirty-handle', "'ignored', 'refused'", "'refused', 'ignored'")],
  },
  {
    name: 'reads the whole word of a dirty handle',
    freedom: 'dirty-handle',
    edits: [
      [
        'call.ts',
        `export function listOf({ state }: Call, { extent_start, nr_extents }: XenMemoryReservation): GuestList {
  return listBehind(extent_start, nr_extents, state.arch);`,
        `export function listOf(_call: Call, { extent_start, nr_extents }: XenMemoryReservation): GuestList {
  return listBehind(extent_start, nr_extents, 'arm64');`,
      ],
    ],
  },
  {
    name: 'lets a guest give a pinned page up',
    freedom: 'guest-changes-pinned',
    edits: [
      [get, 'const { p2m, pins } = named as Domain;', 'const { p2m } = named as Domain;'],
      [get, "if (pins.has(gfn) && call.freedoms['guest-changes-pinned'] === 'refused') return EINVAL; // get-pinned", ''],
    ],
  },
  {
    name: 'lets a guest populate over a pinned page',
    freedom: 'guest-changes-pinned',
    edits: [
      [get, 'const { p2m, pins, dying } = x.named as Domain;', 'const { p2m, dying } = x.named as Domain;'],
      [get, "if (pins.has(gfn) && freedoms['guest-changes-pinned'] === 'refused') return EINVAL; // get-pinned", ''],
      overwritesOutputs,
    ],
  },
  {
    name: 'lets a guest decrease a pinned page',
    freedom: 'guest-changes-pinned',
    edits: [
      ['reservation-ops.ts', "const isPinRefused = call.freedoms['guest-changes-pinned'] === 'refused';", ''],
      ['reservation-ops.ts', 'if (!domain.p2m.has(gfn) || (isPinRefused && domain.pins.has(gfn)))', 'if (!domain.p2m.has(gfn))'],
    ],
  },
  {
    name: 'lets a guest do anything to a pinned page',
    freedom: 'guest-changes-pinned',
    edits: [reads('guest-changes-pinned', "'refused', 'accepted'", "'accepted', 'refused'"), overwritesOutputs],
  },
  {
    name: 'writes all frames back at the end',
    freedom: 'no open point: the order of the work within a call',
    edits: [
      [get, 'let done = Math.floor(', 'const got: Chunk[] = [];\n  const first = Math.floor('],
      [
        get,
        'for (let n = 1; done < chunks; n++) {',
        `const over = (rc: number): number => {
    const frames = got.flatMap((chunk) => chunk.frames);
    const told = frames.map((mfn, k) => writeEntry(call, x.outs, first * x.outsPerChunk + k, mfn));
    return ended(call, told.includes(false) ? -EFAULT : rc, count(first + got.length));
  };
  for (let done = first, n = 1; done < chunks; n++) {`,
      ],
      [
        get,
        "if (typeof chunk === 'number') return ended(call, -chunk, count(done));",
        "if (typeof chunk === 'number') return over(-chunk);",
      ],
      [get, 'const told = commit(call, x, chunk, done, pins);', 'commit(call, x, chunk, pins);\n    got.push(chunk);'],
      [get, 'if (!told) return ended(call, -EFAULT, count(done)); // done, though a list has gone with the pages: bad-address-fails', ''],
      [
        get,
        'if (n === pause && done < chunks) return ended(call, -ERESTART, count(done));',
        'if (n === pause && done < chunks) return over(-ERESTART);',
      ],
      [get, 'return ended(call, 0, count(done));', 'return over(0);'],
      [
        get,
        '{ inputs, gpfns, frames }: Chunk, index: number, pins: boolean): boolean {',
        '{ inputs, gpfns, frames }: Chunk, pins: boolean): void {',
      ],
      [get, '  let told = true;\n', ''],
      [get, '    told = writeEntry(call, x.outs, index * x.outsPerChunk + k, mfn) && told;\n', ''],
      [get, '  return told;\n', ''],
    ],
  },
  {
    name: 'does not look for later inputs among the outputs',
    freedom: 'later-input',
    edits: [reads('later-input', "'refused', 'accepted'", "'accepted', 'refused'")],
  },
  {
    name: 'finds a bad list only when it gets there',
    freedom: 'bad-list',
    edits: [reads('bad-list', "'up-front', 'part-way'", "'part-way', 'up-front'")],
  },
  {
    name: 'moves pages whenever a call comes',
    freedom: 'spontaneous-move',
    edits: [reads('spontaneous-move', "'never', 'in-calls'", "'in-calls', 'never'")],
  },
  {
    name: 'moves pages whenever a call comes, within their side of 4 GiB',
    freedom: 'spontaneous-move',
    edits: [reads('spontaneous-move', "'never', 'in-calls'", "'in-calls', 'never'"), ...movesWithinZone],
  },
  { name: 'moves pages within their side of 4 GiB only', freedom: 'no open point: which frame a page moves to', edits: movesWithinZone },
  {
    name: 'leaves a page where it is while the one beside it is pinned',
    freedom: 'neighbour-of-pinned',
    edits: [
      ['hypervisor.ts', "neighbours: Freedoms['neighbour-of-pinned'] = 'moved'", "_: Freedoms['neighbour-of-pinned'] = 'moved'"],
      ['hypervisor.ts', 'Number(gfn), pages, neighbours);', "Number(gfn), pages, 'left');"],
    ],
  },
  {
    name: 'exchanges the frames of two pages where none is free',
    freedom: 'no open point: which frame a page moves to',
    edits: [
      [
        'p2m.ts',
        'if (found !== undefined) movePage(state, domain, page, old, found);',
        `if (found !== undefined) movePage(state, domain, page, old, found);
    else swapPages(state, domain, page);`,
      ],
      [
        'p2m.ts',
        '/** Puts a page on another frame,',
        `/** Where no frame is free: two pages change places. */
function swapPages(state: State, domain: Domain, gfn: number): void {
  const mine = domain.p2m.get(gfn) as number;
  for (const [other, frame] of domain.p2m) {
    if (other === gfn || domain.pins.has(other)) continue;
    const [a, b] = [state.content.get(mine), state.content.get(frame)];
    domain.p2m.set(gfn, frame);
    domain.p2m.set(other, mine);
    state.content.delete(mine);
    state.content.delete(frame);
    if (a) state.content.set(frame, a);
    if (b) state.content.set(mine, b);
    return;
  }
}

/** Puts a page on another frame,`,
      ],
    ],
  },
  {
    name: 'moves a page that was put at once',
    freedom: 'spontaneous-move',
    edits: [
      [
        put,
        'for (const pages of extents.slice(0, step)) for (const gfn of pages) pins.delete(gfn);',
        `for (const pages of extents.slice(0, step)) {
      for (const gfn of pages) {
        pins.delete(gfn);
        churn(call.state, domainNamed(call, asked.domid) as Domain, gfn, 1);
      }
    }`,
      ],
      [put, "import type { Domain } from './state.ts';", "import { churn } from './p2m.ts';\nimport type { Domain } from './state.ts';"],
    ],
  },
  {
    name: 'moves no page at all',
    freedom: 'no open point: no hypervisor has to move pages',
    edits: [
      [
        'hypervisor.ts',
        'churn(domid, gfn, pages) {\n      churn(state, domainOf(state, domid), Number(gfn), pages, neighbours);',
        'churn(domid) {\n      domainOf(state, domid);\n      void neighbours;',
      ],
      ['hypervisor.ts', 'import { at, churn, readBytes, writeBytes }', 'import { at, readBytes, writeBytes }'],
    ],
  },
  {
    name: 'tells the guest its frames in ops 0 and 6',
    freedom: 'no open point: ops 0 and 6 may write list entries [start, rc)',
    edits: [
      ['reservation-ops.ts', 'readEntries, readStruct } from', 'readEntries, readStruct, writeEntry } from'],
      [
        'reservation-ops.ts',
        'function increase(work: Work): boolean {\n  if (newExtent(work) === undefined) return false;',
        'function increase(work: Work, index: number): boolean {\n  const mfn = newExtent(work);\n  if (mfn === undefined) return false;\n  if (work.extent_start !== 0n) writeEntry(work.call, work.list, index, mfn);',
      ],
      [
        'reservation-ops.ts',
        'if (domain.p2m.has(gpfn + j)) domain.unaddressed++;\n    mapPage(domain, gpfn + j, mfn + j);\n  }',
        'if (domain.p2m.has(gpfn + j)) domain.unaddressed++;\n    mapPage(domain, gpfn + j, mfn + j);\n  }\n  writeEntry(call, list, index, mfn);',
      ],
    ],
  },
  { name: 'has no op 11', freedom: 'no open point: only what is declared is tested', edits: [], hello: { commands: withoutExchange } },
];
