//! The line a refusal names makes the very call pass, whatever the call was about.

use std::fmt::Write as _;

use proptest::prelude::*;
use sloth_policy::{
    Capability, Decision, Denial, Effective, Entry, Grants, Invocation, Layer, Peer, Policy, Port,
    Scope, Url,
};

use crate::properties::{hostile, hostile_path};
use crate::{policy, under};

/// The policy that holds a remedy and nothing else.
fn remedied(remedy: &str) -> Policy {
    policy(&remedy.replacen("] ", "]\n", 1))
}

/// Reads the one entry of a declaration remedy as Lua would, and declares it.
fn declared(capability: Capability, remedy: &str) -> Grants {
    let entry = if capability.scope() == Scope::Flag {
        assert!(remedy.ends_with(" = true } })"), "{remedy}");
        Entry::Flag(true)
    } else if capability.scope().binds() {
        let open = format!(
            ":capabilities({{ secrets = {{ {} = {{ [\"",
            capability.verb()
        );
        let inner = remedy
            .strip_prefix(&open)
            .and_then(|rest| rest.strip_suffix("\" } } } })"))
            .and_then(|rest| rest.rsplit_once("\"] = { \""));
        let (name, place) = inner.expect("the remedy is a declaration");
        Entry::Bound([(unescaped(name), vec![unescaped(place)])].into())
    } else {
        let open = format!(
            ":capabilities({{ {} = {{ {} = {{ \"",
            capability.noun(),
            capability.verb()
        );
        let inner = remedy
            .strip_prefix(&open)
            .and_then(|rest| rest.strip_suffix("\" } } })"));
        Entry::Names(vec![unescaped(inner.expect("the remedy is a declaration"))])
    };
    let verbs = [(capability.verb().to_owned(), entry)].into();
    Grants::declare(
        &[(capability.noun().to_owned(), verbs)].into(),
        "deploy.sloth",
        1,
    )
    .expect("the remedy is well formed")
}

/// What a Lua string stands for, for the escapes that remedies use.
fn unescaped(literal: &str) -> String {
    let mut text = String::new();
    let mut rest = literal.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            assert_ne!(character, '"', "{literal}");
            text.push(character);
            continue;
        }
        match rest.next().expect("an escape has a letter") {
            'n' => text.push('\n'),
            't' => text.push('\t'),
            'u' => {
                let digits: String = rest
                    .by_ref()
                    .skip(1)
                    .take_while(|&digit| digit != '}')
                    .collect();
                let code = u32::from_str_radix(&digits, 16).expect("the digits are hexadecimal");
                text.push(char::from_u32(code).expect("the code is a character's"));
            }
            other => text.push(other),
        }
    }
    text
}

fn everything() -> Policy {
    policy(
        "[files]\nread = [\"/**\"]\nwrite = [\"/**\"]\ncreate = [\"/**\"]\ndelete = [\"/**\"]\n\
         follow = [\"/**\"]\n[process]\nrun = [\"/** **\", \"* **\"]\nshell = true\n\
         network = true\nunix-sockets = true\nunconfined = true\nuser = [\"*\"]\nenv = [\"*\"]\n\
         [facts]\nread = [\"*\"]\n[environment]\nread = [\"*\"]\n\
         [state]\nread = [\"*\"]\nwrite = [\"*\"]\n[events]\nemit = [\"*\"]\n\
         [http]\nsend = [\"http://*:*\"]\naddresses = [\"0.0.0.0/0\"]\n\
         [secrets]\nreveal = [\"*\"]\nenv = { \"*\" = [\"/**\"] }\n\
         header = { \"*\" = [\"https://*.example.org:8443\"] }\n\
         [packages]\nquery = [\"*\"]\ninstall = [\"*\"]\nremove = [\"*\"]\nupgrade = [\"*\"]\n\
         refresh = [\"*\"]\n[users]\nquery = [\"*\"]\ncreate = [\"*\"]\nmodify = [\"*\"]\n\
         remove = [\"*\"]\ngroups = [\"*\"]\nids = [\"*\"]\n\
         [plugins]\ncall = [\"*\"]\n\
         [services]\nstatus = [\"*\"]\nstart = [\"*\"]\nstop = [\"*\"]\nrestart = [\"*\"]\n\
         reload = [\"*\"]\nenable = [\"*\"]\ndisable = [\"*\"]\ndefine = [\"*\"]\n\
         daemon-reload = true",
    )
}

/// A URL with a path made of any: what a path cannot hold is escaped.
fn url(path: &str) -> Url {
    let mut text = "http://127.0.0.1:8080".to_owned();
    for byte in path.bytes() {
        match byte {
            b'/' | b'*' | b'.' | b'a'..=b'z' => text.push(char::from(byte)),
            b'\\' => text.push('x'),
            other => write!(text, "%{other:02x}").expect("writing to a string does not fail"),
        }
    }
    Url::parse(&text).expect("everything is escaped")
}
const SERVER: &str = "https://API.example.org:8443";

fn ask(effective: &Effective, capability: Capability, path: &str, name: &str) -> Decision {
    match capability.scope() {
        Scope::Paths => effective.path(capability, path),
        Scope::Names => effective.name(capability, name),
        Scope::Programs => effective.going(capability, name, path),
        Scope::Servers => effective.going(capability, name, SERVER),
        Scope::Ports => effective.port(Port::Connect(443)),
        Scope::Flag => effective.flag(capability),
        Scope::Urls => effective.url(&url(path)),
        Scope::Networks => effective.peer(Peer {
            url: &url(path),
            address: None,
            here: false,
        }),
        Scope::Commands => {
            let arguments = [name.to_owned(), path.to_owned()];
            effective.command(&Invocation {
                program: path,
                found_as: None,
                arguments: &arguments,
            })
        }
    }
}

fn refusal(
    effective: &Effective,
    capability: Capability,
    path: &str,
    name: &str,
    layer: Layer,
) -> Denial {
    match capability.scope() {
        Scope::Paths => effective.denial(capability, path, layer),
        Scope::Names | Scope::Flag => effective.denial(capability, name, layer),
        Scope::Ports => effective.denial(capability, "tcp:443", layer),
        Scope::Urls => effective.url_denial(&url(path), layer),
        Scope::Networks => effective.peer_denial(&url(path), layer),
        Scope::Programs => effective.going_denial(capability, name, path, layer),
        Scope::Servers => effective.going_denial(capability, name, SERVER, layer),
        Scope::Commands => effective.command_denial(&[path, name, path].map(str::to_owned), layer),
    }
}

proptest! {
    #[test]
    fn the_line_of_the_policy_makes_the_very_call_pass(path in hostile_path(), name in hostile()) {
        let before = Effective::new(&Policy::nothing(), "", &[], Vec::new());
        for &capability in Capability::ALL {
            let refused = ask(&before, capability, &path, &name);
            prop_assert_eq!(refused, Decision::Refused(Layer::Policy));
            let denial = refusal(&before, capability, &path, &name, Layer::Policy);
            let remedy = denial.remedy.expect("a line can allow it");
            let after = Effective::new(&remedied(&remedy), "", &[], Vec::new());
            let allowed = ask(&after, capability, &path, &name);
            prop_assert_eq!(allowed, Decision::Allowed, "{}", remedy);
            if capability.scope() == Scope::Paths {
                let beside = format!("{path}x");
                prop_assert!(!after.path(capability, &beside).is_allowed());
            }
            if capability.scope() == Scope::Urls {
                let beside = url(&format!("{path}x"));
                prop_assert!(!after.url(&beside).is_allowed());
            }
        }
    }

    #[test]
    fn the_lua_of_the_declaration_makes_the_very_call_pass(
        path in hostile_path(), name in hostile()
    ) {
        let policy = everything();
        let before = Effective::new(&policy, "", &[Grants::nothing()], Vec::new());
        for &capability in Capability::ALL {
            let refused = ask(&before, capability, &path, &name);
            prop_assert_eq!(refused, Decision::Refused(Layer::Declaration));
            let denial = refusal(&before, capability, &path, &name, Layer::Declaration);
            let remedy = denial.remedy.expect("a line can allow it");
            let declaration = declared(capability, &remedy);
            let after = Effective::new(&policy, "", &[declaration], Vec::new());
            let allowed = ask(&after, capability, &path, &name);
            prop_assert_eq!(allowed, Decision::Allowed, "{}", remedy);
        }
    }

    #[test]
    fn the_line_of_a_command_covers_exactly_its_words(
        argv in prop::collection::vec(hostile(), 1..5)
    ) {
        let before = Effective::new(&Policy::nothing(), "", &[], Vec::new());
        let remedy = before.command_denial(&argv, Layer::Policy).remedy.expect("a pattern");
        let after = Effective::new(&remedied(&remedy), "", &[], Vec::new());
        let run = |arguments: &[String]| {
            let found_as = Some(argv[0].as_str());
            after.command(&Invocation { program: "/usr/bin/x", found_as, arguments })
        };
        prop_assert_eq!(run(&argv[1..]), Decision::Allowed, "{}", remedy);
        let longer: Vec<String> = argv[1..].iter().cloned().chain(["x".to_owned()]).collect();
        prop_assert_eq!(run(&longer), Decision::Refused(Layer::Policy));
        if let Some((last, first)) = argv[1..].split_last() {
            let other: Vec<String> = first.iter().cloned().chain([format!("{last}x")]).collect();
            prop_assert_eq!(run(&other), Decision::Refused(Layer::Policy));
        }
    }

    #[test]
    fn a_message_is_one_line_of_visible_text(path in hostile_path(), name in hostile()) {
        let effective = Effective::new(&Policy::nothing(), "", &[], Vec::new());
        for &capability in Capability::ALL {
            for layer in [Layer::Policy, Layer::Declaration, Layer::Deny] {
                let denial = refusal(&effective, capability, &path, &name, layer);
                let hidden = |character: char| {
                    character.is_control() || "\u{202e}\u{200b}\u{e0001}".contains(character)
                };
                prop_assert!(!denial.message.contains(hidden), "{:?}", denial.message);
            }
        }
    }
}

#[test]
fn the_line_of_a_refused_pattern_covers_all_that_fits_it() {
    let before = Effective::new(&Policy::nothing(), "", &[], Vec::new());
    let refused = before.any_name(Capability::StateRead);
    assert_eq!(refused, Decision::Refused(Layer::Policy));
    let denial = before.pattern_denial(Capability::StateRead, "app/*", Layer::Policy);
    assert_eq!(denial.remedy.as_deref(), Some("[state] read = [\"app/*\"]"));
    let after = Effective::new(&policy("[state]\nread = [\"app/*\"]"), "", &[], Vec::new());
    assert!(after.any_name(Capability::StateRead).is_allowed());
    assert!(!after.any_name(Capability::StateWrite).is_allowed());
    assert!(after.name(Capability::StateRead, "app/a/b").is_allowed());
    assert!(!after.name(Capability::StateRead, "other").is_allowed());
}

#[test]
fn what_is_asked_of_all_is_granted_by_what_grants_all_and_a_name_is_not() {
    let effective = under("[packages]\nquery = [\"ngin?\"]");
    let remedy = |capability, subject: &str| {
        let denial = effective.denial(capability, subject, Layer::Policy);
        denial.remedy.expect("a line can allow it")
    };
    assert_eq!(
        remedy(Capability::PackagesQuery, "*"),
        "[packages] query = [\"*\"]"
    );
    assert!(!remedy(Capability::ProcessEnv, "*").contains("[\"*\"]"));
    assert!(!remedy(Capability::PackagesInstall, "*").contains("[\"*\"]"));
}

#[test]
fn a_name_is_spelled_out_only_by_a_line_without_a_pattern() {
    let lines = "[users]\nmodify = [\"roo?\", \"deploy\"]\nremove = [\"root\"]";
    let effective = under(lines);
    assert!(effective.names_exactly(Capability::UsersModify, "deploy"));
    assert!(!effective.names_exactly(Capability::UsersModify, "root"));
    assert!(effective.names_exactly(Capability::UsersRemove, "root"));
}
