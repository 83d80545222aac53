//! From a decoded notification to waveform blocks.

use alloc::vec::Vec;

use super::{Memory, Origin, Sequences, polar, samples};
use crate::Waveform;
use crate::gatt::{Decoded, Observation};

/// The waveform blocks of a decoded value, or why one was refused, a short stable word; none for most.
#[must_use]
pub fn waveforms(
    decoded: &Decoded,
    origin: Origin,
    memory: &mut Memory,
    sequences: &mut Sequences,
) -> Vec<Result<Waveform, &'static str>> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "most values are scalars")]
    let mut blocks: Vec<_> = match decoded {
        Decoded::Polar(frame) => {
            let block = polar::block(frame, origin, &mut memory.polar);
            block.map(Ok).into_iter().collect()
        }
        Decoded::Health(segment) => {
            let whole = memory.live.arrays.take(segment);
            let arrays = whole.iter().flatten().flat_map(Observation::arrays);
            let block = |array| samples::block(array, origin, &mut memory.sampling);
            arrays.map(block).collect()
        }
        // Only what is sent as it is measured tells when its samples were taken.
        Decoded::StoredHealth(segment) => {
            let whole = memory.stored.arrays.take(segment);
            let arrays = whole.iter().flatten().flat_map(Observation::arrays);
            arrays.map(|_| Err("sample_array_stored")).collect()
        }
        _ => Vec::new(),
    };
    for block in blocks.iter_mut().flatten() {
        block.sequence = sequences.take_block(origin.source, block.wave);
    }
    blocks
}
