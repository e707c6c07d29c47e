/* Makes running out of memory an error that Lua can raise.
 *
 * Lua's allocation function is mlua's, which ends the whole instance when no memory is left. Lua itself
 * would collect garbage, try again, and then raise "not enough memory" in the task that asked. So this
 * function is put in front of mlua's: it asks the C library first whether the memory is there, and says no
 * to Lua if it is not. build.sh has Lua's own two functions compiled under the names beginning with
 * `guarded_`; mlua calls those below. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef void *(*allocation)(void *state, void *block, size_t old_size, size_t new_size);

struct lua_State;
struct lua_State *guarded_lua_newstate(allocation allocate, void *state);
allocation guarded_lua_getallocf(struct lua_State *lua, void **state);

/* Asking for each small block would cost more than the blocks. Room for this much is made sure of at
 * once, and is also what Rust's side has left when Lua has none. */
#define STEP (256 * 1024)

/* What a block costs beside its own size. */
#define OVERHEAD 16

static allocation behind;
static size_t assured;

/* While the snapshot is made, what is given back is wiped: the snapshot keeps every byte but zeros. */
static int snapshot_is_made;

void sloth_keep_freed_memory(void) {
    snapshot_is_made = 1;
}

static void *guard(void *state, void *block, size_t old_size, size_t new_size) {
    /* Without a block, the old size is not a size but says what the new one is for. */
    if (new_size > 0 && (block == NULL || new_size > old_size)) {
        if (new_size > (size_t)-1 - STEP - OVERHEAD) {
            return NULL;
        }
        size_t cost = new_size + OVERHEAD;
        if (cost > assured) {
            /* Volatile, or the compiler takes out a block that nobody uses, and with it the question. */
            void *volatile probe = malloc(cost + STEP);
            if (probe == NULL) {
                assured = 0;
                return NULL;
            }
            free(probe);
            assured = cost + STEP;
        }
        assured -= cost;
    }
    if (!snapshot_is_made && block != NULL && new_size == 0) {
        memset(block, 0, old_size);
    }
    return behind(state, block, old_size, new_size);
}

struct lua_State *lua_newstate(allocation allocate, void *state) {
    behind = allocate;
    return guarded_lua_newstate(guard, state);
}

/* mlua knows its own states by their allocation function. */
allocation lua_getallocf(struct lua_State *lua, void **state) {
    allocation allocate = guarded_lua_getallocf(lua, state);
    return allocate == guard ? behind : allocate;
}
