# `just` lists what there is to do.
default:
    @just --list

# Everything that CI checks.
ci:
    bash .ci/run

# The tests.
test:
    cargo test

# Formatting and lints, as CI holds them.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# Rebuild guest/lua.wasm from source; guest/build.sh says which tools it needs.
guest:
    bash guest/build.sh

# All benchmarks, beside their peers.
bench:
    cargo build --release
    cargo bench --bench decide --bench steps --bench fleet

# Accept changed snapshots and expected example output.
accept:
    SLOTH_ACCEPT=1 cargo test --test it -- examples golden
