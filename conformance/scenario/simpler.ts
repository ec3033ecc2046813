import { DOMID, PAGE_SIZE } from '../../src/abi/constants.ts';
import { opNumber } from '../../src/abi/ops.ts';
import type { XenMemoryReservation } from '../../src/abi/values.ts';
import type { CallStep, Scenario } from './scenario.ts';

/**
 * The scenario with all taken out that is not needed: steps, injections, domains, and in each call
 * odd domids, places, limits, orders, padding and entries of lists. `shows` plays one and says
 * whether it still shows what this one does; it is asked `tries` times at most. Deterministic.
 */
export async function simplest(scenario: Scenario, tries: number, shows: (simpler: Scenario) => Promise<boolean>): Promise<Scenario> {
  let least = scenario;
  let left = tries;
  for (let gained = true; gained; ) {
    gained = false;
    for (let i = 0; ; ) {
      const make = simplerOnes(least)[i];
      if (!make) break;
      if (left-- <= 0) return least;
      const simpler = make();
      if (await shows(simpler)) [least, gained] = [simpler, true];
      else i++;
    }
  }
  return least;
}

/** Steps of a scenario that are left out one by one to see whether each is needed. */
const mostNeeded = 12;

/** The scenario without the steps that it does not need, and whether each that is left is needed. */
export async function needed(
  scenario: Scenario,
  shows: (simpler: Scenario) => Promise<boolean>,
): Promise<{ readonly scenario: Scenario; readonly tight: boolean }> {
  if (scenario.steps.length > mostNeeded) return { scenario, tight: false };
  let least = scenario;
  for (let i = least.steps.length - 1; i >= 0; i--) {
    if (least.steps.length === 1) break;
    const simpler = without(least, i);
    if (!(await shows(simpler))) continue;
    // What was needed beside it may not be any more.
    least = simpler;
    i = least.steps.length;
  }
  return { scenario: least, tight: true };
}

type Make = () => Scenario;

/** Ways to take one thing out of a scenario, those that take most first. */
function simplerOnes(scenario: Scenario): Make[] {
  const { world, steps, pair } = scenario;
  const alone = { world, steps };
  const found: Make[] = [];
  for (let i = steps.length - 1; i >= 0; i--) if (steps.length > 1) found.push(() => without(scenario, i));
  if (pair) found.push(() => alone);
  const caller = world.domains[0]?.domid;
  for (const [i, step] of steps.entries()) {
    if (caller !== undefined && step.domid !== caller)
      found.push(() => ({ ...scenario, steps: steps.with(i, { ...step, domid: caller }) }));
    if (step.do !== 'call') continue;
    for (const simpler of simplerCalls(step)) found.push(() => ({ ...scenario, steps: steps.with(i, simpler) }));
  }
  const [first, ...others] = world.domains;
  const named = (domid: number): boolean =>
    steps.some((step) => step.domid === domid || (step.do === 'call' && step.reservations.some((r) => r.domid === domid)));
  if (first && others.length > 0 && !others.some(({ domid }) => named(domid)))
    found.push(() => ({ ...scenario, world: { ...world, domains: [first] } }));
  if (first?.privileged) found.push(() => ({ ...scenario, world: { ...world, domains: [{ ...first, privileged: false }, ...others] } }));
  const { low, high } = world.free;
  if (low < plenty || high < plenty) found.push(() => ({ ...scenario, world: { ...world, free: { low: plenty, high: plenty } } }));
  return found;
}

/** Free frames of a machine that has enough of them. */
const plenty = 64;

function without({ world, steps, pair }: Scenario, i: number): Scenario {
  const rest = { world, steps: steps.toSpliced(i, 1) };
  if (!pair || pair.step === i) return rest;
  return { ...rest, pair: { ...pair, step: pair.step > i ? pair.step - 1 : pair.step } };
}

/** The call with one thing less. */
function simplerCalls(call: CallStep): CallStep[] {
  const { inject, reservations, lists, ...rest } = call;
  const found: CallStep[] = [];
  const each = (change: (r: XenMemoryReservation, i: number) => XenMemoryReservation): void => {
    const changed = reservations.map(change);
    if (changed.some((r, i) => r !== reservations[i])) found.push({ ...call, reservations: changed });
  };
  if (inject) found.push({ ...rest, reservations, lists });
  if (inject?.fail_alloc !== undefined && inject.preempt !== undefined)
    found.push({ ...call, inject: { fail_alloc: inject.fail_alloc } }, { ...call, inject: { preempt: inject.preempt } });
  if (opNumber(call.cmd) !== call.cmd) found.push({ ...call, cmd: opNumber(call.cmd) });
  if (call.padding !== 0) found.push({ ...call, padding: 0 });
  if (call.nrExchanged !== 0n) found.push({ ...call, nrExchanged: 0n });
  each((r, i) => {
    const length = BigInt(lists[i]?.length ?? r.nr_extents);
    return r.nr_extents === length ? r : { ...r, nr_extents: length };
  });
  found.push(...shorter(call));
  each((r) => (r.domid === DOMID.SELF ? r : { ...r, domid: DOMID.SELF }));
  each((r) => (r.address_bits === 0 ? r : { ...r, address_bits: 0 }));
  for (const [i] of reservations.entries()) each((r, j) => (i !== j || r.address_bits === 0 ? r : { ...r, address_bits: 0 }));
  each((r) => (r.extent_order === 0 ? r : { ...r, extent_order: 0 }));
  each((r) => atPage(r));
  const arg = call.arg - (call.arg % BigInt(PAGE_SIZE));
  if (arg !== call.arg) found.push({ ...call, arg });
  return found;
}

/** A list at the beginning of its page. */
function atPage(r: XenMemoryReservation): XenMemoryReservation {
  const inPage = r.extent_start % BigInt(PAGE_SIZE);
  return inPage === 0n ? r : { ...r, extent_start: r.extent_start - inPage };
}

/** Most entries that are taken out one by one. */
const mostSingle = 12;

/** The call with fewer extents: half of them, or one less, by whole chunks where it has two lists. */
function shorter(call: CallStep): CallStep[] {
  const { reservations, lists } = call;
  const lengths = lists.map((list) => list?.length ?? 0);
  const chunks = Math.min(...lengths);
  if (chunks < 2 || lists.includes(undefined) || lengths.some((length) => length % chunks !== 0)) return [];
  if (reservations.some((r, i) => r.nr_extents !== BigInt(lengths[i] ?? 0))) return [];
  const keeping = (kept: (chunk: number) => boolean): CallStep => {
    const some = lists.map((list) => list?.filter((_, at) => kept(Math.floor(at / (list.length / chunks)))));
    return { ...call, lists: some, reservations: reservations.map((r, i) => ({ ...r, nr_extents: BigInt(some[i]?.length ?? 0) })) };
  };
  const half = Math.ceil(chunks / 2);
  const halves = [keeping((i) => i < half), keeping((i) => i >= half)];
  return [...halves, ...Array.from({ length: Math.min(chunks, mostSingle) }, (_, gone) => keeping((i) => i !== chunks - 1 - gone))];
}
