//! Reads the centre's streams like any platform would, and notes what came when.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::{Context, Result};
use proto::clock::Clock;
use proto::v1;
use serde::Deserialize;
use tokio::task::JoinHandle;
use vitals::Time;

use crate::client::Client;

/// First arrival of a reading at the subscriber.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Bluetooth address of the device it came from.
    pub device: String,
    /// When the gateway got it.
    pub received: Time,
    /// When the subscriber got it.
    pub arrived: Time,
}

/// What was seen so far.
#[derive(Debug, Default)]
pub struct Notes {
    /// First arrivals.
    pub arrivals: Vec<Arrival>,
    /// Newest state of each alert by its id.
    pub alerts: BTreeMap<String, v1::Alert>,
    /// Per patient and kind: (effective time, value) of each state that arrived.
    pub values: BTreeMap<(String, i32), Vec<(Time, f64)>>,
    /// When the first value of any patient arrived.
    pub first_value: Option<Instant>,
    /// Newest twin of each patient.
    pub twins: BTreeMap<String, v1::Twin>,
    /// Why a stream ended, if one did.
    pub ended: Vec<String>,
    seen: BTreeSet<(String, u32, i32, i64)>,
}

/// Two running subscriptions.
#[derive(Debug)]
pub struct Observer {
    notes: Arc<Mutex<Notes>>,
    tasks: [JoinHandle<()>; 2],
}

impl Observer {
    /// Subscribes to twins and alerts. `told` hears of every alert change.
    ///
    /// # Errors
    /// When a subscription is refused.
    pub async fn start(
        client: &Client,
        clock: Clock,
        told: impl Fn(&v1::Alert) + Send + 'static,
    ) -> Result<Self> {
        let notes = Arc::new(Mutex::new(Notes::default()));
        let mut twins = client
            .watch_twins(Vec::new())
            .await
            .context("watching twins")?;
        let mut alerts = client
            .watch_alerts(Vec::new())
            .await
            .context("watching alerts")?;
        let (of_twins, of_alerts) = (Arc::clone(&notes), Arc::clone(&notes));
        let twin_task = tokio::spawn(async move {
            loop {
                match twins.message().await {
                    Ok(Some(event)) => note_twin(&of_twins, event, clock.now()),
                    end => return note_end(&of_twins, "twins", end.map(drop)),
                }
            }
        });
        let alert_task = tokio::spawn(async move {
            loop {
                match alerts.message().await {
                    Ok(Some(event)) => {
                        if let Some(
                            v1::alert_event::Kind::Snapshot(alert)
                            | v1::alert_event::Kind::Change(alert),
                        ) = event.kind
                        {
                            told(&alert);
                            locked(&of_alerts).alerts.insert(alert.id.clone(), alert);
                        }
                    }
                    end => return note_end(&of_alerts, "alerts", end.map(drop)),
                }
            }
        });
        Ok(Self {
            notes,
            tasks: [twin_task, alert_task],
        })
    }

    /// What was seen so far.
    pub fn notes(&self) -> std::sync::MutexGuard<'_, Notes> {
        locked(&self.notes)
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

fn locked(notes: &Mutex<Notes>) -> std::sync::MutexGuard<'_, Notes> {
    // A panic while noting leaves whole notes behind.
    notes
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn note_end(notes: &Mutex<Notes>, stream: &str, how: Result<(), tonic::Status>) {
    locked(notes).ended.push(format!("{stream}: {how:?}"));
}

fn note_twin(notes: &Mutex<Notes>, event: v1::TwinEvent, now: Time) {
    let Some(v1::twin_event::Kind::Snapshot(twin) | v1::twin_event::Kind::Change(twin)) =
        event.kind
    else {
        return;
    };
    let mut notes = locked(notes);
    let addresses: BTreeMap<u32, &str> = twin
        .devices
        .iter()
        .map(|d| (d.source, d.address.as_str()))
        .collect();
    for channel in &twin.channels {
        let Some(value) = channel.value else { continue };
        let key = (
            twin.patient.clone(),
            channel.source,
            channel.kind,
            channel.received_us,
        );
        if !notes.seen.insert(key) {
            continue;
        }
        notes.first_value.get_or_insert_with(Instant::now);
        let effective = Time::from_micros(channel.effective_us);
        notes
            .values
            .entry((twin.patient.clone(), channel.kind))
            .or_default()
            .push((effective, value));
        if let Some(device) = addresses.get(&channel.source) {
            let received = Time::from_micros(channel.received_us);
            notes.arrivals.push(Arrival {
                device: (*device).to_owned(),
                received,
                arrived: now,
            });
        }
    }
    notes.twins.insert(twin.patient.clone(), twin);
}

/// One line of a wearable's trace file.
#[derive(Debug, Deserialize)]
struct Emission {
    device: String,
    at_us: i64,
}

/// Reads trace files: per device, when each notification left it (demo clock), ascending.
///
/// # Errors
/// When a file cannot be read; a half-written last line is left out.
pub fn emissions(files: &[impl AsRef<Path>]) -> Result<BTreeMap<String, Vec<Time>>> {
    let mut found = BTreeMap::<String, Vec<Time>>::new();
    for file in files {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("trace {}", file.as_ref().display()))?;
        for line in text.lines() {
            if let Ok(emission) = serde_json::from_str::<Emission>(line) {
                found
                    .entry(emission.device)
                    .or_default()
                    .push(Time::from_micros(emission.at_us));
            }
        }
    }
    found.values_mut().for_each(|times| times.sort_unstable());
    Ok(found)
}

/// Milliseconds from the D-Bus signal to the subscriber, for each arrival whose signal is known.
#[must_use]
pub fn latencies_ms(arrivals: &[Arrival], emissions: &BTreeMap<String, Vec<Time>>) -> Vec<f64> {
    let one = |arrival: &Arrival| {
        let times = emissions.get(&arrival.device)?;
        // The newest signal that the gateway can have got by then.
        let at = times
            .partition_point(|time| *time <= arrival.received)
            .checked_sub(1)?;
        Some(arrival.arrived.since(*times.get(at)?).as_secs_f64() * 1e3)
    };
    arrivals.iter().filter_map(one).collect()
}
