//! Reads what can be read from a store that is damaged, byte by byte.
//!
//! Sealed records and rows carry a magic, a length and a checksum of their own, and the store keeps values in
//! one piece, so both can be found without it. A record found this way may have been receipted and deleted
//! before: sending it again is harmless, the centre knows its number. It may also be found more than once.
//! Invariants: bounded memory, however large the store; nothing is written; damage never stops the search, nor do
//! places that the disk cannot read.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use prost::Message as _;
use proto::seal::{MAX_RECORD, Stub, parse_stub};
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
/// What is passed over where the disk cannot read.
const PAGE: usize = 4096;

/// Something whole.
#[derive(Debug)]
pub enum Found<'b> {
    /// A sealed record that passed its checksum.
    Record(Stub, &'b [u8]),
    /// A context.
    Context(ContextRow),
    /// A stream's lasting state, of any age.
    Stream(StreamRow),
    /// The gateway's counters, of any age.
    Gateway(GatewayRow),
    /// What is known of a device's clock, of any age.
    Clock(ClockRow),
}

/// The rows that were found: of several versions the newest. Few, and small.
#[derive(Debug, Default)]
pub struct Rows {
    /// Contexts, each with its place when it was opened.
    pub contexts: BTreeMap<ContextId, (u64, Context)>,
    /// Streams.
    pub streams: BTreeMap<StreamId, StreamRow>,
    /// The gateway's row.
    pub gateway: Option<GatewayRow>,
    /// Devices' clocks.
    pub clocks: BTreeMap<ClockOf, ClockRow>,
}

impl Rows {
    /// Keeps a row, if it is the newest; a record is passed over.
    pub fn take(&mut self, found: Found<'_>) {
        match found {
            Found::Record(..) => {}
            Found::Context(row) => {
                let ordinal = row.ordinal;
                if let Some(context) = row.context() {
                    self.contexts.insert(context.id, (ordinal, context));
                }
            }
            Found::Stream(row) => {
                if let Some(stream) = StreamId::from_slice(&row.stream)
                    && self
                        .streams
                        .get(&stream)
                        .is_none_or(|known| known.age() <= row.age())
                {
                    self.streams.insert(stream, row);
                }
            }
            Found::Clock(row) => {
                if let Some(of) = row.of()
                    && self
                        .clocks
                        .get(&of)
                        .is_none_or(|known| known.kept_at_us <= row.kept_at_us)
                {
                    self.clocks.insert(of, row);
                }
            }
            Found::Gateway(row) => {
                if self
                    .gateway
                    .as_ref()
                    .is_none_or(|known| known.age() <= row.age())
                {
                    self.gateway = Some(row);
                }
            }
        }
    }
}

/// Searches all files of a store's folder, one behind the other, from the byte `from` on, and gives what is found
/// to `take`. Before each piece `go_on` hears how far everything was found: from there another search can begin.
///
/// # Errors
/// The folder cannot be listed, or those of `take` and `go_on`, which end it. Files that cannot be read are passed
/// over.
pub fn scan<E: From<io::Error>>(
    dir: &Path,
    from: u64,
    mut go_on: impl FnMut(u64) -> Result<(), E>,
    mut take: impl FnMut(Found<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut before = 0;
    for path in files(dir)? {
        match File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file))) {
            Ok((length, file)) => {
                let part = from.saturating_sub(before).min(length)..length;
                let read = |into: &mut [u8], at| file.read_at(into, at);
                scan_file(part, read, &mut |at| go_on(before + at), &mut take)?;
                before += length;
            }
            Err(error) => tracing::warn!(%error, "a file of the damaged store cannot be read"),
        }
    }
    Ok(())
}

/// Bytes of a store's files, and that there is nothing in them: all can be read, and nothing is found. `None` where
/// that is not so.
#[must_use]
pub fn nothing_in(dir: &Path) -> Option<u64> {
    let mut bytes = 0;
    for path in files(dir).ok()? {
        bytes += io::copy(&mut File::open(path).ok()?, &mut io::sink()).ok()?;
    }
    let found = |_: Found<'_>| Err(io::Error::other("found"));
    scan(dir, 0, |_| Ok(()), found).ok().map(|()| bytes)
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

/// A part of a file, of which `read` gives bytes at a place.
fn scan_file<E>(
    part: Range<u64>,
    read: impl Fn(&mut [u8], u64) -> io::Result<usize>,
    go_on: &mut impl FnMut(u64) -> Result<(), E>,
    take: &mut impl FnMut(Found<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut window = Vec::with_capacity(CHUNK + OVERLAP);
    let mut at = part.start;
    while at < part.end {
        // What begins in the window was not looked at yet.
        let found_until = at - window.len() as u64;
        go_on(found_until)?;
        let before = window.len();
        window.resize(before + CHUNK, 0);
        let got = read(&mut window[before..], at);
        window.truncate(before + *got.as_ref().unwrap_or(&0));
        at += match got {
            // Shorter than it was.
            Ok(0) => break,
            Ok(got) => got as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(_unreadable) => {
                // A dying disk takes its time for each page.
                page_by_page(&read, at, &mut window, || go_on(found_until))?
            }
        };
        // What begins in the overlap is looked at again with the next chunk behind it.
        let end = window.len().saturating_sub(OVERLAP);
        scan_bytes(&window, end, take)?;
        window.drain(..end);
    }
    scan_bytes(&window, window.len(), take)
}

/// A large piece could not be read: its pages, as far as the disk can, and zeros for the others, so that what
/// reaches over them fails its checksum. The bytes that are dealt with.
fn page_by_page<E>(
    read: impl Fn(&mut [u8], u64) -> io::Result<usize>,
    at: u64,
    window: &mut Vec<u8>,
    mut go_on: impl FnMut() -> Result<(), E>,
) -> Result<u64, E> {
    let mut page = [0; PAGE];
    for place in (at..).step_by(PAGE).take(CHUNK / PAGE) {
        go_on()?;
        page.fill(0);
        let _zeros_where_it_fails = read(&mut page, place);
        window.extend_from_slice(&page);
    }
    Ok(CHUNK as u64)
}

/// Looks at everything that begins before `end`.
fn scan_bytes<E>(
    bytes: &[u8],
    end: usize,
    take: &mut impl FnMut(Found<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut at = 0;
    while at < end {
        let Some(step) = bytes[at..end].iter().position(|byte| *byte == b'V') else {
            break;
        };
        at += step;
        let rest = &bytes[at..];
        let found = match rest.get(..4) {
            Some(b"VTB1" | b"VTB2") => record(rest),
            Some(b"VTR1") => row(rest),
            _ => None,
        };
        if let Some((found, length)) = found {
            take(found)?;
            at += length;
        } else {
            at += 1;
        }
    }
    Ok(())
}

/// A record, and its length.
fn record(bytes: &[u8]) -> Option<(Found<'_>, usize)> {
    // Offset 55 of the stub: the padded size.
    let padded = bytes.get(55..57)?;
    let size = 57 + (usize::from(padded[0]) << 8 | usize::from(padded[1])) + 20;
    if size > MAX_RECORD {
        return None;
    }
    let whole = bytes.get(..size)?;
    let stub = parse_stub(whole).ok()?;
    Some((Found::Record(stub, whole), size))
}

/// A row, and its length.
fn row(bytes: &[u8]) -> Option<(Found<'_>, usize)> {
    let (kind, message, length) = rows::find(bytes)?;
    let found = match kind {
        ContextRow::KIND => Found::Context(ContextRow::decode(message).ok()?),
        StreamRow::KIND => Found::Stream(StreamRow::decode(message).ok()?),
        GatewayRow::KIND => Found::Gateway(GatewayRow::decode(message).ok()?),
        ClockRow::KIND => Found::Clock(ClockRow::decode(message).ok()?),
        _ => return None,
    };
    Some((found, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(commits: u64) -> GatewayRow {
        GatewayRow {
            commits,
            // A clock that goes back tells nothing.
            committed_at_us: -i64::try_from(commits).expect("small"),
            ..GatewayRow::default()
        }
    }

    fn rows_of(bytes: &[u8], unreadable: std::ops::Range<u64>) -> Rows {
        let read = |into: &mut [u8], at: u64| {
            let end = (at + into.len() as u64).min(bytes.len() as u64);
            if at < unreadable.end && unreadable.start < end {
                return Err(io::Error::other("a bad sector"));
            }
            let from = usize::try_from(at).expect("small").min(bytes.len());
            let part = &bytes[from..usize::try_from(end).expect("small").max(from)];
            into[..part.len()].copy_from_slice(part);
            Ok(part.len())
        };
        let mut found = Rows::default();
        let mut take = |it: Found<'_>| {
            found.take(it);
            Ok::<(), io::Error>(())
        };
        let all = 0..bytes.len() as u64;
        scan_file(all, read, &mut |_| Ok(()), &mut take).expect("nothing fails");
        found
    }

    #[test]
    fn rows_are_found_in_rubbish_and_the_newest_counts() {
        let mut bytes = b"VVTR1VTB1VTR1".to_vec();
        bytes.extend(row(5).to_bytes());
        bytes.extend(row(7).to_bytes());
        bytes.extend(row(6).to_bytes());
        let mut damaged = row(9).to_bytes();
        damaged[10] ^= 1;
        bytes.extend(damaged);
        assert_eq!(rows_of(&bytes, 0..0).gateway, Some(row(7)));
    }

    #[test]
    fn records_are_found_deflated_or_not() {
        use proto::seal::record::checksum;
        let record = |magic: &[u8; 4], number: u8| {
            let mut record = magic.to_vec();
            record.extend([3; 32]);
            record.extend([
                0, 0, 0, 0, 0, 0, 0, number, 2, 0, 1, 0, 1, 0, 0, 0, 9, 0, 1, 0, 64,
            ]);
            record.resize(57 + 64 + 16, 0x5A);
            let sum = checksum(&record);
            [record.as_slice(), &sum].concat()
        };
        let bytes = [record(b"VTB1", 1), record(b"VTB2", 2), record(b"VTB3", 3)].concat();
        let mut numbers = Vec::new();
        let scanned: Result<(), ()> = scan_bytes(&bytes, bytes.len(), &mut |found| {
            if let Found::Record(stub, _) = found {
                numbers.push(stub.number);
            }
            Ok(())
        });
        assert!(scanned.is_ok());
        assert_eq!(numbers, [1, 2]);
    }

    #[test]
    fn what_lies_across_two_chunks_is_found() {
        let mut bytes = vec![b'V'; CHUNK - 5];
        bytes.extend(row(3).to_bytes());
        bytes.extend(vec![0; CHUNK]);
        assert_eq!(rows_of(&bytes, 0..0).gateway, Some(row(3)));
    }

    #[test]
    fn a_search_that_stopped_goes_on_where_everything_was_found() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut bytes = vec![0; 4 * CHUNK];
        let places = [9, CHUNK - 5, 2 * CHUNK - 30, 3 * CHUNK + 7];
        for (at, commits) in places.into_iter().zip(1..) {
            let row = row(commits).to_bytes();
            bytes[at..at + row.len()].copy_from_slice(&row);
        }
        // Two files, so that places are counted over both.
        std::fs::write(dir.path().join("a"), &bytes[..CHUNK + 100]).expect("written");
        std::fs::write(dir.path().join("b"), &bytes[CHUNK + 100..]).expect("written");
        let (mut found, mut from, mut stops) = (Vec::new(), 0, 0);
        loop {
            // Each search may do one piece more.
            let (mut pieces, mut reached) = (0, from);
            let go_on = |at| {
                reached = at;
                pieces += 1;
                (pieces < 3).then_some(()).ok_or(io::Error::other("stop"))
            };
            let take = |it: Found<'_>| {
                if let Found::Gateway(row) = it {
                    found.push(row.commits);
                }
                Ok(())
            };
            if scan(dir.path(), from, go_on, take).is_ok() {
                break;
            }
            assert!(reached > from, "it gets on");
            (from, stops) = (reached, stops + 1);
        }
        found.dedup();
        assert_eq!(found, [1, 2, 3, 4]);
        assert!(stops > 1);
    }

    #[test]
    fn a_place_that_cannot_be_read_costs_its_own_page_alone() {
        let mut bytes = vec![0; 3 * CHUNK];
        for (at, commits) in [(4000, 1), (8192 + 40, 2), (3 * CHUNK - 500, 1)] {
            let row = row(commits).to_bytes();
            bytes[at..at + row.len()].copy_from_slice(&row);
        }
        assert_eq!(rows_of(&bytes, 4096..4097).gateway, Some(row(2)));
        assert_eq!(rows_of(&bytes, 8200..8201).gateway, Some(row(1)));
        let whole = 0..bytes.len() as u64;
        assert_eq!(rows_of(&bytes, whole).gateway, None);
    }
}
