//! What the agent tells people about itself: `status.json` in its folder, and the `status` command.
//!
//! Invariants: the file is replaced whole, within a second of a change and within [`QUIET`] of one that only counts, so
//! that a quiet agent leaves the disk and the processor alone; it holds no measured value and nothing that names a
//! patient.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use vitals::{Span, Time};

/// The file's name in the agent's folder.
pub const FILE: &str = "status.json";

/// Everything that is shown. Times are microseconds since the Unix epoch of the agent's clock; 0 = never.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// Version of the agent.
    pub version: String,
    /// Id of the gateway.
    pub gateway: String,
    /// When this was written.
    pub written_us: i64,
    /// The transport in use: "grpc" or "mqtt".
    pub uplink: String,
    /// Why this one; empty if there is no other.
    pub uplink_why: String,
    /// Since when.
    pub uplink_since_us: i64,
    /// How often since start another one was taken.
    pub uplink_switches: u64,
    /// Bytes that passed the line today (UTC), both ways; by MQTT an estimate from its packets.
    pub bytes_passed_today: u64,
    /// The budget of a metered line; absent if it is free.
    pub budget: Option<BudgetStatus>,
    /// There is a line to the centre.
    pub connected: bool,
    /// Why the line is down or what the centre refused last; empty if there is nothing to say.
    pub line_trouble: String,
    /// Why the radio does not work; empty if it does.
    pub radio_trouble: String,
    /// Radio workers that ended and were started again since the agent started, by reason.
    pub radio_restarts: BTreeMap<String, u64>,
    /// Why the outbox is not durable; empty if it is.
    pub store_trouble: String,
    /// Assigned devices.
    pub devices: Vec<DeviceStatus>,
    /// Devices seen that are not assigned, with how often they were seen.
    pub unassigned: BTreeMap<String, u64>,
    /// What waits for its receipt.
    pub buffer: Buffer,
    /// When the last authentic receipt came.
    pub last_receipt_us: i64,
    /// Scalar readings since enrolment: decoded...
    pub readings_decoded: u64,
    /// ... sealed...
    pub readings_sealed: u64,
    /// ... and receipted.
    pub readings_receipted: u64,
    /// Scalar readings dropped since enrolment and declared as gaps, by reason.
    pub readings_dropped: BTreeMap<String, u64>,
    /// Device data refused since start, by reason.
    pub device_data_refused: BTreeMap<String, u64>,
    /// Receipts ignored since start because they were not authentic.
    pub receipts_invalid: u64,
    /// Receipts since start for contexts that are over.
    pub receipts_late: u64,
    /// Receipts ignored since start because they are from before the centre was restored from a backup.
    pub receipts_outdated: u64,
    /// Commands not obeyed since start.
    pub commands_refused: u64,
    /// The same by reason.
    pub commands_refused_by_reason: BTreeMap<String, u64>,
    /// The highest command obeyed.
    pub command_number: u64,
    /// Unsigned refusals of the centre since start, by reason.
    pub refusals: BTreeMap<String, u64>,
    /// Messages since start that are none of the contract.
    pub malformed_messages: u64,
    /// Contexts kept.
    pub contexts: usize,
    /// Commits of the outbox that failed since start.
    pub commits_failed: u64,
    /// Times since start that the line came up.
    pub connections: u64,
    /// The centre is silent, or gets no vitals because the day's bytes are spent: critical alerts are raised here.
    pub centre_silent: bool,
    /// Alerts raised here that hold. Which ones, only the centre and the hook are told.
    pub alerts_here: usize,
    /// Since when the first of them.
    pub alerts_here_since_us: i64,
    /// Calls of the hook since start that failed.
    pub hook_failures: u64,
    /// Where the status page listens; empty if there is none.
    pub page: String,
    /// Streams whose devices are not read by the patient's will.
    pub withheld: Vec<WithheldStatus>,
    /// What became of the last settings from the centre; absent before the first.
    pub configuration: Option<ConfigurationStatus>,
    /// When the gateway's certificate ends.
    pub certificate_expires_us: i64,
    /// Why it could not be renewed, last; empty if it could.
    pub certificate_trouble: String,
    /// Empty unless a test clock drives the agent.
    pub test_clock: String,
}

/// The budget of a metered line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BudgetStatus {
    /// Bytes that it may carry on a day.
    pub bytes_per_day: u64,
    /// Bytes of today's that are spent.
    pub spent: u64,
    /// What waits for bytes: "nothing", "backlog and waveforms" or "all but alerts, spot checks, gaps and heartbeats".
    pub waits: String,
    /// Sealed records that are not on their way, for this or any other reason.
    pub records_waiting: usize,
    /// When the day ends.
    pub day_ends_us: i64,
}

/// A stream whose devices are not read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WithheldStatus {
    /// Which.
    pub stream: String,
    /// "paused" or "withdrawn".
    pub collection: String,
    /// Since when.
    pub since_us: i64,
}

/// What became of settings from the centre.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConfigurationStatus {
    /// Number of the command that carried them.
    pub number: u64,
    /// "on trial", "applied", "refused" or "rolled back".
    pub outcome: String,
    /// Why, where that is not plain.
    pub detail: String,
}

/// One assigned device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceStatus {
    /// Bluetooth address.
    pub address: String,
    /// Stream that its readings belong to.
    pub stream: String,
    /// Its number within the stream.
    pub source: u16,
    /// "searching", "connected" or "lost".
    pub link: String,
    /// Since when.
    pub since_us: i64,
    /// What it calls itself; empty if it has not said.
    pub name: String,
    /// Its model; empty if it has not said.
    pub model: String,
    /// What differs between this device and the one that answered last under its address, which was refused;
    /// empty if it is the right one.
    pub impostor: String,
    /// Percent.
    pub battery_percent: Option<u8>,
    /// On the body, as it says.
    pub contact: Option<bool>,
    /// Scalar readings since start.
    pub readings: u64,
    /// When its last value came.
    pub last_value_us: i64,
    /// Its own clock; absent while it was never compared with the gateway's, or it has none.
    pub clock: Option<ClockStatus>,
}

/// What is known of a device's clock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClockStatus {
    /// How far it is ahead of the true time now; negative: behind.
    pub ahead_us: i64,
    /// How far that may be off; grows until it is compared again.
    pub uncertainty_us: i64,
    /// How much it gains, parts per billion; negative: it loses.
    pub gains_ppb: i64,
    /// How far that may be off.
    pub gains_uncertainty_ppb: i64,
    /// How often it was found changed.
    pub changes: u32,
    /// How the last time: "zone", "set" or "reset"; empty if never.
    pub last_change: String,
}

/// What waits for its receipt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Buffer {
    /// Sealed records.
    pub records: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// How old the file becomes while nothing but its counters and times changes.
pub const QUIET: Span = Span::from_secs(10);

impl Status {
    /// What people act upon: counters and times of things that go on as before aside. Where it differs from that of the
    /// status in the file, the file is written at once; else within [`QUIET`].
    #[must_use]
    pub fn news(&self) -> Self {
        let mut news = self.clone();
        for device in &mut news.devices {
            (device.readings, device.last_value_us) = (0, 0);
            // Its uncertainty grows by itself.
            device.clock = None;
        }
        if let Some(budget) = &mut news.budget {
            (budget.spent, budget.records_waiting) = (0, 0);
        }
        news.unassigned.clear();
        Self {
            written_us: 0,
            buffer: Buffer::default(),
            bytes_passed_today: 0,
            last_receipt_us: 0,
            readings_decoded: 0,
            readings_sealed: 0,
            readings_receipted: 0,
            contexts: 0,
            ..news
        }
    }

    /// Reads the file of a folder.
    ///
    /// # Errors
    /// There is none (the agent never ran there), or it is damaged.
    pub fn read(dir: &Path) -> std::io::Result<Self> {
        let bytes = std::fs::read(dir.join(FILE))?;
        serde_json::from_slice(&bytes).map_err(std::io::Error::other)
    }

    /// Replaces the file of a folder.
    ///
    /// # Errors
    /// The disk's.
    pub fn write(&self, dir: &Path) -> std::io::Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(std::io::Error::other)?;
        let temporary = dir.join(".status.json.new");
        let written = std::fs::write(&temporary, &text);
        if written
            .as_ref()
            .is_err_and(|e| e.kind() == ErrorKind::StorageFull)
        {
            // A full disk is when people look: the room of the old file is still ours.
            std::fs::remove_file(&temporary)?;
            let mut file = File::options().write(true).open(dir.join(FILE))?;
            file.write_all(&text)?;
            return file.set_len(text.len() as u64);
        }
        written?;
        std::fs::rename(temporary, dir.join(FILE))
    }

    /// For people, seen at `now` of the same clock.
    #[must_use]
    pub fn to_text(&self, now: Time) -> String {
        let mut text = String::new();
        let _infallible = self.write_text(&mut text, now);
        text
    }

    fn write_text(&self, out: &mut String, now: Time) -> std::fmt::Result {
        writeln!(out, "gateway {} (agent {})", self.gateway, self.version)?;
        if !self.test_clock.is_empty() {
            writeln!(out, "{}", self.test_clock)?;
        }
        self.write_line(out, now)?;
        self.write_readings(out)?;
        for device in &self.devices {
            device.write_text(out, now)?;
        }
        for of in &self.withheld {
            let since = ago(of.since_us, now);
            writeln!(
                out,
                "{:8} a patient's devices are not read, by the patient's wish, {since}",
                of.collection
            )?;
        }
        if let Some(of) = &self.configuration {
            writeln!(out, "settings {} {} {}", of.number, of.outcome, of.detail)?;
        }
        if !self.unassigned.is_empty() {
            let count = self.unassigned.len();
            writeln!(out, "seen     {count} devices that are not assigned")?;
        }
        writeln!(out, "status   written {}", ago(self.written_us, now))
    }

    fn write_line(&self, out: &mut String, now: Time) -> std::fmt::Result {
        let line = if self.connected {
            "connected"
        } else {
            "not connected"
        };
        let receipt = ago(self.last_receipt_us, now);
        writeln!(
            out,
            "line     {line} by {}; last receipt {receipt}",
            self.uplink
        )?;
        if !self.uplink_why.is_empty() {
            let since = ago(self.uplink_since_us, now);
            writeln!(
                out,
                "         by {} since {since}: {}",
                self.uplink, self.uplink_why
            )?;
        }
        if let Some(budget) = &self.budget {
            writeln!(
                out,
                "budget   {} of {} bytes spent today; waiting for bytes: {} ({} records not sent)",
                budget.spent, budget.bytes_per_day, budget.waits, budget.records_waiting
            )?;
        }
        if self.centre_silent {
            writeln!(
                out,
                "         the centre is silent: critical alerts are raised here"
            )?;
        }
        if self.alerts_here > 0 {
            let since = ago(self.alerts_here_since_us, now);
            writeln!(
                out,
                "         {} ALERT(S) RAISED HERE, the first {since}: somebody must look",
                self.alerts_here
            )?;
        }
        for (name, trouble) in [
            ("line", &self.line_trouble),
            ("radio", &self.radio_trouble),
            ("outbox", &self.store_trouble),
            ("certificate", &self.certificate_trouble),
        ] {
            if !trouble.is_empty() {
                writeln!(out, "         {name}: {trouble}")?;
            }
        }
        if (1..=now.as_micros()).contains(&self.certificate_expires_us) {
            let ended = ago(self.certificate_expires_us, now);
            writeln!(
                out,
                "         the certificate ended {ended}: it is renewed as soon as the centre answers"
            )?;
        }
        let Buffer { records, bytes } = self.buffer;
        writeln!(
            out,
            "buffer   {records} records, {bytes} bytes wait for a receipt"
        )
    }

    fn write_readings(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "readings {} decoded, {} sealed, {} receipted since enrolment",
            self.readings_decoded, self.readings_sealed, self.readings_receipted
        )?;
        for (name, counts) in [
            ("radio started again", &self.radio_restarts),
            ("dropped", &self.readings_dropped),
            ("refused", &self.device_data_refused),
            ("commands not obeyed", &self.commands_refused_by_reason),
            ("refused by the centre", &self.refusals),
        ] {
            for (reason, count) in counts {
                writeln!(out, "         {name}: {count} ({reason})")?;
            }
        }
        if self.receipts_invalid > 0 {
            let count = self.receipts_invalid;
            writeln!(out, "         receipts not authentic: {count}")?;
        }
        Ok(())
    }
}

impl DeviceStatus {
    fn write_text(&self, out: &mut String, now: Time) -> std::fmt::Result {
        let name = if self.name.is_empty() {
            "-"
        } else {
            &self.name
        };
        let battery = self
            .battery_percent
            .map_or("-".into(), |percent| format!("{percent} %"));
        let contact = match self.contact {
            Some(true) => ", on the body",
            Some(false) => ", not on the body",
            None => "",
        };
        writeln!(
            out,
            "device   {} {name}: {} since {}, battery {battery}{contact}; {} readings, last {}",
            self.address,
            self.link,
            ago(self.since_us, now),
            self.readings,
            ago(self.last_value_us, now)
        )?;
        match &self.clock {
            Some(clock) => clock.write_text(out)?,
            None => writeln!(
                out,
                "         clock unknown: it has none, or it was never compared"
            )?,
        }
        if !self.impostor.is_empty() {
            writeln!(
                out,
                "         another device answers under this address ({} differs) and is refused: if it was replaced, \
                 run `vitaltwin-agent pair {} --forget`",
                self.impostor, self.address
            )?;
        }
        Ok(())
    }
}

impl ClockStatus {
    fn write_text(&self, out: &mut String) -> std::fmt::Result {
        let (ahead, unsure) = (
            self.ahead_us / 1_000_000,
            self.uncertainty_us / 1_000_000 + 1,
        );
        let side = if ahead < 0 { "behind" } else { "ahead" };
        let ppm = self.gains_ppb / 1000;
        let gains = if ppm < 0 { "loses" } else { "gains" };
        write!(
            out,
            "         clock {} s {side} (+/- {unsure} s), {gains} {} ppm (+/- {})",
            ahead.abs(),
            ppm.abs(),
            self.gains_uncertainty_ppb / 1000 + 1
        )?;
        match self.changes {
            0 => writeln!(out),
            times => writeln!(
                out,
                "; found changed {times} times, last: {}",
                self.last_change
            ),
        }
    }
}

/// An error with all its causes on one line.
#[must_use]
pub fn describe(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _infallible = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}

fn ago(us: i64, now: Time) -> String {
    if us == 0 {
        return "never".into();
    }
    let seconds = now.since(Time::from_micros(us)).as_micros().max(0) / 1_000_000;
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7200 => format!("{} min ago", seconds / 60),
        7200..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        Status {
            gateway: "g-1".into(),
            uplink: "mqtt".into(),
            written_us: 5_000_000,
            uplink_why: "nothing authentic came by grpc".into(),
            budget: Some(BudgetStatus {
                bytes_per_day: 5_000_000,
                spent: 1234,
                waits: "backlog and waveforms".into(),
                ..BudgetStatus::default()
            }),
            readings_dropped: BTreeMap::from([("buffer_full".into(), 7)]),
            devices: vec![DeviceStatus {
                address: "AA:BB:CC:DD:EE:FF".into(),
                link: "connected".into(),
                battery_percent: Some(55),
                contact: Some(false),
                clock: Some(ClockStatus {
                    ahead_us: -3_600_000_000,
                    uncertainty_us: 2_500_000,
                    gains_ppb: -1_389_000,
                    gains_uncertainty_ppb: 50_000,
                    changes: 2,
                    last_change: "zone".into(),
                }),
                ..DeviceStatus::default()
            }],
            ..Status::default()
        }
    }

    /// Name and meaning of each field of a struct of this file, by its documentation.
    fn fields(name: &str) -> Vec<(String, String)> {
        let source = include_str!("status.rs");
        let begin = format!("pub struct {name} {{\n");
        let body = source
            .split(&begin)
            .nth(1)
            .and_then(|rest| rest.split("\n}").next());
        let (mut fields, mut meaning) = (Vec::new(), Vec::new());
        for line in body.expect("a struct of this file").lines().map(str::trim) {
            if let Some(words) = line.strip_prefix("/// ") {
                meaning.push(words);
            } else if let Some(field) = line.strip_prefix("pub ") {
                let field = field.split(':').next().unwrap_or_default().to_owned();
                fields.push((field, meaning.join(" ")));
                meaning.clear();
            }
        }
        fields
    }

    #[test]
    fn every_field_is_documented() {
        let json = serde_json::json!({
            "Status": Status::default(),
            "DeviceStatus": DeviceStatus::default(),
            "ClockStatus": ClockStatus::default(),
            "Buffer": Buffer::default(),
            "BudgetStatus": BudgetStatus::default(),
            "WithheldStatus": WithheldStatus::default(),
            "ConfigurationStatus": ConfigurationStatus::default(),
        });
        let mut tables = String::new();
        for (name, title) in [
            ("Status", "The agent"),
            ("DeviceStatus", "Each of `devices`"),
            ("ClockStatus", "`clock` of a device"),
            ("Buffer", "`buffer`"),
            ("BudgetStatus", "`budget`"),
            ("WithheldStatus", "Each of `withheld`"),
            ("ConfigurationStatus", "`configuration`"),
        ] {
            let fields = fields(name);
            let shown = json[name].as_object().expect("an object");
            assert_eq!(shown.len(), fields.len(), "{name}: each field is found");
            let _infallible = write!(tables, "\n## {title}\n\n| field | meaning |\n|---|---|\n");
            for (field, meaning) in fields {
                assert!(shown.contains_key(&field), "{name}.{field}");
                assert!(!meaning.is_empty(), "{name}.{field} says what it means");
                let _infallible = writeln!(tables, "| `{field}` | {meaning} |");
            }
        }
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("STATUS.md");
        let text = std::fs::read_to_string(&path).expect("STATUS.md");
        let head = text.split("\n## ").next().unwrap_or_default();
        let right = format!("{}\n{tables}", head.trim_end());
        if std::env::var_os("VITALTWIN_BLESS").is_some() {
            std::fs::write(&path, &right).expect("written");
        } else {
            assert_eq!(
                text, right,
                "write it anew: VITALTWIN_BLESS=1 cargo test -p vitaltwin-agent --lib every_field"
            );
        }
    }

    #[test]
    fn the_file_round_trips() {
        let dir = tempfile::tempdir().expect("a folder");
        assert!(Status::read(dir.path()).is_err());
        status().write(dir.path()).expect("written");
        assert_eq!(Status::read(dir.path()).expect("read"), status());
    }

    #[test]
    fn counts_are_no_news_and_what_people_act_upon_is() {
        let before = status();
        let mut after = before.clone();
        after.written_us += 1;
        after.readings_decoded += 7;
        after.devices[0].readings += 7;
        after.buffer.records += 1;
        assert!(after.news() == before.news());
        for change in [
            |status: &mut Status| status.connected = true,
            |status: &mut Status| status.store_trouble = "full".into(),
            |status: &mut Status| status.devices[0].contact = Some(true),
            |status: &mut Status| status.alerts_here = 1,
            |status: &mut Status| status.uplink_switches = 1,
            |status: &mut Status| status.budget = Some(BudgetStatus::default()),
        ] {
            let mut after = before.clone();
            change(&mut after);
            assert!(after.news() != before.news(), "{after:?}");
        }
    }

    #[test]
    fn people_can_read_it() {
        let text = status().to_text(Time::from_micros(65_000_000));
        for part in [
            "gateway g-1",
            "not connected by mqtt; last receipt never",
            "by mqtt since never: nothing authentic came by grpc",
            "1234 of 5000000 bytes spent today; waiting for bytes: backlog and waveforms",
            "dropped: 7 (buffer_full)",
            "battery 55 %, not on the body",
            "clock 3600 s behind (+/- 3 s), loses 1389 ppm (+/- 51); found changed 2 times, last: zone",
            "written 60 s ago",
        ] {
            assert!(text.contains(part), "{part} in:\n{text}");
        }
    }
}
