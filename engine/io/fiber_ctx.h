// Switching stacks: the one part of fibers that knows the machine.
#ifndef SLUICE_ENGINE_IO_FIBER_CTX_H
#define SLUICE_ENGINE_IO_FIBER_CTX_H

#include <stddef.h>

#if !defined(SLUICE_FIBER_UCONTEXT) && (defined(__x86_64__) || defined(__aarch64__))
#define FIBER_CTX_ASM 1
// A suspended flow of control is its stack pointer: what must survive is on the stack.
struct fiber_ctx {
    void *sp;
};
#else
#include <ucontext.h>
struct fiber_ctx {
    ucontext_t uc;
};
#endif

// Makes *c start `entry` on the stack [base, base + len) when it is first switched to. entry never returns.
void fiber_ctx_make(struct fiber_ctx *c, void *base, size_t len, void (*entry)(void));
// Saves the running flow in *from and goes on with *to.
void fiber_ctx_switch(struct fiber_ctx *from, struct fiber_ctx *to);

#endif
