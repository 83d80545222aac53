//! The journal's table in SQLite (WAL, synchronous=FULL): the only file of the journal that names rusqlite.
//!
//! `commits(first, count, known, frames)`: one row a group commit (`codec.rs`). `history(stream, wide, oldest,
//! first, newest)`: which rows hold batches of a stream, by whole minutes of effective time; a row's batches are
//! grouped by the hour of their oldest reading, and groups longer than [`NARROW_MINUTES`] are kept apart as *wide*,
//! so that a query never scans more than it needs. `kept(position, frame)`: entries of removed rows that stay for good.
//! `removed(below, known)`, one row: up to where rows were removed, and the known time of the last entry that was.
//!
//! Invariants: rows are added at the end and removed from the beginning, never changed; a row and what is kept of it
//! change places in one transaction; a commit that returned is on disk. Must not know: what entries mean.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, params};
use vitals::{StreamId, Time};

use super::entry::Position;
use super::medium::{
    Group, HistoryCursor, Medium, NARROW_MINUTES, NewRow, Removal, Row, Rows, Store, StoreError,
};

/// Marks the file as ours (`VTJ1`).
const APPLICATION_ID: i32 = 0x5654_4A31;
/// Version of the tables, rows and kinds of entries; 4 (damage and exports are entries) reads 3 (rows may be removed), 2
/// and 1 (`codec.rs`).
const TABLES: i32 = 4;
/// A reader waits this long for a lock that SQLite takes while it recovers or checkpoints.
const BUSY: std::time::Duration = std::time::Duration::from_secs(5);

/// A file.
#[derive(Debug)]
pub(super) struct Disk {
    path: PathBuf,
    max_mib: Option<u32>,
}

impl Disk {
    /// `max_mib` bounds the file (a write beyond it fails as on a full disk).
    pub(super) fn of(path: &Path, max_mib: Option<u32>) -> Self {
        Self {
            path: path.to_owned(),
            max_mib,
        }
    }
}

impl Medium for Disk {
    fn writer(&self) -> Result<Box<dyn Store>, StoreError> {
        Ok(Box::new(Sqlite::open(&self.path, self.max_mib)?))
    }

    fn reader(&self) -> Result<Box<dyn Rows>, StoreError> {
        Ok(Box::new(Reader::open(&self.path)?))
    }
}

/// The writing connection.
#[derive(Debug)]
pub(super) struct Sqlite {
    connection: Connection,
}

impl Sqlite {
    /// Opens or creates.
    fn open(path: &Path, max_mib: Option<u32>) -> Result<Self, StoreError> {
        let connection = Connection::open(path).map_err(explain)?;
        check(&connection, path)?;
        connection.busy_timeout(BUSY).map_err(explain)?;
        connection.execute_batch(CREATE).map_err(explain)?;
        if let Some(max_mib) = max_mib {
            let page: i64 = pragma(&connection, "page_size")?;
            let pages = i64::from(max_mib) * 1024 * 1024 / page.max(1);
            let set = format!("PRAGMA max_page_count = {pages};");
            connection
                .query_row(&set, [], |_| Ok(()))
                .map_err(explain)?;
        }
        Ok(Self { connection })
    }
}

/// Ours, or new; and not of a later program.
fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let id: i32 = pragma(connection, "application_id")?;
    let tables: i32 = pragma(connection, "user_version")?;
    if id != 0 && id != APPLICATION_ID {
        let path = path.display();
        return Err(StoreError(format!("{path} is not a vitaltwin journal")));
    }
    if tables > TABLES {
        return Err(StoreError(format!(
            "the journal was written by a newer release (tables {tables}, known here: {TABLES}): install that release again, or restore a backup made with this one"
        )));
    }
    Ok(())
}

const CREATE: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA application_id = 0x56544A31;
    PRAGMA user_version = 4;
    CREATE TABLE IF NOT EXISTS commits (
        first INTEGER PRIMARY KEY, count INTEGER NOT NULL, known INTEGER NOT NULL, frames BLOB NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS history (
        stream BLOB NOT NULL, wide INTEGER NOT NULL, oldest INTEGER NOT NULL, first INTEGER NOT NULL,
        newest INTEGER NOT NULL, PRIMARY KEY (stream, wide, oldest, first)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS kept (position INTEGER PRIMARY KEY, frame BLOB NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS removed (
        one INTEGER PRIMARY KEY CHECK (one = 1), below INTEGER NOT NULL, known INTEGER NOT NULL
    ) STRICT;
";

impl Store for Sqlite {
    fn commit(&mut self, row: &NewRow) -> Result<(), StoreError> {
        let transaction = self.connection.transaction().map_err(explain)?;
        {
            let mut insert = transaction
                .prepare_cached(
                    "INSERT INTO commits (first, count, known, frames) VALUES (?1, ?2, ?3, ?4)",
                )
                .map_err(explain)?;
            let known = row.known.as_micros();
            insert
                .execute(params![
                    signed(row.first.0),
                    signed(row.count),
                    known,
                    row.frames
                ])
                .map_err(explain)?;
            let mut index = transaction
                .prepare_cached(
                    "INSERT INTO history (stream, wide, oldest, first, newest) VALUES (?1, ?2, ?3, ?4, ?5)",
                )
                .map_err(explain)?;
            for group in &row.groups {
                let Group {
                    stream,
                    oldest,
                    newest,
                    wide,
                } = group;
                index
                    .execute(params![stream.0, wide, oldest, signed(row.first.0), newest])
                    .map_err(explain)?;
            }
        }
        transaction.commit().map_err(explain)
    }

    fn remove(&mut self, rows: &[Removal]) -> Result<(), StoreError> {
        let transaction = self.connection.transaction().map_err(explain)?;
        for row in rows {
            let Removal {
                first,
                end,
                known,
                kept,
                groups,
            } = row;
            for (position, frame) in kept {
                transaction
                    .prepare_cached("INSERT INTO kept (position, frame) VALUES (?1, ?2)")
                    .and_then(|mut insert| insert.execute(params![signed(position.0), frame]))
                    .map_err(explain)?;
            }
            for group in groups {
                let sql = "DELETE FROM history WHERE stream = ?1 AND wide = ?2 AND oldest = ?3 AND first = ?4";
                let (stream, wide, oldest) = (group.stream.0, group.wide, group.oldest);
                transaction
                    .prepare_cached(sql)
                    .and_then(|mut delete| {
                        delete.execute(params![stream, wide, oldest, signed(first.0)])
                    })
                    .map_err(explain)?;
            }
            transaction
                .prepare_cached("DELETE FROM commits WHERE first = ?1")
                .and_then(|mut delete| delete.execute(params![signed(first.0)]))
                .map_err(explain)?;
            let sql = "INSERT OR REPLACE INTO removed (one, below, known) VALUES (1, ?1, ?2)";
            transaction
                .prepare_cached(sql)
                .and_then(|mut set| set.execute(params![signed(end.0), known.as_micros()]))
                .map_err(explain)?;
        }
        transaction.commit().map_err(explain)
    }
}

/// A reading connection of its own, never in the way of the writer.
#[derive(Debug)]
pub(super) struct Reader {
    connection: Connection,
}

impl Reader {
    /// The file must exist.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(explain)?;
        connection.busy_timeout(BUSY).map_err(explain)?;
        check(&connection, path)?;
        Ok(Self { connection })
    }

    /// A whole copy in another file, as of now; the writer goes on.
    pub(super) fn copy_to(&self, path: &str) -> Result<(), StoreError> {
        self.connection
            .execute("VACUUM INTO ?1", params![path])
            .map_err(explain)?;
        Ok(())
    }

    /// Whether the pages of a file up to `most` bytes are in order; `None`: it is larger.
    pub(super) fn is_sound(&self, most: u64) -> Result<Option<bool>, StoreError> {
        let pages: i64 = pragma(&self.connection, "page_count")?;
        let page: i64 = pragma(&self.connection, "page_size")?;
        if unsigned(pages).saturating_mul(unsigned(page)) > most {
            return Ok(None);
        }
        let said: String = pragma(&self.connection, "quick_check")?;
        Ok(Some(said == "ok"))
    }
}

impl Rows for Reader {
    fn rows(&self, from: Position, limit: u32) -> Result<Vec<Row>, StoreError> {
        let mut select = self
            .connection
            .prepare_cached(
                "SELECT first, count, frames FROM commits WHERE first >= ?1 ORDER BY first LIMIT ?2",
            )
            .map_err(explain)?;
        let rows = select
            .query_map(params![signed(from.0), limit], read_row)
            .map_err(explain)?;
        rows.collect::<Result<_, _>>().map_err(explain)
    }

    fn removed(&self) -> Result<Option<(Position, Time)>, StoreError> {
        // A journal that an older release made, opened to read.
        let sql = "SELECT count(*) FROM sqlite_master WHERE name = 'removed'";
        let there: i64 = self
            .connection
            .query_row(sql, [], |row| row.get(0))
            .map_err(explain)?;
        if there == 0 {
            return Ok(None);
        }
        let row = self
            .connection
            .query_row("SELECT below, known FROM removed", [], |row| {
                let below = Position(unsigned(row.get(0)?));
                Ok((below, Time::from_micros(row.get(1)?)))
            });
        row.optional().map_err(explain)
    }

    fn kept(&self, from: Position, limit: u32) -> Result<Vec<(Position, Vec<u8>)>, StoreError> {
        let mut select = self
            .connection
            .prepare_cached(
                "SELECT position, frame FROM kept WHERE position >= ?1 ORDER BY position LIMIT ?2",
            )
            .map_err(explain)?;
        let rows = select
            .query_map(params![signed(from.0), limit], |row| {
                Ok((Position(unsigned(row.get(0)?)), row.get(1)?))
            })
            .map_err(explain)?;
        rows.collect::<Result<_, _>>().map_err(explain)
    }

    fn oldest(
        &self,
        before: Position,
        known: Time,
        limit: u32,
    ) -> Result<Vec<(Row, Time)>, StoreError> {
        let mut select = self
            .connection
            .prepare_cached(
                "SELECT first, count, frames, known FROM commits WHERE first + count <= ?1 AND known < ?2 \
                 ORDER BY first LIMIT ?3",
            )
            .map_err(explain)?;
        let rows = select
            .query_map(params![signed(before.0), known.as_micros(), limit], |row| {
                Ok((read_row(row)?, Time::from_micros(row.get(3)?)))
            })
            .map_err(explain)?;
        rows.collect::<Result<_, _>>().map_err(explain)
    }

    fn row_of(&self, position: Position) -> Result<Option<Row>, StoreError> {
        let row = self.connection.query_row(
            "SELECT first, count, frames FROM commits WHERE first <= ?1 ORDER BY first DESC LIMIT 1",
            params![signed(position.0)],
            read_row,
        );
        let row = row.optional().map_err(explain)?;
        Ok(row.filter(|row| position.0 < row.first.0 + row.count))
    }

    fn groups(&self, first: Position) -> Result<Vec<Group>, StoreError> {
        let sql = "SELECT stream, oldest, newest, wide FROM history WHERE first = ?1";
        let mut select = self.connection.prepare_cached(sql).map_err(explain)?;
        let rows = select
            .query_map(params![signed(first.0)], |row| {
                Ok(Group {
                    stream: StreamId(row.get(0)?),
                    oldest: row.get(1)?,
                    newest: row.get(2)?,
                    wide: row.get(3)?,
                })
            })
            .map_err(explain)?;
        rows.collect::<Result<_, _>>().map_err(explain)
    }

    fn last(&self) -> Result<Option<(Position, u64, Time)>, StoreError> {
        let row = self.connection.query_row(
            "SELECT first, count, known FROM commits ORDER BY first DESC LIMIT 1",
            [],
            |row| {
                Ok((
                    Position(unsigned(row.get(0)?)),
                    unsigned(row.get(1)?),
                    Time::from_micros(row.get(2)?),
                ))
            },
        );
        row.optional().map_err(explain)
    }

    fn history(
        &self,
        stream: StreamId,
        (from, to): (i64, i64),
        after: Option<HistoryCursor>,
        limit: u32,
    ) -> Result<Vec<(Group, HistoryCursor, Row)>, StoreError> {
        let mut select = self.connection.prepare_cached(HISTORY).map_err(explain)?;
        let after = after.unwrap_or(HistoryCursor {
            oldest: i64::MIN,
            first: 0,
            wide: false,
        });
        let near = from.saturating_sub(NARROW_MINUTES + 60);
        let parameters = params![
            stream.0,
            from,
            to,
            near,
            after.oldest,
            after.first,
            after.wide,
            limit
        ];
        let rows = select
            .query_map(parameters, |row| {
                let (oldest, newest, wide) = (row.get(3)?, row.get(4)?, row.get(5)?);
                let cursor = HistoryCursor {
                    oldest,
                    first: row.get(0)?,
                    wide,
                };
                let group = Group {
                    stream,
                    oldest,
                    newest,
                    wide,
                };
                Ok((group, cursor, read_row(row)?))
            })
            .map_err(explain)?;
        rows.collect::<Result<_, _>>().map_err(explain)
    }
}

const HISTORY: &str = "
    SELECT c.first, c.count, c.frames, h.oldest, h.newest, h.wide FROM (
        SELECT * FROM history WHERE stream = ?1 AND wide = 0 AND oldest BETWEEN ?4 AND ?3 AND newest >= ?2
        UNION ALL
        SELECT * FROM history WHERE stream = ?1 AND wide = 1 AND oldest <= ?3 AND newest >= ?2
    ) h JOIN commits c ON c.first = h.first
    WHERE (h.oldest, h.first, h.wide) > (?5, ?6, ?7)
    ORDER BY h.oldest, h.first, h.wide LIMIT ?8";

fn read_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        first: Position(unsigned(row.get(0)?)),
        count: unsigned(row.get(1)?),
        frames: row.get(2)?,
    })
}

fn pragma<T: rusqlite::types::FromSql>(
    connection: &Connection,
    name: &str,
) -> Result<T, StoreError> {
    connection
        .pragma_query_value(None, name, |row| row.get(0))
        .map_err(explain)
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).expect("positions count single entries and stay far below 2^63")
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// SQLite's error with what a person can do.
fn explain(error: rusqlite::Error) -> StoreError {
    let hint = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => {
            "the disk or the journal's limit is full: free space, then start again"
        }
        Some(ErrorCode::ReadOnly) => {
            "the file or its folder is read-only: correct its rights, then start again"
        }
        Some(ErrorCode::SystemIoFailure) => "the disk failed: look at it before you start again",
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            "the file is damaged beyond single entries: restore the last backup"
        }
        Some(ErrorCode::CannotOpen) => "the file cannot be opened: look at its path and rights",
        _ => return StoreError(error.to_string()),
    };
    StoreError(format!("{error}; {hint}"))
}

/// Flips one bit of a row's frames, as a failing disk would.
#[cfg(test)]
pub(super) fn damage(path: &Path, first: Position, at: usize) {
    let connection = Connection::open(path).expect("the journal exists");
    let select = "SELECT frames FROM commits WHERE first = ?1";
    let mut frames: Vec<u8> = connection
        .query_row(select, params![signed(first.0)], |row| row.get(0))
        .expect("the row exists");
    frames[at] ^= 1;
    let update = "UPDATE commits SET frames = ?2 WHERE first = ?1";
    connection
        .execute(update, params![signed(first.0), frames])
        .expect("the row is there");
}

/// Says that the file has this version of tables.
#[cfg(test)]
pub(super) fn set_tables(path: &Path, version: u32) {
    let connection = Connection::open(path).expect("the journal exists");
    let set = format!("PRAGMA user_version = {version}");
    connection.execute_batch(&set).expect("a test's own SQL");
}
