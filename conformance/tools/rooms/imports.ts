import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { roomOf, rooms } from './rooms.ts';

/** The text of each file, by its path in the repository. */
export type Sources = ReadonlyMap<string, string>;

/**
 * A relative import, also one of types alone: of which file in which line, and the path that it
 * leads to.
 */
export interface Import {
  readonly file: string;
  readonly line: number;
  readonly target: string;
}

/**
 * An import or export statement at the start of a line, or an `import('…')` anywhere, of a relative
 * path.
 */
const statement = /^(?:import|export)\s+(?:[\w*{}\s,]+?\sfrom\s+)?'(\.[^']*)'|\bimport\(\s*'(\.[^']*)'\s*\)/gm;

/** Every .ts file under `src`, `conformance` and `bin` of a folder. */
export function sourcesIn(root: URL): Sources {
  const files = ['src', 'conformance', 'bin'].flatMap((top) =>
    readdirSync(new URL(`${top}/`, root), { recursive: true, encoding: 'utf8' }).map((name) => `${top}/${name}`),
  );
  const sources = files.filter((file) => file.endsWith('.ts') && !/(^|\/)(node_modules|dist)\//.test(file));
  return new Map(sources.sort().map((file) => [file, readFileSync(new URL(file, root), 'utf8')]));
}

/** The relative imports of every file. */
export function importsOf(sources: Sources): Import[] {
  return [...sources].flatMap(([file, text]) =>
    [...text.matchAll(statement)].map((match) => {
      const path = (match[1] ?? match[2]) as string;
      const line = text.slice(0, match.index + match[0].lastIndexOf(path)).split('\n').length;
      return { file, line, target: posix.join(posix.dirname(file), path) };
    }),
  );
}

/**
 * What is wrong with the arrows between rooms, a line each. A test may import what it tests from
 * anywhere.
 */
export function wrongArrows(sources: Sources): string[] {
  const homeless = [...sources.keys()].flatMap((file) => {
    const folder = /^(?:src|conformance)\/[^/]+(?=\/)/.exec(file)?.[0];
    return roomOf(file) === undefined || (folder && !rooms[folder])
      ? [`${file}:1: ${folder ?? posix.dirname(file)} is no room of the table`]
      : [];
  });
  const wrong = importsOf(sources).flatMap(({ file, line, target }) => {
    if (!sources.has(target)) return [`${file}:${line}: there is no file ${target}`];
    const [from, to] = [roomOf(file), roomOf(target)];
    if (from === undefined || to === undefined || from === to || file.endsWith('.test.ts')) return [];
    const room = rooms[from];
    return room?.imports.includes(to) ? [] : [`${file}:${line}: ${from} may not import ${to} (${target}). ${from}: ${room?.says}`];
  });
  return [...homeless, ...wrong];
}

/**
 * Every circle of imports that is the shortest through one of its files, as `a.ts -> b.ts -> a.ts`
 * from its first name.
 */
export function circles(sources: Sources): string[] {
  const imports = new Map<string, string[]>([...sources.keys()].map((file) => [file, []]));
  for (const { file, target } of importsOf(sources)) imports.get(file)?.push(target);
  const found = new Set<string>();
  for (const start of sources.keys()) {
    const back = shortestBack(start, (file) => imports.get(file) ?? []);
    if (!back) continue;
    const first = back.indexOf(back.toSorted()[0] as string);
    const turned = [...back.slice(first), ...back.slice(0, first)];
    found.add([...turned, turned[0]].join(' -> '));
  }
  return [...found];
}

/** The files of the shortest way from a file back to it. */
function shortestBack(start: string, next: (file: string) => readonly string[]): string[] | undefined {
  const from = new Map<string, string>();
  const way = (file: string): string[] => (file === start ? [start] : [...way(from.get(file) as string), file]);
  for (const queue = [start]; queue.length > 0; ) {
    const file = queue.shift() as string;
    for (const target of next(file)) {
      if (target === start) return way(file);
      if (from.has(target)) continue;
      from.set(target, file);
      queue.push(target);
    }
  }
  return undefined;
}

/**
 * The picture as text: the rooms in order, and how many imports go along each arrow. `<->`: the
 * other room imports this one too.
 */
export function picture(sources: Sources): string[] {
  const all = importsOf(sources).filter(({ file }) => !file.endsWith('.test.ts'));
  const count = (from: string, to: string): number =>
    all.filter(({ file, target }) => roomOf(file) === from && roomOf(target) === to).length;
  return Object.entries(rooms).flatMap(([room, { says, imports }]) => [
    room,
    `    ${says}`,
    ...imports.map((to) => `    ${rooms[to]?.imports.includes(room) ? '<->' : ' ->'} ${to} (${count(room, to)})`),
  ]);
}
