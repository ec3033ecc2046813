import { type Arch, arches, archNames } from '../../../src/abi/arch.ts';
import { DOMID, errno } from '../../../src/abi/constants.ts';
import { layoutOf, type StructLayout } from '../../../src/abi/layout.ts';
import { argumentOf, XENMEM } from '../../../src/abi/ops.ts';
import { structNames } from '../../../src/abi/structs.ts';
import { ambiguities, commandsText } from '../../../src/rules/ambiguities.ts';
import { examples } from '../../../src/rules/examples.ts';
import { isRequirement, type Rule, saying } from '../../../src/rules/rule.ts';
import { ruleOf, rules } from '../../../src/rules/table.ts';
import type { Group } from '../../verdict/outcome.ts';
import { groupOf } from '../../verdict/outcome.ts';
import { headerParts, link } from './header-page.ts';

// The pages of docs/ that say what the tables say. `npm run docs` writes them, a test keeps them
// true.

/** Each page by its file name, made with the text of the patch. */
export const pages: { readonly [file: string]: (patch: string) => string } = {
  'abi.md': abiPage,
  'requirements.md': requirementsPage,
  'ambiguities.md': ambiguitiesPage,
  'header.md': (patch) => page('The header, line by line', headerParts(patch, rules)),
};

/** The tables inside pages that are written by hand, by the file's name and the table's. */
export const tables: { readonly [file: string]: Tables } = {
  'spec.md': {
    get: () => requirementsTable('get'),
    put: () => requirementsTable('put'),
    safety: () => requirementsTable('safety'),
    reservation: () => requirementsTable('reservation'),
    duties: dutiesTable,
    freedoms: freedomsTable,
  },
};

/** Tables by their names, each made when it is asked for. */
type Tables = { readonly [name: string]: () => string };

/**
 * A page that is written by hand, with each of its tables made anew. A table that the page has no
 * place for is an error.
 */
export function withTables(file: string, text: string, made: Tables = tables[file] ?? {}): string {
  return Object.entries(made).reduce((before, [name, table]) => {
    const [open, close] = [`<!-- ${name}: made by npm run docs -->`, `<!-- end of ${name} -->`];
    const [start, end] = [before.indexOf(open), before.indexOf(close)];
    if (start < 0 || end < start) throw new TypeError(`docs/${file} has no place for the table "${name}": ${open} … ${close}`);
    return `${before.slice(0, start)}${open}\n\n${table()}\n\n${before.slice(end)}`;
  }, text);
}

const made = '<!-- made by npm run docs -->';

/** The structs on every architecture, the op numbers, the constants. */
function abiPage(): string {
  const same = sameLayouts();
  const sections = same.flatMap(({ names, layouts }) => [
    `## ${names.join(', ')}`,
    `A word, a frame number and a guest handle in a struct are ${arches[names[0] as Arch].word} bytes.`,
    ...layouts.flatMap(structTable),
  ]);
  const ops = Object.entries(XENMEM['dma-buf']).map(
    ([name, number]) => `| ${number} | \`${name}\` | \`${argumentOf[name as keyof typeof argumentOf]}\` |`,
  );
  return page('The ABI', [
    'Always little-endian. `cmd` holds the op in bits 0..5 and, for a continuation, the extent to go on from in the bits above.',
    ...sections,
    '## Ops',
    'Never issue 26 and 27 to a Xen of today: see [xen-versions.md](xen-versions.md).',
    ['| op | name | argument |', '|--:|---|---|', ...ops].join('\n'),
    '## Constants',
    [
      '| name | value |',
      '|---|--:|',
      ...Object.entries(DOMID).map(([name, value]) => `| \`DOMID_${name}\` | 0x${value.toString(16)} |`),
      ...Object.entries(errno).map(([name, value]) => `| \`${name}\` | ${value} |`),
    ].join('\n'),
  ]);
}

/** Architectures that agree on every struct, with their layouts. */
function sameLayouts(): { names: Arch[]; layouts: StructLayout[] }[] {
  const groups: { names: Arch[]; layouts: StructLayout[]; key: string }[] = [];
  for (const arch of archNames) {
    const layouts = structNames.map((name) => layoutOf(name, arch));
    const key = JSON.stringify(layouts.map(({ size, fields, padding }) => [size, fields, padding]));
    const group = groups.find((g) => g.key === key);
    if (group) group.names.push(arch);
    else groups.push({ names: [arch], layouts, key });
  }
  return groups;
}

function structTable({ struct, size, align, fields, padding }: StructLayout): string[] {
  const rows = [
    ...fields.map((field) => ({ offset: field.offset, size: field.size, text: `\`${field.path}\`` })),
    ...padding.map((gap) => ({ offset: gap.offset, size: gap.size, text: 'padding' })),
  ].sort((a, b) => a.offset - b.offset);
  return [
    `### ${struct}, ${size} bytes, aligned to ${align}`,
    ['| offset | size | field |', '|--:|--:|---|', ...rows.map((row) => `| ${row.offset} | ${row.size} | ${row.text} |`)].join('\n'),
  ];
}

/** Every rule with its sentence. */
function requirementsPage(): string {
  const of = (required: boolean): string[] =>
    rules
      .filter((rule) => isRequirement(rule) === required)
      .flatMap((rule) => [
        `### ${rule.id}`,
        [
          ...quotations(rule),
          '',
          `${rule.reading}`,
          '',
          `${!required ? `${rule.blame === 'caller' ? 'Severity' : `Blames the ${rule.blame}; severity`} ${rule.severity}` : `Level ${rule.level}${rule.always ? ', binds always' : ''}`}; over a ${rule.scope}; ops ${rule.ops.join(', ')}.`,
          ...(examples[rule.id] ? ['', `For example: ${examples[rule.id]}`] : []),
        ].join('\n'),
      ]);
  return page('The requirements', [
    'What is required of the hypervisor, and what of the caller. Ids are stable. `xenmem explain ID` shows the same; [spec.md](spec.md) has all of them in tables, [header.md](header.md) beside the sentences that they stand on.',
    'Levels say what must be visible: 0 memory and return codes, 1 also the p2m, 2 also a hypervisor that moves pages. A requirement binds unless the caller made an error in the same call; those that bind always say so.',
    '## On the hypervisor',
    ...of(true),
    '## On the caller, and notes',
    ...of(false),
  ]);
}

/** What a rule stands on, as quotations, and what has to be said of them. */
function quotations(rule: Rule): string[] {
  const also = (rule.also ?? []).flatMap((sentence) => ['>', `> ${saying(sentence)}`]);
  return [`> ${saying(rule)}`, ...also, ...(rule.quote && rule.remark ? ['', `(${rule.remark})`] : [])];
}

function requirementsTable(group: Group): string {
  const own = rules.filter((rule) => isRequirement(rule) && groupOf(rule.id) === group);
  return [
    '| id | level, scope | says | precisely |',
    '|---|---|---|---|',
    ...own.map(
      (rule) =>
        `| ${link(rule.id)}${rule.always ? ' !' : ''} | ${rule.level}, ${rule.scope}; ${opNumbers(rule)} | ${saysCell(rule)} | ${cell(rule.reading)} |`,
    ),
  ].join('\n');
}

function dutiesTable(): string {
  return [
    '| id | severity | ops | says | precisely |',
    '|---|---|---|---|---|',
    ...rules
      .filter((rule) => !isRequirement(rule))
      .map(
        (rule) =>
          `| ${link(rule.id)} | ${rule.blame === 'caller' ? '' : `${rule.blame}, `}${rule.severity} | ${opNumbers(rule)} | ${saysCell(rule)} | ${cell(rule.reading)} |`,
      ),
  ].join('\n');
}

function freedomsTable(): string {
  return [
    '| id | open |',
    '|---|---|',
    ...ambiguities.map(({ id, question }) => `| [${id}](ambiguities.md#${id}) | ${cell(question)} |`),
  ].join('\n');
}

/** The ops of a rule, by number. */
function opNumbers({ ops }: Rule): string {
  const numbers: { readonly [name: string]: number } = XENMEM['dma-buf'];
  return ops.map((op) => numbers[op]).join(' ');
}

function saysCell(rule: Rule): string {
  return [saying(rule), ...(rule.also ?? []).map(saying)].map(cell).join(' … ');
}

/** A text as it may stand in a cell of a table. */
function cell(text: string): string {
  return text.replaceAll(/[|*]/g, '\\$&');
}

/** Every point that the texts leave open. */
function ambiguitiesPage(): string {
  return page('What the texts leave open', [
    'Each unclear sentence, the readings that are accepted, what the reference model does, and how to play another one: `xenmem conform --reference FREEDOM=READING` plays the model with that reading; what cannot be chosen so is shown, in a clone of the repository, by a hypervisor that is unusual and right (`npm run faults -- show NAME`). None of these readings is ever blamed; a run says which ones it has seen.',
    ...ambiguities.flatMap(({ id, sentence, question, readings, ours, switch: how }) => [
      `## ${id}`,
      [
        `> ${sentence}`,
        '',
        `Open: ${question}.`,
        '',
        ...readings.map((reading) => `- ${reading}`),
        '',
        `The model: ${ours}. To switch: ${commandsText(how)}.`,
      ].join('\n'),
    ]),
  ]);
}

function page(title: string, parts: readonly string[]): string {
  return `${made}\n\n${[`# ${title}`, ...parts].join('\n\n')}\n`;
}

/** Do all ids that a text puts in backquotes exist? For the pages that are written by hand. */
export function unknownIds(text: string): string[] {
  const named = [...text.matchAll(/`((?:get|put|caller|reservation)-[a-z0-9-]+)`/g)].map((match) => match[1] as string);
  return named.filter((id) => !ruleOf(id) && !ambiguities.some((ambiguity) => ambiguity.id === id));
}
