import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { has, scratch, xenmem } from '../../../bin/shell.ts';

/** A test that says what it lacks where it cannot run. */
function needs(tools: readonly string[], title: string, test: () => void): void {
  const lacking = tools.filter((tool) => !has(tool));
  it.skipIf(lacking.length > 0)(lacking.length > 0 ? `${title} (skipped: there is no ${lacking.join(', no ')})` : title, test);
}

needs(['gcc', 'gcore'], 'decode --elf reads what gcore leaves of a process', () => {
  writeFileSync(
    join(scratch, 'holds.c'),
    `#include <stdio.h>
#include <stdlib.h>
unsigned long frames[2] = { 0x40600, 0x40602 };
unsigned long get[9];
int main(void) {
  get[0] = (unsigned long)frames; get[1] = 2; get[3] = 0x7ff0;
  get[4] = (unsigned long)malloc(8); *(unsigned long *)get[4] = 0x999; get[5] = 1; get[6] = 1; get[7] = 0x7ff0;
  printf("%p\\n", (void *)get); fflush(stdout); getchar(); return 0;
}
`,
  );
  execFileSync('gcc', ['-o', 'holds', 'holds.c'], { cwd: scratch });
  const script = `coproc ./holds; read -r at <&"\${COPROC[0]}"; gcore -o process $COPROC_PID >&2; echo "$at $COPROC_PID"; echo >&"\${COPROC[1]}"`;
  const { stdout } = spawnSync('bash', ['-c', script], { cwd: scratch, encoding: 'utf8' });
  const [at = '', pid = ''] = stdout.trim().split(' ');
  const { code, stderr, stdout: shown } = xenmem(['decode', '--elf', `process.${pid}`, '--at', at, '--cmd', '11', '--json']);
  expect([code, stderr]).toEqual([0, '']);
  const { arch, lists } = JSON.parse(shown);
  expect([arch, lists['in.extent_start'].entries, lists['out.extent_start'].entries]).toEqual([
    process.arch === 'arm64' ? 'arm64' : 'x86_64',
    ['0x40600', '0x40602'],
    ['0x999'],
  ]);
});

needs(['qemu-system-aarch64'], "decode --elf reads what QEMU's dump-guest-memory leaves of a machine", () => {
  const words = (...values: bigint[]): Buffer => {
    const made = Buffer.alloc(8 * values.length);
    for (const [i, value] of values.entries()) made.writeBigUInt64LE(value, 8 * i);
    return made;
  };
  writeFileSync(join(scratch, 'struct.bin'), words(0x4100_2000n, 2n, 0n, 0x7ff0n));
  writeFileSync(join(scratch, 'list.bin'), words(0x41234n, 0x41235n));
  const load = (name: string, at: string): string[] => ['-device', `loader,file=${name}.bin,addr=${at},force-raw=on`];
  const args = ['-M', 'virt', '-cpu', 'cortex-a57', '-m', '64', '-S', '-display', 'none', '-monitor', 'stdio', '-serial', 'none'];
  spawnSync('qemu-system-aarch64', [...args, ...load('struct', '0x41001000'), ...load('list', '0x41002000')], {
    cwd: scratch,
    input: 'dump-guest-memory machine.core\nquit\n',
  });
  // The dump has physical addresses, and the guest has no page tables yet: its own are the same.
  const { code, stdout, stderr } = xenmem([
    'decode',
    '--elf',
    join(scratch, 'machine.core'),
    '--at',
    '0x41001000',
    '--space',
    'physical',
    '--cmd',
    '1',
    '--json',
  ]);
  expect([code, stderr]).toEqual([0, '']);
  const { arch, lists } = JSON.parse(stdout);
  expect([arch, lists.extent_start.entries]).toEqual(['arm64', ['0x41234', '0x41235']]);
});
