//! Agents that have done every step at once: what is left is what the master does.

use sloth_fleet::wire::generated::session_client::SessionClient;
use sloth_fleet::wire::generated::{
    Delivery, Ended, Finished, Heartbeat, Hello, Upward, delivery, downward, upward,
};
use sloth_workflow::{Finished as Done, Outcome};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use super::house::House;

/// Sessions that end with it.
pub(crate) async fn agents(house: &House, names: &[String]) -> JoinSet<()> {
    let mut sessions = JoinSet::new();
    for name in names {
        let endpoint = Channel::from_shared(format!("http://{}", house.address)).unwrap();
        let channel = endpoint.connect().await.unwrap();
        sessions.spawn(session(channel, name.clone()));
    }
    house.has(names.len()).await;
    sessions
}

async fn session(channel: Channel, name: String) {
    let mut client = SessionClient::new(channel);
    let (up, frames) = mpsc::channel(64);
    let say = |kind| Upward { kind: Some(kind) };
    let hello = Hello {
        name: name.clone(),
        journal: name.clone(),
        instance: name.clone(),
        ..Hello::default()
    };
    up.send(say(upward::Kind::Hello(hello))).await.unwrap();
    let down = client.control(ReceiverStream::new(frames)).await;
    let mut down = down.unwrap().into_inner();
    // The welcome.
    down.message().await.unwrap().unwrap();
    let (deliver, deliveries) = mpsc::channel(64);
    let mut delivering = client.clone();
    let keeping = tokio::spawn(async move {
        let kept = delivering.deliver(ReceiverStream::new(deliveries)).await;
        let mut kept = kept.unwrap().into_inner();
        while let Ok(Some(_)) = kept.message().await {}
    });
    let finished = Finished::from(&Done::with(Outcome::Ok, ""));
    let mut number = 0;
    while let Ok(Some(frame)) = down.message().await {
        let Some(downward::Kind::Assign(assign)) = frame.kind else {
            continue;
        };
        number += 1;
        let call = assign.call.unwrap();
        let delivery = Delivery {
            number,
            journal: name.clone(),
            run: call.run.clone(),
            kind: Some(delivery::Kind::Ended(Ended {
                call: Some(call),
                finished: Some(finished.clone()),
                interrupted: false,
                audit: None,
            })),
        };
        if deliver.send(delivery).await.is_err() {
            break;
        }
        let beat = upward::Kind::Heartbeat(Heartbeat { running: 0 });
        let _ = up.try_send(say(beat));
    }
    keeping.abort();
}
