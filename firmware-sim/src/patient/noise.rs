//! PURE: random numbers by place (seed, channel, index) instead of by order, so that who reads which sample when does not
//! change any other sample.

/// Mixes 64 bits (the finaliser of `SplitMix64`, Steele et al. 2014).
#[must_use]
pub fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A seed for a part of the whole, by the part's name.
#[must_use]
pub fn derive(seed: u64, name: &str) -> u64 {
    name.bytes()
        .fold(mix(seed), |state, byte| mix(state ^ u64::from(byte)))
}

/// Uniform in -1..1.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "53 bits are kept")]
pub fn uniform(seed: u64, channel: u64, index: u64) -> f64 {
    let bits = mix(seed ^ mix(channel ^ mix(index)));
    (bits >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniform_is_centred_bounded_and_repeatable() {
        let draws: Vec<f64> = (0..4000).map(|i| uniform(7, 1, i)).collect();
        let mean = draws.iter().sum::<f64>() / 4000.0;
        assert!(mean.abs() < 0.05, "mean {mean}");
        assert!(draws.iter().all(|x| (-1.0..1.0).contains(x)));
        assert_eq!(
            draws,
            (0..4000).map(|i| uniform(7, 1, i)).collect::<Vec<_>>()
        );
        assert_ne!(derive(1, "a"), derive(1, "b"));
    }
}
