import { hex64 } from '../codec/hex.ts';
import { type Digest, type DigestRow, digestSchema } from './digest.ts';
import { pinnedPages, type Twice } from './followed.ts';
import { count, plain, type Style } from './style.ts';
import { wrapped } from './wrap.ts';

const levels = '▁▂▃▄▅▆▇█';

/**
 * A trace as a story, for a person: who asked for what and got how much, over time, and what is
 * left open.
 */
export function digestText(digest: Digest, style: Style = plain): string[] {
  const lines: string[] = [];
  for (const [domid, rows] of byDomain(digest)) {
    lines.push(style.bold(domid === undefined ? 'domain not captured' : `domain ${domid}`));
    for (const row of rows) lines.push(...rowText(row));
  }
  if (digest.otherRows > 0) lines.push(`${count(digest.otherRows, 'more call')} of other ops or domains: only the first 64 are told apart`);
  const { timeline, stride } = digest;
  const nets = timeline.map(({ net }) => net);
  const end = nets.at(-1) ?? 0n;
  if (timeline.some(({ taken, given }) => taken + given > 0n)) {
    const sum = (of: 'taken' | 'given'): bigint => timeline.reduce((total, stretch) => total + stretch[of], 0n);
    lines.push(
      `pages: ${sum('taken')} taken, ${sum('given')} given back, ${signed(end)} at the end (lowest ${signed(least(nets))}, highest ${signed(most(nets))})`,
      `  ${plot(nets)}  a column is ${count(stride, 'call')}`,
    );
  }
  if (digest.mostPins > 0) {
    lines.push(
      `pins: ${count(digest.pins, 'page')} at the end, ${digest.mostPins} at most`,
      `  ${plot(
        timeline.map(({ pins }) => BigInt(pins)),
        0n,
      )}`,
    );
    const { count: pinned, first } = pinnedPages(digest);
    if (pinned > 0) lines.push(...listed(`never put: `, first.map(pinText), pinned, style));
  }
  for (const [word, { count: times, first }] of [
    ['given back twice: ', digest.givenTwice],
    ['taken twice: ', digest.takenTwice],
  ] as const) {
    if (times > 0) lines.push(...listed(word, first.map(twiceText), times, style));
  }
  if (digest.notFollowed > 0n) lines.push(style.dim(`${digest.notFollowed} pages were not followed: not listed, or too many`));
  return lines;
}

function byDomain({ rows }: Digest): [number | undefined, DigestRow[]][] {
  const found = new Map<number | undefined, DigestRow[]>();
  for (const row of rows.values()) found.set(row.domid, [...(found.get(row.domid) ?? []), row]);
  return [...found].sort(([a], [b]) => (a ?? 65536) - (b ?? 65536));
}

function rowText({ op, calls, refused, not_counted, extents, pages, orders, rc }: DigestRow): string[] {
  const parts = [
    count(calls, 'call'),
    ...(refused > 0 ? [`${refused} refused`] : []),
    ...(extents.asked > 0n ? [`${extents.done} of ${extents.asked} extents, ${pages.done} of ${pages.asked} pages`] : []),
    ...(not_counted > 0 ? [`${not_counted} not counted`] : []),
    ...(orders.size > 0 ? [`order ${histogram(orders)}`] : []),
    `rc ${histogram(rc)}`,
  ];
  return wrapped(`  ${op.padEnd(22)} `, parts.map((part) => part.replaceAll(' ', '\u00a0')).join('; ')).map((text) =>
    text.replaceAll('\u00a0', ' '),
  );
}

function histogram(map: ReadonlyMap<string, number>): string {
  return [...map]
    .sort(([, a], [, b]) => b - a)
    .map(([key, n]) => `${key} ×${n}`)
    .join(', ');
}

function listed(head: string, items: readonly string[], all: number, style: Style): string[] {
  const rest = all > items.length ? `, and ${all - items.length} more` : '';
  return wrapped(head, `${items.join(', ')}${rest}`).map((text, i) => (i === 0 ? text.replace(head, style.warn(head)) : text));
}

function pinText(key: string): string {
  const [domid, gfn] = key.split(' ');
  return `0x${gfn} of domain ${domid === 'undefined' ? '?' : domid}`;
}

function twiceText({ domid, gfn, place, before }: Twice): string {
  return `${hex64(gfn)} of domain ${domid ?? '?'} at ${place} and at ${before}`;
}

/** Numbers as columns of eight heights, `low` at the bottom. */
function plot(values: readonly bigint[], low = least(values)): string {
  const high = most(values);
  const range = high - low;
  return values.map((value) => levels[range === 0n ? 0 : Number(((value - low) * 7n) / range)]).join('');
}

function least(values: readonly bigint[]): bigint {
  return values.reduce((found, value) => (value < found ? value : found), values[0] ?? 0n);
}

function most(values: readonly bigint[]): bigint {
  return values.reduce((found, value) => (value > found ? value : found), values[0] ?? 0n);
}

function signed(value: bigint): string {
  return value > 0n ? `+${value}` : String(value);
}

/** The same as one object; counts that may be beyond 2^53 are strings. */
export function digestJson(digest: Digest): object {
  const pair = ({ asked, done }: DigestRow['pages']): object => ({ asked: hex64(asked), done: hex64(done) });
  const twice = ({ count: times, first }: Digest['givenTwice']): object => ({
    count: times,
    first: first.map(({ domid, gfn, place, before }) => ({ domid: domid ?? null, gfn: hex64(gfn), at: place, before })),
  });
  const { count: pinned, first } = pinnedPages(digest);
  return {
    schema: digestSchema,
    ops: [...digest.rows.values()].map(({ op, domid, calls, refused, not_counted, extents, pages, orders, rc }) => ({
      op,
      domid: domid ?? null,
      calls,
      refused,
      not_counted,
      extents: pair(extents),
      pages: pair(pages),
      orders: Object.fromEntries(orders),
      rc: Object.fromEntries(rc),
    })),
    other_calls: digest.otherRows,
    timeline: {
      calls_per_stretch: digest.stride,
      stretches: digest.timeline.map(({ calls, taken, given, net, pins }) => ({
        calls,
        taken: hex64(taken),
        given: hex64(given),
        net: net < 0n ? `-${hex64(-net)}` : hex64(net),
        pins,
      })),
    },
    pins: {
      at_end: digest.pins,
      most: digest.mostPins,
      never_put: { count: pinned, first: first.map(pinJson) },
    },
    given_twice: twice(digest.givenTwice),
    taken_twice: twice(digest.takenTwice),
    not_followed: hex64(digest.notFollowed),
  };
}

function pinJson(key: string): object {
  const [domid, gfn] = key.split(' ');
  return { domid: domid === 'undefined' ? null : Number(domid), gfn: `0x${gfn}` };
}
