//! Where there is no line: what waits is carried to the centre by hand, and its receipts back (`proto/CARRY.md`).
//!
//! Both take the agent's folder for themselves: a running agent must be stopped first, and says so.
//! Invariants: an export deletes nothing and takes the place of no file; a file is there whole or not at all; receipts
//! from a file delete what the same receipts would delete on the line, in the same way, by the core itself.
//! Must not know: what a record says, what a receipt proves.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proto::carry::{Cargo, CarryError, Frame, Reader, Writer};
use proto::v1::{CentreToGateway, OpenContext, Receipt, centre_to_gateway as down};
use vitals::{Span, Time};

use crate::app::{self, RunError};
use crate::ble::Overflow;
use crate::core::{Core, Event, Settings};
use crate::identity::{IdentityDir, IdentityError};
use crate::outbox::RecordId;
use crate::outbox::store::{Opened, Store, StoreError};
use crate::outbox::writer::{Done, Job};
use crate::survival;
use crate::uplink::UplinkEvent;
use crate::uplink::window::Limits;

/// Records read in one go.
const TOGETHER: usize = 64;
/// Receipts after which what they delete is made durable.
const A_COMMIT: u64 = 1000;

/// Why nothing was carried.
#[derive(Debug, thiserror::Error)]
pub enum HandError {
    /// The folder is in use, or cannot be used.
    #[error(transparent)]
    Folder(#[from] RunError),
    /// No identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The outbox.
    #[error("the outbox cannot be read or written")]
    Store(#[from] StoreError),
    /// Another file is there.
    #[error("{0} is there already: give another name")]
    IsThere(PathBuf),
    /// The other disk.
    #[error("{path} cannot be read or written")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("{path} cannot be taken")]
    Content {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: CarryError,
    },
}

/// What lies in the file now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Sealed records.
    pub records: u64,
    /// Scalar readings in them.
    pub readings: u64,
    /// Records that could not be read: the next start of the agent deals with them.
    pub unreadable: u64,
}

/// What receipts from a file did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipted {
    /// Records that are safe at the centre and deleted here.
    pub deleted: u64,
    /// Records that still wait.
    pub waiting: u64,
    /// Receipts that are not authentic: nothing was deleted for them.
    pub invalid: u64,
    /// Receipts for what is not here any more.
    pub late: u64,
    /// Receipts from before the centre was restored from a backup: what they cover is sent again.
    pub outdated: u64,
    /// Pieces of the file that were damaged.
    pub damaged: u64,
}

/// Writes everything that has no receipt into a file; `told` hears how many of how many records are written.
///
/// # Errors
/// [`HandError`], and no file.
pub fn export(
    dir: &Path,
    to: &Path,
    now: Time,
    told: impl FnMut(u64, u64),
) -> Result<Exported, HandError> {
    let lock = app::lock(dir)?;
    let at = |source| HandError::File {
        path: to.to_owned(),
        source,
    };
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    if to.exists() {
        return Err(HandError::IsThere(to.to_owned()));
    }
    let opened = Store::open(dir, now)?;
    let written = File::create_new(&part).map_err(at)?;
    let result = fill(opened, written, told, at);
    let kept = result.and_then(|exported| {
        // A stick has a file system that knows no better way to take no other file's place.
        if to.exists() {
            return Err(HandError::IsThere(to.to_owned()));
        }
        fs::rename(&part, to).map_err(at)?;
        Ok(exported)
    });
    if kept.is_err() {
        let _not_whole = fs::remove_file(&part);
    }
    drop(lock);
    kept
}

fn fill(
    mut opened: Opened,
    file: File,
    mut told: impl FnMut(u64, u64),
    at: impl Fn(io::Error) -> HandError,
) -> Result<Exported, HandError> {
    let mut writer = Writer::new(BufWriter::new(file), Cargo::Records).map_err(&at)?;
    let ids: Vec<RecordId> = opened.records.iter().map(|(id, _)| id).collect();
    let mut exported = Exported::default();
    let mut context = None;
    for some in ids.chunks(TOGETHER) {
        let found = opened.store.load(some)?;
        exported.unreadable += (some.len() - found.len()) as u64;
        for (id, record) in found {
            if context.replace(id.ordinal) != Some(id.ordinal)
                && let Some(of) = opened.contexts.get(&id.ordinal)
            {
                let open = OpenContext {
                    header: of.header.clone(),
                    certificate_chain: of.chain.clone(),
                };
                writer.put(&Frame::Context(open)).map_err(&at)?;
            }
            writer.put(&Frame::Record(record)).map_err(&at)?;
            exported.records += 1;
            let entry = opened.records.get(id);
            exported.readings += entry.map_or(0, |entry| u64::from(entry.stub.count));
        }
        told(exported.records, ids.len() as u64);
    }
    let file = writer.finish().map_err(&at)?;
    let file = file.into_inner().map_err(|error| at(error.into_error()))?;
    file.sync_all().map_err(&at)?;
    Ok(exported)
}

/// Takes the receipts of a file, as if the line had brought them.
///
/// # Errors
/// [`HandError`]; what was deleted before it is safe at the centre.
pub fn import_receipts(dir: &Path, file: &Path, now: Time) -> Result<Receipted, HandError> {
    let _lock = app::lock(dir)?;
    let content = |source| HandError::Content {
        path: file.to_owned(),
        source,
    };
    let open = File::open(file).map_err(|source| HandError::File {
        path: file.to_owned(),
        source,
    })?;
    let mut reader = Reader::new(BufReader::new(open), Cargo::Receipts).map_err(content)?;
    let identity_dir = IdentityDir::of(dir);
    let identity = identity_dir.load()?;
    let opened = Store::open(dir, now)?;
    let overflow = Overflow::default();
    let obeyed = identity_dir.obeyed();
    let mut core = Core::new(keeping_all(), &identity, obeyed, &opened, overflow, now);
    core.rest();
    let mut store = opened.store;
    let before = core.status(now).buffer.records;
    let (mut receipts, mut damaged, mut broken) = (0, 0, None);
    loop {
        match reader.next_frame() {
            Ok(Some(Frame::Receipt(receipt))) => {
                core.handle(Event::Uplink(UplinkEvent::Message(said(receipt))), now);
                receipts += 1;
                if receipts % A_COMMIT == 0 {
                    core.commit_now(now);
                    work(&mut core, &mut store, now)?;
                }
            }
            Ok(Some(Frame::Context(_) | Frame::Record(_))) => damaged += 1,
            Ok(None) => break,
            Err(error) if error.is_passing() => damaged += 1,
            // What came before it holds.
            Err(error) => {
                broken = Some(error);
                break;
            }
        }
    }
    let status = core.status(now);
    core.stop(now);
    while !core.is_durable() {
        work(&mut core, &mut store, now)?;
    }
    store.finish();
    if let Some(error) = broken {
        return Err(content(error));
    }
    let waiting = status.buffer.records as u64;
    Ok(Receipted {
        // A loss that was declared meanwhile waits as well.
        deleted: (before as u64).saturating_sub(waiting),
        waiting,
        invalid: status.receipts_invalid,
        late: status.receipts_late,
        outdated: status.receipts_outdated,
        damaged,
    })
}

/// Does what the core wants of the store.
fn work(core: &mut Core, store: &mut Store, now: Time) -> Result<(), HandError> {
    core.tick(now);
    while let Some(job) = core.poll_job() {
        let done = match job {
            Job::Commit(changes) => {
                store.commit(&Arc::clone(&changes))?;
                let (result, free) = (Ok(()), u64::MAX);
                Done::Committed { result, free }
            }
            Job::Load(ids) => Done::Loaded(store.load(&ids)),
        };
        core.handle(Event::Store(done), now);
    }
    Ok(())
}

const fn said(receipt: Receipt) -> CentreToGateway {
    CentreToGateway {
        kind: Some(down::Kind::Receipt(receipt)),
    }
}

/// Nothing is dropped, sent or measured by this.
fn keeping_all() -> Settings {
    Settings {
        commit_interval: Span::ZERO,
        buffer_bytes: u64::MAX,
        buffer_age: Span::from_secs(1_000_000_000),
        bytes_per_day: 0,
        keep_free_bytes: 0,
        clock_ahead: Span::ZERO,
        heartbeat: Span::from_secs(1_000_000_000),
        window: Limits::default(),
        survival: survival::Limits {
            after: None,
            clear: Span::ZERO,
        },
    }
}
