//! Scenario files: who wears what where, and what happens to them when. TOML; unknown keys are refused.
//!
//! The format is documented by `scenarios/demo.toml`, which names every key. Every error names the field.

mod check;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use vitals::Span;

use crate::patient::body::{Body, Levels, Ramp, Track};
use crate::patient::glucose::GlucoseRecording;
use crate::patient::noise::derive;
use crate::patient::{Heart, Patient, Rhythm};
use crate::replay::Replay;
use crate::wearable::{Kind, Pairing, Wearable, seconds};

/// Sinus rhythm shown before the paroxysm of a recording, seconds.
pub const RECORDING_LEAD_S: f64 = 120.0;
/// How far ahead a threshold crossing is looked for, seconds: a day.
const LOOK_AHEAD_S: u32 = 86_400;

/// Why a scenario cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("cannot read the scenario {0}")]
    Read(PathBuf, #[source] std::io::Error),
    /// The file is not TOML, or has a wrong type, an unknown key or a missing one.
    #[error("the scenario {file} is not well formed: {message}")]
    Form {
        /// Which file.
        file: PathBuf,
        /// Line, field and what is wrong.
        message: String,
    },
    /// A value cannot be used.
    #[error("the scenario's {field} is {found}; it must be {expected}")]
    Value {
        /// Path of the field, for instance `patient[1].wearable[0].address`.
        field: String,
        /// What is there.
        found: String,
        /// What may be there.
        expected: &'static str,
    },
}

/// A scenario.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// One line about it.
    #[serde(default)]
    pub about: String,
    /// Who is in it.
    #[serde(rename = "patient")]
    pub patients: Vec<PatientPlan>,
}

/// One patient.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatientPlan {
    /// Unique; lower-case letters, digits, `-`.
    pub name: String,
    /// One line about what happens.
    #[serde(default)]
    pub about: String,
    /// Name of the gateway whose radio reaches this patient.
    pub gateway: String,
    /// Beats per minute at rest, awake.
    #[serde(default = "usual::heart_rate")]
    pub heart_rate: f64,
    /// Percent.
    #[serde(default = "usual::spo2")]
    pub spo2: f64,
    /// Breaths per minute.
    #[serde(default = "usual::respiration")]
    pub respiration: f64,
    /// Degrees Celsius.
    #[serde(default = "usual::temperature")]
    pub temperature: f64,
    /// Millimetres of mercury.
    #[serde(default = "usual::systolic")]
    pub systolic: f64,
    /// Millimetres of mercury.
    #[serde(default = "usual::diastolic")]
    pub diastolic: f64,
    /// Between meals, milligrams a decilitre.
    #[serde(default = "usual::glucose")]
    pub glucose: f64,
    /// Kilograms.
    #[serde(default = "usual::weight")]
    pub weight: f64,
    /// Steps per minute.
    #[serde(default)]
    pub steps_per_minute: f64,
    /// Asleep at the start.
    #[serde(default)]
    pub asleep: bool,
    /// Wears the recorded heart where one is given.
    #[serde(default)]
    pub recorded_heart: bool,
    /// Has the recorded glucose where one is given.
    #[serde(default)]
    pub recorded_glucose: bool,
    /// That one.
    #[serde(skip)]
    glucose_recording: Option<Arc<GlucoseRecording>>,
    /// What changes.
    #[serde(default, rename = "change")]
    pub changes: Vec<Change>,
    /// What is worn.
    #[serde(rename = "wearable")]
    pub wearables: Vec<WearablePlan>,
}

/// A change of the body.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// When, seconds since the start.
    pub at_s: f64,
    /// How long it takes, seconds.
    #[serde(default)]
    pub over_s: f64,
    /// Beats per minute.
    pub heart_rate_to: Option<f64>,
    /// Percent.
    pub spo2_to: Option<f64>,
    /// Breaths per minute.
    pub respiration_to: Option<f64>,
    /// Degrees Celsius.
    pub temperature_to: Option<f64>,
    /// Millimetres of mercury.
    pub systolic_to: Option<f64>,
    /// Millimetres of mercury.
    pub diastolic_to: Option<f64>,
    /// Between meals, milligrams a decilitre.
    pub glucose_to: Option<f64>,
    /// Kilograms.
    pub weight_to: Option<f64>,
    /// Steps per minute.
    pub steps_per_minute_to: Option<f64>,
    /// `sinus` or `fibrillation`.
    pub rhythm: Option<RhythmPlan>,
    /// Falls asleep or wakes up.
    pub asleep: Option<bool>,
}

/// A rhythm in a scenario.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RhythmPlan {
    /// Regular.
    Sinus,
    /// Atrial fibrillation.
    Fibrillation,
}

/// One wearable.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WearablePlan {
    /// `strap`, `watch`, `oximeter`, ...: see [`Kind`].
    pub kind: Kind,
    /// Bluetooth address, `C0:00:00:00:00:01`.
    pub address: String,
    /// Seconds between its main values; default by kind.
    pub period_s: Option<f64>,
    /// Battery charge at the start, percent.
    #[serde(default = "usual::battery")]
    pub battery: f64,
    /// Percent of charge that an hour costs.
    #[serde(default = "usual::battery_per_hour")]
    pub battery_per_hour: f64,
    /// What it asks of who wants its values: `"none"`, `"just-works"`, or a passkey as a number.
    #[serde(default, deserialize_with = "pairing")]
    pub pairing: Pairing,
    /// Its own clock, where it has one.
    #[serde(default)]
    pub clock: ClockPlan,
    /// A device that stores has so many measurements already, made a period apart before the start.
    #[serde(default)]
    pub stored: u16,
    /// Each measurement of a device that stores is made so many times within the same second.
    #[serde(default = "usual::repeat")]
    pub repeat: u16,
    /// When it is taken off and put on again.
    #[serde(default)]
    pub worn: Vec<Worn>,
}

/// The clock of a device. Without any of it: UTC, exact.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockPlan {
    /// Ahead of UTC, seconds; negative: behind.
    #[serde(default)]
    pub offset_s: f64,
    /// Gains so many microseconds a second.
    #[serde(default)]
    pub drift_ppm: f64,
    /// What happens to it.
    #[serde(default)]
    pub changes: Vec<ClockChange>,
}

/// Something happens to a device's clock.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockChange {
    /// When, seconds since the start.
    pub at_s: f64,
    /// Turned forward by so many seconds (daylight saving: 3600), or back.
    #[serde(default)]
    pub turn_s: f64,
    /// The battery was out: it shows the beginning of 1970.
    #[serde(default)]
    pub reset: bool,
}

fn pairing<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Pairing, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Passkey(u32),
        Word(String),
    }
    let expected = "`pairing` must be \"none\", \"just-works\" or a passkey of six digits at most";
    match Form::deserialize(value).map_err(|_| serde::de::Error::custom(expected))? {
        Form::Passkey(number @ ..=999_999) => Ok(Pairing::Passkey(number)),
        Form::Word(word) if word == "none" => Ok(Pairing::None),
        Form::Word(word) if word == "just-works" => Ok(Pairing::JustWorks),
        Form::Passkey(_) | Form::Word(_) => Err(serde::de::Error::custom(expected)),
    }
}

/// Taken off or put on.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Worn {
    /// When, seconds since the start.
    pub at_s: f64,
    /// On the body from then on?
    pub on: bool,
}

/// What a healthy adult at rest has, and a wearable that was charged yesterday.
mod usual {
    pub(super) fn heart_rate() -> f64 {
        68.0
    }
    pub(super) fn spo2() -> f64 {
        97.5
    }
    pub(super) fn respiration() -> f64 {
        14.0
    }
    pub(super) fn temperature() -> f64 {
        36.7
    }
    pub(super) fn systolic() -> f64 {
        122.0
    }
    pub(super) fn diastolic() -> f64 {
        78.0
    }
    pub(super) fn glucose() -> f64 {
        96.0
    }
    pub(super) fn weight() -> f64 {
        74.0
    }
    pub(super) fn repeat() -> u16 {
        1
    }
    pub(super) fn battery() -> f64 {
        85.0
    }
    pub(super) fn battery_per_hour() -> f64 {
        0.5
    }
}

impl Scenario {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// See [`ScenarioError`]; the text names file, field and what is allowed.
    pub fn load(file: &Path) -> Result<Self, ScenarioError> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| ScenarioError::Read(file.into(), error))?;
        Self::parse(&text, file)
    }

    /// The same for text; `file` is what errors call it.
    ///
    /// # Errors
    /// See [`ScenarioError`].
    pub fn parse(text: &str, file: &Path) -> Result<Self, ScenarioError> {
        let scenario: Self = toml::from_str(text).map_err(|error| ScenarioError::Form {
            file: file.into(),
            message: error.to_string(),
        })?;
        scenario.check()?;
        Ok(scenario)
    }

    /// Gives a recorded glucose to the patients who are to have one.
    pub fn wear_glucose(&mut self, recording: &Arc<GlucoseRecording>) {
        for patient in &mut self.patients {
            if patient.recorded_glucose {
                patient.glucose_recording = Some(Arc::clone(recording));
            }
        }
    }

    /// Gateways in the order of their first patient.
    #[must_use]
    pub fn gateways(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for patient in &self.patients {
            if !names.contains(&patient.gateway) {
                names.push(patient.gateway.clone());
            }
        }
        names
    }

    /// The wearables within reach of a gateway; of all gateways for `None`.
    #[must_use]
    pub fn wearables(
        &self,
        gateway: Option<&str>,
        seed: u64,
        recording: Option<&Arc<Replay>>,
    ) -> Vec<Wearable> {
        let near = self
            .patients
            .iter()
            .filter(|p| gateway.is_none_or(|name| p.gateway == name));
        near.flat_map(|patient| {
            patient
                .wearables
                .iter()
                .map(move |plan| Wearable::new(plan, patient.patient(seed, recording)))
        })
        .collect()
    }
}

impl WearablePlan {
    /// Time between its main values.
    #[must_use]
    pub fn period(&self) -> Span {
        seconds(self.period_s.unwrap_or(self.kind.period_s()))
    }
}

impl PatientPlan {
    /// Bluetooth addresses of what this patient wears.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        self.wearables
            .iter()
            .map(|wearable| wearable.address.clone())
            .collect()
    }

    /// When atrial fibrillation begins, seconds since the start: by the recording if this patient wears it, else by
    /// the scenario.
    #[must_use]
    pub fn fibrillation_onset_s(&self, recording: Option<&Arc<Replay>>) -> Option<f64> {
        match recording {
            Some(recording) if self.recorded_heart => recording.fibrillation_onset_s(),
            _ => self.body(0).fibrillation_onset(),
        }
    }

    /// First second at which the saturation asked for is below `percent`.
    #[must_use]
    pub fn saturation_below_s(&self, percent: f64) -> Option<f64> {
        self.body(0).saturation_below(percent, LOOK_AHEAD_S)
    }

    /// This patient at the start of the scenario.
    #[must_use]
    pub fn patient(&self, seed: u64, recording: Option<&Arc<Replay>>) -> Patient {
        let seed = derive(seed, &self.name);
        let heart = match recording {
            Some(recording) if self.recorded_heart => Heart::recorded(seed, Arc::clone(recording)),
            _ => Heart::simulated(seed),
        };
        Patient::new(self.body(seed), heart)
    }

    fn body(&self, seed: u64) -> Body {
        let mut levels = Levels {
            heart_rate: Track::new(self.heart_rate),
            spo2: Track::new(self.spo2),
            respiration: Track::new(self.respiration),
            temperature: Track::new(self.temperature),
            systolic: Track::new(self.systolic),
            diastolic: Track::new(self.diastolic),
            glucose: Track::new(self.glucose),
            glucose_recording: self.glucose_recording.clone(),
            weight: Track::new(self.weight),
            cadence: Track::new(self.steps_per_minute),
            sleep: Track::new(if self.asleep { 1.0 } else { 0.0 }),
            rhythm: Vec::new(),
        };
        for change in &self.changes {
            let (at_s, over_s) = (change.at_s, change.over_s);
            let tracks = [
                (&mut levels.heart_rate, change.heart_rate_to),
                (&mut levels.spo2, change.spo2_to),
                (&mut levels.respiration, change.respiration_to),
                (&mut levels.temperature, change.temperature_to),
                (&mut levels.systolic, change.systolic_to),
                (&mut levels.diastolic, change.diastolic_to),
                (&mut levels.glucose, change.glucose_to),
                (&mut levels.weight, change.weight_to),
                (&mut levels.cadence, change.steps_per_minute_to),
            ];
            for (track, to) in tracks {
                if let Some(to) = to {
                    track.ramp(Ramp { at_s, over_s, to });
                }
            }
            if let Some(asleep) = change.asleep {
                levels.sleep_from(at_s, asleep);
            }
            if let Some(rhythm) = change.rhythm {
                let rhythm = match rhythm {
                    RhythmPlan::Sinus => Rhythm::Sinus,
                    RhythmPlan::Fibrillation => Rhythm::AtrialFibrillation,
                };
                levels.rhythm.push((at_s, rhythm));
            }
        }
        levels.rhythm.sort_by(|a, b| a.0.total_cmp(&b.0));
        Body::new(seed, levels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        [[patient]]
        name = "a"
        gateway = "g"
        [[patient.change]]
        at_s = 60
        over_s = 100
        spo2_to = 87
        [[patient.wearable]]
        kind = "oximeter"
        address = "C0:00:00:00:00:01"
    "#;

    fn check(from: &str, to: &str, expected: &str) {
        assert!(GOOD.contains(from), "the test's own text changed");
        let error = Scenario::parse(&GOOD.replacen(from, to, 1), Path::new("s.toml"));
        let text = error.expect_err("refused").to_string();
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn errors_name_the_field() {
        Scenario::parse(GOOD, Path::new("s.toml")).expect("the good one passes");
        check(
            "C0:00:00:00:00:01",
            "C0:00",
            "patient[0].wearable[0].address",
        );
        check(
            "spo2_to = 87",
            "spo2_to = 20",
            "patient[0].change[0].spo2_to",
        );
        check("over_s = 100", "over_s = -1", "patient[0].change[0].over_s");
        check("name = \"a\"", "name = \"A B\"", "patient[0].name");
        check("name = \"a\"", "name = \"a\"\nhartrate = 3", "hartrate");
        check("kind = \"oximeter\"", "kind = \"ring\"", "ring");
        let both = "kind = \"oximeter\"\npairing = 1234567";
        check("kind = \"oximeter\"", both, "six digits");
        check("gateway = \"g\"", "", "gateway");
    }

    #[test]
    fn the_moment_of_crossing_is_known() {
        let scenario = Scenario::parse(GOOD, Path::new("s.toml")).expect("well formed");
        let below = scenario
            .patients
            .first()
            .and_then(|p| p.saturation_below_s(92.0));
        // 97.5 to 87 within 100 s from second 60: 92 is crossed after 52.4 s.
        assert_eq!(below, Some(113.0));
    }
}
