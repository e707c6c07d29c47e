//! Texts without the secrets in them: `<secret name>` stands where a value stood.
//!
//! Reading order: [`forms`] (what is looked for) → [`matcher`] (looking for all at once) → [`stream`]
//! (in texts that come in pieces) → [`texts`] (in what a step leaves behind).

mod forms;
mod matcher;
mod stream;
mod texts;

pub(crate) use matcher::Matcher;
pub(crate) use stream::Stream;
pub(crate) use texts::{redacted, redacted_bytes, redacted_finished, redacted_value};
