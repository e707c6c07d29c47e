//! `audit`, `run --learn`, `sign`, `policy test`, and what is known before a run.

use std::path::Path;

use crate::program::{Program, root};

/// What `run` needs to keep its audit in this program's own folder.
fn data(program: &Program) -> String {
    program.path("data")
}

#[test]
fn a_run_leaves_its_record_which_is_shown_verified_and_found_changed() {
    let program = Program::new();
    let file = program.task("fs.write('{}/out', 'x') pcall(fs.read, '/etc/shadow')");
    let policy = program.policy("files.write = ['{}/out']");
    let data = data(&program);
    let ended = program.run_file(&file, &["--policy", &policy, "--data-dir", &data]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let shown = program.run(&["audit", "show", "--data-dir", &data, "--output", "json"]);
    let kinds: Vec<_> = shown
        .events()
        .iter()
        .map(|record| record["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["intent", "result", "denial"], "{}", shown.stdout);
    let last = program.run(&[
        "audit",
        "show",
        "--data-dir",
        &data,
        "--task",
        "t",
        "--capability",
        "files.read",
        "--last",
        "1",
    ]);
    assert!(
        last.stdout.contains("/etc/shadow") && last.stdout.lines().count() == 1,
        "{}",
        last.stdout
    );
    let verified = program.run(&["audit", "verify", "--data-dir", &data]);
    assert_eq!(
        (verified.code, &*verified.stdout),
        (Some(0), "3 records, each as it was written\n")
    );

    let log = format!("{data}/audit/audit.jsonl");
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::write(&log, text.replacen("/out", "/oops", 1)).unwrap();
    let broken = program.run(&["audit", "verify", "--data-dir", &data]);
    assert_eq!(broken.code, Some(1));
    assert!(
        broken.stdout.starts_with(&format!("{log}:1: ")),
        "{}",
        broken.stdout
    );
    let json = program.run(&["audit", "verify", "--data-dir", &data, "--output", "json"]);
    assert!(
        json.stdout.contains(r#""valid":false"#) && json.stdout.contains(r#""line":1"#),
        "{}",
        json.stdout
    );
}

#[test]
fn the_data_folder_of_the_audit_is_out_of_a_steps_reach() {
    let program = Program::new();
    let data = data(&program);
    let file = program.task("fs.write('{}/data/audit/audit.jsonl', '')");
    let policy = program.policy("files.write = ['{}/**']");
    let ended = program.run_file(&file, &["--policy", &policy, "--data-dir", &data]);
    assert_eq!(ended.code, Some(3), "{}", ended.stdout);
}

#[test]
fn examples_run_under_exactly_what_was_learned_from_their_check() {
    for example in ["site", "hello"] {
        let program = Program::new();
        let file = root().join("examples").join(example).join("workflow.sloth");
        let file = file.to_str().unwrap();
        let learned = program.path("learned.toml");
        let site = format!("root={}", program.path("site"));
        let ended = program.run_file(file, &["--check", "--learn", &learned, "--var", &site]);
        assert!(
            matches!(ended.code, Some(0 | 5)),
            "{}{}",
            ended.stdout,
            ended.stderr
        );
        assert!(!Path::new(&program.path("site")).exists());
        let policy = std::fs::read_to_string(&learned).unwrap();
        assert!(!policy.contains("**"), "{policy}");
        // What programs touch is not seen, and the learned policy says so at their line.
        let added = if example == "site" {
            assert!(policy.contains("was not seen"), "{policy}");
            format!("{policy}\n[deny]\nfiles.read = ['/nowhere']\n")
        } else {
            policy.clone()
        };
        let exact = program.write("exact.toml", &added);
        let ended = program.run_file(file, &["--policy", &exact, "--var", &site]);
        assert!(
            !ended.stdout.contains("is not granted"),
            "{}\n{policy}",
            ended.stdout
        );
    }
}

#[test]
fn a_learned_policy_never_overwrites_a_file() {
    let program = Program::new();
    let file = program.task("log.info('ran')");
    let policy = program.policy("");
    let ended = program.run_file(&file, &["--learn", &policy]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("is there already") && !ended.stdout.contains("ran"));
    assert_eq!(program.run_file(&file, &["--learn-observe"]).code, Some(2));
}

#[test]
fn what_is_declared_and_not_granted_is_told_all_at_once_before_anything_runs() {
    let program = Program::new();
    let script = format!(
        "workflow.define('w'):tasks({{ task('t'):command(function() fs.write('{0}/a', 'x') end)
            :capabilities({{ process = {{ shell = true }} }}):build() }})
           :capabilities({{ files = {{ write = {{ '{0}/a', '/etc/motd' }} }} }})",
        program.path("")
    );
    let file = program.write("w.sloth", script);
    let policy = program.policy("files.write = ['{}/**']");
    let ended = program.run_file(&file, &["--policy", &policy]);
    assert_eq!(ended.code, Some(3), "{}", ended.stdout);
    for line in ["[files] write = [\"/etc/motd\"]", "[process] shell = true"] {
        assert!(ended.stderr.contains(line), "{}", ended.stderr);
    }
    assert!(!Path::new(&program.path("a")).exists());
}

#[test]
fn a_rule_by_signature_grants_to_what_was_signed_and_to_nothing_else() {
    let program = Program::new();
    let file = program.task("fs.write('{}/out', 'x')");
    let key = program.path("ops.key");
    let made = program.run(&["sign", "--new-key", &key]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let policy = program.policy(&format!(
        "{}[[rule]]\nmatch = {{ signed-by = \"ops\", workflow = \"w\" }}\nfiles.write = ['{{}}/out']",
        made.stdout
    ));
    let ran = || program.run_file(&file, &["--policy", &policy]).code;
    assert_eq!(ran(), Some(3), "not signed yet");
    let signed = program.run(&["sign", "-f", &file, "--key", &key]);
    assert_eq!(signed.code, Some(0), "{}", signed.stderr);
    assert_eq!(ran(), Some(0));
    assert_eq!(
        program.run(&["sign", "-f", &file, "--key", &key]).code,
        Some(0),
        "signed again"
    );

    program.task("fs.write('{}/out', 'y')");
    assert_eq!(ran(), Some(3), "changed after it was signed");
    let other = program.path("other.key");
    program.run(&["sign", "--new-key", &other]);
    program.run(&["sign", "-f", &file, "--key", &other]);
    assert_eq!(
        ran(),
        Some(3),
        "signed by a key that the policy does not know"
    );
    assert_eq!(
        program.run(&["sign", "--new-key", &key]).code,
        Some(2),
        "a key is never overwritten"
    );
}

#[test]
fn a_key_that_others_can_read_signs_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let program = Program::new();
    let file = program.task("");
    let key = program.path("k");
    program.run(&["sign", "--new-key", &key]);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ended = program.run(&["sign", "-f", &file, "--key", &key]);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains("can be read by others"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_policy_is_held_against_cases() {
    let program = Program::new();
    let policy = program.policy(
        "files.read = ['/etc/**']\nprocess.run = ['git pull *']\n[deny]\nfiles.read = ['**/*.key']",
    );
    let cases = program.write(
        "cases.toml",
        "allowed = ['files.read /etc/motd', 'process.run git pull origin']\ndenied = ['files.read /etc/a.key', 'process.run git push']\n[[cases]]\ncall = 'files.read /etc/a.key'\nexpect = 'denied'\nbecause = '*.key'",
    );
    let ended = program.run(&["policy", "test", &policy, &cases]);
    assert_eq!(
        (ended.code, &*ended.stdout),
        (Some(0), "5 of 5 cases are as expected\n"),
        "{}",
        ended.stderr
    );
    let cases = program.write(
        "cases.yaml",
        "denied: [files.read /etc/motd]\nallowed: [files.read /etc/hosts]\n",
    );
    let ended = program.run(&["policy", "test", &policy, &cases]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended
            .stdout
            .contains("FAILED files.read /etc/motd: expected denied, found allowed"),
        "{}",
        ended.stdout
    );
    let json = program.run(&["policy", "test", &policy, &cases, "--output", "json"]);
    assert!(json.stdout.contains(r#""passed":false"#), "{}", json.stdout);
    for wrong in [
        "alowed: [files.read /x]",
        "allowed: [files.reed /x]",
        "cases: [{ call: 'files.read /x' }]",
        "{}",
    ] {
        let cases = program.write("cases.yaml", wrong);
        assert_eq!(
            program.run(&["policy", "test", &policy, &cases]).code,
            Some(2),
            "{wrong}"
        );
    }
}

#[test]
fn explain_answers_for_every_scope() {
    let program = Program::new();
    let policy = program.policy("files.read = ['/etc/**']\nfacts.read = ['host*']\n[process]\nrun = ['git pull *']\nnetwork = true\n[http]\nsend = ['https://a.example/v1/**']\naddresses = ['10.0.0.0/8']\n[secrets]\nenv = { token = ['/usr/bin/psql'] }\nheader = { token = ['https://a.example'] }\n[users]\nids = ['16??']");
    for (call, code) in [
        ("files.read /etc/motd", 0),
        ("files.create /etc/motd", 3),
        ("facts.read hostname", 0),
        ("facts.read load", 3),
        ("process.run git pull origin", 0),
        ("process.run git pull | sh", 3),
        ("process.network", 0),
        ("process.network tcp:443", 0),
        ("process.network tcp:https", 3),
        ("process.shell", 3),
        ("http.send https://a.example/v1/x?q=1", 0),
        ("http.send https://b.example/v1/x", 3),
        ("http.addresses 10.9.8.7", 0),
        ("http.addresses 8.8.8.8", 0),
        ("http.addresses 127.0.0.1", 3),
        ("secrets.env token /usr/bin/psql", 0),
        ("secrets.env token /usr/bin/sh", 3),
        ("secrets.header token https://a.example", 0),
        ("secrets.header token http://a.example", 3),
        ("users.ids 1699", 0),
        ("users.ids 1700", 3),
    ] {
        let case = if code == 0 { "allowed" } else { "denied" };
        let cases = program.write("case.json", format!("{{\"{case}\": [\"{call}\"]}}"));
        let tested = program.run(&["policy", "test", &policy, &cases]);
        assert_eq!(tested.code, Some(0), "{call}: {}", tested.stdout);
        let ended = program.run(&["policy", "explain", &policy, call]);
        assert_eq!(
            ended.code,
            Some(code),
            "{call}: {}{}",
            ended.stdout,
            ended.stderr
        );
    }
}

#[test]
fn in_check_mode_a_second_workflow_sees_what_the_first_would_make() {
    let program = Program::new();
    let file = program.write(
        "two.sloth",
        format!(
            "workflow.define('one'):tasks({{ task('a'):command(function() fs.write('{0}/x', 'seen') end) }})
             workflow.define('two'):tasks({{ task('b'):command(function() log.info(fs.read('{0}/x')) end) }})",
            program.path("")
        ),
    );
    let policy = program.policy("files.write = ['{}/x']\nfiles.read = ['{}/x']");
    let ended = program.run_file(&file, &["--policy", &policy, "--check"]);
    assert_eq!(ended.code, Some(5), "{}", ended.stdout);
    assert!(ended.stdout.contains("seen"), "{}", ended.stdout);
}

#[test]
fn old_files_are_retired_to_where_they_are_kept_and_the_rest_verifies_and_says_so() {
    use sloth_fleet::store::node::audit::Log;
    use sloth_sandbox::ports::audit::{Audit, Kind, Origin, Record};

    let program = Program::new();
    let data = data(&program);
    let log = Log::filling(&Path::new(&data).join("audit"), 1000).unwrap();
    for _ in 0..20 {
        log.note(Record {
            time: std::time::SystemTime::UNIX_EPOCH,
            origin: std::sync::Arc::new(Origin::default()),
            kind: Kind::Call,
            capability: "files.read".into(),
            subject: "/etc/motd".into(),
            intent: None,
            outcome: None,
            reason: None,
        });
        log.flush();
    }
    drop(log);
    std::fs::create_dir(program.path("kept")).unwrap();
    let retire = |more: &[&str]| {
        let words = ["audit", "retire", "--data-dir", &data, "--older-than", "30"];
        program.run(&[&words, more].concat())
    };
    let nowhere = retire(&["--to", &program.path("nowhere")]);
    assert!(
        nowhere.code != Some(0) && nowhere.stderr.contains("nowhere"),
        "{}",
        nowhere.stderr
    );
    let gone = retire(&["--to", &program.path("kept")]);
    assert!(
        gone.code == Some(0) && gone.stdout.ends_with("records were retired\n"),
        "{}{}",
        gone.stdout,
        gone.stderr
    );
    assert!(std::fs::read_dir(program.path("kept")).unwrap().count() > 2);
    let verified = program.run(&["audit", "verify", "--data-dir", &data]);
    assert!(
        verified.code == Some(0) && verified.stdout.contains("were retired by"),
        "{}",
        verified.stdout
    );
    let again = retire(&["--output", "json"]);
    assert_eq!(again.stdout, "{\"files\":[],\"records\":0}\n");
}

#[test]
fn a_damaged_audit_is_set_aside_when_that_is_accepted_and_not_with_what_is_merely_old() {
    let program = Program::new();
    let data = data(&program);
    let folder = Path::new(&data).join("audit");
    drop(sloth_fleet::store::node::audit::Log::open(&folder).unwrap());
    std::fs::write(folder.join("audit.jsonl"), "no record\n").unwrap();
    let audit = |words: &[&str]| program.run(&[&["audit"], words, &["--data-dir", &data]].concat());
    assert_eq!(audit(&["verify"]).code, Some(1));
    let neither = audit(&["retire"]);
    assert_eq!(neither.code, Some(2));
    assert!(
        neither.stderr.contains("--older-than"),
        "{}",
        neither.stderr
    );
    assert_eq!(
        audit(&["retire", "--accept-damage", "--older-than", "3"]).code,
        Some(2)
    );
    let accepted = audit(&["retire", "--accept-damage"]);
    assert_eq!(accepted.code, Some(0), "{}", accepted.stderr);
    assert!(
        accepted.stdout.contains("audit.jsonl:1: is no record"),
        "{}",
        accepted.stdout
    );
    let verified = audit(&["verify"]);
    assert_eq!(verified.code, Some(0));
    for said in [
        "earlier records were retired by",
        "audit.jsonl:1: is no record",
    ] {
        assert!(verified.stdout.contains(said), "{}", verified.stdout);
    }
    let again = audit(&["retire", "--accept-damage", "--output", "json"]);
    assert_eq!(again.stdout, "{\"damage\":null}\n");
}
