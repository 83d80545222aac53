//! How a schedule is judged at its end.

use super::*;

impl World {
    pub(super) fn judge(&mut self) -> Result<(), Violation> {
        let Some(centre) = self.centre.take() else {
            return broken(Property::P8, "the centre is down");
        };
        self.truth.nothing_is_silent()?;
        let alerts: Vec<_> = centre.hub.alerts();
        let alerts: Vec<_> = alerts.iter().map(|of| (*of.alert).clone()).collect();
        let patients = self.plan.patients.len();
        self.truth.alerts_are_right(patients, &alerts)?;
        for patient in 0..self.plan.patients.len() {
            let (id, ..) = &Stock::get().patients[patient];
            let Some(index) = centre.hub.find(id) else {
                return broken(Property::P8, "a patient is unknown");
            };
            let twin = centre.hub.view(index).twin;
            let counted = |of: &proto::v1::GatewayState| {
                (
                    of.readings_applied + of.readings_quarantined,
                    of.readings_applied,
                )
            };
            let counted: u64 = twin.gateways.iter().map(|of| counted(of).0).sum();
            let there = self.truth.readings(patient);
            if counted != there {
                let what =
                    format!("patient {patient}: {there} readings are there, {counted} counted");
                return broken(Property::P2, what);
            }
        }
        let position = Position(centre.hub.position());
        self.truth.stood = Some((position, states(&centre.hub)));
        self.tape = centre.tape.told();
        drop(centre);
        self.replay(position)
    }

    /// The whole log again, into a fold that knows nothing.
    pub(super) fn replay(&mut self, last: Position) -> Result<(), Violation> {
        let books = std::sync::Arc::new(Books::new(std::sync::Arc::clone(&Stock::get().vault)));
        let medium = std::sync::Arc::new(self.shelf.clone());
        let Ok(replay) = Replay::on(medium, books) else {
            return broken(Property::P1, "the journal does not open");
        };
        let drops = self.bug == Some(Bug::DroppedAlerts);
        let (mut fold, tape, hub) = empty_fold(drops, &self.shelf, false);
        let mut found = Ok(());
        let read = replay.run(Position::START, last.next(), |committed| {
            fold.apply(&committed);
            if found.is_ok() {
                found = self.truth.replayed(&committed, &hub);
            }
            if found.is_ok() {
                found = self.truth.was_so(committed.position, &hub);
            }
        });
        found?;
        if read.is_err() || replay.next() != last.next() {
            return broken(Property::P1, "the journal does not read to its end");
        }
        if tape.told() != self.tape {
            return broken(Property::P5, "the replay published something else");
        }
        Ok(())
    }

    pub(super) fn report(&self) -> Report {
        let readings = (0..self.plan.patients.len()).map(|of| self.truth.readings(of));
        let alert = |told: &&Told| matches!(told, Told::Alert(..));
        Report {
            trace: self.hash,
            events: self.posted,
            simulated: self.now.since(START),
            readings: readings.sum(),
            entries: self.shelf.durable().0,
            alerts: self.tape.iter().filter(alert).count(),
            crashes: self.crashes,
        }
    }
}
