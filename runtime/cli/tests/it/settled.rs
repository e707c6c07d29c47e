//! What is compared from run to run: events without what differs, and what stands in a folder.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::program::Ended;

/// Longer texts are cut, so that what floods does not fill the expected events.
const LONGEST: usize = 400;

/// How events are made comparable.
#[derive(Default)]
pub(crate) struct Settled {
    /// Texts that stand for others: what is found, what is written.
    stand_ins: Vec<(String, &'static str)>,
    by_task: bool,
}

impl Settled {
    /// Writes `word` where `text` stands.
    pub(crate) fn with(mut self, text: String, word: &'static str) -> Self {
        self.stand_ins.push((text, word));
        self
    }

    /// Puts the events of each task together, in list order: for tasks that run beside each other.
    pub(crate) fn by_task(mut self, whether: bool) -> Self {
        self.by_task = whether;
        self
    }

    /// One line for each event.
    pub(crate) fn lines(&self, ended: &Ended) -> Vec<String> {
        let mut events = ended.events();
        if self.by_task {
            sort_by_task(&mut events);
        }
        events.dedup_by(|next, before| joined(next, before));
        for event in &mut events {
            for (key, value) in event.as_object_mut().unwrap() {
                match key.as_str() {
                    "run" | "bundle" | "time" => *value = json!("…"),
                    "duration-ms" | "delay-ms" | "number" => *value = json!(0),
                    _ => self.settle(value),
                }
            }
        }
        events.iter().map(Value::to_string).collect()
    }

    fn settle(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                for (found, word) in &self.stand_ins {
                    *text = text.replace(found, word);
                }
                *text = scratch(text);
                if text.chars().count() > LONGEST {
                    *text = text.chars().take(40).collect::<String>() + "…";
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.settle(item)),
            Value::Object(fields) => {
                let taken = std::mem::take(fields);
                *fields = taken
                    .into_iter()
                    .map(|(key, mut value)| {
                        self.settle(&mut value);
                        (key, value)
                    })
                    .collect::<Map<_, _>>();
            }
            _ => {}
        }
    }
}

/// Adds what a program wrote to what it wrote just before: how much comes at a time is up to chance.
fn joined(next: &Value, before: &mut Value) -> bool {
    let same = |key| next[key] == before[key];
    let joined = next["event"] == "output" && ["event", "task", "stream"].into_iter().all(same);
    if joined {
        let text = |event: &Value| event["text"].as_str().unwrap().to_owned();
        before["text"] = json!(text(before) + &text(next));
    }
    joined
}

/// `SCRATCH` for each path of a step's own folder, and `…` for a name made there at random.
fn scratch(text: &str) -> String {
    const PROCESS: &str = "/scratch/process-";
    const MARK: &str = "/step-";
    const NAME: &str = "SCRATCH/tmp-";
    let mut settled = text.to_owned();
    while let Some(at) = settled.find(PROCESS) {
        let begin = settled[..at]
            .char_indices()
            .rev()
            .take_while(|(_, c)| c.is_alphanumeric() || "/._-".contains(*c))
            .last()
            .map_or(at, |(begin, _)| begin);
        let process = digits_end(&settled, at + PROCESS.len());
        let step = settled[process..].starts_with(MARK);
        let end = digits_end(&settled, process + if step { MARK.len() } else { 0 });
        settled.replace_range(begin..end, "SCRATCH");
    }
    let mut from = 0;
    while let Some(at) = settled[from..].find(NAME) {
        from += at + NAME.len();
        let end = digits_end(&settled, from);
        settled.replace_range(from..end, "…");
    }
    settled
}

/// Where digits in base 16 end that begin there.
fn digits_end(text: &str, begin: usize) -> usize {
    text[begin..]
        .find(|c: char| !c.is_ascii_hexdigit())
        .map_or(text.len(), |length| begin + length)
}

/// Events of tasks after those that began the run and before those that end it.
fn sort_by_task(events: &mut [Value]) {
    let mut tasks: Vec<String> = Vec::new();
    events.sort_by_cached_key(|event| {
        if event["event"] == "run-started" {
            let names = event["tasks"].as_array().unwrap();
            tasks.extend(names.iter().map(|name| name.as_str().unwrap().to_owned()));
            return 0;
        }
        match event["task"].as_str() {
            None => tasks.len() + 1,
            Some(name) => tasks
                .iter()
                .position(|task| task == name)
                .map_or(0, |at| at + 1),
        }
    });
}

/// Each line once where several equal ones follow each other.
pub(crate) fn told_once(lines: &[String]) -> Vec<String> {
    let mut lines = lines.to_vec();
    lines.dedup();
    lines
}

/// Every path beneath a folder, with its mode and what is in it; nothing if it is missing.
pub(crate) fn listing(folder: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    use std::os::unix::ffi::OsStringExt;
    use std::os::unix::fs::MetadataExt;
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        let Ok(metadata) = std::fs::symlink_metadata(&path) else {
            continue;
        };
        let content = if metadata.is_symlink() {
            let target = std::fs::read_link(&path).unwrap();
            target.into_os_string().into_vec()
        } else if metadata.is_dir() {
            let entries = std::fs::read_dir(&path).unwrap();
            open.extend(entries.map(|entry| entry.unwrap().path()));
            Vec::new()
        } else {
            std::fs::read(&path).unwrap()
        };
        found.insert(path, (metadata.mode(), content));
    }
    found
}

/// What is expected and what was found, where they differ first.
pub(crate) fn difference(expected: &str, found: &[String]) -> String {
    let expected: Vec<&str> = expected.lines().collect();
    let mut text = String::from("the events differ from expected.jsonl\n");
    let longest = expected.len().max(found.len());
    let nothing = "(nothing)";
    for at in (0..longest)
        .filter(|at| expected.get(*at).copied() != found.get(*at).map(String::as_str))
        .take(3)
    {
        let _ = writeln!(
            text,
            "- {}\n+ {}",
            expected.get(at).unwrap_or(&nothing),
            found.get(at).map_or(nothing, String::as_str)
        );
    }
    text
}

#[test]
fn scratch_folders_have_one_name() {
    assert_eq!(
        scratch(
            "(/tmp/d/scratch/process-0a/step-0aff/x /d/scratch/process-1/step-1/tmp-0f) /tmp/d"
        ),
        "(SCRATCH/x SCRATCH/tmp-…) /tmp/d"
    );
}
