#!/bin/sh
# wasm-ld with two repairs before it.
#
# Rust's standard library asks for random bytes through an import of WASI under a mangled name, which
# src/wasi.rs cannot define because the name changes with the compiler. A definition under that name,
# whatever it is today, leads on to the one in src/wasi.rs.
#
# rustc exports every function that has a name of its own. Those of src/wasi.rs are for the C library
# only; left unexported, the ones that nobody calls fall away.
set -eu

left=$#
while [ "$left" -gt 0 ]; do
    argument=$1
    shift
    left=$((left - 1))
    if [ "$argument" = --export ]; then
        case $1 in
            __imported_*)
                shift
                left=$((left - 1))
                continue
                ;;
        esac
    fi
    set -- "$@" "$argument"
done

source=$SLOTH_LINK_WORK/random.s
: >"$source"
for argument in "$@"; do
    case $argument in
        *.o) ;;
        *) continue ;;
    esac
    "$SLOTH_LINK_NM" --undefined-only --format=just-symbols "$argument" 2>/dev/null \
        | grep 'wasi_snapshot_preview1.*random_get$' | grep -v '^__imported_' | while read -r symbol; do
        cat >>"$source" <<EOF
	.functype	__imported_wasi_snapshot_preview1_random_get (i32, i32) -> (i32)
	.globl	$symbol
	.type	$symbol,@function
$symbol:
	.functype	$symbol (i32, i32) -> (i32)
	local.get	0
	local.get	1
	call	__imported_wasi_snapshot_preview1_random_get
	end_function
EOF
    done
done
"$SLOTH_LINK_CLANG" --target=wasm32-wasip1 -c "$source" -o "$SLOTH_LINK_WORK/random.o"
exec "$SLOTH_LINK_LD" "$@" "$SLOTH_LINK_WORK/random.o"
