import { MAX_ORDER, MEMOP_MAX_EXTENTS } from '../abi/constants.ts';

/**
 * What the specification leaves open and a user may choose: each point by its id in the ambiguity
 * register (src/rules/ambiguities.ts), each with its readings. The first one is the strict model's.
 */
export const readings = {
  'misaligned-frame': ['accepted', 'refused'],
  'count-not-zero': ['refused', 'resumed'],
  'start-extent-bits': ['refused', 'unimplemented', 'ignored'],
  'dirty-handle': ['ignored', 'refused'],
  'own-number': ['accepted', 'refused'],
  'populated-output': ['refused', 'overwritten'],
  'later-input': ['refused', 'accepted'],
  'bad-list': ['up-front', 'part-way'],
  'late-fault': ['part-way', 'up-front'],
  'put-not-pinned': ['refused', 'accepted'],
  'put-partly-pinned': ['all-or-nothing', 'prefix'],
  'guest-changes-pinned': ['refused', 'accepted'],
  'spontaneous-move': ['never', 'in-calls'],
  'neighbour-of-pinned': ['moved', 'left'],
} as const;

/** Limits that a hypervisor may have (`more-limits`). */
export interface Limits {
  /** The highest order there is. */
  readonly max_order: number;
  /** The highest order for a domain that is not privileged. */
  readonly max_order_unprivileged: number;
  /** The most extents of one list. */
  readonly max_extents: bigint;
}

/** One reading of each open point. */
export type Freedoms = {
  readonly [id in keyof typeof readings]: (typeof readings)[id][number];
} & { readonly 'more-limits': Limits };

const firsts = Object.fromEntries(Object.entries(readings).map(([id, [first]]) => [id, first]));

/** The strict reading of every open point. */
export const strict: Freedoms = {
  ...(firsts as { readonly [id in keyof typeof readings]: (typeof readings)[id][0] }),
  'more-limits': { max_order: MAX_ORDER, max_order_unprivileged: 9, max_extents: MEMOP_MAX_EXTENTS },
};
