//! The program on hosts of its own: a Debian root at `SLOTH_TEST_ROOT`, never written to, with a layer over it for each
//! test, booted in a container or not. `.ci/run` makes the root.

mod layer;
mod monitoring;
mod nix;
mod packages;
pub(crate) mod root;
mod scenario;
mod services;
mod users;

/// What tasks logged for information, line by line.
fn messages(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|event| event["event"] == "log" && event["level"] == "info")
        .filter_map(|event| Some(event["message"].as_str()?.to_owned()))
        .collect()
}
