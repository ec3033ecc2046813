/* The entry of a 64-bit PV kernel of Xen: its ELF notes, its hypercall page, its traps. */
#include <xen/elfnote.h>

    .macro note type, kind:vararg
    .pushsection .note.Xen, "a", @note
    .balign 4
    .long 4, 2f - 1f, \type
    .asciz "Xen"
1:  \kind
2:  .balign 4
    .popsection
    .endm

    note XEN_ELFNOTE_GUEST_OS, .asciz "xenmem"
    note XEN_ELFNOTE_XEN_VERSION, .asciz "xen-3.0"
    note XEN_ELFNOTE_LOADER, .asciz "generic"
    note XEN_ELFNOTE_VIRT_BASE, .quad 0 /* a virtual address is the guest-physical one */
    note XEN_ELFNOTE_PADDR_OFFSET, .quad 0
    note XEN_ELFNOTE_ENTRY, .quad boot
    note XEN_ELFNOTE_HYPERCALL_PAGE, .quad hypercall_page

    .section .head, "ax"
    .globl boot
boot:
    cld
    lea     stack_top(%rip), %rsp
    mov     %rsi, %rdi              /* start_info */
    call    guest_main
1:  jmp     1b

    .balign 4096
hypercall_page:
    .space  4096

    .text
    .globl hypercall
hypercall:
    mov     %rdi, %rax
    mov     %rsi, %rdi
    mov     %rdx, %rsi
    mov     %rcx, %rdx
    shl     $5, %rax                /* 32 bytes for each */
    lea     hypercall_page(%rip), %rcx
    add     %rcx, %rax
    jmp     *%rax

    /* A fault between here and guarded_end ends it with 1. Nothing of it is on the stack. */
    .globl guarded_copy
guarded_copy:
    mov     %rdx, %rcx
    test    %rsi, %rsi
    jz      1f
    mov     %rcx, %rax
    shr     $3, %rcx
    rep movsq
    mov     %rax, %rcx
    and     $7, %rcx
    rep movsb
    xor     %eax, %eax
    ret
1:  xor     %eax, %eax
    mov     %rcx, %rdx
    shr     $3, %rcx
    rep stosq
    mov     %rdx, %rcx
    and     $7, %rcx
    rep stosb
    ret
guarded_end:

    /* Xen pushes rcx and r11, an error code, and what iretq takes. */
    .globl guest_trap
guest_trap:
    mov     24(%rsp), %rax
    lea     guarded_copy(%rip), %rcx
    cmp     %rcx, %rax
    jb      1f
    lea     guarded_end(%rip), %rcx
    cmp     %rcx, %rax
    jae     1f
    mov     48(%rsp), %rsp
    mov     $1, %eax
    ret
1:  lea     stack_top(%rip), %rsp
    call    guest_fault
2:  jmp     2b

    .bss
    .balign 4096
    .globl mailbox
mailbox:
    .space  MAILBOX_PAGES * 4096
    .globl arena
    .balign 0x200000
arena:
    .space  ARENA_BYTES
    .balign 16
    .space  16384
stack_top:
    .section .note.GNU-stack, "", @progbits
