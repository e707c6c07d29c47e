//! Units of a real systemd.

use super::root::Host;

const WORKER: &str = "systemd.create_service{ name = 'worker', exec_start = { '/bin/sleep', '1000' }, \
                      description = 'Works', exec_reload = '/bin/echo $MAINPID', writable = '/var/cache' }";

const POLICY: &str = "[services]
status = ['*']
start = ['*']
stop = ['*']
restart = ['*']
reload = ['*']
enable = ['*']
disable = ['*']
define = ['*']
daemon-reload = true
[process]
run = ['/bin/sleep *', '/bin/echo *', '/bin/true', '/bin/false', '/bin/ls /nothing-is-there']
[files]
write = ['/var/cache/**']
";

#[test]
#[ignore = "needs a Debian root at SLOTH_TEST_ROOT: .ci/run makes one"]
fn a_service_lives_from_its_definition_to_its_removal() {
    let host = Host::boot();
    let life = format!(
        "assert({WORKER})
         assert(systemd.daemon_reload())
         assert(systemd.enable('worker'))
         assert(systemd.start('worker'))
         assert(systemd.is_active('worker') and systemd.is_enabled('worker'))
         return true"
    );
    let first = host.task(POLICY, &life, &[]);
    assert_eq!(first.code, Some(0), "{first:?}");
    assert_eq!(
        host.must(&["systemctl", "is-active", "worker"]).trim(),
        "active"
    );
    assert_eq!(
        host.must(&["systemctl", "is-enabled", "worker"]).trim(),
        "enabled"
    );
    let second = host.task(POLICY, &life, &["--output", "json"]);
    assert_eq!(second.code, Some(0), "{second:?}");
    assert!(!second.stdout.contains("\"type\":\"change\""), "{second:?}");
    let verified = host.run(&[
        "systemd-analyze",
        "verify",
        "/etc/systemd/system/worker.service",
    ]);
    assert_eq!(verified.text(), "");

    let before = host.must(&["systemctl", "show", "-p", "MainPID", "--value", "worker"]);
    let acts = "assert(systemd.reload('worker')) assert(systemd.restart('worker')) \
                log.info(systemd.status('worker')) log.info(systemd.show('worker')) \
                assert(#systemd.list_services() > 3) assert(#facts.services() > 3)";
    let ended = host.task(
        &format!("{POLICY}[facts]\nread = ['services']\n"),
        acts,
        &[],
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_ne!(
        host.must(&["systemctl", "show", "-p", "MainPID", "--value", "worker"]),
        before
    );

    let removal = "local gone = assert(systemd.remove_service('worker')) assert(gone.changed) \
                   assert(systemd.daemon_reload())
                   assert(not assert(systemd.remove_service('worker')).changed)";
    let ended = host.task(POLICY, removal, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!host.has("/etc/systemd/system/worker.service"));
    assert_ne!(
        host.run(&["systemctl", "is-active", "worker"]).code,
        Some(0)
    );
}

#[test]
#[ignore = "needs a Debian root at SLOTH_TEST_ROOT: .ci/run makes one"]
fn a_service_that_fails_tells_its_journal() {
    let host = Host::boot();
    for (kind, program) in [
        ("oneshot", "/bin/ls /nothing-is-there"),
        ("oneshot", "/bin/false"),
    ] {
        let ended = host.task(
            POLICY,
            &format!(
                "systemd.create_service{{ name = 'broken', type = '{kind}', exec_start = '{program}' }}
                 systemd.daemon_reload()
                 local r, why = systemd.start('broken') return r ~= nil, why"
            ),
            &[],
        );
        assert_ne!(ended.code, Some(0));
        let told = ended.text();
        assert!(
            told.contains("failed to start broken.service: its program ended with an error"),
            "{told}"
        );
        assert!(told.contains("its journal ends with:"), "{told}");
        if program.contains("nothing") {
            assert!(told.contains("cannot access '/nothing-is-there'"), "{told}");
        }
    }
}

#[test]
#[ignore = "needs a Debian root at SLOTH_TEST_ROOT: .ci/run makes one"]
fn a_service_that_never_gets_ready_ends_with_the_step() {
    let host = Host::boot();
    host.write(
        "/etc/systemd/system/slow.service",
        "[Service]\nType=notify\nExecStart=/bin/sleep 1000\nTimeoutStartSec=2\n",
    );
    let start = "local r, why = systemd.start('slow') return r ~= nil, why";
    let told = host.task(POLICY, start, &[]).text();
    assert!(
        told.contains("failed to start slow.service: it took longer"),
        "{told}"
    );
    host.write(
        "/etc/systemd/system/slower.service",
        "[Service]\nType=notify\nExecStart=/bin/sleep 1000\nTimeoutStartSec=600\n",
    );
    let limited = format!("{POLICY}[limits]\nstep-time = '2s'\n");
    let ended = host.task(&limited, "systemd.start('slower')", &[]);
    assert_ne!(ended.code, Some(0));
    assert_eq!(
        host.must(&["systemctl", "list-jobs", "--no-legend"]).trim(),
        ""
    );
}

#[test]
#[ignore = "needs a Debian root at SLOTH_TEST_ROOT: .ci/run makes one"]
fn masked_missing_static_and_aliased_units_are_told_apart() {
    let host = Host::boot();
    host.must(&["systemctl", "mask", "dpkg-daily.service"]);
    for (call, words) in [
        ("start('dpkg-daily')", "it is masked"),
        ("start('no-such-thing')", "there is no such unit"),
        ("enable('systemd-journald')", "it is static"),
        ("enable('dpkg-daily')", "it is masked"),
        ("reload('dbus.socket')", "it has no ExecReload="),
    ] {
        let told = host
            .task(
                POLICY,
                &format!("local r, why = systemd.{call} return r ~= nil, why"),
                &[],
            )
            .text();
        assert!(told.contains(words), "{call}: {told}");
    }
    host.write(
        "/etc/systemd/system/real.service",
        "[Service]\nExecStart=/bin/sleep 1000\n",
    );
    host.must(&[
        "ln",
        "-s",
        "real.service",
        "/etc/systemd/system/other.service",
    ]);
    host.must(&["systemctl", "daemon-reload"]);
    let only = "[services]\nstart = ['other']\n";
    let told = host.task(only, "systemd.start('other')", &[]).text();
    assert!(
        told.contains("services.start is not granted for real.service"),
        "{told}"
    );
    assert_ne!(host.run(&["systemctl", "is-active", "real"]).code, Some(0));
}

#[test]
#[ignore = "needs a Debian root at SLOTH_TEST_ROOT: .ci/run makes one"]
fn check_mode_foretells_and_changes_nothing() {
    let host = Host::boot();
    let body = format!(
        "assert({WORKER}) assert(systemd.enable('worker')) assert(systemd.start('worker'))"
    );
    let ended = host.task(POLICY, &body, &["--check", "--diff"]);
    let told = ended.text();
    for words in [
        "create /etc/systemd/system/worker.service",
        "+ExecStart=/bin/sleep \"1000\"",
        "enable worker.service",
        "start worker.service",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(!host.has("/etc/systemd/system/worker.service"));
}

#[test]
#[ignore = "needs a Debian root at SLOTH_TEST_ROOT: .ci/run makes one"]
fn the_unit_that_the_runner_is_in_cannot_be_stopped() {
    let host = Host::boot();
    host.write("/root/policy.toml", format!("version = 1\n{POLICY}"));
    host.write(
        "/root/w.sloth",
        "workflow.define('w'):tasks({ task('t'):command(function() \
         local fine, why = pcall(systemd.stop, 'inside') log.info(tostring(why)) return not fine end):build() })",
    );
    let ended = host.run(&[
        "systemd-run",
        "--wait",
        "--pipe",
        "--unit=inside",
        "--setenv=HOME=/root",
        "/usr/local/bin/sloth-runner",
        "run",
        "x",
        "-f",
        "/root/w.sloth",
        "--policy",
        "/root/policy.toml",
        "--yes",
    ]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.text().contains("inside.service (self-protection)"),
        "{ended:?}"
    );
    assert_eq!(
        host.read("/etc/debian_version").split('.').next(),
        Some("12")
    );
}
