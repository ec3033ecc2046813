import type { Arch } from '../../src/abi/arch.ts';
import type { Hello, Implementation } from './implementation.ts';
import { CrashError, type Play, playHere } from './play.ts';
import { Session } from './session.ts';
import { StartError, type Transport } from './transport.ts';

/** Starts that may fail one after the other. */
const mostFailedStarts = 3;

/** Plays scenarios on an implementation, wherever it is. */
export interface Player {
  readonly hello: Hello;
  /** What `--iut` names it by; absent for one in this process. */
  readonly iut?: string;
  /** What `--reference` names it by, if it is one of those and not the strict one. */
  readonly reference?: readonly string[];
  /** The words behind `xenmem live` that start it, if it is a real hypervisor. */
  readonly live?: readonly string[];
  /** Is it held against the reference model too? Of the model itself that would say nothing. */
  readonly predicted: boolean;
  /**
   * Plays to the end. Rejects with a `CrashError` where the implementation breaks, and with an
   * `UndrivenError` where it cannot be started.
   */
  play<T>(play: Play<T>): Promise<T>;
  /** Starts the implementation again before the next play. */
  renew(): Promise<void>;
  end(): Promise<void>;
}

/** The implementation under test cannot be driven: nothing can be said of it. */
export class UndrivenError extends Error {
  override readonly name = 'UndrivenError';
  readonly evidence: readonly string[];

  constructor(message: string, evidence: readonly string[] = []) {
    super(message);
    this.evidence = evidence;
  }
}

/** A player for an implementation in this process. */
export function playerHere(implementation: Implementation): Player {
  return {
    hello: implementation.hello,
    predicted: false,
    play: async (play) => playHere(play, implementation),
    renew: async () => {},
    end: async () => {},
  };
}

/**
 * A player for an implementation at the end of a transport, which is started again whenever it
 * broke.
 */
export async function playerOver(start: () => Promise<Transport>, arch: Arch, scale = 1): Promise<Player> {
  let session: Session | undefined = await opened(start, arch, scale);
  const { hello } = session;
  const end = async (): Promise<void> => {
    await session?.end();
    session = undefined;
  };
  return {
    hello,
    predicted: true,
    async play(play) {
      session ??= await opened(start, arch, scale, hello);
      const open = session;
      try {
        let turn = play.next();
        while (!turn.done) turn = play.next(await open.ask(turn.value));
        return turn.value;
      } catch (error) {
        if (error instanceof CrashError) session = undefined;
        throw error;
      }
    },
    renew: end,
    end,
  };
}

/** A session with an implementation that was just started; tried three times. */
async function opened(start: () => Promise<Transport>, arch: Arch, scale: number, before?: Hello): Promise<Session> {
  for (let failed = 1; ; failed++) {
    try {
      const session = await Session.open(await start(), arch, scale);
      if (before === undefined || introduction(session.hello) === introduction(before)) return session;
      await session.end();
      throw new CrashError('by introducing itself otherwise than at its first start');
    } catch (error) {
      if (error instanceof StartError) throw new UndrivenError(error.message);
      if (!(error instanceof CrashError)) throw error;
      if (failed === mostFailedStarts) {
        throw new UndrivenError(`the implementation failed ${failed} starts; the last one ${error.message}`, error.evidence);
      }
    }
  }
}

function introduction({ capabilities, ...rest }: Hello): string {
  const text = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value);
  return JSON.stringify([rest, [...capabilities].sort()], text);
}
