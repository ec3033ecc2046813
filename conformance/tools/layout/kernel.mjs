#!/usr/bin/env node
// @ts-check
// Checks the structs of a built kernel with `xenmem layout check`, and asks pahole and bpftool what
// they make of the same BTF.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const USAGE = `usage: node conformance/tools/layout/kernel.mjs [IMAGE..]

  IMAGE  a kernel that holds BTF uncompressed: an arm64 Image, a vmlinux. Without one, Debian's arm64 kernel is fetched with
         apt-get and unpacked in a temporary directory, which wants the architecture to be known:
         dpkg --add-architecture arm64 && apt-get update

wants the command built (npm run build), and of Debian: pahole bpftool

exit: 0 all three agree; 1 a difference; 2 wrong usage; 4 nothing was checked`;

const COMMAND = fileURLToPath(new URL('../../../dist/bin/xenmem.js', import.meta.url));
const KNOWN = ['xen_memory_reservation', 'xen_memory_exchange', 'xen_get_dma_buf', 'xen_put_dma_buf'];

/** @typedef {{ size: number, members: [string, number][] }} Struct */

/** @param {string} program @param {string[]} args @param {string} [cwd] */
function run(program, args, cwd) {
  return execFileSync(program, args, { cwd, encoding: 'utf8', maxBuffer: 1 << 30, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** @param {string} tool */
function has(tool) {
  return spawnSync('sh', ['-c', `command -v ${tool}`]).status === 0;
}

/** Debian's newest arm64 kernel, unpacked. @param {string} dir @returns {string} */
function debianKernel(dir) {
  const meta = run('apt-cache', ['show', 'linux-image-arm64:arm64']);
  const name = /^Depends: (linux-image-\S+-arm64)\b/m.exec(meta)?.[1];
  if (name === undefined) throw new Error('apt knows no linux-image-arm64: dpkg --add-architecture arm64 && apt-get update');
  run('apt-get', ['download', `${name}:arm64`], dir);
  const deb = /** @type {string} */ (readdirSync(dir).find((file) => file.endsWith('.deb')));
  execFileSync('sh', ['-c', 'dpkg-deb --fsys-tarfile "$1" | tar -x --wildcards "./boot/vmlinuz-*"', 'sh', deb], { cwd: dir });
  console.log(`fetched ${deb}`);
  return join(dir, 'boot', /** @type {string} */ (readdirSync(join(dir, 'boot'))[0]));
}

/**
 * The BTF of an image, found by its header alone; pahole and bpftool read the whole. @param
 * {Buffer} image
 */
function blobOf(image) {
  const magic = Buffer.from('9feb010018000000', 'hex');
  for (let at = image.indexOf(magic); at >= 0; at = image.indexOf(magic, at + 1)) {
    const end = at + 24 + image.readUInt32LE(at + 16) + image.readUInt32LE(at + 20);
    if (image.readUInt32LE(at + 16) === image.readUInt32LE(at + 12) && end <= image.length) return image.subarray(at, end);
  }
  throw new Error('no BTF in it');
}

/** @param {string} blob @param {string} name @returns {Struct | undefined} */
function byPahole(blob, name) {
  const { status, stdout } = spawnSync('pahole', ['-F', 'btf', '-C', name, blob], { encoding: 'utf8' });
  if (status !== 0 || !stdout.includes(`struct ${name} {`)) return undefined;
  const members = [...stdout.matchAll(/^\s+\S.*?\b(\w+)(?: __attribute__\S+)?;\s+\/\*\s+(\d+)\s+\d+/gm)];
  const size = Number(/\/\* size: (\d+)/.exec(stdout)?.[1]);
  return { size, members: members.map(([, member, offset]) => [/** @type {string} */ (member), Number(offset)]) };
}

/** @param {string} blob @returns {Map<string, Struct>} */
function byBpftool(blob) {
  const { types } = JSON.parse(run('bpftool', ['-j', 'btf', 'dump', 'file', blob]));
  const wanted = types.filter((/** @type {any} */ type) => type.kind === 'STRUCT' && KNOWN.includes(type.name));
  return new Map(
    wanted.map((/** @type {any} */ type) => [
      type.name,
      { size: type.size, members: type.members.map((/** @type {any} */ m) => [m.name, m.bits_offset / 8]) },
    ]),
  );
}

/**
 * The table's own members of a struct, nested ones by their name. @param {string} name @param
 * {string} arch @returns {Struct}
 */
function byTable(name, arch) {
  const { size, fields } = JSON.parse(run(process.execPath, [COMMAND, 'layout', '--json', '--arch', arch, name]));
  /** @type {Map<string, number>} */
  const members = new Map();
  for (const { path, offset } of fields) {
    const [head] = path.split('.');
    if (!members.has(head)) members.set(head, offset);
  }
  return { size, members: [...members] };
}

/** @param {string} image @param {string} dir @returns {'good' | 'bad' | 'nothing'} */
function checked(image, dir) {
  const ours = spawnSync(process.execPath, [COMMAND, 'layout', 'check', '--json', image], { encoding: 'utf8' });
  if (ours.status !== 0 && ours.status !== 1) {
    console.log(`${image}: xenmem exits ${ours.status}: ${ours.stderr.trim()}`);
    return 'nothing';
  }
  const report = JSON.parse(ours.stdout);
  const blob = join(dir, 'btf');
  writeFileSync(blob, blobOf(readFileSync(image)));
  const bpftool = byBpftool(blob);
  let good = ours.status === 0;
  console.log(`${basename(image)}: ${report.container}, ${report.types} types, ${report.arch}`);
  for (const name of KNOWN) {
    const own = report.structs.find((/** @type {any} */ one) => one.struct === name);
    const others = { pahole: byPahole(blob, name), bpftool: bpftool.get(name) };
    const table = JSON.stringify(byTable(name, report.arch));
    for (const [tool, made] of Object.entries(others)) {
      const agrees = own === undefined ? made === undefined : own.equal === (JSON.stringify(made) === table);
      if (!agrees) good = false;
      console.log(
        `  ${name.padEnd(22)}  ${tool.padEnd(7)}  ${agrees ? 'agrees' : 'DISAGREES'}: ${made ? JSON.stringify(made) : 'not there'}`,
      );
    }
    const differences = own?.differences ?? [];
    console.log(
      `  ${name.padEnd(22)}  xenmem   ${own === undefined ? 'not there' : own.equal ? `equal, ${own.size} bytes` : differences.join('; ')}`,
    );
  }
  return good ? 'good' : 'bad';
}

const given = process.argv.slice(2);
if (given.some((word) => word.startsWith('-'))) {
  console.log(USAGE);
  process.exit(given.includes('--help') ? 0 : 2);
}
const lacking = ['pahole', 'bpftool'].filter((tool) => !has(tool));
if (lacking.length > 0) {
  console.log(`nothing checked: there is no ${lacking.join(', no ')}`);
  process.exit(4);
}
const dir = mkdtempSync(join(tmpdir(), 'xenmem-kernel-'));
try {
  const outcomes = (given.length > 0 ? given : [debianKernel(dir)]).map((image) => checked(image, dir));
  process.exitCode = outcomes.includes('bad') ? 1 : outcomes.includes('good') ? 0 : 4;
} catch (error) {
  console.log(`nothing checked: ${/** @type {Error} */ (error).message}`);
  process.exitCode = 4;
} finally {
  rmSync(dir, { recursive: true, force: true });
}
