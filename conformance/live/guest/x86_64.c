/* A PV guest: memory is mapped where it lies, and which frames are behind it the guest keeps. */
#include "guest.h"

extern uint8_t mailbox[], arena[];
extern void boot(void), guest_trap(void);

/* Frames by guest frame: Xen hands this list over, and it is the guest's from then on. */
static unsigned long *p2m;

void guest_main(const struct start_info *start)
{
    struct trap_info traps[] = {
        { .vector = 13, .cs = FLAT_KERNEL_CS, .address = (unsigned long)guest_trap },
        { .vector = 14, .cs = FLAT_KERNEL_CS, .address = (unsigned long)guest_trap },
        { .address = 0 },
    };
    struct machine m = {
        .mailbox = mailbox,
        .first_gfn = (unsigned long)arena / PAGE,
        .pages = ARENA_BYTES / PAGE,
        .p2m = start->mfn_list,
        .frames = start->nr_pages,
    };

    p2m = (unsigned long *)start->mfn_list;
    /* As elsewhere, nothing is at the address of a null pointer. */
    for (unsigned long page = 0; page < (unsigned long)boot; page += PAGE)
        hypercall(__HYPERVISOR_update_va_mapping, page, 0, UVMF_INVLPG);
    hypercall(__HYPERVISOR_set_trap_table, (unsigned long)traps, 0, 0);
    serve(&m);
}

void guest_fault(void)
{
    say(MAILBOX_BROKEN "\n");
    for (;;)
        ;
}

/* Leads a page of the guest to a frame, or to none where `length` is 0. */
int special(const struct request *r, const uint8_t *payload, uint64_t *reply)
{
    /* present, writable, user, accessed, dirty */
    unsigned long entry = r->length ? r->b * PAGE | 0x67 : 0;

    if (r->what != DO_MAP)
        return 0;
    *reply = hypercall(__HYPERVISOR_update_va_mapping, r->a * PAGE, entry, UVMF_INVLPG);
    if (*reply == 0)
        p2m[r->a] = r->length ? r->b : ~0ul;
    return 1;
}
