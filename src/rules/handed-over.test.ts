import { describe, expect, it } from 'vitest';
import { unknownMemory } from '../guest/memory.ts';
import { IN, type Stage, said } from './call.stage.ts';
import { done } from './exchange.stage.ts';

describe('an exchanged page may hold the lists themselves', () => {
  // Physical addresses: guest frame 0x60000 is the page of struct and lists.
  const own: Stage = { ...done, more: { space: 'physical', domid: 1 } };
  const given: Stage = { ...own, in: { list: [0x60000n, 0x41n] } };
  // The second entry of the input list changed, and the struct could not be read back.
  const blind = (stage: Stage): Stage => {
    const changes = [{ address: IN + 8n, length: 8n }];
    return { ...own, ...stage, more: { ...own.more, after: unknownMemory, changes } };
  };
  it.each<[string, string, Stage, string]>([
    [
      'get-in-untouched',
      'written where no page of it was exchanged',
      { ...own, inAfter: [0x40n, 0x99n] },
      'violated: entry 1 of the in list changed',
    ],
    ['get-in-untouched', 'written in an exchanged page', { ...given, inAfter: [0x60000n, 0x99n] }, 'holds'],
    [
      'get-in-untouched',
      'written in a page that was not reached',
      { ...given, rc: -12, N: 0n, inAfter: [0x60000n, 0x99n] },
      'violated: entry 1 of the in list changed',
    ],
    [
      'get-in-untouched',
      'written in a page beyond the count',
      { ...given, rc: -12, N: 1n, in: { list: [0x41n, 0x60000n] }, inAfter: [0x41n, 0x99n] },
      'violated: entry 1 of the in list changed',
    ],
    [
      'get-in-untouched',
      'written, the count not known, in a page that may be exchanged',
      blind({ in: { list: [0x60000n, 0x41n] } }),
      'unknown: not captured: the struct after the call',
    ],
    [
      'get-in-untouched',
      'written, the count not known, in one that may be populated',
      blind({ out: { list: [0x50n, 0x60000n] } }),
      'unknown: not captured: the struct after the call',
    ],
    ['get-in-untouched', 'written, the count not known, in a page that is neither', blind({}), 'violated: entry 1 of the in list changed'],
    [
      'get-in-untouched',
      'written, the count not known, addresses virtual',
      { ...blind({}), more: { ...blind({}).more, space: 'virtual' } },
      'unknown: not captured: the struct after the call',
    ],
    ['get-in-untouched', 'written in an output page', { ...own, out: { list: [0x60000n, 0x51n] }, inAfter: [0x40n, 0x99n] }, 'holds'],
    [
      'get-in-untouched',
      'written, of a foreign domain',
      { ...given, in: { list: [0x60000n, 0x41n], domid: 2 }, out: { domid: 2 }, inAfter: [0x60000n, 0x99n] },
      'violated: entry 1 of the in list changed',
    ],
  ])('%s: %s', (id, _case, stage, expected) => {
    expect(said(id, stage)).toBe(expected);
  });
});
