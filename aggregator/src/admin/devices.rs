//! Which devices are whose: what must be known before a device is given to somebody.
//!
//! Lists of devices lie sealed in the registry. Where a device may be is kept here, filled once and told by whoever gives
//! devices, or giving them to one patient after another would cost the square of their number.
//! Invariant: a place that is kept may be out of date, so each is looked at again before it counts; none is missing.
//! Must not know: what an assignment is.

use std::collections::HashMap;

use vitals::StreamId;

use crate::registry::{Books, Registry, Stream};

/// Streams that have or had a device, by its address; `None` before they were looked for.
#[derive(Debug, Default)]
pub(super) struct Devices(Option<HashMap<String, Vec<StreamId>>>);

impl Devices {
    /// The first stream that has one of `devices` and counts, and which.
    pub(super) fn taken<'a>(
        &mut self,
        (books, registry): (&Books, &'a Registry),
        devices: &[String],
        counts: impl Fn(&Stream) -> bool,
    ) -> Option<(&'a Stream, String)> {
        let places = self.0.get_or_insert_with(|| all(books, registry));
        let asked = devices
            .iter()
            .filter_map(|device| Some((device, places.get(device)?)));
        let mut asked =
            asked.flat_map(|(device, streams)| streams.iter().map(move |at| (device, at)));
        asked.find_map(|(device, at)| {
            let of = registry.stream(*at).filter(|of| counts(of))?;
            // A key that is gone takes its list with it.
            let has = books
                .open_devices(&of.patient, &of.devices)
                .contains(device);
            has.then(|| (of, device.clone()))
        })
    }

    /// These are about to be given: told before they are, so that no place is ever missing.
    pub(super) fn given(&mut self, stream: StreamId, devices: &[String]) {
        // Not looked for yet: they will be found then.
        let Some(places) = &mut self.0 else { return };
        for device in devices {
            let streams = places.entry(device.clone()).or_default();
            if !streams.contains(&stream) {
                streams.push(stream);
            }
        }
    }
}

fn all(books: &Books, registry: &Registry) -> HashMap<String, Vec<StreamId>> {
    let mut places: HashMap<String, Vec<StreamId>> = HashMap::new();
    for (stream, of) in registry.streams() {
        for device in books.open_devices(&of.patient, &of.devices) {
            places.entry(device).or_default().push(stream);
        }
    }
    places
}
