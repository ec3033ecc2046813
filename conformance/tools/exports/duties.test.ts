import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { has, scratch } from '../../../bin/shell.ts';
import { layoutOf } from '../../../src/abi/layout.ts';
import { structNames } from '../../../src/abi/structs.ts';
import { emitCChecks } from '../../../src/export/c-checks.ts';
import { compare, compilers, strict } from './duties.ts';

/** Does a compiler find the C library of what it compiles for? */
function compiles(cc: readonly string[]): boolean {
  const [program = '', ...options] = cc;
  return has(program) && spawnSync(program, [...options, '-E', '-'], { input: '#include <stdio.h>\n' }).status === 0;
}

// `npm run duties` compares a million structs of each.
const count = 4000;

describe('the duties of the C header', () => {
  for (const { arch, cc, qemu } of compilers) {
    const lacking = [...(compiles(cc) ? [] : [cc.join(' ')]), ...(qemu && !has(qemu) ? [qemu] : [])];
    const title = `for ${arch}, by ${cc.join(' ')}, are those of the rules`;
    it.skipIf(lacking.length > 0)(lacking.length > 0 ? `${title} (skipped: there is no ${lacking.join(', no ')})` : title, () => {
      for (const struct of structNames) {
        const { compared, broken, first } = compare(struct, arch, cc, qemu, count);
        expect([struct, first, compared]).toEqual([struct, undefined, count]);
        expect(broken).toBeGreaterThan(count / 4);
        expect(broken).toBeLessThan(count);
      }
    });

    it.skipIf(!compiles(cc))(`for ${arch}, by ${cc.join(' ')}, need no library`, () => {
      writeFileSync(join(scratch, 'checks.h'), emitCChecks(structNames.map((name) => layoutOf(name, arch))));
      const other = arch === 'arm32' ? 'arm64' : 'arm32';
      writeFileSync(join(scratch, 'other.h'), emitCChecks([layoutOf('xen_put_dma_buf', other)]));
      const calls = structNames.map((name) => `xenmem_broken_${name.replace(/^xen_/, '')}_${arch}(argument, 1, 2)`);
      const main = `typedef __UINT32_TYPE__ uint32_t;
typedef __UINT64_TYPE__ uint64_t;
#include "checks.h"
#include "other.h"
void _start(void);
static uint32_t any(const void *argument)
{
    return ${calls.join(' | ')} | xenmem_broken_put_dma_buf_${other}(argument, 1, 2);
}
static unsigned char bytes[72];
void _start(void)
{
    while ((any(bytes) & XENMEM_ERRORS) != 0 || *xenmem_duty_id(bytes[0]) == *xenmem_duty_text(bytes[1]))
        bytes[0]++;
}
`;
      writeFileSync(join(scratch, 'alone.c'), main);
      for (const level of ['-O0', '-O2', '-Os']) {
        const [program = '', ...options] = cc;
        const alone = ['-DXENMEM_NO_STDINT', '-nostdinc', '-ffreestanding', '-nostdlib', '-static', '-fno-stack-protector', '-o', 'alone'];
        execFileSync(program, [...options, ...strict, level, ...alone, 'alone.c'], { cwd: scratch, stdio: 'pipe' });
      }
    });
  }
});
