import { describe, expect, it } from 'vitest';
import { markdownForm } from './markdown.ts';
import * as samples from './sample.stage.ts';

const { conformant, nonconformant, inconclusive, hostile, only, churnStory } = samples;

describe('Markdown', () => {
  it('is this, byte for byte', () => {
    const { strength, drift, ...rest } = only(nonconformant, 'get-rest-untouched', 'put-works', 'isolation');
    expect(markdownForm(rest)).toBe(`## ❌ nonconformant: 1 requirement violated

toy 1.2, arm64 and arm32, seed 1, 5000 scenarios, 11020 judged calls

| verdict | requirement | judged | unknown | |
|---|---|--:|--:|---|
| ❌ violated | get-rest-untouched | 412 | 96 | All other input and output extents are untouched |
| ✅ holds | put-works | 412 | 96 |  |
| ❔ unknown | isolation | 0 | 412 | needs two domains |

<details><summary>get-rest-untouched: entry 0 of the out list changed</summary>

> All other input and output extents are untouched

Broken by step 0.

\`\`\`text
world  arm64, 64 frames free below 4 GiB, 64 above
  domain 1: RAM 16 pages at 0x40000; holes 16 pages at 0x40010

step 0  domain 1: get_dma_buf, arg 0x40000fc8  rc -22 (-EINVAL)  injected: preempted after each 3 input extents
  0x00│00 18 00 40 00 00 00 00│ in.extent_start   0x40001800
  0x08│04 00 00 00 00 00 00 00│ in.nr_extents     4
  0x10│01 00 00 00            │ in.extent_order   1  (8 KiB each)
  0x14│            00 00 00 00│ in.address_bits   0
  0x18│f0 7f                  │ in.domid          DOMID_SELF (0x7ff0)
  0x20│f8 2f 00 40 00 00 00 00│ out.extent_start  0x40002ff8
  0x28│02 00 00 00 00 00 00 00│ out.nr_extents    2
  0x30│02 00 00 00            │ out.extent_order  2  (16 KiB each)
  0x34│            ff 00 00 00│ out.address_bits  255  (below 2^255)
  0x38│f0 7f                  │ out.domid         DOMID_SELF (0x7ff0)
  0x40│00 00 00 00 00 00 00 00│ nr_exchanged      0
  in list at 0x40001800: 0x4000c 0x4000e 0x40010 0x40004
  out list at 0x40002ff8: 0x4001c 0x40014
  0x40002ff8: 1c 00 04 00 00 00 00 00 → 3c 00 10 00 00 00 00 00  out list, entry 0
  violated get-rest-untouched: entry 0 of the out list changed
  violated no-stray-writes: entry 0 of the out list changed

step 1  not reached
\`\`\`

\`\`\`text
xenmem conform --replay x1.pZLNbsMgEITfZc4cwCFOxL1PEVkRNWubCv8IrMRS5HevsB23ctM2Uk6sYGC
\`\`\`
</details>

### Readings seen, where the texts leave a choice

- late-fault: part-way, refused up front
- count-not-zero: refused (-EINVAL)
`);
  });

  it('tells what a churn moved', () => {
    expect(markdownForm(only(nonconformant, 'get-pinned'))).toContain(`step 1  the hypervisor moves pages of domain 1
  p2m 0x40000: 0x800003 → 0x800001
  p2m 0x40001: 0xa0003 → 0x800003
  p2m 0x40002: 0x800002 → 0x10003e
  p2m 0x40003: 0xa0002 → 0x800002
  p2m 0x40007: 0x10003f → 0x10003d
  content lost: 0x40003
  violated get-pinned: pinned guest frame 0x40007 had frame 0x10003f behind it and now has frame 0x10003d
`);
  });

  it('says why it is not conclusive', () => {
    const text = markdownForm(inconclusive);
    expect(text).toContain('## ❔ inconclusive at level 1 (level 2 demanded)\n');
    expect(text).toContain('- put-works was exercised 11 times, fewer than 30\n');
    expect(text).toContain('### Cells of the coverage table reached too rarely\n\n- extents: none: 2 of 30\n');
    expect(text).toContain('shard 2 of 4');
  });

  it('makes nothing of hostile text', () => {
    const text = markdownForm(hostile);
    const outside = text.replace(/^(`{3,})text\n[\s\S]*?\n\1$/gm, '');
    expect(outside).not.toMatch(/<(?!\/?(?:details|summary)>)/);
    expect(outside).not.toMatch(/`|\]\(/);
    for (const row of outside.match(/^\|.*$/gm) ?? []) expect(row.split('|')).toHaveLength(7);
    expect(outside.split('<details>')).toHaveLength(outside.split('</details>').length);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u2028\u202e]/);
  });

  it('stays within 64 KB, and says what it left out', () => {
    const long = { ...churnStory, story: Array.from({ length: 8 }, () => churnStory.story).flat() };
    const requirements = conformant.requirements.map((r) => ({ ...r, verdict: 'violated' as const, violated: 1, counterexample: long }));
    const readings = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`reading ${i} ${'→'.repeat(300)}`, { seen: 1 }]));
    const text = markdownForm({ ...nonconformant, requirements, readings });
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(65_536);
    expect(Buffer.byteLength(text)).toBeGreaterThan(50_000);
    expect(text).toMatch(/\n_\d+ parts? left out: more than 64 KB\. The other reports have all of it\._\n$/);
    expect(text.split('<details>')).toHaveLength(text.split('</details>').length);
  });
});
