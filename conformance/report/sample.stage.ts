import { isRequirement } from '../../src/rules/rule.ts';
import { rules } from '../../src/rules/table.ts';
import type { ConformanceResult, Counterexample, P2mEntry, RequirementResult, StoryStep } from '../verdict/result.ts';

// Small results of every kind. The two stories are what the suite told of faulty variants of its
// own model, shortened.

const ids = rules.filter(isRequirement).map((rule) => rule.id);

/**
 * The p2m of a guest with RAM from 0x40000 on and holes after it: the frames behind it, in order.
 */
function p2m(...mfns: (number | null)[]): P2mEntry[] {
  return mfns.map((mfn, i) => [`0x${(0x40000 + i).toString(16)}`, mfn === null ? null : `0x${mfn.toString(16)}`]);
}

const world = {
  arch: 'arm32',
  domains: [{ domid: 1, privileged: false, ram: [{ gfn: '0x40000', pages: 7 }], holes: [{ gfn: '0x40007', pages: 2 }] }],
  free: { low: 64, high: 64 },
};

const setting = { arch: 'arm32', space: 'physical', privileged: false, domid: 1 };
const start = [0x800003, 0xa0003, 0x800002, 0xa0002, 0x800001, 0xa0001, 0x800000];

const getPinned: StoryStep = {
  do: 'call',
  record: {
    seq: 0,
    ...setting,
    cmd: 26,
    arg: '0x40000100',
    before: [
      [
        '0x40000100',
        '001000400000000001000000000000000000000000000000f07f000000000000002100400000000001000000000000000000000000000000f07f0000000000000000000000000000',
      ],
      ['0x40001000', '0400040000000000'],
      ['0x40002100', '0700040000000000'],
      ['0x40004000', '040004004b52404d'],
    ],
    rc: 0,
    after: [
      [
        '0x40000100',
        '001000400000000001000000000000000000000000000000f07f000000000000002100400000000001000000000000000000000000000000f07f0000000000000100000000000000',
      ],
      ['0x40001000', '0400040000000000'],
      ['0x40002100', '3f00100000000000'],
    ],
    p2m_before: p2m(...start, null, null),
    p2m_after: p2m(...start.with(4, null as never), 0x10003f, null),
    pages_before: 7,
    pages_after: 7,
  },
  changed: [
    ['0x40000140', '00', '01'],
    ['0x40002100', '07', '3f'],
    ['0x40002102', '04', '10'],
  ],
  broken: [],
};

const pinnedMessage = 'pinned guest frame 0x40007 had frame 0x10003f behind it and now has frame 0x10003d';

/** A get, then a churn that moves the page it has pinned. */
export const churnStory: Counterexample = {
  replay: 'x1.rZHBaoQwEIbf5T_nkKi1kHufQkRSM6uBGGXi7griu5eou6ULe-ttYL5kvvlnxX1kb6FXGG57aBge8gw',
  scenario: { world, steps: [{ do: 'call' }, { do: 'churn', domid: 1, gfn: '0x40000', pages: 9 }] },
  step: 1,
  message: pinnedMessage,
  found: 17,
  story: [
    getPinned,
    {
      do: 'churn',
      domid: 1,
      p2m_before: p2m(...start.with(4, null as never), 0x10003f, null),
      p2m_after: p2m(0x800001, 0x800003, 0x10003e, 0x800002, null, 0xa0001, 0x800000, 0x10003d, null),
      lost: ['0x40003'],
      broken: [{ id: 'get-pinned', message: pinnedMessage }],
    },
  ],
};

const wide = Array.from({ length: 16 }, (_, i) => (i % 2 === 0 ? 0x800007 : 0xa0007) - Math.floor(i / 2));

const listMessage = 'entry 0 of the out list changed';

/** A get that is refused, and has written into its output list all the same. */
export const getStory: Counterexample = {
  replay: 'x1.pZLNbsMgEITfZc4cwCFOxL1PEVkRNWubCv8IrMRS5HevsB23ctM2Uk6sYGC',
  scenario: {
    world: {
      arch: 'arm64',
      domains: [{ domid: 1, privileged: false, ram: [{ gfn: '0x40000', pages: 16 }], holes: [{ gfn: '0x40010', pages: 16 }] }],
      free: { low: 64, high: 64 },
    },
    steps: [{ do: 'call' }],
  },
  step: 0,
  message: listMessage,
  found: 30,
  story: [
    {
      do: 'call',
      record: {
        seq: 1,
        ...setting,
        arch: 'arm64',
        cmd: 26,
        arg: '0x40000fc8',
        before: [
          [
            '0x40000fc8',
            '001800400000000004000000000000000100000000000000f07f000000000000f82f004000000000020000000000000002000000ff000000f07f0000000000000000000000000000',
          ],
          ['0x40001800', '0c000400000000000e0004000000000010000400000000000400040000000000'],
          ['0x40002ff8', '1c000400000000001400040000000000'],
        ],
        rc: -22,
        after: [
          [
            '0x40000fc8',
            '001800400000000004000000000000000100000000000000f07f000000000000f82f004000000000020000000000000002000000ff000000f07f0000000000000000000000000000',
          ],
          ['0x40001800', '0c000400000000000e0004000000000010000400000000000400040000000000'],
          ['0x40002ff8', '3c001000000000001400040000000000'],
        ],
        p2m_before: p2m(...wide),
        p2m_after: p2m(...wide),
      },
      inject: { preempt: 3 },
      changed: [
        ['0x40002ff8', '1c', '3c'],
        ['0x40002ffa', '04', '10'],
      ],
      broken: [
        { id: 'get-rest-untouched', message: listMessage },
        { id: 'no-stray-writes', message: listMessage },
      ],
    },
    { do: 'nothing', why: 'not reached', broken: [] },
  ],
};

function requirements(changes: { readonly [id: string]: Partial<RequirementResult> } = {}): RequirementResult[] {
  return ids.map((id) => ({ id, verdict: 'holds', exercised: 412, unknown: 96, violated: 0, ...changes[id] }));
}

const cells = {
  'orders: in < out': { count: 246, floor: 30 },
  'orders: in = out': { count: 334, floor: 30 },
  'extents: none': { count: 51, floor: 30 },
};

/** Everything holds. */
export const conformant: ConformanceResult = {
  verdict: 'conformant',
  level: 2,
  implementation: {
    name: 'toy',
    version: '1.2',
    arch: ['arm32', 'arm64'],
    commands: { get_dma_buf: 26, put_dma_buf: 27 },
    capabilities: ['churn', 'translate'],
    limits: { max_order: 9, max_extents: '0x3ffffff' },
  },
  seed: 1,
  arch: ['arm64', 'arm32'],
  runs: 5000,
  played: 5000,
  calls: 11_020,
  partial: false,
  requirements: requirements(),
  cells,
  readings: { 'late-fault': { 'part-way': 12, 'refused up front': 3 }, 'count-not-zero': { 'refused (-EINVAL)': 40 } },
  incidents: [],
  reasons: [],
  strength: { mutants: 149, budget: 600, seed: 1, extras: true, killed: ['never pins', 'counts pages'], survivors: [] },
};

/**
 * A churn and a get break it, one violation is expected, and the file of expectations has drifted.
 */
export const nonconformant: ConformanceResult = {
  ...conformant,
  verdict: 'nonconformant',
  demanded: 2,
  requirements: requirements({
    'get-pinned': { verdict: 'violated', violated: 223, exercised: 223, counterexample: churnStory },
    'get-rest-untouched': { verdict: 'violated', violated: 9, counterexample: getStory },
    'get-aligned': {
      verdict: 'violated',
      violated: 3,
      counterexample: { ...getStory, message: 'output extent 0 at frame 0xa0003 is not a multiple of 2^2', story: [] },
      expected: {
        requirement: 'get-aligned',
        fingerprint: 'output extent # at frame # is not a multiple of #^#',
        reason: 'the allocator of the old branch',
        link: 'https://example.org/issues/7',
        until: '2027-03-31',
      },
    },
    isolation: { verdict: 'unknown', exercised: 0, unknown: 412, excused: 'needs two domains' },
  }),
  reasons: ['get-rest-untouched is violated', 'get-pinned is violated', 'get-aligned is violated'],
  drift: ['get-pinned is violated, and no entry expects it'],
};

/** Interrupted, a shard, and too little seen. */
export const inconclusive: ConformanceResult = {
  ...conformant,
  verdict: 'inconclusive',
  level: 1,
  demanded: 2,
  played: 120,
  calls: 260,
  partial: true,
  shard: { index: 2, of: 4 },
  requirements: requirements({
    'get-pinned': { verdict: 'unknown', exercised: 0, unknown: 90, excused: 'needs the capability churn' },
    'put-works': { verdict: 'unknown', exercised: 11, unknown: 200 },
  }),
  cells: { ...cells, 'extents: none': { count: 2, floor: 30 } },
  incidents: [
    { kind: 'setup', found: 40, replay: 'x1.setup', message: 'no memory for domain 2' },
    {
      kind: 'flaky',
      found: 77,
      replay: 'x1.flaky',
      message: 'in step 1: it ended with signal SIGSEGV',
      evidence: ['stderr: mm.c:77: BUG_ON'],
    },
  ],
  reasons: [
    'level 2 is demanded, 1 can be seen',
    'interrupted after 120 of 5000 scenarios',
    'put-works was exercised 11 times, fewer than 30',
    'cell "extents: none" was reached 2 times, fewer than 30',
  ],
};

/** The implementation dies in a get. */
export const crashed: ConformanceResult = {
  ...conformant,
  verdict: 'nonconformant',
  requirements: requirements({
    survives: {
      verdict: 'violated',
      violated: 2,
      counterexample: {
        replay: 'x1.crash',
        scenario: { world, steps: [{ do: 'call' }, { do: 'call' }] },
        step: 0,
        message: 'the implementation broke in step 0: it ended with signal SIGSEGV',
        found: 3,
        story: [
          {
            do: 'nothing',
            why: 'the implementation broke here',
            broken: [{ id: 'survives', message: 'the implementation broke in step 0: it ended with signal SIGSEGV' }],
          },
          { do: 'nothing', why: 'not reached', broken: [] },
        ],
        evidence: ['it ended with signal SIGSEGV', 'toy: get_dma_buf: order 9', 'toy: mm.c:77: BUG_ON(pg == NULL)'],
      },
    },
  }),
  reasons: ['survives is violated'],
};

/** What foreign text may hold to break each of the forms. */
export const hostileText =
  ']]> \u0000\u001b[31m\r\n::error title=x::y %0A # SKIP TODO | `` ``` </details></script><script>alert(1)</script>' +
  '<img src=x onerror=alert(1)> "\'>&amp; \ud800 \udc00 \u2028 \u202e \ufffe [a](javascript:alert(1)) @root\n\nnot ok 99 forged\n1..0 # SKIP';

/** Every text from outside is hostile, and one is 100 KB long. */
export const hostile: ConformanceResult = {
  ...nonconformant,
  implementation: {
    name: hostileText,
    version: hostileText,
    arch: [hostileText],
    commands: { [hostileText]: 26 },
    capabilities: [hostileText],
    limits: { [hostileText]: hostileText },
  },
  arch: [hostileText],
  requirements: requirements({
    'get-pinned': {
      verdict: 'violated',
      violated: 1,
      counterexample: {
        ...churnStory,
        replay: hostileText,
        message: hostileText + 'x'.repeat(100_000),
        scenario: { world: { arch: hostileText, domains: [{ domid: hostileText, ram: [{ gfn: hostileText, pages: hostileText }] }] } },
        story: [
          getPinned,
          {
            do: 'call',
            record: { cmd: hostileText },
            changed: [[hostileText, hostileText, 'zz']],
            broken: [{ id: hostileText, message: hostileText }],
          },
          {
            do: 'churn',
            domid: 1,
            p2m_before: [[hostileText, '0x1']],
            p2m_after: [['0x40000', hostileText]],
            lost: [hostileText],
            broken: [{ id: 'get-pinned', message: hostileText }],
          },
          { do: 'nothing', why: hostileText, broken: [] },
        ],
        evidence: [hostileText, 'y'.repeat(100_000)],
      },
    },
    'get-aligned': {
      verdict: 'violated',
      violated: 1,
      counterexample: { ...getStory, message: hostileText },
      expected: { requirement: 'get-aligned', fingerprint: hostileText, reason: hostileText, link: `javascript:${hostileText}` },
    },
    'put-works': { verdict: 'unknown', excused: hostileText },
  }),
  cells: { [hostileText]: { count: 0, floor: 30 } },
  readings: { [hostileText]: { [hostileText]: 1 } },
  incidents: [{ kind: 'flaky', found: 1, replay: hostileText, message: hostileText, evidence: [hostileText, 'z'.repeat(100_000)] }],
  reasons: [hostileText],
  drift: [hostileText],
};

/** The same with these requirements alone, so that a test can hold all of what is expected. */
export function only(result: ConformanceResult, ...wanted: string[]): ConformanceResult {
  return {
    ...result,
    requirements: result.requirements.filter(({ id }) => wanted.includes(id)),
    reasons: result.reasons.filter((reason) => wanted.includes(reason.split(' ')[0] ?? '')),
  };
}
