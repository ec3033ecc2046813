import { readSync, writeFileSync, writeSync } from 'node:fs';
import { PAGE_SIZE } from '../../src/abi/constants.ts';

// The mailbox lies in the guest's own memory, which is a file that QEMU and this process share. The
// guest finds a list of things to do in it, and leaves the answers there.

/** What the guest can be asked to do. `map`: only one that keeps its own page tables. */
export const doing = { end: 0, call: 1, read: 2, write: 3, zero: 4, probe: 5, map: 6 } as const;

const requestPages = 64;
const replyPages = 64;

/** How the mailbox is laid out, in bytes from its first page on. */
export const layout = {
  pages: 1 + requestPages + replyPages,
  magic: 0x7865_6e6d_656d_2131n,
  bell: 512,
  done: 576,
  /** Room for what the driver itself wants in guest memory. */
  scratch: 1024,
  request: PAGE_SIZE,
  reply: PAGE_SIZE * (1 + requestPages),
} as const;

/** What the guest prints when it serves the mailbox, and when it met a fault of its own. */
export const lines = { ready: 'xenmem: the guest is ready', broken: 'xenmem: the guest met a fault' } as const;

/** Bytes of a request without its payload, and of a reply without its bytes. */
const sizes = { request: 24, reply: 8 } as const;
/** Bytes that one request reads or writes at most. */
export const mostBytes: number = 16 * PAGE_SIZE;

/** One thing for the guest to do. */
export type Ask =
  | { readonly what: 'call'; readonly cmd: number; readonly arg: bigint }
  | { readonly what: 'read' | 'zero'; readonly address: bigint; readonly length: number }
  | { readonly what: 'write'; readonly address: bigint; readonly bytes: Uint8Array }
  | { readonly what: 'probe'; readonly gfn: bigint; readonly pages: number }
  | { readonly what: 'map'; readonly gfn: bigint; readonly mfn: bigint | null };

/**
 * What came of it: `value` is the register of a call, else 0, or 1 for a fault; `bytes` of a read,
 * and of a probe one for each page, 0 where there is none.
 */
export interface Told {
  readonly value: bigint;
  readonly bytes: Uint8Array;
}

/** What the guest says of itself. */
export interface GuestHello {
  /** The mailbox as the guest addresses it. */
  readonly mailbox: bigint;
  readonly xen: string;
  /** Pages that are nobody else's. */
  readonly first: bigint;
  readonly pages: number;
  /** The frames behind its pages, by guest frame, where the guest keeps that list itself. */
  readonly p2m: bigint;
  /** How many there are. */
  readonly frames: number;
}

/** The guest did not answer in time. */
export class SilenceError extends Error {
  override readonly name = 'SilenceError';
}

/**
 * Looks so often, then sleeps so many milliseconds between two looks, each time longer. Most answers
 * are there before the first sleep, unless the guest has to wait for the processor of the one that
 * looks: then it sleeps at once, and finds out with each so-many-th answer whether that is still so.
 * After the longest sleep other things happen.
 */
const waiting = { looks: 320, sleep: 0.1, longer: 1.3, longest: 0.5, tries: 16 } as const;
/** Linux adds this many nanoseconds to a sleep: 50,000, unless a process wants it otherwise. */
const slack = { file: '/proc/self/timerslack_ns', nanoseconds: 1000 } as const;
const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** The mailbox of a running guest. */
export class Mailbox {
  readonly hello: GuestHello;
  readonly #file: number;
  readonly #at: number;
  readonly #request = Buffer.alloc(requestPages * PAGE_SIZE);
  readonly #reply = Buffer.alloc(replyPages * PAGE_SIZE);
  readonly #one = Buffer.alloc(1);
  #bell = 0;
  /** Were answers there before it slept, of late? */
  #isQuick = true;

  private constructor(file: number, at: number, hello: GuestHello) {
    this.#file = file;
    this.#at = at;
    this.hello = hello;
    try {
      writeFileSync(slack.file, String(slack.nanoseconds));
    } catch {
      // It sleeps longer then.
    }
  }

  /** Looks for it in so many bytes of memory; `undefined` where it is not, in one piece. */
  static find(file: number, bytes: number): Mailbox | undefined {
    const chunk = Buffer.alloc(1 << 20);
    let next = 0;
    for (let from = 0; from < bytes; from += chunk.length) {
      readSync(file, chunk, 0, chunk.length, from);
      for (let at = 0; at < chunk.length; at += PAGE_SIZE) {
        const isNext = chunk.readBigUInt64LE(at) === layout.magic && chunk.readBigUInt64LE(at + 8) === BigInt(next);
        next = isNext ? next + 1 : 0;
        if (next < layout.pages) continue;
        const first = from + at - (layout.pages - 1) * PAGE_SIZE;
        readSync(file, chunk, 0, PAGE_SIZE, first);
        return new Mailbox(file, first, helloIn(chunk));
      }
    }
    return undefined;
  }

  /**
   * Has the guest do these things in this order, and hands on what came of each. Rejects with a
   * `SilenceError` after so many milliseconds, and with what `alive` throws.
   */
  async ask(asks: readonly Ask[], milliseconds: number, alive: () => void): Promise<Told[]> {
    const told: Told[] = [];
    while (told.length < asks.length) {
      let [used, promised, count] = [0, 0, 0];
      for (const ask of asks.slice(told.length)) {
        const { size, reply } = weightOf(ask);
        if (count > 0 && (used + size > this.#request.length - sizes.request || promised + reply > this.#reply.length)) break;
        this.#put(ask, used);
        used += size;
        promised += reply;
        count++;
      }
      this.#request.fill(0, used, used + sizes.request);
      await this.#ring(used + sizes.request, milliseconds, alive);
      readSync(this.#file, this.#reply, 0, promised, this.#at + layout.reply);
      for (let [i, at] = [0, 0]; i < count; i++) {
        const ask = asks[told.length] as Ask;
        const { reply, bytes } = weightOf(ask);
        const from = at + sizes.reply;
        told.push({ value: this.#reply.readBigInt64LE(at), bytes: new Uint8Array(this.#reply.subarray(from, from + bytes)) });
        at += reply;
      }
    }
    return told;
  }

  /** Memory of a direct-mapped guest as it is from outside. */
  outside(address: bigint, length: number): Uint8Array {
    return this.#bytes(this.#at + Number(address - this.hello.mailbox), length);
  }

  /** Writes there. */
  putOutside(address: bigint, bytes: Uint8Array): void {
    writeSync(this.#file, bytes, 0, bytes.length, this.#at + Number(address - this.hello.mailbox));
  }

  /** Memory of a frame as it is from outside, where the machine's memory begins with the first one. */
  inFrame(mfn: bigint, offset: number, length: number): Uint8Array {
    return this.#bytes(Number(mfn) * PAGE_SIZE + offset, length);
  }

  #bytes(at: number, length: number): Uint8Array {
    const bytes = Buffer.allocUnsafeSlow(length);
    const read = readSync(this.#file, bytes, 0, length, at);
    if (read !== length) throw new RangeError(`${length} bytes at ${at} are not all in the machine's memory`);
    return new Uint8Array(bytes.buffer);
  }

  /** Where the driver may put something of its own, as the guest addresses it. */
  scratch(offset: number): bigint {
    return this.hello.mailbox + BigInt(layout.scratch + offset);
  }

  #put(ask: Ask, at: number): void {
    const [a, b, length] = wordsOf(ask);
    this.#request.writeUInt32LE(doing[ask.what], at);
    this.#request.writeUInt32LE(length, at + 4);
    this.#request.writeBigUInt64LE(BigInt.asUintN(64, a), at + 8);
    this.#request.writeBigUInt64LE(BigInt.asUintN(64, b), at + 16);
    if (ask.what === 'write') this.#request.set(ask.bytes, at + sizes.request);
  }

  async #ring(length: number, milliseconds: number, alive: () => void): Promise<void> {
    writeSync(this.#file, this.#request, 0, length, this.#at + layout.request);
    this.#bell = (this.#bell + 1) & 0xff;
    // One byte: it cannot be seen half changed.
    this.#one[0] = this.#bell;
    writeSync(this.#file, this.#one, 0, 1, this.#at + layout.bell);
    const deadline = performance.now() + milliseconds;
    const looks = this.#isQuick || this.#bell % waiting.tries === 0 ? waiting.looks : 1;
    for (let i = 1; i <= looks; i++) {
      if (!this.#isDone()) continue;
      this.#isQuick ||= looks > 1;
      return;
    }
    this.#isQuick = false;
    for (let sleep: number = waiting.sleep; ; sleep = Math.min(sleep * waiting.longer, waiting.longest)) {
      Atomics.wait(sleeper, 0, 0, sleep);
      if (this.#isDone()) return;
      if (sleep < waiting.longest) continue;
      if (performance.now() > deadline) throw new SilenceError(`no answer within ${milliseconds / 1000} s`);
      // The console has to be read, or what is printed there stops the guest.
      await new Promise((resolve) => setImmediate(resolve));
      alive();
    }
  }

  #isDone(): boolean {
    readSync(this.#file, this.#one, 0, 1, this.#at + layout.done);
    return this.#one[0] === this.#bell;
  }
}

function helloIn(page: Buffer): GuestHello {
  const word = (i: number): bigint => page.readBigUInt64LE(i * 8);
  const version = Number(word(3));
  const extra = page.subarray(64, 80).toString('latin1').replace(/\0.*$/s, '');
  return {
    mailbox: word(2),
    xen: `${version >> 16}.${version & 0xffff}${extra}`,
    first: word(4),
    pages: Number(word(5)),
    p2m: word(6),
    frames: Number(word(7)),
  };
}

function wordsOf(ask: Ask): readonly [a: bigint, b: bigint, length: number] {
  switch (ask.what) {
    case 'call':
      return [BigInt(ask.cmd), ask.arg, 0];
    case 'read':
    case 'zero':
      return [ask.address, 0n, ask.length];
    case 'write':
      return [ask.address, 0n, ask.bytes.length];
    case 'probe':
      return [ask.gfn, 0n, ask.pages];
    case 'map':
      return [ask.gfn, ask.mfn ?? 0n, ask.mfn === null ? 0 : 1];
  }
}

/** Bytes that a request and its reply take, and those in the reply that are data. */
function weightOf(ask: Ask): { readonly size: number; readonly reply: number; readonly bytes: number } {
  const padded = (length: number): number => (length + 7) & ~7;
  const bytes = ask.what === 'read' ? ask.length : ask.what === 'probe' ? ask.pages : 0;
  const payload = ask.what === 'write' ? padded(ask.bytes.length) : 0;
  return { size: sizes.request + payload, reply: sizes.reply + padded(bytes), bytes };
}
