//! How much room the journal's disk has: below a low-water mark batches are refused while the store still works, so
//! that what people do and what the centre notes of itself can still be written.
//!
//! Invariant: the disk is asked at most once a second. Must not know: SQLite, what is written.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const LOOK: Duration = Duration::from_secs(1);
const MIB: u64 = 1024 * 1024;

/// The journal's disk.
#[derive(Debug)]
pub struct Room {
    folder: PathBuf,
    least_mib: u64,
    seen: Mutex<Option<(Instant, Option<u64>)>>,
}

impl Room {
    /// The disk of `folder`, of which `least_mib` are to stay free; 0: nothing is asked.
    #[must_use]
    pub const fn new(folder: PathBuf, least_mib: u64) -> Self {
        Self {
            folder,
            least_mib,
            seen: Mutex::new(None),
        }
    }

    /// Why batches are refused; `None` while there is room, or where the system does not say.
    #[must_use]
    pub fn lacking(&self) -> Option<String> {
        if self.least_mib == 0 {
            return None;
        }
        let free = self.free_mib().filter(|free| *free < self.least_mib)?;
        let least = self.least_mib;
        Some(format!(
            "batches are refused: the journal's disk has {free} MiB left of at least {least} (disk_free_min_mib): free space"
        ))
    }

    fn free_mib(&self) -> Option<u64> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match *seen {
            Some((at, free)) if now.duration_since(at) < LOOK => free,
            Some(_) | None => {
                let free = free_bytes(&self.folder).map(|free| free / MIB).ok();
                *seen = Some((now, free));
                free
            }
        }
    }
}

/// What is free for this user on the disk of `folder`, bytes.
///
/// # Errors
/// As the system says.
pub fn free_bytes(folder: &Path) -> std::io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_room_is_told_with_its_remedy() {
        let folder = std::env::temp_dir();
        let full = Room::new(folder.clone(), u64::MAX).lacking();
        assert!(full.is_some_and(|text| text.contains("disk_free_min_mib")));
        assert_eq!(Room::new(folder.clone(), 0).lacking(), None);
        assert_eq!(Room::new(folder.join("nowhere"), u64::MAX).lacking(), None);
    }
}
