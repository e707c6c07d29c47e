//! Rust types and traits generated from `wit/`.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "workflow",
    imports: {
        "sloth:host/process.run": async | trappable,
        "sloth:host/process.wait": async | trappable,
        "sloth:host/process.collect": async | trappable,
        "sloth:host/services.status": async | trappable,
        "sloth:host/services.list": async | trappable,
        "sloth:host/services.start": async | trappable,
        "sloth:host/services.stop": async | trappable,
        "sloth:host/services.restart": async | trappable,
        "sloth:host/services.reload": async | trappable,
        "sloth:host/services.enable": async | trappable,
        "sloth:host/services.disable": async | trappable,
        "sloth:host/services.define": async | trappable,
        "sloth:host/services.remove": async | trappable,
        "sloth:host/services.daemon-reload": async | trappable,
        "sloth:host/facts.services": async | trappable,
        "sloth:host/facts.processes": async | trappable,
        "sloth:host/clock.sleep": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    trappable_error_type: { "sloth:host/types.error" => crate::host::Error },
});
