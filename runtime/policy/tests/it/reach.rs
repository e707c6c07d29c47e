//! Whole folders: what a confined child may be given at once.

use sloth_policy::{Capability, Effective, static_prefix};

use crate::{declared, policy, strings, under};

use Capability::{FilesCreate, FilesRead, FilesWrite};

#[test]
fn trees_are_the_folders_that_every_layer_grants() {
    let effective = declared(
        "[files]\nread = [\"/etc/**\", \"/srv/a/**\", \"/srv/a/b/**\", \"/opt/x\", \"/var/*/**\"]",
        "[files]\nread = [\"/etc/nginx/**\", \"/srv/**\", \"/home/**\"]",
    );
    assert_eq!(effective.trees(FilesRead), ["/etc/nginx", "/srv/a"]);
    assert_eq!(effective.trees(FilesWrite), Vec::<String>::new());
    assert_eq!(
        under("[files]\nread = [\"/**\", \"/a/**\"]").trees(FilesRead),
        ["/"]
    );
    let narrowed = declared("[files]\nread = [\"/**\"]", "[files]\nread = [\"/a/**\"]");
    assert_eq!(narrowed.trees(FilesRead), ["/a"]);
}

#[test]
fn what_may_be_written_may_be_created_as_a_tree_too() {
    let effective = under("[files]\nwrite = [\"/a/**\"]\ncreate = [\"/b/**\"]");
    assert_eq!(effective.trees(FilesCreate), ["/a", "/b"]);
    assert_eq!(effective.trees(FilesWrite), ["/a"]);
}

#[test]
fn patterns_are_all_globs_that_are_no_trees() {
    let effective = declared(
        "[files]\nread = [\"/etc/**\", \"/srv/*.html\"]",
        "[files]\nread = [\"/etc/motd\", \"**/*.md\", \"/srv/*.html\"]",
    );
    assert_eq!(
        effective.patterns(FilesRead),
        ["**/*.md", "/etc/motd", "/srv/*.html"]
    );
}

#[test]
fn a_static_prefix_is_where_a_search_begins() {
    for (glob, prefix) in [
        ("/srv/site/*.html", "/srv/site"),
        ("/etc/motd", "/etc/motd"),
        ("**/*.key", "/"),
        ("/**", "/"),
        (r"/a\*/b/?", "/a*/b"),
        ("not a glob", "/"),
        ("/", "/"),
    ] {
        assert_eq!(static_prefix(glob), prefix, "{glob}");
    }
}

#[test]
fn what_is_denied_beneath_a_tree_is_seen() {
    let policy = policy(
        "[deny]\nfiles.read = [\"/etc/ssl/**\", \"/srv/*/secret\", \"/opt/one\"]\n\
         files.write = [\"**/*.key\"]",
    );
    let effective = Effective::new(&policy, "", &[], strings(&["/var/lib/sloth"]));
    for tree in [
        "/",
        "/etc",
        "/etc/ssl/private",
        "/srv/site",
        "/opt",
        "/var",
        "/var/lib/sloth/x",
    ] {
        assert!(effective.denies_beneath(FilesRead, tree), "{tree}");
    }
    for tree in [
        "/etc/nginx",
        "/srv/site/public",
        "/opt/one/deep",
        "/var/log",
    ] {
        assert!(!effective.denies_beneath(FilesRead, tree), "{tree}");
    }
    assert!(effective.denies_beneath(FilesCreate, "/var/log"));
}
