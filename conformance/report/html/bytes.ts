import { hex64, toHex } from '../../../src/codec/hex.ts';
import type { Finding } from '../../../src/rules/judge.ts';
import { type StructRow, structRows } from '../../../src/text/struct-text.ts';
import type { CallScene, ListView, MemoryRow } from '../story.ts';
import { type Content, html, type Markup } from './markup.ts';

/** Bytes on a row. */
const rowBytes = 8;

/** The argument of a call, field by field, and what the call made of it. */
export function structTable({ argument }: CallScene): Content {
  if (!argument) return undefined;
  const { layout, address, before, after, findings } = argument;
  const later = new Map(structRows(layout, after).map((row) => [row.offset, row]));
  const rows = structRows(layout, before);
  const place = address === undefined ? '' : ` at ${hex64(address)}`;
  return html`<div class="scroll" tabindex="0" role="group" aria-label="bytes of the struct"><table class="bytes">
<caption>${layout.struct}, ${layout.size} bytes${place}</caption>
<thead><tr><th scope="col">offset</th><th scope="col">bytes</th><th scope="col">field</th><th scope="col">value</th><th scope="col"></th></tr></thead>
<tbody>${rows.map((row, i) => fieldRow(row, rows[i - 1], later.get(row.offset), findings))}</tbody></table></div>`;
}

function fieldRow(row: StructRow, above: StructRow | undefined, after: StructRow | undefined, findings: readonly Finding[]): Content {
  const { offset, size, path = 'padding', held, value } = row;
  const own = findings.filter((f) => f.bytes !== undefined && f.bytes[0] < offset + size && f.bytes[1] > offset);
  const broken = own.some((f) => f.blame === 'hypervisor');
  const prefix = (of: StructRow | undefined): string => of?.path?.split('.')[0] ?? '';
  const apart = above?.path !== undefined && row.path !== undefined && prefix(above) !== prefix(row);
  const differs = after !== undefined && after.held.length === held.length && toHex(after.held) !== toHex(held);
  const name = `${broken ? 'broken' : ''}${apart ? ' apart' : ''}`.trim();
  const first = html`<tr class="${name}"><th scope="row">0x${offset.toString(16).padStart(2, '0')}</th><td class="hex">${indent(offset)}${hexBytes([...held])}</td><td>${path}</td><td>${value}</td><td>${own.map(chip)}</td></tr>`;
  if (!differs) return first;
  const changed = [...held].map((byte, i) => byte !== after.held[i]);
  return [
    first,
    html`<tr class="after ${broken ? 'broken' : ''}"><th scope="row"><span class="quiet">after</span></th><td class="hex">${indent(offset)}${hexBytes([...after.held], changed)}</td><td></td><td>${after.value}</td><td></td></tr>`,
  ];
}

function chip({ id, blame, severity, message }: Finding): Markup {
  return html`<span class="chip ${blame === 'hypervisor' ? 'violated' : 'caller'}" title="${message}">${blame === 'hypervisor' ? 'violated' : severity} ${id}</span> `;
}

/** The lists that a call names, entry by entry; an entry that the call changed shows both. */
export function listsView({ lists }: CallScene): Content {
  if (lists.length === 0) return undefined;
  return html`<dl class="lists">${lists.map(listRow)}</dl>`;
}

function listRow({ path, address, count, entries }: ListView): Markup {
  const name = (frame: bigint | undefined): string => (frame === undefined ? '?' : hex64(frame));
  return html`<dt>${path || 'the'} list <span class="quiet">at ${hex64(address)}</span></dt><dd>${entries.map(({ before, after }) =>
    after !== undefined && after !== before
      ? html`<span class="entry changed">${name(before)} <span class="to">→</span> <mark>${name(after)}</mark></span> `
      : html`<span class="entry">${name(before)}</span> `,
  )}${count > BigInt(entries.length) ? html`<span class="quiet">and ${count - BigInt(entries.length)} more</span>` : undefined}</dd>`;
}

/** Guest memory that a call changed: eight bytes a row, before and after. */
export function memoryTable({ memory, moreMemory }: CallScene): Content {
  if (memory.length === 0) return html`<p class="quiet">No memory that was watched has changed.</p>`;
  return html`<div class="scroll" tabindex="0" role="group" aria-label="memory that changed"><table class="bytes memory">
<caption>memory that changed</caption>
<thead><tr><th scope="col">address</th><th scope="col">before</th><th scope="col">after</th><th scope="col">what lies there</th></tr></thead>
<tbody>${memory.map(memoryRow)}</tbody></table></div>${moreMemory > 0 ? html`<p class="quiet">and ${moreMemory} more rows</p>` : undefined}`;
}

function memoryRow({ address, before, after, changed, label }: MemoryRow): Markup {
  return html`<tr><th scope="row">${hex64(address)}</th><td class="hex">${hexBytes(before)}</td><td class="hex">${hexBytes(after, changed)}</td><td>${label}</td></tr>`;
}

/** Bytes as hex, in runs: zeros are quiet, changed ones marked, unknown ones dots. */
function hexBytes(bytes: readonly (number | undefined)[], changed: readonly boolean[] = []): Content {
  const runs: { kind: 'plain' | 'zero' | 'mark'; text: string[] }[] = [];
  for (const [i, byte] of bytes.entries()) {
    const kind = changed[i] ? 'mark' : byte === 0 || byte === undefined ? 'zero' : 'plain';
    const last = runs.at(-1);
    const text = byte === undefined ? '··' : byte.toString(16).padStart(2, '0');
    if (last?.kind === kind) last.text.push(text);
    else runs.push({ kind, text: [text] });
  }
  return runs.map(({ kind, text }, i) => {
    const shown = text.join(' ');
    const space = i > 0 ? ' ' : '';
    if (kind === 'mark') return html`${space}<mark>${shown}</mark>`;
    return kind === 'zero' ? html`${space}<span class="zero">${shown}</span>` : html`${space}${shown}`;
  });
}

function indent(offset: number): string {
  return ' '.repeat((offset % rowBytes) * 3);
}
