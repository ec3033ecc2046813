import { ruleOf, sayingOf } from '../../src/rules/table.ts';
import { clipped, printable } from '../../src/text/style.ts';
import { doubtsOf, exitOf, fingerprintOf, groupOf, replayLine, scopeLine, verdictLine } from '../verdict/outcome.ts';
import type { ConformanceResult, RequirementResult } from '../verdict/result.ts';

/**
 * Longest text: GitHub shows about a thousand characters of a message, and refuses files above 10
 * MB.
 */
const most = { text: 1000, replay: 16_000, notifications: 100 } as const;

/**
 * SARIF 2.1.0 for code scanning: a rule per requirement, a result per violated one. A hypervisor
 * under test has no source file here, so a result lies at a logical location (the op) and, since
 * GitHub wants a path, in an artifact named after the requirement, which stays the same from run to
 * run.
 */
export function sarifForm(result: ConformanceResult): string {
  const { requirements, implementation, incidents, drift, seed, level } = result;
  const notifications = [
    ...(drift ?? []).map((text) => notification('error', text)),
    ...incidents.map(({ kind, message, found }) => notification('warning', `scenario ${found}, ${kind}: ${message}`)),
    ...doubtsOf(result).map((text) => notification('warning', text)),
  ];
  const run = {
    tool: {
      driver: {
        name: 'xenmem conform',
        rules: requirements.map(ruleJson),
      },
    },
    automationDetails: { id: `xenmem-conform/${plainText(implementation.name)}/` },
    invocations: [
      {
        executionSuccessful: !result.partial,
        exitCode: exitOf(result),
        exitCodeDescription: verdictLine(result),
        toolExecutionNotifications: notifications.slice(0, most.notifications),
      },
    ],
    results: requirements.flatMap((r, ruleIndex) => (r.verdict === 'violated' ? [resultJson(r, ruleIndex)] : [])),
    columnKind: 'utf16CodeUnits',
    properties: { verdict: result.verdict, level, seed: String(seed), scope: plainText(scopeLine(result)) },
  };
  const log = { $schema: 'https://json.schemastore.org/sarif-2.1.0.json', version: '2.1.0', runs: [run] };
  return `${JSON.stringify(log, undefined, 2)}\n`;
}

function ruleJson({ id }: RequirementResult): object {
  const rule = ruleOf(id);
  const [says, reading] = [sayingOf(id) || id, rule?.reading ?? id];
  return {
    id,
    shortDescription: { text: reading },
    fullDescription: { text: says },
    help: {
      text: `${rule?.quote === undefined ? 'No header says it' : 'The header says'}: ${says}\nWe read it so: ${reading}`,
      markdown: `> ${says}\n\n${reading}\n\n\`xenmem explain ${id}\``,
    },
    defaultConfiguration: { level: 'error' },
    properties: { tags: [groupOf(id), `level-${rule?.level ?? 0}`] },
  };
}

function resultJson(requirement: RequirementResult, ruleIndex: number): object {
  const { id, counterexample, expected, violated } = requirement;
  const seen = counterexample ? `step ${counterexample.step}: ${counterexample.message}` : `violated ${violated} times`;
  const link = expected?.link === undefined ? '' : ` ${expected.link}`;
  return {
    ruleId: id,
    ruleIndex,
    level: expected ? 'note' : 'error',
    message: { text: message(seen) },
    locations: [
      {
        physicalLocation: { artifactLocation: { uri: `xenmem/${encodeURIComponent(id)}` }, region: { startLine: 1 } },
        logicalLocations: (ruleOf(id)?.ops ?? []).map((op) => ({ name: op, fullyQualifiedName: `XENMEM_${op}`, kind: 'function' })),
      },
    ],
    partialFingerprints: { 'requirement/v1': id, 'violation/v1': plainText(fingerprintOf(requirement)) },
    occurrenceCount: Math.max(1, violated),
    ...(expected && {
      suppressions: [{ kind: 'external', status: 'accepted', justification: plainText(`${expected.reason}${link}`) }],
    }),
    ...(counterexample && { properties: { replay: clipped(printable(replayLine(counterexample)), most.replay) } }),
  };
}

function notification(level: 'error' | 'warning', text: string): object {
  return { level, message: { text: message(text) } };
}

/** A message's square brackets would make links of it. */
function message(text: string): string {
  return plainText(text).replace(/[[\]\\]/g, '\\$&');
}

function plainText(text: string): string {
  return clipped(printable(text), most.text);
}
