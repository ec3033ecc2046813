import type { Decisions } from '../src/model/decisions.ts';
import { createHypervisor } from '../src/model/hypervisor.ts';
import { canonicalKey, typeInvariant } from '../src/model/state.ts';
import type { ObservedCall } from '../src/trace/call.ts';
import type { Ending, Move } from './exhaustive/move.ts';
import { movesOf } from './exhaustive/moves.ts';
import { firstState, keyOf, type Renaming, type ScopeName, scopes, stateText } from './exhaustive/scope.ts';
import { type Sight, Stage } from './exhaustive/stage.ts';
import { Judge, rcText } from './exhaustive/verdict.ts';

export type { ScopeName };

/** Where model and rules disagree: the move that shows it, in the state it was made in, and how that state is reached. */
export interface Disagreement {
  /** The requirement that was violated; what none of them has a name for begins with `model:`. */
  readonly id: string;
  readonly message: string;
  readonly state: string;
  readonly move: string;
  /** The moves from the first state to that one. */
  readonly path: readonly string[];
  /** The call as the rules saw it; absent for a move of the hypervisor's own. */
  readonly call?: ObservedCall;
}

/** How often an action was taken, and how many states it was the first to reach. */
export interface ActionCount {
  taken: number;
  new: number;
}

/** A scope that was searched. */
export interface ExhaustiveResult {
  readonly scope: ScopeName;
  /** Distinct states, up to a swap of buddy frames. */
  readonly states: number;
  /** Distinct mappings with their pins, up to renaming within low and within high memory. */
  readonly mappings: number;
  readonly transitions: number;
  /** The longest of the shortest ways from the first state to another. */
  readonly depth: number;
  readonly actions: { readonly [name: string]: ActionCount };
  /** How often each requirement was found to hold. */
  readonly held: { readonly [id: string]: number };
  readonly disagreements: readonly Disagreement[];
  /** False where so much was wrong that the search was given up. */
  readonly complete: boolean;
}

export interface ExhaustOptions {
  /** A hypervisor that takes these decisions otherwise: what is wrong with it is found if the scope has room for it. */
  readonly decisions?: Partial<Decisions>;
  readonly onProgress?: (progress: { readonly states: number; readonly searched: number; readonly transitions: number }) => void;
  /** For tests of the search itself. */
  readonly renaming?: Renaming;
}

/** One counterexample for each requirement and action is enough, and so many in all. */
const mostDisagreements = 20;

interface Found {
  readonly sight: Sight;
  readonly from: Found | undefined;
  readonly by: Move | undefined;
  readonly depth: number;
}

/**
 * Visits every state of a scope that the model can reach, breadth first, and makes every move in each of them; what the rules
 * say of a move is compared with what the model did. No sequence of moves in this scope, however long, leads out of what was
 * visited.
 *
 * What is reached: with pages given back and taken again every partial mapping of the gfns with every choice of pins, since
 * the guest's allowance is all of them and a get or populate under 4 GiB or without a limit leads to either half of memory;
 * without that, every gfn stays mapped, for an exchange gives as many pages as it takes.
 */
export function exhaust(name: ScopeName, options: ExhaustOptions = {}): ExhaustiveResult {
  const { decisions = {}, onProgress, renaming = 'buddies' } = options;
  const scope = scopes[name];
  const hypervisor = createHypervisor(decisions);
  const stage = new Stage(scope, hypervisor);
  const judge = new Judge(stage, hypervisor);
  const moves = movesOf(scope);
  const actions: Record<string, ActionCount> = {};
  const disagreements = new Map<string, Disagreement>();
  const mappings = new Set<string>();
  const keys = new Set<string>();
  const queue: Found[] = [];
  let transitions = 0;
  let complete = true;

  const report = (id: string, message: string, found: Found, move: Move, call?: ObservedCall): void => {
    const key = `${id} ${move.kind}`;
    if (disagreements.has(key)) return;
    const path: string[] = [];
    for (let at: Found | undefined = found; at?.by; at = at.from) path.unshift(at.by.text);
    const said = call ? `${move.text} = ${rcText(call.rc)}` : move.text;
    disagreements.set(key, { id, message, state: stateText(scope, found.sight.state), move: said, path, ...(call && { call }) });
  };
  const visit = (found: Found): void => {
    queue.push(found);
    mappings.add(canonicalKey(found.sight.state));
  };

  const first = firstState(scope);
  keys.add(keyOf(scope, first, renaming));
  visit({ sight: stage.sight(first), from: undefined, by: undefined, depth: 0 });
  for (let at = 0; at < queue.length && complete; at++) {
    const found = queue[at] as Found;
    onProgress?.({ states: queue.length, searched: at, transitions });
    for (const move of moves) {
      transitions++;
      let judged: ReturnType<Judge['make']>;
      try {
        judged = judge.make(found.sight, move);
      } catch (error) {
        report('survives', `the hypervisor crashed: ${error instanceof Error ? error.message : error}`, found, move);
        continue;
      }
      const { ending, seen, breaches, call } = judged;
      const action = countOf(actions, move, ending);
      action.taken++;
      for (const { id, message } of breaches) report(id, message, found, move, call);
      if (breaches.length > 0) continue; // what follows from a wrong move is nobody's business
      const key = keyOf(scope, seen.state, renaming);
      if (keys.has(key)) continue;
      keys.add(key);
      const broken = typeInvariant(seen.state);
      for (const invariant of broken) report(`model: ${invariant}`, 'broken', found, move, call);
      if (broken.length > 0) continue;
      action.new++;
      visit({ sight: stage.sight(seen.state), from: found, by: move, depth: found.depth + 1 });
    }
    complete = disagreements.size < mostDisagreements;
  }
  return {
    scope: name,
    states: queue.length,
    mappings: mappings.size,
    transitions,
    depth: queue.at(-1)?.depth ?? 0,
    actions,
    held: Object.fromEntries(judge.held),
    disagreements: [...disagreements.values()],
    complete,
  };
}

function countOf(actions: Record<string, ActionCount>, { kind }: Move, ending: Ending): ActionCount {
  const name = `${kind}: ${ending}`;
  actions[name] ??= { taken: 0, new: 0 };
  return actions[name];
}

/** A result as TLC shows one, line by line. */
export function exhaustiveText(result: ExhaustiveResult): string[] {
  return [JSON.stringify({ ...result, disagreements: result.disagreements.map((d) => ({ ...d, call: undefined })) }, null, 1)];
}
