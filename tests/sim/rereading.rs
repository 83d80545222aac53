//! The log read again without what was voided, a few entries at a time while the centre works.
//!
//! Must not know: what a twin makes of it.

use std::sync::Arc;

use vitals::PatientId;
use vitaltwin_aggregator::app::again::FromLog;
use vitaltwin_aggregator::journal::{Committed, JournalError, Medium, Position};
use vitaltwin_aggregator::patient::{Again, Pages, Rereading};
use vitaltwin_aggregator::vault::Vault;

/// Entries that are read between two commits.
const STEP: u32 = 24;

/// The production reading; with the bug planted, what comes while a log is read is not read.
pub(crate) struct Logs {
    from: FromLog,
    forgets: bool,
}

impl Logs {
    pub(crate) fn new(medium: Arc<dyn Medium>, vault: Arc<Vault>, forgets: bool) -> Self {
        let from = FromLog::new(medium, vault);
        Self { from, forgets }
    }
}

impl Again for Logs {
    fn open(&self, patient: &PatientId) -> Result<Box<dyn Pages>, JournalError> {
        let log = self.from.open(patient)?;
        let left = self.forgets.then_some(1);
        Ok(Box::new(Log { log, left }))
    }
}

struct Log {
    log: Box<dyn Pages>,
    /// Planted: calls that are still answered.
    left: Option<u32>,
}

impl Pages for Log {
    fn read(
        &mut self,
        after: Position,
        end: Position,
        take: &mut dyn FnMut(&Committed) -> bool,
    ) -> Result<(), JournalError> {
        match &mut self.left {
            Some(0) => return Ok(()),
            Some(left) => *left -= 1,
            None => {}
        }
        self.log.read(after, end, take)
    }
}

/// Reads on for a step. True: all that is durable was read.
pub(crate) fn step(reading: &Rereading, durable: Position) -> Result<bool, JournalError> {
    let left = std::cell::Cell::new(STEP);
    let go_on = || {
        left.set(left.get().saturating_sub(1));
        left.get() > 0
    };
    Ok(reading.read_on(durable.next(), &go_on)? >= durable)
}
