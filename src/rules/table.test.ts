import { describe, expect, it } from 'vitest';
import { observedCall } from '../trace/call.ts';
import { examples } from './examples.ts';
import { judge } from './judge.ts';
import { isRequirement } from './rule.ts';
import { ruleOf, rules, rulesFor } from './table.ts';

// As the specification lists them; `!` marks those that bind whatever the caller did.
const requirements = `
  get-rc-zero-or-negative ! 0 call | get-complete-count 0 call | get-incomplete-nonzero 0 call | get-partial-count 0 call
  get-mfns-returned 1 call | get-partial-mfns 1 call | get-new-pages 1 call | get-populates-gpfns 1 call | get-contiguous 1 call
  get-aligned 0 call | get-address-limit 0 call | get-inputs-released 1 call | get-rest-untouched 0 call | get-pinned 2 trace
  get-in-untouched ! 0 call | get-ignores-in-address-bits 0 pair | get-same-gfn 1 run | get-refuses-domid-mismatch ! 0 call
  get-refuses-size-mismatch ! 0 call | get-refuses-foreign-domid ! 0 call | get-works 0 run
  put-unpins 2 run | put-only-listed 2 run | put-refused-prefix ! 2 run | put-keeps-pages 0 call | put-works 0 run | put-rc-zero-or-negative ! 0 call
  put-in-untouched ! 0 call | put-ignores-address-bits 0 pair
  no-stray-writes ! 0 call | frames-conserved ! 1 call | isolation ! 0 call | refuses-unknown-domid ! 0 call | bad-address-fails ! 0 call | bounded-work ! 0 run
  survives ! 0 run
  reservation-count 0 call | reservation-list 0 call | reservation-refuses-foreign-domid ! 0 call | reservation-effects 1 call
  reservation-contiguous 1 call | reservation-limit 1 call`;
const duties = `
  caller-handle-high-zero error call | caller-list-aligned warning call | caller-order warning call | caller-self-only warning call
  caller-padding-zero note call | caller-domid-match error call | caller-size-match error call | caller-lists-disjoint error call
  caller-nr-exchanged-zero error call | caller-out-distinct error call | caller-out-not-later-input error call
  caller-struct-outside-extents error call | caller-extent-aligned warning call | caller-address-bits warning call
  caller-list-null warning call | caller-extents-distinct warning call | caller-frame-width warning call
  caller-frame-address note call | caller-count warning call | caller-start-extent warning call | caller-flags warning call
  capture-rc warning call | exchange-all-counted note call
  caller-put-after-get error trace | caller-put-lists-gpfns error trace`;
const listed = (text: string): string[] => text.trim().split(/\s*[|\n]\s*/);
const idsFor = (op: Parameters<typeof rulesFor>[0]): string[] => rulesFor(op).requirements.map((rule) => rule.id);

describe('the table of rules', () => {
  it('has every requirement, with its level and scope', () => {
    const own = rules.filter(isRequirement);
    expect(own.map((r) => `${r.id} ${r.always ? '! ' : ''}${r.level} ${r.scope}`)).toEqual(listed(requirements));
    expect(own.filter((r) => r.severity !== 'error')).toEqual([]);
  });

  it('has every duty of the caller, with its severity, in any call', () => {
    const own = rules.filter((r) => !isRequirement(r));
    expect(own.map((r) => `${r.id} ${r.severity} ${r.scope}`)).toEqual(listed(duties));
    expect(own.filter((r) => !r.always || r.level !== 0)).toEqual([]);
  });

  it('blames the caller for a breach of a duty, and in two notes others', () => {
    const others = rules.filter((r) => !isRequirement(r) && r.blame !== 'caller');
    expect(others.map((r) => `${r.id} ${r.blame}`)).toEqual(['capture-rc capture', 'exchange-all-counted hypervisor']);
  });

  it('asks each op what the specification asks of it', () => {
    const ids = rules.map((rule) => rule.id);
    const get = ids.filter((id) => id.startsWith('get-'));
    const safe = ids.filter((id) => /^(no-stray|frames-conserved|isolation|refuses-unknown|bad-address|bounded-work|survives)/.test(id));
    const balloon = ids.filter((id) => /^(no-stray|isolation|refuses-unknown|survives|reservation)/.test(id));
    const absent = {
      increase_reservation: ['reservation-contiguous'],
      decrease_reservation: ['reservation-contiguous', 'reservation-limit'],
    };
    expect(idsFor('get_dma_buf')).toEqual([...get, ...safe]);
    expect(idsFor('exchange')).toEqual([...get.filter((id) => id !== 'get-pinned'), ...safe]);
    expect(idsFor('put_dma_buf')).toEqual(['get-refuses-foreign-domid', ...ids.filter((id) => id.startsWith('put-')), ...safe]);
    expect(idsFor('populate_physmap')).toEqual(balloon);
    for (const op of ['increase_reservation', 'decrease_reservation'] as const) {
      expect(idsFor(op)).toEqual(balloon.filter((id) => !absent[op].includes(id)));
    }
    const everyCaller = ['caller-handle-high-zero', 'caller-list-aligned', 'caller-order', 'caller-self-only', 'caller-padding-zero'];
    const dutiesOf = (op: Parameters<typeof rulesFor>[0]): string[] => rulesFor(op).duties.map((rule) => rule.id);
    const frames = ['caller-frame-width', 'caller-frame-address'];
    const populate = [
      ...everyCaller,
      'caller-address-bits',
      'caller-list-null',
      'caller-extents-distinct',
      ...frames,
      'caller-count',
      'caller-start-extent',
      'caller-flags',
      'capture-rc',
    ];
    expect(dutiesOf('populate_physmap')).toEqual(populate);
    expect(dutiesOf('decrease_reservation')).toEqual(populate.filter((id) => id !== 'caller-flags'));
    expect(dutiesOf('increase_reservation')).toEqual(populate.filter((id) => !/list-null|extents-distinct|frame/.test(id)));
    expect(dutiesOf('put_dma_buf')).toEqual([
      ...everyCaller,
      'caller-lists-disjoint',
      'caller-list-null',
      ...frames,
      'caller-count',
      'caller-put-after-get',
      'caller-put-lists-gpfns',
    ]);
    const exchange = ids.filter((id) => /^caller-(?!put-|start-extent|extents-distinct)|^exchange-all/.test(id));
    expect(dutiesOf('exchange')).toEqual(exchange);
    expect(dutiesOf('get_dma_buf')).toEqual(exchange.filter((id) => id !== 'caller-flags'));
  });

  it('has an example of each', () => {
    expect(rules.filter((rule) => examples[rule.id] === undefined)).toEqual([]);
    expect(Object.keys(examples).filter((id) => ruleOf(id) === undefined)).toEqual([]);
  });

  it('has no rule for what is no op of the patch', () => {
    expect(judge(observedCall(5))).toBeUndefined();
    expect(judge(observedCall(26, { profile: 'upstream' }))).toBeUndefined();
  });
});
