//! Accounts and groups for the tests of what would change.

use super::observe::{Account, Database, Group};

/// A password's hash as crypt writes it.
pub(super) const HASH: &str = "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/";

/// One account, which is locked, in one group beside its own.
pub(super) fn database() -> Database {
    let group = |name: &str, gid, members: &[&str]| Group {
        name: name.into(),
        gid,
        members: members.iter().map(|one| (*one).to_owned()).collect(),
    };
    Database {
        accounts: vec![Account {
            name: "deploy".into(),
            uid: 1000,
            gid: 1000,
            comment: "Web".into(),
            home: "/home/deploy".into(),
            shell: "/bin/sh".into(),
            hash: Some(format!("!{HASH}")),
            expires: None,
        }],
        groups: vec![
            group("deploy", 1000, &[]),
            group("web", 1001, &["deploy"]),
            group("docker", 999, &[]),
        ],
    }
}
