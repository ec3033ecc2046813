import { bpftraceRecipe } from './bpftrace.ts';
import { ftraceRecipe } from './ftrace.ts';
import { gdbRecipe, qemuRecipe } from './gdb.ts';
import { printkRecipe, straceRecipe } from './printk.ts';
import type { Target } from './target.ts';

export { type Target, targetOf } from './target.ts';

/**
 * How a script that captures calls is made, by the tool that runs it; xenmem reads what it prints.
 */
export const recipes = {
  bpftrace: bpftraceRecipe,
  ftrace: ftraceRecipe,
  gdb: gdbRecipe,
  qemu: qemuRecipe,
  printk: printkRecipe,
  strace: straceRecipe,
} as const satisfies { readonly [tool: string]: (target: Target) => string };

/** The name of a recipe in the table. */
export type RecipeName = keyof typeof recipes;

/** Every recipe, in the table's order. */
export const recipeNames: readonly RecipeName[] = Object.keys(recipes) as RecipeName[];

/** Why a tool cannot capture on an architecture, with what can; `undefined` where it can. */
export function cannot(name: RecipeName, { arch }: Target): string | undefined {
  return name === 'bpftrace' && arch === 'x86_32' ? 'bpftrace does not run on x86_32: xenmem recipe ftrace, or gdb, does' : undefined;
}
