import { describe, expect, it } from 'vitest';
import type { Freedoms } from '../../src/model/freedoms.ts';
import { createHypervisor } from '../../src/model/hypervisor.ts';
import { modelWith } from '../../src/model/memory-op.ts';
import { isRequirement } from '../../src/rules/rule.ts';
import { rules } from '../../src/rules/table.ts';
import type { Edited } from '../faults/fault.ts';
import { faults } from '../faults/faults.ts';
import { type Create, load } from '../faults/load.ts';
import { exhaust, exhaustiveText, type ScopeName } from './exhaust.ts';
import { canonicalKey, exactKey } from './keys.ts';
import { keyOf, scopes } from './scope.ts';

/** All that a search found to hold, or to be taken. */
function agreed(name: ScopeName): ReturnType<typeof exhaust> {
  const found = exhaust(name);
  expect(found.disagreements).toEqual([]);
  expect(found.complete).toBe(true);
  const never = Object.keys(found.actions).filter((action) => found.actions[action]?.taken === 0);
  expect(never).toEqual([]);
  return found;
}

// Searched by npm run test:long, which .ci/run does; `npm test` searches the slice through the
// command (bin/conform.test.ts).
const whole = describe.runIf(process.env['XENMEM_LONG'] !== undefined);

whole('model and rules agree on every call in every state', { timeout: 120_000 }, () => {
  it('of 3 guest frames and 5 machine frames', () => {
    const found = agreed('small');
    expect(found).toMatchObject({ states: 259, mappings: 117 });
    // op 0 is not played: what it gives has no gfn and can never be given back
    const unspoken = [
      'survives',
      // no domain is named but the caller, puts are refused as a whole, and single pages are populated
      'refuses-unknown-domid',
      'reservation-refuses-foreign-domid',
      'put-refused-prefix',
      'reservation-contiguous',
    ];
    const spoken = rules.filter((rule) => isRequirement(rule) && !unspoken.includes(rule.id)).map((rule) => rule.id);
    expect(spoken.filter((id) => !found.held[id])).toEqual([]);
  });

  it('of 4 guest frames and 8 machine frames, in two chunks of unequal orders', () => {
    expect(agreed('slice')).toMatchObject({ states: 288, mappings: 64 });
  });
});

describe('states that differ in the names of frames', () => {
  it.each<[ScopeName, number, number]>([
    ['tiny', 21, 21],
    ['even', 25, 25],
  ])('are one state: %s', (name, mappings, orbits) => {
    const renamed = exhaust(name);
    const exact = { keys: new Set<string>(), orbits: new Set<string>(), mappings: new Set<string>() };
    const found = exhaust(name, {
      renaming: 'none',
      onState(state) {
        exact.keys.add(exactKey(state));
        exact.orbits.add(keyOf(scopes[name], state));
        exact.mappings.add(canonicalKey(state));
      },
    });
    expect(found.states).toBe(exact.keys.size);
    expect(found.states).toBeGreaterThan(renamed.states);
    expect([renamed.states, exact.orbits.size]).toEqual([orbits, orbits]);
    expect([renamed.mappings, exact.mappings.size]).toEqual([mappings, mappings]);
    expect([renamed.disagreements, found.disagreements]).toEqual([[], []]);
  });
});

describe('another reading where the texts are open', () => {
  it.each<[string, Partial<Freedoms>]>([
    ['a put goes as far as it can', { 'put-partly-pinned': 'prefix' }],
    [
      'a count that is not zero is resumed, a page that is not pinned may be put',
      { 'count-not-zero': 'resumed', 'start-extent-bits': 'ignored', 'put-not-pinned': 'accepted' },
    ],
    [
      'a guest changes its own pinned pages, a populated output is overwritten',
      { 'guest-changes-pinned': 'accepted', 'populated-output': 'overwritten' },
    ],
  ])('is no disagreement: %s', (_, freedoms) => {
    expect(exhaust('tiny', { hypervisor: createHypervisor(modelWith(freedoms)) }).disagreements).toEqual([]);
  });
});

/** What the search can only see in the model's own state, and what ends it at once. */
const own: readonly Edited[] = [
  {
    name: 'crashes',
    edits: [['get-dma-buf.ts', '  let told = true;\n', "  let told = true;\n  if (told) throw new RangeError('out of bounds');\n"]],
  },
];
const creates = await load([...faults, ...own]);
const faulty = (name: string) => (creates.get(name) as Create)();

describe('a faulty hypervisor', () => {
  it.each([
    ['returns 0 for what it did not finish', 'get-complete-count', 0],
    ['puts the page after as well', 'put-only-listed', 1],
    ['lets one frame lie at the limit', 'get-address-limit', 0],
    ['moves pinned pages', 'get-pinned', 1],
    ['loses what a failed chunk got', 'model: frames are conserved', 0],
    ['crashes', 'survives', 0],
  ] as const)('that %s is found', (name, id, length) => {
    const found = exhaust('small', { hypervisor: faulty(name), most: 1 });
    const [first] = found.disagreements;
    expect([first?.id, first?.path.length]).toEqual([id, length]);
    expect(found.complete).toBe(false);
    expect(JSON.parse(JSON.stringify(found)).disagreements[0].move).toBe(first?.move);
  });
});

it('is shown as TLC shows it', () => {
  const sound = exhaustiveText(exhaust('tiny'));
  expect(sound.slice(0, 3)).toEqual([
    'scope tiny: 2 guest frames, 1 + 2 machine frames below and above 4 GiB',
    expect.stringMatching(/^\d+ transitions, 21 distinct states found \(21 mappings/),
    expect.stringMatching(/^the depth of the complete search is 2; /),
  ]);
  expect(sound).toContainEqual(expect.stringMatching(/^get 0→0: done +\d+ +\d+$/));
  expect(sound.at(-1)).toMatch(/^✓ model and rules agree/);
  const found = exhaustiveText(exhaust('tiny', { hypervisor: faulty('puts the page after as well'), most: 1 }));
  expect(found.slice(-4)).toMatchInlineSnapshot(`
    [
      "✗ put-only-listed: guest frame 1: not pinned any more",
      "  in 0→l0! 1→h1!, after get 0→0, two chunks (cmd 26) [0 1]→[0 1]",
      "  put (cmd 27) [0] = 0",
      "✗ given up: too much is wrong",
    ]
  `);
});
