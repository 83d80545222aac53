//! Rules as data: a document that people edit, what it would have done on recorded days, and whether it may be activated.
//!
//! * `document`: PURE. Text to rules and back, its hash, everything that is wrong with it.
//! * `report`: PURE. What two sets of rules raised on the same days, as figures.
//! * `refusal`: PURE. What stands against activating one that was tried.
//!
//! Who folds the recorded days: `patient::Rehearsal`; who keeps what was decided: the registry. Must not know: gRPC, files.

mod document;
mod refusal;
mod report;

pub use document::{DocumentError, RuleSet};
pub use refusal::{Budget, Refusal, refusals};
pub use report::{Figures, Switched, Told, report};

use crate::journal::Position;
use crate::registry::Registry;

/// The rules in force after the entry at that position, as the fold takes them: a document that this program cannot read
/// changes nothing.
#[must_use]
pub fn in_force(registry: &Registry, at: Position) -> RuleSet {
    let mut decided = registry.rules().filter(|decided| decided.at <= at);
    let read = decided.find_map(|decided| RuleSet::parse(&decided.document).ok());
    read.unwrap_or_else(RuleSet::built_in)
}
