import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { XENMEM } from '../../src/abi/ops.ts';
import { createHypervisor } from '../../src/model/hypervisor.ts';
import { type MemoryOpOf, memoryOp } from '../../src/model/memory-op.ts';
import { xen417 } from '../../src/model/xen/xen-4.17.ts';
import type { Reply, Request } from '../protocol/implementation.ts';
import { type Play, playHere } from '../protocol/play.ts';
import { UndrivenError } from '../protocol/player.ts';
import { implementationOf } from '../protocol/reference.ts';
import { Choices } from '../scenario/choices.ts';
import { wholeNumbers } from '../scenario/numbers.ts';
import { scenarioOf, tokenOf } from '../scenario/scenario.ts';
import { type Checked, type Course, check, nothingSeen } from '../verdict/check.ts';
import { withDomain } from './device-tree.ts';
import { type Cast, drawn, rarely } from './draw.ts';
import { lies } from './falsify.ts';
import { ReleaseOracle } from './oracle.ts';
import { cacheFolder, fetched, needs } from './packages.ts';

// What can be tested without QEMU. The reference stands in for the real hypervisor, behind the
// same requests: so the oracle has to agree with each call, and a lie has to show.

const cast: Cast = { arch: 'arm64', domid: 1, privileged: false, translated: true, more: [], room: { first: 0x41000n, pages: 4096 } };
const course: Course = {
  draw: (numbers) => drawn(numbers, cast),
  oracle: (scenario) => new ReleaseOracle(scenario, cast, 'translated'),
  unjudged: { exchange: 11 },
  packages: [],
  excused: {},
};
const lists = fc.sample(wholeNumbers, { seed: 5, numRuns: 60 });

function implementation() {
  const commands = { increase_reservation: 0, decrease_reservation: 1, populate_physmap: 6 };
  return implementationOf(createHypervisor(xen417()), { commands, capabilities: new Set(['pages', 'translate']), limits: { domains: 1 } });
}

type Bend = (replies: Reply[], requests: readonly Request[]) => void;

function playedOn(numbers: readonly number[], bend: Bend = () => {}, held = course): Checked {
  const own = implementation();
  const seen = nothingSeen();
  const bent = {
    hello: own.hello,
    answer(requests: readonly Request[]): Reply[] {
      const replies = own.answer(requests);
      bend(replies, requests);
      return replies;
    },
  };
  return playHere(check(held.draw(numbers), own.hello, seen, held) as Play<Checked>, bent);
}

describe('scenarios', () => {
  it('are the same for the same numbers, and can be written as a token', () => {
    for (const numbers of lists) {
      const scenario = drawn(numbers, cast);
      expect(drawn(numbers, cast)).toEqual(scenario);
      expect(scenarioOf(tokenOf(scenario))).toEqual(scenario);
    }
  });

  it('ask for every op, with and without a start extent', () => {
    const cmds = new Set(lists.flatMap((numbers) => drawn(numbers, cast).steps.map((step) => (step.do === 'call' ? step.cmd : -1))));
    for (const op of [0, 1, 6, 11]) expect(cmds).toContain(op);
    expect([...cmds].some((cmd) => cmd > 63)).toBe(true);
  });
});

describe('a scenario of long lists', () => {
  /** As the numbers say, but for the first, which makes the world a long one. */
  const long = lists.slice(0, 12).map((numbers) => [rarely.long, ...numbers.slice(1)]);

  it('has lists of a thousand extents and more, of ops 0, 1 and 6, from the first on and from a later one', () => {
    const steps = long.flatMap((numbers) => drawn(numbers, cast).steps).filter((step) => step.do === 'call');
    const most = new Map<number, number>();
    for (const {
      cmd,
      lists: [list = []],
    } of steps)
      most.set(cmd & 63, Math.max(most.get(cmd & 63) ?? 0, list?.length ?? 0));
    expect([...most.keys()].sort()).toEqual([0, 1, 6]);
    expect([1, 6].every((op) => (most.get(op) ?? 0) > 1000)).toBe(true);
    expect(new Set(steps.map(({ cmd }) => cmd > 63))).toEqual(new Set([false, true]));
  });

  it('is predicted like any other', () => {
    for (const numbers of long.slice(0, 3)) {
      const { events, agreed, given } = playedOn(numbers);
      expect(agreed.size).toBe(events.length);
      expect(given.filter(({ answer }) => answer.answer === 'violated')).toEqual([]);
    }
  });
});

describe('the guest memory around structs and lists', () => {
  it('is filled, so that a byte that changes there shows', () => {
    for (const numbers of lists.slice(0, 20)) {
      for (const event of playedOn(numbers).events) {
        if (event.kind !== 'call') continue;
        const { arg = 0n, before } = event.call;
        const around = before.read(arg - 16n, 16);
        if (around) expect(around.filter((byte) => byte === 0).length).toBeLessThan(8);
      }
    }
  });
});

describe('the oracle of a release', () => {
  it('agrees with every call of its own reference, op 11 among them, and no rule is broken', () => {
    let exchanges = 0;
    for (const numbers of lists) {
      const { events, agreed, disputes, given } = playedOn(numbers);
      const calls = events.filter((event) => event.kind === 'call');
      exchanges += calls.filter(({ call }) => (call.cmd & 63) === 11).length;
      expect([disputes, agreed.size]).toEqual([[], calls.length]);
      expect(given.filter(({ answer }) => answer.answer === 'violated')).toEqual([]);
    }
    expect(exchanges).toBeGreaterThan(20);
  });

  it.each(Object.entries(lies).filter(([name]) => name !== 'two pages change places'))('finds that %s', (_, lie) => {
    let [lied, found] = [0, 0];
    for (const numbers of lists) {
      let isDone = false;
      const { disputes, given } = playedOn(numbers, (replies, requests) => {
        const call = requests.findIndex(({ op }) => op === 'call');
        if (call >= 0 && !isDone) isDone = lie(replies, { requests, call }, new Choices(numbers));
      });
      if (!isDone) continue;
      lied++;
      if (disputes.length > 0 || given.some(({ answer }) => answer.answer === 'violated')) found++;
    }
    expect(lied).toBeGreaterThan(3);
    expect(found).toBe(lied);
  });
});

describe('a hypervisor that has more than Debian has', () => {
  const more: Cast = { ...cast, more: ['exchange', 'get_dma_buf', 'put_dma_buf'] };
  const { exchange, get_dma_buf, put_dma_buf } = XENMEM['dma-buf'];
  const asked = lists.map((numbers) => drawn(numbers, more));

  it('is asked for it, and to unpin what it should have pinned', () => {
    const calls = asked.map(({ steps }) => steps.flatMap((step) => (step.do === 'call' ? [step] : [])));
    const ops = new Set(calls.flat().map(({ cmd }) => cmd));
    for (const op of [exchange, get_dma_buf, put_dma_buf]) expect(ops).toContain(op);
    const isPinned = calls.map((steps) => {
      const puts = steps.filter(({ cmd }) => cmd === put_dma_buf).flatMap(({ lists: [list] }) => list ?? []);
      const outs = new Set(steps.filter(({ cmd }) => cmd === get_dma_buf).flatMap(({ lists: [, out] }) => out ?? []));
      return puts.some((gfn) => outs.has(gfn));
    });
    expect(isPinned.filter((is) => is).length).toBeGreaterThan(5);
  });

  it('is judged by the rules, and not held against a release that never had it', () => {
    const commands = { increase_reservation: 0, decrease_reservation: 1, populate_physmap: 6, exchange, get_dma_buf, put_dma_buf };
    const release = xen417();
    const isMore = (cmd: number): boolean => more.more.some((op) => XENMEM['dma-buf'][op] === (cmd & 63));
    const both: MemoryOpOf = (state, call) => (isMore(call.cmd) ? memoryOp(state, call) : release(state, call));
    const own = implementationOf(createHypervisor(both), { commands, capabilities: new Set(['pages']), limits: { domains: 1 } });
    const held: Course = { ...course, unjudged: {}, oracle: (scenario) => new ReleaseOracle(scenario, more, 'translated') };
    const judged = new Set<string>();
    for (const scenario of asked) {
      const checked = playHere(check(scenario, own.hello, nothingSeen(), held) as Play<Checked>, own);
      expect([checked.disputes, checked.given.filter((g) => g.answer.answer === 'violated')]).toEqual([[], []]);
      for (const { id, answer } of checked.given) if (answer.answer === 'holds') judged.add(id);
    }
    for (const id of ['get-complete-count', 'get-aligned', 'get-rest-untouched', 'put-keeps-pages']) expect(judged).toContain(id);
  });
});

describe('a known deviation', () => {
  it('is told as a reading, and what it does not break stays a violation', () => {
    const violatedBy = (numbers: readonly number[], breaks: readonly string[]): string[] => {
      const oracle = { take: () => ({ agrees: true, readings: [{ id: 'late', reading: 'D1', breaks }] }) as const };
      const bend: Bend = (replies, requests) => {
        for (const [i, { op }] of requests.entries()) if (op === 'call') replies[i] = { rc: 2 ** 40 };
      };
      const { given } = playedOn(numbers, bend, { ...course, oracle: () => oracle });
      return [...new Set(given.flatMap(({ id, answer }) => (answer.answer === 'violated' ? [id] : [])))];
    };
    const [numbers = []] = lists;
    const all = violatedBy(numbers, []);
    expect(all.length).toBeGreaterThan(1);
    for (const id of all) expect(violatedBy(numbers, [id])).toEqual(all.filter((other) => other !== id));
  });
});

describe('a device tree', () => {
  /** The tokens of a tree with a root that holds /chosen, by hand. */
  const words = (...values: number[]): Buffer => Buffer.concat(values.map((value) => Buffer.from(Uint32Array.of(value).buffer).swap32()));
  const struct = Buffer.concat([words(1, 0, 1), Buffer.from('chosen\0\0'), words(2, 2, 9)]);
  const head = words(0xd00dfeed, 40 + struct.length, 40, 40 + struct.length, 40, 17, 16, 0, 0, struct.length);
  const tree = Buffer.concat([head, struct]);

  it('gets a domain in /chosen', () => {
    const made = withDomain(tree, { bootargs: 'a', address: 0x4900_0000, size: 0x6000, memory: 128 << 20 });
    expect(made.readUInt32BE(4)).toBe(made.length);
    const text = made.toString('latin1');
    for (const word of ['xen,xen-bootargs', 'xen,domain', 'multiboot,kernel', 'module@49000000']) expect(text).toContain(word);
    expect(made.includes(words(0, 0x4900_0000, 0, 0x6000))).toBe(true);
    expect(made.includes(words(0, 0x20000))).toBe(true); // KiB
  });

  it.each([
    ['/chosen', Buffer.concat([words(1, 0, 1), Buffer.from('frozen\0\0'), words(2, 2, 9)])],
    ['an end of a name', Buffer.concat([words(1, 0, 1), Buffer.from('chosen!!')])],
    ['an end of a property of 2^32 bytes less 16', words(1, 0, 3, 0xffff_fff0, 0, 9)],
  ])('without %s is no tree for it', (_, other) => {
    const made = Buffer.concat([head, other]);
    made.writeUInt32BE(40 + other.length, 12);
    made.writeUInt32BE(other.length, 36);
    expect(() => withDomain(made, { bootargs: '', address: 0, size: 0, memory: 0 })).toThrow(
      new RangeError('the device tree has no /chosen'),
    );
  });
});

describe('what is missing', () => {
  const folder = mkdtempSync(join(tmpdir(), 'xenmem-live-'));
  const { PATH, XDG_CACHE_HOME } = process.env;
  afterAll(() => {
    Object.assign(process.env, { PATH });
    if (XDG_CACHE_HOME === undefined) delete process.env['XDG_CACHE_HOME'];
    else process.env['XDG_CACHE_HOME'] = XDG_CACHE_HOME;
    rmSync(folder, { recursive: true });
  });

  it('is named with the package that has it', () => {
    expect(() => needs('no-such-program', 'Debian')).toThrow(new UndrivenError('there is no no-such-program here: it comes with Debian'));
  });

  it('is apt, where there is none: nothing is left behind', () => {
    process.env['XDG_CACHE_HOME'] = folder;
    process.env['PATH'] = folder;
    expect(cacheFolder()).toBe(join(folder, 'xenmem'));
    const told = 'there is no apt-get here: it comes with Debian or a system made from it';
    expect(() => fetched('arm64', ['libxen-dev'], () => {})).toThrow(new UndrivenError(told));
  });
});
