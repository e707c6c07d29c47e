//! `facts`: what the node is, section by section.

use crate::verbs::{Again, Verb, stand};
use crate::world::World;

const SECTIONS: [&str; 9] = [
    "hostname", "platform", "memory", "disk", "network", "uptime", "load", "packages", "users",
];

/// With packages and accounts to tell of, whatever the machine of the tests has.
fn machine() -> World {
    let mut world = crate::packages::machine();
    world.tool(
        "getent",
        "#!/bin/sh\necho 'root:x:0:0:root:/root:/bin/sh'\n",
    );
    world
}

#[test]
fn every_section_stands() {
    let verbs = SECTIONS.map(|section| Verb {
        function: section,
        body: Box::leak(format!("return facts.{section}() ~= nil").into_boxed_str()),
        grants: Box::leak(format!("facts.read = ['{section}']").into_boxed_str()),
        again: Again::Settled,
    });
    stand("facts", &verbs, machine, |_| String::new());
}

#[test]
fn granted_sections_tell_what_the_machine_is() {
    let ran = World::granting("facts.read = ['*']").run(
        "local memory, platform = facts.memory(), facts.platform()
         return true, nil, { host = #facts.hostname() > 0, os = platform.os, cpus = platform.cpus >= 1,
           memory = memory.total > 1024 * 1024 and memory.available <= memory.total,
           uptime = facts.uptime() > 0, load = facts.load().one >= 0,
           disk = type(facts.disk()) == 'table', network = type(facts.network()) == 'table' }",
    );
    assert_eq!(
        ran.outputs(),
        r#"{"cpus":true,"disk":true,"host":true,"load":true,"memory":true,"network":true,"os":"linux","uptime":true}"#
    );
}

#[test]
fn sections_that_come_later_say_so() {
    for section in ["services", "processes"] {
        let ended = World::new().run(&format!("facts.{section}()")).ended();
        assert!(
            ended.contains(&format!("`facts.{section}` is not available")),
            "{ended}"
        );
    }
}
