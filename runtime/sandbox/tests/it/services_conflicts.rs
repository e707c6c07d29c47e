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
        let world =
            conflicting(whose).and_granting("services.start = ['*']\nservices.restart = ['*']");
        for call in [
            "systemd.start('rescuer')",
            "systemd.restart('rescuer')",
            "systemd.start('starter')",
        ] {
            let before = state(&world);
            let ended = world.run(&format!("return {call}")).ended();
            assert!(ended.contains("without a pattern"), "{call}: {ended}");
            assert!(ended.contains("the unit that the runner is in"), "{ended}");
            assert_eq!(state(&world), before, "{call}");
        }
        let ended = world.run("assert(systemd.start('nginx'))").ended();
        assert!(!ended.contains("conflicts"), "{ended}");
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
