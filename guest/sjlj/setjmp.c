/* The run-time half of LLVM's setjmp lowering for WebAssembly (tool-conventions, "SjLj"). */
#include <setjmp.h>

void __wasm_setjmp(struct __sloth_jump *env, unsigned label, void *invocation) {
    env->invocation = invocation;
    env->label = label;
}

unsigned __wasm_setjmp_test(struct __sloth_jump *env, void *invocation) {
    /* Zero means: this exception is for a setjmp further up the stack, throw it on. */
    return env->invocation == invocation ? env->label : 0;
}

_Noreturn void __wasm_longjmp(struct __sloth_jump *env, int value) {
    env->argument.env = env;
    /* C says that setjmp never returns 0 the second time. */
    env->argument.value = value == 0 ? 1 : value;
    /* Tag 1 is the C longjmp tag, defined in tag.s. */
    __builtin_wasm_throw(1, &env->argument);
}
