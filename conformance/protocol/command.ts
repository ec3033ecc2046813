import type { Arch } from '../../src/abi/arch.ts';
import { Child } from './child.ts';
import { type Player, playerOver } from './player.ts';
import { words } from './words.ts';

const modulePrefix = 'module:';

/**
 * The words that start an implementation: the command as it is, or the host for a module. Throws a
 * `SyntaxError` where there are none.
 */
export function commandOf(iut: string, host: string): readonly string[] {
  if (iut.startsWith(modulePrefix)) return [process.execPath, host, iut.slice(modulePrefix.length)];
  const command = words(iut);
  if (command.length === 0) throw new SyntaxError('no command');
  return command;
}

/** A player for a command that speaks the protocol. */
export function playerFor(command: readonly string[], arch: Arch, scale: number): Promise<Player> {
  return playerOver(() => Child.start(command), arch, scale);
}
