import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { withTables } from '../docs/pages.ts';
import { circles, importsOf, picture, sourcesIn, wrongArrows } from './imports.ts';
import { rooms, roomsTable } from './rooms.ts';

const root = new URL('../../../', import.meta.url);
const sources = sourcesIn(root);

describe('the rooms', () => {
  it('have no arrow between them that the table does not allow', () => {
    expect(wrongArrows(sources)).toEqual([]);
  });

  it('have no circle of imports between files, of types neither', () => {
    expect(circles(sources)).toEqual([]);
  });

  it('import rooms above them only', () => {
    const order = Object.keys(rooms);
    const up = Object.entries(rooms).flatMap(([room, { imports }], at) =>
      imports.filter((to) => !order.slice(0, at).includes(to)).map((to) => `${room} -> ${to}`),
    );
    expect(up).toEqual([]);
  });

  it('are told with one sentence each', () => {
    expect(Object.values(rooms).filter(({ says }) => !/^[A-Z`].*\.$/.test(says) || /\. [A-Z]/.test(says))).toEqual([]);
  });

  it('stand in docs/architecture.md as the table has them (npm run docs writes it)', () => {
    const page = readFileSync(new URL('docs/architecture.md', root), 'utf8');
    expect(withTables('architecture.md', page, { rooms: roomsTable })).toBe(page);
  });

  it('are all shown, with the number of imports on each arrow', () => {
    const shown = picture(
      new Map([
        ['src/export/built/a.ts', "import '../../abi/a.ts';\nexport * from '../../abi/a.ts';\n"],
        ['src/abi/a.ts', ''],
      ]),
    );
    expect(shown.filter((line) => !line.startsWith(' '))).toEqual(Object.keys(rooms));
    expect(shown.slice(shown.indexOf('src/export/built')).slice(0, 3)).toEqual([
      'src/export/built',
      `    ${rooms['src/export/built']?.says}`,
      '     -> src/abi (2)',
    ]);
  });
});

it('conformance/README.md has one sentence for each file of the road, and for each room beside it', () => {
  const page = readFileSync(new URL('conformance/README.md', root), 'utf8');
  const told = [...page.matchAll(/^- `([^`]+)` [^.]*\.$/gm)].map(([, name]) => name);
  const road = ['scenario', 'protocol', 'observe', 'verdict', 'twin'];
  const there = readdirSync(new URL('conformance/', root), { withFileTypes: true }).flatMap((e) => {
    if (!e.isDirectory()) return e.name;
    if (!road.includes(e.name)) return `${e.name}/`;
    return readdirSync(new URL(`conformance/${e.name}/`, root)).map((name) => `${e.name}/${name}`);
  });
  expect(told.toSorted()).toEqual(there.filter((name) => !/\.(test\.ts|md)$/.test(name)).sort());
});

describe('the reader of imports', () => {
  it('finds them in every form, and none in a text', () => {
    const call = 'import'; // in one piece it would be an import of this file
    const text = [
      "import fc from 'fast-check';",
      "import type { A } from './a.ts';",
      "import b, {\n  type B,\n  b as c,\n} from '../b.ts';",
      "import './c.ts';",
      "export * as d from './d.ts';",
      "export { e } from './e.ts';",
      `type F = ${call}('./f.ts').F;`,
      `  const g = await ${call}('./g.ts');`,
      "  ['model.ts', \"import { x } from './x.ts'\"],",
    ].join('\n');
    const found = importsOf(new Map([['src/abi/z.ts', text]]));
    expect(found.map(({ line, target }) => `${line} ${target}`)).toEqual([
      '2 src/abi/a.ts',
      '6 src/b.ts',
      '7 src/abi/c.ts',
      '8 src/abi/d.ts',
      '9 src/abi/e.ts',
      '10 src/abi/f.ts',
      '11 src/abi/g.ts',
    ]);
  });

  it('finds as many of ours as there are lines that end so', () => {
    const lines = [...sources.values()].join('\n').match(/^(?:import .*|export .*|\} )from '\.[^']*';$|^import '\.[^']*';$/gm) ?? [];
    const statements = importsOf(sources).filter(({ file, line }) => !/\bimport\(/.test(sources.get(file)?.split('\n')[line - 1] ?? ''));
    expect(lines.length).toBeGreaterThan(1000);
    expect(statements.length).toBe(lines.length);
  });

  it('names file, line and forbidden arrow', () => {
    const forged = new Map([
      ['src/model/a.ts', "\nimport type { Rule } from '../rules/rule.ts';\n"],
      ['src/model/a.test.ts', "import type { Rule } from '../rules/rule.ts';\n"],
      ['src/rules/rule.ts', "import '../abi/none.ts';\n"],
      ['src/attic/b.ts', ''],
    ]);
    expect(wrongArrows(forged)).toEqual([
      'src/attic/b.ts:1: src/attic is no room of the table',
      `src/model/a.ts:2: src/model may not import src/rules (src/rules/rule.ts). src/model: ${rooms['src/model']?.says}`,
      'src/rules/rule.ts:1: there is no file src/abi/none.ts',
    ]);
  });

  it('names a circle, once', () => {
    const forged = new Map([
      ['src/abi/a.ts', "import type { B } from './b.ts';\n"],
      ['src/abi/b.ts', "import { c } from './c.ts';\n"],
      ['src/abi/c.ts', "export type { A } from './a.ts';\n"],
      ['src/abi/d.ts', "import './a.ts';\n"],
    ]);
    expect(circles(forged)).toEqual(['src/abi/a.ts -> src/abi/b.ts -> src/abi/c.ts -> src/abi/a.ts']);
  });
});
