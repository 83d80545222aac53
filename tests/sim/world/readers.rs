//! Readers and people.

use super::*;

impl World {
    pub(super) fn read(&mut self) -> Result<(), Violation> {
        let next = self.between(2_000, 15_000);
        self.post(next, Event::Read);
        let current = self.centre.as_ref().filter(|centre| !centre.is_behind());
        let Some(centre) = current else {
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

    /// Somebody says that another one wore a patient's sensor for a while.
    pub(super) fn void(&mut self, patient: usize) -> Result<(), Violation> {
        let from = self.now - self.between(20_000, 240_000);
        let to = from + self.between(4_000, 90_000);
        let Some(centre) = &mut self.centre else {
            return Ok(());
        };
        let (id, ..) = &Stock::get().patients[patient];
        let reason = centre.books().seal_reason(id, "worn by another");
        let entry = Entry::Voided {
            patient: id.clone(),
            sources: self.truth.sources(patient),
            from,
            to,
            since: self.now,
            by: "Ann".into(),
            reason: reason.unwrap_or_default(),
            moved_to: None,
        };
        centre.act(vec![entry]);
        self.truth.voided(patient, from, to);
        self.note(|| format!("patient {patient}: readings are voided"));
        self.after_centre()
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
