import { describe, expect, it } from 'vitest';
import { unknownMemory } from '../guest/memory.ts';
import { ARG, IN, OUT, type Stage, said, staged, structOnly } from './call.stage.ts';
import { judge } from './judge.ts';

const refused: Stage = { rc: -22, N: 0n };
const unseen: Stage = { ...refused, more: { arg: undefined, before: unknownMemory } };
const listless: Stage = { ...refused, more: structOnly(refused) };
const put: Stage = { ...refused, op: 'put_dma_buf' };
const physical: Stage = { ...refused, more: { space: 'physical', domid: 1 } };
const physicalPut: Stage = { ...physical, op: 'put_dma_buf' };
const inOut = (ins: bigint[], outs: bigint[], oi = 0, oo = 0): Stage => ({
  ...refused,
  in: { list: ins, order: oi },
  out: { list: outs, order: oo },
});
const end = 0xffff_ffff_ffff_fff8n;

describe('duties of the caller', () => {
  it.each<[string, string, Stage, string]>([
    [
      'caller-handle-high-zero',
      'arm32, stale stack above the pointer',
      { ...refused, arch: 'arm32', in: { start: IN | (0xdeadbeefn << 32n) } },
      "violated: the handle's high half is 0xdeadbeef, not zero [in.extent_start 0..8]",
    ],
    [
      'caller-handle-high-zero',
      'arm32, both',
      { ...refused, arch: 'arm32', in: { start: IN | (1n << 32n) }, out: { start: OUT | (2n << 32n) } },
      "violated: the handle's high half is 0x1, not zero [in.extent_start 0..8]; the handle's high half is 0x2, not zero [out.extent_start 32..40]",
    ],
    ['caller-handle-high-zero', 'arm32, clean', { ...refused, arch: 'arm32' }, 'holds'],
    ['caller-handle-high-zero', 'arm32, not captured', { ...unseen, arch: 'arm32' }, 'unknown: not captured: the struct before the call'],
    ['caller-handle-high-zero', 'arm64', refused, 'unknown: a handle has no unused half here'],
    [
      'caller-list-aligned',
      'a list at +3',
      { ...refused, out: { start: OUT + 3n } },
      'violated: the list at 0x60000203 is not 8-aligned [out.extent_start 32..40]',
    ],
    [
      'caller-list-aligned',
      'a list at +4',
      { ...refused, in: { start: IN + 4n } },
      'violated: the list at 0x60000104 is not 8-aligned [in.extent_start 0..8]',
    ],
    ['caller-list-aligned', 'aligned', refused, 'holds'],
    ['caller-list-aligned', 'not captured', unseen, 'unknown: not captured: the struct before the call'],
    [
      'caller-order',
      'order 19',
      { ...refused, in: { order: 19 }, out: { order: 19 } },
      'violated: order 19 is above 18 [in.extent_order 16..20]; order 19 is above 18 [out.extent_order 48..52]',
    ],
    ['caller-order', 'order 18', { ...refused, in: { order: 18 }, out: { order: 18 } }, 'holds'],
    ['caller-order', 'not captured', unseen, 'unknown: not captured: the struct before the call'],
    [
      'caller-order',
      'of op 6, which has no in and out',
      { op: 'populate_physmap', in: { order: 19 } },
      'violated: order 19 is above 18 [extent_order 16..20]',
    ],
    [
      'caller-self-only',
      'its own number',
      { ...refused, in: { domid: 1 }, out: { domid: 1 }, more: { privileged: false, domid: 1 } },
      'violated: an unprivileged domain names 1 [in.domid 24..26]; an unprivileged domain names 1 [out.domid 56..58]',
    ],
    [
      'caller-self-only',
      'a special number',
      { ...put, in: { domid: 0x7ff1 }, more: { privileged: false } },
      'violated: an unprivileged domain names DOMID_IO [in.domid 24..26]',
    ],
    ['caller-self-only', 'DOMID_SELF', { ...refused, more: { privileged: false } }, 'holds'],
    ['caller-self-only', 'privileged', { ...refused, in: { domid: 1 }, more: { privileged: true } }, 'holds'],
    ['caller-self-only', 'privilege not known', refused, 'unknown: not captured: whether the caller is privileged'],
    [
      'caller-self-only',
      'not captured',
      { ...unseen, more: { ...unseen.more, privileged: false } },
      'unknown: not captured: the struct before the call',
    ],
    [
      'caller-padding-zero',
      'one byte',
      { ...refused, scribble: { at: 27, before: 0xa5 } },
      'violated: padding is 00 a5 00 00 00 00, not zero [in.padding 26..32]',
    ],
    [
      'caller-padding-zero',
      'the last byte of out',
      { ...refused, scribble: { at: 63, before: 1 } },
      'violated: padding is 00 00 00 00 00 01, not zero [out.padding 58..64]',
    ],
    [
      'caller-padding-zero',
      'of op 6',
      { op: 'populate_physmap', scribble: { at: 26, before: 1 } },
      'violated: padding is 01 00 00 00 00 00, not zero [padding 26..32]',
    ],
    ['caller-padding-zero', 'clean', refused, 'holds'],
    ['caller-padding-zero', 'not captured', unseen, 'unknown: not captured: the struct before the call'],
    [
      'caller-domid-match',
      'DOMID_SELF beside a number',
      { ...refused, out: { domid: 0 } },
      'violated: in.domid is DOMID_SELF, out.domid is 0 [out.domid 56..58]',
    ],
    ['caller-domid-match', 'equal', refused, 'holds'],
    ['caller-domid-match', 'not captured', unseen, 'unknown: not captured: the struct before the call'],
    [
      'caller-size-match',
      'two for three',
      { ...refused, out: { list: [0x50n, 0x51n, 0x52n] } },
      'violated: in is 2 << 0 pages, out is 3 << 0 [out.nr_extents 40..48]',
    ],
    ['caller-size-match', 'two of order 0 for one of order 1', inOut([0x40n, 0x41n], [0x50n], 0, 1), 'holds'],
    ['caller-size-match', 'not captured', unseen, 'unknown: not captured: the struct before the call'],
    [
      'caller-lists-disjoint',
      'one array for both',
      { ...refused, out: { start: IN } },
      'violated: the out list 0x60000100..0x60000110 overlaps the in list 0x60000100..0x60000110 [out.extent_start 32..40]',
    ],
    ['caller-lists-disjoint', 'side by side', { ...refused, out: { start: IN + 16n } }, 'holds'],
    [
      'caller-lists-disjoint',
      'an entry in common',
      { ...refused, out: { start: IN + 8n } },
      'violated: the out list 0x60000108..0x60000118 overlaps the in list 0x60000100..0x60000110 [out.extent_start 32..40]',
    ],
    [
      'caller-lists-disjoint',
      'a list over the struct',
      { ...refused, in: { start: ARG + 64n } },
      'violated: the in list 0x60000040..0x60000050 overlaps the struct 0x60000000..0x60000048 [in.extent_start 0..8]',
    ],
    ['caller-lists-disjoint', 'a list right behind the struct', { ...refused, in: { start: ARG + 72n } }, 'holds'],
    [
      'caller-lists-disjoint',
      'both lists over the struct',
      { ...refused, in: { start: ARG + 56n }, out: { start: ARG + 64n } },
      'violated: the in list 0x60000038..0x60000048 overlaps the struct 0x60000000..0x60000048 [in.extent_start 0..8]; the out list 0x60000040..0x60000050 overlaps the struct 0x60000000..0x60000048 [out.extent_start 32..40]; the out list 0x60000040..0x60000050 overlaps the in list 0x60000038..0x60000048 [out.extent_start 32..40]',
    ],
    [
      'caller-lists-disjoint',
      'a list that wraps',
      { ...refused, in: { start: end, list: [], nr: 2n } },
      'violated: the list of 2 entries at 0xfffffffffffffff8 runs past the end of the address space [in.extent_start 0..8]',
    ],
    [
      'caller-lists-disjoint',
      'put: a list over the struct',
      { ...put, in: { start: ARG + 24n } },
      'violated: the in list 0x60000018..0x60000028 overlaps the struct 0x60000000..0x60000020 [in.extent_start 0..8]',
    ],
    [
      'caller-lists-disjoint',
      'the address of the struct not known',
      { ...refused, more: { arg: undefined, argument: staged(refused).before.read(ARG, 72) } },
      'unknown: not captured: the struct before the call',
    ],
    [
      'caller-lists-disjoint',
      'the address of the struct not known, and both lists empty',
      { ...refused, more: { arg: undefined, argument: new Uint8Array(72) } },
      'holds',
    ],
    [
      'caller-lists-disjoint',
      'not captured',
      { ...refused, more: { before: unknownMemory } },
      'unknown: not captured: the struct before the call',
    ],
    [
      'caller-nr-exchanged-zero',
      'not cleared',
      { ...refused, entry: 17n },
      'violated: nr_exchanged is 0x11 on entry [nr_exchanged 64..72]',
    ],
    ['caller-nr-exchanged-zero', 'cleared', refused, 'holds'],
    ['caller-nr-exchanged-zero', 'not captured', unseen, 'unknown: not captured: the struct before the call'],
    [
      'caller-out-distinct',
      'one output twice',
      inOut([0x40n, 0x41n], [0x50n, 0x50n]),
      'violated: extents 0 and 1 of the out list overlap at frame 0x50 [out.extent_start 32..40]',
    ],
    [
      'caller-out-distinct',
      'inputs overlap',
      inOut([0x40n, 0x41n], [0x50n, 0x60n], 1, 1),
      'violated: extents 0 and 1 of the in list overlap at frame 0x41 [in.extent_start 0..8]',
    ],
    ['caller-out-distinct', 'inputs side by side', inOut([0x42n, 0x40n], [0x50n, 0x60n], 1, 1), 'holds'],
    [
      'caller-out-distinct',
      'the first of three, listed last',
      inOut([0x40n, 0x44n, 0x41n], [0x50n, 0x60n, 0x70n], 1, 1),
      'violated: extents 0 and 2 of the in list overlap at frame 0x41 [in.extent_start 0..8]',
    ],
    ['caller-out-distinct', 'the lists not captured', listless, 'unknown: not captured: the in list before the call'],
    ['caller-out-distinct', 'not captured', unseen, 'unknown: not captured: the struct before the call'],
    [
      'caller-out-not-later-input',
      'output 0 is input 1',
      inOut([0x40n, 0x41n], [0x41n, 0x51n]),
      'violated: output extent 0 overlaps input extent 1 of a later chunk [out.extent_start 32..40]',
    ],
    ['caller-out-not-later-input', 'output 1 is input 1', inOut([0x40n, 0x41n], [0x50n, 0x41n]), 'holds'],
    ['caller-out-not-later-input', 'output 1 is input 0', inOut([0x40n, 0x41n], [0x50n, 0x40n]), 'holds'],
    ['caller-out-not-later-input', 'an output of order 1 over inputs of its own chunk', inOut([0x40n, 0x41n], [0x40n], 0, 1), 'holds'],
    [
      'caller-out-not-later-input',
      'one over the third input',
      inOut([0x40n, 0x41n, 0x42n, 0x43n], [0x42n, 0x50n], 0, 1),
      'violated: output extent 0 overlaps input extent 2 of a later chunk [out.extent_start 32..40]',
    ],
    [
      'caller-out-not-later-input',
      'one over the second half of a later input',
      inOut([0x40n, 0x42n], [0x43n, 0x51n, 0x52n, 0x53n], 1, 0),
      'violated: output extent 0 overlaps input extent 1 of a later chunk [out.extent_start 32..40]',
    ],
    ['caller-out-not-later-input', 'one behind a later input', inOut([0x40n, 0x42n], [0x44n, 0x51n, 0x52n, 0x53n], 1, 0), 'holds'],
    [
      'caller-out-not-later-input',
      'among many inputs',
      inOut([0x44n, 0x40n, 0x42n, 0x46n], [0x50n, 0x52n, 0x46n, 0x54n], 1, 1),
      'violated: output extent 2 overlaps input extent 3 of a later chunk [out.extent_start 32..40]',
    ],
    [
      'caller-out-not-later-input',
      'an input twice',
      inOut([0x40n, 0x40n], [0x40n, 0x51n]),
      'unknown: extents of one list overlap each other',
    ],
    [
      'caller-out-not-later-input',
      'an output twice',
      inOut([0x40n, 0x41n], [0x41n, 0x41n]),
      'unknown: extents of one list overlap each other',
    ],
    [
      'caller-out-not-later-input',
      'orders beyond any machine',
      { ...refused, in: { list: [], order: 64 }, out: { list: [] } },
      'unknown: the orders are beyond any machine',
    ],
    [
      'caller-out-not-later-input',
      'a PV guest, whose inputs are machine frames',
      { ...inOut([0x40n, 0x41n], [0x41n, 0x51n]), more: { translated: false } },
      'unknown: input lists hold machine frames here',
    ],
    ['caller-out-not-later-input', 'the lists not captured', listless, 'unknown: not captured: the in list before the call'],
    ['caller-out-not-later-input', 'not captured', unseen, 'unknown: not captured: the struct before the call'],
    [
      'caller-struct-outside-extents',
      'the list lies in a page given away',
      { ...physical, in: { list: [0x60000n, 0x41n] } },
      'violated: extent 0 of the in list holds 0x60000000..0x60000048, which this call itself uses [in.extent_start 0..8]',
    ],
    [
      'caller-struct-outside-extents',
      'a list in a page asked for',
      { ...physical, in: { start: 0x6100_0000n }, out: { list: [0x50n, 0x61000n] } },
      'violated: extent 1 of the out list holds 0x61000000..0x61000010, which this call itself uses [out.extent_start 32..40]',
    ],
    [
      'caller-struct-outside-extents',
      'in the last page of an extent',
      { ...physical, in: { list: [0x5fffcn, 0x80n], order: 3 }, out: { order: 3 } },
      'violated: extent 0 of the in list holds 0x60000000..0x60000048, which this call itself uses [in.extent_start 0..8]',
    ],
    [
      'caller-struct-outside-extents',
      'in the page behind an extent',
      { ...physical, in: { list: [0x5fffcn, 0x80n], order: 2 }, out: { order: 2 } },
      'holds',
    ],
    [
      'caller-struct-outside-extents',
      'in the second page of a list',
      { ...physical, in: { start: 0x6000_0ff8n, list: [0x60001n, 0x41n] } },
      'violated: extent 0 of the in list holds 0x60000ff8..0x60001008, which this call itself uses [in.extent_start 0..8]',
    ],
    [
      'caller-struct-outside-extents',
      'behind the last byte of a list',
      { ...physical, in: { start: 0x6000_0ff0n, list: [0x60001n, 0x41n] } },
      'holds',
    ],
    [
      'caller-struct-outside-extents',
      'an empty list is nowhere',
      { ...physical, in: { list: [] }, out: { list: [0x70000n], start: 0x6100_0000n } },
      'holds',
    ],
    [
      'caller-struct-outside-extents',
      'an empty list in a page asked for',
      { ...physical, in: { list: [], start: 0x7000_0000n }, out: { list: [0x70000n] } },
      'holds',
    ],
    [
      'caller-struct-outside-extents',
      'of another domain',
      { ...physical, in: { list: [0x60000n, 0x41n], domid: 2 }, out: { domid: 2 } },
      'holds',
    ],
    ['caller-struct-outside-extents', 'put asks for no page', { ...physicalPut, in: { list: [0x60000n] } }, 'not asked'],
    ['caller-struct-outside-extents', 'virtual addresses', refused, 'unknown: addresses are virtual'],
    ['caller-struct-outside-extents', 'clean', physical, 'holds'],
    [
      'caller-struct-outside-extents',
      'the lists not captured',
      { ...physical, more: { ...physical.more, ...structOnly(physical) } },
      'unknown: not captured: the in list before the call',
    ],
    [
      'caller-struct-outside-extents',
      'the address of the struct not known',
      { ...physical, more: { ...physical.more, arg: undefined } },
      "unknown: not captured: the struct's address",
    ],
    [
      'caller-extent-aligned',
      'order 1 at an odd frame',
      inOut([0x42n, 0x43n], [0x50n, 0x52n], 1, 1),
      'violated: frame 0x43 of extent 1 is not a multiple of 2^1 [in.extent_start 0..8]',
    ],
    [
      'caller-extent-aligned',
      'an output of order 2',
      inOut([0x40n, 0x44n], [0x50n, 0x56n], 2, 2),
      'violated: frame 0x56 of extent 1 is not a multiple of 2^2 [out.extent_start 32..40]',
    ],
    ['caller-extent-aligned', 'aligned', inOut([0x40n, 0x44n], [0x50n, 0x54n], 2, 2), 'holds'],
    ['caller-extent-aligned', 'the lists not captured', listless, 'unknown: not captured: the in list before the call'],
    ['caller-extent-aligned', 'not captured', unseen, 'unknown: not captured: the struct before the call'],
    [
      'caller-address-bits',
      '1',
      { ...refused, out: { bits: 1 } },
      'violated: Xen takes no limit of 2^12 bytes or less [out.address_bits 52..56]',
    ],
    [
      'caller-address-bits',
      '12',
      { ...refused, out: { bits: 12 } },
      'violated: Xen takes no limit of 2^12 bytes or less [out.address_bits 52..56]',
    ],
    ['caller-address-bits', '13', { ...refused, out: { bits: 13 } }, 'holds'],
    ['caller-address-bits', '255', { ...refused, out: { bits: 255 } }, 'holds'],
    [
      'caller-address-bits',
      '256',
      { ...refused, out: { bits: 256 } },
      'violated: 0x100 spills past bit 7: Xen reads node 0 there [out.address_bits 52..56]',
    ],
    [
      'caller-address-bits',
      '0x220',
      { ...refused, out: { bits: 0x220 } },
      'violated: 0x220 spills past bit 7: Xen reads node 1 there [out.address_bits 52..56]',
    ],
    [
      'caller-address-bits',
      '2^16',
      { ...refused, out: { bits: 0x10000 } },
      'violated: 0x10000 spills past bit 7: Xen reads flags there [out.address_bits 52..56]',
    ],
    ['caller-address-bits', 'of the inputs, which are not read', { ...refused, in: { bits: 12 } }, 'holds'],
    ['caller-address-bits', 'not captured', unseen, 'unknown: not captured: the struct before the call'],
  ])('%s: %s', (id, _case, stage, expected) => {
    expect(said(id, stage)).toBe(expected);
  });

  it.each<[string, Stage]>([
    ['a clean call', {}],
    ['the real client: one frame in both lists', { out: { list: [0x40n, 0x41n] } }],
    ['an output that an earlier chunk released', { in: { list: [0x40n, 0x41n] }, out: { list: [0x50n, 0x40n] } }],
    ['empty lists anywhere', { in: { list: [], start: ARG }, out: { list: [], start: ARG } }],
    ['a PV guest, whose inputs are machine frames', { out: { list: [0x41n, 0x51n] }, more: { translated: false } }],
    ['the last list that fits the address space', { in: { start: end - 8n, list: [], nr: 2n } }],
  ])('nothing is found in %s', (_case, stage) => {
    expect(judge(staged({ ...refused, ...stage }))?.findings.filter((f) => f.blame === 'caller')).toEqual([]);
  });

  it('what one call cannot show is not asked of it', () => {
    expect([said('caller-put-after-get', put), said('caller-put-lists-gpfns', put)]).toEqual(['not asked', 'not asked']);
  });
});
