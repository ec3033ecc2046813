import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isArch } from '../../src/abi/arch.ts';
import { traceJudge } from '../../src/rules/trace.ts';
import { defaultSetting } from '../../src/trace/call.ts';
import { readRecord, type TraceRecord } from '../../src/trace/record.ts';
import { type CallCase, idOf, sha256 } from './case.ts';
import { judgeTrace } from './observed.ts';

/** Captures of a real Xen that cases are taken from. */
const captureFiles = ['xen-4.17-arm64-balloon.ndjson', 'xen-4.17-arm64-dom0.ndjson', 'xen-4.17-x86_64-pv-dom0.ndjson'] as const;

/** Of each capture the first call that shows a requirement kept, one for each that it shows. */
export function captureCases(folder: string): CallCase[] {
  const cases = captureFiles.flatMap((file) => casesOf(join(folder, file)));
  const ids = cases.map(idOf);
  return cases.filter((_, i) => ids.indexOf(ids[i] as string) === i);
}

function casesOf(path: string): CallCase[] {
  const text = readFileSync(path, 'utf8');
  const lines = text.split('\n');
  const shown = new Set<string>();
  const judge = traceJudge();
  const found: CallCase[] = [];
  let header: TraceRecord = { xenmem: 1 };
  let { setting } = readRecord(header, defaultSetting);
  for (const [i, line] of lines.entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const record = JSON.parse(line) as TraceRecord;
    const read = readRecord(record, setting);
    if (Object.hasOwn(record, 'xenmem')) [header, setting] = [record, read.setting];
    const judgement = read.call && judge.judge(read.call);
    const holds = [...(judgement?.requirements ?? [])].flatMap(([id, answer]) => (answer.answer === 'holds' ? [id] : []));
    const requirement = holds.find((id) => !shown.has(id));
    if (requirement === undefined || !isArch(setting.arch)) continue;
    const seen = { header, observed: [{ do: 'call', record } as const] };
    const trace_judged = judgeTrace(seen);
    const own = trace_judged[0]?.holds ?? [];
    if (!own.includes(requirement)) continue;
    for (const id of own) shown.add(id);
    const origin = { kind: 'capture', file: `fixtures/captures/${basename(path)}`, sha256: sha256(text), line: i + 1 } as const;
    const about = { case: 'call', role: 'positive', requirement, arch: setting.arch, requirements: own, edges: [] } as const;
    found.push({ ...about, ...seen, judged: [], trace_judged, origin });
  }
  return found;
}
