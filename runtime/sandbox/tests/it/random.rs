//! `random`: from the run's seed while a file is loaded, afresh in each step.

use crate::world::World;

const DRAW: &str = "local loaded = math.random(1 << 30)";

#[test]
fn two_loads_draw_the_same_and_two_steps_do_not() {
    let mut world = World::new();
    world.top = DRAW.into();
    let body = "return true, nil, { loaded = loaded, step = math.random(1 << 60) }";
    let (one, two) = (
        world.run(body).finished.outputs,
        world.run(body).finished.outputs,
    );
    assert_eq!(one.get("loaded"), two.get("loaded"));
    assert_ne!(one.get("step"), two.get("step"));
}
