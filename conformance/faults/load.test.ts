import { describe, expect, it } from 'vitest';
import type { Arch } from '../../src/abi/arch.ts';
import { referenceImplementation } from '../protocol/reference.ts';
import { scenarioFrom } from '../scenario/generate.ts';
import { samples } from '../scenario/numbers.ts';
import type { Scenario } from '../scenario/scenario.ts';
import { sizeOf } from '../scenario/scenario.ts';
import { checkHere } from '../verdict/check.ts';
import type { Create } from './load.ts';
import { editedFiles, isAbsent, load, partsOf, pristine } from './load.ts';
import { brokenBy, seenAt, smallest, violatedIn } from './play.ts';

const find = 'told = writeEntry(call, x.outs, index * x.outsPerChunk + k, mfn) && told;';

describe('an edit', () => {
  const edited = (...edits: [string, string, string][]) => ({ name: 'crooked', edits });

  it('applies where its text stands once, one after another in the same file', () => {
    const files = editedFiles(
      edited(['get-dma-buf.ts', find, find.replace('mfn)', 'mfn + 1)')], ['get-dma-buf.ts', 'mfn + 1)', 'mfn + 2)']),
    );
    expect([...files.keys()]).toEqual(['get-dma-buf.ts']);
    expect(files.get('get-dma-buf.ts')).toBe(pristine('get-dma-buf.ts').replace('outsPerChunk + k, mfn)', 'outsPerChunk + k, mfn + 2)'));
  });

  it('that does not apply is named with its file and its text, and how often that stands there', () => {
    expect(() => editedFiles(edited(['put-dma-buf.ts', 'no such line', '']))).toThrow(
      '"crooked": put-dma-buf.ts must have this once, and has it 0 times: no such line',
    );
    expect(() => editedFiles(edited(['put-dma-buf.ts', 'return', '']))).toThrow(/must have this once, and has it \d\d times: return$/);
    expect(() => editedFiles(edited(['put.ts', 'return', '']))).toThrow(/ENOENT/);
  });

  it('is put as it is, whatever a replacement pattern would make of it', () => {
    expect(editedFiles(edited(['get-dma-buf.ts', find, "$& $1 $'"])).get('get-dma-buf.ts')).toContain("\n    $& $1 $'\n");
  });
});

it('a module is its file and the number of its model, wherever the clone lies', () => {
  expect(partsOf("/it's?7/src/model/p2m.ts?12")).toEqual(["/it's?7/src/model/p2m.ts", '12']);
  expect(partsOf('/what?/src/abi/arch.ts')).toEqual(['/what?/src/abi/arch.ts', undefined]);
});

it('a package is absent only where it is the one that was not found', () => {
  const failed = (code: string, message: string): Error => Object.assign(new Error(message), { code });
  expect(isAbsent(failed('ERR_MODULE_NOT_FOUND', "Cannot find package 'rolldown' imported from /x/load.js"), 'rolldown')).toBe(true);
  expect(isAbsent(failed('ERR_MODULE_NOT_FOUND', "Cannot find package '@rolldown/binding' imported from /x"), 'rolldown')).toBe(false);
  expect(isAbsent(failed('ERR_DLOPEN_FAILED', 'no such binding'), 'rolldown')).toBe(false);
});

it('models that are loaded together are each their own, and the pristine one is none of them', async () => {
  const other = { name: 'other', edits: [['get-dma-buf.ts', find, 'void 0;']] as const };
  const none = { name: 'none', edits: [] };
  const creates = await load([other, none]);
  const told = (name: string): boolean[] => {
    const { hello, ...implementation } = seenAt(creates.get(name) as Create);
    return [...samples(1, 8, false)].map(
      ({ numbers, arch }) => violatedIn(checkHere(scenarioOf(numbers, arch), { hello, ...implementation })).size > 0,
    );
  };
  expect(told('none').every((violated) => !violated)).toBe(true);
  expect(told('other').some((violated) => violated)).toBe(true);
});

describe('a counterexample', async () => {
  const creates = await load([{ name: 'crooked', edits: [['get-dma-buf.ts', find, find.replace('mfn)', 'mfn + 1)')]] }]);
  const crooked = seenAt(creates.get('crooked') as Create);

  it('becomes as small as the fault allows, and still shows it', async () => {
    const { first = 0 } = brokenBy(crooked, { seed: 4, scenarios: 100, until: (found) => found.size > 0 });
    const [drawn] = samples(4, 100, false).slice(first);
    const scenario = drawn && (await smallest(drawn, crooked));
    expect(scenario && sizeOf(scenario)).toBe(1);
    expect(scenario && violatedIn(checkHere(scenario, crooked)).size).toBeGreaterThan(0);
  });

  it('cannot be made of numbers that show nothing', async () => {
    expect(await smallest({ numbers: [], arch: 'arm64' }, referenceImplementation())).toBeUndefined();
  });
});

function scenarioOf(numbers: readonly number[], arch: Arch): Scenario {
  return scenarioFrom(numbers, arch, referenceImplementation().hello);
}
