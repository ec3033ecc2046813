import type { BufferItem } from './buffers.ts';
import { InputError } from './input-error.ts';
import type { StructsItem } from './items.ts';
import { block, byteOrderMagic, packetFormat, pcapMagic, viewOf } from './packet-format.ts';
import { quoted } from './quoted.ts';
import type { Reader } from './reader.ts';

/**
 * Link types (tcpdump.org/linktypes.html): a packet that names its dissector, and the first that is
 * free for private use.
 */
const linkType = { WIRESHARK_UPPER_PDU: 252, USER0: 147 } as const;

/**
 * Tags before the bytes of an upper PDU (Wireshark, epan/exported_pdu.h): 16-bit type and length,
 * big-endian.
 */
const tag = { end: 0, dissector: 12 } as const;

const others: { readonly [type: number]: string } = { 1: 'Ethernet', 101: 'raw IP', 113: 'Linux cooked', 127: '802.11', 220: 'USB' };

/** Names that the dissectors of `layout --emit lua` go by where the length tells the struct. */
const anyStruct = 'xenmem';

const mostBytes = 1 << 20;

/** Bytes of structs that are given in a row at most. */
const mostInRow = 1 << 18;

/**
 * The structs in a capture of packets, one each; `structSize` cuts a packet that holds an array.
 * `inRows`: those of like packets come together. Throws `InputError` for packets that are something
 * else, by the name of what they are, and at the place where the file ends too early.
 */
async function* packetBuffers(
  source: AsyncIterable<Uint8Array>,
  structSize: number | undefined,
  inRows: boolean,
): AsyncGenerator<BufferItem | StructsItem> {
  let offset = 0;
  let packets = 0;
  let last: (Content & Head) | undefined;
  const row = { bytes: new Uint8Array(inRows ? mostInRow : 0), length: 0, size: 0, struct: undefined as string | undefined, offset: 0 };
  const taken = function* (): Generator<StructsItem> {
    if (row.length > 0)
      yield { kind: 'structs', bytes: row.bytes.slice(0, row.length), size: row.size, offset: row.offset, struct: row.struct };
    row.length = 0;
  };
  try {
    for await (const all of packetsOf(source)) {
      for (const { type, bytes } of all) {
        packets++;
        if (!last || !isLike(last, type, bytes)) {
          const content = contentOf(type, bytes, packets);
          last = { ...content, type, head: bytes.slice(0, content.from) };
        }
        const { struct, from } = last;
        const data = bytes.subarray(from);
        const size = structSize ?? data.length;
        if (inRows && size > 0 && data.length > 0 && data.length % size === 0 && data.length <= mostInRow) {
          if (size !== row.size || struct !== row.struct || row.length + data.length > mostInRow) yield* taken();
          if (row.length === 0) [row.size, row.struct, row.offset] = [size, struct, offset];
          row.bytes.set(data, row.length);
          row.length += data.length;
        } else {
          yield* taken();
          for (let at = 0; at < data.length; at += size) {
            const piece = data.slice(at, at + size);
            const named = struct !== undefined && { struct };
            yield { kind: 'buffer', bytes: piece, offset: offset + at, whole: piece.length === size, ...named };
          }
        }
        offset += data.length;
      }
      yield* taken();
    }
  } catch (error) {
    // What was there before the fault is told too.
    yield* taken();
    throw error;
  }
  if (packets === 0) throw new InputError('there are no packets in it');
}

/** Readers of both formats. */
export const packetReaders: readonly Reader[] = (['pcapng', 'pcap'] as const).map((format) => ({
  name: `a ${format} capture`,
  format,
  head: (bytes) => packetFormat(bytes) === format,
  open: (source, { structSize, blocks }) => ({ name: format, calls: packetBuffers(source, structSize, blocks === true) }),
}));

interface Packet {
  readonly type: number;
  readonly bytes: Uint8Array;
}

/** Where the struct begins in a packet, and its name where the packet says it. */
interface Content {
  readonly struct?: string;
  readonly from: number;
}

/** What stands before it. */
interface Head {
  readonly type: number;
  readonly head: Uint8Array;
}

/** Does a packet begin as one before it did? Then the rest of it is told as of that one. */
function isLike({ type, head }: Head, other: number, bytes: Uint8Array): boolean {
  if (type !== other || bytes.length < head.length) return false;
  for (let i = 0; i < head.length; i++) if (bytes[i] !== head[i]) return false;
  return true;
}

function contentOf(type: number, bytes: Uint8Array, packet: number): Content {
  if (type === linkType.USER0) return { from: 0 };
  if (type !== linkType.WIRESHARK_UPPER_PDU) {
    const name = others[type] ?? (type > linkType.USER0 && type < linkType.USER0 + 16 ? `USER${type - linkType.USER0}` : 'not ours');
    throw new InputError(
      `packet ${packet} has link type ${type} (${name}), which holds no struct: text2pcap -P xen_get_dma_buf, or -l ${linkType.USER0}, makes packets of a dump that do`,
    );
  }
  const view = viewOf(bytes);
  let name: string | undefined;
  for (let at = 0; at + 4 <= bytes.length; ) {
    const [kind, length] = [view.getUint16(at), view.getUint16(at + 2)];
    at += 4 + length;
    if (at > bytes.length) break;
    if (kind === tag.dissector) name = String.fromCharCode(...bytes.subarray(at - length, at)).replace(/\0+$/, '');
    if (kind !== tag.end) continue;
    if (name === anyStruct) return { from: at };
    if (name !== undefined && /^xen_\w+$/.test(name)) return { struct: name, from: at };
    throw new InputError(`packet ${packet} is for the dissector ${quoted(name ?? '')}, not for one of layout --emit lua`);
  }
  throw new InputError(`the tags of packet ${packet} do not end`);
}

/** What a reader of a format takes from the bytes that are there: whole packets, as far as they go. */
interface Taking {
  readonly packets: (bytes: Bytes) => Generator<Packet>;
  /** What is cut where the file ends before the rest of it. */
  readonly unit: string;
}

/** The packets of a file, those at a time that came with one piece of it. */
async function* packetsOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<Iterable<Packet>> {
  const bytes = new Bytes();
  let taking: Taking | undefined;
  for await (const chunk of source) {
    bytes.add(chunk);
    if (!taking && bytes.left >= 4) {
      const format = packetFormat(bytes.at(4));
      if (!format) throw new InputError('this is neither pcap nor pcapng');
      taking = format === 'pcap' ? pcapTaking() : pcapngTaking();
    }
    if (taking) yield taking.packets(bytes);
  }
  if (!taking) throw new InputError('this is neither pcap nor pcapng');
  if (bytes.left > 0) throw new InputError(`the file ends inside ${taking.unit}`);
}

/** Bytes that have come and were not taken yet. */
class Bytes {
  #all: Uint8Array = new Uint8Array(0);
  #view: DataView = viewOf(this.#all);
  #from = 0;

  add(chunk: Uint8Array): void {
    const rest = this.#all.subarray(this.#from);
    if (rest.length === 0) this.#all = chunk;
    else {
      this.#all = new Uint8Array(rest.length + chunk.length);
      this.#all.set(rest);
      this.#all.set(chunk, rest.length);
    }
    this.#view = viewOf(this.#all);
    this.#from = 0;
  }

  get left(): number {
    return this.#all.length - this.#from;
  }

  /** A 32-bit number at a place ahead. */
  u32(ahead: number, little: boolean): number {
    return this.#view.getUint32(this.#from + ahead, little);
  }

  u16(ahead: number, little: boolean): number {
    return this.#view.getUint16(this.#from + ahead, little);
  }

  /** Bytes from a place ahead on, not copied. */
  at(length: number, ahead = 0): Uint8Array {
    return this.#all.subarray(this.#from + ahead, this.#from + ahead + length);
  }

  skip(length: number): void {
    this.#from += length;
  }
}

/** Bytes before a packet of a pcap file, and of the file's own header. */
const pcapSize = { header: 24, packet: 16 } as const;

function bounded(length: number): number {
  if (length > mostBytes) throw new InputError(`${length} bytes in a piece: more than 1 MiB is no struct`);
  return length;
}

function pcapTaking(): Taking {
  let type: number | undefined;
  let little = false;
  return {
    unit: 'a packet or its header',
    *packets(bytes) {
      if (type === undefined) {
        if (bytes.left < pcapSize.header) return;
        little = !pcapMagic.includes(bytes.u32(0, false));
        type = bytes.u32(20, little) & 0xffff;
        bytes.skip(pcapSize.header);
      }
      while (bytes.left >= pcapSize.packet) {
        const length = bounded(bytes.u32(8, little));
        if (bytes.left < pcapSize.packet + length) return;
        const packet = { type, bytes: bytes.at(length, pcapSize.packet) };
        bytes.skip(pcapSize.packet + length);
        yield packet;
      }
    },
  };
}

function pcapngTaking(): Taking {
  let little = false;
  let types: number[] = [];
  /** The packet in a block that is there whole. */
  const packetIn = (bytes: Bytes, kind: number, total: number): Packet | undefined => {
    const body = total - 12;
    const need = (length: number): void => {
      if (body < length) throw new InputError(`a block of ${total} bytes is too short`);
    };
    if (kind === block.interface) {
      need(8);
      types.push(bytes.u16(8, little));
    } else if (kind === block.packet || kind === block.obsoletePacket) {
      need(20);
      const id = kind === block.packet ? bytes.u32(8, little) : bytes.u16(8, little);
      const captured = bytes.u32(20, little);
      need(20 + captured);
      return { type: typeOf(types, id), bytes: bytes.at(captured, 28) };
    } else if (kind === block.simplePacket) {
      need(4);
      return { type: typeOf(types, 0), bytes: bytes.at(Math.min(bytes.u32(8, little), body - 4), 12) };
    }
    return undefined;
  };
  return {
    unit: 'a block',
    *packets(bytes) {
      while (bytes.left >= 8) {
        const isSection = bytes.u32(0, true) === block.section; // the same in both byte orders
        if (isSection && bytes.left < 12) return;
        if (isSection) {
          little = bytes.u32(8, true) === byteOrderMagic;
          if (!little && bytes.u32(8, false) !== byteOrderMagic) throw new InputError('the section has no byte order');
          types = [];
        }
        const kind = bytes.u32(0, little);
        const total = bytes.u32(4, little);
        if (total < (isSection ? 16 : 12) || total % 4 !== 0) throw new InputError(`a block of ${total} bytes`);
        if (bytes.left < bounded(total)) return;
        if (bytes.u32(total - 4, little) !== total) throw new InputError('the lengths before and behind a block differ');
        const packet = packetIn(bytes, kind, total);
        bytes.skip(total);
        if (packet) yield packet;
      }
    },
  };
}

function typeOf(types: readonly number[], id: number): number {
  const type = types[id];
  if (type === undefined) throw new InputError(`a packet of interface ${id}, which the file does not describe`);
  return type;
}

/** The beginning of a pcapng file whose packets name their dissectors. */
export function pcapngHead(): Uint8Array {
  const section = blockOf(block.section, 16);
  section.setUint32(8, byteOrderMagic, true);
  section.setUint16(12, 1, true);
  section.setBigInt64(16, -1n, true);
  const link = blockOf(block.interface, 8);
  link.setUint16(8, linkType.WIRESHARK_UPPER_PDU, true);
  return joined(bytesIn(section), bytesIn(link));
}

/**
 * A packet of such a file: a struct's bytes, as many as were captured, for the dissector of its
 * name. `size` is the struct's.
 */
export function pcapngPacket(struct: string, bytes: Uint8Array, size: number): Uint8Array {
  const named = Math.ceil(struct.length / 4) * 4;
  const tags = 4 + named + 4;
  const captured = tags + bytes.length;
  const packet = blockOf(block.packet, 20 + Math.ceil(captured / 4) * 4);
  packet.setUint32(20, captured, true);
  packet.setUint32(24, tags + Math.max(size, bytes.length), true);
  packet.setUint16(28, tag.dissector);
  packet.setUint16(30, named);
  const all = bytesIn(packet);
  for (let i = 0; i < struct.length; i++) all[32 + i] = struct.charCodeAt(i);
  all.set(bytes, 28 + tags);
  return all;
}

/** A block with a body of so many bytes, its type and lengths written, little-endian. */
function blockOf(type: number, body: number): DataView {
  const view = new DataView(new ArrayBuffer(body + 12));
  view.setUint32(0, type, true);
  view.setUint32(4, body + 12, true);
  view.setUint32(body + 8, body + 12, true);
  return view;
}

function bytesIn(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer);
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}
