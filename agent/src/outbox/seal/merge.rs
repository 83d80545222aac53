//! What becomes one record although it was several: the small records of a minute, and declared losses.
//!
//! Both only for records that were never handed to a line: what may be on its way is not replaced.

use std::collections::BTreeMap;

use proto::seal::{Label, Lane};
use proto::v1::{self, BatchBody, GapReason};
use vitals::Time;

use super::{Output, Sealing, Stream, label};
use crate::outbox::RecordId;
use crate::outbox::minute::{HOUR, MINUTE, Minute};

/// Gaps in one record: each takes at most 40 bytes.
const GAPS_A_RECORD: usize = 64;
/// A counted loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Readings lost, at least.
    pub readings: u64,
    /// `readings` is exact.
    pub exact: bool,
    /// First time that may be lost.
    pub from: Time,
    /// Last one.
    pub to: Time,
}

impl Loss {
    pub(super) fn with(self, other: Self) -> Self {
        Self {
            readings: self.readings + other.readings,
            exact: self.exact && other.exact,
            from: self.from.min(other.from),
            to: self.to.max(other.to),
        }
    }
}

/// A gap record that was never handed to a line, and what it says.
pub(super) struct Declared {
    pub(super) id: RecordId,
    pub(super) gaps: BTreeMap<(u16, GapReason), Loss>,
}

impl Sealing {
    /// Merges the small records of minutes that are over, as far as all of them are still there
    /// (`is_there`). Only for records that were never handed to a line.
    pub fn merge(&mut self, now: Time, is_there: impl Fn(RecordId) -> bool) {
        for stream in self.streams.keys().copied().collect::<Vec<_>>() {
            let Some(mut state) = self.streams.remove(&stream) else {
                continue;
            };
            let whole = |minute: &Minute| minute.ids.iter().all(|id| is_there(*id));
            // Hours first: of a minute that is sealed just now nobody has heard yet.
            for hour in state.hours.take_over(now, HOUR) {
                self.seal_minute(&mut state, &hour, whole(&hour), now);
            }
            let age = self.gather.unwrap_or(MINUTE);
            for minute in state.minutes.take_over(now, age) {
                // So that numbers tell the order of time: an hour that this one would not fit into goes before it.
                if let Some(hour) = state.hours.take_without_room_for(&minute) {
                    self.seal_minute(&mut state, &hour, whole(&hour), now);
                }
                let id = self.seal_minute(&mut state, &minute, whole(&minute), now);
                if let Some(id) = id.filter(|_| !self.line || self.hold) {
                    state.hours.add(id, &minute.readings, now);
                }
            }
            self.streams.insert(stream, state);
        }
    }

    /// Without a line, the losses declared last are declared anew together with the new ones: a buffer that
    /// stays full for weeks must not fill with records that say so.
    pub(super) fn seal_gaps(&mut self, state: &mut Stream, now: Time) {
        if state.gaps.is_empty() {
            return;
        }
        let mut gaps = std::mem::take(&mut state.gaps);
        let before = state.declared.take();
        if let Some(Declared { gaps: known, .. }) = &before {
            for (key, loss) in known {
                gaps.entry(*key)
                    .and_modify(|new| *new = new.with(*loss))
                    .or_insert(*loss);
            }
        }
        let mut replaced: Vec<RecordId> = before.iter().map(|before| before.id).collect();
        let alone = gaps.len() <= GAPS_A_RECORD;
        let all: Vec<_> = gaps.iter().map(|(key, loss)| (*key, *loss)).collect();
        for gaps in all.chunks(GAPS_A_RECORD) {
            let body = BatchBody {
                gaps: gaps.iter().map(gap).collect(),
                supersedes: replaced.iter().map(|id| id.number).collect(),
                ..BatchBody::default()
            };
            let times = || gaps.iter().map(|(_, loss)| loss);
            let from = times().map(|loss| loss.from).min().unwrap_or(now);
            let to = times().map(|loss| loss.to).max().unwrap_or(now);
            let id = self.seal(state, label(Lane::Gap, from, to), &body, now);
            if id.is_some() && !replaced.is_empty() {
                self.output
                    .push(Output::Superseded(std::mem::take(&mut replaced)));
            }
            if let Some(id) = id.filter(|_| alone && !self.line) {
                let gaps = gaps.iter().copied().collect();
                state.declared = Some(Declared { id, gaps });
            }
        }
    }

    /// The place of the one record that holds the minute now; `None` if there is none.
    fn seal_minute(
        &mut self,
        state: &mut Stream,
        minute: &Minute,
        whole: bool,
        now: Time,
    ) -> Option<RecordId> {
        if !whole || minute.ids.len() == 1 {
            return minute.ids.first().copied().filter(|_| whole);
        }
        let first = minute.readings.first()?;
        let times = || minute.readings.iter().map(|reading| reading.effective);
        let oldest = times().min().unwrap_or(first.effective);
        let newest = times().max().unwrap_or(first.effective);
        let label = Label {
            source: first.source.0,
            count: u16::try_from(minute.readings.len()).ok()?,
            ..label(Lane::Vitals, oldest, newest)
        };
        let id = self.seal(state, label, &minute.body(), now)?;
        if let Some(Output::Sealed(sealed)) = self.output.last_mut() {
            sealed.gathered = self.hold;
        }
        self.output.push(Output::Superseded(minute.ids.clone()));
        Some(id)
    }
}

fn gap(((source, reason), loss): &((u16, GapReason), Loss)) -> v1::Gap {
    v1::Gap {
        source: u32::from(*source),
        reason: (*reason).into(),
        readings: loss.readings,
        exact: loss.exact,
        from_us: loss.from.as_micros(),
        to_us: loss.to.max(loss.from).as_micros(),
    }
}
