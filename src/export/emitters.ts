import type { Layout } from '../abi/layout.ts';
import { emitC } from './c.ts';
import { emitGdb } from './gdb.ts';
import { emitJson } from './json.ts';
import { emitLua } from './lua.ts';
import { emitRust } from './rust.ts';

/** Layouts of one architecture, at least one, as the text of a file in another language. */
export type Emitter = (layouts: readonly Layout[]) => string;

/** Every export by its name. */
export const emitters = { c: emitC, rust: emitRust, lua: emitLua, json: emitJson, gdb: emitGdb } as const satisfies {
  readonly [name: string]: Emitter;
};

export type EmitterName = keyof typeof emitters;

export const emitterNames: readonly EmitterName[] = Object.keys(emitters) as EmitterName[];
