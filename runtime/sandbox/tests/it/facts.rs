//! `facts`: what the node is, section by section.

use crate::verbs::{Again, Verb, stand};
use crate::world::World;

const SECTIONS: [&str; 7] = [
    "hostname", "platform", "memory", "disk", "network", "uptime", "load",
];

#[test]
fn every_section_stands() {
    let verbs = SECTIONS.map(|section| Verb {
        function: section,
        body: Box::leak(format!("return facts.{section}() ~= nil").into_boxed_str()),
        grants: Box::leak(format!("facts.read = ['{section}']").into_boxed_str()),
        again: Again::Settled,
    });
    stand("facts", &verbs, World::new, |_| String::new());
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
fn asking_for_all_gives_what_is_granted_and_refuses_nothing() {
    let ran = World::granting("facts.read = ['uptime', 'load']").run(
        "local names = table.pack() for name in pairs(facts.get_all()) do names[#names + 1] = name end
         table.sort(names) return { names = table.concat(names, ' ') }",
    );
    assert_eq!(ran.outputs(), r#"{"names":"load uptime"}"#);
    assert!(ran.denials().is_empty(), "{:?}", ran.denials());
    let ran = World::new().run("return { none = next(facts.get_all()) == nil }");
    assert_eq!(ran.outputs(), r#"{"none":true}"#);
    assert!(ran.denials().is_empty());
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
