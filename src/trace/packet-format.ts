/** Blocks of a pcapng file (draft-ietf-opsawg-pcapng). */
export const block = { section: 0x0a0d0d0a, interface: 1, obsoletePacket: 2, simplePacket: 3, packet: 6 } as const;
/** What follows a section's type, as its writer's word. */
export const byteOrderMagic = 0x1a2b3c4d;

/** What a pcap file begins with, as its writer's words: times in microseconds or nanoseconds. */
export const pcapMagic: readonly number[] = [0xa1b2c3d4, 0xa1b23c4d];

/**
 * Which of the two formats of captured packets begins with these bytes, if either does; `undefined`
 * for fewer than 4.
 */
export function packetFormat(first: Uint8Array): 'pcap' | 'pcapng' | undefined {
  if (first.length < 4) return undefined;
  const view = viewOf(first);
  if (view.getUint32(0) === block.section) return 'pcapng';
  return pcapMagic.some((magic) => view.getUint32(0) === magic || view.getUint32(0, true) === magic) ? 'pcap' : undefined;
}

/** The bytes as numbers. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
