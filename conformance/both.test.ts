import { expect, it } from 'vitest';
import { errno } from '../src/abi/constants.ts';
import type { Decisions } from '../src/model/decisions.ts';
import { createHypervisor as createOld } from '../src/model/hypervisor.ts';
import { type Freedoms, strict } from '../src/model/new/freedoms.ts';
import { createHypervisor as createNew } from '../src/model/new/hypervisor.ts';
import { memoryOp } from '../src/model/new/memory-op.ts';
import { checkHere } from './check.ts';
import { scenarioFrom } from './generate.ts';
import type { Answer, Implementation, Request } from './implementation.ts';
import { samples } from './mutants/kill.ts';
import { answer, referenceImplementation } from './reference.ts';

// The model written anew beside the one it replaces: each request of the suite's scenarios is answered by both.

const scenarios = Number(process.env['XENMEM_BOTH'] ?? 500);

const cases: [string, Partial<Decisions>, Partial<Freedoms>][] = [
  ['strict', {}, {}],
  ['misaligned-frame', { misaligned: errno.EINVAL }, { 'misaligned-frame': 'refused' }],
  ['count-not-zero', { countNotZero: 0 }, { 'count-not-zero': 'resumed' }],
  ['start-extent-bits', { strayStart: 0 }, { 'start-extent-bits': 'ignored' }],
  ['start-extent-bits', { strayStart: errno.ENOSYS }, { 'start-extent-bits': 'unimplemented' }],
  ['dirty-handle', { dirtyHandle: errno.EFAULT }, { 'dirty-handle': 'refused' }],
  ['populated-output', { outputPopulated: 0 }, { 'populated-output': 'overwritten' }],
  ['later-input', { laterInput: 0 }, { 'later-input': 'accepted' }],
  ['late-fault', { validatesAhead: true }, { 'late-fault': 'up-front' }],
  ['put-not-pinned', { putUnpinned: 0, putTwice: 0 }, { 'put-not-pinned': 'accepted' }],
  ['put-partly-pinned', { putAllOrNothing: false }, { 'put-partly-pinned': 'prefix' }],
  ['guest-changes-pinned', { pinRefuses: () => 0 }, { 'guest-changes-pinned': 'accepted' }],
  ['more-limits', { maxOrder: () => 1, maxExtents: 3n }, { 'more-limits': { max_order: 1, max_order_unprivileged: 9, max_extents: 3n } }],
];

it.each(cases)(
  `%s: both models answer ${scenarios} scenarios alike, and are in the same state after each call`,
  { timeout: 1e6 },
  (_, d, f) => {
    const [old, fresh] = [createOld(d), createNew((state, op) => memoryOp(state, op, { ...strict, ...f }))];
    let calls = 0;
    const both: Implementation = {
      hello: referenceImplementation().hello,
      answer: (requests: readonly Request[]): Answer[] =>
        requests.map((request) => {
          const [a, b] = [answer(old, request), answer(fresh as never, request)];
          if (JSON.stringify(plain(a)) !== JSON.stringify(plain(b))) expect([request, a]).toEqual([request, b]);
          if (request.op === 'call') {
            calls++;
            const [s, t] = [stateOf(old.state), stateOf(fresh.state as never)];
            if (s !== t) expect([request, s]).toEqual([request, t]);
          }
          return a;
        }),
    };
    for (const seed of [1, 2]) {
      for (const { numbers, arch } of samples(seed, scenarios / 2)) checkHere(scenarioFrom(numbers, arch, both.hello), both);
    }
    expect(calls).toBeGreaterThan(scenarios);
  },
);

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}n`;
  if (value instanceof Uint8Array) return [...value];
  if (Array.isArray(value)) return value.map(plain);
  return value && typeof value === 'object' ? Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)])) : value;
}

function stateOf({ domains, free }: ReturnType<typeof createOld>['state']): string {
  const of = [...domains.values()].map((d) => [
    d.domid,
    [...d.p2m].sort((a, b) => a[0] - b[0]),
    [...d.pins].sort(),
    [...d.owned].sort(),
    d.unaddressed,
  ]);
  return JSON.stringify([of, free]);
}
