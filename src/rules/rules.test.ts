import { describe, expect, it } from 'vitest';
import { observedCall } from '../trace/call.ts';
import { ARG, IN, OUT, type Stage, staged } from './call.stage.ts';
import { examples } from './examples.ts';
import { judge } from './judge.ts';
import { ruleOf, rules } from './table.ts';

const answer = (id: string, stage: Stage): string | undefined => judge(staged(stage))?.requirements.get(id)?.answer;
const findings = (stage: Stage) => judge(staged(stage))!.findings.filter((f) => f.blame === 'caller');

/** Frames 0x40, 0x41 exchanged for 0x50, 0x51, which got 0x900, 0x901. */
const done: Pick<Stage, 'returned' | 'p2m' | 'N' | 'rc'> = {
  rc: 0,
  N: 2n,
  returned: [0x900n, 0x901n],
  p2m: [
    [
      [0x40n, 0x80n],
      [0x41n, 0x81n],
      [0x50n, null],
      [0x51n, null],
    ],
    [
      [0x40n, null],
      [0x41n, null],
      [0x50n, 0x900n],
      [0x51n, 0x901n],
    ],
  ],
};
/** The same, stopped after the first page by -ENOMEM. */
const half: Pick<Stage, 'returned' | 'p2m' | 'N' | 'rc'> = {
  rc: -12,
  N: 1n,
  returned: [0x900n, 0x51n],
  p2m: [
    done.p2m![0],
    [
      [0x40n, null],
      [0x41n, 0x81n],
      [0x50n, 0x900n],
      [0x51n, null],
    ],
  ],
};
const p2mAfter = (change: [bigint, bigint | null][], base = done): Pick<Stage, 'p2m'> => ({
  p2m: [base.p2m![0], [...base.p2m![1], ...change]],
});

describe('the table', () => {
  it('has every id of SPEC, once', () => {
    const spec =
      'get-rc-zero-or-negative get-complete-count get-incomplete-nonzero get-partial-count get-mfns-returned get-partial-mfns get-new-pages get-populates-gpfns get-contiguous get-aligned get-address-limit get-inputs-released get-rest-untouched get-pinned get-in-untouched get-ignores-in-address-bits get-same-gfn get-refuses-domid-mismatch get-refuses-size-mismatch get-refuses-foreign-domid get-works put-unpins put-only-listed put-keeps-pages put-works put-rc-zero-or-negative put-in-untouched put-ignores-address-bits no-stray-writes frames-conserved isolation bad-address-fails bounded-work survives reservation-count reservation-list caller-handle-high-zero caller-list-aligned caller-order caller-self-only caller-padding-zero caller-domid-match caller-size-match caller-lists-disjoint caller-nr-exchanged-zero caller-out-distinct caller-out-not-later-input caller-struct-outside-extents caller-extent-aligned caller-address-bits caller-put-after-get caller-put-lists-gpfns'.split(
        ' ',
      );
    const ids = rules.map((r) => r.id);
    expect(spec.filter((id) => !ids.includes(id))).toEqual([]);
    expect(ids.filter((id) => examples[id] === undefined)).toEqual([]);
    expect(Object.keys(examples).filter((id) => ruleOf(id) === undefined)).toEqual([]);
  });

  it('knows which requirements bind whatever the caller did', () => {
    expect(rules.filter((r) => r.blame === 'hypervisor' && r.always).map((r) => r.id)).toEqual([
      'get-rc-zero-or-negative',
      'get-in-untouched',
      'get-refuses-domid-mismatch',
      'get-refuses-size-mismatch',
      'get-refuses-foreign-domid',
      'put-rc-zero-or-negative',
      'put-in-untouched',
      'no-stray-writes',
      'frames-conserved',
      'isolation',
      'bad-address-fails',
      'bounded-work',
      'survives',
    ]);
  });
});

describe('requirements on op 26', () => {
  it('a clean success and a clean partial success violate nothing', () => {
    for (const stage of [done, half]) {
      const judgement = judge(staged(stage))!;
      expect(judgement.findings).toEqual([]);
      expect([...judgement.requirements.values()].some((a) => a.answer === 'violated')).toBe(false);
    }
    const held = (stage: Stage) => [...judge(staged(stage))!.requirements].filter(([, a]) => a.answer === 'holds').map(([id]) => id);
    expect(held(done)).toEqual([
      'get-rc-zero-or-negative',
      'get-complete-count',
      'get-partial-count',
      'get-mfns-returned',
      'get-new-pages',
      'get-populates-gpfns',
      'get-contiguous',
      'get-aligned',
      'get-inputs-released',
      'get-in-untouched',
      'no-stray-writes',
    ]);
    expect(held(half)).toContain('get-rest-untouched');
    expect(held(half)).toContain('get-partial-mfns');
    expect(held(half)).toContain('get-incomplete-nonzero');
  });

  it.each<[string, string, Stage]>([
    ['get-rc-zero-or-negative', 'a positive count', { ...done, rc: 2 }],
    ['get-rc-zero-or-negative', 'ERESTART leaked', { ...done, rc: -85 }],
    ['get-rc-zero-or-negative', 'no errno', { ...done, rc: -200 }],
    ['get-complete-count', 'rc 0, one of two', { ...done, N: 1n }],
    ['get-incomplete-nonzero', 'rc 0, one of two', { ...done, N: 1n }],
    ['get-partial-count', 'three of two', { ...half, N: 3n }],
    [
      'get-partial-count',
      'three quarters of an output extent',
      { rc: -12, N: 3n, in: { list: [0x40n, 0x41n, 0x42n, 0x43n] }, out: { list: [0x50n], order: 2 } },
    ],
    [
      'get-partial-count',
      'any count where a chunk has 2^100 inputs',
      { rc: -12, N: 1n, in: { list: [0n, 0n], nr: 0n }, out: { list: [], order: 100 } },
    ],
    ['get-mfns-returned', 'the list still holds guest frames', { ...done, returned: [0x50n, 0x51n] }],
    ['get-mfns-returned', 'nothing is behind it', { ...done, ...p2mAfter([[0x51n, null]]) }],
    ['get-partial-mfns', 'the first entry was not written', { ...half, returned: [0x50n, 0x51n] }],
    ['get-new-pages', 'the old frame again', { ...done, ...p2mAfter([[0x50n, 0x80n]]) }],
    ['get-new-pages', 'a page lost', { ...done, more: { pagesBefore: 64, pagesAfter: 63 } }],
    ['get-populates-gpfns', 'an output page is a hole', { ...done, ...p2mAfter([[0x51n, null]]) }],
    ['get-inputs-released', 'an input page kept', { ...done, ...p2mAfter([[0x41n, 0x81n]]) }],
    ['get-inputs-released', 'the same frame put back', { ...done, out: { list: [0x40n, 0x51n] }, ...p2mAfter([[0x40n, 0x80n]]) }],
    ['get-rest-untouched', 'a later entry written', { ...half, returned: [0x900n, 0x901n] }],
    ['get-rest-untouched', 'a later input unmapped', { ...half, ...p2mAfter([[0x41n, null]], half) }],
    ['get-rest-untouched', 'a later output mapped', { ...half, ...p2mAfter([[0x51n, 0x901n]], half) }],
    ['get-in-untouched', 'nr_extents counted down', { ...done, scribble: { at: 8, after: 1 } }],
    ['get-in-untouched', 'padding written', { ...done, scribble: { at: 58, after: 1 } }],
    ['get-in-untouched', 'the input list written', { ...done, inAfter: [0x40n, 0x99n] }],
    ['no-stray-writes', 'a later entry written', { ...half, returned: [0x900n, 0x901n] }],
    ['get-refuses-domid-mismatch', 'accepted', { ...done, out: { list: [0x50n, 0x51n], domid: 1 } }],
    ['get-refuses-domid-mismatch', 'refused, but a byte changed', { rc: -22, N: 1n, out: { list: [0x50n, 0x51n], domid: 1 } }],
    ['get-refuses-size-mismatch', 'accepted', { ...done, out: { list: [0x50n, 0x51n, 0x52n] } }],
    ['get-refuses-size-mismatch', 'equal modulo 2^64', { rc: 0, N: 0n, in: { nr: 1n << 63n, order: 1, list: [] }, out: { list: [] } }],
    [
      'get-refuses-foreign-domid',
      'another domain',
      { ...done, in: { domid: 2 }, out: { domid: 2 }, more: { privileged: false, domid: 1 } },
    ],
    ['frames-conserved', 'one frame behind two pages', { ...done, ...p2mAfter([[0x51n, 0x900n]]) }],
    ['frames-conserved', 'pages gained', { ...done, more: { pagesBefore: 64, pagesAfter: 65 } }],
    ['bad-address-fails', 'a list that wraps', { rc: 0, N: 0n, out: { start: 0xffff_ffff_ffff_fff8n, list: [], nr: 2n } }],
    [
      'bad-address-fails',
      'a list that wraps at 2^32 on arm32',
      { arch: 'arm32', rc: 0, N: 0n, out: { start: 0xffff_fff8n, list: [], nr: 2n } },
    ],
    ['bad-address-fails', 'a struct in a hole', { ...done, more: { unmapped: [{ address: ARG, length: 8n }] } }],
    ['bad-address-fails', 'a list in a hole', { ...done, more: { unmapped: [{ address: OUT + 8n, length: 8n }] } }],
  ])('%s is violated: %s', (id, _case, stage) => {
    expect(answer(id, stage)).toBe('violated');
  });

  const big: Stage = {
    rc: 0,
    N: 4n,
    in: { list: [0x40n, 0x41n, 0x42n, 0x43n] },
    out: { list: [0x50n], order: 2, bits: 32 },
    returned: [0x900n],
    p2m: [[0x40n, 0x41n, 0x42n, 0x43n].map((g) => [g, g + 0x40n]), [0n, 1n, 2n, 3n].map((j) => [0x50n + j, 0x900n + j])],
  };
  it('judges a multi-page extent: contiguous, aligned, under the limit', () => {
    for (const id of ['get-contiguous', 'get-aligned', 'get-address-limit', 'get-populates-gpfns']) expect(answer(id, big)).toBe('holds');
    const scattered: [bigint, bigint][] = [[0x52n, 0x907n]];
    expect(answer('get-contiguous', { ...big, p2m: [big.p2m![0], [...big.p2m![1], ...scattered]] })).toBe('violated');
    expect(answer('get-aligned', { ...big, returned: [0x902n] })).toBe('violated');
    // 2^32 bytes are frames 0..0xfffff: an extent of four pages may start at 0xffffc but not at 0xffffd.
    expect(answer('get-address-limit', { ...big, returned: [0xffffcn] })).toBe('holds');
    expect(answer('get-address-limit', { ...big, returned: [0xffffdn] })).toBe('violated');
    expect(answer('get-address-limit', { ...big, out: { ...big.out!, bits: 12 } })).toBe('violated');
    expect(answer('get-address-limit', { ...big, out: { ...big.out!, bits: 0x120 } })).toBe('unknown');
    expect(answer('get-address-limit', { ...big, out: { ...big.out!, bits: 0 } })).toBe('unknown');
  });

  it.each<[string, string, Stage]>([
    ['get-complete-count', 'rc not captured', { ...done, rc: undefined }],
    ['get-complete-count', 'rc is not 0', half],
    ['get-incomplete-nonzero', 'all were exchanged', done],
    ['get-mfns-returned', 'no p2m', { ...done, p2m: [[], []] }],
    ['get-pinned', 'one call cannot show it', done],
    ['get-refuses-foreign-domid', 'privilege is not known', { ...done, in: { domid: 2 }, out: { domid: 2 } }],
    ['get-complete-count', "suspended by the caller's error", { ...done, N: 1n, entry: 1n }],
    ['get-rest-untouched', 'nothing is left over', done],
    ['isolation', 'no other domain was seen', done],
  ])('%s is unknown: %s', (id, _case, stage) => {
    expect(answer(id, stage)).toBe('unknown');
  });

  it('a caller’s error suspends what it makes meaningless, and no more', () => {
    const stage: Stage = { ...done, rc: 2, entry: 1n };
    expect(answer('get-complete-count', stage)).toBe('unknown');
    expect(answer('get-rc-zero-or-negative', stage)).toBe('violated');
  });

  it('a huge nr_exchanged reads past no list', () => {
    const stage: Stage = { rc: -22, entry: (1n << 64n) - 1n, N: (1n << 64n) - 1n };
    const judgement = judge(staged(stage))!;
    expect(judgement.findings.map((f) => f.id)).toEqual(['caller-nr-exchanged-zero']);
    expect(judgement.requirements.get('no-stray-writes')?.answer).toBe('holds');
  });

  it('a struct that was not captured makes unknowns', () => {
    const judgement = judge(observedCall(26, { arg: 0n, rc: -14 }))!;
    expect(judgement.findings).toEqual([]);
    expect([...judgement.requirements].filter(([, a]) => a.answer !== 'unknown').map(([id]) => id)).toEqual(['get-rc-zero-or-negative']);
  });

  it('orders of 2^32 - 1 are compared, never shifted', () => {
    const stage: Stage = { rc: -22, N: 0n, in: { order: 0xffff_ffff }, out: { order: 0xffff_ffff } };
    expect(judge(staged(stage))!.findings.map((f) => f.id)).toEqual(['caller-order', 'caller-order']);
    expect(answer('get-refuses-size-mismatch', { ...stage, out: { order: 0 } })).toBe('holds');
  });

  it('what was not an op of the patch is not judged', () => {
    expect(judge(observedCall(5))).toBeUndefined();
    expect(judge(observedCall(26, { profile: 'upstream' }))).toBeUndefined();
  });
});

describe('requirements on op 27', () => {
  const put: Stage = { op: 'put_dma_buf', rc: 0, in: { list: [0x50n, 0x51n] } };
  const mapped = (frames: [bigint, bigint][]): Pick<Stage, 'p2m'> => ({
    p2m: [
      [
        [0x50n, 0x900n],
        [0x51n, 0x901n],
      ],
      frames,
    ],
  });
  const kept = mapped([
    [0x50n, 0x900n],
    [0x51n, 0x901n],
  ]);
  it.each<[string, string, Stage]>([
    ['put-rc-zero-or-negative', 'holds', put],
    ['put-rc-zero-or-negative', 'violated', { ...put, rc: 2 }],
    ['put-in-untouched', 'holds', put],
    ['put-in-untouched', 'violated', { ...put, inAfter: [0x900n, 0x901n] }],
    ['put-in-untouched', 'violated', { ...put, scribble: { at: 8, after: 9 } }],
    ['put-keeps-pages', 'holds', { ...put, ...kept }],
    ['put-keeps-pages', 'unknown', put],
    ['put-keeps-pages', 'violated', { ...put, ...mapped([[0x51n, 0x907n]]) }],
    ['put-keeps-pages', 'violated', { ...put, ...kept, more: { pagesBefore: 64, pagesAfter: 62 } }],
    ['no-stray-writes', 'violated', { ...put, inAfter: [0x900n, 0x901n] }],
    ['put-unpins', 'unknown', { ...put, ...kept }],
    ['get-refuses-foreign-domid', 'violated', { ...put, in: { list: [0x50n], domid: 2 }, more: { privileged: false, domid: 1 } }],
    ['get-refuses-foreign-domid', 'holds', { ...put, rc: -1, in: { list: [0x50n], domid: 2 }, more: { privileged: false, domid: 1 } }],
  ])('%s %s', (id, expected, stage) => {
    expect(answer(id, stage)).toBe(expected);
  });
});

describe('ops 0, 1 and 6', () => {
  const populate: Stage = { op: 'populate_physmap', in: { list: [0x40n, 0x41n, 0x42n] }, rc: 3 };
  const pv: Stage = { ...populate, more: { translated: false } };
  it.each<[string, string, string, Stage]>([
    ['reservation-count', 'holds', 'all of them', populate],
    ['reservation-count', 'violated', 'more than asked', { ...populate, rc: 4 }],
    ['reservation-count', 'violated', 'below start', { ...populate, start: 2, rc: 1 }],
    ['reservation-count', 'holds', 'k of an early failure', { ...populate, start: 7, rc: 7 }],
    ['reservation-count', 'violated', 'no errno', { ...populate, rc: -200 }],
    ['reservation-count', 'holds', 'a known errno', { ...populate, rc: -22 }],
    ['reservation-list', 'holds', 'a translated guest is told nothing', populate],
    ['reservation-list', 'violated', 'an entry beyond rc', { ...populate, rc: 1, inAfter: [0x40n, 0x99n, 0x42n] }],
    ['reservation-list', 'violated', 'an entry before start', { ...populate, start: 1, inAfter: [0x99n, 0x41n, 0x42n] }],
    ['reservation-list', 'holds', 'PV: all entries written', { ...pv, inAfter: [0x90n, 0x91n, 0x92n] }],
    ['reservation-list', 'unknown', 'PV: an entry as before', { ...pv, inAfter: [0x90n, 0x91n, 0x42n] }],
    [
      'reservation-list',
      'violated',
      'decrease writes nothing',
      { ...populate, op: 'decrease_reservation', inAfter: [0x90n, 0x41n, 0x42n] },
    ],
    ['reservation-list', 'unknown', 'increase without a list', { op: 'increase_reservation', rc: 2, in: { start: 0n, list: [], nr: 2n } }],
    ['no-stray-writes', 'violated', 'the struct is written', { ...populate, scribble: { at: 8, after: 1 } }],
  ])('%s %s: %s', (id, expected, _case, stage) => {
    expect(answer(id, stage)).toBe(expected);
  });
});

describe('duties of the caller', () => {
  it.each<[string, string, Stage, Partial<{ where: string; bytes: [number, number]; message: string }>]>([
    [
      'caller-handle-high-zero',
      'arm32, stale stack above the pointer',
      { arch: 'arm32', in: { start: 0x6000_0100n | (0xdeadbeefn << 32n) } },
      { where: 'in.extent_start', bytes: [0, 8], message: "the handle's high half is 0xdeadbeef, not zero" },
    ],
    ['caller-list-aligned', 'a list at +3', { out: { start: OUT + 3n } }, { where: 'out.extent_start', bytes: [32, 40] }],
    ['caller-order', 'order 19', { in: { order: 19 }, out: { order: 19 } }, { where: 'in.extent_order', bytes: [16, 20] }],
    [
      'caller-self-only',
      'its own number',
      { in: { domid: 1 }, out: { domid: 1 }, more: { privileged: false, domid: 1 } },
      { where: 'in.domid' },
    ],
    [
      'caller-padding-zero',
      'one byte',
      { scribble: { at: 27, before: 0xa5 } },
      { where: 'in.padding', bytes: [26, 32], message: 'padding is 00 a5 00 00 00 00, not zero' },
    ],
    ['caller-domid-match', 'DOMID_SELF beside a number', { out: { domid: 0 } }, { message: 'in.domid is DOMID_SELF, out.domid is 0' }],
    ['caller-size-match', 'two for three', { out: { list: [0x50n, 0x51n, 0x52n] } }, { where: 'out.nr_extents', bytes: [40, 48] }],
    ['caller-lists-disjoint', 'one array for both', { out: { start: IN } }, { where: 'out.extent_start' }],
    [
      'caller-lists-disjoint',
      'a list over the struct',
      { in: { start: ARG + 64n } },
      { message: 'the in list 0x60000040..0x60000050 overlaps the struct 0x60000000..0x60000048' },
    ],
    [
      'caller-lists-disjoint',
      'a list that wraps',
      { in: { start: 0xffff_ffff_ffff_fff8n, list: [], nr: 2n } },
      { where: 'in.extent_start' },
    ],
    ['caller-nr-exchanged-zero', 'not cleared', { entry: 1n }, { where: 'nr_exchanged', bytes: [64, 72] }],
    [
      'caller-out-distinct',
      'one output twice',
      { out: { list: [0x50n, 0x50n] } },
      { message: 'extents 0 and 1 of the out list overlap at frame 0x50' },
    ],
    [
      'caller-out-distinct',
      'inputs overlap',
      { in: { list: [0x40n, 0x41n], order: 1 }, out: { order: 1, list: [0x50n, 0x60n] } },
      { where: 'in.extent_start' },
    ],
    [
      'caller-out-not-later-input',
      'output 0 is input 1',
      { out: { list: [0x41n, 0x51n] } },
      { message: 'output extent 0 overlaps input extent 1 of a later chunk' },
    ],
    [
      'caller-struct-outside-extents',
      'the list lies in a page given away',
      { in: { list: [0x60000n, 0x41n] }, more: { space: 'physical' } },
      { where: 'in.extent_start' },
    ],
    [
      'caller-extent-aligned',
      'order 1 at an odd frame',
      { in: { list: [0x41n, 0x43n], order: 1 }, out: { list: [0x50n, 0x52n], order: 1 } },
      { where: 'in.extent_start' },
    ],
    ['caller-address-bits', '12', { out: { bits: 12 } }, { message: 'no frame lies below 2^12 bytes' }],
    ['caller-address-bits', '0x220', { out: { bits: 0x220 } }, { message: '0x220 spills past bit 7: Xen reads node 1 there' }],
  ])('%s: %s', (id, _case, stage, expected) => {
    const found = findings({ rc: -22, N: 0n, ...stage }).filter((f) => f.id === id);
    expect(found[0]).toMatchObject({ id, blame: 'caller', severity: ruleOf(id)!.severity, ...expected });
  });

  it.each<[string, Stage]>([
    ['a clean call', {}],
    ['the real client: one frame in both lists', { out: { list: [0x40n, 0x41n] } }],
    ['an output that an earlier chunk released', { in: { list: [0x40n, 0x41n] }, out: { list: [0x50n, 0x40n] } }],
    ['empty lists anywhere', { in: { list: [], start: ARG }, out: { list: [], start: ARG } }],
    ['a PV guest, whose inputs are machine frames', { out: { list: [0x41n, 0x51n] }, more: { translated: false } }],
    ['duplicates for decrease', { op: 'decrease_reservation', in: { list: [0x40n, 0x40n] } }],
    ['the last list that fits the address space', { in: { start: 0xffff_ffff_ffff_fff0n, list: [], nr: 2n } }],
  ])('nothing is found in %s', (_case, stage) => {
    expect(findings({ rc: -22, N: 0n, ...stage })).toEqual([]);
  });
});
