import { describe, expect, it } from 'vitest';
import { named } from '../faults/named.stage.ts';
import { playerHere } from '../protocol/player.ts';
import { runSuite } from '../run.ts';
import { expecting, readExpectations, updatedExpectations } from './expect.ts';
import { fingerprintOf } from './outcome.ts';
import type { ConformanceResult } from './result.ts';

const known = await named("takes it that one's own number is DOMID_SELF");
const run = (seed: number): Promise<ConformanceResult> =>
  runSuite({ player: playerHere(known.of("takes it that one's own number is DOMID_SELF")), arch: ['arm64'], seed, runs: 300 });
const file = (...entries: object[]): string => JSON.stringify({ 'xenmem-expect': 1, entries });

describe('a violation that is expected', async () => {
  const result = await run(1);
  const [violated] = result.requirements.filter((r) => r.verdict === 'violated');
  const entry = { requirement: violated!.id, fingerprint: fingerprintOf(violated!), reason: 'known since 4.17' };

  it('is marked so, and nothing drifts, on another seed too', async () => {
    expect(violated?.id).toBe('get-refuses-domid-mismatch');
    for (const other of [result, await run(2)]) {
      const { requirements, drift, verdict } = expecting(other, readExpectations(file(entry)), '2026-11-22');
      expect(drift).toEqual([]);
      expect(verdict).toBe('nonconformant');
      expect(requirements.find((r) => r.id === entry.requirement)?.expected).toEqual(entry);
    }
  });

  it('drifts where it looks otherwise, has expired, is not there, or was not expected', () => {
    const drift = (entries: object[]): readonly string[] | undefined =>
      expecting(result, readExpectations(file(...entries)), '2026-11-22').drift;
    expect(drift([{ ...entry, fingerprint: 'else' }])).toEqual([
      `${entry.requirement} is violated otherwise than expected: "${entry.fingerprint}", not "else"`,
    ]);
    expect(drift([{ ...entry, until: '2026-11-21' }])).toEqual([`${entry.requirement}: the entry has expired on 2026-11-21`]);
    expect(drift([{ ...entry, until: '2026-11-22' }])).toEqual([]);
    expect(drift([])).toEqual([`${entry.requirement} is violated, and no entry expects it`]);
    expect(drift([entry, { ...entry, requirement: 'survives', reason: 'crashes' }])).toEqual([
      'survives is expected to be violated (crashes), and holds: delete the entry',
    ]);
    expect(drift([entry, { ...entry, requirement: 'put-refused-prefix' }])).toEqual([]);
  });

  it('is written to a file that then fits, keeping what a person wrote', () => {
    const fresh = readExpectations(updatedExpectations(result, [], '2026-11-22'));
    expect(fresh).toEqual([{ ...entry, reason: 'not said yet' }]);
    const kept = readExpectations(updatedExpectations(result, [{ ...entry, fingerprint: 'old', until: '2027-01-01' }], '2026-11-22'));
    expect(kept).toEqual([{ ...entry, until: '2027-01-01' }]);
    const passed = readExpectations(updatedExpectations(result, [{ ...entry, until: '2026-11-21' }], '2026-11-22'));
    expect(passed).toEqual([entry]);
    const unseen = { ...entry, requirement: 'survives' };
    const none = { ...result, requirements: result.requirements.map((r) => ({ ...r, verdict: 'unknown' as const })) };
    expect(readExpectations(updatedExpectations(none, [unseen], '2026-11-22'))).toEqual([unseen]);
  });

  it.each<[string, string]>([
    ['{', 'expectations: Expected property name'],
    ['{"entries":[]}', 'xenmem-expect: undefined is not 1'],
    [file({ ...entry, requirement: 'get-more' }), 'entries[0].requirement: "get-more" is no requirement'],
    [file({ ...entry, until: '2027-02-30x' }), 'entries[0].until: "2027-02-30x" is not a day, 2027-03-31'],
    [file({ ...entry, link: 'javascript:alert(1)' }), 'entries[0].link: not an http or https address'],
    [file({ ...entry, untl: '2027-03-31' }), 'entries[0].untl: no such key'],
    [file(entry, entry), `entries: ${entry.requirement} is there twice`],
  ])('in %j cannot be read', (text, message) => {
    expect(() => readExpectations(text)).toThrow(message);
  });
});
