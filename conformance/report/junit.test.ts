import { execFileSync, spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { junitForm } from './junit.ts';
import * as samples from './sample.stage.ts';

const { conformant, nonconformant, inconclusive, crashed, hostile, only } = samples;

describe('JUnit XML', () => {
  it('is this, byte for byte', () => {
    expect(
      junitForm(only(nonconformant, 'get-aligned', 'get-pinned', 'put-works', 'isolation')),
    ).toBe(`<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="xenmem conform" tests="11" failures="2" errors="0" skipped="2">
  <testsuite name="toy 1.2" tests="11" failures="2" errors="0" skipped="2">
    <properties>
      <property name="implementation" value="toy 1.2"/>
      <property name="verdict" value="nonconformant: 2 requirements violated, 1 of them expected"/>
      <property name="level" value="2"/>
      <property name="demanded" value="2"/>
      <property name="seed" value="1"/>
      <property name="arch" value="arm64 arm32"/>
      <property name="scope" value="toy 1.2, arm64 and arm32, seed 1, 5000 scenarios, 11020 judged calls"/>
    </properties>
    <testcase classname="xenmem.get" name="get-aligned">
      <skipped message="the allocator of the old branch (until 2027-03-31) https://example.org/issues/7"/>
    </testcase>
    <testcase classname="xenmem.get" name="get-pinned">
      <failure type="violated" message="step 1: pinned guest frame 0x40007 had frame 0x10003f behind it and now has frame 0x10003d">says: guaranteed that their p2m mapping won&apos;t be changed until explicitly &quot;unpinned&quot;
seen: step 1: pinned guest frame 0x40007 had frame 0x10003f behind it and now has frame 0x10003d
again: xenmem conform --replay x1.rZHBaoQwEIbf5T_nkKi1kHufQkRSM6uBGGXi7griu5eou6ULe-ttYL5kvvlnxX1kb6FXGG57aBge8gw</failure>
    </testcase>
    <testcase classname="xenmem.put" name="put-works"/>
    <testcase classname="xenmem.safety" name="isolation">
      <skipped message="needs two domains"/>
    </testcase>
    <testcase classname="xenmem.run" name="conclusive"/>
    <testcase classname="xenmem.run" name="expectations">
      <failure type="violated" message="get-pinned is violated, and no entry expects it">get-pinned is violated, and no entry expects it</failure>
    </testcase>
    <testcase classname="xenmem.run" name="no-flaky-scenarios"/>
    <testcase classname="xenmem.run" name="no-setup-scenarios"/>
    <testcase classname="xenmem.run" name="no-undriven-scenarios"/>
    <testcase classname="xenmem.run" name="no-disputed-scenarios"/>
    <testcase classname="xenmem.run" name="no-unlike-scenarios"/>
  </testsuite>
</testsuites>
`);
  });

  it('calls a crash and a run that proves too little an error', () => {
    expect(junitForm(only(crashed, 'survives'))).toContain(
      '<error type="broke" message="step 0: the implementation broke in step 0: it ended with signal SIGSEGV">says: (safety)\n',
    );
    const text = junitForm(inconclusive);
    expect(text).toContain('<error type="broke" message="level 2 is demanded, 1 can be seen (and 3 more)">');
    expect(text).toContain('<error type="broke" message="1 scenario broke once, and not when it was played again alone">scenario 77:');
    expect(text).toContain('stderr: mm.c:77: BUG_ON');
  });

  it('holds nothing that XML cannot hold, and nothing that ends a section', () => {
    const text = junitForm(hostile);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\ufffe\uffff]|\p{Surrogate}/u);
    expect(text).not.toContain(']]>');
    expect(text).not.toContain('<script>');
    expect(text).toContain(']]&gt; \\x00\\x1b[31m\\x0d\\x0a::error');
    expect(text.length).toBeLessThan(100_000);
  });

  const python = '/usr/bin/python3';
  const reads = spawnSync(python, ['-c', 'import junitparser']).status === 0;
  it.skipIf(!reads)('is read by junitparser (needs Debian: python3-junitparser)', () => {
    const program = `
import json, sys
from io import StringIO
from junitparser import JUnitXml
def read(text):
    suites = JUnitXml.fromroot(__import__('xml.etree.ElementTree').etree.ElementTree.fromstring(text))
    return [dict(tests=s.tests, failures=s.failures, errors=s.errors, skipped=s.skipped, cases=len(list(s)),
        bad=[[c.classname, c.name, type(r).__name__, r.message] for c in s for r in c.result]) for s in suites]
print(json.dumps([read(text) for text in json.load(sys.stdin)]))
`;
    const texts = [conformant, nonconformant, inconclusive, crashed, hostile].map(junitForm);
    const out = execFileSync(python, ['-c', program], { input: JSON.stringify(texts), encoding: 'utf8' });
    const read = (
      JSON.parse(out) as { tests: number; failures: number; errors: number; skipped: number; cases: number; bad: string[][] }[][]
    ).map((suites) => {
      expect(suites).toHaveLength(1);
      return suites[0]!;
    });
    expect(read.map(({ tests, cases, failures, errors, skipped }) => [tests, cases, failures, errors, skipped])).toEqual([
      [48, 48, 0, 0, 0],
      [49, 49, 3, 0, 2],
      [48, 48, 0, 3, 2],
      [48, 48, 0, 1, 0],
      [49, 49, 2, 2, 2],
    ]);
    expect(read[1]?.bad.map((found) => found.slice(0, 3))).toEqual([
      ['xenmem.get', 'get-aligned', 'Skipped'],
      ['xenmem.get', 'get-rest-untouched', 'Failure'],
      ['xenmem.get', 'get-pinned', 'Failure'],
      ['xenmem.safety', 'isolation', 'Skipped'],
      ['xenmem.run', 'expectations', 'Failure'],
    ]);
    expect(read[4]?.bad.find(([, name]) => name === 'put-works')?.[3]).toContain('</details></script><script>alert(1)</script>');
  });
});
