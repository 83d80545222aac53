//! Findings: what late data tell of the past. Nothing here raises or withdraws a live alert.

use alloc::vec::Vec;

use vitals::{Kind, Quality, Time};

use super::Body;
use crate::life::Life;
use crate::rhythm::Episode;
use crate::rule::Threshold;
use crate::twin::Effect;
use crate::words::{self, Beyond};

impl Body {
    /// Takes a value about the past to the followers of its rules.
    pub(super) fn follow_past(
        &mut self,
        kind: Kind,
        effective: Time,
        value: f64,
        known: Time,
        life: &mut Life,
        out: &mut Vec<Effect>,
    ) {
        let rules: Vec<_> = self.rules(kind, known).collect();
        for (index, rule) in rules {
            let ended = self
                .pasts
                .get_mut(index)
                .and_then(|past| past.take(effective, value, known, &rule));
            if let Some(episode) = ended {
                self.find(&rule, &episode, known, life, out);
            }
        }
    }

    /// An episode of a rule ended, or no more of it comes.
    pub(super) fn find(
        &self,
        rule: &Threshold,
        episode: &Episode,
        now: Time,
        life: &mut Life,
        out: &mut Vec<Effect>,
    ) {
        let (Some(level), Some(kind)) = (rule.levels.first(), rule.kinds.first()) else {
            return;
        };
        let found = Beyond {
            rule,
            level: *level,
            kind: *kind,
            onset: episode.onset,
            value: episode.worst,
            at: episode.end,
            quality: Quality::GOOD,
            scale_2: self.context.oxygen_target_88_92,
        };
        life.finding(words::threshold(&found, true), episode.end, now, out);
    }
}

/// The same for an episode of fibrillation.
pub(super) fn find_fibrillation(
    episode: &Episode,
    now: Time,
    life: &mut Life,
    out: &mut Vec<Effect>,
) {
    let draft = words::fibrillation(
        episode.onset,
        episode.worst,
        episode.end,
        Quality::GOOD,
        true,
    );
    life.finding(draft, episode.end, now, out);
}
