//! Files that carry sealed records by hand, and their receipts back: `CARRY.md` gives every byte.
//!
//! What lies in such a file is what would cross the line: signed headers, sealed records, receipts. It needs no secrecy
//! and no trust; whoever takes it in judges each piece as if it came from the line.
//! Invariants: bounded memory, whatever a file says; damage in one frame costs that frame; a file without its end is
//! known to be cut off. Must not know: files, stores, who may send what.

use std::io::{self, Read, Write};

use prost::Message as _;

use crate::seal::MAX_RECORD;
use crate::seal::record::checksum;
use crate::v1::{OpenContext, Receipt};

/// The first bytes of such a file.
const MAGIC: &[u8; 6] = b"VTCARY";
/// The layout that this code reads and writes.
const VERSION: u8 = 1;
/// Longest frame, bytes: a header with a long certificate chain stays far below.
const MAX_FRAME: usize = 24 * 1024;
/// Kind and length in front of a frame's content.
const HEAD: usize = 5;

/// What a file carries: tells one that goes to the centre from one that comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cargo {
    /// Contexts and sealed records, for the centre.
    Records,
    /// Receipts, for the gateway.
    Receipts,
}

impl Cargo {
    const fn as_byte(self) -> u8 {
        match self {
            Self::Records => b'E',
            Self::Receipts => b'R',
        }
    }
}

/// One piece.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// A context's signed header with its certificate chain; it comes before its records.
    Context(OpenContext),
    /// A sealed record as in `SEAL.md`.
    Record(Vec<u8>),
    /// A receipt.
    Receipt(Receipt),
}

/// Why a file, or a piece of it, is not taken.
#[derive(Debug, thiserror::Error)]
pub enum CarryError {
    /// The disk.
    #[error("the file cannot be read")]
    Io(#[from] io::Error),
    /// Another kind of file.
    #[error("this is no file of this kind: it begins with other bytes")]
    NotOurs,
    /// A later layout.
    #[error("the file's layout {version} is newer than this program: update it")]
    Version {
        /// Which.
        version: u8,
    },
    /// A file that goes the other way.
    #[error("this file carries {}: it is for the other end", if *carries_records { "records for the centre" } else { "receipts for a gateway" })]
    OtherWay {
        /// What it carries.
        carries_records: bool,
    },
    /// One frame is damaged; the next may be whole.
    #[error("the piece at byte {at} is damaged")]
    Damaged {
        /// Where it begins.
        at: u64,
    },
    /// From here on nothing can be read.
    #[error("nothing can be read from byte {at} on: the file is damaged or cut off")]
    CutOff {
        /// Where.
        at: u64,
    },
}

impl CarryError {
    /// True if the next frame may be whole.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }
}

/// Writes a file, frame by frame.
#[derive(Debug)]
pub struct Writer<W> {
    into: W,
    frames: u64,
}

impl<W: Write> Writer<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// The disk's.
    pub fn new(mut into: W, cargo: Cargo) -> io::Result<Self> {
        into.write_all(MAGIC)?;
        into.write_all(&[VERSION, cargo.as_byte()])?;
        Ok(Self { into, frames: 0 })
    }

    /// Adds a piece.
    ///
    /// # Errors
    /// The disk's.
    pub fn put(&mut self, frame: &Frame) -> io::Result<()> {
        self.frames += 1;
        match frame {
            Frame::Context(open) => self.frame(b'c', &open.encode_to_vec()),
            Frame::Record(record) => self.frame(b'b', record),
            Frame::Receipt(receipt) => self.frame(b'r', &receipt.encode_to_vec()),
        }
    }

    /// Says that the file is whole; the writer, to be made durable.
    ///
    /// # Errors
    /// The disk's.
    pub fn finish(mut self) -> io::Result<W> {
        self.frame(b'.', &self.frames.to_be_bytes())?;
        Ok(self.into)
    }

    fn frame(&mut self, kind: u8, content: &[u8]) -> io::Result<()> {
        let length = u32::try_from(content.len()).ok();
        let length = length.filter(|_| content.len() <= MAX_FRAME);
        let length = length.ok_or_else(|| io::Error::other("a piece is too long"))?;
        let mut frame = Vec::with_capacity(HEAD + content.len() + 4);
        frame.push(kind);
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(content);
        let sum = checksum(&frame);
        frame.extend_from_slice(&sum);
        self.into.write_all(&frame)
    }
}

/// Reads a file, frame by frame.
#[derive(Debug)]
pub struct Reader<R> {
    from: R,
    at: u64,
    frames: u64,
    ended: bool,
}

impl<R: Read> Reader<R> {
    /// Begins; the file must carry this.
    ///
    /// # Errors
    /// [`CarryError`].
    pub fn new(mut from: R, cargo: Cargo) -> Result<Self, CarryError> {
        let mut begin = [0; MAGIC.len() + 2];
        from.read_exact(&mut begin)
            .map_err(|error| unless_short(error, CarryError::NotOurs))?;
        let [magic @ .., version, carries] = begin;
        if magic != *MAGIC {
            return Err(CarryError::NotOurs);
        }
        if version != VERSION {
            return Err(CarryError::Version { version });
        }
        match [Cargo::Records, Cargo::Receipts]
            .into_iter()
            .find(|of| of.as_byte() == carries)
        {
            None => Err(CarryError::NotOurs),
            Some(found) if found == cargo => Ok(Self {
                from,
                at: begin.len() as u64,
                frames: 0,
                ended: false,
            }),
            Some(found) => Err(CarryError::OtherWay {
                carries_records: found == Cargo::Records,
            }),
        }
    }

    /// The next piece; `None` at the end of a whole file. After an error that [is passing](CarryError::is_passing)
    /// the next one may be asked for.
    ///
    /// # Errors
    /// [`CarryError`].
    pub fn next_frame(&mut self) -> Result<Option<Frame>, CarryError> {
        if self.ended {
            return Ok(None);
        }
        let at = self.at;
        let mut head = [0; HEAD];
        self.fill(&mut head, at)?;
        let [kind, length @ ..] = head;
        let length = u32::from_be_bytes(length) as usize;
        if length > MAX_FRAME {
            return Err(CarryError::CutOff { at });
        }
        let mut rest = vec![0; length + 4];
        self.fill(&mut rest, at)?;
        let sum = rest.split_off(length);
        self.at = at + (HEAD + length + 4) as u64;
        let damaged = CarryError::Damaged { at };
        if checksum(&[&head[..], &rest].concat())[..] != sum[..] {
            self.frames += 1;
            return Err(damaged);
        }
        let frame = match kind {
            b'c' => OpenContext::decode(&rest[..]).ok().map(Frame::Context),
            b'b' if length <= MAX_RECORD => Some(Frame::Record(rest)),
            b'r' => Receipt::decode(&rest[..]).ok().map(Frame::Receipt),
            b'.' => return self.end(&rest, at),
            _ => None,
        };
        self.frames += 1;
        frame.map(Some).ok_or(damaged)
    }

    /// Nothing comes behind the end, and pieces are as many as it says (damaged ones count).
    fn end(&mut self, count: &[u8], at: u64) -> Result<Option<Frame>, CarryError> {
        let behind = self.from.read(&mut [0])?;
        if behind > 0 || *count != self.frames.to_be_bytes() {
            return Err(CarryError::CutOff { at });
        }
        self.ended = true;
        Ok(None)
    }

    fn fill(&mut self, into: &mut [u8], at: u64) -> Result<(), CarryError> {
        self.from
            .read_exact(into)
            .map_err(|error| unless_short(error, CarryError::CutOff { at }))
    }
}

/// The disk's error, unless there was only too little.
fn unless_short(error: io::Error, short: CarryError) -> CarryError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        short
    } else {
        CarryError::Io(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames() -> Vec<Frame> {
        let open = OpenContext {
            header: vec![1; 300],
            certificate_chain: vec![vec![2; 500], vec![3; 400]],
        };
        let receipt = Receipt {
            context: vec![9; 16],
            ..Receipt::default()
        };
        vec![
            Frame::Context(open),
            Frame::Record(vec![4; MAX_RECORD]),
            Frame::Record(vec![5; 81]),
            Frame::Receipt(receipt),
        ]
    }

    fn file(frames: &[Frame]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), Cargo::Records).expect("written");
        for frame in frames {
            writer.put(frame).expect("written");
        }
        writer.finish().expect("written")
    }

    /// What can be read, how many pieces were damaged, and the error at the end.
    fn read(bytes: &[u8]) -> (Vec<Frame>, u64, Option<CarryError>) {
        let mut reader = match Reader::new(bytes, Cargo::Records) {
            Ok(reader) => reader,
            Err(error) => return (Vec::new(), 0, Some(error)),
        };
        let (mut found, mut damaged) = (Vec::new(), 0);
        loop {
            match reader.next_frame() {
                Ok(Some(frame)) => found.push(frame),
                Ok(None) => return (found, damaged, None),
                Err(error) if error.is_passing() => damaged += 1,
                Err(error) => return (found, damaged, Some(error)),
            }
        }
    }

    #[test]
    fn what_is_put_in_comes_out() {
        for frames in [Vec::new(), frames()] {
            let (found, damaged, error) = read(&file(&frames));
            assert_eq!((found, damaged), (frames, 0));
            assert!(error.is_none());
        }
    }

    #[test]
    fn a_file_that_is_cut_off_anywhere_is_known_to_be() {
        let whole = file(&frames());
        for length in 0..whole.len() {
            let (found, _, error) = read(&whole[..length]);
            assert!(error.is_some(), "{length} bytes of it pass for whole");
            assert_eq!(found[..], frames()[..found.len()]);
        }
        let longer = [&whole[..], b"x"].concat();
        assert!(matches!(read(&longer).2, Some(CarryError::CutOff { .. })));
    }

    #[test]
    fn a_damaged_piece_costs_itself_alone_and_no_flipped_bit_passes() {
        let whole = file(&frames());
        // In the content of the first record.
        let mut damaged = whole.clone();
        damaged[8 + HEAD + 1500] ^= 1;
        let (found, lost, error) = read(&damaged);
        assert_eq!((found.len(), lost, error.is_none()), (3, 1, true));
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let (found, lost, error) = read(&damaged);
            assert!(lost > 0 || error.is_some(), "bit {bit} passes");
            assert!(found.iter().all(|frame| frames().contains(frame)));
        }
    }

    #[test]
    fn other_files_are_told_apart() {
        let error = |bytes: &[u8]| read(bytes).2.expect("no file of ours");
        assert!(matches!(error(b""), CarryError::NotOurs));
        assert!(matches!(error(b"%PDF-1.7 and so on"), CarryError::NotOurs));
        let mut newer = file(&[]);
        newer[6] = 2;
        assert!(matches!(error(&newer), CarryError::Version { version: 2 }));
        let back = Writer::new(Vec::new(), Cargo::Receipts).and_then(Writer::finish);
        let back = back.expect("written");
        assert!(matches!(error(&back), CarryError::OtherWay { .. }));
    }

    proptest! {
        #[test]
        fn hostile_bytes_end_in_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let begun = [&MAGIC[..], &[VERSION, b'E'], &bytes].concat();
            prop_assert!(read(&bytes).2.is_some());
            let (_, _, error) = read(&begun);
            prop_assert!(error.is_some());
        }
    }
}
