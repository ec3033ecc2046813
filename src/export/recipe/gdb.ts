import type { Arch } from '../../abi/arch.ts';
import { HYPERVISOR_memory_op, MEMOP_CMD_MASK } from '../../abi/constants.ts';
import { headerOf, remarks, type Target } from './target.ts';

/** Most extents of a list that are followed: each byte is asked for by itself. */
const mostExtents = 512;

/** Where a call's parts stand as it begins; `at` is the function. */
interface Entry {
  readonly at: string;
  readonly cmd: string;
  readonly arg: string;
  readonly rc: string;
  /** The stack pointer after the return: it tells calls apart that are under way at once. */
  readonly stack: string;
  readonly stackAfter: string;
  readonly back: string;
}

/** A page of code that Xen fills: 32 bytes for each hypercall. */
const inHypercallPage = `*(hypercall_page + ${32 * HYPERVISOR_memory_op})`;

const entries: { readonly [A in Arch]: Entry } = {
  arm64: { at: 'HYPERVISOR_memory_op', cmd: '$x0', arg: '$x1', rc: '$x0', stack: '$sp', stackAfter: '$sp', back: '$lr' },
  arm32: { at: 'HYPERVISOR_memory_op', cmd: '$r0', arg: '$r1', rc: '$r0', stack: '$sp', stackAfter: '$sp', back: '$lr & ~1' },
  x86_64: {
    at: inHypercallPage,
    cmd: '$rdi',
    arg: '$rsi',
    rc: '$rax',
    stack: '$rsp + 8',
    stackAfter: '$rsp',
    back: '*(unsigned long long *) $rsp',
  },
  x86_32: {
    at: inHypercallPage,
    cmd: '$ebx',
    arg: '$ecx',
    rc: '$eax',
    stack: '$esp + 4',
    stackAfter: '$esp',
    back: '*(unsigned int *) $esp',
  },
};

/** Commands of gdb, which need neither Python nor debug information. */
export function gdbRecipe(target: Target): string {
  return `${remarks(target, 'gdb', [
    "Run: gdb-multiarch -q -nx -batch -x capture.gdb -ex 'target remote :1234' -ex continue vmlinux | xenmem validate -",
    'The target is a stub: qemu -s, qemu-user -g, gdbsx, a probe of OpenOCD. Interrupt it to end the capture.',
    'A kernel must run with nokaslr, lest the addresses of vmlinux be others.',
    ...about(target),
  ])}
${commands(target, 'gdb')}`;
}

/** A shell script that takes the calls of a guest from QEMU's own stub. */
export function qemuRecipe(target: Target): string {
  return `#!/bin/sh
${remarks(target, 'qemu', [
  'Start QEMU with -s (and -S to miss nothing), the guest with nokaslr. Run: sh capture.sh vmlinux [HOST:PORT] | xenmem validate -',
  ...(target.arch.startsWith('x86')
    ? ["Under KVM with QEMU's own Xen, -trace kvm_xen_hypercall is another way: arguments and results, no memory."]
    : []),
  ...about(target),
])}
vmlinux=\${1:?the vmlinux that the guest runs}
script=$(mktemp) || exit 1
trap 'rm -f "$script"' EXIT
trap 'exit 130' INT TERM
cat > "$script" <<'XENMEM'
${commands(target, 'qemu')}XENMEM
gdb-multiarch -q -nx -batch -x "$script" -ex "target remote \${2:-localhost:1234}" -ex continue "$vmlinux"
`;
}

function about({ arch }: Target): string[] {
  const shared = [
    `Each list is followed for ${mostExtents} extents ($xenmem_most). A list or struct that is not mapped ends the capture with gdb's error.`,
    'Missed: calls inside a multicall, and those of privcmd, which issues them itself.',
  ];
  if (!arch.startsWith('x86')) return shared;
  const register = arch === 'x86_64' ? '$rax' : '$eax';
  return [
    ...shared,
    `hypercall_page is there up to Linux 6.12. Later: break xen_hypercall_intel (or _amd, _pv) if ${register} == ${HYPERVISOR_memory_op}`,
    `&& (${entries[arch].cmd} & ${MEMOP_CMD_MASK}) == OP, in its place.`,
  ];
}

function commands(target: Target, by: string): string {
  const { arch, nr, layout, lists, entry: size, pointer } = target;
  const entry = entries[arch];
  const wide = pointer === 8 ? 'long long' : 'int';
  const list = lists.map(
    ({ offset, countOffset, countSize }) => `  set $xenmem_p = *(unsigned ${wide} *) ($xenmem_s + ${offset})
  set $xenmem_n = *(unsigned ${countSize === 8 ? 'long long' : 'int'} *) ($xenmem_s + ${countOffset})
  if $xenmem_n > $xenmem_most
    set $xenmem_n = $xenmem_most
  end
  if $xenmem_p != 0 && $xenmem_n > 0
    printf "xenmem_$arg0: tid=%llu at=0x%llx mem=", (unsigned long long) $xenmem_tid, (unsigned long long) $xenmem_p
    xenmem_hex $xenmem_p $xenmem_n*${size}
    printf "\\n"
  end`,
  );
  return `set pagination off
set confirm off
set language c
set $xenmem_most = ${mostExtents}
printf "${headerOf(target, by).replaceAll('"', '\\"')}\\n"

define xenmem_hex
  set $xenmem_at = (unsigned ${wide}) ($arg0)
  set $xenmem_end = $xenmem_at + ($arg1)
  while $xenmem_at < $xenmem_end
    printf "%02x", *(unsigned char *) $xenmem_at
    set $xenmem_at = $xenmem_at + 1
  end
end

define xenmem_lists
${list.join('\n')}
end

break ${entry.at.startsWith('*') ? '' : '*'}${entry.at} if (${entry.cmd} & ${MEMOP_CMD_MASK}) == ${nr}
commands
  silent
  set $xenmem_tid = ${entry.stack}
  set $xenmem_s = ${entry.arg}
  printf "xenmem_in: tid=%llu cmd=%u arg=0x%llx mem=", (unsigned long long) $xenmem_tid, (unsigned int) ${entry.cmd}, (unsigned long long) $xenmem_s
  xenmem_hex $xenmem_s ${layout.size}
  printf "\\n"
  xenmem_lists list
  eval "set $xenmem_arg_%llu = $xenmem_s", (unsigned long long) $xenmem_tid
  eval "tbreak *0x%llx if ${entry.stackAfter} == 0x%llx", (unsigned long long) (${entry.back}), (unsigned long long) $xenmem_tid
  commands
    silent
    set $xenmem_tid = ${entry.stackAfter}
    eval "set $xenmem_s = $xenmem_arg_%llu", (unsigned long long) $xenmem_tid
    set $xenmem_rc = (${wide}) ${entry.rc}
    xenmem_lists after
    printf "xenmem_out: tid=%llu rc=%lld mem=", (unsigned long long) $xenmem_tid, (long long) $xenmem_rc
    xenmem_hex $xenmem_s ${layout.size}
    printf "\\n"
    continue
  end
  continue
end
`;
}
