//! Makes `lua.wasm` of the guest's core module: runs its `init` function once, keeps the memory that
//! leaves behind, and wraps the result as a component.
//!
//! Usage: `pack CORE_MODULE COMPONENT OPTIMISER…`. The optimiser is a command that takes a module's file and
//! `-o` with the file of a better one. Prints the component's SHA-256 and size.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};
use wasmtime::{Config, Engine, Linker, Store};
use wasmtime_wizer::Wizer;
use wit_component::ComponentEncoder;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().collect();
    ensure!(
        arguments.len() > 3,
        "usage: pack CORE_MODULE COMPONENT OPTIMISER…"
    );
    let core =
        fs::read(&arguments[1]).with_context(|| format!("failed to read {}", arguments[1]))?;
    let initialised = Path::new(&arguments[2]).with_extension("initialised.wasm");
    fs::write(&initialised, initialise(&core)?)?;
    let optimised = initialised.with_extension("optimised.wasm");
    let status = Command::new(&arguments[3])
        .args(&arguments[4..])
        .arg(&initialised)
        .arg("-o")
        .arg(&optimised)
        .status()
        .with_context(|| format!("failed to run {}", arguments[3]))?;
    ensure!(status.success(), "{} failed: {status}", arguments[3]);
    let initialised = fs::read(&optimised)?;
    let component = ComponentEncoder::default()
        .module(&initialised)
        .context("failed to read the contract out of the module")?
        .validate(true)
        .encode()
        .context("failed to make a component of the module")?;
    fs::write(&arguments[2], &component)
        .with_context(|| format!("failed to write {}", arguments[2]))?;
    let digest: String = Sha256::digest(&component)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    println!("{digest} {}", component.len());
    Ok(())
}

/// Runs `init` and freezes what it left in memory. Every import traps meanwhile: whatever the guest
/// asked of a host now would be frozen into every run.
fn initialise(core: &[u8]) -> Result<Vec<u8>> {
    let mut config = Config::new();
    // Lua raises errors with longjmp, which is a WebAssembly exception.
    config.wasm_exceptions(true);
    let engine = Engine::new(&config)?;
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    let mut wizer = Wizer::new();
    wizer.init_func("init");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .context("failed to start a runtime")?;
    let initialised = runtime.block_on(wizer.run(&mut store, core, async |store, module| {
        linker.define_unknown_imports_as_traps(module)?;
        linker.instantiate_async(store, module).await
    }))?;
    Ok(initialised)
}
