import type { StructLayout } from '../abi/layout.ts';
import { opsOf, originOf, slotsOf, warningOf, withNested } from './slots.ts';

/**
 * A C11 header, good for C++11 too: the structs with fixed-width words, explicit alignment and
 * padding, and an assertion on the size and alignment of each struct and on the offset and size of
 * each field. It stands on `<stddef.h>` and `<stdint.h>` alone.
 */
export function emitC(asked: readonly StructLayout[]): string {
  const layouts = withNested(asked);
  const guard = `XENMEM_${layouts[0]?.arch.toUpperCase()}_H`;
  return `/* ${originOf('c', asked)} */
#ifndef ${guard}
#define ${guard}

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define XENMEM_ALIGNED(bytes) alignas(bytes)
#define XENMEM_ALIGNMENT(type) alignof(type)
#define XENMEM_ASSERT(claim) static_assert(claim, #claim)
#else
#define XENMEM_ALIGNED(bytes) _Alignas(bytes)
#define XENMEM_ALIGNMENT(type) _Alignof(type)
#define XENMEM_ASSERT(claim) _Static_assert(claim, #claim)
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "these structs are little-endian"
#endif

${opLines(asked).join('\n')}

${layouts.map(structText).join('\n\n')}

${layouts.map(assertions).join('\n\n')}

#endif
`;
}

function opLines(asked: readonly StructLayout[]): string[] {
  const ops = opsOf(asked);
  const define = (name: string, nr: number): string => `#define ${`XENMEM_${name}`.padEnd(28)} ${nr}`;
  const proposed = ops.filter((op) => op.takenBy !== undefined);
  return [
    ...ops.filter((op) => op.takenBy === undefined).map((op) => define(op.name, op.nr)),
    ...(proposed.length > 0 ? ['/*', ...warningOf(ops).map((text) => ` * ${text}`), ' */'] : []),
    ...proposed.map((op) => `${define(op.name, op.nr)} /* proposed in 2013, never merged */`),
  ];
}

function structText(layout: StructLayout): string {
  const lines = slotsOf(layout).map(({ name, offset, size, member }) => {
    const where = `${String(offset).padStart(3)}`;
    if (!member) return `    ${`uint8_t ${name}[${size}];`.padEnd(52)} /* ${where} */`;
    const type = member.nested ? member.type : `uint${8 * size}_t`;
    const align = member.nested?.align ?? size;
    const note = member.nested ? '' : ` ${member.type}`;
    return `    ${`XENMEM_ALIGNED(${align}) ${type} ${name};`.padEnd(52)} /* ${where}${note} */`;
  });
  return [`struct ${layout.struct} {`, ...lines, '};'].join('\n');
}

function assertions(layout: StructLayout): string {
  const tag = `struct ${layout.struct}`;
  const claim = (what: string, bytes: number): string => `XENMEM_ASSERT(${what} == ${bytes});`;
  const part = (path: string, offset: number, size: number): string[] => [
    claim(`offsetof(${tag}, ${path})`, offset),
    claim(`sizeof(((${tag} *)0)->${path})`, size),
  ];
  return [
    claim(`sizeof(${tag})`, layout.size),
    claim(`XENMEM_ALIGNMENT(${tag})`, layout.align),
    ...slotsOf(layout)
      .filter((slot) => !slot.member || slot.member.nested)
      .flatMap((slot) => part(slot.name, slot.offset, slot.size)),
    ...layout.fields.flatMap((field) => part(field.path, field.offset, field.size)),
  ].join('\n');
}
