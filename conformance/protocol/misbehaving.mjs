// Implementations that misbehave, for the tests of the gate: the reference model behind a real
// pipe, with one vice. node misbehaving.mjs VICE [FILE]; needs the build. FILE is where one that
// errs only once remembers it.
import { spawn } from 'node:child_process';
import { closeSync, existsSync, writeFileSync, writeSync } from 'node:fs';
import { Readable, Writable } from 'node:stream';
import { referenceImplementation } from '../../dist/conformance/protocol/reference.js';
import { serve } from '../../dist/conformance/protocol/serve.js';

const [vice, memory] = process.argv.slice(2);
const model = referenceImplementation();
let calls = 0;

const say = (text) => {
  for (let rest = Buffer.from(text); rest.length > 0; ) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
    }
  }
};
const forever = () => {
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
};

/** What is done at a hypercall, instead of an answer or before it. */
const atCall = {
  exits: () => {
    process.stderr.write('assertion failed: page->count\n');
    process.exit(3);
  },
  'exits well': () => process.exit(0),
  dies: () => process.kill(process.pid, 'SIGSEGV'),
  hangs: forever,
  'ignores SIGTERM': () => {
    process.on('SIGTERM', () => {});
    forever();
  },
  'closes stdin': () => {
    closeSync(0);
    setInterval(() => {}, 1000);
  },
  'closes stdout': () => {
    closeSync(1);
    forever();
  },
  forks: () => {
    for (const detached of [false, true]) spawn('sleep', ['600'], { detached, stdio: 'inherit' });
    process.exit(1);
  },
  'floods stdout': () => {
    for (;;) say('{"id":1}\n');
  },
  'floods stderr': () => {
    for (;;) writeSync(2, `${'x'.repeat(1000)}\n`);
  },
  'prints 100 MB in one line': () => {
    for (let i = 0; i < 100; i++) say('x'.repeat(1_000_000));
    say('\n');
  },
  'errs once': () => {
    if (existsSync(memory)) return;
    writeFileSync(memory, '');
    process.exit(9);
  },
};

/** What becomes of an answer's line. */
const onAnswer = {
  'answers twice': (line) => line + line,
  'answers out of order': (line) => line.replace(/"id":(\d+)/, (_, id) => `"id":${Number(id) ^ 1}`),
  'is not JSON': (line) => `ok ${line}`,
  'loses results': (line) => line.replace(/,\{[^{}]*\}\]\}$/m, ']}'),
  'answers null': () => 'null\n',
  'answers with text': (line) => line.replace(/"rc":-?\d+/, '"rc":"many"'),
  'has a fraction': (line) => line.replace(/"rc":-?\d+/, '"rc":0.5'),
};

if (vice === 'never starts') forever();
if (vice === 'fails to start') process.exit(1);
if (vice === 'says hello badly') say('{"id":0,"protocol":2}\n');
if (vice === 'prints a banner') say('Xen 4.17 toy hypervisor\n');

const implementation = {
  hello: model.hello,
  answer: (requests) => {
    if (requests.some((request) => request.op === 'call') && ++calls % 3 === 0) atCall[vice]?.();
    return model.answer(requests);
  },
};
const output = new Writable({
  write: (chunk, _encoding, done) => {
    const line = String(chunk);
    say(line.includes('"protocol"') ? line : (onAnswer[vice]?.(line) ?? line));
    done();
  },
});
await serve(implementation, Readable.from(process.stdin), output);
process.exit(0);
