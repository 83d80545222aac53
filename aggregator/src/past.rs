//! What the centre knew at any position of its journal, and why it raised an alert: the journal read again, by the
//! production fold, from its beginning; where that was removed, from the oldest snapshot that serves.
//!
//! Promises: nothing is written and no lock is taken, so both run beside a centre at work, or on a copy of its
//! directory on another machine; the same position gives the same state hash as the centre published there, as long
//! as the program's fold version is the same. Must not know: how it is printed.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use proto::v1;
use proto::wire;
use vitals::{GatewayId, PatientId, Time};

use crate::app::empty_fold;
use crate::dir::CentreDir;
use crate::journal::{Committed, Content, Entry, Opened, Position, Replay};
use crate::publish::{Hub, Limits};
use crate::registry::Books;
use crate::snapshot;
use crate::vault::Vault;

/// A twin as it was.
#[derive(Clone, Debug)]
pub struct Rebuilt {
    /// The state after the entry at the position asked for; its own position is that of its newest change.
    pub twin: Arc<v1::Twin>,
    /// The last position that was folded.
    pub at: Position,
    /// Damaged entries may be missing in it, from this position on.
    pub doubtful_from: Option<Position>,
}

/// The way from an alert back to what gateways sent.
#[derive(Clone, Debug)]
pub struct Why {
    /// The alert as it was raised.
    pub alert: v1::Alert,
    /// Its whole life, in order; the first is the raising.
    pub life: Vec<Step>,
    /// The batches with readings that its evidence is about, in journal order.
    pub batches: Vec<Source>,
}

/// One change of an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where the change lies.
    pub position: Position,
    /// When.
    pub known: Time,
    /// Its state from then on.
    pub state: v1::AlertState,
    /// Its priority from then on.
    pub priority: v1::Priority,
    /// What made it.
    pub cause: Cause,
}

/// What made an alert change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A batch of this patient.
    Batch(GatewayId),
    /// A person.
    Person(String),
    /// Something else that was entered about the patient: an assignment, a revocation.
    Entry,
    /// Time: a deadline was due before the entry at that position.
    Time,
}

/// A batch that evidence rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Where it lies.
    pub position: Position,
    /// When it was known.
    pub known: Time,
    /// Who sent it.
    pub gateway: GatewayId,
    /// Its context, and its number there: with them the gateway's own record is found.
    pub context: vitals::ContextId,
    /// See above.
    pub number: u64,
    /// Readings in it that the evidence is about.
    pub readings: usize,
    /// Their oldest effective time.
    pub oldest: Time,
    /// Their newest.
    pub newest: Time,
}

/// The twin of a patient after the entry at `at`; after the last one if that is `None`.
///
/// # Errors
/// When the directory cannot be read, or the patient is not known at that position.
pub fn rebuild(dir: &CentreDir, patient: &PatientId, at: Option<Position>) -> Result<Rebuilt> {
    let end = at.map(Position::next);
    let (replay, hub) = again(dir, end, |_, _| {})?;
    let last = Position(replay.next().0 - 1);
    let at = at.unwrap_or(last);
    anyhow::ensure!(
        at <= last,
        "position {} is not in this journal: its last one is {}",
        at.0,
        last.0
    );
    let index = hub
        .find(patient)
        .with_context(|| format!("there was no such patient at position {}", at.0))?;
    Ok(Rebuilt {
        twin: hub.view(index).twin,
        at,
        doubtful_from: replay.lost_administrative(),
    })
}

/// The last entry that was known by then.
///
/// # Errors
/// When the directory cannot be read, or nothing was known yet.
pub fn position_at(dir: &CentreDir, known: Time) -> Result<Position> {
    let vault = Vault::open_to_read(&dir.vault()).context("the vault cannot be read")?;
    let replay = Replay::open(&dir.journal(), Arc::new(Books::new(Arc::new(vault))))?;
    let mut at = None;
    replay.run(Position::START, replay.next(), |committed: Committed| {
        if committed.known <= known {
            at = Some(committed.position);
        }
    })?;
    at.context("this journal begins later")
}

/// Why an alert was raised, by its public id.
///
/// # Errors
/// When the directory cannot be read, or no alert of this id was ever raised.
pub fn why(dir: &CentreDir, id: &str) -> Result<Why> {
    let mut raised: Option<v1::Alert> = None;
    let mut life: Vec<Step> = Vec::new();
    again(dir, None, |committed, hub| {
        let Some(record) = hub.alert(id) else { return };
        let position = Position(record.at.position);
        // Several changes within one entry: the last one stands.
        if life.last().is_some_and(|last| last.position >= position) {
            return;
        }
        raised.get_or_insert_with(|| v1::Alert::clone(&record.alert));
        life.push(Step {
            position,
            known: committed.known,
            state: record.alert.state(),
            priority: record.alert.priority(),
            cause: cause(committed, &record.alert.patient),
        });
    })?;
    let alert = raised.with_context(|| {
        format!(
            "no alert {id} in what this journal keeps: ids are shown by the page and by AlertService"
        )
    })?;
    let batches = sources(dir, &alert)?;
    Ok(Why {
        alert,
        life,
        batches,
    })
}

/// Batches known by then whose readings are of the evidence's kinds, from the onset on.
fn sources(dir: &CentreDir, alert: &v1::Alert) -> Result<Vec<Source>> {
    let kinds: Vec<i32> = alert.evidence.iter().map(|of| of.kind).collect();
    let begins = alert.evidence.iter().map(|of| of.effective_us);
    let begins = begins.chain([alert.onset_us]).filter(|at| *at != 0);
    let from = Time::from_micros(begins.min().unwrap_or(alert.raised_us));
    let until = Time::from_micros(alert.raised_us);
    let mut found = Vec::new();
    again(
        dir,
        Some(Position(alert.position).next()),
        |committed, _| {
            let (Entry::Batch { gateway, .. }, Some(Opened::Batch(batch))) =
                (&*committed.entry, committed.body.as_deref())
            else {
                return;
            };
            let Content::Body(body) = &batch.content else {
                return;
            };
            let Ok(content) = wire::decode_body(batch.source, batch.number, body) else {
                return;
            };
            let readings = content.readings.iter();
            let times: Vec<Time> = readings
                .filter(|reading| kinds.contains(&reading.kind.wire()))
                .map(|reading| reading.effective)
                .filter(|at| (from..=until).contains(at))
                .collect();
            let (Some(oldest), Some(newest)) = (times.iter().min(), times.iter().max()) else {
                return;
            };
            if batch.patient.reveal() == alert.patient {
                found.push(Source {
                    position: committed.position,
                    known: committed.known,
                    gateway: gateway.clone(),
                    context: batch.context,
                    number: batch.number,
                    readings: times.len(),
                    oldest: *oldest,
                    newest: *newest,
                });
            }
        },
    )?;
    Ok(found)
}

fn cause(committed: &Committed, patient: &str) -> Cause {
    let same = |id: &PatientId| id.reveal() == patient;
    match (&*committed.entry, committed.body.as_deref()) {
        (Entry::Batch { gateway, .. }, Some(Opened::Batch(batch))) if same(&batch.patient) => {
            Cause::Batch(gateway.clone())
        }
        (
            Entry::Acknowledged { patient, by, .. }
            | Entry::Care { patient, by, .. }
            | Entry::Facts { patient, by, .. },
            _,
        ) if same(patient) => Cause::Person(by.clone()),
        (Entry::Assigned { patient, .. } | Entry::Quarantined { patient, .. }, _)
            if same(patient) =>
        {
            Cause::Entry
        }
        (Entry::GatewayRevoked { .. } | Entry::StreamFrozen { .. }, _) => Cause::Entry,
        (_, _) => Cause::Time,
    }
}

/// Folds the journal before `end` anew; `seen` is called after each entry.
fn again(
    dir: &CentreDir,
    end: Option<Position>,
    mut seen: impl FnMut(&Committed, &Hub),
) -> Result<(Replay, Arc<Hub>)> {
    let vault = Vault::open_to_read(&dir.vault()).context("the vault cannot be read")?;
    let books = Arc::new(Books::new(Arc::new(vault)));
    let replay = Replay::open(&dir.journal(), Arc::clone(&books) as _)?;
    let (mut fold, hub) = empty_fold(dir, Limits::default(), books.vault_handle())?;
    let end = end.unwrap_or(replay.next());
    let mut after = Position::START;
    if let Some((below, known)) = replay.removed() {
        // What was folded from them is in the snapshots alone.
        let upto = Position(end.0.saturating_sub(1));
        let known_at = |position| replay.known_at(position);
        let restored = snapshot::restore(&dir.snapshots(), &books, &mut fold, &known_at, upto);
        after = restored.begin.with_context(|| {
            format!(
                "older than what is kept: batches before position {} (known before {} us) were removed, and no snapshot is as old as position {}",
                below.0,
                known.as_micros(),
                upto.0
            )
        })?;
    }
    replay.run(after, end, |committed| {
        fold.apply(&committed);
        seen(&committed, &hub);
    })?;
    Ok((replay, hub))
}
