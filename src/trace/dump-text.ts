import { toHex } from '../codec/hex.ts';
import { latin1 } from './row.ts';

const perLine = 16;
const perLineC = 12;

/** Bytes as `xxd` prints them, from offset 0 on. */
export function xxdText(bytes: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += perLine) {
    const row = bytes.subarray(at, at + perLine);
    const groups = (toHex(row).match(/.{1,4}/g) ?? []).join(' ');
    const seen = latin1(row.map((byte) => (byte >= 0x20 && byte < 0x7f ? byte : 0x2e)));
    lines.push(`${at.toString(16).padStart(8, '0')}: ${groups.padEnd((perLine / 2) * 5 - 1)}  ${seen}\n`);
  }
  return lines.join('');
}

/** Bytes as `xxd -i` prints them: an array of C with this name, and its length. */
export function cText(name: string, bytes: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += perLineC) {
    lines.push(`  ${Array.from(bytes.subarray(at, at + perLineC), (byte) => `0x${byte.toString(16).padStart(2, '0')}`).join(', ')}`);
  }
  return `unsigned char ${name}[] = {\n${lines.join(',\n')}\n};\nunsigned int ${name}_len = ${bytes.length};\n`;
}
