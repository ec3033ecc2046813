const blank = 16;

/** By character code: a hex digit's value, `blank` for a space, or something larger. */
const kinds: Uint8Array = Uint8Array.from({ length: 256 }, (_, code) => {
  if (code === 0x20) return blank;
  const digit = '0123456789abcdef'.indexOf(String.fromCharCode(code).toLowerCase());
  return digit < 0 ? 255 : digit;
});

/**
 * The bytes of a full and common row, `0000: 00 00  ..` or `0000  00 00  |..|`, many times as fast
 * as by the grammar, which has the say about every other (`undefined`). `full` is how many bytes a
 * full row has; `checked` compares the characters with them.
 */
export function quickRow(
  line: Uint8Array,
  colon: boolean,
  full: number,
  checked: boolean,
): { offset: number; bytes: Uint8Array } | undefined {
  let at = 0;
  let offset = 0;
  for (let kind = kinds[line[at] ?? 0] ?? 255; kind < blank; kind = kinds[line[++at] ?? 0] ?? 255) offset = offset * 16 + kind;
  if (at < 7 || at > 13) return undefined;
  if (colon ? line[at++] !== 0x3a : line[at] !== 0x20 || line[at + 1] !== 0x20) return undefined;
  const bytes = new Uint8Array(full);
  let count = 0;
  for (let spaces = 0; at < line.length; ) {
    const high = kinds[line[at] as number] as number;
    if (high === blank) {
      spaces++;
      at++;
      continue;
    }
    if (count === full) {
      if (colon ? spaces !== 2 || line.length - at !== full : line[at] !== 0x7c) return undefined;
      return !checked || shows(line, at, bytes) ? { offset, bytes } : undefined;
    }
    const low = kinds[line[at + 1] ?? 0] as number;
    if (high > blank || low >= blank || (colon && spaces > 1)) return undefined;
    bytes[count++] = (high << 4) | low;
    spaces = 0;
    at += 2;
  }
  return undefined;
}

function shows(line: Uint8Array, from: number, bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    if (line[from + i] !== (byte < 0x20 || byte > 0x7e ? 0x2e : byte)) return false;
  }
  return true;
}
