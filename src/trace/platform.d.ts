// What src/trace uses of the platform beyond ECMAScript: every runtime and browser has it, and src
// is checked without Node's types.
interface TextDecoder {
  decode(input: Uint8Array, options?: { stream?: boolean }): string;
}
declare var TextDecoder: {
  new (label: string, options: { fatal?: boolean; ignoreBOM?: boolean }): TextDecoder;
};
interface TextEncoder {
  encode(text: string): Uint8Array<ArrayBuffer>;
}
declare var TextEncoder: { new (): TextEncoder };
interface DecompressionStream {
  readonly writable: { getWriter(): { write(chunk: Uint8Array): Promise<void>; close(): Promise<void> } };
  readonly readable: {
    getReader(): { read(): Promise<{ done: true } | { done: false; value: Uint8Array }>; cancel(): Promise<void> };
  };
}
declare var DecompressionStream: { new (format: 'gzip'): DecompressionStream };
declare function atob(text: string): string;
