import { sayingOf } from '../../../src/rules/table.ts';
import { clipped } from '../../../src/text/style.ts';
import { type Outcome, outcomeOf, whyUnknown } from '../../verdict/outcome.ts';
import type { RequirementResult } from '../../verdict/result.ts';
import { type Content, html, type Markup } from './markup.ts';
import { storyId } from './story.ts';

/** Longest message in the table. */
const mostSaid = 200;

const words: { readonly [outcome in Outcome]: string } = {
  holds: 'holds',
  violated: 'violated',
  broke: 'violated',
  expected: 'expected',
  unknown: 'unknown',
};
/** What needs looking at comes first. */
const order: readonly string[] = ['violated', 'expected', 'unknown', 'holds'];
const signs: { readonly [outcome in Outcome]: string } = { holds: '✓', violated: '✗', broke: '✗', expected: '!', unknown: '?' };

/**
 * Requirements by verdict, with the sentence each stands on. A row leads to its counterexample; the
 * filter needs the script.
 */
export function requirementsSection(requirements: readonly RequirementResult[]): Markup {
  const found = requirements.map((r) => words[outcomeOf(r)]);
  const kinds = order.filter((word) => found.includes(word));
  return html`<section aria-labelledby="requirements-title"><h2 id="requirements-title">Requirements</h2>
<form id="filter" class="filter" role="search" hidden>
<fieldset><legend>verdict</legend>
${choice('all', requirements.length, true)}${kinds.map((word) => choice(word, found.filter((f) => f === word).length, false))}
</fieldset>
<label class="search"><span>text</span><input type="search" id="filter-text" autocomplete="off" spellcheck="false" placeholder="pinned, contiguous, isolation…"></label>
<output id="filter-count" aria-live="polite">${requirements.length} of ${requirements.length}</output>
</form>
<table class="requirements" id="requirements">
<thead><tr><th scope="col">verdict</th><th scope="col">requirement</th><th scope="col">the sentence it stands on</th><th scope="col" class="count">judged</th><th scope="col" class="count">unknown</th></tr></thead>
<tbody>${order.flatMap((word) => requirements.filter((r) => words[outcomeOf(r)] === word)).map(requirementRow)}</tbody>
</table>
<p id="filter-none" class="quiet" hidden>No requirement fits.</p>
</section>`;
}

function choice(word: string, number: number, checked: boolean): Markup {
  return html`<label class="choice ${word}"><input type="radio" name="verdict" value="${word}"${checked ? html` checked` : undefined}><span>${word} <b>${number}</b></span></label>`;
}

function requirementRow(requirement: RequirementResult): Content {
  const { id, exercised, unknown, counterexample } = requirement;
  const outcome = outcomeOf(requirement);
  const word = words[outcome];
  const told = counterexample !== undefined;
  return html`<tr data-verdict="${word}"${told ? html` class="told" data-story="${storyId(id)}"` : undefined}>
<td><span class="chip ${word}"><span aria-hidden="true">${signs[outcome]}</span> ${word}</span></td>
<th scope="row">${told ? html`<a href="#${storyId(id)}">${id}</a>` : html`${id}`}</th>
<td>${sayingOf(id)}${remark(requirement, outcome)}</td>
<td class="count">${exercised}</td><td class="count">${unknown}</td></tr>
`;
}

function remark(requirement: RequirementResult, outcome: Outcome): Content {
  if (outcome === 'unknown') return html`<span class="why">${whyUnknown(requirement)}</span>`;
  if (requirement.counterexample) return html`<span class="why seen">${clipped(requirement.counterexample.message, mostSaid)}</span>`;
  return undefined;
}
