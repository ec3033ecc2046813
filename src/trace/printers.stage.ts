/** Prints bytes as a tool prints them; `at` is the address or offset of the first. */
export type Printer = (bytes: Uint8Array, at: bigint) => string;

const hex = (value: number | bigint, digits: number): string => value.toString(16).padStart(digits, '0');
const visible = (byte: number): string => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.');
const characters = (bytes: Uint8Array): string => [...bytes].map(visible).join('');

function rowsOf(bytes: Uint8Array, size: number): { at: number; row: Uint8Array }[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => ({
    at: i * size,
    row: bytes.subarray(i * size, (i + 1) * size),
  }));
}

/** The words of a row, the last one of as many bytes as there are, as a number each. */
function wordsOf(row: Uint8Array, width: number): { value: bigint; bytes: number }[] {
  return rowsOf(row, width).map(({ row: word }) => ({
    value: word.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n),
    bytes: word.length,
  }));
}

const words = (row: Uint8Array, width: number, prefix = '', between = ' '): string =>
  wordsOf(row, width)
    .map(({ value, bytes }) => prefix + hex(value, 2 * bytes))
    .join(between);

const signed = (value: bigint, width: number): bigint => BigInt.asIntN(8 * width, value);

/** Rows of 16 bytes, or of `size`, each made by `print` from its offset and bytes. */
const byRow =
  (print: (at: bigint, row: Uint8Array, i: number) => string, size = 16): Printer =>
  (bytes, at) =>
    rowsOf(bytes, size)
      .map(({ at: offset, row }, i) => `${print(at + BigInt(offset), row, i)}\n`)
      .join('');

function xxd(columns: number, group: number, { upper = false, decimal = false, little = false } = {}): Printer {
  return byRow((at, row) => {
    const groups = rowsOf(row, group).map(({ row: part }) => {
      const digits = [...(little ? part.slice().reverse() : part)].map((byte) => hex(byte, 2)).join('');
      return little ? digits.padStart(2 * group) : digits;
    });
    const width = 2 * columns + Math.ceil(columns / group) - 1;
    const digits = groups.join(' ').padEnd(width);
    const offset = decimal ? at.toString().padStart(8, '0') : hex(at, 8);
    return `${offset}: ${upper ? digits.toUpperCase() : digits}  ${characters(row)}`;
  }, columns);
}

const hexdumpC: Printer = (bytes, at) =>
  `${byRow((offset, row) => {
    const cells = [...row].map((byte, i) => `${i === 8 ? ' ' : ''}${hex(byte, 2)}`).join(' ');
    return `${hex(offset, 8)}  ${cells.padEnd(48)}  |${characters(row)}|`;
  })(bytes, at)}${hex(at + BigInt(bytes.length), 8)}\n`;

/**
 * od and hexdump: an offset in a radix, cells of a width, and the last offset alone. `fill` puts
 * blanks in the place of what the last row lacks.
 */
function od(
  radix: number | undefined,
  width: number,
  print: (value: bigint) => string,
  { digits = 7, tail = false, fill = false } = {},
): Printer {
  const offset = (at: bigint): string => (radix === undefined ? '' : at.toString(radix).padStart(digits, '0'));
  return (bytes, at) => {
    const padded = new Uint8Array(Math.ceil(bytes.length / width) * width);
    padded.set(bytes);
    const rows = byRow((from, row) => {
      const cells = wordsOf(row, width).map(({ value }) => print(value));
      const text = cells.join('').padEnd(fill || tail ? (16 / width) * print(0n).length : 0);
      return `${offset(from)}${text}${tail ? `  >${characters(row)}<` : ''}`;
    })(padded, at);
    return radix === undefined ? rows : `${rows}${offset(at + BigInt(bytes.length))}\n`;
  };
}

const stamp = '[   12.345678] ';

function printHexDump(prefix: string, group: number, { ascii = true, offset = true, size = 16 } = {}): Printer {
  return (bytes) =>
    byRow((at, row) => {
      const cells = row.length % group === 0 ? words(row, group) : words(row, 1);
      const width = 2 * size + size / group;
      return `${prefix}${offset ? `${hex(at, 8)}: ` : ''}${ascii ? `${cells.padEnd(width)} ${characters(row)}` : cells}`;
    }, size)(bytes, 0n);
}

function debuggers(
  width: number,
  perRow: number,
  { symbol = false, sep = '\t', zero = '0x', cell = '0x', between = '\t', digits = 0 } = {},
): Printer {
  return byRow((at, row, i) => {
    const name = symbol ? ` <req${i === 0 ? '' : `+${i * width * perRow}`}>` : '';
    return `${zero}${hex(at, digits)}${name}:${sep}${words(row, width, cell, between)}`;
  }, width * perRow);
}

const md = (width: number, gap = 4): Printer =>
  byRow((at, row) => `${hex(at, 8)}: ${words(row, width).padEnd(32 + 16 / width - 1)}${' '.repeat(gap)}${characters(row)}`);

const crash = (width: number): Printer =>
  byRow((at, row) => `${hex(at, 16)}:  ${words(row, width).padEnd(32 + 16 / width - 1)}   ${characters(row)}`);

const escaped = (bytes: Uint8Array): string => [...bytes].map((byte) => `\\x${hex(byte, 2)}`).join('');

const python = (bytes: Uint8Array): string =>
  `b'${[...bytes].map((byte) => ({ 9: '\\t', 10: '\\n', 13: '\\r', 39: "\\'", 92: '\\\\' })[byte] ?? (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${hex(byte, 2)}`)).join('')}'`;

function intelHex(bytes: Uint8Array, at: bigint): string {
  const record = (type: number, address: number, data: Uint8Array): string => {
    const all = [data.length, address >> 8, address & 0xff, type, ...data];
    return `:${[...all, -all.reduce((sum, byte) => sum + byte, 0) & 0xff]
      .map((byte) => hex(byte, 2))
      .join('')
      .toUpperCase()}\n`;
  };
  const rows = rowsOf(bytes, 16).map(({ at: offset, row }) => record(0, (Number(at & 0xf000n) + offset) & 0xffff, row));
  return `${rows.join('')}:00000001FF\n`;
}

function srecords(bytes: Uint8Array, at: bigint): string {
  const record = (type: number, address: number, data: Uint8Array): string => {
    const all = [data.length + 5, ...[24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff), ...data];
    return `S${type}${[...all, ~all.reduce((sum, byte) => sum + byte, 0) & 0xff]
      .map((byte) => hex(byte, 2))
      .join('')
      .toUpperCase()}\n`;
  };
  const base = Number(at & 0xfffff000n);
  return `S00600004844521B\n${rowsOf(bytes, 16)
    .map(({ at: offset, row }) => record(3, base + offset, row))
    .join('')}S70500000000FA\n`;
}

const windbg = (at: bigint): string => `${hex(at >> 32n, 8)}\`${hex(at & 0xffffffffn, 8)}`;

/**
 * By kind, how the tool prints; each follows the tool's own format, and `printed.test.ts`
 * holds those of xxd, hexdump and od against the tool, where it is installed.
 */
export const printers: { readonly [kind: string]: Printer } = {
  xxd: xxd(16, 2),
  'xxd -g1': xxd(16, 1),
  'xxd -g4': xxd(16, 4),
  'xxd -g8': xxd(16, 8),
  'xxd -g3 -c12': xxd(12, 3),
  'xxd -g1 -c8 -u': xxd(8, 1, { upper: true }),
  'xxd -c32': xxd(32, 2),
  'xxd -g16': xxd(16, 16),
  'xxd -d': xxd(16, 2, { decimal: true }),
  'xxd -e': xxd(16, 4, { little: true }),
  'xxd -e -g2': xxd(16, 2, { little: true }),
  'xxd -e -g8': xxd(16, 8, { little: true }),
  'xxd -p': (bytes) =>
    rowsOf(bytes, 30)
      .map(({ row }) => `${words(row, 1, '', '')}\n`)
      .join(''),
  'hexdump -C': hexdumpC,
  hexdump: od(16, 2, (value) => ` ${hex(value, 4)}`, { fill: true }),
  'hexdump -x': od(16, 2, (value) => `    ${hex(value, 4)}`, { fill: true }),
  'hexdump -d': od(16, 2, (value) => `   ${value.toString().padStart(5, '0')}`, { fill: true }),
  'hexdump -o': od(16, 2, (value) => `  ${value.toString(8).padStart(6, '0')}`, { fill: true }),
  'hexdump -b': od(16, 1, (value) => ` ${value.toString(8).padStart(3, '0')}`, { fill: true }),
  od: od(8, 2, (value) => ` ${value.toString(8).padStart(6, '0')}`),
  'od -t x1': od(8, 1, (value) => ` ${hex(value, 2)}`),
  'od -t x1z': od(8, 1, (value) => ` ${hex(value, 2)}`, { tail: true }),
  'od -x': od(8, 2, (value) => ` ${hex(value, 4)}`),
  'od -t x4': od(8, 4, (value) => ` ${hex(value, 8)}`),
  'od -t x8z': od(8, 8, (value) => ` ${hex(value, 16)}`, { tail: true }),
  'od -Ax -t x1': od(16, 1, (value) => ` ${hex(value, 2)}`, { digits: 6 }),
  'od -Ax -t x8': od(16, 8, (value) => ` ${hex(value, 16)}`, { digits: 6 }),
  'od -Ad -t x4': od(10, 4, (value) => ` ${hex(value, 8)}`),
  'od -An -t x1': od(undefined, 1, (value) => ` ${hex(value, 2)}`),
  'od -An -t x8': od(undefined, 8, (value) => ` ${hex(value, 16)}`),
  'od -An -t x4': od(undefined, 4, (value) => ` ${hex(value, 8)}`),
  'od -t u1': od(8, 1, (value) => ` ${value.toString().padStart(3)}`),
  'od -t d1': od(8, 1, (value) => ` ${signed(value, 1).toString().padStart(4)}`),
  'od -t u4': od(8, 4, (value) => ` ${value.toString().padStart(10)}`),
  'od -t d8': od(8, 8, (value) => ` ${signed(value, 8).toString().padStart(20)}`),
  'od -Ad -t u8': od(10, 8, (value) => ` ${value.toString().padStart(20)}`),
  'od -b': od(8, 1, (value) => ` ${value.toString(8).padStart(3, '0')}`),
  'od -t o8': od(8, 8, (value) => ` ${value.toString(8).padStart(22, '0')}`),
  print_hex_dump: printHexDump(`${stamp}get: `, 1),
  'print_hex_dump, no characters': printHexDump(`${stamp}xen exchange: `, 1, { ascii: false }),
  'print_hex_dump, 4': printHexDump(`${stamp}get: `, 4, { ascii: false }),
  'print_hex_dump, 8': printHexDump(`${stamp}get: `, 8),
  'print_hex_dump, 2': printHexDump(`${stamp}get: `, 2),
  'print_hex_dump, 32 a row': printHexDump(`<6>${stamp}get: `, 1, { size: 32 }),
  'print_hex_dump, no prefix': printHexDump(stamp, 1),
  'print_hex_dump, dmesg -t': printHexDump('', 4, { ascii: false }),
  'print_hex_dump, no offset': printHexDump(`${stamp}get: `, 1, { offset: false }),
  'print_hex_dump, no offset, 8': printHexDump(`${stamp}get: `, 8, { offset: false }),
  'print_hex_dump, journal': printHexDump('Nov 28 02:10:00 host kernel: get: ', 1),
  '%*ph': (bytes) => `${stamp}balloon: reservation ${words(bytes, 1)}\n`,
  '%*phC': (bytes) => `${stamp}balloon: reservation ${words(bytes, 1, '', ':')}\n`,
  '%*phD': (bytes) => `${stamp}balloon: reservation ${words(bytes, 1, '', '-')}\n`,
  '%*phN': (bytes) => `${stamp}balloon: reservation ${words(bytes, 1, '', '')}\n`,
  'gdb x/xb': debuggers(1, 8),
  'gdb x/xh': debuggers(2, 8, { symbol: true }),
  'gdb x/xw': debuggers(4, 4),
  'gdb x/xg': debuggers(8, 2, { symbol: true }),
  'gdb x/dg': byRow(
    (at, row) =>
      `0x${hex(at, 1)}:\t${wordsOf(row, 8)
        .map(({ value }) => signed(value, 8))
        .join('\t')}`,
  ),
  'gdb x/uw': byRow(
    (at, row) =>
      `0x${hex(at, 1)} <req>:\t${wordsOf(row, 4)
        .map(({ value }) => value)
        .join('\t')}`,
  ),
  'gdb x/tb': byRow((at, row) => `0x${hex(at, 1)}:\t${[...row].map((byte) => byte.toString(2).padStart(8, '0')).join('\t')}`, 8),
  'lldb memory read': byRow((at, row) => `0x${hex(at, 8)}: ${words(row, 1).padEnd(47)}  ${characters(row)}`),
  'lldb x/gx': debuggers(8, 2, { sep: ' ', between: ' ', digits: 8 }),
  'QEMU xp/gx': debuggers(8, 2, { zero: '', sep: ' ', between: ' ', digits: 16 }),
  'QEMU xp/wx': debuggers(4, 4, { zero: '', sep: ' ', between: ' ', digits: 16 }),
  'QEMU xp/bx': debuggers(1, 8, { zero: '', sep: ' ', between: ' ', digits: 16 }),
  'crash rd -8': crash(1),
  'crash rd -16': crash(2),
  'crash rd -32': crash(4),
  'crash rd -64': crash(8),
  'U-Boot md.b': md(1),
  'U-Boot md.w': md(2),
  'U-Boot md.l': md(4),
  'U-Boot md.q': md(8),
  'OpenOCD mdb': debuggers(1, 32, { sep: ' ', cell: '', between: ' ', digits: 8 }),
  'OpenOCD mdh': debuggers(2, 16, { sep: ' ', cell: '', between: ' ', digits: 8 }),
  'OpenOCD mdw': debuggers(4, 8, { sep: ' ', cell: '', between: ' ', digits: 8 }),
  'OpenOCD mdd': debuggers(8, 4, { sep: ' ', cell: '', between: ' ', digits: 8 }),
  'J-Link mem32': byRow((at, row) => `${hex(at, 8)} = ${words(row, 4).toUpperCase()} `),
  'pwndbg hexdump': byRow(
    (at, row) =>
      `+${hex(at & 0xfffn, 4)} 0x${hex(at, 12)}  ${rowsOf(row, 4)
        .map(({ row: part }) => words(part, 1))
        .join('  ')}  │${rowsOf(row, 4)
        .map(({ row: part }) => characters(part))
        .join('│')}│`,
  ),
  'radare2 px': (bytes, at) =>
    `- offset -   0 1  2 3  4 5  6 7  8 9  A B  C D  E F  0123456789ABCDEF\n${byRow(
      (from, row) =>
        `0x${hex(from, 8)}  ${rowsOf(row, 2)
          .map(({ row: part }) => words(part, 1, '', ''))
          .join(' ')
          .padEnd(39)}  ${characters(row)}`,
    )(bytes, at)}`,
  'radare2 pxq': byRow((at, row) => `0x${hex(at, 8)}  ${words(row, 8, '0x', '  ')}   ${characters(row)}`),
  'WinDbg db': byRow(
    (at, row) =>
      `${windbg(at)}  ${[...row]
        .map((byte, i) => `${i === 0 ? '' : i === 8 ? '-' : ' '}${hex(byte, 2)}`)
        .join('')
        .padEnd(47)}  ${characters(row)}`,
  ),
  'WinDbg dd': byRow((at, row) => `${windbg(at)}  ${words(row, 4)}`),
  'WinDbg dq': byRow(
    (at, row) =>
      `${windbg(at)}  ${wordsOf(row, 8)
        .map(({ value, bytes }) => (bytes === 8 ? windbg(value) : hex(value, 2 * bytes)))
        .join(' ')}`,
  ),
  hexyl: (bytes) =>
    `┌────────┬─────────────────────────┬─────────────────────────┬────────┬────────┐\n${byRow((at, row) => {
      const half = (from: number): string => ` ${words(row.subarray(from, from + 8), 1).padEnd(23)} `;
      const text = (from: number): string =>
        [...row.subarray(from, from + 8)]
          .map((b) => (b === 0 ? '⋄' : b >= 0x80 ? '×' : b > 0x20 && b < 0x7f ? String.fromCharCode(b) : b === 0x20 ? ' ' : '•'))
          .join('')
          .padEnd(8);
      return `│${hex(at, 8)}│${half(0)}┊${half(8)}│${text(0)}┊${text(8)}│`;
    })(bytes, 0n)}└────────┴─────────────────────────┴─────────────────────────┴────────┴────────┘\n`,
  'Zephyr shell': byRow(
    (at, row) =>
      `${hex(at, 8)}: ${[...row]
        .map((byte, i) => `${hex(byte, 2)} ${i === 7 ? ' ' : ''}`)
        .join('')
        .padEnd(49)}|${characters(row.subarray(0, 8))} ${characters(row.subarray(8)).padEnd(8)}|`,
  ),
  'Zephyr log': (bytes) =>
    `[00:00:00.012,000] <inf> app: get\n${byRow(
      (_, row) =>
        `${' '.repeat(30)}${[...row]
          .map((byte, i) => `${hex(byte, 2)} ${i === 7 ? ' ' : ''}`)
          .join('')
          .padEnd(49)}|${characters(row.subarray(0, 8))} ${characters(row.subarray(8)).padEnd(8)}`,
    )(bytes, 0n)}`,
  'tcpdump -x': byRow(
    (at, row) =>
      `\t0x${hex(at & 0xffn, 4)}:  ${rowsOf(row, 2)
        .map(({ row: part }) => words(part, 1, '', ''))
        .join(' ')}`,
  ),
  'tshark -x': (bytes) => byRow((at, row) => `${hex(at, 4)}  ${words(row, 1).padEnd(47)}   ${characters(row)}`)(bytes, 0n),
  'hex stream': (bytes) => `${words(bytes, 1, '', '')}\n`,
  "bytes.hex(' ')": (bytes) => `${words(bytes, 1)}\n`,
  'C array': (bytes) => `unsigned char req[] = {\n  ${[...bytes].map((byte) => `0x${hex(byte, 2)}`).join(', ')}\n};\n`,
  'C array of u64': (bytes) =>
    `uint64_t req[] = { ${wordsOf(bytes, 4)
      .map(({ value }) => `0x${value.toString(16)}`)
      .join(', ')} };\n`.replace('uint64_t', 'uint32_t'),
  'Rust {:?}': (bytes) => `[${[...bytes].join(', ')}]\n`,
  'Rust {:02x?}': (bytes) => `[${[...bytes].map((byte) => hex(byte, 2)).join(', ')}]\n`,
  'Rust {:#04x?}': (bytes) => `[\n${[...bytes].map((byte) => `    0x${hex(byte, 2)},\n`).join('')}]\n`,
  'Go %v': (bytes) => `[${[...bytes].join(' ')}]\n`,
  'Go %#v': (bytes) => `[]byte{${[...bytes].map((byte) => `0x${byte.toString(16)}`).join(', ')}}\n`,
  'Node Buffer': (bytes) => `<Buffer ${words(bytes.subarray(0, 72), 1)}>\n`,
  'JSON of a Buffer': (bytes) => `${JSON.stringify({ type: 'Buffer', data: [...bytes] })}\n`,
  'Python bytes': (bytes) => `${python(bytes)}\n`,
  'escapes in quotes': (bytes) => `"${escaped(bytes)}"\n`,
  escapes: (bytes) => `${escaped(bytes)}\n`,
  base64: (bytes) =>
    `${(
      Buffer.from(bytes)
        .toString('base64')
        .match(/.{1,76}/g) ?? []
    ).join('\n')}\n`,
  'Intel HEX': intelHex,
  'S-records': srecords,
};
