/* The entry of a 64-bit Arm kernel (Image), for a guest that leaves its MMU off. */
    .section .head, "ax"
    .globl boot
    b       boot
    .long   0
    .quad   0                       /* text_offset */
    .quad   ARENA_OFFSET + ARENA_BYTES /* image_size: all that is used of memory */
    .quad   0xa                     /* little endian, pages of 4 KiB, anywhere */
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   0

boot:
    adr     x0, vectors
    msr     vbar_el1, x0
    isb
    adr     x0, stack_top
    mov     sp, x0
    adr     x0, boot                /* the image begins in the same 64 KiB */
    and     x0, x0, #~0xffff
    bl      guest_main
1:  b       1b

    .text
    .globl hypercall
hypercall:
    mov     x16, x0
    mov     x0, x1
    mov     x1, x2
    mov     x2, x3
    hvc     #0xea1
    ret

    /* A fault between here and guarded_end ends it with 1. Nothing of it is on the stack. */
    .globl guarded_copy
guarded_copy:
    cbz     x1, 4f
    orr     x3, x0, x1
    tst     x3, #7
    b.ne    2f
1:  subs    x2, x2, #64
    b.lo    3f
    ldp     x4, x5, [x1], #16
    ldp     x6, x7, [x1], #16
    ldp     x8, x9, [x1], #16
    ldp     x10, x11, [x1], #16
    stp     x4, x5, [x0], #16
    stp     x6, x7, [x0], #16
    stp     x8, x9, [x0], #16
    stp     x10, x11, [x0], #16
    b       1b
3:  add     x2, x2, #64
2:  cbz     x2, 5f
    ldrb    w3, [x1], #1
    strb    w3, [x0], #1
    sub     x2, x2, #1
    b       2b
4:  cbz     x2, 5f
    strb    wzr, [x0], #1
    sub     x2, x2, #1
    b       4b
5:  mov     x0, #0
    ret
guarded_end:
    mov     x0, #1
    ret

fault:
    mrs     x12, elr_el1
    adr     x13, guarded_copy
    adr     x14, guarded_end
    cmp     x12, x13
    b.lo    1f
    cmp     x12, x14
    b.hs    1f
    msr     elr_el1, x14
    eret
1:  adr     x0, stack_top
    mov     sp, x0
    bl      guest_fault
2:  b       2b

    .balign 2048
vectors:
    .rept   16
    b       fault
    .balign 128
    .endr

    .data
    .balign 16
    .space  16384
stack_top:
