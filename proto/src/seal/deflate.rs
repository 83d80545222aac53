//! A body made smaller before it is sealed, and back: raw deflate (RFC 1951). The only file of this crate that
//! names flate2.
//!
//! Invariants: nothing inflates beyond [`MAX_INFLATED`] bytes, whatever it claims, and no more memory than that is
//! taken for it; one stream fills its bytes exactly, so nothing can be hidden behind its end.
//! Must not know: what a body says, keys.

use std::cell::RefCell;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use zeroize::Zeroizing;

use super::record::{MAX_BODY, padded_size};

/// Longest body that a record holds deflated, bytes. Bodies of readings shrink to a half or a third; what shrinks
/// to less is padding or a bomb.
pub const MAX_INFLATED: usize = 16 * 1024;

/// What goes into a record for a body.
pub(super) struct Packed {
    /// Bytes of the padded plaintext.
    pub(super) padded: u16,
    /// The deflated body; `None`: it goes as it is.
    pub(super) deflated: Option<Zeroizing<Vec<u8>>>,
}

/// How a body is packed: deflated only where that makes the record smaller. `None` if no record holds it.
pub(super) fn pack(body: &[u8]) -> Option<Packed> {
    let plain = padded_size(body.len());
    let least = padded_size(0);
    if body.len() > MAX_INFLATED || plain == least {
        return plain.map(|padded| Packed {
            padded,
            deflated: None,
        });
    }
    let deflated = deflate(body);
    let smaller = deflated.as_ref().and_then(|text| padded_size(text.len()));
    match (plain, smaller) {
        (Some(padded), None) => Some((padded, None)),
        (Some(padded), Some(smaller)) if padded <= smaller => Some((padded, None)),
        (_, Some(smaller)) => Some((smaller, deflated)),
        (None, None) => None,
    }
    .map(|(padded, deflated)| Packed { padded, deflated })
}

/// True if one record holds a body of these encoded bytes.
#[must_use]
pub fn fits_record(body: &[u8]) -> bool {
    body.len() <= MAX_BODY || pack(body).is_some()
}

/// Bytes of a body deflated, for figures; `None` if that does not become short enough for a record.
#[must_use]
pub fn deflated_size(body: &[u8]) -> Option<usize> {
    deflate(body).map(|text| text.len())
}

thread_local! {
    /// Its tables take 300 KB: to make them anew for each record costs more than the deflating.
    static COMPRESS: RefCell<Compress> = RefCell::new(Compress::new(Compression::best(), false));
}

/// `None` if it does not become short enough for a record.
fn deflate(body: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_BODY));
    let end = COMPRESS.with_borrow_mut(|stream| {
        let end = stream.compress_vec(body, &mut text, FlushCompress::Finish);
        // Now, not before the next one: nothing of the body stays in them.
        stream.reset();
        end
    });
    matches!(end, Ok(Status::StreamEnd)).then_some(text)
}

/// The body again; `None` if these bytes are not exactly one stream of at most [`MAX_INFLATED`] bytes.
pub(super) fn inflate(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut body = Zeroizing::new(Vec::with_capacity(MAX_INFLATED));
    let mut stream = Decompress::new(false);
    let end = stream.decompress_vec(text, &mut body, FlushDecompress::Finish);
    let whole = matches!(end, Ok(Status::StreamEnd)) && stream.total_in() == text.len() as u64;
    whole.then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_bodies_are_left_alone_and_none_grows() {
        for length in 0..400_usize {
            let noise: Vec<u8> = (0..length)
                .map(|n| u8::try_from(n * n * 31 % 251).unwrap_or(0))
                .collect();
            let packed = pack(&noise).expect("fits");
            assert!(Some(packed.padded) <= padded_size(length), "{length}");
        }
        assert!(pack(&[7; 62]).expect("fits").deflated.is_none());
        assert!(pack(&[7; 63]).expect("fits").deflated.is_some());
    }

    #[test]
    fn a_bomb_takes_no_more_memory_than_a_body() {
        let mut bomb = Vec::with_capacity(MAX_BODY);
        let mut stream = Compress::new(Compression::best(), false);
        let zeros = vec![0; 1 << 20];
        let end = stream.compress_vec(&zeros, &mut bomb, FlushCompress::Finish);
        assert!(matches!(end, Ok(Status::StreamEnd)) && bomb.len() < MAX_BODY);
        assert!(inflate(&bomb).is_none(), "a mebibyte in {}", bomb.len());
        // The control: the largest that is allowed.
        let text = deflate(&zeros[..MAX_INFLATED]).expect("short");
        assert_eq!(inflate(&text).map(|body| body.len()), Some(MAX_INFLATED));
        let text = deflate(&zeros[..=MAX_INFLATED]).expect("short");
        assert!(inflate(&text).is_none(), "one byte more");
    }

    #[test]
    fn nothing_hides_behind_a_stream_or_is_missing_from_it() {
        let mut text = deflate(&[5; 300]).expect("short");
        assert_eq!(
            inflate(&text).as_deref().map(Vec::as_slice),
            Some(&[5; 300][..])
        );
        assert!(inflate(&text[..text.len() - 1]).is_none());
        text.push(0);
        assert!(inflate(&text).is_none());
        assert!(inflate(&[]).is_none() && inflate(&[0xFF; 40]).is_none());
    }
}
