import { hex64 } from '../../../src/codec/hex.ts';
import { sayingOf } from '../../../src/rules/table.ts';
import { clipped } from '../../../src/text/style.ts';
import { replayLine } from '../../verdict/outcome.ts';
import type { Broken, Counterexample, RequirementResult } from '../../verdict/result.ts';
import { type CallScene, framesIn, type Scene, sceneOf, type WorldView, worldOf } from '../story.ts';
import { listsView, memoryTable, structTable } from './bytes.ts';
import { type Content, html, type Markup, whole } from './markup.ts';
import { p2mPicture } from './p2m.ts';

/** Lines of evidence that are shown, from the last. */
const mostEvidence = 40;
/** Longest message beside the name of a story. */
const mostSaid = 500;

/** The element that tells a requirement's counterexample. */
export function storyId(id: string): string {
  return `story-${id.replace(/[^\w-]/g, '_')}`;
}

/** A counterexample, step by step. */
export function storySection({ id, violated, counterexample, expected }: RequirementResult): Content {
  if (!counterexample) return undefined;
  const { message, step, story, scenario, evidence, found } = counterexample;
  const link = expected?.link;
  return html`<details class="story" id="${storyId(id)}">
<summary><span class="id">${id}</span><span class="said">${clipped(message, mostSaid)}</span></summary>
<div class="body">
<blockquote>${sayingOf(id) || id}</blockquote>
<p class="quiet">Violated ${violated} times, first in scenario ${found}. This is the smallest scenario found that still shows it: step ${step} breaks it.</p>
${expected && html`<p class="note expected">Expected${expected.until === undefined ? '' : ` until ${expected.until}`}: ${expected.reason} ${link === undefined ? undefined : linkTo(link)}</p>`}
${replayBox(counterexample)}
${worldView(worldOf(scenario))}
<ol class="steps" start="0">${story.map((one, i) => sceneView(sceneOf(one), i, i === step))}</ol>
${evidence && evidenceBox(evidence)}
</div></details>`;
}

/** A command to play a scenario again. The button needs the script. */
export function replayBox(again: Pick<Counterexample, 'replay' | 'iut' | 'reference'>): Markup {
  return html`<div class="replay"><code tabindex="0">${whole(replayLine(again))}</code><button type="button" class="copy" hidden>Copy</button></div>`;
}

/** The last lines of what an implementation said. */
export function evidenceBox(evidence: readonly string[]): Markup {
  const shown = evidence.slice(-mostEvidence);
  const left = evidence.length - shown.length;
  return html`<figure class="evidence"><figcaption>how the implementation ended${left > 0 ? `, the last ${shown.length} of ${evidence.length} lines` : ''}</figcaption><pre tabindex="0">${shown.map(
    (line) => html`${line}
`,
  )}</pre></figure>`;
}

function linkTo(link: string): Markup {
  return /^https?:\/\//.test(link) ? html`<a href="${link}" rel="noreferrer noopener">${link}</a>` : html`${link}`;
}

function worldView(world: WorldView | undefined): Content {
  if (!world) return undefined;
  const free = world.free ? `, ${world.free.low} frames free below 4 GiB, ${world.free.high} above` : '';
  return html`<section class="world"><h4>The world before</h4><p>${world.arch}${free}</p><ul>${world.domains.map(
    ({ domid, privileged, ram, holes }) =>
      html`<li>domain ${domid}${privileged ? ' (privileged)' : ''}: RAM <span class="mono">${ram}</span>${holes === '' ? undefined : html`, holes <span class="mono">${holes}</span>`}</li>`,
  )}</ul></section>`;
}

function sceneView(scene: Scene, index: number, decisive: boolean): Markup {
  const state = scene.broken.length > 0 ? 'breaks' : scene.kind === 'nothing' ? 'idle' : '';
  return html`<li class="step ${state}"${decisive ? html` aria-current="step"` : undefined}>
${sceneBody(scene, index)}
${brokenView(scene.broken)}
</li>`;
}

function sceneBody(scene: Scene, index: number): Content {
  const named = namedFrames(scene.broken);
  switch (scene.kind) {
    case 'nothing':
      return html`<h4><span class="number">step ${index}</span> ${scene.why}</h4>`;
    case 'churn':
      return html`<h4><span class="number">step ${index}</span> the hypervisor moves pages of domain ${scene.domid}</h4>
${p2mPicture(scene.frames, named)}
${scene.lost.length > 0 ? html`<p class="lost">Content lost: <span class="mono">${scene.lost.join(' ')}</span></p>` : undefined}`;
    case 'call':
      return callView(scene, index, named);
  }
}

function callView(scene: CallScene, index: number, named: ReadonlySet<bigint>): Markup {
  const inject = scene.inject.length > 0 ? html`<span class="chip inject">${scene.inject.join(', ')}</span>` : undefined;
  return html`<h4><span class="number">step ${index}</span> domain ${scene.domid ?? '?'} calls <span class="mono">${scene.op}</span>${scene.arg === undefined ? undefined : html` at <span class="mono">${hex64(scene.arg)}</span>`} <span class="rc ${scene.refused ? 'refused' : ''}">${scene.rc}</span> ${inject}</h4>
${structTable(scene)}
${listsView(scene)}
${memoryTable(scene)}
${p2mPicture(scene.frames, named)}`;
}

function brokenView(broken: readonly Broken[]): Content {
  if (broken.length === 0) return undefined;
  return html`<ul class="broken-rules">${broken.map(({ id, message }) => html`<li><strong>${id}</strong> ${message}</li>`)}</ul>`;
}

/** The frames that the messages speak of. */
function namedFrames(broken: readonly Broken[]): ReadonlySet<bigint> {
  return new Set(broken.flatMap(({ message }) => framesIn(message)));
}

/** The counterexamples of a result, those that nobody expects first. */
export function storiesOf(requirements: readonly RequirementResult[]): readonly (RequirementResult & { counterexample: Counterexample })[] {
  const told = requirements.flatMap((r) => (r.counterexample ? [{ ...r, counterexample: r.counterexample }] : []));
  return [...told.filter((r) => !r.expected), ...told.filter((r) => r.expected)];
}
