//! `environment`: the runner's variables, name by name.

use crate::verbs::{Again, Verb, stand};
use crate::world::World;

#[test]
fn the_function_stands() {
    let get = Verb {
        function: "get",
        body: "return os.getenv('PATH') ~= nil",
        grants: "environment.read = ['PATH']",
        again: Again::Settled,
    };
    stand("environment", &[get], World::new, |_| String::new());
}

#[test]
fn nothing_is_readable_by_default() {
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
