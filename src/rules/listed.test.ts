import { describe, expect, it } from 'vitest';
import { ARG, IN, OUT, type Stage, saidOf, staged } from './call.stage.ts';

const populate: Stage = { op: 'populate_physmap', rc: 2, in: { list: [0x40600n, 0x40700n] } };
const decrease: Stage = { ...populate, op: 'decrease_reservation' };
const exchange: Stage = { op: 'exchange', rc: 0, N: 2n };
const put: Stage = { op: 'put_dma_buf', rc: 0, in: { list: [0x50n, 0x51n] } };
/** As `stage`, with this list and order. */
const listing = (stage: Stage, list: bigint[], order = 0): Stage => ({ ...stage, in: { ...stage.in, list, order } });
const handle = '[extent_start 0..8]';
const unlisted = 'unknown: not captured: the in list before the call';

function withoutList(stage: Stage): Stage {
  const call = staged(stage);
  return {
    ...stage,
    more: {
      before: {
        known: ({ address, length }) => call.before.known({ address, length }).filter((p) => p.address !== IN && p.address !== OUT),
        read: (address, length) => (address === ARG ? call.before.read(address, length) : undefined),
      },
    },
  };
}

describe('the frames that a guest lists', () => {
  it.each<[id: string, what: string, stage: Stage, said: string]>([
    ['caller-extents-distinct', 'two pages', populate, 'holds'],
    [
      'caller-extents-distinct',
      'one page twice',
      listing(decrease, [0x40600n, 0x40600n]),
      `violated: extents 0 and 1 of the list overlap at frame 0x40600 ${handle}`,
    ],
    [
      'caller-extents-distinct',
      'extents of order 4 that overlap',
      listing(decrease, [0x40600n, 0x40601n], 4),
      `violated: extents 0 and 1 of the list overlap at frame 0x40601 ${handle}`,
    ],
    ['caller-extents-distinct', 'extents of order 4 side by side', listing(populate, [0x40610n, 0x40600n], 4), 'holds'],
    ['caller-extents-distinct', 'no list', withoutList(populate), unlisted],
    ['caller-extents-distinct', 'an exchange, of which caller-out-distinct speaks', exchange, 'not asked'],
    ['caller-frame-width', 'the last frame there is', listing(populate, [(1n << 40n) - 1n]), 'holds'],
    [
      'caller-frame-width',
      'a pointer',
      listing(populate, [3n, 0x55d0c0de1230n, 3n]),
      `violated: frame 0x55d0c0de1230 of extent 1 is beyond any address: frames have 40 bits ${handle}`,
    ],
    ['caller-frame-width', 'the last of arm32', { ...listing(populate, [(1n << 28n) - 1n]), arch: 'arm32' }, 'holds'],
    [
      'caller-frame-width',
      'the first beyond arm32',
      { ...listing(populate, [1n << 28n]), arch: 'arm32' },
      `violated: frame 0x10000000 of extent 0 is beyond any address: frames have 28 bits ${handle}`,
    ],
    [
      'caller-frame-width',
      'an output of an exchange',
      { ...exchange, out: { list: [0x50n, 1n << 40n] } },
      'violated: frame 0x10000000000 of extent 1 is beyond any address: frames have 40 bits [out.extent_start 32..40]',
    ],
    [
      'caller-frame-width',
      'what increase_reservation will write over',
      { ...listing(populate, [1n << 50n]), op: 'increase_reservation' },
      'not asked',
    ],
    ['caller-frame-width', 'no list', withoutList(put), unlisted],
    [
      'caller-frame-address',
      'two addresses',
      listing(populate, [0x4060_0000n, 0x4060_1000n]),
      `violated: every frame is a multiple of 0x1000 (0x40600000 first): addresses, where frame numbers belong? ${handle}`,
    ],
    ['caller-frame-address', 'one address', listing(populate, [0x4060_0000n]), 'holds'],
    ['caller-frame-address', 'an address and a frame', listing(populate, [0x4060_0000n, 0x40601n]), 'holds'],
    ['caller-frame-address', 'extents of 16 MiB', listing(populate, [0x41000n, 0x42000n], 12), 'holds'],
    ['caller-frame-address', 'nothing but zeros', listing(populate, [0n, 0n]), 'holds'],
    ['caller-frame-address', 'no list', withoutList(put), unlisted],
  ])('%s: %s', (id, _what, stage, said) => {
    expect(saidOf(id, staged(stage))).toBe(said);
  });
});

describe('a negative rc of ops 0, 1 and 6', () => {
  it.each<[what: string, stage: Stage, said: string]>([
    ['a count', populate, 'holds'],
    ['no rc', { ...populate, rc: undefined }, 'unknown: not captured: rc'],
    [
      '-1',
      { ...decrease, rc: -1 },
      'violated: rc is -1 (-EPERM), and the hypercall answers a count: libxc and ioctl answer -1, and leave the error in errno',
    ],
    ['-38', { ...populate, rc: -38 }, 'violated: rc is -38 (-ENOSYS), and the hypercall answers a count: whose answer is this?'],
    ['no errno', { ...populate, rc: -999 }, 'violated: rc is -999, and the hypercall answers a count: whose answer is this?'],
    ['an exchange, which fails so', { ...exchange, rc: -22, N: 0n }, 'not asked'],
  ])('%s', (_what, stage, said) => {
    expect(saidOf('capture-rc', staged(stage))).toBe(said);
  });
});

describe('a refused exchange that counts all', () => {
  it.each<[what: string, stage: Stage, said: string]>([
    ['done', exchange, 'unknown: not exercised by this call'],
    ['half', { ...exchange, rc: -12, N: 1n }, 'holds'],
    ['nothing asked', { ...exchange, rc: -22, N: 0n, in: { list: [] }, out: { list: [] } }, 'holds'],
    ['all', { ...exchange, rc: -14 }, 'violated: rc is -14 (-EFAULT), and yet nr_exchanged counts all 2 [nr_exchanged 64..72]'],
  ])('%s', (_what, stage, said) => {
    expect(saidOf('exchange-all-counted', staged(stage))).toBe(said);
  });
});
