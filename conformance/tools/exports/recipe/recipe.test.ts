import { spawnSync } from 'node:child_process';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { has, root, scratch, shell, xenmem } from '../../../../bin/shell.ts';
import { type Arch, archNames } from '../../../../src/abi/arch.ts';
import { readTrace } from '../../../../src/trace/read.ts';

/** A test that says what it lacks where it cannot run. */
function needs(tools: readonly string[], title: string, test: () => void): void {
  const lacking = tools.filter((tool) => !has(tool));
  it.skipIf(lacking.length > 0)(lacking.length > 0 ? `${title} (skipped: there is no ${lacking.join(', no ')})` : title, test);
}

cpSync(join(root, 'conformance/tools/exports/recipe/guest.c'), join(scratch, 'guest.c'));
cpSync(join(root, 'conformance/tools/exports/recipe/kernel.c'), join(scratch, 'kernel.c'));

/** Builds the guest for an architecture. */
function build(arch: Arch, compiler: string, name: string, ...flags: string[]): void {
  const line = `xenmem layout --emit c --arch ${arch} > xenmem.h && ${compiler} -O1 -Wall -Wextra -Werror -static -I. ${flags.join(' ')} -o ${name} guest.c`;
  expect(shell(line)).toEqual({ code: 0, stdout: '', stderr: '' });
}

interface Seen {
  readonly cmd: number;
  readonly rc: number;
  /** The struct and its lists, in hex, without the addresses in the struct. */
  readonly before: readonly string[];
  readonly after: readonly string[];
}

const entries = (first: number, count: number): string =>
  Array.from({ length: count }, (_, i) => Buffer.from(new BigUint64Array([BigInt(first + i)]).buffer).toString('hex')).join('');
const struct = (count: string, rest: string): string => `${'..'.repeat(8)}${count}${rest}`;
const self = 'f07f000000000000';
const given = struct('0400000000000000', `0000000000000000${self}`);
const wanted = struct('0100000000000000', `0200000020000000${self}`);
const refused = struct('0100000000000000', '02000000200000000100000000000000');

// What guest.c does, by hand.
const exchanges: readonly Seen[] = [
  {
    cmd: 11,
    rc: 0,
    before: [`${given}${wanted}0000000000000000`, entries(0x40600, 4), entries(0x40600, 1)],
    after: [`${given}${wanted}0400000000000000`, entries(0x40600, 4), entries(0x81000, 1)],
  },
  {
    cmd: 11,
    rc: -22,
    before: [`${given}${refused}0000000000000000`, entries(0x40600, 4), entries(0x81000, 1)],
    after: [`${given}${refused}0000000000000000`, entries(0x40600, 4), entries(0x81000, 1)],
  },
];
const asked = struct('1e00000000000000', `0000000000000000${self}`);
const populate = (rc: number): Seen => ({ cmd: 6, rc, before: [asked, entries(0x50000, 30)], after: [asked, entries(0x50000, 30)] });

/**
 * A capture as it is read: its records come back out of the reader as calls, and each holds what
 * `wanted` says.
 */
async function captured(text: string, wanted: readonly Seen[]): Promise<void> {
  const source = async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.from(text);
  };
  const seen: unknown[] = [];
  for await (const item of readTrace(source())) {
    if (item.kind === 'unreadable') throw new Error(`${item.line}: ${item.message}`);
    if (item.kind !== 'call') continue;
    const { cmd, rc, before, after } = item.call;
    // Lists that touch are one piece of memory.
    const memory = (known: typeof before): string[] =>
      known.known({ address: 0n, length: 1n << 64n }).map(({ bytes }) => Buffer.from(bytes).toString('hex'));
    seen.push({ cmd, rc, before: memory(before), after: memory(after) });
  }
  expect(seen.map((call) => (call as Seen).rc)).toEqual(wanted.map(({ rc }) => rc));
  for (const [i, want] of wanted.entries()) {
    const got = seen[i] as Seen;
    expect(got.cmd).toBe(want.cmd);
    for (const part of ['before', 'after'] as const) {
      const missing = want[part].filter((text) => !got[part].some((found) => new RegExp(text).test(found)));
      expect({ part, missing }).toEqual({ part, missing: [] });
    }
  }
}

describe('gdb', () => {
  const guests = [
    { arch: 'arm64', compiler: 'aarch64-linux-gnu-gcc', qemu: 'qemu-aarch64' },
    { arch: 'arm32', compiler: 'arm-linux-gnueabihf-gcc', qemu: 'qemu-arm' },
    { arch: 'x86_64', compiler: 'gcc', qemu: 'qemu-x86_64' },
  ] as const;

  for (const { arch, compiler, qemu } of guests) {
    needs(['gdb-multiarch', compiler, qemu], `captures from the stub of ${qemu}`, async () => {
      const name = `guest-${arch}`;
      build(arch, compiler, name, '-no-pie');
      for (const [op, wanted] of [
        ['exchange', exchanges],
        ['populate_physmap', [populate(30)]],
      ] as const) {
        const { stdout, code } = shell(
          `xenmem recipe gdb --op ${op} --arch ${arch} > capture.gdb; timeout 60 ${qemu} -g ./${name}.sock ./${name} &
          until [ -S ${name}.sock ]; do sleep 0.05; done
          timeout 60 gdb-multiarch -q -nx -batch -x capture.gdb -ex 'target remote ./${name}.sock' -ex continue ${name} 2>&1; wait`,
        );
        expect(code).toBe(0);
        await captured(stdout, wanted);
        expect(xenmem(['validate', '--json', '--fail-on', 'never', '-'], stdout).code).toBe(0);
      }
    });
  }
});

describe('qemu', () => {
  needs(['gdb-multiarch', 'aarch64-linux-gnu-gcc', 'qemu-system-aarch64'], 'captures from the stub of a whole machine', async () => {
    build('arm64', 'aarch64-linux-gnu-gcc', 'bare', '-DBARE', '-ffreestanding', '-nostdlib', '-Wl,-Ttext=0x40080000,--build-id=none');
    const machine = 'qemu-system-aarch64 -M virt -cpu cortex-a57 -display none -serial null -monitor none -kernel bare -S';
    const { stdout } = shell(
      `xenmem recipe qemu --op exchange > capture.sh; timeout 60 ${machine} -gdb unix:bare.sock,server=on,wait=off &
      until [ -S bare.sock ]; do sleep 0.05; done
      timeout 60 sh capture.sh bare ./bare.sock; wait`,
    );
    await captured(stdout, exchanges);
  });
});

const bpftraceRuns = spawnSync('bpftrace', ['-e', 'BEGIN { exit(); }']).status === 0;

describe('bpftrace', () => {
  // Its own environment stands in the script; -d checks all but the kernel at hand.
  needs(['bpftrace'], 'has nothing to say of the scripts but that the functions are not in this kernel', () => {
    for (const arch of archNames.filter((name) => name !== 'x86_32')) {
      for (const op of ['exchange', 'populate_physmap', 'get_dma_buf', 'put_dma_buf']) {
        const { stdout, stderr } = shell(`xenmem recipe bpftrace --arch ${arch} --op ${op} > capture.sh; sh capture.sh -d`);
        const said = `${stdout}${stderr}`
          .split('\n')
          .filter((line) => /warning|error/i.test(line) && !/is not traceable|RLIMIT_MEMLOCK/.test(line));
        expect(said).toEqual([]);
        expect(stdout).toContain('BEGIN');
      }
    }
  });

  // The same scripts with their probes in a process, whose memory stands for the kernel's: the
  // verifier and the printing are real.
  it.skipIf(!bpftraceRuns || !has('gcc'))('captures from a process what it would from a kernel', async () => {
    build('x86_64', 'gcc', 'traced', '-no-pie');
    const run = (arch: Arch, op: string): string =>
      shell(
        `xenmem recipe bpftrace --arch ${arch} --op ${op} | sed 's#^k\\(ret\\)*probe:#u\\1probe:${join(scratch, 'traced')}:#' > capture.sh
        timeout 60 sh capture.sh -c ${join(scratch, 'traced')}`,
      ).stdout;
    await captured(run('arm64', 'exchange'), exchanges);
    const rows = run('arm64', 'populate_physmap');
    expect(rows).toMatch(/^Attaching 6 probes\.\.\.\n\{"xenmem":1,/);
    await captured(rows, [populate(30), populate(-12)]);
    const frames = [entries(0x50000, 30)];
    await captured(run('x86_64', 'populate_physmap'), [{ ...populate(30), before: frames, after: frames }, populate(-12)]);
  });
});

describe('printk', () => {
  needs(['gcc'], 'prints what is read, in a kernel whose printk is small', async () => {
    for (const [op, wanted] of [
      ['exchange', exchanges],
      ['populate_physmap', [populate(30)]],
    ] as const) {
      const { stdout, stderr, code } = shell(
        `xenmem layout --emit c --arch x86_64 > xenmem.h; xenmem recipe printk --arch x86_64 --op ${op} > traced.h
        mkdir -p linux asm/xen; touch linux/minmax.h linux/printk.h linux/sched.h linux/string.h asm/xen/hypercall.h
        gcc -O1 -Wall -Wextra -Wno-format -Wno-format-extra-args -I. -DOP=XENMEM_${op} -o kernel kernel.c && ./kernel`,
      );
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      await captured(stdout, wanted);
    }
  });
});

describe('strace', () => {
  needs(['strace', 'gcc'], 'shows what a toolstack asks for, or says which strace does', () => {
    writeFileSync(
      join(scratch, 'xl.c'),
      `#include <sys/ioctl.h>
#include <fcntl.h>
int main(void)
{
    unsigned long long call[6] = { 12, 6, 0x7ffd1234a000 };
    ioctl(open("/dev/null", O_RDWR), _IOC(_IOC_NONE, 'P', 0, sizeof(call)), call);
    return 0;
}
`,
    );
    shell('gcc -o xl xl.c; xenmem recipe strace --arch x86_64 --op populate_physmap > capture.sh');
    const { stdout } = shell('sh capture.sh ./xl');
    const [header, ...lines] = stdout.trimEnd().split('\n');
    expect(JSON.parse(header ?? '')).toMatchObject({ xenmem: 1, arch: 'x86_64' });
    expect(lines.some((line) => line.includes('_IOC(_IOC_NONE, 0x50, 0, 0x30)'))).toBe(true);
    const judged = xenmem(['validate', '-'], stdout);
    if (/, 0x[0-9a-f]+\) = /.test(stdout))
      expect(judged.stderr).toContain('strace before 6.11, or without -v, does not show which hypercall it was');
    else expect(judged.stdout).toContain('populate_physmap');
  });
});

it('a recipe is a script that sh accepts', () => {
  for (const name of ['bpftrace', 'ftrace', 'qemu', 'strace']) {
    for (const op of ['populate_physmap']) {
      for (const arch of ['arm64', 'x86_64']) {
        const { stdout, code } = shell(`xenmem recipe ${name} --op ${op} --arch ${arch} | tee capture.sh | sh -n && cat capture.sh`);
        expect(code).toBe(0);
        expect(stdout.startsWith('#!/bin/sh\n# Captures ')).toBe(true);
      }
    }
  }
  expect(readFileSync(join(scratch, 'capture.sh'), 'utf8')).toContain('xenmem recipe strace');
});
