//! The snapshots' file in SQLite (WAL, synchronous=FULL): the only file of the snapshots that names rusqlite.
//!
//! `passes(pass, format, header, registry, sum)`: one row a finished snapshot. `twins(patient, pass, sealed)`: a
//! patient's part, written by the snapshot of that number; a later snapshot in which it did not change does not
//! write it again. `alerts(position, at, patient, sealed)` and `openers(context, patient, sealed)`: what changes too
//! often or too seldom to be written with the patient. A file of its own, so that its failures and its locks are
//! never the journal's.
//!
//! Invariants: what a finished snapshot needs stays until two later ones are finished; a snapshot is finished by
//! one transaction, after everything it needs. Must not know: what is sealed.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};

/// Marks the file as ours (`VTS1`).
const APPLICATION_ID: i32 = 0x5654_5331;
/// Version of the tables.
const TABLES: i32 = 1;
/// Finished snapshots that are kept: the newest, and one to fall back to.
const KEPT: u32 = 2;
const BUSY: std::time::Duration = std::time::Duration::from_secs(5);

/// What SQLite said, for people.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    #[error("the snapshots' file: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A later program wrote it.
    #[error(
        "the snapshots were written by a newer release (tables {0}, known here: {TABLES}): install that release again, or restore a backup made with this one"
    )]
    Newer(i32),
    #[error("the snapshots' file is not one")]
    Foreign,
}

/// A finished snapshot's row.
#[derive(Clone, Debug)]
pub(super) struct Pass {
    pub(super) pass: u64,
    pub(super) format: u32,
    pub(super) header: Vec<u8>,
    pub(super) registry: Vec<u8>,
    pub(super) sum: Vec<u8>,
}

/// A sealed piece and whose key it is sealed under.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) patient: String,
    pub(super) sealed: Vec<u8>,
}

/// An alert's change, by its place.
#[derive(Clone, Debug)]
pub(super) struct AlertPiece {
    pub(super) place: (u64, u32),
    pub(super) piece: Piece,
}

/// An opener, by its context.
#[derive(Clone, Debug)]
pub(super) struct OpenerPiece {
    pub(super) context: [u8; 16],
    pub(super) piece: Piece,
}

const CREATE: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA secure_delete = ON;
    PRAGMA application_id = 0x56545331;
    PRAGMA user_version = 1;
    CREATE TABLE IF NOT EXISTS passes (
        pass INTEGER PRIMARY KEY, format INTEGER NOT NULL, header BLOB NOT NULL, registry BLOB NOT NULL, sum BLOB NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS twins (
        patient TEXT NOT NULL, pass INTEGER NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (patient, pass)
    ) STRICT;
    CREATE TABLE IF NOT EXISTS alerts (
        position INTEGER NOT NULL, at INTEGER NOT NULL, patient TEXT NOT NULL, sealed BLOB NOT NULL,
        PRIMARY KEY (position, at)
    ) STRICT;
    CREATE TABLE IF NOT EXISTS openers (
        context BLOB PRIMARY KEY, patient TEXT NOT NULL, sealed BLOB NOT NULL
    ) STRICT;
";

pub(super) struct SnapshotStore {
    connection: Connection,
}

fn check(connection: &Connection) -> Result<(), StoreError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let id = pragma("application_id")?;
    if id != 0 && id != APPLICATION_ID {
        return Err(StoreError::Foreign);
    }
    let tables = pragma("user_version")?;
    if tables > TABLES {
        return Err(StoreError::Newer(tables));
    }
    Ok(())
}

impl SnapshotStore {
    /// Opens or creates.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = Connection::open(path)?;
        check(&connection)?;
        connection.busy_timeout(BUSY)?;
        connection.execute_batch(CREATE)?;
        Ok(Self { connection })
    }

    /// An existing one, to read only.
    pub(super) fn open_to_read(path: &Path) -> Result<Self, StoreError> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(BUSY)?;
        check(&connection)?;
        Ok(Self { connection })
    }

    /// Finished snapshots, newest first.
    pub(super) fn passes(&self) -> Result<Vec<Pass>, StoreError> {
        let sql = "SELECT pass, format, header, registry, sum FROM passes ORDER BY pass DESC";
        let mut select = self.connection.prepare(sql)?;
        let rows = select.query_map([], |row| {
            Ok(Pass {
                pass: unsigned(row.get(0)?),
                format: u32::try_from(row.get::<_, i64>(1)?).unwrap_or(u32::MAX),
                header: row.get(2)?,
                registry: row.get(3)?,
                sum: row.get(4)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A number that no row has yet.
    pub(super) fn next_pass(&self) -> Result<u64, StoreError> {
        let sql = "SELECT max(ifnull((SELECT max(pass) FROM passes), 0), ifnull((SELECT max(pass) FROM twins), 0))";
        let last: i64 = self.connection.query_row(sql, [], |row| row.get(0))?;
        Ok(unsigned(last) + 1)
    }

    /// What snapshots that were never finished left behind.
    pub(super) fn sweep(&self) -> Result<(), StoreError> {
        let sql = "DELETE FROM twins WHERE pass > ifnull((SELECT max(pass) FROM passes), 0)";
        self.connection.execute(sql, [])?;
        Ok(())
    }

    /// Nothing in it is of use any more.
    pub(super) fn clear(&mut self) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        for table in ["passes", "twins", "alerts", "openers"] {
            transaction.execute(&format!("DELETE FROM {table}"), [])?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Patients' parts of a snapshot that is being made, durable when this returns.
    pub(super) fn add(&mut self, pass: u64, pieces: &[Piece]) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        {
            let sql = "INSERT OR REPLACE INTO twins (patient, pass, sealed) VALUES (?1, ?2, ?3)";
            let mut insert = transaction.prepare_cached(sql)?;
            for Piece { patient, sealed } in pieces {
                insert.execute(params![patient, signed(pass), sealed])?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// Finishes a snapshot: from here on it holds, and what only older ones needed is gone. `alerts` are those that
    /// are not there yet, `needed` all places that this snapshot or the one before it refers to.
    pub(super) fn finish(
        &mut self,
        pass: &Pass,
        alerts: &[AlertPiece],
        needed: &std::collections::BTreeSet<(u64, u32)>,
        openers: &[OpenerPiece],
    ) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        {
            let sql = "INSERT OR REPLACE INTO alerts (position, at, patient, sealed) VALUES (?1, ?2, ?3, ?4)";
            let mut insert = transaction.prepare_cached(sql)?;
            for AlertPiece { place, piece } in alerts {
                let (position, at) = *place;
                insert.execute(params![signed(position), at, piece.patient, piece.sealed])?;
            }
            let mut select = transaction.prepare_cached("SELECT position, at FROM alerts")?;
            let places = select.query_map([], |row| Ok((unsigned(row.get(0)?), row.get(1)?)))?;
            let places: Vec<(u64, u32)> = places.collect::<Result<_, _>>()?;
            let sql = "DELETE FROM alerts WHERE position = ?1 AND at = ?2";
            let mut delete = transaction.prepare_cached(sql)?;
            for (position, at) in places.into_iter().filter(|place| !needed.contains(place)) {
                delete.execute(params![signed(position), at])?;
            }
            transaction.execute("DELETE FROM openers", [])?;
            let sql = "INSERT INTO openers (context, patient, sealed) VALUES (?1, ?2, ?3)";
            let mut insert = transaction.prepare_cached(sql)?;
            for OpenerPiece { context, piece } in openers {
                insert.execute(params![context, piece.patient, piece.sealed])?;
            }
        }
        transaction.execute(
            "INSERT INTO passes (pass, format, header, registry, sum) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                signed(pass.pass),
                pass.format,
                pass.header,
                pass.registry,
                pass.sum
            ],
        )?;
        let oldest = "SELECT min(pass) FROM (SELECT pass FROM passes ORDER BY pass DESC LIMIT ?1)";
        let oldest: i64 = transaction.query_row(oldest, params![KEPT], |row| row.get(0))?;
        transaction.execute("DELETE FROM passes WHERE pass < ?1", params![oldest])?;
        // Of each patient the newest part that the oldest snapshot kept needs, and all later ones.
        let sql = "DELETE FROM twins WHERE pass < (
            SELECT max(newer.pass) FROM twins newer WHERE newer.patient = twins.patient AND newer.pass <= ?1)";
        transaction.execute(sql, params![oldest])?;
        transaction.commit()?;
        Ok(())
    }

    /// Patients that have a part in a snapshot.
    pub(super) fn patients(&self, pass: u64) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT DISTINCT patient FROM twins WHERE pass <= ?1";
        let mut select = self.connection.prepare(sql)?;
        let rows = select.query_map(params![signed(pass)], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A patient's part in a snapshot.
    pub(super) fn twin(&self, patient: &str, pass: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let sql =
            "SELECT sealed FROM twins WHERE patient = ?1 AND pass <= ?2 ORDER BY pass DESC LIMIT 1";
        let mut select = self.connection.prepare_cached(sql)?;
        let found = select.query_row(params![patient, signed(pass)], |row| row.get(0));
        Ok(found.optional()?)
    }

    /// All changes of alerts.
    pub(super) fn alerts(&self) -> Result<Vec<AlertPiece>, StoreError> {
        let sql = "SELECT position, at, patient, sealed FROM alerts";
        let mut select = self.connection.prepare(sql)?;
        let rows = select.query_map([], |row| {
            let (patient, sealed) = (row.get(2)?, row.get(3)?);
            Ok(AlertPiece {
                place: (unsigned(row.get(0)?), row.get(1)?),
                piece: Piece { patient, sealed },
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// All openers.
    pub(super) fn openers(&self) -> Result<Vec<OpenerPiece>, StoreError> {
        let sql = "SELECT context, patient, sealed FROM openers";
        let mut select = self.connection.prepare(sql)?;
        let rows = select.query_map([], |row| {
            let (patient, sealed) = (row.get(1)?, row.get(2)?);
            Ok(OpenerPiece {
                context: row.get(0)?,
                piece: Piece { patient, sealed },
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A whole copy in another file, as of now; readers and writers go on.
    pub(super) fn copy_to(&self, path: &str) -> Result<(), StoreError> {
        self.connection.execute("VACUUM INTO ?1", params![path])?;
        Ok(())
    }

    /// Damages a patient's newest part, or tears the newest snapshot.
    #[cfg(test)]
    pub(super) fn execute_for_test(&self, sql: &str) {
        self.connection.execute(sql, []).expect("a test's own SQL");
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
