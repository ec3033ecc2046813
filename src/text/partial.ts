import { hex64 } from '../codec/hex.ts';
import { pieceNames } from '../rules/answer.ts';
import { noPages, type Piece, type PinSets, type Step } from '../rules/piece.ts';
import { ruleOf } from '../rules/table.ts';
import { defaultSetting } from '../trace/call.ts';
import { count, flag, object, pairs, RecordError, shown, word } from '../trace/fields.ts';
import { readRecord } from '../trace/record.ts';
import { recordOf } from '../trace/write.ts';
import { newTally, type Tally } from './tally.ts';

/** The version of the JSON form. */
export const partialSchema = 'xenmem/partial@1';

/** What a piece of an input came to. */
export interface Partial extends Piece {
  /** Bytes of the whole input, where that is known. */
  readonly whole: number | undefined;
  readonly tally: Tally;
}

const totals = ['calls', 'not_judged', 'unreadable', 'failed'] as const;
const byId = ['holds', 'violated', 'unknown', 'findings'] as const;
const severities = ['hypervisor', 'error', 'warning', 'note'] as const;
const states = ['pinned', 'doubted', 'free', 'returned'] as const;

/** A piece as one JSON object. */
export function partialJson({ from, to, whole, fromStart, tally, steps }: Partial): object {
  return {
    schema: partialSchema,
    range: [from, to],
    ...(whole !== undefined && { whole }),
    ...(fromStart !== undefined && { from_start: fromStart }),
    counts: { ...tally, lacks: Object.fromEntries(tally.lacks) },
    open: steps.map(stepJson),
  };
}

function stepJson(step: Step): object {
  if (step.kind === 'missed') return { missed: true };
  // The profile is said, not to be found out again
  if (step.kind === 'call') return { call: { ...recordOf(step.call), profile: step.call.profile }, ...(step.counted && { counted: true }) };
  const { domid } = step;
  if (step.kind === 'named') return { domid, named: runsOf(step.pages) };
  return {
    domid,
    ...Object.fromEntries(states.flatMap((state) => (step.pages[state].size > 0 ? [[state, runsOf(step.pages[state])]] : []))),
  };
}

/** Numbers as runs: the first, and how many. */
function runsOf(numbers: ReadonlySet<bigint>): [string, number][] {
  const runs: { first: bigint; length: number }[] = [];
  for (const number of [...numbers].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))) {
    const last = runs.at(-1);
    if (last && last.first + BigInt(last.length) === number) last.length++;
    else runs.push({ first: number, length: 1 });
  }
  return runs.map(({ first, length }) => [hex64(first), length]);
}

/** The piece in an object that was parsed; a `RecordError` saying where it cannot be one. */
export function readPartial(json: unknown): Partial {
  const partial = object(json, 'partial');
  if (partial['schema'] !== partialSchema) throw new RecordError('schema', `${shown(partial['schema'])} is not "${partialSchema}"`);
  const { range, whole, from_start: fromStart, open } = partial;
  if (!Array.isArray(range) || range.length !== 2) throw new RecordError('range', `${shown(range)} is not [from, to]`);
  const [from, to] = range.map((value, i) => whole53(value, `range[${i}]`)) as [number, number];
  if (from > to) throw new RecordError('range', `${from} is behind ${to}`);
  if (!Array.isArray(open)) throw new RecordError('open', `${shown(open)} is not a list`);
  return {
    from,
    to,
    whole: whole === undefined ? undefined : whole53(whole, 'whole'),
    fromStart: fromStart === undefined ? undefined : flag(fromStart, 'from_start'),
    tally: readTally(partial['counts']),
    steps: open.map((step, i) => readStep(step, `open[${i}]`)),
  };
}

function whole53(value: unknown, where: string): number {
  return count(value, where, Number.MAX_SAFE_INTEGER, '2^53 - 1');
}

function readTally(json: unknown): Tally {
  const counts = object(json, 'counts');
  const tally = newTally();
  // Absent from pieces of an earlier version.
  if (counts['by_struct'] !== undefined) tally.by_struct = whole53(counts['by_struct'], 'counts.by_struct');
  for (const name of totals) tally[name] = whole53(counts[name], `counts.${name}`);
  for (const name of byId) {
    for (const [id, calls] of Object.entries(object(counts[name], `counts.${name}`))) {
      if (!ruleOf(id)) throw new RecordError(`counts.${name}`, `there is no rule ${shown(id)}`);
      tally[name][id] = whole53(calls, `counts.${name}.${id}`);
    }
  }
  const weights = object(counts['weights'], 'counts.weights');
  for (const name of severities) tally.weights[name] = whole53(weights[name], `counts.weights.${name}`);
  for (const [pieces, answers] of Object.entries(object(counts['lacks'], 'counts.lacks'))) {
    const other = pieces.split(',').find((piece) => !pieceNames.some((name) => name === piece));
    if (other !== undefined) throw new RecordError('counts.lacks', `${shown(other)} is no piece of a capture`);
    tally.lacks.set(pieces, whole53(answers, 'counts.lacks'));
  }
  if (tally.by_struct > tally.not_judged)
    throw new RecordError('counts.by_struct', `${tally.by_struct} of ${tally.not_judged} that are not judged`);
  tally.evaluated = flag(counts['evaluated'], 'counts.evaluated');
  return tally;
}

function readStep(json: unknown, where: string): Step {
  const step = object(json, where);
  if (step['missed'] !== undefined) return { kind: 'missed' };
  if (step['call'] !== undefined) {
    const { call } = readRecord(step['call'], defaultSetting);
    if (!call) throw new RecordError(`${where}.call`, 'holds no call');
    return { kind: 'call', call, counted: step['counted'] === true };
  }
  const domid = count(step['domid'], `${where}.domid`, 0xffff, '65535');
  if (step['named'] !== undefined) return { kind: 'named', domid, pages: readRuns(step['named'], `${where}.named`) };
  const pages: PinSets = noPages();
  for (const state of states) for (const gfn of readRuns(step[state] ?? [], `${where}.${state}`)) pages[state].add(gfn);
  return { kind: 'left', domid, pages };
}

/** Most pages of one list of a step: 64 GiB of them. */
const mostPages = 1 << 24;

function readRuns(json: unknown, where: string): Set<bigint> {
  const found = new Set<bigint>();
  const run = (first: unknown, length: unknown, at: string): readonly [bigint, number] => [
    word(first, `${at}[0]`),
    count(length, `${at}[1]`, mostPages, '2^24'),
  ];
  for (const [first, length] of pairs(json, where, '[first, how many]', run)) {
    if (found.size + length > mostPages) throw new RecordError(where, 'more than 2^24 pages');
    for (let i = 0n; i < length; i++) found.add(first + i);
  }
  return found;
}
