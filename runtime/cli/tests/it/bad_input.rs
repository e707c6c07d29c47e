//! Bad input ends in a clear error that names the place, and nothing is lost.

use std::os::unix::fs::PermissionsExt;

use crate::program::Program;

fn refused(file: &str, program: &Program, said: &str) {
    let ended = program.run_file(file, &[]);
    assert_eq!(ended.code, Some(2), "{}{}", ended.stdout, ended.stderr);
    assert!(
        ended.stderr.contains(said),
        "wanted {said:?} in {}",
        ended.stderr
    );
    assert!(
        !ended.stderr.contains("panicked") && ended.stdout.is_empty(),
        "{}",
        ended.stderr
    );
}

#[test]
fn files_that_are_no_workflow_say_what_they_are() {
    let program = Program::new();
    refused(&program.path("none.sloth"), &program, "No such file");
    refused(&program.path(""), &program, "it is a folder");
    refused(
        &program.write("b.sloth", [0x7f, b'E', b'L', b'F', 0, 1]),
        &program,
        "binary data",
    );
    refused(
        &program.write("b2.sloth", [0xff, 0xfe, 0xfd]),
        &program,
        "b2.sloth",
    );
    refused(
        &program.write("h.sloth", "<html></html>"),
        &program,
        "h.sloth:1",
    );
    refused(
        &program.write("s.sloth", "local x = = 1"),
        &program,
        "s.sloth:1",
    );
    refused(
        &program.write("e.sloth", ""),
        &program,
        "no workflow is defined",
    );
    refused(
        &program.write("big.sloth", "-- x\n".repeat(2 << 20)),
        &program,
        "longer than 4194304 bytes",
    );
}

#[test]
fn mistakes_in_a_workflow_name_their_line() {
    let program = Program::new();
    refused(
        &program.write("m.sloth", "\ntask('t'):depend_on('x')"),
        &program,
        "m.sloth:2",
    );
    refused(
        &program.write("l.sloth", "\n\nfs.read('/etc/passwd')"),
        &program,
        "l.sloth:3",
    );
    let cycle = "workflow.define('w', { tasks = {
        { name = 'a', depends_on = 'b', command = function() end },
        { name = 'b', depends_on = 'a', command = function() end } } })";
    refused(&program.write("c.sloth", cycle), &program, "a → b → a");
}

#[test]
fn names_with_escape_sequences_never_reach_the_terminal_raw() {
    let program = Program::new();
    let file = program.write(
        "w.sloth",
        "workflow.define('w\\27]0;x\\7', { tasks = { { name = 'evil\\27[2J\\u{202e}', description = '\\27[31m',
           command = function() log.info('\\27[1mbold\\rover\\u{2066}') error('\\27[0m\\u{202e}') end } } })",
    );
    for more in [&[][..], &["--output", "json"]] {
        let ended = program.run_file(&file, more);
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        for raw in ['\u{1b}', '\u{202e}', '\u{2066}', '\r', '\u{7}'] {
            assert!(!ended.stdout.contains(raw), "{raw:?} in {}", ended.stdout);
            assert!(!ended.stderr.contains(raw), "{raw:?} in {}", ended.stderr);
        }
    }
    let planned = program.run(&["plan", &file]);
    assert!(!planned.stdout.contains('\u{1b}') && planned.stdout.contains("\\u{1b}"));
}

#[test]
fn values_that_are_none_name_their_file() {
    let program = Program::new();
    let file = program.task("log.info('x')");
    let values = program.write("v.yaml", "a: [unclosed\n");
    let ended = program.run_file(&file, &["-v", &values]);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains("v.yaml is not valid YAML"),
        "{}",
        ended.stderr
    );
    for (setting, said) in [
        ("novalue", "key=value"),
        ("a:=x", "JSON"),
        ("a..b=1", "empty part"),
    ] {
        let ended = program.run_file(&file, &["--var", setting]);
        assert_eq!(ended.code, Some(2));
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
}

#[test]
fn a_policy_with_a_typo_or_open_to_others_is_refused() {
    let program = Program::new();
    let file = program.task("log.info('x')");
    let policy = program.policy("[files]\nraed = ['/x']\n");
    let ended = program.run_file(&file, &["--policy", &policy]);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains("policy.toml:3:") && ended.stderr.contains("did you mean `read`?"),
        "{}",
        ended.stderr
    );
    let policy = program.policy("");
    std::fs::set_permissions(&policy, std::fs::Permissions::from_mode(0o666)).unwrap();
    let ended = program.run_file(&file, &["--policy", &policy]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("chmod go-w"), "{}", ended.stderr);
}

#[test]
fn a_workflow_cannot_change_its_own_file_or_its_policy() {
    let program = Program::new();
    let policy = program.policy("[files]\nread = ['/**']\nwrite = ['{}/**']");
    for name in ["w.sloth", "policy.toml"] {
        let file = program.task(&format!("fs.write('{{}}/{name}', 'x')"));
        let ended = program.run_file(&file, &["--policy", &policy]);
        assert_eq!(ended.code, Some(3), "{}", ended.stdout);
        assert!(ended.stdout.contains("self-protection"), "{}", ended.stdout);
    }
}

#[test]
fn foreign_and_corrupt_artefacts_are_compiled_anew() {
    let program = Program::new();
    let file = program.task("log.info('fine')");
    let data = program.path("data");
    let run = || program.run_file(&file, &["--data-dir", &data]);
    assert_eq!(run().code, Some(0));
    let cache = format!("{data}/cache");
    let artefact = || {
        std::fs::read_dir(&cache)
            .unwrap()
            .flatten()
            .next()
            .unwrap()
            .path()
    };
    let mut bytes = std::fs::read(artefact()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(artefact(), &bytes).unwrap();
    let ended = run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("compiled anew"), "{}", ended.stderr);
    assert!(run().stderr.is_empty());
    std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(0o777)).unwrap();
    let ended = run();
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.stderr.contains("can be written by others"),
        "{}",
        ended.stderr
    );
}

#[test]
fn what_travels_with_a_workflow_lies_in_its_folder_and_is_not_hidden() {
    let program = Program::new();
    for folder in ["secret", "w"] {
        std::fs::create_dir(program.path(folder)).unwrap();
    }
    program.write("secret/key", "TOPSECRET");
    program.write("w/.env", "PASSWORD");
    std::os::unix::fs::symlink(program.path("secret"), program.path("w/link")).unwrap();
    for (glob, said) in [
        ("link/key", "is a link"),
        (".env", "hidden"),
        ("../secret/key", "leads out"),
    ] {
        let file = program.write(
            "w/w.sloth",
            format!("workflow.define('w'):bundle('{glob}'):tasks({{ task('t'):command(function() end) }})"),
        );
        let ended = program.run(&["plan", &file]);
        assert_eq!(ended.code, Some(2), "{glob}: {}", ended.stdout);
        assert!(ended.stderr.contains(said), "{glob}: {}", ended.stderr);
    }
}

#[test]
fn a_file_that_imports_is_checked_with_what_it_imports() {
    let program = Program::new();
    program.write("lib.lua", "return 1");
    let text = "local lib = require('lib') workflow.define('w'):tasks({ task('t'):command(function() end) })";
    let file = program.write("w.sloth", text);
    let ended = program.run(&["check", &file]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}
