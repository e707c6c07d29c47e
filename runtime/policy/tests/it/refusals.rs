//! What a refusal says.

use sloth_policy::{Capability, Effective, Layer};

use crate::{policy, strings, under};

#[test]
fn a_refusal_by_the_policy_names_the_line() {
    let denial = under("").denial(Capability::FilesWrite, "/etc/motd", Layer::Policy);
    assert_eq!(
        denial.to_string(),
        "files.write is not granted for /etc/motd (policy); \
         to allow it: [files] write = [\"/etc/motd\"]"
    );
    assert_eq!(
        denial.remedy.as_deref(),
        Some("[files] write = [\"/etc/motd\"]")
    );
    assert_eq!(
        (denial.capability.as_str(), denial.subject.as_str()),
        ("files.write", "/etc/motd")
    );
}

#[test]
fn a_refusal_by_the_declaration_names_the_lua() {
    let effective = under("");
    let remedy = |capability, subject| {
        effective
            .denial(capability, subject, Layer::Declaration)
            .remedy
            .expect("a declaration")
    };
    assert_eq!(
        remedy(Capability::FilesWrite, "/etc/a\"*"),
        r#":capabilities({ files = { write = { "/etc/a\"\\*" } } })"#
    );
    assert_eq!(
        remedy(Capability::ProcessUnixSockets, "curl"),
        r#":capabilities({ process = { ["unix-sockets"] = true } })"#
    );
}

#[test]
fn a_refusal_by_one_of_two_declarations_says_whose() {
    let declared = |text: &str| policy(text).grants_for("");
    let said = |workflow: &str, task: &str| {
        let layers = [declared(workflow), declared(task)];
        let effective = Effective::new(&policy(""), "", &layers, Vec::new());
        effective
            .denial(Capability::FilesRead, "/etc/motd", Layer::Declaration)
            .message
    };
    let (with, without) = ("files.read = ['/etc/*']", "files.read = ['/srv/*']");
    for (workflow, task, whose) in [
        (without, with, "the workflow's"),
        (with, without, "the task's"),
        (without, without, "the workflow's and the task's"),
    ] {
        assert_eq!(
            said(workflow, task),
            format!(
                "files.read is not granted for /etc/motd (declaration); to allow it, in {whose} declaration: \
                 :capabilities({{ files = {{ read = {{ \"/etc/motd\" }} }} }})"
            )
        );
    }
}

#[test]
fn a_refusal_by_deny_names_the_deny_line_and_no_remedy() {
    let effective = under("[deny]\nfiles.read = [\"/a\", \"**/*.key\"]\nprocess.run = [\"rm **\"]");
    let denial = effective.denial(Capability::FilesRead, "/x.key", Layer::Deny);
    assert_eq!(denial.remedy, None);
    assert_eq!(
        denial.message,
        "files.read is not granted for /x.key (deny); \
         it is denied by policy.toml:3: files.read = [\"**/*.key\"]"
    );
    let denial = effective.command_denial(&strings(&["/bin/rm", "-rf"]), Layer::Deny);
    assert!(
        denial
            .message
            .contains("policy.toml:4: process.run = [\"rm **\"]"),
        "{denial}"
    );
}

#[test]
fn refusals_no_line_can_change_say_so() {
    let effective = under("");
    for layer in [Layer::SelfProtection, Layer::Kernel] {
        let denial = effective.denial(Capability::FilesRead, "/x", layer);
        assert!(
            denial.remedy.is_none() && denial.message.contains("no policy can"),
            "{denial}"
        );
    }
    let denial = effective.denial(Capability::ProcessRun, "make", Layer::Limit);
    assert!(
        denial.message.contains("(limit); a ceiling in [limits]"),
        "{denial}"
    );
    let denial = effective.denial(Capability::FilesRead, "/a/../b", Layer::Policy);
    assert!(
        denial.message.contains("not absolute and normal"),
        "{denial}"
    );
    assert_eq!(
        effective
            .command_denial(&strings(&["./x"]), Layer::Policy)
            .remedy,
        None
    );
    assert_eq!(effective.command_denial(&[], Layer::Policy).remedy, None);
}

#[test]
fn a_command_is_refused_with_a_pattern_for_exactly_its_words() {
    let argv = strings(&["git", "commit", "-m", "it's *"]);
    let denial = under("").command_denial(&argv, Layer::Policy);
    let remedy = r#"[process] run = ["git commit -m 'it'\\''s *'"]"#;
    assert_eq!(denial.remedy.as_deref(), Some(remedy));
    assert_eq!(denial.subject, r"git commit -m 'it'\''s *'");
}

#[test]
fn a_shell_line_is_refused_with_both_ways_out() {
    let denial = under("").shell_denial("ls | wc", Layer::Policy);
    assert_eq!(denial.capability, "process.shell");
    assert!(
        denial.message.contains("[process] shell = true"),
        "{denial}"
    );
    assert!(
        denial.message.contains("or write it without shell syntax"),
        "{denial}"
    );
    assert_eq!(
        denial,
        under("").denial(Capability::ProcessRun, "ls | wc", Layer::Policy)
    );
}

#[test]
fn an_explanation_names_the_line_that_decides() {
    let effective = under(
        "[files]\nread = [\n  \"/a/**\",\n  \"/etc/nginx/**\"]\n[process]\nrun = [\"git **\"]",
    );
    let explanation = effective.explain(Capability::FilesRead, "/etc/nginx/x");
    assert!(explanation.allowed && explanation.layer.is_none());
    assert_eq!(
        explanation.line.as_deref(),
        Some("policy.toml:5: read = [\"/etc/nginx/**\"]")
    );
    let explanation = effective.explain(Capability::FilesRead, "/etc/motd");
    assert_eq!(
        (explanation.allowed, explanation.layer),
        (false, Some(Layer::Policy))
    );
    assert!(explanation.line.is_none() && explanation.message.contains("to allow it"));
    let explanation = effective.explain(Capability::ProcessRun, "git pull --rebase");
    assert_eq!(
        explanation.line.as_deref(),
        Some("policy.toml:7: run = [\"git **\"]")
    );
    for malformed in ["git pull | cat", "'", ""] {
        assert!(
            !effective.explain(Capability::ProcessRun, malformed).allowed,
            "{malformed}"
        );
    }
}

#[test]
fn an_explanation_names_the_deny_line() {
    let effective = under("[files]\nwrite = [\"/**\"]\n[deny]\nfiles.write = [\"/etc/**\"]");
    let explanation = effective.explain(Capability::FilesCreate, "/etc/motd");
    assert_eq!(explanation.layer, Some(Layer::Deny));
    assert_eq!(
        explanation.line.as_deref(),
        Some("policy.toml:5: files.write = [\"/etc/**\"]")
    );
    let explanation = effective.explain(Capability::FilesCreate, "/srv/x");
    assert_eq!(
        explanation.line.as_deref(),
        Some("policy.toml:3: write = [\"/**\"]")
    );
}

#[test]
fn explain_says_why_no_line_decides_and_what_no_pattern_reaches() {
    let effective = under("[users]\nids = ['*']\nmodify = ['*']\nremove = ['*', 'sudo']");
    let explained = |capability, subject| {
        let found = effective.explain(capability, subject);
        (found.allowed, found.message)
    };
    for (capability, subject, allowed, part) in [
        (
            Capability::HttpAddresses,
            "8.8.8.8",
            true,
            "the internet routes it",
        ),
        (
            Capability::HttpAddresses,
            "a.example",
            false,
            "while all of its addresses",
        ),
        (Capability::UsersIds, "1600", true, "ids = [\"*\"]"),
        (Capability::UsersIds, "0", false, "root's alone"),
        (Capability::UsersIds, "web", false, "write a number"),
        (Capability::UsersModify, "site", true, "modify = [\"*\"]"),
        (Capability::UsersModify, "root", false, "without a pattern"),
        (
            Capability::UsersModify,
            "docker",
            false,
            "modify = [\"docker\"]",
        ),
        (Capability::UsersRemove, "sudo", true, "remove = ["),
    ] {
        let (found, message) = explained(capability, subject);
        assert!(
            found == allowed && message.contains(part),
            "{subject}: {message}"
        );
    }
}
