//! PURE. From a notification to readings, and what is refused, counted by reason.
//!
//! Invariants: a value is taken whole or refused whole; a refusal has a reason that a person can look up in
//! the status, and no octet of it goes anywhere else.
//! Must not know: seals, stores, connections.

use std::collections::BTreeMap;

use proto::seal::Lane;
use vitals::gatt::{Access, Advert, Characteristic, Decoded, Layout};
use vitals::observe::{self, Memory, Origin, Sequences};
use vitals::{Kind, Reading, SourceId, Span, Value, Waveform};

use crate::ble::Notification;
use crate::ble::adverts::ADVERT;

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
    /// The device does not stream what it was asked for, or something that it sent cannot be used, and why: to be
    /// counted.
    pub refused: Vec<&'static str>,
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
    if notification.characteristic == ADVERT {
        return advertised(notification, source, memory, sequences);
    }
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
    let asked = if let Decoded::PolarControl(control) = &decoded {
        control.refusal()
    } else {
        None
    };
    let battery_percent = if let Decoded::Battery(level) = &decoded {
        Some(level.percent)
    } else {
        None
    };
    let readings = observe::readings(&decoded, origin, memory, sequences);
    let (mut waveforms, mut refused) = (Vec::new(), Vec::from_iter(asked));
    for block in observe::waveforms(&decoded, origin, memory, sequences) {
        match block {
            Ok(block) => waveforms.push(block),
            Err(reason) => refused.push(reason),
        }
    }
    Ok(Observed {
        readings,
        damaged: observe::damaged(&decoded) as u64,
        refused,
        waveforms,
        lane: lane(&decoded),
        contact: observe::contact(&decoded),
        battery_percent,
    })
}

/// An advert never travels in the lane of spot checks: whoever stands in the street can send one.
fn advertised(
    notification: &Notification,
    source: SourceId,
    memory: &mut Memory,
    sequences: &mut Sequences,
) -> Result<Observed, &'static str> {
    let advert = Advert::decode(&notification.value).map_err(|error| error.reason())?;
    if let Some(Err(error)) = advert.bthome() {
        return Err(error.reason());
    }
    let origin = Origin {
        source,
        received: notification.received,
        clock_ahead: Span::ZERO,
    };
    let readings = observe::advert(&advert, origin, memory, sequences);
    let battery = readings.iter().find(|one| one.kind == Kind::BatteryLevel);
    let battery_percent = battery.and_then(|reading| match reading.value {
        Value::Measured(percent) => u8::try_from(percent.0).ok(),
        Value::Absent(_) => None,
    });
    Ok(Observed {
        readings,
        waveforms: Vec::new(),
        lane: Lane::Vitals,
        contact: None,
        damaged: 0,
        refused: Vec::new(),
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
    fn an_advert_gives_marked_readings_once_and_never_in_the_lane_of_spot_checks() {
        let (mut memory, mut sequences) = (Memory::default(), Sequences::default());
        let mut take = |octets: &[u8]| {
            decode(
                &notification(ADVERT, octets),
                None,
                (SourceId(3), Span::ZERO),
                &mut memory,
                &mut sequences,
            )
        };
        // BTHome: packet 9, battery 61 %, 21.5 degrees.
        let room = [
            11, 0x16, 0xD2, 0xFC, 0x40, 0x00, 9, 0x01, 61, 0x02, 0x66, 0x08,
        ];
        let observed = take(&room).expect("well formed");
        let kinds: Vec<Kind> = observed.readings.iter().map(|one| one.kind).collect();
        assert_eq!(kinds, [Kind::RoomTemperature, Kind::BatteryLevel]);
        assert_eq!(
            (observed.battery_percent, observed.lane),
            (Some(61), Lane::Vitals)
        );
        let marked = |one: &Reading| one.quality.has(vitals::Quality::ADVERTISED);
        assert!(observed.readings.iter().all(marked));
        assert_eq!(take(&room).expect("the same again").readings, []);
        // Encrypted: refused with a reason.
        assert_eq!(take(&[4, 0x16, 0xD2, 0xFC, 0x41]), Err("bad_value"));
    }

    #[test]
    fn a_polar_sensor_that_refuses_is_counted_with_its_reason_and_asked_for_its_own_settings() {
        let control = Characteristic::PolarControlPoint;
        for (value, reason) in [
            (&[0xF0, 2, 0, 0, 0][..], None),
            (&[0xF0, 2, 0, 6], Some("polar_already_running")),
            (&[0xF0, 2, 0, 3], Some("polar_not_supported")),
            (&[0xF0, 2, 2, 8, 0], Some("polar_rate_refused")),
            (&[0xF0, 2, 2, 13], Some("polar_in_its_charger")),
            (&[0xF0, 3, 0, 6], None),
            (&[0x01, 0], Some("polar_stopped_by_itself")),
        ] {
            let observed = check(control, value).expect("well formed");
            assert_eq!(observed.refused, Vec::from_iter(reason));
        }
        let next = |value: &[u8]| {
            let control = vitals::gatt::PmdControl::decode(value).expect("well formed");
            control
                .next_request()
                .map(|next| next.encode().expect("short"))
        };
        assert_eq!(next(&[0xF0, 2, 2, 8, 0]), Some(vec![1, 2]));
        // An armband offers 26, 52, 104 Hz, 16 bits, 8 g, three channels.
        let offered = [
            0xF0, 1, 2, 0, 0, 0, 3, 26, 0, 52, 0, 104, 0, 1, 1, 16, 0, 2, 1, 8, 0, 4, 1, 3,
        ];
        let asked = vec![2, 2, 0, 1, 52, 0, 1, 1, 16, 0, 2, 1, 8, 0, 4, 1, 3];
        assert_eq!(next(&offered), Some(asked));
        assert_eq!(next(&[0xF0, 2, 0, 6]), None);
    }

    /// An armband's acceleration comes as differences, in steps that it told when it was started.
    #[test]
    fn packed_frames_become_waveforms() {
        let (mut memory, mut sequences) = (Memory::default(), Sequences::default());
        let mut take = |characteristic: Characteristic, value: &[u8]| {
            let observed = decode(
                &notification(characteristic.uuid(), value),
                None,
                (SourceId(3), Span::ZERO),
                &mut memory,
                &mut sequences,
            );
            observed.expect("well formed").waveforms
        };
        let frame = vitals::gatt::PmdFrame {
            what: vitals::gatt::PmdType::Acceleration,
            recording: 0,
            timestamp_ns: 1_000_000_000,
            frame_type: 0,
            data: vitals::gatt::PmdData::Samples {
                channels: 3,
                packing: vitals::gatt::Packing::Deltas {
                    resolution: 16,
                    blocks: vec![vitals::gatt::DeltaBlock { bits: 4, count: 2 }],
                },
                values: vec![10, 20, 4000, 11, 19, 4003, 12, 18, 4001],
            },
        };
        let octets = frame.encode().expect("fits");
        let started = [&[0xF0, 2, 2, 0, 0, 5, 1][..], &0.000_244_f32.to_le_bytes()].concat();
        assert_eq!(
            take(Characteristic::PolarData, &octets),
            [],
            "in steps of what?"
        );
        take(Characteristic::PolarControlPoint, &started);
        let blocks = take(Characteristic::PolarData, &octets);
        assert_eq!(
            blocks[0].numbers,
            [10, 20, 4000, 11, 19, 4003, 12, 18, 4001]
        );
        assert_eq!((blocks[0].channels, blocks[0].samples()), (3, 3));
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
