import { argumentOf, type JudgedOp, XENMEM } from '../abi/ops.ts';
import { isRequirement, type Rule } from '../rules/rule.ts';
import { rules } from '../rules/table.ts';
import { csv } from './csv.ts';
import { shall } from './shall.ts';

/**
 * A requirement as Xen's docs/fusa has them: market, product and design level, each covering one
 * above it.
 */
export interface SafetyItem {
  readonly type: 'XenMkt' | 'XenProd' | 'XenSwdgn';
  /** Its name in the id, `TYPE~NAME~VERSION`. */
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly rationale: string;
  readonly comments: string;
  /** Ids of what it covers. */
  readonly covers: readonly string[];
  /** The level that has to cover it. */
  readonly needs: string;
  /** The rule that judges it; absent above the design level. */
  readonly rule?: Rule;
}

/** The version of every item: it goes up where the meaning of one changes. */
const version = 1;

/** The id of an item, `XenSwdgn~memory_op_get_aligned~1`. */
export function safetyId({ type, name }: Pick<SafetyItem, 'type' | 'name'>): string {
  return `${type}~${name}~${version}`;
}

/** What has to cover a design requirement: a test of the built hypervisor. */
export const testType = 'itest';

const market = { type: 'XenMkt', name: 'memory_op_hypercall' } as const;

/** Every item, each below what it covers. */
export const safetyItems: readonly SafetyItem[] = [
  {
    ...market,
    title: 'Memory hypercall',
    description: 'Xen shall provide a hypercall with which a domain changes and exchanges its memory.',
    rationale: '',
    comments: '',
    covers: [],
    needs: 'XenProd',
  },
  ...(Object.keys(argumentOf) as JudgedOp[]).map(productItem),
  ...rules.filter(isRequirement).map(designItem),
];

function productItem(op: JudgedOp): SafetyItem {
  const isXens = op in XENMEM.upstream;
  const nr = XENMEM['dma-buf'][op];
  return {
    type: 'XenProd',
    name: `memory_op_${op}`,
    title: `XENMEM_${op}`,
    description: `Xen shall carry out XENMEM_${op} (${nr}) as its public header documents it.`,
    rationale: '',
    comments: isXens ? '' : 'Proposed in 2013 and not merged: no released Xen has it under this number.',
    covers: [safetyId(market)],
    needs: 'XenSwdgn',
  };
}

function designItem(rule: Rule): SafetyItem {
  const { id, ops, reading, remark } = rule;
  // A test wants a sentence for each.
  const description = shall[id] ?? `Xen shall do as this says: ${reading}`;
  const words = id.replaceAll('-', ' ');
  return {
    type: 'XenSwdgn',
    name: `memory_op_${id.replaceAll('-', '_')}`,
    title: `${words.slice(0, 1).toUpperCase()}${words.slice(1)}`,
    description,
    rationale: rationaleOf(rule),
    comments: [reading, rule.quote === undefined ? undefined : remark].filter((text) => text !== undefined).join(' '),
    covers: ops.map((op) => safetyId({ type: 'XenProd', name: `memory_op_${op}` })),
    needs: testType,
    rule,
  };
}

function rationaleOf(rule: Rule): string {
  if (rule.quote === undefined) {
    const usual =
      rule.source === 'convention' ? 'it is the convention of all hypercalls' : 'it is what keeps domains apart and Xen in operation';
    return `No text says it: ${rule.remark ?? usual}.`;
  }
  return `The public header says: "${rule.quote}" (${rule.source})`;
}

/** The items as Xen's docs/fusa/reqs has them, in reStructuredText. */
export function fusaText(): string {
  const items = safetyItems.map((item) =>
    [
      item.title,
      '-'.repeat(item.title.length),
      '',
      `\`${safetyId(item)}\``,
      '',
      'Description:',
      ...filled(item.description),
      '',
      'Rationale:',
      ...filled(item.rationale),
      '',
      'Comments:',
      ...filled(item.comments),
      '',
      'Covers:',
      ...item.covers.map((id) => ` - \`${id}\``),
      '',
      'Needs:',
      ` - ${item.needs}`,
      '',
    ].join('\n'),
  );
  return `.. SPDX-License-Identifier: MIT\n\nMemory hypercall\n================\n\n${items.join('\n')}`;
}

/** The items as a table, a row each. */
export function requirementsCsv(): string {
  const head = ['id', 'title', 'description', 'rationale', 'comments', 'covers', 'needs', 'rule', 'level', 'ops'];
  const rows = safetyItems.map((item) => [
    safetyId(item),
    item.title,
    item.description,
    item.rationale,
    item.comments,
    item.covers.join(' '),
    item.needs,
    item.rule?.id ?? '',
    item.rule === undefined ? '' : String(item.rule.level),
    item.rule?.ops.join(' ') ?? '',
  ]);
  return csv([head, ...rows]);
}

/** The items as one JSON array. */
export function requirementsJson(): string {
  const items = safetyItems.map(({ type, name, rule, ...rest }) => ({
    id: safetyId({ type, name }),
    ...rest,
    ...(rule && { rule: rule.id, level: rule.level, ops: rule.ops, source: rule.source }),
  }));
  return `${JSON.stringify(items, undefined, 2)}\n`;
}

/** Lines of at most 80 characters. */
function filled(text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/).filter((part) => part !== '')) {
    if (line !== '' && line.length + 1 + word.length > 80) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return line === '' ? lines : [...lines, line];
}
