//! What is said of programs' own words, which are recorded.

use sloth_policy::Policy;

use super::*;

fn bounds(network: Network) -> Bounds {
    let texts = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
    Bounds {
        workdir: "/srv/site".into(),
        read: texts(&["/usr", "/etc/passwd", "/srv", "/scratch"]),
        write: texts(&["/dev/null", "/srv/data", "/scratch"]),
        delete: texts(&["/scratch"]),
        network,
        read_only: false,
    }
}

fn hint_of(bounds: &Bounds, said: &str) -> String {
    let policy = Policy::parse("version = 1\ndeny.files.write = ['/srv/denied']\n", "p").unwrap();
    let grants = Effective::new(&policy, "", &[], Vec::new());
    bounds.hint(said.as_bytes(), &grants).unwrap_or_default()
}

fn hint(said: &str) -> String {
    hint_of(&bounds(Network::None), said)
}

#[test]
fn a_place_that_a_program_names_is_held_against_its_bounds() {
    for (said, expected) in [
        (
            "touch: cannot touch '/srv/x': Read-only file system",
            "may not write /srv/x; what would let them: [files] write = [\"/srv/x\"], or [files] write = [\"/srv/**\"]",
        ),
        (
            "sh: 1: cannot create /srv/site/log: Permission denied",
            "may not write /srv/site/log;",
        ),
        (
            "/bin/sh: 1: cannot create /srv/there: Read-only file system",
            "may not write /srv/there;",
        ),
        (
            "/etc/shadow: Permission denied",
            "may not read /etc/shadow;",
        ),
        (
            "mkdir: cannot create directory ‘build’: Permission denied",
            "may not write /srv/site/build;",
        ),
        (
            "error: could not lock config file .git/config: Read-only file system",
            "may not write /srv/site/.git/config;",
        ),
        (
            "cat: /etc/shadow: Permission denied",
            "may not read /etc/shadow; what would let them: [files] read = [\"/etc/shadow\"]",
        ),
        (
            "rm: cannot remove '/srv/data/x': Permission denied",
            "may not remove or replace /srv/data/x;",
        ),
        (
            "warning: fine\nfatal: unable to write: Read-only file system\n",
            "may not write /srv/site; what would let them: [files] write = [\"/srv/site/**\"]",
        ),
    ] {
        let hint = hint(said);
        assert!(hint.contains(expected), "{said}: {hint}");
        assert!(!hint.contains('\n'), "{hint}");
    }
}

#[test]
fn nothing_is_guessed_where_the_words_point_nowhere() {
    for said in [
        "",
        "make: *** [all] Error 2",
        "git@github.com: Permission denied (publickey).",
        "cat: /scratch/x: Permission denied",
        "touch: cannot touch '/srv/denied': Read-only file system",
        "No such file or directory: /srv/x",
        "/bin/sh: 1: cannot create /scratch/x: Permission denied",
        "install: cannot create '/usr/bin/tool': Read-only file system",
        "curl: (7) Failed to connect to https://example.org/: Connection refused",
    ] {
        assert_eq!(hint(said), "", "{said}");
    }
}

#[test]
fn a_program_without_the_network_is_told_of_ports() {
    let ports = |datagrams| {
        bounds(Network::Ports {
            connect: vec![443],
            listen: Vec::new(),
            datagrams,
        })
    };
    let nameless = "curl: (6) Could not resolve host: example.org";
    assert!(hint(nameless).contains("have no network; [process] network = "));
    assert!(hint("socket: Operation not permitted").contains("have no network"));
    assert!(hint_of(&ports(false), nameless).contains("[process] network = [\"udp\"]"));
    assert_eq!(hint_of(&ports(true), nameless), "");
    let refused = "nc: connect to 10.0.0.1 port 25 (tcp) failed: Permission denied";
    assert!(hint_of(&ports(true), refused).contains("the ports of [process] network only"));
    assert_eq!(hint_of(&bounds(Network::All), nameless), "");
}

#[test]
fn what_a_program_says_does_not_reach_the_terminal_as_it_is() {
    let hint = hint("touch: cannot touch '/srv/\u{1b}[2J': Read-only file system");
    assert!(
        !hint.contains('\u{1b}') && hint.contains("may not write"),
        "{hint}"
    );
}

#[test]
fn a_program_that_is_to_change_nothing_is_told_so() {
    let mut bounds = bounds(Network::None);
    bounds.read_only = true;
    let said = "touch: cannot touch '/srv/data2/x': Read-only file system";
    assert!(hint_of(&bounds, said).contains("check = true"));
}
