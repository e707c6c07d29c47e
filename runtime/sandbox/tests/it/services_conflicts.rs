//! Units that stop the runner's own by conflicting with it.

use crate::services::{state, with, world};
use crate::systemd::Unit;
use crate::world::World;

/// A machine with a unit that stops the runner's when it starts, the other way round, and one that starts the first.
fn conflicting(conflicts_with_own: &'static str) -> World {
    let world = world();
    with(&world, |machine| {
        let rescuer = Unit {
            conflicts: if conflicts_with_own == "theirs" {
                &["agent.service", "shutdown.target"]
            } else {
                &["shutdown.target"]
            },
            ..Unit::default()
        };
        machine.units.insert("rescuer.service", rescuer);
        let starter = Unit {
            wants: &["nginx.service", "rescuer.service"],
            ..Unit::default()
        };
        machine.units.insert("starter.service", starter);
        let timer = Unit {
            triggers: &["rescuer.service"],
            ..Unit::default()
        };
        machine.units.insert("clock.timer", timer);
        let fragile = Unit {
            on_failure: &["rescuer.service"],
            ..Unit::default()
        };
        machine.units.insert("fragile.service", fragile);
        let own = machine.units.get_mut("agent.service").unwrap();
        own.conflicts = if conflicts_with_own == "ours" {
            &["rescuer.service", "shutdown.target"]
        } else {
            &["shutdown.target"]
        };
    });
    world
}

#[test]
fn what_would_stop_the_runner_by_conflicting_with_its_unit_is_started_by_no_pattern() {
    for whose in ["theirs", "ours"] {
        let world = conflicting(whose).and_granting(
            "services.start = ['*']\nservices.restart = ['*']\nservices.enable = ['*']",
        );
        world.write("lib/both.service", "[Install]\nAlso=inner.socket\n");
        world.write("lib/inner.socket", "[Install]\nAlso=rescuer.service\n");
        with(&world, |machine| machine.files = world.path(""));
        for call in [
            "systemd.start('rescuer')",
            "systemd.restart('rescuer')",
            "systemd.start('starter')",
            "systemd.start('clock.timer')",
            "systemd.start('fragile')",
            "systemd.enable('rescuer')",
            "systemd.enable('starter')",
            "systemd.enable('clock.timer')",
            "systemd.enable('both')",
        ] {
            let before = state(&world);
            let ended = world.run(&format!("return {call}")).ended();
            assert!(ended.contains("without a pattern"), "{call}: {ended}");
            assert!(ended.contains("the unit that the runner is in"), "{ended}");
            assert_eq!(state(&world), before, "{call}");
        }
        for call in ["start('nginx')", "enable('nginx')"] {
            let ended = world.run(&format!("assert(systemd.{call})")).ended();
            assert!(!ended.contains("conflicts"), "{ended}");
        }
    }
}

#[test]
fn what_the_runners_unit_ends_with_is_stopped_by_no_pattern() {
    let world =
        world().and_granting("services.stop = ['*']\nservices.restart = ['*', 'bus.socket']");
    with(&world, |machine| {
        let needed = |required_by| Unit {
            active: "active",
            required_by,
            ..Unit::default()
        };
        (machine.units).insert("bus.socket", needed(&["between.service"]));
        (machine.units).insert("between.service", needed(&["agent.service"]));
    });
    for call in [
        "stop('bus.socket')",
        "stop('between')",
        "restart('between')",
    ] {
        let before = state(&world);
        let ended = world.run(&format!("return systemd.{call}")).ended();
        assert!(
            ended.contains("agent.service, which the runner is in, ends with it"),
            "{call}: {ended}"
        );
        assert_eq!(state(&world), before, "{call}");
    }
    for call in ["stop('cache')", "restart('bus.socket')"] {
        let ran = world.run(&format!("assert(systemd.{call})"));
        assert!(ran.finished.outcome.succeeded(), "{}", ran.ended());
    }
}

#[test]
fn what_conflicts_with_the_runners_unit_is_started_where_the_policy_spells_its_name() {
    let world = conflicting("theirs").and_granting("services.start = ['rescuer', 'starter']");
    for name in ["rescuer", "starter"] {
        let ended = world
            .run(&format!("assert(systemd.start('{name}'))"))
            .ended();
        assert!(!ended.contains("conflicts"), "{ended}");
    }
    with(&world, |machine| {
        assert_eq!(machine.units["rescuer.service"].active, "active");
        assert_eq!(machine.units["starter.service"].active, "active");
    });
}
