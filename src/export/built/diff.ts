import type { Arch } from '../../abi/arch.ts';
import { type AnyStruct, layoutOf, type Member } from '../../abi/layout.ts';
import { FileError } from './bytes.ts';
import { fieldsOf, isCalled, structsCalled, unwrapped } from './shape.ts';
import type { FileType, Types } from './types.ts';

/**
 * A scalar of a struct, those of nested structs included. Offset in bits from the outermost; `bits`
 * of a bit-field, else 0.
 */
export interface Leaf {
  readonly path: string;
  readonly bitOffset: number;
  readonly size: number;
  readonly bits: number;
  /** `int`, `pointer`, …; of the table: `word`, which any of them may be. */
  readonly kind: string;
}

/** A struct as one side has it. */
export interface Shape {
  readonly struct: string;
  readonly size: number;
  readonly leaves: readonly Leaf[];
}

/** One struct on both sides; without changes they are the same. */
export interface Difference {
  readonly struct: string;
  readonly sizes: readonly [number, number];
  readonly fields: number;
  readonly changes: readonly Change[];
}

/** What became of a struct or of a field of it. */
export interface Change {
  readonly kind: 'size' | 'moved' | 'resized' | 'type' | 'added' | 'removed';
  /** The field, or the struct itself where it is empty. */
  readonly path: string;
  readonly text: string;
}

const deepest = 8;
const mostLeaves = 1000;
const mostShapes = 16;
const mostLooked = 20_000;

/** The different shapes that a file has a struct in, by its name: as a rule one. */
export function shapesOf(types: Types, struct: string): Shape[] {
  const made = new Map<string, Shape>();
  for (const type of structsCalled(types, struct)) {
    const leaves: Leaf[] = [];
    let looked = 0;
    const look = (): void => {
      if (looked++ > mostLooked) throw new FileError(`${struct}: more than ${mostLooked} members in the structs that it holds`);
    };
    collect(types, type, { path: '', bitOffset: 0, depth: 0 }, leaves, look);
    const shape = { struct, size: type.size, leaves };
    made.set(JSON.stringify(shape), shape);
    if (made.size === mostShapes) break;
  }
  return [...made.values()];
}

/** The shape that the table has of a struct; a union is the one leaf that a file has of it. */
export function shapeOfTable(struct: AnyStruct, arch: Arch): Shape {
  const leavesOf = (members: readonly Member[], path: string, base: number): Leaf[] =>
    members.flatMap(({ name, type, offset, size, nested, parts }) => {
      const own = `${path}${path && '.'}${name}`;
      const inside = type === 'union' ? undefined : (nested?.members ?? parts);
      return inside ? leavesOf(inside, own, base + offset) : [{ path: own, bitOffset: 8 * (base + offset), size, bits: 0, kind: 'word' }];
    });
  const { size, members } = layoutOf(struct, arch);
  return { struct, size, leaves: leavesOf(members, '', 0) };
}

function collect(
  types: Types,
  type: FileType,
  { path, bitOffset, depth }: { readonly path: string; readonly bitOffset: number; readonly depth: number },
  into: Leaf[],
  look: () => void,
): void {
  for (const member of fieldsOf(types, type).fields) {
    look();
    if (into.length === mostLeaves) return;
    const own = `${path}${path && '.'}${member.name || '(unnamed)'}`;
    const at = bitOffset + member.bitOffset;
    const inner = unwrapped(types, types.bare(member.type));
    if (inner.kind === 'struct' && member.bits === 0 && depth < deepest) {
      collect(types, inner, { path: own, bitOffset: at, depth: depth + 1 }, into, look);
    } else into.push({ path: own, bitOffset: at, size: inner.size, bits: member.bits, kind: inner.kind });
  }
}

/** What became of a struct from one side to the other, as `abidiff` would say it. */
export function diffShapes(a: Shape, b: Shape): Difference {
  const changes: Change[] = [];
  const say = (kind: Change['kind'], path: string, text: string): void => void changes.push({ kind, path, text });
  if (a.size !== b.size) say('size', '', `size: ${a.size} → ${b.size} bytes`);
  const matched = new Set<Leaf>();
  for (const one of a.leaves) {
    const other = b.leaves.find((leaf) => !matched.has(leaf) && isSame(leaf.path, one.path));
    if (!other) {
      say('removed', one.path, `${one.path}: removed (${told(one)})`);
      continue;
    }
    matched.add(other);
    const parts: string[] = [];
    if (one.bitOffset !== other.bitOffset) parts.push(`offset ${offset(one)} → ${offset(other)}`);
    const [before, after] = [one, other].map(({ bits, size }) => (bits > 0 ? `${bits} bits` : `${size}`));
    if (before !== after) parts.push(`size ${before} → ${after}`);
    const isOtherKind = one.kind !== other.kind && one.kind !== 'word' && other.kind !== 'word';
    if (isOtherKind) parts.push(`${one.kind} → ${other.kind}`);
    const kind = before !== after ? 'resized' : one.bitOffset !== other.bitOffset ? 'moved' : 'type';
    if (parts.length > 0) say(kind, one.path, `${one.path}: ${parts.join(', ')}`);
  }
  for (const leaf of b.leaves) if (!matched.has(leaf)) say('added', leaf.path, `${leaf.path}: added (${told(leaf)})`);
  return { struct: a.struct, sizes: [a.size, b.size], fields: a.leaves.length, changes };
}

/** Are these the same field, by either of its names, at each step of the path? */
function isSame(a: string, b: string): boolean {
  const [left, right] = [a.split('.'), b.split('.')];
  return left.length === right.length && left.every((name, i) => isCalled(name, right[i] ?? '') || isCalled(right[i] ?? '', name));
}

function offset({ bitOffset }: Leaf): string {
  return bitOffset % 8 === 0 ? `${bitOffset / 8}` : `${Math.floor(bitOffset / 8)} bit ${bitOffset % 8}`;
}

function told(leaf: Leaf): string {
  return `${leaf.bits > 0 ? `${leaf.bits} bits` : `${leaf.size} bytes`} at ${offset(leaf)}`;
}
