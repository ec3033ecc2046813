import type { Arch } from '../abi/arch.ts';
import { type Asserted, type AssertedStruct, assertOrigin, groupsOf } from './assertions.ts';

/** How a C compiler says what it compiles for. */
const macros: Readonly<Record<Arch, string>> = {
  arm32: 'defined(__arm__)',
  arm64: 'defined(__aarch64__)',
  x86_64: 'defined(__x86_64__)',
  x86_32: 'defined(__i386__)',
};

/**
 * Static assertions in C (C11, GNU C from gcc 4.6 on, C++11), and nothing else: to be included
 * after a header that declares the structs, whoever wrote it. They hold the size and alignment of
 * each struct and the offset and size of each field.
 */
export function emitCAssertions(asked: Asserted): string {
  const groups = groupsOf(asked);
  const conditions = groups.map(({ arches }) => arches.map((arch) => macros[arch]).join(' || '));
  return `/* ${assertOrigin('c', asked)}
 * Include it after the header that declares the structs. It defines no type, and needs no other header. */
#ifdef __cplusplus
#define XENMEM_ASSERT(claim, text) static_assert(claim, text)
#define XENMEM_ALIGNMENT(type) alignof(type)
#else
#define XENMEM_ASSERT(claim, text) __extension__ _Static_assert(claim, text)
#define XENMEM_ALIGNMENT(type) __alignof__(type)
#endif
${fieldMacro(asked)}
${groups
  .map(({ layouts }, i) => `#${i === 0 ? 'if' : 'elif'} ${conditions[i]}\n${layouts.map((layout) => assertions(layout, asked)).join('\n')}`)
  .join('\n')}
#else
#error "xenmem: the assertions are for ${groups.flatMap(({ arches }) => arches).join(', ')}"
#endif

#undef XENMEM_ASSERT
#undef XENMEM_ALIGNMENT
`;
}

/** Later headers of Xen call address_bits mem_flags: which, the version of its interface tells. */
function fieldMacro({ fields = new Map() }: Asserted): string {
  if (fields.has('address_bits')) return '';
  return `
/* Headers of Xen since 3.3 call address_bits mem_flags; others may define which. */
#ifndef XENMEM_ADDRESS_BITS
#if defined(__XEN_INTERFACE_VERSION__) && __XEN_INTERFACE_VERSION__ >= 0x00030209
#define XENMEM_ADDRESS_BITS mem_flags
#else
#define XENMEM_ADDRESS_BITS address_bits
#endif
#endif
`;
}

function assertions(layout: AssertedStruct, { names = new Map(), fields = new Map() }: Asserted): string {
  const { struct, size, align, parts } = layout;
  const type = names.get(struct) ?? `struct ${struct}`;
  const claim = (what: string, bytes: number, text: string): string =>
    `XENMEM_ASSERT(${what} == ${bytes},\n              "xenmem: ${text} is not ${bytes}");`;
  const named = (path: string): string =>
    path
      .split('.')
      .map((part) => fields.get(part) ?? (part === 'address_bits' ? 'XENMEM_ADDRESS_BITS' : part))
      .join('.');
  return [
    claim(`sizeof(${type})`, size, `the size of ${struct}`),
    claim(`XENMEM_ALIGNMENT(${type})`, align, `the alignment of ${struct}`),
    ...parts.flatMap(({ path, offset, size: bytes }) => [
      claim(`__builtin_offsetof(${type}, ${named(path)})`, offset, `the offset of ${path} in ${struct}`),
      claim(`sizeof(((${type} *)0)->${named(path)})`, bytes, `the size of ${path} in ${struct}`),
    ]),
  ]
    .join('\n')
    .replace(/^/, `\n/* ${struct} */\n`);
}
