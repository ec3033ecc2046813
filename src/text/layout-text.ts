import { type Field, type Layout, meantWhere, type StructLayout } from '../abi/layout.ts';

/** Where the offset column starts. */
const column = 58;

/**
 * A struct as pahole prints it: C syntax, offset and size in columns, holes and padding said out
 * loud.
 */
export function layoutText(layout: StructLayout): string[] {
  const lines = [`struct ${layout.struct} {${' '.repeat(Math.max(1, column - 9 - layout.struct.length))}/* offset  size */`];
  membersText(layout, 0, 1, lines);
  lines.push('');
  lines.push(`    /* size: ${layout.size}, align: ${layout.align}, members: ${layout.members.length} */`);
  const padding = layout.padding.reduce((sum, gap) => sum + gap.size, 0);
  if (padding > 0) lines.push(`    /* paddings: ${layout.padding.length}, sum paddings: ${padding} */`);
  lines.push(`};  /* ${layout.arch} */`);
  return lines;
}

/** The C type of a field, the length of an array included. */
export function typeText({ type, count }: Field): string {
  return count === 1 ? type : `${type}[${count}]`;
}

/**
 * The layout as one JSON value: size, alignment, fields by path, padding; of a field in a union
 * what must be so for it to be meant. Sizes and offsets in bytes.
 */
export function layoutJson(layout: Layout): object {
  return {
    struct: layout.struct,
    arch: layout.arch,
    size: layout.size,
    align: layout.align,
    fields: layout.fields.map((field) => {
      const { path, offset, size, count } = field;
      const when = meantWhere(field).filter((one) => !('isNot' in one) || one.isNot.length > 0);
      return { path, type: typeText(field), offset, size: size * count, ...(when.length > 0 && { when }) };
    }),
    padding: layout.padding.map(({ path, owner, offset, size }) => ({ path, owner, offset, size })),
  };
}

function membersText(layout: StructLayout, base: number, depth: number, lines: string[]): void {
  const indent = '    '.repeat(depth);
  const columns = (offset: number, size: number): string => `/* ${String(offset).padStart(6)} ${String(size).padStart(5)} */`;
  let end = base;
  for (const member of layout.members) {
    const offset = base + member.offset;
    if (member.nested) {
      lines.push(`${indent}${member.type} {`);
      membersText(member.nested, offset, depth + 1, lines);
      lines.push(`${`${indent}} ${member.name};`.padEnd(column)}${columns(offset, member.size)}`);
    } else {
      lines.push(`${`${indent}${member.type.padEnd(26)} ${member.name};`.padEnd(column)}${columns(offset, member.size)}`);
    }
    end = offset + member.size;
  }
  const tail = base + layout.size - end;
  if (tail > 0) lines.push('', `${indent}/* XXX ${tail} bytes padding, ${end}..${base + layout.size - 1} */`, '');
}
