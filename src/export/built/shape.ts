import type { FileMember, FileType, Types } from './types.ts';

/** A member that has a name, be it of the struct or of an unnamed one in it; offset from the outer one. */
export type FileField = FileMember;

/** Later headers give the same bytes another name. */
const alsoCalled: Readonly<Record<string, string>> = { address_bits: 'mem_flags' };

/** Unnamed structs stand in one another at most so deep. */
const deepest = 4;

/** Is this what a file calls a member of the table? Where `in` is a word of the language, as in Rust, it is `in_`. */
export function isCalled(name: string, member: string): boolean {
  return name === member || name === alsoCalled[member] || name === `${member}_`;
}

/**
 * The structs of a name: with that tag, or behind a typedef of it or of it with `_t` whose struct has
 * no tag or another one.
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

/** The members of a struct, those of unnamed structs and unions in it among them, and how many it has. */
export function fieldsOf(types: Types, type: FileType): { fields: FileField[]; count: number } {
  const { list, count } = types.members(type);
  return { fields: list.flatMap((member) => flattened(types, member, 0)), count };
}

function flattened(types: Types, member: FileMember, depth: number): FileField[] {
  if (member.name !== '' || member.bits !== 0 || depth === deepest) return [member];
  const type = types.bare(member.type);
  if (type.kind !== 'struct' && type.kind !== 'union') return [member];
  const inner = types.members(type).list;
  return inner.flatMap((one) => flattened(types, { ...one, bitOffset: member.bitOffset + one.bitOffset }, depth + 1));
}

/** What a struct of one member is made of: Rust and Xen wrap a number so, to tell it from others. */
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
