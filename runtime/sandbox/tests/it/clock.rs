//! `clock`: time, which stands still while a file is loaded.

use crate::world::World;

#[test]
fn time_stands_at_the_runs_start_while_loading_and_goes_on_in_a_step() {
    let mut world = World::new();
    world.top = "local loaded = os.time()".into();
    let ran = world.run(
        "local start = os.clock()
         local sum = 0
         for i = 1, 1e6 do sum = sum + i end
         return true, nil, { loaded = loaded, now = os.time() > 1700000000 + 86400,
           passed = os.clock() > start }",
    );
    assert_eq!(
        ran.outputs(),
        r#"{"loaded":1700000000,"now":true,"passed":true}"#
    );
}
