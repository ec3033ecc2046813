import { describe, expect, it } from 'vitest';
import { opsTaking } from '../abi/ops.ts';
import { codecFor } from '../codec/codec.ts';
import { observedCall } from '../trace/call.ts';
import { holds, violated } from './answer.ts';
import { type Finding, judge, withWider } from './judge.ts';

const DOMID_SELF = 0x7ff0;
const list = (extents: bigint, order = 0) => ({
  extent_start: 0x40001000n,
  nr_extents: extents,
  extent_order: order,
  address_bits: 0,
  domid: DOMID_SELF,
});
const argument = codecFor('arm64').xen_get_dma_buf.encode({
  in: list(2n),
  out: { ...list(2n), extent_start: 0x40002000n },
  nr_exchanged: 0n,
});
const get = (rc: number) => observedCall(26, { argument, rc });
const put = (rc: number) => observedCall(27, { argument: codecFor('arm64').xen_put_dma_buf.encode({ in: list(2n) }), rc });
const known = (severity: Finding['severity']): Finding => ({
  id: 'caller-put-after-get',
  blame: 'caller',
  severity,
  message: 'never pinned',
});

describe('a judgement', () => {
  it('of an op that is not judged is none', () => {
    expect(judge(observedCall(5))).toBeUndefined();
  });

  it('of a struct whose op is not known has only what each op that takes it asks', () => {
    const cut = codecFor('arm64').xen_memory_reservation.encode({ ...list(2n, 19), extent_start: 0n, address_bits: 1 << 20 });
    const ids = (unknown: boolean) =>
      judge(observedCall(6, { argument: cut, ...(unknown && { mayBe: opsTaking('xen_memory_reservation') }) }))?.findings.map(
        ({ id }) => id,
      );
    expect(ids(false)).toEqual(['caller-order', 'caller-list-null', 'caller-flags']);
    expect(ids(true)).toEqual(['caller-order']); // op 0 may have no list, op 1 has no flags
  });

  it('has a violated requirement as a finding too', () => {
    const { findings, requirements } = judge(get(2))!;
    expect(requirements.get('get-rc-zero-or-negative')?.answer).toBe('violated');
    expect(findings).toEqual([{ id: 'get-rc-zero-or-negative', blame: 'hypervisor', severity: 'error', message: 'rc is 2: positive' }]);
  });

  it('takes findings that more than one call has shown; only an error suspends', () => {
    const plain = judge(put(0))!;
    const error = judge(put(0), [known('error')])!;
    const warning = judge(put(0), [known('warning')])!;
    expect([plain.callerErred, error.callerErred, warning.callerErred]).toEqual([false, true, false]);
    expect(error.findings[0]).toEqual(known('error'));
    const suspends = { answer: 'unknown', why: "suspended by the caller's error" };
    expect([...error.requirements.values()]).toContainEqual(suspends);
    expect([...warning.requirements.values()]).not.toContainEqual(suspends);
    // What binds always is judged all the same.
    expect(judge(put(2), [known('error')])?.requirements.get('put-rc-zero-or-negative')?.answer).toBe('violated');
  });

  it('says whether a duty could be judged at all', () => {
    expect(judge(get(0))?.dutiesJudged).toBe(true);
    expect(judge(observedCall(26))?.dutiesJudged).toBe(false);
  });
});

describe('wider answers', () => {
  const narrow = judge(get(2))!;

  it('take the place of what one call says, and add their findings to its own', () => {
    const wide = withWider(
      narrow,
      new Map([
        ['get-works', violated('refused')],
        ['survives', holds],
      ]),
    );
    expect(wide.requirements.get('get-works')?.answer).toBe('violated');
    expect(wide.requirements.get('survives')).toBe(holds);
    expect(wide.findings).toEqual([...narrow.findings, { id: 'get-works', blame: 'hypervisor', severity: 'error', message: 'refused' }]);
    expect(narrow.findings.length).toBe(1);
  });

  it('leave it as it is where there are none', () => {
    expect(withWider(narrow, new Map())).toBe(narrow);
  });

  it('to no rule are a mistake of ours', () => {
    expect(() => withWider(narrow, new Map([['get-more', holds]]))).toThrow(new TypeError('no rule get-more'));
  });
});
