import { describe, expect, it } from 'vitest';
import { sparseMemory } from '../guest/memory.ts';
import type { ObservedCall } from '../trace/call.ts';
import { ARG, IN, OUT, type Stage, saidOf, staged } from './call.stage.ts';
import { big, done, half, refused } from './exchange.stage.ts';

// A capture may hold only the first bytes of the struct. On arm64: in 0..32 and out 32..64, each
// extent_start 0..8, nr_extents 8..16, extent_order 16..20, address_bits 20..24, domid 24..26,
// padding 26..32; nr_exchanged 64..72.

/** The same call, of which so many bytes of the struct were captured before, or after. */
function cut(call: ObservedCall, which: 'before' | 'after', bytes: number): ObservedCall {
  const kept = [
    { address: ARG, length: bytes },
    { address: IN, length: 256 },
    { address: OUT, length: 256 },
  ].flatMap(({ address, length }) => [...call[which].known({ address, length: BigInt(length) })]);
  return { ...call, [which]: sparseMemory(kept) };
}

const clean: Stage = { ...refused, more: { privileged: false, domid: 1, space: 'physical' } };
const put: Stage = { op: 'put_dma_buf', rc: 0, in: { list: [0x50n] }, more: { privileged: false, domid: 1 } };
const populate: Stage = { op: 'populate_physmap', rc: 2, in: { list: [0x40n, 0x41n] } };
const mismatch: Stage = { ...refused, rc: 0, out: { domid: 1 } };
const foreign: Stage = { ...refused, rc: 0, in: { domid: 2 }, out: { domid: 2 }, more: { privileged: false, domid: 1 } };

describe('of a struct that was captured in part', () => {
  it.each<[string, string, number, Stage]>([
    ['caller-handle-high-zero', 'clean', 40, { ...clean, arch: 'arm32' }],
    ['caller-list-aligned', 'clean', 40, clean],
    ['caller-order', 'clean', 52, clean],
    ['caller-self-only', 'clean', 58, clean],
    ['caller-padding-zero', 'clean', 64, clean],
    ['caller-domid-match', 'clean', 58, clean],
    ['caller-domid-match', 'differing', 58, mismatch],
    ['caller-size-match', 'clean', 52, clean],
    ['caller-size-match', 'differing', 52, { ...clean, out: { order: 3 } }],
    ['caller-lists-disjoint', 'clean', 48, clean],
    ['caller-nr-exchanged-zero', 'clean', 72, clean],
    ['caller-out-distinct', 'clean', 52, clean],
    ['caller-out-not-later-input', 'clean', 52, clean],
    ['caller-struct-outside-extents', 'clean', 52, clean],
    ['caller-extent-aligned', 'clean', 52, clean],
    ['caller-address-bits', 'clean', 56, clean],
    ['caller-list-null', 'clean', 40, clean],
    ['caller-count', 'clean', 48, clean],
    ['caller-start-extent', 'clean', 16, { ...populate, more: { cmd: 6 | (1 << 6) } }],
    ['caller-flags', 'clean', 24, populate],
    ['get-complete-count', 'done', 16, done],
    ['get-incomplete-nonzero', 'half', 16, half],
    ['get-partial-count', 'half', 52, half],
    ['get-mfns-returned', 'done', 52, done],
    ['get-partial-mfns', 'half', 52, half],
    ['get-new-pages', 'done', 52, done],
    ['get-populates-gpfns', 'done', 52, done],
    ['get-contiguous', 'done', 52, done],
    ['get-aligned', 'done', 52, done],
    ['get-address-limit', 'big', 56, big],
    ['get-inputs-released', 'done', 52, done],
    ['get-rest-untouched', 'half', 72, half],
    ['get-in-untouched', 'done', 72, done],
    ['get-refuses-domid-mismatch', 'accepted', 58, mismatch],
    ['get-refuses-size-mismatch', 'accepted', 52, { ...refused, rc: 0, out: { order: 3 } }],
    ['get-refuses-foreign-domid', 'accepted', 58, foreign],
    ['no-stray-writes', 'done', 72, done],
    ['put-in-untouched', 'clean', 32, put],
    ['reservation-count', 'clean', 16, populate],
    ['reservation-list', 'clean', 32, populate],
  ])('%s (%s) needs the first %i bytes from before', (id, _case, needed, stage) => {
    const call = staged(stage);
    const full = saidOf(id, call);
    expect(full).not.toMatch('unknown');
    const size = stage.op === undefined ? 72 : 32;
    for (let bytes = 0; bytes <= size; bytes++) {
      const said = saidOf(id, cut(call, 'before', bytes));
      expect([bytes, said]).toEqual([bytes, bytes < needed ? 'unknown: not captured: the struct before the call' : full]);
    }
  });

  it.each<[string, Stage]>([
    ['get-complete-count', done],
    ['get-incomplete-nonzero', half],
    ['get-partial-count', half],
    ['get-partial-mfns', half],
    ['get-new-pages', done],
    ['get-populates-gpfns', done],
    ['get-contiguous', done],
    ['get-aligned', done],
    ['get-address-limit', big],
    ['get-inputs-released', done],
    ['get-rest-untouched', half],
    ['get-in-untouched', done],
    ['no-stray-writes', done],
  ])('%s needs all 72 bytes from after', (id, stage) => {
    const call = staged(stage);
    for (let bytes = 0; bytes < 72; bytes++) {
      expect([bytes, saidOf(id, cut(call, 'after', bytes))]).toEqual([bytes, 'unknown: not captured: the struct after the call']);
    }
  });
});
