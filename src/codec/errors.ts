/**
 * What was wrong with the data: its length, a number's range, a value's type, a field that is
 * missing or unknown.
 */
export type AbiErrorKind = 'size' | 'range' | 'type' | 'missing' | 'extra';

/**
 * Wrong data (a wrong definition is a `TypeError`). `offset` is in bytes from the start of the
 * outermost struct.
 */
export class AbiError extends Error {
  override readonly name = 'AbiError';
  /** The C tag of the struct. */
  readonly struct: string;
  /** Dotted path of the field, `''` for the struct itself. */
  readonly path: string;
  readonly offset: number;
  readonly kind: AbiErrorKind;

  constructor(struct: string, path: string, offset: number, kind: AbiErrorKind, detail: string) {
    super(path === '' ? `${struct}: ${kind}: ${detail}` : `${struct}.${path} @${offset}: ${kind}: ${detail}`);
    this.struct = struct;
    this.path = path;
    this.offset = offset;
    this.kind = kind;
  }
}
