//! What holds for every policy, path and command line.

use proptest::prelude::*;
use sloth_policy::words::{self, Command};
use sloth_policy::{Capability, Decision, Effective, Glob, Grants, Layer, Policy, glob};

use crate::policy;

/// Characters that mean something to TOML, Lua, a shell, a glob or a terminal, and some that do not.
pub(crate) fn hostile() -> impl Strategy<Value = String> {
    let characters: Vec<char> =
        "ab-.*?[]{}!^\\\"'`$~#=|; \t\n\r\u{1b}\u{7f}\u{85}\u{202e}\u{200b}\u{e0001}éд日😀,+@%:"
            .chars()
            .collect();
    prop::collection::vec(prop::sample::select(characters), 1..12).prop_map(String::from_iter)
}

pub(crate) fn hostile_path() -> impl Strategy<Value = String> {
    prop::collection::vec(hostile(), 0..4).prop_filter_map("`.` and `..` are no names", |names| {
        let path = format!("/{}", names.join("/"));
        glob::is_normal(&path).then_some(path)
    })
}

/// Few names, so that paths and globs meet often.
fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop::sample::select(vec!["a", "b", "a-b", ".c", "ab"]),
        0..5,
    )
    .prop_map(|names| format!("/{}", names.join("/")))
}

fn globs() -> impl Strategy<Value = Vec<String>> {
    let names = vec!["a", "b", "a-b", "*", "**", "a*", "?", "[ab]", ".c"];
    let one = prop::collection::vec(prop::sample::select(names), 0..5)
        .prop_map(|names| format!("/{}", names.join("/")));
    prop::collection::vec(one, 0..5)
}

fn reading(globs: &[String], denied: &[String]) -> Policy {
    policy(&format!(
        "[files]\nread = {globs:?}\n[deny]\nfiles.read = {denied:?}"
    ))
}

fn declaring(globs: &[String]) -> Grants {
    reading(globs, &[]).grants_for("")
}

fn alone(policy: &Policy) -> Effective {
    Effective::new(policy, "", &[], Vec::new())
}

fn reads(effective: &Effective, path: &str) -> bool {
    effective.path(Capability::FilesRead, path).is_allowed()
}

fn any_matches(globs: &[String], path: &str) -> bool {
    globs
        .iter()
        .any(|glob| Glob::parse(glob).is_ok_and(|glob| glob.matches(path)))
}

proptest! {
    #[test]
    fn deny_wins(granted in globs(), denied in globs(), path in path()) {
        let decision = alone(&reading(&granted, &denied)).path(Capability::FilesRead, &path);
        prop_assert_eq!(any_matches(&denied, &path), decision == Decision::Refused(Layer::Deny));
    }

    #[test]
    fn a_set_of_globs_decides_like_its_globs(granted in globs(), path in path()) {
        let together = reads(&alone(&reading(&granted, &[])), &path);
        prop_assert_eq!(together, any_matches(&granted, &path));
    }

    #[test]
    fn a_declaration_never_widens(
        granted in globs(), workflow in globs(), task in globs(), denied in globs(), path in path()
    ) {
        let policy = reading(&granted, &denied);
        let declarations = [declaring(&workflow), declaring(&task)];
        let together = Effective::new(&policy, "", &declarations, Vec::new());
        let each = [policy, reading(&workflow, &[]), reading(&task, &[])];
        prop_assert_eq!(reads(&together, &path), each.iter().all(|one| reads(&alone(one), &path)));
    }

    #[test]
    fn every_path_in_a_tree_is_allowed_unless_denied(
        granted in globs(), declared in globs(), denied in globs(), path in path()
    ) {
        let (policy, declarations) = (reading(&granted, &denied), [declaring(&declared)]);
        let effective = Effective::new(&policy, "", &declarations, vec!["/b/a".to_owned()]);
        for tree in effective.trees(Capability::FilesRead) {
            let inside = format!("{}{}", tree.trim_end_matches('/'), path.trim_end_matches('/'));
            let inside = if inside.is_empty() { "/".to_owned() } else { inside };
            let decision = effective.path(Capability::FilesRead, &inside);
            let granted =
                !matches!(decision, Decision::Refused(Layer::Policy | Layer::Declaration));
            prop_assert!(granted, "{}", inside);
            if !effective.denies_beneath(Capability::FilesRead, &tree) {
                prop_assert_eq!(decision, Decision::Allowed);
            }
        }
    }

    #[test]
    fn what_is_allowed_lies_in_a_tree_or_matches_a_pattern(
        granted in globs(), declared in globs(), path in path()
    ) {
        let declarations = [declaring(&declared)];
        let effective = Effective::new(&reading(&granted, &[]), "", &declarations, Vec::new());
        if reads(&effective, &path) {
            let in_tree = effective.trees(Capability::FilesRead).iter().any(|tree| {
                let tree = tree.trim_end_matches('/');
                path == tree || path.starts_with(&format!("{tree}/"))
            });
            let patterns = effective.patterns(Capability::FilesRead);
            prop_assert!(in_tree || any_matches(&patterns, &path));
        }
    }

    #[test]
    fn every_match_begins_with_the_static_prefix(globs in globs(), path in path()) {
        for text in globs {
            let glob = Glob::parse(&text).expect("the glob is well formed");
            prop_assert!(!glob.matches(&path) || path.starts_with(&glob.static_prefix()));
        }
    }

    #[test]
    fn a_glob_matches_its_own_escaped_literal_and_no_other(
        path in hostile_path(), other in hostile_path()
    ) {
        let glob = Glob::parse(&glob::escape(&path)).expect("an escaped path is a glob");
        prop_assert!(glob.matches(&path));
        prop_assert_eq!(glob.matches(&other), path == other);
        prop_assert_eq!(glob.literal(), Some(path));
    }

    #[test]
    fn no_text_makes_a_glob_panic(
        pattern in any::<String>(), hostile in hostile(), path in any::<String>()
    ) {
        let deep = format!("/{hostile}/**/{hostile}");
        for pattern in [&pattern, &hostile, &format!("/{pattern}"), &deep] {
            if let Ok(glob) = Glob::parse(pattern) {
                for path in [&path, &format!("/{path}"), pattern] {
                    let _ = glob.matches(path);
                    let _ = glob.may_match_beneath(path);
                }
                let _ = glob.static_prefix();
            }
        }
    }

    #[test]
    fn no_text_makes_a_policy_panic(text in any::<String>(), hostile in hostile()) {
        let entry = format!("version = 1\nfiles.read = [{hostile:?}]");
        for text in [text, format!("version = 1\n{hostile}"), entry] {
            if let Ok(policy) = Policy::parse(&text, "policy.toml") {
                let _ = policy.warnings();
            }
        }
    }

    #[test]
    fn no_text_makes_splitting_panic(text in any::<String>(), hostile in hostile()) {
        let effective = alone(&Policy::nothing());
        for text in [text, hostile] {
            let _ = words::split(&text);
            for &capability in Capability::ALL {
                prop_assert!(!effective.explain(capability, &text).allowed);
            }
        }
    }

    #[test]
    fn what_is_quoted_splits_into_the_same_words(words in prop::collection::vec(hostile(), 0..5)) {
        prop_assert_eq!(words::split(&words::join(&words)), Ok(Command::Argv(words)));
    }
}
