//! The vault's table in SQLite (synchronous=FULL): the only file of the vault that names rusqlite.
//!
//! `keys(patient, key_id, wrapped)`. A file of a later release is refused before anything is written to it. Invariant: a key that [`VaultStore::add`] returned for is on disk. Must not
//! know: how keys are wrapped.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, params};

/// What SQLite said, for people.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    #[error("the vault's database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A later program wrote it.
    #[error(
        "the vault was written by a newer release (tables {0}, known here: {TABLES}): install that release again, or restore a backup made with this one"
    )]
    Newer(i32),
}

/// Version of the table; files of the first releases say 0.
const TABLES: i32 = 1;

/// One row.
pub(super) struct Row {
    pub(super) patient: String,
    pub(super) key_id: Vec<u8>,
    pub(super) wrapped: Vec<u8>,
}

pub(super) struct VaultStore {
    connection: Connection,
}

const CREATE: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA secure_delete = ON;
    PRAGMA application_id = 0x56545631;
    PRAGMA user_version = 1;
    CREATE TABLE IF NOT EXISTS keys (
        patient TEXT NOT NULL, key_id BLOB NOT NULL, wrapped BLOB NOT NULL, PRIMARY KEY (patient, key_id)
    ) STRICT;
";

impl VaultStore {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = Connection::open(path)?;
        check(&connection)?;
        connection.execute_batch(CREATE)?;
        Ok(Self { connection })
    }

    /// An existing one, to read only.
    pub(super) fn open_to_read(path: &Path) -> Result<Self, StoreError> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        check(&connection)?;
        Ok(Self { connection })
    }

    /// All keys, each patient's in the order they were added.
    pub(super) fn all(&self) -> Result<Vec<Row>, StoreError> {
        let mut select = self
            .connection
            .prepare("SELECT patient, key_id, wrapped FROM keys ORDER BY rowid")?;
        let rows = select.query_map([], |row| {
            Ok(Row {
                patient: row.get(0)?,
                key_id: row.get(1)?,
                wrapped: row.get(2)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A whole copy in another file, as of now.
    pub(super) fn copy_to(&self, path: &str) -> Result<(), StoreError> {
        self.connection.execute("VACUUM INTO ?1", params![path])?;
        Ok(())
    }

    pub(super) fn add(&self, row: &Row) -> Result<(), StoreError> {
        self.connection.execute(
            "INSERT INTO keys (patient, key_id, wrapped) VALUES (?1, ?2, ?3)",
            params![row.patient, row.key_id, row.wrapped],
        )?;
        Ok(())
    }
}

fn check(connection: &Connection) -> Result<(), StoreError> {
    let tables: i32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if tables > TABLES {
        return Err(StoreError::Newer(tables));
    }
    Ok(())
}
