//! A real master, and operators who send what they sent before, or go before they are answered.

use std::time::{Duration, Instant, SystemTime};

use sha2::{Digest, Sha256};
use sloth_fleet::wire::content;
use sloth_fleet::wire::generated::session_client::SessionClient;
use sloth_fleet::wire::generated::{ListRunsRequest, Piece, RunState, SubmitRequest};
use sloth_workflow::value::base16;
use sloth_workflow::{Bundle, Plan, Value};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

use crate::peers::{Standing, control};

fn bundle(seed: u8, plugin: &[u8]) -> Bundle {
    Bundle {
        name: "w.sloth".into(),
        script: b"workflow.define('w')".to_vec(),
        carried: [("plugins/p.wasm".to_owned(), plugin.to_vec())].into(),
        values: Value::empty(),
        started: SystemTime::UNIX_EPOCH,
        seed: [seed; 32],
    }
}

#[tokio::test]
async fn what_was_sent_before_is_known_by_its_name_and_nothing_else_is() {
    let standing = Standing::open().await;
    let plugin = vec![7; 100_000];
    let upload = async |digest: &str, size: usize, data: Vec<u8>| {
        let piece = Piece {
            digest: digest.to_owned(),
            size: size as u64,
            data: data.into(),
            ..Piece::default()
        };
        let sent = standing.fleet().upload(tokio_stream::once(piece)).await;
        sent.map(drop).map_err(|status| status.code())
    };
    let submit = async |bundle: &Bundle| {
        let bytes = content::encode(bundle, None).bytes;
        let digest = format!("sha256:{}", base16(&Sha256::digest(&bytes)));
        upload(&digest, bytes.len(), bytes).await.unwrap();
        let request = SubmitRequest {
            bundle: digest,
            ..SubmitRequest::default()
        };
        standing.fleet().submit(request).await.unwrap_err()
    };
    let (first, second) = (bundle(1, &plugin), bundle(2, &plugin));
    let (digest, size) = {
        let packed = content::encode(&first, None);
        let (digest, content) = packed.apart.first_key_value().unwrap();
        (digest.clone(), content.len())
    };
    let missing = submit(&first).await;
    assert_eq!(missing.code(), Code::FailedPrecondition);
    assert!(missing.message().contains(&digest), "{missing:?}");
    let unknown = upload(&digest, size, Vec::new()).await;
    assert_eq!(unknown, Err(Code::InvalidArgument), "it never came");
    upload(&digest, size, plugin).await.unwrap();
    upload(&digest, size, Vec::new()).await.unwrap();
    for whole in [first, second] {
        // It is read as far as its plan, which is none.
        let refused = submit(&whole).await;
        assert!(refused.message().starts_with("the plan"), "{refused:?}");
    }
}

/// The digest of a bundle that was sent.
async fn sent(standing: &Standing, bundle: &Bundle) -> String {
    let bytes = content::encode(bundle, None).bytes;
    let digest = format!("sha256:{}", base16(&Sha256::digest(&bytes)));
    let piece = Piece {
        digest: digest.clone(),
        size: bytes.len() as u64,
        data: bytes.into(),
        ..Piece::default()
    };
    let sent = standing.fleet().upload(tokio_stream::once(piece)).await;
    sent.unwrap();
    digest
}

/// A plan of one workflow with one task.
fn plan() -> Vec<u8> {
    let json: serde_json::Value = serde_json::json!({
        "workflows": [{ "name": "w", "line": 1, "tasks": [{ "name": "t", "line": 1 }] }]
    });
    let plan = Plan::from_value(&json.into(), "w.sloth").unwrap();
    plan.cbor().to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_submitter_goes_in_the_midst_of_the_commit_begins_all_the_same() {
    let standing = Standing::open().await;
    let (_frames, down) = control(&standing).await;
    down.unwrap().message().await.unwrap().unwrap();
    let mut small = bundle(1, &[]);
    small.carried.clear();
    let request = SubmitRequest {
        bundle: sent(&standing, &small).await,
        plan: plan(),
        stack: "s".into(),
        workflow: "w".into(),
        targets: vec!["from-tomorrow".into()],
        ..SubmitRequest::default()
    };
    // The store takes nothing for as long as somebody else writes.
    let other = rusqlite::Connection::open(standing.folder.path().join("master.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut fleet = standing.fleet();
    let submitting = tokio::spawn(async move { fleet.submit(request).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!submitting.is_finished());
    submitting.abort();
    assert!(submitting.await.unwrap_err().is_cancelled());
    tokio::time::sleep(Duration::from_millis(100)).await;
    other.execute_batch("ROLLBACK").unwrap();
    let begun = Instant::now();
    loop {
        let runs = standing.fleet().list_runs(ListRunsRequest::default()).await;
        let runs = runs.unwrap().into_inner().runs;
        match runs.as_slice() {
            [run] if run.state() == RunState::Running => break,
            _ => assert!(begun.elapsed() < Duration::from_secs(10), "{runs:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_agent_that_sends_too_much_at_once_is_told_so_and_does_not_wait_unread() {
    let standing = Standing::open().await;
    let mut open = Vec::new();
    let keep = || {
        let (sender, pieces) = mpsc::channel::<Piece>(1);
        let mut client = SessionClient::new(standing.channel.clone());
        let kept = tokio::spawn(async move { client.keep(ReceiverStream::new(pieces)).await });
        (sender, kept)
    };
    for _ in 0..16 {
        open.push(keep());
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(open.iter().all(|(_, kept)| !kept.is_finished()));
    let (_sender, kept) = keep();
    let refused = tokio::time::timeout(Duration::from_secs(5), kept).await;
    let refused = refused.expect("it does not wait").unwrap().unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
}
