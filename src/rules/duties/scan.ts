import type { Layout } from '../../abi/layout.ts';
import { type Claim, decider, type Known } from './expression.ts';
import { moduleOf } from './wasm.ts';

/** A block of structs, and what is true of each. */
export interface Scan {
  /** Structs that a block holds at most. */
  readonly capacity: number;
  /** Where the structs are put, one behind the other. */
  readonly input: Uint8Array<ArrayBuffer>;
  /** A mask for each struct: bit i says whether claim i is true. */
  readonly masks: Uint32Array;
  /** Reads so many structs of `input` and writes their masks. */
  readonly run: (structs: number) => void;
}

/** Bytes of a block: what a cache of the second level holds. */
const blockBytes = 1 << 18;

/**
 * Scans blocks of structs of one layout, compiled to WebAssembly where there is such. A claim that
 * stands on a parameter is not true. It is quickest where none of the first `rare` claims is.
 */
export function scanOf(layout: Layout, claims: readonly Claim[], rare = claims.length): Scan {
  const compiled = typeof WebAssembly === 'undefined' ? undefined : compiledScan(layout, claims, rare);
  return compiled ?? plainScan(layout, claims);
}

function compiledScan(layout: Layout, claims: readonly Claim[], rare: number): Scan {
  const capacity = Math.floor(blockBytes / layout.size);
  const module = new WebAssembly.Module(moduleOf(layout, claims, rare, blockBytes));
  const { memory, scan } = new WebAssembly.Instance(module).exports as {
    memory: WebAssembly.Memory;
    scan: (structs: number) => void;
  };
  return {
    capacity,
    input: new Uint8Array(memory.buffer, 0, capacity * layout.size),
    masks: new Uint32Array(memory.buffer, blockBytes, capacity),
    run: scan,
  };
}

/**
 * The same without WebAssembly, by the functions that the rules are judged with: slower, and its
 * oracle.
 */
export function plainScan(layout: Layout, claims: readonly Claim[]): Scan {
  const { size } = layout;
  const capacity = Math.floor(blockBytes / size);
  const input = new Uint8Array(capacity * size);
  const masks = new Uint32Array(capacity);
  const deciders = claims.map((claim) => decider(claim, layout));
  const run = (structs: number): void => {
    for (let i = 0; i < structs; i++) {
      const bytes = input.subarray(i * size, (i + 1) * size);
      const view = new DataView(input.buffer, i * size, size);
      const known: Known = { bytes, view, address: undefined, start_extent: undefined };
      masks[i] = deciders.reduce((mask, isTrue, bit) => (isTrue(known) ? mask | (1 << bit) : mask), 0) >>> 0;
    }
  };
  return { capacity, input, masks, run };
}
