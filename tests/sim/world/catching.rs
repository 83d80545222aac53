//! A centre that starts: what its first life begins with, and how twins are brought up to date behind open doors.

use super::*;
use crate::house::sensor;

impl World {
    /// The fold reads some entries more; whoever sends, acts, or cuts the power may come between.
    pub(super) fn catch_up(&mut self, life: u64) -> Result<(), Violation> {
        if self.life != life {
            return Ok(());
        }
        // Mostly at once, sometimes for minutes of appends, sometimes longer than the door may be open.
        let (most, next) = match (self.healed, self.plan.slow_fold) {
            (true, _) => (usize::MAX, self.between(1, 400)),
            (false, true) => (1, self.between(2_000, 9_000)),
            (false, false) => {
                let most = [3, 40, 1000][self.dice.random_range(0..3)];
                (most, self.between(1, 400))
            }
        };
        let Some(centre) = &mut self.centre else {
            return Ok(());
        };
        let (truth, mut found) = (&mut self.truth, Ok(()));
        let caught_up = centre.catch_up(most, |committed, hub| {
            if found.is_ok() {
                found = truth.replayed(committed, hub);
            }
        });
        found?;
        let told = centre.tape.told();
        let (longer, shorter) = if told.len() < self.tape.len() {
            (&self.tape, &told)
        } else {
            (&told, &self.tape)
        };
        if !longer.starts_with(shorter) {
            return broken(Property::P5, "the replay published something else");
        }
        match caught_up {
            Err(error) => broken(Property::P1, format!("no journal: {error}")),
            Ok(false) => {
                self.post(next, Event::CatchUp(life));
                Ok(())
            }
            Ok(true) if told.len() < self.tape.len() => {
                broken(Property::P5, "the replay published less")
            }
            Ok(true) => {
                self.note(|| "centre: its twins are current".into());
                self.after_centre()
            }
        }
    }
}

/// What the first life of a centre begins with: patients, gateways and who collects whom.
pub(super) fn first_entries(plan: &Plan, books: &Books) -> Vec<Entry> {
    let stock = Stock::get();
    let program = "simulation".to_owned();
    let mut entries = vec![Entry::EpochStarted { epoch: 1, program }];
    for house in 0..plan.houses {
        entries.push(Entry::GatewayEnrolled {
            gateway: stock.gateway(house).clone(),
            serial: vec![1],
            not_after: START + Span::from_mins(24 * 60),
        });
    }
    for (patient, house) in plan.patients.iter().enumerate() {
        let (id, key_id, public_key) = &stock.patients[patient];
        entries.push(Entry::PatientAdded {
            patient: id.clone(),
            name: books.seal_name(id, "Ann").unwrap_or_default(),
            test_data: true,
        });
        entries.push(Entry::KeyAdded {
            patient: id.clone(),
            key_id: key_id.0,
            public_key: public_key.0,
        });
        let devices = [sensor(patient).to_string()];
        entries.push(Entry::Assigned {
            patient: id.clone(),
            gateway: stock.gateway(*house).clone(),
            stream: StreamId([u8::try_from(patient).unwrap_or(0) + 1; 16]),
            key_id: key_id.0,
            devices: books.seal_devices(id, &devices).unwrap_or_default(),
            from: START - Span::from_mins(60 * 24),
        });
    }
    entries
}
