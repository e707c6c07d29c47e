//! Lines that amount to more than they say.

use crate::{declaration_of, policy};

fn warned(lines: &str) -> Vec<String> {
    policy(lines)
        .warnings()
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn a_modest_policy_has_no_findings() {
    let lines = "[files]\nread = [\"/**\"]\n\
                 write = [\"/srv/site/**\", \"/etc/nginx/**\", \"/home/web/public/**\"]\n\
                 [process]\nrun = [\"git **\", \"/usr/bin/make site\"]\nnetwork = [\"tcp:443\", \"listen:8080\"]\n\
                 env = [\"LANG\"]\nuser = [\"web\"]\n\
                 [http]\nsend = [\"https://*.example.org/**\"]\naddresses = [\"10.0.0.0/8\", \"wiki.example.org\"]\n\
                 [secrets]\nenv = { key = [\"/usr/bin/pg_dump\"] }\n\
                 header = { key = [\"https://api.example.org\"] }\n\
                 [packages]\nquery = [\"*\"]\nrefresh = [\"*\"]\n\
                 [users]\ncreate = [\"deploy\"]\nmodify = [\"deploy\"]\ngroups = [\"www-data\"]";
    assert_eq!(warned(lines), Vec::<String>::new());
    assert!(declaration_of(lines).gives_account_away().is_empty());
}

#[test]
fn every_way_to_more_rights_is_named() {
    for (lines, expected) in [
        (
            "[process]\nshell = true",
            "process.shell amounts to any command line",
        ),
        (
            "[process]\nunconfined = true",
            "process.unconfined amounts to children",
        ),
        (
            "[secrets]\nreveal = [\"db-password\"]",
            "secrets.reveal db-password amounts to the secret itself",
        ),
        (
            "[secrets]\nenv = { key = [\"/**\"] }",
            "secrets.env key /** amounts to revealing it",
        ),
        (
            "[secrets]\nenv = { key = [\"/usr/bin/python3\"] }",
            "revealing it: `python`",
        ),
        (
            "[secrets]\nheader = { key = [\"http://api.example.org\"] }",
            "everybody on the way",
        ),
        ("[process]\nunix-sockets = true", "a way out"),
        (
            "[process]\nnetwork = true",
            "process.network amounts to a way to the cloud's metadata service",
        ),
        ("[process]\nnetwork = [\"tcp:80\"]", "metadata service"),
        (
            "[process]\nnetwork = [\"udp\"]",
            "process.network udp amounts to datagrams to anybody",
        ),
        ("[process]\nuser = [\"*\"]", "run as root"),
        ("[process]\nenv = [\"LD_*\"]", "through LD_PRELOAD"),
        ("[process]\nrun = [\"*\"]", "any program"),
        ("[process]\nrun = [\"[!x]*\"]", "any program"),
        ("[process]\nrun = [\"[a-z]*\"]", "any program"),
        (
            "[packages]\ninstall = [\"nginx\"]",
            "a package brings scripts of its own",
        ),
        ("[users]\ngroups = [\"*\"]", "through the group root"),
        ("[users]\ngroups = [\"docker\"]", "through the group docker"),
        ("[users]\nmodify = [\"*\"]", "passwords and shells"),
        ("[users]\nmodify = [\"root\"]", "through its password"),
        ("[users]\nids = [\"1500\"]", "they follow the number"),
        (
            "[process]\nrun = [\"sudo **\"]",
            "any program, through `sudo`",
        ),
        (
            "[process]\nrun = [\"/usr/bin/python3.12 **\"]",
            "any program, through `python`",
        ),
        (
            "[files]\nwrite = [\"/**\"]",
            "every file: the whole account",
        ),
        (
            "[files]\ndelete = [\"/*/**\"]",
            "every file: the whole account",
        ),
        (
            "[files]\nwrite = [\"/etc/**\"]",
            "accounts, sudo rules, units, cron jobs",
        ),
        (
            "[files]\ncreate = [\"/etc/systemd/system/site.service\"]",
            "it may create units",
        ),
        (
            "[files]\nwrite = [\"/home/web/**\"]",
            "SSH keys, login profiles, units",
        ),
        (
            "[files]\nwrite = [\"/root/.ssh/authorized_keys\"]",
            "SSH keys",
        ),
        (
            "[files]\nwrite = [\"/etc/profile.d/*.sh\"]",
            "login profiles",
        ),
        ("[files]\nwrite = [\"/var/spool/cron/**\"]", "cron jobs"),
        ("[http]\nsend = [\"https://*\"]", "a way out to anybody"),
        (
            "[http]\naddresses = [\"169.254.0.0/16\"]",
            "the cloud's metadata service",
        ),
        ("[http]\naddresses = [\"::/0\"]", "metadata service"),
        ("[http]\naddresses = [\"*\"]", "whoever owns a name"),
        ("[services]\ndefine = [\"site\"]", "root: a service runs"),
    ] {
        let warnings = warned(lines);
        assert_eq!(warnings.len(), 1, "{lines}: {warnings:?}");
        assert!(
            warnings[0].starts_with("policy.toml:3: "),
            "{}",
            warnings[0]
        );
        assert!(warnings[0].contains(expected), "{}", warnings[0]);
    }
}

#[test]
fn findings_of_rules_are_named_too() {
    let digest = "ab".repeat(32);
    let lines =
        format!("[[rule]]\nmatch = {{ bundle = \"sha256:{digest}\" }}\nprocess.shell = true");
    let expected = "policy.toml:4: process.shell amounts to any command line: the whole account";
    assert_eq!(warned(&lines), [expected]);
}

#[test]
fn what_gives_the_account_away_is_told_from_what_only_warns() {
    for lines in [
        "[process]\nshell = true",
        "[process]\nunconfined = true",
        "[files]\nwrite = [\"/**\"]",
        "[files]\ncreate = [\"**/*\"]",
        "[files]\ndelete = [\"/[a-z]*/**\"]",
        "[process]\nrun = [\"/** **\"]",
        "[process]\nrun = [\"* **\"]",
        "[process]\nrun = [\"sh -c *\"]",
        "[secrets]\nreveal = [\"*\"]",
        "[secrets]\nenv = { key = [\"/usr/bin/env\"] }",
    ] {
        assert_eq!(
            declaration_of(lines).gives_account_away().len(),
            1,
            "{lines}"
        );
    }
    let warns = declaration_of("[files]\nread = [\"/**\"]\nwrite = [\"/etc/**\"]");
    assert!(warns.gives_account_away().is_empty());
}

#[test]
fn a_secret_for_a_program_whose_arguments_are_free_may_be_copied_from_its_environment() {
    let told = |lines: &str| {
        let findings = policy(lines).warnings();
        findings
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    };
    for run in ["cp **", "/usr/bin/cp *", "/usr/bin/cp /etc/[a-z] x", "c? *"] {
        let told = told(&format!(
            "secrets.env = {{ s = [\"/usr/bin/cp\"] }}\nprocess.run = [\"{run}\"]"
        ));
        assert!(told.contains("/proc/self/environ"), "{run}: {told}");
    }
    for run in ["cp /a /b", "mv **", "/usr/local/bin/cp *"] {
        let told = told(&format!(
            "secrets.env = {{ s = [\"/usr/bin/cp\"] }}\nprocess.run = [\"{run}\"]"
        ));
        assert!(!told.contains("/proc/self/environ"), "{run}: {told}");
    }
}

#[test]
fn names_that_give_more_than_they_say_are_told_of() {
    for (lines, words) in [
        ("users.create = [\"docker\"]", "root's rights"),
        (
            "services.start = [\"poweroff.target\"]",
            "an end of the system",
        ),
        (
            "services.enable = [\"poweroff.target\"]",
            "an end of the system",
        ),
        ("process.env = [\"GIT_*\"]", "any code"),
        ("process.env = [\"PERL5OPT\"]", "any code"),
    ] {
        let findings = policy(lines).warnings();
        assert!(
            findings
                .iter()
                .any(|found| found.amounts_to.contains(words)),
            "{lines}: {findings:?}"
        );
    }
    assert!(
        policy("users.create = [\"web\"]\nservices.start = [\"nginx\"]")
            .warnings()
            .is_empty()
    );
}
