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
        &["man", "policy", "none"],
        &["man", "run", "--dir", "."],
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

/// The names of all pages, of a command and of those beneath it, as `--help` lists them.
fn pages(program: &Program, words: &[&str], found: &mut Vec<String>) {
    found.push(format!(
        "{}.1",
        [&["sloth-runner"], words].concat().join("-")
    ));
    let help = program.run(&[words, &["--help"]].concat()).stdout;
    let Some((_, commands)) = help.split_once("Commands:\n") else {
        return;
    };
    let commands: Vec<String> = commands
        .lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .filter(|name| name != "help")
        .collect();
    for name in &commands {
        pages(program, &[words, &[name]].concat(), found);
    }
}

#[test]
fn a_folder_gets_a_manual_page_for_the_program_and_for_each_subcommand() {
    let program = Program::new();
    let folder = program.path("pages");
    let missing = program.run(&["man", "--dir", &folder]);
    assert_eq!(missing.code, Some(2));
    assert!(
        missing.stderr.contains("make it first"),
        "{}",
        missing.stderr
    );
    std::fs::create_dir(&folder).unwrap();
    let written = program.run(&["man", "--dir", &folder]);
    assert_eq!(written.code, Some(0), "{}", written.stderr);
    let mut expected = Vec::new();
    pages(&program, &[], &mut expected);
    assert!(expected.contains(&"sloth-runner-policy-check.1".to_owned()));
    let mut found: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    let page = std::fs::read_to_string(format!("{folder}/sloth-runner-policy-check.1")).unwrap();
    assert!(page.contains(".TH") && page.contains("Example"), "{page}");
    // The same that is printed.
    assert_eq!(program.run(&["man", "policy", "check"]).stdout, page);
}

#[test]
fn what_a_rule_grants_is_explained_with_what_it_asks_of_bundles_and_their_values() {
    let program = Program::new();
    let digest = "a".repeat(64);
    let policy = program.policy(&format!(
        "[deny]\nfiles.write = ['/srv/site/secret']\n\
         [keys]\nops = 'ed25519:3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29'\n\
         [[rule]]\nmatch = {{ signed-by = 'ops', values = 'none' }}\nfiles.write = ['/srv/site/**']\n\
         [[rule]]\nmatch = {{ bundle = 'sha256:{digest}' }}\nfiles.read = ['/srv/**']\n"
    ));
    let explain = |more: &[&str]| program.run(&[&["policy", "explain", &policy], more].concat());
    let written = explain(&["files.write /srv/site/a"]);
    assert_eq!(written.code, Some(3));
    let told =
        "a rule grants it to bundles of match = { signed-by = \"ops\", values = \"none\" } by ";
    assert!(written.stdout.contains(told), "{}", written.stdout);
    assert!(!written.stdout.contains(&digest), "{}", written.stdout);
    let denied = explain(&["files.write /srv/site/secret"]);
    assert!(
        !denied.stdout.contains("a rule grants"),
        "{}",
        denied.stdout
    );
    let json = explain(&["--output", "json", "files.read /srv/x"]).stdout;
    assert!(json.contains(&format!("sha256:{digest}")), "{json}");
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
