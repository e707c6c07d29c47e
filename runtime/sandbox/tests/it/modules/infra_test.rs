//! `infra_test`: each assertion once met and once not.

use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::{denied, holds};
use crate::world::World;

/// Fails unless the call fails the task, with that in its message.
#[track_caller]
fn fails(world: &World, call: &str, said: &str) {
    let ended = world.run(call).ended();
    assert!(
        ended.starts_with("failed: ") && ended.contains(said),
        "{call}: {ended}"
    );
}

#[test]
fn nothing_is_looked_at_without_a_grant() {
    denied("files.read", "infra_test.file_exists('/etc/hostname')");
    denied("files.read", "infra_test.port_is_listening(80)");
    denied("process.run", "infra_test.command_succeeds('true')");
    denied("services.status", "infra_test.service_is_running('ssh')");
    denied("packages.query", "infra_test.package_is_installed('bash')");
    fails(
        &World::new(),
        "infra_test.process_is_running('sh')",
        "no process that may be seen",
    );
}

#[test]
fn files() {
    let world = World::granting("files.read = ['{}/**', '{}']");
    let path = world.write("a", "port = 80\n");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let uid = std::fs::metadata(&path).unwrap().uid();
    holds(
        &world,
        &format!(
            r#"local t = infra_test
            same(t.file_exists("{{}}/a"), true) same(t.is_file("{{}}/a", "local"), true) same(t.is_directory("{{}}"), true)
            same(t.file_contains("{{}}/a", "port = 80"), true) same(t.file_contains("{{}}/a", "port = %d+"), true)
            same(t.file_mode("{{}}/a", "0640"), true) same(t.file_size("{{}}/a", 10), true)
            same(t.file_owner("{{}}/a", {uid}), true) same(t.file_group("{{}}/a", fs.stat("{{}}/a").group), true)"#
        ),
    );
    for (call, said) in [
        ("file_exists('{}/none')", "nothing is there"),
        ("is_file('{}')", "its kind is directory, not file"),
        ("is_directory('{}/a')", "its kind is file, not directory"),
        ("file_contains('{}/a', 'port = 81')", "does not contain"),
        ("file_mode('{}/a', '0600')", "its mode is 0640, not 0600"),
        ("file_owner('{}/a', 'nobody-else')", "its owner is"),
        ("file_group('{}/a', 'nobody-else')", "its group is"),
        ("file_size('{}/a', 9)", "its size is 10, not 9"),
        ("is_file('{}/a', 'web-01')", "delegate_to"),
    ] {
        fails(&world, &format!("infra_test.{call}"), said);
    }
}

#[test]
fn ports() {
    let world = World::granting("files.read = ['/proc/1/net/*']");
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (tcp_port, udp_port) = (
        tcp.local_addr().unwrap().port(),
        udp.local_addr().unwrap().port(),
    );
    holds(
        &world,
        &format!(
            "same(infra_test.port_is_listening({tcp_port}), true) same(infra_test.port_is_tcp({tcp_port}), true) same(infra_test.port_is_udp({udp_port}), true)"
        ),
    );
    drop((tcp, udp));
    fails(
        &world,
        &format!("infra_test.port_is_tcp({tcp_port})"),
        "nothing listens on TCP port",
    );
    fails(
        &world,
        &format!("infra_test.port_is_udp({udp_port})"),
        "is not open",
    );
}

#[test]
fn processes() {
    let world = World::granting("files.read = ['/proc/*/cmdline']");
    // Of other runs of this test there may be more.
    let sleep = format!("sleep {}.25", 4000 + std::process::id());
    let mut child = std::process::Command::new("sleep")
        .arg(&sleep["sleep ".len()..])
        .spawn()
        .unwrap();
    let running = format!("infra_test.process_is_running('{sleep}')");
    let counted = format!("infra_test.process_count('{sleep}', 1)");
    let ran = world.run(&format!("{running} {counted}"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(ran.ended(), "ok: ");
    fails(&world, &running, "no process");
    fails(&world, &counted, "0 processes match");
}

#[test]
fn commands() {
    let mut world = World::granting("process.shell = true\nprocess.run = ['/** **', '*', '* **']");
    // They are to change nothing, so check mode runs them too.
    for check in [false, true] {
        world.check = check;
        holds(
            &world,
            r#"local t = infra_test
            same(t.command_succeeds("true"), true) same(t.command_fails("false"), true)
            same(t.command_stdout_contains("echo a1b", "%d"), true) same(t.command_outputs("echo a.b", "a.b"), true)
            same(t.command_stderr_is_empty({ "echo", "x" }), true) same(t.command_output_equals("echo x", "x"), true)"#,
        );
    }
    for (call, said) in [
        ("command_succeeds('false')", "`false`: exit code 1"),
        ("command_fails('true')", "`true`: succeeded"),
        (
            "command_stdout_contains('echo a', 'b')",
            "its output has no `b`",
        ),
        ("command_stderr_is_empty('echo x >&2')", "wrote x"),
        (
            "command_output_equals('echo x', 'y')",
            "its output is `x`, not `y`",
        ),
    ] {
        fails(&world, &format!("infra_test.{call}"), said);
    }
}
