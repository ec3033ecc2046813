import type { Layout } from '../abi/layout.ts';
import { eachMember, isLowered, opsOf, originOf, type Slot, slotsIn, slotsOf, warningOf, withNested } from './slots.ts';

/**
 * A Rust module on `core` alone: `#[repr(C)]` structs with explicit padding, and assertions at
 * compile time. `offset_of!` is stable only since Rust 1.77, so that a field lies where it should
 * is shown by filling it with ones and looking at the bytes (1.57 will do).
 */
export function emitRust(asked: readonly Layout[]): string {
  const layouts = withNested(asked);
  return `// ${originOf('rust', asked)}
#![allow(dead_code, non_camel_case_types, non_upper_case_globals)]

${opLines(asked).join('\n')}

const _: () = assert!(cfg!(target_endian = "little"), "these structs are little-endian");

/// Are exactly these bytes filled?
const fn filled(bytes: &[u8], offset: usize, size: usize) -> bool {
    let mut i = 0;
    while i < bytes.len() {
        let inside = i >= offset && i < offset + size;
        if bytes[i] != if inside { 0xff } else { 0 } {
            return false;
        }
        i += 1;
    }
    true
}

${layouts.map((layout) => `${structText(layout)}\n\n${assertions(layout)}`).join('\n\n')}
`;
}

function opLines(asked: readonly Layout[]): string[] {
  const ops = opsOf(asked);
  return ops.flatMap((op) => [
    ...(op.takenBy === undefined ? [] : ['/// Proposed in 2013, never merged.', ...warningOf([op]).map((text) => `/// ${text}`)]),
    `pub const XENMEM_${op.name}: u32 = ${op.nr};`,
  ]);
}

function structText(layout: Layout): string {
  return typeText({ name: layout.struct, align: layout.align, size: layout.size, isUnion: false }, slotsOf(layout));
}

interface Type {
  readonly name: string;
  readonly align: number;
  readonly size: number;
  readonly isUnion: boolean;
}

/** A struct or union, behind those without a tag that are in it: they are named by their path. */
function typeText(type: Type, slots: readonly Slot[]): string {
  const { name, align, size, isUnion } = type;
  const inner = slots.flatMap(({ member }) =>
    member?.parts
      ? [`${typeText({ ...member, name: `${name}_${member.name}`, isUnion: member.type === 'union' }, slotsIn(member))}\n`]
      : [],
  );
  const members = slots.flatMap(({ member }) => (member ? [member] : []));
  const isPlain = !isUnion && !eachMember(members).some((member) => member.type === 'union');
  const rows = slots.map((slot) => rowOf(name, slot));
  const repr = members.some(isLowered) ? 'packed' : 'align';
  const zero = isUnion ? [`        bytes: [0; ${size}],`] : rows.map((row) => row.zero);
  return [
    ...inner,
    `#[derive(Clone, Copy${isPlain ? ', Debug, PartialEq, Eq' : ''})]`,
    `#[repr(C, ${repr}(${align}))]`,
    `pub ${isUnion ? 'union' : 'struct'} ${name} {`,
    ...rows.map(({ text }) => text),
    ...(isUnion ? [`    /// All of it, whichever is meant\n    pub bytes: [u8; ${size}],`] : []),
    '}',
    '',
    `impl ${name} {`,
    '    pub const ZERO: Self = Self {',
    ...zero,
    '    };',
    '}',
  ].join('\n');
}

function rowOf(outer: string, { name, offset, size, member }: Slot): { text: string; zero: string } {
  const count = member ? member.count : size;
  const word = member?.nested?.struct ?? (member?.parts ? `${outer}_${name}` : member ? `u${(8 * size) / count}` : 'u8');
  const isArray = !member || count > 1;
  const zero = member?.nested || member?.parts ? `${word}::ZERO` : '0';
  return {
    text: `    /// ${offset}: ${member ? member.type : 'no field'}\n    pub ${escaped(name)}: ${isArray ? `[${word}; ${count}]` : word},`,
    zero: `        ${escaped(name)}: ${isArray ? `[${zero}; ${count}]` : zero},`,
  };
}

function assertions({ struct, size, align, fields }: Layout): string {
  return [
    'const _: () = {',
    `    assert!(core::mem::size_of::<${struct}>() == ${size}, "${struct} is not ${size} bytes");`,
    `    assert!(core::mem::align_of::<${struct}>() == ${align}, "${struct} is not ${align}-aligned");`,
    `    const fn bytes(of: ${struct}) -> [u8; ${size}] {`,
    `        // Sound: the padding is made of fields, so every byte is initialised.`,
    '        unsafe { core::mem::transmute(of) }',
    '    }',
    ...fields.map(({ path, offset, size: one, count }) => {
      const ones = count > 1 ? `[!0; ${count}]` : '!0';
      const filled = `{ let mut s = ${struct}::ZERO; s.${path.split('.').map(escaped).join('.')} = ${ones}; s }`;
      const claim = `filled(&bytes(${filled}), ${offset}, ${one * count})`;
      return `    assert!(\n        ${claim},\n        "${struct}.${path} is not at ${offset}"\n    );`;
    }),
    '};',
  ].join('\n');
}

/** A name that is a word of the language, as Rust takes it. */
export function escaped(name: string): string {
  return name === 'in' || name === 'type' ? `r#${name}` : name;
}
