//! Symbolic dynamics and Shannon entropy of RR intervals: Zhou, Ding, Wu, Zhang and Wang, "Automatic online detection of
//! atrial fibrillation based on symbolic dynamics and Shannon entropy", PLoS ONE 10:e0136544 (2015), as published.
//!
//! Each interval becomes a symbol `min(63, floor(hr / 5))`, three symbols in a row a word; over 127 words with K distinct
//! ones, `H = -(K / (N log2 N)) * sum p log2 p`.

/// Words in the window.
pub const WORDS: usize = 127;

/// `min(63, floor(hr/5))` with `hr = 60 s / RR`, in whole numbers.
pub(super) fn symbol(tenth_ms: i64) -> u8 {
    u8::try_from((120_000 / tenth_ms.max(1)).min(63)).unwrap_or(63)
}

/// Counts equal words, and how many words have each count: sums over counts in their order, so that equal windows
/// give equal bits in whatever order their words stand.
#[expect(clippy::cast_precision_loss, reason = "counts up to 127")]
pub(super) fn entropy(words: &[u32; WORDS]) -> f64 {
    let n = WORDS as f64;
    let log_n = libm::log2(n);
    let (mut distinct, mut sum) = (0, 0.0);
    for (count, words) in (1..).zip(words_with_count(words)) {
        if words > 0 {
            let p = count as f64 / n;
            sum += f64::from(words) * p * (libm::log2(count as f64) - log_n);
            distinct += words;
        }
    }
    -f64::from(distinct) / (n * log_n) * sum
}

/// Place `c - 1`: how many different words occur `c` times.
fn words_with_count(words: &[u32; WORDS]) -> [u8; WORDS] {
    /// Twice the words, and a power of two: an open table of them is short to search.
    const SLOTS: usize = 256;
    // A word and its count; a count of none is a free slot.
    let mut table = [(0_u32, 0_u8); SLOTS];
    let mut with_count = [0_u8; WORDS];
    for word in words {
        // Fibonacci hashing: the words of a regular heart differ in a few bits.
        let mut slot = (word.wrapping_mul(0x9e37_79b1) >> 24) as usize;
        while table[slot].1 > 0 && table[slot].0 != *word {
            slot = (slot + 1) % SLOTS;
        }
        let count = usize::from(table[slot].1);
        if let Some(before) = count.checked_sub(1) {
            with_count[before] -= 1;
        }
        with_count[count] += 1;
        table[slot] = (*word, table[slot].1 + 1);
    }
    with_count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rhythm::tests::noise;
    use alloc::vec::Vec;

    #[test]
    fn the_extremes_of_the_entropy() {
        assert_eq!(entropy(&[7; WORDS]), 0.0);
        let all = core::array::from_fn(|n| n as u32);
        assert!((entropy(&all) - 1.0).abs() < 1e-12);
    }

    /// The formula of the paper as it stands there: sorted words, a sum over the distinct ones.
    #[test]
    fn the_entropy_is_the_papers() {
        let mut seed = 3;
        for spread in [1.0, 4.0, 20.0, 90.0, 260_000.0] {
            for _ in 0..50 {
                let mut words: [u32; WORDS] =
                    core::array::from_fn(|_| (noise(&mut seed) * spread) as u32);
                let ours = entropy(&words);
                words.sort_unstable();
                let (n, groups) = (WORDS as f64, words.chunk_by(|a, b| a == b));
                let shares: Vec<f64> = groups.map(|same| same.len() as f64 / n).collect();
                let shannon: f64 = shares.iter().map(|p| p * libm::log2(*p)).sum();
                let paper = -(shares.len() as f64) / (n * libm::log2(n)) * shannon;
                assert!((ours - paper).abs() < 1e-12, "{ours} {paper}");
                words.rotate_left(31);
                assert_eq!(ours.to_bits(), entropy(&words).to_bits());
            }
        }
    }

    #[test]
    fn symbols_are_those_of_the_paper() {
        assert_eq!(symbol(10_000), 12, "60/min");
        assert_eq!(symbol(2_000), 60, "300/min");
        assert_eq!(symbol(30_000), 4);
    }
}
