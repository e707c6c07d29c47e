//! One engine per process: how guests are compiled and where their memory comes from.

use std::time::Duration;

use sloth_policy::Limits;
use wasmtime::{
    Collector, Config, Enabled, Engine, EngineWeak, InstanceAllocationStrategy, OptLevel,
    PoolingAllocationConfig,
};

/// Length of an epoch. Guests are asked to yield once in each.
pub(crate) const EPOCH: Duration = Duration::from_millis(10);
/// Wasm stack of a guest.
const WASM_STACK: usize = 1 << 20;
/// Wasm stack of a plugin: interpreters inside need more.
const PLUGIN_STACK: usize = 2 << 20;
/// Stack of the fiber a guest runs on; holds host calls besides.
const FIBER_STACK: usize = 2 << 20;

/// Makes the engine, with room for `instances` guests at once under these limits.
pub(crate) fn engine(limits: &Limits, instances: u32) -> wasmtime::Result<Engine> {
    let engine = Engine::new(&config(limits, instances))?;
    tick(engine.weak())?;
    Ok(engine)
}

/// Makes the engine of plugins. Those of Python and JavaScript have dozens of core modules and memories that no
/// pool is made for, so each has memory of its own.
pub(crate) fn of_plugins() -> wasmtime::Result<Engine> {
    let mut config = common();
    config
        .max_wasm_stack(PLUGIN_STACK)
        .async_stack_size(PLUGIN_STACK + (1 << 20));
    let engine = Engine::new(&config)?;
    tick(engine.weak())?;
    Ok(engine)
}

/// Makes an engine that only compiles, for every processor of this kind: what it makes is run elsewhere.
pub(crate) fn for_any_processor(limits: &Limits) -> wasmtime::Result<Engine> {
    let mut config = config(limits, 1);
    config.target(&format!("{}-unknown-linux-gnu", std::env::consts::ARCH))?;
    Engine::new(&config)
}

fn config(limits: &Limits, instances: u32) -> Config {
    let mut config = common();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits, instances)))
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(FIBER_STACK);
    config
}

fn common() -> Config {
    let mut config = Config::new();
    config
        .collector(Collector::Copying)
        .wasm_exceptions(true)
        .wasm_backtrace_max_frames(None)
        .epoch_interruption(true)
        .concurrency_support(false)
        .cranelift_opt_level(OptLevel::Speed)
        .generate_address_map(false)
        .memory_init_cow(true);
    config
}

fn pool(limits: &Limits, instances: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances * 4)
        // The heap of exceptions takes a slot besides the linear memory.
        .total_memories(instances * 2)
        .total_tables(instances * 4)
        .total_stacks(instances)
        .total_gc_heaps(instances)
        .max_memories_per_component(1)
        .max_core_instances_per_component(4)
        .max_tables_per_component(4)
        .max_memory_size(usize::try_from(limits.memory).unwrap_or(usize::MAX))
        // What a finished step touched is handed back at once, up to a small resident part.
        .linear_memory_keep_resident(1 << 20)
        .table_keep_resident(64 << 10)
        .max_unused_warm_slots(instances)
        // Where the kernel tells which pages were written, only those are put back, and stay mapped.
        .pagemap_scan(Enabled::Auto);
    pool
}

/// Advances the epoch for as long as the engine lives.
fn tick(engine: EngineWeak) -> wasmtime::Result<()> {
    std::thread::Builder::new()
        .name("epoch".into())
        .spawn(move || {
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(EPOCH);
            }
        })
        .map(drop)?;
    Ok(())
}
