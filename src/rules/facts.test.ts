import { describe, expect, it } from 'vitest';
import { ARG, IN, OUT, only, type Stage, said, saidOf, staged } from './call.stage.ts';
import { big, done, half, refused } from './exchange.stage.ts';
import { judge } from './judge.ts';

const struct = { address: ARG, length: 72n };
const ins = { address: IN, length: 16n };
const outs = { address: OUT, length: 16n };
const seconds = [IN + 8n, OUT + 8n].map((address) => ({ address, length: 8n }));
const physical = (stage: Stage, more: Stage['more'] = {}): Stage => ({ ...stage, more: { space: 'physical', domid: 1, ...more } });
/** Byte 8 of the struct changed. */
const scribbled = (stage: Stage): Stage => ({ ...stage, scribble: { at: 8, after: 9 } });
const blamed = 'violated: bytes 8..9 of the struct changed [in.nr_extents 8..9]';
const lacking = (piece: string): string => `unknown: not captured: the ${piece} before the call`;

describe('op 11', () => {
  it('is held to what op 26 is, but for the pin', () => {
    const held = (stage: Stage): string[] =>
      [...judge(staged(stage))!.requirements].filter(([, answer]) => answer.answer === 'holds').map(([id]) => id);
    expect(held({ ...done, op: 'exchange' })).toEqual(held(done));
    expect(said('get-complete-count', { ...done, op: 'exchange', N: 1n })).toBe(
      'violated: rc is 0 but nr_exchanged is 1 of 2 [nr_exchanged 64..72]',
    );
    expect(said('get-pinned', { ...done, op: 'exchange' })).toBe('not asked');
  });
});

describe('the other ops', () => {
  it('have no nr_exchanged', () => {
    const { facts } = judge(staged({ op: 'put_dma_buf', in: { list: [0x50n] } }))!;
    expect([facts.N, facts.nrExchangedBefore, facts.exchanges]).toEqual([undefined, undefined, false]);
  });
});

describe('a changed byte of the struct, where its page may have been handed over', () => {
  it('blames nobody until all pages that were handed over are known', () => {
    const call = staged(physical(scribbled(done)));
    const seen = (...ranges: { address: bigint; length: bigint }[]): string => saidOf('no-stray-writes', only(call, ...ranges));
    expect([seen(struct, ins, outs), seen(struct, ins), seen(struct, outs), seen(struct)]).toEqual([
      blamed,
      lacking('out list'),
      lacking('in list'),
      lacking('in list'),
    ]);
    // One of two was exchanged: which it was, is told by the first entries.
    const one = staged(physical(scribbled(half)));
    const [firsts, lasts] = [[IN, OUT].map((address) => ({ address, length: 8n })), seconds];
    expect(saidOf('no-stray-writes', only(one, struct, ...firsts))).toBe(blamed);
    expect(saidOf('no-stray-writes', only(one, struct, ...lasts))).toBe(lacking('in list'));
    expect(saidOf('no-stray-writes', only(staged(physical(scribbled(refused))), struct))).toBe(blamed);
  });

  it('blames at once where addresses are virtual, and where put hands nothing over', () => {
    expect(saidOf('no-stray-writes', only(staged(scribbled(done)), struct))).toBe(blamed);
    const put: Stage = physical(scribbled({ op: 'put_dma_buf', rc: 0, in: { list: [0x50n] } }));
    expect(saidOf('no-stray-writes', only(staged(put), { ...struct, length: 32n }))).toBe(blamed);
    const populate: Stage = physical(scribbled({ op: 'populate_physmap', rc: 1, in: { list: [0x40n] } }));
    const told = [{ ...struct, length: 32n }, ins];
    expect(saidOf('no-stray-writes', only(staged(populate), ...told))).toBe('violated: bytes 8..9 of the struct changed [nr_extents 8..9]');
    expect(saidOf('no-stray-writes', only(staged(populate), ...told.slice(0, 1)))).toBe(lacking('in list'));
  });

  it('is not excused by an exchanged page of that number where addresses are virtual', () => {
    expect(said('get-in-untouched', scribbled({ ...done, in: { list: [0x60000n, 0x41n] } }))).toBe(blamed);
  });

  it('is not excused by inputs that are no whole chunk', () => {
    const changes = [{ address: 0x40000n, length: 8n }];
    expect(said('no-stray-writes', physical({ ...big, rc: -12, N: 3n }, { changes }))).toBe('violated: 8 bytes at 0x40000 changed');
    expect(said('no-stray-writes', physical(big, { changes }))).toBe('holds');
  });
});

describe('whose pages they are', () => {
  const changes = [{ address: 0x41000n, length: 8n }];
  const stray = 'violated: 8 bytes at 0x41000 changed';
  it.each<[string, Stage, string]>([
    ['its own by number', physical({ ...done, in: { domid: 1 }, out: { domid: 1 } }, { changes }), 'holds'],
    ["another's", physical({ ...done, in: { domid: 2 }, out: { domid: 2 } }, { changes }), stray],
    ["another's by one of the two", physical({ ...done, in: { domid: 2 } }, { changes }), stray],
    ['DOMID_SELF of nobody knows whom', physical(done, { domid: undefined, changes }), 'holds'],
    [
      'a number, of nobody knows whom',
      physical({ ...done, out: { domid: 2 } }, { domid: undefined, changes }),
      "unknown: not captured: the caller's domid",
    ],
  ])('%s', (_case, stage, expected) => {
    expect(said('no-stray-writes', stage)).toBe(expected);
  });
});
