import { HYPERVISOR_memory_op, MEMOP_CMD_MASK, PRIVCMD_HYPERCALL } from '../../abi/constants.ts';
import { headerOf, kernelFunctions, type ListPlace, remarks, type Target } from './target.ts';

/**
 * Most bytes that buf() of bpftrace 0.17 gives, by BPFTRACE_STRLEN; later ones call it
 * BPFTRACE_MAX_STRLEN and allow it too.
 */
const most = 200;
/**
 * Extents of the largest piece of a list, how many of those are tried, and how many extents all
 * pieces together hold.
 */
const large = 16;
const largePieces = 7;
const mostExtents = large * largePieces + 8 + 4 + 2 + 1;

/** A shell script that runs bpftrace; its own arguments go on to bpftrace. */
export function bpftraceRecipe(target: Target): string {
  const { arch } = target;
  const head = remarks(target, 'bpftrace', [
    'Run as root: sh capture.sh | xenmem validate -',
    `Each list is followed for ${mostExtents} extents; what lies behind them stays unknown.`,
    ...(arch === 'arm32' ? ['bpftrace runs on arm32 from 0.20 on; where it does not, use: xenmem recipe ftrace'] : []),
    ...misses(target),
  ]);
  const probes = [...kernelProbes(target), privcmdProbe(target)];
  const maps = ['arg', 'user', 'out', 'count'].filter((map) => probes.some((probe) => probe.includes(`@${map}[`)));
  return `#!/bin/sh
${head}
exec env BPFTRACE_STRLEN=${most} BPFTRACE_MAX_STRLEN=${most} bpftrace "$@" -e '
BEGIN { printf("${headerOf(target, 'bpftrace').replaceAll('"', '\\"')}\\n"); }
${probes.join('\n')}
END { ${maps.map((map) => `clear(@${map});`).join(' ')} }
'
`;
}

function misses({ arch, op }: Target): string[] {
  const toolstack = 'privcmd_ioctl sees what xl and others ask for (modprobe xen_privcmd first).';
  if (arch !== 'x86_64') {
    return [`HYPERVISOR_memory_op sees the calls of the kernel, ${toolstack}`, 'Missed: calls inside HYPERVISOR_multicall.'];
  }
  const own = kernelFunctions[op];
  return [
    toolstack,
    'On x86 HYPERVISOR_memory_op is inlined, so calls of the kernel can only be seen in the functions around it:',
    own === undefined
      ? `none is sure to be there for ${op}. Missed: all calls of the kernel (xenmem recipe gdb sees them).`
      : `${own} (Linux 4.19) shows the list and the result. Missed: the struct of these calls, other callers, multicalls.`,
    `The calls of a toolstack are also seen in its library: uprobe:libxencall.so.1:xencall2 /arg1 == ${HYPERVISOR_memory_op}/ has cmd in arg2 and the`,
    'struct at arg3; it is left out, because it would show each call a second time.',
  ];
}

function kernelProbes(target: Target): string[] {
  const { arch, nr, op, layout, lists, entry } = target;
  if (arch === 'x86_64') {
    const name = kernelFunctions[op];
    if (name === undefined) return [];
    const list = (stage: string, count: string, at: string): string[] => listLines(stage, `(uint64)${count}`, at, entry, plainly);
    return [
      `kprobe:${name} {`,
      '  @out[tid] = arg1; @count[tid] = arg0;',
      `  printf("xenmem_in: tid=%d cmd=${nr}\\n", tid);`,
      ...list('list', '(arg0 & 0x7fffffff)', 'arg1'),
      '}',
      `kretprobe:${name} /@out[tid]/ {`,
      ...list('after', '(@count[tid] & 0x7fffffff)', '@out[tid]'),
      '  printf("xenmem_out: tid=%d rc=%d\\n", tid, (int32)retval);',
      '  delete(@out[tid]); delete(@count[tid]);',
      '}',
    ];
  }
  return [
    [
      `kprobe:HYPERVISOR_memory_op /(arg0 & ${MEMOP_CMD_MASK}) == ${nr}/ {`,
      '  $s = arg1; @arg[tid] = $s;',
      `  printf("xenmem_in: tid=%d cmd=%u arg=0x%llx mem=%rx\\n", tid, (uint32)arg0, $s, buf($s, ${layout.size}));`,
      ...lists.flatMap((place) => behind('list', place, target, plainly)),
      '}',
      'kretprobe:HYPERVISOR_memory_op /@arg[tid]/ {',
      '  $s = @arg[tid];',
      ...lists.flatMap((place) => behind('after', place, target, plainly)),
      `  printf("xenmem_out: tid=%d rc=%lld mem=%rx\\n", tid, ${returned(target)}, buf($s, ${layout.size}));`,
      '  delete(@arg[tid]);',
      '}',
    ].join('\n'),
  ];
}

/** A toolstack passes `struct privcmd_hypercall` and pointers of its own memory. */
function privcmdProbe(target: Target): string {
  const { nr, layout, lists } = target;
  const { ioctl, cmd, arg } = PRIVCMD_HYPERCALL;
  return [
    `kprobe:privcmd_ioctl /arg1 == ${ioctl}/ {`,
    `  $h = arg2;`,
    `  if (${word('$h')} == ${HYPERVISOR_memory_op} && (${word(`$h + ${cmd}`)} & ${MEMOP_CMD_MASK}) == ${nr}) {`,
    `    $s = ${word(`$h + ${arg}`)}; @user[tid] = $s;`,
    `    printf("xenmem_in: tid=%d cmd=%u arg=0x%llx mem=%rx\\n", tid, (uint32)${word(`$h + ${cmd}`)}, $s, buf(uptr($s), ${layout.size}));`,
    ...lists.flatMap((place) => behind('list', place, target, byUser)).map((line) => `  ${line}`),
    '  }',
    '}',
    'kretprobe:privcmd_ioctl /@user[tid]/ {',
    '  $s = @user[tid];',
    ...lists.flatMap((place) => behind('after', place, target, byUser)),
    `  printf("xenmem_out: tid=%d rc=%lld mem=%rx\\n", tid, ${returned(target)}, buf(uptr($s), ${layout.size}));`,
    '  delete(@user[tid]);',
    '}',
  ].join('\n');
}

/** How an address is read: as the kernel's own, or as a pointer of the process. */
type Reach = (address: string) => string;
const plainly: Reach = (address) => address;
const byUser: Reach = (address) => `uptr(${address})`;

function word(address: string): string {
  return `*(uint64 *)uptr(${address})`;
}

function returned({ pointer }: Target): string {
  return pointer === 4 ? '(int64)(int32)retval' : '(int64)retval';
}

/** The list behind a handle. */
function behind(stage: string, { offset, countOffset, countSize }: ListPlace, { entry, pointer }: Target, reach: Reach): string[] {
  const handle = `(uint64)*(uint${8 * pointer} *)${reach(`($s + ${offset})`)}`;
  return listLines(stage, `(uint64)*(uint${8 * countSize} *)${reach(`($s + ${countOffset})`)}`, handle, entry, reach);
}

/**
 * A list in pieces whose sizes are constants: the verifier of the kernel lets no other length
 * through.
 */
function listLines(stage: string, count: string, at: string, entry: number, reach: Reach): string[] {
  const piece = (extents: number): string =>
    `if ($n >= ${extents}) { printf("xenmem_${stage}: tid=%d at=0x%llx mem=%rx\\n", tid, $p, buf(${reach('$p')}, ${extents * entry})); ` +
    `$p = $p + ${extents * entry}; $n = $n - ${extents}; }`;
  return [
    `  $p = ${at}; $n = ${count}; if ($n > ${mostExtents}) { $n = (uint64)${mostExtents}; }`,
    '  if ($p != 0) {',
    `    unroll(${largePieces}) { ${piece(large)} }`,
    ...[8, 4, 2, 1].map((extents) => `    ${piece(extents)}`),
    '  }',
  ];
}
