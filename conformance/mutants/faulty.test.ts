import { testFaulty } from './caught.stage.ts';

// The other half of mutants.test.ts, in a file of its own so that both run at once.
testFaulty(['pinning', 'allocation', 'ABI']);
