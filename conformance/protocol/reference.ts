import { archNames } from '../../src/abi/arch.ts';
import { XENMEM } from '../../src/abi/ops.ts';
import { type Freedoms, readings, strict } from '../../src/model/freedoms.ts';
import { createHypervisor, type Hypervisor } from '../../src/model/hypervisor.ts';
import { modelWith } from '../../src/model/memory-op.ts';
import { xen44 } from '../../src/model/xen/xen-4.4.ts';
import { xen417 } from '../../src/model/xen/xen-4.17.ts';
import { capabilities, type Hello, type Implementation, type Reply, type Request } from './implementation.ts';
import { crashing } from './play.ts';

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

/**
 * The reference hypervisor as an implementation under test, with these readings of open points, and
 * this in its introduction.
 */
export function referenceImplementation(freedoms: Partial<Freedoms> = {}, other: Partial<Hello> = {}): Implementation {
  return implementationOf(createHypervisor(modelWith(freedoms), freedoms['neighbour-of-pinned']), other);
}

/**
 * A hypervisor in this process as an implementation under test. `other`: what it says of itself
 * that the reference model does not.
 */
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

/** Words that name no reference, in a sentence for whoever typed them. */
export class WrongReferenceError extends Error {
  override readonly name: string = 'WrongReferenceError';
}

/**
 * A word that names no reference, no open point or no reading of it, with all that would have been
 * right there.
 */
export class UnknownReferenceError extends WrongReferenceError {
  override readonly name = 'UnknownReferenceError';
  readonly word: string;
  readonly known: readonly string[];

  constructor(what: string, word: string, known: readonly string[]) {
    super(`unknown ${what} ${JSON.stringify(word)}`);
    this.word = word;
    this.known = known;
  }
}

/**
 * What can be chosen of each limit. No order above 9 is for an unprivileged domain, and the suite
 * plays nobody else with one.
 */
const limits = {
  max_order: { least: 0, most: strict['more-limits'].max_order_unprivileged },
  max_extents: { least: 1, most: Number(strict['more-limits'].max_extents) },
} as const;

/** The readings of an open point as they are typed; none where there is no such point to choose. */
function readingsOf(id: string): readonly string[] {
  if (id === 'more-limits') return Object.keys(limits).map((limit) => `${limit}:N`);
  return Object.hasOwn(readings, id) ? readings[id as keyof typeof readings] : [];
}

/**
 * The reference that words name: one of `references`, or the strict one with readings of open
 * points, `FREEDOM=READING` each.
 */
export function referenceFor(words: readonly string[]): Implementation {
  const chosen = words.filter((word) => word.includes('='));
  const names = words.filter((word) => !word.includes('='));
  for (const name of names) {
    const typed = readingsOf(name).map((reading) => `${name}=${reading}`);
    if (typed.length > 0) throw new WrongReferenceError(`${name} takes a reading: ${typed.join(' or ')}`);
    if (!Object.hasOwn(references, name)) throw new UnknownReferenceError('reference', name, Object.keys(references));
  }
  if (names.length > 1) throw new WrongReferenceError(`one reference at a time, not ${names.join(' and ')}`);
  const [name = 'strict'] = names;
  if (chosen.length === 0) return (references[name] as Reference).create();
  if (name !== 'strict') throw new WrongReferenceError(`${chosen[0]} is a reading of the strict model, not of ${name}`);
  return withReadings(chosen);
}

function withReadings(chosen: readonly string[]): Implementation {
  const picked = new Map<string, string>();
  for (const word of chosen) {
    const [id = '', reading = ''] = word.split(/=(.*)/s);
    const known = readingsOf(id);
    if (known.length === 0) throw new UnknownReferenceError('open point', id, [...Object.keys(readings), 'more-limits']);
    const [point, value] = id === 'more-limits' ? limitIn(reading) : [id, reading];
    if (point === id && !known.includes(reading)) throw new UnknownReferenceError(`reading of ${id}`, reading, known);
    if (picked.has(point)) throw new WrongReferenceError(`${point} is given twice`);
    picked.set(point, value);
  }
  const { max_order, max_extents, ...others } = Object.fromEntries(picked);
  const more = { ...strict['more-limits'], ...(max_order && { max_order: Number(max_order) }) };
  const all = { ...more, ...(max_extents && { max_extents: BigInt(max_extents) }) };
  return referenceImplementation({ ...others, 'more-limits': all } as Partial<Freedoms>, {
    name: `${referenceHello.name}, ${chosen.join(', ')}`,
    limits: { max_order: Math.min(all.max_order, all.max_order_unprivileged), max_extents: all.max_extents },
  });
}

/** `max_order:N` or `max_extents:N`: which limit, and the number. */
function limitIn(reading: string): readonly [limit: string, number: string] {
  const [, limit = '', number = ''] = /^(max_order|max_extents):(\d+)$/.exec(reading) ?? [];
  if (limit === '') throw new UnknownReferenceError('reading of more-limits', reading, readingsOf('more-limits'));
  const { least, most } = limits[limit as keyof typeof limits];
  if (Number(number) < least || Number(number) > most)
    throw new WrongReferenceError(`more-limits=${reading}: expected a number, ${least}..${most}`);
  return [limit, number];
}

function answer(hypervisor: Hypervisor, request: Request): Reply {
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
