import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { createHypervisor } from '../../src/model/hypervisor.ts';
import type { Edited } from './fault.ts';

/** Makes a hypervisor of an edited model. */
export type Create = typeof createHypervisor;

/** An edit that does not apply to the model as it is today. */
export class EditError extends Error {
  override readonly name = 'EditError';
}

/**
 * Faults are edits of the sources, which only a clone of the repository has, with what its
 * developers install.
 */
export class NoCloneError extends Error {
  override readonly name = 'NoCloneError';
  constructor() {
    super('this needs a clone of the repository after npm ci: faulty hypervisors are edits of the sources');
  }
}

const room = 'src/model';
const door = 'hypervisor.ts';

/**
 * The models with these edits, by name: bundled in one go, each with its own copy of the model and
 * all with one copy of what the model stands on. `EditError` where an edit does not apply,
 * `NoCloneError` where there are no sources to edit.
 */
export async function load(edited: readonly Edited[]): Promise<ReadonlyMap<string, Create>> {
  const bundler = await import('rolldown').catch((error: unknown) => {
    throw isAbsent(error, 'rolldown') ? new NoCloneError() : error;
  });
  const files = edited.map(editedFiles);
  const model = join(sources(), room);
  const imports = edited.map((_, i) => `import { createHypervisor as create${i} } from ${JSON.stringify(`${join(model, door)}?${i}`)};`);
  const entry = `${imports.join('\n')}\nexport default [${edited.map((_, i) => `create${i}`).join()}];`;
  const bundle = await bundler.rolldown({
    input: 'entry',
    platform: 'node',
    tsconfig: false,
    plugins: [
      {
        name: 'edited model',
        // Each edited model is one graph of modules, told apart by the number behind the last
        // question mark.
        resolveId(source, importer) {
          if (importer === undefined || importer === 'entry') return source;
          const [from, which] = partsOf(importer);
          if (!source.startsWith('.')) return null;
          const file = resolve(dirname(from), source);
          return which !== undefined && dirname(file) === model ? `${file}?${which}` : file;
        },
        load(id) {
          if (id === 'entry') return entry;
          const [file, which] = partsOf(id);
          const own = which === undefined ? undefined : files[Number(which)]?.get(file.slice(model.length + 1));
          return file.endsWith('.ts') ? { code: own ?? readFileSync(file, 'utf8'), moduleType: 'ts' } : null;
        },
      },
    ],
  });
  const { output } = await bundle.generate({ format: 'esm' });
  // By way of a file that nobody else can read: an error in it would print a data URL whole.
  const folder = mkdtempSync(join(tmpdir(), 'xenmem-faults-'));
  try {
    const file = join(folder, 'faults.mjs');
    writeFileSync(file, output[0].code);
    const { default: creates } = (await import(pathToFileURL(file).href)) as { default: Create[] };
    return new Map(edited.map(({ name }, i) => [name, creates[i] as Create]));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * A module's file, and which edited model it belongs to, if to one. The path of a clone may have a
 * question mark in it.
 */
export function partsOf(id: string): [file: string, which: string | undefined] {
  const [, file = '', which] = /^(.*?)(?:\?(\d+))?$/s.exec(id) ?? [];
  return [file, which];
}

/** Did an import fail because this package is not installed, and for no other reason? */
export function isAbsent(error: unknown, name: string): boolean {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === 'ERR_MODULE_NOT_FOUND' && message.startsWith(`Cannot find package '${name}' `);
}

/**
 * The files of the model that edits change, by name, with their new text. `EditError` where one
 * does not apply.
 */
export function editedFiles({ name, edits }: Edited): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  for (const [file, find, put] of edits) {
    const text = files.get(file) ?? pristine(file);
    const found = text.split(find).length - 1;
    if (found !== 1) throw new EditError(`"${name}": ${file} must have this once, and has it ${found} times: ${find}`);
    files.set(
      file,
      text.replace(find, () => put),
    );
  }
  return files;
}

/** The text of a file of the model as it stands in the repository. */
export function pristine(file: string): string {
  return readFileSync(join(sources(), room, file), 'utf8');
}

/**
 * The top of the clone. A run of mutation tests plays in a copy whose sources are changed already:
 * not that one.
 */
export function sources(): string {
  const here = fileURLToPath(import.meta.url).split('/.stryker-tmp/')[0] as string;
  for (let at = here; at !== dirname(at); at = dirname(at)) {
    if (existsSync(join(at, 'package.json')) && existsSync(join(at, room, door))) return at;
  }
  throw new NoCloneError();
}
