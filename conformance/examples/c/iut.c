/*
 * A small hypervisor that speaks xenmem's implementation protocol, to be copied: keep what reads requests and writes answers,
 * at the end, and put your own hypervisor in place of the rest.
 *
 *   cc -std=c11 -O2 -Wall -Wextra -o iut iut.c
 *   xenmem conform --iut ./iut
 *   xenmem conform --iut './iut --fault count-short'          (or FAULT=count-short in the environment)
 *
 *   fault              what goes wrong                                 requirement it breaks
 *   count-short        nr_exchanged is one too small on success        get-complete-count
 *   mfns-not-returned  the output list keeps its GPFNs                 get-mfns-returned
 *   not-contiguous     the pages of an extent are mapped in reverse    get-contiguous
 *   above-limit        out.address_bits is not looked at               get-address-limit
 *   inputs-kept        input pages stay with the guest                 get-inputs-released
 *   no-pin             get does not pin                                get-pinned
 *   put-keeps-pin      put answers 0 and unpins nothing                put-unpins
 *   always-einval      get refuses every call                          get-works
 *   crash-on-order     an order of 64 or more aborts the program       survives
 */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *fault = "";

static bool faulty(const char *name) { return strcmp(fault, name) == 0; }

/* ---- The ABI: Xen's public/memory.h and errno.h, and the patch ---- */

enum { increase_reservation = 0, decrease_reservation = 1, populate_physmap = 6, exchange_pages = 11, get_dma_buf = 26, put_dma_buf = 27 };
enum { XEN_EPERM = 1, XEN_ESRCH = 3, XEN_ENOMEM = 12, XEN_EFAULT = 14, XEN_EINVAL = 22, XEN_ENOSYS = 38 };
enum { DOMID_SELF = 0x7ff0, MEMOP_EXTENT_SHIFT = 6, MEMOP_CMD_MASK = 0x3f, PAGE_SHIFT = 12, PAGE_SIZE = 1 << PAGE_SHIFT };

struct xen_memory_reservation {
    uint64_t extent_start; /* a guest handle: 8 bytes on arm32 too */
    uint64_t nr_extents;
    uint32_t extent_order;
    uint32_t address_bits;
    uint16_t domid;
    uint8_t padding[6];
};
struct xen_get_dma_buf {
    struct xen_memory_reservation in, out;
    uint64_t nr_exchanged;
};
/* struct xen_put_dma_buf is one reservation. */
_Static_assert(sizeof(struct xen_memory_reservation) == 32 && sizeof(struct xen_get_dma_buf) == 72, "the layout is part of the ABI");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "guests are little-endian, and structs are copied as they are");

/* ---- The machine: frames, domains, and each domain's p2m ---- */

enum { MAX_ORDER = 9, MAX_EXTENTS = 0x3ffffff, MAX_PAGES = 4096, MAX_DOMAINS = 4, MAX_RUNS = 32 };
enum { LOWEST = 0x80000, FOUR_GIB = 0x100000 }; /* as frame numbers */

struct page {
    uint64_t mfn; /* 0: nothing is mapped here */
    bool pinned;
    bool taken, claimed;            /* as input and as output of the chunk under way */
    uint16_t dirty_from, dirty_end; /* what the hypervisor has changed since it was last asked */
};
struct run {
    uint64_t gfn, pages;
    bool ram;
    struct page *page;
};
struct domain {
    uint64_t domid;
    bool privileged;
    struct run runs[MAX_RUNS]; /* all that can ever be mapped */
    unsigned nr_runs;
    uint64_t owned, allowance; /* pages it has, pages it may have */
};
/* Machine memory below and above 4 GiB, as much of it as the world has. */
struct zone {
    uint64_t first, frames;
    bool used[2 * MAX_PAGES];
    unsigned char bytes[2 * MAX_PAGES][PAGE_SIZE];
};

static bool is_arm32;
static struct domain domains[MAX_DOMAINS];
static unsigned nr_domains;
static struct zone zones[2];
static struct page pages[2 * MAX_PAGES];
static size_t nr_pages;

static struct zone *zone_of(uint64_t mfn) { return &zones[mfn >= FOUR_GIB]; }
static unsigned char *bytes_of(uint64_t mfn) { return zone_of(mfn)->bytes[mfn - zone_of(mfn)->first]; }

static struct domain *domain_of(uint64_t domid) {
    for (struct domain *d = domains; d < domains + nr_domains; d++)
        if (d->domid == domid) return d;
    return NULL;
}

static struct page *page_of(struct domain *d, uint64_t gfn) {
    for (struct run *r = d->runs; r < d->runs + d->nr_runs; r++)
        if (gfn >= r->gfn && gfn - r->gfn < r->pages) return &r->page[gfn - r->gfn];
    return NULL;
}

/* Takes 2^order free frames in a row, aligned to their number, all below `limit`; from the top, as Xen does. 0 for none. */
static uint64_t allocate(unsigned order, uint64_t limit) {
    uint64_t size = UINT64_C(1) << order;
    for (struct zone *z = zones + 2; z-- > zones;) {
        uint64_t end = z->first + z->frames < limit ? z->first + z->frames : limit;
        for (end -= end % size; end >= z->first + size; end -= size) {
            bool *used = z->used + (end - size - z->first);
            if (memchr(used, true, size)) continue;
            memset(used, true, size);
            return end - size;
        }
    }
    return 0;
}

/* No guest may see what another one left behind, so frames are cleared. */
static void release(uint64_t mfn, unsigned order) {
    memset(bytes_of(mfn), 0, (size_t)PAGE_SIZE << order);
    memset(zone_of(mfn)->used + (mfn - zone_of(mfn)->first), false, (size_t)1 << order);
}

/* "under 4G if so requested": frames below 2^(address_bits - 12); any frame where no bits are given. */
static uint64_t limit_of(uint32_t address_bits) {
    unsigned bits = address_bits & 0xff;
    if (bits == 0 || bits >= 64 || faulty("above-limit")) return UINT64_MAX;
    return bits < PAGE_SHIFT ? 0 : UINT64_C(1) << (bits - PAGE_SHIFT);
}

static void dirty(struct page *p, size_t from, size_t end) {
    if (p->dirty_end == 0 || from < p->dirty_from) p->dirty_from = (uint16_t)from;
    if (end > p->dirty_end) p->dirty_end = (uint16_t)end;
}

static void map(struct page *p, uint64_t mfn, bool pinned) {
    p->mfn = mfn;
    p->pinned = pinned;
    dirty(p, 0, PAGE_SIZE);
}

static void unmap(struct domain *d, struct page *p) {
    release(p->mfn, 0);
    d->owned--;
    map(p, 0, false);
}

/* ---- Guest memory: any range may be misaligned, cross pages or lie in a hole ---- */

static bool is_ram(struct domain *d, uint64_t address, uint64_t length) {
    uint64_t last = address + length - 1;
    if (length == 0) return true;
    if (last < address || (is_arm32 && last > UINT32_MAX)) return false;
    for (uint64_t gfn = address >> PAGE_SHIFT; gfn <= last >> PAGE_SHIFT; gfn++) {
        const struct page *p = page_of(d, gfn);
        if (!p || p->mfn == 0) return false;
    }
    return true;
}

enum direction { FROM_GUEST, TO_GUEST, BY_GUEST };

/* All of it or nothing. */
static bool copy(struct domain *d, uint64_t address, void *host, size_t length, enum direction direction) {
    if (!is_ram(d, address, length)) return false;
    for (unsigned char *byte = host; length > 0;) {
        size_t offset = address % PAGE_SIZE, part = length < PAGE_SIZE - offset ? length : PAGE_SIZE - offset;
        struct page *p = page_of(d, address >> PAGE_SHIFT);
        unsigned char *guest = bytes_of(p->mfn) + offset;
        memcpy(direction == FROM_GUEST ? byte : guest, direction == FROM_GUEST ? guest : byte, part);
        if (direction == TO_GUEST) dirty(p, offset, offset + part);
        address += part, byte += part, length -= part;
    }
    return true;
}

/* ---- The hypercall ---- */

struct call {
    struct domain *caller;
    uint64_t arg;
    uint64_t fail_alloc; /* the extent with this index finds no memory */
    uint64_t preempt;    /* continued after each so many input extents */
    uint64_t allocations;
};

static uint64_t allocate_extent(struct call *c, struct domain *d, const struct xen_memory_reservation *r) {
    uint64_t mfn = c->allocations++ == c->fail_alloc ? 0 : allocate(r->extent_order, limit_of(r->address_bits));
    if (mfn != 0) d->owned += UINT64_C(1) << r->extent_order;
    return mfn;
}

/* On arm32 a pointer is the low half of its handle. */
static uint64_t entry_at(const struct xen_memory_reservation *r, uint64_t i) {
    return (is_arm32 ? (uint32_t)r->extent_start : r->extent_start) + i * sizeof(uint64_t);
}

static bool read_entry(struct call *c, const struct xen_memory_reservation *r, uint64_t i, uint64_t *gfn) {
    return copy(c->caller, entry_at(r, i), gfn, sizeof *gfn, FROM_GUEST);
}

/* The guards of every reservation. Order and count come first, so that nothing below shifts or multiplies too far. */
static long check(struct call *c, const struct xen_memory_reservation *r, struct domain **named) {
    if (r->extent_order >= 64 && faulty("crash-on-order")) abort();
    if (r->extent_order > MAX_ORDER || r->nr_extents > MAX_EXTENTS) return -XEN_EINVAL;
    *named = r->domid == DOMID_SELF ? c->caller : domain_of(r->domid);
    if (!*named) return -XEN_ESRCH;
    return *named == c->caller || c->caller->privileged ? 0 : -XEN_EPERM;
}

static bool has_list(struct call *c, const struct xen_memory_reservation *r) {
    return is_ram(c->caller, entry_at(r, 0), r->nr_extents * sizeof(uint64_t));
}

/* An exchange under way, and what its current chunk has got hold of. */
struct exchange {
    struct call *call;
    struct domain *domain;
    struct xen_get_dma_buf arg;
    uint64_t ins, outs; /* extents of a chunk, the smallest unit that can be exchanged: 2^max(order, order) pages */
    struct page *taken[1 << MAX_ORDER], *claimed[1 << MAX_ORDER];
    uint64_t mfn[1 << MAX_ORDER];
    unsigned nr_taken, nr_claimed, nr_mfns;
};

/* An input page is mapped, not pinned, and listed once. */
static long take_inputs(struct exchange *x, uint64_t chunk) {
    for (uint64_t gfn, i = chunk * x->ins; i < (chunk + 1) * x->ins; i++) {
        if (!read_entry(x->call, &x->arg.in, i, &gfn)) return -XEN_EFAULT;
        for (uint64_t j = 0; j < UINT64_C(1) << x->arg.in.extent_order; j++) {
            struct page *p = page_of(x->domain, gfn + j);
            if (!p || p->mfn == 0 || p->pinned || p->taken) return -XEN_EINVAL;
            p->taken = true;
            x->taken[x->nr_taken++] = p;
        }
    }
    return 0;
}

/* An output page is a hole, or an input of this very chunk, and listed once. */
static long claim_outputs(struct exchange *x, uint64_t chunk) {
    for (uint64_t gfn, k = chunk * x->outs; k < (chunk + 1) * x->outs; k++) {
        if (!read_entry(x->call, &x->arg.out, k, &gfn)) return -XEN_EFAULT;
        for (uint64_t j = 0; j < UINT64_C(1) << x->arg.out.extent_order; j++) {
            struct page *p = page_of(x->domain, gfn + j);
            if (!p || (p->mfn != 0 && !p->taken) || p->claimed) return -XEN_EINVAL;
            p->claimed = true;
            x->claimed[x->nr_claimed++] = p;
        }
    }
    return 0;
}

/* Before the inputs are given up, so that no frame replaces itself. */
static long allocate_outputs(struct exchange *x) {
    while (x->nr_mfns < x->outs) {
        uint64_t mfn = allocate_extent(x->call, x->domain, &x->arg.out);
        if (mfn == 0) return -XEN_ENOMEM;
        x->mfn[x->nr_mfns++] = mfn;
    }
    return 0;
}

/* The inputs are deallocated, the outputs populated and pinned, and the guest is told their frames. Nothing can fail now. */
static long commit(struct exchange *x, uint64_t chunk, bool pins) {
    unsigned size = 1u << x->arg.out.extent_order;
    long rc = 0;
    for (unsigned i = 0; i < x->nr_taken && !faulty("inputs-kept"); i++) unmap(x->domain, x->taken[i]);
    for (unsigned i = 0; i < x->nr_claimed; i++) {
        unsigned j = faulty("not-contiguous") ? size - 1 - i % size : i % size;
        map(x->claimed[i], x->mfn[i / size] + j, pins && !faulty("no-pin"));
    }
    for (unsigned k = 0; k < x->nr_mfns && !faulty("mfns-not-returned"); k++) {
        uint64_t *mfn = &x->claimed[k * size]->mfn;
        /* But for this: the list may have lain in the very pages that were exchanged. */
        if (!copy(x->call->caller, entry_at(&x->arg.out, chunk * x->outs + k), mfn, sizeof *mfn, TO_GUEST)) rc = -XEN_EFAULT;
    }
    return rc;
}

/* One chunk or nothing: what fails before the commit leaves everything as it was. */
static long exchange_chunk(struct exchange *x, uint64_t *done, bool pins) {
    uint64_t chunk = *done / x->ins;
    x->nr_taken = x->nr_claimed = x->nr_mfns = 0;
    long rc = take_inputs(x, chunk);
    if (rc == 0) rc = claim_outputs(x, chunk);
    if (rc == 0) rc = allocate_outputs(x);
    for (unsigned i = 0; i < x->nr_taken; i++) x->taken[i]->taken = false;
    for (unsigned i = 0; i < x->nr_claimed; i++) x->claimed[i]->claimed = false;
    if (rc == 0) {
        *done += x->ins;
        return commit(x, chunk, pins);
    }
    for (unsigned k = 0; k < x->nr_mfns; k++) {
        release(x->mfn[k], x->arg.out.extent_order);
        x->domain->owned -= UINT64_C(1) << x->arg.out.extent_order;
    }
    return rc;
}

/* One pass of op 26 or 11, after which `*done` input extents are exchanged; 1 if it was preempted before the last of them. */
static long exchange_pass(struct call *c, bool pins, uint64_t *done) {
    struct exchange x = { .call = c };
    const struct xen_memory_reservation *in = &x.arg.in, *out = &x.arg.out;
    long rc;

    if (!copy(c->caller, c->arg, &x.arg, sizeof x.arg, FROM_GUEST)) return -XEN_EFAULT;
    if (pins && faulty("always-einval")) return -XEN_EINVAL;
    if (x.arg.nr_exchanged != *done) return -XEN_EINVAL;
    if (in->domid != out->domid) return -XEN_EINVAL; /* raw: DOMID_SELF is not one's own number */
    if ((rc = check(c, in, &x.domain)) != 0 || (rc = check(c, out, &x.domain)) != 0) return rc;
    if (in->nr_extents << in->extent_order != out->nr_extents << out->extent_order) return -XEN_EINVAL;
    if (!has_list(c, in) || !has_list(c, out)) return -XEN_EFAULT;

    x.ins = out->extent_order > in->extent_order ? UINT64_C(1) << (out->extent_order - in->extent_order) : 1;
    x.outs = in->extent_order > out->extent_order ? UINT64_C(1) << (in->extent_order - out->extent_order) : 1;
    uint64_t start = *done;
    while (rc == 0 && *done < in->nr_extents && *done - start < c->preempt) rc = exchange_chunk(&x, done, pins);

    uint64_t count = *done;
    if (faulty("count-short") && rc == 0 && count > 0 && count == in->nr_extents) count--;
    if (!copy(c->caller, c->arg + offsetof(struct xen_get_dma_buf, nr_exchanged), &count, sizeof count, TO_GUEST)) return -XEN_EFAULT;
    return rc == 0 && *done < in->nr_extents ? 1 : rc;
}

static long exchange(struct call *c, bool pins) {
    uint64_t done = 0;
    long rc;
    do rc = exchange_pass(c, pins, &done);
    while (rc == 1);
    return rc;
}

/* Op 27: all pages or none, and by their GPFNs; mapping, content and ownership stay as they are. */
static long put(struct call *c) {
    struct xen_memory_reservation arg;
    struct domain *d;
    uint64_t gfn;
    long rc;

    if (!copy(c->caller, c->arg, &arg, sizeof arg, FROM_GUEST)) return -XEN_EFAULT;
    if ((rc = check(c, &arg, &d)) != 0) return rc;
    if (!has_list(c, &arg)) return -XEN_EFAULT;
    for (int unpins = 0; unpins <= !faulty("put-keeps-pin"); unpins++)
        for (uint64_t i = 0; i < arg.nr_extents; i++) {
            read_entry(c, &arg, i, &gfn);
            for (uint64_t j = 0; j < UINT64_C(1) << arg.extent_order; j++) {
                struct page *p = page_of(d, gfn + j);
                if (!p || (!unpins && !p->pinned)) return -XEN_EINVAL;
                if (unpins) p->pinned = false;
            }
        }
    return 0;
}

static bool reserve_extent(struct call *c, unsigned op, struct domain *d, const struct xen_memory_reservation *r, uint64_t i) {
    uint64_t gfn, mfn = 0, size = UINT64_C(1) << r->extent_order;
    bool lists = op != increase_reservation;

    if (lists && !read_entry(c, r, i, &gfn)) return false;
    for (uint64_t j = 0; lists && j < size; j++) {
        const struct page *p = page_of(d, gfn + j);
        if (!p || (op == populate_physmap ? p->mfn != 0 : p->mfn == 0 || p->pinned)) return false;
    }
    if (op != decrease_reservation) {
        if (d->owned + size > d->allowance || (mfn = allocate_extent(c, d, r)) == 0) return false;
    }
    for (uint64_t j = 0; lists && j < size; j++) {
        if (op == populate_physmap) map(page_of(d, gfn + j), mfn + j, false);
        else unmap(d, page_of(d, gfn + j));
    }
    return true;
}

/* Ops 0, 1 and 6 answer how many extents are done, counted from 0: a failure is a short count. Guests on Arm get no list back. */
static long reserve(struct call *c, unsigned op, uint64_t start) {
    struct xen_memory_reservation arg;
    struct domain *d;
    uint64_t done = start;

    if (!copy(c->caller, c->arg, &arg, sizeof arg, FROM_GUEST) || check(c, &arg, &d) != 0) return (long)start;
    while (done < arg.nr_extents && reserve_extent(c, op, d, &arg, done)) done++;
    return (long)done;
}

static long memory_op(struct call *c, uint32_t cmd) {
    unsigned op = cmd & MEMOP_CMD_MASK;
    uint64_t start = cmd >> MEMOP_EXTENT_SHIFT;
    switch (op) {
    case increase_reservation: case decrease_reservation: case populate_physmap: return reserve(c, op, start);
    case exchange_pages: case get_dma_buf: return start == 0 ? exchange(c, op == get_dma_buf) : -XEN_EINVAL;
    case put_dma_buf: return start == 0 ? put(c) : -XEN_EINVAL;
    default: return -XEN_ENOSYS;
    }
}

/* Sharing, paging or migration: each page gets another frame with the same content, but for those that are pinned. */
static void churn(struct domain *d, uint64_t first, uint64_t count) {
    for (struct run *r = d->runs; r < d->runs + d->nr_runs; r++)
        for (uint64_t i = 0; i < r->pages; i++) {
            struct page *p = &r->page[i];
            uint64_t mfn;
            if (r->gfn + i < first || r->gfn + i - first >= count || p->mfn == 0 || p->pinned) continue;
            if ((mfn = allocate(0, UINT64_MAX)) == 0) return;
            memcpy(bytes_of(mfn), bytes_of(p->mfn), PAGE_SIZE);
            release(p->mfn, 0);
            p->mfn = mfn;
        }
}

/* ---- Requests: one line each, no white space, no escapes, keys in the order of docs/implementers.md ---- */

static const char *cursor;    /* where in the request we are */
static const char *complaint; /* what is wrong with it: the first thing */

static void complain(const char *text) { if (!complaint) complaint = text; }

static bool eat(const char *text) {
    size_t length = strlen(text);
    if (complaint || strncmp(cursor, text, length) != 0) return false;
    cursor += length;
    return true;
}

static void need(const char *text) { if (!eat(text)) complain("this is not written as the protocol says"); }

static uint64_t digits(int base) {
    char *end;
    uint64_t value = strtoull(cursor, &end, base);
    if (end == cursor) complain("a number is missing");
    cursor = end;
    return complaint ? 0 : value;
}

static uint64_t number(const char *key) { need(key); return digits(10); }

static uint64_t word(const char *key) {
    need(key);
    need("\"0x");
    uint64_t value = digits(16);
    need("\"");
    return value;
}

static struct domain *named_domain(void) {
    struct domain *d = domain_of(number(",\"domid\":"));
    if (!d) complain("there is no such domain");
    return d;
}

/* The request ends here. Only then may it be carried out and answered. */
static bool is_read(void) { need("}"); return !complaint; }

/* ---- Answers: printed piece by piece, flushed once a line ---- */

static const char *comma; /* what goes before the next key */

static void key(const char *name) { printf("%s\"%s\":", comma, name); comma = ","; }

static void forget_everything(void) {
    for (struct zone *z = zones; z < zones + 2; z++) {
        for (uint64_t i = 0; i < z->frames; i++)
            if (z->used[i]) release(z->first + i, 0);
        z->frames = 0;
    }
    memset(pages, 0, nr_pages * sizeof *pages);
    nr_pages = nr_domains = 0;
}

static void read_runs(struct domain *d, const char *before, bool ram) {
    for (need(before); !complaint && !eat("]"); eat(",")) {
        struct run r = { .gfn = word("{\"gfn\":"), .pages = number(",\"pages\":"), .ram = ram };
        need("}");
        if (r.gfn >> 52 || r.pages > 2 * MAX_PAGES - nr_pages || d->nr_runs == MAX_RUNS) complain("more memory than this example has");
        if (complaint) return;
        r.page = pages + nr_pages;
        nr_pages += r.pages;
        d->runs[d->nr_runs++] = r;
        d->allowance += r.pages;
        d->owned += ram ? r.pages : 0;
    }
}

/* RAM takes high and low frames in turn, from the top: no two gfns in a row are contiguous, and none is its own frame. */
static void give_ram(void) {
    uint64_t next[2] = { zones[0].first + zones[0].frames, zones[1].first + zones[1].frames };
    unsigned high = 0;
    for (struct domain *d = domains; d < domains + nr_domains; d++)
        for (struct run *r = d->runs; r < d->runs + d->nr_runs; r++)
            for (uint64_t i = 0; r->ram && i < r->pages; i++) {
                uint64_t mfn = --next[high ^= 1];
                zone_of(mfn)->used[mfn - zone_of(mfn)->first] = true;
                r->page[i].mfn = mfn;
            }
}

static void answer_reset(void) {
    uint64_t ram = 0;
    forget_everything();
    need(",\"arch\":\"arm");
    is_arm32 = eat("32");
    if (!is_arm32) need("64");
    for (need("\",\"domains\":["); !complaint && !eat("]"); eat(",")) {
        if (nr_domains == MAX_DOMAINS) return complain("more domains than this example has");
        struct domain *d = &domains[nr_domains++];
        *d = (struct domain){ .domid = number("{\"domid\":") };
        need(",\"privileged\":");
        d->privileged = eat("true");
        if (!d->privileged) need("false");
        read_runs(d, ",\"ram\":[", true);
        read_runs(d, ",\"holes\":[", false);
        need("}");
        ram += d->owned;
    }
    uint64_t low = number(",\"free\":{\"low\":"), high = number(",\"high\":");
    need("}");
    if (low > MAX_PAGES || high > MAX_PAGES || ram > MAX_PAGES) complain("more memory than this example has");
    if (!is_read()) return forget_everything();
    zones[0].first = LOWEST, zones[0].frames = low + ram / 2;
    zones[1].first = FOUR_GIB, zones[1].frames = high + ram - ram / 2;
    give_ram();
}

static int nibble(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

static void answer_memory(bool writes) {
    static unsigned char bytes[1 << 19]; /* as hex, a line of 1 MiB */
    struct domain *d = named_domain();
    uint64_t address = word(",\"addr\":"), length = 0;
    if (writes) {
        for (need(",\"hex\":\""); length < sizeof bytes && nibble(cursor[0]) >= 0 && nibble(cursor[1]) >= 0; cursor += 2)
            bytes[length++] = (unsigned char)(nibble(cursor[0]) << 4 | nibble(cursor[1]));
        need("\"");
    } else if ((length = number(",\"length\":")) > 65536) complain("at most 65536 bytes at a time");
    if (!is_read()) return;
    if (!copy(d, address, bytes, length, writes ? BY_GUEST : FROM_GUEST)) {
        key("fault");
        printf("true");
    } else if (!writes) {
        key("hex");
        putchar('"');
        for (uint64_t i = 0; i < length; i++) {
            putchar_unlocked("0123456789abcdef"[bytes[i] >> 4]);
            putchar_unlocked("0123456789abcdef"[bytes[i] & 15]);
        }
        putchar('"');
    }
}

static void answer_call(void) {
    struct call c = { .caller = named_domain(), .fail_alloc = UINT64_MAX, .preempt = UINT64_MAX };
    uint64_t cmd = number(",\"cmd\":");
    c.arg = word(",\"arg\":");
    if (eat(",\"inject\":{")) {
        do {
            if (eat("\"fail_alloc\":")) c.fail_alloc = digits(10);
            else c.preempt = number("\"preempt\":");
        } while (eat(","));
        need("}");
    }
    if (c.preempt == 0) complain("preempted after 0 extents, it would never end");
    if (!is_read()) return;
    long rc = memory_op(&c, (uint32_t)cmd);
    key("rc");
    printf("%ld", rc);
}

static void answer_pages(bool translate) {
    struct domain *d = named_domain();
    uint64_t gfn = word(",\"gfn\":"), count = number(",\"pages\":");
    if (translate && count > MAX_PAGES) complain("too many pages at a time");
    if (!is_read()) return;
    if (!translate) return churn(d, gfn, count);
    key("mfns");
    for (uint64_t i = 0; i < count; i++) {
        const struct page *p = page_of(d, gfn + i);
        printf(p && p->mfn != 0 ? "%c\"0x%" PRIx64 "\"" : "%cnull", i == 0 ? '[' : ',', p ? p->mfn : 0);
    }
    printf(count == 0 ? "[]" : "]");
}

static void answer_changes(void) {
    struct domain *d = named_domain();
    const char *between = "";
    if (!is_read()) return;
    key("ranges");
    putchar('[');
    for (struct run *r = d->runs; r < d->runs + d->nr_runs; r++)
        for (struct page *p = r->page; p < r->page + r->pages; p++) {
            if (p->dirty_end == 0) continue;
            uint64_t address = ((r->gfn + (uint64_t)(p - r->page)) << PAGE_SHIFT) + p->dirty_from;
            printf("%s[\"0x%" PRIx64 "\",%d]", between, address, p->dirty_end - p->dirty_from);
            p->dirty_from = p->dirty_end = 0;
            between = ",";
        }
    putchar(']');
}

static void answer_owned(void) {
    struct domain *d = named_domain();
    if (!is_read()) return;
    key("pages");
    printf("%" PRIu64, d->owned);
}

static void answer_hello(void) {
    printf("%s\"protocol\":1,\"name\":\"the C example\",\"version\":\"1\",\"arch\":[\"arm32\",\"arm64\"],", comma);
    printf("\"commands\":{\"get_dma_buf\":%d,\"put_dma_buf\":%d,\"exchange\":%d,", get_dma_buf, put_dma_buf, exchange_pages);
    printf("\"increase_reservation\":%d,\"decrease_reservation\":%d,", increase_reservation, decrease_reservation);
    printf("\"populate_physmap\":%d},\"capabilities\":[\"translate\",\"churn\",\"pages\",\"changes\",", populate_physmap);
    printf("\"batch\",\"free\",\"fail-alloc\",\"preempt\"],\"limits\":{\"ram_pages\":%d,\"domains\":%d,", MAX_PAGES, MAX_DOMAINS);
    printf("\"max_order\":%d,\"max_extents\":\"0x%x\"}", MAX_ORDER, MAX_EXTENTS);
}

/* Carries out one request, from its op on. */
static void answer_one(void) {
    if (eat("\"op\":\"call\"")) answer_call();
    else if (eat("\"op\":\"write\"")) answer_memory(true);
    else if (eat("\"op\":\"read\"")) answer_memory(false);
    else if (eat("\"op\":\"changes\"")) answer_changes();
    else if (eat("\"op\":\"translate\"")) answer_pages(true);
    else if (eat("\"op\":\"pages\"")) answer_owned();
    else if (eat("\"op\":\"churn\"")) answer_pages(false);
    else if (eat("\"op\":\"reset\"")) answer_reset();
    else if (eat("\"op\":\"hello\"")) answer_hello();
    else if (!eat("\"op\":\"bye\"}")) complain("there is no such request");
    if (!complaint) return;
    key("error");
    printf("{\"kind\":\"setup\",\"message\":\"%s\"}", complaint);
}

static void answer_batch(void) {
    key("results");
    putchar('[');
    for (const char *between = ""; !complaint && !eat("]"); between = ",") {
        need(*between ? ",{" : "{");
        printf("%s{", between);
        comma = "";
        answer_one();
        putchar('}');
    }
    putchar(']');
}

int main(int argc, char **argv) {
    char *line = NULL;
    size_t room = 0;
    if (getenv("FAULT")) fault = getenv("FAULT");
    if (argc == 3 && strcmp(argv[1], "--fault") == 0) fault = argv[2];
    setvbuf(stdout, NULL, _IOFBF, 1 << 20);
    while (getline(&line, &room, stdin) > 0) {
        cursor = line;
        complaint = NULL;
        comma = ",";
        uint64_t id = number("{\"id\":");
        need(",");
        bool bye = strncmp(cursor, "\"op\":\"bye\"", 10) == 0;
        printf("{\"id\":%" PRIu64, id);
        if (eat("\"op\":\"batch\",\"steps\":[")) answer_batch();
        else answer_one();
        printf("}\n");
        if (fflush(stdout) != 0) return 1;
        if (bye) break;
    }
    free(line);
    return 0;
}
