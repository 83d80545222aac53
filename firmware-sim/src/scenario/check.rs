//! What a scenario's values may be; every error names the field.

use super::{PatientPlan, Scenario, ScenarioError, WearablePlan};

impl Scenario {
    pub(super) fn check(&self) -> Result<(), ScenarioError> {
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

/// (field, its place in a change, lowest, highest, in words)
type Range = (&'static str, &'static str, (f64, f64), &'static str);
const RANGES: [Range; 9] = [
    (
        "heart_rate",
        "heart_rate_to",
        (25.0, 220.0),
        "25 to 220 beats per minute",
    ),
    ("spo2", "spo2_to", (60.0, 100.0), "60 to 100 percent"),
    (
        "respiration",
        "respiration_to",
        (4.0, 60.0),
        "4 to 60 breaths per minute",
    ),
    (
        "temperature",
        "temperature_to",
        (30.0, 43.0),
        "30 to 43 degrees Celsius",
    ),
    (
        "steps_per_minute",
        "steps_per_minute_to",
        (0.0, 220.0),
        "0 to 220 steps per minute",
    ),
    ("systolic", "systolic_to", (50.0, 280.0), "50 to 280 mmHg"),
    ("diastolic", "diastolic_to", (25.0, 180.0), "25 to 180 mmHg"),
    ("glucose", "glucose_to", (30.0, 500.0), "30 to 500 mg/dL"),
    ("weight", "weight_to", (20.0, 300.0), "20 to 300 kilograms"),
];

impl PatientPlan {
    fn check(&self, at: &str) -> Result<(), ScenarioError> {
        let levels = [
            self.heart_rate,
            self.spo2,
            self.respiration,
            self.temperature,
            self.steps_per_minute,
            self.systolic,
            self.diastolic,
            self.glucose,
            self.weight,
        ];
        for ((field, _, range, text), level) in RANGES.iter().zip(levels) {
            within(at, field, Some(level), *range, text)?;
        }
        for (place, change) in self.changes.iter().enumerate() {
            let at = format!("{at}.change[{place}]");
            within(&at, "at_s", Some(change.at_s), TIME, TIME_TEXT)?;
            within(&at, "over_s", Some(change.over_s), TIME, TIME_TEXT)?;
            let levels = [
                change.heart_rate_to,
                change.spo2_to,
                change.respiration_to,
                change.temperature_to,
                change.steps_per_minute_to,
                change.systolic_to,
                change.diastolic_to,
                change.glucose_to,
                change.weight_to,
            ];
            for ((_, field, range, text), level) in RANGES.iter().zip(levels) {
                within(&at, field, level, *range, text)?;
            }
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
            (0.02, 86_400.0),
            "0.02 to 86400 seconds",
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
        let clock = format!("{at}.clock");
        let (offset, drift) = (self.clock.offset_s, self.clock.drift_ppm);
        let range = (-1e10, 1e10);
        within(
            &clock,
            "offset_s",
            Some(offset),
            range,
            "seconds of three centuries at most",
        )?;
        let range = (-1e5, 1e5);
        within(
            &clock,
            "drift_ppm",
            Some(drift),
            range,
            "a tenth (100000) at most",
        )?;
        for (place, change) in self.clock.changes.iter().enumerate() {
            let at = format!("{clock}.changes[{place}]");
            within(&at, "at_s", Some(change.at_s), TIME, TIME_TEXT)?;
            let range = (-1e9, 1e9);
            within(
                &at,
                "turn_s",
                Some(change.turn_s),
                range,
                "seconds of thirty years at most",
            )?;
        }
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
