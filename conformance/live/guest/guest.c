#include "guest.h"

void say(const char *text)
{
    unsigned long length = 0;

    while (text[length])
        length++;
    hypercall(__HYPERVISOR_console_io, CONSOLEIO_write, length, (unsigned long)text);
}

/* The compiler may ask for these two by itself. */
void *memcpy(void *to, const void *from, unsigned long bytes)
{
    uint8_t *t = to;
    const uint8_t *f = from;

    while (bytes--)
        *t++ = *f++;
    return to;
}

void *memset(void *to, int value, unsigned long bytes)
{
    uint8_t *t = to;

    while (bytes--)
        *t++ = value;
    return to;
}

/* Is there a byte of memory at an address? */
static int is_mapped(uint64_t address)
{
    uint8_t byte;

    return guarded_copy(&byte, (const void *)(unsigned long)address, 1) == 0;
}

/* Does each page of a range exist? A range that wraps, or that a pointer cannot reach, does not. */
static int is_memory(uint64_t address, uint32_t length)
{
    uint64_t last = address + length - 1;

    if (length == 0)
        return 1;
    if (last < address || last != (unsigned long)last)
        return 0;
    for (uint64_t page = address & ~(PAGE - 1); page <= last; page += PAGE) {
        if (!is_mapped(page < address ? address : page))
            return 0;
        if (page + PAGE < page)
            break;
    }
    return 1;
}

/* Does one thing; the bytes of its reply. */
static unsigned long one(const struct request *r, const uint8_t *payload, uint64_t *reply)
{
    void *at = (void *)(unsigned long)r->a;
    uint8_t *bytes = (uint8_t *)(reply + 1);

    switch (r->what) {
    case DO_CALL:
        *reply = (uint64_t)(int64_t)hypercall(__HYPERVISOR_memory_op, r->a, r->b, 0);
        return 8;
    case DO_READ:
        *reply = !is_memory(r->a, r->length) || guarded_copy(bytes, at, r->length);
        return 8 + r->length;
    case DO_WRITE:
        *reply = !is_memory(r->a, r->length) || guarded_copy(at, payload, r->length);
        return 8;
    case DO_ZERO:
        *reply = !is_memory(r->a, r->length) || guarded_copy(at, 0, r->length);
        return 8;
    case DO_PROBE:
        *reply = 0;
        for (uint32_t i = 0; i < r->length; i++)
            bytes[i] = is_mapped((r->a + i) * PAGE);
        return 8 + r->length;
    default:
        return special(r, payload, reply) ? 8 : 0;
    }
}

static void hello(const struct machine *m)
{
    for (unsigned long i = 0; i < MAILBOX_PAGES; i++) {
        uint64_t *page = (uint64_t *)(m->mailbox + i * PAGE);

        page[1] = i;
        page[2] = (unsigned long)m->mailbox;
        page[3] = hypercall(__HYPERVISOR_xen_version, XENVER_version, 0, 0);
        page[4] = m->first_gfn;
        page[5] = m->pages;
        page[6] = m->p2m;
        page[7] = m->frames;
        hypercall(__HYPERVISOR_xen_version, XENVER_extraversion, (unsigned long)(page + 8), 0);
        page[0] = MAILBOX_MAGIC;
    }
}

void serve(const struct machine *m)
{
    volatile uint8_t *bell = m->mailbox + MAILBOX_BELL;
    volatile uint8_t *done = m->mailbox + MAILBOX_DONE;
    uint8_t seen = 0;

    *bell = *done = 0;
    hello(m);
    say(MAILBOX_READY "\n");
    for (;;) {
        const uint8_t *in = m->mailbox + MAILBOX_REQUEST;
        uint8_t *out = m->mailbox + MAILBOX_REPLY;

        while (*bell == seen)
            ;
        seen = *bell;
        __sync_synchronize();
        for (;;) {
            const struct request *r = (const struct request *)in;
            const uint8_t *payload = in + sizeof(*r);

            if (r->what == DO_END)
                break;
            if (r->what == DO_WRITE)
                in += (r->length + 7u) & ~7u;
            in += sizeof(*r);
            out += (one(r, payload, (uint64_t *)out) + 7u) & ~7ul;
        }
        __sync_synchronize();
        *done = seen;
    }
}
