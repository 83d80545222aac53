//! Which devices are whose: what must be known before a device is given to somebody.
//!
//! Lists of devices lie sealed in the registry. Each is opened once and kept as long as it lasts, or giving devices to one
//! patient after another would cost the square of their number. Must not know: what an assignment is.

use std::collections::HashMap;

use vitals::StreamId;

use crate::journal::SealedText;
use crate::registry::{Books, Stream};

/// Lists that were opened, by stream, beside what they were opened from.
#[derive(Debug, Default)]
pub(super) struct Devices(HashMap<StreamId, (SealedText, Vec<String>)>);

impl Devices {
    /// The first of these streams that has one of `devices`, and which.
    pub(super) fn taken<'a>(
        &mut self,
        books: &Books,
        mut streams: impl Iterator<Item = (StreamId, &'a Stream)>,
        devices: &[String],
    ) -> Option<(&'a Stream, String)> {
        streams.find_map(|(stream, of)| {
            let open = || books.open_devices(&of.patient, &of.devices);
            let kept = self.0.entry(stream).or_default();
            if kept.0 != of.devices {
                *kept = (of.devices.clone(), open());
            }
            let shared = kept.1.iter().find(|device| devices.contains(device))?;
            // Asked once more: a key that is gone takes its list with it.
            open().contains(shared).then(|| (of, shared.clone()))
        })
    }
}
