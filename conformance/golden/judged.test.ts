import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { everywhere, type GuestMemory, type Piece, sparseMemory } from '../../src/guest/memory.ts';
import { judge } from '../../src/rules/judge.ts';
import type { ObservedCall, P2m } from '../../src/trace/call.ts';
import { referenceHello } from '../protocol/reference.ts';
import { scenarioIn } from '../scenario/scenario.ts';
import type { CallCase } from './case.ts';
import { storedFiles } from './folder.ts';
import { eventsOf, judgeRun, judgeTrace } from './observed.ts';

// "What was not captured makes a verdict unknown; it never makes it hold": of a call that was seen
// in full less and less is told, and no answer may turn into another, only into none.

const calls = storedFiles(fileURLToPath(new URL('../../fixtures/golden', import.meta.url)))
  .filter(({ file }) => file.startsWith('calls/'))
  .map(({ file, text }) => ({ file, golden: JSON.parse(text) as CallCase }));
const requirements = [...new Set(calls.map(({ golden }) => golden.requirement))].sort();
const of = (requirement: string): typeof calls => calls.filter(({ golden }) => golden.requirement === requirement);

it.each(requirements)('the golden cases of %s are judged as they say, by the rules alone', (requirement) => {
  for (const { file, golden } of of(requirement)) {
    expect([file, judgeTrace(golden)]).toEqual([file, golden.trace_judged]);
    const scenario = scenarioIn(golden.scenario);
    if (scenario) expect([file, judgeRun(scenario, referenceHello, golden)]).toEqual([file, golden.judged]);
  }
});

/** The same call with something of it missing, each under what is missing. */
function* eroded(call: ObservedCall, size: number): Generator<readonly [missing: string, call: ObservedCall]> {
  const keys = ['rc', 'arg', 'domid', 'privileged', 'changes', 'pagesBefore', 'pagesAfter', 'others'] as const;
  for (const key of keys) if (call[key] !== undefined) yield [key, { ...call, [key]: undefined }];
  if (call.unmapped.length > 0) yield ['unmapped', { ...call, unmapped: [] }];
  for (const key of ['p2mBefore', 'p2mAfter'] as const) {
    yield [key, { ...call, [key]: new Map() }];
    for (const without of [0, 1, 2]) yield [`each third of ${key}`, { ...call, [key]: thinned(call[key], without) }];
  }
  for (const key of ['before', 'after'] as const) {
    // Of all of memory only what changed is compared otherwise.
    const less = (memory: GuestMemory): ObservedCall => ({ ...call, changes: undefined, [key]: memory });
    const pieces = [...call[key].known(everywhere)];
    yield [`${key}`, less(sparseMemory([]))];
    for (const [i, piece] of pieces.entries()) {
      const { address, bytes } = piece;
      const instead = (part: Piece): GuestMemory => sparseMemory(pieces.toSpliced(i, 1, part));
      yield [`${key}: piece ${i}`, less(sparseMemory(pieces.toSpliced(i, 1)))];
      yield [`${key}: the end of piece ${i}`, less(instead({ address, bytes: bytes.subarray(0, bytes.length - 8) }))];
      yield [`${key}: the start of piece ${i}`, less(instead({ address: address + 8n, bytes: bytes.subarray(8) }))];
      const at = call.arg === undefined ? -1n : call.arg - address;
      if (at < 0n || at >= BigInt(bytes.length)) continue;
      for (let length = Number(at); length < Number(at) + size; length += 8) {
        yield [`${key}: the struct from byte ${length - Number(at)} on`, less(instead({ address, bytes: bytes.subarray(0, length) }))];
      }
    }
  }
}

function thinned(p2m: P2m, without: number): P2m {
  return new Map([...p2m].filter((_, i) => i % 3 !== without));
}

/** Where it is what is seen that is judged, and less of it is right for want of what is not. */
const judgesWhatIsSeen: { readonly [id: string]: RegExp } = {
  // "No captured guest byte changes": without the watch over all memory the stray one is not
  // captured.
  'no-stray-writes': /^changes$|^before|^after/,
  // Content can be watched where the p2m is not.
  'put-keeps-pages': /^p2m|third of p2m|^after|^before|^changes/,
};

let told = 0;

it.each(requirements)('no answer to the cases of %s turns into another with what is not captured', (requirement) => {
  for (const { file, golden } of of(requirement)) {
    for (const event of eventsOf(golden)) {
      const full = event.kind === 'call' ? judge(event.call) : undefined;
      if (event.kind !== 'call' || !full || full.callerErred) continue;
      for (const [missing, call] of eroded(event.call, full.facts.layout.size)) {
        for (const [id, { answer }] of judge(call)?.requirements ?? []) {
          told++;
          const was = full.requirements.get(id)?.answer;
          if (answer === 'unknown' || answer === was || (answer === 'holds' && judgesWhatIsSeen[id]?.test(missing))) continue;
          expect([file, event.step, missing, id, answer]).toEqual([file, event.step, missing, id, was]);
        }
      }
    }
  }
});

it('was asked often enough', () => {
  expect(told).toBeGreaterThan(100_000);
});
