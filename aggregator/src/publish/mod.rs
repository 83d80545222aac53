//! Publish: every change of a twin or an alert gets a place ([`At`]), and readers resume from any place.
//!
//! The fold (`patient`) tells the [`Hub`] in log order what changed; that costs it a few map operations and
//! builds no message. Readers ([`TwinReader`], [`AlertReader`]) pull at their own pace:
//!
//! * twin states are *conflated*: a reader gets the newest state of each patient that changed, with a count of
//!   those it did not get; the message is built and encoded when a reader wants it, once for all readers that asked
//!   the same question (`question`);
//! * alert changes are never conflated: they wait in a bounded ring, and a reader that falls behind it is cut
//!   off with its cursor.
//!
//! Invariants: places are (journal position, index within the entry), so a replay of the journal gives the same
//! places; events of one reader come in the order of their places; nothing is published before its entry is
//! durable (the fold sees durable entries only); every queue here is bounded by [`Limits`]; the fold never waits
//! for readers and wakes none of them itself ([`Hub::ring`] does).
//!
//! Must not know: gRPC, who may see what (readers ask a closure given to them), how a twin is computed.

mod alerts;
mod bells;
mod cursor;
pub mod event;
mod filter;
mod hub;
mod question;
mod reader;
pub mod view;
mod within;

pub use alerts::{AlertRecord, KeptAlerts};
pub use cursor::{At, CURSOR_BYTES, CursorError, CursorKey, Stream};
pub use filter::{AlertFilter, FilterHash, TwinFilter};
pub use hub::{Hub, PatientIndex, Source, View};
pub use reader::{AlertReader, Allowed, Cut, TwinReader};
pub use view::AlertIds;
pub(crate) use within::Kept;
pub use within::{Rested, Shown, Within};

use std::sync::Arc;

use proto::v1;
use vitals::PatientId;

#[cfg(test)]
mod tests;

/// Where the fold tells, in log order, what changed: the [`Hub`] of this process; in a simulation a tape beside it;
/// past one machine a stream of a message system, from which the hubs of the readers' machines are fed.
pub trait Events: Send + Sync {
    /// The journal is in `epoch` from here on: cursors of others are not honoured.
    fn begin_epoch(&self, epoch: u64);

    /// A patient exists; `source` yields its states. A patient that is known keeps its index.
    fn add_patient(&self, id: PatientId, source: Arc<dyn Source>) -> PatientIndex;

    /// The patient's twin changed at `at`. Call it while the patient's own lock is held.
    fn twin_changed(&self, index: PatientIndex, at: At);

    /// The alert that the journal calls `key` changed at `at`.
    fn alert_changed(&self, index: PatientIndex, at: At, key: String, alert: v1::Alert);

    /// The entry at `position` is wholly told.
    fn folded(&self, position: u64);
}

/// Bounds of the hub.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Alert changes kept for resuming, at least. At a kilobyte each this is about 8 MiB.
    pub alert_ring: usize,
    /// So many for each patient, where that is more: an hour in which many lines are cut changes some alerts of everybody.
    pub alerts_a_patient: usize,
    /// Changes that a reader which had caught up may fall behind before it is cut off. A quarter of the ring,
    /// so that its cursor can still be honoured.
    pub alert_lag: usize,
    /// Resolved alerts kept for lists; the oldest go first.
    pub resolved_alerts: usize,
    /// Patients that may wait for a reader at once before it gets them as one sweep; so many encoded states a
    /// slow reader can hold in memory.
    pub pending_twins: usize,
    /// Encoded states, or cursors, kept for all readers of one question.
    pub shared: usize,
}

impl Limits {
    /// So many changes of alerts at least, and so many resolved alerts.
    #[must_use]
    pub const fn keeping(alerts: usize) -> Self {
        Self {
            alert_ring: alerts,
            alerts_a_patient: 4,
            alert_lag: alerts / 4,
            resolved_alerts: alerts,
            pending_twins: 64,
            shared: 1024,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::keeping(8192)
    }
}
