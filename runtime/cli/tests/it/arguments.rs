//! The command line itself: help, completions, manual, policy questions, plans.

use crate::program::Program;

#[test]
fn help_has_an_example_for_each_subcommand() {
    for subcommand in [
        "run",
        "plan",
        "check",
        "init",
        "modules",
        "lua-types",
        "policy check",
        "policy explain",
        "secret",
        "secret set",
        "secret list",
        "secret remove",
        "secret rotate-key",
        "policy test",
        "audit verify",
        "audit show",
        "sign",
        "agent",
        "agent start",
        "master start",
        "dev",
        "token create",
        "token list",
        "token revoke",
        "login",
        "sandbox precompile",
        "completions",
        "man",
    ] {
        let mut arguments: Vec<&str> = subcommand.split(' ').collect();
        arguments.push("--help");
        let ended = Program::new().run(&arguments);
        assert_eq!(ended.code, Some(0), "{subcommand}");
        assert!(
            ended.stdout.contains("Example"),
            "{subcommand}: {}",
            ended.stdout
        );
    }
}

#[test]
fn wrong_usage_exits_2() {
    for arguments in [
        &["run"][..],
        &["walk"],
        &["run", "s", "-f", "x", "--task"],
        &["man", "none"],
    ] {
        assert_eq!(Program::new().run(arguments).code, Some(2), "{arguments:?}");
    }
}

#[test]
fn completions_manual_and_version_are_printed() {
    let program = Program::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            program
                .run(&["completions", shell])
                .stdout
                .contains("sloth-runner")
        );
    }
    assert!(program.run(&["man"]).stdout.contains(".TH sloth-runner"));
    assert!(program.run(&["man", "run"]).stdout.contains("grant"));
    assert_eq!(program.run(&["version"]).stdout, "sloth-runner 0.1.0\n");
}

#[test]
fn a_policy_is_checked_and_explained() {
    let program = Program::new();
    let policy = program.policy("[files]\nread = ['/etc/nginx/**']\n[process]\nshell = true\n");
    let checked = program.run(&["policy", "check", &policy]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    assert!(
        checked.stdout.contains("process.shell"),
        "{}",
        checked.stdout
    );
    let allowed = program.run(&[
        "policy",
        "explain",
        &policy,
        "files.read /etc/nginx/nginx.conf",
    ]);
    assert_eq!(allowed.code, Some(0));
    assert!(allowed.stdout.contains(":3: "), "{}", allowed.stdout);
    let denied = program.run(&[
        "policy",
        "explain",
        &policy,
        "files.write /etc/nginx/nginx.conf",
    ]);
    assert_eq!(denied.code, Some(3));
    assert!(
        denied
            .stdout
            .contains("[files] write = [\"/etc/nginx/nginx.conf\"]")
    );
    let json = program.run(&[
        "policy",
        "explain",
        &policy,
        "files.read /x",
        "--output",
        "json",
    ]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        (json["allowed"].as_bool(), json["layer"].as_str()),
        (Some(false), Some("policy"))
    );
    assert_eq!(
        program
            .run(&["policy", "explain", &policy, "files.reed /x"])
            .code,
        Some(2)
    );
}

#[test]
fn a_plan_shows_tasks_order_and_capabilities_in_three_formats() {
    let program = Program::new();
    let file = "examples/site/workflow.sloth";
    let text = program.run(&["plan", file]);
    assert_eq!(text.code, Some(0), "{}", text.stderr);
    for part in [
        "workflow site 1.0.0",
        "after prepare",
        "files.write /tmp/sloth-site/**",
        "bundle sha256:",
    ] {
        assert!(text.stdout.contains(part), "{part}: {}", text.stdout);
    }
    let json = program.run(&["plan", file, "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["workflows"][0]["tasks"][1]["depends-on"][0], "prepare");
    let dot = program.run(&["plan", file, "--format", "dot"]).stdout;
    assert!(
        dot.starts_with("digraph plan {") && dot.contains("w0t0 -> w0t1;"),
        "{dot}"
    );
}
