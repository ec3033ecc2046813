import { PRIVCMD_HYPERCALL } from '../../abi/constants.ts';
import { headerOf, remarks, type Target } from './target.ts';

/** Bytes that `%*ph` of Linux and of Xen prints at most, and cuts without a word. */
const most = 64;

/**
 * A header of C for the kernel: `xenmem_traced` makes the call and prints what went in and what
 * came out.
 */
export function printkRecipe(target: Target): string {
  const { layout, lists, entry } = target;
  const pieces: number[] = [];
  for (let left = layout.size; left > 0; left -= most) pieces.push(Math.min(left, most));
  const format = pieces.map((size) => `%${size}phN`).join('');
  const from = pieces.map((_, i) => `(const char *)arg + ${i * most}`).join(', ');
  const follow = lists.map(
    ({ offset, countOffset, countSize }) => `	memcpy(&handle, (const char *)arg + ${offset}, sizeof(handle));
	memcpy(&count, (const char *)arg + ${countOffset}, ${countSize});
	xenmem_list(stage, (const char *)handle, (u64)count * ${entry});`,
  );
  const text = remarks(target, 'printk', [
    'Include it in the file that makes the call, and call xenmem_traced in the place of HYPERVISOR_memory_op.',
    `Read it: dmesg | xenmem validate --arch ${target.arch} --profile ${target.profile} -`,
    `%*ph prints no more than ${most} bytes, so the struct is printed in ${pieces.length === 1 ? 'one piece' : `${pieces.length} pieces`} and lists in lines of ${most} bytes.`,
    'Missed: what other files call, and lines that the log drops (log_buf_len=4M).',
  ]);
  return `/*
${text.replace(/^# /gm, ' * ')}
 */
#ifndef XENMEM_TRACED_H
#define XENMEM_TRACED_H

#include <linux/minmax.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <asm/xen/hypercall.h>

static inline void xenmem_list(const char *stage, const char *at, u64 bytes)
{
	u64 from;

	if (!at)
		return;
	for (from = 0; from < bytes && from < 4096; from += ${most})
		pr_info("xenmem_%s: tid=%d at=0x%lx mem=%*phN\\n", stage, current->pid,
			(unsigned long)(at + from), (int)min_t(u64, bytes - from, ${most}), at + from);
}

static inline void xenmem_lists(const char *stage, const void *arg)
{
	unsigned long handle;
	u64 count = 0;

${follow.join('\n')}
}

static inline int xenmem_traced(unsigned int cmd, void *arg)
{
	int rc;

	pr_info("xenmem_in: tid=%d cmd=%u arg=0x%lx mem=${format}\\n", current->pid, cmd,
		(unsigned long)arg, ${from});
	xenmem_lists("list", arg);
	rc = HYPERVISOR_memory_op(cmd, arg);
	xenmem_lists("after", arg);
	pr_info("xenmem_out: tid=%d rc=%d mem=${format}\\n", current->pid, rc,
		${from});
	return rc;
}

#endif
`;
}

/** A shell script around strace, which shows the arguments of a toolstack's calls. */
export function straceRecipe(target: Target): string {
  return `#!/bin/sh
${remarks(target, 'strace', [
  'Run: sh capture.sh xl list | xenmem validate - (or: sh capture.sh -p PID). strace 6.11 or later shows the arguments.',
  'Missed: all memory, the struct too, so little can be judged: xenmem recipe bpftrace captures it. Calls of the kernel.',
])}
echo '${headerOf(target, 'strace')}'
strace -f -v -s ${PRIVCMD_HYPERCALL.size} -e trace=ioctl -o '|cat >&3' "$@" 3>&1 >&2
`;
}
