//! The shell around [`Turns`]: who waits is woken, and who goes away leaves no hole.
//!
//! Must not know: what is done in a turn.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;
use vitals::GatewayId;

use super::turns::{Class, Place, Turns};

/// The queue of a centre.
#[derive(Debug, Default)]
pub(super) struct Queue(Mutex<Turns<oneshot::Sender<()>>>);

/// A turn; dropping it gives it on.
#[derive(Debug)]
pub(super) struct Turn<'a>(&'a Queue);

impl Queue {
    /// Waits for a turn.
    pub(super) async fn turn(
        &self,
        gateway: &GatewayId,
        what: (Class, u64),
        now: Instant,
    ) -> Turn<'_> {
        let (wake, woken) = oneshot::channel();
        let waits = self.lock().ask(gateway, what, now, || wake);
        if let Some(place) = waits {
            let mut waiting = Waiting {
                queue: self,
                place: Some(place),
            };
            // A sender is never dropped without a word: it is woken, or it left by itself.
            let _ = woken.await;
            waiting.place = None;
        }
        Turn(self)
    }

    pub(super) fn sheds(&self, class: Class, now: Instant) -> bool {
        self.lock().sheds(class, now)
    }

    fn lock(&self) -> MutexGuard<'_, Turns<oneshot::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_on(&self) {
        // Who was woken and is gone gives it on itself (`Waiting`); whose receiver is gone already cannot.
        loop {
            let next = self.lock().done();
            // Nobody waits, or the next one was woken.
            if next.is_none_or(|wake| wake.send(()).is_ok()) {
                return;
            }
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.give_on();
    }
}

/// Whoever waits, so that a connection that ends meanwhile leaves the queue.
struct Waiting<'a> {
    queue: &'a Queue,
    place: Option<Place>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            let left = self.queue.lock().leave(place);
            if !left {
                self.queue.give_on();
            }
        }
    }
}
