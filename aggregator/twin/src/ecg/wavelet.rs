//! A complex Morlet wavelet at 13 Hz, 28 ms wide: what a QRS complex is like, whatever its polarity and form. T waves
//! and the baseline are slower, most of a muscle's noise and the mains are faster.

/// Samples before and after the middle (84 ms at 250 Hz).
pub(super) const HALF: usize = 21;
const TAPS: usize = 2 * HALF + 1;

/// Real (even) and imaginary (odd) part of a window's middle. `window`: the last [`TAPS`] samples, oldest first.
pub(super) fn transform(window: impl Iterator<Item = f64>) -> (f64, f64) {
    let mut sums = (0.0, 0.0);
    for (value, (real, imaginary)) in window.zip(&KERNEL) {
        sums.0 += value * real;
        sums.1 += value * imaginary;
    }
    sums
}

const KERNEL: [(f64, f64); TAPS] = [
    (0.000273, -0.000202),
    (0.000690, -0.000197),
    (0.001296, 0.000109),
    (0.001990, 0.000947),
    (0.002496, 0.002566),
    (0.002321, 0.005120),
    (0.000773, 0.008517),
    (-0.002923, 0.012263),
    (-0.009386, 0.015347),
    (-0.018758, 0.016276),
    (-0.030366, 0.013304),
    (-0.042510, 0.004886),
    (-0.052515, -0.009728),
    (-0.057146, -0.029911),
    (-0.053366, -0.053323),
    (-0.039287, -0.076024),
    (-0.015030, -0.093130),
    (0.016828, -0.099929),
    (0.051452, -0.093188),
    (0.082672, -0.072241),
    (0.104402, -0.039475),
    (0.112189, 0.000000),
    (0.104402, 0.039475),
    (0.082672, 0.072241),
    (0.051452, 0.093188),
    (0.016828, 0.099929),
    (-0.015030, 0.093130),
    (-0.039287, 0.076024),
    (-0.053366, 0.053323),
    (-0.057146, 0.029911),
    (-0.052515, 0.009728),
    (-0.042510, -0.004886),
    (-0.030366, -0.013304),
    (-0.018758, -0.016276),
    (-0.009386, -0.015347),
    (-0.002923, -0.012263),
    (0.000773, -0.008517),
    (0.002321, -0.005120),
    (0.002496, -0.002566),
    (0.001990, -0.000947),
    (0.001296, -0.000109),
    (0.000690, 0.000197),
    (0.000273, 0.000202),
];
