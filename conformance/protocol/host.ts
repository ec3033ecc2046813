import { Console } from 'node:console';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Implementation } from './implementation.ts';
import { serve } from './serve.ts';

// Runs an implementation that is a module in a process of its own: `node host.js FILE`. What it
// prints is not an answer.

globalThis.console = new Console(process.stderr, process.stderr);

const [file = ''] = process.argv.slice(2);
const loaded: unknown = (await import(pathToFileURL(resolve(file)).href)).default;
const made: unknown = typeof loaded === 'function' ? await loaded() : loaded;
if (!isImplementation(made)) {
  console.error(`${file}: the default export is neither an implementation ({ hello, answer }) nor a function that makes one`);
  process.exit(1);
}
await serve(made, process.stdin, process.stdout);
process.exit(0);

function isImplementation(value: unknown): value is Implementation {
  if (typeof value !== 'object' || value === null) return false;
  return 'hello' in value && 'answer' in value && typeof value.answer === 'function';
}
