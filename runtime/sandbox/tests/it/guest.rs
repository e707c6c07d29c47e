//! The committed component: its imports are exactly the world of `wit/`.

use wasmtime::component::Component;
use wasmtime::{Config, Engine};

const GUEST: &[u8] = include_bytes!("../../../../guest/lua.wasm");

#[test]
fn the_component_imports_the_interfaces_of_the_world_and_nothing_else() {
    let mut config = Config::new();
    config.wasm_exceptions(true);
    let engine = Engine::new(&config).unwrap();
    let component = Component::from_binary(&engine, GUEST).unwrap();
    let kind = component.component_type();
    let mut imports: Vec<String> = kind
        .imports(&engine)
        .map(|(name, _)| name.to_owned())
        .collect();
    imports.sort();
    let expected: Vec<String> = [
        "clock",
        "environment",
        "events",
        "facts",
        "files",
        "http",
        "log",
        "packages",
        "plugins",
        "process",
        "random",
        "secrets",
        "services",
        "state",
        "types",
        "users",
    ]
    .map(|name| format!("sloth:host/{name}@0.1.0"))
    .to_vec();
    assert_eq!(imports, expected);
    let mut exports: Vec<String> = kind
        .exports(&engine)
        .map(|(name, _)| name.to_owned())
        .collect();
    exports.sort();
    assert_eq!(exports, ["plan", "run-step"]);
}

#[test]
fn the_component_keeps_to_its_size() {
    assert!(
        GUEST.len() <= 1_572_864,
        "{} bytes; see the budget of lua.wasm",
        GUEST.len()
    );
}
