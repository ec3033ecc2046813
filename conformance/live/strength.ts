import { fileURLToPath } from 'node:url';
import { MEMOP_EXTENT_SHIFT } from '../../src/abi/constants.ts';
import { opNumber } from '../../src/abi/ops.ts';
import type { MemoryOpOf } from '../../src/model/memory-op.ts';
import { drawEach } from '../scenario/numbers.ts';
import { type Checked, type Course, played } from '../verdict/check.ts';
import { lies, lying } from './falsify.ts';
import { ops } from './guest.ts';
import { type Live, openLive } from './live.ts';
import type { SetupName } from './setups.ts';

// How much of what is wrong a live run finds: `npm run live:strength -- arm64`. A liar stands
// between the suite and the guest, and the reference is made wrong. Developers run it; it takes a
// few minutes.

/** Scenarios in which a lie, or an error of the reference, has to be found. */
const most = 200;

/** Errors of the reference: what it answers instead of what it should. */
const errors: { readonly [name: string]: (right: MemoryOpOf) => MemoryOpOf } = {
  'it stops one extent too early': (right) => (state, call) => {
    const rc = right(state, call);
    return opNumber(call.cmd) === ops.decrease_reservation && rc > 1 ? rc - 1 : rc;
  },
  'it takes a list of 2^26 extents': (right) => (state, call) => right(state, { ...call, cmd: opNumber(call.cmd) }),
  'it forgets what was asked for first': (right) => (state, call) =>
    opNumber(call.cmd) === ops.populate_physmap ? right(state, { ...call, cmd: call.cmd + (1 << MEMOP_EXTENT_SHIFT) }) : right(state, call),
};

function found(checked: Checked): boolean {
  return checked.disputes.length > 0 || checked.crash !== undefined || checked.given.some(({ answer }) => answer.answer === 'violated');
}

/** After how many scenarios it is found; `undefined` if it is not. */
async function scenariosUntil(seed: number, isFound: (numbers: readonly number[]) => Promise<boolean>): Promise<number | undefined> {
  let count = 0;
  let at: number | undefined;
  await drawEach(seed, most, async (numbers) => {
    count++;
    if (await isFound(numbers)) at = count;
    return at === undefined;
  });
  return at;
}

async function main(live: Live): Promise<number> {
  const { player, course } = live;
  let missed = 0;
  const tell = (what: string, at: number | undefined): void => {
    if (at === undefined) missed++;
    console.log(`${what.padEnd(48)} ${at === undefined ? `not found in ${most} scenarios` : `found in scenario ${at}`}`);
  };
  for (const [name, lie] of Object.entries(lies)) {
    let lied = 0;
    let caught = 0;
    await drawEach(7, most, async (numbers) => {
      const liar = lying(player, lie, numbers);
      const checked = await played(liar.player, course.draw(numbers), course);
      if (liar.lied()) lied++;
      if (liar.lied() && found(checked)) caught++;
      return lied < 20;
    });
    if (caught === 0) missed++;
    console.log(`${name.padEnd(48)} ${caught} of ${lied}`);
  }
  for (const [name, error] of Object.entries(errors)) {
    const wrong: Course = { ...course, oracle: live.oracleWith(error) };
    tell(name, await scenariosUntil(3, async (numbers) => found(await played(player, wrong.draw(numbers), wrong))));
  }
  await player.end();
  return missed;
}

const sources = fileURLToPath(new URL('../../../conformance/live/guest', import.meta.url));
const setup = (process.argv[2] ?? 'arm64') as SetupName;
process.exitCode = (await main(await openLive({ setup, sources, scale: 3, say: (text) => console.error(text) }))) > 0 ? 1 : 0;
