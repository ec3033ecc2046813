import { abi } from './faulty/abi.ts';
import { access } from './faulty/access.ts';
import { allocation } from './faulty/allocation.ts';
import { convention } from './faulty/convention.ts';
import { isolation } from './faulty/isolation.ts';
import { lists } from './faulty/lists.ts';
import { pinning } from './faulty/pinning.ts';
import { progress } from './faulty/progress.ts';
import { validation } from './faulty/validation.ts';
import type { Mutant } from './mutant.ts';

/** Every faulty hypervisor, by family. */
export const faulty: readonly Mutant[] = [
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
