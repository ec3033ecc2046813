import { describe, expect, it } from 'vitest';
import { churnStory, getStory } from './sample.stage.ts';
import { type CallScene, changedFrames, pastOf, type Scene, sceneOf, worldOf } from './story.ts';

function callOf(index: number, { story } = churnStory): CallScene {
  const scene = sceneOf(story[index]!);
  if (scene.kind !== 'call') throw new TypeError('not a call');
  return scene;
}

describe('a call of a story', () => {
  it('is read from its record', () => {
    const scene = callOf(0);
    expect(scene).toMatchObject({ op: 'get_dma_buf', domid: 1, rc: 'rc 0', refused: false, arch: 'arm32', inject: [], broken: [] });
    expect(scene.argument?.address).toBe(0x40000100n);
    expect(scene.lists).toEqual([
      { path: 'in', address: 0x40001000n, count: 1n, entries: [{ before: 0x40004n, after: 0x40004n }] },
      { path: 'out', address: 0x40002100n, count: 1n, entries: [{ before: 0x40007n, after: 0x10003fn }] },
    ]);
    expect(changedFrames(scene.frames)).toEqual([
      { gfn: 0x40004n, before: 0x800001n, after: null },
      { gfn: 0x40007n, before: null, after: 0x10003fn },
    ]);
    expect(callOf(0, getStory)).toMatchObject({ rc: 'rc -22 (-EINVAL)', refused: true, inject: ['preempted after each 3 input extents'] });
  });

  it('shows changed memory in rows of eight bytes, and what lies there', () => {
    const bytes = (hex: string): number[] => hex.split(' ').map((byte) => Number.parseInt(byte, 16));
    const changed = (...places: number[]): boolean[] => Array.from({ length: 8 }, (_, i) => places.includes(i));
    expect(callOf(0).memory).toEqual([
      {
        address: 0x40000140n,
        before: bytes('00 00 00 00 00 00 00 00'),
        after: bytes('01 00 00 00 00 00 00 00'),
        changed: changed(0),
        label: 'nr_exchanged',
      },
      {
        address: 0x40002100n,
        before: bytes('07 00 04 00 00 00 00 00'),
        after: bytes('3f 00 10 00 00 00 00 00'),
        changed: changed(0, 2),
        label: 'out list, entry 0',
      },
    ]);
  });

  it('does not say what was not seen', () => {
    const step = { do: 'call' as const, record: { cmd: 26, space: 'physical' }, changed: [['0x50003', '', 'ff'] as const], broken: [] };
    const scene = sceneOf(step) as CallScene;
    expect(scene).toMatchObject({ rc: 'rc ?', domid: undefined, lists: [], frames: [] });
    expect(scene.memory).toEqual([
      {
        address: 0x50000n,
        before: Array(8).fill(undefined),
        after: [undefined, undefined, undefined, 0xff, undefined, undefined, undefined, undefined],
        changed: [false, false, false, true, false, false, false, false],
        label: 'in the page 0x50',
      },
    ]);
  });

  it.each([
    [{ cmd: 'x' }, 'the record cannot be read: cmd: "x" is not a 64-bit number'],
    [{}, 'the record cannot be read: cmd: missing'],
    [{ xenmem: 1 }, 'the record holds no call'],
  ])('that cannot be read says so: %j', (record, why) => {
    const scene = sceneOf({ do: 'call', record, changed: [], broken: [{ id: 'survives', message: 'gone' }] });
    expect(scene).toMatchObject({ kind: 'nothing', broken: [{ id: 'survives', message: 'gone' }] });
    expect((scene as { why: string }).why.slice(0, 35)).toBe(why.slice(0, 35));
  });

  it('has no end of rows', () => {
    const changed = Array.from({ length: 100 }, (_, i) => [`0x${(i * 8).toString(16)}`, '00', '01'] as const);
    const scene = sceneOf({ do: 'call', record: { cmd: 26 }, changed, broken: [] }) as CallScene;
    expect([scene.memory.length, scene.moreMemory]).toEqual([48, 52]);
  });
});

describe('the frames that a broken rule names', () => {
  const broken = [{ id: 'frames-conserved', message: 'frame 0x90 is behind 0x42 and 0x43, frame 0x91 as well' }];
  const step = (frames: CallScene['frames'], of: typeof broken = []): Scene => ({
    kind: 'churn',
    domid: 1,
    frames,
    lost: [],
    broken: of,
  });

  it('are told with the steps that took and gave them, or that none is seen to have', () => {
    const scenes = [
      step([{ gfn: 0x41n, before: 0x90n, after: null }]),
      step([{ gfn: 0x42n, before: null, after: 0x90n }]),
      step(
        [
          { gfn: 0x42n, before: 0x90n, after: 0x90n },
          { gfn: 0x43n, before: 0x92n, after: 0x90n },
          { gfn: 0x44n, before: 0x91n, after: 0x91n },
        ],
        broken,
      ),
    ];
    expect(pastOf(scenes, 2)).toEqual([
      'frame 0x90: step 0 took it from guest frame 0x41; step 1 put it behind guest frame 0x42; step 2 put it behind guest frame 0x43; no step took it from guest frame 0x42, where it still is',
      'frame 0x91: no step took it from guest frame 0x44, where it still is',
    ]);
    expect(pastOf(scenes, 1)).toEqual([]);
  });
});

describe('the world of a scenario', () => {
  it('is told as far as it is there', () => {
    expect(worldOf(churnStory.scenario)).toEqual({
      arch: 'arm32',
      free: { low: 64, high: 64 },
      domains: [{ domid: 1, privileged: false, ram: '7 pages at 0x40000', holes: '2 pages at 0x40007' }],
    });
    for (const odd of [undefined, null, 7, [], {}, { world: [] }, { world: { domains: 3 } }]) expect(worldOf(odd)).toBeUndefined();
  });
});
