import fc from 'fast-check';

/** Numbers enough for six calls. Fewer make a simpler scenario: whatever is missing reads as zero. */
export const mostNumbers = 96;

/**
 * What a run draws: lists long enough that no scenario runs out of numbers. Cut short as in `scenarioNumbers`, half of them would
 * end in the simplest of everything, and breaking a duty is never that.
 */
export const wholeNumbers: fc.Arbitrary<number[]> = fc.noBias(
  fc.array(fc.nat({ max: 0xffff_ffff }), { minLength: mostNumbers, maxLength: mostNumbers }),
);

/** What scenarios are made from. Unbiased: a liking for small numbers would be a liking for the first of every choice. */
export const scenarioNumbers: fc.Arbitrary<number[]> = fc.noBias(
  fc.array(fc.nat({ max: 0xffff_ffff }), { maxLength: mostNumbers, size: 'max' }),
);
