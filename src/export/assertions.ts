import { type Arch, archNames } from '../abi/arch.ts';
import { type AnyStruct, layoutOf, type Member } from '../abi/layout.ts';
import { opsTaking, XENMEM } from '../abi/ops.ts';
import { type StructName, structNames } from '../abi/structs.ts';

/**
 * What to assert: of which structs, for which architectures, and what the reader's own declarations
 * call them.
 */
export interface Asserted {
  /** Where none is named, those that a Xen has: nobody declares the proposal's. */
  readonly structs?: readonly AnyStruct[];
  /** Where none is said, all: the compiler takes its own. */
  readonly arch?: Arch;
  readonly names?: ReadonlyMap<AnyStruct, string>;
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
  readonly struct: AnyStruct;
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

function assertedOf(struct: AnyStruct, arch: Arch): AssertedStruct {
  const { size, align, members, fields } = layoutOf(struct, arch);
  const wholes = (of: readonly Member[], path: string, base: number): Part[] =>
    of.flatMap(({ name, offset, size: bytes, nested, parts }) => {
      const own = { path: `${path}${name}`, offset: base + offset, size: bytes };
      return nested || parts ? [own, ...wholes(parts ?? [], `${own.path}.`, own.offset)] : [];
    });
  return {
    struct,
    size,
    align,
    parts: [...wholes(members, '', 0), ...fields.map(({ path, offset, size: one, count }) => ({ path, offset, size: one * count }))],
    members: members.map(({ name, offset, size: bytes }) => ({ path: name, offset, size: bytes })),
  };
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
