//! The program on hosts of its own: a Debian that boots in a container, one for each test. `.ci/run`
//! makes the root they start from.

pub(crate) mod root;
mod services;
