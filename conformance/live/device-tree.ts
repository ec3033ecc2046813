// A device tree as QEMU wrote it, with a domain that Xen starts by itself put in (Xen's
// docs/misc/arm/device-tree/booting.txt, "Creating Multiple Domains directly from Xen").

/** The tokens of a flattened device tree (devicetree-specification 5.4.1). */
const token = { begin: 1, end: 2, property: 3, nop: 4, last: 9 } as const;
/** Words of its header. */
const header = { total: 1, struct: 2, strings: 3, stringsSize: 8, structSize: 9 } as const;

/** A domain without a first one. */
export interface StartedDomain {
  /** Xen's own command line. */
  readonly bootargs: string;
  /** Where its kernel lies in memory. */
  readonly address: number;
  readonly size: number;
  /** Its memory, in bytes. */
  readonly memory: number;
}

/** The tree with that domain. Throws a `RangeError` where it is no tree that has a /chosen. */
export function withDomain(tree: Buffer, { bootargs, address, size, memory }: StartedDomain): Buffer {
  const word = (i: keyof typeof header): number => tree.readUInt32BE(header[i] * 4);
  const struct = tree.subarray(word('struct'), word('struct') + word('structSize'));
  const names = tree.subarray(word('strings'), word('strings') + word('stringsSize'));
  const { from, to } = chosenIn(struct);
  const more = new Writer(names.length);
  const own = more.property('xen,xen-bootargs', text(bootargs));
  const domain = more.node('domU1', [
    more.property('compatible', text('xen,domain')),
    more.property('#address-cells', cells(2)),
    more.property('#size-cells', cells(2)),
    more.property('memory', cells(0, memory / 1024)),
    more.property('cpus', cells(1)),
    more.node(`module@${address.toString(16)}`, [
      more.property('compatible', Buffer.concat([text('multiboot,kernel'), text('multiboot,module')])),
      more.property('reg', cells(0, address, 0, size)),
      more.property('bootargs', text('x')),
    ]),
  ]);
  const structs = Buffer.concat([struct.subarray(0, from), own, struct.subarray(from, to), domain, struct.subarray(to)]);
  const strings = Buffer.concat([names, ...more.names]);
  const before = Buffer.from(tree.subarray(0, word('struct')));
  const made = Buffer.concat([before, structs, strings]);
  const put = (i: keyof typeof header, value: number): number => made.writeUInt32BE(value, header[i] * 4);
  put('total', made.length);
  put('strings', before.length + structs.length);
  put('structSize', structs.length);
  put('stringsSize', strings.length);
  return made;
}

/** Where the properties of /chosen begin, and where the node ends. */
function chosenIn(struct: Buffer): { readonly from: number; readonly to: number } {
  let depth = 0;
  let from: number | undefined;
  for (let at = 0; at + 4 <= struct.length; ) {
    const kind = struct.readUInt32BE(at);
    at += 4;
    if (kind === token.begin) {
      const end = struct.indexOf(0, at);
      if (end < 0) break;
      const name = struct.toString('latin1', at, end);
      at = padded(end + 1);
      if (++depth === 2 && name === 'chosen') from = at;
    } else if (kind === token.end) {
      if (from !== undefined && depth === 2) return { from, to: at - 4 };
      depth--;
    } else if (kind === token.property) at = padded(at + 8 + struct.readUInt32BE(at));
    else if (kind !== token.nop) break;
  }
  throw new RangeError('the device tree has no /chosen');
}

/** Writes nodes and properties, and keeps the names that go behind those that are there. */
class Writer {
  readonly names: Buffer[] = [];
  #end: number;

  constructor(end: number) {
    this.#end = end;
  }

  property(name: string, value: Buffer): Buffer {
    const at = this.#end;
    this.names.push(text(name));
    this.#end += name.length + 1;
    return Buffer.concat([cells(token.property, value.length, at), aligned(value)]);
  }

  node(name: string, parts: readonly Buffer[]): Buffer {
    return Buffer.concat([cells(token.begin), aligned(text(name)), ...parts, cells(token.end)]);
  }
}

function cells(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value, 4 * i);
  return bytes;
}

function text(value: string): Buffer {
  return Buffer.from(`${value}\0`, 'latin1');
}

function aligned(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(padded(bytes.length) - bytes.length)]);
}

function padded(length: number): number {
  return 4 * Math.ceil(length / 4);
}
