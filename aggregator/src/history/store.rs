//! The history's tables in SQLite (WAL, synchronous=FULL), in a file of their own: the only file of the history that
//! names rusqlite.
//!
//! `blocks`: a patient's readings of a stretch of the journal, and their sums by the minute and by the hour, each sealed
//! apart; in clear stand what the journal's stubs tell, too: journal positions, whole minutes, a count. `seen`: what
//! came of each context, sealed. `progress`: how far the journal was read. Pages of 1 KiB: a block's last page is half
//! empty on average.
//!
//! Invariants: blocks, what was seen and progress move in one transaction, and so do a merged block and its parts; an id
//! is never used again. Must not know: what is sealed, the journal.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction, params};
use vitals::{ContextId, PatientId};

/// Marks the file as ours (`VTH1`).
const APPLICATION_ID: i32 = 0x5654_4831;
const TABLES: i32 = 1;
const BUSY: Duration = Duration::from_secs(5);

/// What SQLite said.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct StoreError(String);

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self(error.to_string())
    }
}

/// What stands in clear of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(super) id: i64,
    /// How often it was merged.
    pub(super) level: u32,
    /// Journal positions of its first and last batch.
    pub(super) first: u64,
    pub(super) last: u64,
    /// When its last batch was known, ms.
    pub(super) known: i64,
    /// Whole minutes of effective time.
    pub(super) oldest: i64,
    pub(super) newest: i64,
    pub(super) readings: usize,
}

/// A sealed part of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Hours,
    Minutes,
    Readings,
}

/// A block to write; `row.id` is not looked at.
#[derive(Clone, Debug)]
pub(super) struct NewBlock {
    pub(super) patient: PatientId,
    pub(super) row: Row,
    pub(super) hours: Vec<u8>,
    pub(super) minutes: Vec<u8>,
    pub(super) readings: Vec<u8>,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Store {
    connection: Connection,
}

const CREATE: &str = "
    PRAGMA page_size = 1024;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA application_id = 0x56544831;
    PRAGMA user_version = 1;
    CREATE TABLE IF NOT EXISTS patients (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE IF NOT EXISTS blocks (
        id INTEGER PRIMARY KEY AUTOINCREMENT, patient INTEGER NOT NULL, level INTEGER NOT NULL,
        first INTEGER NOT NULL, last INTEGER NOT NULL, known INTEGER NOT NULL, oldest INTEGER NOT NULL,
        newest INTEGER NOT NULL, count INTEGER NOT NULL,
        hours BLOB NOT NULL, minutes BLOB NOT NULL, readings BLOB NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS blocks_by_time ON blocks (patient, newest, oldest);
    CREATE INDEX IF NOT EXISTS blocks_by_end ON blocks (last);
    CREATE TABLE IF NOT EXISTS seen (context BLOB PRIMARY KEY, patient INTEGER NOT NULL, seen BLOB NOT NULL)
        STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS progress (one INTEGER PRIMARY KEY CHECK (one = 1), covered INTEGER NOT NULL) STRICT;
";

const COLUMNS: &str = "b.id, b.level, b.first, b.last, b.known, b.oldest, b.newest, b.count";

impl Store {
    /// Opens or creates.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = Connection::open(path)?;
        check(&connection, path)?;
        connection.busy_timeout(BUSY)?;
        connection.execute_batch(CREATE)?;
        Ok(Self { connection })
    }

    /// A connection that only reads, never in the way of the writing one. The file must exist.
    pub(super) fn open_to_read(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        check(&connection, path)?;
        connection.busy_timeout(BUSY)?;
        Ok(Self { connection })
    }

    /// The last journal position that lies in blocks; 0: none.
    pub(super) fn covered(&self) -> Result<u64, StoreError> {
        let select = "SELECT covered FROM progress";
        let covered: Option<i64> = self
            .connection
            .query_row(select, [], |row| row.get(0))
            .optional()?;
        Ok(covered.map_or(0, i64::cast_unsigned))
    }

    /// What came of a context, sealed.
    pub(super) fn seen(&self, context: ContextId) -> Result<Option<Vec<u8>>, StoreError> {
        let mut select = self
            .connection
            .prepare_cached("SELECT seen FROM seen WHERE context = ?1")?;
        Ok(select.query_row([context.0], |row| row.get(0)).optional()?)
    }

    /// Blocks and what was seen become durable together with how far they reach.
    pub(super) fn add(
        &mut self,
        blocks: &[NewBlock],
        seen: &[(ContextId, PatientId, Vec<u8>)],
        covered: u64,
    ) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        for block in blocks {
            insert(&transaction, block)?;
        }
        for (context, patient, sealed) in seen {
            let patient = patient_number(&transaction, patient)?;
            let mut put = transaction.prepare_cached(
                "INSERT OR REPLACE INTO seen (context, patient, seen) VALUES (?1, ?2, ?3)",
            )?;
            put.execute(params![context.0, patient, sealed])?;
        }
        transaction.execute(
            "INSERT OR REPLACE INTO progress (one, covered) VALUES (1, ?1)",
            [covered.cast_signed()],
        )?;
        Ok(transaction.commit()?)
    }

    /// Puts merged blocks in the place of their parts.
    pub(super) fn replace(&mut self, merged: &[(Vec<i64>, NewBlock)]) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        for (parts, block) in merged {
            for id in parts {
                let mut delete = transaction.prepare_cached("DELETE FROM blocks WHERE id = ?1")?;
                if delete.execute([id])? != 1 {
                    return Err(StoreError(format!(
                        "block {id} is gone: who else writes this file?"
                    )));
                }
            }
            insert(&transaction, block)?;
        }
        Ok(transaction.commit()?)
    }

    /// Removes some of the blocks of which every batch lies before a position, with what finds them: how many, and the
    /// readings in them.
    pub(super) fn remove_before(
        &mut self,
        below: u64,
        most: u32,
    ) -> Result<(u64, u64), StoreError> {
        let mut delete = self.connection.prepare_cached(
            "DELETE FROM blocks WHERE id IN (SELECT id FROM blocks WHERE last < ?1 ORDER BY last LIMIT ?2)
             RETURNING count",
        )?;
        let counts = delete.query_map(params![below.cast_signed(), most], |row| row.get(0))?;
        let counts: Vec<i64> = counts.collect::<Result<_, _>>()?;
        let readings = counts.iter().map(|count| count.cast_unsigned()).sum();
        Ok((counts.len() as u64, readings))
    }

    /// Blocks that may hold readings of these minutes and reach no further than `covered` in the journal; in the order
    /// of their oldest.
    pub(super) fn rows(
        &self,
        patient: &PatientId,
        (from, to): (i64, i64),
        covered: u64,
    ) -> Result<Vec<Row>, StoreError> {
        let mut select = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM patients p JOIN blocks b ON b.patient = p.id
             WHERE p.name = ?1 AND b.newest >= ?2 AND b.oldest <= ?3 AND b.last <= ?4 ORDER BY b.oldest, b.id"
        ))?;
        let covered = covered.cast_signed();
        let rows = select.query_map(params![patient.reveal(), from, to, covered], read_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// All blocks of a patient that may still be merged, in journal order.
    pub(super) fn young(&self, patient: &PatientId, grown: u32) -> Result<Vec<Row>, StoreError> {
        let mut select = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM patients p JOIN blocks b ON b.patient = p.id
             WHERE p.name = ?1 AND b.level < ?2 ORDER BY b.first"
        ))?;
        let rows = select.query_map(params![patient.reveal(), grown], read_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A sealed part; `None` when the block has been merged.
    pub(super) fn part(&self, id: i64, part: Part) -> Result<Option<Vec<u8>>, StoreError> {
        let select = match part {
            Part::Hours => "SELECT hours FROM blocks WHERE id = ?1",
            Part::Minutes => "SELECT minutes FROM blocks WHERE id = ?1",
            Part::Readings => "SELECT readings FROM blocks WHERE id = ?1",
        };
        let mut select = self.connection.prepare_cached(select)?;
        Ok(select.query_row([id], |row| row.get(0)).optional()?)
    }
}

/// Ours, or new; and not of a later program.
fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let (id, tables) = (pragma("application_id")?, pragma("user_version")?);
    if id != 0 && id != APPLICATION_ID {
        return Err(StoreError(format!(
            "{} is not a history of vitaltwin",
            path.display()
        )));
    }
    if tables > TABLES {
        return Err(StoreError(format!(
            "it was written by a newer release (tables {tables}, known here: {TABLES}): install that release again, or restore a backup made with this one"
        )));
    }
    Ok(())
}

fn patient_number(transaction: &Transaction<'_>, patient: &PatientId) -> Result<i64, StoreError> {
    let name = patient.reveal();
    transaction
        .prepare_cached("INSERT OR IGNORE INTO patients (name) VALUES (?1)")?
        .execute([name])?;
    let mut select = transaction.prepare_cached("SELECT id FROM patients WHERE name = ?1")?;
    Ok(select.query_row([name], |row| row.get(0))?)
}

fn insert(transaction: &Transaction<'_>, block: &NewBlock) -> Result<(), StoreError> {
    let patient = patient_number(transaction, &block.patient)?;
    let row = &block.row;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO blocks (patient, level, first, last, known, oldest, newest, count, hours, minutes, readings)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    insert.execute(params![
        patient,
        row.level,
        row.first.cast_signed(),
        row.last.cast_signed(),
        row.known,
        row.oldest,
        row.newest,
        i64::try_from(row.readings).unwrap_or(i64::MAX),
        block.hours,
        block.minutes,
        block.readings
    ])?;
    Ok(())
}

fn read_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        id: row.get(0)?,
        level: row.get(1)?,
        first: row.get::<_, i64>(2)?.cast_unsigned(),
        last: row.get::<_, i64>(3)?.cast_unsigned(),
        known: row.get(4)?,
        oldest: row.get(5)?,
        newest: row.get(6)?,
        readings: usize::try_from(row.get::<_, i64>(7)?).unwrap_or(0),
    })
}

/// Damages one bit of a part of the first block, as a failing disk would.
#[cfg(test)]
pub(crate) fn damage(path: &Path) {
    let connection = Connection::open(path).expect("the history exists");
    let select = "SELECT id, readings FROM blocks ORDER BY id LIMIT 1";
    let (id, mut readings): (i64, Vec<u8>) = connection
        .query_row(select, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("a block");
    let middle = readings.len() / 2;
    readings[middle] ^= 1;
    let update = "UPDATE blocks SET readings = ?2 WHERE id = ?1";
    connection
        .execute(update, params![id, readings])
        .expect("the row is there");
}

/// Blocks that lie there.
#[cfg(test)]
pub(crate) fn blocks(path: &Path) -> u64 {
    let connection = Connection::open(path).expect("the history exists");
    let count: i64 = connection
        .query_row("SELECT count(*) FROM blocks", [], |row| row.get(0))
        .expect("a table");
    count.cast_unsigned()
}
