import { type Arch, arches, sizeOfType } from '../../abi/arch.ts';
import { fieldOf, layoutOf, type StructLayout } from '../../abi/layout.ts';
import { argumentOf, type JudgedOp, type Profile, XENMEM } from '../../abi/ops.ts';

/**
 * A list that an argument points to: where its address and its length stand in the struct, in
 * bytes.
 */
export interface ListPlace {
  /** Of the handle. */
  readonly offset: number;
  /** Of `nr_extents`. */
  readonly countOffset: number;
  readonly countSize: number;
}

/** The calls that a recipe captures. */
export interface Target {
  readonly arch: Arch;
  readonly profile: Profile;
  readonly op: JudgedOp;
  readonly nr: number;
  readonly layout: StructLayout;
  readonly lists: readonly ListPlace[];
  /** Bytes of an entry of a list. */
  readonly entry: number;
  /** Bytes of a pointer of this guest, which may be less than those of a handle. */
  readonly pointer: number;
}

/**
 * The calls of an op by guests of an architecture; `undefined` where the profile does not have the
 * op.
 */
export function targetOf(op: JudgedOp, arch: Arch, profile: Profile): Target | undefined {
  const nr = (XENMEM[profile] as { readonly [name: string]: number })[op];
  if (nr === undefined) return undefined;
  const layout = layoutOf(argumentOf[op], arch);
  const lists = layout.fields
    .filter((field) => field.type.startsWith('XEN_GUEST_HANDLE'))
    .map(({ path, offset }) => {
      const count = fieldOf(layout, path.replace(/[^.]+$/, 'nr_extents'));
      return { offset, countOffset: count.offset, countSize: count.size };
    });
  return { arch, profile, op, nr, layout, lists, entry: sizeOfType('xen_pfn_t', arch), pointer: arches[arch].pointer };
}

/** The first line of a capture, which says what the others are. */
export function headerOf({ arch, profile }: Target, by: string): string {
  return JSON.stringify({ xenmem: 1, arch, profile, source: `xenmem recipe ${by}` });
}

/** The lines on top of a script: what it captures, how it is run, what it misses. */
export function remarks({ arch, op, nr, layout }: Target, by: string, lines: readonly string[]): string {
  const all = [`Captures ${op} (op ${nr}, ${layout.struct}, ${layout.size} bytes) on ${arch}. Made by: xenmem recipe ${by}`, ...lines];
  return all.map((line) => `# ${line}`.trimEnd()).join('\n');
}

/** Functions of Linux that issue an op with nothing but a count and a list of frames. */
export const kernelFunctions: { readonly [op: string]: string } = {
  populate_physmap: 'xenmem_reservation_increase',
  decrease_reservation: 'xenmem_reservation_decrease',
};
