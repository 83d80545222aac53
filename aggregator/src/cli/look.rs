//! `worklist`, `watch`, `patient show`: what the page shows, for a terminal or a script.
//!
//! Invariants: the order is that of the page (urgency, then how long somebody waited for is away); words of people and servers
//! cannot drive the terminal ([`plain`]); colours go to terminals alone. Must not know: who may see what.

use std::path::PathBuf;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use anyhow::{Context as _, Result, bail};
use proto::clock::Clock;
use proto::v1::alert_event::Kind as Event;
use proto::v1::alert_service_client::AlertServiceClient;
use proto::v1::twin_service_client::TwinServiceClient;
use proto::v1::{Alert, AlertState, Channel, GetTwinRequest, Priority, Twin, WatchAlertsRequest};
use serde_json::{Value, json};
use vitals::{Kind, Span, Time};

use super::alert::{alert_json, fate, priority};
use super::office::{self, Reader, said};
use super::{print, show};
use crate::dir::CentreDir;

/// Streams say something four times as often.
const SILENCE: Duration = Duration::from_secs(60);

/// What `worklist` takes.
#[derive(Debug, clap::Args)]
pub(super) struct WorklistArguments {
    /// Also patients about whom nothing is to be done.
    #[arg(long)]
    all: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reader: Reader,
}

/// What `watch` takes.
#[derive(Debug, clap::Args)]
pub(super) struct WatchArguments {
    /// Only alerts that are or were of high priority.
    #[arg(long)]
    high: bool,
    /// Keep the place in this file: the next run goes on there, and misses nothing.
    #[arg(long, value_name = "FILE")]
    cursor: Option<PathBuf>,
    /// One JSON object a line, with the field names of `Alert` in proto/v1/alert.proto.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reader: Reader,
}

/// What `patient show` takes.
#[derive(Debug, clap::Args)]
pub(super) struct ShowArguments {
    /// The patient's id.
    patient: String,
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reader: Reader,
}

pub(super) async fn worklist(
    asked: WorklistArguments,
    dir: &CentreDir,
    clock: Clock,
) -> Result<()> {
    let channel = office::reader(dir, &asked.reader, clock).await?;
    let rows = rows(office::twins(channel).await?, asked.all);
    let now = clock.now();
    if asked.json {
        return print(&show::json(&rows.iter().map(row_json).collect())?);
    }
    if rows.is_empty() {
        return print("nobody waits for anything\n");
    }
    print(&rows.iter().map(|twin| row(twin, now)).collect::<String>())
}

pub(super) async fn patient(asked: ShowArguments, dir: &CentreDir, clock: Clock) -> Result<()> {
    let channel = office::reader(dir, &asked.reader, clock).await?;
    let request = GetTwinRequest {
        patient: asked.patient,
    };
    let twin = TwinServiceClient::new(channel).get(request).await;
    let twin = twin.map_err(said)?.into_inner();
    print(&if asked.json {
        show::json(&twin_json(&twin))?
    } else {
        about(&twin, clock.now())
    })
}

pub(super) async fn watch(asked: WatchArguments, dir: &CentreDir, clock: Clock) -> Result<()> {
    let channel = office::reader(dir, &asked.reader, clock).await?;
    let cursor = asked.cursor.as_ref();
    let request = WatchAlertsRequest {
        cursor: cursor.map_or_else(Vec::new, |file| std::fs::read(file).unwrap_or_default()),
        priority_at_least: if asked.high {
            Priority::High as i32
        } else {
            Priority::Unspecified as i32
        },
        ..WatchAlertsRequest::default()
    };
    let stream = AlertServiceClient::new(channel).watch(request).await;
    let mut stream = stream.map_err(said)?.into_inner();
    loop {
        let Ok(event) = tokio::time::timeout(SILENCE, stream.message()).await else {
            bail!(
                "nothing was heard for a minute: take the centre for dead, and have somebody look at it"
            );
        };
        let Some(event) = event.map_err(said)? else {
            bail!("the centre ended the stream; run it again, with --cursor nothing is missed");
        };
        if let Some(Event::Snapshot(alert) | Event::Change(alert)) = &event.kind {
            print(&if asked.json {
                format!("{}\n", alert_json(alert))
            } else {
                let raised = show::time(alert.raised_us);
                format!("{raised}  {}  {}\n", plain(&alert.patient), words(alert))
            })?;
        }
        if let Some(file) = cursor.filter(|_| !event.cursor.is_empty()) {
            // Whole or not at all; only after what it stands for was printed.
            let new = file.with_extension("new");
            std::fs::write(&new, &event.cursor)
                .and_then(|()| std::fs::rename(&new, file))
                .with_context(|| format!("--cursor {}", file.display()))?;
        }
    }
}

/// By urgency, then by how long it waits; calm patients, if they are wanted, by their id behind the others.
fn rows(mut twins: Vec<Twin>, all: bool) -> Vec<Twin> {
    for twin in &mut twins {
        twin.alerts
            .retain(|alert| alert.state() != AlertState::Resolved);
        twin.alerts.sort_by_key(urgency);
    }
    twins.retain(|twin| all || !twin.alerts.is_empty());
    let key = |twin: &Twin| {
        let first = twin.alerts.first();
        (first.is_none(), first.map(urgency), twin.patient.clone())
    };
    twins.sort_by_cached_key(key);
    twins
}

/// Smaller is more urgent: what waits for a person before what somebody took, the more urgent, the longer.
fn urgency(alert: &Alert) -> (std::cmp::Reverse<i32>, bool, i64) {
    let taken = alert.state() == AlertState::Acknowledged;
    (std::cmp::Reverse(alert.priority), taken, alert.raised_us)
}

fn row(twin: &Twin, now: Time) -> String {
    let newest = twin.channels.iter().map(|of| of.effective_us).max();
    let newest = newest.map_or_else(
        || "no data yet".into(),
        |at| format!("data {}", ago(now, at)),
    );
    let test = if twin.test_data { "  TEST DATA" } else { "" };
    let mut text = format!("{}  {newest}{test}\n", bold(&plain(&twin.patient)));
    for alert in &twin.alerts {
        let since = ago(now, alert.raised_us);
        text += &format!("    {}; since {since}\n", words(alert));
    }
    text
}

/// What is wrong, how urgent, and what became of it.
fn words(alert: &Alert) -> String {
    let mut text = format!(
        "{}  {}  {}; {}",
        coloured(alert),
        plain(&alert.id),
        plain(&alert.summary),
        plain(&fate(alert))
    );
    if !alert.owner.is_empty() {
        text += &format!("; owner {}", plain(&alert.owner));
    }
    text
}

fn about(twin: &Twin, now: Time) -> String {
    let mut text = row(twin, now);
    for of in &twin.channels {
        text += &format!("  {}\n", channel(of, now));
    }
    for score in &twin.scores {
        let range = if score.low == score.high {
            score.low.to_string()
        } else {
            format!(
                "{} to {} (something is missing or old)",
                score.low, score.high
            )
        };
        text += &format!("  {} {range}\n", plain(&score.name));
    }
    for forecast in &twin.forecasts {
        let kind = Kind::from_wire(forecast.kind).map_or("", |kind| kind.info().name);
        let says = match (forecast.abstained.is_empty(), forecast.crosses_us) {
            (false, _) => format!("no forecast: {}", plain(&forecast.abstained)),
            (true, Some(at)) => format!("crosses its limit {}", show::time(at)),
            (true, None) => "stays within its limit as far as is foreseen".into(),
        };
        text += &format!("  forecast of {kind}: {says}\n");
    }
    for influence in &twin.influences {
        text += &format!("  because of what is known: {}\n", plain(&influence.effect));
    }
    for device in &twin.devices {
        let battery = device.battery_percent;
        let battery = battery.map_or_else(String::new, |of| format!(", battery {of} %"));
        text += &format!(
            "  device {} {}: {}{battery}\n",
            device.source,
            plain(&device.name),
            plain(&device.link)
        );
    }
    text
}

fn channel(of: &Channel, now: Time) -> String {
    let info = Kind::from_wire(of.kind).map(Kind::info);
    let (name, unit) = info.map_or(("unknown", ""), |info| (info.name, info.unit));
    let value = of
        .value
        .map_or_else(|| "no number".into(), |value| format!("{value} {unit}"));
    let band = of.band.as_ref().map_or_else(String::new, |band| {
        format!(
            "; usual for this patient {:.0} to {:.0}",
            band.low, band.high
        )
    });
    let old = if of.stale { "  OLD" } else { "" };
    format!("{name} {value}, {}{old}{band}", ago(now, of.effective_us))
}

fn row_json(twin: &Twin) -> Value {
    let newest = twin.channels.iter().map(|of| of.effective_us).max();
    json!({
        "patient": twin.patient,
        "alerts": twin.alerts.iter().map(alert_json).collect::<Vec<_>>(),
        "newest_us": newest,
        "test_data": twin.test_data,
    })
}

fn twin_json(twin: &Twin) -> Value {
    let channels = twin.channels.iter().map(|of| {
        let info = Kind::from_wire(of.kind).map(Kind::info);
        json!({
            "kind": info.as_ref().map(|info| info.name),
            "unit": info.as_ref().map(|info| info.unit),
            "value": of.value,
            "effective_us": of.effective_us,
            "stale": of.stale,
            "source": of.source,
            "baseline": of.baseline,
            "band": of.band.as_ref().map(|band| [band.low, band.high]),
        })
    });
    let scores = twin.scores.iter();
    let scores = scores.map(|of| json!({ "name": of.name, "low": of.low, "high": of.high }));
    let forecasts = twin.forecasts.iter().map(|of| {
        json!({
            "kind": Kind::from_wire(of.kind).map(|kind| kind.info().name),
            "abstained": of.abstained,
            "crosses_us": of.crosses_us,
            "threshold": of.threshold,
        })
    });
    let mut json = row_json(twin);
    json["channels"] = channels.collect();
    json["scores"] = scores.collect();
    json["forecasts"] = forecasts.collect();
    json["influences"] = twin
        .influences
        .iter()
        .map(|of| Value::from(of.effect.as_str()))
        .collect();
    json["position"] = twin.position.into();
    json
}

/// What somebody wrote, without anything that a terminal obeys.
pub(super) fn plain(words: &str) -> String {
    let harmless = words.chars().map(|c| if c.is_control() { ' ' } else { c });
    harmless.collect()
}

fn ago(now: Time, at_us: i64) -> String {
    let seconds = now
        .since(Time::from_micros(at_us))
        .max(Span::ZERO)
        .as_micros()
        / 1_000_000;
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7200 => format!("{} min ago", seconds / 60),
        7200..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86400),
    }
}

/// IEC 60601-1-8's colours, where a terminal has them; the word says it, too.
fn coloured(alert: &Alert) -> String {
    let style = match alert.priority() {
        Priority::High => AnsiColor::Red.on_default().bold(),
        Priority::Medium => AnsiColor::Yellow.on_default(),
        Priority::Low => AnsiColor::Cyan.on_default(),
        Priority::Unspecified => Style::new(),
    };
    format!("{style}{:6}{style:#}", priority(alert.priority()))
}

fn bold(text: &str) -> String {
    let style = Style::new().bold();
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_micros(1_800_000_000_000_000);

    fn twin(patient: &str, alerts: &[(Priority, AlertState, i64)]) -> Twin {
        let alert = |(priority, state, raised_us): &(Priority, AlertState, i64)| Alert {
            priority: *priority as i32,
            state: *state as i32,
            raised_us: *raised_us,
            ..Alert::default()
        };
        Twin {
            patient: patient.into(),
            alerts: alerts.iter().map(alert).collect(),
            ..Twin::default()
        }
    }

    #[test]
    fn who_waits_longest_for_the_most_urgent_stands_first() {
        use AlertState::{Acknowledged, Active, Resolved};
        let twins = vec![
            twin("calm", &[]),
            twin("over", &[(Priority::High, Resolved, 1)]),
            twin("later", &[(Priority::High, Active, 9)]),
            twin("taken", &[(Priority::High, Acknowledged, 1)]),
            twin(
                "first",
                &[(Priority::Low, Active, 1), (Priority::High, Active, 5)],
            ),
            twin("medium", &[(Priority::Medium, Active, 1)]),
        ];
        let order = |all| {
            let rows = rows(twins.clone(), all).into_iter();
            rows.map(|twin| twin.patient).collect::<Vec<_>>()
        };
        assert_eq!(order(false), ["first", "later", "taken", "medium"]);
        assert_eq!(order(true)[4..], ["calm", "over"]);
    }

    #[test]
    fn what_people_write_does_not_drive_the_terminal() {
        let mut sick = twin("p-1", &[(Priority::High, AlertState::Active, 0)]);
        sick.alerts[0].summary = "fast\u{1b}]0;owned\u{7}\nheart".into();
        sick.alerts[0].owner = "\u{9b}2J".into();
        let text = row(&sick, NOW);
        let ours = anstream::adapter::strip_str(&text).to_string();
        assert!(ours.contains("fast ]0;owned  heart"), "{ours:?}");
        assert!(
            !ours.chars().any(|c| c.is_control() && c != '\n'),
            "{ours:?}"
        );
        assert_eq!(ours.lines().count(), 2);
        assert!(
            text.contains("\u{1b}[1m\u{1b}[31mHIGH"),
            "a colour of our own: {text:?}"
        );
    }

    #[test]
    fn an_old_value_and_a_missing_number_say_so() {
        let of = |value, stale| Channel {
            kind: proto::v1::Kind::HeartRate as i32,
            value,
            stale,
            effective_us: (NOW - Span::from_secs(300)).as_micros(),
            ..Channel::default()
        };
        assert_eq!(
            channel(&of(Some(61.0), false), NOW),
            "heart_rate 61 /min, 5 min ago"
        );
        assert_eq!(
            channel(&of(None, true), NOW),
            "heart_rate no number, 5 min ago  OLD"
        );
    }
}
