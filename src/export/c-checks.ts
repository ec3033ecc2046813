import { MEMOP_CMD_MASK, MEMOP_EXTENT_SHIFT } from '../abi/constants.ts';
import type { Layout } from '../abi/layout.ts';
import { isMemoryStruct } from '../abi/memory-h.ts';
import { opsTaking, XENMEM } from '../abi/ops.ts';
import { claimIn, type Dialect } from '../rules/duties/dialect.ts';
import { dutiesOf, type StructDuty, structDuties } from '../rules/duties/duties.ts';
import { originOf } from './slots.ts';

/**
 * A freestanding C99 header that says which duties of its caller a struct breaks: no libc, no
 * allocation, nothing but `<stdint.h>`, so that Xen, Linux, a unikernel or a test can use it as a
 * debug assertion. It reads bytes, so any declaration of the structs will do, and any alignment.
 * Each function returns a mask with a bit for each duty of its table.
 */
export function emitCChecks(layouts: readonly Layout[]): string {
  // All of them, whichever structs are asked for: a bit means the same in every header
  const duties = Object.values(structDuties);
  return `/* ${originOf('c', layouts, ' --checks')} */
#ifndef XENMEM_CHECKS_COMMON
#define XENMEM_CHECKS_COMMON

/* With XENMEM_NO_STDINT defined, uint32_t and uint64_t come from elsewhere. */
#ifndef XENMEM_NO_STDINT
#include <stdint.h>
#endif

/* The duties of whoever passes one of these structs to Xen: the bits of a mask. */
enum xenmem_duty {
${duties.map((duty, i) => `    ${`${constantOf(duty)} = ${i},`.padEnd(40)} /* ${duty.severity} */`).join('\n')}
    XENMEM_DUTIES = ${duties.length}
};

/* Those whose breach makes a call undefined, for assertions: ASSERT(!(xenmem_broken_get_dma_buf_arm64(s, address, cmd) & XENMEM_ERRORS)) */
#define XENMEM_ERRORS ${errorMask(duties)}

/* For the address or the cmd of a call that is not known: what needs it is not checked. */
#define XENMEM_UNKNOWN (~(uint64_t)0)

/* The name of a duty, which \`xenmem explain\` knows. */
static inline const char *xenmem_duty_id(unsigned int duty)
{
    static const char *const ids[] = {
${duties.map(({ id }) => `        "${id}",`).join('\n')}
    };

    return duty < XENMEM_DUTIES ? ids[duty] : "";
}

/* What it asks, as a sentence. */
static inline const char *xenmem_duty_text(unsigned int duty)
{
    static const char *const texts[] = {
${duties.map(({ reading }) => `        ${JSON.stringify(reading)},`).join('\n')}
    };

    return duty < XENMEM_DUTIES ? texts[duty] : "";
}

${helpers}
#endif

${layouts.map((layout) => functionOf(layout, duties)).join('\n')}`;
}

const helpers = `static inline uint64_t xenmem_le(const void *bytes, unsigned int offset, unsigned int size)
{
    const unsigned char *from = (const unsigned char *)bytes + offset;
    uint64_t value = 0;

    while (size > 0)
        value = value << 8 | from[--size];
    return value;
}

static inline int xenmem_filled(const void *bytes, unsigned int offset, unsigned int size)
{
    const unsigned char *from = (const unsigned char *)bytes + offset;
    unsigned int i;

    for (i = 0; i < size; i++)
        if (from[i] != 0)
            return 1;
    return 0;
}

/* a << ao == b << bo, exactly: orders come from the guest and may be anything */
static inline int xenmem_same_total(uint64_t a, uint64_t ao, uint64_t b, uint64_t bo)
{
    uint64_t up = ao < bo ? bo - ao : ao - bo;

    if (a == 0 || b == 0)
        return a == b;
    if (up >= 64)
        return 0;
    if (ao < bo)
        return (b << up) >> up == b && b << up == a;
    return (a << up) >> up == a && a << up == b;
}

/* a < start + size, exactly */
static inline int xenmem_within(uint64_t a, uint64_t start, uint64_t size)
{
    return a < start || a - start < size;
}

/* a < start + 2^shift * count, exactly */
static inline int xenmem_before(uint64_t a, uint64_t start, unsigned int shift, uint64_t count)
{
    return a < start || (a - start) >> shift < count;
}

/* start + 2^shift * count <= last + 1, exactly; start is at most last */
static inline int xenmem_fits(uint64_t start, unsigned int shift, uint64_t count, uint64_t last)
{
    uint64_t room = last - start;
    uint64_t rest = ((uint64_t)1 << shift) - 1;

    return count == 0 || (room >= rest && count - 1 <= (room - rest) >> shift);
}
`;

const c: Dialect = {
  field: ({ path }) => variableOf(path),
  number: constant,
  parameter: (name) =>
    name === 'address'
      ? { value: 'address', isKnown: 'address != XENMEM_UNKNOWN' }
      : { value: `((cmd & 0xffffffffULL) >> ${MEMOP_EXTENT_SHIFT})`, isKnown: 'cmd != XENMEM_UNKNOWN' },
  low: (of, bits) => `(${of} & ${constant((1n << BigInt(bits)) - 1n)})`,
  high: (of, bits) => `(${of} >> ${bits})`,
  equal: (a, b) => `(${a} == ${b})`,
  unequal: (a, b) => `(${a} != ${b})`,
  less: (a, b) => `(${a} < ${b})`,
  sameTotal: (...parts) => `xenmem_same_total(${parts.join(', ')})`,
  within: (...parts) => `xenmem_within(${parts.join(', ')})`,
  before: (...parts) => `xenmem_before(${parts.join(', ')})`,
  fits: (start, shift, count, bits) => `xenmem_fits(${start}, ${shift}, ${count}, ${constant((1n << BigInt(bits)) - 1n)})`,
  filled: ({ offset, size }) => `xenmem_filled(argument, ${offset}, ${size})`,
  all: (claims) => `(${claims.join(' && ')})`,
  not: (claim) => `!${claim}`,
};

function constant(value: bigint): string {
  if (value < 0x10000n) return String(value);
  return value < 1n << 31n ? `0x${value.toString(16)}` : `0x${value.toString(16)}ULL`;
}

function variableOf(path: string): string {
  return path.replaceAll('.', '_');
}

function functionOf(layout: Layout, duties: readonly StructDuty[]): string {
  const { struct } = layout;
  const own = isMemoryStruct(struct) ? dutiesOf(layout) : duties.filter((duty) => opsOn(duty, layout).length > 0);
  const checks = own.flatMap((duty) =>
    duty.breaches(layout).flatMap((breach) => {
      const broken = claimIn(c, layout, breach.broken);
      return broken === undefined
        ? []
        : `    if (${bare([...guardOf(duty, layout), broken].join(' && '))})\n        broken |= (uint32_t)1 << ${constantOf(duty)};\n`;
    }),
  );
  const name = layout.struct.replace(/^xen_/, '');
  const fields = layout.fields.filter(({ path }) => new RegExp(`\\b${variableOf(path)}\\b`).test(checks.join('')));
  const reads = fields.map(
    ({ path, offset, size }) => `    const uint64_t ${variableOf(path)} = xenmem_le(argument, ${offset}, ${size});\n`,
  );
  const guard = `XENMEM_CHECKS_${name.toUpperCase()}_${layout.arch.toUpperCase()}`;
  return `#ifndef ${guard}
#define ${guard}

/* The duties that a struct ${layout.struct} of ${layout.arch} breaks: ${layout.size} bytes, at \`address\` in the guest's memory, passed with \`cmd\`. */
static inline uint32_t xenmem_broken_${name}_${layout.arch}(const void *argument, uint64_t address, uint64_t cmd)
{
${reads.join('')}    uint32_t broken = 0;

    (void)argument;
    (void)address;
    (void)cmd;
${checks.join('')}    return broken;
}

#endif
`;
}

/** Without brackets around the whole: clang takes two pairs for a slip. */
function bare(text: string): string {
  let open = 0;
  for (const [i, letter] of [...text].entries()) {
    open += letter === '(' ? 1 : letter === ')' ? -1 : 0;
    if (open === 0 && i < text.length - 1) return text;
  }
  return text.startsWith('(') ? text.slice(1, -1) : text;
}

/** A duty that not each op on this struct has needs to know which op it is. */
function guardOf(duty: StructDuty, layout: Layout): string[] {
  const ops = opsOn(duty, layout);
  if (ops.length === opsTaking(layout.struct).length) return [];
  const isOne = ops.map((op) => `(cmd & ${MEMOP_CMD_MASK}) == ${XENMEM['dma-buf'][op]}`);
  return ['cmd != XENMEM_UNKNOWN', `(${isOne.join(' || ')})`];
}

function opsOn(duty: StructDuty, { struct }: Layout) {
  return opsTaking(struct).filter((op) => duty.ops.includes(op));
}

function errorMask(duties: readonly StructDuty[]): string {
  const mask = duties.reduce((bits, { severity }, i) => bits | (severity === 'error' ? 1 << i : 0), 0);
  return `((uint32_t)0x${mask.toString(16)})`;
}

function constantOf({ id }: StructDuty): string {
  return `XENMEM_${id.replace('caller-', '').replaceAll('-', '_').toUpperCase()}`;
}
