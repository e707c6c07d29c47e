//! Secrets bound to where they may go.

use proptest::prelude::*;
use sloth_policy::{Capability, Decision, Effective, Layer, Policy};

use crate::{declaration_of, declared, policy, under};

use Capability::{SecretsEnv, SecretsHeader, SecretsReveal};

const BOUND: &str = "[secrets]
env = { db-password = [\"/usr/bin/pg_dump\", \"/opt/tools/*\"] }
header = { api-key = [\"https://api.example.org\"] }
reveal = [\"token\"]";

fn refused(layer: Layer) -> Decision {
    Decision::Refused(layer)
}

#[test]
fn a_secret_goes_only_where_it_is_bound_to() {
    let effective = under(BOUND);
    let allowed = [
        (SecretsEnv, "db-password", "/usr/bin/pg_dump"),
        (SecretsEnv, "db-password", "/opt/tools/dump"),
        (SecretsHeader, "api-key", "https://api.example.org"),
    ];
    for (capability, name, to) in allowed {
        assert_eq!(effective.going(capability, name, to), Decision::Allowed);
    }
    for (capability, name, to) in [
        (SecretsEnv, "db-password", "/usr/bin/psql"),
        (SecretsEnv, "db-password", "/opt/tools/deep/dump"),
        (SecretsEnv, "db-password", "/opt/tools/../../bin/sh"),
        (SecretsEnv, "db-password", "pg_dump"),
        (SecretsEnv, "db-password", ""),
        (SecretsEnv, "api-key", "/usr/bin/pg_dump"),
        (SecretsEnv, "api-key", "https://api.example.org"),
        (SecretsHeader, "api-key", "https://example.org"),
        (SecretsHeader, "db-password", "https://api.example.org"),
        (SecretsReveal, "token", "/usr/bin/pg_dump"),
    ] {
        let decision = effective.going(capability, name, to);
        assert_eq!(decision, refused(Layer::Policy), "{capability} {name} {to}");
    }
    // To be bound is not to be revealed.
    assert!(!effective.name(SecretsReveal, "db-password").is_allowed());
    assert!(!effective.name(SecretsEnv, "db-password").is_allowed());
    assert!(effective.name(SecretsReveal, "token").is_allowed());
}

#[test]
fn a_table_may_be_written_in_either_way() {
    let effective = under("[secrets.env]\n\"db*\" = [\"/usr/bin/pg_dump\"]");
    assert!(
        effective
            .going(SecretsEnv, "db-password", "/usr/bin/pg_dump")
            .is_allowed()
    );
}

#[test]
fn deny_wins_and_a_declaration_narrows() {
    let effective = declared(
        &format!("{BOUND}\n[deny.secrets.env]\n\"*\" = [\"/opt/**\"]"),
        "[secrets]\nenv = { db-password = [\"/usr/bin/pg_dump\", \"/usr/bin/psql\"] }",
    );
    let going = |to| effective.going(SecretsEnv, "db-password", to);
    assert_eq!(going("/usr/bin/pg_dump"), Decision::Allowed);
    assert_eq!(going("/usr/bin/psql"), refused(Layer::Policy));
    assert_eq!(going("/opt/tools/dump"), refused(Layer::Deny));
    let header = effective.going(SecretsHeader, "api-key", "https://api.example.org");
    assert_eq!(header, refused(Layer::Declaration));
}

#[test]
fn the_nodes_own_programs_are_no_sinks() {
    let policy = policy("[secrets]\nenv = { key = [\"/**\"] }");
    let effective = Effective::new(&policy, "", &[], vec!["/var/lib/sloth".to_owned()]);
    let decision = effective.going(SecretsEnv, "key", "/var/lib/sloth/x");
    assert_eq!(decision, refused(Layer::SelfProtection));
}

#[test]
fn a_refusal_names_the_line_that_binds() {
    let denial =
        under("").going_denial(SecretsEnv, "db-password", "/usr/bin/pg_dump", Layer::Policy);
    assert_eq!(
        denial.to_string(),
        "secrets.env is not granted for db-password /usr/bin/pg_dump (policy); to allow it: \
         [secrets] env = { \"db-password\" = [\"/usr/bin/pg_dump\"] }"
    );
    let denial = under("").going_denial(
        SecretsHeader,
        "api-key",
        "https://API.example.org:443",
        Layer::Declaration,
    );
    assert_eq!(
        denial.remedy.as_deref(),
        Some(
            r#":capabilities({ secrets = { header = { ["api-key"] = { "https://api.example.org" } } } })"#
        )
    );
    for (name, to) in [("", "/x"), ("a", "x"), ("a\0", "/x")] {
        let denial = under("").going_denial(SecretsEnv, name, to, Layer::Policy);
        assert_eq!(denial.remedy, None, "{name:?} {to:?}");
    }
}

#[test]
fn an_explanation_takes_a_secret_and_its_sink() {
    let effective = under(BOUND);
    let explanation = effective.explain(SecretsEnv, "db-password /usr/bin/pg_dump");
    assert!(explanation.allowed, "{}", explanation.message);
    assert_eq!(
        explanation.line.as_deref(),
        Some("policy.toml:3: env = { \"db-password\" = [\"/usr/bin/pg_dump\"] }")
    );
    let without = effective.explain(SecretsEnv, "db-password");
    assert!(
        without
            .message
            .contains("'secrets.env NAME /usr/bin/program'")
    );
}

#[test]
fn what_a_table_may_not_hold_is_named_with_its_place() {
    for (lines, expected) in [
        (
            "[secrets]\nenv = [\"a\"]",
            "3:7: `env` is a table of lists by name, not an array; write env = { \"name\" = [\"/usr/bin/program\"] }",
        ),
        (
            "[secrets]\nenv = { a = \"/x\" }",
            "3:13: `a` is a list, not a string; write a = [\"/x\"]",
        ),
        ("[secrets]\nenv = { a = [1] }", "3:14: `env` lists texts"),
        (
            "[secrets]\nenv = { a = [\"x\"] }",
            "3:14: `x` in `secrets.env` is not absolute",
        ),
        (
            "[secrets]\nheader = { a = [\"x\"] }",
            "3:17: `x` in `secrets.header` is no server",
        ),
        (
            "[secrets]\nenv = { \"\" = [\"/x\"] }",
            "3:15: a name in `secrets.env` is empty",
        ),
    ] {
        let text = format!("version = 1\n{lines}\n");
        let error = Policy::parse(&text, "policy.toml").expect_err(lines);
        let expected = format!("policy.toml:{expected}");
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}

#[test]
fn lines_of_a_declaration_show_both() {
    let lines = declaration_of(BOUND).lines();
    assert_eq!(
        lines,
        [
            "secrets.env db-password /usr/bin/pg_dump",
            "secrets.env db-password /opt/tools/*",
            "secrets.header api-key https://api.example.org",
            "secrets.reveal token",
        ]
    );
}

fn entries() -> impl Strategy<Value = Vec<(String, String)>> {
    let names = prop::sample::select(vec!["a", "b", "*", "a*", "ab"]);
    let sinks = prop::sample::select(vec!["/a", "/a/b", "/**", "/a/*", "/b"]);
    prop::collection::vec((names, sinks), 0..5).prop_map(|entries| {
        entries
            .into_iter()
            .map(|(name, sink)| (name.to_owned(), sink.to_owned()))
            .collect()
    })
}

/// As a table of TOML, in which a name stands once.
fn table(entries: &[(String, String)]) -> String {
    let mut names: Vec<&str> = entries.iter().map(|(name, _)| &**name).collect();
    names.sort_unstable();
    names.dedup();
    let lists = names.iter().map(|name| {
        let sinks: Vec<&str> = entries
            .iter()
            .filter(|(other, _)| other == name)
            .map(|(_, sink)| &**sink)
            .collect();
        format!("{name:?} = {sinks:?}")
    });
    format!("{{ {} }}", lists.collect::<Vec<_>>().join(", "))
}

fn binding(granted: &[(String, String)], denied: &[(String, String)]) -> Policy {
    policy(&format!(
        "[secrets]\nenv = {}\n[deny]\nsecrets.env = {}",
        table(granted),
        table(denied)
    ))
}

proptest! {
    #[test]
    fn every_layer_must_bind_and_deny_wins(
        granted in entries(), declared in entries(), denied in entries(),
        name in prop::sample::select(vec!["a", "b", "ab", "c"]),
        to in prop::sample::select(vec!["/a", "/a/b", "/b", "/c"]),
    ) {
        let holds = |policy: &Policy| {
            Effective::new(policy, "", &[], Vec::new())
                .going(SecretsEnv, name, to)
                .is_allowed()
        };
        let policy = binding(&granted, &denied);
        let declaration = binding(&declared, &[]);
        let together =
            Effective::new(&policy, "", &[declaration.grants_for("")], Vec::new());
        let expected = holds(&binding(&granted, &[]))
            && holds(&declaration)
            && !holds(&binding(&denied, &[]));
        prop_assert_eq!(together.going(SecretsEnv, name, to).is_allowed(), expected);
    }

    #[test]
    fn no_text_makes_a_server_panic(text in any::<String>()) {
        for text in [text.clone(), format!("https://{text}"), format!("https://*.{text}")] {
            let line = format!("version = 1\nsecrets.header = {{ a = [{text:?}] }}");
            let _ = Policy::parse(&line, "policy.toml");
            let _ = under("").going(SecretsHeader, "a", &text);
        }
    }
}
