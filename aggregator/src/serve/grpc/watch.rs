//! An open stream: wait for the fold, ask the gate, give the next event.
//!
//! Invariants: the gate is asked before every event, for its patient, and at least once a second in between,
//! so a right that ended ends the stream within that time with a status that says why, and so does a change of whose
//! patients they are; a reader that does not
//! read holds no more than one event here; an idle stream says every 15 s that the centre lives, while the fold goes on.
//!
//! Must not know: which service it is for.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::Status;
use vitals::PatientId;

use crate::chain::KEEP_ALIVE;
use crate::counters::{Counters, Refused};
use crate::gate::{Kind, Reason};
use crate::publish::event::{AlertEvent, TwinEvent};
use crate::publish::{AlertReader, Allowed, TwinReader};
use crate::serve::access::{Access, Caller};
use crate::serve::attendance::Attending;
use crate::serve::error;
use crate::serve::peer::Stopping;

/// A stream's type.
pub(in crate::serve) type Events<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Rights are looked at so often while nothing happens. Half of the two seconds that are promised.
const RIGHTS: Duration = Duration::from_secs(1);

/// What a stream reads from.
pub(super) trait Reader: Send + Unpin + 'static {
    /// What it gives.
    type Event: Send + 'static;
    /// What the gate is asked for.
    const KIND: Kind;

    /// The next event, if there is one now. An error ends the stream.
    fn next(
        &mut self,
        allowed: Allowed<'_>,
        counters: &Counters,
    ) -> Result<Option<Self::Event>, Status>;
    /// Ready when there may be one.
    fn poll_changed(&self, context: &mut Context<'_>) -> Poll<()>;
    /// Says that the line works.
    fn keep_alive(&self) -> Self::Event;
    /// Whether the fold goes on.
    fn lives(&self) -> bool;
    /// Shortest time between two looks for events, as the reader asked.
    fn interval(&self) -> Duration;
}

impl Reader for TwinReader {
    type Event = TwinEvent;
    const KIND: Kind = Kind::Twin;

    fn next(&mut self, allowed: Allowed<'_>, _: &Counters) -> Result<Option<Self::Event>, Status> {
        Ok(Self::next(self, allowed))
    }

    fn poll_changed(&self, context: &mut Context<'_>) -> Poll<()> {
        Self::poll_changed(self, context)
    }

    fn keep_alive(&self) -> Self::Event {
        Self::keep_alive(self)
    }

    fn lives(&self) -> bool {
        Self::lives(self)
    }

    fn interval(&self) -> Duration {
        Self::interval(self)
    }
}

impl Reader for AlertReader {
    type Event = AlertEvent;
    const KIND: Kind = Kind::Alert;

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

    fn poll_changed(&self, context: &mut Context<'_>) -> Poll<()> {
        Self::poll_changed(self, context)
    }

    fn keep_alive(&self) -> Self::Event {
        Self::keep_alive(self)
    }

    fn lives(&self) -> bool {
        Self::lives(self)
    }

    /// An alert leaves as soon as its entry is durable.
    fn interval(&self) -> Duration {
        Duration::ZERO
    }
}

struct Watch<R> {
    reader: R,
    access: Arc<Access>,
    caller: Caller,
    /// A platform that reads alerts is there for as long as this is.
    _attending: Option<Attending>,
    stopping: Stopping,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
    /// When to look again although nobody rang: for rights, the keep-alive, the end of the interval.
    timer: Pin<Box<Sleep>>,
    /// Something may have changed since the reader was asked last.
    look: bool,
    /// The reader gave something since it was last idle.
    spoke: bool,
    quiet_since: Instant,
    /// Of the patients that the caller had when the stream began, and when that was looked at.
    scope: Option<[u8; 8]>,
    scope_at: Instant,
    /// End of the interval that the reader asked for, while that runs.
    due: Option<Instant>,
    ended: bool,
}

/// The stream of `reader` for `caller`.
pub(super) fn stream<R: Reader>(
    reader: R,
    access: Arc<Access>,
    (caller, attending): (Caller, Option<Attending>),
    scope: Option<[u8; 8]>,
    stopping: Stopping,
) -> Events<R::Event> {
    let stopped = Box::pin(stopping.0.clone().cancelled_owned());
    Box::pin(Watch {
        scope,
        scope_at: Instant::now(),
        reader,
        access,
        caller,
        _attending: attending,
        stopping,
        stopped,
        timer: Box::pin(tokio::time::sleep(RIGHTS)),
        look: true,
        spoke: true,
        quiet_since: Instant::now(),
        due: None,
        ended: false,
    })
}

impl<R: Reader> Watch<R> {
    /// What there is to say now.
    fn next(&mut self) -> Result<Option<R::Event>, Status> {
        if self.stopping.0.is_cancelled() {
            return Err(error::stopping());
        }
        if self.look && self.due.is_none() {
            let (access, caller) = (&self.access, &self.caller);
            let allowed =
                |patient: &PatientId| access.check(caller, Some(patient), R::KIND).is_ok();
            if let Some(event) = self.reader.next(&allowed, access.counters())? {
                self.spoke = true;
                return Ok(Some(event));
            }
            self.look = false;
            let interval = self.reader.interval();
            if !interval.is_zero() {
                let now = Instant::now();
                self.due = Some(now + interval);
                self.set_timer(now);
            }
        }
        let now = Instant::now();
        self.still_allowed(now)?;
        if std::mem::take(&mut self.spoke) {
            self.quiet_since = now;
        }
        // A stream of a fold that stands still is silent: its reader is not to be told that all is well.
        if now - self.quiet_since >= KEEP_ALIVE && self.reader.lives() {
            self.quiet_since = now;
            return Ok(Some(self.reader.keep_alive()));
        }
        Ok(None)
    }

    fn still_allowed(&mut self, now: Instant) -> Result<(), Status> {
        self.access
            .check(&self.caller, None, R::KIND)
            .map_err(|reason: Reason| {
                self.access.counters().refuse(Refused::Gate);
                error::denied(reason)
            })?;
        // A reader of very many changes comes by here much more often than this can change.
        if now - self.scope_at >= RIGHTS / 2 {
            self.scope_at = now;
            if self.access.scope(&self.caller) != self.scope {
                self.access.counters().refuse(Refused::Gate);
                return Err(error::other_patients());
            }
        }
        Ok(())
    }

    /// Ready when it is time to look again.
    fn poll_wait(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.due.is_none() && self.reader.poll_changed(context).is_ready() {
            self.look = true;
            return Poll::Ready(());
        }
        if self.timer.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            if self.due.is_some_and(|due| due <= now) {
                self.due = None;
            }
            // Also when nobody rang: what concerns others moves the cursor on.
            self.look = true;
            self.set_timer(now);
            return Poll::Ready(());
        }
        self.stopped.as_mut().poll(context)
    }

    fn set_timer(&mut self, now: Instant) {
        let rights = now + RIGHTS;
        let next = self.due.map_or(rights, |due| due.min(rights));
        self.timer.as_mut().reset(next);
    }
}

impl<R: Reader> Stream for Watch<R> {
    type Item = Result<R::Event, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        loop {
            match this.next() {
                Ok(Some(event)) => return Poll::Ready(Some(Ok(event))),
                Ok(None) => {}
                Err(status) => {
                    this.ended = true;
                    return Poll::Ready(Some(Err(status)));
                }
            }
            if this.poll_wait(context).is_pending() {
                return Poll::Pending;
            }
        }
    }
}
