/** Consecutive bytes of an input. */
export interface Part {
  readonly bytes: Uint8Array;
  /** The line the first of them stands on, from 1; `undefined` in an input without lines. */
  readonly line: number | undefined;
  /** True where a new dump begins. */
  readonly restart: boolean;
}
