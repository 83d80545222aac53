//! Readers and people.

use super::*;

impl World {
    pub(super) fn read(&mut self) -> Result<(), Violation> {
        let next = self.between(2_000, 15_000);
        self.post(next, Event::Read);
        let Some(centre) = &self.centre else {
            return Ok(());
        };
        let most = if self.healed {
            usize::MAX
        } else {
            self.dice.random_range(1..12)
        };
        self.twins.read(&centre.hub, most, &mut self.truth)?;
        self.alerts.read(&centre.hub, most, &centre.tape.told())?;
        if !self.healed && self.one_in(4) {
            self.twins.leave();
        }
        if !self.healed && self.one_in(4) {
            self.alerts.leave();
        }
        Ok(())
    }

    /// Somebody takes notice of an alert.
    pub(super) fn acknowledge(&mut self) -> Result<(), Violation> {
        let Some(centre) = &mut self.centre else {
            return Ok(());
        };
        let mut active = centre.hub.alerts();
        active.retain(|record| record.alert.resolved_us == 0);
        active.sort_by_key(|record| record.at);
        let Some(record) = active.first() else {
            return Ok(());
        };
        let note = centre.books().seal_note(&record.patient, "seen");
        let entry = Entry::Acknowledged {
            patient: record.patient.clone(),
            alert: record.key.clone(),
            by: "Ann".into(),
            note: note.unwrap_or_default(),
        };
        centre.act(vec![entry]);
        self.after_centre()
    }
}
