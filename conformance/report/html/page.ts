import { count } from '../../../src/text/style.ts';
import { doubtsOf, missedCells, scopeLine, strengthLine, unexpectedOf, verdictLine } from '../../verdict/outcome.ts';
import type { ConformanceResult, Incident } from '../../verdict/result.ts';
import { type Content, html, type Markup, pageOf } from './markup.ts';
import { requirementsSection } from './requirements.ts';
import { pageScript, scriptHash } from './script.ts';
import { evidenceBox, replayBox, storiesOf, storySection } from './story.ts';
import { pageStyle, styleHash } from './style.ts';

/** Incidents that are spelled out. */
const mostIncidents = 50;

/** The result as one page. */
export function htmlForm(result: ConformanceResult): string {
  const { implementation, requirements } = result;
  const body = html`${arrowHeads}
${header(result)}
<main>
${requirementsSection(requirements)}
${stories(result)}
${incidentsSection(result.incidents)}
${cellsSection(result)}
${readingsSection(result)}
${strengthSection(result)}
</main>
<footer><p>xenmem conform. The same seed gives the same page.</p></footer>`;
  const title = `${implementation.name} ${implementation.version}: ${result.verdict}`;
  return pageOf({ title, style: pageStyle, styleHash, script: { text: pageScript, hash: scriptHash }, body });
}

/** One set of arrow heads for every picture. */
const arrowHeads: Markup = html`<svg class="defs" width="0" height="0" aria-hidden="true"><defs>${['was', 'now', 'named'].map(
  (state) =>
    html`<marker id="head-${state}" class="head ${state}" viewBox="0 0 8 8" refX="7" refY="4" markerUnits="userSpaceOnUse" markerWidth="9" markerHeight="9" orient="auto"><path d="M0 0L8 4L0 8z"/></marker>`,
)}</defs></svg>`;

function header(result: ConformanceResult): Markup {
  const { verdict, level, demanded, implementation: who, seed, arch, strength, drift, ended, shard } = result;
  const calm = verdict === 'nonconformant' && unexpectedOf(result).length === 0;
  const sign = { conformant: '✓', nonconformant: calm ? '!' : '✗', inconclusive: '?' }[verdict];
  const commands = Object.entries(who.commands).map(([op, number]) => `${op} ${number}`);
  const limits = Object.entries(who.limits).map(([limit, value]) => `${limit} ${value}`);
  return html`<header>
<p class="kind">xenmem conformance report</p>
<h1>${who.name} <span class="version">${who.version}</span></h1>
<p class="verdict ${calm ? 'expected' : verdict}"><span class="sign" aria-hidden="true">${sign}</span> ${verdictLine(result)}</p>
<dl class="facts">
<div><dt>level</dt><dd>${level}${demanded === undefined || demanded === level ? '' : `, ${demanded} demanded`}</dd></div>
<div><dt>seed</dt><dd>${seed}</dd></div>
<div><dt>architectures</dt><dd>${arch.join(', ')}</dd></div>
<div><dt>scenarios</dt><dd>${result.played === result.runs ? result.runs : `${result.played} of ${result.runs}`}${shard ? `, shard ${shard.index} of ${shard.of}` : ''}</dd></div>
<div><dt>judged calls</dt><dd>${result.calls}</dd></div>
${strength && html`<div><dt>strength</dt><dd>${strengthLine(result)}</dd></div>`}
</dl>
${listBox('Why this is not conclusive', doubtsOf(result), 'doubts')}
${ended === undefined || doubtsOf(result).includes(ended) ? undefined : html`<p class="note">${ended}</p>`}
${listBox('Differences from the expectations', drift ?? [], 'drift')}
<details class="who"><summary>What the implementation says of itself</summary><dl>
<dt>ops</dt><dd>${commands.join(', ')}</dd><dt>capabilities</dt><dd>${who.capabilities.join(', ') || 'none'}</dd><dt>limits</dt><dd>${limits.join(', ') || 'none'}</dd>
<dt>run</dt><dd>${scopeLine(result)}</dd>
${(who.packages ?? []).map(({ name, version = '', sha256 }) => html`<dt>${name} ${version}</dt><dd>SHA-256 ${sha256}</dd>`)}</dl></details>
</header>`;
}

function listBox(title: string, items: readonly string[], kind: string): Content {
  if (items.length === 0) return undefined;
  return html`<section class="box ${kind}"><h2>${title}</h2><ul>${items.map((item) => html`<li>${item}</li>`)}</ul></section>`;
}

function stories({ requirements }: ConformanceResult): Content {
  const told = storiesOf(requirements);
  if (told.length === 0) return undefined;
  return html`<section aria-labelledby="stories-title"><h2 id="stories-title">Counterexamples</h2>${told.map(storySection)}</section>`;
}

function incidentsSection(incidents: readonly Incident[]): Content {
  if (incidents.length === 0) return undefined;
  const left = incidents.length - mostIncidents;
  return html`<section aria-labelledby="incidents-title"><h2 id="incidents-title">Scenarios without a verdict</h2>
${incidents.slice(0, mostIncidents).map(
  ({ kind, found, message, evidence, other, ...again }) => html`<details class="story incident">
<summary><span class="id">${kind}, scenario ${found}</span><span class="said">${message}</span></summary>
<div class="body">${replayBox(again)}${other === undefined ? undefined : html`<p>against</p>${replayBox({ ...again, replay: other })}`}${evidence ? evidenceBox(evidence) : html`<p class="quiet">It left no words behind.</p>`}</div></details>`,
)}${left > 0 ? html`<p class="quiet">and ${left} more</p>` : undefined}</section>`;
}

function cellsSection(result: ConformanceResult): Content {
  const missed = missedCells(result);
  const all = Object.keys(result.cells).length;
  if (missed.length === 0) return undefined;
  return html`<section aria-labelledby="cells-title"><h2 id="cells-title">Coverage that was missed</h2>
<p class="quiet">${count(missed.length, 'cell')} of ${all} reached less often than a verdict needs.</p>
<table class="cells"><thead><tr><th scope="col">cell</th><th scope="col" class="count">reached</th><th scope="col" class="count">needed</th></tr></thead>
<tbody>${missed.map((m) => html`<tr><th scope="row">${m.cell}</th><td class="count">${m.count}</td><td class="count">${m.floor}</td></tr>`)}</tbody></table></section>`;
}

function readingsSection({ readings }: ConformanceResult): Content {
  const seen = Object.entries(readings).sort(([a], [b]) => (a < b ? -1 : 1));
  if (seen.length === 0) return undefined;
  return html`<section aria-labelledby="readings-title"><h2 id="readings-title">Readings seen</h2>
<p class="quiet">Where the texts leave a choice, what this implementation chose, and how often. None of these is a fault.</p>
<dl class="readings">${seen.map(
    ([id, counts]) =>
      html`<div><dt>${id}</dt><dd>${Object.entries(counts).map(([reading, n]) => html`<span class="reading">${reading} <b>${n}</b></span> `)}</dd></div>`,
  )}</dl></section>`;
}

function strengthSection(result: ConformanceResult): Content {
  const { strength } = result;
  if (!strength) return undefined;
  const { killed, seed, survivors } = strength;
  return html`<section aria-labelledby="strength-title"><h2 id="strength-title">Strength of the suite</h2>
<p>Measured with seed ${seed}: ${strengthLine(result)}.</p>
<details><summary>The ${killed.length} that it finds</summary><ul class="columns">${killed.map((name) => html`<li>${name}</li>`)}</ul></details>
${survivors.length > 0 ? html`<details open><summary>The ${survivors.length} that it does not find at this level</summary><ul class="columns">${survivors.map((name) => html`<li>${name}</li>`)}</ul></details>` : undefined}</section>`;
}
