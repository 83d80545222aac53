//! Carries out [`records`](crate::ble::records): one run for each control point of each link, writes beside
//! everything else.

use std::collections::{BTreeMap, HashMap};

use btleplug::api::{CharPropFlags, Characteristic, Peripheral as _, WriteType};
use btleplug::platform::Peripheral;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::time::timeout;
use vitals::Time;
use vitals::gatt::Characteristic as Known;

use super::{CALL_TIMEOUT, Task};
use crate::ble::records::{Marks, Outcome, Profile, Run};
use crate::ble::{Address, Notification};

/// A device's control point: the device and the service that it is in.
type Place = (Address, u128);

/// All runs of a session.
#[derive(Default)]
pub(super) struct Recovery {
    runs: HashMap<Place, (Run, Peripheral, Characteristic)>,
    writes: FuturesUnordered<Task<(Place, bool)>>,
    over: Vec<(Address, Profile, Outcome)>,
}

impl Recovery {
    /// A link is up and subscribed: what the device stored is fetched.
    pub(super) fn begin(
        &mut self,
        address: Address,
        peripheral: &Peripheral,
        marks: Marks,
        now: Time,
    ) {
        let control = Known::RecordAccessControlPoint.uuid();
        for characteristic in peripheral.characteristics() {
            let service = characteristic.service_uuid.as_u128();
            let writable = characteristic.properties.contains(CharPropFlags::WRITE);
            let profile = Profile::of_service(service);
            if let Some(profile) = profile
                && characteristic.uuid.as_u128() == control
                && writable
            {
                let run = Run::new(profile, marks.of(profile), now);
                self.runs.insert(
                    (address, service),
                    (run, peripheral.clone(), characteristic),
                );
            }
        }
        self.turn(now);
    }

    /// The link is down; the next one begins anew.
    pub(super) fn lost(&mut self, address: Address) {
        self.runs.retain(|(device, _), _| *device != address);
    }

    /// A value came. True if it was an answer to a run, and is nobody else's.
    pub(super) fn heard(&mut self, value: &Notification) -> bool {
        let Some((run, _, _)) = self.runs.get_mut(&(value.device, value.service)) else {
            return false;
        };
        let now = value.received;
        let answer = value.characteristic == Known::RecordAccessControlPoint.uuid();
        if answer {
            run.answer(&value.value, now);
            self.turn(now);
        } else if run.profile().is_record(value.characteristic) {
            run.record(now);
        }
        answer
    }

    /// What was taken since.
    pub(super) fn taken(&mut self, marks: &BTreeMap<Address, Marks>) {
        for ((address, _), (run, _, _)) in &mut self.runs {
            if let Some(marks) = marks.get(address) {
                run.taken(marks.of(run.profile()));
            }
        }
    }

    /// Starts the writes that are due.
    pub(super) fn turn(&mut self, now: Time) {
        for (place, (run, peripheral, control)) in &mut self.runs {
            let Some(octets) = run.poll(now) else {
                continue;
            };
            let (place, peripheral, control) = (*place, peripheral.clone(), control.clone());
            self.writes.push(
                async move {
                    let write = peripheral.write(&control, &octets, WriteType::WithResponse);
                    let written = timeout(CALL_TIMEOUT, write).await;
                    (place, matches!(written, Ok(Ok(()))))
                }
                .boxed(),
            );
        }
        let over = |(place, (run, _, _)): (&Place, &(Run, Peripheral, Characteristic))| {
            run.outcome()
                .map(|outcome| (place.0, run.profile(), outcome))
        };
        self.over.extend(self.runs.iter().filter_map(over));
        self.runs.retain(|_, (run, _, _)| run.outcome().is_none());
    }

    /// Waits for a write, for ever if there is none. Safe to cancel.
    pub(super) async fn written(&mut self) -> (Place, bool) {
        match self.writes.next().await {
            Some(written) => written,
            None => std::future::pending().await,
        }
    }

    /// A write ended.
    pub(super) fn wrote(&mut self, (place, done): (Place, bool), now: Time) {
        if let Some((run, _, _)) = self.runs.get_mut(&place).filter(|_| !done) {
            run.write_failed(now);
        }
        self.turn(now);
    }

    /// The next run that ended.
    pub(super) fn poll_over(&mut self) -> Option<(Address, Profile, Outcome)> {
        self.over.pop()
    }

    /// When [`Recovery::turn`] is due.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.runs
            .values()
            .filter_map(|(run, _, _)| run.next_deadline())
            .min()
    }
}
