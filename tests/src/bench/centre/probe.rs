//! One patient beside all others: a reading now and then, from the moment of sending to a subscriber who sees the twin
//! with it. The centre publishes after the durable write only.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use proto::clock::Clock;
use proto::seal::Sealer;
use proto::v1;
use proto::v1::gateway_to_centre::Kind as Up;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::centre::Centre;
use crate::demo::summary::Percentiles;
use crate::hand::{HandGateway, HandUplink, heart_rates, seal_readings};
use crate::house::Home;
use crate::wait::wait_for;

/// Between two readings.
const EVERY: Duration = Duration::from_millis(50);

/// The patient, the gateway, and the subscriber.
#[derive(Debug)]
pub(super) struct Probe {
    inner: Arc<Mutex<Inner>>,
    sent: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Inner {
    gateway: HandGateway,
    header: v1::OpenContext,
    uplink: HandUplink,
    sealer: Sealer,
    clock: Clock,
    sequence: u64,
    twins: tonic::Streaming<v1::TwinEvent>,
}

/// Readings on their way until they are to end.
#[derive(Debug)]
pub(super) struct Probing {
    ends: Arc<AtomicBool>,
    task: JoinHandle<Result<Vec<f64>>>,
}

impl Probe {
    /// Of the home's one patient.
    pub(super) async fn open(home: Home, centre: &Centre, clock: Clock) -> Result<Self> {
        let gateway = home.gateway.at_time(centre.ready()?.grpc, clock);
        let (patient, _) = home.patients.first().context("the probe's patient")?;
        let mut uplink = gateway.connect().await?;
        let assignments = uplink.assignments().await?;
        let assignment = assignments.first().context("an assignment")?;
        let (header, sealer) = gateway.open_context(assignment, clock.now())?;
        uplink.send(Up::OpenContext(header.clone())).await?;
        uplink.listen(|heard| !heard.admitted.is_empty()).await?;
        let request = v1::WatchTwinsRequest {
            patients: vec![patient.clone()],
            ..Default::default()
        };
        let twins = centre.client().await?.twins().watch(request).await?;
        let inner = Inner {
            gateway,
            header,
            uplink,
            sealer,
            clock,
            sequence: 0,
            twins: twins.into_inner(),
        };
        Ok(Self {
            inner: Arc::new(Mutex::new(inner)),
            sent: Arc::default(),
        })
    }

    /// Readings so far.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// For so long.
    pub(super) async fn some(&self, length: Duration) -> Result<Percentiles> {
        let probing = self.begin();
        tokio::time::sleep(length).await;
        self.end(probing).await
    }

    /// From now on.
    pub(super) fn begin(&self) -> Probing {
        let ends = Arc::new(AtomicBool::new(false));
        let (until, inner, sent) = (Arc::clone(&ends), self.inner.clone(), self.sent.clone());
        let task = tokio::spawn(async move {
            let mut inner = inner.lock().await;
            let mut turns = tokio::time::interval(EVERY);
            turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            let mut late = Vec::new();
            while !until.load(Ordering::Relaxed) {
                turns.tick().await;
                sent.fetch_add(1, Ordering::Relaxed);
                late.push(inner.one().await?);
            }
            Ok(late)
        });
        Probing { ends, task }
    }

    /// What it was.
    pub(super) async fn end(&self, probing: Probing) -> Result<Percentiles> {
        probing.ends.store(true, Ordering::Relaxed);
        Ok(Percentiles::of(probing.task.await??))
    }

    /// Another centre's process: waits for a receipt of one more reading.
    pub(super) async fn again(&self, centre: &Centre) -> Result<()> {
        let mut inner = self.inner.lock().await;
        let address = centre.ready()?.grpc;
        inner.gateway = inner.gateway.at(address);
        inner.uplink = inner.gateway.connect().await?;
        inner.uplink.assignments().await?;
        self.sent.fetch_add(1, Ordering::Relaxed);
        let (record, _) = inner.record()?;
        let receipted = async || {
            inner.uplink.send_records(vec![record.clone()]).await?;
            let heard = inner
                .uplink
                .listen(|heard| !heard.receipts.is_empty() || !heard.refusals.is_empty());
            let heard = heard.await?;
            if !heard.receipts.is_empty() {
                return Ok(Some(()));
            }
            // It says why not yet: a context that it does not know is opened again.
            let header = inner.header.clone();
            inner.uplink.send(Up::OpenContext(header)).await?;
            Ok(None)
        };
        wait_for("a receipt", Duration::from_secs(120), receipted).await
    }
}

impl Inner {
    /// One reading of now, sealed, and its effective time in microseconds.
    fn record(&mut self) -> Result<(Vec<u8>, i64)> {
        let rate = 60 + i64::try_from(self.sequence % 30)?;
        let now = self.clock.now();
        let mut readings = heart_rates(now, &[rate]);
        readings[0].sequence = self.sequence;
        self.sequence += 1;
        let mut records = seal_readings(&mut self.sealer, &readings)?;
        Ok((records.pop().context("a record")?, now.as_micros()))
    }

    /// One reading; milliseconds until the subscriber has a twin that knows of it.
    async fn one(&mut self) -> Result<f64> {
        let (record, at) = self.record()?;
        let start = Instant::now();
        self.uplink.send_records(vec![record]).await?;
        loop {
            let event = self.twins.message().await?.context("the stream ended")?;
            if let Some(v1::twin_event::Kind::Change(twin)) = event.kind
                && twin.channels.iter().any(|of| of.effective_us >= at)
            {
                return Ok(start.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
}
