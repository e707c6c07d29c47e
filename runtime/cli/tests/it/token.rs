//! `token` and `login`, up to where a master is: what is wrong before anything is sent.

use std::os::unix::fs::PermissionsExt;
use std::time::SystemTime;

use sloth_fleet::pki::{Authority, Credential, Kind, Role, Subject, Token};

use crate::program::{Ended, Program};

/// A port on which nobody listens.
fn nowhere() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

struct Fleet {
    program: Program,
    authority: Authority,
}

impl Fleet {
    fn new() -> Self {
        let program = Program::new();
        let folder = program.path("authority");
        let authority = Authority::in_folder(folder.as_ref(), SystemTime::now()).unwrap();
        Self { program, authority }
    }

    fn token(&self, kind: Kind) -> String {
        let token = Token::draw(kind, self.authority.fingerprint()).unwrap();
        token.reveal().to_string()
    }

    fn credential(&self, file: &str) -> String {
        let subject = Subject {
            name: "ana".parse().unwrap(),
            role: Role::Operator,
        };
        let path = self.program.path(file);
        let credential = Credential::signed(&self.authority, &subject, SystemTime::now());
        credential.unwrap().save(path.as_ref()).unwrap();
        path
    }

    /// With a variable of the environment.
    fn with(&self, variable: &str, value: &str, arguments: &[&str]) -> Ended {
        let mut command = self.program.command(arguments);
        command.env(variable, value).output().unwrap().into()
    }
}

#[test]
fn without_any_right_it_is_told_what_was_tried() {
    let fleet = Fleet::new();
    let ended = fleet.program.run(&["token", "list"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    for part in [
        "SLOTH_RUNNER_API_KEY is not set",
        ".config/sloth-runner/credential is not there",
        "pki/admin.pem is not there",
        "sloth-runner login",
    ] {
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
    let ended = fleet
        .program
        .run(&["token", "list", "--credential", "/nonexistent"]);
    assert!(
        ended.stderr.contains("/nonexistent is not there"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_master_that_is_not_there_is_exit_4() {
    let fleet = Fleet::new();
    let credential = fleet.credential("ana.pem");
    let address = nowhere();
    let given = [
        "token",
        "list",
        "--master",
        &address,
        "--credential",
        &credential,
    ];
    let ended = fleet.program.run(&given);
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("nobody listens there"),
        "{}",
        ended.stderr
    );
    let key = fleet.token(Kind::Key);
    let ended = fleet.with(
        "SLOTH_RUNNER_API_KEY",
        &key,
        &["token", "list", "--master", &address],
    );
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);

    std::fs::set_permissions(&credential, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ended = fleet.program.run(&given);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("chmod 600"), "{}", ended.stderr);
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_sent() {
    let fleet = Fleet::new();
    let join = fleet.token(Kind::Join);
    let key = fleet.token(Kind::Key);
    let address = nowhere();
    let ended = fleet.with("SLOTH_RUNNER_API_KEY", &join, &["token", "list"]);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains("a join token, not an API key"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains(&join[6..20]), "{}", ended.stderr);
    for (arguments, told) in [
        (
            &[
                "login", "--name", "ana", "--master", &address, "--token", &key,
            ][..],
            "this is an API key, not a join token",
        ),
        (
            &[
                "login", "--name", "ana", "--master", &address, "--token", "x",
            ],
            "not a join token",
        ),
        (
            &[
                "login", "--name", "a b", "--master", &address, "--token", &join,
            ],
            "is no name",
        ),
        (
            &[
                "login", "--name", "ana", "--master", "a:b", "--token", &join,
            ],
            "is no address of a master",
        ),
        (
            &["login", "--name", "ana", "--master", &address],
            "a join token is empty",
        ),
        (
            &["login", "--insecure", "--token", &join],
            "leave --insecure out",
        ),
        (
            &[
                "token",
                "list",
                "--insecure",
                "--master",
                "fleet.example.com",
            ],
            "for loopback only",
        ),
        (&["token", "create", "--role", "admin"], "admin"),
        (
            &["token", "create", "--role", "agent", "--ttl", "soon"],
            "--ttl",
        ),
        (
            &["token", "create", "--role", "agent", "--ttl", "0s"],
            "no time at all",
        ),
        (
            &["token", "create", "--role", "agent", "--uses", "0"],
            "--uses",
        ),
        (
            &[
                "token", "create", "--role", "viewer", "--uses", "2", "--key",
            ],
            "--key",
        ),
        (
            &["token", "create", "--role", "agent", "--labels", "role"],
            "KEY=VALUE",
        ),
        (
            &["token", "create", "--role", "agent", "--labels", "a=1,a=2"],
            "given twice",
        ),
    ] {
        let ended = fleet.program.run(arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
        assert!(
            ended.stderr.contains(told),
            "{arguments:?}: {}",
            ended.stderr
        );
        assert!(
            !ended.stderr.contains(&key[9..40]) && !ended.stderr.contains(&join[6..40]),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn a_credential_that_is_there_is_not_written_over_and_a_token_is_not_shown_by_help() {
    let fleet = Fleet::new();
    let credential = fleet.credential("ana.pem");
    let join = fleet.token(Kind::Join);
    let file = fleet.program.write("token", &join);
    let address = nowhere();
    let given = [
        "login",
        "--name",
        "ana",
        "--master",
        &address,
        "--credential",
        &credential,
        "--token-file",
        &file,
    ];
    let ended = fleet.program.run(&given);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains("there is a credential already"),
        "{}",
        ended.stderr
    );
    let before = std::fs::read(&credential).unwrap();
    let ended = fleet.program.run(&[&given[..], &["--replace"]].concat());
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert_eq!(std::fs::read(&credential).unwrap(), before);
    let help = fleet.with("SLOTH_RUNNER_TOKEN", &join, &["login", "--help"]);
    assert!(!help.stdout.contains(&join), "{}", help.stdout);
}
