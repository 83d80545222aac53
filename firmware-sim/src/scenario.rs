//! Scenario files: who wears what where, and what happens to them when. TOML; unknown keys are refused.
//!
//! The format is documented by `scenarios/demo.toml`, which names every key. Every error names the field.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use crate::patient::body::{Body, Levels, Ramp, Track};
use crate::patient::noise::derive;
use crate::patient::{Heart, Patient, Rhythm};
use crate::replay::Replay;
use crate::wearable::{Kind, Pairing, Wearable};

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
    /// Steps per minute.
    #[serde(default)]
    pub steps_per_minute: f64,
    /// Asleep at the start.
    #[serde(default)]
    pub asleep: bool,
    /// Wears the recorded heart where one is given.
    #[serde(default)]
    pub recorded_heart: bool,
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
    /// `strap`, `watch`, `oximeter` or `thermometer`.
    pub kind: Kind,
    /// Bluetooth address, `C0:00:00:00:00:01`.
    pub address: String,
    /// Seconds between its main values; default 1 (thermometer: 30).
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
    /// When it is taken off and put on again.
    #[serde(default)]
    pub worn: Vec<Worn>,
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

    fn check(&self) -> Result<(), ScenarioError> {
        let mut names = std::collections::BTreeSet::new();
        let mut addresses = std::collections::BTreeSet::new();
        if self.patients.is_empty() {
            return Err(bad("patient", "empty", "at least one [[patient]]"));
        }
        for (place, patient) in self.patients.iter().enumerate() {
            let at = format!("patient[{place}]");
            if !identifier(&patient.name) || !names.insert(&patient.name) {
                return Err(bad(
                    &format!("{at}.name"),
                    &patient.name,
                    "unique, of a-z, 0-9 and -",
                ));
            }
            if !identifier(&patient.gateway) {
                return Err(bad(
                    &format!("{at}.gateway"),
                    &patient.gateway,
                    "of a-z, 0-9 and -",
                ));
            }
            patient.check(&at)?;
            for (place, wearable) in patient.wearables.iter().enumerate() {
                let at = format!("{at}.wearable[{place}]");
                wearable.check(&at)?;
                if !addresses.insert(wearable.address.to_ascii_uppercase()) {
                    let field = format!("{at}.address");
                    return Err(bad(
                        &field,
                        &wearable.address,
                        "an address that no other wearable has",
                    ));
                }
            }
        }
        Ok(())
    }
}

fn identifier(text: &str) -> bool {
    let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty() && text.len() <= 40 && text.bytes().all(fine)
}

fn bad(field: &str, found: &str, expected: &'static str) -> ScenarioError {
    ScenarioError::Value {
        field: field.into(),
        found: found.into(),
        expected,
    }
}

fn within(
    at: &str,
    field: &str,
    value: Option<f64>,
    (low, high): (f64, f64),
    expected: &'static str,
) -> Result<(), ScenarioError> {
    match value {
        Some(value) if !(low..=high).contains(&value) => {
            Err(bad(&format!("{at}.{field}"), &value.to_string(), expected))
        }
        _ => Ok(()),
    }
}

const TIME: (f64, f64) = (0.0, 1e7);
const TIME_TEXT: &str = "0 or more seconds";
const HEART_RATE: (f64, f64) = (25.0, 220.0);
const HEART_RATE_TEXT: &str = "25 to 220 beats per minute";
const SPO2: (f64, f64) = (60.0, 100.0);
const SPO2_TEXT: &str = "60 to 100 percent";
const RESPIRATION: (f64, f64) = (4.0, 60.0);
const RESPIRATION_TEXT: &str = "4 to 60 breaths per minute";
const TEMPERATURE: (f64, f64) = (30.0, 43.0);
const TEMPERATURE_TEXT: &str = "30 to 43 degrees Celsius";
const CADENCE: (f64, f64) = (0.0, 220.0);
const CADENCE_TEXT: &str = "0 to 220 steps per minute";

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

    fn check(&self, at: &str) -> Result<(), ScenarioError> {
        within(
            at,
            "heart_rate",
            Some(self.heart_rate),
            HEART_RATE,
            HEART_RATE_TEXT,
        )?;
        within(at, "spo2", Some(self.spo2), SPO2, SPO2_TEXT)?;
        within(
            at,
            "respiration",
            Some(self.respiration),
            RESPIRATION,
            RESPIRATION_TEXT,
        )?;
        within(
            at,
            "temperature",
            Some(self.temperature),
            TEMPERATURE,
            TEMPERATURE_TEXT,
        )?;
        within(
            at,
            "steps_per_minute",
            Some(self.steps_per_minute),
            CADENCE,
            CADENCE_TEXT,
        )?;
        for (place, change) in self.changes.iter().enumerate() {
            let at = format!("{at}.change[{place}]");
            within(&at, "at_s", Some(change.at_s), TIME, TIME_TEXT)?;
            within(&at, "over_s", Some(change.over_s), TIME, TIME_TEXT)?;
            within(
                &at,
                "heart_rate_to",
                change.heart_rate_to,
                HEART_RATE,
                HEART_RATE_TEXT,
            )?;
            within(&at, "spo2_to", change.spo2_to, SPO2, SPO2_TEXT)?;
            within(
                &at,
                "respiration_to",
                change.respiration_to,
                RESPIRATION,
                RESPIRATION_TEXT,
            )?;
            within(
                &at,
                "temperature_to",
                change.temperature_to,
                TEMPERATURE,
                TEMPERATURE_TEXT,
            )?;
            within(
                &at,
                "steps_per_minute_to",
                change.steps_per_minute_to,
                CADENCE,
                CADENCE_TEXT,
            )?;
        }
        Ok(())
    }
}

impl WearablePlan {
    fn check(&self, at: &str) -> Result<(), ScenarioError> {
        let parts: Vec<&str> = self.address.split(':').collect();
        let octet = |part: &&str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
        if parts.len() != 6 || !parts.iter().all(octet) {
            let expected = "six octets in hex, C0:00:00:00:00:01";
            return Err(bad(&format!("{at}.address"), &self.address, expected));
        }
        within(
            at,
            "period_s",
            self.period_s,
            (0.02, 3600.0),
            "0.02 to 3600 seconds",
        )?;
        within(
            at,
            "battery",
            Some(self.battery),
            (0.0, 100.0),
            "0 to 100 percent",
        )?;
        within(
            at,
            "battery_per_hour",
            Some(self.battery_per_hour),
            (0.0, 1e4),
            "0 or more percent",
        )?;
        for (place, worn) in self.worn.iter().enumerate() {
            within(
                &format!("{at}.worn[{place}]"),
                "at_s",
                Some(worn.at_s),
                TIME,
                TIME_TEXT,
            )?;
        }
        Ok(())
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
