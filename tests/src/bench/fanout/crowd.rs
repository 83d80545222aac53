//! Many readers in one process. They take events as bytes: what is measured is the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use prost::Message as _;
use proto::v1;
use tokio::task::JoinSet;
use tonic::Request;
use tonic::client::Grpc;
use tonic_prost::ProstCodec;
use vitaltwin_aggregator::publish::event::{TwinEvent, TwinKind};

use crate::client::Client;
use crate::wait::wait_for;

#[derive(Debug, Default)]
struct Taken {
    ready: AtomicU64,
    messages: AtomicU64,
    left_out: AtomicU64,
    bytes: AtomicU64,
}

/// Sums over all readers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    pub(super) messages: u64,
    pub(super) left_out: u64,
    pub(super) bytes: u64,
}

/// Open streams.
#[derive(Debug)]
pub(super) struct Crowd {
    taken: Arc<Taken>,
    readers: JoinSet<Result<()>>,
}

impl Crowd {
    /// Opens so many streams and waits until each has its snapshot.
    pub(super) async fn gather(
        mut clients: impl AsyncFnMut() -> Result<Client>,
        streams: usize,
        connections: usize,
        request: &v1::WatchTwinsRequest,
    ) -> Result<Self> {
        let taken = Arc::new(Taken::default());
        let mut readers = JoinSet::new();
        for _ in 0..connections {
            let client = clients().await.context("a reader's connection")?;
            for _ in 0..streams / connections {
                readers.spawn(read(client.clone(), request.clone(), Arc::clone(&taken)));
            }
        }
        let all = u64::try_from(streams / connections * connections)?;
        let deadline = Duration::from_secs(300);
        wait_for("every reader's snapshot", deadline, async || {
            if let Some(ended) = readers.try_join_next() {
                ended??;
            }
            Ok((taken.ready.load(Ordering::Relaxed) == all).then_some(()))
        })
        .await?;
        Ok(Self { taken, readers })
    }

    pub(super) fn counts(&self) -> Counts {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            messages: of(&self.taken.messages),
            left_out: of(&self.taken.left_out),
            bytes: of(&self.taken.bytes),
        }
    }

    /// Changes that came or were left out, over all readers.
    pub(super) fn taken(&self) -> u64 {
        let counts = self.counts();
        counts.messages + counts.left_out
    }

    pub(super) fn leave(mut self) {
        self.readers.abort_all();
    }
}

async fn read(client: Client, request: v1::WatchTwinsRequest, taken: Arc<Taken>) -> Result<()> {
    let mut grpc = Grpc::new(client.channel());
    grpc.ready().await?;
    let codec = ProstCodec::<v1::WatchTwinsRequest, TwinEvent>::default();
    let path = http::uri::PathAndQuery::from_static("/vitaltwin.v1.TwinService/Watch");
    let answer = grpc
        .server_streaming(Request::new(request), path, codec)
        .await?;
    let mut events = answer.into_inner();
    while let Some(event) = events.message().await? {
        let size = u64::try_from(event.encoded_len())?;
        match event.kind {
            Some(TwinKind::SnapshotEnd(_)) => {
                taken.ready.fetch_add(1, Ordering::Relaxed);
            }
            Some(TwinKind::Change(_)) => {
                taken.bytes.fetch_add(size, Ordering::Relaxed);
                taken.left_out.fetch_add(event.conflated, Ordering::Relaxed);
                taken.messages.fetch_add(1, Ordering::Relaxed);
            }
            Some(TwinKind::Snapshot(_) | TwinKind::KeepAlive(_)) | None => {}
        }
    }
    anyhow::bail!("the server ended a stream")
}
