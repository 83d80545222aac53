//! A twin that survives its own defects: when `twin::step` panics, the state is as before.
//!
//! A copy before each step would cost more than the step. So a copy is kept that is at most [`EVENTS`] events
//! old, with the events since; after a panic the state is made again from them.
//!
//! Invariant: after `step` returns, whatever it returns, the state is the fold of all events that did not panic.
//!
//! Must not know: the journal, patients, publishing.

use std::panic::{AssertUnwindSafe, catch_unwind};

use twin::{Effect, Event, Twin, Withdrawal};
use vitals::Time;

/// Events between two copies: bounds the memory (some hundred bytes an event) and the work after a panic.
const EVENTS: usize = 64;

/// The function that is guarded: `twin::step`, or a test's.
pub(super) type Step = fn(&mut Twin, &Event, Time, &mut Vec<Effect>);

/// The step panicked; nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Panicked;

pub(super) struct Guarded {
    step: Step,
    twin: Twin,
    copy: Twin,
    since: Vec<(Event, Time)>,
}

impl Guarded {
    /// Goes on from this state.
    pub(super) fn from_twin(step: Step, twin: Twin) -> Self {
        Self {
            step,
            copy: twin.clone(),
            twin,
            since: Vec::new(),
        }
    }

    pub(super) const fn twin(&self) -> &Twin {
        &self.twin
    }

    /// Steps; effects are added to `out`, none after a panic.
    pub(super) fn step(
        &mut self,
        event: Event,
        now: Time,
        out: &mut Vec<Effect>,
    ) -> Result<(), Panicked> {
        let (step, before) = (self.step, out.len());
        let result = {
            // What a panic leaves half-changed is thrown away below.
            let (twin, out) = (
                AssertUnwindSafe(&mut self.twin),
                AssertUnwindSafe(&mut *out),
            );
            let event = AssertUnwindSafe(&event);
            catch_unwind(move || {
                let (AssertUnwindSafe(twin), AssertUnwindSafe(out)) = (twin, out);
                step(twin, event.0, now, out);
            })
        };
        if result.is_err() {
            out.truncate(before);
            self.restore();
            return Err(Panicked);
        }
        self.since.push((event, now));
        if self.since.len() >= EVENTS {
            self.copy.clone_from(&self.twin);
            self.since.clear();
        }
        Ok(())
    }

    /// Goes on from the fold of another log: some of what was folded was voided.
    pub(super) fn amend(&mut self, anew: Twin, why: &Withdrawal, out: &mut Vec<Effect>) {
        self.twin.amend(anew, why, out);
        self.copy.clone_from(&self.twin);
        self.since.clear();
    }

    fn restore(&mut self) {
        let mut unused = Vec::new();
        self.twin.clone_from(&self.copy);
        for (event, now) in &self.since {
            // These were stepped before and are pure: they do not panic now.
            (self.step)(&mut self.twin, event, *now, &mut unused);
            unused.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vitals::StreamId;

    fn fragile(twin: &mut Twin, event: &Event, now: Time, out: &mut Vec<Effect>) {
        twin::step(twin, event, now, out);
        if let Event::Malformed { number: 13, .. } = event {
            panic!("the step for number 13 is broken, on purpose");
        }
    }

    fn numbered(number: u64) -> Event {
        let (stream, context) = (StreamId([1; 16]), vitals::ContextId([2; 16]));
        Event::Malformed {
            stream,
            context,
            number,
            readings: 1,
        }
    }

    #[test]
    fn a_panic_leaves_the_state_of_all_other_events() {
        // Also across the border at which the copy is renewed.
        for count in [0, 1, EVENTS as u64 - 1, EVENTS as u64, EVENTS as u64 + 5] {
            let (mut guarded, mut plain) = (
                Guarded::from_twin(fragile, Twin::new()),
                Guarded::from_twin(fragile, Twin::new()),
            );
            let mut out = Vec::new();
            for number in 100..100 + count {
                let now = Time::from_micros(number.cast_signed());
                guarded
                    .step(numbered(number), now, &mut out)
                    .expect("sound");
                plain.step(numbered(number), now, &mut out).expect("sound");
            }
            out.clear();
            let now = Time::from_micros(1_000);
            assert_eq!(guarded.step(numbered(13), now, &mut out), Err(Panicked));
            assert!(out.is_empty(), "no effect of a broken step gets out");
            assert!(guarded.twin() == plain.twin());
            guarded
                .step(numbered(14), now, &mut out)
                .expect("it goes on");
            assert!(guarded.twin() != plain.twin(), "control: a step shows");
        }
    }
}
