//! PURE. A sealed record that arrives in pieces, put together.
//!
//! Invariants: one unfinished record a gateway, of at most [`MAX_RECORD`] bytes, and of one connection; what does not
//! continue it takes it away. A whole record is judged as any other: nothing here believes it. Must not know: seals.

use proto::seal::MAX_RECORD;
use proto::v1::RecordPiece;

/// What a gateway has sent of a record.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// The connection that it comes by.
    connection: u64,
    held: Vec<u8>,
}

/// What a piece made of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// The record is whole.
    Whole(Vec<u8>),
    /// So many bytes are here.
    Held(u32),
    /// It continues nothing that is here.
    OutOfPlace,
    /// No record is as long.
    TooLarge,
}

impl Pieces {
    /// Takes the next piece, by this connection.
    pub(super) fn take(&mut self, connection: u64, piece: &RecordPiece) -> Piece {
        let mut held = std::mem::take(&mut self.held);
        if connection != self.connection || piece.offset == 0 {
            held.clear();
        }
        self.connection = connection;
        if usize::try_from(piece.offset) != Ok(held.len()) {
            return Piece::OutOfPlace;
        }
        if piece.data.len() > MAX_RECORD - held.len() {
            return Piece::TooLarge;
        }
        held.extend_from_slice(&piece.data);
        if piece.last {
            return Piece::Whole(held);
        }
        self.held = held;
        Piece::Held(u32::try_from(self.held.len()).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn piece(offset: usize, data: &[u8], last: bool) -> RecordPiece {
        RecordPiece {
            offset: u32::try_from(offset).expect("small"),
            data: data.to_vec(),
            last,
        }
    }

    #[test]
    fn pieces_in_order_are_a_record_and_nothing_else_is() {
        let mut pieces = Pieces::default();
        assert_eq!(pieces.take(1, &piece(0, b"ab", false)), Piece::Held(2));
        assert_eq!(pieces.take(1, &piece(2, b"c", false)), Piece::Held(3));
        assert_eq!(
            pieces.take(1, &piece(3, b"d", true)),
            Piece::Whole(b"abcd".into())
        );
        assert_eq!(pieces.take(1, &piece(4, b"e", true)), Piece::OutOfPlace);
        // Begun anew; a hole; and what came before the hole is gone with it.
        assert_eq!(pieces.take(1, &piece(0, b"ab", false)), Piece::Held(2));
        assert_eq!(pieces.take(1, &piece(0, b"xyz", false)), Piece::Held(3));
        assert_eq!(pieces.take(1, &piece(4, b"!", true)), Piece::OutOfPlace);
        assert_eq!(pieces.take(1, &piece(3, b"!", true)), Piece::OutOfPlace);
        // Of another connection.
        assert_eq!(pieces.take(1, &piece(0, b"ab", false)), Piece::Held(2));
        assert_eq!(pieces.take(2, &piece(2, b"c", true)), Piece::OutOfPlace);
    }

    proptest! {
        #[test]
        fn whatever_comes_no_more_than_a_record_is_held(
            parts in proptest::collection::vec((0..3_u64, 0..5000_u32, 0..5000_usize, any::<bool>()), 1..40),
        ) {
            let mut pieces = Pieces::default();
            for (connection, offset, length, last) in parts {
                // Often where it belongs, so that some of it grows.
                let at = if offset % 2 == 0 { u32::try_from(pieces.held.len()).unwrap_or(0) } else { offset };
                let piece = RecordPiece { offset: at, data: vec![7; length], last };
                if let Piece::Whole(record) = pieces.take(connection, &piece) {
                    prop_assert!(record.len() <= MAX_RECORD);
                }
                prop_assert!(pieces.held.len() <= MAX_RECORD);
            }
        }
    }
}
