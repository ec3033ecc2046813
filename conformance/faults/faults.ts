import { abi } from './abi.ts';
import { access } from './access.ts';
import { allocation } from './allocation.ts';
import { convention } from './convention.ts';
import type { Fault } from './fault.ts';
import { isolation } from './isolation.ts';
import { lists } from './lists.ts';
import { pinning } from './pinning.ts';
import { progress } from './progress.ts';
import { validation } from './validation.ts';

export { legal } from './legal.ts';

/** Every faulty hypervisor, by family. */
export const faults: readonly Fault[] = [
  ...progress,
  ...lists,
  ...pinning,
  ...allocation,
  ...validation,
  ...access,
  ...abi,
  ...isolation,
  ...convention,
];
