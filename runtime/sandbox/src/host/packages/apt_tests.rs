//! What the tools of Debian 12 print.

use super::*;

fn act(name: &str, before: Option<&str>, after: Option<&str>) -> Act {
    Act {
        name: name.into(),
        before: before.map(Into::into),
        after: after.map(Into::into),
    }
}

#[test]
fn dpkg_tells_what_is_installed_held_and_left() {
    let rows = rows(
        "sloth-site\tii \t1.0\tall\ttest sloth-site\nsloth-lib\thi \t1.0\tall\ttest\n\
         gone\trc \t2.0\tamd64\tsettings only\nhalf\tiF \t1\tamd64\tnot set up\n\
         libc6\tun \t\ti386\t\nlibc6\tii \t2.36-9+deb12u14\tamd64\tGNU C Library\n",
    );
    let site = of("sloth-site", &rows);
    assert_eq!((site.version.as_deref(), site.held), (Some("1.0"), false));
    assert_eq!(site.summary, "test sloth-site");
    assert!(of("sloth-lib", &rows).held);
    let gone = of("gone", &rows);
    assert!(gone.version.is_none() && gone.leftovers);
    assert!(of("half", &rows).version.is_none());
    assert_eq!(
        of("libc6", &rows).version.as_deref(),
        Some("2.36-9+deb12u14")
    );
    assert!(of("libc6:i386", &rows).version.is_none());
    assert_eq!(
        of("nope", &rows),
        Known {
            name: "nope".into(),
            ..Known::default()
        }
    );
}

#[test]
fn policy_tells_the_version_that_would_come() {
    let text = "sloth-site:\n  Installed: (none)\n  Candidate: 1.0\n  Version table:\n     1.0 500\n        \
                500 file:/srv/debs ./ Packages\nmail-transport-agent:\n  Installed: (none)\n  Candidate: \
                (none)\n  Version table:\nlibc6:\n  Installed: 2.36-9+deb12u14\n  Candidate: \
                2.36-9+deb12u14\n  Version table:\n *** 2.36-9+deb12u14 100\n        100 /var/lib/dpkg/status\n";
    assert_eq!(
        candidates(text),
        [
            ("sloth-site".to_owned(), "1.0".to_owned()),
            ("libc6".to_owned(), "2.36-9+deb12u14".to_owned())
        ]
    );
}

#[test]
fn a_simulation_tells_all_that_comes_and_goes() {
    let text = "Reading package lists...\nThe following packages will be REMOVED:\n  sloth-lib sloth-site\n\
                0 upgraded, 1 newly installed, 2 to remove and 0 not upgraded.\nRemv sloth-site [1.0]\n\
                Purg sloth-lib [1.0]\nInst sloth-rival (1.0 localhost [all])\n\
                Inst libssl3 [3.0.15-1] (3.0.16-1 Debian-Security:12/stable-security [amd64]) [libx:amd64 ]\n\
                Conf sloth-rival (1.0 localhost [all])\n";
    assert_eq!(
        acts(text),
        [
            act("sloth-site", Some("1.0"), None),
            act("sloth-lib", Some("1.0"), None),
            act("sloth-rival", None, Some("1.0")),
            act("libssl3", Some("3.0.15-1"), Some("3.0.16-1")),
        ]
    );
}

#[test]
fn versions_are_asked_for_exactly() {
    let task = Task::Install(vec![
        Wanted {
            name: "a1".into(),
            version: Some("1:2-3".into()),
        },
        Wanted {
            name: "b1".into(),
            version: None,
        },
    ]);
    assert_eq!(
        words(&task).join(" "),
        "install --allow-downgrades -- a1=1:2-3 b1"
    );
}

#[test]
fn what_the_lists_tell_of_a_package_is_read() {
    let text = "Package: sloth-site\nVersion: 1.0\nArchitecture: all\nMaintainer: T <t@example.org>\nDepends: \
                sloth-lib\nHomepage: https://example.org\nDescription: test sloth-site\n Long text.\n .\n More.\n\
                Description-md5: 8c7bd8951b89c8bb568f7d7a02bff8ee\nFilename: ./sloth-site_1.0_all.deb\n\nPackage: \
                other\nVersion: 2\n";
    let details = details(text).unwrap();
    assert_eq!(
        (details.name.as_str(), details.version.as_str()),
        ("sloth-site", "1.0")
    );
    assert_eq!(details.homepage, "https://example.org");
    assert_eq!(details.summary, "test sloth-site");
    assert_eq!(details.description, "Long text.\n\nMore.");
    assert!(super::details("").is_none());
}

#[test]
fn only_what_came_over_the_network_was_fetched() {
    assert!(!fetched(
        "Hit:1 http://mirror.example.org/debian bookworm InRelease\nReading package lists...\n"
    ));
    assert!(!fetched("Get:1 file:/srv/debs ./ InRelease\n"));
    assert!(fetched(
        "Get:1 http://mirror.example.org/debian bookworm InRelease [151 kB]\n"
    ));
}

#[test]
fn a_package_that_is_not_known_is_named() {
    assert_eq!(
        not_known("E: Unable to locate package nope-x\n"),
        Some("nope-x")
    );
    assert_eq!(
        not_known("Package a is not available\n\nE: Package 'a' has no installation candidate\n"),
        Some("a")
    );
    assert_eq!(
        not_known("E: Version '9' for 'sloth-lib' was not found"),
        None
    );
}

#[test]
fn a_search_tells_names_and_summaries() {
    let found = found("sloth-lib - test sloth-lib\nsloth-site - a - b\n");
    assert_eq!(found[1].name, "sloth-site");
    assert_eq!(found[1].summary, "a - b");
}
