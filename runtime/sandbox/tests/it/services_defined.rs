//! Services that a workflow defines: what their files may hold, and what comes with them.

use crate::services::world;

#[test]
fn nothing_can_be_injected_into_a_unit() {
    let world = world().and_granting(
        "services.define = ['*']\nprocess.run = ['/bin/true **']\nprocess.env = ['*']\nfiles.write = ['/srv/**']",
    );
    for options in [
        "description = 'a\\nExecStartPre=/bin/sh'",
        "user = 'root\\nExecStartPre=/bin/sh'",
        "environment = { A = 'b\\nX=y' }",
        "environment = { ['A B'] = 'b' }",
        "after = { 'network.target\\nx' , 'a/b' }",
        "wanted_by = { '*' }",
        "working_directory = '/srv\\nX=y'",
        "writable = { '/srv/a b' }",
        "restart = 'always\\nX=y'",
        "type = 'dbus'",
        "open = { 'everything' }",
        "exec_stop = '/bin/true; /bin/sh'",
    ] {
        let ended = world
            .run(&format!(
                "systemd.create_service{{ name = 'x', exec_start = '/bin/true', {options} }}"
            ))
            .ended();
        assert!(
            ended.starts_with("failed: ") || ended.starts_with("denied: process.shell"),
            "{options}: {ended}"
        );
    }
    for name in ["x.timer", "x@1.service", "../x", "x.service.d/y"] {
        let ended = world
            .run(&format!(
                "systemd.create_service{{ name = '{name}', exec_start = '/bin/true' }}"
            ))
            .ended();
        assert!(ended.starts_with("failed: "), "{name}: {ended}");
    }
    assert!(
        std::fs::read_dir(world.path("units"))
            .unwrap()
            .next()
            .is_none()
    );
}

#[test]
fn a_masked_service_is_not_defined_through_its_link() {
    let world = world().and_granting("services.define = ['x', 'y']\nprocess.run = ['/bin/true']");
    std::os::unix::fs::symlink("/dev/null", world.path("units/x.service")).unwrap();
    std::os::unix::fs::symlink(world.write("other", "mine"), world.path("units/y.service"))
        .unwrap();
    for (name, words) in [("x", "masks the unit"), ("y", "is a link to")] {
        let ended = world
            .run(&format!("local r, why = systemd.create_service{{ name = '{name}', exec_start = '/bin/true' }} return r ~= nil, why"))
            .ended();
        assert!(ended.contains(words), "{ended}");
    }
    assert_eq!(world.read("other"), "mine");
}

#[test]
fn a_service_starts_with_it_only_what_the_workflow_may_start_itself() {
    let grants = "services.define = ['app']\nservices.start = ['app', 'cache']\nservices.enable = ['cache.service']\nprocess.run = ['/bin/true']";
    let define = |options: &str| {
        format!(
            "return systemd.create_service{{ name = 'app', exec_start = '/bin/true', {options} }}"
        )
    };
    let refused = world().and_granting(grants);
    for (options, needed) in [
        (
            "requires = { 'debug-shell.service' }",
            "services.start is not granted for debug-shell.service",
        ),
        (
            "wants = { 'poweroff.target' }",
            "services.start is not granted for poweroff.target",
        ),
        (
            "wanted_by = { 'sshd.service' }",
            "services.enable is not granted for sshd.service",
        ),
    ] {
        let ended = refused.run(&define(options)).ended();
        assert!(
            ended.starts_with(&format!("denied: {needed}")),
            "{options}: {ended}"
        );
    }
    let denied = world().and_granting(&format!("{grants}\n[deny]\nservices.start = ['cache']"));
    let ended = denied.run(&define("requires = { 'cache' }")).ended();
    assert!(ended.starts_with("denied: services.start"), "{ended}");
    let open = world().and_granting(&grants.replace("'cache']", "'*']"));
    let ended = open.run(&define("wants = { 'poweroff.target' }")).ended();
    assert!(ended.contains("without a pattern"), "{ended}");
    let ended = open
        .run(&define("requires = { 'sloth-runner-agent.service' }"))
        .ended();
    assert!(ended.starts_with("denied: "), "{ended}");
    let granted = world().and_granting(grants);
    let ran = granted.run(&define("requires = { 'cache' }, wants = { 'network-online.target' }, wanted_by = { 'cache.service', 'multi-user.target' }"));
    assert_eq!(ran.changes().len(), 1, "{}", ran.ended());
}
