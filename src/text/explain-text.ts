import { argumentOf } from '../abi/ops.ts';
import { type Ambiguity, commandsText } from '../rules/ambiguities.ts';
import { pieces } from '../rules/answer.ts';
import { structDuties } from '../rules/duties/duties.ts';
import { examples } from '../rules/examples.ts';
import { isRequirement, type Rule, saying } from '../rules/rule.ts';
import { plain, type Style } from './style.ts';
import { wrapped } from './wrap.ts';

/** A rule in one line. */
export function ruleLine(rule: Rule, style: Style = plain): string {
  const weight = isRequirement(rule) ? `level ${rule.level}` : rule.severity;
  return `${style.bold(rule.id.padEnd(31))} ${rule.blame.padEnd(10)} ${weight.padEnd(8)} ${rule.scope.padEnd(6)} ${shorten(rule.reading, 40)}`;
}

/** A rule in full: the sentence, our reading, whom it blames, and an example. */
export function explanation(rule: Rule, style: Style = plain): string[] {
  const blames = blamed(rule);
  const level = ['memory and return codes', 'memory, return codes and the p2m', 'a hypervisor that moves pages'][rule.level];
  return [
    style.bold(rule.id),
    ...field('says', saying(rule)),
    ...(rule.also ?? []).flatMap((sentence) => field('and', saying(sentence))),
    ...(rule.quote && rule.remark ? field('remark', rule.remark) : []),
    ...field('means', rule.reading),
    ...field('blames', blames),
    ...field('ops', opsOf(rule)),
    ...field('needs', `level ${rule.level}: ${level}; shown by ${scopeText[rule.scope]}`),
    ...(rule.needs ? field('captured', rule.needs.map((piece) => pieces[piece]).join(', ')) : []),
    ...field('example', examples[rule.id] ?? ''),
  ];
}

function opsOf({ id, ops }: Rule): string {
  const judged = ops.length === Object.keys(argumentOf).length ? 'all judged ops' : ops.join(', ');
  return structDuties[id]?.everywhere ? `${judged}; the other structs of memory.h too` : judged;
}

function blamed({ blame, severity, always }: Rule): string {
  if (blame === 'capture') return `what wrote the record down, ${severity} (suspends nothing)`;
  if (blame === 'caller')
    return `the caller, ${severity}${severity === 'error' ? ' (suspends what it makes meaningless)' : ' (suspends nothing)'}`;
  if (!isRequirement({ blame, severity })) return `the hypervisor, ${severity}: it is allowed`;
  return `the hypervisor${always ? ', whatever the caller did' : ', unless the caller erred in the same call'}`;
}

/** An open point in one line. */
export function ambiguityLine({ id, question }: Ambiguity, style: Style = plain): string {
  return `${style.bold(id.padEnd(31))} ${'nobody'.padEnd(10)} ${'open'.padEnd(8)} ${'-'.padEnd(6)} ${shorten(question, 40)}`;
}

/** An open point in full: the sentence, the question, every reading, and ours. */
export function ambiguityText({ id, sentence, question, readings, ours, switch: how }: Ambiguity, style: Style = plain): string[] {
  return [
    style.bold(id),
    ...field('says', sentence),
    ...field('open', question),
    ...readings.flatMap((reading, i) => field(i === 0 ? 'readings' : '', `- ${reading}`)),
    ...field('ours', ours),
    ...field('switch', commandsText(how)),
    ...field('blames', 'nobody: a run says which reading it has seen'),
  ];
}

const scopeText = { call: 'one call', pair: 'a pair of runs', trace: 'a trace', run: 'a live run' } as const;

/** A labelled paragraph. */
function field(label: string, text: string): string[] {
  return wrapped(`  ${label.padEnd(9)} `, text);
}

function shorten(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1).trimEnd()}…`;
}
