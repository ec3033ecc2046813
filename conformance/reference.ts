import { archNames } from '../src/abi/arch.ts';
import { XENMEM } from '../src/abi/ops.ts';
import { type Freedoms, readings, strict } from '../src/model/freedoms.ts';
import { createHypervisor, type Hypervisor } from '../src/model/hypervisor.ts';
import { modelWith } from '../src/model/memory-op.ts';
import { xen44 } from '../src/model/xen/xen-4.4.ts';
import { xen417 } from '../src/model/xen/xen-4.17.ts';
import { crashing } from './check.ts';
import { type Answer, capabilities, type Hello, type Implementation, type Request } from './implementation.ts';

const { get_dma_buf, put_dma_buf, exchange, increase_reservation, decrease_reservation, populate_physmap } = XENMEM['dma-buf'];

/** How the reference model introduces itself. */
export const referenceHello: Hello = {
  name: 'xenmem reference model',
  version: '1',
  arch: archNames.filter((arch) => arch === 'arm32' || arch === 'arm64'),
  commands: { get_dma_buf, put_dma_buf, exchange, increase_reservation, decrease_reservation, populate_physmap },
  capabilities: new Set(capabilities),
  limits: { max_order: 9, max_extents: 0x3ff_ffffn },
  translated: true,
};

/** The reference hypervisor as an implementation under test, with these readings of open points, and this in its introduction. */
export function referenceImplementation(freedoms: Partial<Freedoms> = {}, other: Partial<Hello> = {}): Implementation {
  return implementationOf(createHypervisor(modelWith(freedoms)), other);
}

/** A hypervisor in this process as an implementation under test. `other`: what it says of itself that the reference model does not. */
export function implementationOf(hypervisor: Hypervisor, other: Partial<Hello> = {}): Implementation {
  const hello = { ...referenceHello, ...other };
  return crashing({ hello, answer: (requests) => requests.map((request) => answer(hypervisor, request)) });
}

/** What a released Xen implements on Arm: ops 0, 1 and 6; no failure can be asked of it. */
const released: Partial<Hello> = {
  commands: { increase_reservation, decrease_reservation, populate_physmap },
  capabilities: new Set(capabilities.filter((c) => c !== 'fail-alloc' && c !== 'preempt')),
};

/** A hypervisor that `--reference` names. */
export interface Reference {
  readonly about: string;
  readonly create: () => Implementation;
}

/** The references by name. */
export const references: { readonly [name: string]: Reference } = {
  strict: {
    about: 'the reference model: every sentence of the patch kept, every open point by its strict reading',
    create: () => referenceImplementation(),
  },
  'xen-4.17': {
    about:
      'ops 0, 1 and 6 as Xen 4.17 does them on Arm, after its source; only calls of its first domain, which is direct-mapped, are checked against fixtures/captures',
    create: () => implementationOf(createHypervisor(xen417()), { ...released, name: 'Xen 4.17 after its source' }),
  },
  'xen-4.4': {
    about: "ops 0, 1 and 6 as Xen 4.4 did them on Arm, in the patch's own time, after its source",
    create: () => implementationOf(createHypervisor(xen44()), { ...released, name: 'Xen 4.4 after its source' }),
  },
};

/** A word that names no reference, no open point or no reading of it, with all that would have been right there. */
export class UnknownReferenceError extends Error {
  override readonly name = 'UnknownReferenceError';
  readonly word: string;
  readonly known: readonly string[];

  constructor(what: string, word: string, known: readonly string[]) {
    super(`unknown ${what} ${JSON.stringify(word)}`);
    this.word = word;
    this.known = known;
  }
}

/** The reference that words name: one of `references`, or the strict one with readings of open points, `FREEDOM=READING` each. */
export function referenceFor(words: readonly string[]): Implementation {
  const [name = 'strict', ...more] = words.filter((word) => !word.includes('='));
  const reference = Object.hasOwn(references, name) ? references[name] : undefined;
  if (!reference) throw new UnknownReferenceError('reference', name, Object.keys(references));
  const chosen = words.filter((word) => word.includes('='));
  if (chosen.length > 0 && name !== 'strict')
    throw new UnknownReferenceError('combination', `${name} ${chosen[0]}`, ['readings go with strict']);
  if (more.length > 0) throw new UnknownReferenceError('combination', [name, ...more].join(' '), ['one reference at a time']);
  return chosen.length > 0 ? withReadings(chosen) : reference.create();
}

function withReadings(chosen: readonly string[]): Implementation {
  const picked: { [id: string]: string } = {};
  let limits = strict['more-limits'];
  for (const word of chosen) {
    const [id = '', reading = ''] = word.split(/=(.*)/s);
    if (id === 'more-limits') limits = { ...limits, ...limitIn(reading) };
    else if (!Object.hasOwn(readings, id)) throw new UnknownReferenceError('open point', id, [...Object.keys(readings), 'more-limits']);
    else {
      const known: readonly string[] = readings[id as keyof typeof readings];
      if (!known.includes(reading)) throw new UnknownReferenceError(`reading of ${id}`, reading, known);
      picked[id] = reading;
    }
  }
  const name = `${referenceHello.name}, ${chosen.join(', ')}`;
  const { max_order, max_order_unprivileged, max_extents } = limits;
  return referenceImplementation({ ...picked, 'more-limits': limits } as Partial<Freedoms>, {
    name,
    limits: { max_order: Math.min(max_order, max_order_unprivileged), max_extents },
  });
}

/** `max_order:N` or `max_extents:N`. */
function limitIn(reading: string): Partial<Freedoms['more-limits']> {
  const [, name, number] = /^(max_order|max_extents):(\d{1,9})$/.exec(reading) ?? [];
  if (name === undefined || number === undefined)
    throw new UnknownReferenceError('reading of more-limits', reading, ['max_order:N', 'max_extents:N']);
  return name === 'max_order' ? { max_order: Number(number) } : { max_extents: BigInt(number) };
}

function answer(hypervisor: Hypervisor, request: Request): Answer {
  switch (request.op) {
    case 'reset':
      hypervisor.reset(request);
      return {};
    case 'write':
      return hypervisor.write(request.domid, request.addr, request.bytes) ? {} : { fault: true };
    case 'read': {
      const bytes = hypervisor.read(request.domid, request.addr, request.length);
      return bytes === undefined ? { fault: true } : { bytes };
    }
    case 'call':
      return { rc: hypervisor.call(request.domid, request.cmd, request.arg, request.inject) };
    case 'translate':
      return { mfns: hypervisor.translate(request.domid, request.gfn, request.pages) };
    case 'churn':
      hypervisor.churn(request.domid, request.gfn, request.pages);
      return {};
    case 'pages':
      return { pages: hypervisor.pages(request.domid) };
    case 'changes':
      return { ranges: hypervisor.changes(request.domid) };
  }
}
