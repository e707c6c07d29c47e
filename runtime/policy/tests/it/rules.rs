//! `[keys]` and `[[rule]]`, what is declared and not granted, and what is learned.

use sloth_policy::{Call, Calls, Capability, Effective, Grants, Identity, Policy};

use crate::policy;

fn known() -> Policy {
    let key = "12".repeat(32);
    policy(&format!(
        "[keys]\nops = \"ed25519:{key}\"\n[[rule]]\nmatch = {{ signed-by = \"ops\", workflow = \
         \"deploy\" }}\nfiles.write = [\"/srv/**\"]\n[[rule]]\nmatch = {{ signed-by = \"ops\" }}\n\
         files.read = [\"/etc/motd\"]"
    ))
}

fn identity(signers: &[&str], workflow: &str) -> Identity {
    Identity {
        signers: signers.iter().map(|name| (*name).to_owned()).collect(),
        workflow: workflow.to_owned(),
        ..Identity::default()
    }
}

#[test]
fn a_signature_makes_a_rule_match_and_a_name_only_narrows_it() {
    let policy = known();
    assert_eq!(policy.keys()[0].key, [0x12; 32]);
    let lines = |signers: &[&str], workflow| policy.grants_for(identity(signers, workflow)).lines();
    assert_eq!(
        lines(&["ops"], "deploy"),
        ["files.read /etc/motd", "files.write /srv/**"]
    );
    assert_eq!(lines(&["ops"], "other"), ["files.read /etc/motd"]);
    assert!(lines(&[], "deploy").is_empty());
    assert!(lines(&["others"], "deploy").is_empty());
}

#[test]
fn a_key_that_is_none_is_an_error_where_it_stands() {
    for key in [
        "",
        "ed25519:12",
        "rsa:12",
        &format!("ed25519:{}", "zz".repeat(32)),
    ] {
        let text = format!("version = 1\n[keys]\nops = \"{key}\"");
        let error = Policy::parse(&text, "p.toml").unwrap_err().to_string();
        assert!(
            error.contains("p.toml:3:") && error.contains("no public key"),
            "{error}"
        );
    }
}

fn declared(text: &str) -> Grants {
    policy(text).grants_for("")
}

#[test]
fn what_is_declared_and_not_granted_is_listed_all_at_once_with_its_lines() {
    let node = policy(
        "files.read = ['/etc/**', '/srv/a']\nfiles.create = ['/var/log/x']\nprocess.run = ['/usr/bin/git pull *']\nfacts.read = ['host*']",
    );
    let ungranted = |text: &str| -> Vec<String> {
        let missing = node.ungranted(&declared(text), &Identity::default());
        missing.into_iter().map(|one| one.remedy).collect()
    };
    let all = "files.read = ['/opt/x', '/etc/motd']\nfiles.write = ['/etc/motd']\nprocess.shell = true\nprocess.run = ['make']\nfacts.read = ['load']";
    assert_eq!(
        ungranted(all),
        [
            "[files] read = [\"/opt/x\"]",
            "[files] write = [\"/etc/motd\"]",
            "[process] shell = true",
            "[process] run = [\"make\"]",
            "[facts] read = [\"load\"]",
        ]
    );
    // A part is enough: the step then has that part.
    let partly = "files.read = ['/srv/**', '/**/*.conf']\nfiles.write = ['/var/log/**']\nprocess.run = ['git pull origin']\nfacts.read = ['*', 'hostname']";
    assert_eq!(ungranted(partly), Vec::<String>::new());
    assert_eq!(ungranted("files.write = ['/srv/ab']").len(), 1);
}

#[test]
fn programs_are_compared_as_patterns() {
    for (granted, wanted, some) in [
        ("/** **", "echo hi", true),
        ("/usr/bin/* **", "echo hi", true),
        ("/usr/bin/* **", "/bin/echo hi", true),
        ("/opt/tool-*/bin/git **", "git pull", true),
        ("/opt/tool-*/bin/git **", "make", false),
        ("git* **", "git-lfs pull", true),
        ("git* **", "hg pull", false),
        ("make", "m* **", true),
        ("make", "/usr/bin/[a-z]* **", true),
        ("'my tool' *", "'my tool' x", true),
        ("'my tool' *", "my x", false),
        ("/usr/bin/git **", "/usr/bin/**", true),
    ] {
        let node = policy(&format!("process.run = [\"{granted}\"]"));
        let missing = node.ungranted(
            &declared(&format!("process.run = [\"{wanted}\"]")),
            &Identity::default(),
        );
        assert_eq!(missing.is_empty(), some, "{granted}: {wanted}");
    }
}

#[test]
fn a_declared_place_elsewhere_is_not_granted() {
    let node = policy(
        "http.send = ['https://api.example.org/v1/**', 'http://*.a.example:*']\n\
         http.addresses = ['10.0.0.0/8']\n[secrets.env]\n'db-*' = ['/usr/bin/*']\n\
         [secrets.header]\ntoken = ['https://*.example.org']",
    );
    let ungranted = |text: &str| {
        let missing = node.ungranted(&declared(text), &Identity::default());
        missing
            .into_iter()
            .map(|one| one.remedy)
            .collect::<Vec<_>>()
    };
    for (line, remedy) in [
        (
            "http.send = ['https://evil.example/**']",
            "[http] send = [\"https://evil.example/**\"]",
        ),
        ("http.send = ['http://api.example.org/v1/**']", ""),
        ("http.send = ['https://api.example.org:8443']", ""),
        ("http.send = ['https://api.example.org/v2/x']", ""),
        ("http.send = ['https://api.example.org/v2/*']", ""),
        ("http.send = ['http://a.example']", ""),
        (
            "http.addresses = ['127.0.0.1']",
            "[http] addresses = [\"127.0.0.1\"]",
        ),
        ("http.addresses = ['192.168.0.0/16']", ""),
        (
            "secrets.env = { db-password = ['/opt/x'] }",
            "[secrets] env = { \"db-password\" = [\"/opt/x\"] }",
        ),
        ("secrets.env = { api-key = ['/usr/bin/psql'] }", ""),
        ("secrets.header = { token = ['https://example.com'] }", ""),
        ("secrets.header = { token = ['https://example.org'] }", ""),
        ("secrets.header = { token = ['http://a.example.org'] }", ""),
    ] {
        let found = ungranted(line);
        assert_eq!(found.len(), 1, "{line}");
        assert!(remedy.is_empty() || found == [remedy], "{line}: {found:?}");
    }
    for line in [
        "http.send = ['https://api.example.org']",
        "http.send = ['https://*:*/v1/users']",
        "http.send = ['https://api.example.org/*/users']",
        "http.send = ['http://x.a.example:8080/**']",
        "http.send = ['http://*.b.a.example']",
        "http.addresses = ['10.1.0.0/16']",
        "http.addresses = ['0.0.0.0/0']",
        // A name may have any address, and a network any name.
        "http.addresses = ['wiki.example']",
        "secrets.env = { '*' = ['/usr/bin/psql'] }",
        "secrets.header = { token = ['https://a.example.org'] }",
        "secrets.header = { token = ['https://*.a.example.org'] }",
    ] {
        assert_eq!(ungranted(line), Vec::<String>::new(), "{line}");
    }
}

fn subject(capability: Capability, text: &str) -> Call {
    Call::Subject(capability, text.to_owned())
}

#[test]
fn what_is_learned_allows_what_was_tried_and_no_line_of_it_is_needless() {
    let mut calls = Calls::default();
    for call in [
        subject(Capability::FilesWrite, "/srv/odd [x]*?{}\"'\\ name"),
        subject(Capability::FilesCreate, "/srv/a"),
        subject(Capability::FilesWrite, "/srv/a"),
        subject(Capability::FilesCreate, "/srv/b"),
        subject(Capability::FilesDelete, "/srv/a"),
        subject(Capability::FactsRead, "host*"),
        Call::Pattern(Capability::FilesRead, "/srv/*".to_owned()),
        Call::Command(
            ["git", "commit", "-m", "a b * $x", ""]
                .map(str::to_owned)
                .to_vec(),
        ),
        Call::Command(vec!["/usr/bin/true".to_owned()]),
        Call::Flag(Capability::ProcessShell),
        // Covered by the search above.
        subject(Capability::FilesRead, "/srv/found"),
        subject(Capability::HttpSend, "https://api.example.org:8443/v1/a*b"),
        subject(Capability::HttpSend, "http://[::1]/"),
        subject(Capability::HttpAddresses, "::1"),
        subject(Capability::HttpAddresses, "wiki.example"),
        Call::Going(
            Capability::SecretsEnv,
            "db.password".to_owned(),
            "/usr/bin/odd *".to_owned(),
        ),
        Call::Going(
            Capability::SecretsEnv,
            "db.password".to_owned(),
            "/usr/bin/psql".to_owned(),
        ),
        Call::Going(
            Capability::SecretsHeader,
            "token".to_owned(),
            "https://api.example.org:443".to_owned(),
        ),
        subject(Capability::SecretsReveal, "token"),
        Call::Pattern(Capability::StateRead, "app/*".to_owned()),
        subject(Capability::StateRead, "app/count"),
        Call::Pattern(Capability::StateRead, "*".to_owned()),
        Call::Pattern(Capability::StateWrite, "*".to_owned()),
        subject(Capability::PackagesQuery, "*"),
        subject(Capability::PackagesQuery, "nginx"),
        subject(Capability::PackagesInstall, "g++"),
        subject(Capability::UsersGroups, "web"),
        subject(Capability::UsersIds, "1600"),
        subject(Capability::EventsEmit, "site.deployed"),
    ] {
        calls.note(call);
    }
    let text = calls.policy();
    let grants = |text: &str| {
        let policy = Policy::parse(text, "learned.toml").unwrap_or_else(|e| panic!("{e}\n{text}"));
        Effective::new(&policy, "", &[], Vec::new())
    };
    let all = grants(&text);
    assert!(calls.iter().all(|call| call.is_allowed(&all)), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    let mut entries = 0;
    for index in 0..lines.len() {
        if lines[index].starts_with("  ") || lines[index].ends_with("= true") {
            entries += 1;
            let mut fewer = lines.clone();
            let gone = fewer.remove(index);
            let fewer = grants(&fewer.join("\n"));
            assert!(
                !calls.iter().all(|call| call.is_allowed(&fewer)),
                "{gone} in\n{text}"
            );
        }
    }
    assert_eq!(entries, 24, "{text}");
    assert!(
        text.contains("# Careful: this amounts to any command line"),
        "{text}"
    );
    assert!(!all.path(Capability::FilesWrite, "/srv/odd x").is_allowed());
    assert!(!all.name(Capability::FactsRead, "hostname").is_allowed());
}

#[test]
fn values_narrow_a_match_and_never_make_one() {
    let key = "12".repeat(32);
    let digest = "ab".repeat(32);
    let with = |values: &str| {
        policy(&format!(
            "[keys]\nops = \"ed25519:{key}\"\n[[rule]]\nmatch = {{ signed-by = \"ops\", values = \"{values}\" }}\n\
             files.read = [\"/etc/motd\"]"
        ))
    };
    let lines = |policy: &Policy, values: &str| {
        let identity = Identity {
            values: values.to_owned(),
            ..identity(&["ops"], "deploy")
        };
        policy.grants_for(identity).lines().len()
    };
    let none = with("none");
    assert_eq!((lines(&none, "none"), lines(&none, "")), (1, 0));
    assert_eq!(lines(&none, &format!("sha256:{digest}")), 0);
    let some = with(&format!("sha256:{}", digest.to_uppercase()));
    assert_eq!(lines(&some, &format!("sha256:{digest}")), 1);
    assert_eq!(lines(&some, "none"), 0);
    for text in ["some", "sha256:12", ""] {
        let text = format!(
            "version = 1\n[keys]\nops = \"ed25519:{key}\"\n[[rule]]\nmatch = {{ signed-by = \"ops\", values = \"{text}\" }}\n"
        );
        assert!(
            Policy::parse(&text, "p")
                .unwrap_err()
                .to_string()
                .contains("values")
        );
    }
    let alone = "version = 1\n[[rule]]\nmatch = { values = \"none\" }\n";
    assert!(
        Policy::parse(alone, "p")
            .unwrap_err()
            .to_string()
            .contains("never make one")
    );
}
