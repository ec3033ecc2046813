import type { Fault } from '../fault.ts';
import { addresses } from './addresses.ts';
import { chunksOf } from './chunks.ts';
import { domains } from './domains.ts';
import { history } from './history.ts';
import { memory } from './memory.ts';
import { neighbours } from './neighbours.ts';
import { pinsOf } from './pins.ts';

/** Faults with one mistake each. */
export const singles: readonly Fault[] = [...addresses, ...chunksOf, ...pinsOf, ...domains, ...neighbours, ...memory, ...history];
