import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Request } from './implementation.ts';
import { CrashError } from './play.ts';
import { referenceImplementation } from './reference.ts';
import { answerLine } from './serve.ts';
import { Session } from './session.ts';
import { type Transport, TransportError } from './transport.ts';
import { requestLine } from './wire.ts';

// Answers that were damaged on the way: nothing may hang, throw anything but a crash, or be taken
// for an answer that was not given.

const world: Request = {
  op: 'reset',
  arch: 'arm64',
  domains: [{ domid: 1, privileged: false, ram: [{ gfn: 0x40000n, pages: 16 }], holes: [] }],
  free: { low: 8, high: 8 },
};
const questions: readonly Request[] = [
  { op: 'read', domid: 1, addr: 0x4000_0000n, length: 16 },
  { op: 'read', domid: 1, addr: 0n, length: 16 },
  { op: 'write', domid: 1, addr: 0x4000_0000n, bytes: Uint8Array.of(1, 2, 3) },
  { op: 'call', domid: 1, cmd: 26, arg: 0x4000_0000n },
  { op: 'translate', domid: 1, gfn: 0x40000n, pages: 4 },
  { op: 'pages', domid: 1 },
  { op: 'changes', domid: 1 },
];

/** What the reference model answers to each question, after its id. */
const rests: readonly string[] = (() => {
  const model = referenceImplementation();
  model.answer([world]);
  return questions.map((question) => answerLine(requestLine(1, question), model).slice('{"id":1'.length));
})();
const hello = answerLine(requestLine(0, { op: 'hello', arch: 'arm64' }), referenceImplementation());

/** An implementation that answers well, at the other end of a road that damages what comes back. */
class Damaging implements Transport {
  #next = hello;
  #id = 0;
  damage: Damage = (line) => line;
  /** The line before and after the damage. */
  whole = '';
  arrived: string | undefined;

  /** What it will answer to the next question. */
  prepare(rest: string, damage: Damage): void {
    this.#next = `{"id":${++this.#id}${rest}`;
    this.damage = damage;
  }

  send(): void {}

  async receive(): Promise<string> {
    this.whole = this.#next;
    this.arrived = this.damage(this.whole);
    if (this.arrived === undefined) throw new TransportError('silence', 'no answer within 0 s');
    return this.arrived;
  }

  async close(): Promise<{ how: string; stderr: string[] }> {
    return { how: 'was in memory', stderr: [] };
  }
}

type Damage = (line: string) => string | undefined;

const at = (line: string, where: number): number => where % Math.max(1, line.length);
const damage: fc.Arbitrary<Damage> = fc.oneof(
  fc.nat().map(
    (where): Damage =>
      (line) =>
        line.slice(0, at(line, where)),
  ),
  fc.nat().map(
    (where): Damage =>
      (line) =>
        line.slice(0, at(line, where)) + line.slice(at(line, where) + 1),
  ),
  fc.tuple(fc.nat(), fc.string({ unit: 'binary', minLength: 1, maxLength: 4 })).map(
    ([where, text]): Damage =>
      (line) =>
        line.slice(0, at(line, where)) + text + line.slice(at(line, where)),
  ),
  fc
    .tuple(
      fc.nat(),
      fc.constantFrom('null', '-1', '1e400', '"0x1"', '[]', '{}', 'true', '[[[[', '"\\ud800"', '18446744073709551616', '{"__proto__":1}'),
    )
    .map(
      ([n, value]): Damage =>
        (line) =>
          replaceNth(line, /(?<=[:[,])("[^"]*"|-?\d+|null|true)/g, n, value),
    ),
  fc.nat().map(
    (n): Damage =>
      (line) =>
        replaceNth(line, /"\w+":/g, n, '"other":'),
  ),
  fc.constantFrom<Damage>(
    () => undefined,
    () => '',
    (line) => line + line,
    (line) => `${line},`,
    (line) => `[${line}]`,
    () => '{"id":1}',
    () => '['.repeat(10_000),
    (line) => `\ufeff${line}`,
  ),
);

function replaceNth(line: string, pattern: RegExp, n: number, by: string): string {
  const found = [...line.matchAll(pattern)];
  const match = found[n % Math.max(1, found.length)];
  return match ? line.slice(0, match.index) + by + line.slice(match.index + match[0].length) : line;
}

/** Does a line still say what the undamaged one says, as JSON? */
function saysTheSame(line: string | undefined, whole: string): boolean {
  try {
    return JSON.stringify(JSON.parse(line ?? '')) === JSON.stringify(JSON.parse(whole));
  } catch {
    return false;
  }
}

/** May this object be an answer at all? Only by its frame: JSON, an object, under the right id. */
function framed(line: string | undefined, id: number): boolean {
  try {
    const json = JSON.parse(line ?? '');
    return typeof json === 'object' && json !== null && !Array.isArray(json) && json.id === id;
  } catch {
    return false;
  }
}

/** `npm run test:long`, which .ci/run does, damages a hundred thousand. */
const answers = process.env['XENMEM_LONG'] === undefined ? 20_000 : 100_000;

describe('damaged answers', () => {
  it('are each a crash or an answer that stands on the line, never anything else', async () => {
    let [crashes, taken] = [0, 0];
    let road = new Damaging();
    let session = await Session.open(road, 'arm64');
    let id = 0;
    for (const [i, one] of fc.sample(damage, { numRuns: answers, seed: 1 }).entries()) {
      const n = i % questions.length;
      road.prepare(rests[n] as string, one);
      id++;
      try {
        const [answer] = await session.ask([questions[n] as Request]);
        taken++;
        // What is out of frame can never be an answer.
        if (!framed(road.arrived, id) || answer === undefined) throw new Error(`taken for an answer: ${road.arrived}`);
      } catch (error) {
        if (!(error instanceof CrashError)) throw error;
        crashes++;
        if (saysTheSame(road.arrived, road.whole)) throw new Error(`not taken for an answer: ${road.arrived}`);
        road = new Damaging();
        session = await Session.open(road, 'arm64');
        id = 0;
      }
    }
    expect(crashes + taken).toBe(answers);
    expect(crashes).toBeGreaterThan(answers / 2);
    expect(taken).toBeGreaterThan(answers / 100);
  });
});
