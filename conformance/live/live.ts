import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { PAGE_SIZE } from '../../src/abi/constants.ts';
import { XENMEM } from '../../src/abi/ops.ts';
import type { MemoryOpOf } from '../../src/model/memory-op.ts';
import { xen417 } from '../../src/model/xen/xen-4.17.ts';
import { UndrivenError } from '../protocol/player.ts';
import type { Course } from '../verdict/check.ts';
import type { StartedFrom } from '../verdict/result.ts';
import { built } from './build.ts';
import { withDomain } from './device-tree.ts';
import { type Cast, drawn, type MoreOp } from './draw.ts';
import { type Patience, usualPatience } from './machine.ts';
import { ReleaseOracle } from './oracle.ts';
import { cacheFolder, fetched, needs, run } from './packages.ts';
import { type LivePlayer, livePlayer } from './player.ts';
import { PvOracle } from './pv-oracle.ts';
import { memoryOptions, type Setup, type SetupName, setups } from './setups.ts';

/** What a live run is made of. */
export interface LiveOptions {
  readonly setup: SetupName;
  /** A hypervisor that somebody built, instead of Debian's. */
  readonly xen?: string;
  /** What it can do that Debian's does not. */
  readonly more?: readonly MoreOp[];
  /** The folder of the guest's sources. */
  readonly sources: string;
  /** So many times as patient. */
  readonly scale: number;
  /** Told what takes a while. */
  readonly say: (text: string) => void;
}

/** A real hypervisor that is up, and what is to be played on it. */
export interface Live {
  readonly player: LivePlayer;
  readonly course: Course;
  /** Where the calls come from, in words. */
  readonly origin: string;
  readonly privileged: boolean;
  /** The second oracle, its reference changed. */
  readonly oracleWith: (change: (right: MemoryOpOf) => MemoryOpOf) => Course['oracle'];
}

const { exchange } = XENMEM['dma-buf'];
/** Debian's package of Xen's public headers. */
const headers = 'libxen-dev';

/** From nothing to a hypervisor that is up. Rejects with an `UndrivenError` of one line. */
export async function openLive({ setup: name, xen, more = [], sources, scale, say }: LiveOptions): Promise<Live> {
  const setup: Setup = setups[name];
  needs(setup.qemu, `Debian's ${setup.qemuPackage}`);
  needs('setpriv', 'util-linux');
  const { folder, packages } = fetched(setup.debian, [...(xen === undefined ? [setup.hypervisor.package] : []), headers], say);
  const guest = built(setup, sources, join(folder, 'usr/include'));
  const file = xen ?? join(folder, setup.hypervisor.file);
  const hypervisor = unzipped(file);
  const patience: Patience = { boot: usualPatience.boot * scale, answer: usualPatience.answer * scale };
  const live = [
    '--arch',
    setup.arch,
    ...(setup.domain ? ['--guest', 'domu'] : []),
    ...(xen === undefined ? [] : ['--xen', xen]),
    ...more.flatMap((op) => ['--has', op]),
  ];
  const tree = setup.domain && treeFile(setup, guest, setup.domain);
  const player = await livePlayer(setup, { hypervisor, guest, ...(tree !== undefined && { tree }) }, patience, live, more);
  const cast: Cast = { ...setup, more, translated: player.hello.translated, room: player.room };
  const own: StartedFrom[] = xen === undefined ? [] : [{ name: basename(xen), sha256: sha256(readable(file)) }];
  const used = packages.filter((p) => p.name === headers || (xen === undefined && p.name === setup.hypervisor.package));
  const oracleWith: Live['oracleWith'] = (change) => (scenario) => {
    const answer = change(xen417(setup.guests, setup.mappable));
    return setup.guests === 'pv'
      ? new PvOracle(scenario, cast, answer, player.elsewhere)
      : new ReleaseOracle(scenario, cast, setup.guests, answer);
  };
  const course: Course = {
    draw: (numbers) => drawn(numbers, cast),
    oracle: oracleWith((right) => right),
    unjudged: player.hello.commands.exchange === undefined ? { exchange } : {},
    packages: [...used, ...own],
    excused: setup.excused,
  };
  const from =
    used.length > 0 && xen === undefined ? `Debian's ${packagesText(used)}` : `${basename(xen ?? '')}, SHA-256 ${own[0]?.sha256}`;
  return { player, course, origin: `${player.hello.name}; ${from}; under ${setup.qemu}`, privileged: setup.privileged, oracleWith };
}

function packagesText(packages: readonly StartedFrom[]): string {
  return packages
    .filter(({ name }) => name !== headers)
    .map(({ name, version, sha256: sum }) => `${name} ${version}, SHA-256 ${sum}`)
    .join(', ');
}

/** A hypervisor as QEMU wants it: not compressed. */
function unzipped(file: string): string {
  const bytes = readable(file);
  if (bytes.readUInt16BE(0) !== 0x1f8b) return file;
  const folder = join(cacheFolder(), 'hypervisor');
  const plain = join(folder, sha256(bytes));
  if (existsSync(plain)) return plain;
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(`${plain}.${process.pid}`, gunzipSync(bytes, { maxOutputLength: 1 << 28 }));
    renameSync(`${plain}.${process.pid}`, plain);
    return plain;
  } catch (error) {
    throw new UndrivenError(`${file}: ${(error as Error).message}`);
  }
}

/** The device tree of the machine, as QEMU tells it, with the domain in it. */
function treeFile(setup: Setup, guest: string, domain: NonNullable<Setup['domain']>): string {
  const file = `${guest}.dtb`;
  const [option, machine = '', ...rest] = setup.machine({ hypervisor: '', guest: '' });
  const work = mkdtempSync(join(cacheFolder(), 'guest', '.tree-'));
  try {
    const plain = join(work, 'plain');
    const memory = memoryOptions('memory-backend-ram');
    run(setup.qemu, [`${option}`, `${machine},dumpdtb=${plain.replaceAll(',', ',,')}`, ...rest.slice(0, 2), ...memory, '-display', 'none']);
    const size = PAGE_SIZE * Math.ceil(statSync(guest).size / PAGE_SIZE);
    writeFileSync(join(work, 'tree'), withDomain(readFileSync(plain), { ...domain, size }));
    renameSync(join(work, 'tree'), file);
    return file;
  } catch (error) {
    throw error instanceof UndrivenError ? error : new UndrivenError(`${file}: ${(error as Error).message}`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function readable(file: string): Buffer {
  try {
    const bytes = readFileSync(file);
    if (bytes.length > 1) return bytes;
  } catch (error) {
    throw new UndrivenError(`${file}: ${(error as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file' : (error as Error).message}`);
  }
  throw new UndrivenError(`${file}: is empty`);
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
