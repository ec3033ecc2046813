import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, describe, expect, it } from 'vitest';
import { type Codecs, codecFor } from '../../src/codec/codec.ts';
import { judge } from '../../src/rules/judge.ts';
import { rules } from '../../src/rules/table.ts';
import { faults, legal } from '../faults/faults.ts';
import { named } from '../faults/named.stage.ts';
import { type Capability, capabilities, extras } from '../protocol/implementation.ts';
import { playerHere } from '../protocol/player.ts';
import { referenceImplementation } from '../protocol/reference.ts';
import { runSuite } from '../run.ts';
import { type Scenario, scenarioIn } from '../scenario/scenario.ts';
import { checkHere } from '../verdict/check.ts';
import { requirementIds } from '../verdict/summary.ts';
import { outcomeAmong } from './allowed.ts';
import { callCase } from './calls.ts';
import { cannot, least } from './cannot.ts';
import { captureCases } from './captures.ts';
import { type CallCase, canonicalJson, fileText, idOf, pathOf, roles, type StructCase, sha256 } from './case.ts';
import { checkFolder } from './check.ts';
import { casesIn, companionsIn, manifestIn, promotedIn, storedFiles, writeFolder } from './folder.ts';
import { faultNames, generateCases } from './generate.ts';
import { filesOf } from './manifest.ts';
import { playable, scenariosOf } from './scenarios.ts';
import { structCases } from './structs.ts';

const long = process.env['XENMEM_LONG'] !== undefined;
const wrong = [
  'counts one input too few',
  'leaves the inputs mapped',
  'always refuses',
  'ignores the limit',
  'makes extents of two halves',
];
const unkept = ['loses the content of a page that moves', 'clears what is put', 'unmaps what is put', 'frees what is put'];
const known = await named(...legal.map(({ name }) => name), ...wrong, 'never pins', ...unkept);
const folder = 'fixtures/golden';
const stored = casesIn(folder);
const calls = stored.flatMap(({ golden }) => (golden.case === 'call' ? [golden] : []));
const manifest = manifestIn(folder);

describe('the golden cases', () => {
  it('have the shape of the schema, and it refuses what has another', () => {
    const validate = new Ajv2020({ allowUnionTypes: true, strictTypes: false, strictTuples: false, strictRequired: false }).compile(
      JSON.parse(readFileSync(join(folder, 'schema.json'), 'utf8')),
    );
    const wrong = stored.filter(({ golden }) => !validate(golden)).map(({ file }) => file);
    expect(wrong).toEqual([]);
    expect(validate(manifest)).toBe(true);
    const { rows: _, ...cut } = stored.find(({ golden }) => golden.case === 'struct')!.golden as StructCase;
    expect(validate(cut)).toBe(false);
    expect(validate({ ...calls[0]!, role: 'other' })).toBe(false);
    expect(validate({ ...calls[0]!, surprise: 1 })).toBe(false);
  });

  it('are enough for each requirement, or the manifest says why that cannot be', () => {
    for (const id of requirementIds) {
      const entry = manifest.requirements[id]!;
      for (const role of roles) {
        const own = calls.filter((golden) => golden.requirement === id && golden.role === role).length;
        expect([id, role, own]).toEqual([id, role, entry[role]]);
        if (entry.cannot?.[role] === undefined) expect([id, role, own >= least[role]]).toEqual([id, role, true]);
        else expect([id, role, own]).toEqual([id, role, 0]);
      }
    }
    expect(Object.keys(cannot)).toEqual(['survives']);
  });

  it('are small: 64 KB a file, 5 MB in all', () => {
    const sizes = storedFiles(folder).map(({ text }) => Buffer.byteLength(text));
    expect(Math.max(...sizes)).toBeLessThan(64 * 1024);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(5 * 1024 * 1024);
  });

  it('find out all faulty hypervisors but those that the manifest lists', () => {
    // That they do is played by faults.test.ts.
    const missed = faults.filter(({ name }) => !calls.some((golden) => golden.kills?.includes(name))).map(({ name }) => name);
    expect(missed).toEqual(manifest.mutants.needs_random_suite);
    expect(manifest.mutants).toMatchObject({ total: faults.length, killed: faults.length - missed.length });
    const names = new Set(faults.map(({ name }) => name));
    expect(calls.flatMap(({ kills = [] }) => kills).filter((name) => !names.has(name))).toEqual([]);
  });

  it('come out the same when they are made again, byte for byte', () => {
    for (const role of ['positive', 'negative'] as const) {
      const old = calls.find((golden) => golden.role === role && golden.requirement === 'put-keeps-pages' && golden.kills)!;
      const { requirement, origin, kills } = old;
      const by = origin.kind === 'shrunk counterexample' ? known.of(origin.mutant) : referenceImplementation();
      const { origin: _, ...again } = callCase({ role, requirement, scenario: scenarioOf(old), origin }, by)!;
      expect(fileText({ ...again, kills, origin } as CallCase)).toBe(readFileSync(join(folder, pathOf(old)), 'utf8'));
    }
  });

  // npm run test:long
  it.runIf(long)('come out the same when all of them are made again', { timeout: 900_000 }, async () => {
    const made = await generateCases({ fixtures: 'fixtures', promoted: promotedIn(folder) });
    expect(made.map(pathOf).sort()).toEqual(stored.map(({ file }) => file).sort());
    for (const golden of made) expect(readFileSync(join(folder, pathOf(golden)), 'utf8')).toBe(fileText(golden));
  });

  it('are taken from the compilers and the captures as those are now', () => {
    const made = [...structCases('fixtures/layout'), ...captureCases('fixtures/captures')];
    const texts = new Map(storedFiles(folder).map(({ file, text }) => [file, text]));
    for (const golden of made) expect(texts.get(pathOf(golden))).toBe(fileText(golden));
  });

  it('allow whatever a legal hypervisor does', () => {
    const blamed: string[] = [];
    for (const [i, { name, hello }] of legal.entries()) {
      // What declares lower limits is not what the cases assume.
      if (hello?.limits) continue;
      // Each plays a quarter of the cases: all of them take four times as long and show the same.
      for (const golden of distinctCalls().filter((_, j) => (i + j) % 4 === 0)) {
        const step = strays(golden, known.of(name));
        if (step !== undefined) blamed.push(`${name}: ${pathOf(golden)} at step ${step}`);
      }
    }
    expect(blamed).toEqual([]);
  });

  it('do not allow what most faulty hypervisors do', () => {
    for (const name of wrong)
      expect([name, distinctCalls().some((golden) => strays(golden, known.of(name)) !== undefined)]).toEqual([name, true]);
  });
});

describe('a run of the golden scenarios', () => {
  const run = (implementation: ReturnType<typeof referenceImplementation>) => {
    const scenarios = playable(scenariosOf(stored), implementation.hello);
    return runSuite({ player: playerHere(implementation), arch: ['arm64', 'arm32'], seed: 1, runs: 0, scenarios });
  };

  it.each([0, 1, 2] as const)('is conformant for the model at level %i, each requirement exercised', async (level) => {
    const beyond: readonly Capability[] = level === 2 ? [] : level === 1 ? ['churn'] : ['churn', 'translate'];
    const seen = new Set(capabilities.filter((c) => !beyond.includes(c) && !extras.includes(c)));
    const result = await run(referenceImplementation({}, { capabilities: seen }));
    expect(result).toMatchObject({ verdict: 'conformant', level, fixtures: true, cells: {}, reasons: [] });
    expect(result.requirements.filter((r) => r.verdict === 'unknown' && r.excused === undefined)).toEqual([]);
  });

  it('ends with the case that a faulty hypervisor breaks', async () => {
    const result = await run(known.of('never pins'));
    expect(result.verdict).toBe('nonconformant');
    const pinned = result.requirements.find(({ id }) => id === 'get-pinned')!;
    expect(pinned.verdict).toBe('violated');
    const scenarios = scenariosOf(stored);
    const whole = scenarios[pinned.counterexample!.found]!;
    expect(whole.steps.length).toBeGreaterThan(pinned.counterexample!.step);
  });

  it('is inconclusive where nothing that shows a requirement fits', async () => {
    const result = await run(referenceImplementation({}, { limits: { ram_pages: 8 } }));
    expect(result).toMatchObject({ verdict: 'inconclusive', played: 0 });
    expect(result.reasons).toContain('no fixture exercised get-works');
  });
});

describe('drift', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'xenmem-golden-'));
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));
  const filter = { struct: 'xen_get_dma_buf', arch: 'arm32' } as const;
  const structs = structCases('fixtures/layout').filter(({ struct, arch }) => struct === filter.struct && arch === filter.arch);
  const some = [...structs, ...calls.filter(({ requirement }) => requirement === 'put-rc-zero-or-negative')];
  const fresh = (name: string): string => {
    writeFolder(join(scratch, name), filesOf(some, companionsIn(folder), faultNames, filter));
    return join(scratch, name);
  };

  it('is not seen where there is none', () => {
    expect(checkFolder(fresh('clean')).problems).toEqual([]);
  });

  it('of one byte in any file is named', () => {
    const at = fresh('byte');
    for (const { file, text } of storedFiles(at).filter((one) => one.file !== 'manifest.json')) {
      const i = text.length >> 1;
      writeFileSync(join(at, file), `${text.slice(0, i)}${text[i] === '1' ? '2' : '1'}${text.slice(i + 1)}`);
      expect(checkFolder(at).problems.map(({ of }) => of)).toContain(file);
      writeFileSync(join(at, file), text);
    }
  });

  it('of the content is named by its file, also where the hashes were put right', () => {
    const at = fresh('hash');
    const [golden] = some as [StructCase];
    const file = pathOf(golden);
    const text = readFileSync(join(at, file), 'utf8')
      .replace('"nr_extents":"0x1"', '"nr_extents":"0x2"')
      .replace('"extent_order":1', '"extent_order":3');
    writeFileSync(join(at, file), text);
    const lying = readFileSync(join(at, 'manifest.json'), 'utf8').replace(sha256(fileText(golden)), sha256(text));
    writeFileSync(join(at, 'manifest.json'), lying);
    const { problems } = checkFolder(at);
    expect(new Set(problems.map(({ of }) => of))).toEqual(new Set([file]));
    expect(problems.map(({ what }) => what).join()).toMatch(/has content whose name is .*row \d+: decodes otherwise in/);
  });

  it('of a struct field in the codec is named by file, row and field', () => {
    const swapped = (arch: StructCase['arch']): Codecs => {
      const codecs = codecFor(arch);
      const own = codecs.xen_get_dma_buf;
      const decode = (bytes: Uint8Array) => {
        const { in: given, ...rest } = own.decode(bytes);
        return { ...rest, in: { ...given, extent_order: given.address_bits, address_bits: given.extent_order } };
      };
      return { ...codecs, xen_get_dma_buf: { ...own, decode } };
    };
    const { problems } = checkFolder(fresh('codec'), { codecs: swapped });
    expect(new Set(problems.map(({ of }) => of))).toEqual(new Set([pathOf(structs.find(({ shows }) => shows === 'encoded')!)]));
    expect(problems[0]!.what).toMatch(/^row \d+: decodes otherwise in in\.extent_order: \d+, not \d+$/);
  });

  it('of a sentence is named by its requirement', () => {
    const reworded = rules.map((rule) =>
      rule.id === 'put-works' ? { ...rule, quote: 'unpin a set of pages, previously pinned by XENMEM_get_dma_buf' } : rule,
    );
    const reread = rules.map((rule) => (rule.id === 'isolation' ? { ...rule, reading: `${rule.reading} ` } : rule));
    const what = 'has another text than when the cases were made';
    expect(checkFolder(fresh('words'), { rules: reworded }).problems).toEqual([{ of: 'put-works', what }]);
    expect(checkFolder(fresh('words'), { rules: reread }).problems).toEqual([{ of: 'isolation', what }]);
  });

  it('of a file too many, or too few, is named', () => {
    const at = fresh('stray');
    writeFileSync(join(at, 'stray.json'), '{}');
    const [gone] = readdirSync(join(at, 'structs/arm32'));
    rmSync(join(at, 'structs/arm32', gone!));
    const named = checkFolder(at).problems.map(({ of, what }) => `${of} ${what}`);
    expect(named).toContain('stray.json is not in the manifest');
    expect(named).toContain(`structs/arm32/${gone} is missing`);
  });

  it('of a verdict that was written down is named', () => {
    const golden = calls.find(({ role, requirement }) => role === 'negative' && requirement === 'put-rc-zero-or-negative')!;
    const { violated: _, ...rest } = golden.judged[0]!;
    const kind: CallCase = { ...golden, judged: [{ ...rest, violated: [] }] };
    const at = join(scratch, 'verdict');
    writeFolder(at, filesOf([...structs, kind], companionsIn(folder), faultNames, filter));
    const { problems } = checkFolder(at);
    expect(problems.map(({ of }) => of)).toEqual(problems.map(() => pathOf(kind)));
    expect(problems.map(({ what }) => what).join()).toMatch(/it is judged otherwise at step \d/);
  });
});

it('the canonical JSON sorts keys, has no white space, and leaves out what is not there', () => {
  expect(canonicalJson({ b: [1, { d: null, c: 'x"' }], a: undefined, B: true })).toBe('{"B":true,"b":[1,{"c":"x\\"","d":null}]}');
  // printf '{"a":1}' | sha256sum
  expect(idOf({ a: 1 })).toBe('015abd7f');
});

/** Calls that have allowed outcomes, each scenario once. */
function distinctCalls(): CallCase[] {
  return [...new Map(calls.filter(({ allowed }) => allowed).map((golden) => [canonicalJson(golden.scenario), golden])).values()];
}

function scenarioOf({ scenario }: CallCase): Scenario {
  return scenarioIn(scenario)!;
}

/**
 * The step at which an implementation ends in no way that a case allows, as long as it goes the way
 * that was observed.
 */
function strays(golden: CallCase, implementation: ReturnType<typeof referenceImplementation>): number | undefined {
  for (const { step, event } of checkHere(scenarioOf(golden), implementation).calls) {
    const own = golden.allowed![step]!;
    const facts = judge(event.call)!.facts;
    const which = outcomeAmong(own, golden.work![step] ?? undefined, facts);
    if (which < 0) return step;
    if (own.length > 1 || own[which]!.is !== 'done') return undefined;
  }
  return undefined;
}
