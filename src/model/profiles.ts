import type { arches } from '../abi/arch.ts';
import { errno } from '../abi/constants.ts';
import type { Check, Decisions } from './decisions.ts';
import { OP } from './decisions.ts';
import { strict } from './strict.ts';

const isArm = (arch: keyof typeof arches): boolean => arch === 'arm32' || arch === 'arm64';

/** A guest may change its own pinned pages: only what the hypervisor does by itself is bound. */
const lenient: Decisions = { ...strict, pinRefuses: () => 0 };

/** What every Xen that was ever released does with memory_exchange; on Arm it could never take a page away. */
const released: Decisions = {
  ...strict,
  strayStart: 0,
  countNotZero: 0,
  maxExtents: 2n ** 64n,
  laterInput: 0,
  listUnmapped: 0,
  outputPopulated: 0,
  outputTwice: 0,
  outputBeyond: 0, // D4 (4.3, 4.4): that mapping the new page failed goes unnoticed
  dying: 0, // D3: rc stays 0 though less than all was exchanged
  readsGpfns: 'after',
  pins: () => false,
  writesMfns: (_op, arch) => (isArm(arch) ? 'never' : 'per chunk'), // translated guests were never told
  scrubs: false,
  decreasesWhole: false,
  gfnOf: (low, high, arch) => (arch === 'arm32' ? low : strict.gfnOf(low, high, arch)), // a 32-bit Xen drops the upper half
};

const checks44: readonly Check[] = ['count-beyond', 'domids', 'order', 'sizes', 'list-ranges', 'caller-order', 'domain'];
const checksNow: readonly Check[] = ['caller-order', 'count-beyond', 'domids', 'sizes', 'nothing-left', 'list-ranges', 'domain'];

/** Xen 4.3 and 4.4, of the patch's own time: ops 26 and 27 do not exist there. */
const xen44: Decisions = {
  ...released,
  refuses: (op) => (op === OP.get || op === OP.put ? errno.ENOSYS : strict.refuses(op)),
  checkOrder: checks44,
  maxOrder: (arch) => (isArm(arch) ? 20 : 18),
  callerMaxOrder: (privileged, arch) => (privileged ? (isArm(arch) ? 20 : 18) : 9),
  cannotSteal: (arch) => (isArm(arch) ? errno.EINVAL : 0),
  lateFault: 'goes on', // D2
};

/** Xen since 4.17: 26 and 27 are other calls, which answer -EINVAL to nearly every argument of the patch. */
const xenNow: Decisions = {
  ...released,
  refuses: (op) => (op === OP.get || op === OP.put ? errno.EINVAL : strict.refuses(op)),
  strayStart: errno.EINVAL,
  checkOrder: checksNow, // D5: nothing left to do is 0 before the domain is looked at
  orderDenied: errno.EPERM,
  callerMaxOrder: (privileged) => (privileged ? 18 : 9),
  cannotSteal: (arch) => (isArm(arch) ? errno.EOPNOTSUPP : 0),
  lateFault: 'does not count', // D1
};

/** Hypervisors by name: the reading of the specification, its lenient sister, and what has shipped. */
export const profiles = { strict, lenient, 'xen-4.4': xen44, 'xen-now': xenNow } as const satisfies { readonly [name: string]: Decisions };

export type ProfileName = keyof typeof profiles;

/** Every profile's name. */
export const modelProfiles: readonly ProfileName[] = Object.keys(profiles) as ProfileName[];
