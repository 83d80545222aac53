//! PURE. From what was found to what it means and what to do about it.
//!
//! Must not know: files, sockets, clocks.

use vitals::{Span, Time};

use super::Finding;
use crate::ble::btleplug::probe::Probe;
use crate::config::{Config, ConfigError};
use crate::identity::{Identity, IdentityError};
use crate::status::{Status, describe};

/// A clock further off than this spoils times of readings and, a little later, certificates.
const CLOCK_WARN: Span = Span::from_secs(30);
const CLOCK_FAIL: Span = Span::from_mins(5);
/// A certificate is renewed long before this is left of it.
const CERTIFICATE_WARN: Span = Span::from_mins(60);
/// The status file is written every ten seconds at least (`status::QUIET`).
const STATUS_LATE: Span = Span::from_secs(30);
/// A share of the buffer at which people should look.
const FULL_WARN: u64 = 80;

/// The agent's folder as it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folder {
    /// Where.
    pub path: String,
    /// Why it cannot be looked at or written; empty if it can.
    pub trouble: String,
    /// Nobody but the owner may look into it and its keys.
    pub is_private: bool,
    /// Files that belong to somebody else than the folder does.
    pub strangers: Vec<String>,
    /// The one who asks is neither the owner nor root.
    pub is_foreign: bool,
}

/// How calling one door of the centre went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// "centre" or "broker".
    pub name: &'static str,
    /// "host:port".
    pub address: String,
    /// How far it came.
    pub reached: Reached,
    /// The centre's clock less ours, where it told.
    pub clock_offset: Option<Span>,
}

/// How far a call came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reached {
    /// The address is none.
    NoAddress,
    /// The name is unknown, nobody answers, or not within the limit.
    Nowhere(String),
    /// There is an answer, but the certificate shown is not valid at this time by our clock.
    WrongTime,
    /// There is an answer, but not by the centre of our enrolment.
    Stranger(String),
    /// It does not speak TLS 1.3, or refuses our certificate.
    NoTls(String),
    /// The centre of our enrolment, over TLS.
    Trusted,
}

/// The configuration.
#[must_use]
pub fn config(config: &Result<Config, ConfigError>) -> Finding {
    match config {
        Ok(_) => Finding::ok("config", "config.toml is fine (or absent: defaults)"),
        Err(error) => Finding::fail(
            "config",
            describe(error),
            "correct config.toml in the agent's folder; config.sample.toml explains every field",
        ),
    }
}

/// Permissions and ownership.
#[must_use]
pub fn folder(folder: &Folder) -> Finding {
    let path = &folder.path;
    if folder.is_foreign {
        return Finding::warn(
            "folder",
            format!("{path} belongs to another user: not everything could be checked"),
            "run this command as the agent's user or as root",
        );
    }
    if !folder.trouble.is_empty() {
        return Finding::fail(
            "folder",
            format!("{path}: {}", folder.trouble),
            "create it, or give it to the agent's user; if the disk is read-only, check its cable and file system",
        );
    }
    if let Some(first) = folder.strangers.first() {
        let count = folder.strangers.len();
        return Finding::fail(
            "folder",
            format!("{count} files in {path} belong to another user (the first: {first})"),
            format!("chown -R --reference={path} {path}   (enrol as the agent's user next time)"),
        );
    }
    if !folder.is_private {
        return Finding::fail(
            "folder",
            format!("others can read {path} or the keys in it"),
            format!("chmod 700 {path} {path}/identity && chmod 600 {path}/identity/*"),
        );
    }
    Finding::ok("folder", format!("{path} is private and can be written"))
}

/// Room on the disk; `free` bytes, or why nobody knows.
#[must_use]
pub fn disk(free: Result<u64, String>, config: &Config) -> Finding {
    let mib = |bytes: u64| bytes >> 20;
    let keep = config.keep_free_bytes;
    match free {
        Err(why) => Finding::fail(
            "disk",
            format!("free space is unknown: {why}"),
            "check that the agent's folder exists",
        ),
        Ok(free) if free <= keep => Finding::fail(
            "disk",
            format!(
                "{} MiB are free: the oldest readings are being dropped",
                mib(free)
            ),
            format!(
                "free some room: more than {} MiB (keep_free_bytes) must stay free",
                mib(keep)
            ),
        ),
        Ok(free) if free < keep.saturating_add(config.buffer_bytes) => Finding::warn(
            "disk",
            format!(
                "{} MiB are free: less than a full buffer may need",
                mib(free)
            ),
            format!(
                "free some room, or lower buffer_bytes (now {} MiB)",
                mib(config.buffer_bytes)
            ),
        ),
        Ok(free) => Finding::ok("disk", format!("{} MiB are free", mib(free))),
    }
}

/// Enrolment.
#[must_use]
pub fn identity(identity: &Result<Identity, IdentityError>) -> Finding {
    match identity {
        Ok(identity) => Finding::ok("identity", format!("enrolled as {}", identity.gateway)),
        Err(error @ IdentityError::NotEnrolled) => Finding::fail(
            "identity",
            describe(error),
            "ask the centre for a token (`vitaltwin-aggregator gateway token`) and spend it here",
        ),
        Err(error) => Finding::fail(
            "identity",
            describe(error),
            "if permissions are fine, enrol anew with --replace: what is buffered is kept",
        ),
    }
}

/// The certificate's end.
#[must_use]
pub fn certificate(not_after: Option<Time>, now: Time) -> Finding {
    let Some(end) = not_after else {
        return Finding::fail(
            "certificate",
            "it cannot be read",
            "enrol anew with --replace: what is buffered is kept",
        );
    };
    let left = end.since(now);
    if left <= Span::ZERO {
        return Finding::fail(
            "certificate",
            format!("it ended {} ago", words(Span::ZERO - left)),
            "if the clock below is right: enrol anew with --replace; what is buffered is kept",
        );
    }
    let valid = format!("valid for another {}", words(left));
    if left < CERTIFICATE_WARN {
        return Finding::warn(
            "certificate",
            valid,
            "it should have been renewed by now: see whether the centre can be reached",
        );
    }
    Finding::ok("certificate", valid)
}

/// The clock: against the centre's, else against the last time that the agent knew.
#[must_use]
pub fn clock(now: Time, last_known: Option<Time>, offset: Option<Span>) -> Finding {
    let set_it = "set the clock: `timedatectl set-ntp true`, or `date -s`; a machine without a battery clock needs \
                  network time at each start";
    if let Some(offset) = offset {
        let (off, side) = if offset < Span::ZERO {
            (Span::ZERO - offset, "ahead of")
        } else {
            (offset, "behind")
        };
        let text = format!("{} {side} the centre's", words(off));
        return if off >= CLOCK_FAIL {
            Finding::fail("clock", text, set_it)
        } else if off >= CLOCK_WARN {
            Finding::warn("clock", text, set_it)
        } else {
            Finding::ok("clock", "agrees with the centre's")
        };
    }
    match last_known {
        Some(last) if last.since(now) > CLOCK_WARN => Finding::fail(
            "clock",
            format!(
                "{} before the last time that the agent knew",
                words(last.since(now))
            ),
            set_it,
        ),
        Some(_) => Finding::warn(
            "clock",
            "later than the last known time; the centre could not be asked",
            "",
        ),
        None => Finding::warn("clock", "nothing to hold it against yet", ""),
    }
}

/// Bluetooth, down to the adapter. `blocked`: a switch has turned it off.
#[must_use]
pub fn radio(probe: &Probe, blocked: bool) -> Finding {
    match probe {
        Probe::NoBus(why) => Finding::fail(
            "radio",
            format!("D-Bus cannot be reached: {why}"),
            "start it (`systemctl start dbus`); in a container, pass the system bus in",
        ),
        Probe::NoDaemon(why) => Finding::fail(
            "radio",
            format!("bluetoothd does not answer: {why}"),
            "`systemctl enable --now bluetooth`; if it runs, the agent's user may not use it: see the package's \
             D-Bus policy",
        ),
        Probe::NoAdapter(None) => Finding::fail(
            "radio",
            "there is no Bluetooth adapter",
            "plug one in; `bluetoothctl list` shows those that work",
        ),
        Probe::NoAdapter(Some(name)) => Finding::fail(
            "radio",
            format!("there is no Bluetooth adapter {name}"),
            "correct `adapter` in config.toml; `bluetoothctl list` shows those that work",
        ),
        Probe::Off(name) if blocked => Finding::fail(
            "radio",
            format!("{name} is blocked"),
            "`rfkill unblock bluetooth`, or the switch on the machine",
        ),
        Probe::Off(name) => Finding::fail(
            "radio",
            format!("{name} is switched off"),
            "`bluetoothctl power on`",
        ),
        Probe::Ready(name) => Finding::ok("radio", format!("{name} is ready")),
    }
}

/// The way to the centre.
#[must_use]
pub fn centre(door: &Door) -> Finding {
    let Door { name, address, .. } = door;
    match &door.reached {
        Reached::Trusted => Finding::ok(name, format!("{address} is reached and trusted")),
        Reached::NoAddress => Finding::fail(
            name,
            format!("\"{address}\" is no address"),
            "give \"host:port\" in config.toml, or enrol anew with --replace",
        ),
        Reached::Nowhere(why) => Finding::fail(
            name,
            format!("{address} cannot be reached: {why}"),
            "check cable, Wi-Fi and router; a firewall must let this port out; readings are kept meanwhile",
        ),
        Reached::WrongTime => Finding::fail(
            name,
            format!("{address} answers, but its certificate is not valid at this machine's time"),
            "set this machine's clock first; if it is right, the centre's operator must look",
        ),
        Reached::Stranger(why) => Finding::fail(
            name,
            format!("{address} is not the centre of this enrolment: {why}"),
            "somebody may be listening in, or the centre was made anew: call its operator before you enrol again",
        ),
        Reached::NoTls(why) => Finding::fail(
            name,
            format!("{address} gives no secure connection: {why}"),
            "check the port; a proxy in between must let TLS 1.3 pass untouched",
        ),
    }
}

/// The agent itself.
#[must_use]
pub fn agent(running: bool, status: Option<&Status>, now: Time) -> Finding {
    if !running {
        return Finding::warn(
            "agent",
            "it does not run",
            "`systemctl enable --now vitaltwin-agent`",
        );
    }
    let written = status.map(|status| Time::from_micros(status.written_us));
    match written {
        Some(written) if now.since(written) <= STATUS_LATE => Finding::ok("agent", "it runs"),
        _ => Finding::fail(
            "agent",
            "it runs, but has not said anything for half a minute",
            "`systemctl restart vitaltwin-agent`; nothing that is buffered is lost",
        ),
    }
}

/// What waits for the centre, by the agent's last word about it.
#[must_use]
pub fn buffer(
    status: Option<&Status>,
    (unsearched, searched): (usize, usize),
    config: &Config,
) -> Finding {
    let Some(status) = status else {
        return Finding::ok("buffer", "the agent has not run here yet");
    };
    if !status.store_trouble.is_empty() {
        return Finding::fail(
            "buffer",
            format!("it cannot be written: {}", status.store_trouble),
            "see disk and folder above; until then readings are kept in memory only",
        );
    }
    let crate::status::Buffer { records, bytes } = status.buffer;
    let percent = bytes.saturating_mul(100) / config.buffer_bytes.max(1);
    let waiting = format!("{records} records wait ({percent} % of the room)");
    if percent >= FULL_WARN {
        return Finding::warn(
            "buffer",
            waiting,
            "get the line to the centre working: a full buffer drops the oldest dense readings, and says so",
        );
    }
    if unsearched > 0 {
        return Finding::warn(
            "buffer",
            format!("{waiting}; {unsearched} damaged stores still hold records"),
            "free disk space and start the agent again, which goes on fetching them; never delete salvage-*",
        );
    }
    if searched > 0 {
        return Finding::warn(
            "buffer",
            format!("{waiting}; {searched} damaged stores were set aside"),
            "what could be read was saved and the rest declared; look at the disk's health, then delete corrupt-*",
        );
    }
    if let Some((reason, count)) = status.readings_dropped.iter().next() {
        return Finding::warn(
            "buffer",
            format!("{waiting}; readings were dropped since enrolment ({reason}: {count})"),
            "the centre knows of each; `vitaltwin-agent status` lists all reasons",
        );
    }
    Finding::ok("buffer", waiting)
}

/// A length of time for people.
fn words(span: Span) -> String {
    let seconds = span.as_micros() / 1_000_000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    const NOW: Time = Time::from_micros(1_800_000_000_000_000);

    fn status() -> Status {
        Status {
            written_us: NOW.as_micros() - 1_000_000,
            ..Status::default()
        }
    }

    /// Wrong in the way given, and saying so with these words.
    #[track_caller]
    fn says(finding: &Finding, verdict: Verdict, words: &str) {
        assert_eq!(finding.verdict, verdict, "{finding:?}");
        let text = format!("{} -> {}", finding.found, finding.remedy);
        assert!(text.contains(words), "{words:?} in {text:?}");
        let says_what_to_do = !finding.remedy.is_empty();
        assert!(verdict != Verdict::Fail || says_what_to_do, "{finding:?}");
    }

    #[test]
    fn a_slip_in_the_configuration() {
        says(&config(&Ok(Config::default())), Verdict::Ok, "fine");
        let slip = Err(ConfigError::Range {
            field: "heartbeat_s",
            value: "1".into(),
            expected: "5 to 3600",
        });
        says(&config(&slip), Verdict::Fail, "heartbeat_s = 1");
    }

    #[test]
    fn folders() {
        let good = Folder {
            path: "/d".into(),
            is_private: true,
            ..Folder::default()
        };
        says(&folder(&good), Verdict::Ok, "private");
        let open = Folder {
            is_private: false,
            ..good.clone()
        };
        says(&folder(&open), Verdict::Fail, "chmod 700");
        let mixed = Folder {
            strangers: vec!["identity/key.pem".into()],
            ..good.clone()
        };
        says(&folder(&mixed), Verdict::Fail, "identity/key.pem");
        let read_only = Folder {
            trouble: "it cannot be written: read-only".into(),
            ..good.clone()
        };
        says(&folder(&read_only), Verdict::Fail, "read-only");
        let foreign = Folder {
            is_foreign: true,
            ..good
        };
        says(&folder(&foreign), Verdict::Warn, "another user");
    }

    #[test]
    fn room_on_the_disk() {
        let config = Config::default();
        says(&disk(Ok(10 << 30), &config), Verdict::Ok, "10240 MiB");
        says(&disk(Ok(100 << 20), &config), Verdict::Warn, "buffer_bytes");
        says(
            &disk(Ok(64 << 20), &config),
            Verdict::Fail,
            "keep_free_bytes",
        );
        says(&disk(Err("gone".into()), &config), Verdict::Fail, "gone");
    }

    #[test]
    fn enrolment_and_certificate() {
        says(
            &identity(&Err(IdentityError::NotEnrolled)),
            Verdict::Fail,
            "token",
        );
        let damaged = IdentityError::Damaged {
            path: "/d/identity/key.pem".into(),
        };
        says(&identity(&Err(damaged)), Verdict::Fail, "--replace");
        let of = |left: i64| certificate(Some(NOW + Span::from_secs(left)), NOW);
        says(&of(86_400), Verdict::Ok, "24 h");
        says(&of(1800), Verdict::Warn, "renewed");
        says(&of(-7200), Verdict::Fail, "ended 2 h ago");
        says(&of(0), Verdict::Fail, "ended");
        says(&certificate(None, NOW), Verdict::Fail, "cannot be read");
    }

    #[test]
    fn clocks() {
        let of = |offset: i64| clock(NOW, None, Some(Span::from_secs(offset)));
        says(&of(0), Verdict::Ok, "agrees");
        says(&of(-29), Verdict::Ok, "agrees");
        says(&of(40), Verdict::Warn, "40 s behind");
        says(&of(-40), Verdict::Warn, "40 s ahead");
        says(&of(400), Verdict::Fail, "timedatectl");
        says(&of(-400), Verdict::Fail, "6 min ahead");
        // Without the centre: a clock that fell back to its factory date.
        let last = Some(NOW + Span::from_secs(365 * 86_400));
        says(&clock(NOW, last, None), Verdict::Fail, "365 days before");
        says(
            &clock(NOW, Some(NOW), None),
            Verdict::Warn,
            "could not be asked",
        );
        says(
            &clock(NOW, None, None),
            Verdict::Warn,
            "nothing to hold it against",
        );
        // The centre's word goes before the last known time.
        says(&clock(NOW, last, Some(Span::ZERO)), Verdict::Ok, "agrees");
    }

    #[test]
    fn radios() {
        let of = |probe: Probe| radio(&probe, false);
        says(
            &of(Probe::Ready("hci0".into())),
            Verdict::Ok,
            "hci0 is ready",
        );
        says(
            &of(Probe::NoBus("no socket".into())),
            Verdict::Fail,
            "D-Bus",
        );
        says(
            &of(Probe::NoDaemon("no owner".into())),
            Verdict::Fail,
            "enable --now bluetooth",
        );
        says(&of(Probe::NoAdapter(None)), Verdict::Fail, "plug one in");
        says(
            &of(Probe::NoAdapter(Some("hci7".into()))),
            Verdict::Fail,
            "hci7",
        );
        says(&of(Probe::Off("hci0".into())), Verdict::Fail, "power on");
        says(
            &radio(&Probe::Off("hci0".into()), true),
            Verdict::Fail,
            "rfkill",
        );
    }

    #[test]
    fn ways_to_the_centre() {
        let of = |reached| {
            centre(&Door {
                name: "centre",
                address: "centre.example:8443".into(),
                reached,
                clock_offset: None,
            })
        };
        says(&of(Reached::Trusted), Verdict::Ok, "trusted");
        says(&of(Reached::NoAddress), Verdict::Fail, "host:port");
        says(
            &of(Reached::Nowhere("refused".into())),
            Verdict::Fail,
            "router",
        );
        says(&of(Reached::WrongTime), Verdict::Fail, "clock first");
        says(
            &of(Reached::Stranger("unknown issuer".into())),
            Verdict::Fail,
            "listening in",
        );
        says(&of(Reached::NoTls("alert".into())), Verdict::Fail, "proxy");
    }

    #[test]
    fn agents() {
        says(&agent(true, Some(&status()), NOW), Verdict::Ok, "it runs");
        says(
            &agent(false, Some(&status()), NOW),
            Verdict::Warn,
            "enable --now",
        );
        let hangs = agent(true, Some(&status()), NOW + Span::from_mins(1));
        says(&hangs, Verdict::Fail, "restart");
        says(&agent(true, None, NOW), Verdict::Fail, "restart");
    }

    #[test]
    fn buffers() {
        let config = Config::default();
        says(&buffer(None, (0, 0), &config), Verdict::Ok, "not run");
        says(
            &buffer(Some(&status()), (0, 0), &config),
            Verdict::Ok,
            "0 records",
        );
        for (set_aside, words) in [
            ((0, 2), "then delete corrupt-*"),
            ((1, 2), "never delete salvage-*"),
        ] {
            says(
                &buffer(Some(&status()), set_aside, &config),
                Verdict::Warn,
                words,
            );
        }
        let stuck = Status {
            store_trouble: "no space".into(),
            ..status()
        };
        says(
            &buffer(Some(&stuck), (0, 0), &config),
            Verdict::Fail,
            "no space",
        );
        let mut full = status();
        full.buffer.bytes = config.buffer_bytes / 10 * 9;
        says(
            &buffer(Some(&full), (0, 0), &config),
            Verdict::Warn,
            "full buffer",
        );
        let mut dropped = status();
        dropped.readings_dropped.insert("buffer_full".into(), 9);
        says(
            &buffer(Some(&dropped), (0, 0), &config),
            Verdict::Warn,
            "buffer_full: 9",
        );
    }
}
