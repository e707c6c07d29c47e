//! Packages of nixpkgs in the node's default profile.

use serde_json::Value;

use super::change::foreseen;
use super::manager::{Applied, ended};
use super::names::escaped;
use super::plan::{Act, Known, Task, unknown};
use crate::bindings::sloth::host::packages::Details;
use crate::host::error::{Error, Result};
use crate::host::process::{Tool, Tools};

/// The profile that everybody on the node has in front of them.
const PROFILE: &str = "/nix/var/nix/profiles/default";
const FEATURES: [&str; 2] = ["--extra-experimental-features", "nix-command flakes"];

/// What a profile holds.
struct Element {
    known: Known,
    /// What `nix profile remove` and `upgrade` know it by.
    handle: String,
}

async fn elements(tools: &Tools<'_>) -> Result<Vec<Element>> {
    let [flag, features] = FEATURES;
    let arguments = [
        flag,
        features,
        "profile",
        "list",
        "--json",
        "--profile",
        PROFILE,
    ];
    let said = tools.run(Tool::Nix, &arguments, None).await?;
    if said.code == 0 {
        return parse(&said.stdout);
    }
    // Nix up to 2.16, which Debian 12 has, tells of a profile in lines only.
    if !said.stderr.contains("unrecognised flag '--json'") {
        return Err(said.failure("list packages", Tool::Nix));
    }
    let arguments = [flag, features, "profile", "list", "--profile", PROFILE];
    let said = tools
        .must("list packages", Tool::Nix, &arguments, None)
        .await?;
    Ok(parse_lines(&said.stdout))
}

pub(super) async fn query(tools: &Tools<'_>, names: &[String]) -> Result<Vec<Known>> {
    let all = elements(tools).await?;
    let mut found = Vec::new();
    for name in names {
        let element = all.iter().find(|element| element.known.name == *name);
        let mut known = element.map(|element| element.known.clone());
        if known.is_none() {
            known = Some(Known {
                name: name.clone(),
                candidate: evaluated(tools, name).await?.map(|details| details.version),
                ..Known::default()
            });
        }
        found.extend(known);
    }
    Ok(found)
}

pub(super) async fn list(tools: &Tools<'_>) -> Result<Vec<Known>> {
    let all = elements(tools).await?;
    Ok(all.into_iter().map(|element| element.known).collect())
}

pub(super) async fn search(tools: &Tools<'_>, text: &str) -> Result<Vec<Known>> {
    let [flag, features] = FEATURES;
    let pattern = escaped(text);
    let arguments = [
        flag, features, "search", "--json", "nixpkgs", "--", &pattern,
    ];
    let said = tools
        .must("search for packages", Tool::Nix, &arguments, None)
        .await?;
    let found: Value = read(&said.stdout)?;
    let one = |(path, about): (&String, &Value)| Known {
        name: attribute(path),
        summary: text_of(about, "description"),
        ..Known::default()
    };
    Ok(found
        .as_object()
        .map(|found| found.iter().map(one).collect())
        .unwrap_or_default())
}

pub(super) async fn info(tools: &Tools<'_>, name: &str) -> Result<Details> {
    evaluated(tools, name).await?.ok_or_else(|| unknown(name))
}

/// What nixpkgs says of a package; none if it has none of that name.
async fn evaluated(tools: &Tools<'_>, name: &str) -> Result<Option<Details>> {
    const ABOUT: &str = "p: { version = p.version or \"\"; homepage = p.meta.homepage or \"\"; summary = \
                         p.meta.description or \"\"; description = p.meta.longDescription or \"\"; system = \
                         p.system or \"\"; }";
    let [flag, features] = FEATURES;
    let installable = format!("nixpkgs#{name}");
    let arguments = [
        flag,
        features,
        "eval",
        "--option",
        // To look at a package builds nothing.
        "allow-import-from-derivation",
        "false",
        "--json",
        &installable,
        "--apply",
        ABOUT,
    ];
    let said = tools.run(Tool::Nix, &arguments, None).await?;
    if said.code != 0 {
        if said.stderr.contains("does not provide attribute") {
            return Ok(None);
        }
        return Err(said.failure("look at a package", Tool::Nix));
    }
    let about = read(&said.stdout)?;
    Ok(Some(Details {
        name: name.to_owned(),
        version: text_of(&about, "version"),
        architecture: text_of(&about, "system"),
        homepage: text_of(&about, "homepage"),
        summary: text_of(&about, "summary"),
        description: text_of(&about, "description"),
    }))
}

/// Each package is what it is without others, so a task does what it says.
pub(super) fn simulate(task: &Task, known: &[Known]) -> Vec<Act> {
    match task {
        // That is known once it is done: a profile does not tell what its lock would move to.
        Task::Upgrade(_) | Task::UpgradeAll => Vec::new(),
        Task::Install(_) | Task::Remove { .. } => foreseen(task, known),
    }
}

pub(super) async fn apply(tools: &Tools<'_>, task: &Task) -> Result<Applied> {
    let mut words: Vec<String> = Vec::new();
    match task {
        Task::Install(wanted) => {
            words.push("install".to_owned());
            words.extend(wanted.iter().map(|one| format!("nixpkgs#{}", one.name)));
        }
        Task::Remove { names, .. } => {
            words.push("remove".to_owned());
            let all = elements(tools).await?;
            let asked = all
                .into_iter()
                .filter(|element| names.contains(&element.known.name));
            words.extend(asked.map(|element| element.handle));
        }
        Task::Upgrade(_) | Task::UpgradeAll => {
            return Err(Error::invalid(
                "packages in a nix profile are upgraded by installing them from a newer nixpkgs",
            ));
        }
    }
    let [flag, features] = FEATURES;
    let mut arguments = vec![flag, features, "profile", &words[0], "--profile", PROFILE];
    arguments.extend(words[1..].iter().map(String::as_str));
    let said = tools.run(Tool::Nix, &arguments, None).await?;
    ended(&said, &task.doing(), Tool::Nix)
}

fn read(text: &str) -> Result<Value> {
    serde_json::from_str(text)
        .map_err(|error| Error::failed(format!("failed to read what nix printed: {error}")))
}

/// `nix profile list --json`: a list before version 3 of the manifest, a map by name since.
fn parse(text: &str) -> Result<Vec<Element>> {
    let manifest = read(text)?;
    let elements = &manifest["elements"];
    if let Some(named) = elements.as_object() {
        return Ok(named
            .iter()
            .map(|(name, about)| {
                let stored = about["storePaths"][0].as_str().unwrap_or_default();
                element(name.clone(), name.clone(), stored)
            })
            .collect());
    }
    let listed = elements.as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(listed
        .iter()
        .map(|about| {
            let path = text_of(about, "attrPath");
            let stored = about["storePaths"][0].as_str().unwrap_or_default();
            // Such a nix takes an attribute for a pattern, and a place in the store for itself.
            element(attribute(&path), stored.to_owned(), stored)
        })
        .collect())
}

/// `nix profile list` without `--json`: a number, what was asked for, what that was found to be, places in the store.
fn parse_lines(text: &str) -> Vec<Element> {
    let line = |line: &str| {
        let mut words = line.split(' ');
        let (found, stored) = (words.nth(2)?, words.next()?);
        let (_, path) = found.rsplit_once('#')?;
        Some(element(attribute(path), stored.to_owned(), stored))
    };
    text.lines().filter_map(line).collect()
}

fn element(name: String, handle: String, path: &str) -> Element {
    // `/nix/store/<32 letters>-hello-2.12.1`
    let stored = path.rsplit('/').next().unwrap_or_default();
    let stored = stored.split_once('-').map_or("", |(_, rest)| rest);
    let version = stored
        .match_indices('-')
        .map(|(at, _)| &stored[at + 1..])
        .find(|rest| rest.starts_with(|first: char| first.is_ascii_digit()));
    Element {
        known: Known {
            name,
            version: Some(version.unwrap_or_default().to_owned()),
            ..Known::default()
        },
        handle,
    }
}

/// `legacyPackages.x86_64-linux.python3Packages.requests` without the first two parts.
fn attribute(path: &str) -> String {
    path.splitn(3, '.').last().unwrap_or_default().to_owned()
}

fn text_of(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_of_either_form_is_read() {
        let named = r#"{"elements":{"hello":{"active":true,"attrPath":"legacyPackages.x86_64-linux.hello",
            "originalUrl":"flake:nixpkgs","outputs":null,"priority":5,
            "storePaths":["/nix/store/a7hnr9dcmx3qkkn8a20g7md1wya5zc9l-hello-2.12.1"],
            "url":"github:NixOS/nixpkgs/x"}},"version":3}"#;
        let listed = r#"{"elements":[{"active":true,"attrPath":"legacyPackages.x86_64-linux.gnu-x",
            "originalUrl":"flake:nixpkgs","storePaths":["/nix/store/a7hnr9dcmx3qkkn8a20g7md1wya5zc9l-gnu-x-1.0-dev"],
            "url":"github:NixOS/nixpkgs/x"}],"version":2}"#;
        let one = &parse(named).unwrap()[0];
        assert_eq!(
            (one.known.name.as_str(), one.known.version.as_deref()),
            ("hello", Some("2.12.1"))
        );
        let one = &parse(listed).unwrap()[0];
        assert_eq!(
            one.handle,
            "/nix/store/a7hnr9dcmx3qkkn8a20g7md1wya5zc9l-gnu-x-1.0-dev"
        );
        assert_eq!(
            (one.known.name.as_str(), one.known.version.as_deref()),
            ("gnu-x", Some("1.0-dev"))
        );
        assert!(parse(r#"{"elements":[],"version":2}"#).unwrap().is_empty());
        assert!(parse("warning").is_err());
    }

    /// Recorded from nix 2.8.0 of Debian 12.
    #[test]
    fn a_profile_told_in_lines_is_read() {
        let lines = "0 flake:nixpkgs#legacyPackages.x86_64-linux.hello path:/np?lastModified=1795419594&narHash=sha256-vftYL+wicUxJ23xDwP2RC7U62aA8KlGcgQp1TRH4ozk=#legacyPackages.x86_64-linux.hello /nix/store/1yfb5dx8j4s06hp0mbq5bnvjfgfm6l75-hello-2.12.1\n\
            1 flake:nixpkgs#legacyPackages.x86_64-linux.python3Packages.requests path:/np?lastModified=1795419594&narHash=sha256-vftYL+wicUxJ23xDwP2RC7U62aA8KlGcgQp1TRH4ozk=#legacyPackages.x86_64-linux.python3Packages.requests /nix/store/ghakpy5a5qk9bf0lbyyvy9p3irmzqlv6-requests-2.31.0\n";
        let read = parse_lines(lines);
        let [hello, requests] = &read[..] else {
            panic!("two packages are told of");
        };
        assert_eq!(
            (hello.known.name.as_str(), hello.known.version.as_deref()),
            ("hello", Some("2.12.1"))
        );
        assert_eq!(
            (
                requests.known.name.as_str(),
                requests.known.version.as_deref()
            ),
            ("python3Packages.requests", Some("2.31.0"))
        );
        assert_eq!(
            requests.handle,
            "/nix/store/ghakpy5a5qk9bf0lbyyvy9p3irmzqlv6-requests-2.31.0"
        );
        assert!(parse_lines("").is_empty());
    }

    #[test]
    fn a_task_does_what_it_says_and_no_more() {
        let known = [Known {
            name: "hello".into(),
            version: Some("2.12.1".into()),
            ..Known::default()
        }];
        let task = Task::Remove {
            names: vec!["hello".into()],
            purge: false,
        };
        let acts = simulate(&task, &known);
        assert_eq!(acts.len(), 1);
        assert_eq!(acts[0].before.as_deref(), Some("2.12.1"));
    }
}
