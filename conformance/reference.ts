import { archNames } from '../src/abi/arch.ts';
import { XENMEM } from '../src/abi/ops.ts';
import type { Decisions } from '../src/model/decisions.ts';
import { createHypervisor, type Hypervisor } from '../src/model/hypervisor.ts';
import { crashing } from './check.ts';
import { type Answer, capabilities, type Hello, type Implementation, type Request } from './implementation.ts';

const { get_dma_buf, put_dma_buf, exchange, increase_reservation, decrease_reservation, populate_physmap } = XENMEM['dma-buf'];

const hello: Hello = {
  name: 'xenmem reference model',
  version: '1',
  arch: archNames.filter((arch) => arch === 'arm32' || arch === 'arm64'),
  commands: { get_dma_buf, put_dma_buf, exchange, increase_reservation, decrease_reservation, populate_physmap },
  capabilities: new Set(capabilities),
  limits: { max_order: 9, max_extents: 0x3ff_ffffn },
  translated: true,
};

/** The reference hypervisor, or one that takes some decisions otherwise, as an implementation under test. */
export function referenceImplementation(decisions: Partial<Decisions> = {}, less: Partial<Hello> = {}): Implementation {
  const hypervisor = createHypervisor(decisions);
  return crashing({ hello: { ...hello, ...less }, answer: (requests) => requests.map((request) => answer(hypervisor, request)) });
}

export function answer(hypervisor: Hypervisor, request: Request): Answer {
  switch (request.op) {
    case 'reset':
      hypervisor.reset(request);
      return {};
    case 'write':
      return hypervisor.write(request.domid, request.addr, request.bytes) ? {} : { fault: true };
    case 'read': {
      const bytes = hypervisor.read(request.domid, request.addr, request.length);
      return bytes === undefined ? { fault: true } : { bytes };
    }
    case 'call':
      return { rc: hypervisor.call(request.domid, request.cmd, request.arg, request.inject) };
    case 'translate':
      return { mfns: hypervisor.translate(request.domid, request.gfn, request.pages) };
    case 'churn':
      hypervisor.churn(request.domid, request.gfn, request.pages);
      return {};
    case 'pages':
      return { pages: hypervisor.pages(request.domid) };
    case 'changes':
      return { ranges: hypervisor.changes(request.domid) };
  }
}
