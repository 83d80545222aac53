//! Readers of the centre: they come, fall behind, go away and resume, also at the next centre.
//!
//! Must not know: the log; only that what they see must be in its order and without a hole.

use std::collections::BTreeMap;
use std::sync::Arc;

use proto::v1;
use vitaltwin_aggregator::publish::event::{AlertKind, TwinKind};
use vitaltwin_aggregator::publish::{AlertFilter, AlertReader, At, Hub, TwinFilter, TwinReader};

use crate::centre::Told;
use crate::plan::{Property, Violation, broken};
use crate::truth::Truth;

/// What a reader may see: everything; the gate is no part of this.
fn anybody(_: &vitals::PatientId) -> bool {
    true
}

/// A reader of twins.
#[derive(Default)]
pub(crate) struct Twins {
    reader: Option<TwinReader>,
    cursor: Vec<u8>,
    /// The cursor before that one: what a broken reader goes on from.
    stale: Vec<u8>,
    /// The newest state of each patient.
    pub(crate) seen: BTreeMap<String, u64>,
    resumes_stale: bool,
    /// This reader began with a cursor.
    resumed: bool,
    swept: bool,
}

impl Twins {
    pub(crate) fn new(resumes_stale: bool) -> Self {
        Self {
            resumes_stale,
            ..Self::default()
        }
    }

    pub(crate) fn leave(&mut self) {
        self.reader = None;
    }

    /// Reads what there is, at most so many events.
    pub(crate) fn read(
        &mut self,
        hub: &Arc<Hub>,
        most: usize,
        truth: &mut Truth,
    ) -> Result<(), Violation> {
        let cursor = if self.resumes_stale {
            &self.stale
        } else {
            &self.cursor
        };
        if self.reader.is_none() {
            (self.resumed, self.swept) = (!cursor.is_empty(), false);
        }
        let make = || TwinReader::new(Arc::clone(hub), &TwinFilter::default(), cursor);
        let mut reader = self.reader.take().unwrap_or_else(make);
        for _ in 0..most {
            let Some(event) = reader.next(&anybody) else {
                break;
            };
            if !event.cursor.is_empty() {
                self.stale = std::mem::replace(&mut self.cursor, event.cursor.to_vec());
            }
            match event.kind {
                Some(TwinKind::Change(twin)) => self.state(&read(&twin), false, truth)?,
                Some(TwinKind::Snapshot(twin)) => {
                    self.swept = true;
                    self.state(&read(&twin), true, truth)?;
                }
                Some(TwinKind::SnapshotEnd(end)) => {
                    if self.resumed {
                        let what = format!("a cursor of this journal is refused: {}", end.reason);
                        return broken(Property::P3, what);
                    }
                }
                Some(TwinKind::KeepAlive(_)) | None => {}
            }
        }
        self.reader = Some(reader);
        Ok(())
    }

    fn state(&mut self, twin: &v1::Twin, again: bool, truth: &mut Truth) -> Result<(), Violation> {
        let last = self.seen.get(&twin.patient).copied();
        let goes_back = last.is_some_and(|last| {
            twin.position < last || (twin.position == last && !again && !self.swept)
        });
        if goes_back {
            let what = format!(
                "{}: position {} after {last:?}",
                twin.patient, twin.position
            );
            return broken(Property::P3, what);
        }
        self.seen.insert(twin.patient.clone(), twin.position);
        truth.shown(twin);
        Ok(())
    }
}

/// A reader of alerts.
#[derive(Default)]
pub(crate) struct Alerts {
    reader: Option<AlertReader>,
    cursor: Vec<u8>,
    /// The last change that it saw, or the place of its snapshot.
    at: Option<At>,
    /// This reader began with a cursor.
    resumed: bool,
    /// Alerts that it was told.
    pub(crate) told: BTreeMap<String, v1::Alert>,
}

impl Alerts {
    pub(crate) fn leave(&mut self) {
        self.reader = None;
    }

    /// Reads what there is, at most so many events. `tape` holds all changes that this centre published.
    pub(crate) fn read(
        &mut self,
        hub: &Arc<Hub>,
        most: usize,
        tape: &[Told],
    ) -> Result<(), Violation> {
        if self.reader.is_none() {
            self.resumed = !self.cursor.is_empty();
            if !self.resumed {
                // Everything up to here will be in the snapshot.
                self.at = tape.last().map(Told::at);
            }
        }
        let make = || AlertReader::new(Arc::clone(hub), &AlertFilter::default(), &self.cursor);
        let mut reader = self.reader.take().unwrap_or_else(make);
        for _ in 0..most {
            let event = match reader.next(&anybody) {
                Ok(Some(event)) => event,
                Ok(None) => break,
                Err(cut) => {
                    let what = format!("cut off, {} behind", cut.behind);
                    return broken(Property::P3, what);
                }
            };
            if !event.cursor.is_empty() {
                self.cursor = event.cursor.to_vec();
            }
            match event.kind {
                Some(AlertKind::Change(alert)) => {
                    let alert: v1::Alert = read(&alert);
                    let at = parse(&event.event_id);
                    self.change(at, tape)?;
                    self.told.insert(alert.id.clone(), alert);
                }
                Some(AlertKind::Snapshot(alert)) => {
                    let alert: v1::Alert = read(&alert);
                    self.told.insert(alert.id.clone(), alert);
                }
                Some(AlertKind::SnapshotEnd(end)) => {
                    if self.resumed {
                        let what = format!("a cursor of this journal is refused: {}", end.reason);
                        return broken(Property::P3, what);
                    }
                }
                Some(AlertKind::KeepAlive(_)) | None => {}
            }
        }
        self.reader = Some(reader);
        Ok(())
    }

    /// It must be the next one on the tape.
    fn change(&mut self, at: Option<At>, tape: &[Told]) -> Result<(), Violation> {
        let Some(at) = at else {
            return broken(Property::P3, "a change without a place");
        };
        let next = tape.iter().find_map(|told| match told {
            Told::Alert(place, ..) if self.at.is_none_or(|last| *place > last) => Some(*place),
            Told::Alert(..) | Told::Twin(..) => None,
        });
        if next != Some(at) {
            let what = format!("after {:?} comes {next:?}, and it saw {at:?}", self.at);
            return broken(Property::P3, what);
        }
        self.at = Some(at);
        Ok(())
    }
}

/// What a client reads.
fn read<M: prost::Message + Default>(bytes: &[u8]) -> M {
    M::decode(bytes).expect("a message of the contract")
}

fn parse(event_id: &[u8]) -> Option<At> {
    let event_id = std::str::from_utf8(event_id).ok()?;
    let (position, index) = event_id.split_once('.')?;
    Some(At {
        position: position.parse().ok()?,
        index: index.parse().ok()?,
    })
}
