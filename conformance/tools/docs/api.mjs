// The page of the API: what the package exports, with its docstrings, as the built declarations say
// it. Needs the build.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const doors = { xenmem: 'dist/src/index.d.ts', 'xenmem/conformance': 'dist/conformance/index.d.ts' };
const root = fileURLToPath(new URL('../../..', import.meta.url));
const longest = 40;

/** The page, as `docs/api.md` holds it. */
export function apiPage() {
  const sections = Object.entries(doors).map(([name, file]) => `## ${name}\n\n${exportsOf(file).map(entry).join('\n\n')}\n`);
  return `<!-- made by npm run docs -->\n\n# The library\n\nWhat the package exports. 64-bit words are \`bigint\`.\n\n${sections.join('\n')}`;
}

/** The declarations behind a door, in the order of its lines. */
function exportsOf(file) {
  const text = readFileSync(join(root, file), 'utf8');
  return [...text.matchAll(/^export (type )?(\*|\{[^}]*\}) from '([^']+)';/gm)].flatMap(([, , names, from]) => {
    const known = declarationsIn(join(dirname(file), from.replace(/\.(ts|js)$/, '.d.ts')));
    if (names === '*') return [...known].map(([name, text]) => ({ name, ...text }));
    return names.match(/\w+(?=\s*[,}])/g).map((name) => ({ name, ...known.get(name) }));
  });
}

/** Each exported declaration of a file by name: its text, and the docstring before it. */
function declarationsIn(file) {
  const text = readFileSync(join(root, file), 'utf8');
  const each =
    /(?:\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\n)?^export (?:declare )?((?:abstract )?(?:function|const|class|interface|type) (\w+)[\s\S]*?(?:;|\}))$(?!\n[ }])/gm;
  const found = new Map();
  for (const [, doc = '', code, name] of text.matchAll(each)) found.set(name, found.get(name) ?? { doc, code });
  for (const [, names, from] of text.matchAll(/^export (?:type )?\{([^}]*)\} from '([^']+)';/gm)) {
    const there = declarationsIn(join(dirname(file), from.replace(/\.(ts|js)$/, '.d.ts')));
    for (const name of names.match(/\w+(?=\s*(?:,|$))/g)) found.set(name, there.get(name));
  }
  return found;
}

/** One declaration: its name, what its docstring says, its type. */
function entry({ name, doc, code }) {
  if (code === undefined) throw new Error(`no declaration of ${name}`);
  const words = doc.replace(/^\s*\* ?/gm, '').trim();
  const lines = code.split('\n');
  const shown = lines.length > longest ? [...lines.slice(0, longest), '    …'] : lines;
  return [`### ${name}`, ...(words === '' ? [] : [words]), `\`\`\`ts\n${shown.join('\n')}\n\`\`\``].join('\n\n');
}
