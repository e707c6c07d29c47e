/* setjmp and longjmp for wasm32, lowered by LLVM to WebAssembly exceptions.
 *
 * The compiler rewrites every call of setjmp and longjmp into the three functions of setjmp.c; only
 * the layout of jmp_buf, which those functions and nobody else read, is ours. */
#ifndef SLOTH_SETJMP_H
#define SLOTH_SETJMP_H

struct __sloth_jump {
    void *invocation;    /* the call of a function in which setjmp was reached */
    unsigned label;      /* which setjmp of that function, counted from 1 */
    struct {
        void *env;       /* the buffer jumped to */
        int value;       /* what setjmp returns the second time */
    } argument;          /* what travels with the exception */
};

typedef struct __sloth_jump jmp_buf[1];

int setjmp(jmp_buf env) __attribute__((returns_twice));
_Noreturn void longjmp(jmp_buf env, int value);

/* The names of the variants that leave signal masks alone; there are no signals here. */
#define _setjmp setjmp
#define _longjmp longjmp

#endif
