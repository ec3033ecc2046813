import { framesBelow4G, sideOf } from '../../../src/abi/frames.ts';
import { hex64 } from '../../../src/codec/hex.ts';
import { changedFrames, type FrameMove, frameName } from '../story.ts';
import { type Content, html, type Markup } from './markup.ts';

/** Guest frames in one picture: at most so many that changed, and neighbours only up to fewer. */
const most = { changed: 14, withNeighbours: 9 } as const;
const box = { width: 56, height: 22, gap: 6 } as const;
const groupGap = 30;
const left = 108;
const rows = { before: 22, guest: 98, after: 174 } as const;
const height = 212;

type Side = 'before' | 'after';

/**
 * The p2m around a step as a picture: guest frames in the middle, the machine frames behind them
 * before the step above, those after it below. Frames that a broken rule names are set apart. Empty
 * where nothing is known.
 */
export function p2mPicture(frames: readonly FrameMove[], named: ReadonlySet<bigint>): Content {
  const moved = changedFrames(frames);
  if (frames.length === 0) return undefined;
  if (moved.length === 0) return html`<p class="quiet">The p2m did not change.</p>`;
  const drawn = framesToDraw(frames, moved, named);
  const sides = { before: placesOf(drawn, 'before'), after: placesOf(drawn, 'after') };
  const guestWidth = drawn.length * (box.width + box.gap) - box.gap;
  const inner = Math.max(guestWidth, sides.before.width, sides.after.width);
  const guestX = (index: number): number => left + (inner - guestWidth) / 2 + index * (box.width + box.gap);
  const arrows = drawn.flatMap((frame, i) =>
    (['before', 'after'] as const).map((side) => arrow(frame, side, guestX(i), (inner - sides[side].width) / 2, sides[side], named)),
  );
  const moves = moved.map(({ gfn, before, after }) => `${hex64(gfn)}: ${frameName(before)} → ${frameName(after)}`);
  const hidden = frames.filter((f) => f.before || f.after).length - drawn.length;
  return html`<figure class="p2m">
<div class="scroll" tabindex="0" role="group" aria-label="picture of the p2m"><svg width="${left + inner + 12}" height="${height}" viewBox="0 0 ${left + inner + 12} ${height}" role="img" aria-label="${`p2m changes: ${moves.slice(0, most.changed).join('; ')}`}">
<text class="row-name" x="4" y="${rows.before + 15}">before</text><text class="row-name" x="4" y="${rows.guest + 15}">guest frames</text><text class="row-name" x="4" y="${rows.after + 15}">after</text>
${arrows}
${drawn.map((frame, i) => guestBox(frame, guestX(i), named))}
${(['before', 'after'] as const).map((side) => machineRow(side, sides[side], (inner - sides[side].width) / 2, drawn, named))}
</svg></div>
<figcaption><span class="key low"></span>below 4 GiB <span class="key high"></span>above 4 GiB${hidden > 0 ? ` · ${hidden} more guest frames not drawn` : ''}
<details><summary>${moved.length} changed, as text</summary><ul class="mono">${moves.map((move) => html`<li>${move}</li>`)}</ul></details></figcaption>
</figure>`;
}

/** What was named and what changed, then the nearest neighbours as far as there is room. */
function framesToDraw(frames: readonly FrameMove[], moved: readonly FrameMove[], named: ReadonlySet<bigint>): readonly FrameMove[] {
  const wanted = new Set<FrameMove>(moved.filter(({ gfn }) => named.has(gfn)).slice(0, most.changed));
  for (const frame of moved) if (wanted.size < most.changed) wanted.add(frame);
  const distance = ({ gfn }: FrameMove): bigint =>
    [...wanted].reduce((least, w) => (abs(w.gfn - gfn) < least ? abs(w.gfn - gfn) : least), 1n << 64n);
  const others = frames.filter((f) => !wanted.has(f) && (f.before || f.after)).map((frame) => ({ frame, away: distance(frame) }));
  others.sort((a, b) => (a.away < b.away ? -1 : a.away > b.away ? 1 : 0));
  for (const { frame } of others) if (wanted.size < most.withNeighbours) wanted.add(frame);
  return frames.filter((frame) => wanted.has(frame));
}

function abs(n: bigint): bigint {
  return n < 0n ? -n : n;
}

interface Places {
  readonly x: ReadonlyMap<bigint, number>;
  readonly width: number;
}

/** Where the machine frames of a row stand, from its left end: low memory first. */
function placesOf(drawn: readonly FrameMove[], side: Side): Places {
  const mfns = [...new Set(drawn.flatMap((f) => (typeof f[side] === 'bigint' ? [f[side]] : [])))].sort((a, b) => (a < b ? -1 : 1));
  const x = new Map<bigint, number>();
  let at = 0;
  for (const [i, mfn] of mfns.entries()) {
    const before = mfns[i - 1];
    if (before !== undefined) at += before < framesBelow4G && mfn >= framesBelow4G ? groupGap : box.gap;
    x.set(mfn, at);
    at += box.width;
  }
  return { x, width: at };
}

function arrow(frame: FrameMove, side: Side, guestX: number, shift: number, places: Places, named: ReadonlySet<bigint>): Content {
  const mfn = frame[side];
  const from = guestX + box.width / 2;
  const guestEdge = side === 'before' ? rows.guest : rows.guest + box.height;
  if (mfn === undefined) return undefined;
  if (mfn === null) {
    const y = side === 'before' ? guestEdge - 6 : guestEdge + 14;
    return frame.before === frame.after ? undefined : html`<text class="hole" x="${from}" y="${y}">hole</text>`;
  }
  const to = left + shift + (places.x.get(mfn) ?? 0) + box.width / 2;
  const machineEdge = side === 'before' ? rows.before + box.height + 2 : rows.after - 2;
  const bend = (guestEdge + machineEdge) / 2;
  const changed = frame.before !== frame.after;
  const state = !changed ? 'same' : named.has(frame.gfn) ? 'named' : side === 'before' ? 'was' : 'now';
  const head = changed ? html` marker-end="url(#head-${state})"` : undefined;
  return html`<path class="arrow ${state}" d="M${from} ${guestEdge}C${from} ${bend} ${to} ${bend} ${to} ${machineEdge}"${head}/>`;
}

function guestBox({ gfn, before, after }: FrameMove, x: number, named: ReadonlySet<bigint>): Markup {
  const state = named.has(gfn) ? 'named' : before === after ? 'same' : 'moved';
  return html`<g class="frame guest ${state}"><rect x="${x}" y="${rows.guest}" width="${box.width}" height="${box.height}" rx="3"/><text x="${x + box.width / 2}" y="${rows.guest + 15}">${hex64(gfn)}</text></g>`;
}

function machineRow(side: Side, { x }: Places, shift: number, drawn: readonly FrameMove[], named: ReadonlySet<bigint>): Content {
  return [...x].map(([mfn, at]) => {
    const owners = drawn.filter((f) => f[side] === mfn);
    const state = owners.some((f) => named.has(f.gfn)) ? 'named' : owners.some((f) => f.before !== f.after) ? 'moved' : 'same';
    const y = rows[side];
    const where = sideOf(mfn);
    return html`<g class="frame ${where} ${state}"><rect x="${left + shift + at}" y="${y}" width="${box.width}" height="${box.height}" rx="${where === 'low' ? 2 : 11}"/><text x="${left + shift + at + box.width / 2}" y="${y + 15}">${hex64(mfn)}</text></g>`;
  });
}
