//! The preloaded library that sees the child's writes (`shim.c`), built by the C compiler that the house needs
//! anyway, and the log that it leaves.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// One thing that happened to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Write {
        offset: usize,
        data: Vec<u8>,
    },
    /// Made so long; a new file begins with this.
    Length(usize),
    /// `fsync`.
    Sync,
    /// `fdatasync`.
    DataSync,
    Rename(String),
    Unlink,
}

/// Where the library is; built once a run.
pub(crate) fn library() -> PathBuf {
    static BUILT: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/outbox/shim.c");
        let built = Command::new("cc")
            .args(["-O2", "-shared", "-fPIC", "-o"])
            .arg(folder.path().join("shim.so"))
            .arg(source)
            .args(["-ldl", "-lpthread"])
            .status()
            .expect("a C compiler (cc)");
        assert!(built.success(), "shim.c builds");
        folder
    });
    folder.path().join("shim.so")
}

/// A log as (path below the folder, what happened), in order.
pub(crate) fn read_log(log: &[u8]) -> Vec<(String, Op)> {
    let mut ops = Vec::new();
    let mut rest = log;
    while let Some((op, path, offset, data, after)) = read_one(rest) {
        rest = after;
        let op = match op {
            b'W' => Op::Write { offset, data },
            b'T' => Op::Length(offset),
            b'S' => Op::Sync,
            b'D' => Op::DataSync,
            b'R' => Op::Rename(String::from_utf8(data).expect("a path")),
            b'U' => Op::Unlink,
            other => panic!("no operation: {other}"),
        };
        ops.push((path, op));
    }
    ops
}

type One<'l> = (u8, String, usize, Vec<u8>, &'l [u8]);

/// `None` at the end, also where a killed child left half a record.
fn read_one(log: &[u8]) -> Option<One<'_>> {
    let (op, rest) = log.split_first()?;
    let (path_length, rest) = rest.split_first_chunk::<2>()?;
    let (path, rest) = rest.split_at_checked(u16::from_le_bytes(*path_length).into())?;
    let (offset, rest) = rest.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<8>()?;
    let [offset, length] = [offset, length].map(|raw| u64::from_le_bytes(*raw));
    let path = String::from_utf8(path.to_vec()).expect("a path");
    let carries = matches!(op, b'W' | b'R');
    let length = if carries {
        usize::try_from(length).ok()?
    } else {
        0
    };
    let (data, rest) = rest.split_at_checked(length)?;
    Some((
        *op,
        path,
        usize::try_from(offset).ok()?,
        data.to_vec(),
        rest,
    ))
}
