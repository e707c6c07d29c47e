//! What a policy and a declaration may say, and what is said about what they may not.

use std::collections::BTreeMap;
use std::time::Duration;

use sloth_policy::{Capability, Entry, Grants, Limits, ParseError, Policy};

use crate::{policy, strings, under};

fn error(text: &str) -> ParseError {
    match Policy::parse(text, "policy.toml") {
        Err(error) => error,
        Ok(_) => panic!("this was taken:\n{text}"),
    }
}

/// What is said about lines that follow `version = 1`, so that the first of them is line 2.
fn complaint(lines: &str) -> String {
    error(&format!("version = 1\n{lines}\n")).to_string()
}

/// Lines, and how the complaint about them goes on behind `policy.toml:`.
fn complains(cases: &[(&str, &str)]) {
    for (lines, expected) in cases {
        let complaint = complaint(lines);
        assert!(
            complaint.starts_with(&format!("policy.toml:{expected}")),
            "{lines}\n{complaint}"
        );
    }
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_the_nearest() {
    assert_eq!(
        error("version = 1\n[files]\nwrit = []\n").to_string(),
        "policy.toml:3:1: unknown key `writ` in [files]; did you mean `write`?"
    );
    complains(&[
        (
            "[files]\n  frobnicate = []",
            "3:3: unknown key `frobnicate` in [files]; known here: read,",
        ),
        (
            "[file]",
            "2:2: unknown key `file` in the policy; did you mean `files`?",
        ),
        (
            "[deny]\nfile.read = []",
            "3:1: unknown key `file` in [deny]; did you mean `files`?",
        ),
        (
            "[deny]\nfiles.red = []",
            "3:7: unknown key `red` in [files]; did you mean `read`?",
        ),
        (
            "[limits]\nhandels = 8",
            "3:1: unknown key `handels` in [limits]; did you mean `handles`?",
        ),
    ]);
}

#[test]
fn a_noun_of_a_later_version_is_unknown() {
    for noun in ["docker", "firewall"] {
        assert!(
            complaint(&format!("[{noun}]")).contains("unknown key"),
            "{noun}"
        );
    }
}

#[test]
fn the_version_must_be_there_and_known() {
    let missing = error("").to_string();
    assert_eq!(
        missing,
        "policy.toml:1:1: the policy does not say its `version`; write version = 1"
    );
    assert!(
        error("version = 2\nlater = 1")
            .to_string()
            .contains("version 2 is not known")
    );
    assert!(
        error("version = \"1\"")
            .to_string()
            .contains("is a number, not a string")
    );
}

#[test]
fn wrong_types_are_named_with_what_to_write() {
    complains(&[
        (
            "[files]\nread = \"/a\"",
            "3:8: `read` is a list, not a string; write read = [\"/a\"]",
        ),
        ("[files]\nread = [\"/a\", 1]", "3:15: `read` lists texts"),
        (
            "[process]\nshell = 1",
            "3:9: `shell` is true or false, not an integer; write shell",
        ),
        ("files = 1", "2:9: `files` is a table, not an integer"),
        ("deny = []", "2:8: `deny` is a table, not an array"),
        (
            "[rule]",
            "2:1: `rule` is a list of tables, not a table; write [[rule]]",
        ),
        (
            "[limits]\nmemory = 64",
            "3:10: `memory` is a text, not an integer; write memory = \"64MiB\"",
        ),
        ("[limits]\nmemory = \"64MB\"", "3:10: `64MB` is not a size"),
        (
            "[limits]\nhandles = \"8\"",
            "3:11: `handles` is a whole number, not a string",
        ),
    ]);
}

#[test]
fn duplicate_keys_and_broken_syntax_are_errors_with_a_place() {
    let duplicate = error("version = 1\n[files]\nread = []\nread = []\n");
    assert_eq!((duplicate.line, duplicate.column), (4, 1), "{duplicate}");
    assert!(duplicate.message.contains("duplicate key"), "{duplicate}");
    assert_eq!(error("version = 1\n[files\n").line, 2);
}

#[test]
fn entries_that_could_mean_something_else_are_refused() {
    for (entry, reason) in [
        ("etc/motd", "is not absolute; begin it with `/`"),
        ("**", "is not absolute"),
        ("", "is not absolute"),
        ("/etc/", "has an empty component"),
        ("/etc//motd", "has an empty component"),
        ("/etc/../x", "has the component `..`"),
        ("/./x", "has the component `.`"),
        ("/a**", "holds `**`, which must stand alone"),
        ("/[a", "has a `[` without its `]`"),
        ("/a\\u0000", "holds a NUL byte"),
    ] {
        let complaint = complaint(&format!("[files]\nread = [\"/ok\",\n  \"{entry}\"]"));
        assert!(complaint.starts_with("policy.toml:4:3: `"), "{complaint}");
        assert!(complaint.contains(reason), "{complaint}");
    }
    assert!(complaint("[process]\nenv = [\"\"]").contains("an entry of `process.env` is empty"));
    assert!(complaint("[process]\nrun = [\"** x\"]").contains("`/** **` is any program"));
    assert!(complaint("[process]\nrun = [\"bin/x\"]").contains("is not absolute"));
}

#[test]
fn limits_have_defaults_and_bounds() {
    assert_eq!(*policy("").limits(), Limits::default());
    let policy = policy(
        "[limits]\nmemory = \"1GiB\"\nstep-time = \"1h30m\"\noutput = \"4KiB\"\nprocesses = 1\n\
         handles = 8\nscratch = '64MiB'\nconcurrent-steps = 2",
    );
    let expected = Limits {
        memory: 1 << 30,
        step_time: Duration::from_mins(90),
        output: 4 << 10,
        processes: 1,
        handles: 8,
        scratch: 64 << 20,
        concurrent_steps: 2,
    };
    assert_eq!(*policy.limits(), expected);
    for line in [
        "memory = \"7MiB\"",
        "memory = \"4GiB\"",
        "step-time = \"999ms\"",
        "step-time = \"25h\"",
        "output = \"1KiB\"",
        "output = \"2GiB\"",
        "processes = 0",
        "processes = -1",
        "processes = 99999999999",
        "handles = 1",
        "concurrent-steps = 0",
    ] {
        let complaint = complaint(&format!("[limits]\n{line}"));
        assert!(
            complaint.contains("is outside its bounds; it may be from"),
            "{complaint}"
        );
    }
}

#[test]
fn a_rule_adds_grants_for_the_bundle_it_names() {
    let digest = "ab".repeat(32);
    let policy = policy(&format!(
        "[files]\nread = [\"/a\"]\n[[rule]]\nmatch = {{ bundle = \"sha256:{digest}\" }}\n\
         files.write = [\"/b\"]\n[rule.process]\nshell = true"
    ));
    let lines = ["files.read /a", "files.write /b", "process.shell"];
    assert_eq!(policy.grants_for(&digest).lines(), lines);
    assert_eq!(
        policy
            .grants_for(&format!("sha256:{}", digest.to_uppercase()))
            .lines(),
        lines
    );
    assert_eq!(
        policy.grants_for(&"cd".repeat(32)).lines(),
        ["files.read /a"]
    );
    assert_eq!(policy.grants_for("").lines(), ["files.read /a"]);
}

#[test]
fn a_rule_matches_only_what_the_node_can_check() {
    for (matched, expected) in [
        (
            "signed-by = \"ops\"",
            "there is no key `ops` in [keys]; write [keys] and ops = \"ed25519:…\" below",
        ),
        (
            "workflow = \"deploy\"",
            "they may narrow a match, never make one",
        ),
        ("stack = \"a\", workflow = \"b\"", "add signed-by"),
        ("submitter = \"alice\"", "which this node cannot check"),
        ("bundel = \"\"", "did you mean `bundle`?"),
        ("bundle = \"sha256:12\"", "`bundle` is not a digest"),
        ("bundle = 1", "`bundle` is a text"),
        ("", "`match` matches nothing"),
    ] {
        let complaint = complaint(&format!("[[rule]]\nmatch = {{ {matched} }}"));
        assert!(complaint.contains(expected), "{complaint}");
    }
    assert!(complaint("[[rule]]\nfiles.read = []").contains("2:1: the rule has no `match`"));
    let digest = "ab".repeat(32);
    let unknown = format!("[[rule]]\nmatch = {{ bundle = \"sha256:{digest}\" }}\nfile.read = []");
    assert!(complaint(&unknown).contains("4:1: unknown key `file` in [[rule]]"));
}

#[test]
fn false_grants_nothing_and_denies_nothing() {
    assert!(
        !under("[process]\nshell = false")
            .flag(Capability::ProcessShell)
            .is_allowed()
    );
    let effective = under("[process]\nshell = true\n[deny]\nprocess.shell = false");
    assert!(effective.flag(Capability::ProcessShell).is_allowed());
}

fn declare(noun: &str, verb: &str, entry: Entry) -> Result<Grants, ParseError> {
    let verbs = BTreeMap::from([(verb.to_owned(), entry)]);
    Grants::declare(
        &BTreeMap::from([(noun.to_owned(), verbs)]),
        "deploy.sloth",
        7,
    )
}

fn names(entries: &[&str]) -> Entry {
    Entry::Names(strings(entries))
}

#[test]
fn a_declaration_reads_like_a_policy() {
    let grants = declare("files", "write", names(&["/srv/**", "/etc/motd"])).expect("well formed");
    assert_eq!(
        grants.lines(),
        ["files.write /srv/**", "files.write /etc/motd"]
    );
    let grants = declare("process", "shell", Entry::Flag(true)).expect("well formed");
    assert_eq!(grants.lines(), ["process.shell"]);
    assert!(
        declare("process", "shell", Entry::Flag(false))
            .expect("well formed")
            .is_empty()
    );
    assert!(Grants::nothing().is_empty());
}

#[test]
fn a_faulty_declaration_is_named_with_its_line() {
    for (noun, verb, entry, expected) in [
        (
            "file",
            "read",
            names(&[]),
            "unknown noun `file` in capabilities; did you mean `files`?",
        ),
        (
            "files",
            "writ",
            names(&[]),
            "unknown verb `writ` of `files`; did you mean `write`?",
        ),
        (
            "files",
            "read",
            Entry::Flag(true),
            "`files.read` is a list, not true or false",
        ),
        (
            "process",
            "shell",
            names(&[]),
            "`process.shell` is true or false, not a list",
        ),
        (
            "files",
            "read",
            names(&["etc"]),
            "`etc` in `files.read` is not absolute",
        ),
    ] {
        let error = declare(noun, verb, entry).expect_err("faulty").to_string();
        assert!(
            error.starts_with(&format!("deploy.sloth:7:1: {expected}")),
            "{error}"
        );
    }
}
