/* What the two Arm architectures have in common: memory is flat, and lies behind the image. */
#include "guest.h"

void guest_main(uint8_t *image)
{
    struct machine m = {
        .mailbox = image + MAILBOX_OFFSET,
        .first_gfn = (unsigned long)(image + ARENA_OFFSET) / PAGE,
        .pages = ARENA_BYTES / PAGE,
    };

    serve(&m);
}

void guest_fault(void)
{
    say(MAILBOX_BROKEN "\n");
    for (;;)
        ;
}

int special(const struct request *r, const uint8_t *payload, uint64_t *reply)
{
    return 0;
}
