/*
 * A guest that does what it is told through a mailbox in its own memory: hypercalls, and reading,
 * writing and probing its memory. The numbers MAILBOX_*, DO_* and ARENA_* come from the driver
 * (../mailbox.ts), which passes them to the compiler.
 */
#include <stdint.h>
#include <xen/xen.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/version.h>

#define PAGE 4096ul

/* One thing to do, in the mailbox; a payload of `length` bytes may follow, padded to 8. */
struct request {
    uint32_t what;
    uint32_t length;
    uint64_t a, b;
};

/* The architecture: entry.S */

/* A hypercall with up to three arguments; the register that it answers in. */
long hypercall(unsigned long op, unsigned long a, unsigned long b, unsigned long c);
/* Copies bytes, or fills with zeros where `from` is null: 0, or 1 where there is no memory. */
long guarded_copy(void *to, const void *from, unsigned long bytes);

/* The common part: guest.c */

struct machine {
    uint8_t *mailbox;   /* MAILBOX_PAGES pages */
    uint64_t first_gfn; /* of memory that is nobody else's, */
    uint64_t pages;     /* so many pages of it */
    uint64_t p2m;       /* a list of frames by guest frame, where the guest keeps one, */
    uint64_t frames;    /* and how many are in it */
};

/* Serves the mailbox for ever. */
void serve(const struct machine *m);
/* Says a line on the console. */
void say(const char *text);
/* What only one architecture can do; 0 where it cannot either. */
int special(const struct request *r, const uint8_t *payload, uint64_t *reply);
