//! What a device was when it was first met or paired, and whether what answers now is the same.
//!
//! Anybody can advertise another's address. A pin holds what the first meeting (or pairing) told: later links are
//! held to it, and what answers differently is refused and told, never read.
//! Invariants: PURE but for [`load`], [`settled`], [`store`] and [`forget`]; a text that could not be read this time is no
//! difference, but no proof either.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::Address;
use crate::identity::{own_dir, write_atomically};

/// The folder in the agent's folder; one file a device.
const FOLDER: &str = "devices";
/// Changes of the folder that are further apart than this have different stamps.
const STAMP: Duration = Duration::from_secs(5);

/// What a device said about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pin {
    /// Its identity address as `BlueZ` resolves it; absent if it was never paired.
    pub identity: Option<Address>,
    /// There is a bond: keys that only the true device has.
    pub bonded: bool,
    /// Manufacturer name (2A29).
    pub manufacturer: Option<String>,
    /// Model number (2A24).
    pub model: Option<String>,
    /// Serial number (2A25).
    pub serial: Option<String>,
}

/// Whether it is the same device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As far as can be told.
    Same,
    /// It did not say what it said before: ask again.
    Unclear,
    /// It is another one: this differs.
    Other(&'static str),
}

impl Pin {
    /// In the place of one that cannot be read: no device says this of itself, for what devices say has no control
    /// characters here.
    #[must_use]
    fn damaged() -> Self {
        Self {
            serial: Some("damaged\u{1}".into()),
            ..Self::default()
        }
    }

    /// Holds what a device says now against the pin.
    #[must_use]
    pub fn judge(&self, now: &Self) -> Verdict {
        if self.bonded && !now.bonded {
            return Verdict::Other("its bond");
        }
        let mut unclear = false;
        for (pinned, said, what) in [
            (&self.manufacturer, &now.manufacturer, "its manufacturer"),
            (&self.model, &now.model, "its model"),
            (&self.serial, &now.serial, "its serial number"),
        ] {
            match (pinned, said) {
                (Some(pinned), Some(said)) if pinned != said => return Verdict::Other(what),
                (Some(_), None) => unclear = true,
                _ => {}
            }
        }
        // Who holds the keys of the bond is the device, whatever it could not say this time.
        if unclear && !self.bonded {
            Verdict::Unclear
        } else {
            Verdict::Same
        }
    }
}

/// The folder of pins.
#[must_use]
pub fn folder(dir: &Path) -> PathBuf {
    dir.join(FOLDER)
}

/// All pins. A file that is damaged is a pin that no device fits, and is named in the log.
///
/// # Errors
/// The folder cannot be read; that there is none is no error.
pub fn load(dir: &Path) -> io::Result<BTreeMap<Address, Pin>> {
    let entries = match std::fs::read_dir(folder(dir)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error),
    };
    let mut pins = BTreeMap::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.and_then(|name| name.strip_suffix(".json"));
        let Some(device) = name.and_then(Address::parse) else {
            continue;
        };
        match serde_json::from_slice(&std::fs::read(&path)?) {
            Ok(pin) => drop(pins.insert(device, pin)),
            Err(_) => {
                tracing::error!(%device, "the device's pin is damaged: pair it anew");
                drop(pins.insert(device, Pin::damaged()));
            }
        }
    }
    Ok(pins)
}

/// When a pin was kept or forgotten last; `None` if that is unknown, or so short ago that another may have the same stamp.
#[must_use]
pub fn settled(dir: &Path) -> Option<SystemTime> {
    let changed = std::fs::metadata(folder(dir)).and_then(|about| about.modified());
    // By the file system's clock, not the house's.
    let is_old = |changed: &SystemTime| changed.elapsed().is_ok_and(|age| age > STAMP);
    changed.ok().filter(is_old)
}

/// Keeps a pin.
///
/// # Errors
/// It cannot be written.
pub fn store(dir: &Path, device: Address, pin: &Pin) -> io::Result<()> {
    let folder = folder(dir);
    own_dir(&folder)?;
    let bytes = serde_json::to_vec_pretty(pin)?;
    write_atomically(&folder, &file(device), &bytes)
}

/// Forgets a pin: what answers next is pinned anew.
///
/// # Errors
/// It cannot be removed; that there is none is no error.
pub fn forget(dir: &Path, device: Address) -> io::Result<()> {
    match std::fs::remove_file(folder(dir).join(file(device))) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn file(device: Address) -> String {
    format!("{}.json", device.to_string().replace(':', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_just_now_is_not_settled() {
        let dir = tempfile::tempdir().expect("a folder");
        assert_eq!(settled(dir.path()), None, "none was ever kept");
        store(dir.path(), Address([1; 6]), &Pin::default()).expect("kept");
        assert_eq!(settled(dir.path()), None);
        let folder = std::fs::File::open(folder(dir.path())).expect("there");
        let now = folder.metadata().and_then(|about| about.modified());
        let before = now.expect("a stamp") - STAMP * 2;
        folder.set_modified(before).expect("set");
        assert_eq!(settled(dir.path()), Some(before));
        forget(dir.path(), Address([1; 6])).expect("forgotten");
        assert_eq!(settled(dir.path()), None, "and again");
    }

    fn pin(serial: Option<&str>) -> Pin {
        Pin {
            model: Some("strap".into()),
            serial: serial.map(Into::into),
            ..Pin::default()
        }
    }

    #[test]
    fn what_differs_is_another_device_and_what_is_not_said_is_unclear() {
        let pinned = pin(Some("1"));
        assert_eq!(pinned.judge(&pin(Some("1"))), Verdict::Same);
        assert_eq!(pinned.judge(&pin(None)), Verdict::Unclear);
        assert_eq!(
            pinned.judge(&pin(Some("2"))),
            Verdict::Other("its serial number")
        );
        // A device that says more than before is not another one.
        assert_eq!(pin(None).judge(&pin(Some("2"))), Verdict::Same);
        let bonded = Pin {
            bonded: true,
            ..pin(None)
        };
        assert_eq!(bonded.judge(&pin(None)), Verdict::Other("its bond"));
        assert_eq!(bonded.judge(&bonded), Verdict::Same);
        let named = Pin {
            bonded: true,
            ..pin(Some("1"))
        };
        assert_eq!(named.judge(&bonded), Verdict::Same, "the bond proves it");
    }

    #[test]
    fn pins_are_kept_and_forgotten() {
        let dir = tempfile::tempdir().expect("a folder");
        let device = Address([1, 2, 3, 4, 5, 6]);
        assert!(load(dir.path()).expect("none").is_empty());
        store(dir.path(), device, &pin(Some("1"))).expect("kept");
        assert_eq!(
            load(dir.path()).expect("one"),
            BTreeMap::from([(device, pin(Some("1")))])
        );
        // What cannot be read any more lets nobody in, and is cured by pairing anew.
        std::fs::write(folder(dir.path()).join(file(device)), b"{").expect("written");
        let pins = load(dir.path()).expect("one");
        for said in [pin(Some("1")), pin(None), Pin::default()] {
            assert_ne!(pins[&device].judge(&said), Verdict::Same);
        }
        forget(dir.path(), device).expect("forgotten");
        forget(dir.path(), device).expect("twice is no error");
        assert!(load(dir.path()).expect("none").is_empty());
    }
}
