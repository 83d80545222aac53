//! An open stream: wait for the fold, ask the gate, give the next event.
//!
//! Invariants: the gate is asked before every event, for its patient, and at least once a second in between,
//! so a right that ended ends the stream within that time with a status that says why; a reader that does not
//! read holds no more than one event here; an idle stream says every 15 s that it lives.
//!
//! Must not know: which service it is for.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use proto::v1;
use tonic::Status;
use vitals::PatientId;

use crate::counters::{Counters, Refused};
use crate::gate::{Kind, Reason};
use crate::publish::{AlertReader, Allowed, TwinReader};
use crate::serve::access::{Access, Caller};
use crate::serve::error;
use crate::serve::peer::Stopping;

/// A stream's type in the generated traits.
pub(super) type Events<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Nothing else was for so long.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Rights are looked at so often while nothing happens. Half of the two seconds that are promised.
const RIGHTS: Duration = Duration::from_secs(1);
/// Rounds of twin states for one reader come no faster than this for long; states that change faster are
/// conflated. Bounds the messages built for one reader.
const TWIN_ROUND: Duration = Duration::from_millis(4);
/// So many rounds may come at once after a pause: a burst of sensors must not wait in line.
const BURST: u32 = 16;

/// What a stream reads from.
pub(super) trait Reader: Send + 'static {
    /// What it gives.
    type Event: Send + 'static;
    /// What the gate is asked for.
    const KIND: Kind;
    /// Shortest time between rounds in the long run; zero: none.
    const ROUND: Duration;

    /// The next event, if there is one now. An error ends the stream.
    fn next(
        &mut self,
        allowed: Allowed<'_>,
        counters: &Counters,
    ) -> Result<Option<Self::Event>, Status>;
    /// Waits until there may be one.
    fn changed(&mut self) -> impl Future<Output = ()> + Send;
    /// Says that the line works.
    fn keep_alive(&self) -> Self::Event;
}

impl Reader for TwinReader {
    type Event = v1::TwinEvent;
    const KIND: Kind = Kind::Twin;
    const ROUND: Duration = TWIN_ROUND;

    fn next(&mut self, allowed: Allowed<'_>, _: &Counters) -> Result<Option<Self::Event>, Status> {
        Ok(Self::next(self, allowed))
    }

    async fn changed(&mut self) {
        Self::changed(self).await;
    }

    fn keep_alive(&self) -> Self::Event {
        Self::keep_alive(self)
    }
}

impl Reader for AlertReader {
    type Event = v1::AlertEvent;
    const KIND: Kind = Kind::Alert;
    /// An alert leaves as soon as its entry is durable.
    const ROUND: Duration = Duration::ZERO;

    fn next(
        &mut self,
        allowed: Allowed<'_>,
        counters: &Counters,
    ) -> Result<Option<Self::Event>, Status> {
        Self::next(self, allowed).map_err(|cut| {
            counters.refuse(Refused::SlowReader);
            error::cut(&cut)
        })
    }

    async fn changed(&mut self) {
        Self::changed(self).await;
    }

    fn keep_alive(&self) -> Self::Event {
        Self::keep_alive(self)
    }
}

struct Watch<R> {
    reader: R,
    access: Arc<Access>,
    caller: Caller,
    stopping: Stopping,
    quiet_since: tokio::time::Instant,
    /// When the next round would be due if rounds came evenly.
    even: tokio::time::Instant,
}

/// The stream of `reader` for `caller`.
pub(super) fn stream<R: Reader>(
    reader: R,
    access: Arc<Access>,
    caller: Caller,
    stopping: Stopping,
) -> Events<R::Event> {
    let now = tokio::time::Instant::now();
    let watch = Watch {
        reader,
        access,
        caller,
        stopping,
        quiet_since: now,
        even: now,
    };
    Box::pin(unfold(Some(watch), |watch| async move {
        let mut watch = watch?;
        let event = watch.next().await;
        let goes_on = event.is_ok();
        Some((event, goes_on.then_some(watch)))
    }))
}

impl<R: Reader> Watch<R> {
    async fn next(&mut self) -> Result<R::Event, Status> {
        loop {
            if self.stopping.0.is_cancelled() {
                return Err(error::stopping());
            }
            self.still_allowed()?;
            let (access, caller) = (&self.access, &self.caller);
            let allowed =
                |patient: &PatientId| access.check(caller, Some(patient), R::KIND).is_ok();
            if let Some(event) = self.reader.next(&allowed, access.counters())? {
                self.quiet_since = tokio::time::Instant::now();
                return Ok(event);
            }
            if self.quiet_since.elapsed() >= KEEP_ALIVE {
                self.quiet_since = tokio::time::Instant::now();
                return Ok(self.reader.keep_alive());
            }
            self.wait().await;
        }
    }

    fn still_allowed(&self) -> Result<(), Status> {
        self.access
            .check(&self.caller, None, R::KIND)
            .map_err(|reason: Reason| {
                self.access.counters().refuse(Refused::Gate);
                error::denied(reason)
            })
    }

    async fn wait(&mut self) {
        let keep_alive = KEEP_ALIVE.saturating_sub(self.quiet_since.elapsed());
        tokio::select! {
            () = self.reader.changed() => {}
            () = tokio::time::sleep(keep_alive.min(RIGHTS)) => {}
            () = self.stopping.0.cancelled() => return,
        }
        if !R::ROUND.is_zero() {
            let now = tokio::time::Instant::now();
            if let Some(early) = self.even.checked_duration_since(now + R::ROUND * BURST) {
                tokio::time::sleep(early).await;
            }
            self.even = self.even.max(now) + R::ROUND;
        }
    }
}
