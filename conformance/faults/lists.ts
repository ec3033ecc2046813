import { type Edit, type Fault, family } from './fault.ts';

const file = 'get-dma-buf.ts';

const slot = 'index * x.outsPerChunk + k';
const write = `told = writeEntry(call, x.outs, ${slot}, mfn) && told;`;
const commit = 'commit(call: Call, x: Exchange, { inputs, gpfns, frames }: Chunk, index: number, pins: boolean)';
const failed = 'return frames ? { inputs, gpfns, frames } : ENOMEM;';
const loop = 'for (let n = 1; done < chunks; n++) {';
const preempted = 'return ended(call, -ERESTART, count(done));';
const complete = 'return ended(call, 0, count(done));';

const tell =
  'const tell = () => mfns.map((mfn, i) => writeEntry(call, x.outs, done * x.outsPerChunk - mfns.length + i, mfn)).every(Boolean);';

const writes = (put: string): readonly Edit[] => [[file, write, put]];
const writesFrame = (frame: string): readonly Edit[] => writes(write.replace('mfn', frame));
const writesAt = (entry: string): readonly Edit[] => writes(write.replace(slot, entry));

/** What a chunk that fails leaves in its output entries. */
const spoils = (entry: string): readonly Edit[] => [
  [file, failed, `if (!frames) gpfns.forEach((_, k) => writeEntry(call, outs, index * outsPerChunk + k, ${entry}));\n  ${failed}`],
];

/** What is written to the lists, and where. */
export const lists: readonly Fault[] = family('list handling', [
  [
    'never writes the frames back',
    ['get-mfns-returned', 'get-partial-mfns'],
    [
      [file, '  writeEntry,\n', ''],
      [file, 'let told = true;', 'const told = true;'],
      [file, commit, commit.replace('index', '_index')],
      ...writes(''),
    ],
    ['get-aligned', 'get-address-limit'],
  ],
  [
    'writes the frames back only on success',
    ['get-partial-mfns'],
    [
      [file, loop, `const mfns: number[] = [];\n  ${tell}\n  ${loop}`],
      [file, 'commit(call, x, chunk, done, pins);', 'commit(call, x, chunk, pins);\n    mfns.push(...chunk.frames);'],
      [file, preempted, preempted.replace('-ERESTART', 'tell() ? -ERESTART : -EFAULT')],
      [file, complete, complete.replace('0', 'tell() ? 0 : -EFAULT')],
      [file, commit, commit.replace('index: number, ', '')],
      [file, 'let told = true;', 'const told = true;'],
      ...writes(''),
    ],
    ['get-address-limit', 'get-aligned'],
  ],
  [
    'does not write the last frame back',
    ['get-mfns-returned'],
    writes(`if (${slot} + 1 < Number(x.out.nr_extents)) ${write}`),
    ['get-aligned'],
  ],
  // Off by so much that it stays aligned and below every limit.
  ['writes a wrong last frame', ['get-mfns-returned'], writesFrame(`${slot} + 1 === Number(x.out.nr_extents) ? mfn - 2 ** 16 : mfn`)],
  ['writes only the first frame back', ['get-mfns-returned', 'get-partial-mfns'], writes(`if (${slot} === 0) ${write}`)],
  [
    'writes the guest frame back',
    ['get-mfns-returned', 'get-partial-mfns'],
    writesFrame('gpfns[k] as number'),
    ['get-aligned', 'get-address-limit'],
  ],
  ['writes the frame after', ['get-mfns-returned', 'get-partial-mfns', 'get-aligned'], writesFrame('mfn + 1'), ['get-address-limit']],
  ['writes addresses instead of frame numbers', ['get-mfns-returned', 'get-partial-mfns', 'get-address-limit'], writesFrame('mfn * 4096')],
  ['writes frame numbers below 4 GiB only', ['get-mfns-returned', 'get-partial-mfns'], writesFrame('mfn % 2 ** 20')],
  [
    'writes the frames in reverse',
    ['get-mfns-returned', 'get-partial-mfns', 'get-populates-gpfns', 'get-rest-untouched', 'put-works', 'no-stray-writes'],
    writesAt(`Number(x.out.nr_extents) - 1 - (${slot})`),
    ['get-pinned', 'get-in-untouched', 'get-address-limit', 'get-aligned', 'get-contiguous'],
  ],
  [
    'writes each frame one entry on',
    ['get-mfns-returned', 'get-partial-mfns', 'get-populates-gpfns', 'get-rest-untouched', 'put-works', 'no-stray-writes'],
    writesAt(`${slot} + 1`),
    ['get-aligned', 'get-address-limit', 'get-pinned', 'get-in-untouched', 'get-contiguous', 'get-works'],
  ],
  [
    'writes one entry too many',
    ['no-stray-writes'],
    [
      [
        file,
        'return told;',
        `const end = (index + 1) * x.outsPerChunk;
  if (told && end === Number(x.out.nr_extents)) writeEntry(call, x.outs, end, frames[0] as number);
  return told;`,
      ],
    ],
    ['get-in-untouched'],
  ],
  ['clears the output entries of a chunk that fails', ['get-rest-untouched', 'no-stray-writes'], spoils('0'), ['get-in-untouched']],
  [
    'marks the output entries of a chunk that fails',
    ['get-rest-untouched', 'no-stray-writes'],
    spoils('2 ** 52 - 1'),
    ['get-in-untouched'],
  ],
  [
    'clears the input entries it has done',
    ['get-in-untouched', 'no-stray-writes'],
    [
      [
        file,
        'let told = true;',
        'for (let i = 0; i < x.insPerChunk; i++) writeEntry(call, x.ins, index * x.insPerChunk + i, 0);\n  let told = true;',
      ],
    ],
  ],
]);
