//! One reader of a stream: where it stands, and what it gets next. Pull only; the shell that waits, asks the
//! gate and writes to the network is `serve::grpc::watch`.
//!
//! Twins. While at most [`Limits::pending_twins`](super::Limits) patients wait, each event carries a cursor
//! that resumes exactly after it. A first call, and a reader that fell further behind, get a *sweep*: every
//! waiting patient once, in its newest state; the cursor stands at the sweep's beginning until the sweep is
//! complete, so a reader that breaks off in the middle is swept again (states may repeat then, none is missed).
//!
//! Alerts. Every change, in order, or the stream ends with [`Cut`].
//!
//! Invariants: after a complete sweep the cursor is exact: every patient's newest change up to it was sent, and
//! no state beyond it. `allowed` is asked for every patient of every event, right before the event is given.
//!
//! Must not know: tonic, sockets, time.

mod alert;
mod twin;

use std::sync::Arc;

use vitals::PatientId;

pub use alert::AlertReader;
pub use twin::TwinReader;

use super::{At, CursorError, FilterHash, Hub, Stream};

/// May the reader see this patient now?
pub type Allowed<'a> = &'a dyn Fn(&PatientId) -> bool;

/// Why a stream of alerts ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Where to resume.
    pub cursor: Vec<u8>,
    /// How many changes the reader was behind; 0 when they are no longer counted.
    pub behind: usize,
}

/// What both kinds of readers know.
#[derive(Debug)]
struct Seat {
    hub: Arc<Hub>,
    stream: Stream,
    at: At,
}

impl Seat {
    fn new(hub: Arc<Hub>, stream: Stream) -> Self {
        let at = At::START;
        Self { hub, stream, at }
    }

    /// Takes the cursor's place. An error says why a snapshot is needed: nothing for a first call.
    fn resume(&mut self, filter: FilterHash, cursor: &[u8]) -> Result<(), String> {
        if cursor.is_empty() {
            return Err(String::new());
        }
        let at = self
            .place(filter, cursor)
            .map_err(|error| error.to_string())?;
        self.at = at;
        Ok(())
    }

    fn place(&self, filter: FilterHash, cursor: &[u8]) -> Result<At, CursorError> {
        let hub = &self.hub;
        let at = hub
            .cursors()
            .decode(self.stream, hub.epoch(), filter, cursor)?;
        match self.stream {
            Stream::Twins => hub.check_ahead(at)?,
            Stream::Alerts => hub.check_alert_cursor(at)?,
        }
        Ok(at)
    }
}
