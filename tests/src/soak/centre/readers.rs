//! Readers with cursors: cut off and back again, some of them slow.
//!
//! Promise: what they say at their end is what they saw over all their connections ([`Record`], [`Twins`]); they go on from
//! their newest cursor alone.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use proto::v1::twin_event::Kind;
use proto::v1::{TwinPart, WatchTwinsRequest};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::carrier::Orders;
use crate::client::Client;
use crate::watcher::{Record, Twins};

/// A slow reader takes so long over an event.
const SLOW: Duration = Duration::from_millis(20);
/// It reads on for this long after the end, for what is still on its way.
const QUIET: Duration = Duration::from_secs(5);
/// Between two cuts of a reader's own.
const STAYS_S: std::ops::Range<u64> = 20..120;

/// Whoever reads.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    pub(super) identity: PathBuf,
    pub(super) orders: watch::Receiver<Orders>,
    pub(super) seed: u64,
    pub(super) is_slow: bool,
}

/// What a reader of twins saw, and what was wrong with it first.
pub(super) type Saw = (Twins, Option<String>);

impl Reader {
    fn dice(&self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.seed)
    }

    async fn connect(&mut self) -> Option<Client> {
        sleep(Duration::from_millis(300)).await;
        let address = self.orders.borrow_and_update().doors.grpc;
        let connecting = Client::connect(address, &self.identity, &[]);
        timeout(Duration::from_secs(10), connecting)
            .await
            .ok()?
            .ok()
    }

    fn is_over(&self) -> bool {
        self.orders.borrow().read_out
    }

    /// Alerts, to the end.
    pub(super) async fn alerts(mut self) -> Record {
        let (mut record, mut dice) = (Record::default(), self.dice());
        loop {
            let Some(client) = self.connect().await else {
                continue;
            };
            let Ok(mut events) = client.watch_alerts(record.cursor.clone()).await else {
                continue;
            };
            let leaves = Instant::now() + Duration::from_secs(dice.random_range(STAYS_S));
            loop {
                match timeout(QUIET, events.message()).await {
                    Ok(Ok(Some(event))) => record.take(&event),
                    Ok(_) => break,
                    Err(_) if self.is_over() => return record,
                    Err(_) => {}
                }
                if Instant::now() > leaves && !self.is_over() {
                    break;
                }
            }
        }
    }

    /// Twins, to the end.
    pub(super) async fn twins(mut self) -> Saw {
        let (mut twins, mut dice, mut wrong) = (Twins::default(), self.dice(), None);
        loop {
            twins.leave();
            let Some(client) = self.connect().await else {
                continue;
            };
            let Ok(mut events) = client.watch_twins(twins.cursor.clone()).await else {
                continue;
            };
            let leaves = Instant::now() + Duration::from_secs(dice.random_range(STAYS_S));
            loop {
                match timeout(QUIET, events.message()).await {
                    Ok(Ok(Some(event))) => {
                        let taken = twins.take(&event);
                        wrong = wrong.or(taken.err());
                    }
                    Ok(_) => break,
                    Err(_) if self.is_over() => return (twins, wrong),
                    Err(_) => {}
                }
                if self.is_slow && !self.is_over() {
                    sleep(SLOW).await;
                }
                if Instant::now() > leaves && !self.is_over() {
                    break;
                }
            }
        }
    }
}

/// Every twin as it is now: position, hash and readings that it counts, by patient.
pub(super) type Now = std::collections::BTreeMap<String, (u64, Vec<u8>, u64)>;

/// Asks for all of them.
pub(super) async fn twins_now(client: &Client) -> Result<Now> {
    let request = WatchTwinsRequest {
        parts: vec![TwinPart::Gateways.into()],
        ..Default::default()
    };
    let mut events = client.twins().watch(request).await?.into_inner();
    let mut now = Now::new();
    loop {
        let event = events.message().await?.context("a snapshot that ends")?;
        match event.kind {
            Some(Kind::Snapshot(twin)) => {
                let counted = twin.gateways.iter();
                let counted = counted.map(|of| of.readings_applied + of.readings_quarantined);
                let state = (twin.position, twin.state_hash, counted.sum());
                now.insert(twin.patient, state);
            }
            Some(Kind::SnapshotEnd(_)) => return Ok(now),
            Some(Kind::Change(_) | Kind::KeepAlive(_)) | None => {}
        }
    }
}
