/** The base64 SHA-256 of the style, as the page's policy names it; a test says when it is stale. */
export const styleHash = 'sha256-3+ANMY1rhmuc6DxZwpO9otWQbSYcF6BJAgGUigFMK+w=';

/** The look of the page. */
export const pageStyle = `
:root {
  --paper: #fcfcfa; --raised: #ffffff; --sunk: #f3f3ef; --ink: #1c2024; --quiet: #5d656e; --line: #dfdfd8;
  --good: #17693f; --good-tint: #e4f2e9; --bad: #a8201a; --bad-tint: #fbe9e7; --warn: #805300; --warn-tint: #fbf0d9;
  --unknown: #555d66; --unknown-tint: #ebecec; --link: #1f4f9a; --mark: #ffe08a; --low: #e3ecf8; --high: #efe6f6; --now: #1f4f9a; --was: #77808a;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", "JetBrains Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --raised: #1a1e22; --sunk: #20252a; --ink: #e5e7e9; --quiet: #9aa4ae; --line: #323941;
    --good: #7bd1a0; --good-tint: #16301f; --bad: #ff9a90; --bad-tint: #3b1b19; --warn: #f0c162; --warn-tint: #35290f;
    --unknown: #b0b8c0; --unknown-tint: #2a3036; --link: #8fb8f6; --mark: #6b5310; --low: #1e2d42; --high: #322643; --now: #8fb8f6; --was: #7d8791;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 1rem; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0 auto; max-width: 76rem; padding: 2.5rem 1.5rem 4rem; background: var(--paper); color: var(--ink); font: 16px/1.55 var(--sans); font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
h1, h2, h4, p, dl, ul, ol, figure, blockquote { margin: 0; }
h1 { font-size: 2rem; line-height: 1.2; font-weight: 650; letter-spacing: -0.015em; }
h2 { font-size: 1.2rem; font-weight: 650; margin: 3rem 0 0.9rem; }
h4 { font-size: 1rem; font-weight: 600; }
a { color: var(--link); text-underline-offset: 0.15em; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; border-radius: 3px; }
[hidden] { display: none !important; }
.defs { position: absolute; }
.mono, code, pre, table.bytes, .lists dd { font-family: var(--mono); font-size: 0.84em; }
.quiet, .kind, .version { color: var(--quiet); }
.kind { font-size: 0.82rem; letter-spacing: 0.06em; text-transform: uppercase; margin-bottom: 0.3rem; }
.version { font-weight: 400; }
.verdict { display: flex; gap: 0.75rem; align-items: center; margin: 1.3rem 0 1.5rem; padding: 0.8rem 1.1rem; border-left: 5px solid; border-radius: 4px; font-size: 1.15rem; font-weight: 600; }
.verdict .sign { font-size: 1.3rem; line-height: 1; }
.verdict.conformant { color: var(--good); background: var(--good-tint); }
.verdict.nonconformant { color: var(--bad); background: var(--bad-tint); }
.verdict.inconclusive, .verdict.expected { color: var(--warn); background: var(--warn-tint); }
.facts { display: flex; flex-wrap: wrap; gap: 0.9rem 2.4rem; }
.facts dt, .who dt { font-size: 0.8rem; color: var(--quiet); }
.facts dd, .who dd { margin: 0; }
.facts dd { font-weight: 550; }
.box { margin-top: 1.5rem; padding: 0.9rem 1.1rem; border: 1px solid var(--line); border-radius: 6px; background: var(--raised); }
.box h2 { margin: 0 0 0.4rem; font-size: 0.95rem; }
.box ul { padding-left: 1.2rem; }
.box.drift { border-color: var(--bad); }
.who { margin-top: 1.2rem; color: var(--quiet); }
.who dl { margin: 0.5rem 0 0 1.1rem; color: var(--ink); }
.who dt { margin-top: 0.4rem; }
summary { cursor: pointer; }

.filter { display: flex; flex-wrap: wrap; align-items: center; gap: 0.7rem 1.4rem; margin-bottom: 0.8rem; }
.filter fieldset { display: flex; flex-wrap: wrap; gap: 0.35rem; border: 0; padding: 0; margin: 0; min-width: 0; }
.filter legend, .filter .search > span { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.choice { position: relative; }
.choice input { position: absolute; opacity: 0; inset: 0; margin: 0; cursor: pointer; }
.choice span { display: block; padding: 0.2rem 0.75rem; border: 1px solid var(--line); border-radius: 99px; background: var(--raised); font-size: 0.88rem; }
.choice b { font-weight: 400; color: var(--quiet); margin-left: 0.2rem; }
.choice input:checked + span { background: var(--ink); border-color: var(--ink); color: var(--paper); }
.choice input:checked + span b { color: inherit; }
.choice input:focus-visible + span { outline: 2px solid var(--link); outline-offset: 2px; }
.search { flex: 1 1 14rem; }
.search input { width: 100%; padding: 0.35rem 0.7rem; border: 1px solid var(--line); border-radius: 6px; background: var(--raised); color: inherit; font: inherit; font-size: 0.9rem; }
.filter output { font-size: 0.85rem; color: var(--quiet); }

table { border-collapse: collapse; }
th { text-align: left; font-weight: 400; vertical-align: baseline; }
td { vertical-align: baseline; }
thead th { color: var(--quiet); font-size: 0.8rem; padding-bottom: 0.35rem; }
.count { text-align: right; white-space: nowrap; }
.requirements { width: 100%; font-size: 0.92rem; }
.requirements td, .requirements th { padding: 0.42rem 0.6rem; }
.requirements tbody tr { border-top: 1px solid var(--line); }
.requirements tbody th { white-space: nowrap; font-family: var(--mono); font-size: 0.84em; overflow-wrap: normal; }
.requirements .count { color: var(--quiet); }
.requirements tr.told { cursor: pointer; }
.requirements tr.told:hover { background: var(--sunk); }
.why { display: block; color: var(--quiet); font-size: 0.9em; }
.why.seen { color: var(--bad); }
tr[data-verdict=expected] .why.seen { color: var(--warn); }
.chip { display: inline-block; white-space: nowrap; padding: 0.05rem 0.5rem; border-radius: 99px; font-size: 0.8rem; font-family: var(--sans); font-weight: 550; }
.chip.holds { color: var(--good); background: var(--good-tint); }
.chip.violated { color: var(--bad); background: var(--bad-tint); }
.chip.expected, .chip.inject, .chip.caller { color: var(--warn); background: var(--warn-tint); }
.chip.unknown { color: var(--unknown); background: var(--unknown-tint); }

.story { border: 1px solid var(--line); border-radius: 8px; background: var(--raised); margin-bottom: 0.7rem; }
.story > summary { display: grid; grid-template-columns: 1rem minmax(10rem, auto) 1fr; gap: 0.2rem 0.9rem; align-items: baseline; padding: 0.75rem 1rem; list-style: none; border-radius: 8px; }
.story > summary::-webkit-details-marker { display: none; }
.story > summary::before { content: "▸"; color: var(--quiet); }
.story[open] > summary::before { content: "▾"; }
.story > summary:hover { background: var(--sunk); }
.story .id { font-family: var(--mono); font-size: 0.88rem; font-weight: 600; }
.story .said { color: var(--quiet); display: -webkit-box; -webkit-line-clamp: 2; -webkit-box-orient: vertical; overflow: hidden; }
.story[open] .said { display: block; }
.story .body { padding: 0.2rem 1.4rem 1.4rem 2.9rem; }
blockquote { border-left: 3px solid var(--line); padding-left: 0.9rem; font-family: Charter, Georgia, "Noto Serif", "DejaVu Serif", serif; font-size: 1.05rem; }
.body > p { margin-top: 0.6rem; }
.note.expected { color: var(--warn); }
.replay { display: flex; gap: 0.5rem; align-items: flex-start; margin-top: 0.9rem; }
.replay code { flex: 1; max-height: calc(4.65em + 0.9rem); overflow: auto; padding: 0.45rem 0.7rem; border-radius: 6px; background: var(--sunk); overflow-wrap: anywhere; }
button { font: inherit; font-size: 0.85rem; padding: 0.3rem 0.8rem; border: 1px solid var(--line); border-radius: 6px; background: var(--raised); color: inherit; cursor: pointer; white-space: nowrap; }
button:hover { background: var(--sunk); }
.world { margin-top: 1.2rem; }
.world ul { padding-left: 1.2rem; }
.steps { list-style: none; padding: 0; }
.step { margin-top: 1.3rem; padding: 1rem 0 0 1.1rem; border-top: 1px solid var(--line); border-left: 3px solid transparent; }
.step.breaks { border-left-color: var(--bad); }
.step.idle h4 { color: var(--quiet); font-weight: 400; }
.step > * + * { margin-top: 0.7rem; }
.number { color: var(--quiet); font-weight: 400; margin-right: 0.4rem; }
.rc { font-family: var(--mono); font-size: 0.84em; font-weight: 400; padding: 0.1rem 0.45rem; border-radius: 4px; background: var(--sunk); margin-left: 0.4rem; }
.rc.refused { color: var(--warn); background: var(--warn-tint); }
.broken-rules { list-style: none; padding: 0.6rem 0.9rem; border-radius: 6px; background: var(--bad-tint); color: var(--bad); }
.broken-rules strong { font-family: var(--mono); font-size: 0.88em; margin-right: 0.5rem; }
.lost { color: var(--bad); }

.scroll { overflow-x: auto; }
table.bytes { white-space: pre; overflow-wrap: normal; line-height: 1.5; }
table.bytes caption { text-align: left; color: var(--quiet); font-family: var(--sans); font-size: 0.85rem; padding-bottom: 0.2rem; }
table.bytes thead th { font-family: var(--sans); }
table.bytes td, table.bytes th { padding: 0.05rem 1.1rem 0.05rem 0; }
table.bytes tbody th, table.bytes .zero { color: var(--quiet); }
table.bytes .hex { border-left: 1px solid var(--line); border-right: 1px solid var(--line); padding: 0.05rem 0.8rem; min-width: 15.5em; }
table.bytes .hex + td:not(.hex) { padding-left: 0.9rem; }
table.bytes tr.apart > * { padding-top: 0.35rem; }
table.bytes tr.broken > * { background: var(--bad-tint); }
table.bytes tr.after td { color: var(--now); }
mark { background: var(--mark); color: var(--ink); border-radius: 2px; font-weight: 650; }
.lists { display: grid; grid-template-columns: max-content 1fr; gap: 0.15rem 1.2rem; }
.lists dt { font-size: 0.88rem; }
.lists dd { margin: 0; line-height: 1.8; }
.entry { margin-right: 0.8rem; white-space: nowrap; }
.entry .to { color: var(--quiet); }
.evidence { margin-top: 1rem; }
.evidence figcaption { color: var(--quiet); font-size: 0.85rem; }
pre { margin: 0.3rem 0 0; max-height: 24rem; overflow: auto; padding: 0.7rem 0.9rem; border-radius: 6px; background: var(--sunk); white-space: pre-wrap; }

.p2m svg { display: block; }
.p2m text { font: 11px var(--mono); fill: var(--ink); text-anchor: middle; }
.p2m .row-name { font: 12px var(--sans); fill: var(--quiet); text-anchor: start; }
.p2m .hole { fill: var(--quiet); font-style: italic; }
.frame rect { stroke: var(--line); stroke-width: 1; }
.frame.guest rect { fill: var(--raised); stroke: var(--quiet); }
.frame.low rect { fill: var(--low); }
.frame.high rect { fill: var(--high); }
.frame.moved rect { stroke: var(--now); stroke-width: 1.5; }
.frame.named rect { stroke: var(--bad); stroke-width: 2.5; }
.frame.same text { fill: var(--quiet); }
.frame.named text { font-weight: 700; }
.arrow { fill: none; stroke: var(--line); stroke-width: 1.2; }
.arrow.was { stroke: var(--was); stroke-width: 1.6; stroke-dasharray: 5 3; }
.arrow.now { stroke: var(--now); stroke-width: 1.9; }
.arrow.named { stroke: var(--bad); stroke-width: 2.6; }
.head.was path { fill: var(--was); }
.head.now path { fill: var(--now); }
.head.named path { fill: var(--bad); }
.p2m figcaption { font-size: 0.82rem; color: var(--quiet); }
.p2m figcaption details { display: inline-block; margin-left: 0.8rem; vertical-align: top; }
.p2m figcaption details[open] { display: block; margin: 0.3rem 0 0; }
.p2m figcaption ul { list-style: none; padding: 0; columns: 15rem; }
.key { display: inline-block; width: 1.5em; height: 0.85em; border: 1px solid var(--was); vertical-align: -0.06em; margin: 0 0.2rem 0 0.5rem; }
.key.low { background: var(--low); border-radius: 2px; margin-left: 0; }
.key.high { background: var(--high); border-radius: 99px; }

.cells td, .cells th { padding: 0.3rem 1.4rem 0.3rem 0; }
.cells tbody tr { border-top: 1px solid var(--line); }
.readings div { display: grid; grid-template-columns: 15rem 1fr; gap: 1rem; padding: 0.35rem 0; border-top: 1px solid var(--line); }
.readings dt { font-family: var(--mono); font-size: 0.84rem; }
.readings dd { margin: 0; }
.reading { margin-right: 1.2rem; }
.reading b { font-weight: 400; color: var(--quiet); }
.columns { columns: 20rem; padding-left: 1.2rem; font-size: 0.9rem; }
section > .quiet { margin-bottom: 0.6rem; }
footer { margin-top: 4rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--quiet); font-size: 0.85rem; }

@media (max-width: 46rem) {
  body { padding: 1.4rem 0.9rem; }
  .requirements thead, .requirements .count { display: none; }
  .requirements tr { display: block; padding: 0.5rem 0; }
  .requirements td, .requirements th { display: block; padding: 0.1rem 0; }
  .story > summary { grid-template-columns: 1rem 1fr; }
  .story .said { grid-column: 2; }
  .story .body { padding: 0.2rem 1rem 1rem; }
  .readings div, .lists { grid-template-columns: 1fr; gap: 0; }
}
@media print {
  :root { color-scheme: light; --paper: #fff; --raised: #fff; --sunk: #f4f4f4; --ink: #000; --quiet: #444; --line: #bbb; }
  body { max-width: none; padding: 0; font-size: 10pt; print-color-adjust: exact; }
  .filter, button { display: none !important; }
  .scroll, .replay code, pre { overflow: visible; max-height: none; }
  .p2m svg { max-width: 100%; height: auto; }
  .step, .requirements tr, figure { break-inside: avoid; }
  h2, summary { break-after: avoid; }
}
`;
