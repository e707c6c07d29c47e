//! What the journal has to deliver goes up, and what the master keeps is struck out.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::agent::Shared;
use super::report;
use super::session::status;
use crate::wire::client::Reached;
use crate::wire::generated::Delivery;
use crate::wire::generated::session_client::SessionClient;

/// About how much is read from the journal at once.
const BATCH: usize = 256 << 10;
/// Most deliveries that wait to be taken by the connection.
const AHEAD: usize = 16;

type Over = Box<dyn std::error::Error + Send + Sync>;

/// Delivers for as long as the session lasts, beginning behind the number that the master keeps.
pub(super) async fn deliver(
    shared: &Shared,
    mut client: SessionClient<Reached>,
    kept: u64,
) -> Result<(), Over> {
    let (sender, deliveries) = mpsc::channel(AHEAD);
    let sent = AtomicU64::new(kept);
    let hearing = async {
        let answer = client.deliver(ReceiverStream::new(deliveries)).await;
        let mut answers = answer.map_err(status)?.into_inner();
        let mut last = kept;
        while let Some(answer) = answers.message().await.map_err(status)? {
            let number = answer.number;
            if number > sent.load(Ordering::Acquire) {
                return Err("the master says that it keeps what it was never sent".into());
            }
            if number > last {
                shared.journal.kept(number);
                last = number;
            }
        }
        Err::<(), Over>("the master takes no more deliveries".into())
    };
    tokio::select! {
        over = hearing => over,
        over = send(shared, &sender, &sent) => over,
    }
}

async fn send(
    shared: &Shared,
    sender: &mpsc::Sender<Delivery>,
    sent: &AtomicU64,
) -> Result<(), Over> {
    let journal = &shared.journal;
    let (id, mut given) = (journal.id(), journal.given());
    let mut cursor = sent.load(Ordering::Acquire);
    loop {
        if *given.borrow_and_update() <= cursor {
            given.changed().await?;
            continue;
        }
        let items = journal
            .after(cursor, BATCH)
            .await
            .map_err(|error| error.0)?;
        if items.is_empty() {
            return Err("the journal has lost what it was to deliver".into());
        }
        for item in items {
            cursor = item.number;
            // Before it goes out: the answer may be quicker than this thread.
            sent.store(cursor, Ordering::Release);
            let delivery = report::item(item, &id, &shared.config.name);
            sender.send(delivery).await?;
        }
    }
}
