import { type Arch, archNames } from '../abi/arch.ts';
import { layoutOf, type StructLayout } from '../abi/layout.ts';
import { opsTaking, XENMEM } from '../abi/ops.ts';
import { type StructName, structNames } from '../abi/structs.ts';

/** What to assert: of which structs, for which architectures, and what the reader's own declarations call them. */
export interface Asserted {
  /** Where none is named, those that a Xen has: nobody declares the proposal's. */
  readonly structs?: readonly StructName[];
  /** Where none is said, all: the compiler takes its own. */
  readonly arch?: Arch;
  readonly names?: ReadonlyMap<StructName, string>;
  /** Other names of fields, by the table's. */
  readonly fields?: ReadonlyMap<string, string>;
}

/** One architecture, or several whose layouts are byte-identical, with the structs to assert. */
export interface Group {
  readonly arches: readonly Arch[];
  readonly layouts: readonly StructLayout[];
}

/** The structs of ops that a released Xen has, with those that they nest. */
export function structsOfXen(): StructName[] {
  return structNames.filter((name) => opsTaking(name).some((op) => op in XENMEM.upstream));
}

/** The layouts to assert, architectures that have the same together. */
export function groupsOf({ structs = structsOfXen(), arch }: Asserted): Group[] {
  const groups: { arches: Arch[]; layouts: StructLayout[]; key: string }[] = [];
  for (const name of arch === undefined ? archNames : [arch]) {
    const layouts = structs.map((struct) => layoutOf(struct, name));
    const key = JSON.stringify(layouts.map(({ size, align, fields }) => [size, align, fields]));
    const same = groups.find((group) => group.key === key);
    if (same) same.arches.push(name);
    else groups.push({ arches: [name], layouts, key });
  }
  return groups;
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
