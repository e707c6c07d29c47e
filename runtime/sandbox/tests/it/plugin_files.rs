//! What a file is before anything of it runs: a plugin with what it can ask for, or none and why.

use sloth_sandbox::plugin::{inspect, pack};

const PROBE: &[u8] = include_bytes!("../plugins/probe.wasm");

#[test]
fn what_is_no_plugin_is_said_so() {
    let cache = tempfile::tempdir().unwrap();
    let why = |content: &[u8]| inspect(content, cache.path()).unwrap_err();
    assert_eq!(why(b"hello"), "it is no WebAssembly component");
    assert!(why(b"\0asm\x01\0\0\0").starts_with("it is a core module and not a component"));
    assert!(why(&PROBE[..PROBE.len() / 2]).starts_with("it is damaged"));
    let component = |text: &str| wat::parse_str(text).unwrap();
    for (text, with) in [
        ("(component)", "it exports no function"),
        (
            r#"(component (import "sloth:host/frobs@0.1.0" (instance)))"#,
            "it imports sloth:host/frobs@0.1.0, which does not exist",
        ),
        (
            r#"(component (import "sloth:host/files@0.9.0" (instance)))"#,
            "this version of sloth-runner has sloth:host@0.1.0",
        ),
        (
            r#"(component (import "sloth:host/plugins@0.1.0" (instance)))"#,
            "plugins call no plugins",
        ),
        (
            r#"(component (import "wasi:cli/environment@0.3.0" (instance)))"#,
            "this version of sloth-runner has WASI 0.2",
        ),
        (
            r#"(component (import "acme:thing/x" (instance)))"#,
            "which does not exist here",
        ),
        (
            r#"(component (import "sloth:host/files@0.1.0" (instance (export "frob" (func)))))"#,
            "it asks for what is not here",
        ),
    ] {
        let text = if text == "(component)" {
            text.to_owned()
        } else {
            let end = text.rfind(')').unwrap();
            format!(
                "{} (core module $m (func (export \"f\"))) (core instance $i (instantiate $m)) \
                 (func (export \"f\") (canon lift (core func $i \"f\"))))",
                &text[..end]
            )
        };
        let said = why(&component(&text));
        assert!(said.contains(with), "{with}: {said}");
    }
    let asynchronous = component(
        r#"(component (core module $m (func (export "f") (result i32) (i32.const 0)) (func (export "cb") (param i32 i32 i32) (result i32) (i32.const 0)))
            (core instance $i (instantiate $m))
            (func (export "f") async (canon lift (core func $i "f") async (callback (func $i "cb")))))"#,
    );
    let said = why(&asynchronous);
    assert!(said.contains("async"), "{said}");
    assert!(
        pack(b"hello")
            .unwrap_err()
            .contains("no WebAssembly module")
    );
    assert_eq!(pack(PROBE).unwrap(), PROBE);
}

#[test]
fn inspect_tells_what_a_plugin_offers_and_can_ask_for() {
    let cache = tempfile::tempdir().unwrap();
    let found = inspect(PROBE, cache.path()).unwrap();
    assert_eq!(found.nouns, ["files", "state"]);
    assert!(found.wasi.is_empty());
    assert!(
        found
            .functions
            .contains(&"echo.text(value: string) -> string".to_owned())
    );
    assert!(
        found
            .functions
            .contains(&"store.counter:next() -> u32".to_owned())
    );
    assert!(
        found.functions.contains(
            &"store.merge(one: store.counter, other: store.counter) -> store.counter".to_owned()
        ),
        "{:?}",
        found.functions
    );
    assert!(
        found.wit.contains("export sloth:probe/echo@0.1.0;"),
        "{}",
        found.wit
    );
}
