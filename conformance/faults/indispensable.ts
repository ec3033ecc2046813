import { faults } from './faults.ts';

/** Why a requirement of the hypervisor is never the only one that a faulty one breaks. */
export const notAlone: Readonly<Record<string, string>> = {
  'get-complete-count': 'rc = 0 with too small a count is get-incomplete-nonzero, with too large a one get-partial-count',
  'get-incomplete-nonzero': 'the same call is get-complete-count: rc is 0 and the count is not that of the inputs',
  'get-partial-count':
    'a count that is no whole number of chunks takes an extent too many or too few: get-inputs-released or get-rest-untouched',
  'get-new-pages': 'a frame that comes back may come back under its own gfn, which is get-inputs-released',
  'get-inputs-released':
    'an input that stays mapped keeps a frame: given out again it is frames-conserved, kept it makes the next get of it fail',
  'get-rest-untouched': 'what is done beyond the count is written as well, to a list entry or over a page: no-stray-writes',
  'get-in-untouched': 'no-stray-writes allows no byte that this does not allow',
  'get-same-gfn': 'it is get-works, of a call that names one frame on both sides',
  'put-in-untouched': 'put may write nothing: no-stray-writes',
  'reservation-list': 'no-stray-writes allows no byte of the list that this does not allow',
};

/**
 * For each requirement the faulty hypervisors that it alone catches: without it they would be found
 * by accident at best, where in a long run what follows from the mistake shows (`also`).
 */
export function onlyKillers(): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const { name, breaks } of faults) {
    const [only, ...more] = breaks;
    if (only !== undefined && more.length === 0) found.set(only, [...(found.get(only) ?? []), name]);
  }
  return found;
}
