import { describe, expect, it } from 'vitest';
import { isRequirement } from '../rules/rule.ts';
import { rules } from '../rules/table.ts';
import { csv } from './csv.ts';
import { fusaText, requirementsCsv, requirementsJson, safetyId, safetyItems } from './requirements.ts';
import { shall } from './shall.ts';

const required = rules.filter(isRequirement).map(({ id }) => id);

describe('the sentences of requirements', () => {
  it('are there for each requirement, and for no other', () => {
    expect(Object.keys(shall).sort()).toEqual([...required].sort());
  });

  it.each(Object.entries(shall))('%s: one sentence, of one thought, that says what Xen shall do', (_, text) => {
    expect(text).toMatch(/^Xen shall [^.]*(errno\.h[^.]*|nr_exchanged|in\.\w+[^.]*|out\.\w+[^.]*)*\.$/);
    expect(text.match(/\bshall\b/g)).toHaveLength(1);
    expect(text).not.toMatch(/\b(and\/or|should|may|etc|appropriate)\b/);
  });

  it('are each different', () => {
    expect(new Set(Object.values(shall)).size).toBe(required.length);
  });
});

describe('the items', () => {
  const ids = safetyItems.map(safetyId);

  it('have ids as OpenFastTrace reads them, each once', () => {
    for (const id of ids) expect(id).toMatch(/^[a-zA-Z]+~[a-zA-Z][\w.-]*~\d+$/);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('cover only what is there, one level above, and each is covered where it needs to be', () => {
    const above = { XenMkt: [], XenProd: ['XenMkt'], XenSwdgn: ['XenProd'] } as const;
    const covered = new Set(safetyItems.flatMap(({ covers }) => covers));
    for (const { type, name, covers, needs } of safetyItems) {
      for (const id of covers) {
        expect(ids).toContain(id);
        expect(above[type]).toContain(id.split('~')[0]);
      }
      if (needs !== 'itest') expect(covered).toContain(safetyId({ type, name }));
    }
  });
});

describe('the forms', () => {
  it("the text is as Xen's docs/fusa/reqs has it", () => {
    const text = fusaText();
    expect(text).toContain(`
Get complete count
------------------

\`XenSwdgn~memory_op_get_complete_count~1\`

Description:
Xen shall set nr_exchanged to in.nr_extents where it returns zero.

Rationale:
The public header says: "On complete success then always @nr_exchanged ==
@in.nr_extents" (xen_get_dma_buf)

Comments:
rc = 0 implies nr_exchanged = in.nr_extents.

Covers:
 - \`XenProd~memory_op_get_dma_buf~1\`
 - \`XenProd~memory_op_exchange~1\`

Needs:
 - itest
`);
    expect(text.split('\n').filter((line) => line.length > 90)).toEqual([]);
  });

  it('the table and the JSON have every item', () => {
    const rows = requirementsCsv().split('\r\n');
    expect(rows[0]).toBe('id,title,description,rationale,comments,covers,needs,rule,level,ops');
    expect(rows.length).toBe(safetyItems.length + 2);
    const items = JSON.parse(requirementsJson()) as { id: string; rule?: string }[];
    expect(items.map(({ id }) => id)).toEqual(safetyItems.map(safetyId));
    expect(items.flatMap(({ rule }) => rule ?? [])).toEqual(required);
  });

  it('a cell of a table is quoted where it must be, and is no formula', () => {
    expect(csv([['a', 'b,c', 'd"e', '=1+1', '-2', 'x\ny']])).toBe('a,"b,c","d""e",\'=1+1,\'-2,"x\ny"\r\n');
  });
});
