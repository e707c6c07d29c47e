//! `log`: messages of a step.

use sloth_workflow::event::Level;

use crate::world::World;

#[test]
fn messages_arrive_with_their_level_and_without_a_grant() {
    let ran = World::new().run("log.info('one'); log.warn('two'); print('three', 3)");
    assert_eq!(ran.logged(Level::Info), ["one"]);
    assert_eq!(ran.logged(Level::Warn), ["two"]);
    assert_eq!(ran.logged(Level::Print), ["three\t3"]);
    assert_eq!(ran.ended(), "ok: ");
}

#[test]
fn a_file_is_silent_while_it_is_loaded() {
    let mut world = World::new();
    world.top = "log.info('from the top')".into();
    let ran = world.run("log.info('from the task')");
    assert_eq!(ran.logged(Level::Info), ["from the task"]);
}

#[test]
fn a_flood_of_messages_is_ended_by_the_output_limit() {
    let ran = World::granting("limits.output = '64KiB'")
        .run("while true do log.info(string.rep('x', 1000)) end");
    assert!(
        ran.ended()
            .starts_with("failed: the task produced more than its 65536 bytes")
    );
    assert!(ran.events.len() < 100);
}

#[test]
fn one_message_is_cut_at_64_kib() {
    let ran = World::new().run("log.info(string.rep('é', 40000))");
    let logged = ran.logged(Level::Info);
    assert!(
        logged[0].len() < 66_000 && logged[0].ends_with("bytes cut)"),
        "{}",
        logged[0].len()
    );
}
