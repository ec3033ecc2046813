import { hex64, toHex } from '../../src/codec/hex.ts';
import { structText } from '../../src/text/struct-text.ts';
import { clipped, printable } from '../../src/text/style.ts';
import type { Counterexample } from '../verdict/result.ts';
import { type CallScene, changedFrames, type FrameMove, frameName, type MemoryRow, pastOf, sceneOf, worldOf } from './story.ts';

/** Frames and list entries on a line. */
const most = { moves: 16, entries: 8, text: 400 } as const;

/**
 * A counterexample told step by step: the world, each call's bytes, what it changed, and which
 * rules that broke.
 */
export function storyText({ scenario, story, tight }: Pick<Counterexample, 'scenario' | 'story' | 'tight'>): string[] {
  const scenes = story.map(sceneOf);
  return [
    ...worldText(scenario),
    ...scenes.flatMap((scene, index) => {
      const broken = scene.broken.map(({ id, message }) => `  violated ${printable(id)}: ${foreign(message)}`);
      return ['', ...sceneText(scene, index), ...broken, ...pastOf(scenes, index).map((line) => `  ${line}`)];
    }),
    ...(tight ? ['', 'Without any one of these steps it does not show.'] : []),
  ];
}

function worldText(scenario: unknown): string[] {
  const world = worldOf(scenario);
  if (!world) return ['world  not told'];
  const free = world.free ? `, ${world.free.low} frames free below 4 GiB, ${world.free.high} above` : '';
  return [
    `world  ${foreign(world.arch)}${free}`,
    ...world.domains.map(({ domid, privileged, ram, holes }) =>
      foreign(`  domain ${domid}${privileged ? ' (privileged)' : ''}: RAM ${ram}${holes === '' ? '' : `; holes ${holes}`}`),
    ),
  ];
}

function sceneText(scene: ReturnType<typeof sceneOf>, index: number): string[] {
  switch (scene.kind) {
    case 'nothing':
      return [`step ${index}  ${foreign(scene.why)}`];
    case 'churn': {
      const lost = scene.lost.length > 0 ? [`  content lost: ${foreign(scene.lost.join(' '))}`] : [];
      return [`step ${index}  the hypervisor moves pages of domain ${scene.domid}`, ...movesText(scene.frames), ...lost];
    }
    case 'call':
      return callText(scene, index);
  }
}

function callText(scene: CallScene, index: number): string[] {
  const inject = scene.inject.length > 0 ? `  injected: ${scene.inject.join(', ')}` : '';
  const arg = scene.arg === undefined ? '' : `, arg ${hex64(scene.arg)}`;
  const lines = [`step ${index}  domain ${scene.domid ?? '?'}: ${scene.op}${arg}  ${scene.rc}${inject}`];
  if (scene.argument) {
    const { layout, before, findings } = scene.argument;
    lines.push(...structText(layout, before, findings).map((line) => `  ${line}`));
  }
  for (const { path, address, entries, count } of scene.lists) {
    const shown = entries.slice(0, most.entries).map(({ before }) => (before === undefined ? '?' : hex64(before)));
    lines.push(`  ${path || 'the'} list at ${hex64(address)}: ${shown.join(' ')}${count > BigInt(shown.length) ? ' …' : ''}`);
  }
  lines.push(...scene.memory.map(memoryText));
  if (scene.moreMemory > 0) lines.push(`  and ${scene.moreMemory} more rows of changed memory`);
  return [...lines, ...movesText(scene.frames)];
}

function memoryText({ address, before, after, label }: MemoryRow): string {
  const bytes = (row: MemoryRow['before']): string => row.map((b) => (b === undefined ? '··' : toHex(Uint8Array.of(b)))).join(' ');
  return `  ${hex64(address)}: ${bytes(before)} → ${bytes(after)}  ${label}`;
}

function movesText(frames: readonly FrameMove[]): string[] {
  const moved = changedFrames(frames);
  const lines = moved
    .slice(0, most.moves)
    .map(({ gfn, before, after }) => `  p2m ${hex64(gfn)}: ${frameName(before)} → ${frameName(after)}`);
  return moved.length > most.moves ? [...lines, `  and ${moved.length - most.moves} more`] : lines;
}

function foreign(text: string): string {
  return clipped(printable(text), most.text);
}
