import type { Arch } from '../../abi/arch.ts';
import { HYPERVISOR_memory_op, PRIVCMD_HYPERCALL } from '../../abi/constants.ts';
import { headerOf, kernelFunctions, remarks, type Target } from './target.ts';

/**
 * Extents of each list that are recorded: the length of an array is fixed, and must stay below 64.
 */
const extents = 16;

/** The first three arguments of a function of the kernel. */
const argumentRegisters: { readonly [A in Arch]: readonly [string, string, string] } = {
  arm64: ['%x0', '%x1', '%x2'],
  arm32: ['%r0', '%r1', '%r2'],
  x86_64: ['%di', '%si', '%dx'],
  x86_32: ['%ax', '%dx', '%cx'],
};

interface Probe {
  readonly function: string;
  readonly fetch: string;
  readonly filter: string;
}

/** A shell script that needs nothing on the target but a kernel with CONFIG_KPROBE_EVENTS. */
export function ftraceRecipe(target: Target): string {
  const probes = probesOf(target);
  const signed = `s${8 * target.pointer}`;
  return `#!/bin/sh
${remarks(target, 'ftrace', [
  'Run as root: sh capture.sh | xenmem validate -',
  `The first ${extents} entries behind each handle are recorded, whatever the list's length is. After the call only the result is.`,
  ...misses(target),
])}
cd /sys/kernel/tracing 2>/dev/null && [ -e kprobe_events ] || cd /sys/kernel/debug/tracing || exit 1
off() {
  echo 0 > events/xenmem/enable
  for event in ${probes.map((_, i) => `xenmem_in${i} xenmem_out${i}`).join(' ')}; do
    echo "-:xenmem/$event" >> kprobe_events
  done
} 2>/dev/null
trap off EXIT
trap 'exit 130' INT TERM
probe() {
  if echo "$2" >> kprobe_events && echo "$3" >> kprobe_events; then
    [ -z "$4" ] || echo "$4" > "events/xenmem/$1/filter"
  else
    echo "capture: no probe in $5" >&2
  fi
}
${probes
  .map(
    (probe, i) => `probe xenmem_in${i} \\
  'p:xenmem/xenmem_in${i} ${probe.function} ${probe.fetch}' \\
  'r:xenmem/xenmem_out${i} ${probe.function} rc=$retval:${signed}' \\
  '${probe.filter}' ${probe.function}`,
  )
  .join('\n')}
echo 1 > events/xenmem/enable && echo 1 > tracing_on || exit 1
echo '${headerOf(target, 'ftrace')}'
cat trace_pipe
`;
}

function misses({ arch, op }: Target): string[] {
  const shared = ['Missed: calls inside a multicall, and memory that is paged out.'];
  if (!arch.startsWith('x86')) return shared;
  const own = kernelFunctions[op];
  return [
    ...shared,
    own === undefined
      ? `On x86 HYPERVISOR_memory_op is inlined and no function around ${op} is sure to be there: only calls by privcmd are seen.`
      : `On x86 HYPERVISOR_memory_op is inlined: of the kernel's calls only the list and the result of ${own} are seen.`,
  ];
}

function probesOf(target: Target): Probe[] {
  const { arch, nr, op, entry } = target;
  const [first, second, third] = argumentRegisters[arch];
  const { ioctl, cmd, arg } = PRIVCMD_HYPERCALL;
  const byPrivcmd: Probe = {
    function: 'privcmd_ioctl',
    fetch: [
      `ioc=${second}:x32 hypercall=+u0(${third}):x64 cmd=+u${cmd}(${third}):x32 arg=+u${arg}(${third}):x64`,
      ...memory(target, `+u${arg}(${third})`, 'u'),
    ].join(' '),
    filter: `ioc == 0x${ioctl.toString(16)} && hypercall == ${HYPERVISOR_memory_op} && cmd == ${nr}`,
  };
  if (!arch.startsWith('x86')) {
    const fetch = [`cmd=${first}:x32 arg=${second}:x${8 * target.pointer}`, ...memory(target, second, '')].join(' ');
    return [{ function: 'HYPERVISOR_memory_op', fetch, filter: `cmd == ${nr}` }, byPrivcmd];
  }
  const own = kernelFunctions[op];
  if (own === undefined) return [byPrivcmd];
  const fetch = `cmd=\\${nr}:x32 count=${first}:s32 at1=${second}:x${8 * entry} mem${8 * entry}_1=+0(${second}):x${8 * entry}[${extents}]`;
  return [byPrivcmd, { function: own, fetch, filter: '' }];
}

/**
 * The struct at an address and what is behind its handles; the width of the words stands in the
 * name of an array.
 */
function memory({ layout, lists, entry, pointer }: Target, address: string, reach: '' | 'u'): string[] {
  const bits = 8 * entry;
  return [
    `mem${bits}=+${reach}0(${address}):x${bits}[${layout.size / entry}]`,
    ...lists.map(({ offset }, i) => {
      const handle = `+${reach}${offset}(${address})`;
      return `at${i + 1}=${handle}:x${8 * pointer} mem${bits}_${i + 1}=+${reach}0(${handle}):x${bits}[${extents}]`;
    }),
  ];
}
