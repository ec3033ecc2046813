import type { Layout } from '../abi/layout.ts';
import { eachMember, isLowered, opsOf, originOf, type Slot, slotsIn, slotsOf, warningOf, withNested } from './slots.ts';

/**
 * A C11 header, good for C++11 too: the structs with fixed-width words, explicit alignment and
 * padding, and an assertion on the size and alignment of each struct and on the offset and size of
 * each field. It stands on `<stddef.h>` and `<stdint.h>` alone.
 */
export function emitC(asked: readonly Layout[]): string {
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
${loweredMacro(layouts)}
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "these structs are little-endian"
#endif

${opLines(asked).join('\n')}

${layouts.map(structText).join('\n\n')}

${layouts.map(assertions).join('\n\n')}

#endif
`;
}

function opLines(asked: readonly Layout[]): string[] {
  const ops = opsOf(asked);
  const define = (name: string, nr: number): string => `#define ${`XENMEM_${name}`.padEnd(28)} ${nr}`;
  const proposed = ops.filter((op) => op.takenBy !== undefined);
  return [
    ...ops.filter((op) => op.takenBy === undefined).map((op) => define(op.name, op.nr)),
    ...(proposed.length > 0 ? ['/*', ...warningOf(ops).map((text) => ` * ${text}`), ' */'] : []),
    ...proposed.map((op) => `${define(op.name, op.nr)} /* proposed in 2013, never merged */`),
  ];
}

function structText(layout: Layout): string {
  return [`struct ${layout.struct} {`, ...slotsOf(layout).flatMap((slot) => slotText(slot, 0, 1)), '};'].join('\n');
}

function slotText({ name, offset, size, member }: Slot, base: number, depth: number): string[] {
  const indent = '    '.repeat(depth);
  const row = (text: string, note = ''): string => `${`${indent}${text}`.padEnd(56)} /* ${String(base + offset).padStart(3)}${note} */`;
  if (!member) return [row(`uint8_t ${name}[${size}];`)];
  const { type, align, count, nested } = member;
  if (nested) return [row(`XENMEM_ALIGNED(${align}) ${type} ${name};`)];
  if (member.parts) {
    return [`${indent}${type} {`, ...slotsIn(member).flatMap((slot) => slotText(slot, base + offset, depth + 1)), row(`} ${name};`)];
  }
  const placed = `XENMEM_${isLowered(member) ? 'LOWERED' : 'ALIGNED'}(${align})`;
  return [row(`${placed} uint${(8 * size) / count}_t ${name}${count > 1 ? `[${count}]` : ''};`, ` ${type}`)];
}

/** GNU C alone can say that a word is less aligned than its size: where one is, the macro for it. */
function loweredMacro(layouts: readonly Layout[]): string {
  const isAny = layouts.some(({ members }) => eachMember(members).some(isLowered));
  return isAny ? '\n#define XENMEM_LOWERED(bytes) __attribute__((packed, aligned(bytes)))\n' : '';
}

function assertions(layout: Layout): string {
  const tag = `struct ${layout.struct}`;
  const claim = (what: string, bytes: number): string => `XENMEM_ASSERT(${what} == ${bytes});`;
  const part = (path: string, offset: number, size: number): string[] => [
    claim(`offsetof(${tag}, ${path})`, offset),
    claim(`sizeof(((${tag} *)0)->${path})`, size),
  ];
  const wholes = (slots: readonly Slot[], path: string, base: number): string[] =>
    slots.flatMap((slot) => {
      const own = part(`${path}${slot.name}`, base + slot.offset, slot.size);
      if (slot.member?.parts) return [...own, ...wholes(slotsIn(slot.member), `${path}${slot.name}.`, base + slot.offset)];
      return slot.member && !slot.member.nested ? [] : own;
    });
  return [
    claim(`sizeof(${tag})`, layout.size),
    claim(`XENMEM_ALIGNMENT(${tag})`, layout.align),
    ...wholes(slotsOf(layout), '', 0),
    ...layout.fields.flatMap(({ path, offset, size, count }) => part(path, offset, size * count)),
  ].join('\n');
}
