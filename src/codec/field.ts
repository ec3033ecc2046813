import { isWord } from '../abi/arch.ts';
import type { Field } from '../abi/layout.ts';

/**
 * Reads one scalar at `base + field.offset` without decoding the struct around it; the view must
 * cover it.
 */
export function readField(view: DataView, field: Field, base = 0): bigint | number {
  const at = base + field.offset;
  if (field.size === 8) return view.getBigUint64(at, true);
  if (field.size === 2) return view.getUint16(at, true);
  const value = view.getUint32(at, true);
  return isWord(field.type) ? BigInt(value) : value;
}
