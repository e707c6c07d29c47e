//! Selectors: which agents are meant, said by their names, labels and facts, as in
//! `role=web and not region=eu-*`.
//!
//! `key=value` and `key!=value` compare, and `*` in a bare value stands for any characters. `key` alone asks whether
//! there is such a label; a word with `*` alone is a pattern of names, so that `web-*` means `name=web-*`. `name` is
//! the agent's name, `facts.platform.os` one of its facts, anything else a label. `not` binds tighter than `and`, and
//! that tighter than `or`; parentheses group. A value with spaces or other signs stands in double quotes, and within
//! them `*` is a star. `key!=value` is `not key=value`: it holds too where there is no such key.
//!
//! Reading order: `token` (words and signs, each with its place) → `parse` (from text to a tree) → `pattern` (values
//! with stars) → [`Selector`].

mod parse;
mod pattern;
mod token;
mod tree;

pub use parse::Error;
pub use tree::Selector;

/// Most bytes in a selector.
pub const MAX_LENGTH: usize = 1024;
/// Most parentheses and `not`s within each other.
pub const MAX_DEPTH: usize = 32;
