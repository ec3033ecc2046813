import type { BufferItem } from './buffers.ts';
import { InputError } from './input-error.ts';
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

/**
 * The structs in a capture of packets, one each; `structSize` cuts a packet that holds an array.
 * Throws `InputError` for packets that are something else, by the name of what they are, and at the
 * place where the file ends too early.
 */
async function* packetBuffers(source: AsyncIterable<Uint8Array>, structSize?: number): AsyncGenerator<BufferItem> {
  const file = streamOf(source);
  const first = await file.take(4);
  const format = first && packetFormat(first);
  if (!first || !format) throw new InputError('this is neither pcap nor pcapng');
  let offset = 0;
  let packets = 0;
  for await (const { type, bytes } of format === 'pcap' ? pcapPackets(file, first) : pcapngPackets(file)) {
    packets++;
    const { struct, from } = contentOf(type, bytes, packets);
    const data = bytes.subarray(from);
    const size = structSize ?? data.length;
    for (let at = 0; at < data.length; at += size) {
      const piece = data.slice(at, at + size);
      yield { kind: 'buffer', bytes: piece, offset: offset + at, whole: piece.length === size, ...(struct !== undefined && { struct }) };
    }
    offset += data.length;
  }
  if (packets === 0) throw new InputError('there are no packets in it');
}

/** Readers of both formats. */
export const packetReaders: readonly Reader[] = (['pcapng', 'pcap'] as const).map((format) => ({
  name: `a ${format} capture`,
  format,
  head: (bytes) => packetFormat(bytes) === format,
  open: (source, { structSize }) => ({ name: format, calls: packetBuffers(source, structSize) }),
}));

interface Packet {
  readonly type: number;
  readonly bytes: Uint8Array;
}

/** Where the struct begins in a packet, and its name where the packet says it. */
function contentOf(type: number, bytes: Uint8Array, packet: number): { readonly struct?: string; readonly from: number } {
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

async function* pcapPackets(file: Stream, magic: Uint8Array): AsyncGenerator<Packet> {
  const little = !pcapMagic.includes(viewOf(magic).getUint32(0));
  const header = await file.need(20, 'header');
  const type = viewOf(header).getUint32(16, little) & 0xffff;
  for (let head = await file.take(16); head; head = await file.take(16)) {
    const length = viewOf(head).getUint32(8, little);
    yield { type, bytes: await file.need(length, 'packet') };
  }
}

async function* pcapngPackets(file: Stream): AsyncGenerator<Packet> {
  let little = false;
  let types: number[] = [];
  // The type of the section header, already taken, is the same in both byte orders.
  for (let head: Uint8Array | undefined = Uint8Array.of(0x0a, 0x0d, 0x0d, 0x0a); head; head = await file.take(4)) {
    const kind = viewOf(head).getUint32(0, little);
    let length = await file.need(4, 'block');
    let rest = 8;
    if (kind === block.section) {
      const order = await file.need(4, 'block');
      little = viewOf(order).getUint32(0) !== byteOrderMagic;
      if (little && viewOf(order).getUint32(0, true) !== byteOrderMagic) throw new InputError('the section has no byte order');
      types = [];
      rest = 12;
    }
    const total = viewOf(length).getUint32(0, little);
    if (total < rest + 4 || total % 4 !== 0) throw new InputError(`a block of ${total} bytes`);
    const body = await file.need(total - rest, 'block');
    length = body.subarray(body.length - 4);
    if (viewOf(length).getUint32(0, little) !== total) throw new InputError('the lengths before and behind a block differ');
    const view = viewOf(body);
    const need = (bytes: number): void => {
      if (body.length - 4 < bytes) throw new InputError(`a block of ${total} bytes is too short`);
    };
    if (kind === block.interface) {
      need(8);
      types.push(view.getUint16(0, little));
    } else if (kind === block.packet || kind === block.obsoletePacket) {
      need(20);
      const id = kind === block.packet ? view.getUint32(0, little) : view.getUint16(0, little);
      const captured = view.getUint32(12, little);
      need(20 + captured);
      yield { type: typeOf(types, id), bytes: body.subarray(20, 20 + captured) };
    } else if (kind === block.simplePacket) {
      need(4);
      const captured = Math.min(view.getUint32(0, little), body.length - 8);
      yield { type: typeOf(types, 0), bytes: body.subarray(4, 4 + captured) };
    }
  }
}

function typeOf(types: readonly number[], id: number): number {
  const type = types[id];
  if (type === undefined) throw new InputError(`a packet of interface ${id}, which the file does not describe`);
  return type;
}

interface Stream {
  /** The next bytes; `undefined` where the file ends instead. */
  readonly take: (length: number) => Promise<Uint8Array | undefined>;
  /** The next bytes, which belong to something that has begun. */
  readonly need: (length: number, of: string) => Promise<Uint8Array>;
}

function streamOf(source: AsyncIterable<Uint8Array>): Stream {
  const iterator = source[Symbol.asyncIterator]();
  let held: Uint8Array = new Uint8Array(0);
  const take = async (length: number): Promise<Uint8Array | undefined> => {
    if (length > mostBytes) throw new InputError(`${length} bytes in a piece: more than 1 MiB is no struct`);
    if (held.length >= length && held.length > 0) {
      const there = held.subarray(0, length);
      held = held.subarray(length);
      return there;
    }
    const parts = [held];
    let there = held.length;
    while (there < length) {
      const next = await iterator.next();
      if (next.done) break;
      parts.push(next.value);
      there += next.value.length;
    }
    const all = new Uint8Array(there);
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    const enough = there >= length && (there > 0 || length === 0);
    held = enough ? all.subarray(length) : new Uint8Array(0);
    if (!enough && there > 0) throw new InputError('the file ends inside a packet or its header');
    return enough ? all.subarray(0, length) : undefined;
  };
  const need = async (length: number, of: string): Promise<Uint8Array> => {
    const bytes = await take(length);
    if (!bytes) throw new InputError(`the file ends inside a ${of}`);
    return bytes;
  };
  return { take, need };
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
