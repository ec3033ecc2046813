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

export function progress(noun: string, total: number, each = 10_000): Progress {
  const started = Date.now();
  const onTerminal = process.stderr.isTTY === true;
  const pause = onTerminal ? 100 : each;
  let next = started + (onTerminal ? 1000 : pause);
  let shown = false;
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
      shown = onTerminal;
      const filled = Math.floor((width * done) / Math.max(1, total));
      const bar = `[${'#'.repeat(filled)}${'.'.repeat(width - filled)}]`;
      say(onTerminal ? `\r${bar} ${done}/${total} ${noun}` : `xenmem: ${done} of ${total} ${noun}\n`);
    },
    end() {
      if (shown) say(`\r${' '.repeat(width + 40)}\r`);
    },
  };
}
