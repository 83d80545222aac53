//! PURE: the summary that `cargo demo -- --headless` writes, and whether it is as it must be.
//!
//! Times are the demo's own (test) clock's, in seconds from its start, unless a name ends in `_wall`.

use std::collections::BTreeMap;

use serde::Serialize;

/// What the demo's JSON file holds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// Scalar readings decoded by the agents.
    pub readings_sent: u64,
    /// Scalar readings in the centre's journal.
    pub readings_journaled: u64,
    /// Scalar readings whose receipt the agents hold.
    pub readings_receipted: u64,
    /// Sent, minus applied to a twin, minus declared as lost. Negative would be more applied than sent.
    pub lost: i64,
    /// Readings that an agent declared as lost in a sealed gap record.
    pub declared_gaps: u64,
    /// Readings applied twice.
    pub duplicated: u64,
    /// Alerts in the order in which they were raised.
    pub alerts: Vec<AlertNote>,
    /// D-Bus signal to subscriber, milliseconds of the demo's clock.
    pub latency_ms: Percentiles,
    /// The same, milliseconds of wall time.
    pub latency_ms_wall: Percentiles,
    /// Readings receipted by transport.
    pub transports: BTreeMap<String, u64>,
    /// The recorded heart that was worn, or null.
    pub recording: Option<String>,
    /// What drove all processes.
    pub clock: String,
    /// Wall seconds from the end of the build to the first patient with a value.
    pub first_patient_s_wall: Option<f64>,
    /// What is not as it must be; empty: the demo passes.
    pub failures: Vec<String>,
}

/// One alert.
#[derive(Clone, Debug, Serialize)]
pub struct AlertNote {
    /// The patient's name in the scenario.
    pub patient: String,
    /// For instance `atrial_fibrillation`.
    pub condition: String,
    /// `high`, `medium` or `low`.
    pub priority: String,
    /// Effective time at which the condition began.
    pub onset_after_s: f64,
    /// When the measured value itself crossed the threshold that was foreseen; null where there is none.
    pub threshold_after_s: Option<f64>,
    /// Known time at which the alert was raised.
    pub raised_after_s: f64,
}

/// Of a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// Median.
    pub p50: f64,
    /// 99th of a hundred.
    pub p99: f64,
    /// Values in the sample.
    pub n: usize,
}

impl Percentiles {
    /// Nearest-rank percentiles; zeros for an empty sample (then `n` is 0).
    #[must_use]
    pub fn of(mut sample: Vec<f64>) -> Self {
        sample.sort_by(f64::total_cmp);
        let rank = |percent: usize| {
            let at = (sample.len() * percent).div_ceil(100).max(1) - 1;
            sample.get(at).copied().unwrap_or_default()
        };
        Self {
            p50: rank(50),
            p99: rank(99),
            n: sample.len(),
        }
    }
}

/// An alert that the demo must see: (patient, condition).
pub const EXPECTED: [(&str, &str); 3] = [
    ("af", "atrial_fibrillation"),
    ("respiratory", "oxygen_saturation_falling"),
    ("watch-off", "sensor_off"),
];

impl Summary {
    /// Fills `failures` with everything that is not as it must be.
    pub fn judge(&mut self) {
        let mut failures = Vec::new();
        let mut must = |good: bool, what: String| {
            if !good {
                failures.push(what);
            }
        };
        must(self.readings_sent > 0, "no reading was sent".into());
        must(self.lost == 0, format!("lost is {}, not 0", self.lost));
        must(
            self.duplicated == 0,
            format!("duplicated is {}, not 0", self.duplicated),
        );
        for (patient, condition) in EXPECTED {
            let seen = self
                .alerts
                .iter()
                .any(|alert| alert.patient == patient && alert.condition == condition);
            must(seen, format!("no alert {condition} for {patient}"));
        }
        let stable: Vec<_> = self
            .alerts
            .iter()
            .filter(|alert| alert.patient == "stable")
            .collect();
        must(
            stable.is_empty(),
            format!("the stable patient has alerts: {stable:?}"),
        );
        for alert in self
            .alerts
            .iter()
            .filter(|alert| alert.condition == "oxygen_saturation_falling")
        {
            let foreseen = alert
                .threshold_after_s
                .is_some_and(|crossed| alert.raised_after_s < crossed);
            must(
                foreseen,
                format!("the falling saturation was not foreseen: {alert:?}"),
            );
        }
        for transport in ["mqtt", "grpc"] {
            let count = self.transports.get(transport).copied().unwrap_or_default();
            must(count > 0, format!("nothing was receipted by {transport}"));
        }
        self.failures = failures;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Summary {
        let alert = |patient: &str, condition: &str, threshold| AlertNote {
            patient: patient.into(),
            condition: condition.into(),
            priority: "medium".into(),
            onset_after_s: 100.0,
            threshold_after_s: threshold,
            raised_after_s: 200.0,
        };
        Summary {
            readings_sent: 10,
            alerts: vec![
                alert("af", "atrial_fibrillation", None),
                alert("respiratory", "oxygen_saturation_falling", Some(300.0)),
                alert("watch-off", "sensor_off", None),
            ],
            transports: [("mqtt".into(), 5), ("grpc".into(), 5)].into(),
            ..Summary::default()
        }
    }

    #[test]
    fn a_good_run_passes_and_each_fault_is_named() {
        type Fault = fn(&mut Summary);
        let faults: [(&str, Fault); 7] = [
            ("lost", |s| s.lost = 1),
            ("duplicated", |s| s.duplicated = 1),
            ("no reading", |s| s.readings_sent = 0),
            ("atrial_fibrillation", |s| {
                s.alerts.retain(|a| a.patient != "af");
            }),
            ("not foreseen", |s| {
                s.alerts[1].threshold_after_s = Some(150.0);
            }),
            ("not foreseen", |s| s.alerts[1].threshold_after_s = None),
            ("mqtt", |s| s.transports.retain(|name, _| name != "mqtt")),
        ];
        let mut summary = good();
        summary.judge();
        assert_eq!(summary.failures, Vec::<String>::new());
        for (word, fault) in faults {
            let mut summary = good();
            fault(&mut summary);
            summary.judge();
            assert!(
                summary.failures.iter().any(|f| f.contains(word)),
                "{word}: {:?}",
                summary.failures
            );
        }
    }

    #[test]
    fn percentiles_are_nearest_rank() {
        let sample: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!(
            Percentiles::of(sample),
            Percentiles {
                p50: 100.0,
                p99: 198.0,
                n: 200
            }
        );
        assert_eq!(
            Percentiles::of(vec![]),
            Percentiles {
                p50: 0.0,
                p99: 0.0,
                n: 0
            }
        );
    }
}
