import type { Argv } from 'yargs';
import { type Arch, archNames } from '../../src/abi/arch.ts';
import { argumentOf, type JudgedOp, type Profile, profileNames } from '../../src/abi/ops.ts';
import { cannot, type RecipeName, recipeNames, recipes, targetOf } from '../../src/export/recipe/recipe.ts';
import { closest } from '../closest.ts';
import { UsageError } from '../exit.ts';
import { bytes } from '../io.ts';

interface Options {
  readonly tool?: readonly string[];
  readonly arch?: Arch;
  readonly op?: JudgedOp;
  readonly profile?: Profile;
}

const ops: readonly JudgedOp[] = Object.keys(argumentOf) as JudgedOp[];

export function options(args: Argv): Argv {
  return args
    .positional('tool', { type: 'string', array: true, describe: `which: ${recipeNames.join(', ')}` })
    .option('arch', { choices: archNames, describe: 'the architecture of the guest (default arm64)', requiresArg: true })
    .option('op', { choices: ops, describe: 'the calls to capture', requiresArg: true })
    .option('profile', { choices: profileNames, describe: 'what op numbers mean (default dma-buf)', requiresArg: true })
    .example('$0 recipe bpftrace --op exchange > capture.sh', 'then, as root: sh capture.sh | xenmem validate -')
    .epilogue('The script says on top how it is run, and what it misses. xenmem reads what it prints.');
}

export async function run({ tool = [], arch = 'arm64', op, profile = 'dma-buf' }: Options): Promise<number[]> {
  const [name, another] = tool;
  if (name === undefined) throw new UsageError(`say which recipe: ${recipeNames.join(', ')}`);
  if (another !== undefined) throw new UsageError(`unexpected ${JSON.stringify(another)}`);
  if (!isRecipe(name)) {
    throw new UsageError(`unknown recipe ${JSON.stringify(name)}${closest(name, recipeNames)} (known: ${recipeNames.join(', ')})`);
  }
  if (op === undefined) throw new UsageError(`say which calls with --op: ${ops.join(', ')}`);
  const target = targetOf(op, arch, profile);
  if (!target) throw new UsageError(`profile ${profile} has no ${op}`);
  const why = cannot(name, target);
  if (why !== undefined) throw new UsageError(why);
  await bytes(recipes[name](target));
  return [];
}

function isRecipe(name: string): name is RecipeName {
  return Object.hasOwn(recipes, name);
}
