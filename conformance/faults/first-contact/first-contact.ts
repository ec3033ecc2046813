import type { Fault } from '../fault.ts';
import { pairs } from './pairs.ts';
import { singles } from './singles.ts';

/**
 * Faults that were written from the documents and the model alone, by somebody who had not seen
 * what the suite plays, and before any of them was played.
 */
export const firstContact: readonly Fault[] = [...singles, ...pairs];
