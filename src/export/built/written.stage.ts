/**
 * A type to be written: `last` is its size or the type it leads to, `list` the 32-bit words that
 * follow.
 */
export interface Written {
  readonly kind: number;
  readonly name?: string;
  readonly last?: number;
  readonly count?: number;
  readonly list?: readonly (number | string)[];
}

/** A BTF blob of these types, numbered from 1; strings in a list become offsets of names. */
export function blob(types: readonly Written[]): Uint8Array {
  let strings = '\0';
  const nameAt = (name: string): number => {
    if (name === '') return 0;
    const found = strings.indexOf(`\0${name}\0`);
    if (found >= 0) return found + 1;
    strings += `${name}\0`;
    return strings.length - 1 - name.length;
  };
  const words = types.flatMap(({ kind, name = '', last = 0, count = 0, list = [] }) => [
    nameAt(name),
    ((kind << 24) | count) >>> 0,
    last,
    ...list.map((word) => (typeof word === 'string' ? nameAt(word) : word)),
  ]);
  const made = new Uint8Array(24 + 4 * words.length + strings.length);
  const view = new DataView(made.buffer);
  const header = [0x0001eb9f, 24, 0, 4 * words.length, 4 * words.length, strings.length];
  for (const [i, word] of [...header, ...words].entries()) view.setUint32(4 * i, word, true);
  for (let i = 0; i < strings.length; i++) made[24 + 4 * words.length + i] = strings.charCodeAt(i);
  return made;
}

const struct = (name: string, size: number, members: readonly (readonly [string, number, number])[]): Written => ({
  kind: 4,
  name,
  last: size,
  count: members.length,
  list: members.flatMap(([member, type, offset]) => [member, type, 8 * offset]),
});
const int = (name: string, size: number): Written => ({ kind: 1, name, last: size, list: [8 * size] });
const typedef = (name: string, to: number): Written => ({ kind: 8, name, last: to });

/** How a kernel's types differ from what they should be. */
export interface Changes {
  /** Bytes of `unsigned long`; 8 by default. */
  readonly long?: number;
  /** The type of `extent_start`: 10 wraps the pointer, 7 is the plain one. */
  readonly handle?: number;
  readonly domidAt?: number;
  readonly addressBits?: string;
  readonly extra?: readonly [string, number, number];
  readonly put?: false;
}

/** The types of a kernel that has the structs, as gcc and pahole make them on Arm. */
export function kernelTypes({ long = 8, handle = 10, domidAt = 24, addressBits = 'address_bits', extra, put }: Changes = {}): Written[] {
  return [
    int('long unsigned int', long),
    int('unsigned int', 4),
    int('short unsigned int', 2),
    int('long long unsigned int', 8),
    typedef('domid_t', 3),
    typedef('xen_pfn_t', 4),
    { kind: 2, last: 6 },
    { kind: 5, last: 8, count: 2, list: ['p', 7, 0, 'q', 4, 0] },
    struct('', 8, [['', 8, 0]]),
    typedef('__guest_handle_xen_pfn_t', 9),
    typedef('xen_ulong_t', 4),
    struct('xen_memory_reservation', 32, [
      ['extent_start', handle, 0],
      ['nr_extents', 11, 8],
      ['extent_order', 2, 16],
      [addressBits, 2, 20],
      ['domid', 5, domidAt],
      ...(extra ? [extra] : []),
    ]),
    struct('xen_get_dma_buf', 72, [
      ['in', 12, 0],
      ['out', 12, 32],
      ['nr_exchanged', 11, 64],
    ]),
    ...(put === false ? [] : [struct('xen_put_dma_buf', 32, [['in', 12, 0]])]),
  ];
}

/** An ELF of 32 or 64 bits whose only section but the names is `.BTF`. */
export function elf(btf: Uint8Array, bits: 32 | 64, machine: number): Uint8Array {
  const wide = bits === 64;
  const [header, entry] = wide ? [64, 64] : [52, 40];
  const names = '\0.BTF\0.shstrtab\0';
  const namesAt = header + btf.length;
  const table = Math.ceil((namesAt + names.length) / 8) * 8;
  const made = new Uint8Array(table + 3 * entry);
  const view = new DataView(made.buffer);
  const word = (at: number, value: number): void => (wide ? view.setBigUint64(at, BigInt(value), true) : view.setUint32(at, value, true));
  made.set([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, 1, 1]);
  view.setUint16(0x12, machine, true);
  word(wide ? 0x28 : 0x20, table);
  for (const [i, value] of [entry, 3, 2].entries()) view.setUint16((wide ? 0x3a : 0x2e) + 2 * i, value, true);
  made.set(btf, header);
  for (let i = 0; i < names.length; i++) made[namesAt + i] = names.charCodeAt(i);
  for (const [i, [name, offset, size]] of (
    [
      [1, header, btf.length],
      [6, namesAt, names.length],
    ] as const
  ).entries()) {
    const at = table + (i + 1) * entry;
    view.setUint32(at, name, true);
    view.setUint32(at + 4, 1, true);
    word(at + (wide ? 24 : 16), offset);
    word(at + (wide ? 32 : 20), size);
  }
  return made;
}
