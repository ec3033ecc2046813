import { XENMEM } from '../../src/abi/ops.ts';
import type { Hello, Reply, Request } from '../protocol/implementation.ts';
import { CrashError } from '../protocol/play.ts';
import { type Player, UndrivenError } from '../protocol/player.ts';
import { StartError } from '../protocol/transport.ts';
import { DirectGuest } from './direct-guest.ts';
import type { MoreOp } from './draw.ts';
import { Guest, OddError } from './guest.ts';
import { Machine, type Patience } from './machine.ts';
import type { GuestHello } from './mailbox.ts';
import { PvGuest } from './pv-guest.ts';
import type { Files, Setup } from './setups.ts';

const { increase_reservation, decrease_reservation, populate_physmap, exchange } = XENMEM['dma-buf'];

/** Machines that may fall silent one after the other: a scenario is played twice. */
const mostSilences = 2;
/** Starts that may fail one after the other. */
const mostFailedStarts = 3;

const guests = { pv: PvGuest, translated: Guest, 'direct-mapped': DirectGuest } as const;

/** A player whose implementation is a real hypervisor. */
export interface LivePlayer extends Player {
  /** Pages that worlds may be made of. */
  readonly room: { readonly first: bigint; readonly pages: number };
  /** Frames that a guest that knows its own has beside those pages, on the machine that is up. */
  readonly elsewhere: () => ReadonlySet<number>;
  /** How often a machine was started. */
  readonly starts: () => number;
}

/**
 * Starts a machine with a hypervisor and a guest, and plays on it; again with a new one whenever
 * anything is odd. Rejects with an `UndrivenError` where that cannot be.
 */
export async function livePlayer(
  setup: Setup,
  files: Files,
  patience: Patience,
  live: readonly string[],
  more: readonly MoreOp[] = [],
): Promise<LivePlayer> {
  let starts = 0;
  let silences = 0;
  let open: { readonly machine: Machine; readonly guest: Guest } | undefined;
  const opened = async (): Promise<NonNullable<typeof open>> => {
    for (let failed = 1; ; failed++) {
      try {
        starts++;
        const machine = await Machine.start(setup, files, patience);
        return { machine, guest: new guests[setup.guests](machine, setup) };
      } catch (error) {
        if (error instanceof StartError) throw new UndrivenError(error.message);
        if (!(error instanceof CrashError)) throw error;
        // What stayed silent once would be as silent again.
        if (error.hung || failed === mostFailedStarts)
          throw new UndrivenError(`the hypervisor does not come up: ${error.message}`, error.evidence);
      }
    }
  };
  const end = async (): Promise<void> => {
    await open?.machine.end();
    open = undefined;
  };
  const answered = async (requests: readonly Request[], again = false): Promise<Reply[]> => {
    open ??= await opened();
    try {
      const replies = await open.guest.answer(requests);
      if (requests.some(({ op }) => op === 'call')) silences = 0;
      return replies;
    } catch (error) {
      await end();
      if (error instanceof CrashError && error.hung && ++silences >= mostSilences)
        throw new UndrivenError(`the guest does not answer any more: ${error.message}`, error.evidence);
      if (!(error instanceof OddError)) throw error;
      if (again || requests[0]?.op !== 'reset') throw new CrashError(`during ${requests[0]?.op}: ${error.message}`);
      return answered(requests, true);
    }
  };
  open = await opened();
  const { hello } = open.machine.mailbox;
  return {
    hello: introduction(setup, hello, more),
    live,
    room: { first: hello.first, pages: hello.pages },
    elsewhere: () => open?.guest.elsewhere ?? new Set(),
    starts: () => starts,
    predicted: true,
    async play(play) {
      let turn = play.next();
      while (!turn.done) turn = play.next(await answered(turn.value));
      return turn.value;
    },
    renew: end,
    end,
  };
}

function introduction(setup: Setup, { xen }: GuestHello, more: readonly MoreOp[]): Hello {
  const isPv = setup.guests === 'pv';
  return {
    name: `Xen ${xen}, ${setup.arch}, ${setup.about}`,
    version: xen,
    arch: [setup.arch],
    commands: {
      increase_reservation,
      decrease_reservation,
      populate_physmap,
      ...(isPv && { exchange }),
      ...Object.fromEntries(more.map((op) => [op, XENMEM['dma-buf'][op]])),
    },
    capabilities: new Set(setup.guests === 'translated' ? ['pages'] : ['pages', 'translate']),
    limits: { domains: 1, max_order: setup.privileged ? 18 : 9 },
    translated: !isPv,
  };
}
