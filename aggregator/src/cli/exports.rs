//! `exports`: who took copies of past readings, of whom and of when, as the journal says.
//!
//! Must not know: what readings are.

use std::sync::Arc;

use anyhow::Result;
use serde_json::{Value, json};
use vitals::{Kind, Time};

use super::show;
use crate::dir::CentreDir;
use crate::journal::{Entry, Keeper, Opened, Position, Replay};

/// Nothing that is sealed is looked at.
struct Closed;

impl Keeper for Closed {
    fn apply(&self, _: Position, _: Time, _: &Entry) {}

    fn unseal(&self, _: &Entry) -> Option<Arc<Opened>> {
        None
    }
}

/// Reads the whole journal, beside a centre at work.
pub(super) fn run(dir: &CentreDir, as_json: bool) -> Result<()> {
    super::settings(dir)?;
    let replay = Replay::open(&dir.journal(), Arc::new(Closed))?;
    let mut told = Vec::new();
    replay.run(Position::START, replay.next(), |committed| {
        if let Entry::Exported { .. } = &*committed.entry {
            let (position, known) = (committed.position, committed.known);
            told.extend(as_value(position, known, &committed.entry));
        }
    })?;
    super::print(&if as_json {
        show::json(&Value::Array(told))?
    } else {
        told.iter().map(text).collect()
    })
}

fn as_value(position: Position, at: Time, entry: &Entry) -> Option<Value> {
    let Entry::Exported {
        by,
        patients,
        kinds,
        from,
        to,
        known,
        pseudonymous,
    } = entry
    else {
        return None;
    };
    let patients: Vec<_> = patients.iter().map(|patient| patient.reveal()).collect();
    let kinds: Vec<_> = kinds.iter().map(|kind: &Kind| kind.info().name).collect();
    Some(json!({
        "position": position.0,
        "at_us": at.as_micros(),
        "by": by,
        "patients": patients,
        "kinds": kinds,
        "from_us": from.as_micros(),
        "to_us": to.as_micros(),
        "known_at_position": known.0,
        "pseudonymous": pseudonymous,
    }))
}

fn text(of: &Value) -> String {
    let time = |field: &str| show::time(of[field].as_i64().unwrap_or_default());
    let names = |field: &str| {
        let names = of[field].as_array().into_iter().flatten();
        let names: Vec<_> = names.filter_map(Value::as_str).collect();
        names.join(" ")
    };
    let kinds = match names("kinds") {
        none if none.is_empty() => "all kinds".into(),
        kinds => kinds,
    };
    let how = if of["pseudonymous"] == true {
        "under names of the copy's own"
    } else {
        "with the patients' ids"
    };
    format!(
        "{}  {}: {kinds}, {} to {}, {how}, of {}\n",
        time("at_us"),
        of["by"].as_str().unwrap_or_default(),
        time("from_us"),
        time("to_us"),
        names("patients"),
    )
}
