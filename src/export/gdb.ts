import { isWord } from '../abi/arch.ts';
import { DOMID, domidName } from '../abi/constants.ts';
import { type Field, isEverMeant, type Layout, meantWhere, type Padding } from '../abi/layout.ts';
import { gdbChecks, gdbVariables, gdbWhere, isFilled, wordOf } from './gdb-checks.ts';
import { opsOf, originOf, warningOf } from './slots.ts';

/**
 * Commands of gdb that print a struct at an address and the duties that it breaks, as
 * `xenmem_get_dma_buf ADDR`. They need neither Python nor debug information.
 */
export function emitGdb(layouts: readonly Layout[]): string {
  const [first] = layouts;
  if (!first) return '';
  const head = [
    originOf('gdb', layouts),
    ...warningOf(opsOf(layouts)),
    `gdb -x xenmem.gdb, then: ${commandOf(first)} ADDR, an expression without spaces`,
  ];
  return `${head.map((text) => `# ${text}`).join('\n')}\n\n${domidCommand()}\n\n${layouts.map(command).join('\n\n')}\n`;
}

function domidCommand(): string {
  const ids = [...new Set(Object.values(DOMID))];
  return [
    'define xenmem_domid',
    `  printf "%u", $arg0`,
    ...ids.flatMap((id) => [`  if $arg0 == ${id}`, `    printf "  ${domidName(id)}"`, '  end']),
    '  printf "\\n"',
    'end',
    'document xenmem_domid',
    'Print a domid_t and its name.',
    'end',
  ].join('\n');
}

function command(layout: Layout): string {
  const name = commandOf(layout);
  const parts = [
    ...layout.fields.filter(isEverMeant).map((field) => ({ ...field, lines: fieldLines(field) })),
    ...layout.padding.map((gap) => ({ ...gap, lines: paddingLines(gap) })),
  ].sort((a, b) => a.offset - b.offset);
  const telling = new Set(parts.flatMap((part) => meantWhere(part).map(({ by }) => by)));
  return [
    `define ${name}`,
    '  set $xenmem_at = (unsigned long long) ($arg0)',
    `  printf "${layout.struct} at 0x%llx\\n", $xenmem_at`,
    ...gdbVariables(layout, (path) => telling.has(path), read),
    ...parts.flatMap(({ lines, within }) => gdbWhere(layout, within, lines, read)),
    ...gdbChecks(layout, read),
    'end',
    `document ${name}`,
    `Print the struct ${layout.struct} (${layout.arch}, ${layout.size} bytes) at an address, and the duties that it breaks: ${name} ADDR`,
    'end',
  ].join('\n');
}

function commandOf({ struct }: Layout): string {
  return struct.replace(/^xen_/, 'xenmem_');
}

/** No C type of the program at hand is used but those gdb has for every language and target. */
function read(type: string, offset: number): string {
  return `*(${type} *) ($xenmem_at + ${offset})`;
}

function fieldLines({ path, type, offset, size, count }: Field): string[] {
  const label = `  0x${offset.toString(16).padStart(2, '0')}  ${path.padEnd(16)}  `;
  if (type === 'domid_t')
    return [`  printf "${label}"`, `  set $xenmem_domid_now = ${read('unsigned short', offset)}`, `  xenmem_domid $xenmem_domid_now`];
  const values = Array.from({ length: count }, (_, i) => read(wordOf(size), offset + i * size));
  if (!isWord(type)) return [`  printf "${label}${values.map(() => '%u').join(' ')}\\n", ${values.join(', ')}`];
  const value = size === 8 ? read('unsigned long long', offset) : `(unsigned long long) ${read('unsigned int', offset)}`;
  return [`  printf "${label}${type.startsWith('XEN_GUEST_HANDLE') ? '0x%llx' : '%llu'}\\n", ${value}`];
}

function paddingLines({ offset, size }: Padding): string[] {
  const bytes = Array.from({ length: size }, (_, i) => read('unsigned char', offset + i));
  const label = `  0x${offset.toString(16).padStart(2, '0')}  ${'padding'.padEnd(16)}  `;
  return [
    `  if ${isFilled({ offset, size }, read)}`,
    `    printf "${label}${bytes.map(() => '%02x').join(' ')}\\n", ${bytes.join(', ')}`,
    '  end',
  ];
}
