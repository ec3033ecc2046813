// What src/trace uses of the platform beyond ECMAScript: every runtime and browser has it, and src is checked without Node's types.
interface TextDecoder {
  decode(input: Uint8Array): string;
}
declare var TextDecoder: {
  new (label: string, options: { fatal?: boolean; ignoreBOM?: boolean }): TextDecoder;
};
