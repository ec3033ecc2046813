import { emptyFreeLists, FRAMES_BELOW_4G, releaseRun } from '../../src/model/allocator.ts';
import { type Domain, emptyDomain, type State } from '../../src/model/state.ts';

/**
 * Exchanges of one shape: so many extents of these orders go in and come out, over every list that
 * `lists` admits.
 */
export interface Shape {
  readonly inOrder: number;
  readonly outOrder: number;
  readonly ins: number;
  readonly outs: number;
  /**
   * `any`: every sequence of gfns, repetitions included. `paired`: the two aligned extents of order
   * 1 in either order, or their halves.
   */
  readonly lists: 'any' | 'paired';
}

/** A world small enough for every one of its states to be visited. */
export interface Scope {
  readonly name: string;
  readonly gfns: number;
  /** Machine frames below and above 4 GiB, those of the guest's pages included. */
  readonly low: number;
  readonly high: number;
  readonly shapes: readonly Shape[];
  /** The values of out.address_bits. */
  readonly limits: readonly number[];
  /** Are pages given back and taken again, so that every partial mapping is reached? */
  readonly balloons: boolean;
  /** Are malformed calls and op 11 made too? */
  readonly hostile: boolean;
  /** Are pages put and moved one by one and in every sublist, or only as whole extents? */
  readonly pieces: 'pages' | 'extents';
}

const shape = (inOrder: number, outOrder: number, ins: number, outs: number, lists: Shape['lists'] = 'any'): Shape => {
  return { inOrder, outOrder, ins, outs, lists };
};
const pages = [shape(0, 0, 1, 1), shape(0, 0, 2, 2)];
const mixed = [shape(0, 1, 2, 1), shape(1, 0, 1, 2), shape(1, 1, 1, 1)];
/** Two chunks of unequal orders take four gfns. */
const twoChunks = [shape(0, 1, 4, 2, 'paired'), shape(1, 0, 2, 4, 'paired'), shape(1, 1, 2, 2, 'paired')];
const everything = { shapes: [...pages, ...mixed], limits: [0, 32], balloons: true, hostile: true, pieces: 'pages' } as const;

/**
 * The scopes by name. The first two check the search itself; `large` is a matter of many minutes.
 */
export const scopes = {
  tiny: { ...everything, name: 'tiny', gfns: 2, low: 1, high: 2, shapes: pages },
  even: { ...everything, name: 'even', gfns: 2, low: 2, high: 2 },
  small: { ...everything, name: 'small', gfns: 3, low: 2, high: 3 },
  slice: { name: 'slice', gfns: 4, low: 4, high: 4, shapes: twoChunks, limits: [0], balloons: false, hostile: false, pieces: 'extents' },
  large: { ...everything, name: 'large', gfns: 4, low: 4, high: 4, shapes: [...pages, ...mixed, ...twoChunks] },
} as const satisfies { readonly [name: string]: Scope };

export type ScopeName = keyof typeof scopes;

/** The guest that makes the calls, and one that nobody has any business with. */
export const caller = 1;
export const bystander = 2;
/** Struct and lists lie in this page; the page behind it is a hole. */
export const controlGfn = 0x40000;
/** The scope's gfns count from here; the bystander has the first of them too. */
export const firstGfn = 0x40010;
/** Frames of pages that are not the scope's. */
const controlFrame = 0x30000;
export const bystanderFrame = 0x30002;

/**
 * The lowest of the scope's machine frames: they lie on both sides of 4 GiB, so that a limit that
 * is off by one shows.
 */
export function firstFrame({ low }: Scope): number {
  return FRAMES_BELOW_4G - low;
}

/**
 * The state that a search starts from: every gfn of the scope is mapped, from high frames down,
 * nothing is pinned.
 */
export function firstState(scope: Scope): State {
  const one = emptyDomain(caller, false, scope.gfns + 1);
  const two = emptyDomain(bystander, false, 1);
  lead(one, controlGfn, controlFrame);
  lead(two, firstGfn, bystanderFrame);
  const frames = scope.low + scope.high;
  const top = firstFrame(scope) + frames - 1;
  for (let i = 0; i < scope.gfns; i++) lead(one, firstGfn + i, top - i);
  const free = emptyFreeLists();
  releaseRun(free, firstFrame(scope), frames - scope.gfns);
  return { arch: 'arm64', domains: new Map([one, two].map((d) => [d.domid, d])), content: new Map(), free, frames: frames + 2 };
}

function lead(domain: Domain, gfn: number, mfn: number): void {
  domain.p2m.set(gfn, mfn);
  domain.owned.add(mfn);
}

/** How a state is told from others: up to renaming of frames, or exactly. */
export type Renaming = 'buddies' | 'none';

/**
 * One string for all states that differ only in a swap of two buddies. Each frame is described by
 * what is known of it: the gfns that lead to it, whether it is free, whether it is owned; so a
 * broken state never has the key of a sound one.
 *
 * Renaming every frame within low (high) memory would merge more, but a free pair and two free
 * frames apart are not the same to a call of order 1. Swapping two buddies changes nothing: the
 * allocator chooses blocks, and either frame of a pair serves it alike. So whatever a state does
 * next, any other of the same key does too, up to such a swap.
 */
export function keyOf(scope: Scope, state: State, renaming: Renaming = 'buddies'): string {
  const first = firstFrame(scope);
  const frames = scope.low + scope.high;
  const seen = new Array<number>(frames).fill(0);
  let elsewhere = 0;
  const note = (frame: number, bit: number): void => {
    const i = frame - first;
    if (i >= 0 && i < frames) seen[i] = (seen[i] as number) + bit;
    else elsewhere += bit;
  };
  for (let order = 0; order < state.free.length; order++) {
    for (const base of state.free[order] as number[]) for (let j = 0; j < 2 ** order; j++) note(base + j, 0x10);
  }
  const domain = state.domains.get(caller) as Domain;
  let pins = 0;
  for (const gfn of domain.pins) pins += gfn >= firstGfn && gfn < firstGfn + 8 ? 1 << (gfn - firstGfn) : 0x100;
  for (const [gfn, frame] of domain.p2m) if (gfn >= firstGfn) note(frame, gfn < firstGfn + scope.gfns ? 1 << (gfn - firstGfn) : 0x1000);
  for (const frame of domain.owned) note(frame, 0x100);
  let key = '';
  for (let i = 0; i < frames; i++) {
    let [a, b] = [seen[i] as number, undefined as number | undefined];
    if ((first + i) % 2 === 0 && i + 1 < frames) b = seen[++i] as number;
    if (b !== undefined && b < a && renaming === 'buddies') [a, b] = [b, a];
    key += b === undefined ? String.fromCharCode(a) : String.fromCharCode(a, b);
  }
  return key + String.fromCharCode(pins, domain.unaddressed, elsewhere % 0xd800);
}

/**
 * Does the guest have a page that is none of the scope's? A call whose list is overwritten on the
 * way can populate any gfn.
 */
export function isBeyond(scope: Scope, state: State): boolean {
  for (const gfn of (state.domains.get(caller) as Domain).p2m.keys()) {
    if (gfn !== controlGfn && (gfn < firstGfn || gfn >= firstGfn + scope.gfns)) return true;
  }
  return false;
}

/**
 * What each gfn leads to, for a person: `0→l1! 1→h0 2→-`, where `l1` is the second frame of low
 * memory and `!` a pin.
 */
export function stateText(scope: Scope, state: State): string {
  const { p2m, pins } = state.domains.get(caller) as Domain;
  const name = (frame: number): string => (frame < FRAMES_BELOW_4G ? `l${frame - firstFrame(scope)}` : `h${frame - FRAMES_BELOW_4G}`);
  const pages = Array.from({ length: scope.gfns }, (_, i) => {
    const frame = p2m.get(firstGfn + i);
    return `${i}→${frame === undefined ? '-' : name(frame)}${pins.has(firstGfn + i) ? '!' : ''}`;
  });
  return pages.join(' ');
}
