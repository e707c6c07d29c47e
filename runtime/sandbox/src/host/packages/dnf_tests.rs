//! What dnf 4 and rpm print; the last table is of dnf 5.

use super::*;

fn told(text: &str) -> Vec<String> {
    let one = |act: &Act| {
        let version = |version: &Option<String>| version.clone().unwrap_or_else(|| "-".into());
        format!(
            "{} {} {}",
            act.name,
            version(&act.before),
            version(&act.after)
        )
    };
    acts(text).iter().map(one).collect()
}

const INSTALL: &str = "\
Last metadata expiration check: 0:00:01 ago on Mon Nov 23 02:53:22 2026.
Dependencies resolved.
================================================================================
 Package                                    Arch    Version
                                                           Repo    Size
================================================================================
Installing:
 sloth-a-very-long-name-that-has-to-wrap-onto-a-line-of-its-own
                                            noarch  1.0-1  sloth  5.7 k
 sloth-site           noarch           1:1.0-1            sloth           5.4 k
     replacing  sloth-old.noarch 0.9-1
Installing dependencies:
 sloth-lib            noarch           1.0-1              sloth           5.4 k

Transaction Summary
================================================================================
Install  3 Packages

Total size: 17 k
Operation aborted.
";

#[test]
fn a_transaction_tells_all_that_comes_and_goes() {
    assert_eq!(
        told(INSTALL),
        [
            "sloth-a-very-long-name-that-has-to-wrap-onto-a-line-of-its-own - 1.0-1",
            "sloth-site - 1:1.0-1",
            "sloth-old 0.9-1 -",
            "sloth-lib - 1.0-1",
        ]
    );
    let remove = "Removing:\n sloth-lib            noarch           1.0-1             @sloth             0  \n\
                  Removing dependent packages:\n sloth-site           noarch           1.0-1             @sloth             \
                  0  \n\nTransaction Summary\n====\nRemove  2 Packages\n\nFreed space: 0  \nOperation aborted.\n";
    assert_eq!(told(remove), ["sloth-lib 1.0-1 -", "sloth-site 1.0-1 -"]);
    let upgrade = "Package     Arch   Version        Repository      Size\nUpgrading:\n nginx      x86_64 \
                   2:1.26.3-1.fc41 updates     33.3 KiB\n   replacing nginx x86_64 2:1.26.2-3.fc41 fedora 33.3 KiB\n\n\
                   Transaction Summary:\n Upgrading:         1 package\n";
    assert_eq!(told(upgrade), ["nginx - 2:1.26.3-1.fc41"]);
    assert!(told("Dependencies resolved.\nNothing to do.\nComplete!\n").is_empty());
}

#[test]
fn rpm_tells_what_is_installed() {
    let rows = rows(
        "sloth-site\t1.0-1\ttest sloth-site\npackage nope is not installed\ngpg-pubkey\t1-2\tkey\n\
         nginx\t0:1.24-1\tserver\n",
    );
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].version.as_deref(), Some("1.0-1"));
    assert_eq!(rows[1].version.as_deref(), Some("1.24-1"));
}

#[test]
fn a_version_may_be_asked_for_without_epoch_and_release() {
    for asked in ["1:1.24.0-1.fc39", "1.24.0-1.fc39", "1.24.0", "1:1.24.0"] {
        assert!(same_version("1:1.24.0-1.fc39", asked), "{asked}");
    }
    assert!(!same_version("1.24.0-1", "1.24"));
}

#[test]
fn what_the_lists_tell_is_read() {
    let found = found(
        "======================== Name & Summary Matched: sloth =========================\n\
         sloth-lib.noarch : test sloth-lib\n",
    );
    assert_eq!(found[0].name, "sloth-lib");
    let details = details(
        "sloth-site\t1.0-1\tnoarch\t(none)\ttest sloth-site\tLong text.\nMore.\x1e\n",
        "sloth-site",
    )
    .unwrap();
    assert_eq!(details.homepage, "");
    assert_eq!(details.description, "Long text.\nMore.");
}

#[test]
fn a_package_that_is_not_known_is_named() {
    let said = Said {
        code: 1,
        stdout: "No match for argument: nope\n".into(),
        stderr: "Error: Unable to find a match: nope\n".into(),
    };
    assert_eq!(not_known(&said).as_deref(), Some("nope"));
}
