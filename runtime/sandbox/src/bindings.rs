//! Rust types and traits generated from `wit/`.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "workflow",
    imports: {
        "sloth:host/process.run": async | trappable,
        "sloth:host/clock.wait": async | trappable,
        "sloth:host/process.collect": async | trappable,
        "sloth:host/state.get": async | trappable,
        "sloth:host/state.keys": async | trappable,
        "sloth:host/state.set": async | trappable,
        "sloth:host/state.delete": async | trappable,
        "sloth:host/state.clear": async | trappable,
        "sloth:host/state.increment": async | trappable,
        "sloth:host/state.compare-and-swap": async | trappable,
        "sloth:host/http.send": async | trappable,
        "sloth:host/http.start": async | trappable,
        "sloth:host/http.collect": async | trappable,
        "sloth:host/process.spawn": async | trappable,
        "sloth:host/secrets.reveal": async | trappable,
        "sloth:host/clock.sleep": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    trappable_error_type: { "sloth:host/types.error" => crate::host::Error },
});
