//! Which calls pass, and who refuses the others.

use sloth_policy::{Capability, Decision, Effective, Internet, Invocation, Layer, Policy, Port};

use crate::{declaration_of, declared, policy, strings, under};

use Capability::{FilesCreate, FilesDelete, FilesFollow, FilesRead, FilesWrite};

fn refused(layer: Layer) -> Decision {
    Decision::Refused(layer)
}

fn run(effective: &Effective, argv: &[&str]) -> Decision {
    let program = format!("/usr/bin/{}", argv[0]);
    let arguments = strings(&argv[1..]);
    let found_as = Some(argv[0]);
    effective.command(&Invocation {
        program: &program,
        found_as,
        arguments: &arguments,
    })
}

#[test]
fn write_outside_the_grant_is_denied() {
    let effective = under("[files]\nwrite = [\"/srv/site/**\"]");
    assert_eq!(
        effective.path(FilesWrite, "/srv/site/index.html"),
        Decision::Allowed
    );
    assert_eq!(effective.path(FilesWrite, "/srv/site"), Decision::Allowed);
    assert_eq!(
        effective.path(FilesWrite, "/srv/site2"),
        refused(Layer::Policy)
    );
    assert_eq!(
        effective.path(FilesRead, "/srv/site/index.html"),
        refused(Layer::Policy)
    );
    assert_eq!(
        effective.path(FilesDelete, "/srv/site/index.html"),
        refused(Layer::Policy)
    );
}

#[test]
fn no_policy_grants_nothing() {
    let effective = Effective::new(&Policy::nothing(), "", &[], Vec::new());
    for &capability in Capability::ALL {
        assert!(!effective.path(capability, "/").is_allowed());
        assert!(!effective.name(capability, "x").is_allowed());
        assert!(!effective.flag(capability).is_allowed());
        assert!(!effective.explain(capability, "/x").allowed);
    }
}

#[test]
fn who_may_write_may_create_and_not_the_other_way_round() {
    let effective = under("[files]\nwrite = [\"/a/**\"]\ncreate = [\"/b/**\"]");
    assert_eq!(effective.path(FilesCreate, "/a/x"), Decision::Allowed);
    assert_eq!(effective.path(FilesCreate, "/b/x"), Decision::Allowed);
    assert_eq!(effective.path(FilesWrite, "/b/x"), refused(Layer::Policy));
}

#[test]
fn deny_wins_over_any_grant() {
    let effective = under(
        "[files]\nread = [\"/**\"]\nwrite = [\"/**\"]\nfollow = [\"/**\"]\n\
         [deny]\nfiles.read = [\"**/*.key\"]\nfiles.write = [\"/etc/**\"]",
    );
    assert_eq!(
        effective.path(FilesRead, "/etc/tls/site.key"),
        refused(Layer::Deny)
    );
    assert_eq!(
        effective.path(FilesFollow, "/etc/tls/site.key"),
        refused(Layer::Deny)
    );
    assert_eq!(
        effective.path(FilesWrite, "/srv/site.key"),
        Decision::Allowed
    );
    assert_eq!(effective.path(FilesWrite, "/etc"), refused(Layer::Deny));
    assert_eq!(
        effective.path(FilesCreate, "/etc/motd"),
        refused(Layer::Deny)
    );
    assert_eq!(effective.path(FilesRead, "/etc/motd"), Decision::Allowed);
}

#[test]
fn what_is_the_nodes_own_is_refused_whatever_is_granted() {
    let protected = strings(&[
        "/var/lib/sloth/",
        "/etc//sloth/policy.toml",
        "/x/../opt/keys",
    ]);
    let policy = policy("[files]\nread = [\"/**\"]\n[process]\nrun = [\"/** **\"]");
    let effective = Effective::new(&policy, "", &[], protected);
    for path in [
        "/var/lib/sloth",
        "/var/lib/sloth/keys/a",
        "/etc/sloth/policy.toml",
        "/opt/keys",
    ] {
        assert_eq!(
            effective.path(FilesRead, path),
            refused(Layer::SelfProtection),
            "{path}"
        );
    }
    assert_eq!(
        effective.path(FilesRead, "/var/lib/sloth2"),
        Decision::Allowed
    );
    let program = Invocation {
        program: "/var/lib/sloth/x",
        found_as: None,
        arguments: &[],
    };
    assert_eq!(effective.command(&program), refused(Layer::SelfProtection));
}

#[test]
fn a_protected_path_that_is_not_absolute_protects_everything() {
    let policy = policy("[files]\nread = [\"/**\"]");
    let effective = Effective::new(&policy, "", &[], strings(&["data"]));
    assert_eq!(
        effective.path(FilesRead, "/etc/motd"),
        refused(Layer::SelfProtection)
    );
}

#[test]
fn a_declaration_narrows_and_never_widens() {
    let effective = declared(
        "[files]\nread = [\"/etc/**\"]",
        "[files]\nread = [\"/etc/a\", \"/b\"]",
    );
    assert_eq!(effective.path(FilesRead, "/etc/a"), Decision::Allowed);
    assert_eq!(
        effective.path(FilesRead, "/etc/c"),
        refused(Layer::Declaration)
    );
    assert_eq!(effective.path(FilesRead, "/b"), refused(Layer::Policy));
}

#[test]
fn workflow_and_task_must_both_declare() {
    let policy = policy("[process]\nnetwork = true\nshell = true");
    let workflow = declaration_of("[process]\nnetwork = true\nshell = true");
    let task = declaration_of("[process]\nnetwork = true");
    let effective = Effective::new(&policy, "", &[workflow, task], Vec::new());
    assert_eq!(
        effective.flag(Capability::ProcessNetwork),
        Decision::Allowed
    );
    assert_eq!(
        effective.flag(Capability::ProcessShell),
        refused(Layer::Declaration)
    );
}

#[test]
fn a_path_that_might_name_another_place_is_refused() {
    let effective = under("[files]\nread = [\"/**\"]\n[process]\nrun = [\"/** **\"]");
    for path in ["", "a", "/a/", "//a", "/a/../b", "/./a", "/a\0", "/.."] {
        assert_eq!(
            effective.path(FilesRead, path),
            refused(Layer::Policy),
            "{path:?}"
        );
    }
    let program = Invocation {
        program: "/usr/../x",
        found_as: None,
        arguments: &[],
    };
    assert_eq!(effective.command(&program), refused(Layer::Policy));
    assert_eq!(effective.path(FilesRead, "/"), Decision::Allowed);
}

#[test]
fn commands_are_decided_by_every_layer() {
    let effective = declared(
        "[process]\nrun = [\"git **\", \"make *\"]\n[deny]\nprocess.run = [\"git push **\"]",
        "[process]\nrun = [\"git **\", \"ls\"]",
    );
    assert_eq!(
        run(&effective, &["git", "pull", "--rebase"]),
        Decision::Allowed
    );
    assert_eq!(
        run(&effective, &["git", "push", "--force"]),
        refused(Layer::Deny)
    );
    assert_eq!(
        run(&effective, &["make", "site"]),
        refused(Layer::Declaration)
    );
    assert_eq!(run(&effective, &["ls"]), refused(Layer::Policy));
}

#[test]
fn names_may_hold_wildcards() {
    let effective = under("[facts]\nread = [\"*\"]\n[environment]\nread = [\"CI_*\", \"HOM?\"]");
    assert_eq!(
        effective.name(Capability::FactsRead, "memory"),
        Decision::Allowed
    );
    assert_eq!(
        effective.name(Capability::EnvironmentRead, "CI_JOB"),
        Decision::Allowed
    );
    assert_eq!(
        effective.name(Capability::EnvironmentRead, "HOME"),
        Decision::Allowed
    );
    assert_eq!(
        effective.name(Capability::EnvironmentRead, "PATH"),
        refused(Layer::Policy)
    );
}

#[test]
fn a_question_of_the_wrong_kind_is_refused() {
    let effective = under("[files]\nread = [\"/**\"]\n[process]\nshell = true");
    assert_eq!(effective.flag(FilesRead), refused(Layer::Policy));
    assert_eq!(effective.name(FilesRead, "/a"), refused(Layer::Policy));
    assert_eq!(
        effective.path(Capability::ProcessShell, "/a"),
        refused(Layer::Policy)
    );
}

#[test]
fn globs_match_component_by_component() {
    let matches = |glob: &str, path: &str| {
        under(&format!("[files]\nread = ['{glob}']"))
            .path(FilesRead, path)
            .is_allowed()
    };
    assert!(matches("/etc/*/a", "/etc/.hidden/a"));
    assert!(!matches("/etc/*", "/etc/a/b"));
    assert!(!matches("/etc/?", "/etc/ab"));
    assert!(matches("/etc/**/a", "/etc/a"));
    assert!(matches("/etc/**/a", "/etc/b/c/a"));
    assert!(matches("/**/b/**/c", "/x/b/y/b/z/c"));
    assert!(!matches("/**/b/**/c", "/x/b/y/d"));
    assert!(matches("**/*.key", "/a.key"));
    assert!(matches(r"/a\*b", "/a*b"));
    assert!(!matches(r"/a\*b", "/axb"));
    assert!(matches("/[[]x", "/[x"));
    assert!(matches("/**/**", "/"));
    assert!(!matches("/", "/a"));
}

#[test]
fn programs_get_the_ports_that_every_layer_grants() {
    let internet = |granted: &str, declared: &str, denied: &str| {
        let policy = policy(&format!("process.network = {granted}\n[deny]\n{denied}"));
        let declarations: Vec<_> = (!declared.is_empty())
            .then(|| declaration_of(&format!("process.network = {declared}")))
            .into_iter()
            .collect();
        Effective::new(&policy, "", &declarations, Vec::new()).internet()
    };
    let ports = |texts: &[&str]| {
        let ports = texts.iter().map(|text| Port::parse(text).unwrap());
        Ok(Internet::Ports(ports.collect()))
    };
    let (web, both) = ("['tcp:443']", "['tcp:443', 'listen:8080', 'udp']");
    assert_eq!(internet("true", "", ""), Ok(Internet::All));
    assert_eq!(internet("false", "", ""), ports(&[]));
    assert_eq!(
        internet(both, "", ""),
        ports(&["tcp:443", "listen:8080", "udp"])
    );
    assert_eq!(internet(both, web, ""), ports(&["tcp:443"]));
    assert_eq!(internet("true", web, ""), ports(&["tcp:443"]));
    assert_eq!(internet(web, "true", ""), ports(&["tcp:443"]));
    assert_eq!(internet(web, "['udp']", ""), ports(&[]));
    assert_eq!(
        internet(both, "", "process.network = ['udp', 'tcp:25']"),
        ports(&["tcp:443", "listen:8080"])
    );
    assert_eq!(internet("true", "", "process.network = true"), ports(&[]));
    // What is left of all is more than the kernel has rules for.
    assert_eq!(
        internet("true", "", "process.network = ['tcp:25']"),
        Err(Layer::Deny)
    );
    assert_eq!(
        internet("true", web, "process.network = ['tcp:25']"),
        ports(&["tcp:443"])
    );
}

#[test]
fn one_port_is_decided_about_as_all_of_them_are() {
    let effective = under("process.network = ['tcp:443']\n[deny]\nprocess.network = ['tcp:25']");
    assert_eq!(effective.port(Port::Connect(443)), Decision::Allowed);
    assert_eq!(effective.port(Port::Listen(443)), refused(Layer::Policy));
    assert_eq!(effective.port(Port::Connect(25)), refused(Layer::Deny));
    assert_eq!(
        effective.flag(Capability::ProcessNetwork),
        refused(Layer::Deny)
    );
    let explained = effective.explain(Capability::ProcessNetwork, "tcp:443");
    assert_eq!(
        explained.line.unwrap(),
        "policy.toml:2: network = [\"tcp:443\"]"
    );
    let explained = effective.explain(Capability::ProcessNetwork, "udp");
    assert!(
        explained
            .message
            .ends_with("to allow it: [process] network = [\"udp\"]"),
        "{}",
        explained.message
    );
    let explained = under("process.network = true").explain(Capability::ProcessNetwork, "tcp:443");
    assert!(explained.allowed && explained.line.is_some());
    let explained = under("process.network = ['udp']").explain(Capability::ProcessNetwork, "");
    assert!(
        explained
            .message
            .ends_with("to allow it: [process] network = true"),
        "{}",
        explained.message
    );
    assert!(
        !under("")
            .explain(Capability::ProcessNetwork, "tcp:0")
            .allowed
    );
}

#[test]
fn the_inside_of_a_process_is_nobodys_to_read_whatever_is_granted() {
    let effective = under("[files]\nread = ['/**', '/proc/*/environ']\nwrite = ['/proc/**']");
    for path in ["/proc/1/environ", "/proc/self/mem", "/proc/1/task/1/maps"] {
        assert_eq!(
            effective.path(FilesRead, path),
            refused(Layer::SelfProtection)
        );
        assert_eq!(
            effective.path(FilesWrite, path),
            refused(Layer::SelfProtection)
        );
    }
    assert_eq!(
        effective.path(FilesRead, "/proc/1/status"),
        Decision::Allowed
    );
    let said = effective.explain(FilesRead, "/proc/1/environ").message;
    assert!(
        said.contains("(self-protection); it shows the inside of a process"),
        "{said}"
    );
}

#[test]
fn a_unit_is_the_same_unit_in_a_deny_line_and_in_a_call() {
    let effective = Effective::new(
        &policy(
            "services.stop = [\"*\"]\n[deny]\nservices.stop = [\"org.example.thing\", \"web\"]",
        ),
        "",
        &[],
        Vec::new(),
    );
    for (unit, allowed) in [
        ("org.example.thing.service", false),
        ("org.example.thing", false),
        ("web.service", false),
        ("web.timer", true),
        ("org.example.other.service", true),
    ] {
        let decision = effective.name(Capability::ServicesStop, unit);
        assert_eq!(decision.is_allowed(), allowed, "{unit}");
    }
}
