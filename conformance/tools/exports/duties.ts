/**
 * Holds the duties of the emitted C header against the table of rules, struct by struct: `npm run
 * duties -- [how many of each]`.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Arch } from '../../../src/abi/arch.ts';
import { layoutOf } from '../../../src/abi/layout.ts';
import { type StructName, structNames } from '../../../src/abi/structs.ts';
import { emitCChecks } from '../../../src/export/c-checks.ts';
import { structDuties } from '../../../src/rules/duties/duties.ts';
import { type DutyCase, dutyCases, dutyInput, dutyProgram, maskByRules } from './duty-cases.ts';

/** Structs compared, and those on which the two differ. */
export interface Comparison {
  readonly compared: number;
  /** How many of them break a duty. */
  readonly broken: number;
  readonly first: string | undefined;
}

export const compilers: readonly { readonly arch: Arch; readonly cc: readonly string[]; readonly qemu?: string }[] = [
  { arch: 'x86_64', cc: ['gcc'] },
  { arch: 'x86_64', cc: ['clang'] },
  { arch: 'x86_32', cc: ['gcc', '-m32'] },
  { arch: 'x86_32', cc: ['gcc'] },
  { arch: 'arm64', cc: ['aarch64-linux-gnu-gcc', '-static'], qemu: 'qemu-aarch64' },
  { arch: 'arm32', cc: ['arm-linux-gnueabihf-gcc', '-static'], qemu: 'qemu-arm' },
];

export const strict: readonly string[] = ['-std=c99', '-Wall', '-Wextra', '-Wconversion', '-Werror', '-pedantic', '-O2'];

const bits = new Map(Object.keys(structDuties).map((id, i) => [id, i]));
const batch = 50_000;

/** Compiles the header for an architecture and compares it with the rules on so many structs. */
export function compare(struct: StructName, arch: Arch, cc: readonly string[], qemu: string | undefined, count: number): Comparison {
  const dir = mkdtempSync(join(tmpdir(), 'xenmem-duties-'));
  try {
    writeFileSync(join(dir, 'checks.h'), emitCChecks(structNames.map((name) => layoutOf(name, arch))));
    writeFileSync(join(dir, 'main.c'), dutyProgram(struct, arch));
    const [program = 'cc', ...options] = cc;
    execFileSync(program, [...options, ...strict, '-o', 'main', 'main.c'], { cwd: dir, stdio: 'pipe' });
    const [run, args] = qemu ? [qemu, [join(dir, 'main')]] : [join(dir, 'main'), []];
    let [compared, broken] = [0, 0];
    let first: string | undefined;
    const check = (cases: readonly DutyCase[]): void => {
      const { stdout, status } = spawnSync(run, args, { input: dutyInput(cases), maxBuffer: 1 << 28 });
      if (status !== 0 || stdout.length !== 4 * cases.length) throw new Error(`${cc.join(' ')}: the program failed`);
      for (const [i, one] of cases.entries()) {
        const [theirs, ours] = [stdout.readUInt32LE(4 * i), maskByRules(one, struct, arch, bits)];
        if (ours !== 0) broken++;
        if (theirs !== ours)
          first ??= `${Buffer.from(one.bytes).toString('hex')} at ${one.address}, cmd ${one.cmd}: ${theirs} in C, ${ours} by the rules`;
      }
      compared += cases.length;
    };
    let pending: DutyCase[] = [];
    for (const one of dutyCases(layoutOf(struct, arch), count)) {
      pending.push(one);
      if (pending.length === batch) {
        check(pending);
        pending = [];
      }
    }
    if (pending.length > 0) check(pending);
    return { compared, broken, first };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

if (process.argv[1]?.endsWith('duties.js')) {
  const count = Number(process.argv[2] ?? 1_000_000);
  for (const { arch, cc, qemu } of compilers) {
    for (const struct of structNames) {
      const { compared, broken, first } = compare(struct, arch, cc, qemu, count);
      console.log(
        `${arch} ${cc.join(' ')} ${struct}: ${compared} structs, ${broken} break a duty${first === undefined ? ', equal' : `\n  ${first}`}`,
      );
      if (first !== undefined) process.exitCode = 1;
    }
  }
}
