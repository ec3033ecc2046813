import { clipped, printable } from '../../src/text/style.ts';

/** What a gate says of one thing that it looked at. */
export interface GateCase {
  /** What it is, as `xen_memory_reservation`. */
  readonly name: string;
  /** Where it was seen, as a file. */
  readonly where: string;
  /** What is wrong, as sentences; empty if nothing is. */
  readonly details: readonly string[];
}

/** What a gate other than the suite found: `layout check`, `layout diff`. */
export interface GateResult {
  readonly gate: string;
  readonly cases: readonly GateCase[];
}

/** GitHub shows ten annotations of a level and drops the rest unsaid; longer messages are cut. */
const most = { annotations: 10, text: 1000 } as const;

/**
 * The forms of `--report KIND=FILE` for a gate, as those of `conform`; each ends with a line end.
 */
export const gateForms = { junit: junitOf, sarif: sarifOf, github: githubOf, markdown: markdownOf } as const satisfies {
  readonly [kind: string]: (result: GateResult) => string;
};

export type GateFormName = keyof typeof gateForms;

/** Their names, in the order they are listed. */
export const gateFormNames: readonly GateFormName[] = Object.keys(gateForms) as GateFormName[];

function failed({ details }: GateCase): boolean {
  return details.length > 0;
}

function summaryOf({ gate, cases }: GateResult): string {
  return `${gate}: ${cases.filter(failed).length} of ${cases.length} differ`;
}

function junitOf({ gate, cases }: GateResult): string {
  const counts = `tests="${cases.length}" failures="${cases.filter(failed).length}" errors="0" skipped="0"`;
  const files = [...new Set(cases.map(({ where }) => where))];
  const suites = files.flatMap((file) => {
    const own = cases.filter(({ where }) => where === file);
    return [
      `  <testsuite name="${xml(file)}" tests="${own.length}" failures="${own.filter(failed).length}" errors="0" skipped="0">`,
      ...own.map((one) => {
        const head = `    <testcase classname="xenmem.layout" name="${xml(one.name)}"`;
        if (!failed(one)) return `${head}/>`;
        const [first = ''] = one.details;
        return `${head}><failure type="layout" message="${xml(first)}">${one.details.map(xml).join('\n')}</failure></testcase>`;
      }),
      '  </testsuite>',
    ];
  });
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="xenmem ${xml(gate)}" ${counts}>`,
    ...suites,
    '</testsuites>',
    '',
  ].join('\n');
}

function sarifOf({ gate, cases }: GateResult): string {
  const names = [...new Set(cases.map(({ name }) => name))];
  const run = {
    tool: {
      driver: {
        name: `xenmem ${gate}`,
        rules: names.map((id) => ({
          id,
          shortDescription: { text: `The layout of ${plain(id)} is what it is compared with.` },
          defaultConfiguration: { level: 'error' },
        })),
      },
    },
    results: cases.filter(failed).map(({ name, where, details }) => ({
      ruleId: name,
      ruleIndex: names.indexOf(name),
      level: 'error',
      message: { text: plain(`${name}: ${details.join('; ')}`).replace(/[[\]\\]/g, '\\$&') },
      locations: [{ physicalLocation: { artifactLocation: { uri: encodeURI(plain(where)) }, region: { startLine: 1 } } }],
      partialFingerprints: { 'struct/v1': plain(`${name} ${details.join('; ')}`) },
    })),
    columnKind: 'utf16CodeUnits',
  };
  const log = { $schema: 'https://json.schemastore.org/sarif-2.1.0.json', version: '2.1.0', runs: [run] };
  return `${JSON.stringify(log, undefined, 2)}\n`;
}

function githubOf(result: GateResult): string {
  const bad = result.cases.filter(failed);
  const shown = bad.slice(0, bad.length > most.annotations ? most.annotations - 1 : most.annotations);
  const rest = bad.length - shown.length;
  const lines = [
    ...shown.map(({ name, where, details }) => command('error', `${name} in ${where}`, details.join('\n'))),
    ...(rest > 0 ? [command('error', `${rest} more`, `${rest} more structs differ`)] : []),
    command('notice', `xenmem ${result.gate}`, summaryOf(result)),
  ];
  return lines.join('');
}

function command(level: string, title: string, text: string): string {
  const data = (value: string): string => value.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
  const property = data(plain(title)).replaceAll(':', '%3A').replaceAll(',', '%2C');
  return `::${level} title=${property}::${data(text.split('\n').map(plain).join('\n'))}\n`;
}

function markdownOf(result: GateResult): string {
  const rows = result.cases.map(({ name, where, details }) => {
    const said = details.length === 0 ? 'equal' : details.map(cell).join('<br>');
    return `| ${details.length === 0 ? '✓' : '✗'} | ${cell(name)} | ${cell(where)} | ${said} |`;
  });
  return [`### ${cell(summaryOf(result))}`, '', '| | struct | in | |', '|---|---|---|---|', ...rows, ''].join('\n');
}

function cell(text: string): string {
  return plain(text).replace(/[\\`*_{}[\]<>|#&]/g, (mark) => `&#${mark.charCodeAt(0)};`);
}

function plain(text: string): string {
  return clipped(printable(text), most.text);
}

/** Escaped for an attribute and for text alike. */
function xml(text: string): string {
  return plain(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&apos;');
}
