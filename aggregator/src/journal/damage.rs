//! What was damaged at rest: skipped, told, and named as far as it can be.
//!
//! Invariants: a damaged entry hides no other of its row; whose a damaged batch was is said only where the index, which
//! lies elsewhere in the file, agrees, or says it alone. Must not know: patients, SQLite.

use std::collections::BTreeMap;

use vitals::{StreamId, Time};

use super::MICROS_A_MINUTE;
use super::codec::{self, Clear, clear_of_damaged};
use super::entry::{Entry, Position};
use super::medium::{Group, Row};

/// What a damaged entry was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// A batch, a tick or an acknowledgement.
    Expendable,
    /// Administrative, or nobody knows.
    Anything,
}

/// Damaged entries of one row.
#[derive(Clone, Debug)]
pub(super) struct Broken {
    pub(super) position: Position,
    pub(super) count: u64,
    pub(super) lost: Lost,
    /// A batch may be among them ...
    batch: bool,
    /// ... and says this of itself.
    clear: Option<Clear>,
}

impl Broken {
    /// Of these nothing is known.
    pub(super) const fn unknown(position: Position, count: u64) -> Self {
        Self {
            position,
            count,
            lost: Lost::Anything,
            batch: true,
            clear: None,
        }
    }

    /// A line in the log.
    pub(super) fn tell(&self) {
        let held = self.clear.as_ref().map(ToString::to_string);
        tracing::error!(
            position = self.position.0,
            count = self.count,
            held = held.unwrap_or_else(|| "nobody can tell what it held".into()),
            "damaged entries in the journal are skipped"
        );
    }
}

/// What is lost with the batches of a row that are damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The first of them.
    pub position: Position,
    /// By stream.
    pub parts: Vec<LostPart>,
}

/// What a stream lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostPart {
    /// Which.
    pub stream: StreamId,
    /// Nothing of it was measured before, to the minute ...
    pub from: Time,
    /// ... nor from then on.
    pub to: Time,
    /// At least so many.
    pub readings: u64,
    /// Exactly so many.
    pub exact: bool,
}

impl LostPart {
    fn of(stream: StreamId, oldest: i64, newest: i64, readings: Option<u64>) -> Self {
        let time = |minute: i64| Time::from_micros(minute.saturating_mul(MICROS_A_MINUTE));
        Self {
            stream,
            from: time(oldest),
            to: time(newest.saturating_add(1)),
            readings: readings.unwrap_or(0),
            exact: readings.is_some(),
        }
    }

    fn join(&mut self, other: &Self) {
        self.from = self.from.min(other.from);
        self.to = self.to.max(other.to);
        self.readings = self.readings.saturating_add(other.readings);
        self.exact &= other.exact;
    }
}

/// Whose the damaged batches of a row were; `groups`: what is indexed of it. `None`: no readings were among them.
pub(super) fn whose(broken: &[Broken], groups: &[Group]) -> Option<Damage> {
    let mut parts: BTreeMap<StreamId, LostPart> = BTreeMap::new();
    let mut add = |part: LostPart| {
        parts
            .entry(part.stream)
            .and_modify(|known| known.join(&part))
            .or_insert(part);
    };
    for one in broken.iter().filter(|one| one.batch) {
        let agreed = one.clear.as_ref().and_then(|clear| {
            let (oldest, newest) = minutes(clear);
            let holds = |group: &&Group| {
                group.stream == clear.stream && group.oldest <= oldest && newest <= group.newest
            };
            groups.iter().find(holds)?;
            Some((clear, oldest, newest))
        });
        match agreed {
            // What no index names has no readings: a heartbeat, a report.
            Some((clear, oldest, newest)) => {
                let readings = Some(u64::from(clear.readings));
                add(LostPart::of(clear.stream, oldest, newest, readings));
            }
            None if one.clear.as_ref().is_some_and(|clear| clear.readings == 0) => {}
            None => {
                for group in groups {
                    add(LostPart::of(group.stream, group.oldest, group.newest, None));
                }
            }
        }
    }
    let position = broken.iter().map(|one| one.position).min()?;
    let parts: Vec<_> = parts.into_values().collect();
    (!parts.is_empty()).then_some(Damage { position, parts })
}

fn minutes(clear: &Clear) -> (i64, i64) {
    let oldest = i64::from(clear.oldest);
    let newest = match clear.span {
        u16::MAX => i64::MAX,
        span => oldest + i64::from(span),
    };
    (oldest, newest)
}

/// The sound entries of a row; `broken` hears of the others.
pub(super) fn read_row(row: &Row, mut broken: impl FnMut(Broken)) -> Vec<(Position, Time, Entry)> {
    let frames = codec::split_row(row.first, &row.frames)
        .filter(|frames| u64::try_from(frames.len()) == Ok(row.count));
    let Some(frames) = frames else {
        broken(Broken::unknown(row.first, row.count));
        return Vec::new();
    };
    let mut entries = Vec::with_capacity(frames.len());
    for (frame, position) in frames.into_iter().zip(row.first.0..) {
        let position = Position(position);
        match codec::decode_entry(position, frame.bytes) {
            Ok((known, entry)) => entries.push((position, known, entry)),
            Err(error) => {
                tracing::error!(position = position.0, %error, "damaged entry");
                let lost = if frame.is_expendable() {
                    Lost::Expendable
                } else {
                    Lost::Anything
                };
                broken(Broken {
                    position,
                    count: 1,
                    lost,
                    batch: frame.is_batch() || lost == Lost::Anything,
                    clear: clear_of_damaged(frame.bytes),
                });
            }
        }
    }
    entries
}
