import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { codecFor } from '../../../src/codec/codec.ts';
import { toHex } from '../../../src/codec/hex.ts';
import { pcapngHead, pcapngPacket } from '../../../src/trace/pcap.ts';
import { median } from './measure.ts';

/**
 * A program in C that does the same to an array of structs: the emitted duties over a mapped file,
 * one thread.
 */
const program = `#include <stdio.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "checks.h"
int main(int argc, char **argv)
{
    struct stat st;
    int fd = argc > 1 ? open(argv[1], O_RDONLY) : -1;
    if (fd < 0 || fstat(fd, &st) < 0)
        return 1;
    const unsigned char *bytes = mmap(0, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    unsigned long dirty = 0, counts[32] = { 0 };
    for (long i = 0; i < st.st_size / 72; i++) {
        uint32_t broken = xenmem_broken_get_dma_buf_arm64(bytes + 72 * i, XENMEM_UNKNOWN, 26);
        if (broken) {
            dirty++;
            for (int bit = 0; bit < 16; bit++)
                counts[bit] += broken >> bit & 1;
        }
    }
    return printf("%lu %lu\\n", dirty, counts[0]) < 0;
}
`;

const codec = codecFor('arm64').xen_get_dma_buf;

/** Records of the trace. */
const records = 200_000;

/**
 * Arrays and traces of many calls, whole processes against the least that could be done to the same
 * file.
 */
export function bulkFigures(root: string, isQuick: boolean): string {
  const folder = mkdtempSync(join(tmpdir(), 'xenmem-bench-'));
  try {
    const checks = spawnSync(process.execPath, [`${root}dist/bin/xenmem.js`, 'layout', '--emit', 'c', '--checks']);
    writeFileSync(join(folder, 'checks.h'), checks.stdout);
    writeFileSync(join(folder, 'scan.c'), program);
    const built = spawnSync('gcc', ['-O3', '-o', join(folder, 'scan'), join(folder, 'scan.c')]);
    if (built.status !== 0) return 'arrays of structs: not measured, because gcc did not build the C program\n';
    return figures(root, folder, isQuick ? 2_000_000 : 20_000_000, isQuick ? 5 : 7);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function figures(root: string, folder: string, many: number, rounds: number): string {
  const [whole, tenth, random] = [join(folder, 'whole.bin'), join(folder, 'tenth.bin'), join(folder, 'random.bin')];
  writeStructs(whole, many, structs(4096, false));
  writeStructs(tenth, many / 10, structs(4096, false));
  writeStructs(random, many, structs(200_000, true));
  const trace = join(folder, 'trace.ndjson');
  writeRecords(trace, records);
  const parse = join(folder, 'parse.mjs');
  writeFileSync(
    parse,
    `import fs from 'node:fs';\nfor (const line of fs.readFileSync(process.argv[2], 'utf8').split('\\n')) if (line) JSON.parse(line);\n`,
  );
  const xenmem = (...words: string[]): string[] => [process.execPath, `${root}dist/bin/xenmem.js`, 'validate', ...words];
  const array = ['--struct', 'get_dma_buf', '--input-format', 'raw'];
  const c = join(folder, 'scan');
  const node = [process.execPath, '-e', '0'];
  const commands = {
    node,
    c: [c, whole],
    'c tenth': [c, tenth],
    'c random': [c, random],
    all: xenmem(...array, '--summary', whole),
    tenth: xenmem(...array, '--summary', tenth),
    random: xenmem(...array, '--summary', random),
    jobs: xenmem(...array, '--summary', '--jobs', '2', whole),
    quiet: xenmem(...array, '--quiet', whole),
    parse: [process.execPath, parse, trace],
    trace: xenmem('--summary', trace),
    text: xenmem(trace),
  };
  type Name = keyof typeof commands;
  const names = Object.keys(commands) as Name[];
  const rows: { readonly [name in Name]: number }[] = [];
  for (let round = -1; round < rounds; round++) {
    const times = Object.fromEntries(names.map((name) => [name, timed(commands[name])])) as { [name in Name]: number };
    if (round >= 0) rows.push(times);
  }
  const row = (name: string, ratio: (at: { readonly [name in Name]: number }) => number): string =>
    `  ${name.padEnd(58)} ${median(rows.map(ratio)).toFixed(2).padStart(7)}`;
  const count = `${many / 1e6} million`;
  return [
    'arrays and traces  (whole processes less node alone: time as a ratio, median of pairs)',
    row(`${count} structs, --summary, against gcc -O3`, (t) => (t.all - t.node) / t.c),
    row('the same as a slope from a tenth of them', (t) => (t.all - t.tenth) / (t.c - t['c tenth'])),
    row('every word random, --summary, against gcc -O3', (t) => (t.random - t.node) / t['c random']),
    row('--summary by one thread, against --jobs 2', (t) => (t.all - t.node) / (t.jobs - t.node)),
    row(`${count} structs, 97 % clean, --quiet, against gcc -O3`, (t) => (t.quiet - t.node) / t.c),
    row(`${records / 1000},000 records, --summary, against JSON.parse of each`, (t) => (t.trace - t.node) / (t.parse - t.node)),
    row('the same, default text', (t) => (t.text - t.node) / (t.parse - t.node)),
    ...packetFigure(root, folder, xenmem),
    '',
  ].join('\n');
}

/** Packets a second, against tshark with our dissector, on fewer of them. */
function packetFigure(root: string, folder: string, xenmem: (...words: string[]) => string[]): string[] {
  const name = 'packets a second in pcapng, --summary, against tshark';
  if (spawnSync('tshark', ['--version']).error) return [`  ${name}: not measured, because there is no tshark`];
  const dissector = join(folder, 'xenmem.lua');
  writeFileSync(dissector, spawnSync(process.execPath, [`${root}dist/bin/xenmem.js`, 'layout', '--emit', 'lua']).stdout);
  const [few, some, many] = [2_000, 12_000, 1_000_000].map((count) => {
    const path = join(folder, `${count}.pcapng`);
    const packets = Array.from({ length: 1000 }, (_, i) =>
      pcapngPacket('xen_get_dma_buf', struct(i, i % 33 === 5 ? 1 : 0x7ff0, 0n), codec.size),
    );
    const file = openSync(path, 'w');
    writeSync(file, pcapngHead());
    for (let left = count; left > 0; left -= packets.length) writeSync(file, Buffer.concat(packets));
    closeSync(file);
    return { path, count };
  }) as [PacketFile, PacketFile, PacketFile];
  const theirs = ({ path }: PacketFile): number =>
    timed(['tshark', '-X', `lua_script:${dissector}`, '-r', path, '-T', 'fields', '-e', 'xen_get_dma_buf.nr_exchanged']);
  const ratios = Array.from({ length: 3 }, () => {
    const own = (timed(xenmem('--summary', many.path)) - timed([process.execPath, '-e', '0'])) / many.count;
    return (theirs(some) - theirs(few)) / (some.count - few.count) / own;
  });
  return [`  ${name.padEnd(58)} ${median(ratios).toFixed(0).padStart(7)}`];
}

interface PacketFile {
  readonly path: string;
  readonly count: number;
}

function timed([command = '', ...args]: readonly string[]): number {
  const start = process.hrtime.bigint();
  const { status } = spawnSync(command, args, { stdio: 'ignore' });
  if (status !== 0 && status !== 1) throw new Error(`${command} ${args.join(' ')} exited with ${status}`);
  return Number(process.hrtime.bigint() - start) / 1e9;
}

export function writeRecords(path: string, count: number): void {
  const file = openSync(path, 'w');
  const atOnce = 1000;
  for (let i = 0; i < count; i += atOnce) {
    writeSync(file, `${Array.from({ length: Math.min(atOnce, count - i) }, (_, k) => record(i + k)).join('\n')}\n`);
  }
  closeSync(file);
}

export function writeStructs(path: string, count: number, block: Uint8Array): void {
  const file = openSync(path, 'w');
  const each = block.length / codec.size;
  for (let left = count; left > 0; left -= each) {
    writeSync(file, block.subarray(0, Math.min(left, each) * codec.size));
  }
  closeSync(file);
}

/** Structs as a driver passes them, 3 in 100 with a mistake; or random words. */
export function structs(count: number, isRandom: boolean): Uint8Array {
  const bytes = new Uint8Array(count * codec.size);
  let state = 1;
  const words = new Uint32Array(bytes.buffer);
  if (isRandom) for (let i = 0; i < words.length; i++) words[i] = state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  else for (let i = 0; i < count; i++) bytes.set(struct(i, i % 33 === 5 ? 1 : 0x7ff0, 0n), i * codec.size);
  return bytes;
}

function struct(i: number, outDomid: number, exchanged: bigint): Uint8Array {
  const side = { nr_extents: BigInt(1 + (i % 4)), extent_order: i % 3 };
  return codec.encode({
    in: { ...side, extent_start: 0x4000_0200n + 64n * BigInt(i % 512), address_bits: 0, domid: 0x7ff0 },
    out: { ...side, extent_start: 0x5000_0300n + 64n * BigInt(i % 512), address_bits: i % 2 ? 32 : 0, domid: outDomid },
    nr_exchanged: exchanged,
  });
}

/** A call as a trace has it, with its lists. */
function record(i: number): string {
  const count = 1 + (i % 4);
  const list = (first: number): string =>
    toHex(new Uint8Array(BigUint64Array.from({ length: count }, (_, k) => BigInt(first + 4 * k)).buffer));
  const [inAt, outAt] = [0x4000_0200 + 64 * (i % 512), 0x5000_0300 + 64 * (i % 512)].map((at) => `0x${at.toString(16)}`);
  const pieces = (exchanged: bigint, outputs: number) => [
    ['0x60000000', toHex(struct(i, 0x7ff0, exchanged))],
    [inAt, list(0x40000)],
    [outAt, list(outputs)],
  ];
  const before = pieces(0n, 0x50000);
  return JSON.stringify({ seq: i, domid: 1, cmd: 26, arg: '0x60000000', before, rc: 0, after: pieces(BigInt(count), 0x80000) });
}
