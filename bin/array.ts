import { type Layout, layoutOf } from '../src/abi/layout.ts';
import { isMemoryStruct } from '../src/abi/memory-h.ts';
import { isStructName } from '../src/abi/structs.ts';
import { type BulkJudge, bulkJudge } from '../src/rules/bulk.ts';
import type { Told } from '../src/rules/shown.ts';
import { BlockCounts } from '../src/text/block-counts.ts';
import type { Digest } from '../src/text/digest.ts';
import type { Tally } from '../src/text/tally.ts';
import type { BufferItem } from '../src/trace/buffers.ts';
import { structIn } from './captured.ts';
import { memoryCalls } from './memory-structs.ts';
import { asked, type CaptureOptions, memoryStructAsked } from './options.ts';

/** What becomes of the structs of an array. */
export interface ArrayOutput {
  readonly tally: Tally;
  readonly digest: Digest | undefined;
  readonly write: (text: string) => Promise<void>;
  /** Is told of each way in which structs are judged. */
  readonly seen: (told: Told) => void;
  /** The lines of one struct; none where nothing is said of it. */
  readonly linesOf: (told: Told, place: string) => readonly string[];
  /** Do the lines hold values of this very struct, and not only its place? */
  readonly isOwn: (told: Told) => boolean;
  /** Takes what is left at the end, too short for a struct. */
  readonly rest: (item: BufferItem) => Promise<void>;
}

/** The text of a struct: at which byte of the array it begins, and which of the block it is. */
type Say = (offset: number, i: number) => string;

const nothing: Say = () => '';
const joined = (lines: readonly string[]): string => lines.map((text) => `${text}\n`).join('');
const placeOf = (offset: number): string => `@${offset}`;

/** Structs between two looks at whether somebody wants the command to end. */
const pause = 1 << 20;

/** Judges an array of structs by the block. */
export class StructArray {
  readonly #bulk: BulkJudge;
  readonly #counts: BlockCounts;
  readonly #output: ArrayOutput;
  readonly #ways = new Map<Told, Say>();
  /** Bytes before the block, and of the block that are there. */
  #offset = 0;
  #held = 0;
  #sincePause = 0;

  constructor(bulk: BulkJudge, layout: Layout, output: ArrayOutput) {
    this.#bulk = bulk;
    this.#output = output;
    this.#counts = new BlockCounts(bulk, layout, output);
  }

  /** Where the next block is put. */
  get block(): Uint8Array {
    return this.#bulk.scan.input;
  }

  /** The array begins so many bytes behind the start of the input. */
  skip(bytes: number): void {
    this.#offset = bytes;
  }

  /** Judges whole structs that come from so many bytes behind the start of the input. */
  async row(bytes: Uint8Array, offset: number): Promise<void> {
    this.#offset = offset;
    await this.take(bytes);
    if (this.#held > 0) await this.judge(this.#held);
  }

  /** Takes bytes that come in pieces. */
  async take(piece: Uint8Array): Promise<void> {
    for (let from = 0; from < piece.length; ) {
      const some = piece.subarray(from, from + this.block.length - this.#held);
      this.block.set(some, this.#held);
      this.#held += some.length;
      from += some.length;
      if (this.#held === this.block.length) await this.judge(this.#held);
    }
  }

  /**
   * Judges the structs in so many bytes of the block; what is too short for one must be the last.
   */
  async judge(length: number): Promise<void> {
    const structs = Math.floor(length / this.#bulk.size);
    this.#bulk.scan.run(structs);
    this.#counts.add(0, structs);
    if (!this.#output.digest) await this.#output.write(this.#textOf(structs));
    const done = structs * this.#bulk.size;
    this.#offset += done;
    this.#held = 0;
    if (done < length) {
      const bytes = this.block.slice(done, length);
      this.flush();
      await this.#output.rest({ kind: 'buffer', bytes, offset: this.#offset, whole: false });
      this.#offset += bytes.length;
    }
    this.#sincePause += structs;
    if (this.#sincePause < pause) return;
    this.#sincePause = 0;
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Ends the array, and counts what was not counted yet. False if there was none. */
  async end(): Promise<boolean> {
    if (this.#held > 0) await this.judge(this.#held);
    this.flush();
    return this.#offset > 0;
  }

  /** Counts what was judged so far. */
  flush(): void {
    this.#counts.flush();
    this.#ways.clear();
  }

  #textOf(structs: number): string {
    const { scan, size } = this.#bulk;
    let text = '';
    let last: { readonly key: number; readonly say: Say } | undefined;
    for (let i = 0; i < structs; i++) {
      const key = scan.masks[i] as number;
      if (last?.key !== key) last = { key, say: this.#sayOf(key, i) };
      if (last.say !== nothing) text += last.say(this.#offset + i * size, i);
    }
    return text;
  }

  /** How structs with a key are told, of which the one at `i` is one. */
  #sayOf(key: number, i: number): Say {
    const { scan, size } = this.#bulk;
    const bytesOf = (at: number): Uint8Array => scan.input.subarray(at * size, (at + 1) * size);
    const told = this.#counts.told(key, bytesOf(i));
    const known = this.#ways.get(told);
    if (known) return known;
    const { linesOf, isOwn } = this.#output;
    const text = joined(linesOf(told, ''));
    let say: Say = text === '' ? nothing : (offset) => text.replace(/^ {6}/, placeOf(offset).padEnd(6));
    if (text !== '' && isOwn(told)) {
      say = (offset, at) => joined(linesOf(this.#bulk.judgeLike(told, bytesOf(at)), placeOf(offset)));
    }
    this.#ways.set(told, say);
    return say;
  }
}

/**
 * The judge of an array of the struct that was asked for or that the input names, and what is to be
 * said of each; `undefined` where none was.
 */
export function arrayJudge(
  options: CaptureOptions,
  name: string,
  named?: string,
): { readonly bulk: BulkJudge; readonly layout: Layout; readonly notes: readonly string[] } | undefined {
  const struct = memoryStructAsked(options) ?? asked(options).struct ?? named;
  if (struct !== undefined && isMemoryStruct(struct)) {
    const layout = layoutOf(struct, options.arch ?? 'arm64');
    const bulk = bulkJudge(layout, memoryCalls(struct, options)(new Uint8Array(layout.size)));
    return bulk && { bulk, layout, notes: [] };
  }
  if (struct === undefined || !isStructName(struct)) return undefined;
  const layout = layoutOf(struct, options.arch ?? 'arm64');
  const bytes = new Uint8Array(layout.size);
  const { call, notes } = structIn({ kind: 'buffer', bytes, offset: 0, whole: true, struct }, options, name);
  const bulk = bulkJudge(layout, call);
  return bulk && { bulk, layout, notes };
}
