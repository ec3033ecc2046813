import { errnoName } from '../../src/abi/constants.ts';
import { layoutOf } from '../../src/abi/layout.ts';
import { argumentOf, judgedOp, startExtent } from '../../src/abi/ops.ts';
import { hex64 } from '../../src/codec/hex.ts';
import { structText } from '../../src/text/struct-text.ts';
import { plain, type Style } from '../../src/text/style.ts';
import type { P2m } from '../../src/trace/call.ts';
import type { Scenario } from '../scenario/scenario.ts';
import type { Checked } from '../verdict/check.ts';

/**
 * A scenario told step by step: the world, each call's bytes, what it returned, what moved, and
 * what the rules said.
 */
export function scenarioText(scenario: Scenario, checked: Checked, style: Style = plain): string[] {
  const { world } = scenario;
  const lines = [`${style.bold('world')}  ${world.arch}, ${world.free.low} frames free below 4 GiB, ${world.free.high} above`];
  for (const { domid, privileged, ram, holes } of world.domains) {
    const runs = (of: typeof ram): string => of.map(({ gfn, pages }) => `${pages} pages at ${hex64(gfn)}`).join(', ');
    lines.push(
      `  domain ${domid}${privileged ? ' (privileged)' : ''}: RAM ${runs(ram)}${holes.length > 0 ? `; holes ${runs(holes)}` : ''}`,
    );
  }
  for (const event of checked.events) {
    lines.push('');
    if (event.kind === 'skipped') {
      lines.push(`${style.bold(`step ${event.step}`)}  not played: ${event.why}`);
    } else if (event.kind === 'churn') {
      lines.push(
        `${style.bold(`step ${event.step}`)}  the hypervisor moves pages of domain ${event.domid}`,
        ...moves(event.before, event.after),
      );
    } else {
      const call = checked.calls.find((c) => c.step === event.step);
      const { cmd, rc, domid, argument, arg } = event.call;
      const op = judgedOp(cmd, 'dma-buf');
      const start = startExtent(cmd) > 0 ? ` from ${startExtent(cmd)}` : '';
      const step = scenario.steps[event.step];
      const inject = step?.do === 'call' && step.inject ? `  injected ${JSON.stringify(step.inject)}` : '';
      lines.push(
        `${style.bold(`step ${event.step}`)}  domain ${domid}: ${op}${start}${arg === undefined ? '' : `, arg ${hex64(arg)}`}  rc ${rc}${rc && errnoName(rc) ? ` (${errnoName(rc)})` : ''}${inject}`,
      );
      if (op && call) {
        const facts = call.judgement.facts;
        const shown = call.judgement.findings.filter((f) => f.blame === 'caller' || f.severity === 'error');
        lines.push(
          ...structText(layoutOf(argumentOf[op], event.call.arch), argument ?? facts.argument, shown, style).map((text) => `  ${text}`),
        );
        for (const r of facts.reservations) {
          const entries = facts
            .extents(r)
            .slice(0, 8)
            .map((e) => hex64(e.base));
          lines.push(
            `  ${r.path || 'the'} list${r.list ? ` at ${hex64(r.list.range.address)}` : ''}: ${entries.join(' ')}${facts.extents(r).length > 8 ? ' …' : ''}`,
          );
        }
        if (facts.N !== undefined) lines.push(`  nr_exchanged after: ${facts.N}`);
      }
      lines.push(...moves(event.call.p2mBefore, event.call.p2mAfter));
    }
    for (const { message } of checked.disputes.filter((d) => d.step === event.step)) lines.push(`  ${style.warn('disputed')} ${message}`);
    for (const { id, answer } of checked.given.filter((g) => g.step === event.step)) {
      if (answer.answer === 'violated') for (const v of answer.violations) lines.push(`  ${style.bad('violated')} ${id}: ${v.message}`);
    }
  }
  const broken = checked.given.filter((g) => g.answer.answer === 'violated');
  const held = checked.given.filter((g) => g.answer.answer === 'holds');
  for (const { id, step, answer } of broken) {
    if (checked.events.some((e) => e.step === step)) continue;
    if (answer.answer === 'violated') lines.push(`  ${style.bad('violated')} ${id}: ${answer.violations[0]?.message ?? ''}`);
  }
  lines.push(
    '',
    broken.length > 0
      ? style.bad(`✗ ${broken.length} violated, ${held.length} hold`)
      : style.good(`✓ ${held.length} hold, nothing is violated`),
  );
  return lines;
}

/** What changed in the p2m, a frame a line. */
function moves(before: P2m, after: P2m): string[] {
  const name = (frame: bigint | null | undefined): string => (frame === null ? 'none' : frame === undefined ? '?' : hex64(frame));
  return [...after]
    .filter(([gfn, frame]) => before.get(gfn) !== frame && before.has(gfn))
    .map(([gfn, frame]) => `  p2m ${hex64(gfn)}: ${name(before.get(gfn))} → ${name(frame)}`);
}
