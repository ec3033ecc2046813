import { FileError } from './bytes.ts';
import type { FileMember, FileType, Types } from './types.ts';

/**
 * A member that has a name, be it of the struct or of an unnamed one in it; offset from the outer
 * one.
 */
export type FileField = FileMember;

/** Later headers give the same bytes another name. */
const alsoCalled: Readonly<Record<string, string>> = { address_bits: 'mem_flags' };

/** Unnamed structs stand in one another at most so deep. */
const deepest = 4;

/**
 * Is this what a file calls a member of the table? Where `in` is a word of the language, as in
 * Rust, it is `in_`.
 */
export function isCalled(name: string, member: string): boolean {
  return name === member || name === alsoCalled[member] || name === `${member}_`;
}

/**
 * The structs of a name: with that tag, or behind a typedef of it or of it with `_t` whose struct
 * has no tag or another one.
 */
export function structsCalled(types: Types, name: string): FileType[] {
  const found = types.named('struct', name);
  const ids = new Set(found.map(({ id }) => id));
  for (const typedef of [name, `${name}_t`].flatMap((called) => types.named('typedef', called))) {
    const type = types.bare(typedef.id);
    if (type.kind !== 'struct' || type.name === name || ids.has(type.id)) continue;
    ids.add(type.id);
    found.push(type);
  }
  return found;
}

/**
 * Members that are looked at in one struct, all in all: structs of structs of structs are many
 * before they are deep.
 */
const mostLooked = 5000;

/**
 * The members of a struct, those of unnamed structs and unions in it among them, and how many it
 * has.
 */
export function fieldsOf(types: Types, type: FileType): { fields: FileField[]; count: number } {
  const { list, count } = types.members(type);
  const fields: FileField[] = [];
  let looked = 0;
  const flatten = (member: FileMember, depth: number): void => {
    if (looked++ > mostLooked) throw new FileError(`type ${type.id}: more than ${mostLooked} members in unnamed structs`);
    const inner = member.name === '' && member.bits === 0 && depth < deepest ? types.bare(member.type) : undefined;
    if (inner?.kind !== 'struct' && inner?.kind !== 'union') fields.push(member);
    else for (const one of types.members(inner).list) flatten({ ...one, bitOffset: member.bitOffset + one.bitOffset }, depth + 1);
  };
  for (const member of list) flatten(member, 0);
  return { fields, count };
}

/**
 * What a struct of one member is made of: Rust and Xen wrap a number so, to tell it from others.
 */
export function unwrapped(types: Types, type: FileType): FileType {
  let inner = type;
  for (let depth = 0; inner.kind === 'struct' && depth < 4; depth++) {
    const { list } = types.members(inner);
    const [only] = list;
    if (list.length !== 1 || !only || only.bitOffset !== 0 || only.bits !== 0) break;
    const next = types.bare(only.type);
    if (next.size !== inner.size) break;
    inner = next;
  }
  return inner;
}
