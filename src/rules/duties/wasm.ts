import { type Field, fieldOf, type Layout } from '../../abi/layout.ts';
import { claimIn, type Dialect } from './dialect.ts';
import type { Claim, Gap } from './expression.ts';

/**
 * Claims about structs of one layout as a WebAssembly module: `scan(n)` reads `n` structs from the
 * start of its memory and writes, from byte `masksAt` on, a 32-bit mask for each, whose bit i says
 * whether claim i is true; a claim that stands on a parameter is not. The first `rare` claims are
 * asked one by one until one is true, which is quick where none is; then, and for all others, every
 * claim is worked out without a branch. Throws `TypeError` for more claims than a mask has bits.
 */
export function moduleOf(layout: Layout, claims: readonly Claim[], rare: number, masksAt: number): Uint8Array<ArrayBuffer> {
  if (claims.length > 32) throw new TypeError(`${claims.length} claims are more than a mask has bits`);
  const dialect = dialectOf(layout);
  const known = claims.flatMap((claim, bit) => {
    const text = claimIn(dialect, layout, claim);
    return text === undefined ? [] : [{ text, bit }];
  });
  const maskOf = (some: typeof known): string =>
    `i32.const 0 ${some.map(({ text, bit }) => `${text} i32.const ${bit} i32.shl i32.or`).join(' ')}`;
  const doubts = known.filter(({ bit }) => bit < rare).map(({ text }) => `${text} br_if 0`);
  const all = maskOf(known);
  const used = layout.fields.filter((field) => all.includes(`${fieldText(layout, field)} `));
  const loads = used.map((field) => `${load(field)} local.set ${localOf(layout, field)}`);
  const body = `
    i32.const ${masksAt} local.set ${at.pointer}
    local.get ${at.count} i32.const ${layout.size} i32.mul local.set ${at.end}
    block loop
      local.get ${at.record} local.get ${at.end} i32.ge_u br_if 1
      ${loads.join(' ')}
      block
        block
          ${doubts.join(' ')}
          ${maskOf(known.filter(({ bit }) => bit >= rare))} local.set ${at.mask}
          br 1
        end
        ${all} local.set ${at.mask}
      end
      local.get ${at.pointer} local.get ${at.mask} i32.store 0
      local.get ${at.record} i32.const ${layout.size} i32.add local.set ${at.record}
      local.get ${at.pointer} i32.const 4 i32.add local.set ${at.pointer}
      br 0
    end end end`;
  const wide = at.firstField + layout.fields.length - at.more;
  const code = [2, at.more - at.record, type.i32, ...unsigned(wide), type.i64, ...assembled(body)];
  const masksEnd = masksAt + Math.ceil(masksAt / layout.size) * 4;
  return Uint8Array.from([
    ...[0, ...bytesOf('asm'), 1, 0, 0, 0],
    ...section(1, [1, 0x60, 1, type.i32, 0]), // one function type: (i32) -> ()
    ...section(3, [1, 0]),
    ...section(5, [1, 0, ...unsigned(1 + (masksEnd >> 16))]),
    ...section(7, [2, ...named('memory'), 2, 0, ...named('scan'), 0, 0]),
    ...section(10, [1, ...unsigned(code.length), ...code]),
  ]);
}

const type = { i32: 0x7f, i64: 0x7e } as const;

/** Locals: the parameter, four of 32 bits, three of 64 for `sameTotal`, then one for each field. */
const at = { count: 0, record: 1, pointer: 2, end: 3, mask: 4, more: 5, less: 6, up: 7, firstField: 8 } as const;

const localOf = ({ fields }: Layout, field: Field): number => at.firstField + fields.indexOf(field);
const fieldText = (layout: Layout, field: Field): string => `local.get ${localOf(layout, field)}`;

/** Bytes of a struct as an i64. */
function load({ offset, size }: Gap): string {
  const width = size === 8 ? '' : `${8 * size}_u`;
  return `local.get ${at.record} i64.load${width} ${offset}`;
}

/**
 * Naturals are i64 and claims are i32. Sums and shifts that may pass 2^64 are compared without
 * being computed.
 */
function dialectOf(layout: Layout): Dialect {
  const number = (value: bigint): string => `i64.const ${BigInt.asIntN(64, value)}`;
  return {
    field: ({ path }) => fieldText(layout, fieldOf(layout, path)),
    number,
    parameter: () => undefined,
    low: (of, bits) => `${of} ${number((1n << BigInt(bits)) - 1n)} i64.and`,
    high: (of, bits) => `${of} i64.const ${bits} i64.shr_u`,
    equal: (a, b) => `${a} ${b} i64.eq`,
    unequal: (a, b) => `${a} ${b} i64.ne`,
    less: (a, b) => `${a} ${b} i64.lt_u`,
    // Where neither is 0, that of the larger order, shifted by the difference, loses no bit and is
    // the other.
    sameTotal: (a, ao, b, bo) => `
      ${a} ${b} ${ao} ${bo} i64.ge_u select local.set ${at.more}
      ${b} ${a} ${ao} ${bo} i64.ge_u select local.set ${at.less}
      ${ao} ${bo} i64.sub ${bo} ${ao} i64.sub ${ao} ${bo} i64.ge_u select local.set ${at.up}
      ${a} ${b} i64.eq
      local.get ${at.up} i64.const 64 i64.lt_u
      local.get ${at.more} local.get ${at.up} i64.shl local.get ${at.less} i64.eq i32.and
      local.get ${at.less} local.get ${at.up} i64.shr_u local.get ${at.more} i64.eq i32.and
      ${a} i64.eqz ${b} i64.eqz i32.or
      select`,
    within: (a, start, size) => `${a} ${start} i64.lt_u ${a} ${start} i64.sub ${size} i64.lt_u i32.or`,
    before: (a, start, shift, count) => `
      ${a} ${start} i64.lt_u
      ${a} ${start} i64.sub i64.const ${shift} i64.shr_u ${count} i64.lt_u
      i32.or`,
    // There is no entry, or the last one ends in the room that is left.
    fits: (start, shift, count, bits) => {
      const room = `${number((1n << BigInt(bits)) - 1n)} ${start} i64.sub`;
      const rest = number((1n << BigInt(shift)) - 1n);
      return `
      ${count} i64.eqz
      ${room} ${rest} i64.ge_u
      ${count} i64.const 1 i64.sub ${room} ${rest} i64.sub i64.const ${shift} i64.shr_u i64.le_u
      i32.and i32.or`;
    },
    filled: (gap) => {
      const pieces = piecesOf(gap).map((piece, i) => `${load(piece)}${i > 0 ? ' i64.or' : ''}`);
      return `${pieces.join(' ')} i64.const 0 i64.ne`;
    },
    all: (claims) => claims.map((claim, i) => (i > 0 ? `${claim} i32.and` : claim)).join(' '),
    not: (claim) => `${claim} i32.eqz`,
  };
}

/** A gap in pieces that can be loaded: of 8, 4, 2 and 1 bytes. */
function piecesOf({ offset, size }: Gap): Gap[] {
  const first = [8, 4, 2, 1].find((n) => n <= size);
  if (first === undefined) return [];
  return [{ offset, size: first }, ...piecesOf({ offset: offset + first, size: size - first })];
}

/**
 * What follows an instruction: nothing, an unsigned or a signed number, the type of a block, or an
 * offset in memory.
 */
type Immediate = 'u' | 's' | 'block' | 'memory';

const instructions: { readonly [name: string]: readonly [opcode: number, immediate?: Immediate] } = {
  block: [0x02, 'block'],
  loop: [0x03, 'block'],
  end: [0x0b],
  br: [0x0c, 'u'],
  br_if: [0x0d, 'u'],
  select: [0x1b],
  'local.get': [0x20, 'u'],
  'local.set': [0x21, 'u'],
  'i64.load': [0x29, 'memory'],
  'i64.load8_u': [0x31, 'memory'],
  'i64.load16_u': [0x33, 'memory'],
  'i64.load32_u': [0x35, 'memory'],
  'i32.store': [0x36, 'memory'],
  'i32.const': [0x41, 's'],
  'i64.const': [0x42, 's'],
  'i32.eqz': [0x45],
  'i32.ge_u': [0x4f],
  'i64.eqz': [0x50],
  'i64.eq': [0x51],
  'i64.ne': [0x52],
  'i64.lt_u': [0x54],
  'i64.le_u': [0x58],
  'i64.ge_u': [0x5a],
  'i32.add': [0x6a],
  'i32.mul': [0x6c],
  'i32.and': [0x71],
  'i32.or': [0x72],
  'i32.shl': [0x74],
  'i64.sub': [0x7d],
  'i64.and': [0x83],
  'i64.or': [0x84],
  'i64.shl': [0x86],
  'i64.shr_u': [0x88],
};

/** Instructions by their names in the text format, each with its number behind it, as bytes. */
function assembled(text: string): number[] {
  const words = text.trim().split(/\s+/).values();
  const number = (): bigint => BigInt(words.next().value ?? '');
  const bytes: number[] = [];
  for (const word of words) {
    const instruction = instructions[word];
    if (!instruction) throw new TypeError(`${word} is no instruction`);
    const [opcode, immediate] = instruction;
    bytes.push(opcode);
    if (immediate === 'block') bytes.push(0x40); // it leaves nothing
    if (immediate === 'memory') bytes.push(0); // no alignment is promised
    if (immediate === 'u' || immediate === 'memory') bytes.push(...unsigned(Number(number())));
    if (immediate === 's') bytes.push(...signed(number()));
  }
  return bytes;
}

function section(id: number, content: readonly number[]): number[] {
  return [id, ...unsigned(content.length), ...content];
}

function named(name: string): number[] {
  return [name.length, ...bytesOf(name)];
}

function bytesOf(text: string): number[] {
  return [...text].map((letter) => letter.charCodeAt(0));
}

/** A number in LEB128. */
function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

/** A number in signed LEB128. */
function signed(value: bigint): number[] {
  const last = BigInt.asIntN(7, value) === value;
  return last ? [Number(value & 0x7fn)] : [Number(value & 0x7fn) | 0x80, ...signed(value >> 7n)];
}
