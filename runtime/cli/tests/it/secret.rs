//! `secret`, and runs that use what it keeps: the whole way, with an eye on what comes out.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use serde_json::Value;

use crate::program::{Ended, Program};

const VALUE: &str = "correct-horse battery";

impl Program {
    /// `secret …` with a value on standard input, in a data folder of its own.
    fn secret(&self, arguments: &[&str], value: &str) -> Ended {
        let data = self.path("data");
        let mut all = vec!["secret", "--data-dir", &data];
        all.extend(arguments);
        with_input(self, &all, value)
    }

    fn json(&self, arguments: &[&str], value: &str) -> Value {
        let mut all = vec!["--output", "json"];
        all.extend(arguments);
        let ended = self.secret(&all, value);
        serde_json::from_str(&ended.stdout).expect("an object")
    }
}

fn with_input(program: &Program, arguments: &[&str], input: &str) -> Ended {
    let mut child = program
        .command(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Who refuses a name reads no value.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().unwrap().into()
}

/// Sets a secret where the runs of all tests look for theirs.
fn set(program: &Program, name: &str, value: &str) {
    let ended = with_input(program, &["secret", "set", name], value);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn secrets_are_set_listed_replaced_and_removed() {
    let program = Program::new();
    assert_eq!(
        program.secret(&["list"], "").stdout,
        "there are no secrets\n"
    );
    let ended = program.secret(&["set", "db-password"], "correct-horse battery\n");
    assert_eq!(
        ended.stdout, "secret db-password is set\n",
        "{}",
        ended.stderr
    );
    let again = program.json(&["set", "db-password"], VALUE);
    assert_eq!(
        again.to_string(),
        r#"{"name":"db-password","replaced":true}"#
    );
    let listed = program.json(&["list"], "");
    assert_eq!(listed["secrets"][0]["name"], "db-password");
    assert_eq!(listed["secrets"][0]["set"].as_str().unwrap().len(), 20);
    assert_eq!(
        program.json(&["rotate-key"], "").to_string(),
        r#"{"sealed":1}"#
    );
    assert_eq!(program.secret(&["remove", "db-password"], "").code, Some(0));
    let ended = program.secret(&["remove", "db-password"], "");
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains("sloth-runner secret list"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_value_is_never_an_argument_and_what_cannot_be_kept_is_refused() {
    let program = Program::new();
    assert_eq!(
        program.secret(&["set", "db-password", VALUE], "").code,
        Some(2)
    );
    for (name, value, said) in [
        ("db-password", "short\n", "shorter than 8 bytes"),
        ("db-password", "", "shorter than 8 bytes"),
        ("../x", VALUE, "is no name of a secret"),
        ("db\u{1b}[2J", VALUE, "is no name of a secret"),
    ] {
        let ended = program.secret(&["set", name], value);
        assert_eq!(ended.code, Some(2));
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
        assert!(!ended.stderr.contains('\u{1b}'));
    }
    assert!(!std::path::Path::new(&program.path("data")).exists());
}

#[test]
fn a_run_uses_a_secret_and_nothing_that_comes_out_tells_it() {
    let program = Program::new();
    set(&program, "cli-password", VALUE);
    let policy = program.policy(
        "process.run = ['printenv **']\nprocess.env = ['PGPASSWORD']\n[secrets]\n\
         env = { cli-password = ['/usr/bin/printenv'] }\nreveal = ['cli-password']",
    );
    let file = program.write(
        "w.sloth",
        "local pw = secret('cli-password')
         local dump = task('dump'):env({ PGPASSWORD = pw }):command(function()
           local r = exec.run('printenv PGPASSWORD')
           return true, 'it printed ' .. r.stdout, { out = r.stdout, pw = pw:reveal() }
         end):build()
         local show = task('show'):depends_on({ 'dump' }):command(function(this, params, deps)
           stack.set_output('pw', deps.dump.pw)
           log.info('from dump: ' .. deps.dump.pw .. ' and correct-horse ' .. 'battery')
           error('no ' .. pw:reveal())
         end):build()
         workflow.define('w'):tasks({ dump, show }):on_complete(function(success, results)
           print(results.show.message, results.dump.outputs.pw)
         end)",
    );
    for format in ["text", "json"] {
        let ended = program.run_file(&file, &["--policy", &policy, "--output", format]);
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        for text in [&ended.stdout, &ended.stderr] {
            assert!(!text.contains("correct-horse"), "{text}");
        }
        assert!(
            ended.stdout.contains("<secret cli-password>"),
            "{}",
            ended.stdout
        );
    }
}

#[test]
fn the_store_and_its_key_are_out_of_every_steps_reach() {
    let program = Program::new();
    set(&program, "cli-reach", VALUE);
    let key = program.path("own.key");
    let own = ["--key-file", &key, "set", "other"];
    assert_eq!(program.secret(&own, VALUE).code, Some(0));
    let policy = program.policy(
        "files.read = ['/**']\nfiles.write = ['/**']\nfiles.delete = ['/**']\nprocess.run = ['cat **']",
    );
    let data = format!("{}/data", env!("CARGO_TARGET_TMPDIR"));
    for path in [
        format!("{data}/secrets.sealed"),
        format!("{data}/secrets.key"),
        format!("{data}/secrets.lock"),
        key.clone(),
    ] {
        for call in ["fs.read('PATH')", "fs.write('PATH', 'x')", "fs.rm('PATH')"] {
            let file = program.task(&call.replace("PATH", &path));
            let ended = program.run_file(&file, &["--policy", &policy, "--key-file", &key]);
            assert_eq!(
                ended.code,
                Some(3),
                "{path}: {}{}",
                ended.stdout,
                ended.stderr
            );
            assert!(ended.stdout.contains("self-protection"), "{}", ended.stdout);
        }
        let file = program.task(&format!(
            "local r = exec.run('cat {path}') return true, nil, {{ out = #r.stdout }}"
        ));
        let more = ["--policy", &policy, "--key-file", &key, "--output", "json"];
        let ended = program.run_file(&file, &more);
        assert!(
            !ended.stdout.contains("sloth-secrets-key"),
            "{}",
            ended.stdout
        );
        assert!(!ended.stdout.contains("\"sealed\""), "{}", ended.stdout);
    }
}

#[test]
fn a_fault_of_the_store_fails_the_step_with_its_file_and_remedy() {
    let program = Program::new();
    let key = program.path("own.key");
    set(&program, "cli-fault", VALUE);
    let policy = program.policy("secrets.reveal = ['*']");
    let file = program.task("return #secret('cli-fault'):reveal() > 0");
    let ended = program.run_file(&file, &["--policy", &policy]);
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    program.write(
        "own.key",
        format!("sloth-secrets-key-1 {}\n", "0".repeat(64)),
    );
    let faulty = |mode: u32| {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        program.run_file(&file, &["--policy", &policy, "--key-file", &key])
    };
    for (mode, said) in [(0o644, "chmod 600"), (0o600, "was sealed with another key")] {
        let ended = faulty(mode);
        assert_eq!(ended.code, Some(1));
        assert!(ended.stdout.contains(said), "{}", ended.stdout);
    }
}

#[test]
fn a_plan_shows_which_secrets_go_where() {
    let program = Program::new();
    let file = program.write(
        "w.sloth",
        "workflow.define('w'):capabilities({ secrets = {
           env = { ['db-password'] = { '/usr/bin/pg_dump' } },
           header = { ['api-key'] = 'https://api.example.org' },
           reveal = { 'token' } } })
           :tasks({ task('t'):command(function() end):build() })",
    );
    let text = program.run(&["plan", &file]);
    for line in [
        "secrets.env db-password /usr/bin/pg_dump",
        "secrets.header api-key https://api.example.org",
        "secrets.reveal token",
    ] {
        assert!(text.stdout.contains(line), "{}{}", text.stdout, text.stderr);
    }
    let ended = program.run_file(&file, &["--grant-declared"]);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains("secrets.reveal token amounts to"),
        "{}",
        ended.stderr
    );
    let wrong = program.write(
        "wrong.sloth",
        "workflow.define('w'):capabilities({ secrets = { env = { 'db-password' } } })
           :tasks({ task('t'):command(function() end):build() })",
    );
    let ended = program.run(&["plan", &wrong]);
    assert!(
        ended.stderr.contains("is a table of lists by name"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_policy_explains_where_a_secret_may_go() {
    let program = Program::new();
    let policy = program.policy("secrets.env = { db-password = ['/usr/bin/pg_dump'] }");
    let explain = |call: &str| program.run(&["policy", "explain", &policy, call]);
    let allowed = explain("secrets.env db-password /usr/bin/pg_dump");
    assert_eq!(allowed.code, Some(0), "{}", allowed.stderr);
    let denied = explain("secrets.env db-password /usr/bin/psql");
    assert_eq!(denied.code, Some(3));
    assert!(
        denied
            .stdout
            .contains("[secrets] env = { \"db-password\" = [\"/usr/bin/psql\"] }"),
        "{}",
        denied.stdout
    );
}
