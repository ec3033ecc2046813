import { describe, expect, it } from 'vitest';
import { errno } from '../abi/constants.ts';
import { type Freedoms, readings, strict } from './freedoms.ts';
import { data, holes, inListAddress, outListAddress, type Scene, scene } from './scene.stage.ts';
import { typeInvariant } from './state.ts';

const { EFAULT, EINVAL, ENOSYS, EPERM } = errno;
const run = (gfn: number, pages: number): number[] => Array.from({ length: pages }, (_, i) => gfn + i);
const one = { in: [data], out: [holes] };
const pinsOf = (s: Scene): number[] => [...(s.hypervisor.state.domains.get(1)?.pins ?? [])].sort((a, b) => a - b);

/** A scene in which a point is read otherwise. */
const by = (freedoms: Partial<Freedoms>): Scene => scene({ freedoms });
/** The same, with the pages of the first eight holes pinned. */
const pinned = (freedoms: Partial<Freedoms>): Scene => {
  const s = by(freedoms);
  expect(s.get({ in: [data, data + 4], out: [holes, holes + 4], inOrder: 2, outOrder: 2 }).rc).toBe(0);
  return s;
};

it('the strict reading is the first of each', () => {
  for (const [id, [first]] of Object.entries(readings)) expect([id, strict[id as keyof typeof readings]]).toEqual([id, first]);
  expect(strict['more-limits']).toEqual({ max_order: 18, max_order_unprivileged: 9, max_extents: 0x3ffffffn });
});

describe('misaligned-frame', () => {
  it('refused: a base that is no multiple of the extent, on either side, of get, put, decrease and populate', () => {
    const s = by({ 'misaligned-frame': 'refused' });
    const odd = { in: [data], out: [holes], inOrder: 1, outOrder: 1 };
    expect(s.get({ ...odd, in: [data + 1] })).toMatchObject({ rc: -EINVAL, nr_exchanged: 0n });
    expect(s.get({ ...odd, out: [holes + 1] })).toMatchObject({ rc: -EINVAL, nr_exchanged: 0n });
    expect(s.get({ ...odd, in: [data, data + 5], outOrder: 2 })).toMatchObject({ rc: -EINVAL, nr_exchanged: 0n });
    expect(s.get({ ...odd, in: [data, data + 4], outOrder: 2 }).rc).toBe(0);
    expect([s.put([holes + 1], 1), s.put([holes, holes + 2], 1)]).toEqual([-EINVAL, 0]);
    expect([s.put([data + 7], 1, { cmd: 1 }), s.put([data + 6], 1, { cmd: 1 })]).toEqual([0, 1]);
    expect([s.put([holes + 5], 1, { cmd: 6 }), s.put([holes + 4], 1, { cmd: 6 })]).toEqual([0, 1]);
  });
});

describe('count-not-zero', () => {
  it('resumed: the extents before it are passed over and counted', () => {
    const s = by({ 'count-not-zero': 'resumed' });
    const { rc, nr_exchanged, out } = s.get({ in: run(data, 4), out: [7, 8, holes, holes + 1], struct: { nr_exchanged: 2n } });
    expect([rc, nr_exchanged, out]).toEqual([0, 4n, [7, 8, s.mfn(holes), s.mfn(holes + 1)]]);
    expect([s.mfn(data + 1) !== null, s.mfn(data + 2)]).toEqual([true, null]);
  });

  it('resumed: in the midst of a chunk it goes on at its beginning', () => {
    const s = by({ 'count-not-zero': 'resumed' });
    const asked = { in: run(data, 4), out: [holes, holes + 2], outOrder: 1, struct: { nr_exchanged: 3n } };
    expect(s.get(asked)).toMatchObject({ rc: 0, nr_exchanged: 4n });
    expect([s.mfn(data + 1) !== null, s.mfn(data + 2), s.mfn(data + 3)]).toEqual([true, null, null]);
  });

  it('resumed: a later input is looked for from there on', () => {
    const get = (out: number[]) => by({ 'count-not-zero': 'resumed' }).get({ in: run(data, 3), out, struct: { nr_exchanged: 1n } }).rc;
    expect(get([data + 2, holes, data + 1])).toBe(0); // the first output is none of its business
    expect(get([holes, data + 2, holes + 1])).toBe(-EINVAL);
  });
});

describe('start-extent-bits', () => {
  it.each([
    ['refused', [-EINVAL, -EINVAL, -EINVAL]],
    ['unimplemented', [-ENOSYS, -ENOSYS, -ENOSYS]],
    ['ignored', [0, 0, 0]],
  ] as const)('%s', (reading, codes) => {
    const s = by({ 'start-extent-bits': reading });
    const get = (op: number) => s.get({ in: [data], out: [data], op: op | 64 }).rc;
    expect([get(11), get(26), s.put(reading === 'ignored' ? [data] : [], 0, { cmd: 27 | 64 })]).toEqual(codes);
  });
});

describe('dirty-handle', () => {
  it('refused: bits beyond the pointer in either handle, of get and of put', () => {
    const s = scene({ arch: 'arm32', freedoms: { 'dirty-handle': 'refused' } });
    const dirty = (address: bigint) => ({ extent_start: address + (1n << 32n) });
    expect(s.get({ ...one, struct: { in: dirty(inListAddress) } }).rc).toBe(-EFAULT);
    expect(s.get({ ...one, struct: { out: dirty(outListAddress) } }).rc).toBe(-EFAULT);
    expect(s.get(one).rc).toBe(0);
    expect([s.put([holes], 0, dirty(inListAddress)), s.put([holes])]).toEqual([-EFAULT, 0]);
  });
});

describe('own-number', () => {
  it('refused: an unprivileged domain says DOMID_SELF, a privileged one may say its number', () => {
    const own = { in: { domid: 1 }, out: { domid: 1 } };
    const domains = (privileged: boolean) => [
      { domid: 1, privileged, ram: [{ gfn: 0x40000n, pages: 64 }], holes: [{ gfn: 0x50000n, pages: 64 }] },
    ];
    const of = (privileged: boolean) => scene({ domains: domains(privileged), freedoms: { 'own-number': 'refused' } });
    expect([of(false).get({ ...one, struct: own }).rc, of(false).get(one).rc, of(true).get({ ...one, struct: own }).rc]).toEqual([
      -EPERM,
      0,
      0,
    ]);
    const s = of(false);
    s.get(one);
    expect([s.put([holes], 0, { domid: 1 }), s.put([holes])]).toEqual([-EPERM, 0]);
  });
});

describe('populated-output', () => {
  it('overwritten: the old page stays owned, and no gfn leads to it', () => {
    const s = by({ 'populated-output': 'overwritten' });
    expect(s.get({ in: [data], out: [data + 1] }).rc).toBe(0);
    expect([s.hypervisor.pages(1), typeInvariant(s.hypervisor.state)]).toEqual([64, []]);
    expect(s.put([data + 2], 1, { cmd: 6 })).toBe(1);
    expect([s.hypervisor.pages(1), typeInvariant(s.hypervisor.state)]).toEqual([66, []]);
  });

  it('overwritten: but for a pinned page, which the guest may not change', () => {
    const s = pinned({ 'populated-output': 'overwritten' });
    expect(s.get({ in: [data + 8], out: [holes] })).toMatchObject({ rc: -EINVAL, nr_exchanged: 0n });
    expect(s.put([holes], 0, { cmd: 6 })).toBe(0);
  });
});

describe('later-input', () => {
  it('accepted: the later chunk fails, or takes what the earlier one gave', () => {
    const s = by({ 'later-input': 'accepted' });
    expect(s.get({ in: [data, data + 1], out: [data + 1, holes] })).toMatchObject({ rc: -EINVAL, nr_exchanged: 0n }); // populated still
    const over = by({ 'later-input': 'accepted', 'populated-output': 'overwritten' });
    expect(over.get({ in: [data, data + 1], out: [data + 1, holes] })).toMatchObject({ rc: -EINVAL, nr_exchanged: 1n }); // pinned
  });
});

describe('bad-list', () => {
  const lastEntry = 0x4003fff8n; // RAM ends behind it

  it('part-way: the chunks before a list that cannot be read are done', () => {
    for (const side of ['in', 'out'] as const) {
      const s = by({ 'bad-list': 'part-way' });
      s.list(lastEntry, [side === 'in' ? data : holes]);
      const struct = { [side]: { extent_start: lastEntry } };
      expect(s.get({ in: run(data, 2), out: run(holes, 2), struct })).toMatchObject({ rc: -EFAULT, nr_exchanged: 1n });
      expect([s.mfn(data), s.mfn(holes) !== null, s.mfn(data + 1) !== null, typeInvariant(s.hypervisor.state)]).toEqual([
        null,
        true,
        true,
        [],
      ]);
    }
  });

  it('part-way: a put reads its whole list before it unpins', () => {
    const s = pinned({ 'bad-list': 'part-way' });
    s.list(lastEntry, [holes]);
    expect(s.put([], 0, { extent_start: lastEntry, nr_extents: 2n })).toBe(-EFAULT);
    expect(pinsOf(s)).toEqual(run(holes, 8));
  });

  it('part-way: an empty list may lie anywhere', () => {
    expect(by({ 'bad-list': 'part-way' }).put([], 0, { extent_start: 0n })).toBe(0);
  });
});

describe('late-fault', () => {
  it('up-front: the inputs of all chunks are looked at before the first', () => {
    const bad = { in: [data, holes + 9], out: [holes, holes + 1] };
    const s = by({ 'late-fault': 'up-front' });
    expect(s.get(bad)).toEqual({ rc: -EINVAL, nr_exchanged: 0n, out: bad.out });
    expect(s.get({ in: [data, data], out: bad.out })).toMatchObject({ rc: -EINVAL, nr_exchanged: 0n });
    expect([s.mfn(holes), s.hypervisor.pages(1), typeInvariant(s.hypervisor.state)]).toEqual([null, 64, []]);
    expect(s.get({ in: [data, data + 1], out: bad.out, inject: { preempt: 1 } }).rc).toBe(0);
    expect(scene().get(bad)).toMatchObject({ rc: -EINVAL, nr_exchanged: 1n });
  });
});

describe('put-not-pinned', () => {
  it('accepted: there is nothing to do for such a page, nor for one that is listed again', () => {
    const s = pinned({ 'put-not-pinned': 'accepted' });
    expect([s.put([holes, data, holes + 7, holes + 7, holes + 40]), pinsOf(s)]).toEqual([0, run(holes + 1, 6)]);
    expect([s.put([holes - 4], 4), pinsOf(s)]).toEqual([0, []]);
  });
});

describe('put-partly-pinned', () => {
  it('prefix: what comes before the first page that is not pinned is unpinned', () => {
    const left = (gfns: number[], order = 0, inject = {}) => {
      const s = pinned({ 'put-partly-pinned': 'prefix' });
      return [s.put(gfns, order, { inject }), pinsOf(s).map((gfn) => gfn - holes)];
    };
    expect(left([holes, holes + 3, data, holes + 5])).toEqual([-EINVAL, [1, 2, 4, 5, 6, 7]]);
    expect(left([holes, holes + 3, data, holes + 5], 0, { preempt: 1 })).toEqual([-EINVAL, [1, 2, 4, 5, 6, 7]]);
    expect(left([holes + 6], 2)).toEqual([-EINVAL, [0, 1, 2, 3, 4, 5]]);
    expect(left([holes, holes + 1])).toEqual([0, [2, 3, 4, 5, 6, 7]]);
    expect(left([holes, holes + 1, holes + 2], 0, { preempt: 2 })).toEqual([0, [3, 4, 5, 6, 7]]);
  });
});

describe('guest-changes-pinned', () => {
  it('accepted: the pin goes with the mapping', () => {
    const s = pinned({ 'guest-changes-pinned': 'accepted' });
    expect(s.put([holes], 0, { cmd: 1 })).toBe(1);
    expect(s.get({ in: [holes + 1], out: [holes + 1], op: 11 }).rc).toBe(0);
    expect(s.get({ in: [holes + 2], out: [holes + 2] }).rc).toBe(0);
    expect(pinsOf(s)).toEqual(run(holes + 2, 6));
    expect(typeInvariant(s.hypervisor.state)).toEqual([]);
  });

  it('accepted: a pinned page is there already, for a get and for populate', () => {
    const s = pinned({ 'guest-changes-pinned': 'accepted' });
    expect([s.get({ in: [data + 8], out: [holes] }).rc, s.put([holes], 0, { cmd: 6 })]).toEqual([-EINVAL, 0]);
    const over = pinned({ 'guest-changes-pinned': 'accepted', 'populated-output': 'overwritten' });
    expect([over.get({ in: [data + 8], out: [holes] }).rc, over.put([holes], 0, { cmd: 6 })]).toEqual([0, 1]);
    expect(typeInvariant(over.hypervisor.state)).toEqual([]);
  });
});

describe('more-limits', () => {
  const limited = { ...strict['more-limits'], max_order: 1, max_extents: 3n };

  it('an order above the highest, and a list with more extents, are refused by get and put', () => {
    const s = by({ 'more-limits': limited });
    const get = (inOrder: number, outOrder: number) => s.get({ in: [data], out: [holes], inOrder, outOrder }).rc;
    expect([get(2, 2), get(1, 1)]).toEqual([-EINVAL, 0]);
    expect([
      s.get({ in: run(data + 4, 4), out: run(holes + 4, 4) }).rc,
      s.get({ in: run(data + 4, 3), out: run(holes + 4, 3) }).rc,
    ]).toEqual([-EINVAL, 0]);
    expect([s.put([holes], 2), s.put([holes], 1)]).toEqual([-EINVAL, 0]);
    expect([s.put(run(holes + 4, 4)), s.put(run(holes + 4, 3))]).toEqual([-EINVAL, 0]);
    expect(s.get({ in: [data + 8, data + 10], out: run(holes + 8, 4), inOrder: 1 }).rc).toBe(-EINVAL); // it is the outputs that are too many
  });

  it('ops 0, 1 and 6 do none of such extents', () => {
    const s = by({ 'more-limits': limited });
    expect([s.put([data], 2, { cmd: 1 }), s.put([data], 1, { cmd: 1 })]).toEqual([0, 1]);
    expect([s.put(run(holes, 4), 0, { cmd: 6 }), s.put(run(holes, 3), 0, { cmd: 6 })]).toEqual([0, 3]);
  });

  it('the limit of unprivileged domains is theirs alone', () => {
    const small = { ...strict['more-limits'], max_order_unprivileged: 0 };
    const two = { in: [data], out: [holes], inOrder: 1, outOrder: 1 };
    const domains = [{ domid: 1, privileged: true, ram: [{ gfn: 0x40000n, pages: 64 }] }];
    expect(by({ 'more-limits': small }).get(two).rc).toBe(-EPERM);
    expect(scene({ domains, freedoms: { 'more-limits': small } }).get(two).rc).toBe(0);
    expect([
      by({ 'more-limits': small }).put([data], 1, { cmd: 1 }),
      scene({ domains, freedoms: { 'more-limits': small } }).put([data], 1, { cmd: 1 }),
    ]).toEqual([0, 1]);
  });
});
