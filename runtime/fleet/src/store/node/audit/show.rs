//! Reading an audit back.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use serde_json::Value;

use super::files::Files;

/// Which records are wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Of this task.
    pub task: Option<String>,
    /// Of this capability, or of all of a noun (`files`).
    pub capability: Option<String>,
    /// Of this run.
    pub run: Option<String>,
    /// At most so many, the newest; 0 is all.
    pub last: usize,
}

impl Wanted {
    fn holds(&self, record: &Value) -> bool {
        let is = |key: &str, wanted: &Option<String>| {
            wanted
                .as_ref()
                .is_none_or(|wanted| record[key].as_str() == Some(wanted))
        };
        let capability = self.capability.as_ref().is_none_or(|wanted| {
            let found = record["capability"].as_str().unwrap_or_default();
            found == wanted
                || found
                    .split_once('.')
                    .is_some_and(|(noun, _)| noun == wanted)
        });
        capability && is("task", &self.task) && is("run", &self.run)
    }
}

/// The records of the audit in a folder, oldest first. Says nothing of whether they are as they were
/// written; what is no record is left out.
pub fn records(folder: &Path, wanted: &Wanted) -> io::Result<Vec<Value>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let files = Files {
        folder: folder.to_owned(),
    };
    let now = files.now()?;
    let mut found = VecDeque::new();
    for path in now.files() {
        let lines = match now.lines(path) {
            // It was retired meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            lines => lines?,
        };
        for line in lines {
            let (line, _) = line?;
            let Ok(record) = serde_json::from_str::<Value>(&line) else {
                continue;
            };
            if wanted.holds(&record) {
                found.push_back(record);
                if wanted.last > 0 && found.len() > wanted.last {
                    found.pop_front();
                }
            }
        }
    }
    Ok(found.into())
}
