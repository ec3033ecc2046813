/**
 * Undoes, in place, what was done to machine code before it was packed: targets of calls had been
 * made absolute, so that calls of one function look alike.
 */
export type Filter = (code: Uint8Array) => void;

/** The filters by their ids in an xz file. */
export const filters: { readonly [id: number]: Filter | undefined } = { 4: x86, 7: arm, 8: thumb, 10: arm64 };

/** The most significant byte of a target that was converted, or is none. */
const isEnd = (byte: number | undefined): boolean => byte === 0 || byte === 0xff;
const allowed = [true, true, true, false, true, false, false, false];
const bitsOf = [0, 1, 2, 2, 3, 3, 3, 3];

/** CALL and JMP with 32 bits; bytes of a target may look like one themselves, which a mask remembers. */
function x86(code: Uint8Array): void {
  const view = new DataView(code.buffer, code.byteOffset, code.byteLength);
  let [before, mask] = [-1, 0];
  for (let i = 0; i < code.length - 4; i++) {
    if (((code[i] ?? 0) & 0xfe) !== 0xe8) continue;
    const steps = i - before;
    before = i;
    mask = steps > 3 ? 0 : (mask << (steps - 1)) & 7;
    if (mask !== 0 && (!allowed[mask] || isEnd(code[i + 4 - (bitsOf[mask] ?? 0)]))) {
      mask = (mask << 1) | 1;
      continue;
    }
    if (!isEnd(code[i + 4])) {
      mask = (mask << 1) | 1;
      continue;
    }
    let from = view.getUint32(i + 1, true);
    let target = 0;
    for (;;) {
      target = (from - (i + 5)) >>> 0;
      if (mask === 0) break;
      const bits = 8 * (bitsOf[mask] ?? 0);
      if (!isEnd((target >>> (24 - bits)) & 0xff)) break;
      from = (target ^ (2 ** (32 - bits) - 1)) >>> 0;
    }
    view.setInt32(i + 1, (target << 7) >> 7, true);
    i += 4;
  }
}

/** BL. */
function arm(code: Uint8Array): void {
  for (let i = 0; i + 4 <= code.length; i += 4) {
    if (code[i + 3] !== 0xeb) continue;
    const target = (code[i] ?? 0) | ((code[i + 1] ?? 0) << 8) | ((code[i + 2] ?? 0) << 16);
    const made = target - ((i + 8) >>> 2);
    for (let k = 0; k < 3; k++) code[i + k] = made >>> (8 * k);
  }
}

/** BL, in two halves. */
function thumb(code: Uint8Array): void {
  for (let i = 0; i + 4 <= code.length; i += 2) {
    const [a = 0, b = 0, c = 0, d = 0] = code.subarray(i, i + 4);
    if ((b & 0xf8) !== 0xf0 || (d & 0xf8) !== 0xf8) continue;
    const target = ((b & 7) << 19) | (a << 11) | ((d & 7) << 8) | c;
    const made = target - ((i + 4) >>> 1);
    code.set([made >>> 11, 0xf0 | ((made >>> 19) & 7), made, 0xf8 | ((made >>> 8) & 7)], i);
    i += 2;
  }
}

/** BL, and ADRP within 512 MiB. */
function arm64(code: Uint8Array): void {
  const view = new DataView(code.buffer, code.byteOffset, code.byteLength);
  for (let i = 0; i + 4 <= code.length; i += 4) {
    const word = view.getUint32(i, true);
    if (word >>> 26 === 0x25) {
      view.setUint32(i, 0x94000000 | ((word - (i >>> 2)) & 0x3ffffff), true);
    } else if ((word & 0x9f000000) >>> 0 === 0x90000000) {
      const page = ((word >>> 29) & 3) | ((word >>> 3) & 0x1ffffc);
      if (((page + 0x20000) & 0x1c0000) !== 0) continue;
      const made = page - (i >>> 12);
      const high = (made & 0x20000) !== 0 ? 0xe00000 : 0;
      view.setUint32(i, ((word & 0x9000001f) | ((made & 3) << 29) | ((made & 0x3fffc) << 3) | high) >>> 0, true);
    }
  }
}
