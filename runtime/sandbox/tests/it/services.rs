//! `services`: units of systemd, which here is one of the test's own (see `systemd.rs`); the real one
//! is met in the program's tests, on a host of their own.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::systemd::{Machine, Unit, answer};
use crate::verbs::{Again, Verb, stand};
use crate::world::World;

const SITE: &str = "systemd.create_service{ name = 'site', exec_start = { '/bin/true', 'a b' }, \
                    environment = { A = '1' }, writable = { '/srv/site' }, exec_reload = 'kill -HUP $MAINPID' }";

/// A machine with an nginx that is off, a cache that is on and outdated, and what cannot be started.
pub(crate) fn world() -> World {
    let mut world = World::new();
    let unit = |active, file| Unit {
        active,
        file,
        ..Unit::default()
    };
    let mut machine = Machine::default();
    machine
        .units
        .insert("nginx.service", unit("inactive", "disabled"));
    machine.units.insert(
        "cache.service",
        Unit {
            outdated: true,
            ..unit("active", "enabled")
        },
    );
    machine.units.insert(
        "hidden.service",
        Unit {
            load: "masked",
            ..unit("inactive", "masked")
        },
    );
    machine
        .units
        .insert("plain.service", unit("inactive", "static"));
    machine
        .units
        .insert("agent.service", unit("active", "enabled"));
    machine.aliases.insert("web.service", "nginx.service");
    machine.own = Some("agent.service");
    serve(&mut world, machine);
    world
}

fn serve(world: &mut World, machine: Machine) {
    let machine = Arc::new(Mutex::new(machine));
    world.node.system_bus = world.path("bus").into();
    world.node.units = world.path("units").into();
    std::fs::create_dir(world.path("units")).unwrap();
    answer(&world.node.system_bus, Arc::clone(&machine));
    world.systemd = Some(machine);
}

pub(crate) fn with(world: &World, change: impl FnOnce(&mut Machine)) {
    change(&mut world.systemd.as_ref().unwrap().lock().unwrap());
}

pub(crate) fn state(world: &World) -> String {
    let mut files: Vec<_> = std::fs::read_dir(world.path("units"))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            format!("{}: {:?}", path.display(), std::fs::read_to_string(&path))
        })
        .collect();
    files.sort();
    format!(
        "{:?}\n{files:?}",
        world.systemd.as_ref().unwrap().lock().unwrap()
    )
}

#[test]
fn every_function_stands() {
    let verb = |function, body, grants| Verb {
        function,
        body,
        grants,
        again: Again::Settled,
    };
    let acts = |function, body, grants| Verb {
        again: Again::Acts,
        ..verb(function, body, grants)
    };
    let body = Box::leak(format!("assert({SITE})").into_boxed_str());
    let verbs = [
        verb(
            "status",
            "assert(systemd.status('nginx'))",
            "services.status = ['nginx']",
        ),
        verb(
            "list",
            "assert(systemd.list_services())",
            "services.status = ['*']",
        ),
        verb(
            "start",
            "assert(systemd.start{ name = 'nginx' })",
            "services.start = ['nginx']",
        ),
        verb(
            "stop",
            "assert(service.stop('cache'))",
            "services.stop = ['cache.service']",
        ),
        acts(
            "restart",
            "assert(systemd.restart('nginx'))",
            "services.restart = ['nginx']",
        ),
        acts(
            "reload",
            "assert(systemd.reload('cache'))",
            "services.reload = ['cache']",
        ),
        verb(
            "enable",
            "assert(systemd.enable('nginx'))",
            "services.enable = ['nginx']",
        ),
        verb(
            "disable",
            "assert(systemd.disable('cache'))",
            "services.disable = ['cache']",
        ),
        verb(
            "define",
            body,
            "services.define = ['site']\nprocess.run = [\"/bin/true 'a b'\", 'kill -HUP *']\n\
             process.env = ['A']\nfiles.write = ['/srv/site/**']",
        ),
        verb(
            "remove",
            "assert(systemd.remove_service('former'))",
            "services.status = ['former']\nservices.define = ['former']",
        ),
        verb(
            "daemon-reload",
            "assert(systemd.daemon_reload())",
            "services.daemon-reload = true",
        ),
    ];
    let furnished = || {
        let world = world();
        world.write("units/former.service", "[Service]\nExecStart=/bin/true\n");
        world
    };
    let settled = |world: &World| {
        // Reading files again leaves the machine as it was.
        with(world, |machine| machine.reloads = 0);
        state(world)
    };
    stand("services", &verbs, furnished, settled);
}

#[test]
fn an_alias_reaches_no_unit_that_is_not_granted() {
    let world = world().and_granting(
        "services.start = ['web']\nservices.stop = ['web', 'nginx']\ndeny.services.stop = ['web']",
    );
    assert!(
        world
            .run("systemd.start('web')")
            .ended()
            .starts_with("denied: services.start is not granted for nginx.service (policy)")
    );
    // A deny line for one of a unit's names holds for all of them.
    let ended = world.run("systemd.stop('nginx')").ended();
    assert!(
        ended.starts_with("denied: services.stop is not granted for web.service (deny)"),
        "{ended}"
    );
}

#[test]
fn the_runners_own_unit_is_out_of_reach() {
    for (verb, call) in [
        ("stop", "systemd.stop('agent')"),
        ("restart", "systemd.restart('agent')"),
        ("disable", "systemd.disable('agent')"),
        ("stop", "systemd.stop('system.slice')"),
        (
            "define",
            "systemd.create_service{ name = 'agent', exec_start = '/bin/true' }",
        ),
        (
            "define",
            "systemd.create_service{ name = 'sloth-runner', exec_start = '/bin/true' }",
        ),
    ] {
        let world = world().and_granting(&format!(
            "services.{verb} = ['*']\nprocess.run = ['/bin/true']"
        ));
        let before = state(&world);
        let ended = world.run(call).ended();
        assert!(ended.contains(" (self-protection)"), "{call}: {ended}");
        assert_eq!(state(&world), before, "{call}");
    }
}

#[test]
fn what_cannot_be_done_says_why() {
    for (call, words) in [
        ("start('gone')", "there is no such unit"),
        ("start('hidden')", "it is masked"),
        ("enable('hidden')", "it is masked"),
        ("enable('plain')", "it is static"),
        ("reload('nginx')", "it is inactive; start it"),
        ("stop('gone')", "there is no such unit"),
    ] {
        let world = world().and_granting(
            "services.start = ['*']\nservices.stop = ['*']\nservices.enable = ['*']\nservices.reload = ['*']",
        );
        let ended = world
            .run(&format!(
                "local r, why = systemd.{call} return r ~= nil, why"
            ))
            .ended();
        assert!(
            ended.starts_with("failed: failed to ") && ended.contains(words),
            "{call}: {ended}"
        );
    }
}

#[test]
fn a_job_that_fails_is_a_failure() {
    let start = "local r, why = systemd.start('nginx') return r ~= nil, why";
    for (result, words) in [
        ("failed", "it failed"),
        ("timeout", "it took longer than its unit allows"),
        ("dependency", "a unit that it requires failed"),
    ] {
        let world = world().and_granting("services.start = ['nginx']");
        with(&world, |machine| {
            machine.units.get_mut("nginx.service").unwrap().result = Some(result);
        });
        let ran = world.run(start);
        assert!(ran.ended().contains(words), "{}", ran.ended());
        assert!(ran.changes().is_empty());
    }
    let world = world().and_granting("services.start = ['nginx']");
    with(&world, |machine| {
        machine.units.get_mut("nginx.service").unwrap().started = "failed";
    });
    assert!(
        world
            .run(start)
            .ended()
            .contains("failed to start nginx.service: it failed")
    );
    with(&world, |machine| {
        let unit = machine.units.get_mut("nginx.service").unwrap();
        (unit.started, unit.conditions, unit.active) = ("inactive", false, "inactive");
    });
    assert!(
        world
            .run(start)
            .ended()
            .contains("a condition of the unit does not hold")
    );
}

#[test]
fn a_job_without_an_end_ends_with_the_step_and_is_given_up() {
    let mut world = world().and_granting("services.start = ['nginx']");
    world.timeout = Duration::from_millis(1500);
    with(&world, |machine| {
        machine.units.get_mut("nginx.service").unwrap().result = None;
    });
    let began = Instant::now();
    let ended = world.run("systemd.start('nginx')").ended();
    assert!(ended.starts_with("timed-out: "), "{ended}");
    assert!(began.elapsed() < Duration::from_secs(8));
    with(&world, |machine| assert_eq!(machine.cancelled, 1));
}

#[test]
fn what_the_account_may_not_do_is_refused_by_the_system() {
    let world = world().and_granting("services.start = ['nginx']");
    with(&world, |machine| machine.forbids = true);
    let ended = world.run("systemd.start('nginx')").ended();
    assert!(
        ended.starts_with("denied: services.start is not granted for nginx.service (kernel)"),
        "{ended}"
    );
}

#[test]
fn a_machine_without_systemd_says_so() {
    let mut world = world().and_granting("services.start = ['nginx']\nfacts.read = ['*']");
    world.node.system_bus = world.path("none").into();
    let ended = world
        .run("local r, why = systemd.start('nginx') return r ~= nil, why")
        .ended();
    assert!(
        ended.contains("failed to start nginx.service: systemd does not answer at "),
        "{ended}"
    );
    let ran = world.run("return true, nil, { services = facts.get_all().services == nil }");
    assert_eq!(ran.outputs(), r#"{"services":true}"#);
}

#[test]
fn the_list_holds_what_status_grants() {
    let world = world().and_granting("services.status = ['nginx', 'cache']");
    let ran = world.run(
        "local names = { } for _, unit in ipairs(systemd.list_services()) do names[#names + 1] = unit.name end
         local active, word = systemd.is_active('cache')
         local enabled, state = systemd.is_enabled('nginx')
         return true, nil, { names = table.concat(names, ' '), active = active, word = word,
           enabled = enabled, state = state, pid = systemd.status('cache').main_pid,
           show = systemd.show('nginx'):match('ActiveState=%a+') }",
    );
    assert_eq!(
        ran.outputs(),
        r#"{"active":true,"enabled":false,"names":"cache.service nginx.service","pid":42,"show":"ActiveState=inactive","state":"disabled","word":"active"}"#
    );
    assert!(
        world
            .run("systemd.status('agent')")
            .ended()
            .starts_with("denied: ")
    );
}

#[test]
fn names_that_are_no_units_name_are_refused_before_anything() {
    let world = world().and_granting("services.stop = ['*']");
    for name in ["a b", "a/b", "../a", "-a", "*", "a\\n", "", "a@"] {
        let ended = world.run(&format!("systemd.stop('{name}')")).ended();
        assert!(
            ended.starts_with("failed: ") && ended.contains("name"),
            "{name}: {ended}"
        );
    }
}

#[test]
fn a_definition_is_held_against_the_other_grants() {
    let all = [
        ("services.define", "services.define = ['site']"),
        ("process.env", "process.env = ['A']"),
        ("files.write", "files.write = ['/srv/site/**']"),
        (
            "process.run",
            "process.run = [\"/bin/true 'a b'\", 'kill -HUP *']",
        ),
    ];
    for (missing, _) in all {
        let lines: Vec<_> = all
            .iter()
            .filter(|(key, _)| *key != missing)
            .map(|(_, line)| *line)
            .collect();
        let world = world().and_granting(&lines.join("\n"));
        let ended = world.run(SITE).ended();
        assert!(
            ended.starts_with(&format!("denied: {missing} is not granted for ")),
            "{ended}"
        );
        assert!(
            std::fs::read_dir(world.path("units"))
                .unwrap()
                .next()
                .is_none()
        );
    }
}

#[test]
fn a_defined_service_is_written_once_and_shows_its_diff() {
    let mut world = world().and_granting(
        "services.define = ['*']\nservices.start = ['*']\nprocess.run = ['/bin/true **', 'kill **']\n\
                             process.env = ['*']\nfiles.write = ['/srv/site/**']",
    );
    (world.check, world.diff) = (true, true);
    let ran = world.run(&format!("assert({SITE}) assert(systemd.start('site'))"));
    assert_eq!(
        ran.changes().len(),
        2,
        "{}: {:?}",
        ran.ended(),
        ran.changes()
    );
    assert!(
        std::fs::read_dir(world.path("units"))
            .unwrap()
            .next()
            .is_none()
    );
    (world.check, world.diff) = (false, false);
    assert_eq!(world.run(SITE).changes().len(), 1);
    assert_eq!(world.run(SITE).changes().len(), 0);
    let text = world.read("units/site.service");
    for line in [
        "ExecStart=/bin/true \"a b\"",
        "$MAINPID\n",
        "Environment=\"A=1\"",
        "ProtectSystem=strict",
        "ReadWritePaths=\"/srv/site\"",
        "WantedBy=multi-user.target",
        "Restart=always",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn infra_test_asks_systemd() {
    let world = world().and_granting("services.status = ['*']");
    let ran =
        world.run("infra_test.service_is_running('cache') infra_test.service_is_enabled('cache')");
    assert_eq!(ran.ended(), "ok: ");
    let ended = world.run("infra_test.service_is_running('nginx')").ended();
    assert!(
        ended.contains("service nginx is not running: inactive"),
        "{ended}"
    );
}

#[test]
fn no_pattern_reaches_what_ends_the_system() {
    let world = world()
        .and_granting("services.start = ['*']\nservices.restart = ['*']\nservices.enable = ['*']");
    for call in [
        "systemd.start('poweroff.target')",
        "systemd.restart('emergency.target')",
        "systemd.start('systemd-reboot')",
        "systemd.enable('rescue.target')",
    ] {
        let ended = world.run(&format!("return {call}")).ended();
        assert!(ended.contains("without a pattern"), "{call}: {ended}");
    }
}
