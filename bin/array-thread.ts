import { parentPort, workerData } from 'node:worker_threads';
import { newDigest } from '../src/text/digest.ts';
import { coloured, plain } from '../src/text/style.ts';
import { newTally } from '../src/text/tally.ts';
import { arrayJudge, StructArray } from './array.ts';
import type { Done, Piece, ThreadWork } from './array-threads.ts';
import { callLines } from './call-lines.ts';
import { fills } from './io.ts';
import { fails } from './options.ts';

// A thread of `validate --jobs`: it judges each part of an array that it is sent.
const { options, name, path, several, isColoured } = workerData as ThreadWork;
const array = arrayJudge(options, name);
const { linesOf, isOwn } = callLines(options, several ? name : undefined, isColoured ? coloured : plain);

parentPort?.on('message', async ({ from, to }: Piece) => {
  if (!array) throw new TypeError('no struct was asked for');
  const { bulk, layout, notes } = array;
  const tally = newTally();
  const digest = options.summary ? newDigest() : undefined;
  const texts: string[] = [];
  let failing = false;
  const structs = new StructArray(bulk, layout, {
    tally,
    digest,
    write: async (text) => void texts.push(text),
    seen: ({ findings }) => {
      failing ||= findings.some((f) => fails(f, options));
    },
    linesOf: (told, place) => linesOf(told, place, options.json ? notes : []),
    isOwn,
    rest: () => Promise.reject(new TypeError('a part ends within a struct')),
  });
  structs.skip(from);
  for (const length of fills(path, structs.block, from, to)) await structs.judge(length);
  await structs.end();
  const done: Done = { text: texts.join(''), tally, digest, failing };
  parentPort?.postMessage(done);
});
