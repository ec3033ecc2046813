/* The entry of a 32-bit Arm kernel (zImage), for a guest that leaves its MMU off. */
    .arm
    .section .head, "ax"
    .globl boot
boot:
    .rept   8
    nop
    .endr
    b       1f
    .long   0x016f2818              /* magic */
    .long   0                       /* begins anywhere, */
    .long   image_end               /* and is so long */
1:  adr     r0, vectors
    mcr     p15, 0, r0, c12, c0, 0  /* VBAR */
    isb
    ldr     r1, =stack_top
    adr     r0, boot
    add     sp, r0, r1
    bl      guest_main
2:  b       2b
    .ltorg

    .globl hypercall
hypercall:
    mov     r12, r0
    mov     r0, r1
    mov     r1, r2
    mov     r2, r3
    .inst   0xe140ea71              /* hvc #0xea1 */
    bx      lr

    /*
     * A fault between here and guarded_end ends it with 1: what it has on the stack is r4 to r7. Its
     * last argument is in r2, what it returns to in r3.
     */
    .globl guarded_copy
guarded_copy:
    mov     r3, lr
    push    {r4, r5, r6, r7}
    cmp     r1, #0
    beq     4f
    orr     r12, r0, r1
    tst     r12, #3
    bne     2f
1:  subs    r2, r2, #16
    blo     3f
    ldm     r1!, {r4, r5, r6, r7}
    stm     r0!, {r4, r5, r6, r7}
    b       1b
3:  add     r2, r2, #16
2:  subs    r2, r2, #1
    blo     5f
    ldrb    r12, [r1], #1
    strb    r12, [r0], #1
    b       2b
4:  mov     r12, #0
6:  subs    r2, r2, #1
    blo     5f
    strb    r12, [r0], #1
    b       6b
5:  mov     r0, #0
    pop     {r4, r5, r6, r7}
    bx      r3
guarded_end:

    /* A fault is taken in a mode of its own, from which it goes on in the one before. */
fault:
    cps     #0x13                   /* supervisor, as at the start */
    mov     r0, #1
    pop     {r4, r5, r6, r7}
    bx      r3

    .balign 32
vectors:
    b       other
    b       other
    b       other
    b       other
    b       fault                   /* a data abort */
    b       other
    b       other
    b       other
other:
    cps     #0x13
    bl      guest_fault
7:  b       7b

    .data
    .balign 16
    .space  16384
stack_top:
