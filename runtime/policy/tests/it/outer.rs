//! What the sandbox around the process must have room for.

use sloth_policy::Outer;

use crate::policy;

fn outer(lines: &str) -> Outer {
    Outer::of(&policy(lines))
}

#[test]
fn a_policy_that_grants_nothing_needs_nothing() {
    let none = outer("");
    assert_eq!(none, Outer::default());
    assert!(!none.root() && none.capabilities().is_empty());
    assert_eq!(none.families(), ["AF_UNIX", "AF_INET", "AF_INET6"]);
    assert_eq!(outer("[files]\nread = [\"/etc/**\"]"), none);
}

#[test]
fn a_written_path_needs_the_folder_that_its_plain_part_names_or_stands_in() {
    for (glob, folder) in [
        ("/srv/site/**", "/srv/site"),
        ("/etc/motd", "/etc"),
        ("/opt/app/*.conf", "/opt/app"),
        ("/srv/a[12]/b", "/srv"),
        ("/motd", "/"),
        ("/**", "/"),
    ] {
        for verb in ["write", "create", "delete"] {
            let found = outer(&format!("[files]\n{verb} = [\"{glob}\"]"));
            assert_eq!(found.read_write_paths(), [folder], "{glob}");
        }
    }
}

#[test]
fn what_is_read_or_written_where_units_hide_it_is_seen() {
    for (verb, glob, seen) in [
        ("read", "/home/ana/**", &["/home"][..]),
        ("write", "/root/.profile", &["/root"]),
        ("create", "/var/tmp/x", &["/var/tmp"]),
        ("read", "/home", &["/home"]),
        ("read", "/var/**", &["/var/tmp"]),
        (
            "read",
            "/**",
            &["/home", "/root", "/run/user", "/tmp", "/var/tmp"],
        ),
        ("read", "/homestead/**", &[]),
        ("read", "/motd", &[]),
    ] {
        let found = outer(&format!("[files]\n{verb} = [\"{glob}\"]"));
        assert_eq!(found.seen, seen, "{glob}");
    }
    let homes = outer("[files]\nread = [\"/home/**\"]");
    assert_eq!(homes.beyond(&outer("")), ["seeing /home"]);
    assert!(
        homes
            .sentences()
            .contains(&"sees /home, which units hide".to_owned())
    );
}

#[test]
fn each_grant_needs_what_it_cannot_do_without() {
    let programs = outer("[process]\nrun = [\"git **\"]\nnetwork = [\"tcp:443\"]");
    assert!(programs.programs && programs.network && !programs.root());
    assert_eq!(programs.families().last(), Some(&"AF_NETLINK"));
    let packages = outer("[packages]\ninstall = [\"nginx\"]");
    assert!(packages.root() && packages.network);
    assert_eq!(packages.read_write_paths(), ["/"]);
    assert!(packages.capabilities().contains(&"CAP_SETFCAP"));
    assert!(!outer("[packages]\nquery = [\"*\"]").root());
    let accounts = outer("[process]\nrun = [\"id\"]\nuser = [\"nobody\"]");
    assert!(accounts.root() && accounts.capabilities().contains(&"CAP_KILL"));
    assert!(outer("[services]\ndefine = [\"app\"]").unit_files);
    let units = outer("[services]\nrestart = [\"nginx\", \"app-*\"]\nstart = [\"b.timer\"]");
    assert_eq!(units.units["restart"], ["nginx.service", "app-*"]);
    assert_eq!(units.units["start"], ["b.timer"]);
}

#[test]
fn what_a_rule_grants_to_some_bundles_needs_room_as_well() {
    let digest = "a".repeat(64);
    let found = outer(&format!(
        "[[rule]]\nmatch = {{ bundle = \"sha256:{digest}\" }}\nfiles.write = [\"/srv/more/**\"]\nhttp.send = [\"https://a.org/**\"]"
    ));
    assert_eq!(found.read_write_paths(), ["/srv/more"]);
    assert!(found.network);
}

#[test]
fn what_one_policy_needs_beyond_another_is_named_and_nothing_else() {
    let before = outer(
        "[files]\nwrite = [\"/srv/site/**\"]\n[services]\nrestart = [\"nginx\"]\n[process]\nrun = [\"a\"]",
    );
    assert!(before.beyond(&before).is_empty());
    assert!(outer("").beyond(&before).is_empty());
    let within = outer("[files]\ncreate = [\"/srv/site/deep/*\"]\n[process]\nrun = [\"b\"]");
    assert!(within.beyond(&before).is_empty());
    let more = outer(
        "[files]\nwrite = [\"/srv/sites/**\"]\n[services]\nrestart = [\"nginx\", \"app\"]\nstop = [\"nginx\"]\n\
         [http]\nsend = [\"https://a.org/**\"]",
    );
    assert_eq!(
        more.beyond(&before),
        [
            "writing beneath /srv/sites",
            "connections to others than the master",
            "restart of app.service",
            "stop of nginx.service",
        ]
    );
    // Whoever may write everywhere has room for it.
    let all = outer("[files]\nwrite = [\"/**\"]");
    assert_eq!(within.beyond(&all), ["starting programs"]);
}
