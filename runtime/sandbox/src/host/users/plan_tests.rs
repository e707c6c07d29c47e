//! What a wish comes to, word for word as the tools are told.

use super::super::example::{HASH, database};
use super::*;

fn wish() -> Wish {
    Wish {
        uid: None,
        group: None,
        groups: None,
        append: false,
        home: None,
        with_home: false,
        shell: None,
        comment: None,
        locked: None,
        password: None,
        expires: None,
        system: false,
    }
}

/// The tools and what differs.
fn told(name: &str, wish: &Wish) -> String {
    let database = database();
    match account(&database, name, database.account(name), wish) {
        Ok(None) => "nothing".to_owned(),
        Ok(Some(change)) => {
            let line = |one: &Command| format!("{} {}", one.tool.name(), one.arguments.join(" "));
            let lines: Vec<String> = change.commands.iter().map(line).collect();
            lines.join("; ")
        }
        Err(error) => format!("{error:?}"),
    }
}

#[test]
fn an_account_that_is_so_needs_no_change() {
    let so = Wish {
        uid: Some(1000),
        group: Some("1000".into()),
        groups: Some(vec!["web".into()]),
        home: Some("/home/deploy".into()),
        with_home: true,
        shell: Some("/bin/sh".into()),
        comment: Some("Web".into()),
        locked: Some(true),
        password: Some(HASH.into()),
        expires: Some(String::new()),
        ..wish()
    };
    assert_eq!(told("deploy", &so), "nothing");
    assert_eq!(told("deploy", &wish()), "nothing");
}

#[test]
fn a_new_account_is_made_at_once_and_its_hash_is_no_argument() {
    let new = Wish {
        uid: Some(1500),
        groups: Some(vec!["web".into(), "docker".into()]),
        home: Some("/srv/site".into()),
        with_home: true,
        shell: Some("/bin/bash".into()),
        password: Some(HASH.into()),
        system: true,
        ..wish()
    };
    assert_eq!(
        told("site", &new),
        "useradd -u 1500 -G docker,web -d /srv/site -s /bin/bash -r -m site; chpasswd -e"
    );
    let database = database();
    let change = account(&database, "site", None, &new).unwrap().unwrap();
    assert_eq!(change.touched, ["docker", "web"]);
    assert_eq!(change.made.as_deref(), Some("/srv/site"));
    assert!(!change.summary.contains(HASH) && !diff("x", &change.lines).contains(HASH));
    assert_eq!(told("plain", &wish()), "useradd -M plain");
}

#[test]
fn a_group_of_its_name_is_joined_only_as_a_group_is() {
    let database = database();
    let change = account(&database, "docker", None, &wish())
        .unwrap()
        .unwrap();
    assert_eq!(change.touched, ["docker"]);
    assert_eq!(
        change.commands[0].arguments,
        ["-g", "docker", "-M", "docker"]
    );
}

#[test]
fn groups_are_exact_or_added_to() {
    let groups = |names: &[&str], append| Wish {
        groups: Some(names.iter().map(|name| (*name).to_owned()).collect()),
        append,
        ..wish()
    };
    assert_eq!(told("deploy", &groups(&["web"], true)), "nothing");
    assert_eq!(
        told("deploy", &groups(&["docker"], true)),
        "usermod -G docker,web deploy"
    );
    assert_eq!(
        told("deploy", &groups(&["docker"], false)),
        "usermod -G docker deploy"
    );
    assert_eq!(told("deploy", &groups(&[], false)), "usermod -G  deploy");
    let database = database();
    let left = account(
        &database,
        "deploy",
        database.account("deploy"),
        &groups(&["docker"], false),
    );
    assert_eq!(left.unwrap().unwrap().touched, ["docker", "web"]);
    assert!(told("deploy", &groups(&["none"], false)).contains("group.create"));
}

#[test]
fn a_new_password_leaves_a_locked_account_locked() {
    let other = HASH.replace("qFm", "qFn");
    let new = Wish {
        password: Some(other.clone()),
        ..wish()
    };
    let database = database();
    let change = account(&database, "deploy", database.account("deploy"), &new)
        .unwrap()
        .unwrap();
    assert_eq!(
        change.commands[0].stdin.as_deref(),
        Some(format!("deploy:!{other}\n").as_str())
    );
    let unlocked = Wish {
        locked: Some(false),
        ..wish()
    };
    assert_eq!(told("deploy", &unlocked), "usermod -U deploy");
}

#[test]
fn what_is_anothers_or_roots_is_not_taken() {
    let uid = |uid| Wish {
        uid: Some(uid),
        ..wish()
    };
    assert!(told("site", &uid(1000)).contains("the account deploy's"));
    assert!(told("site", &uid(0)).contains("root's alone"));
    let unlock = Wish {
        locked: Some(false),
        ..wish()
    };
    assert!(told("site", &unlock).contains("no password"));
    let plain = Wish {
        password: Some("secret".into()),
        ..wish()
    };
    let told = told("site", &plain);
    assert!(
        told.contains("mkpasswd") && !told.contains("`secret`"),
        "{told}"
    );
}

#[test]
fn a_folder_that_is_moved_is_told_with_both_ends() {
    let moved = Wish {
        home: Some("/srv/deploy".into()),
        with_home: true,
        ..wish()
    };
    assert_eq!(told("deploy", &moved), "usermod -d /srv/deploy -m deploy");
    let database = database();
    let change = account(&database, "deploy", database.account("deploy"), &moved)
        .unwrap()
        .unwrap();
    assert_eq!(change.made.as_deref(), Some("/srv/deploy"));
    assert_eq!(change.moved.as_deref(), Some("/home/deploy"));
}
