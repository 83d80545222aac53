//! PURE. Lists of whole numbers as few bytes: the only file that names pco.
//!
//! A column: length of the rest (varint) || form (1) || count (varint) || content. Forms: all the same; the same step
//! throughout; differences as varints (short lists, where pco's own heading would weigh more); pco on 32 or 64 bits.
//! Of pco's encodings the shortest is taken: plain differences, or (long lists) a linear prediction from the numbers
//! before, which finds the beat under the jitter of arrival times.
//!
//! Invariants: what is written reads back as it was; reading is total: `None` for bytes that nothing here wrote.
//! Must not know: what the numbers mean.

use pco::standalone::{simple_compress, simple_decompress};
use pco::{ChunkConfig, DeltaSpec};
use prost::encoding::{decode_varint, encode_varint};

const SAME: u8 = 0;
const STEPS: u8 = 1;
const DIFFERENCES: u8 = 2;
const PCO_32: u8 = 3;
const PCO_64: u8 = 4;

/// Shorter lists are written as differences.
const SHORT: usize = 96;
/// From this length on a linear prediction is tried.
const LONG: usize = 1024;
/// Longer ones would be cut into pages.
const PAGE: usize = 1 << 18;
/// Numbers before, that a prediction looks at.
const ORDERS: [usize; 2] = [4, 32];
/// Numbers that pco predicts in one go.
const ROUND: usize = 512;

/// A whole number, small ones in few bytes.
pub(super) fn put(to: &mut Vec<u8>, value: i64) {
    let zigzag = (value << 1) ^ (value >> 63);
    encode_varint(zigzag.cast_unsigned(), to);
}

/// Reads what [`put`] wrote.
pub(super) fn get(from: &mut &[u8]) -> Option<i64> {
    let zigzag = decode_varint(from).ok()?;
    Some((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
}

/// How many things follow, or how long they are.
pub(super) fn put_len(to: &mut Vec<u8>, length: usize) {
    encode_varint(length as u64, to);
}

/// Reads what [`put_len`] wrote; never more than there are bytes left, unless `packed`.
pub(super) fn get_len(from: &mut &[u8]) -> Option<usize> {
    let length = usize::try_from(decode_varint(from).ok()?).ok()?;
    (length <= from.len()).then_some(length)
}

/// The next `length` bytes.
pub(super) fn take<'a>(from: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(head)
}

/// Appends a column.
pub(super) fn write(to: &mut Vec<u8>, numbers: &[i64]) {
    let mut column = Vec::new();
    encode(&mut column, numbers);
    put_len(to, column.len());
    to.extend(column);
}

/// Reads a column.
pub(super) fn read(from: &mut &[u8]) -> Option<Vec<i64>> {
    let length = get_len(from)?;
    decode(take(from, length)?)
}

/// Leaves a column out.
pub(super) fn skip(from: &mut &[u8]) -> Option<()> {
    let length = get_len(from)?;
    take(from, length).map(|_| ())
}

fn encode(to: &mut Vec<u8>, numbers: &[i64]) {
    let first = numbers.first().copied().unwrap_or(0);
    let step = numbers
        .get(1)
        .map_or(0, |second| second.wrapping_sub(first));
    let even = |pair: &[i64]| pair[1].wrapping_sub(pair[0]) == step;
    if numbers.windows(2).all(even) {
        to.push(if step == 0 { SAME } else { STEPS });
        put_len(to, numbers.len());
        put(to, first);
        if step != 0 {
            put(to, step);
        }
        return;
    }
    if numbers.len() >= SHORT
        && let Some((form, base, bytes)) = pack(numbers)
    {
        to.push(form);
        put_len(to, numbers.len());
        put(to, base);
        to.extend(bytes);
        return;
    }
    to.push(DIFFERENCES);
    put_len(to, numbers.len());
    let mut before = 0_i64;
    for number in numbers {
        put(to, number.wrapping_sub(before));
        before = *number;
    }
}

/// The shortest of what pco makes of it.
fn pack(numbers: &[i64]) -> Option<(u8, i64, Vec<u8>)> {
    let (low, high) = (*numbers.iter().min()?, *numbers.iter().max()?);
    let narrow = high
        .checked_sub(low)
        .is_some_and(|span| span < i64::from(i32::MAX));
    if !narrow {
        let bytes = simple_compress(numbers, &ChunkConfig::default()).ok()?;
        return Some((PCO_64, 0, bytes));
    }
    let offsets = numbers.iter().map(|number| i32::try_from(number - low));
    let mut offsets: Vec<i32> = offsets.collect::<Result<_, _>>().ok()?;
    let mut shortest = simple_compress(&offsets, &ChunkConfig::default()).ok()?;
    if (LONG..PAGE).contains(&offsets.len()) {
        // pco 1.1.0 panics where less than the order is left over for the last of its rounds.
        let over = offsets.len() % ROUND;
        if (1..ORDERS[1]).contains(&over) {
            let last = *offsets.last()?;
            offsets.resize(offsets.len() + ORDERS[1] - over, last);
        }
        for order in ORDERS {
            let config = ChunkConfig::default().with_delta_spec(DeltaSpec::TryConv1(order));
            if let Ok(other) = simple_compress(&offsets, &config)
                && other.len() < shortest.len()
            {
                shortest = other;
            }
        }
    }
    Some((PCO_32, low, shortest))
}

fn decode(mut column: &[u8]) -> Option<Vec<i64>> {
    let form = *take(&mut column, 1)?.first()?;
    let count = usize::try_from(decode_varint(&mut column).ok()?).ok()?;
    // Nothing here writes longer ones: a count is not believed before memory is asked for.
    (count <= super::block::MOST).then_some(())?;
    match form {
        SAME => Some(vec![get(&mut column)?; count]),
        STEPS => {
            let (mut at, step) = (get(&mut column)?, get(&mut column)?);
            let numbers = (0..count).map(|_| {
                let now = at;
                at = at.wrapping_add(step);
                now
            });
            Some(numbers.collect())
        }
        DIFFERENCES => {
            let mut at = 0_i64;
            let numbers = (0..count).map(|_| {
                at = at.wrapping_add(get(&mut column)?);
                Some(at)
            });
            numbers.collect()
        }
        PCO_32 => {
            let base = get(&mut column)?;
            let offsets: Vec<i32> = simple_decompress(column).ok()?;
            // What was filled up at its end is left out.
            (offsets.len() >= count).then_some(())?;
            let numbers = offsets.into_iter().take(count);
            let numbers = numbers.map(|offset| base.checked_add(i64::from(offset)));
            numbers.collect()
        }
        PCO_64 => {
            get(&mut column)?;
            let numbers: Vec<i64> = simple_decompress(column).ok()?;
            (numbers.len() == count).then_some(numbers)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn back(numbers: &[i64]) -> (usize, Vec<i64>) {
        let mut bytes = Vec::new();
        write(&mut bytes, numbers);
        let mut rest = &bytes[..];
        let read = read(&mut rest).expect("just written");
        assert!(rest.is_empty());
        (bytes.len(), read)
    }

    #[test]
    fn what_repeats_or_counts_costs_next_to_nothing() {
        let same = vec![7; 10_000];
        let steps: Vec<i64> = (0..10_000).map(|n| 1_800_000_000_000 + n * 1000).collect();
        for numbers in [&same, &steps] {
            let (length, read) = back(numbers);
            assert_eq!(&read, numbers);
            assert!(length < 20, "{length}");
        }
    }

    #[test]
    fn jitter_on_a_beat_takes_less_than_its_differences_would() {
        let mut random = 88_172_645_463_325_252_u64;
        let mut jitter = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            i64::try_from(random % 41).expect("small")
        };
        let times: Vec<i64> = (0..20_000).map(|n| n * 1000 + jitter()).collect();
        let (length, read) = back(&times);
        assert_eq!(read, times);
        // 5.36 bits each are jitter; the differences of two have 6.1.
        assert!(length * 8 < times.len() * 6, "{length}");
    }

    /// With lengths that leave any rest for pco's last round.
    #[test]
    fn a_beat_of_any_length_comes_back() {
        for length in (2 * ROUND - 2..2 * ROUND + 40).chain([5 * ROUND + 18]) {
            let times: Vec<i64> = (0..length)
                .map(|n| n as i64 * 1000 + (n * n % 41) as i64)
                .collect();
            assert_eq!(back(&times).1, times, "{length}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_numbers_come_back(numbers in prop::collection::vec(
            prop_oneof![any::<i64>(), -40..40_i64, Just(i64::MAX), Just(i64::MIN)], 0..300)) {
            prop_assert_eq!(back(&numbers).1, numbers);
        }

        #[test]
        fn any_bytes_are_a_column_or_none(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = read(&mut &bytes[..]);
        }
    }
}
