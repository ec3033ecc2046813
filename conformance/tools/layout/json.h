/* JSON on stdout without a libc: what layout.c prints with. */
#if __STDC_HOSTED__
#include <unistd.h>
#else
static long write(int fd, const void *from, size_t length)
{
    long result;

    __asm__ volatile("int $0x80" : "=a"(result) : "a"(4), "b"(fd), "c"(from), "d"(length) : "memory");
    return result;
}
#endif

static char buffer[4096];
static size_t used;
static int failed;
static int first;

static void flush(void)
{
    size_t done = 0;

    while (done < used && !failed) {
        long written = write(1, buffer + done, used - done);

        if (written <= 0)
            failed = 1;
        else
            done += written;
    }
    used = 0;
}

static void put(char c)
{
    if (used == sizeof(buffer))
        flush();
    buffer[used++] = c;
}

static void begin(char bracket)
{
    put(bracket);
    first = 1;
}

static void end(char bracket)
{
    put(bracket);
    put('\n');
    first = 0;
}

static void next(void)
{
    if (!first)
        put(',');
    first = 0;
}

static void string(const char *text)
{
    put('"');
    while (*text)
        put(*text++);
    put('"');
}

static void key(const char *name)
{
    next();
    string(name);
    put(':');
}

static void number(uint32_t value)
{
    if (value >= 10)
        number(value / 10);
    put('0' + value % 10);
}

static void digit(unsigned int value)
{
    put("0123456789abcdef"[value & 15]);
}

static void word(uint64_t value)
{
    int shift = 60;

    while (shift > 0 && !(value >> shift))
        shift -= 4;
    put('"');
    put('0');
    put('x');
    for (; shift >= 0; shift -= 4)
        digit(value >> shift);
    put('"');
}

static void bytes(const unsigned char *from, size_t length)
{
    put('"');
    while (length--) {
        digit(*from >> 4);
        digit(*from++);
    }
    put('"');
}
