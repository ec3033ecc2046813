import { describe, expect, it } from 'vitest';
import { sparseMemory } from '../guest/memory.ts';
import { observedCall } from '../trace/call.ts';
import { ARG, IN, type Stage, staged } from './call.stage.ts';
import { judge } from './judge.ts';
import { traceJudge } from './trace.ts';

// What a reviewer's inputs once got wrong: blame for what was not seen, or holding what was not
// seen.

const answer = (id: string, stage: Stage): string | undefined => judge(staged(stage))?.requirements.get(id)?.answer;

describe('nobody is blamed for what was not seen', () => {
  it('a change that an op which is not judged may have made to a pinned page', () => {
    const trace = traceJudge();
    const [before, after, later]: [bigint, bigint | null][][] = [[[0x50n, null]], [[0x50n, 0x900n]], [[0x50n, 0x907n]]];
    const get: Stage = {
      in: { list: [0x40n] },
      out: { list: [0x50n] },
      returned: [0x900n],
      p2m: [before!, after!],
      more: { domid: 1, fromStart: true },
    };
    trace.judge(staged(get));
    trace.judge(observedCall(7, { domid: 1 }));
    const next = trace.judge(staged({ ...get, rc: -22, N: 0n, returned: [0x50n], p2m: [later!, later!] }));
    expect(next?.findings.filter((f) => f.blame === 'hypervisor')).toEqual([]);
  });

  it('the input list of a PV guest holds machine frames, which no p2m of guest frames speaks of', () => {
    const p2m: Stage['p2m'] = [
      [
        [0x40n, 0x80n],
        [0x50n, null],
      ],
      [
        [0x40n, 0x80n],
        [0x50n, 0x900n],
      ],
    ];
    const stage: Stage = {
      in: { list: [0x40n] },
      out: { list: [0x50n] },
      op: 'exchange',
      returned: [0x900n],
      p2m,
      more: { translated: false },
    };
    expect([answer('get-inputs-released', stage), answer('get-new-pages', stage)]).toEqual(['unknown', 'unknown']);
  });

  it('a frame behind two pages that may have been shared before', () => {
    const stage: Stage = {
      returned: [0x900n, 0x901n],
      p2m: [
        [],
        [
          [0x50n, 0x900n],
          [0x60n, 0x900n],
        ],
      ],
    };
    expect(answer('frames-conserved', stage)).toBe('unknown');
  });

  it('changed bytes in a page that may be an exchanged one, since the lists were not captured', () => {
    const whole = staged({ N: 1n, in: { list: [0x40n] }, out: { list: [0x50n] } });
    const struct = { address: ARG, bytes: whole.before.read(ARG, 72)! };
    const after = { address: ARG, bytes: whole.after.read(ARG, 72)! };
    const page = (byte: number) => ({ address: 0x40000n, bytes: Uint8Array.of(byte) });
    const call = { ...whole, space: 'physical' as const, before: sparseMemory([struct, page(1)]), after: sparseMemory([after, page(2)]) };
    expect(judge(call)?.requirements.get('no-stray-writes')?.answer).toBe('unknown');
  });
});

it('nobody is blamed for an input page that an output which was not captured may have populated', () => {
  const p2m: [bigint, bigint | null][] = [
    [0x40n, 0x80n],
    [0x41n, 0x81n],
  ];
  const call = staged({ p2m: [p2m, p2m] });
  expect(judge(call)?.requirements.get('get-inputs-released')?.answer).toBe('violated');
  const struct = (memory: typeof call.before) => [{ address: ARG, bytes: memory.read(ARG, 72)! }];
  const lists = { address: IN, bytes: call.before.read(IN, 16)! };
  const seen = { ...call, before: sparseMemory([...struct(call.before), lists]), after: sparseMemory([...struct(call.after), lists]) };
  expect(judge(seen)?.requirements.get('get-inputs-released')?.answer).toBe('unknown');
});

describe('nothing holds that was not seen', () => {
  it('a refused bad address, where no memory was captured', () => {
    const call = observedCall(27, { arg: 0x6200_0000n, rc: -14, unmapped: [{ address: 0x6200_0000n, length: 4096n }] });
    expect(judge(call)?.requirements.get('bad-address-fails')?.answer).toBe('unknown');
  });

  it('contiguity of an output with nothing behind it', () => {
    expect(answer('get-contiguous', { returned: [0x900n, 0x901n], p2m: [[], [[0x50n, null]]] })).toBe('unknown');
  });
});

it('twenty thousand pieces of one byte are compared in one pass', () => {
  const pieces = (byte: number) => Array.from({ length: 20_000 }, (_, i) => ({ address: BigInt(2 * i), bytes: Uint8Array.of(byte) }));
  const call = observedCall(26, { rc: 0, arg: ARG, before: sparseMemory(pieces(1)), after: sparseMemory(pieces(1)) });
  expect(judge(call)?.findings).toEqual([]);
});
