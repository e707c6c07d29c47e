//! The shape of the repository: which crate may use which, where each noun lives, and what may
//! stand only in its own room.

use std::path::{Path, PathBuf};

use sloth_policy::Capability;

use crate::program::root;

fn text(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(root().join(&path))
        .unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()))
}

/// Every file of the repository with one of these endings, but for build output.
fn files(endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && !matches!(name, "target" | ".git") {
                open.push(path);
            } else if path
                .extension()
                .is_some_and(|e| endings.iter().any(|ending| e == *ending))
            {
                found.push(path);
            }
        }
    }
    assert!(found.len() > 5, "the repository was not found");
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned()
}

#[test]
fn dependencies_point_one_way() {
    let order = ["policy", "workflow", "sandbox", "fleet", "cli"];
    for (index, room) in order.iter().enumerate() {
        let manifest = text(format!("runtime/{room}/Cargo.toml"));
        let source: String = files(&["rs"])
            .iter()
            .filter(|path| relative(path).starts_with(&format!("runtime/{room}/src/")))
            .map(|path| std::fs::read_to_string(path).unwrap())
            .collect();
        for later in order.iter().skip(index) {
            assert!(
                !manifest.contains(&format!("sloth-{later}.workspace")),
                "{room} uses {later}"
            );
            assert!(
                !source.contains(&format!("sloth_{later}::")),
                "{room} imports {later}"
            );
        }
    }
    for (room, foreign) in [
        ("policy", "wasmtime"),
        ("policy", "tokio"),
        ("workflow", "tokio"),
        ("workflow", "wasmtime"),
        ("sandbox", "rusqlite"),
        ("sandbox", "tonic"),
    ] {
        assert!(
            !text(format!("runtime/{room}/Cargo.toml")).contains(&format!("{foreign}.workspace")),
            "{room} uses {foreign}"
        );
    }
}

#[test]
fn every_noun_has_its_five_places() {
    let docs = text("docs/policy.md");
    let ungranted = ["log", "clock", "random"];
    let mut nouns = 0;
    for path in files(&["wit"]) {
        let noun = path.file_stem().unwrap().to_str().unwrap().to_owned();
        // What is frozen, and the worlds of plugins, are kept beside.
        let own = relative(&path) == format!("wit/{noun}.wit");
        if !own || noun == "types" || noun == "world" {
            continue;
        }
        nouns += 1;
        let host = format!("runtime/sandbox/src/host/{noun}");
        assert!(
            root().join(format!("{host}.rs")).exists()
                || root().join(format!("{host}/mod.rs")).exists(),
            "{noun} has no host file"
        );
        for place in [
            format!("guest/src/bind/{noun}.rs"),
            format!("runtime/sandbox/tests/it/{noun}.rs"),
        ] {
            assert!(root().join(&place).exists(), "{noun} has no {place}");
        }
        let granted = Capability::ALL
            .iter()
            .any(|capability| capability.noun() == noun);
        let tests = text(format!("runtime/sandbox/tests/it/{noun}.rs"));
        assert_eq!(
            tests.contains(&format!("    stand(\"{noun}\", ")),
            granted,
            "every function of {noun} is tried by tests/it/verbs.rs"
        );
        assert_eq!(
            granted,
            !ungranted.contains(&noun.as_str()),
            "{noun} in sloth-policy"
        );
        assert!(
            docs.contains(&format!("| {noun} |")),
            "{noun} has no row in docs/policy.md"
        );
    }
    assert_eq!(nouns, 15);
    for capability in Capability::ALL {
        let row = format!("| {} |", capability.noun());
        let verb = format!("`{}`", capability.verb());
        let told = docs
            .lines()
            .any(|line| line.contains(&row) && line.contains(&verb));
        assert!(told, "{capability} is not in docs/policy.md");
    }
}

#[test]
fn no_file_is_longer_than_five_hundred_lines() {
    for path in files(&["rs", "lua", "wit", "sh", "c"]) {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 500, "{} has {lines} lines", relative(&path));
    }
}

#[test]
fn ambient_powers_stay_in_their_rooms() {
    let rooms = [
        (
            "ambient_authority",
            &["runtime/sandbox/src/place/resolve.rs"][..],
        ),
        (
            "std::fs",
            &[
                "runtime/sandbox/src/artefact.rs",
                "runtime/sandbox/src/artifacts.rs",
                "runtime/sandbox/src/confine/",
                "runtime/sandbox/src/place/",
                "runtime/sandbox/src/plugin/shelf.rs",
                "runtime/sandbox/src/clearing.rs",
                "runtime/sandbox/src/ground.rs",
                "runtime/sandbox/src/scratch.rs",
                "runtime/sandbox/src/shipped.rs",
                "runtime/fleet/src/store/",
                "runtime/fleet/src/pki/folder.rs",
                "runtime/cli/src/folder.rs",
                "runtime/cli/src/input.rs",
                "runtime/cli/src/temporary.rs",
            ],
        ),
        ("tokio::fs", &[]),
        (
            "Command::new",
            // The second begins this very program anew, with less in its environment.
            &[
                "runtime/sandbox/src/confine/run.rs",
                "runtime/cli/src/place.rs",
            ],
        ),
        ("TcpStream::connect", &["runtime/sandbox/src/host/http/"]),
        ("lookup_host", &["runtime/sandbox/src/host/http/"]),
        (
            "env::var",
            &[
                "runtime/sandbox/src/host/environment.rs",
                "runtime/cli/src/place.rs",
            ],
        ),
    ];
    for path in files(&["rs"]) {
        let name = relative(&path);
        let source = name.starts_with("runtime/") && name.contains("/src/");
        if !source {
            continue;
        }
        let content = std::fs::read_to_string(&path).unwrap();
        let shipped = content.split("#[cfg(test)]").next().unwrap_or_default();
        for (power, at_home) in rooms {
            let used = shipped.lines().any(|line| {
                line.replace("cap_std::fs", "").contains(power)
                    && !line.trim_start().starts_with("//")
            });
            assert!(
                !used || at_home.iter().any(|room| name.starts_with(room)),
                "{power} in {name}; it is at home in {at_home:?}"
            );
        }
    }
}

#[test]
fn sql_is_written_in_the_store_alone() {
    for path in files(&["rs", "toml"]) {
        let name = relative(&path);
        let store = ["runtime/fleet/src/store/", "runtime/fleet/Cargo.toml"];
        let ours = name.starts_with("runtime/") && !name.contains("/tests/");
        if !ours || store.iter().any(|room| name.starts_with(room)) {
            continue;
        }
        let content = std::fs::read_to_string(&path).unwrap();
        // A test may do to a database what an attacker would.
        let content = content.split("[dev-dependencies]").next().unwrap();
        for word in [
            "rusqlite",
            "SELECT ",
            "INSERT INTO",
            "DELETE FROM",
            "PRAGMA",
        ] {
            assert!(!content.contains(word), "{word} in {name}");
        }
    }
}

#[test]
fn every_lua_and_rust_word_of_the_contract_is_documented() {
    for path in files(&["wit"]) {
        if !relative(&path).starts_with("wit/") {
            continue;
        }
        let content = std::fs::read_to_string(&path).unwrap();
        let mut documented = false;
        for line in content.lines().map(str::trim) {
            if line.contains(": func(") {
                assert!(documented, "{}: {line}", relative(&path));
            }
            documented = line.starts_with("///");
        }
    }
}
