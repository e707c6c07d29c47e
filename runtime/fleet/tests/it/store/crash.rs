//! What was acknowledged outlives a kill. The writer is this very binary, asked for one ignored test.

use std::io::{BufRead, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use sloth_fleet::store::master::{Filter, Store};

use super::{all_words, said, submission};

const FOLDER: &str = "SLOTH_TEST_FOLDER";
const ROUND: &str = "SLOTH_TEST_ROUND";
const WRITERS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a process that the test of this file starts and ends"]
async fn writes() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let round = std::env::var(ROUND).unwrap();
    let store = Arc::new(Store::open(&folder).unwrap());
    let tell = |line: String| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}").unwrap();
        out.flush().unwrap();
    };
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = Arc::clone(&store);
            let run = format!("{round}-{writer}");
            tokio::spawn(async move {
                store.submit(submission(&run)).await.unwrap();
                for pair in 0_u64.. {
                    // Two at once: both are there afterwards, or neither is.
                    let events = vec![said(format!("{pair}.1")), said(format!("{pair}.2"))];
                    let last = store.append(&run, events).await.unwrap();
                    tell(format!("kept {run} {last}"));
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_kill_and_the_rest_is_whole_or_absent() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = std::collections::BTreeMap::new();
    for round in 0_u64..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "store::crash::writes",
                "--ignored",
                "--nocapture",
            ])
            .env(FOLDER, folder.path())
            .env(ROUND, round.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(60 + 23 * round));
            child.kill().unwrap();
            child.wait().unwrap();
        });
        for line in lines.map_while(Result::ok) {
            if let Some((_, told)) = line.split_once("kept ")
                && let Some((run, last)) = told.split_once(' ')
            {
                acknowledged.insert(run.to_owned(), last.parse::<u64>().unwrap_or(0));
            }
        }
        killer.join().unwrap();
    }
    let store = Store::open(folder.path()).unwrap();
    assert!(
        !acknowledged.is_empty(),
        "the children did not get to write"
    );
    let filter = Filter {
        limit: 1000,
        ..Filter::default()
    };
    for run in store.runs(filter).await.unwrap() {
        let words = all_words(&store, &run.id).await;
        let kept = u64::try_from(words.len()).unwrap();
        assert_eq!(run.events, kept);
        assert!(kept.is_multiple_of(2), "{} has half a request", run.id);
        let wanted = (0..kept / 2).flat_map(|pair| [format!("{pair}.1"), format!("{pair}.2")]);
        assert!(
            words.iter().cloned().eq(wanted),
            "{} is out of order",
            run.id
        );
        let told = acknowledged.remove(&run.id).unwrap_or(0);
        assert!(
            kept >= told,
            "{}: {told} were acknowledged, {kept} are there",
            run.id
        );
    }
    assert!(
        acknowledged.is_empty(),
        "acknowledged and lost: {acknowledged:?}"
    );
}
