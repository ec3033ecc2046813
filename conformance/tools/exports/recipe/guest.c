/*
 * A guest with a hypervisor of its own: it makes calls of memory_op as a kernel would (30 extents of op 6, another op, an exchange that
 * is done and one that is refused), and one as privcmd would, so that the recipes can be run for real. Built with -DBARE it needs no operating system (QEMU's virt machine, arm64).
 */
#include "xenmem.h"

#define noinline __attribute__((noinline, noclone))

typedef uint64_t u64;

static u64 in_list[4] = { 0x40600, 0x40601, 0x40602, 0x40603 };
static u64 out_list[1] = { 0x40600 };
static u64 frames[30];

static struct xen_memory_exchange exchange;
static struct xen_memory_reservation reservation;

/* What Xen does, as far as the buffers show it. */
noinline long HYPERVISOR_memory_op(unsigned int cmd, void *arg)
{
    struct xen_memory_exchange *call = arg;

    __asm__ volatile("" ::: "memory");
    if ((cmd & 63) == 11) {
        if (call->in.domid != call->out.domid)
            return -22;
        call->nr_exchanged = call->in.nr_extents;
        out_list[0] = 0x81000;
        return 0;
    }
    return (cmd & 63) == 6 ? 30 : -38;
}

#ifdef __x86_64__
/* The page of calls that Xen fills on x86. */
__asm__(".pushsection .text\n.balign 4096\nhypercall_page:\n.skip 12 * 32\njmp HYPERVISOR_memory_op\n.popsection");
extern char hypercall_page[];
static noinline long memory_op(unsigned int cmd, void *arg)
{
    return ((long (*)(unsigned int, void *)) (hypercall_page + 12 * 32))(cmd, arg);
}
#else
#define memory_op HYPERVISOR_memory_op
#endif

/* As the driver of Linux: the third argument is a struct privcmd_hypercall. */
noinline long privcmd_ioctl(void *file, unsigned int ioctl, u64 *hypercall)
{
    (void) file;
    __asm__ volatile("" ::: "memory");
    return ioctl == 0x305000 && hypercall[0] == 12 ? -12 : -25;
}

/* As the balloon of Linux, drivers/xen/mem-reservation.c. */
noinline int xenmem_reservation_increase(int count, u64 *list)
{
    reservation.extent_start = (__UINTPTR_TYPE__) list;
    reservation.nr_extents = count;
    reservation.domid = 0x7ff0;
    return memory_op(6, &reservation);
}

static void run(void)
{
    u64 hypercall[6] = { 12, 6 };
    unsigned int i;

    for (i = 0; i < 30; i++)
        frames[i] = 0x50000 + i;
    xenmem_reservation_increase(30, frames);
    memory_op(12, &reservation);

    exchange.in.extent_start = (__UINTPTR_TYPE__) in_list;
    exchange.in.nr_extents = 4;
    exchange.in.domid = 0x7ff0;
    exchange.out.extent_start = (__UINTPTR_TYPE__) out_list;
    exchange.out.nr_extents = 1;
    exchange.out.extent_order = 2;
    exchange.out.address_bits = 32;
    exchange.out.domid = 0x7ff0;
    memory_op(11, &exchange);
    exchange.nr_exchanged = 0;
    exchange.out.domid = 1;
    memory_op(11, &exchange);

    hypercall[2] = (__UINTPTR_TYPE__) &reservation;
    privcmd_ioctl(0, 0x305000, hypercall);
}

#ifdef BARE
__asm__(".pushsection .text.start, \"ax\"\n.globl _start\n_start:\nldr x0, =stack_top\nmov sp, x0\nbl bare\n.popsection\n"
        ".pushsection .bss\n.balign 16\n.skip 4096\nstack_top:\n.popsection");
void bare(void)
{
    run();
    /* PSCI SYSTEM_OFF */
    __asm__ volatile("mov w0, #0x8\nmovk w0, #0x8400, lsl #16\nhvc #0" ::: "x0");
    for (;;)
        ;
}
#else
int main(void)
{
    run();
    return 0;
}
#endif
