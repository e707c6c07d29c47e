//! The guest: a Lua interpreter that can reach nothing but the contract in `wit/`.
//!
//! Reading order: `interpreter` (the two exports' work), `bind` (the imports as Lua sees them), `data`
//! with `cbor`, `json`, `yaml` and `template` (values), `wasi` (what the C library asks for). What a script
//! sees is written in Lua, under `lua/`.

mod bind;
mod cbor;
mod data;
mod interpreter;
mod json;
mod library;
mod memory;
mod template;
mod toml;
mod wasi;
mod yaml;

mod contract {
    #![expect(clippy::all, clippy::pedantic, unsafe_code, reason = "generated")]

    wit_bindgen::generate!({ path: "../wit", world: "workflow" });
    use super::Guest as Exports;
    export!(Exports);
}

use std::cell::OnceCell;

pub(crate) use contract::sloth;
use contract::{Bundle, Completion, Failure, FailureKind, Part, Step};
use interpreter::Interpreter;

thread_local! {
    /// The interpreter; there from `init` on, and so in every copy made of the snapshot.
    static INTERPRETER: OnceCell<Interpreter> = const { OnceCell::new() };
}

/// What the component exports.
struct Guest;

impl contract::Guest for Guest {
    fn plan(bundle: Bundle) -> Result<Vec<u8>, Failure> {
        with_interpreter(|interpreter| interpreter.plan(&bundle))
    }

    fn run_step(step: Step) -> Result<Completion, Failure> {
        with_interpreter(|interpreter| interpreter.run_step(&step))
    }
}

fn with_interpreter<T>(ask: impl FnOnce(&Interpreter) -> Result<T, Failure>) -> Result<T, Failure> {
    wasi::attach_host();
    INTERPRETER.with(|cell| match cell.get() {
        Some(interpreter) => ask(interpreter),
        None => Err(interpreter::plain_failure(
            FailureKind::Invalid,
            "this component was not initialised when it was built",
        )),
    })
}

/// Creates the interpreter. Called once by `pack`, which keeps the memory it leaves; the finished
/// component does not export it.
#[expect(unsafe_code, reason = "an export by name")]
#[unsafe(no_mangle)]
extern "C" fn init() {
    // Constructors run now, so that no later call starts them again over the snapshot.
    wit_bindgen::rt::run_ctors_once();
    let interpreter = Interpreter::new().expect("the library's own Lua files load");
    INTERPRETER.with(|cell| {
        let fresh = cell.set(interpreter).is_ok();
        assert!(fresh, "init is called once");
    });
}
