import type { Hypervisor } from '../../src/model/hypervisor.ts';
import type { Implementation } from '../protocol/implementation.ts';
import { implementationOf } from '../protocol/reference.ts';
import type { Legal } from './fault.ts';
import { faults, legal } from './faults.ts';
import { type Create, load } from './load.ts';

/** Edited models by name, for tests that need a few. */
export async function named(
  ...names: readonly string[]
): Promise<{ hypervisor(name: string): Hypervisor; of(name: string): Implementation }> {
  const found = [...faults, ...legal].filter((one) => names.includes(one.name));
  if (found.length < names.length) throw new RangeError(`no edited model of these names: ${names.join(', ')}`);
  const creates = await load(found);
  const hypervisor = (name: string): Hypervisor => (creates.get(name) as Create)();
  const hello = (name: string) => (found.find((one) => one.name === name) as Partial<Legal>).hello;
  return { hypervisor, of: (name) => implementationOf(hypervisor(name), hello(name)) };
}
