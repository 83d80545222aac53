//! What the start found damaged in the journal becomes part of the log: whose it was, and from when to when.
//!
//! Invariant: each is declared once, however often the centre starts. Must not know: how damage is found.

use anyhow::Result;

use crate::journal::{Damage, Draft, Journal};
use crate::registry::Books;

/// Appends what was not declared before.
///
/// # Errors
/// When the journal takes nothing.
pub(super) async fn declare(books: &Books, journal: &Journal, damages: &[Damage]) -> Result<()> {
    let drafts: Vec<Draft> = {
        let registry = books.registry();
        let all = damages
            .iter()
            .flat_map(|damage| registry.declare(damage.position, &damage.parts));
        all.map(Into::into).collect()
    };
    if drafts.is_empty() {
        return Ok(());
    }
    tracing::error!(
        count = drafts.len(),
        "readings that were receipted are damaged at rest: the patients' coverage says from when to when"
    );
    journal.append(drafts).await?;
    Ok(())
}
