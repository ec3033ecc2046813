#!/usr/bin/env node
// @ts-check
// Compiles layout.c with each architecture's own compiler, runs it, and compares what it prints
// with fixtures/layout, or writes that (--write).
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

const USAGE = `usage: node conformance/tools/layout/layout.mjs [--check | --write] [--all]

  --check  compare what the compilers say with fixtures/layout (the default)
  --write  write fixtures/layout
  --all    an architecture that had to be skipped is a failure

exit: 0 agreed or written; 1 a difference; 2 wrong usage; 4 nothing (with --all: not all) was checked`;

const SOURCE = fileURLToPath(new URL('layout.c', import.meta.url));
const FIXTURES = fileURLToPath(new URL('../../../fixtures/layout/', import.meta.url));

/**
 * @typedef {object} Arch
 * @property {string} name
 * @property {string} compiler
 * @property {RegExp} target what `compiler -dumpmachine` must say
 * @property {string} [qemu] absent where the program runs by itself
 * @property {string[]} flags
 * @property {string[]} headers what the compiler must find
 */

const COMMON = ['-std=gnu11', '-O1', '-Wall', '-Wextra'];

/** @type {Arch[]} */
const ARCHES = [
  {
    name: 'arm32',
    compiler: 'arm-linux-gnueabihf-gcc',
    target: /^arm-/,
    qemu: 'qemu-arm',
    flags: [...COMMON, '-static'],
    headers: ['xen/memory.h', 'unistd.h'],
  },
  {
    name: 'arm64',
    compiler: 'aarch64-linux-gnu-gcc',
    target: /^aarch64-/,
    qemu: 'qemu-aarch64',
    flags: [...COMMON, '-static'],
    headers: ['xen/memory.h', 'unistd.h'],
  },
  {
    name: 'x86_64',
    compiler: 'gcc',
    target: /^x86_64-/,
    flags: COMMON,
    headers: ['xen/memory.h', 'unistd.h'],
  },
  {
    // Debian cannot install gcc-multilib beside the cross compilers, so there is no 32-bit libc.
    name: 'x86_32',
    compiler: 'gcc',
    target: /^x86_64-/,
    qemu: 'qemu-i386',
    flags: [...COMMON, '-m32', '-ffreestanding', '-fno-stack-protector', '-fno-pie', '-no-pie', '-nostdlib', '-static'],
    headers: ['xen/memory.h'],
  },
];

// The header as the seed knew it (address_bits), and as it is today (mem_flags, and the tools'
// ops).
const BUILDS = ['-D__XEN_INTERFACE_VERSION__=0x00030208', '-D__XEN_TOOLS__'];

/** Something this machine lacks; the message is its name. */
class Missing extends Error {}

/**
 * The first line of a tool's `--version`.
 * @param {string} tool
 */
async function version(tool) {
  try {
    return (await run(tool, ['--version'])).stdout.split('\n', 1)[0] ?? '';
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') throw new Missing(tool);
    throw error;
  }
}

async function headersPackage() {
  try {
    const { stdout } = await run('dpkg-query', ['-W', 'libxen-dev']);
    return `libxen-dev ${stdout.trim().split('\t')[1]}`;
  } catch {
    return 'not from a Debian package';
  }
}

/**
 * What the compiler of one architecture says, in the shape of the fixture.
 * @param {Arch} arch
 * @param {string} dir for what is built
 */
async function measure(arch, dir) {
  const compiler = await version(arch.compiler);
  const { stdout: target } = await run(arch.compiler, ['-dumpmachine']);
  if (!arch.target.test(target)) throw new Missing(`${arch.compiler} for ${arch.name}`);
  const qemu = arch.qemu && (await version(arch.qemu));
  for (const header of arch.headers) {
    const probe = join(dir, `${arch.name}-probe.c`);
    await writeFile(probe, `#if !__has_include(<${header}>)\n#error\n#endif\n`);
    await run(arch.compiler, [...arch.flags, '-E', '-o', '/dev/null', probe]).catch(() => {
      throw new Missing(header);
    });
  }

  const said = [];
  for (const [i, build] of BUILDS.entries()) {
    const program = join(dir, `${arch.name}-${i}`);
    await run(arch.compiler, [...arch.flags, build, '-o', program, SOURCE]);
    const limits = { timeout: 60_000, maxBuffer: 16 << 20 };
    const { stdout } = await (arch.qemu ? run(arch.qemu, [program], limits) : run(program, [], limits));
    said.push(JSON.parse(stdout));
  }
  const [seed, today] = said;
  const constants = { ...today.constants, ...seed.constants };
  // That address_bits and mem_flags are the same bytes is measured here, not assumed. Merged both
  // ways, a constant that changed its value would show too.
  const split = difference({ ...seed, constants }, { ...today, constants: { ...seed.constants, ...today.constants } });
  if (split) throw new Error(`today's header and its older form differ at ${split}`);

  return {
    arch: arch.name,
    origin: {
      // Part of the ids of golden cases, so it stays what it was when the program lay there.
      made_by: 'conformance/layout/layout.c',
      compiler,
      flags: arch.flags,
      builds: BUILDS,
      headers: await headersPackage(),
      run: qemu ?? 'natively',
    },
    ...seed,
    constants,
  };
}

/**
 * JSON with whatever is short, and every row of values, on one line.
 * @param {unknown} value
 * @param {string} [indent]
 * @returns {string}
 */
function render(value, indent = '') {
  const flat = JSON.stringify(value);
  if (typeof value !== 'object' || value === null || flat.length <= 80) return flat;
  const inner = `${indent} `;
  if (Array.isArray(value)) {
    if (value.every((item) => typeof item !== 'object')) return flat;
    return `[\n${value.map((item) => inner + render(item, inner)).join(',\n')}\n${indent}]`;
  }
  const members = Object.entries(value).map(([key, item]) => `${inner}${JSON.stringify(key)}: ${render(item, inner)}`);
  return `{\n${members.join(',\n')}\n${indent}}`;
}

/**
 * Where two JSON values first differ, with both sides, or nothing.
 * @param {any} left
 * @param {any} right
 * @param {string} [path]
 * @returns {string | undefined}
 */
function difference(left, right, path = '') {
  const bothObjects = [left, right].every((side) => typeof side === 'object' && side !== null);
  if (!bothObjects) {
    if (left === right) return undefined;
    const [was, is] = [left, right].map((side) => JSON.stringify(side) ?? 'nothing');
    return `${path}: ${excerpts(was, is).join(' is now ')}`;
  }
  for (const key of new Set([...Object.keys(left), ...Object.keys(right)])) {
    const step = Array.isArray(left) ? `[${key}]` : /^\w+$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
    const found = difference(left[key], right[key], (path + step).replace(/^\./, ''));
    if (found) return found;
  }
  return undefined;
}

/**
 * The part of two texts where they part ways.
 * @param {string} left
 * @param {string} right
 */
function excerpts(left, right) {
  let same = 0;
  while (same < left.length && left[same] === right[same]) same++;
  const from = Math.max(0, same - 12);
  return [left, right].map((text) => {
    const end = text.length > from + 40 ? '…' : '';
    return (from > 0 ? '…' : '') + text.slice(from, from + 40) + end;
  });
}

/**
 * @param {Awaited<ReturnType<typeof measure>>} fresh
 * @param {string} file
 * @returns {Promise<string | undefined>} what is wrong with the file
 */
async function compare(fresh, file) {
  let text;
  let kept;
  try {
    text = await readFile(file, 'utf8');
    kept = JSON.parse(text);
  } catch (error) {
    return `cannot be read: ${/** @type {Error} */ (error).message}`;
  }
  // Another release of a tool is no difference; what it says would be.
  for (const tool of /** @type {const} */ (['compiler', 'headers', 'run'])) {
    fresh.origin[tool] = kept?.origin?.[tool] ?? fresh.origin[tool];
  }
  if (text === `${render(fresh)}\n`) return undefined;
  const where = difference(kept, fresh);
  return where ? `differs at ${where}` : 'differs, but only in white space or key order';
}

/** @param {Awaited<ReturnType<typeof measure>>} record */
function summary({ structs, values, origin }) {
  const rows = Object.values(values)
    .flatMap((lists) => [lists.rows, lists.dirty_rows, lists.whole_handle_rows])
    .reduce((sum, list) => sum + list.length, 0);
  const tools = [origin.compiler.replace(/ .* /, ' '), origin.run.replace(/ version (\d+\.\d+).*/, ' $1')];
  return {
    what: `${Object.keys(structs).length} structs  ${rows} values`,
    by: `(${tools.join(', ')})`,
  };
}

/**
 * @param {Arch} arch
 * @param {string} dir
 * @param {boolean} write
 * @returns {Promise<{outcome: 'good' | 'bad' | 'skipped', line: string}>}
 */
async function settle(arch, dir, write) {
  const name = arch.name.padEnd(6);
  try {
    const record = await measure(arch, dir);
    const { what, by } = summary(record);
    const file = join(FIXTURES, `${arch.name}.json`);
    if (write) {
      await writeFile(file, `${render(record)}\n`);
      return { outcome: 'good', line: `${name} ${what}  written  ${by}` };
    }
    const wrong = await compare(record, file);
    return wrong ? { outcome: 'bad', line: `${name} ${wrong}  ${by}` } : { outcome: 'good', line: `${name} ${what}  agree  ${by}` };
  } catch (error) {
    const { message } = /** @type {Error} */ (error);
    if (error instanceof Missing) {
      return { outcome: 'skipped', line: `skipped ${arch.name}: no ${message}` };
    }
    // Of a compiler's many lines, the one that matters.
    const lines = message.split('\n');
    const telling = lines.find((line) => line.includes('error:')) ?? lines[0];
    return { outcome: 'bad', line: `${name} failed: ${telling}` };
  }
}

/** @param {string[]} args */
async function main(args) {
  if (args.includes('--help')) {
    console.log(USAGE);
    return 0;
  }
  const wrong = args.find((arg) => !['--check', '--write', '--all'].includes(arg));
  if (wrong !== undefined || (args.includes('--check') && args.includes('--write'))) {
    console.error(wrong === undefined ? '--check or --write, not both' : `what is ${wrong}?`);
    console.error(USAGE);
    return 2;
  }

  const dir = await mkdtemp(join(tmpdir(), 'xenmem-layout-'));
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));

  const results = await Promise.all(ARCHES.map((arch) => settle(arch, dir, args.includes('--write'))));
  for (const { line } of results) console.log(line);
  const outcomes = results.map(({ outcome }) => outcome);
  if (outcomes.includes('bad')) return 1;
  if (!outcomes.includes('good')) return 4;
  return args.includes('--all') && outcomes.includes('skipped') ? 4 : 0;
}

// A reader that went away (… | head -1) takes nothing from the verdict.
process.stdout.on('error', () => {});
process.exitCode = await main(process.argv.slice(2));
