//! A real master, and peers that are newer than it, damaged, or want too much.

use std::time::Duration;

use prost::Message;
use sha2::{Digest, Sha256};
use sloth_fleet::master::{Config, Master, Settings};
use sloth_fleet::store::node::secrets::KeyPlace;
use sloth_fleet::telemetry::Telemetry;
use sloth_fleet::wire::generated::fleet_client::FleetClient;
use sloth_fleet::wire::generated::{
    AgentState, Downward, Heartbeat, Hello, ListAgentsRequest, Piece, Upward, downward, upward,
};
use sloth_workflow::value::base16;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

pub(crate) struct Standing {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) channel: Channel,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Standing {
    pub(crate) async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            telemetry: Telemetry::off(),
            data: folder.path().to_owned(),
            address: ([127, 0, 0, 1], 0).into(),
            names: Vec::new(),
            insecure: true,
            settings: Settings::default(),
            key: KeyPlace::Beside,
        };
        let master = Master::open(config).await.unwrap();
        let address = master.address().unwrap();
        let serving = tokio::spawn(async move {
            master.serve(std::future::pending()).await.unwrap();
        });
        let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
        Self {
            folder,
            channel: endpoint.connect().await.unwrap(),
            serving,
        }
    }

    pub(crate) fn fleet(&self) -> FleetClient<Channel> {
        FleetClient::new(self.channel.clone())
    }

    async fn states(&self) -> Vec<(String, i32)> {
        let listed = self.fleet().list_agents(ListAgentsRequest::default()).await;
        let agents = listed.unwrap().into_inner().agents;
        agents
            .into_iter()
            .map(|agent| (agent.name, agent.state))
            .collect()
    }
}

/// Messages as the bytes that they are.
#[derive(Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        prost::bytes::BufMut::put_slice(buffer, &item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut item = vec![0; prost::bytes::Buf::remaining(buffer)];
        prost::bytes::Buf::copy_to_slice(buffer, &mut item);
        Ok(Some(item))
    }
}

/// A control stream on which bytes are said.
pub(crate) async fn control(
    standing: &Standing,
) -> (
    mpsc::Sender<Vec<u8>>,
    Result<tonic::Streaming<Vec<u8>>, Status>,
) {
    let (sender, frames) = mpsc::channel(16);
    sender
        .send(newer(upward::Kind::Hello(Hello {
            name: "from-tomorrow".into(),
            journal: "j".into(),
            ..Hello::default()
        })))
        .await
        .unwrap();
    let mut client = tonic::client::Grpc::new(standing.channel.clone());
    client.ready().await.unwrap();
    let path = "/sloth.v1.Session/Control".parse().unwrap();
    let answer = client
        .streaming(Request::new(ReceiverStream::new(frames)), path, Raw)
        .await;
    (sender, answer.map(tonic::Response::into_inner))
}

/// A frame with fields that are not known yet: a number, a text and a message, beside what is known and within it.
fn newer(kind: upward::Kind) -> Vec<u8> {
    let mut known = Upward { kind: Some(kind) }.encode_to_vec();
    known.extend(unknown());
    known
}

/// Fields 200 to 202.
fn unknown() -> Vec<u8> {
    vec![
        0xc0, 0x0c, 0x07, 0xca, 0x0c, 0x02, b'h', b'i', 0xd2, 0x0c, 0x02, 0x08, 0x01,
    ]
}

#[tokio::test]
async fn frames_of_a_newer_version_are_ignored_as_far_as_they_are_not_known() {
    let standing = Standing::open().await;
    let (frames, down) = control(&standing).await;
    let mut down = down.unwrap();
    let first = down.message().await.unwrap().unwrap();
    let first = Downward::decode(first.as_slice()).unwrap();
    assert!(matches!(first.kind, Some(downward::Kind::Welcome(_))));
    // A kind of frame that only tomorrow knows.
    frames.send(unknown()).await.unwrap();
    frames.send(Vec::new()).await.unwrap();
    frames
        .send(newer(upward::Kind::Heartbeat(Heartbeat { running: 7 })))
        .await
        .unwrap();
    let online = ("from-tomorrow".to_owned(), i32::from(AgentState::Online));
    let mut tries = 0;
    loop {
        let listed = standing
            .fleet()
            .list_agents(ListAgentsRequest::default())
            .await
            .unwrap();
        if listed
            .into_inner()
            .agents
            .iter()
            .any(|agent| agent.running == 7)
        {
            break;
        }
        tries += 1;
        assert!(tries < 200, "the sign of life was not understood");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(standing.states().await, [online]);
}

#[tokio::test]
async fn a_frame_that_is_damaged_ends_its_session_and_no_other() {
    let standing = Standing::open().await;
    let mut other = Hello {
        name: "steady".into(),
        journal: "k".into(),
        ..Hello::default()
    };
    other.instance = "i".into();
    let (steady, beats) = mpsc::channel(4);
    let hello = Upward {
        kind: Some(upward::Kind::Hello(other)),
    };
    steady.send(hello.encode_to_vec()).await.unwrap();
    let mut client = tonic::client::Grpc::new(standing.channel.clone());
    client.ready().await.unwrap();
    let path = "/sloth.v1.Session/Control".parse().unwrap();
    let held = client
        .streaming(Request::new(ReceiverStream::new(beats)), path, Raw)
        .await;
    let mut held = held.unwrap().into_inner();
    held.message().await.unwrap().unwrap();
    for damaged in [
        vec![0xff; 64],
        // A hello whose length leads beyond its end.
        vec![0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f],
        // Groups within groups.
        vec![0x0b; 10_000],
        // Text that is none.
        vec![0x0a, 0x04, 0x0a, 0x02, 0xff, 0xfe],
    ] {
        let (frames, down) = control(&standing).await;
        let mut down = down.unwrap();
        down.message().await.unwrap().unwrap();
        frames.send(damaged).await.unwrap();
        let over = tokio::time::timeout(Duration::from_secs(10), async {
            while let Ok(Some(_)) = down.message().await {}
        });
        over.await.expect("the session ends");
    }
    let states = standing.states().await;
    assert!(
        states.contains(&("steady".to_owned(), AgentState::Online.into())),
        "{states:?}"
    );
}

#[tokio::test]
async fn two_hundred_megabytes_are_refused_when_they_are_announced_and_cut_off_when_they_are_not() {
    let standing = Standing::open().await;
    let data = vec![7; 1 << 20];
    let digest = format!("sha256:{}", base16(&Sha256::digest(&data)));
    let first = |size| Piece {
        digest: digest.clone(),
        size,
        ..Piece::default()
    };
    let piece = || Piece {
        data: data.clone().into(),
        ..Piece::default()
    };
    for size in [200 << 20, u64::MAX, 1 << 20] {
        let (sender, pieces) = mpsc::channel(1);
        let (first, piece) = (first(size), piece());
        let sending = tokio::spawn(async move {
            let mut sent = 0;
            if sender.send(first).await.is_ok() {
                while sent < 200 && sender.send(piece.clone()).await.is_ok() {
                    sent += 1;
                }
            }
            sent
        });
        let refused = standing
            .fleet()
            .upload(ReceiverStream::new(pieces))
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
        let sent = sending.await.unwrap();
        assert!(
            sent < 20,
            "{sent} MiB were taken of a content of {size} bytes"
        );
    }
    assert!(standing.states().await.is_empty(), "it answers");
}
