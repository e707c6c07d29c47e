#!/bin/sh
# Builds the guest: the Lua interpreter as a WebAssembly component.
#
#   guest/build.sh           writes guest/lua.wasm and guest/lua.wasm.toml
#   guest/build.sh --check   rebuilds beneath the target folder and compares with what is committed
#
# With Debian's tools (rustc-web cargo-web rust-web-src clang-22 lld-22 llvm-22
# libclang-rt-22-dev-wasm32 wasi-libc) nothing needs to be set. On another machine, with
# `rustup target add wasm32-wasip1` and a WASI SDK, set WASI_SDK_PATH. Each of these wins over both:
#
#   GUEST_CARGO, GUEST_RUSTC   the Rust that compiles for wasm32-wasip1
#   GUEST_BUILD_STD            1: build the standard library from its sources, 0: use the installed one
#   GUEST_CLANG, GUEST_AR, GUEST_LINKER, GUEST_NM   clang, llvm-ar, wasm-ld, llvm-nm
#   GUEST_SYSROOT_FLAGS        how clang finds wasi-libc's headers
#   GUEST_LINK_FLAGS           how rustc finds wasi-libc's libraries
#   GUEST_WASM_OPT             binaryen's wasm-opt, of at least version 120 (npm's package `binaryen` has it)
#   GUEST_HOST_CARGO           the Rust of this machine, for the pack tool
#   GUEST_PACK                 a pack tool that is built already
#   GUEST_TARGET_DIR           where to build (default guest/target)
set -eu

here=$(cd "$(dirname "$0")" && pwd)
check=0
case "${1:-}" in
    "") ;;
    --check) check=1 ;;
    *) echo "usage: $0 [--check]" >&2; exit 2 ;;
esac

libraries=/usr/lib/wasm32-wasi
resources=/usr/lib/llvm-22/lib/clang/22/lib
if [ -n "${WASI_SDK_PATH:-}" ]; then
    : "${GUEST_CARGO:=cargo}" "${GUEST_RUSTC:=rustc}" "${GUEST_BUILD_STD:=0}"
    : "${GUEST_CLANG:=$WASI_SDK_PATH/bin/clang}" "${GUEST_AR:=$WASI_SDK_PATH/bin/llvm-ar}"
    : "${GUEST_LINKER:=$WASI_SDK_PATH/bin/wasm-ld}" "${GUEST_NM:=$WASI_SDK_PATH/bin/llvm-nm}" "${GUEST_LINK_FLAGS=}"
    : "${GUEST_SYSROOT_FLAGS:=--sysroot=$WASI_SDK_PATH/share/wasi-sysroot}"
else
    : "${GUEST_CARGO:=/usr/bin/cargo}" "${GUEST_RUSTC:=/usr/bin/rustc}" "${GUEST_BUILD_STD:=1}"
    : "${GUEST_CLANG:=clang-22}" "${GUEST_AR:=llvm-ar-22}" "${GUEST_LINKER:=wasm-ld-22}" "${GUEST_NM:=llvm-nm-22}"
    : "${GUEST_SYSROOT_FLAGS:=--sysroot=/ -isystem /usr/include/wasm32-wasi}"
    if [ -z "${GUEST_LINK_FLAGS+set}" ]; then
        GUEST_LINK_FLAGS="-L $libraries -C link-self-contained=no -C link-arg=$libraries/crt1-reactor.o \
-C link-arg=--export=_initialize -C link-arg=-lc -C link-arg=$resources/wasi/libclang_rt.builtins-wasm32.a"
    fi
fi
: "${GUEST_HOST_CARGO:=cargo}" "${GUEST_WASM_OPT:=wasm-opt}" "${GUEST_TARGET_DIR:=$here/target}"

missing=
for tool in "$GUEST_CARGO" "$GUEST_RUSTC" "$GUEST_CLANG" "$GUEST_AR" "$GUEST_LINKER" "$GUEST_NM" \
    "$GUEST_WASM_OPT" "$GUEST_HOST_CARGO"; do
    command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
done
if [ -z "${WASI_SDK_PATH:-}" ]; then
    for file in "$libraries/libc.a" "$resources/wasi/libclang_rt.builtins-wasm32.a"; do
        [ -e "$file" ] || missing="$missing $file"
    done
fi
if [ -n "$missing" ]; then
    echo "missing:$missing" >&2
    echo "On Debian: apt-get install --no-install-recommends rustc-web cargo-web rust-web-src clang-22 \
lld-22 llvm-22 libclang-rt-22-dev-wasm32 wasi-libc, and npm install binaryen; elsewhere see the top of this \
script." >&2
    exit 1
fi

optimise="-Oz --enable-exception-handling --enable-reference-types --enable-bulk-memory --enable-sign-ext \
--enable-nontrapping-float-to-int --enable-multivalue --enable-mutable-globals"
work=$GUEST_TARGET_DIR/sloth
mkdir -p "$work"
eh="-mllvm -wasm-enable-eh -mllvm -wasm-use-legacy-eh=false -mllvm -wasm-enable-sjlj -mexception-handling"
target="--target=wasm32-wasip1"
registry=${CARGO_HOME:-$HOME/.cargo}
std=$("$GUEST_RUSTC" --print sysroot)/lib/rustlib/src/rust
std_real=$(readlink -f "$std" || echo "$std")

# The C of our own: setjmp and longjmp, which wasi-libc lacks and Lua's errors are made of, and the guard of
# Lua's memory. lua-src links the library by this name.
compile() {
    # shellcheck disable=SC2086
    "$GUEST_CLANG" $target $GUEST_SYSROOT_FLAGS -isystem "$here/sjlj" $eh -O2 -Wall -Werror \
        -ffile-prefix-map="$here=/guest" -c "$1" -o "$2"
}
compile "$here/sjlj/setjmp.c" "$work/setjmp.o"
compile "$here/memory/guard.c" "$work/guard.o"
"$GUEST_CLANG" $target -mexception-handling -c "$here/sjlj/tag.s" -o "$work/tag.o"
rm -f "$work/libsetjmp.a"
"$GUEST_AR" rcsD "$work/libsetjmp.a" "$work/setjmp.o" "$work/guard.o" "$work/tag.o"

# The core module. No folder of this machine may show in its bytes, so each is given another name; where
# several match, the last one wins.
remap="--remap-path-prefix=$here=/guest --remap-path-prefix=$registry=/cargo"
remap="$remap --remap-path-prefix=$std=/rust --remap-path-prefix=$std_real=/rust"
prefix_map="-ffile-prefix-map=$here=/guest -ffile-prefix-map=$GUEST_TARGET_DIR=/target"
for folder in "$registry"/registry/src/*; do
    remap="$remap --remap-path-prefix=$folder=/registry"
    prefix_map="$prefix_map -ffile-prefix-map=$folder=/registry"
done
# Lua's own functions of these names, behind the ones in memory/guard.c.
guarded="-Dlua_newstate=guarded_lua_newstate -Dlua_getallocf=guarded_lua_getallocf"
build_std=
[ "$GUEST_BUILD_STD" = 0 ] || build_std="-Zbuild-std=std,panic_abort -Zbuild-std-features=optimize_for_size"
(
    cd "$here"
    # Building the standard library is an unstable feature of cargo.
    [ "$GUEST_BUILD_STD" = 0 ] || export RUSTC_BOOTSTRAP=1
    export PATH="$(dirname "$(command -v "$GUEST_RUSTC")"):$PATH" RUSTC="$GUEST_RUSTC"
    export RUSTFLAGS="-L native=$work $GUEST_LINK_FLAGS $remap"
    export CC_wasm32_wasip1="$GUEST_CLANG" AR_wasm32_wasip1="$GUEST_AR"
    export CFLAGS_wasm32_wasip1="-isystem $here/sjlj $GUEST_SYSROOT_FLAGS $guarded $prefix_map"
    export CARGO_TARGET_WASM32_WASIP1_LINKER="$here/link.sh"
    export SLOTH_LINK_WORK="$work" SLOTH_LINK_NM="$GUEST_NM" SLOTH_LINK_CLANG="$GUEST_CLANG"
    export SLOTH_LINK_LD="$GUEST_LINKER"
    # shellcheck disable=SC2086
    "$GUEST_CARGO" build --locked --release --target wasm32-wasip1 --target-dir "$GUEST_TARGET_DIR" $build_std
)

# Core module -> pre-initialised component.
pack_dir=$here/pack/target
[ "$GUEST_TARGET_DIR" = "$here/target" ] || pack_dir=$GUEST_TARGET_DIR/pack
if [ -z "${GUEST_PACK:-}" ]; then
    (cd "$here/pack" && "$GUEST_HOST_CARGO" build --locked --target-dir "$pack_dir")
    GUEST_PACK=$pack_dir/debug/sloth-guest-pack
fi
component=$work/lua.wasm
# Optimising comes between: what only making the snapshot needed goes as well.
# shellcheck disable=SC2046,SC2086
set -- $("$GUEST_PACK" "$GUEST_TARGET_DIR/wasm32-wasip1/release/sloth_guest.wasm" "$component" \
    "$GUEST_WASM_OPT" $optimise)

locked() {
    grep -A1 "^name = \"$1\"" "$here/Cargo.lock" | sed -n 's/^version = "\(.*\)"/\1/p'
}
wasi_libc=${WASI_SDK_PATH:+$(sed -n 's/^wasi-libc: *//p' "$WASI_SDK_PATH/VERSION" 2>/dev/null || echo unknown)}
: "${wasi_libc:=$(dpkg-query -W -f '${Version}' wasi-libc 2>/dev/null || echo unknown)}"
provenance=$work/lua.wasm.toml
cat >"$provenance" <<EOF
# Written by guest/build.sh.
sha256 = "$1"
size = $2

[built-with]
rustc = "$("$GUEST_RUSTC" --version | cut -d' ' -f2)"
clang = "$("$GUEST_CLANG" --version | sed -n '1s/.*version \([^ ]*\).*/\1/p')"
wasi-libc = "$wasi_libc"
binaryen = "$("$GUEST_WASM_OPT" --version | cut -d' ' -f3)"
lua-src = "$(locked lua-src)"
mlua = "$(locked mlua)"
EOF

versions() {
    sed -n '/^\[built-with\]/,$p' "$1"
}
if [ "$check" = 0 ]; then
    cp "$component" "$here/lua.wasm"
    cp "$provenance" "$here/lua.wasm.toml"
    echo "guest/lua.wasm: $2 bytes, sha256 $1"
elif [ "$(versions "$provenance")" != "$(versions "$here/lua.wasm.toml")" ]; then
    echo "the tools differ from those that built guest/lua.wasm, so its bytes are not compared"
    echo "rebuilt component: $component"
elif cmp "$component" "$here/lua.wasm"; then
    echo "guest/lua.wasm is what its sources make"
else
    echo "guest/lua.wasm is not what its sources make; rebuilt component: $component" >&2
    exit 1
fi
