//! `types`: denials and errors as Lua sees them.

use crate::world::World;

#[test]
fn a_denial_is_a_value_that_lua_can_catch_and_read() {
    let ran = World::new().run(
        "local ok, err = pcall(fs.read, '/etc/shadow')
         return true, nil, { ok = ok, kind = err.kind, capability = err.capability,
           subject = err.subject, layer = err.layer, remedy = err.remedy, text = tostring(err) }",
    );
    assert_eq!(
        ran.outputs(),
        r#"{"capability":"files.read","kind":"denied","layer":"policy","ok":false,"remedy":"[files] read = [\"/etc/shadow\"]","subject":"/etc/shadow","text":"test.sloth:3: files.read is not granted for /etc/shadow (policy); to allow it: [files] read = [\"/etc/shadow\"]"}"#
    );
}

#[test]
fn a_denial_that_a_guest_makes_up_is_only_a_failure() {
    let ran = World::new().run(
        "error({ kind = 'denied', capability = 'files.read', subject = '/x', layer = 'policy',
           message = 'files.read is not granted for /x' })",
    );
    assert!(ran.ended().starts_with("failed: "), "{}", ran.ended());
    assert!(ran.denials().is_empty());
}

#[test]
fn a_denial_raised_again_is_still_a_denial() {
    let ran = World::new().run(
        "local ok, err = pcall(fs.read, '/etc/shadow')
         error(err)",
    );
    assert!(
        ran.ended().starts_with("denied: files.read is not granted"),
        "{}",
        ran.ended()
    );
}
