//! What is kept outlives a sudden end, and several processes count as one. The processes are this very
//! binary, asked for one ignored test.

use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sloth_fleet::store::node::Database;
use sloth_sandbox::ports::state::{Entry, State, Write};
use sloth_workflow::{Value, cbor};

const FOLDER: &str = "SLOTH_TEST_FOLDER";
const COUNT: &str = "SLOTH_TEST_COUNT";

fn child(folder: &Path, count: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::counts", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .env(COUNT, count.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Adds one to `n`, and gives the sum.
fn add(database: &Database) -> i64 {
    let mut sum = 0;
    let mut plan = |entry: Option<&Entry>| {
        sum = entry.map_or(0, number) + 1;
        Some(Write::Put(Entry {
            value: cbor::encode(&Value::Integer(sum)),
            expires: None,
        }))
    };
    database.change("n", &mut plan).unwrap();
    sum
}

fn number(entry: &Entry) -> i64 {
    let value = cbor::decode(&entry.value, cbor::Bounds::DATA).unwrap();
    value.as_integer().unwrap()
}

#[test]
#[ignore = "a process that the tests of this file start and end"]
fn counts() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let count: u64 = std::env::var(COUNT).unwrap().parse().unwrap();
    let database = Database::beneath(&folder);
    for _ in 0..count {
        let sum = add(&database);
        let mut out = std::io::stdout().lock();
        writeln!(out, "sum {sum}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn what_was_told_as_kept_outlives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = 0;
    for round in 0_u64..20 {
        let mut child = child(folder.path(), 1_000_000);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(40 + 13 * round));
            child.kill().unwrap();
            child.wait().unwrap();
        });
        for line in lines.map_while(Result::ok) {
            if let Some((_, sum)) = line.rsplit_once("sum ") {
                last = sum.parse().unwrap_or(last);
            }
        }
        killer.join().unwrap();
        let database = Database::beneath(folder.path());
        let kept = database.get("n").unwrap().as_ref().map_or(0, number);
        // The one that was on its way may have been kept without being told.
        assert!(
            kept == last || kept == last + 1,
            "round {round}: {last} was told and {kept} is kept"
        );
        last = kept;
    }
    assert!(last > 20, "the children did not get to count: {last}");
}

#[test]
fn several_processes_count_without_losing_one() {
    let folder = tempfile::tempdir().unwrap();
    // The first of them makes the file, while the others want it too.
    let children: Vec<Child> = (0..4).map(|_| child(folder.path(), 50)).collect();
    for mut child in children {
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(
            lines
                .map_while(Result::ok)
                .filter(|line| line.contains("sum "))
                .count(),
            50
        );
        assert!(child.wait().unwrap().success());
    }
    let database = Database::beneath(folder.path());
    assert_eq!(number(&database.get("n").unwrap().unwrap()), 200);
}
