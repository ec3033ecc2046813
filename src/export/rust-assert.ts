import type { Arch } from '../abi/arch.ts';
import { type Asserted, type AssertedStruct, assertOrigin, groupsOf } from './assertions.ts';
import { escaped } from './rust.ts';

/** How Rust calls the architectures. */
const targets: Readonly<Record<Arch, string>> = { arm32: 'arm', arm64: 'aarch64', x86_64: 'x86_64', x86_32: 'x86' };

/**
 * Assertions in Rust (1.77, on `core` alone), and nothing else: to be included, as with `include!`,
 * where the types of a crate are in scope. They hold the size and alignment of each struct and the
 * offset and size of each of its fields; what a field nests is held by the assertions on the nested
 * struct.
 */
export function emitRustAssertions(asked: Asserted): string {
  const groups = groupsOf(asked);
  const all = groups.flatMap(({ arches }) => arches);
  return `// ${assertOrigin('rust', asked)}
// Include it where the types are in scope: include!("FILE"); it wants Rust 1.77, for offset_of!.
${groups.map(({ arches, layouts }) => group(arches, layouts, asked)).join('\n')}
#[cfg(not(${condition(all)}))]
compile_error!("xenmem: the assertions are for ${all.join(', ')}");
`;
}

function condition(arches: readonly Arch[]): string {
  return `any(${arches.map((arch) => `target_arch = "${targets[arch]}"`).join(', ')})`;
}

function group(arches: readonly Arch[], layouts: readonly AssertedStruct[], asked: Asserted): string {
  return `#[cfg(${condition(arches)})]
const _: () = {
    const fn size_of_field<T, F>(_: fn(*const T) -> *const F) -> usize {
        core::mem::size_of::<F>()
    }
${layouts.flatMap((layout) => assertions(layout, asked)).join('\n')}
};`;
}

function assertions({ struct, size, align, members }: AssertedStruct, { names = new Map(), fields = new Map() }: Asserted): string[] {
  const type = names.get(struct) ?? struct;
  const claim = (what: string, bytes: number, text: string): string =>
    `    const _: () = assert!(\n        ${what} == ${bytes},\n        "xenmem: ${text} is not ${bytes}"\n    );`;
  const named = (name: string): string => fields.get(name) ?? escaped(name);
  return [
    claim(`core::mem::size_of::<${type}>()`, size, `the size of ${struct}`),
    claim(`core::mem::align_of::<${type}>()`, align, `the alignment of ${struct}`),
    ...members.flatMap(({ path: name, offset, size: bytes }) => [
      claim(`core::mem::offset_of!(${type}, ${named(name)})`, offset, `the offset of ${name} in ${struct}`),
      claim(
        `size_of_field(|s: *const ${type}| unsafe { core::ptr::addr_of!((*s).${named(name)}) })`,
        bytes,
        `the size of ${name} in ${struct}`,
      ),
    ]),
  ];
}
