import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { has, scratch } from '../../../bin/shell.ts';
import type { Arch } from '../../../src/abi/arch.ts';
import { layoutOf } from '../../../src/abi/layout.ts';
import { memoryStructNames } from '../../../src/abi/memory-h.ts';
import { encodeMemory, memoryValues } from '../../../src/codec/memory-codec.ts';

// The header of Xen itself, by its own compilers: what they say of each struct, and what they read
// in bytes at random.

const targets: readonly { arch: Arch; gcc: readonly string[]; clang: string; qemu?: string }[] = [
  { arch: 'x86_64', gcc: ['gcc'], clang: 'x86_64-linux-gnu' },
  { arch: 'x86_32', gcc: ['gcc', '-m32'], clang: 'i686-linux-gnu' },
  { arch: 'arm64', gcc: ['aarch64-linux-gnu-gcc'], clang: 'aarch64-linux-gnu', qemu: 'qemu-aarch64' },
  { arch: 'arm32', gcc: ['arm-linux-gnueabihf-gcc'], clang: 'arm-linux-gnueabihf', qemu: 'qemu-arm' },
];
const compilers = targets.flatMap(({ gcc, clang, ...target }) => [
  { ...target, compiler: gcc },
  { ...target, compiler: ['clang', `--target=${clang}`] },
]);
const rounds = 200;

/**
 * A program that prints each struct's size and alignment, each field's offset and size, and what it
 * reads in bytes.
 */
function source(arch: Arch): string {
  const each = memoryStructNames.map((struct) => {
    const { fields } = layoutOf(struct, arch);
    const told = fields.map(({ path }) => `F(${struct}, ${path})`).join(' ');
    const read = fields
      .map(({ path, type, count }) =>
        count > 1
          ? Array.from({ length: count }, (_, i) => `V(s.${path}[${i}])`).join(' ')
          : type.startsWith('XEN_GUEST')
            ? `H(s.${path})`
            : `V(s.${path})`,
      )
      .join(' ');
    return `  printf("${struct} %zu %zu\\n", sizeof(struct ${struct}), __alignof__(struct ${struct})); ${told}
  for (i = 0; i < ${rounds}; i++) { struct ${struct} s; fill(&s, sizeof s); ${read} puts(""); }`;
  });
  return `#define __XEN_TOOLS__ 1
#include <stdio.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <xen/xen.h>
#include <xen/physdev.h>
#include <xen/memory.h>
static uint32_t state = 12345;
static void fill(void *at, size_t size) {
  unsigned char *byte = at;
  while (size--) { state = state * 1664525u + 1013904223u; *byte++ = state >> 24; }
}
static void raw(const void *at, size_t size) { unsigned long long v = 0; memcpy(&v, at, size); printf(" %llu", v); }
#define F(s, path) printf("  " #path " %zu %zu\\n", offsetof(struct s, path), sizeof(((struct s *)0)->path));
#define V(x) printf(" %llu", (unsigned long long)(x));
#define H(x) raw(&(x), sizeof(x));
int main(void) {
  int i;
${each.join('\n')}
  return 0;
}
`;
}

/** The bytes that the program makes for itself, by the same rule. */
function* filled(): Generator<number> {
  for (let state = 12345; ; ) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state >>> 24;
  }
}

describe("the structs of Xen's public/memory.h", () => {
  for (const { arch, compiler, qemu } of compilers) {
    const [program = '', ...flags] = compiler;
    const lacking = [program, ...(qemu ? [qemu] : [])].filter((tool) => !has(tool));
    if (!existsSync('/usr/include/xen/memory.h')) lacking.push('xen/memory.h');
    const why = lacking.length > 0 ? ` (skipped: there is no ${lacking.join(', no ')})` : '';
    it.skipIf(lacking.length > 0)(`${arch}: the layout, and ${rounds} values a struct, are those of ${compiler.join(' ')}${why}`, () => {
      writeFileSync(join(scratch, `${arch}.c`), source(arch));
      execFileSync(program, [...flags, '-std=gnu11', '-O1', '-static', '-o', `${arch}.out`, `${arch}.c`], { cwd: scratch, stdio: 'pipe' });
      const [runs = '', ...args] = qemu ? [qemu, `./${arch}.out`] : [`./${arch}.out`];
      const lines = execFileSync(runs, args, { cwd: scratch, encoding: 'utf8', maxBuffer: 1 << 28 }).split('\n');
      const bytes = filled();
      for (const struct of memoryStructNames) {
        const layout = layoutOf(struct, arch);
        expect(lines.shift()).toBe(`${struct} ${layout.size} ${layout.align}`);
        for (const { path, offset, size, count } of layout.fields)
          expect([struct, lines.shift()]).toEqual([struct, `  ${path} ${offset} ${size * count}`]);
        for (let i = 0; i < rounds; i++) {
          const made = Uint8Array.from({ length: layout.size }, () => Number(bytes.next().value));
          const values = memoryValues(layout, made);
          expect([struct, lines.shift()]).toEqual([struct, ` ${values.flatMap((one) => one.values).join(' ')}`]);
          // What is encoded again is the same but for padding, which no field covers.
          const again = encodeMemory(layout, new Map(values.map(({ field, values: held }) => [field.path, held])));
          expect(memoryValues(layout, again)).toEqual(values);
        }
      }
      expect(lines).toEqual(['']);
    });
  }
});
