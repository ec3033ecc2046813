import { describe, expect, it } from 'vitest';
import { coloured } from '../../src/text/style.ts';
import { exitOf, replayLine } from '../verdict/outcome.ts';
import { conformanceJson, conformanceText, jsonForm } from './conformance.ts';
import * as samples from './sample.stage.ts';

const { conformant, nonconformant, inconclusive, crashed, hostile, only } = samples;

describe('the text of a result', () => {
  it('says how much of its own faults the suite finds, and how much of what others wrote', () => {
    const text = conformanceText(conformant).join(' ').replaceAll(/\s+/g, ' ');
    expect(text).toContain(
      'strength: at level 2 the suite finds 2 of 149 faulty hypervisors of its own, each within 600 scenarios; ' +
        'of 221 faults that others wrote from the documents alone it found 76 % when last measured (November 2026)',
    );
  });

  it('is this for a run that proves too little', () => {
    const { strength, ...rest } = only(inconclusive, 'get-pinned', 'put-works', 'isolation');
    expect(conformanceText({ ...rest, reasons: inconclusive.reasons }).join('\n')).toBe(
      `toy 1.2  arm64, arm32  level 1 (2 demanded)  seed 1, shard 2 of 4
120 of 5000 scenarios, 260 judged calls  (partial: ended early)

requirement                        verdict     judged  unknown
get-pinned                         unknown          0       90  needs the capability churn
put-works                          unknown         11      200
isolation                          holds          412       96

scenarios without a verdict
  setup     scenario 40: no memory for domain 2
  again     xenmem conform --replay x1.setup
  flaky     scenario 77: in step 1: it ended with signal SIGSEGV
  evidence  stderr: mm.c:77: BUG_ON
  again     xenmem conform --replay x1.flaky

cells of the coverage table that were reached too rarely
  extents: none                               2 of 30

readings seen, where the texts leave a choice
  count-not-zero         refused (-EINVAL)
  late-fault             part-way, refused up front

? inconclusive
  level 2 is demanded, 1 can be seen
  interrupted after 120 of 5000 scenarios
  put-works was exercised 11 times, fewer than 30
  cell "extents: none" was reached 2 times, fewer than 30`,
    );
  });

  it('tells expected violations, drift and the end of a crash', () => {
    const { strength, readings, ...rest } = only(nonconformant, 'get-aligned');
    expect(
      conformanceText({ ...rest, readings: {} })
        .slice(6)
        .join('\n'),
    ).toBe(
      `violated get-aligned, 3 times
  says      size/alignment of each (2^extent_order pages) (memory.h)
  seen      step 0: output extent 0 at frame 0xa0003 is not a multiple of 2^2
  again     xenmem conform --replay x1.pZLNbsMgEITfZc4cwCFOxL1PEVkRNWubCv8IrMRS5HevsB23ctM2Uk6sYGC
  expected  the allocator of the old branch, until 2027-03-31
            https://example.org/issues/7

✗ nonconformant: get-aligned
  every violation is expected
✗ 1 difference from the expectations
  get-pinned is violated, and no entry expects it`,
    );
    expect(conformanceText(crashed).join('\n')).toContain(`
  evidence  it ended with signal SIGSEGV
            toy: get_dma_buf: order 9
            toy: mm.c:77: BUG_ON(pg == NULL)
`);
    expect(conformanceText(conformant).at(-1)).toBe('✓ conformant at level 2');
    expect(conformanceText(conformant, coloured).at(-1)).toBe('\u001b[32m✓ conformant at level 2\u001b[0m');
  });

  it('keeps to 100 columns, but for what is to be copied and words that are longer', () => {
    const excused = 'is reached only by chance without the capability fail-alloc';
    const requirements = nonconformant.requirements.map((r) => ({ ...r, verdict: 'unknown' as const, excused }));
    const lines = [{ ...nonconformant, requirements }, conformant, nonconformant, inconclusive, crashed].flatMap((r) => conformanceText(r));
    expect(lines.filter((line) => line.length > 100 && !line.includes('--replay'))).toEqual([]);
  });

  it('shows what is hostile, and does nothing with it', () => {
    const text = conformanceText(hostile).join('\n');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u2028\u202e]/);
    expect(text).not.toContain('\nnot ok 99');
    expect(text.length).toBeLessThan(20_000);
  });
});

describe('the JSON of a result', () => {
  it('is one line, whatever is in it', () => {
    const text = jsonForm(hostile);
    expect(text.indexOf('\n')).toBe(text.length - 1);
    expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(conformanceJson(hostile))));
    expect(conformanceJson(conformant)).toMatchObject({ schema: 'xenmem/conformance@1', seed: '1', verdict: 'conformant' });
  });
});

describe('the line that plays a counterexample again', () => {
  it('names what showed it, quoted for a shell', () => {
    expect(replayLine({ replay: 'x1.a' })).toBe('xenmem conform --replay x1.a');
    expect(replayLine({ replay: 'x1.a', iut: "it's" })).toBe("xenmem conform --iut 'it'\\''s' --replay x1.a");
    expect(replayLine({ replay: 'x1.a', reference: ['xen-4.17', '$(x)'] })).toBe(
      "xenmem conform --reference 'xen-4.17' --reference '$(x)' --replay x1.a",
    );
  });
});

describe('the exit code of a result', () => {
  it('is 0, 1, 4 or 5, and an expected violation is not wrong', () => {
    expect([conformant, nonconformant, inconclusive, crashed].map(exitOf)).toEqual([0, 1, 4, 1]);
    expect(exitOf({ ...only(nonconformant, 'get-aligned'), drift: [] })).toBe(0);
    expect(exitOf({ ...conformant, drift: ['gone'] })).toBe(1);
    expect(exitOf({ ...crashed, incidents: [{ kind: 'undriven', found: 1, replay: 'x1.', message: 'gone' }] })).toBe(5);
    expect(exitOf({ ...crashed, incidents: [{ kind: 'internal', found: 1, replay: 'x1.', message: 'a bug' }] })).toBe(70);
  });
});
