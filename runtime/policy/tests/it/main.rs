//! The policy as its callers see it.

mod contract;
mod decisions;
mod findings;
mod grammar;
mod outer;
mod plugins;
mod properties;
mod reach;
mod refusals;
mod remedies;
mod requests;
mod rules;
mod sinks;

use sloth_policy::{Effective, Grants, Policy};

/// A policy of version 1 with these lines.
fn policy(lines: &str) -> Policy {
    let text = format!("version = 1\n{lines}\n");
    match Policy::parse(&text, "policy.toml") {
        Ok(policy) => policy,
        Err(error) => panic!("{error}\n{text}"),
    }
}

/// What a step may do under a policy alone.
fn under(lines: &str) -> Effective {
    Effective::new(&policy(lines), "", &[], Vec::new())
}

/// What a step may do under a policy and a declaration, both written as policies.
fn declared(lines: &str, declaration: &str) -> Effective {
    Effective::new(
        &policy(lines),
        "",
        &[declaration_of(declaration)],
        Vec::new(),
    )
}

fn declaration_of(lines: &str) -> Grants {
    policy(lines).grants_for("")
}

/// Words as a caller gives them.
fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
