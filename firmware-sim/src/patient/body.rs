//! PURE: what changes slowly in a body: the levels that the scenario asks for, plus the drift that every living body has.

use std::sync::Arc;

use super::glucose::GlucoseRecording;
use super::heart::Rhythm;
use super::noise::uniform;

/// How long falling asleep and waking up take, seconds.
const SLEEP_ONSET_S: f64 = 120.0;
/// Periods of the natural drift, seconds; incommensurate, so that it does not repeat within a day.
const DRIFT_PERIODS_S: [f64; 3] = [41.0, 127.0, 353.0];

/// A level over time: where it starts, and ramps to new levels.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    start: f64,
    ramps: Vec<Ramp>,
}

/// From `at_s` on the level goes to `to`, evenly, within `over_s`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ramp {
    /// Seconds since the start of the scenario.
    pub at_s: f64,
    /// Seconds; 0 = at once.
    pub over_s: f64,
    /// The new level.
    pub to: f64,
}

impl Track {
    /// A level that stays until ramps are added.
    #[must_use]
    pub fn new(start: f64) -> Self {
        Self {
            start,
            ramps: Vec::new(),
        }
    }

    /// Adds a ramp; ramps are kept in the order of their starts, and a later one takes over where the former was.
    pub fn ramp(&mut self, ramp: Ramp) {
        let place = self.ramps.partition_point(|r| r.at_s <= ramp.at_s);
        self.ramps.insert(place, ramp);
    }

    /// The level at `at`, seconds.
    #[must_use]
    pub fn at(&self, at: f64) -> f64 {
        let mut from = self.start;
        for (place, ramp) in self.ramps.iter().enumerate() {
            if at < ramp.at_s {
                break;
            }
            let end = self
                .ramps
                .get(place + 1)
                .map_or(at, |next| next.at_s.min(at));
            from = ramp.between(from, end);
        }
        from
    }
}

impl Ramp {
    fn between(&self, from: f64, at: f64) -> f64 {
        let done = if self.over_s > 0.0 {
            ((at - self.at_s) / self.over_s).min(1.0)
        } else {
            1.0
        };
        from + (self.to - from) * done
    }
}

/// What the scenario asks of a body.
#[derive(Clone, Debug, PartialEq)]
pub struct Levels {
    /// Beats per minute, awake and at rest.
    pub heart_rate: Track,
    /// Percent.
    pub spo2: Track,
    /// Breaths per minute.
    pub respiration: Track,
    /// Degrees Celsius, core.
    pub temperature: Track,
    /// Millimetres of mercury, at rest.
    pub systolic: Track,
    /// Millimetres of mercury, at rest.
    pub diastolic: Track,
    /// Blood glucose between meals, milligrams a decilitre.
    pub glucose: Track,
    /// A recorded glucose goes before the simulated one.
    pub glucose_recording: Option<Arc<GlucoseRecording>>,
    /// Kilograms.
    pub weight: Track,
    /// Steps per minute.
    pub cadence: Track,
    /// 0 = awake, 1 = asleep.
    pub sleep: Track,
    /// Changes of rhythm, in order of time.
    pub rhythm: Vec<(f64, Rhythm)>,
}

impl Levels {
    /// Falls asleep, or wakes up.
    pub fn sleep_from(&mut self, at_s: f64, asleep: bool) {
        self.sleep.ramp(Ramp {
            at_s,
            over_s: SLEEP_ONSET_S,
            to: if asleep { 1.0 } else { 0.0 },
        });
    }
}

/// A body.
#[derive(Clone, Debug)]
pub struct Body {
    seed: u64,
    levels: Levels,
}

/// How a body is at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct State {
    /// Beats per minute that the body asks its heart for; the heart answers beat by beat.
    pub heart_rate: f64,
    /// Percent.
    pub spo2: f64,
    /// Breaths per minute.
    pub respiration: f64,
    /// Degrees Celsius, core.
    pub temperature: f64,
    /// Millimetres of mercury.
    pub systolic: f64,
    /// Millimetres of mercury.
    pub diastolic: f64,
    /// Blood glucose, milligrams a decilitre.
    pub glucose: f64,
    /// Kilograms.
    pub weight: f64,
    /// Steps per minute; 0 at rest.
    pub cadence: f64,
    /// 0 = awake, 1 = asleep.
    pub sleep: f64,
    /// The heart's rhythm.
    pub rhythm: Rhythm,
}

impl Body {
    /// With levels by the scenario and drift by the seed.
    #[must_use]
    pub fn new(seed: u64, levels: Levels) -> Self {
        Self { seed, levels }
    }

    /// The seed, for what is random about sensors on this body.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// How the body is at `at`, seconds.
    #[must_use]
    pub fn state(&self, at: f64) -> State {
        let levels = &self.levels;
        let sleep = levels.sleep.at(at);
        let cadence = levels.cadence.at(at) * (1.0 - sleep);
        // Walking at 100 steps a minute asks for about 25 beats more; sleep lowers rate and breathing by a sixth and
        // the core by a third of a degree.
        let effort = cadence / 100.0;
        let calm = 1.0 - sleep / 6.0;
        State {
            heart_rate: (levels.heart_rate.at(at) + 25.0 * effort) * calm + 1.5 * self.drift(1, at),
            spo2: (levels.spo2.at(at) + 0.35 * self.drift(2, at)).clamp(50.0, 100.0),
            respiration: (levels.respiration.at(at) + 6.0 * effort) * calm
                + 0.7 * self.drift(3, at),
            temperature: levels.temperature.at(at) - sleep / 3.0 + 0.04 * self.drift(4, at),
            // Walking raises the systolic pressure by a seventh, sleep lowers both by an eighth (dipping).
            systolic: levels.systolic.at(at) * (1.0 + effort / 7.0 - sleep / 8.0)
                + 3.0 * self.drift(5, at),
            diastolic: levels.diastolic.at(at) * (1.0 - sleep / 8.0) + 2.0 * self.drift(6, at),
            glucose: self.glucose(at),
            weight: levels.weight.at(at) + 0.15 * self.drift(8, at),
            cadence,
            sleep,
            rhythm: self.rhythm(at),
        }
    }

    fn rhythm(&self, at: f64) -> Rhythm {
        let changes = self.levels.rhythm.iter().rev();
        changes
            .skip_while(|(from, _)| *from > at)
            .map(|(_, rhythm)| *rhythm)
            .next()
            .unwrap_or(Rhythm::Sinus)
    }

    fn glucose(&self, at: f64) -> f64 {
        match &self.levels.glucose_recording {
            Some(recording) => recording.at(at),
            None => {
                let level = self.levels.glucose.at(at);
                (level + self.meals(at) + 2.0 * self.drift(7, at)).max(20.0)
            }
        }
    }

    /// True if its glucose is what a needle under somebody's skin told already.
    #[must_use]
    pub fn has_recorded_glucose(&self) -> bool {
        self.levels.glucose_recording.is_some()
    }

    /// What the last meals add to blood glucose, mg/dL. A meal every five hours or so, the first within the first two
    /// hours; each raises glucose as a gamma curve does, by 30 to 70 mg/dL, at its peak 45 minutes after the first bite.
    fn meals(&self, at: f64) -> f64 {
        const EVERY_S: f64 = 5.0 * 3600.0;
        const PEAK_S: f64 = 45.0 * 60.0;
        // A scenario is shorter than the 2^53 meals that are exact; one before it counts as none.
        let last = (at / EVERY_S).max(0.0) as u64;
        let meals = last.saturating_sub(1)..=last;
        let raised = meals.map(|meal| {
            let begin = meal as f64 * EVERY_S + 3600.0 * (1.0 + uniform(self.seed, 21, meal));
            let since = ((at - begin) / PEAK_S).max(0.0);
            let height = 50.0 + 20.0 * uniform(self.seed, 22, meal);
            height * since * libm::exp(1.0 - since)
        });
        raised.sum()
    }

    /// Slow natural variation, about -1..1, a function of time alone.
    fn drift(&self, channel: u64, at: f64) -> f64 {
        let waves = DRIFT_PERIODS_S.iter().zip(0u64..).map(|(period, wave)| {
            let phase = uniform(self.seed, channel, wave);
            libm::sin(std::f64::consts::TAU * (at / period + phase))
        });
        waves.sum::<f64>() / 2.0
    }

    /// First second at which the saturation level asked for (drift aside) is below `percent`; looked for up to
    /// `within_s`.
    #[must_use]
    pub fn saturation_below(&self, percent: f64, within_s: u32) -> Option<f64> {
        (0..=within_s)
            .map(f64::from)
            .find(|at| self.levels.spo2.at(*at) < percent)
    }

    /// When atrial fibrillation first begins by the scenario, seconds.
    #[must_use]
    pub fn fibrillation_onset(&self) -> Option<f64> {
        self.levels
            .rhythm
            .iter()
            .find(|(_, rhythm)| *rhythm == Rhythm::AtrialFibrillation)
            .map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(start: f64, ramps: &[(f64, f64, f64)]) -> Track {
        let mut track = Track::new(start);
        for &(at_s, over_s, to) in ramps {
            track.ramp(Ramp { at_s, over_s, to });
        }
        track
    }

    #[test]
    fn a_track_ramps_and_a_later_ramp_takes_over_where_the_former_was() {
        let check = |track: &Track, at: f64, expected: f64| {
            assert!(
                (track.at(at) - expected).abs() < 1e-9,
                "at {at}: {} for {expected}",
                track.at(at)
            );
        };
        let one = track(97.0, &[(180.0, 720.0, 87.0)]);
        check(&one, 0.0, 97.0);
        check(&one, 180.0, 97.0);
        check(&one, 540.0, 92.0);
        check(&one, 2000.0, 87.0);
        let two = track(0.0, &[(10.0, 10.0, 10.0), (15.0, 0.0, 1.0)]);
        check(&two, 14.0, 4.0);
        check(&two, 15.0, 1.0);
        let cut = track(0.0, &[(10.0, 10.0, 10.0), (15.0, 10.0, 15.0)]);
        check(&cut, 20.0, 10.0);
        check(&cut, 25.0, 15.0);
    }
}
