import { clipped, printable } from '../../src/text/style.ts';
import { type Case, casesOf, groups, scopeLine, verdictLine } from '../verdict/outcome.ts';
import type { ConformanceResult } from '../verdict/result.ts';

/**
 * Longest message attribute and longest line of a body: GitLab refuses files that are too large,
 * and shows neither in full.
 */
const most = { message: 500, line: 16_000 } as const;

/**
 * JUnit XML as GitLab reads it (`artifacts:reports:junit`): a test case per requirement and per
 * thing that must be right about the run, with the group as `classname`, which is what GitLab shows
 * as the suite. It holds no times, so the same result gives the same bytes.
 */
export function junitForm(result: ConformanceResult): string {
  const cases = casesOf(result);
  const number = (...outcomes: Case['outcome'][]): number => cases.filter((c) => outcomes.includes(c.outcome)).length;
  const counts =
    `tests="${cases.length}" failures="${number('violated')}" errors="${number('broke')}"` + ` skipped="${number('unknown', 'expected')}"`;
  const { implementation: who, level, demanded, seed, arch } = result;
  const properties = [
    ['implementation', `${who.name} ${who.version}`],
    ['verdict', verdictLine(result)],
    ['level', String(level)],
    ...(demanded === undefined ? [] : [['demanded', String(demanded)]]),
    ['seed', String(seed)],
    ['arch', arch.join(' ')],
    ['scope', scopeLine(result)],
  ];
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="xenmem conform" ${counts}>`,
    `  <testsuite name="${quoted(`${who.name} ${who.version}`)}" ${counts}>`,
    '    <properties>',
    ...properties.map(([name = '', value = '']) => `      <property name="${name}" value="${quoted(value)}"/>`),
    '    </properties>',
    ...groups.flatMap((group) => cases.filter((c) => c.group === group)).flatMap(testcase),
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

function testcase({ group, name, outcome, why, details }: Case): string[] {
  const head = `    <testcase classname="xenmem.${group}" name="${quoted(name)}"`;
  if (outcome === 'holds') return [`${head}/>`];
  const message = `message="${quoted(why)}"`;
  if (outcome === 'unknown' || outcome === 'expected') return [`${head}>`, `      <skipped ${message}/>`, '    </testcase>'];
  const tag = outcome === 'broke' ? 'error' : 'failure';
  return [
    `${head}>`,
    `      <${tag} type="${outcome}" ${message}>${details.map((line) => escaped(clipped(line, most.line))).join('\n')}</${tag}>`,
    '    </testcase>',
  ];
}

function quoted(text: string): string {
  return escaped(clipped(text, most.message));
}

/**
 * Escaped for an attribute and for text alike; what XML cannot hold at all stays visible as `\x00`.
 */
function escaped(text: string): string {
  return printable(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&apos;');
}
