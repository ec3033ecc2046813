/**
 * What a module that is tested needs (`xenmem conform --iut module:./iut.js`,
 * docs/implementers.md): its default export is an `Implementation`, or a function that makes one.
 */

export {
  type Capability,
  type ChangedRange,
  capabilities,
  type DomainPlan,
  type Hello,
  type Implementation,
  type Inject,
  levelOf,
  type PageRun,
  type Reply,
  type Request,
  type World,
} from './protocol/implementation.ts';
export { serve } from './protocol/serve.ts';
