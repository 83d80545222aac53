//! Reads what can be read from a store that does not open, byte by byte.
//!
//! Sealed records and rows carry a magic, a length and a checksum of their own, and the store keeps values in
//! one piece, so both can be found without it. A record found this way may have been receipted and deleted
//! before: sending it again is harmless, the centre knows its number.
//! Invariants: bounded memory per file chunk; nothing is written; damage never stops the search.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use prost::Message as _;
use proto::seal::{MAX_RECORD, parse_stub};
use vitals::{ContextId, StreamId};

use super::ledger::Context;
use super::rows::{self, ClockOf, ClockRow, ContextRow, GatewayRow, MAX_ROW, Row as _, StreamRow};

/// Bytes looked at in one go.
const CHUNK: usize = 1 << 20;
/// Bytes that a record or row may reach over the end of a chunk.
const OVERLAP: usize = if MAX_ROW > MAX_RECORD {
    MAX_ROW
} else {
    MAX_RECORD
} + 64;
/// Bytes of salvaged records kept at most, so that a huge damaged store does not take all memory.
const MOST_BYTES: usize = 64 << 20;

/// What was found.
#[derive(Debug, Default)]
pub struct Salvaged {
    /// Contexts by their place.
    pub contexts: BTreeMap<u64, Context>,
    /// Whole records by context and number; each passed its checksum.
    pub records: BTreeMap<(ContextId, u64), Vec<u8>>,
    /// Stream rows; of several versions the one with most readings decoded.
    pub streams: BTreeMap<StreamId, StreamRow>,
    /// The newest row of each clock.
    pub clocks: BTreeMap<ClockOf, ClockRow>,
    /// The newest gateway row.
    pub gateway: Option<GatewayRow>,
    /// Bytes of the records.
    bytes: usize,
}

/// Searches all files of a store's folder.
///
/// # Errors
/// The folder cannot be listed. Files that cannot be read are passed over.
pub fn scan(dir: &Path) -> io::Result<Salvaged> {
    let mut found = Salvaged::default();
    for file in files(dir)? {
        if let Err(error) = scan_file(&file, &mut found) {
            tracing::warn!(%error, "a file of the damaged store cannot be read");
        }
    }
    Ok(found)
}

fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(self::files(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn scan_file(path: &Path, found: &mut Salvaged) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut window = Vec::with_capacity(CHUNK + OVERLAP);
    loop {
        let got = (&mut file).take(CHUNK as u64).read_to_end(&mut window)?;
        let last = got == 0;
        // What begins in the overlap is looked at again with the next chunk behind it.
        let end = if last {
            window.len()
        } else {
            window.len().saturating_sub(OVERLAP)
        };
        scan_bytes(&window, end, found);
        window.drain(..end);
        if last {
            return Ok(());
        }
    }
}

/// Looks at everything that begins before `end`.
fn scan_bytes(bytes: &[u8], end: usize, found: &mut Salvaged) {
    let mut at = 0;
    while at < end {
        let Some(step) = bytes[at..end.max(at)].iter().position(|byte| *byte == b'V') else {
            return;
        };
        at += step;
        let rest = &bytes[at..];
        at += match rest.get(..4) {
            Some(b"VTB1") => record(rest, found),
            Some(b"VTR1") => row(rest, found),
            _ => 1,
        };
    }
}

/// The bytes to skip.
fn record(bytes: &[u8], found: &mut Salvaged) -> usize {
    // Offset 55 of the stub: the padded size.
    let padded = bytes
        .get(55..57)
        .map(|raw| usize::from(raw[0]) << 8 | usize::from(raw[1]));
    let whole = padded
        .map(|padded| 57 + padded + 20)
        .filter(|size| *size <= MAX_RECORD)
        .and_then(|size| bytes.get(..size));
    let Some(whole) = whole else {
        return 1;
    };
    let Ok(stub) = parse_stub(whole) else {
        return 1;
    };
    if found.bytes + whole.len() <= MOST_BYTES {
        let key = (stub.context, stub.number);
        if found.records.insert(key, whole.to_vec()).is_none() {
            found.bytes += whole.len();
        }
    }
    whole.len()
}

fn row(bytes: &[u8], found: &mut Salvaged) -> usize {
    let Some((kind, message, length)) = rows::find(bytes) else {
        return 1;
    };
    match kind {
        ContextRow::KIND => {
            if let Ok(row) = ContextRow::decode(message) {
                let ordinal = row.ordinal;
                if let Some(context) = row.context() {
                    found.contexts.insert(ordinal, context);
                }
            }
        }
        StreamRow::KIND => {
            if let Ok(row) = StreamRow::decode(message)
                && let Some(stream) = StreamId::from_slice(&row.stream)
            {
                let newer = found.streams.get(&stream).is_none_or(|known| {
                    (known.durable_at_us, known.readings_decoded)
                        <= (row.durable_at_us, row.readings_decoded)
                });
                if newer {
                    found.streams.insert(stream, row);
                }
            }
        }
        ClockRow::KIND => {
            if let Ok(row) = ClockRow::decode(message)
                && let Some(of) = row.of()
            {
                let known = found.clocks.get(&of);
                if known.is_none_or(|known| known.kept_at_us <= row.kept_at_us) {
                    found.clocks.insert(of, row);
                }
            }
        }
        GatewayRow::KIND => {
            if let Ok(row) = GatewayRow::decode(message) {
                let newer = found
                    .gateway
                    .as_ref()
                    .is_none_or(|known| known.committed_at_us <= row.committed_at_us);
                if newer {
                    found.gateway = Some(row);
                }
            }
        }
        _ => {}
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_in_rubbish_and_the_newest_counts() {
        let row = |committed_at_us| GatewayRow {
            committed_at_us,
            ..GatewayRow::default()
        };
        let mut bytes = b"VVTR1VTB1VTR1".to_vec();
        bytes.extend(row(5).to_bytes());
        bytes.extend(row(7).to_bytes());
        bytes.extend(row(6).to_bytes());
        let mut damaged = row(9).to_bytes();
        damaged[10] ^= 1;
        bytes.extend(damaged);
        let mut found = Salvaged::default();
        scan_bytes(&bytes, bytes.len(), &mut found);
        assert_eq!(found.gateway, Some(row(7)));
    }

    #[test]
    fn what_lies_across_two_chunks_is_found() {
        let dir = tempfile::tempdir().expect("a folder");
        let row = GatewayRow {
            next_ordinal: 3,
            ..GatewayRow::default()
        };
        let mut bytes = vec![b'V'; CHUNK - 5];
        bytes.extend(row.to_bytes());
        bytes.extend(vec![0; CHUNK]);
        std::fs::write(dir.path().join("db"), bytes).expect("written");
        let found = scan(dir.path()).expect("read");
        assert_eq!(found.gateway, Some(row));
    }
}
