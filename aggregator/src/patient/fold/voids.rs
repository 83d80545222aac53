//! Where readings are voided, and where that is settled.
//!
//! Must not know: who reads the log again, and when.

use twin::Event;
use twin::event::Void;
use vitals::PatientId;

use super::super::anew::Rereading;
use super::{Fold, Places};
use crate::journal::Position;
use crate::publish::Events;

impl<E: Events> Fold<E> {
    /// From now on what still comes of those readings is left out; what had come is, once that is settled.
    pub(super) fn voided(&mut self, patient: &PatientId, voids: &[Void], places: &mut Places) {
        let Some(index) = self.by_id.get(patient).copied() else {
            return;
        };
        for void in voids {
            self.step(index, Event::Voided(*void), places.known, places);
        }
        let mut state = self.cells[index.0 as usize].lock();
        if places.position > state.upto {
            state.unsettled = Some(places.position);
            self.read_again(patient, places.position, state.guarded.twin().voids());
        }
    }

    pub(super) fn read_again(&self, patient: &PatientId, void: u64, voids: &[Void]) {
        if let Some(again) = &self.again {
            let of = (patient.clone(), Position(void));
            let rereading = Rereading::new(again, self.step, of, voids);
            self.shared.rereadings.add(rereading);
        }
    }

    /// The twin that the log gives without what was voided takes the place of the one that stood, and what that changes
    /// is told. Nothing, if more was voided since: that is settled with it.
    pub(super) fn void_settled(&mut self, patient: &PatientId, void: u64, places: &mut Places) {
        let Some(index) = self.by_id.get(patient).copied() else {
            return;
        };
        {
            let mut state = self.cells[index.0 as usize].lock();
            if places.position <= state.upto || state.unsettled != Some(void) {
                return;
            }
            state.unsettled = None;
            state.save.touch(places.pass);
        }
        let read = self.shared.rereadings.take(patient);
        let read = read.map(|read| read.finish(Position(places.position), places.known));
        match read {
            Some(Ok((anew, why))) => {
                self.change(index, places, |guarded, out| {
                    guarded.amend(anew, &why, out);
                    Ok(())
                });
            }
            Some(Err(error)) => {
                tracing::error!(position = places.position, %error, "the log cannot be read without what was voided");
            }
            None => tracing::error!(
                position = places.position,
                "there is no log to read without what was voided"
            ),
        }
        self.shared.rereadings.settled.notify_one();
    }
}
