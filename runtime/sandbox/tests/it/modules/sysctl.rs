//! `sysctl`. What is set here is what the kernel has already, or has not at all: tests change no machine.

use super::{changes_once, denied, holds};
use crate::world::World;

#[test]
fn nothing_is_read_written_or_run_without_a_grant() {
    denied("files.read", "sysctl.get('kernel.ostype')");
    denied("files.read", "sysctl.exists('kernel.ostype')");
    denied("files.read", "sysctl.set('kernel.ostype', 'x')");
    denied("process.run", "sysctl.list()");
    denied("process.run", "sysctl.reload('/tmp/x')");
    denied("process.run", "sysctl.apply()");
    let ended = World::granting("files.read = ['/proc/sys/**']")
        .run("sysctl.set('kernel.ostype', 'x')")
        .ended();
    assert!(
        ended.starts_with("denied: process.run is not granted for sysctl -w 'kernel.ostype=x'"),
        "{ended}"
    );
}

#[test]
fn settings_are_read_and_one_that_is_so_is_not_set() {
    holds(
        &World::granting("files.read = ['/proc/sys/**']"),
        r#"same(sysctl.get("kernel.ostype"), "Linux") same(sysctl.exists("kernel.ostype"), true) same(sysctl.exists("kernel.none"), false)
        local none, why = sysctl.get("kernel.none") same(none, nil) assert(why)
        local r = assert(sysctl.set("kernel.ostype", "Linux")) same(r.changed, false) same(r.success, true)"#,
    );
    let ended = World::new().run("sysctl.get('../../etc/passwd')").ended();
    assert!(ended.contains("is not the name of a setting"), "{ended}");
}

#[test]
fn settings_are_kept_once() {
    let world = World::granting("files.read = ['{}/**', '/proc/sys/**']\nfiles.write = ['{}/**']");
    world.write("99.conf", "kernel.ostype=Other\nkernel.ostypes = 1\n");
    changes_once(
        &world,
        "sysctl.persist('kernel.ostype', 'Linux', '{}/99.conf')",
    );
    assert_eq!(
        world.read("99.conf"),
        "kernel.ostype = Linux\nkernel.ostypes = 1\n"
    );
    changes_once(
        &world,
        "sysctl.persist('vm.swappiness', 10.0, '{}/99.conf')",
    );
    changes_once(
        &world,
        "sysctl.persist('net.ipv4.ip_forward', true, '{}/new.conf')",
    );
    assert_eq!(world.read("new.conf"), "net.ipv4.ip_forward = 1\n");
    changes_once(
        &world,
        "sysctl.set_persistent('kernel.ostype', 'Linux', '{}/both.conf')",
    );
}

#[test]
fn settings_are_listed_and_a_bad_file_is_a_message() {
    holds(
        &World::granting("process.run = ['sysctl **']\nfiles.read = ['/proc/sys/**', '/etc/**']"),
        r#"local list = assert(sysctl.list("^kernel.ostype$")) same(#list, 1) same(list[1].name, "kernel.ostype") same(list[1].value, "Linux")
        local none, why = sysctl.reload("/etc/none-of-sloth.conf") same(none, nil) assert(why:find("sysctl.reload"))"#,
    );
}
