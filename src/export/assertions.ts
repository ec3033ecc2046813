import { type Arch, archNames } from '../abi/arch.ts';
import { layoutOf } from '../abi/layout.ts';
import { isMemoryStruct, type MemoryStructName } from '../abi/memory-h.ts';
import { memoryLayoutOf } from '../abi/memory-layout.ts';
import { opsTaking, XENMEM } from '../abi/ops.ts';
import { type StructName, structNames } from '../abi/structs.ts';

/**
 * What to assert: of which structs, for which architectures, and what the reader's own declarations
 * call them.
 */
export interface Asserted {
  /** Where none is named, those that a Xen has: nobody declares the proposal's. */
  readonly structs?: readonly (StructName | MemoryStructName)[];
  /** Where none is said, all: the compiler takes its own. */
  readonly arch?: Arch;
  readonly names?: ReadonlyMap<StructName | MemoryStructName, string>;
  /** Other names of fields, by the table's. */
  readonly fields?: ReadonlyMap<string, string>;
}

/** One architecture, or several whose layouts are byte-identical, with the structs to assert. */
export interface Group {
  readonly arches: readonly Arch[];
  readonly layouts: readonly AssertedStruct[];
}

/**
 * A struct as it is asserted: every part by its path, nested structs among them. Sizes and offsets
 * in bytes.
 */
export interface AssertedStruct {
  readonly struct: StructName | MemoryStructName;
  readonly size: number;
  readonly align: number;
  readonly parts: readonly Part[];
  /** The direct members alone. */
  readonly members: readonly Part[];
}

/** A field, or a nested struct. */
export interface Part {
  readonly path: string;
  readonly offset: number;
  readonly size: number;
}

/** The structs of ops that a released Xen has, with those that they nest. */
function structsOfXen(): StructName[] {
  return structNames.filter((name) => opsTaking(name).some((op) => op in XENMEM.upstream));
}

/** The layouts to assert, architectures that have the same together. */
export function groupsOf({ structs = structsOfXen(), arch }: Asserted): Group[] {
  const groups: { arches: Arch[]; layouts: AssertedStruct[]; key: string }[] = [];
  for (const name of arch === undefined ? archNames : [arch]) {
    const layouts = structs.map((struct) => assertedOf(struct, name));
    const key = JSON.stringify(layouts);
    const same = groups.find((group) => group.key === key);
    if (same) same.arches.push(name);
    else groups.push({ arches: [name], layouts, key });
  }
  return groups;
}

function assertedOf(struct: StructName | MemoryStructName, arch: Arch): AssertedStruct {
  if (isMemoryStruct(struct)) {
    const { size, align, fields } = memoryLayoutOf(struct, arch);
    const parts = fields.map(({ path, offset, size: bytes, count }) => ({ path, offset, size: bytes * count }));
    return { struct, size, align, parts, members: parts };
  }
  const { size, align, members, fields } = layoutOf(struct, arch);
  const own = members.map(({ name, offset, size: bytes }) => ({ path: name, offset, size: bytes }));
  const nested = own.filter((_, i) => members[i]?.nested !== undefined);
  const parts = fields.map(({ path, offset, size: bytes }) => ({ path, offset, size: bytes }));
  return { struct, size, align, parts: [...nested, ...parts], members: own };
}

/** The words of the command that writes this, for the first line. */
export function assertOrigin(emitter: string, { arch, structs = [], names = new Map(), fields = new Map() }: Asserted): string {
  const words = [
    ...(arch === undefined ? [] : [`--arch ${arch}`]),
    ...[...names].map(([struct, name]) => `--as '${name}=${struct}'`),
    ...[...fields].map(([field, name]) => `--as '${name}=${field}'`),
    ...structs,
  ];
  return `Written by \`${[`xenmem layout --emit ${emitter} --assert`, ...words].join(' ')}\` from its table of structs.`;
}
