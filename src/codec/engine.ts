import { DecodeStream, EncodeStream, Struct, type Type } from 'restructure';
import { isWord } from '../abi/arch.ts';
import type { Member, StructLayout } from '../abi/layout.ts';

type Read = (bytes: Uint8Array, at: number) => object;
type Write = (view: DataView, at: number, value: unknown) => boolean;

/**
 * restructure behind one door. It composes structs and owns the streams. What it lacks is added
 * here: exact u64, alignment and padding, results without its hidden properties, and refusal of
 * what does not fit instead of silent wrapping.
 *
 * Each struct also gets straight-line code, generated from its layout and from nothing else,
 * because restructure's own walk costs several microseconds a struct. `walk` and `walkWrite` keep
 * that path open, so that a test can hold the two against each other.
 */
export class AbiStruct extends Struct {
  readonly #bytes: number;
  readonly #read: Read;
  readonly #write: Write;

  constructor(layout: StructLayout) {
    super(fieldsOf(layout));
    this.#bytes = layout.size;
    this.#read = readerOf(layout);
    this.#write = new Function('view', 'at', 'value', writerOf(layout)) as Write;
  }

  override size(): number {
    return this.#bytes;
  }

  override decode(stream: DecodeStream): object {
    const value = this.#read(stream.buffer, stream.pos);
    stream.pos += this.#bytes;
    return value;
  }

  /**
   * Writes the fields and leaves padding as it is. A value that does not fit exactly is a
   * `TypeError`, and nothing is written.
   */
  override encode(stream: EncodeStream, value: unknown): void {
    if (!this.#write(stream.view, stream.pos, value)) throw new TypeError('value does not fit the struct');
    stream.pos += this.#bytes;
  }

  /** The value that starts at byte 0 of `bytes`, which must hold at least the struct. */
  read(bytes: Uint8Array): object {
    return this.#read(bytes, 0);
  }

  /**
   * Writes a value at byte 0 of `bytes`; `false`, with nothing written, if it does not fit exactly.
   */
  tryWrite(bytes: Uint8Array, value: unknown): boolean {
    return this.#write(new EncodeStream(bytes).view, 0, value);
  }

  /**
   * restructure's own way through the fields, for comparison. Its result carries restructure's
   * hidden properties.
   */
  walk(bytes: Uint8Array): object {
    return super.decode(new DecodeStream(bytes));
  }

  /** The same to write a value that fits; padding is left as it is. */
  walkWrite(bytes: Uint8Array, value: unknown): void {
    super.encode(new EncodeStream(bytes), value);
  }
}

const accessor: { readonly [size: number]: string } = { 2: 'Uint16', 4: 'Uint32', 8: 'BigUint64' };

/** Which of the two 32-bit words of a 64-bit one is the low one: a typed array has the host's order. */
const lowWord = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1 ? 0 : 1;

/**
 * Reads a struct byte by byte: that is twice as fast as to make a `DataView` first. 64-bit words go
 * through a buffer of the reader's own, which makes a `bigint` of two halves.
 */
function readerOf(layout: StructLayout): Read {
  let wide = 0;
  const halves: string[] = [];
  const half = (offset: number): string => `bytes[at + ${offset}] | bytes[at + ${offset + 1}] << 8`;
  const word = (offset: number): string => `${half(offset)} | bytes[at + ${offset + 2}] << 16 | bytes[at + ${offset + 3}] << 24`;
  const literalOf = (struct: StructLayout, base: number): string => {
    const parts = struct.members.map((m) => {
      const at = base + m.offset;
      if (m.nested) return `${m.name}: ${literalOf(m.nested, at)}`;
      if (!isWord(m.type)) return `${m.name}: ${m.size === 2 ? half(at) : `(${word(at)}) >>> 0`}`;
      const slot = wide++;
      halves.push(`words[${2 * slot + lowWord}] = ${word(at)};`);
      if (m.size === 8) halves.push(`words[${2 * slot + 1 - lowWord}] = ${word(at + 4)};`);
      return `${m.name}: wide[${slot}]`;
    });
    return `{ ${parts.join(', ')} }`;
  };
  const value = literalOf(layout, 0);
  const buffer = new ArrayBuffer(8 * wide);
  const code = `return (bytes, at) => {\n${halves.join('\n')}\nreturn ${value};\n};`;
  return new Function('wide', 'words', code)(new BigUint64Array(buffer), new Uint32Array(buffer));
}

function writerOf(layout: StructLayout): string {
  const checks: string[] = [];
  const writes: string[] = [];
  const visit = (struct: StructLayout, base: number, from: string): void => {
    checks.push(`if (typeof ${from} !== 'object' || ${from} === null) return false;`);
    checks.push(`{ let n = 0; for (const k in ${from}) n++; if (n !== ${struct.members.length}) return false; }`);
    for (const m of struct.members) {
      const at = base + m.offset;
      const name = `v${at}_${m.size}`;
      checks.push(`const ${name} = ${from}.${m.name};`);
      if (m.nested) {
        visit(m.nested, at, name);
        continue;
      }
      const fits = isWord(m.type)
        ? `typeof ${name} === 'bigint' && BigInt.asUintN(${8 * m.size}, ${name}) === ${name}`
        : `typeof ${name} === 'number' && ${m.size === 2 ? `(${name} & 0xffff)` : `${name} >>> 0`} === ${name}`;
      checks.push(`if (!(${fits})) return false;`);
      writes.push(`view.set${accessor[m.size]}(at + ${at}, ${isNarrowWord(m) ? `Number(${name})` : name}, true);`);
    }
  };
  visit(layout, 0, 'value');
  return `${checks.join('\n')}\n${writes.join('\n')}\nreturn true;`;
}

/** A word that is 64-bit elsewhere, and so a `bigint` in every value, stored in four bytes. */
function isNarrowWord(member: Member): boolean {
  return !member.nested && member.size === 4 && isWord(member.type);
}

function fieldsOf(layout: StructLayout): Record<string, Type> {
  const fields: Record<string, Type> = {};
  let end = 0;
  const fillTo = (offset: number): void => {
    if (offset > end) fields[`padding@${end}`] = gap(offset - end);
  };
  for (const member of layout.members) {
    fillTo(member.offset);
    fields[member.name] = member.nested ? new AbiStruct(member.nested) : scalar(member);
    end = member.offset + member.size;
  }
  fillTo(layout.size);
  return fields;
}

/** A scalar as a restructure type: any object with these three methods is one. */
function scalar(member: Member): Type {
  const narrow = isNarrowWord(member);
  const get = `get${accessor[member.size]}` as 'getUint32';
  const set = `set${accessor[member.size]}` as 'setUint32';
  return {
    size: () => member.size,
    decode(stream) {
      const value = stream.view[get](stream.pos, true);
      stream.pos += member.size;
      return narrow ? BigInt(value) : value;
    },
    encode(stream, value) {
      stream.view[set](stream.pos, (narrow ? Number(value) : value) as number, true);
      stream.pos += member.size;
    },
  };
}

function gap(bytes: number): Type {
  return {
    size: () => bytes,
    decode(stream) {
      stream.pos += bytes;
      return undefined;
    },
    encode(stream) {
      stream.pos += bytes;
    },
  };
}
