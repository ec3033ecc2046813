/**
 * The tools whose lines are known, each as a message names it, what its lines lack of a record, and
 * the recipe that has it.
 */
export const tools = {
  bpftrace: { name: "bpftrace's output", lacks: 'these lines hold no memory', recipe: 'bpftrace' },
  ftrace: { name: "ftrace's output", lacks: 'these lines hold no memory', recipe: 'bpftrace' },
  strace: { name: "strace's output", lacks: 'strace shows no memory behind the arguments of a hypercall', recipe: 'bpftrace' },
  qemu: { name: "QEMU's trace", lacks: "QEMU's trace has the arguments and the result, no memory", recipe: 'qemu --arch x86_64' },
  krata: { name: "krata's log", lacks: "krata's log has the arguments, no memory and no result", recipe: 'bpftrace' },
  xen: { name: "Xen's log", lacks: "Xen's log says what failed, not by which call", recipe: 'bpftrace' },
  valgrind: { name: "Valgrind's trace", lacks: 'Valgrind shows the arguments, no memory', recipe: 'bpftrace' },
  multicall: {
    name: "ftrace's output of xen_mc_entry",
    lacks: 'xen_mc_entry shows the arguments of batched calls, no memory',
    recipe: 'bpftrace',
  },
  recipe: { name: 'a capture by xenmem recipe', lacks: 'these lines hold no memory', recipe: 'bpftrace' },
} as const;

/** The name of a tool in the table. */
export type Tool = keyof typeof tools;
