/*
 * What a C compiler makes of Xen's own headers: sizes, offsets, constants, and structs filled in by
 * field name with their bytes, as one JSON object on stdout. layout.mjs runs it per architecture.
 *
 * No stdio and no 64-bit division: on x86_32 neither a libc nor libgcc is at hand.
 */
#include <stddef.h>
#include <stdint.h>
#include <xen/xen.h>

/* Interface 0x00030209 renamed address_bits; built either way, the field bears the seed's name. */
#if __XEN_INTERFACE_VERSION__ >= 0x00030209
#define mem_flags address_bits
#endif
#include <xen/memory.h>
#undef mem_flags

#include "../../../src/rules/law/dma-buf.h"

/* The mistake a decoder is prone to: the guest's native words in place of Xen's. */
struct naive_xen_memory_reservation {
    unsigned long *extent_start;
    unsigned long nr_extents;
    unsigned int extent_order;
    unsigned int address_bits;
    uint16_t domid;
};

struct naive_xen_memory_exchange {
    struct naive_xen_memory_reservation in;
    struct naive_xen_memory_reservation out;
    unsigned long nr_exchanged;
};

struct naive_xen_get_dma_buf {
    struct naive_xen_memory_reservation in;
    struct naive_xen_memory_reservation out;
    unsigned long nr_exchanged;
};

struct naive_xen_put_dma_buf {
    struct naive_xen_memory_reservation in;
};

#include "json.h"

/* Fields: for each struct its members in order, H a guest handle, W a word, S a struct. */

#define FIELDS_xen_memory_reservation(H, W, S, T) \
    H(T, extent_start) W(T, nr_extents) W(T, extent_order) W(T, address_bits) W(T, domid)
#define FIELDS_in(H, W, S, T)                                                     \
    S(T, in) H(T, in.extent_start) W(T, in.nr_extents) W(T, in.extent_order)      \
    W(T, in.address_bits) W(T, in.domid)
#define FIELDS_out(H, W, S, T)                                                    \
    S(T, out) H(T, out.extent_start) W(T, out.nr_extents) W(T, out.extent_order)  \
    W(T, out.address_bits) W(T, out.domid)
#define FIELDS_xen_memory_exchange(H, W, S, T) \
    FIELDS_in(H, W, S, T) FIELDS_out(H, W, S, T) W(T, nr_exchanged)
#define FIELDS_xen_get_dma_buf(H, W, S, T) FIELDS_xen_memory_exchange(H, W, S, T)
#define FIELDS_xen_put_dma_buf(H, W, S, T) FIELDS_in(H, W, S, T)

#define STRUCTS(X) \
    X(xen_memory_reservation) X(xen_memory_exchange) X(xen_get_dma_buf) X(xen_put_dma_buf)

enum kind { HANDLE, WORD, STRUCT };

struct field {
    const char *path;
    enum kind kind;
    uint32_t offset;
    uint32_t size;
};

struct layout {
    const char *name;
    uint32_t size;
    uint32_t align;
    const struct field *fields;
    uint32_t count;
    /* Each takes one value per leaf, in order; set_whole fills all 64 bits of a handle. */
    void (*set)(void *at, const uint64_t *value);
    void (*set_whole)(void *at, const uint64_t *value);
};

#define FIELD(kind, T, f) { #f, kind, offsetof(struct T, f), sizeof(((struct T *)0)->f) },
#define FIELD_H(T, f) FIELD(HANDLE, T, f)
#define FIELD_W(T, f) FIELD(WORD, T, f)
#define FIELD_S(T, f) FIELD(STRUCT, T, f)

#define SET_H(T, f) set_xen_guest_handle_raw(s->f, (xen_pfn_t *)(uintptr_t)*value++);
#define SET_W(T, f) s->f = *value++;
#define SET_S(T, f)
/* x86 handles are plain pointers: there the setter reaches every byte already. */
#if defined(__arm__) || defined(__aarch64__)
#define HANDLES_HAVE_Q 1
#define SET_Q(T, f) s->f.q = *value++;
#else
#define HANDLES_HAVE_Q 0
#define SET_Q(T, f) SET_H(T, f)
#endif

#define DEFINE(T)                                                                           \
    static const struct field fields_##T[] = { FIELDS_##T(FIELD_H, FIELD_W, FIELD_S, T) };  \
    static const struct field fields_naive_##T[] = {                                        \
        FIELDS_##T(FIELD_H, FIELD_W, FIELD_S, naive_##T)                                    \
    };                                                                                      \
    static void set_##T(void *at, const uint64_t *value)                                    \
    {                                                                                       \
        struct T *s = at;                                                                   \
        FIELDS_##T(SET_H, SET_W, SET_S, T)                                                  \
    }                                                                                       \
    static void set_whole_##T(void *at, const uint64_t *value)                              \
    {                                                                                       \
        struct T *s = at;                                                                   \
        FIELDS_##T(SET_Q, SET_W, SET_S, T)                                                  \
    }
STRUCTS(DEFINE)

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LAYOUT(T)                                                                      \
    { #T, sizeof(struct T), _Alignof(struct T), fields_##T, COUNT(fields_##T), set_##T, set_whole_##T },
#define NAIVE(T)                                                                       \
    { #T, sizeof(struct naive_##T), _Alignof(struct naive_##T), fields_naive_##T,      \
      COUNT(fields_naive_##T), NULL, NULL },
static const struct layout layouts[] = { STRUCTS(LAYOUT) };
static const struct layout naive_layouts[] = { STRUCTS(NAIVE) };

static void print_layout(const struct layout *layout)
{
    key(layout->name);
    begin('{');
    key("size"), number(layout->size);
    key("align"), number(layout->align);
    key("fields");
    begin('{');
    for (uint32_t i = 0; i < layout->count; i++) {
        key(layout->fields[i].path);
        begin('{');
        key("offset"), number(layout->fields[i].offset);
        key("size"), number(layout->fields[i].size);
        end('}');
    }
    end('}');
    end('}');
}

/* Types, aligned as they are inside a struct. */

#define TYPE(name, type) { name, sizeof(type), offsetof(struct { char before; type it; }, it) }
static const struct { const char *name; uint32_t size, align; } types[] = {
    TYPE("xen_pfn_t", xen_pfn_t),
    TYPE("xen_ulong_t", xen_ulong_t),
    TYPE("unsigned int", unsigned int),
    TYPE("domid_t", domid_t),
    TYPE("XEN_GUEST_HANDLE(xen_pfn_t)", XEN_GUEST_HANDLE(xen_pfn_t)),
    TYPE("XEN_GUEST_HANDLE_PARAM(xen_pfn_t)", XEN_GUEST_HANDLE_PARAM(xen_pfn_t)),
    TYPE("unsigned long", unsigned long),
    TYPE("void *", void *),
};

#include "constants.h"

/* Values */

enum { ROWS = 256, MIXES = 8, LEAVES = 11, LARGEST = sizeof(struct xen_get_dma_buf) };

/* Where a byte, a 16-bit, 32-bit, double-precision, signed or unsigned 64-bit reading goes wrong. */
static const uint64_t edges[] = {
    1, 0xff, 0x100,
    DOMID_FIRST_RESERVED - 1, DOMID_SELF, DOMID_IO, DOMID_IDLE, 0x8000, 0xffff, 0x10000,
    0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x100000001,
    (1ULL << 53) - 1, 1ULL << 53, (1ULL << 53) + 1,
    (1ULL << 63) - 1, 1ULL << 63, UINT64_MAX,
};

_Static_assert(2 + LEAVES * COUNT(edges) <= ROWS, "no room for every edge of every leaf");

/* Marsaglia's xorshift64: shifts only, and the same on every architecture. */
static uint64_t state = 0x9e3779b97f4a7c15;

static uint64_t random64(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static uint64_t random_value(void)
{
    uint64_t choice = random64() >> 32, value = random64();

    if (choice & 1)
        return edges[(uint32_t)value % COUNT(edges)];
    return value >> (choice >> 1 & 63);
}

/* The largest value a leaf takes; a handle set through the macro takes a pointer. */
static uint64_t limit(const struct field *field, int whole)
{
    uint32_t size = field->kind == HANDLE && !whole ? sizeof(void *) : field->size;

    return UINT64_MAX >> (64 - 8 * size);
}

static uint32_t leaves_of(const struct layout *layout, const struct field **leaves)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < layout->count; i++)
        if (layout->fields[i].kind != STRUCT)
            leaves[count++] = &layout->fields[i];
    return count;
}

static void print_row(const struct layout *layout, int whole, unsigned char fill, const uint64_t *value,
                      uint32_t count)
{
    _Alignas(16) unsigned char at[LARGEST];

    for (uint32_t i = 0; i < layout->size; i++)
        at[i] = fill;
    (whole ? layout->set_whole : layout->set)(at, value);

    next();
    begin('[');
    for (uint32_t i = 0; i < count; i++) {
        next();
        word(value[i]);
    }
    next();
    bytes(at, layout->size);
    end(']');
}

static void print_mixes(const struct layout *layout, int whole, unsigned char fill, uint32_t rows)
{
    const struct field *leaves[LEAVES];
    uint32_t count = leaves_of(layout, leaves);
    uint64_t value[LEAVES];

    while (rows--) {
        for (uint32_t i = 0; i < count; i++)
            value[i] = random_value() & limit(leaves[i], whole);
        print_row(layout, whole, fill, value, count);
    }
}

/* One leaf at each edge it can hold and the others zero; returns how many rows that made. */
static uint32_t print_edges(const struct layout *layout, int whole)
{
    const struct field *leaves[LEAVES];
    uint32_t count = leaves_of(layout, leaves), rows = 0;
    uint64_t value[LEAVES];

    for (uint32_t i = 0; i < count; i++)
        value[i] = 0;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t e = 0; e < COUNT(edges); e++) {
            if (edges[e] > limit(leaves[i], whole))
                continue;
            /* With whole handles only what the setter cannot say is news. */
            if (whole && (leaves[i]->kind != HANDLE || edges[e] <= UINT32_MAX))
                continue;
            value[i] = edges[e];
            print_row(layout, whole, 0, value, count);
            rows++;
        }
        value[i] = 0;
    }
    return rows;
}

static void print_values(const struct layout *layout)
{
    const struct field *leaves[LEAVES];
    uint32_t count = leaves_of(layout, leaves), rows = 0;
    uint64_t value[LEAVES];

    key(layout->name);
    begin('{');

    key("columns");
    begin('[');
    for (uint32_t i = 0; i < count; i++) {
        next();
        string(leaves[i]->path);
    }
    end(']');

    key("rows");
    begin('[');
    for (uint32_t i = 0; i < count; i++)
        value[i] = 0;
    print_row(layout, 0, 0, value, count), rows++;
    for (uint32_t i = 0; i < count; i++)
        value[i] = limit(leaves[i], 0);
    print_row(layout, 0, 0, value, count), rows++;
    rows += print_edges(layout, 0);
    print_mixes(layout, 0, 0, ROWS - rows);
    end(']');

    /* Over memory that was not cleared: what shows through is padding, and what the setter left. */
    key("dirty_rows");
    begin('[');
    print_mixes(layout, 0, 0xa5, MIXES);
    end(']');

    key("whole_handle_rows");
    begin('[');
    if (HANDLES_HAVE_Q) {
        print_edges(layout, 1);
        print_mixes(layout, 1, 0, MIXES);
    }
    end(']');

    end('}');
}

int main(void)
{
    begin('{');

    key("types");
    begin('{');
    for (uint32_t i = 0; i < COUNT(types); i++) {
        key(types[i].name);
        begin('{');
        key("size"), number(types[i].size);
        key("align"), number(types[i].align);
        end('}');
    }
    end('}');

    key("structs");
    begin('{');
    for (uint32_t i = 0; i < COUNT(layouts); i++)
        print_layout(&layouts[i]);
    end('}');

    key("naive");
    begin('{');
    for (uint32_t i = 0; i < COUNT(naive_layouts); i++)
        print_layout(&naive_layouts[i]);
    end('}');

    key("constants");
    begin('{');
    for (uint32_t i = 0; i < COUNT(constants); i++)
        key(constants[i].name), number(constants[i].value);
    end('}');

    key("values");
    begin('{');
    for (uint32_t i = 0; i < COUNT(layouts); i++)
        print_values(&layouts[i]);
    end('}');

    end('}');
    flush();
    return failed;
}

#if !__STDC_HOSTED__
__attribute__((force_align_arg_pointer)) void _start(void)
{
    __asm__ volatile("int $0x80" : : "a"(1), "b"(main()));
    __builtin_unreachable();
}
#endif
