//! `events`: events of a workflow's own.

use sloth_workflow::Event;

use crate::verbs::{Again, Verb, stand};
use crate::world::{Ran, World};

/// Type, data and whether it was emitted, of each event.
fn emitted(ran: &Ran) -> Vec<String> {
    let told = ran.events.iter().filter_map(|event| match event {
        Event::Emitted {
            kind,
            data,
            applied,
            ..
        } => {
            let data = serde_json::to_string(data).unwrap();
            Some(format!("{} {data} {applied}", kind.escaped()))
        }
        _ => None,
    });
    told.collect()
}

#[test]
fn the_function_stands() {
    let emit = Verb {
        function: "emit",
        body: "return event.dispatch('deploy.done', { version = 1 })",
        grants: "events.emit = ['deploy.*']",
        again: Again::Acts,
    };
    stand("events", &[emit], World::new, |_| String::new());
}

#[test]
fn events_carry_their_data_under_the_names_that_files_use() {
    let ran = World::granting("events.emit = ['*']").run(
        "assert(event.dispatch('deploy.done', { version = '1.2', hosts = { 'a', 'b' } }) == true)
         assert(event.dispatch('bare'))
         assert(event.dispatch_custom('disk', 'nearly full'))
         assert(event.dispatch_file('created', '/tmp/x', 'w'))
         assert(event.dispatch_file('deleted', '/tmp/x'))",
    );
    assert_eq!(ran.ended(), "ok: ");
    assert_eq!(
        emitted(&ran),
        [
            r#"deploy.done {"hosts":["a","b"],"version":"1.2"} true"#,
            "bare {} true",
            r#"custom {"message":"nearly full","name":"disk"} true"#,
            r#"file.created {"path":"/tmp/x","watcher":"w"} true"#,
            r#"file.deleted {"path":"/tmp/x"} true"#,
        ]
    );
}

#[test]
fn check_mode_tells_what_would_be_emitted() {
    let mut world = World::granting("events.emit = ['custom']");
    world.check = true;
    let ran = world.run("event.dispatch_custom('a', 'b')");
    assert_eq!(
        emitted(&ran),
        [r#"custom {"message":"b","name":"a"} false"#]
    );
    assert_eq!(ran.ended(), "ok: ");
}

#[test]
fn each_type_is_granted_by_its_name() {
    let ran = World::granting("events.emit = ['file.*']")
        .run("event.dispatch_file('created', '/x') event.dispatch('filed', { })");
    assert_eq!(emitted(&ran).len(), 1);
    assert_eq!(
        ran.ended(),
        "denied: events.emit is not granted for filed (policy); to allow it: [events] emit = \
         [\"filed\"]"
    );
}

#[test]
fn a_flood_is_held_back_and_the_step_goes_on() {
    let ran = World::granting("events.emit = ['*']").run(
        "local refused = 0
         for _ = 1, 5000 do
           local done, why = event.dispatch('x', { })
           if not done then refused = refused + 1 assert(why:find('at most')) end
         end
         return true, nil, { many = refused > 3900 }",
    );
    assert_eq!(ran.outputs(), r#"{"many":true}"#);
    assert!(emitted(&ran).len() <= 1000, "{}", emitted(&ran).len());
}

#[test]
fn what_is_no_event_is_refused() {
    let world = World::granting("events.emit = ['*']");
    for (call, said) in [
        ("event.dispatch('a b', { })", "`a b` is no type of events"),
        ("event.dispatch('', { })", "`` is no type of events"),
        (
            "event.dispatch('a\\27[2J', { })",
            "`a\\u{1b}[2J` is no type",
        ),
        ("event.dispatch('x', 'text')", "the data must be a table"),
        (
            "event.dispatch('x', { f = print })",
            "the data.f: a function cannot be carried",
        ),
        (
            "event.dispatch('x', { big = ('x'):rep(70000) })",
            "over the limit of 65536",
        ),
        (
            "event.dispatch_file('renamed', '/x')",
            "must be \"created\"",
        ),
        (
            "event.dispatch_custom('x')",
            "the message: must be text, not nothing",
        ),
    ] {
        let ended = world.run(call).ended();
        assert!(ended.contains(said), "{call}: {ended}");
    }
}

#[test]
fn nothing_is_emitted_while_a_file_is_loaded() {
    let problem = World::plan("event.dispatch('x', { })").unwrap_err();
    assert!(
        problem
            .message
            .raw()
            .contains("events.emit is not available while the file is loaded"),
        "{:?}",
        problem.message
    );
}
