import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { unknownMemory } from '../guest/memory.ts';
import { readTrace } from '../trace/read.ts';
import { recordOf, writeRecord } from '../trace/write.ts';
import { traceLines } from './alike.stage.ts';
import { type Stage, staged } from './call.stage.ts';
import { type Judgement, judge, judgeLike } from './judge.ts';
import { after } from './pins.stage.ts';
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

  const pinning: Stage = { returned: [0x900n, 0x901n], more: { domid: 1 } };
  const putting: Stage = { op: 'put_dma_buf', in: { list: [0x50n, 0x51n] }, more: { domid: 1 } };
  const stolen: Stage['p2m'] = [after, [...after.slice(0, 2), [0x50n, 0x955n], ...after.slice(3)]];
  const moving: Stage = { op: 'decrease_reservation', in: { list: [0x60n] }, rc: 1, p2m: stolen, more: { domid: 1 } };

  const others = [
    [0x70n, 0x71n],
    [0x72n, 0x73n],
    [0x50n, 0x51n],
  ];
  const putOf = (gfn: bigint): Stage => ({ ...putting, in: { list: [gfn] } });

  it.each<[string, Stage[]]>([
    ['gets that pin', [pinning, pinning, pinning]],
    ['gets whose caller erred', others.map((list) => ({ ...pinning, in: { domid: 1 }, out: { list } }))],
    ['gets whose count was not captured', others.map((list) => ({ ...pinning, out: { list }, more: { domid: 1, after: unknownMemory } }))],
    ['gets and puts', [pinning, putting, pinning, putting, pinning, putting]],
    ['puts, the last of them of what is pinned no more', [pinning, putting, pinning, putting, pinning, putting, putting]],
    [
      'calls of another op on pinned pages',
      [pinning, ...Array.from({ length: 3 }, () => ({ ...moving, in: { list: [0x50n] }, p2m: [[], []] }) as Stage)],
    ],
    ['exchanges', Array.from({ length: 3 }, () => ({ ...pinning, op: 'exchange' }) as Stage)],
    ['gets, and a put of what they returned', [pinning, putOf(0x50n), pinning, putOf(0x51n), pinning, putOf(0x900n)]],
  ])('leave pins as each would by itself: %s', async (_, stages) => {
    const records = [...stages, moving, putting].map((stage) => writeRecord(recordOf(staged(stage))));
    for (const isKnown of [true, false]) {
      const { alike } = await compare(`{"xenmem":1,"from_start":${isKnown}}\n${records.join('')}`);
      expect(alike).toBeGreaterThan(0);
    }
  });

  it('are none of a guest that works with machine frames: what it is given stands in its list', async () => {
    const given = [0x900n, 0x901n, 0x902n, 1n << 20n];
    const records = given.map((mfn): Stage => ({ op: 'increase_reservation', in: { list: [0n], bits: 32 }, inAfter: [mfn], rc: 1 }));
    const lines = records.map((stage) => writeRecord(recordOf(staged(stage))));
    expect(await compare(`{"xenmem":1,"translated":false}\n${lines.join('')}`)).toEqual({ alike: 0, records: 4 });
    const judgements = records.map((stage) => judge(staged({ ...stage, more: { translated: false } })));
    expect(judgements.map((found) => found?.requirements.get('reservation-limit')?.answer)).toEqual([
      'holds',
      'holds',
      'holds',
      'violated',
    ]);
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
