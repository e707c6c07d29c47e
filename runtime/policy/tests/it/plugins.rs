//! `[plugin.NAME]`: what a plugin may do of what its caller may.

use sloth_policy::{Capability, Decision, Effective, Layer, Policy};

use crate::policy;

fn narrowed(text: &str) -> Effective {
    let policy = policy(text);
    let effective = Effective::new(&policy, "", &[], Vec::new());
    let section = policy.plugin("a").cloned().unwrap_or_default();
    effective.of_plugin("a", &section.grants)
}

#[test]
fn a_plugin_gets_what_both_grant_and_what_is_denied_wins() {
    let read = |text: &str| narrowed(text).path(Capability::FilesRead, "/srv/a");
    let both = "[files]\nread = ['/srv/**']\n[plugin.a]\nfiles.read = ['/srv/*']";
    assert_eq!(read(both), Decision::Allowed);
    for (text, layer) in [
        ("[files]\nread = ['/srv/**']".to_owned(), Layer::Plugin),
        (
            "[plugin.a]\nfiles.read = ['/srv/*']".to_owned(),
            Layer::Policy,
        ),
        (
            "[files]\nread = ['/srv/**']\n[plugin.b]\nfiles.read = ['/srv/*']".to_owned(),
            Layer::Plugin,
        ),
        (
            format!("{both}\n[deny]\nfiles.read = ['/srv/a']"),
            Layer::Deny,
        ),
    ] {
        assert_eq!(read(&text), Decision::Refused(layer), "{text}");
    }
    let effective = narrowed("[files]\nread = ['/srv/**']");
    let denial = effective.denial(Capability::FilesRead, "/srv/a", Layer::Plugin);
    assert_eq!(
        denial.message,
        "files.read is not granted for /srv/a (plugin); to allow it: [plugin.a] files.read = [\"/srv/a\"]"
    );
    let remedied = format!(
        "[files]\nread = ['/srv/**']\n{}",
        denial.remedy.unwrap().replacen("] ", "]\n", 1)
    );
    assert_eq!(read(&remedied), Decision::Allowed);
}

#[test]
fn whole_folders_are_those_that_both_grant() {
    let text =
        "[files]\nread = ['/srv/**', '/a/**']\n[plugin.a]\nfiles.read = ['/srv/docs/**', '/b/**']";
    assert_eq!(narrowed(text).trees(Capability::FilesRead), ["/srv/docs"]);
}

#[test]
fn a_section_holds_grants_a_digest_and_a_size_and_nothing_else() {
    let digits = "ab".repeat(32);
    let text = format!(
        "[plugin.a-1]\nsha256 = 'sha256:{}'\nmemory = '128MiB'",
        digits.to_uppercase()
    );
    let policy = policy(&text);
    let section = policy.plugin("a-1").unwrap();
    assert_eq!(section.sha256.as_deref(), Some(&*digits));
    assert_eq!(section.memory, Some(128 << 20));
    assert!(section.grants.is_empty());
    for (text, with) in [
        ("[plugin.A]", "`A` is no name of a plugin"),
        ("plugin.a = 1", "`plugin.a` is a table"),
        ("[plugin.a]\nsha256 = 'ab'", "`sha256` is no digest"),
        (
            "[plugin.a]\nmemory = '1TiB'",
            "`memory` is outside its bounds",
        ),
        ("[plugin.a]\nfrob = 1", "unknown key `frob` in [plugin.a]"),
        ("[plugin.a]\nfiles.reed = ['/x']", "unknown key `reed`"),
    ] {
        let error = Policy::parse(&format!("version = 1\n{text}"), "policy.toml").unwrap_err();
        assert!(error.to_string().contains(with), "{with}: {error}");
    }
    let warned = crate::policy("[plugin.a]\nprocess.shell = true").warnings();
    assert_eq!(warned.len(), 1);
}
