// Context switch: only what the calling convention says a callee preserves is saved, on the stack that is left.

#include "engine/io/fiber_ctx.h"

#include <stdint.h>
#include <string.h>

#ifdef FIBER_CTX_ASM

// Swaps stacks: stores the stack pointer to *save and loads `sp`.
void fiber_ctx_swap(void **save, void *sp);

#if defined(__x86_64__)
// System V ABI: rbx, rbp, r12-r15, and the control bits of mxcsr and of the x87 control word.
// Frame, from the stack pointer up: mxcsr (4), x87 control word (4), r15, r14, r13, r12, rbx, rbp, return address.
__asm__(".text\n"
        ".p2align 4\n"
        ".globl fiber_ctx_swap\n"
        ".hidden fiber_ctx_swap\n"
        ".type fiber_ctx_swap, @function\n"
        "fiber_ctx_swap:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    subq $8, %rsp\n"
        "    stmxcsr (%rsp)\n"
        "    fnstcw 4(%rsp)\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    ldmxcsr (%rsp)\n"
        "    fldcw 4(%rsp)\n"
        "    addq $8, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size fiber_ctx_swap, . - fiber_ctx_swap\n");

void fiber_ctx_make(struct fiber_ctx *c, void *base, size_t len, void (*entry)(void))
{
    uintptr_t top = ((uintptr_t)base + len) & ~(uintptr_t)15;
    // After the swap's `ret` the stack pointer must be 8 off a multiple of 16, as after a call.
    uint64_t *frame = (uint64_t *)(top - 9 * 8);
    uint32_t control[2] = {0, 0};
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(control[0]), "=m"(control[1]));
    memset(frame, 0, 9 * 8);
    memcpy(&frame[0], control, sizeof(control));
    frame[7] = (uint64_t)(uintptr_t)entry;
    frame[8] = 0; // no caller: backtraces end here
    c->sp = frame;
}

#else
// AAPCS64: x19-x29, the link register, and the low halves of v8-v15.
// Frame, 160 bytes: d8-d15, x19-x28, x29, x30.
__asm__(".text\n"
        ".p2align 4\n"
        ".globl fiber_ctx_swap\n"
        ".hidden fiber_ctx_swap\n"
        ".type fiber_ctx_swap, %function\n"
        "fiber_ctx_swap:\n"
        "    sub sp, sp, #160\n"
        "    stp d8, d9, [sp, #0]\n"
        "    stp d10, d11, [sp, #16]\n"
        "    stp d12, d13, [sp, #32]\n"
        "    stp d14, d15, [sp, #48]\n"
        "    stp x19, x20, [sp, #64]\n"
        "    stp x21, x22, [sp, #80]\n"
        "    stp x23, x24, [sp, #96]\n"
        "    stp x25, x26, [sp, #112]\n"
        "    stp x27, x28, [sp, #128]\n"
        "    stp x29, x30, [sp, #144]\n"
        "    mov x9, sp\n"
        "    str x9, [x0]\n"
        "    mov sp, x1\n"
        "    ldp d8, d9, [sp, #0]\n"
        "    ldp d10, d11, [sp, #16]\n"
        "    ldp d12, d13, [sp, #32]\n"
        "    ldp d14, d15, [sp, #48]\n"
        "    ldp x19, x20, [sp, #64]\n"
        "    ldp x21, x22, [sp, #80]\n"
        "    ldp x23, x24, [sp, #96]\n"
        "    ldp x25, x26, [sp, #112]\n"
        "    ldp x27, x28, [sp, #128]\n"
        "    ldp x29, x30, [sp, #144]\n"
        "    add sp, sp, #160\n"
        "    ret\n"
        ".size fiber_ctx_swap, . - fiber_ctx_swap\n");

void fiber_ctx_make(struct fiber_ctx *c, void *base, size_t len, void (*entry)(void))
{
    uintptr_t top = ((uintptr_t)base + len) & ~(uintptr_t)15;
    uint64_t *frame = (uint64_t *)(top - 160);
    memset(frame, 0, 160);
    frame[19] = (uint64_t)(uintptr_t)entry; // x30; x29 of 0 ends backtraces
    c->sp = frame;
}
#endif

void fiber_ctx_switch(struct fiber_ctx *from, struct fiber_ctx *to)
{
    fiber_ctx_swap(&from->sp, to->sp);
}

#else

void fiber_ctx_make(struct fiber_ctx *c, void *base, size_t len, void (*entry)(void))
{
    (void)getcontext(&c->uc);
    c->uc.uc_stack.ss_sp = base;
    c->uc.uc_stack.ss_size = len;
    c->uc.uc_link = NULL;
    makecontext(&c->uc, entry, 0);
}

void fiber_ctx_switch(struct fiber_ctx *from, struct fiber_ctx *to)
{
    (void)swapcontext(&from->uc, &to->uc);
}

#endif
