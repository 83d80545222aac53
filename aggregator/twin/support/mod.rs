//! What tests, examples and the centre's `evaluate` share and no program of the twin has: where recordings lie and how they are
//! read, simulated signals, one person's fold, and a seeded source of chance. Included by path, so that the pure crate has no
//! files to read. Must not know: reports.

#![allow(dead_code, reason = "each user uses a part")]

use std::path::PathBuf;

/// The folder of shared recordings: `VITALTWIN_SHARED`, or `../shared` beside the present folder.
pub(crate) fn recordings() -> PathBuf {
    let default = "../shared";
    PathBuf::from(std::env::var("VITALTWIN_SHARED").unwrap_or_else(|_| default.into()))
        .join("recordings")
}

/// SplitMix64: small, seeded, the same everywhere.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    /// Uniform in [0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Standard normal: the sum of twelve uniforms (exact everywhere, tails to six sigma).
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

pub(crate) mod electric;
pub(crate) mod fold;
pub(crate) mod moved;
pub(crate) mod optic;
pub(crate) mod recorded;
pub(crate) mod simulated;
