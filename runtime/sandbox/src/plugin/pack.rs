//! From the module that a compiler makes to a component.

use wit_component::ComponentEncoder;

/// Makes a component of a core module that carries its WIT, as wit-bindgen leaves it in one. A component is given
/// back as it is. The error says why it cannot be, as a phrase that begins with “it”.
pub fn pack(module: &[u8]) -> Result<Vec<u8>, String> {
    if matches!(module.get(..8), Some([0, b'a', b's', b'm', _, _, 1, 0])) {
        return Ok(module.to_vec());
    }
    if !module.starts_with(b"\0asm") {
        return Err("it is no WebAssembly module".to_owned());
    }
    let encoder = ComponentEncoder::default().validate(true).module(module);
    let component = encoder.and_then(|mut encoder| encoder.encode());
    component.map_err(|error| {
        let why = format!("{error:#}");
        let hint = if why.contains("wasi_snapshot_preview1") {
            "; it was built for wasm32-wasip1: build it for wasm32-unknown-unknown or wasm32-wasip2"
        } else {
            ""
        };
        format!("it cannot be made a component: {why}{hint}")
    })
}
