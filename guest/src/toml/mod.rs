//! TOML 1.1 as plain data. Dates are the text they are written as: Lua has no such type, and text keeps what
//! the writer meant.

mod decode;
mod encode;
mod tree;

pub(crate) use decode::decode;
pub(crate) use encode::encode;
