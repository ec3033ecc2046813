import { readFileSync } from 'node:fs';
import type { Arch } from '../../../src/abi/arch.ts';
import { type StructName, structNames } from '../../../src/abi/structs.ts';
import { fromHex } from '../../../src/codec/hex.ts';

/**
 * A struct that a C compiler made: the values that were assigned, by column, and the bytes it left.
 */
export interface Golden {
  readonly struct: StructName;
  readonly columns: readonly string[];
  readonly values: readonly string[];
  readonly bytes: Uint8Array;
}

/** Every golden struct of an architecture. */
export function goldens(arch: Arch): Golden[] {
  const { values } = JSON.parse(readFileSync(new URL(`../../../fixtures/layout/${arch}.json`, import.meta.url), 'utf8'));
  return structNames.flatMap((struct) => {
    const { columns, ...lists } = values[struct];
    return (Object.values(lists) as string[][][]).flat().map((row) => {
      const given = row.slice(0, -1).map((value) => String(BigInt(value)));
      return { struct, columns, values: given, bytes: fromHex(row.at(-1) as string) as Uint8Array };
    });
  });
}

/** What a program that decodes them prints: the struct and its values in decimal, a line each. */
export const decoded = (rows: readonly Golden[]): string[] => rows.map(({ struct, values }) => `${struct} ${values.join(' ')}`);
