//! A twin that survives its own defects: when `twin::step` panics, the state is as before.
//!
//! A copy before each step would cost more than the step. So a copy is kept that is at most [`READINGS`] readings
//! old, with the events since; after a panic the state is made again from them. Nobody needs one before the next event:
//! whoever was added and never measured costs neither a twin nor a copy.
//!
//! Invariant: after `step` returns, whatever it returns, the state is the fold of all events that did not panic.
//!
//! Must not know: the journal, patients, publishing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use twin::{Effect, Event, Twin, Withdrawal};
use vitals::Time;

/// Readings between two copies, an event counting as one at least: bounds the memory (a hundred bytes each) and the work
/// after a panic.
const READINGS: usize = 128;
/// So many numbers of a waveform take the room of a reading.
const NUMBERS: usize = 25;

/// What nothing was folded into.
static EMPTY: LazyLock<Twin> = LazyLock::new(Twin::new);

/// The function that is guarded: `twin::step`, or a test's.
pub(super) type Step = fn(&mut Twin, &Event, Time, &mut Vec<Effect>);

/// The step panicked; nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Panicked;

pub(super) struct Guarded {
    step: Step,
    /// `None`: nothing was folded into it.
    twin: Option<Box<Twin>>,
    /// As the twin was before the first event of `since`; of no account while there is none.
    copy: Option<Box<Twin>>,
    since: Vec<(Event, Time)>,
    /// In `since`.
    readings: usize,
}

impl Guarded {
    /// Goes on from this state.
    pub(super) fn from_twin(step: Step, twin: Twin) -> Self {
        Self {
            step,
            twin: (twin != *EMPTY).then(|| Box::new(twin)),
            copy: None,
            since: Vec::new(),
            readings: 0,
        }
    }

    pub(super) fn twin(&self) -> &Twin {
        self.twin.as_deref().unwrap_or(&EMPTY)
    }

    /// Steps; effects are added to `out`, none after a panic.
    pub(super) fn step(
        &mut self,
        event: Event,
        now: Time,
        out: &mut Vec<Effect>,
    ) -> Result<(), Panicked> {
        let (step, before) = (self.step, out.len());
        if self.since.is_empty() {
            self.copy.clone_from(&self.twin);
        }
        let result = {
            // What a panic leaves half-changed is thrown away below.
            let twin = self.twin.get_or_insert_default();
            let (twin, out) = (AssertUnwindSafe(&mut **twin), AssertUnwindSafe(&mut *out));
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
        self.readings += weight(&event);
        self.since.push((event, now));
        if self.readings >= READINGS {
            self.forget();
        }
        Ok(())
    }

    /// Goes on from the fold of another log: some of what was folded was voided.
    pub(super) fn amend(&mut self, anew: Twin, why: &Withdrawal, out: &mut Vec<Effect>) {
        self.twin.get_or_insert_default().amend(anew, why, out);
        self.forget();
    }

    /// The next step makes a copy.
    fn forget(&mut self) {
        self.copy = None;
        self.since = Vec::new();
        self.readings = 0;
    }

    fn restore(&mut self) {
        let mut unused = Vec::new();
        self.twin.clone_from(&self.copy);
        for (event, now) in &self.since {
            // These were stepped before and are pure: they do not panic now.
            let twin = self.twin.get_or_insert_default();
            (self.step)(twin, event, *now, &mut unused);
            unused.clear();
        }
    }
}

/// In readings.
fn weight(event: &Event) -> usize {
    let Event::Batch(batch) = event else { return 1 };
    let numbers: usize = batch.waveforms.iter().map(|of| of.numbers.len()).sum();
    (batch.readings.len() + numbers / NUMBERS).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use vitals::StreamId;

    #[test]
    fn whoever_was_added_and_never_measured_costs_no_twin() {
        let mut guarded = Guarded::from_twin(twin::step, Twin::new());
        assert!(guarded.twin.is_none() && *guarded.twin() == Twin::new());
        let mut out = Vec::new();
        let step = guarded.step(numbered(1), Time::from_micros(1), &mut out);
        step.expect("sound");
        assert!(guarded.twin.is_some(), "control");
    }

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
        for count in [
            0,
            1,
            READINGS as u64 - 1,
            READINGS as u64,
            READINGS as u64 + 5,
        ] {
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
