/**
 * Each decision is the next number of a list. Zero is always the simplest choice, and behind its
 * end the list has zeros only, so shrinking the numbers shrinks what is made of them, whatever that
 * is.
 */
export class Choices {
  readonly #numbers: readonly number[];
  #at = 0;

  constructor(numbers: readonly number[]) {
    this.#numbers = numbers;
  }

  /** One of `0 .. n-1`; `n` may be up to 2^32. */
  below(n: number): number {
    const number = this.#numbers[this.#at++] ?? 0;
    return n <= 1 ? 0 : number % n;
  }

  /** One of these, the first being the simplest. */
  pick<T>(options: readonly T[]): T {
    return options[this.below(options.length)] as T;
  }

  /** True in `n` of 100 cases; false is simpler. */
  percent(n: number): boolean {
    return this.below(100) >= 100 - n;
  }
}
