//! `packages`: what is asked of the node's package manager. The manager is a script that says what apt says
//! and keeps what is installed in a file; the real ones are tried in the tests of hosts.

use std::time::{Duration, Instant};

use sloth_workflow::event::Level;

use crate::verbs::{Again, Verb, stand};
use crate::world::World;

const APT: &str = include_str!("tools/apt.sh");

/// A machine with apt: `base` is installed and has a newer version, `site` needs `lib`.
pub(crate) fn machine() -> World {
    let mut world = World::new();
    for tool in ["apt-get", "apt-cache", "dpkg-query"] {
        world.tool(tool, APT);
    }
    world.write("machine/installed", "sloth-base\t1.0\n");
    world.write(
        "machine/lists",
        "sloth-base\t2.0\t\nsloth-lib\t1.0\t\nsloth-site\t1.0\tsloth-lib\n",
    );
    world
}

fn state(world: &World) -> String {
    let current = std::path::Path::new(&world.path("machine/current")).exists();
    format!("{} {current}", world.read("machine/installed"))
}

#[test]
fn every_function_stands() {
    let verb = |function, body, grants| Verb {
        function,
        body,
        grants,
        again: Again::Settled,
    };
    let verbs = [
        verb(
            "manager",
            "return pkg.get_manager() == 'apt'",
            "facts.read = ['platform']",
        ),
        verb(
            "query",
            "return pkg.version('sloth-base') ~= nil",
            "packages.query = ['sloth-base']",
        ),
        verb("list", "return #pkg.list() > 0", "packages.query = ['*']"),
        verb(
            "search",
            "return #pkg.search('sloth') == 3",
            "packages.query = ['*']",
        ),
        verb(
            "info",
            "return pkg.info('sloth-site').version == '1.0'",
            "packages.query = ['sloth-s*']",
        ),
        verb(
            "install",
            "return pkg.install('sloth-site')",
            "packages.install = ['sloth-site']",
        ),
        verb(
            "remove",
            "return pkg.remove('sloth-base')",
            "packages.remove = ['sloth-base']",
        ),
        verb(
            "upgrade",
            "return pkg.upgrade('sloth-base')",
            "packages.upgrade = ['sloth-base']",
        ),
        verb("refresh", "return pkg.update()", "packages.refresh = ['*']"),
    ];
    stand("packages", &verbs, machine, state);
}

#[test]
fn an_installation_names_what_comes_along_and_shows_it() {
    let mut world = machine().and_granting("packages.install = ['sloth-site']");
    world.diff = true;
    let ran =
        world.run("return true, nil, { diff = pkg.install({ packages = { 'sloth-site' } }).diff }");
    assert_eq!(ran.changes(), ["install sloth-lib 1.0, sloth-site 1.0"]);
    assert!(
        ran.outputs().contains("+sloth-lib 1.0\\n+sloth-site 1.0"),
        "{}",
        ran.outputs()
    );
    assert_eq!(
        world.read("machine/installed"),
        "sloth-base\t1.0\nsloth-lib\t1.0\nsloth-site\t1.0\n"
    );
}

#[test]
fn what_others_depend_on_goes_only_with_all_of_them() {
    let lines = "packages.remove = ['sloth-lib']";
    let world = machine().and_granting(lines);
    let installed = "sloth-lib\t1.0\nsloth-site\t1.0\n";
    world.write("machine/installed", installed);
    let ran = world.run("return pkg.remove('sloth-lib')");
    let ended = ran.ended();
    assert!(
        ended.starts_with("denied: packages.remove is not granted for sloth-site")
            && ended.contains("sloth-site would be removed for the sake of sloth-lib"),
        "{ended}"
    );
    assert_eq!(world.read("machine/installed"), installed);
    let world = machine().and_granting("packages.remove = ['sloth-*']");
    world.write("machine/installed", installed);
    let ran = world.run("return pkg.remove({ 'sloth-lib' })");
    assert_eq!(ran.changes(), ["remove sloth-site 1.0, sloth-lib 1.0"]);
}

#[test]
fn a_denied_package_comes_along_with_nothing() {
    let world = machine()
        .and_granting("packages.install = ['*']\n[deny]\npackages.install = ['sloth-lib']");
    let ended = world.run("return pkg.install('sloth-site')").ended();
    assert!(
        ended.starts_with("denied: ") && ended.contains("sloth-lib"),
        "{ended}"
    );
    assert_eq!(world.read("machine/installed"), "sloth-base\t1.0\n");
}

#[test]
fn what_is_no_name_reaches_no_manager() {
    let world = machine().and_granting(
        "packages.install = ['*']\npackages.remove = ['*']\npackages.query = ['*']\npackages.upgrade = ['*']",
    );
    for name in [
        "sloth-site-",
        "sloth-site=1.0",
        "sloth-site/stable",
        "./x.deb",
        "--purge",
        "sloth-*",
        "^site$",
        "",
    ] {
        for call in ["install", "remove", "is_installed"] {
            let ended = world.run(&format!("return pkg.{call}('{name}')")).ended();
            assert!(ended.starts_with("failed: "), "{call} {name}: {ended}");
        }
    }
    for (call, said) in [
        ("pkg.install('nothing')", "pkg.update()"),
        ("pkg.upgrade('sloth-site')", "it is not installed"),
        (
            "pkg.install({ packages = { 'a1', 'b1' }, version = '1' })",
            "for one package",
        ),
        (
            "pkg.install({ packages = 'sloth-site', version = '1 --purge' })",
            "is not a version",
        ),
        (
            "pkg.install({ packages = 'sloth-site', manager = 'pip' })",
            "must be one of",
        ),
        ("pkg.install({ })", "no package is named"),
        (
            "pkg.install({ packages = 'sloth-site', manager = 'dnf' })",
            "has no `rpm`",
        ),
        ("pkg.installl('x')", "did you mean `install`?"),
    ] {
        let ended = world
            .run(&format!("local r, why = {call} return r, why"))
            .ended();
        let told = world
            .run(&format!("local r, why = {call} return true, why"))
            .ended();
        assert!(
            ended.contains(said) || told.contains(said),
            "{call}: {ended} {told}"
        );
    }
    assert_eq!(world.read("machine/installed"), "sloth-base\t1.0\n");
}

#[test]
fn a_version_is_brought_also_if_it_is_older_and_a_held_package_stays() {
    let world =
        machine().and_granting("packages.install = ['sloth-base']\npackages.upgrade = ['*']");
    let older = "return pkg.install({ packages = 'sloth-base', version = '0.9' })";
    assert_eq!(world.run(older).changes(), ["change sloth-base 1.0 to 0.9"]);
    assert!(world.run(older).changes().is_empty());
    world.write("machine/held", "sloth-base\n");
    let ran = world.run("local r, why = pkg.upgrade('sloth-base') return r ~= nil, why");
    assert!(
        ran.ended().contains("apt-mark unhold sloth-base"),
        "{}",
        ran.ended()
    );
    assert!(world.run("return pkg.upgrade()").changes().is_empty());
}

#[test]
fn all_are_upgraded_by_what_grants_all() {
    let world = machine().and_granting("packages.upgrade = ['sloth-base']");
    let ended = world.run("return pkg.upgrade()").ended();
    assert!(ended.contains("[packages] upgrade = [\"*\"]"), "{ended}");
    let world = machine().and_granting("packages.upgrade = ['*']");
    assert_eq!(
        world.run("return pkg.upgrade()").changes(),
        ["change sloth-base 1.0 to 2.0"]
    );
}

#[test]
fn check_mode_sees_what_it_would_have_done() {
    let mut world = machine()
        .and_granting("packages.install = ['*']\npackages.remove = ['*']\npackages.query = ['*']");
    world.check = true;
    let ran = world.run(
        "local out = { before = pkg.is_installed('sloth-site') }
         out.install = pkg.install('sloth-site').changed
         out.after, out.version = pkg.is_installed('sloth-site')
         out.lib = pkg.is_installed('sloth-lib')
         out.again = pkg.install('sloth-site').changed
         out.listed = #pkg.list()
         out.remove = pkg.remove('sloth-site').changed
         out.gone = pkg.is_installed('sloth-site')
         return true, nil, out",
    );
    assert_eq!(
        ran.outputs(),
        r#"{"after":true,"again":false,"before":false,"gone":false,"install":true,"lib":true,"listed":3,"remove":true,"version":"1.0"}"#
    );
    assert_eq!(world.read("machine/installed"), "sloth-base\t1.0\n");
}

#[test]
fn another_manager_is_waited_for_and_named_when_it_does_not_end() {
    let mut world = machine().and_granting("packages.install = ['sloth-site']");
    world.write("machine/locked", "");
    world.timeout = Duration::from_secs(4);
    let ran = world.run("local r, why = pkg.install('sloth-site') return r ~= nil, why");
    let ended = ran.ended();
    assert!(
        ended.starts_with("failed: ")
            && ended.contains("process 4711 (unattended-upgr) is at work"),
        "{ended}"
    );
    assert_eq!(
        ran.logged(Level::Info).len(),
        1,
        "{:?}",
        ran.logged(Level::Info)
    );
    // And goes on when it ends.
    world.timeout = Duration::from_secs(20);
    let lock = world.path("machine/locked");
    let freed = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(1500));
        std::fs::remove_file(lock).unwrap();
    });
    let ran = world.run("return pkg.install('sloth-site')");
    freed.join().unwrap();
    assert_eq!(ran.changes().len(), 1, "{}", ran.ended());
}

#[test]
fn a_manager_that_hangs_ends_with_its_step() {
    let mut world = machine().and_granting("packages.query = ['*']");
    world.tool("dpkg-query", "#!/bin/sh\n/usr/bin/sleep 60\n");
    world.timeout = Duration::from_millis(700);
    let began = Instant::now();
    let ended = world.run("return pkg.is_installed('sloth-base')").ended();
    assert!(ended.starts_with("timed-out: "), "{ended}");
    assert!(began.elapsed() < Duration::from_secs(15));
}

#[test]
fn a_flood_from_a_manager_is_cut_off() {
    let mut world = machine().and_granting("packages.query = ['*']");
    world.tool("dpkg-query", "#!/bin/sh\nexec /usr/bin/yes\n");
    let ended = world
        .run("local r, why = pkg.list() return r ~= nil, why")
        .ended();
    assert!(ended.contains("printed more than"), "{ended}");
}

#[test]
fn a_node_without_a_manager_says_so() {
    let mut world = World::granting("packages.query = ['*']");
    world.tool("true", "#!/bin/sh\n");
    let ended = world
        .run("local r, why = pkg.list() return r ~= nil, why")
        .ended();
    assert!(ended.contains("none of the package managers"), "{ended}");
}

#[test]
fn facts_and_assertions_tell_of_packages() {
    let world = machine().and_granting("packages.query = ['sloth-*']\nfacts.read = ['packages']");
    let ran = world.run(
        "local told = facts.packages()
         infra_test.package_is_installed('sloth-base')
         infra_test.package_version('sloth-base', '1')
         return told.manager == 'apt' and told.installed_count == 1 and told.packages[1].name == 'sloth-base'",
    );
    assert_eq!(ran.ended(), "ok: ");
    let ended = world
        .run("infra_test.package_is_installed('sloth-lib')")
        .ended();
    assert!(
        ended.contains("package sloth-lib is not installed"),
        "{ended}"
    );
    let ended = world
        .run("infra_test.package_version('sloth-base', '2')")
        .ended();
    assert!(ended.contains("has version 1.0, not 2"), "{ended}");
}

#[test]
fn a_deny_line_holds_for_a_package_of_whatever_architecture() {
    let world = machine()
        .and_granting("packages.install = ['*']\n[deny]\npackages.install = ['sloth-site']");
    for name in ["sloth-site", "sloth-site:i386"] {
        let ended = world.run(&format!("return pkg.install('{name}')")).ended();
        assert!(
            ended.starts_with("denied: packages.install"),
            "{name}: {ended}"
        );
    }
}
