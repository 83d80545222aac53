//! PURE. From a notification to readings, and what is refused, counted by reason.
//!
//! Invariants: a value is taken whole or refused whole; a refusal has a reason that a person can look up in
//! the status, and no octet of it goes anywhere else.
//! Must not know: seals, stores, connections.

use std::collections::BTreeMap;

use proto::seal::Lane;
use vitals::gatt::{Access, Characteristic, Decoded, Layout};
use vitals::observe::{self, Memory, Origin, Sequences};
use vitals::{Reading, SourceId, Span, Waveform};

use crate::ble::Notification;

/// The device is not assigned to this gateway.
pub const NOT_ASSIGNED: &str = "not_assigned";
/// The reading was taken before its assignment began.
pub const BEFORE_ASSIGNMENT: &str = "before_assignment";

/// Another device answered under the address of one of ours: nothing of it was taken.
pub const IMPOSTOR: &str = "impostor";
/// A stored record that came again: it was taken before.
pub const TAKEN_BEFORE: &str = "record_taken_before";
/// A device did not send its stored records; it is asked again on the next link.
pub const NOT_FETCHED: &str = "records_not_fetched";

/// The value's checksum does not fit.
pub const BAD_CHECKSUM: &str = "bad_checksum";

/// The device offers values that this version has no decoder for.
pub const UNKNOWN_PROFILE: &str = "unknown_profile";

/// What one notification says.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// Scalar readings; none for a value that measures nothing.
    pub readings: Vec<Reading>,
    /// Waveform blocks; none for most values. They have a lane of their own.
    pub waveforms: Vec<Waveform>,
    /// Spot checks must not be dropped or wait; dense vitals may.
    pub lane: Lane,
    /// What the sensor says about being on the body.
    pub contact: Option<bool>,
    /// Values whose checksum does not fit: dropped, to be counted.
    pub damaged: u64,
    /// Percent, if this was a battery level.
    pub battery_percent: Option<u8>,
}

/// Decodes one notification of a device that calls itself `name`; its wall clock is so far ahead of UTC.
///
/// # Errors
/// The reason of refusal, a short stable word for counters.
pub fn decode(
    notification: &Notification,
    name: Option<&str>,
    (source, clock_ahead): (SourceId, Span),
    memory: &mut Memory,
    sequences: &mut Sequences,
) -> Result<Observed, &'static str> {
    let characteristic =
        Characteristic::from_uuid(notification.characteristic).map_err(|error| error.reason())?;
    let layout = Layout::of_device(name.unwrap_or_default());
    let decoded = layout
        .decode(characteristic, &notification.value)
        .map_err(|error| error.reason())?;
    let origin = Origin {
        source,
        received: notification.received,
        clock_ahead,
    };
    let battery_percent = if let Decoded::Battery(level) = &decoded {
        Some(level.percent)
    } else {
        None
    };
    Ok(Observed {
        readings: observe::readings(&decoded, origin, memory, sequences),
        damaged: observe::damaged(&decoded) as u64,
        waveforms: observe::waveforms(&decoded, origin, memory, sequences),
        lane: lane(&decoded),
        contact: observe::contact(&decoded),
        battery_percent,
    })
}

/// Spot checks are rare and cannot be repeated: they travel first and are never dropped.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what is not known as a spot check is dense"
)]
const fn lane(decoded: &Decoded) -> Lane {
    match decoded {
        Decoded::SpotCheck(_)
        | Decoded::Temperature(_)
        | Decoded::BloodPressure(_)
        | Decoded::EnhancedBloodPressure(_)
        | Decoded::Glucose(_)
        | Decoded::GlucoseContext(_)
        | Decoded::Weight(_)
        | Decoded::BodyComposition(_)
        | Decoded::MiScale(_) => Lane::Alert,
        _ => Lane::Vitals,
    }
}

/// True if the characteristic notifies all the time while it is worn (as opposed to spot checks): silence of
/// such a device means that something is wrong.
#[must_use]
pub fn streams(characteristic: u128) -> bool {
    use Characteristic::{HeartRateMeasurement, PlxContinuous};
    [HeartRateMeasurement, PlxContinuous]
        .iter()
        .any(|known| known.uuid() == characteristic)
}

/// What to do about a characteristic that a device offers to notify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Subscribe: it is decoded.
    Wanted,
    /// Known, but not for subscribing.
    Ignored,
    /// No decoder: counted as an unknown profile, so that a person can see why nothing comes.
    Unknown,
}

/// Judges an offer.
#[must_use]
pub fn offer(characteristic: u128) -> Offer {
    match Characteristic::from_uuid(characteristic).map(|known| known.info().access) {
        Ok(Access::Subscribe | Access::ReadAndSubscribe | Access::Control) => Offer::Wanted,
        Ok(Access::Read | Access::Write) => Offer::Ignored,
        Err(_) => Offer::Unknown,
    }
}

/// Counts by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<String, u64>);

impl Counts {
    /// Counts `n` more for this reason.
    pub fn add(&mut self, reason: &str, n: u64) {
        match self.0.get_mut(reason) {
            Some(count) => *count += n,
            None => {
                self.0.insert(reason.to_owned(), n);
            }
        }
    }

    /// The counts by reason.
    #[must_use]
    pub const fn by_reason(&self) -> &BTreeMap<String, u64> {
        &self.0
    }
}

impl From<BTreeMap<String, u64>> for Counts {
    fn from(counts: BTreeMap<String, u64>) -> Self {
        Self(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ble::Address;
    use vitals::{Kind, Time};

    fn notification(characteristic: u128, value: &[u8]) -> Notification {
        Notification {
            device: Address([1; 6]),
            service: 0,
            characteristic,
            value: value.to_vec(),
            received: Time::from_micros(1_800_000_000_000_000),
        }
    }

    fn check(characteristic: Characteristic, value: &[u8]) -> Result<Observed, &'static str> {
        let notification = notification(characteristic.uuid(), value);
        decode(
            &notification,
            None,
            (SourceId(3), Span::ZERO),
            &mut Memory::default(),
            &mut Sequences::default(),
        )
    }

    #[test]
    fn a_heart_rate_with_two_rr_is_three_readings() {
        // Contact supported and present, RR present: 72/min, 820 and 830 ms in 1/1024 s.
        let value = [0x16, 72, 0x48, 0x03, 0x52, 0x03];
        let observed = check(Characteristic::HeartRateMeasurement, &value).expect("well formed");
        let kinds: Vec<Kind> = observed.readings.iter().map(|r| r.kind).collect();
        assert_eq!(kinds, [Kind::HeartRate, Kind::RrInterval, Kind::RrInterval]);
        assert_eq!(
            (observed.contact, observed.lane),
            (Some(true), Lane::Vitals)
        );
        assert!(observed.readings.iter().all(|r| r.source == SourceId(3)));
    }

    #[test]
    fn refusals_have_a_reason_and_use_up_no_sequence_number() {
        let mut sequences = Sequences::default();
        let uuid = Characteristic::HeartRateMeasurement.uuid();
        for (uuid, value, reason) in [
            (uuid, &[0x16_u8] as &[u8], "short"),
            (uuid, &[0x00, 72, 1, 2, 3], "trailing"),
            (0xdead, &[1], "unknown_characteristic"),
        ] {
            let refused = decode(
                &notification(uuid, value),
                None,
                (SourceId(1), Span::ZERO),
                &mut Memory::default(),
                &mut sequences,
            );
            assert_eq!(refused, Err(reason));
        }
        let good = decode(
            &notification(uuid, &[0, 60]),
            None,
            (SourceId(1), Span::ZERO),
            &mut Memory::default(),
            &mut sequences,
        );
        assert_eq!(good.expect("well formed").readings[0].sequence, 0);
    }

    #[test]
    fn battery_and_spot_checks() {
        let battery = check(Characteristic::BatteryLevel, &[81]).expect("well formed");
        assert_eq!(
            (battery.battery_percent, battery.readings.len()),
            (Some(81), 1)
        );
        let temperature = check(
            Characteristic::TemperatureMeasurement,
            &[0, 0x6c, 0x01, 0, 0xff],
        );
        assert_eq!(temperature.expect("well formed").lane, Lane::Alert);
        assert!(streams(Characteristic::PlxContinuous.uuid()));
        assert!(!streams(Characteristic::TemperatureMeasurement.uuid()));
    }

    #[test]
    fn offers() {
        assert_eq!(
            offer(Characteristic::HeartRateMeasurement.uuid()),
            Offer::Wanted
        );
        assert_eq!(offer(Characteristic::BatteryLevel.uuid()), Offer::Wanted);
        assert_eq!(offer(Characteristic::ModelNumber.uuid()), Offer::Ignored);
        assert_eq!(offer(0xfb00_5c82), Offer::Unknown);
    }
}
