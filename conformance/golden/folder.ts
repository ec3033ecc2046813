import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import type { CallCase, GoldenCase } from './case.ts';
import { type Manifest, manifestName } from './manifest.ts';

/** Files beside the cases that are written by hand. */
export const companions = ['README.md', 'schema.json'] as const;

/** A folder of cases that cannot be read at all. */
export class FolderError extends Error {
  override readonly name = 'FolderError';
}

/** One file of a folder. */
export interface StoredFile {
  /** Its path under the folder, with `/`. */
  readonly file: string;
  readonly text: string;
}

/** A case and the file that holds it. */
export interface StoredCase {
  readonly file: string;
  readonly golden: GoldenCase;
}

/** Every file under a folder, in the order of their names. */
export function storedFiles(folder: string): StoredFile[] {
  let names: string[];
  try {
    names = readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'));
  } catch (error) {
    throw new FolderError(`${folder}: ${(error as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such folder' : (error as Error).message}`);
  }
  return names.sort().map((file) => ({ file, text: readFileSync(join(folder, file), 'utf8') }));
}

/** The manifest of a folder. */
export function manifestIn(folder: string): Manifest {
  try {
    return JSON.parse(readFileSync(join(folder, manifestName), 'utf8')) as Manifest;
  } catch (error) {
    throw new FolderError(`${join(folder, manifestName)}: ${error instanceof SyntaxError ? 'no JSON' : 'cannot be read'}`);
  }
}

/**
 * The cases of a folder, in the order of their names. Throws where one is no JSON: `checkFolder`
 * says more.
 */
export function casesIn(folder: string): StoredCase[] {
  const stored = storedFiles(folder).filter(({ file }) => file !== manifestName && !companions.includes(file as 'schema.json'));
  return stored.map(({ file, text }) => {
    try {
      return { file, golden: JSON.parse(text) as GoldenCase };
    } catch {
      throw new FolderError(`${join(folder, file)}: no JSON`);
    }
  });
}

/** Those of a folder that were promoted; none where there is no such folder yet. */
export function promotedIn(folder: string): CallCase[] {
  let cases: StoredCase[];
  try {
    cases = casesIn(folder);
  } catch (error) {
    if (error instanceof FolderError) return [];
    throw error;
  }
  return cases.flatMap(({ golden }) => (golden.case === 'call' && golden.origin.kind === 'promoted' ? [golden] : []));
}

/** The texts that lie beside the cases, from the folder that has them. */
export function companionsIn(folder: string): Map<string, string> {
  return new Map(companions.map((file) => [file, readFileSync(join(folder, file), 'utf8')]));
}

/**
 * Writes a folder of cases; files of an earlier one that are no more are taken away, anything else
 * is left.
 */
export function writeFolder(folder: string, files: ReadonlyMap<string, string>): void {
  let old: readonly string[] = [];
  try {
    old = Object.keys(manifestIn(folder).files);
  } catch (error) {
    if (!(error instanceof FolderError)) throw error;
  }
  for (const file of old) if (!files.has(file) && !file.includes('..')) rmSync(join(folder, file), { force: true });
  for (const [file, text] of files) {
    const path = join(folder, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
}
