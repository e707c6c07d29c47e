//! A plan as people, programs and Graphviz read it.

mod dot;
mod json;
mod text;

pub(crate) use dot::dot;
pub(crate) use json::json;
pub(crate) use text::text;
