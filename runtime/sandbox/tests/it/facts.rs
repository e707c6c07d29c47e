//! `facts`: what the node is, section by section.

use std::sync::Arc;

use crate::verbs::{Again, Verb, stand};
use crate::world::World;

const SECTIONS: [&str; 10] = [
    "hostname",
    "platform",
    "memory",
    "disk",
    "network",
    "uptime",
    "load",
    "packages",
    "users",
    "processes",
];

/// With packages and accounts to tell of, whatever the machine of the tests has.
fn machine() -> World {
    let mut world = crate::packages::machine();
    world.tool(
        "getent",
        "#!/bin/sh\necho 'root:x:0:0:root:/root:/bin/sh'\n",
    );
    world.node.system_bus = world.path("bus").into();
    crate::systemd::answer(&world.node.system_bus, Arc::default());
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
    let mut verbs = Vec::from(verbs);
    verbs.push(Verb {
        function: "services",
        body: "return facts.services() ~= nil",
        grants: "facts.read = ['services']",
        again: Again::Settled,
    });
    stand("facts", &verbs, machine, |_| String::new());
}

#[test]
fn processes_are_counted_and_never_show_their_command_lines() {
    let ran = World::granting("facts.read = ['processes']").run(
        "local all = facts.processes()
         local one = all.list[1]
         return true, nil, { total = all.total == #all.list and all.total > 0, pid = one.pid > 0,
           name = #one.name > 0, cmdline = one.cmdline == nil, state = #one.state > 0,
           sum = all.running + all.sleeping + all.zombie <= all.total }",
    );
    assert_eq!(
        ran.outputs(),
        r#"{"cmdline":true,"name":true,"pid":true,"state":true,"sum":true,"total":true}"#
    );
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
    let ran = machine().and_granting("facts.read = ['users', 'packages', 'services', 'processes']").run(
        "local all = facts.get_all() local names = table.pack() for name in pairs(all) do names[#names + 1] = name end
         table.sort(names) return { names = table.concat(names, ' '), total = all.processes.total > 0, first = all.users[1].username }",
    );
    assert_eq!(
        ran.outputs(),
        r#"{"first":"root","names":"packages processes services users","total":true}"#
    );
    let ran = World::new().run("return { none = next(facts.get_all()) == nil }");
    assert_eq!(ran.outputs(), r#"{"none":true}"#);
    assert!(ran.denials().is_empty());
}
