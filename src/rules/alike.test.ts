import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readTrace } from '../trace/read.ts';
import { traceLines } from './alike.stage.ts';
import { type Judgement, judgeLike } from './judge.ts';
import { type RecordJudge, recordJudge } from './record-judge.ts';

const isLong = process.env['XENMEM_LONG'] !== undefined;

const described = (judgement: Judgement | undefined): unknown =>
  judgement && { op: judgement.op, findings: judgement.findings, answers: [...judgement.requirements], judged: judgement.dutiesJudged };

/** What is said of each record of a trace, and how many were judged like others. */
async function said(text: string, isQuick: boolean, judge: RecordJudge = recordJudge()): Promise<{ answers: unknown[]; alike: number }> {
  const answers: unknown[] = [];
  let alike = 0;
  const bytes = new TextEncoder().encode(text);
  const source = async function* () {
    for (let at = 0; at < bytes.length; at += 5000) yield bytes.subarray(at, at + 5000);
  };
  const plain: Parameters<typeof readTrace>[1] = {
    plain(record, _line, setting, exact) {
      const found = judge.judgeLike(record, setting, exact);
      if (!found) return false;
      alike++;
      const call = exact();
      answers.push(described(call && judgeLike(found.judgement, call)));
      return true;
    },
  };
  for await (const item of readTrace(source(), isQuick ? plain : {})) {
    if (item.kind === 'call') answers.push(described(judge.judge(item.call)));
    else if (item.kind === 'unreadable') {
      judge.missed();
      answers.push(item.message);
    }
  }
  return { answers, alike };
}

/** Finds the first record that is not judged as by itself, and says of how many it was asked. */
async function compare(text: string): Promise<{ alike: number; records: number }> {
  const [quick, exact] = [await said(text, true), await said(text, false)];
  const differs = exact.answers.findIndex((answer, i) => JSON.stringify(answer) !== JSON.stringify(quick.answers[i]));
  if (differs >= 0) {
    expect({ line: text.split('\n')[differs + 1], said: quick.answers[differs] }).toEqual({ line: '', said: exact.answers[differs] });
  }
  expect(quick.answers.length).toBe(exact.answers.length);
  return { alike: quick.alike, records: exact.answers.length };
}

describe('records that are judged like others', () => {
  it.each([
    ['clean', 0, 0.5],
    ['with something wrong here and there', 12, 0.2],
    ['with much that is wrong', 60, 0],
  ])('are judged as each would be by itself: traces %s', { timeout: isLong ? 900_000 : 60_000 }, async (_, dirt, share) => {
    let [alike, records] = [0, 0];
    for (let seed = 1; seed <= (isLong ? 400 : 5); seed++) {
      const found = await compare([...traceLines(seed, 400, dirt)].join('\n'));
      alike += found.alike;
      records += found.records;
    }
    expect(alike / records).toBeGreaterThan(share);
  });

  it('are judged so too where there are more ways than are remembered', async () => {
    const [head = '', ...lines] = [...traceLines(3, 9, 0)];
    const more = Array.from({ length: 7000 }, (_, i) => lines[i % 9]?.replace('"domid":1', `"domid":${Math.floor(i / 27) % 3000}`));
    const { alike } = await compare([head, ...more].join('\n'));
    expect(alike).toBeGreaterThan(100);
  });

  it.each(['arm64-balloon', 'arm64-dom0', 'x86_64-pv-dom0'])('are judged as each would be by itself: the capture %s', async (name) => {
    const text = readFileSync(new URL(`../../fixtures/captures/xen-4.17-${name}.ndjson`, import.meta.url), 'utf8');
    const { records } = await compare(`${text}\n${text}\n${text}`);
    expect(records).toBeGreaterThan(20);
  });
});
