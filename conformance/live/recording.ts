import { closeSync, openSync, writeSync } from 'node:fs';
import { layoutOf } from '../../src/abi/layout.ts';
import { argumentOf, judgedOp } from '../../src/abi/ops.ts';
import { listBehind } from '../../src/guest/handle.ts';
import { type ByteRange, type GuestMemory, sparseMemory } from '../../src/guest/memory.ts';
import type { ObservedCall, Setting } from '../../src/trace/call.ts';
import type { TraceRecord } from '../../src/trace/record.ts';
import { headerOf, recordOf, writeRecord } from '../../src/trace/write.ts';
import type { Event } from '../observe/observe.ts';
import type { Scenario } from '../scenario/scenario.ts';
import type { Oracle } from '../twin/prediction.ts';
import type { Course } from '../verdict/check.ts';
import { argumentIn, mostLooked } from './argument.ts';
import type { Live } from './live.ts';

/** Bytes on either side of struct and lists that are written too, to show that they stay as they are. */
const guard = 16n;

/**
 * Writes the calls of a run as a trace: struct and lists before and after, with what lies around
 * them. Scenarios are counted in `note`; between two of them the guest's memory is built anew.
 */
export class Recording {
  /** What to play: the same, and each call is written. */
  readonly course: Course;
  readonly #file: number;
  readonly #setting: Setting;
  #scenarios = 0;
  #seq = 0;

  constructor(path: string, { course, player, origin, privileged }: Live) {
    this.#file = openSync(path, 'w');
    const { translated, arch } = player.hello;
    this.#setting = {
      arch: arch[0] ?? 'arm64',
      profile: 'upstream',
      space: 'physical',
      translated,
      privileged,
      fromStart: false,
    };
    writeSync(this.#file, writeRecord(headerOf(this.#setting, `captured by xenmem live from ${origin}; padding was filled`)));
    this.course = { ...course, oracle: (scenario) => this.#oracle(course, scenario) };
  }

  /** Closes the file; how many calls are in it. */
  end(): number {
    closeSync(this.#file);
    return this.#seq;
  }

  #oracle(course: Course, scenario: Scenario): Oracle {
    const oracle = course.oracle(scenario);
    const number = this.#scenarios++;
    return {
      take: (event, caller) => {
        if (event.kind === 'call') this.#write(event, number);
        return oracle.take(event, caller);
      },
    };
  }

  #write({ call }: Event & { readonly kind: 'call' }, scenario: number): void {
    const ranges = rangesOf(call);
    const { before, after, unmapped: _, p2mBefore: __, p2mAfter: ___, ...rest } = call;
    const seen = { ...rest, profile: 'upstream', seq: this.#seq++, before: within(before, ranges), after: within(after, ranges) } as const;
    const { seq, ...others } = recordOf(seen, { ...this.#setting, fromStart: true }) as TraceRecord & { readonly seq?: number };
    writeSync(this.#file, writeRecord({ seq, note: `scenario ${scenario}`, ...others } as TraceRecord));
  }
}

/** Where struct and lists lie, with a guard on either side. */
function rangesOf({ cmd, arg = 0n, arch, before }: ObservedCall): ByteRange[] {
  const op = judgedOp(cmd, 'upstream');
  if (!op) return [];
  const { size } = layoutOf(argumentOf[op], arch);
  const own = { address: arg, length: BigInt(size) };
  const bytes = before.read(arg, size);
  const { reservations } = bytes ? argumentIn(op, arch, bytes) : { reservations: [] };
  const lists = reservations.map(({ extent_start, nr_extents }) => {
    return listBehind(extent_start, nr_extents < mostLooked ? nr_extents : BigInt(mostLooked), arch).range;
  });
  return [own, ...lists].map(({ address, length }) => {
    const from = address < guard ? 0n : address - guard;
    return { address: from, length: address - from + length + guard };
  });
}

function within(memory: GuestMemory, ranges: readonly ByteRange[]): GuestMemory {
  return sparseMemory(ranges.flatMap((range) => memory.known(range)));
}
