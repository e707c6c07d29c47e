//! `facts`: what the node is, section by section.

use crate::world::{World, assert_covers};

const SECTIONS: [&str; 7] = [
    "hostname", "platform", "memory", "disk", "network", "uptime", "load",
];

#[test]
fn every_section_is_denied_by_default() {
    assert_covers("facts", &SECTIONS);
    for section in SECTIONS {
        let ran = World::new().run(&format!("facts.{section}()"));
        assert!(
            ran.ended()
                .starts_with(&format!("denied: facts.read is not granted for {section}")),
            "{}",
            ran.ended()
        );
    }
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
    for section in ["users", "packages", "services", "processes"] {
        let ended = World::new().run(&format!("facts.{section}()")).ended();
        assert!(
            ended.contains(&format!("`facts.{section}` is not available")),
            "{ended}"
        );
    }
}
