//! Damage at rest that the log itself has declared: each once.

use super::Registry;
use crate::journal::{Entry, LostPart, Position};

impl Registry {
    pub(super) fn note_damage(&mut self, entry: &Entry) {
        if let Entry::Damaged {
            stream, position, ..
        } = entry
        {
            self.damaged.insert((*position, *stream));
        }
    }

    /// What is to be appended for batches that are damaged at `position`; nothing that was declared before, or is nobody's.
    pub fn declare<'a>(
        &'a self,
        position: Position,
        parts: &'a [LostPart],
    ) -> impl Iterator<Item = Entry> + 'a {
        let new = move |part: &&LostPart| !self.damaged.contains(&(position, part.stream));
        parts.iter().filter(new).filter_map(move |part| {
            Some(Entry::Damaged {
                patient: self.stream(part.stream)?.patient.clone(),
                stream: part.stream,
                position,
                from: part.from,
                to: part.to,
                readings: part.readings,
                exact: part.exact,
            })
        })
    }

    /// How many rows and streams of the log were declared damaged.
    #[must_use]
    pub fn damages(&self) -> usize {
        self.damaged.len()
    }
}
