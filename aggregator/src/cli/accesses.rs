//! `accesses`: who looked at what of a patient, as the journal says.
//!
//! Must not know: what is written down when.

use std::io::Write as _;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use proto::v1::{AccessDoor, AccessPart, StaffRole};
use serde_json::{Value, json};
use vitals::{PatientId, Time};

use super::show;
use crate::dir::CentreDir;
use crate::journal::{Entry, Keeper, Opened, Position, Replay, Sight};
use crate::registry::Registry;
use crate::staff;

/// Whose, and how told.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The patient's id.
    patient: String,
    /// Only what this one looked at: a person's name, or such as "operator olga" and "platform tele".
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// What people were at each entry; nothing that is sealed is looked at.
#[derive(Default)]
struct Clerk(Mutex<Registry>);

impl Clerk {
    fn who(&self, by: &str, patient: &PatientId) -> (StaffRole, Vec<String>) {
        let registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        registry.who(by, patient)
    }
}

impl Keeper for Clerk {
    fn apply(&self, position: Position, _: Time, entry: &Entry) {
        // Who looks needs no more than who people are.
        if let Entry::Person { .. } | Entry::Team { .. } = entry {
            let mut registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            registry.apply(position, entry);
        }
    }

    fn unseal(&self, _: &Entry) -> Option<Arc<Opened>> {
        None
    }
}

/// Reads the whole journal, beside a centre at work.
pub(super) fn run(dir: &CentreDir, asked: &Arguments) -> Result<()> {
    super::settings(dir)?;
    let patient = PatientId::parse(&asked.patient)
        .context("PATIENT: an id as `patient list` shows it, such as p-4k2d")?;
    let clerk = Arc::new(Clerk::default());
    let replay = Replay::open(&dir.journal(), Arc::clone(&clerk) as _)?;
    let mut told = Vec::new();
    replay.run(Position::START, replay.next(), |committed| {
        let Entry::Looked {
            by,
            sight,
            patients,
            from,
            until,
        } = &*committed.entry
        else {
            return;
        };
        let asked_for = asked.by.as_ref().is_none_or(|name| staff::alike(name, by));
        if asked_for && patients.contains(&patient) {
            let (role, teams) = clerk.who(by, &patient);
            let who = (by.as_str(), role, teams.as_slice());
            told.push(as_value(committed.position, who, sight, (*from, *until)));
        }
    })?;
    let damaged = replay.damaged().load(Ordering::Relaxed);
    if damaged > 0 {
        let mut errors = std::io::stderr();
        // It may be closed: what counts is the answer.
        let _ = writeln!(
            errors,
            "{damaged} entries of the journal are damaged: looks may be among them"
        );
    }
    super::print(&if asked.json {
        show::json(&Value::Array(told))?
    } else if told.is_empty() {
        "nobody looked at anything of such a patient\n".into()
    } else {
        told.iter().map(text).collect()
    })
}

fn as_value(
    position: Position,
    (by, role, teams): (&str, StaffRole, &[String]),
    sight: &Sight,
    (from, until): (Time, Time),
) -> Value {
    let kinds: Vec<_> = sight.kinds.iter().map(|kind| kind.info().name).collect();
    let role = if role == StaffRole::Unspecified {
        ""
    } else {
        staff::role_name(role)
    };
    json!({
        "position": position.0,
        "by": by,
        "role": role,
        "teams": teams,
        "part": part(sight.part),
        "kinds": kinds,
        "named": sight.named,
        "door": door(sight.door),
        "from_us": from.as_micros(),
        "until_us": until.as_micros(),
    })
}

const fn part(part: AccessPart) -> &'static str {
    match part {
        AccessPart::Unspecified => "something",
        AccessPart::Values => "values",
        AccessPart::Alerts => "alerts",
        AccessPart::Facts => "facts",
        AccessPart::Readings => "readings",
        AccessPart::Coverage => "coverage",
        AccessPart::Waveforms => "waveforms",
        AccessPart::Names => "names",
        AccessPart::Past => "past",
        AccessPart::Copy => "copy",
        AccessPart::Paper => "paper",
    }
}

const fn door(door: AccessDoor) -> &'static str {
    match door {
        AccessDoor::Unspecified => "unknown",
        AccessDoor::Page => "page",
        AccessDoor::Certificate => "certificate",
        AccessDoor::Files => "files",
    }
}

fn text(of: &Value) -> String {
    let time = |field: &str| show::time(of[field].as_i64().unwrap_or_default());
    let word = |field: &str| of[field].as_str().unwrap_or_default();
    let words = |field: &str| {
        let words = of[field].as_array().into_iter().flatten();
        words
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let mut who = word("by").to_owned();
    for more in [word("role"), &words("teams")] {
        if !more.is_empty() {
            who = who + ", " + more;
        }
    }
    let kinds = words("kinds");
    let colon = if kinds.is_empty() { "" } else { ": " };
    let how = if of["named"] == true {
        ""
    } else {
        ", as one of a list"
    };
    format!(
        "{} to {}  {who}  {}{colon}{kinds}{how}, by {}\n",
        time("from_us"),
        time("until_us"),
        word("part"),
        word("door"),
    )
}
