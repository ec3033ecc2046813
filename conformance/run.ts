import type { Arch } from '../src/abi/arch.ts';
import { judgedOp } from '../src/abi/ops.ts';
import { hex64 } from '../src/codec/hex.ts';
import { isRequirement } from '../src/rules/rule.ts';
import { rules, rulesFor } from '../src/rules/table.ts';
import { Counterexamples, type FirstSeen, type Lost, namedBy, type RunScenario, type SeenTimes } from './counterexample.ts';
import { SetupError } from './observe/observe.ts';
import { type Hello, levelOf } from './protocol/implementation.ts';
import { type Player, UndrivenError } from './protocol/player.ts';
import { plannedRow, scenarioFrom } from './scenario/generate.ts';
import { drawEach, plannedAt } from './scenario/numbers.ts';
import { type Scenario, type Step, tokenOf } from './scenario/scenario.ts';
import { type Cells, countCell } from './verdict/cells.ts';
import { type Checked, type Course, InternalError, played } from './verdict/check.ts';
import { disputeOf } from './verdict/dispute.ts';
import { Pairs } from './verdict/pairs.ts';
import { readers } from './verdict/readings.ts';
import type { ConformanceResult, Counterexample, ImplementationInfo, Incident, Shard, Strength } from './verdict/result.ts';
import { type Counts, mostDisputed, requirementIds, summarise } from './verdict/summary.ts';
import { OtherWorlds } from './worlds.ts';

/**
 * Scenarios that may break the implementation before the run ends, one that hangs it counting
 * twice: more would say the same.
 */
const mostBroken = 5;
/** Scenarios that broke a requirement that are kept, in case the first does not break it again. */
const mostSeen = 3;
/** Scenarios that may fail in a row because of the surroundings. */
const mostSetupFaults = 3;

/** A run ends after so many scenarios that could not be judged for a bug of ours. */
const mostFailed = 10;
/** What a move of pages can show. */
const shownByChurn = rules.filter((rule) => isRequirement(rule) && rule.judgedBy === 'pins').map(({ id }) => id);
/** Scenarios between two moments in which an interrupt is noticed. */
const signalPause = 64;

export interface RunOptions {
  readonly player: Player;
  readonly arch: readonly Arch[];
  readonly seed: number;
  /** Scenarios in all, those of other shards included. */
  readonly runs: number;
  /** Play only the scenarios whose hash falls to this part. */
  readonly shard?: Shard;
  /** Played in this order instead of drawn ones; then there is no seed, and no floor but one. */
  readonly scenarios?: readonly Scenario[];
  /** Scenarios are drawn by this instead of the suite, and its oracle follows them. */
  readonly course?: Course;
  /** The level that is demanded; by default the one the implementation reaches. */
  readonly level?: number;
  /** What the suite is known to catch of such an implementation, where that was measured. */
  readonly strength?: (hello: Hello) => Strength | undefined;
  readonly onProgress?: (done: number) => void;
  /** Asked between scenarios: true ends the run early. */
  readonly stopped?: () => boolean;
}

/**
 * Runs the suite: scenarios from one seed, every answer counted, and for each violated requirement
 * the smallest scenario that still shows it. The same seed gives the same result on every machine.
 */
export async function runSuite(options: RunOptions): Promise<ConformanceResult> {
  const { player, arch, seed, shard, level, strength, scenarios, course } = options;
  const runs = scenarios?.length ?? options.runs;
  const { hello } = player;
  const suite = new Suite(player, arch, course);
  let index = 0;
  let ended =
    arch.length > 0
      ? undefined
      : `nothing was played: it does ${hello.arch.join(' and ') || 'no architecture that is known'}, which was not asked for`;
  const one = async (drawn: () => Omit<RunScenario, 'index'> | undefined): Promise<boolean> => {
    const mine = drawn();
    const at = index++;
    if (options.stopped?.()) ended = `interrupted after ${suite.played} of ${runs} scenarios`;
    else if (mine) ended = await suite.take({ index: at, ...mine });
    options.onProgress?.(index);
    // An implementation in this process never waits: let signals through.
    if (index % signalPause === 0) await new Promise((resolve) => setImmediate(resolve));
    return ended === undefined;
  };
  const draw = (numbers: readonly number[]): Omit<RunScenario, 'index'> | undefined => {
    const made = { numbers: course ? numbers : plannedAt(numbers, index, arch.length), arch: arch[index % arch.length] as Arch };
    const mine = !shard || hashOf(numbers) % shard.of === shard.index - 1;
    if (!mine) return undefined;
    return { scenario: course ? course.draw(numbers) : scenarioFrom(made.numbers, made.arch, hello), made };
  };
  if (scenarios) {
    for (const scenario of scenarios) if (!(await one(() => ({ scenario })))) break;
  } else if (arch.length > 0) {
    await drawEach(seed, runs, (numbers) => one(() => draw(numbers)));
  }
  const counterexamples = new Map<string, Counterexample>();
  for (const [id, found] of suite.found) {
    if (!options.stopped?.()) counterexamples.set(id, await suite.counterexample(id, found));
  }
  await suite.shrinkDisputes(options.stopped);
  const reached = levelOf(hello);
  const measured = strength?.(hello);
  return summarise({
    implementation: { ...introduced(hello), ...(course && { packages: course.packages }) },
    ...(course && { excused: course.excused }),
    level: reached,
    ...(level !== undefined && { demanded: level }),
    seed,
    arch,
    runs,
    ...(shard && { shard }),
    ...(scenarios && { fixtures: true }),
    ...(ended !== undefined && { ended }),
    played: suite.played,
    calls: suite.calls,
    ...(player.predicted && { predicted: suite.predicted }),
    tally: suite.tally,
    cells: suite.cells,
    ...(!scenarios && !course && arch.length > 0 && suite.pairs.result),
    readings: suite.readings,
    incidents: suite.incidents,
    counterexamples,
    ...(measured && { strength: measured }),
  });
}

// The command plays a scenario by itself too.
export { played } from './verdict/check.ts';

/** Plays scenarios and counts what they show. */
class Suite implements Lost {
  readonly tally: Map<string, Counts> = new Map(requirementIds.map((id) => [id, { holds: 0, violated: 0, unknown: 0 }]));
  /** The first scenarios that broke each requirement. */
  readonly found: Map<string, [FirstSeen, ...FirstSeen[]]> = new Map();
  readonly cells: Cells = new Map();
  readonly pairs: Pairs;
  readonly readings: { [id: string]: { [reading: string]: number } } = {};
  readonly incidents: Incident[] = [];
  calls = 0;
  /** Calls that ended as the reference model could have ended them. */
  predicted = 0;
  played = 0;
  isLost = false;
  readonly #disputed = new Map<Incident, RunScenario>();
  #broken = 0;
  #setupFaults = 0;
  /** Scenarios that could not be judged for a bug of the suite's own. */
  #failed = 0;
  readonly #player: Player;
  readonly #again: Counterexamples;
  readonly #course: Course | undefined;
  readonly #worlds: OtherWorlds;

  constructor(player: Player, arch: readonly Arch[], course?: Course) {
    this.#player = player;
    this.#worlds = new OtherWorlds(player);
    this.#course = course;
    this.pairs = new Pairs(arch, player.hello);
    this.#again = new Counterexamples(player, this, course);
  }

  /** Plays one scenario; why the run should end after it, if it should. */
  async take(drawn: RunScenario): Promise<string | undefined> {
    const { scenario } = drawn;
    let checked: Checked;
    try {
      checked = await played(this.#player, scenario, this.#course);
      if (checked.crash) {
        const { crash } = checked;
        checked = await played(this.#player, scenario, this.#course);
        if (!checked.crash) this.#incident('flaky', crash, drawn);
        this.#broken += crash.hung ? 2 : 1;
      }
    } catch (error) {
      return this.#unplayable(error, drawn);
    }
    this.#setupFaults = 0;
    if (!drawn.isExtra) this.played++;
    this.#count(checked, drawn);
    const ended = drawn.made && !this.#course ? await this.#elsewhere(drawn, checked) : undefined;
    if (ended !== undefined) return ended;
    return this.#broken < mostBroken
      ? undefined
      : `ended after ${this.played} scenarios, because they broke the implementation again and again`;
  }

  /** Why the run should end after a scenario that could not be played or judged, if it should. */
  async #unplayable(error: unknown, drawn: RunScenario): Promise<string | undefined> {
    if (error instanceof SetupError) {
      this.#incident('setup', error, drawn);
      this.#setupFaults++;
      return this.#setupFaults < mostSetupFaults ? undefined : `ended after ${this.#setupFaults} faults of the surroundings in a row`;
    }
    if (error instanceof InternalError) {
      this.#incident('internal', error, drawn);
      await this.#player.renew();
      return ++this.#failed < mostFailed ? undefined : `ended after ${this.#failed} scenarios that xenmem failed to judge`;
    }
    if (!(error instanceof UndrivenError)) throw error;
    this.lose(error, drawn);
    return `ended after ${this.played} scenarios: the implementation cannot be started any more`;
  }

  /** Plays a scenario of the run in other worlds too, where it is its turn. */
  async #elsewhere(drawn: RunScenario, checked: Checked): Promise<string | undefined> {
    const { index } = drawn;
    let ended: string | undefined;
    try {
      const found = await this.#worlds.unlike(drawn, checked, async (scenario, seen) => {
        const extra = { index, scenario, isExtra: true } as const;
        if (!seen.crash) this.#count(seen, extra);
        else ended ??= await this.take(extra);
      });
      if (found) this.#incident('unlike', found, { index, scenario: found.scenario });
    } catch (error) {
      return this.#unplayable(error, drawn);
    }
    return ended;
  }

  #count(checked: Checked, drawn: RunScenario): void {
    const { given, calls, events, crash } = checked;
    this.calls += events.filter(({ kind }) => kind === 'call').length;
    const row = drawn.made && plannedRow(drawn.made.numbers, drawn.made.arch, this.#player.hello);
    if (drawn.made && row && !events.some(({ kind }) => kind === 'skipped') && !crash) this.pairs.played(drawn.made.arch, row);
    this.predicted += checked.agreed.size;
    const dispute = disputeOf(checked);
    if (dispute && this.#disputesLike(dispute) < mostDisputed) this.#disputed.set(this.#incident('disputed', dispute, drawn), drawn);
    for (const event of events) if (event.kind === 'skipped') this.#skip(drawn.scenario.steps[event.step]);
    for (const { id, answer } of given) {
      const counts = this.tally.get(id);
      if (!counts) continue;
      counts[answer.answer]++;
      if (answer.answer !== 'violated') continue;
      const known = this.found.get(id);
      if (known && (known.length >= mostSeen || known.at(-1)?.drawn === drawn)) continue;
      const first = { drawn, message: answer.violations[0]?.message ?? '', crash: id === 'survives' ? crash : undefined };
      if (known) known.push(first);
      else this.found.set(id, [first]);
    }
    for (const { id, reading } of checked.deviations) this.#read(id, reading);
    for (const call of calls) {
      countCell(this.cells, call);
      for (const { id, reading } of readers) this.#read(id, reading(call));
    }
  }

  #read(id: string, reading: string | undefined): void {
    if (reading === undefined) return;
    this.readings[id] ??= {};
    this.readings[id][reading] = (this.readings[id][reading] ?? 0) + 1;
  }

  /** What the implementation would not do is unknown of everything that it could have shown. */
  #skip(step: Step | undefined): void {
    const op = step?.do === 'call' ? judgedOp(step.cmd, 'dma-buf') : undefined;
    const ids = op ? rulesFor(op).requirements.map((rule) => rule.id) : step?.do === 'churn' ? shownByChurn : [];
    for (const id of ids) {
      const counts = this.tally.get(id);
      if (counts) counts.unknown++;
    }
  }

  /** The implementation does not start any more: nothing else can be played. */
  lose(error: UndrivenError, drawn: RunScenario): void {
    if (!this.isLost) this.#incident('undriven', error, drawn);
    this.isLost = true;
  }

  #incident(
    kind: Incident['kind'],
    about: Pick<Incident, 'message' | 'requirement' | 'other' | 'evidence'>,
    { index, scenario }: RunScenario,
  ): Incident {
    const { message, evidence, requirement, other } = about;
    const incident: Incident = {
      kind,
      found: index,
      replay: tokenOf(scenario),
      ...namedBy(this.#player),
      message,
      ...(requirement !== undefined && { requirement }),
      ...(other !== undefined && { other }),
      ...(evidence?.length && { evidence }),
    };
    this.incidents.push(incident);
    return incident;
  }

  /** Disputes of the same kind so far: about a requirement, or about none. */
  #disputesLike({ requirement }: Pick<Incident, 'requirement'>): number {
    return [...this.#disputed.keys()].filter((other) => (other.requirement === undefined) === (requirement === undefined)).length;
  }

  /** What shows that a requirement is broken; where nothing does so again, that is listed. */
  async counterexample(id: string, found: SeenTimes): Promise<Counterexample> {
    const shown = await this.#again.of(id, found);
    if (shown.flaky) this.#incident('flaky', { message: `${id}: ${shown.message}` }, found[0].drawn);
    return shown;
  }

  /** The scenarios that the two oracles disagree about, each made as small as it goes. */
  async shrinkDisputes(stopped: () => boolean = () => false): Promise<void> {
    for (const [incident, drawn] of this.#disputed) {
      if (incident.requirement === undefined && this.found.size > 0) continue; // it will not be listed
      this.incidents[this.incidents.indexOf(incident)] = { ...incident, ...(await this.#again.ofDispute(drawn, incident, stopped)) };
    }
  }
}

function introduced({ name, version, arch, commands, capabilities, limits }: Hello): ImplementationInfo {
  return {
    name,
    version,
    arch,
    commands,
    capabilities: [...capabilities].sort(),
    limits: Object.fromEntries(Object.entries(limits).map(([key, value]) => [key, typeof value === 'bigint' ? hex64(value) : value])),
  };
}

/** FNV-1a over the numbers a scenario is made from: which shard plays it. */
function hashOf(numbers: readonly number[]): number {
  let hash = 0x811c9dc5;
  for (const number of numbers) hash = Math.imul(hash ^ number, 0x0100_0193);
  return hash >>> 0;
}
