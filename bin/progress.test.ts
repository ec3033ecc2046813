import { describe, expect, it } from 'vitest';
import { each, inBytes, progressText } from './progress.ts';

describe('progress', () => {
  it('tells how much, how fast and how long', () => {
    expect(progressText(inBytes, 1_200_000_000, 4_000_000_000, 4)).toBe('1.2 GB of 4.0 GB, 300.0 MB/s, 10 s left');
    expect(progressText(inBytes, 1_000_000_000, 101_000_000_000, 10)).toBe('1.0 GB of 101.0 GB, 100.0 MB/s, 17 min left');
    expect(progressText(each('scenarios'), 50, 200, 2)).toBe('50 of 200 scenarios, 25/s, 6 s left');
  });

  it('tells no more than is known', () => {
    expect(progressText(inBytes, 999, undefined, 1)).toBe('999 B, 999 B/s');
    expect(progressText(each('scenarios'), 0, 200, 1)).toBe('0 of 200 scenarios, 0/s');
  });
});
