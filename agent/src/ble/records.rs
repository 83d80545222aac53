//! PURE. Fetching what a device stored while nobody listened: one run of the Record Access Control Point (2A52)
//! as a machine; time is passed in.
//!
//! ```text
//!  Waiting --ask--> Asked --answer--> Over
//!     ^               | silent for 30 s, or told to wait
//!     |               v
//!     +--- pause --- Aborting
//! ```
//!
//! Invariants: it asks for what comes after the last record that was taken, and for all only where the device
//! knows no such question (then what was taken is recognised by its number, not here); it never asks a device to
//! delete; a run that does not end is aborted and tried again, at most three times a link.
//! Must not know: D-Bus, what records say.

use serde::{Deserialize, Serialize};
use vitals::gatt::{Characteristic, RecordAccess, RecordOp, RecordOutcome, Records, uuid};
use vitals::{Span, Time};

/// A device that sends nothing for so long has forgotten the request (GLS 1.0.1: the procedure's time-out).
const SILENCE: Span = Span::from_secs(30);
/// An abort is answered at once, or not.
const ABORT: Span = Span::from_secs(5);
/// Before the next attempt; longer with each.
const PAUSE: Span = Span::from_secs(5);
/// Runs within one link.
const MOST_ATTEMPTS: u8 = 3;

/// A profile whose devices store records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Profile {
    /// Glucose meter: records have sequence numbers, contexts follow.
    Glucose,
    /// Continuous glucose monitor: records count minutes of their session.
    Monitor,
    /// Pulse oximeter: spot checks have a time and no number.
    Oximeter,
}

impl Profile {
    /// By the service that a control point is in.
    #[must_use]
    pub fn of_service(service: u128) -> Option<Self> {
        [
            (0x1808, Self::Glucose),
            (0x181F, Self::Monitor),
            (0x1822, Self::Oximeter),
        ]
        .into_iter()
        .find_map(|(short, profile)| (uuid(short) == service).then_some(profile))
    }

    /// True for a value that may be a stored record of this profile.
    #[must_use]
    pub fn is_record(self, characteristic: u128) -> bool {
        use Characteristic::{
            CgmMeasurement, GlucoseMeasurement, GlucoseMeasurementContext, PlxSpotCheck,
        };
        let known: &[Characteristic] = match self {
            Self::Glucose => &[GlucoseMeasurement, GlucoseMeasurementContext],
            Self::Monitor => &[CgmMeasurement],
            Self::Oximeter => &[PlxSpotCheck],
        };
        known.iter().any(|known| known.uuid() == characteristic)
    }
}

/// The last records that were taken of a device: what a run asks to continue after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// Sequence number of a glucose meter's record.
    pub glucose: Option<u16>,
    /// Minute of a monitor's session.
    pub monitor: Option<u16>,
}

impl Marks {
    /// Of one profile; an oximeter's records have no number.
    #[must_use]
    pub const fn of(self, profile: Profile) -> Option<u16> {
        match profile {
            Profile::Glucose => self.glucose,
            Profile::Monitor => self.monitor,
            Profile::Oximeter => None,
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The device sent everything that it has.
    Complete,
    /// It did not, and will be asked again on the next link.
    Failed,
    /// It knows no such request.
    Unsupported,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting { until: Time },
    Asked { sign: Time },
    Aborting { until: Time },
    Over(Outcome),
}

/// One run, for as long as a link lasts.
#[derive(Clone, Debug)]
pub struct Run {
    profile: Profile,
    last: Option<u16>,
    /// The device cannot filter.
    all: bool,
    attempts: u8,
    state: State,
}

impl Run {
    /// A run that is due now.
    #[must_use]
    pub const fn new(profile: Profile, last: Option<u16>, now: Time) -> Self {
        Self {
            profile,
            last,
            all: false,
            attempts: 0,
            state: State::Waiting { until: now },
        }
    }

    /// Whose records.
    #[must_use]
    pub const fn profile(&self) -> Profile {
        self.profile
    }

    /// How it ended; `None` while it goes on.
    #[must_use]
    pub const fn outcome(&self) -> Option<Outcome> {
        match self.state {
            State::Over(outcome) => Some(outcome),
            State::Waiting { .. } | State::Asked { .. } | State::Aborting { .. } => None,
        }
    }

    /// More was taken: a later attempt continues after it.
    pub const fn taken(&mut self, last: Option<u16>) {
        self.last = last;
    }

    /// What to write to the control point now, if anything. Call it after everything else here, and when
    /// [`Run::next_deadline`] is reached.
    pub fn poll(&mut self, now: Time) -> Option<Vec<u8>> {
        match self.state {
            State::Waiting { until } if until <= now => {
                self.state = State::Asked { sign: now };
                let request = if self.all || self.profile == Profile::Oximeter {
                    RecordAccess::Report(Records::All)
                } else {
                    RecordAccess::report_after(self.last)
                };
                self.write(&request, now)
            }
            State::Asked { sign } if sign + SILENCE <= now => {
                self.state = State::Aborting { until: now + ABORT };
                self.write(&RecordAccess::Abort, now)
            }
            State::Aborting { until } if until <= now => {
                self.again(now);
                None
            }
            State::Waiting { .. }
            | State::Asked { .. }
            | State::Aborting { .. }
            | State::Over(_) => None,
        }
    }

    /// When [`Run::poll`] has something new to say.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        match self.state {
            State::Waiting { until } | State::Aborting { until } => Some(until),
            State::Asked { sign } => Some(sign + SILENCE),
            State::Over(_) => None,
        }
    }

    /// A record came: the device is at it.
    pub fn record(&mut self, now: Time) {
        if let State::Asked { sign } = &mut self.state {
            *sign = now;
        }
    }

    /// The control point could not be written.
    pub fn write_failed(&mut self, now: Time) {
        if self.outcome().is_none() {
            self.again(now);
        }
    }

    /// The control point indicated something. What is no answer to our request changes nothing.
    pub fn answer(&mut self, value: &[u8], now: Time) {
        let Ok(RecordAccess::Response { request, outcome }) = RecordAccess::decode(value) else {
            return;
        };
        match (self.state, request) {
            (State::Asked { .. }, RecordOp::Report) => self.reported(outcome, now),
            (State::Aborting { .. }, RecordOp::Abort | RecordOp::Report) => self.again(now),
            (
                State::Waiting { .. }
                | State::Asked { .. }
                | State::Aborting { .. }
                | State::Over(_),
                _,
            ) => {}
        }
    }

    fn reported(&mut self, outcome: RecordOutcome, now: Time) {
        match outcome {
            RecordOutcome::Success | RecordOutcome::NoRecords => {
                self.state = State::Over(Outcome::Complete);
            }
            RecordOutcome::OpNotSupported => self.state = State::Over(Outcome::Unsupported),
            RecordOutcome::InvalidOperator
            | RecordOutcome::OperatorNotSupported
            | RecordOutcome::InvalidOperand
            | RecordOutcome::OperandNotSupported
                if !self.all =>
            {
                self.all = true;
                self.state = State::Waiting { until: now };
            }
            RecordOutcome::InvalidOperator
            | RecordOutcome::OperatorNotSupported
            | RecordOutcome::InvalidOperand
            | RecordOutcome::OperandNotSupported
            | RecordOutcome::AbortUnsuccessful
            | RecordOutcome::NotCompleted
            | RecordOutcome::Busy
            | RecordOutcome::Reserved(_) => self.again(now),
        }
    }

    fn again(&mut self, now: Time) {
        self.attempts += 1;
        self.state = if self.attempts >= MOST_ATTEMPTS {
            State::Over(Outcome::Failed)
        } else {
            let pause = Span::from_micros(PAUSE.as_micros() * i64::from(self.attempts));
            State::Waiting { until: now + pause }
        };
    }

    fn write(&mut self, request: &RecordAccess, now: Time) -> Option<Vec<u8>> {
        let octets = request.encode();
        if octets.is_err() {
            self.again(now);
        }
        octets.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> Time {
        Time::from_micros(0) + Span::from_secs(seconds)
    }

    fn response(request: RecordOp, outcome: RecordOutcome) -> Vec<u8> {
        let response = RecordAccess::Response { request, outcome };
        response.encode().expect("well formed")
    }

    #[test]
    fn asks_for_what_comes_next_and_ends_with_the_answer() {
        let mut run = Run::new(Profile::Glucose, Some(41), at(0));
        assert_eq!(run.poll(at(0)), Some(vec![1, 3, 1, 42, 0]));
        assert_eq!(run.poll(at(29)), None);
        run.record(at(29));
        assert_eq!(run.poll(at(58)), None, "it is at it");
        run.answer(&[6, 0, 1, 1], at(58));
        assert_eq!(run.outcome(), Some(Outcome::Complete));
        assert_eq!(run.next_deadline(), None);
        let mut empty = Run::new(Profile::Monitor, None, at(0));
        assert_eq!(empty.poll(at(0)), Some(vec![1, 1]));
        empty.answer(&[6, 0, 1, 6], at(1));
        assert_eq!(empty.outcome(), Some(Outcome::Complete), "nothing new");
        let mut used_up = Run::new(Profile::Glucose, Some(u16::MAX), at(0));
        assert_eq!(used_up.poll(at(0)), Some(vec![1, 1]));
    }

    #[test]
    fn silence_is_aborted_and_asked_again_from_where_it_stopped() {
        let mut run = Run::new(Profile::Glucose, Some(10), at(0));
        run.poll(at(0));
        run.taken(Some(20));
        assert_eq!(run.poll(at(30)), Some(vec![3, 0]));
        run.answer(&response(RecordOp::Abort, RecordOutcome::Success), at(31));
        assert_eq!(run.poll(at(31)), None);
        assert_eq!(run.poll(at(36)), Some(vec![1, 3, 1, 21, 0]));
        // An abort that nobody answers is over, too; and it is not tried for ever.
        assert_eq!(run.poll(at(66)), Some(vec![3, 0]));
        assert_eq!(run.poll(at(71)), None);
        assert_eq!(run.poll(at(81)), Some(vec![1, 3, 1, 21, 0]));
        assert_eq!(run.poll(at(111)), Some(vec![3, 0]));
        assert_eq!(run.poll(at(116)), None);
        assert_eq!(run.outcome(), Some(Outcome::Failed));
    }

    #[test]
    fn a_device_that_cannot_filter_is_asked_for_all() {
        let mut run = Run::new(Profile::Glucose, Some(3), at(0));
        run.poll(at(0));
        let cannot = response(RecordOp::Report, RecordOutcome::OperatorNotSupported);
        run.answer(&cannot, at(1));
        assert_eq!(run.poll(at(1)), Some(vec![1, 1]));
        run.answer(&cannot, at(2));
        assert_eq!(run.poll(at(2)), None, "and not in circles");
        let mut none = Run::new(Profile::Glucose, None, at(0));
        none.poll(at(0));
        none.answer(
            &response(RecordOp::Report, RecordOutcome::OpNotSupported),
            at(0),
        );
        assert_eq!(none.outcome(), Some(Outcome::Unsupported));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// Whatever a device answers whenever: it is never told to delete, asked three times at most (and once
        /// more for all), and the run ends.
        #[test]
        fn ends_and_never_deletes(
            answers in proptest::collection::vec((0..40_i64, proptest::collection::vec(0..12_u8, 0..5)), 0..60),
            last in proptest::option::of(any::<u16>()),
        ) {
            let mut run = Run::new(Profile::Glucose, last, at(0));
            let (mut now, mut asked) = (at(0), 0);
            let quiet = std::iter::repeat_n((40, vec![]), 20);
            for (wait, answer) in answers.into_iter().chain(quiet) {
                now = now + Span::from_secs(wait);
                while let Some(octets) = run.poll(now) {
                    prop_assert!(matches!(octets[0], 1 | 3), "{octets:?}");
                    asked += u32::from(octets[0] == 1);
                }
                run.answer(&answer, now);
            }
            prop_assert!(run.outcome().is_some());
            prop_assert!(asked <= 4);
        }
    }
}
