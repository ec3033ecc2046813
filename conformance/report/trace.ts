import { csv } from '../../src/export/csv.ts';
import { type SafetyItem, safetyId, safetyItems, testType } from '../../src/export/requirements.ts';
import { clipped, printable } from '../../src/text/style.ts';
import { outcomeOf, replayLine, verdictLine, whyUnknown } from '../verdict/outcome.ts';
import type { ConformanceResult, RequirementResult } from '../verdict/result.ts';

/** What the package knows of each requirement beside a run. */
export interface Evidence {
  /** Golden cases that it holds on, that it is violated by, and that lie at a boundary. */
  readonly fixtures: Readonly<Record<string, { readonly positive: number; readonly negative: number; readonly boundary: number }>>;
  /** Faulty hypervisors that it alone catches, by name. */
  readonly onlyCatches: Readonly<Record<string, readonly string[]>>;
}

/** Longest text of a message from outside, in characters. */
const longest = 1000;

/**
 * Traceability as a table: requirement → rule → fixtures → scenarios played → verdict → faults that
 * only it catches.
 */
export function traceCsv(result: ConformanceResult, evidence: Evidence): string {
  const { implementation: who, seed, played, level } = result;
  const head = [
    'requirement',
    'rule',
    'description',
    'fixtures positive',
    'fixtures negative',
    'fixtures boundary',
    'scenarios played',
    'exercised',
    'unknown',
    'violated',
    'verdict',
    'why',
    'replay',
    'faults that only it catches',
    'implementation',
    'level',
    'seed',
  ];
  const rows = found(result).map(({ item, answer }) => {
    const cases = evidence.fixtures[answer.id];
    return [
      safetyId(item),
      answer.id,
      item.description,
      ...[cases?.positive, cases?.negative, cases?.boundary].map((n) => String(n ?? 0)),
      String(played),
      String(answer.exercised),
      String(answer.unknown),
      String(answer.violated),
      outcomeOf(answer),
      plain(whyOf(answer)),
      answer.counterexample === undefined ? '' : plain(replayLine(answer.counterexample)),
      (evidence.onlyCatches[answer.id] ?? []).join('; '),
      plain(`${who.name} ${who.version}`),
      String(level),
      String(seed),
    ];
  });
  return csv([head, ...rows]);
}

/**
 * The same as OpenFastTrace imports it (ReqM2's `specdocument`): the requirements of each level,
 * and a test for each design requirement that holds. OpenFastTrace then tells those that no test
 * covers.
 */
export function traceXml(result: ConformanceResult, evidence: Evidence): string {
  const answers = found(result);
  const byType = (type: SafetyItem['type']): string =>
    specObjects(
      type,
      safetyItems
        .filter((item) => item.type === type)
        .map((item) => requirementXml(item, answers.find((one) => one.item === item)?.answer)),
    );
  const tests = answers
    .filter(({ answer }) => outcomeOf(answer) === 'holds')
    .map(({ item, answer }) => testXml(item, answer, result, evidence));
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<specdocument>',
    byType('XenMkt'),
    byType('XenProd'),
    byType('XenSwdgn'),
    specObjects(testType, tests),
    '</specdocument>',
    '',
  ].join('\n');
}

/** The design requirements that a run has an answer for, in its order. */
function found({ requirements }: ConformanceResult): { item: SafetyItem; answer: RequirementResult }[] {
  return requirements.flatMap((answer) => {
    const item = safetyItems.find(({ rule }) => rule?.id === answer.id);
    return item ? [{ item, answer }] : [];
  });
}

function whyOf(answer: RequirementResult): string {
  const { verdict, counterexample, expected } = answer;
  if (verdict === 'unknown') return whyUnknown(answer);
  if (verdict === 'holds') return '';
  return `${counterexample?.message ?? ''}${expected ? ` (expected: ${expected.reason})` : ''}`;
}

function specObjects(type: string, objects: readonly string[]): string {
  return `  <specobjects doctype="${type}">\n${objects.join('')}  </specobjects>`;
}

function requirementXml(item: SafetyItem, answer: RequirementResult | undefined): string {
  const verdict = answer === undefined ? '' : ` Verdict of this run: ${outcomeOf(answer)}. ${whyOf(answer)}`.trimEnd();
  return object(item.name, item.title, {
    description: item.description,
    rationale: item.rationale,
    comment: `${item.comments}${verdict}`.trim(),
    needs: item.needs,
    covers: item.covers,
  });
}

function testXml(item: SafetyItem, answer: RequirementResult, result: ConformanceResult, evidence: Evidence): string {
  const cases = evidence.fixtures[answer.id];
  const fixtures = cases ? `, ${cases.positive + cases.negative + cases.boundary} golden cases` : '';
  const only = evidence.onlyCatches[answer.id] ?? [];
  const caught = only.length > 0 ? ` Faults that only it catches: ${only.join('; ')}.` : '';
  const judged = `Judged ${answer.exercised} times in ${result.played} scenarios${fixtures}, rule ${answer.id}.`;
  return object(item.name, item.title, {
    description: `${judged}${caught}`,
    rationale: '',
    comment: verdictLine(result),
    needs: '',
    covers: [safetyId(item)],
  });
}

interface Told {
  readonly description: string;
  readonly rationale: string;
  readonly comment: string;
  readonly needs: string;
  readonly covers: readonly string[];
}

function object(id: string, title: string, { description, rationale, comment, needs, covers }: Told): string {
  const element = (name: string, text: string): string => (text === '' ? '' : `      <${name}>${xml(text)}</${name}>\n`);
  const needed = needs === '' ? '' : `      <needscoverage>\n        <needsobj>${needs}</needsobj>\n      </needscoverage>\n`;
  const provided = covers.map((of) => {
    const [type = '', name = '', version = ''] = of.split('~');
    const links = `          <linksto>${type}:${name}</linksto>\n          <dstversion>${version}</dstversion>\n`;
    return `        <provcov>\n${links}        </provcov>\n`;
  });
  const coverage = covers.length === 0 ? '' : `      <providescoverage>\n${provided.join('')}      </providescoverage>\n`;
  const head = `      <id>${id}</id>\n      <shortdesc>${xml(title)}</shortdesc>\n      <status>approved</status>\n      <version>1</version>\n`;
  const texts = element('description', description) + element('rationale', rationale) + element('comment', comment);
  return `    <specobject>\n${head}${texts}${needed}${coverage}    </specobject>\n`;
}

function plain(text: string): string {
  return clipped(printable(text), longest);
}

function xml(text: string): string {
  return plain(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
