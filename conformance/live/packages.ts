import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { UndrivenError } from '../protocol/player.ts';

// Debian's packages, fetched by an ordinary user: apt with a configuration, sources and lists of
// its own. Nothing is installed, and nothing of the system's apt is changed.

/** A package as it was fetched. */
export interface Package {
  readonly name: string;
  readonly version: string;
  readonly sha256: string;
}

/** Packages that were fetched, and the folder they are unpacked in. */
export interface Unpacked {
  readonly folder: string;
  readonly packages: readonly Package[];
}

const suites = [
  ['http://deb.debian.org/debian', 'bookworm'],
  ['http://deb.debian.org/debian-security', 'bookworm-security'],
] as const;
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
/** The list of what was fetched; it is written last. */
const listFile = 'packages.json';
/** Milliseconds that fetching may take. */
const patience = 300_000;

/** The folder that keeps what `live` fetched and built, by the rules of XDG. */
export function cacheFolder(): string {
  const given = process.env['XDG_CACHE_HOME'];
  return join(given?.startsWith('/') ? given : join(homedir(), '.cache'), 'xenmem');
}

/**
 * The packages of an architecture, from the cache or else from Debian. Throws an `UndrivenError`
 * that says in one line what stands against it.
 */
export function fetched(debian: string, names: readonly string[], say: (text: string) => void): Unpacked {
  const folder = join(cacheFolder(), 'debian', debian);
  const known = listed(folder);
  if (known && names.every((name) => known.some((p) => p.name === name))) return { folder, packages: known };
  for (const tool of ['apt-get', 'apt-config', 'dpkg-deb']) needs(tool, 'Debian or a system made from it');
  say(`fetching ${names.join(', ')} (${debian}) from Debian`);
  let work = '';
  try {
    mkdirSync(join(cacheFolder(), 'debian'), { recursive: true });
    work = mkdtempSync(join(cacheFolder(), 'debian', `.${debian}-`));
    const packages = fetchInto(work, debian, names, say);
    rmSync(join(work, 'apt'), { recursive: true });
    rmSync(folder, { recursive: true, force: true });
    renameSync(work, folder);
    return { folder, packages };
  } catch (error) {
    if (work !== '') rmSync(work, { recursive: true, force: true });
    throw error instanceof UndrivenError ? error : new UndrivenError(`${cacheFolder()}: ${(error as Error).message}`);
  }
}

/** Throws an `UndrivenError` where there is no such program. `from`: the package that has it. */
export function needs(program: string, from: string): void {
  const folders = (process.env['PATH'] ?? '').split(':');
  if (!folders.some((folder) => folder.startsWith('/') && existsSync(join(folder, program))))
    throw new UndrivenError(`there is no ${program} here: it comes with ${from}`);
}

/**
 * Runs a program to its end; what it printed. Throws an `UndrivenError` with its last words where
 * it fails.
 */
export function run(program: string, args: readonly string[], { cwd, env }: { cwd?: string; env?: NodeJS.ProcessEnv } = {}): string {
  const { status, signal, stdout, stderr, error } = spawnSync(program, args, {
    encoding: 'utf8',
    timeout: patience,
    maxBuffer: 1 << 24,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd !== undefined && { cwd }),
    env: { ...process.env, ...env, LC_ALL: 'C' },
  });
  if (status === 0) return stdout;
  const said = stderr.split('\n').filter((line) => line.trim() !== '');
  const first = said.find((line) => /^E:|error|No space left/i.test(line)) ?? said.at(-1);
  const why = error?.message ?? (signal ? `it was ended by ${signal}` : `exit ${status}`);
  throw new UndrivenError(`${program} failed: ${first ?? why}`);
}

function listed(folder: string): Package[] | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, listFile), 'utf8')) as Package[];
  } catch {
    return undefined;
  }
}

function fetchInto(work: string, debian: string, names: readonly string[], say: (text: string) => void): Package[] {
  const apt = join(work, 'apt');
  for (const folder of ['lists/partial', 'archives/partial', 'debs']) mkdirSync(join(apt, folder), { recursive: true });
  writeFileSync(join(apt, 'status'), '');
  // How things are acquired, proxies above all, is the system's; hooks and folders are not.
  const acquire = run('apt-config', ['dump']).match(/^Acquire::.*$/gm) ?? [];
  writeFileSync(join(apt, 'apt.conf'), [...acquire, ...settings(apt, debian)].map((line) => `${line}\n`).join(''));
  const env = { APT_CONFIG: join(apt, 'apt.conf') };
  updated(apt, env, say);
  run('apt-get', ['-qq', 'download', ...names], { env, cwd: join(apt, 'debs') });
  const packages = readdirSync(join(apt, 'debs')).map((file) => {
    const deb = join(apt, 'debs', file);
    run('dpkg-deb', ['-x', deb, work]);
    const [name = '', version = ''] = run('dpkg-deb', ['-W', `--showformat=${field('Package')} ${field('Version')}`, deb]).split(' ');
    return { name, version, sha256: createHash('sha256').update(readFileSync(deb)).digest('hex') };
  });
  writeFileSync(join(work, listFile), `${JSON.stringify(packages, null, 2)}\n`);
  return packages;
}

/** The lists of what there is; without the security updates where a mirror does not have them. */
function updated(apt: string, env: NodeJS.ProcessEnv, say: (text: string) => void): void {
  const signed = existsSync(keyring) ? ` [signed-by=${keyring}]` : '';
  const update = (some: readonly (readonly [string, string])[]): void => {
    writeFileSync(join(apt, 'sources.list'), some.map(([url, suite]) => `deb${signed} ${url} ${suite} main\n`).join(''));
    run('apt-get', ['-qq', 'update'], { env });
  };
  try {
    update(suites);
  } catch (error) {
    update(suites.slice(0, 1));
    say(`without security updates: ${(error as Error).message}`);
  }
}

/** A field of a package, as dpkg writes it in a format. */
function field(name: string): string {
  return `$\{${name}}`;
}

function settings(apt: string, debian: string): string[] {
  const set = (name: string, value: string): string => `${name} "${value}";`;
  return [
    '#clear Acquire::Languages;',
    set('Acquire::Languages', 'none'),
    set('Acquire::Retries', '1'),
    set('Acquire::http::Timeout', '20'),
    set('Acquire::https::Timeout', '20'),
    set('APT::Architecture', debian),
    '#clear APT::Architectures;',
    `APT::Architectures { "${debian}"; };`,
    set('APT::Update::Error-Mode', 'any'),
    set('APT::Sandbox::User', ''),
    set('Dir::Etc::main', '/dev/null'),
    set('Dir::Etc::parts', '/dev/null'),
    set('Dir::Etc::sourcelist', join(apt, 'sources.list')),
    set('Dir::Etc::sourceparts', '/dev/null'),
    set('Dir::Etc::preferences', '/dev/null'),
    set('Dir::Etc::preferencesparts', '/dev/null'),
    set('Dir::State', apt),
    set('Dir::State::status', join(apt, 'status')),
    set('Dir::Cache', apt),
  ];
}
