import { DOMID, errnoName } from '../abi/constants.ts';
import { holds, missing, unless } from './answer.ts';
import { checkOf } from './duties/check.ts';
import { structDuties } from './duties/duties.ts';
import { at, duty, eachReservation } from './duty.ts';
import { nameDomid } from './facts.ts';
import { frameRules, listRules } from './listed.ts';
import { one, when } from './row.ts';
import { type Basis, everyOp, exchanges, type Rule, reservationOps } from './rule.ts';

/**
 * The duties of the caller that one call can show. A finding blames the caller; an error suspends
 * what it makes meaningless.
 */
export const callerRules: readonly Rule[] = [
  ofStruct('caller-handle-high-zero'),
  ofStruct('caller-list-aligned'),
  ofStruct('caller-order'),
  duty('caller-self-only', 'warning', everyOp, {
    source: 'memory.h',
    quote: 'Unprivileged domains can specify only DOMID_SELF',
    reading: 'A domain known to be unprivileged names DOMID_SELF and nothing else, not even its own number.',
    check(facts) {
      if (facts.call.privileged === undefined) return missing('privileged');
      if (facts.call.privileged) return holds;
      return eachReservation(facts, (r) => {
        if (r.domid === undefined) return 'struct';
        return r.domid === DOMID.SELF ? [] : [at(facts, r, 'domid', `an unprivileged domain names ${nameDomid(r.domid)}`)];
      });
    },
  }),
  ofStruct('caller-padding-zero'),
  ofStruct('caller-domid-match'),
  ofStruct('caller-size-match'),
  ofStruct('caller-lists-disjoint'),
  ofStruct('caller-nr-exchanged-zero'),
  ...listRules,
  ofStruct('caller-address-bits'),
  ofStruct('caller-list-null'),
  ...frameRules,
  ofStruct('caller-count'),
  ofStruct('caller-start-extent'),
  ofStruct('caller-flags'),
  duty('capture-rc', 'warning', reservationOps, {
    blame: 'capture',
    source: 'memory.h',
    quote: 'Returns the number of extents successfully allocated or freed',
    reading: 'rc is not negative: a negative number is what a library or an ioctl answered, not the hypercall.',
    check({ call: { rc } }) {
      if (rc === undefined) return missing('rc');
      if (rc >= 0) return holds;
      const name = errnoName(rc);
      const said = `rc is ${rc}${name ? ` (${name})` : ''}, and the hypercall answers a count: ${rc === -1 ? 'libxc and ioctl answer -1, and leave the error in errno' : 'whose answer is this?'}`;
      return unless([{ message: said }]);
    },
  }),
  duty('exchange-all-counted', 'note', exchanges, {
    blame: 'hypervisor',
    source: 'xen_get_dma_buf',
    quote: 'If return code is zero then @out.extent_list provides the MFNs of the newly-allocated memory',
    remark: 'no sentence forbids it, and Linux stops there (BUG_ON in xen_exchange_memory)',
    reading: 'A negative rc comes with fewer extents counted than were given.',
    ...one({
      when: when(['rc'], ({ rc }) => rc < 0),
      needs: ['N', 'I'],
      must: ({ N, I }) => N !== I || I === 0n,
      else: ({ rc, I }) => `rc is ${rc} (${errnoName(rc) ?? 'no errno'}), and yet nr_exchanged counts all ${I}`,
      at: 'nr_exchanged',
    }),
  }),
  sequel('caller-put-after-get', {
    source: 'xen_put_dma_buf',
    quote: 'XENMEM_put_dma_buf unpins a set of pages, previously pinned by XENMEM_get_dma_buf',
    reading: 'put lists pages that an earlier get pinned and no put has released. Judged only where the trace is known from its start.',
  }),
  sequel('caller-put-lists-gpfns', {
    source: 'xen_get_dma_buf',
    quote: '@out.extent_start is overwritten with allocated GMFN bases',
    reading: 'put lists the guest frames that get was given, not the machine frames that get left in their place.',
  }),
];

/** A duty that the struct alone shows. */
function ofStruct(id: string): Rule {
  const of = structDuties[id];
  if (!of) throw new TypeError(`no duty ${id}`);
  const { severity, ops, basis, reading } = of;
  return duty(id, severity, ops, { ...basis, reading, check: checkOf(of) });
}

/** A duty that only the calls before this one show; `PinWatch` finds its breaches. */
function sequel(id: string, rest: Basis & Pick<Rule, 'reading'>): Rule {
  const ops = ['put_dma_buf'] as const;
  return { id, blame: 'caller', severity: 'error', level: 0, scope: 'trace', ops, always: true, judgedBy: 'pins', ...rest };
}
