import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { UndrivenError } from '../protocol/player.ts';
import { cacheFolder, needs, run } from './packages.ts';
import { type Setup, shared } from './setups.ts';

const always = ['-O2', '-Wall', '-Werror', '-ffreestanding', '-fpie', '-fno-stack-protector', '-fno-jump-tables', '-fvisibility=hidden'];
const linked = ['-nostdlib', '-static', '-Wl,--build-id=none', '-Wl,--no-warn-rwx-segments'];

/**
 * The guest of a set-up, from the cache or else built with Debian's cross compiler. `sources`: the
 * folder of its sources; `headers`: the one that holds Xen's. Throws an `UndrivenError` that says
 * in one line what stands against it.
 */
export function built(setup: Setup, sources: string, headers: string): string {
  const files = [...setup.sources, 'guest.c'].map((file) => join(sources, file));
  const [gcc, objcopy] = [`${setup.tools}gcc`, `${setup.tools}objcopy`];
  const script = join(sources, setup.script);
  const options = [...always, ...setup.flags, ...shared, ...linked, `-Wl,-T,${script}`];
  const hash = createHash('sha256');
  for (const file of [...files, join(sources, 'guest.h'), script]) hash.update(readFileSync(file));
  const name = hash
    .update(JSON.stringify([options, headers]))
    .digest('hex')
    .slice(0, 16);
  const folder = join(cacheFolder(), 'guest');
  const image = join(folder, `${setup.debian}-${name}.img`);
  if (existsSync(image)) return image;
  needs(gcc, `Debian's gcc-${setup.tools.replace(/-$/, '')}`);
  needs(objcopy, `Debian's binutils-${setup.tools.replace(/-$/, '')}`);
  let work = '';
  try {
    mkdirSync(folder, { recursive: true });
    work = mkdtempSync(join(folder, '.build-'));
    const elf = join(work, 'guest');
    run(gcc, [...options, `-I${headers}`, '-o', elf, ...files]);
    if (setup.flat) run(objcopy, ['-O', 'binary', elf]);
    renameSync(elf, image);
    return image;
  } catch (error) {
    throw error instanceof UndrivenError ? error : new UndrivenError(`${folder}: ${(error as Error).message}`);
  } finally {
    if (work !== '') rmSync(work, { recursive: true, force: true });
  }
}
