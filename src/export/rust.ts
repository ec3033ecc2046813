import type { Field, StructLayout } from '../abi/layout.ts';
import { opsOf, originOf, slotsOf, warningOf, withNested } from './slots.ts';

/**
 * A Rust module on `core` alone: `#[repr(C)]` structs with explicit padding, and assertions at
 * compile time. `offset_of!` is stable only since Rust 1.77, so that a field lies where it should
 * is shown by filling it with ones and looking at the bytes (1.57 will do).
 */
export function emitRust(asked: readonly StructLayout[]): string {
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

function opLines(asked: readonly StructLayout[]): string[] {
  const ops = opsOf(asked);
  return ops.flatMap((op) => [
    ...(op.takenBy === undefined ? [] : ['/// Proposed in 2013, never merged.', ...warningOf([op]).map((text) => `/// ${text}`)]),
    `pub const XENMEM_${op.name}: u32 = ${op.nr};`,
  ]);
}

function structText(layout: StructLayout): string {
  const slots = slotsOf(layout).map(({ name, offset, size, member }) => {
    const type = member ? (member.nested?.struct ?? `u${8 * size}`) : `[u8; ${size}]`;
    const what = member ? member.type : 'no field';
    const zero = member?.nested ? `${type}::ZERO` : member ? '0' : `[0; ${size}]`;
    return { text: `    /// ${offset}: ${what}\n    pub ${escaped(name)}: ${type},`, zero: `        ${escaped(name)}: ${zero},` };
  });
  return [
    '#[derive(Clone, Copy, Debug, PartialEq, Eq)]',
    `#[repr(C, align(${layout.align}))]`,
    `pub struct ${layout.struct} {`,
    ...slots.map(({ text }) => text),
    '}',
    '',
    `impl ${layout.struct} {`,
    '    pub const ZERO: Self = Self {',
    ...slots.map(({ zero }) => zero),
    '    };',
    '}',
  ].join('\n');
}

function assertions(layout: StructLayout): string {
  const { struct, size, align } = layout;
  return [
    'const _: () = {',
    `    assert!(core::mem::size_of::<${struct}>() == ${size}, "${struct} is not ${size} bytes");`,
    `    assert!(core::mem::align_of::<${struct}>() == ${align}, "${struct} is not ${align}-aligned");`,
    `    const fn bytes(of: ${struct}) -> [u8; ${size}] {`,
    `        // Sound: the padding is made of fields, so every byte is initialised.`,
    '        unsafe { core::mem::transmute(of) }',
    '    }',
    ...layout.fields.map((field) => {
      const claim = `filled(&bytes(${withOnes(layout, field)}), ${field.offset}, ${field.size})`;
      return `    assert!(\n        ${claim},\n        "${struct}.${field.path} is not at ${field.offset}"\n    );`;
    }),
    '};',
  ].join('\n');
}

/** The struct with one field full of ones, the rest zero. */
function withOnes(layout: StructLayout, field: Field): string {
  const [head = '', ...rest] = field.path.split('.');
  const nested = layout.members.find((member) => member.name === head)?.nested;
  const value = nested ? withOnes(nested, { ...field, path: rest.join('.') }) : '!0';
  return `${layout.struct} { ${escaped(head)}: ${value}, ..${layout.struct}::ZERO }`;
}

/** `in` is a word of the language. */
function escaped(name: string): string {
  return name === 'in' ? 'r#in' : name;
}
