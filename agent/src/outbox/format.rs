//! Which release's rules the outbox lies under: a number in a file beside it, `outbox.format`.
//!
//! Invariant: what a later release wrote is neither read nor set aside: it is whole, and that release knows how to go on
//! with it. Must not know: what lies in the outbox.

use std::fs;
use std::io;
use std::path::Path;

use super::store::StoreError;
use crate::identity::write_atomically;

const FILE: &str = "outbox.format";
/// Outboxes of the first releases have no such file: they are of version 1.
const KNOWN: u32 = 1;

/// Refuses an outbox of a later release; one without a number gets its own.
///
/// # Errors
/// [`StoreError::Newer`]; or the disk's.
pub(super) fn check(dir: &Path) -> Result<(), StoreError> {
    match fs::read_to_string(dir.join(FILE)) {
        // What no number can be read of is a torn write of this one.
        Ok(text) => match text.trim().parse() {
            Ok(found) if found > KNOWN => {
                return Err(StoreError::Newer {
                    found,
                    known: KNOWN,
                });
            }
            Ok(_) => return Ok(()),
            Err(_) => {}
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(StoreError::Io(error)),
    }
    // On a full disk it stays without one, which says the same.
    let _ = write_atomically(dir, FILE, format!("{KNOWN}\n").as_bytes());
    Ok(())
}
