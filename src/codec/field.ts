import { isWord } from '../abi/arch.ts';
import type { Field } from '../abi/layout.ts';

/**
 * Reads one scalar at `base + field.offset` without decoding the struct around it; the view must
 * cover it.
 */
export function readField(view: DataView, field: Pick<Field, 'offset' | 'size'> & { readonly type: string }, base = 0): bigint | number {
  const at = base + field.offset;
  switch (field.size) {
    case 8:
      return view.getBigUint64(at, true);
    case 2:
      return view.getUint16(at, true);
    case 1:
      return view.getUint8(at);
  }
  const value = view.getUint32(at, true);
  return isWord(field.type) ? BigInt(value) : value;
}
