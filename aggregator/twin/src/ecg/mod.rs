//! Heart beats from an electrocardiogram, while it comes: where each QRS complex is, the intervals between them, and
//! how far each can be trusted.
//!
//! * `wavelet`: what a QRS complex is like; `find`: which of its maxima are beats; `ring`. Blocks, runs and times: [`crate::signal`].
//!
//! Promises: causal, with a delay of [`DELAY`] and no more; memory is bounded (three rings of two seconds). The quality of a
//! beat is told and vetoes nothing: rules on likeness and regularity would reject fibrillation and ectopy (MODELS.md).
//!
//! Must not know: patients, sources, what the beats mean.

mod find;
mod ring;
mod wavelet;

use alloc::string::String;

use vitals::Span;

use crate::signal::{BRIDGE, Find, Findings, JITTER};
pub use crate::signal::{Beat, Counts, Taken};
pub use find::Finder;
use find::Signs;

/// All blocks of one source's electrocardiogram.
pub type Lead = crate::signal::Lead<Finder>;

/// Name and version.
pub const MODEL: &str = "qrs-wavelet-path/2";
/// Samples a second that the finder works on.
pub const RATE: u32 = 250;
/// From a QRS complex to its beat at most: 1.5 s of samples, and two of the sensor's own.
pub const DELAY: Span = Span::from_millis(find::DELAY as i64 * 1000 / RATE as i64 + 20);
/// Beats below it are doubtful: a burst of noise as strong as the signal, or what is seldom a beat.
pub const DOUBTFUL: f64 = 0.75;
/// So much fast noise, in parts of a beat's height, is usual.
const GRAIN: f64 = 0.15;
/// The electrode is off, or the amplifier at its limit.
const STUCK: Span = Span::from_millis(100);

impl Find for Finder {
    const RATE: u32 = RATE;
    const RATES: core::ops::RangeInclusive<u32> = 100_000..=1_000_000;
    const STUCK: Span = STUCK;
    /// No electrode gives a volt; in microvolts.
    const IMPOSSIBLE: f64 = 1e6;

    fn take(&mut self, value: f64, found: &mut Findings) {
        self.sample(value, &mut found.beats);
    }

    fn finish(&mut self, found: &mut Findings) {
        self.end(&mut found.beats);
    }
}

/// How far a beat can be trusted: the noise around it beside it, and the evidence for it beside the most there can be.
/// Fast noise moves the wavelet little, but shows that something is wrong.
fn quality(signs: &Signs) -> f64 {
    let slow = signs.noise.min(1.0) + 1.0 - (signs.evidence / 9.0).clamp(0.0, 1.0);
    let fast = signs.grain - GRAIN;
    (1.0 - slow.max(fast)).clamp(0.0, 1.0)
}

/// The definition, for hashes.
#[must_use]
pub fn definition() -> String {
    alloc::format!(
        "{MODEL} rate {RATE} delay {DELAY:?} bridge {BRIDGE:?} jitter {JITTER:?} stuck {STUCK:?} doubtful {DOUBTFUL} grain {GRAIN} {}",
        find::definition()
    )
}
