//! `environment`: the runner's variables, name by name.

use crate::world::{World, assert_covers};

#[test]
fn nothing_is_readable_by_default() {
    assert_covers("environment", &["get"]);
    let ran = World::new().run("return true, nil, { path = os.getenv('PATH') }");
    assert_eq!(
        ran.ended(),
        "denied: environment.read is not granted for PATH (policy); to allow it: [environment] \
         read = [\"PATH\"]"
    );
}

#[test]
fn a_granted_name_is_readable_and_an_unset_one_is_nil() {
    let ran = World::granting("environment.read = ['PATH', 'SLOTH_NOT_SET']").run(
        "return true, nil, { path = os.getenv('PATH') ~= nil, unset = os.getenv('SLOTH_NOT_SET') == nil }",
    );
    assert_eq!(ran.outputs(), r#"{"path":true,"unset":true}"#);
}
