//! What the sandbox needs of others: traits that it asks and somebody else answers.

pub mod secrets;

pub use secrets::Secrets;
