//! PURE. The centre's status as Prometheus text (exposition format 0.0.4): every metric with its meaning.
//!
//! Invariants: what is exposed is the table `METRICS` and nothing else; `aggregator/METRICS.md` says the same
//! (tested); labels come from closed lists or are gateway ids, which name nobody. Must not know: who asks.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proto::v1::CentreStatus;
use vitals::Time;

/// One metric.
struct Metric {
    name: &'static str,
    /// Counts up since the journal began, or since the process did, as its help says.
    counter: bool,
    /// For people; ends up in `# HELP`.
    help: &'static str,
    values: fn(&CentreStatus, Time) -> Vec<(Label, f64)>,
}

/// A label's name and value; an empty name: none.
type Label = (&'static str, String);

const METRICS: [Metric; 20] = [
    Metric {
        name: "vitaltwin_info",
        counter: false,
        help: "Always 1; the program's version as a label.",
        values: |status, _| vec![(("version", status.version.clone()), 1.0)],
    },
    Metric {
        name: "vitaltwin_test_clock",
        counter: false,
        help: "1 while a test clock drives the centre, else 0.",
        values: |status, _| one(flag(!status.test_clock.is_empty())),
    },
    Metric {
        name: "vitaltwin_store_stopped",
        counter: false,
        help: "1 when the journal takes nothing any more (a failed write, a full disk), else 0. Act at once.",
        values: |status, _| one(flag(!status.store_stopped.is_empty())),
    },
    Metric {
        name: "vitaltwin_warnings",
        counter: false,
        help: "Things that a person should look at; `vitaltwin-aggregator status` says what they are.",
        values: |status, _| one(number(status.warnings.len() as u64)),
    },
    Metric {
        name: "vitaltwin_journal_position",
        counter: false,
        help: "Entries in the journal.",
        values: |status, _| one(number(status.journal_position)),
    },
    Metric {
        name: "vitaltwin_batches_journaled_total",
        counter: true,
        help: "Sealed batches in the journal.",
        values: |status, _| one(number(status.batches_journaled)),
    },
    Metric {
        name: "vitaltwin_readings_journaled_total",
        counter: true,
        help: "Scalar readings in the journal, by the count that each batch carries in clear.",
        values: |status, _| one(number(status.readings_journaled)),
    },
    Metric {
        name: "vitaltwin_readings_applied_total",
        counter: true,
        help: "Scalar readings folded into twins.",
        values: |status, _| one(number(status.readings_applied)),
    },
    Metric {
        name: "vitaltwin_readings_duplicated_total",
        counter: true,
        help: "Scalar readings that came again and were not folded again.",
        values: |status, _| one(number(status.readings_duplicated)),
    },
    Metric {
        name: "vitaltwin_readings_quarantined_total",
        counter: true,
        help: "Scalar readings kept but not folded: outside of an assignment, an impossible time, a defect.",
        values: |status, _| one(number(status.readings_quarantined)),
    },
    Metric {
        name: "vitaltwin_readings_declared_lost_total",
        counter: true,
        help: "Scalar readings that gateways declared as lost.",
        values: |status, _| one(number(status.readings_declared_lost)),
    },
    Metric {
        name: "vitaltwin_losses_of_unknown_size_total",
        counter: true,
        help: "Declared losses of which the gateway could not say how many readings they took.",
        values: |status, _| one(number(status.losses_of_unknown_size)),
    },
    Metric {
        name: "vitaltwin_readings_receipted_total",
        counter: true,
        help: "Scalar readings receipted for the first time since the start, by transport.",
        values: |status, _| by("transport", status.readings_receipted.iter()),
    },
    Metric {
        name: "vitaltwin_refused_total",
        counter: true,
        help: "What was not taken, or taken with a flag, since the start, by reason.",
        values: |status, _| by("reason", status.refused.iter()),
    },
    Metric {
        name: "vitaltwin_trace_steps_total",
        counter: true,
        help: "Steps of traces since the start: made, and of these sent, or failed because the collector took none. None while they are switched off.",
        values: |status, _| by("state", status.traces.iter()),
    },
    Metric {
        name: "vitaltwin_patients",
        counter: false,
        help: "Patients.",
        values: |status, _| one(number(status.patients.into())),
    },
    Metric {
        name: "vitaltwin_watchers",
        counter: false,
        help: "Open streams of readers.",
        values: |status, _| one(number(status.watchers.into())),
    },
    Metric {
        name: "vitaltwin_gateways",
        counter: false,
        help: "Gateways by state: connected, away, waiting (for a person to do something), revoked.",
        values: |status, _| {
            let mut states: BTreeMap<_, u64> = ["away", "connected", "revoked", "waiting"]
                .map(|state| (state, 0))
                .into();
            for gateway in &status.gateways {
                let state = if gateway.revoked {
                    "revoked"
                } else if !gateway.connected_by.is_empty() {
                    "connected"
                } else if !gateway.waiting_for.is_empty() {
                    "waiting"
                } else {
                    "away"
                };
                *states.entry(state).or_default() += 1;
            }
            let label = |(state, count): (&str, u64)| (("state", state.to_owned()), number(count));
            states.into_iter().map(label).collect()
        },
    },
    Metric {
        name: "vitaltwin_silent",
        counter: false,
        help: "Hops between gateways and people that are not heard within their bound: broker, centre (the fold), subscriber, channel, duty (nobody is on it), handover (nobody took over), person. Act at once.",
        values: |status, _| {
            let hops = crate::chain::Hop::ALL.iter().map(|hop| {
                let of = status.silent.iter().filter(|of| of.hop == hop.as_str());
                (("hop", hop.as_str().to_owned()), number(of.count() as u64))
            });
            hops.collect()
        },
    },
    Metric {
        name: "vitaltwin_gateway_silent_seconds",
        counter: false,
        help: "Seconds since a gateway that is not revoked was last heard, by the centre's clock; absent before it was heard since the start.",
        values: |status, now| {
            let heard = status.gateways.iter();
            let heard = heard.filter(|of| !of.revoked && of.last_seen_us > 0);
            let silent = |last: i64| now.since(Time::from_micros(last)).as_secs_f64().max(0.0);
            heard
                .map(|of| (("gateway", of.gateway.clone()), silent(of.last_seen_us)))
                .collect()
        },
    },
];

/// The whole text.
#[must_use]
pub fn text(status: &CentreStatus, now: Time) -> String {
    let mut text = String::new();
    for metric in &METRICS {
        let kind = if metric.counter { "counter" } else { "gauge" };
        let (name, help) = (metric.name, metric.help);
        let _infallible = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for ((label, of), value) in (metric.values)(status, now) {
            let _infallible = if label.is_empty() {
                writeln!(text, "{name} {value}")
            } else {
                writeln!(text, "{name}{{{label}=\"{}\"}} {value}", escaped(&of))
            };
        }
    }
    text
}

/// A label's value as the format wants it.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn one(value: f64) -> Vec<(Label, f64)> {
    vec![(("", String::new()), value)]
}

fn by<'a>(
    label: &'static str,
    counts: impl Iterator<Item = (&'a String, &'a u64)>,
) -> Vec<(Label, f64)> {
    let mut values: Vec<_> = counts
        .map(|(of, count)| ((label, of.clone()), number(*count)))
        .collect();
    values.sort_by(|a, b| a.0.cmp(&b.0));
    values
}

fn flag(set: bool) -> f64 {
    f64::from(u8::from(set))
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
const fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::v1::GatewayStatus;

    const NOW: Time = Time::from_micros(1_800_000_000_000_000);

    fn status() -> CentreStatus {
        let gateway = |id: &str, connected_by: &str, ago: i64| GatewayStatus {
            gateway: id.into(),
            label: "Wendeline's living room".into(),
            connected_by: connected_by.into(),
            last_seen_us: NOW.as_micros() - ago * 1_000_000,
            ..GatewayStatus::default()
        };
        CentreStatus {
            version: "0.1.0\"\\".into(),
            readings_applied: 12,
            store_stopped: "full".into(),
            refused: [("forged".to_owned(), 3)].into(),
            warnings: vec!["a gateway is away".into()],
            gateways: vec![gateway("g-1", "mqtt", 2), gateway("g-2", "", 90)],
            ..CentreStatus::default()
        }
    }

    #[test]
    fn each_value_stands_under_its_name() {
        let text = text(&status(), NOW);
        for line in [
            "vitaltwin_info{version=\"0.1.0\\\"\\\\\"} 1",
            "vitaltwin_store_stopped 1",
            "vitaltwin_readings_applied_total 12",
            "vitaltwin_refused_total{reason=\"forged\"} 3",
            "vitaltwin_gateways{state=\"away\"} 1",
            "vitaltwin_gateways{state=\"connected\"} 1",
            "vitaltwin_gateways{state=\"revoked\"} 0",
            "vitaltwin_gateway_silent_seconds{gateway=\"g-2\"} 90",
            "# TYPE vitaltwin_readings_applied_total counter",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn no_word_that_people_wrote_is_in_it() {
        let text = text(&status(), NOW);
        assert!(!text.contains("Wendeline") && !text.contains("a gateway is away"));
    }

    #[test]
    fn names_follow_the_conventions_and_are_documented() {
        let mut table = String::from("\n| metric | type | meaning |\n|---|---|---|\n");
        for metric in &METRICS {
            let name = metric.name;
            assert!(name.starts_with("vitaltwin_") && name.is_ascii(), "{name}");
            assert_eq!(metric.counter, name.ends_with("_total"), "{name}");
            let kind = if metric.counter { "counter" } else { "gauge" };
            let _infallible = writeln!(table, "| `{name}` | {kind} | {} |", metric.help);
        }
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("METRICS.md");
        let written = std::fs::read_to_string(&path).expect("METRICS.md");
        let head = written.split("\n| metric").next().unwrap_or_default();
        let right = format!("{}\n{table}", head.trim_end());
        if std::env::var_os("VITALTWIN_BLESS").is_some() {
            std::fs::write(&path, &right).expect("written");
        } else {
            assert_eq!(
                written, right,
                "write it anew: VITALTWIN_BLESS=1 cargo test -p vitaltwin-aggregator --lib metrics"
            );
        }
    }
}
