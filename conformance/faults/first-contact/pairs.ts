import type { Edit, Fault } from '../fault.ts';
import { faults } from '../faults.ts';
import { singles } from './singles.ts';

/** Readings that hide a mistake, and are none themselves. */
const readings: { readonly [words: string]: Edit } = {
  'takes a put of anything': ['freedoms.ts', "'put-not-pinned': ['refused', 'accepted']", "'put-not-pinned': ['accepted', 'refused']"],
  'lets a guest change what is pinned': [
    'freedoms.ts',
    "'guest-changes-pinned': ['refused', 'accepted']",
    "'guest-changes-pinned': ['accepted', 'refused']",
  ],
};

const known = new Map([...faults, ...singles].map((fault) => [fault.name, fault]));

/** A hypervisor with all of these: it breaks what one of them breaks, unless another hides it. */
function together(...names: readonly string[]): Fault {
  const parts = names.map((name) => known.get(name));
  const found = parts.filter((part) => part !== undefined);
  const edits = names.flatMap((name, i) => {
    const reading = readings[name];
    const own = parts[i]?.edits ?? (reading && [reading]);
    if (!own) throw new TypeError(`no faulty hypervisor and no reading "${name}"`);
    return own;
  });
  return {
    name: names.join(', and '),
    family: found[0]?.family ?? 'pinning',
    breaks: [...new Set(found.flatMap(({ breaks }) => breaks))],
    also: [],
    edits,
  };
}

const anything = 'takes a put of anything';
const change = 'lets a guest change what is pinned';

/** Two mistakes at once, or one under a reading that hides what would show it first. */
export const pairs: readonly Fault[] = [
  together('pins the first four pages of an extent', anything),
  together('has room for 64 pins', anything),
  together('has room for 16 pins', anything),
  together('does not pin guest frame 0', anything),
  together('pins guest frames below 4 GiB only', anything),
  together('puts all eight pages of a byte of its bitmap', anything),
  together('puts every page whose low 16 bits are the same', anything),
  together('a decrease that is refused takes the pin', anything),
  together('a populate that is refused takes the pin', anything),
  together('unpins what a call that fails part-way has pinned', anything),
  together('pins only what it did since it was last preempted', anything),
  together('starts a put again from its first extent when preempted', anything),
  together('leaves an extent out when a put is preempted', anything),
  together('puts the aligned extent around a frame', anything),
  together('does not pin an output that is an input', anything),
  together('pins only where a limit is asked for', anything),
  together('sets its pins up on the first get, and loses the first of them', anything),
  together('puts what was pinned last', anything),
  together("pins the pages of its caller instead of the named domain's", anything),
  together('has one set of pins for all domains', change),
  together('has one set of pins for all domains', change, anything),
  together('a put stops at a list that it cannot read, and is done', anything),
  together('does not pin what was put before', anything),
  together('keeps 32 bits of a pinned frame', 'reads the frames of a put as 32 bits'),
  together('puts what was pinned first', 'has room for 4 pins and forgets the oldest'),
  together('maps an extent backwards', 'writes the last frame of an extent'),
  together('counts one input too few', 'returns 0 once anything was done'),
  together('knows no limit but 4 GiB', 'has no limit for single pages'),
  together('writes the guest frame back', 'puts by machine frame'),
  together('takes two domids of a privileged caller', 'takes domain 0 for the privileged one'),
  together('reads only the first page of a list', 'does not write the count to a second page of the struct'),
  together('cannot read a struct across two pages', 'does not write the count to a second page of the struct'),
  together('refuses a struct that is not aligned', 'rounds the address of a list down to eight bytes'),
  together('unpins what a call that fails part-way has pinned', 'returns 0 where no memory is left'),
  together('moves a pinned page that lies above 4 GiB', 'moves half a page'),
  together('loses pins when preempted', 'leaves an extent out when a put is preempted'),
  together('frees only the first page of an input', 'limits only the first output of a chunk'),
  together('counts one extent too many in ops 0, 1, 6', 'reads the list from its first entry in a continuation'),
  together('a populate limits its first extent only', 'a decrease takes a page that is not there for done'),
  together('writes the frames in reverse', 'works from the last chunk to the first'),
  together('lets one frame lie at the limit', 'writes frame numbers below 4 GiB only'),
  together('takes it that the outputs of a chunk lie side by side', 'takes the inputs of a chunk side by side only'),
  together('puts for its caller when preempted', 'leaves an extent out when ops 0, 1, 6 are preempted'),
  together('is done at once with a put for a domain that does not exist', 'takes DOMID_INVALID for DOMID_SELF'),
  together('op 11 leaves the list of a translated guest alone', 'op 11 has no limit'),
  together('op 11 does not count', 'returns 0 where no memory is left'),
  together('clears inputs before it looks at the outputs', 'counts the chunk that failed'),
  together('returns EINTR where it fails after it was preempted', 'is preempted once at most, and then done'),
  together('needs no padding behind the struct of a put', 'a put writes a count where a get has it'),
  together('writes a wrong last frame', 'writes only the first page of a list'),
  together('loses the content of a page that moves after it was put', 'moves a pinned page that was written to'),
  together('counts extents in 16 bits', 'compares domids in eight bits'),
  together('keeps the last free frame to itself', 'says EBUSY where no memory is left'),
  together('a continued populate has no limit', 'a populate limits its first extent only'),
  together('has 8 bits of start_extent', 'returns nr_extents where start_extent is beyond it'),
  together('takes a privileged caller always for itself', 'takes domain 0 for the privileged one'),
  together('goes on for its caller when preempted', 'lets anybody exchange the pages of any domain'),
  together('counts what it did since it was preempted', 'forgets the limit when preempted'),
];
