import { describe, expect, it } from 'vitest';
import { unknownMemory } from '../guest/memory.ts';
import { observedCall } from '../trace/call.ts';
import { ARG, IN, type Stage, said, staged, structOnly } from './call.stage.ts';
import { before, big, done, half, refused } from './exchange.stage.ts';
import { judge } from './judge.ts';

const foreign: Stage = { ...done, in: { domid: 2 }, out: { domid: 2 }, more: { privileged: false, domid: 1 } };

describe('op 26', () => {
  it.each<[string, Stage, string[]]>([
    [
      'a success',
      done,
      [
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
      ],
    ],
    [
      'a partial success',
      half,
      [
        'get-rc-zero-or-negative',
        'get-incomplete-nonzero',
        'get-partial-count',
        'get-partial-mfns',
        'get-new-pages',
        'get-populates-gpfns',
        'get-contiguous',
        'get-aligned',
        'get-inputs-released',
        'get-rest-untouched',
        'get-in-untouched',
        'no-stray-writes',
      ],
    ],
    [
      'a refusal',
      refused,
      [
        'get-rc-zero-or-negative',
        'get-incomplete-nonzero',
        'get-partial-count',
        'get-rest-untouched',
        'get-in-untouched',
        'no-stray-writes',
      ],
    ],
  ])('%s violates nothing, and shows what it shows', (_case, stage, shown) => {
    const { findings, requirements } = judge(staged(stage))!;
    expect(findings).toEqual([]);
    expect([...requirements].filter(([, a]) => a.answer !== 'unknown')).toEqual(shown.map((id) => [id, { answer: 'holds' }]));
  });

  it.each<[string, string, Stage, string]>([
    ['get-rc-zero-or-negative', 'a positive count', { ...done, rc: 2 }, 'violated: rc is 2: positive'],
    ['get-rc-zero-or-negative', 'ERESTART leaked', { ...done, rc: -85 }, 'violated: rc is -85 (-ERESTART): internal to the hypervisor'],
    ['get-rc-zero-or-negative', 'EINTR leaked', { ...done, rc: -4 }, 'violated: rc is -4 (-EINTR): internal to the hypervisor'],
    ['get-rc-zero-or-negative', 'no errno', { ...done, rc: -200 }, "violated: rc is -200: no errno of Xen's public errno.h"],
    ['get-rc-zero-or-negative', 'an errno', refused, 'holds'],
    ['get-rc-zero-or-negative', 'no rc', { ...done, rc: undefined }, 'unknown: not captured: rc'],
    ['get-complete-count', 'rc 0, one of two', { ...done, N: 1n }, 'violated: rc is 0 but nr_exchanged is 1 of 2 [nr_exchanged 64..72]'],
    ['get-complete-count', 'no rc', { ...done, rc: undefined }, 'unknown: not captured: rc'],
    ['get-complete-count', 'rc is not 0', half, 'unknown: not exercised by this call'],
    [
      'get-complete-count',
      'the count not captured',
      { ...done, more: { after: unknownMemory } },
      'unknown: not captured: the struct after the call',
    ],
    ['get-complete-count', "suspended by the caller's error", { ...done, N: 1n, entry: 1n }, "unknown: suspended by the caller's error"],
    [
      'get-incomplete-nonzero',
      'rc 0, one of two',
      { ...done, N: 1n },
      'violated: nr_exchanged is 1 of 2 but rc is 0 [nr_exchanged 64..72]',
    ],
    ['get-incomplete-nonzero', 'all were exchanged', done, 'unknown: not exercised by this call'],
    ['get-incomplete-nonzero', 'no rc', { ...half, rc: undefined }, 'unknown: not captured: rc'],
    [
      'get-incomplete-nonzero',
      'the count not captured',
      { ...done, more: { after: unknownMemory } },
      'unknown: not captured: the struct after the call',
    ],
    [
      'get-partial-count',
      'three of two',
      { ...half, N: 3n },
      'violated: nr_exchanged is 3, more than the 2 input extents [nr_exchanged 64..72]',
    ],
    ['get-partial-count', 'all of them', done, 'holds'],
    [
      'get-partial-count',
      'three quarters of an output extent',
      { ...big, rc: -12, N: 3n },
      'violated: nr_exchanged is 3, not a multiple of the 4 input extents of a chunk [nr_exchanged 64..72]',
    ],
    ['get-partial-count', 'a chunk', { ...big, rc: -12 }, 'holds'],
    ['get-partial-count', 'nothing of nothing, in chunks of 2^64', { N: 0n, in: { list: [] }, out: { list: [], order: 64 } }, 'holds'],
    [
      'get-partial-count',
      'a chunk of 2^63 inputs',
      { rc: -12, N: 3n, in: { list: [], nr: 1n << 63n, order: 1 }, out: { list: [], nr: 1n, order: 64 } },
      "unknown: suspended by the caller's error",
    ],
    ['get-partial-count', 'no rc', { ...half, rc: undefined }, 'unknown: not captured: rc'],
    [
      'get-partial-count',
      'any count where a chunk has 2^100 inputs',
      { rc: -12, N: 1n, in: { list: [0n, 0n], nr: 0n }, out: { list: [], order: 100 } },
      'violated: nr_exchanged is 1, more than the 0 input extents [nr_exchanged 64..72]',
    ],
    [
      'get-partial-count',
      'a part of 2^64 inputs',
      { rc: -12, N: 1n, in: { list: [0n], nr: 1n }, out: { list: [], order: 64 } },
      "unknown: suspended by the caller's error",
    ],
    ['get-aligned', 'a multiple of four', big, 'holds'],
    [
      'get-aligned',
      'no multiple of four',
      { ...big, returned: [0x902n] },
      'violated: frame 0x902 of output extent 0 is not a multiple of 2^2',
    ],
    ['get-aligned', 'nothing was exchanged', refused, 'unknown: not exercised by this call'],
    ['get-aligned', 'the list not captured', { ...done, more: structOnly(done) }, 'unknown: not captured: the out list after the call'],
    // 2^32 bytes are frames 0..0xfffff: an extent of four pages may start at 0xffffc but not at
    // 0xffffd.
    ['get-address-limit', 'the last extent below 4 GiB', { ...big, returned: [0xffffcn] }, 'holds'],
    [
      'get-address-limit',
      'an extent across 4 GiB',
      { ...big, returned: [0xffffdn] },
      'violated: output extent 0 at frame 0xffffd does not end below 2^32 bytes',
    ],
    [
      'get-address-limit',
      'no frame lies so low',
      { ...big, out: { ...big.out!, bits: 12 } },
      'violated: output extent 0 at frame 0x900 does not end below 2^12 bytes',
    ],
    ['get-address-limit', 'the one frame below 2^12 bytes', { ...done, out: { bits: 12 }, returned: [0n, 0n] }, 'holds'],
    [
      'get-address-limit',
      'half of it',
      { ...done, out: { bits: 11 }, returned: [0n, 0n] },
      'violated: output extent 0 at frame 0x0 does not end below 2^11 bytes',
    ],
    ['get-address-limit', 'the frames that lie so low', { ...done, out: { bits: 13 }, returned: [0n, 1n] }, 'holds'],
    ['get-address-limit', 'two frames below 2^14', { ...done, out: { bits: 14 }, returned: [0n, 3n] }, 'holds'],
    [
      'get-address-limit',
      'an extent of 2^64 pages, by a machine that does such',
      { N: 1n, in: { list: [0x40n], order: 64 }, out: { list: [0x40n], order: 64, bits: 32 }, returned: [0n] },
      'violated: output extent 0 at frame 0x0 does not end below 2^32 bytes',
    ],
    ['get-address-limit', 'the largest limit', { ...big, out: { ...big.out!, bits: 255 } }, 'holds'],
    [
      'get-address-limit',
      'node bits',
      { ...big, out: { ...big.out!, bits: 256 } },
      'unknown: address_bits above 255 spills into node bits',
    ],
    ['get-address-limit', 'none asked for', { ...big, out: { ...big.out!, bits: 0 } }, 'unknown: not exercised by this call'],
    [
      'get-in-untouched',
      'nr_extents counted down',
      { ...done, scribble: { at: 8, after: 1 } },
      'violated: bytes 8..9 of the struct changed [in.nr_extents 8..9]',
    ],
    [
      'get-in-untouched',
      'padding written',
      { ...done, scribble: { at: 58, after: 1 } },
      'violated: bytes 58..59 of the struct changed [out.padding 58..59]',
    ],
    [
      'get-in-untouched',
      'the last byte before nr_exchanged',
      { ...done, scribble: { at: 63, after: 1 } },
      'violated: bytes 63..64 of the struct changed [out.padding 63..64]',
    ],
    ['get-in-untouched', 'the input list written', { ...done, inAfter: [0x40n, 0x99n] }, 'violated: entry 1 of the in list changed'],
    ['get-in-untouched', 'the output list written', { ...refused, returned: [0x900n, 0x901n] }, 'holds'],
    [
      'get-in-untouched',
      'a byte of a struct that was not captured',
      { ...done, more: { before: unknownMemory, changes: [{ address: ARG, length: 1n }] } },
      'violated: bytes 0..1 of the struct changed [in.extent_start 0..1]',
    ],
    [
      'get-in-untouched',
      'one array for both lists',
      { ...done, out: { start: IN, list: [0x40n, 0x41n] }, inAfter: [0x900n, 0x901n] },
      'holds',
    ],
    [
      'get-in-untouched',
      'nr_exchanged and the bytes behind the struct',
      { ...done, more: { changes: [{ address: ARG + 64n, length: 16n }] } },
      'holds',
    ],
    ['get-in-untouched', 'no struct', { more: { arg: undefined } }, "unknown: not captured: the struct's address"],
    ['get-pinned', 'one call cannot show it', done, 'unknown: one call cannot show it'],
    [
      'get-refuses-domid-mismatch',
      'accepted',
      { ...done, out: { domid: 1 } },
      'violated: in.domid is DOMID_SELF and out.domid is 1, but rc is 0',
    ],
    [
      'get-refuses-domid-mismatch',
      'refused, but a byte changed',
      { ...refused, N: 1n, out: { domid: 1 } },
      'violated: in.domid is DOMID_SELF and out.domid is 1; refused with -EINVAL, but bytes 64..65 of the struct changed [nr_exchanged 64..65]',
    ],
    [
      'get-refuses-domid-mismatch',
      'refused, but a page unmapped',
      { ...refused, out: { domid: 1 }, p2m: [before, [...before, [0x41n, null]]] },
      'violated: in.domid is DOMID_SELF and out.domid is 1; refused with -EINVAL, but guest frame 0x41 had frame 0x81 behind it and now has no frame',
    ],
    [
      'get-refuses-domid-mismatch',
      'refused, and a page moved, which is no change',
      { ...refused, out: { domid: 1 }, p2m: [before, [...before, [0x41n, 0x99n]]] },
      'holds',
    ],
    [
      'get-refuses-domid-mismatch',
      'refused, but a page lost',
      { ...refused, out: { domid: 1 }, more: { pagesBefore: 2, pagesAfter: 1 } },
      'violated: in.domid is DOMID_SELF and out.domid is 1; refused with -EINVAL, but the domain owned 2 pages before and 1 after',
    ],
    ['get-refuses-domid-mismatch', 'refused', { ...refused, out: { domid: 1 }, more: { pagesBefore: 2, pagesAfter: 2 } }, 'holds'],
    [
      'get-refuses-domid-mismatch',
      'refused with no errno',
      { ...refused, rc: -200, N: 1n, out: { domid: 1 } },
      'violated: in.domid is DOMID_SELF and out.domid is 1; refused with -200, but bytes 64..65 of the struct changed [nr_exchanged 64..65]',
    ],
    [
      'get-refuses-domid-mismatch',
      'refused, pages counted only before',
      { ...refused, out: { domid: 1 }, more: { pagesBefore: 2 } },
      'holds',
    ],
    [
      'get-refuses-domid-mismatch',
      'refused, pages counted only after',
      { ...refused, out: { domid: 1 }, more: { pagesAfter: 2 } },
      'holds',
    ],
    ['get-refuses-domid-mismatch', 'no rc', { ...refused, rc: undefined, out: { domid: 1 } }, 'unknown: not captured: rc'],
    ['get-refuses-domid-mismatch', 'equal', refused, 'unknown: not exercised by this call'],
    [
      'get-refuses-domid-mismatch',
      'nothing asked for',
      { ...refused, rc: 0, in: { list: [] }, out: { domid: 1, list: [] } },
      'unknown: not exercised by this call',
    ],
    [
      'get-refuses-domid-mismatch',
      'only outputs asked for',
      { ...refused, rc: 0, in: { list: [] }, out: { domid: 1 } },
      'violated: in.domid is DOMID_SELF and out.domid is 1, but rc is 0',
    ],
    ['get-refuses-domid-mismatch', 'no struct', { more: { arg: undefined } }, 'unknown: not captured: the struct before the call'],
    [
      'get-refuses-size-mismatch',
      'accepted',
      { ...done, out: { list: [0x50n, 0x51n, 0x52n] } },
      'violated: 2 << 0 pages go in and 3 << 0 come out, but rc is 0',
    ],
    [
      'get-refuses-size-mismatch',
      'equal modulo 2^64',
      { rc: 0, N: 0n, in: { nr: 1n << 63n, order: 1, list: [] }, out: { list: [] } },
      'violated: 9223372036854775808 << 1 pages go in and 0 << 0 come out, but rc is 0',
    ],
    [
      'get-refuses-size-mismatch',
      'orders of 2^32 - 1, equal',
      { ...refused, in: { order: 0xffff_ffff }, out: { order: 0xffff_ffff } },
      'unknown: not exercised by this call',
    ],
    ['get-refuses-size-mismatch', 'an order of 2^32 - 1 against 0', { ...refused, in: { order: 0xffff_ffff } }, 'holds'],
    ['get-refuses-size-mismatch', 'no struct', { more: { arg: undefined } }, 'unknown: not captured: the struct before the call'],
    ['get-refuses-foreign-domid', 'another domain', foreign, 'violated: domain 1 is unprivileged and names 2, but rc is 0'],
    [
      'get-refuses-foreign-domid',
      'another domain by one of the two',
      { ...foreign, in: {} },
      'violated: domain 1 is unprivileged and names 2, but rc is 0',
    ],
    [
      'get-refuses-foreign-domid',
      'a special number',
      { ...foreign, in: { domid: 0x7ff1 } },
      'violated: domain 1 is unprivileged and names DOMID_IO, but rc is 0',
    ],
    ['get-refuses-foreign-domid', 'another domain, refused', { ...foreign, ...refused, returned: [0x50n, 0x51n] }, 'holds'],
    [
      'get-refuses-foreign-domid',
      'its own number',
      { ...foreign, more: { privileged: false, domid: 2 } },
      'unknown: not exercised by this call',
    ],
    ['get-refuses-foreign-domid', 'DOMID_SELF', { ...done, more: { privileged: false, domid: 1 } }, 'unknown: not exercised by this call'],
    [
      'get-refuses-foreign-domid',
      'privileged',
      { ...foreign, more: { privileged: true, domid: 1 } },
      'unknown: not exercised by this call',
    ],
    [
      'get-refuses-foreign-domid',
      'privilege not known',
      { ...foreign, more: { domid: 1 } },
      'unknown: not captured: whether the caller is privileged',
    ],
    [
      'get-refuses-foreign-domid',
      'caller not known',
      { ...foreign, more: { privileged: false } },
      "unknown: not captured: the caller's domid",
    ],
    [
      'get-refuses-foreign-domid',
      'no struct',
      { more: { privileged: false, domid: 1, arg: undefined } },
      'unknown: not captured: the struct before the call',
    ],
    [
      'get-refuses-foreign-domid',
      'nothing asked for',
      { ...foreign, N: 0n, in: { domid: 2, list: [] }, out: { domid: 2, list: [] } },
      'unknown: not exercised by this call',
    ],
    ['get-works', 'one call cannot show it', done, 'unknown: one call cannot show it'],
  ])('%s: %s', (id, _case, stage, expected) => {
    expect(said(id, stage)).toBe(expected);
  });

  it('a caller’s error suspends what it makes meaningless, and no more', () => {
    const stage: Stage = { ...done, rc: 2, entry: 1n };
    expect([said('get-complete-count', stage), said('get-rc-zero-or-negative', stage)]).toEqual([
      "unknown: suspended by the caller's error",
      'violated: rc is 2: positive',
    ]);
  });

  it('a huge nr_exchanged reads past no list', () => {
    const judgement = judge(staged({ rc: -22, entry: (1n << 64n) - 1n, N: (1n << 64n) - 1n }))!;
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
  });
});
