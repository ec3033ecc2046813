/**
 * `held` if `more` bytes fit behind its first `length`, else a copy of those with twice the room;
 * the cost of growing stays linear.
 */
export function roomFor(held: Uint8Array<ArrayBuffer>, length: number, more: number): Uint8Array<ArrayBuffer> {
  if (length + more <= held.length) return held;
  const larger = new Uint8Array(Math.max(2 * held.length, length + more));
  larger.set(held.subarray(0, length));
  return larger;
}
