//! The program on whole machines: a Debian root at `SLOTH_TEST_ROOT`, never written to, with a layer of its own for each
//! test.

mod packages;
mod root;
mod users;

/// What tasks logged for information, line by line.
fn messages(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|event| event["event"] == "log" && event["level"] == "info")
        .filter_map(|event| Some(event["message"].as_str()?.to_owned()))
        .collect()
}
