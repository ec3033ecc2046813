import { writeSync } from 'node:fs';

/**
 * Progress on stderr: after a second a bar on a terminal, elsewhere a line each so many
 * milliseconds.
 */
export interface Progress {
  readonly step: (done: number) => void;
  readonly end: () => void;
}

const width = 30;

/** What is counted: how a number of it is written, and its rate. */
export interface Unit {
  readonly amount: (n: number) => string;
  /** Behind the amount that is done, and what it is. */
  readonly noun: string;
}

/** Things counted one by one. */
export function each(noun: string): Unit {
  return { amount: (n) => String(Math.round(n)), noun: ` ${noun}` };
}

/** Bytes, in the largest unit of which there is one. */
export const inBytes: Unit = {
  amount(n) {
    const power = Math.min(4, Math.floor(Math.log10(Math.max(1, n)) / 3));
    return `${power === 0 ? Math.round(n) : (n / 1000 ** power).toFixed(1)} ${['B', 'kB', 'MB', 'GB', 'TB'][power]}`;
  },
  noun: '',
};

/** So far, how fast, and how long it will take where the total is known. */
export function progressText({ amount, noun }: Unit, done: number, total: number | undefined, seconds: number): string {
  const rate = done / seconds;
  const left = total === undefined || rate === 0 ? undefined : Math.ceil((total - done) / rate);
  const time = left === undefined ? '' : `, ${left < 120 ? `${left} s` : `${Math.ceil(left / 60)} min`} left`;
  return `${amount(done)}${total === undefined ? '' : ` of ${amount(total)}`}${noun}, ${amount(rate)}/s${time}`;
}

/**
 * Progress of work; `total` is undefined where nobody knows how much there is. Not on a terminal a
 * line comes each so many milliseconds.
 */
export function progress(unit: Unit, total: number | undefined, linesEach = 10_000): Progress {
  const started = Date.now();
  const onTerminal = process.stderr.isTTY === true;
  const pause = onTerminal ? 100 : linesEach;
  let next = started + (onTerminal ? 1000 : pause);
  let shown = 0;
  const say = (text: string): void => {
    try {
      writeSync(2, text);
    } catch {
      // Nobody reads stderr.
    }
  };
  return {
    step(done) {
      const now = Date.now();
      if (now < next) return;
      next = now + pause;
      const text = progressText(unit, done, total, (now - started) / 1000);
      if (!onTerminal) return say(`xenmem: ${text}\n`);
      const filled = total === undefined ? 0 : Math.min(width, Math.floor((width * done) / Math.max(1, total)));
      const bar = total === undefined ? '' : `[${'#'.repeat(filled)}${'.'.repeat(width - filled)}] `;
      say(`\r${`${bar}${text}`.padEnd(shown)}`);
      shown = bar.length + text.length;
    },
    end() {
      if (shown > 0) say(`\r${' '.repeat(shown)}\r`);
    },
  };
}
