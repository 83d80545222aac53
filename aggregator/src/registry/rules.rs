//! Rules that people put into force, and what they tried last.
//!
//! Must not know: what a document says.

use std::collections::VecDeque;

use twin::canonical_fields;
use vitals::Time;

use super::Registry;
use crate::journal::Position;

/// Decisions that are kept here; the journal has all.
const KEPT: usize = 64;

/// Rules that were put into force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The entry.
    pub at: Position,
    /// TOML (`rules::RuleSet`).
    pub document: String,
    /// By the centre's clock.
    pub since: Time,
    /// Who, as the gate named them.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Decisions {
    /// Oldest first.
    made: VecDeque<Decided>,
    /// A `ShadowReport`; empty: none.
    pub(super) tried: Vec<u8>,
}

canonical_fields! {
    Decided { at, document, since, by, reason }
    Decisions { made, tried }
}

impl Decisions {
    pub(super) fn note(&mut self, decided: Decided) {
        if self.made.len() >= KEPT {
            self.made.pop_front();
        }
        self.made.push_back(decided);
    }
}

impl Registry {
    /// Rules that were put into force, newest first; none: what is built in holds.
    pub fn rules(&self) -> impl Iterator<Item = &Decided> {
        self.rules.made.iter().rev()
    }

    /// What was tried last: a `ShadowReport`; empty: nothing.
    #[must_use]
    pub fn rules_tried(&self) -> &[u8] {
        &self.rules.tried
    }
}
