import { createHash } from 'node:crypto';
import type { Digest, DigestRow, Stretch } from '../../../src/text/digest.ts';
import { pinnedPages, type Twice } from '../../../src/text/followed.ts';
import { count } from '../../../src/text/style.ts';
import { html, type Markup, pageOf, verbatim } from './markup.ts';

/** What the page is of, beside the calls. */
export interface TimelineHead {
  readonly sources: readonly string[];
  /** The last lines of `validate`: what was judged, and the verdict. */
  readonly verdict: readonly string[];
}

/**
 * A trace as one page: pages given and taken, pins and orders over time, and what each op came to.
 * It holds no script, and is dark where the reader wants it so.
 */
export function timelinePage(digest: Digest, { sources, verdict }: TimelineHead): string {
  const { timeline, stride } = digest;
  const body = html`<header>
<p class="kind">xenmem validate: timeline</p>
<h1>${sources.join(', ')}</h1>
<pre>${verdict.map((line) => html`${line}${verbatim('\n')}`)}</pre>
</header>
<main>
${timeline.length === 0 ? html`<p>No call was read.</p>` : charts(timeline, stride)}
${ops(digest)}
${openEnds(digest)}
</main>`;
  const styleHash = `sha256-${createHash('sha256').update(style).digest('base64')}`;
  return pageOf({ title: `xenmem timeline: ${sources.join(', ')}`, style, styleHash, body });
}

const [width, height, middle] = [960, 150, 75];

function charts(timeline: readonly Stretch[], stride: number): Markup {
  const wide = width / timeline.length;
  const starts = timeline.map((_, i) => timeline.slice(0, i).reduce((sum, { calls }) => sum + calls, 0));
  const column = (i: number, y: number, tall: number, kind: string): Markup =>
    html`<rect class="${kind}" x="${fixed(i * wide)}" y="${fixed(y)}" width="${fixed(wide * 0.9)}" height="${fixed(tall)}"/>`;
  const told = (i: number, words: string): Markup =>
    html`<rect class="told" x="${fixed(i * wide)}" y="0" width="${fixed(wide)}" height="${height}"><title>${`calls ${starts[i]} to ${(starts[i] ?? 0) + (timeline[i]?.calls ?? 0) - 1}: ${words}`}</title></rect>`;
  const figure = (title: string, legend: Markup, body: readonly Markup[]): Markup =>
    html`<figure><figcaption>${title} ${legend}</figcaption><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}" preserveAspectRatio="none">${body}</svg></figure>`;
  const key = (kind: string, words: string): Markup => html`<span class="key ${kind}"></span>${words} `;

  const most = timeline.reduce((found, { taken, given }) => larger(found, larger(taken, given)), 1n);
  const nets = timeline.map(({ net }) => net);
  const farthest = nets.reduce((found, net) => larger(found, net < 0n ? -net : net), 1n);
  const at = (net: bigint): number => middle - share(net, farthest) * (middle - 4);
  const pages = figure(
    'Pages',
    html`${key('taken', 'taken')}${key('given', 'given back')}${key('net', `all taken less all given back, ${nets.at(-1) ?? 0n} at the end`)}`,
    [
      ...timeline.flatMap(({ taken, given }, i) => {
        const [up, down] = [share(taken, most) * middle, share(given, most) * middle];
        return [column(i, middle - up, up, 'taken'), column(i, middle, down, 'given')];
      }),
      html`<polyline class="net" points="${nets.map((net, i) => `${fixed((i + 0.5) * wide)},${fixed(at(net))}`).join(' ')}"/>`,
      ...timeline.map(({ taken, given, net }, i) => told(i, `${taken} taken, ${given} given back, ${net} net`)),
    ],
  );
  const mostPins = Math.max(1, ...timeline.map((stretch) => stretch.pins));
  const pins = figure('Pinned pages', html`${key('pins', `at most ${mostPins}`)}`, [
    ...timeline.map((stretch, i) => column(i, height * (1 - stretch.pins / mostPins), (height * stretch.pins) / mostPins, 'pins')),
    ...timeline.map((stretch, i) => told(i, `${count(stretch.pins, 'page')} pinned at the end`)),
  ]);
  const orders = [...new Set(timeline.flatMap((stretch) => [...stretch.orders.keys()]))].sort((a, b) => a - b);
  const mostCalls = Math.max(1, ...timeline.map((stretch) => stretch.calls));
  const kind = (order: number): string => `order order-${Math.min(orders.indexOf(order), shades - 1)}`;
  const byOrder = figure(
    'Calls by extent_order',
    html`${orders.map((order) => key(kind(order), `order ${order}`))}`,
    timeline.flatMap((stretch, i) => {
      let below = 0;
      const stacked = orders.map((order) => {
        const tall = (height * (stretch.orders.get(order) ?? 0)) / mostCalls;
        below += tall;
        return column(i, height - below, tall, kind(order));
      });
      const words = orders.flatMap((order) => (stretch.orders.has(order) ? [`${stretch.orders.get(order)} of order ${order}`] : []));
      return [...stacked, told(i, words.join(', ') || 'no order was captured')];
    }),
  );
  const isSeen = timeline.some((stretch) => stretch.pins > 0);
  return html`<p class="quiet">A column is ${count(stride, 'call')}; time goes from left to right.</p>${pages}${isSeen ? pins : undefined}${orders.length > 0 ? byOrder : undefined}`;
}

function ops({ rows, otherRows }: Digest): Markup {
  const tallies = (map: ReadonlyMap<string, number>): string => [...map].map(([name, n]) => `${name} ×${n}`).join(', ');
  const row = ({ op, domid, calls, refused, extents, pages, orders, rc }: DigestRow): Markup =>
    html`<tr><td>${domid ?? '?'}</td><td class="mono">${op}</td><td>${calls}</td><td>${refused}</td><td>${`${extents.done} of ${extents.asked}`}</td><td>${`${pages.done} of ${pages.asked}`}</td><td>${tallies(orders)}</td><td>${tallies(rc)}</td></tr>`;
  const heads = ['domain', 'op', 'calls', 'refused', 'extents', 'pages', 'orders', 'rc'];
  const more = otherRows > 0 ? html`<p class="quiet">${count(otherRows, 'more call')} of other ops or domains.</p>` : undefined;
  return html`<h2>What each op came to</h2><div class="scroll"><table><thead><tr>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead><tbody>${[...rows.values()].map(row)}</tbody></table></div>${more}`;
}

function openEnds(digest: Digest): Markup | undefined {
  const { count: pinned, first } = pinnedPages(digest);
  const twice = ({ gfn, domid, place, before }: Twice): string =>
    `0x${gfn.toString(16)} of domain ${domid ?? '?'}, at ${before} and at ${place}`;
  const list = (title: string, all: number, items: readonly string[]): Markup | undefined =>
    all === 0
      ? undefined
      : html`<h2>${title}: ${all}</h2><ul>${items.map((item) => html`<li class="mono">${item}</li>`)}</ul>${all > items.length ? html`<p class="quiet">and ${all - items.length} more</p>` : undefined}`;
  const named = first.map((key) => key.split(' ')).map(([domid, gfn]) => `0x${gfn} of domain ${domid === 'undefined' ? '?' : domid}`);
  const { givenTwice, takenTwice } = digest;
  return html`${list('Never put', pinned, named)}${list('Given back twice', givenTwice.count, givenTwice.first.map(twice))}${list('Taken twice', takenTwice.count, takenTwice.first.map(twice))}`;
}

function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

/** A part of a whole, from -1 to 1. */
function share(part: bigint, whole: bigint): number {
  return Number((part * 10_000n) / whole) / 10_000;
}

function fixed(n: number): string {
  return n.toFixed(2);
}

/** Orders that have a colour of their own. */
const shades = 6;

const style = `
:root { --paper: #fcfcfa; --ink: #1c2024; --quiet: #5d656e; --line: #dfdfd8; --taken: #2f7d55; --given: #b0622a; --net: #1c2024; --pins: #6a4fa0; --o0: #1f4f9a; --o1: #3f8a8c; --o2: #8a7a1f; --o3: #b0622a; --o4: #a03a5a; --o5: #5d656e; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171a; --ink: #e5e7e9; --quiet: #9aa4ae; --line: #323941; --taken: #7bd1a0; --given: #f0a063; --net: #e5e7e9; --pins: #b79df0; --o0: #8fb8f6; --o1: #7fd0d0; --o2: #e0cf6a; --o3: #f0a063; --o4: #f093b0; --o5: #9aa4ae; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 64rem; padding: 2rem 1.25rem 3rem; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; margin: 0 0 0.8rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 0.6rem; }
.kind, .quiet, figcaption { color: var(--quiet); }
.kind { font-size: 0.82rem; letter-spacing: 0.06em; text-transform: uppercase; margin: 0; }
pre { white-space: pre-wrap; margin: 0 0 1rem; }
pre, .mono { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: 0.86em; }
figure { margin: 1.2rem 0; }
svg { display: block; width: 100%; height: 9.5rem; border: 1px solid var(--line); border-radius: 4px; }
.key { display: inline-block; width: 0.8em; height: 0.8em; margin: 0 0.35em 0 0.9em; border-radius: 2px; background: var(--fill); }
rect { fill: var(--fill); }
.taken { --fill: var(--taken); } .given { --fill: var(--given); } .pins { --fill: var(--pins); } .key.net { --fill: var(--net); }
.order-0 { --fill: var(--o0); } .order-1 { --fill: var(--o1); } .order-2 { --fill: var(--o2); } .order-3 { --fill: var(--o3); } .order-4 { --fill: var(--o4); } .order-5 { --fill: var(--o5); }
polyline.net { fill: none; stroke: var(--net); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
.told { fill: transparent; }
.told:hover { fill: var(--ink); fill-opacity: 0.08; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.92rem; }
th, td.mono { white-space: nowrap; }
th, td { text-align: left; vertical-align: baseline; padding: 0.3rem 0.7rem 0.3rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 400; color: var(--quiet); }
@media print { body { max-width: none; padding: 0; } svg { break-inside: avoid; } }
`;
