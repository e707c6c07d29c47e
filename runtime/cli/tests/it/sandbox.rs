//! `sandbox precompile`, and programs that are given what it made.

use std::os::unix::fs::PermissionsExt;

use crate::program::{Ended, Program};

/// Runs a workflow in an empty data folder with this compiled guest.
fn run(program: &Program, guest: &str, more: &[&str]) -> Ended {
    let file = program.task("log.info('fine')");
    let data = program.path("data");
    let mut arguments = vec!["--data-dir", &data, "--guest", guest];
    arguments.extend(more);
    program.run_file(&file, &arguments)
}

#[test]
fn what_is_compiled_ahead_serves_every_start_and_nothing_is_compiled_or_kept() {
    let program = Program::new();
    let guest = program.path("guest.cwasm");
    let made = program.run(&["sandbox", "precompile", "--out", &guest]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    // Whatever memory a policy gives its steps.
    let small = program.policy("[limits]\nmemory = '32MiB'\n");
    for more in [&[][..], &["--policy", &small]] {
        let ended = run(&program, &guest, more);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
    assert!(!std::path::Path::new(&program.path("data/cache")).exists());
    // What is there is replaced, and nothing is left beside it.
    let again = program.run(&["sandbox", "precompile", "--out", &guest, "--output", "json"]);
    assert!(again.stdout.contains("guest.cwasm"), "{}", again.stdout);
    let beside = std::fs::read_dir(program.path("")).unwrap().flatten();
    let names: Vec<_> = beside.map(|entry| entry.file_name()).collect();
    let like = |name: &&std::ffi::OsString| name.to_string_lossy().starts_with("guest");
    assert_eq!(names.iter().filter(like).count(), 1, "{names:?}");
}

#[test]
fn what_does_not_fit_or_is_not_to_be_trusted_is_refused_with_the_way_out() {
    let program = Program::new();
    let guest = program.path("guest.cwasm");
    let made = program.run(&["sandbox", "precompile", "--out", &guest]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let refused = |guest: &str, why: &str| {
        let ended = run(&program, guest, &[]);
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        for part in [why, "sloth-runner sandbox precompile --out"] {
            assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
        }
    };
    let mode = |mode| {
        std::fs::set_permissions(&guest, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(0o664);
    refused(&guest, "can be written by others");
    mode(0o644);
    let mut bytes = std::fs::read(&guest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&guest, &bytes).unwrap();
    refused(&guest, "is not what was written");
    refused(&program.write("text", "text\n"), "not a compiled guest");
    refused(&program.path("none"), "No such file");
    refused(&program.path(""), "not a file");
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&guest, Some(1234), None).unwrap();
        refused(&guest, "belongs to another user");
    }
}

#[test]
fn a_folder_that_is_not_there_is_said() {
    let program = Program::new();
    let out = program.path("none/guest.cwasm");
    let made = program.run(&["sandbox", "precompile", "--out", &out]);
    assert_eq!(made.code, Some(2));
    assert!(made.stderr.contains(&out), "{}", made.stderr);
}
