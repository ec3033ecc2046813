import { createHypervisor, type Hypervisor } from '../../src/model/hypervisor.ts';
import { type State, typeInvariant } from '../../src/model/state.ts';
import type { ObservedCall } from '../../src/trace/call.ts';
import type { TraceRecord } from '../../src/trace/record.ts';
import { recordOf } from '../../src/trace/write.ts';
import { CrashError } from '../protocol/play.ts';
import { canonicalKey } from './keys.ts';
import type { Ending, Move } from './move.ts';
import { movesOf } from './moves.ts';
import { firstState, isBeyond, keyOf, type Renaming, type ScopeName, scopes, stateText } from './scope.ts';
import { MovePlayer, type Sight } from './stage.ts';
import { Judge, rcText } from './verdict.ts';

export type { ScopeName };

/**
 * Where model and rules disagree: the move that shows it, in the state it was made in, and how that
 * state is reached.
 */
export interface Disagreement {
  /** The requirement that was violated; what none of them has a name for begins with `model:`. */
  readonly id: string;
  readonly message: string;
  readonly state: string;
  readonly move: string;
  /** The moves from the first state to that one. */
  readonly path: readonly string[];
  /**
   * The call as a record of a trace, which `xenmem validate` judges too; absent for a move of the
   * hypervisor's own.
   */
  readonly call?: TraceRecord;
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
  /** Those that led to a page outside the scope: they were judged, and not followed. */
  readonly beyond: number;
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
  /**
   * Another hypervisor than the strict model: what is wrong with it is found if the scope has room
   * for it.
   */
  readonly hypervisor?: Hypervisor;
  readonly onProgress?: (progress: { readonly states: number; readonly searched: number; readonly transitions: number }) => void;
  /**
   * So many disagreements are enough, one for each requirement and kind of move; 20 unless given.
   */
  readonly most?: number;
  /** For tests of the search itself. */
  readonly renaming?: Renaming;
  readonly onState?: (state: State) => void;
}

interface Visited {
  readonly sight: Sight;
  readonly from: Visited | undefined;
  readonly by: Move | undefined;
  readonly depth: number;
}

/**
 * Visits every state of a scope that the model can reach, breadth first, and makes every move in
 * each of them; what the rules say of a move is compared with what the model did. No sequence of
 * moves, however long, leads out of what was visited, unless a call whose out list is overwritten
 * on the way populates a gfn that is none of the scope's: that is judged and not followed.
 *
 * What is reached: with pages given back and taken again every partial mapping of the gfns with
 * every choice of pins, since the guest's allowance is all of them and a get or populate under 4
 * GiB or without a limit leads to either half of memory; without that, every gfn stays mapped, for
 * an exchange gives as many pages as it takes.
 */
export function exhaust(name: ScopeName, options: ExhaustOptions = {}): ExhaustiveResult {
  const { hypervisor = createHypervisor(), onProgress, onState, most = 20, renaming = 'buddies' } = options;
  const scope = scopes[name];
  const stage = new MovePlayer(scope, hypervisor);
  const judge = new Judge(stage);
  const moves = movesOf(scope);
  const actions: Record<string, ActionCount> = {};
  const disagreements = new Map<string, Disagreement>();
  const mappings = new Set<string>();
  const keys = new Set<string>();
  const queue: Visited[] = [];
  let transitions = 0;
  let beyond = 0;
  let complete = true;

  const report = (id: string, message: string, found: Visited, move: Move, call?: ObservedCall): void => {
    const key = `${id} ${move.kind}`;
    if (disagreements.has(key)) return;
    const path: string[] = [];
    for (let at: Visited | undefined = found; at?.by; at = at.from) path.unshift(at.by.text);
    const said = call ? `${move.text} = ${rcText(call.rc)}` : move.text;
    disagreements.set(key, {
      id,
      message,
      state: stateText(scope, found.sight.state),
      move: said,
      path,
      ...(call && { call: recordOf(call) }),
    });
  };
  const visit = (found: Visited): void => {
    queue.push(found);
    mappings.add(canonicalKey(found.sight.state));
    onState?.(found.sight.state);
  };

  for (const move of moves) for (const ending of move.endings) countOf(actions, move, ending);
  const first = firstState(scope);
  keys.add(keyOf(scope, first, renaming));
  visit({ sight: stage.sight(first), from: undefined, by: undefined, depth: 0 });
  for (let at = 0; at < queue.length && complete; at++) {
    const found = queue[at] as Visited;
    onProgress?.({ states: queue.length, searched: at, transitions });
    for (const move of moves) {
      complete = disagreements.size < most;
      if (!complete) break;
      transitions++;
      let judged: ReturnType<Judge['make']>;
      try {
        judged = judge.make(found.sight, move);
      } catch (error) {
        if (!(error instanceof CrashError)) throw error;
        report('survives', `the hypervisor crashed: ${error.message}`, found, move);
        continue;
      }
      const { ending, seen, breaches, call } = judged;
      const action = countOf(actions, move, ending);
      action.taken++;
      for (const { id, message } of breaches) report(id, message, found, move, call);
      if (seen.same || breaches.length > 0) continue; // what follows from a wrong move is nobody's business
      if (isBeyond(scope, seen.state)) {
        beyond++;
        continue;
      }
      const key = keyOf(scope, seen.state, renaming);
      if (keys.has(key)) continue;
      keys.add(key);
      const broken = typeInvariant(seen.state);
      for (const invariant of broken) report(`model: ${invariant}`, 'broken', found, move, call);
      if (broken.length > 0) continue;
      action.new++;
      visit({ sight: stage.sight(seen.state), from: found, by: move, depth: found.depth + 1 });
    }
  }
  return {
    scope: name,
    states: queue.length,
    mappings: mappings.size,
    transitions,
    beyond,
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

/**
 * A result as TLC shows one, line by line: what was searched, what each action led to, and what is
 * wrong.
 */
export function exhaustiveText(result: ExhaustiveResult): string[] {
  const { scope, states, mappings, transitions, beyond, depth, actions, held, disagreements, complete } = result;
  const { gfns, low, high } = scopes[scope];
  const names = Object.keys(actions);
  const width = Math.max(...names.map((name) => name.length));
  const row = (name: string, taken: string, isNew: string): string => `${name.padEnd(width)} ${taken.padStart(9)} ${isNew.padStart(6)}`;
  return [
    `scope ${scope}: ${gfns} guest frames, ${low} + ${high} machine frames below and above 4 GiB`,
    `${transitions} transitions, ${states} distinct states found (${mappings} mappings with their pins, up to renaming of frames)`,
    `the depth of the complete search is ${depth}; ${beyond} transitions led out of the scope and were not followed`,
    row('action', 'taken', 'new'),
    ...names.map((name) => row(name, String(actions[name]?.taken), String(actions[name]?.new))),
    row('requirement', 'held', ''),
    ...Object.keys(held).map((id) => row(id, String(held[id]), '')),
    ...disagreements.flatMap(({ id, message, state, move, path }) => [
      `✗ ${id}: ${message}`,
      `  in ${state}${path.length > 0 ? `, after ${path.join(', ')}` : ''}`,
      `  ${move}`,
    ]),
    complete
      ? disagreements.length === 0
        ? `✓ model and rules agree on every call in every state of this scope`
        : `✗ ${disagreements.length} disagreements`
      : '✗ given up: too much is wrong',
  ].map((text) => text.trimEnd());
}
