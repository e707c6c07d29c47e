//! The table of functions against `wit/`, read as text.

#![expect(clippy::disallowed_methods, reason = "reads the contract")]

use std::collections::BTreeSet;
use std::path::Path;

use sloth_policy::{Capability, Effect, FUNCTIONS, Function};

/// One function of one interface, with the comment above it.
struct Declared {
    interface: String,
    name: String,
    comment: String,
    signature: String,
}

const INTERFACES: &[&str] = &[
    "log",
    "files",
    "process",
    "secrets",
    "packages",
    "users",
    "services",
    "facts",
    "environment",
    "state",
    "events",
    "http",
    "clock",
    "random",
    "plugins",
];

fn declared() -> Vec<Declared> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    INTERFACES
        .iter()
        .flat_map(|interface| {
            let file = folder.join(format!("{interface}.wit"));
            let text = std::fs::read_to_string(&file).expect("wit/ has a file for each interface");
            functions(interface, &text)
        })
        .collect()
}

fn functions(interface: &str, text: &str) -> Vec<Declared> {
    let mut functions = Vec::new();
    let mut comment = String::new();
    for line in text.lines().map(str::trim) {
        if let Some(words) = line.strip_prefix("///") {
            comment.push_str(words);
        } else if let Some((name, signature)) = line.split_once(": func(") {
            functions.push(Declared {
                interface: interface.to_owned(),
                name: name.trim_start_matches('%').to_owned(),
                comment: std::mem::take(&mut comment),
                signature: signature.to_owned(),
            });
        } else {
            comment.clear();
        }
    }
    functions
}

fn row(declared: &Declared) -> &'static Function {
    FUNCTIONS
        .iter()
        .find(|row| row.interface == declared.interface && row.name == declared.name)
        .unwrap_or_else(|| {
            panic!(
                "{}.{} is not in the table",
                declared.interface, declared.name
            )
        })
}

#[test]
fn the_table_names_exactly_the_functions_of_the_contract() {
    let contract: BTreeSet<(String, String)> = declared()
        .into_iter()
        .map(|one| (one.interface, one.name))
        .collect();
    let table: BTreeSet<(String, String)> = FUNCTIONS
        .iter()
        .map(|row| (row.interface.to_owned(), row.name.to_owned()))
        .collect();
    assert_eq!(table, contract);
    assert_eq!(FUNCTIONS.len(), table.len(), "a function is listed twice");
}

#[test]
fn what_was_frozen_is_still_there_as_it_was() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/frozen");
    let now: BTreeSet<(String, String, String)> = declared()
        .into_iter()
        .map(|one| (one.interface, one.name, one.signature))
        .collect();
    let mut frozen = 0;
    for version in std::fs::read_dir(folder).unwrap() {
        for interface in INTERFACES {
            let file = version
                .as_ref()
                .unwrap()
                .path()
                .join(format!("{interface}.wit"));
            let Ok(text) = std::fs::read_to_string(&file) else {
                continue;
            };
            for one in functions(interface, &text) {
                let shown = format!("{}.{}", one.interface, one.name);
                assert!(
                    now.contains(&(one.interface, one.name, one.signature)),
                    "{shown}"
                );
                frozen += 1;
            }
        }
    }
    assert!(frozen > 60, "{frozen}");
}

#[test]
fn every_key_a_comment_names_is_in_the_table() {
    for one in declared() {
        for name in one.comment.split('`').skip(1).step_by(2) {
            if let Some(capability) = Capability::from_name(name) {
                assert!(
                    row(&one).capabilities.contains(&capability),
                    "{}: {name}",
                    one.name
                );
            }
        }
    }
}

#[test]
fn only_what_touches_no_node_needs_no_grant() {
    for row in FUNCTIONS {
        let free = ["log", "clock", "random"].contains(&row.interface)
            // It tells what is granted.
            || (row.interface, row.name) == ("facts", "sections")
            || (row.interface, row.name) == ("files", "bundled")
            // What was permitted to start may be waited for and ended.
            || row.interface == "process" && ["collect", "kill"].contains(&row.name)
            || row.interface == "http" && ["collect", "abandon"].contains(&row.name)
            // A handle on a secret is a name until something is done with it.
            || (row.interface, row.name) == ("secrets", "open")
            // A handle that a plugin gave is let go of.
            || (row.interface, row.name) == ("plugins", "release");
        assert_eq!(
            row.capabilities.is_empty(),
            free,
            "{}.{}",
            row.interface,
            row.name
        );
        // Which manager a node has is a fact about the node, and known without asking for a package.
        let own = row.capabilities.first();
        assert!(
            own.is_none_or(|capability| capability.noun() == row.interface)
                || (row.interface, row.name) == ("packages", "manager")
        );
    }
}

#[test]
fn what_gives_a_change_mutates_and_nothing_else_does() {
    for one in declared() {
        let changes = [
            "result<change",
            "result<output",
            "result<incremented",
            "result<swapped",
            "result<response",
        ]
            .iter()
            .any(|of| one.signature.contains(of))
            // These change the machine before there is an output to give.
            || one.interface == "process" && ["spawn", "kill"].contains(&&*one.name)
            || one.interface == "http" && one.name == "start";
        let expected = if changes {
            Effect::Mutates
        } else {
            Effect::Observes
        };
        assert_eq!(row(&one).effect, expected, "{}.{}", one.interface, one.name);
    }
}

#[test]
fn every_capability_stands_behind_some_function() {
    for capability in Capability::ALL {
        assert!(
            FUNCTIONS
                .iter()
                .any(|row| row.capabilities.contains(capability)),
            "{capability}"
        );
    }
}
