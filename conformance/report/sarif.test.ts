import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import * as samples from './sample.stage.ts';
import { sarifForm } from './sarif.ts';

const { conformant, nonconformant, inconclusive, crashed, hostile, only } = samples;

interface Log {
  runs: { tool: { driver: { rules: object[] } }; invocations: object[]; results: Record<string, unknown>[] }[];
}

function runOf(text: string): Log['runs'][number] {
  return (JSON.parse(text) as Log).runs[0]!;
}

describe('SARIF', () => {
  it('says of a violated requirement where, what and how to see it again', () => {
    const run = runOf(sarifForm(only(nonconformant, 'get-aligned', 'get-pinned', 'put-works')));
    expect(run.tool.driver.rules).toHaveLength(3);
    expect(run.tool.driver.rules[2]).toEqual({
      id: 'put-works',
      shortDescription: { text: expect.any(String) },
      fullDescription: { text: 'unpins a set of pages, previously pinned by XENMEM_get_dma_buf' },
      help: {
        text: expect.stringContaining('The header says: unpins a set'),
        markdown: expect.stringContaining('`xenmem explain put-works`'),
      },
      defaultConfiguration: { level: 'error' },
      properties: { tags: ['put', 'level-0'] },
    });
    expect(run.results).toEqual([
      {
        ruleId: 'get-aligned',
        ruleIndex: 0,
        level: 'note',
        message: { text: 'step 0: output extent 0 at frame 0xa0003 is not a multiple of 2^2' },
        locations: [
          {
            physicalLocation: { artifactLocation: { uri: 'xenmem/get-aligned' }, region: { startLine: 1 } },
            logicalLocations: [
              { name: 'get_dma_buf', fullyQualifiedName: 'XENMEM_get_dma_buf', kind: 'function' },
              { name: 'exchange', fullyQualifiedName: 'XENMEM_exchange', kind: 'function' },
            ],
          },
        ],
        partialFingerprints: { 'requirement/v1': 'get-aligned', 'violation/v1': 'output extent # at frame # is not a multiple of #^#' },
        occurrenceCount: 3,
        suppressions: [
          { kind: 'external', status: 'accepted', justification: 'the allocator of the old branch https://example.org/issues/7' },
        ],
        properties: { replay: 'xenmem conform --replay x1.pZLNbsMgEITfZc4cwCFOxL1PEVkRNWubCv8IrMRS5HevsB23ctM2Uk6sYGC' },
      },
      expect.objectContaining({
        ruleId: 'get-pinned',
        ruleIndex: 1,
        level: 'error',
        occurrenceCount: 223,
        partialFingerprints: {
          'requirement/v1': 'get-pinned',
          'violation/v1': 'pinned guest frame # had frame # behind it and now has frame #',
        },
      }),
    ]);
  });

  it('says how the run ended', () => {
    const ends = [conformant, nonconformant, inconclusive].map((result) => runOf(sarifForm(result)).invocations[0]);
    expect(ends).toEqual([
      { executionSuccessful: true, exitCode: 0, exitCodeDescription: 'conformant at level 2', toolExecutionNotifications: [] },
      expect.objectContaining({
        executionSuccessful: true,
        exitCode: 1,
        toolExecutionNotifications: [{ level: 'error', message: { text: 'get-pinned is violated, and no entry expects it' } }],
      }),
      expect.objectContaining({ executionSuccessful: false, exitCode: 4 }),
    ]);
  });

  it('makes no links of what came from outside', () => {
    const run = runOf(sarifForm(hostile));
    const { text } = run.results[0]!['message'] as { text: string };
    expect(text).toContain('\\[a\\](javascript:alert(1))');
    expect(text.length).toBeLessThan(1100);
  });

  it('is valid by the schema', () => {
    const schema = JSON.parse(readFileSync(new URL('../../fixtures/sarif/sarif-2.1.0.json', import.meta.url), 'utf8')) as object;
    const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(schema);
    for (const result of [conformant, nonconformant, inconclusive, crashed, hostile]) {
      validate(JSON.parse(sarifForm(result)));
      expect(validate.errors).toBeNull();
    }
    expect(validate({ version: '2.1.0', runs: [{}] })).toBe(false);
  });
});
