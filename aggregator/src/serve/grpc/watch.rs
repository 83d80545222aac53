//! An open stream: wait for the fold, ask the gate, give the next event.
//!
//! Invariants: the gate is asked before every event, for its patient, and at least once a second in between,
//! so a right that ended ends the stream within that time with a status that says why, and so does a change of whose
//! patients they are; nothing is given of a patient before it is noted who looks; a reader that does not
//! read holds no more than one event here; an idle stream says every 15 s that the centre lives, while the fold goes on.
//!
//! Must not know: which service it is for.

use std::cell::RefCell;
use std::collections::BTreeSet;
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
use crate::publish::{AlertReader, Allowed, Hub, TwinReader};
use crate::serve::access::{Access, Caller, Seen};
use crate::serve::attendance::Attending;
use crate::serve::error;
use crate::serve::looks::{Noted, Unnoted};
use crate::serve::peer::Stopping;

/// A stream's type.
pub(in crate::serve) type Events<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Rights are looked at so often while nothing happens. Half of the two seconds that are promised.
const RIGHTS: Duration = Duration::from_secs(1);

/// What a stream reads from.
pub(super) trait Reader: Send + Unpin + 'static {
    /// What it gives.
    type Event: Send + Unpin + 'static;
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

struct Watch<R: Reader> {
    reader: R,
    access: Arc<Access>,
    caller: Caller,
    /// What of them it shows, and of whom that is written down.
    looking: (Seen, Noted),
    /// It is being written down,
    noting: Option<Noting>,
    /// and this waits for it.
    held: Option<R::Event>,
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

type Noting = Pin<Box<dyn Future<Output = Result<Noted, Unnoted>> + Send>>;

/// Somebody who opens a stream, and what it will show.
pub(super) struct Opening {
    pub(super) caller: Caller,
    pub(super) attending: Option<Attending>,
    /// As the gate marks whom they have.
    pub(super) scope: Option<[u8; 8]>,
    pub(super) stopping: Stopping,
    pub(super) seen: Seen,
    pub(super) noted: Noted,
}

/// Those of `named` whom the centre knows; all if nobody is named.
pub(super) fn wanted(hub: &Hub, named: &BTreeSet<PatientId>) -> Vec<PatientId> {
    let all = hub.patients().into_iter().map(|(patient, _)| patient);
    all.filter(|patient| named.is_empty() || named.contains(patient))
        .collect()
}

/// Notes that the caller is shown this of all of `patients` whom they may see.
pub(super) async fn opened(
    access: &Access,
    caller: &Caller,
    kind: Kind,
    seen: &Seen,
    mut patients: Vec<PatientId>,
) -> Result<Noted, Status> {
    patients.retain(|patient| access.check(caller, Some(patient), kind).is_ok());
    let noted = access.look(caller, seen, &patients).await;
    noted.map_err(error::unnoted)
}

/// The stream of `reader`.
pub(super) fn stream<R: Reader>(
    reader: R,
    access: Arc<Access>,
    opening: Opening,
) -> Events<R::Event> {
    let Opening {
        caller,
        attending,
        scope,
        stopping,
        seen,
        noted,
    } = opening;
    let stopped = Box::pin(stopping.0.clone().cancelled_owned());
    Box::pin(Watch {
        scope,
        scope_at: Instant::now(),
        reader,
        access,
        caller,
        looking: (seen, noted),
        noting: None,
        held: None,
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
            let (access, caller, noted) = (&self.access, &self.caller, &self.looking.1);
            if noted.is_over(access.clock().now()) {
                self.noting = Some(self.note(noted.patients()));
                return Ok(None);
            }
            let fresh = RefCell::new(Vec::new());
            let allowed = |patient: &PatientId| {
                let may = access.check(caller, Some(patient), R::KIND).is_ok();
                if may && !noted.holds_for(patient) {
                    fresh.borrow_mut().push(patient.clone());
                }
                may
            };
            let event = self.reader.next(&allowed, access.counters())?;
            let fresh = fresh.into_inner();
            if !fresh.is_empty() {
                self.noting = Some(self.note(fresh));
                self.held = event;
                return Ok(None);
            }
            if let Some(event) = event {
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

    /// Writes down that the caller is shown something of these, and of those before.
    fn note(&self, patients: Vec<PatientId>) -> Noting {
        let (access, caller) = (Arc::clone(&self.access), self.caller.clone());
        let seen = self.looking.0.clone();
        Box::pin(async move { access.look(&caller, &seen, &patients).await })
    }

    /// What waited for it to be written down; ready without anything when nothing waits.
    fn poll_noted(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<R::Event>, Status>> {
        if let Some(noting) = &mut self.noting {
            let noted = std::task::ready!(noting.as_mut().poll(context));
            self.noting = None;
            self.looking.1 = noted.map_err(error::unnoted)?;
        }
        let held = self.held.take();
        if held.is_some() {
            self.still_allowed(Instant::now())?;
            self.spoke = true;
        }
        Poll::Ready(Ok(held))
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
            let held = std::task::ready!(this.poll_noted(context));
            match held.and_then(|held| match held {
                Some(event) => Ok(Some(event)),
                None => this.next(),
            }) {
                Ok(Some(event)) => return Poll::Ready(Some(Ok(event))),
                Ok(None) if this.noting.is_some() => continue,
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
