import type { Aspect } from '../scenario/other-world.ts';
import type { Edited } from './fault.ts';

/**
 * A hypervisor that breaks no requirement, and cares for what must not matter, or is not as it was
 * once all is undone.
 */
export interface Unlikely extends Edited {
  readonly about: Aspect | 'undoing';
}

const reservations = 'reservation-ops.ts';
const put = 'put-dma-buf.ts';
const door = 'memory-op.ts';
const isMisplaced = 'if (isMisaligned(call, bases, pages)) return false;\n  const isPinRefused';
const refusesToGive = (gfns: string): readonly [string, string, string] => [reservations, isMisplaced, `${gfns}\n  ${isMisplaced}`];
const isDirty = "import { at, readBytes } from './p2m.ts';\n";

/** What only the oracles without a model find. */
export const unlikely: readonly Unlikely[] = [
  {
    name: 'refuses a put with dirty padding',
    about: 'padding',
    edits: [
      [put, "import type { Domain } from './state.ts';", `${isDirty}import type { Domain } from './state.ts';`],
      [
        put,
        'if (!asked) return -EFAULT; // bad-address-fails',
        `if (!asked) return -EFAULT; // bad-address-fails
    if (readBytes(call.state, call.caller, at(call.arg), 32)?.slice(26).some((byte) => byte !== 0)) return -EINVAL;`,
      ],
    ],
  },
  {
    name: 'gives up nothing of a struct with dirty padding',
    about: 'padding',
    edits: [
      [reservations, 'import { giveUp, mapPage, mappableGfns }', 'import { at, giveUp, mapPage, mappableGfns, readBytes }'],
      refusesToGive('if (readBytes(call.state, call.caller, at(call.arg), 32)?.slice(26).some((byte) => byte !== 0)) return false;'),
    ],
  },
  {
    name: 'gives up nothing of domains from 3 on',
    about: 'domids',
    edits: [refusesToGive('if (domain.domid >= 3 && domain.domid < 0x100) return false;')],
  },
  {
    name: 'keeps what lies in the second half of a GiB',
    about: 'frames',
    edits: [refusesToGive('if (bases.some((gfn) => ((gfn as number) & 0x20000) !== 0)) return false;')],
  },
  {
    name: 'populates nothing below 1 GiB',
    about: 'frames',
    edits: [
      [
        reservations,
        'const [gpfn] = bases as [number];',
        `const [gpfn] = bases as [number];
  if (gpfn >= 0x10000 && gpfn < 0x40000) return false;`,
      ],
    ],
  },
  {
    name: 'gives up nothing of a guest with memory in two places',
    about: 'unrelated pages',
    edits: [refusesToGive('if ([...domain.p2m.keys()].some((gfn) => gfn > (bases[0] as number) + 0x200)) return false;')],
  },
  {
    name: 'gives up nothing in the call behind a put',
    about: 'order of independent calls',
    edits: [
      [door, 'export function memoryOp(', 'const last = new WeakMap<State, unknown>();\n\nexport function memoryOp('],
      [
        door,
        "const op = judgedOp(cmd, 'dma-buf');",
        `const op = judgedOp(cmd, 'dma-buf');
  const before = last.get(state);
  last.set(state, op);
  if (op === 'decrease_reservation' && before === 'put_dma_buf') return startExtent(cmd);`,
      ],
    ],
  },
  {
    name: 'never gives up a page that was put',
    about: 'undoing',
    edits: [
      [reservations, 'const extent:', 'export const everPut = new WeakMap<Domain, Set<number>>();\n\nconst extent:'],
      refusesToGive('if (bases.some((gfn) => everPut.get(domain)?.has(gfn))) return false;'),
      [
        put,
        "import type { Domain } from './state.ts';",
        "import { everPut } from './reservation-ops.ts';\nimport type { Domain } from './state.ts';",
      ],
      [
        put,
        'const { pins } = domainNamed(call, asked.domid) as Domain;',
        `const domain = domainNamed(call, asked.domid) as Domain;
    const { pins } = domain;
    const known = everPut.get(domain) ?? new Set<number>();
    everPut.set(domain, known);`,
      ],
      [
        put,
        'for (const gfn of pages) pins.delete(gfn);',
        'for (const gfn of pages) {\n      pins.delete(gfn);\n      known.add(gfn);\n    }',
      ],
    ],
  },
  {
    name: 'never gives up a page that op 6 has populated',
    about: 'undoing',
    edits: [
      [reservations, 'const extent:', 'const populated = new WeakMap<Domain, Set<number>>();\n\nconst extent:'],
      refusesToGive('if (bases.some((gfn) => populated.get(domain)?.has(gfn))) return false;'),
      [
        reservations,
        'mapPage(domain, gpfn + j, mfn + j);',
        `mapPage(domain, gpfn + j, mfn + j);
    populated.set(domain, (populated.get(domain) ?? new Set()).add(gpfn + j));`,
      ],
    ],
  },
];
