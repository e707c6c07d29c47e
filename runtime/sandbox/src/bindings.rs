//! Rust types and traits generated from `wit/`.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "workflow",
    imports: {
        "sloth:host/files.hash": async | trappable,
        "sloth:host/process.run": async | trappable,
        "sloth:host/process.wait": async | trappable,
        "sloth:host/process.collect": async | trappable,
        "sloth:host/clock.sleep": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    trappable_error_type: { "sloth:host/types.error" => crate::host::Error },
});
