//! The line a refusal names makes the very call pass, whatever the call was about.

use proptest::prelude::*;
use sloth_policy::{
    Capability, Decision, Denial, Effective, Entry, Grants, Invocation, Layer, Policy, Scope,
};

use crate::policy;
use crate::properties::{hostile, hostile_path};

/// The policy that holds a remedy and nothing else.
fn remedied(remedy: &str) -> Policy {
    policy(&remedy.replacen("] ", "]\n", 1))
}

/// Reads the one entry of a declaration remedy as Lua would, and declares it.
fn declared(capability: Capability, remedy: &str) -> Grants {
    let entry = if capability.scope() == Scope::Flag {
        assert!(remedy.ends_with(" = true } })"), "{remedy}");
        Entry::Flag(true)
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
         [services]\nstatus = [\"*\"]\nstart = [\"*\"]\nstop = [\"*\"]\nrestart = [\"*\"]\n\
         reload = [\"*\"]\nenable = [\"*\"]\ndisable = [\"*\"]\ndefine = [\"*\"]\n\
         daemon-reload = true",
    )
}

fn ask(effective: &Effective, capability: Capability, path: &str, name: &str) -> Decision {
    match capability.scope() {
        Scope::Paths => effective.path(capability, path),
        Scope::Names => effective.name(capability, name),
        Scope::Flag => effective.flag(capability),
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
