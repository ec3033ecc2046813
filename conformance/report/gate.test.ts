import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { type GateResult, gateForms } from './gate.ts';

const result: GateResult = {
  gate: 'layout check',
  cases: [
    { name: 'xen_memory_reservation', where: 'kernel/a.o', details: [] },
    { name: 'xen_put_dma_buf', where: 'kernel/a.o', details: ['size: 24 in the file, 32 in the table', 'in.domid: <odd> & "0"'] },
    { name: 'xen_put_dma_buf', where: 'b [1].o', details: ['offset of in.domid: 28 in the file, 24 in the table'] },
  ],
};

describe('the forms of a gate', () => {
  it('junit: a suite per file, a case per struct', () => {
    expect(gateForms.junit(result)).toBe(`<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="xenmem layout check" tests="3" failures="2" errors="0" skipped="0">
  <testsuite name="kernel/a.o" tests="2" failures="1" errors="0" skipped="0">
    <testcase classname="xenmem.layout" name="xen_memory_reservation"/>
    <testcase classname="xenmem.layout" name="xen_put_dma_buf"><failure type="layout" message="size: 24 in the file, 32 in the table">size: 24 in the file, 32 in the table
in.domid: &lt;odd&gt; &amp; &quot;0&quot;</failure></testcase>
  </testsuite>
  <testsuite name="b [1].o" tests="1" failures="1" errors="0" skipped="0">
    <testcase classname="xenmem.layout" name="xen_put_dma_buf"><failure type="layout" message="offset of in.domid: 28 in the file, 24 in the table">offset of in.domid: 28 in the file, 24 in the table</failure></testcase>
  </testsuite>
</testsuites>
`);
  });

  it('sarif: valid by the schema, a result per struct that differs', () => {
    const schema = JSON.parse(readFileSync(new URL('../../fixtures/sarif/sarif-2.1.0.json', import.meta.url), 'utf8')) as object;
    const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(schema);
    for (const one of [result, { ...result, cases: [] }]) {
      validate(JSON.parse(gateForms.sarif(one)));
      expect(validate.errors).toBeNull();
    }
    const [run] = JSON.parse(gateForms.sarif(result)).runs;
    const told = run.results.map((r: { ruleId: string; locations: { physicalLocation: { artifactLocation: { uri: string } } }[] }) => [
      r.ruleId,
      r.locations[0]?.physicalLocation.artifactLocation.uri,
    ]);
    expect(told).toEqual([
      ['xen_put_dma_buf', 'kernel/a.o'],
      ['xen_put_dma_buf', 'b%20%5B1%5D.o'],
    ]);
  });

  it('github: an annotation each, ten at most, the rest counted', () => {
    expect(gateForms.github(result)).toBe(`\
::error title=xen_put_dma_buf in kernel/a.o::size: 24 in the file, 32 in the table%0Ain.domid: <odd> & "0"
::error title=xen_put_dma_buf in b [1].o::offset of in.domid: 28 in the file, 24 in the table
::notice title=xenmem layout check::layout check: 2 of 3 differ
`);
    const many = { ...result, cases: Array.from({ length: 30 }, (_, i) => ({ name: `s${i}`, where: 'x', details: ['size'] })) };
    const lines = gateForms.github(many).split('\n');
    expect([lines.filter((line) => line.startsWith('::error')).length, lines[9]]).toEqual([
      10,
      '::error title=21 more::21 more structs differ',
    ]);
  });

  it('markdown: a row each, and no mark-up of others', () => {
    expect(gateForms.markdown(result).split('\n').slice(3, 6)).toEqual([
      '|---|---|---|---|',
      '| ✓ | xen&#95;memory&#95;reservation | kernel/a.o | equal |',
      '| ✗ | xen&#95;put&#95;dma&#95;buf | kernel/a.o | size: 24 in the file, 32 in the table<br>in.domid: &#60;odd&#62; &#38; "0" |',
    ]);
  });
});
