// The part of restructure 3.0.2 that engine.ts uses; the package ships no types. engine.test.ts
// checks it against the real thing.
declare module 'restructure' {
  export class DecodeStream {
    constructor(buffer: Uint8Array);
    readonly buffer: Uint8Array;
    readonly view: DataView;
    pos: number;
  }
  export class EncodeStream {
    constructor(buffer: Uint8Array);
    readonly buffer: Uint8Array;
    readonly view: DataView;
    pos: number;
  }
  export interface Type {
    size(): number;
    decode(stream: DecodeStream): unknown;
    encode(stream: EncodeStream, value: unknown): void;
  }
  export class Struct {
    constructor(fields: Record<string, Type>);
    readonly fields: Record<string, Type>;
    size(): number;
    decode(stream: DecodeStream): object;
    encode(stream: EncodeStream, value: unknown): void;
  }
}
