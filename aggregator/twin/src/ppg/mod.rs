//! Heart beats from a photoplethysmogram (light through skin), while it comes: where each pulse wave passed the sensor, the
//! intervals between them, how far these can be trusted; and where there was nothing to be trusted, and why.
//!
//! * `find`: windows, and whether one is believed; `waves`: two ways to find pulse waves. Blocks, runs and times: [`crate::signal`].
//!
//! Promises: causal, with a delay of [`DELAY`] and no more; memory is bounded (eight seconds of samples); a window that is
//! refused gives a [`Reason`] and no beat, and no interval spans it. Nothing here asks whether beats come regularly: rules on
//! the ratio of intervals would reject fibrillation and ectopy (MODELS.md).
//!
//! Must not know: patients, sources, what the beats mean, whether somebody walks.

mod find;
mod waves;

use alloc::string::String;

use vitals::Span;

pub use crate::signal::{Beat, Counts, Reason, Taken, Window};
pub use find::Finder;

/// All blocks of one source's light. Of several channels the first is looked at.
pub type Lead = crate::signal::Lead<Finder>;

/// Name and version.
pub const MODEL: &str = "ppg-scalogram-slope/1";
/// Samples a second that the finder works on. What a pulse wave is made of lies below 10 Hz.
pub const RATE: u32 = 50;
/// From a pulse wave to its beat at most: a window's lead and its hop, and two of the sensor's own samples.
pub const DELAY: Span =
    Span::from_millis((find::AHEAD + find::HOP) as i64 * 1000 / RATE as i64 + 80);
/// Beats below it are doubtful: the least likeness that a window may have on the whole.
pub const DOUBTFUL: f64 = find::ALIKE;

/// The definition, for hashes.
#[must_use]
pub fn definition() -> String {
    alloc::format!(
        "{MODEL} rate {RATE} {} {}",
        find::definition(),
        waves::definition()
    )
}
