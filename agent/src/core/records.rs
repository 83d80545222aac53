//! Which stored records of a device were taken, so that none is lost and none is taken twice: over drops in
//! the middle of a transfer, and over the agent's own death.
//!
//! A record counts as taken once its readings are in the core. What is kept here goes to disk in the same
//! commit as those readings, never before: after a crash the device is asked for what was lost with it.
//! Invariants: a run asks to continue after what is taken without a hole; holes end when the device says that it
//! sent everything.
//! Must not know: connections.

use std::collections::BTreeMap;

use vitals::gatt::{CgmRecord, Characteristic, GlucoseContext, GlucoseMeasurement, SpotCheck};

use crate::ble::Notification;
use crate::ble::records::{Marks, Profile};
use crate::outbox::rows::RecordsRow;

/// Pieces of one kind that are remembered; beyond it the newest are forgotten (they may then come twice, never get
/// lost).
const MOST_PIECES: usize = 128;
/// Stamps of spot checks that are remembered, three bytes each: more than oximeters for the home store. Beyond it the
/// oldest are forgotten, and come again with each link.
const MOST_SPOTS: usize = 512;

/// Numbers that were taken, as disjoint ranges in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Taken(Vec<(u64, u64)>);

impl Taken {
    fn contains(&self, number: u64) -> bool {
        let inside = |(first, last): &(u64, u64)| (*first..=*last).contains(&number);
        self.0.iter().any(inside)
    }

    fn insert(&mut self, number: u64) {
        if self.contains(number) {
            return;
        }
        let place = self.0.partition_point(|(first, _)| *first < number);
        self.0.insert(place, (number, number));
        self.0.dedup_by(|next, before| {
            let joins = before.1.checked_add(1) == Some(next.0);
            if joins {
                before.1 = next.1;
            }
            joins
        });
    }

    /// Everything up to the highest is there or does not exist.
    fn close(&mut self) {
        if let Some((_, last)) = self.0.last() {
            self.0 = vec![(0, *last)];
        }
    }

    /// The highest number up to which nothing is missing.
    fn whole(&self) -> Option<u64> {
        self.0
            .first()
            .filter(|(first, _)| *first == 0)
            .map(|(_, last)| *last)
    }

    fn to_row(&self) -> Vec<u64> {
        self.0
            .iter()
            .flat_map(|(first, last)| [*first, *last])
            .collect()
    }

    fn from_row(row: &[u64]) -> Self {
        let pairs = row.chunks_exact(2).map(|pair| (pair[0], pair[1]));
        Self(pairs.filter(|(first, last)| first <= last).collect())
    }
}

/// What was taken of one device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TakenRecords {
    glucose: Taken,
    contexts: Taken,
    /// The last glucose record that announced a context.
    announced: Option<u16>,
    /// The newest time of a glucose record by the device, seconds; and that when it began to number anew.
    latest: u64,
    before: u64,
    monitor: Taken,
    /// The monitor's session, as the device writes it.
    session: Vec<u8>,
    /// How many spot checks with each stamp, seconds, were taken: an oximeter's records have no numbers, and two
    /// measurements may have one stamp.
    spots: BTreeMap<u64, u64>,
    /// The stamp that came last on this link, and how often in a row.
    told: (u64, u64),
}

/// What of a value is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fresh {
    /// All of it, or it is no stored record.
    Whole,
    /// Only this.
    Part(Vec<u8>),
    /// Nothing: it was taken before.
    Nothing,
}

impl TakenRecords {
    /// Takes a value: what of it is new is taken from here on.
    pub(crate) fn take(&mut self, notification: &Notification) -> Fresh {
        let value = notification.value.as_slice();
        match Characteristic::from_uuid(notification.characteristic) {
            Ok(Characteristic::GlucoseMeasurement) => match GlucoseMeasurement::decode(value) {
                Ok(record) => self.take_glucose(&record),
                Err(_) => Fresh::Whole,
            },
            Ok(Characteristic::GlucoseMeasurementContext) => match GlucoseContext::decode(value) {
                // It follows its record: that of one that is not of this numbering is not either.
                Ok(context)
                    if self.before > 0 && !self.glucose.contains(context.sequence.into()) =>
                {
                    Fresh::Nothing
                }
                Ok(context) => once(&mut self.contexts, context.sequence.into()),
                Err(_) => Fresh::Whole,
            },
            Ok(Characteristic::CgmSessionStart) => {
                if self.session != value {
                    self.session = value.to_vec();
                    self.monitor = Taken::default();
                }
                Fresh::Whole
            }
            Ok(Characteristic::CgmMeasurement) => self.take_monitor(value),
            Ok(Characteristic::PlxSpotCheck) => {
                let spot = SpotCheck::decode(value).ok();
                let stamp = spot.and_then(|spot| spot.time?.as_if_utc());
                let stamp = stamp.and_then(|time| u64::try_from(time.as_micros() / 1_000_000).ok());
                stamp.map_or(Fresh::Whole, |stamp| self.take_spot(stamp))
            }
            _ => Fresh::Whole,
        }
    }

    /// A meter that lost its memory (a battery, a repair), or came to its last number, numbers from the beginning: a number
    /// that was taken, of a time after all that was taken. What it still has of before is told by its time.
    fn take_glucose(&mut self, record: &GlucoseMeasurement) -> Fresh {
        let number = record.sequence.into();
        let offset = i64::from(record.time_offset_min.unwrap_or(0)) * 60;
        let base = record.base_time.as_if_utc();
        let stamp = base.and_then(|time| u64::try_from(time.as_micros() / 1_000_000 + offset).ok());
        let stamp = stamp.unwrap_or(0);
        if (1..=self.before).contains(&stamp) {
            return Fresh::Nothing;
        }
        if self.glucose.contains(number) && self.latest > 0 && stamp > self.latest {
            self.before = self.latest;
            (self.glucose, self.contexts) = (Taken::default(), Taken::default());
            self.announced = None;
        }
        self.latest = self.latest.max(stamp);
        if record.context_follows {
            self.announced = self.announced.max(Some(record.sequence));
        }
        once(&mut self.glucose, number)
    }

    /// A value of a monitor may hold several records.
    fn take_monitor(&mut self, value: &[u8]) -> Fresh {
        let Ok(mut records) = CgmRecord::decode(value) else {
            return Fresh::Whole;
        };
        let all = records.len();
        // A record whose checksum does not fit is not taken: it may come again, whole.
        records.retain(|record| {
            let minute = record.time_offset_min.into();
            record.crc_ok == Some(false) || once(&mut self.monitor, minute) == Fresh::Whole
        });
        match records.len() {
            0 => Fresh::Nothing,
            some if some == all => Fresh::Whole,
            _ => CgmRecord::encode(&records).map_or(Fresh::Whole, Fresh::Part),
        }
    }

    /// The second value in a row with one stamp is a second measurement. One that comes again after others was told
    /// before: measured while the link came up and then listed, or listed once more by a run that was tried again.
    fn take_spot(&mut self, stamp: u64) -> Fresh {
        let row = match self.told {
            (last, row) if last == stamp => row + 1,
            _ => 1,
        };
        self.told = (stamp, row);
        let taken = self.spots.entry(stamp).or_insert(0);
        if row <= *taken {
            return Fresh::Nothing;
        }
        *taken = row;
        if self.spots.len() > MOST_SPOTS {
            self.spots.pop_first();
        }
        Fresh::Whole
    }

    /// The link is down: on the next one the device may send everything again.
    pub(crate) fn link_lost(&mut self) {
        self.told = (0, 0);
    }

    /// The device sent everything that it has.
    pub(crate) fn complete(&mut self, profile: Profile) {
        match profile {
            Profile::Glucose => {
                self.glucose.close();
                self.contexts.close();
                self.announced = None;
            }
            Profile::Monitor => self.monitor.close(),
            // Its records have no numbers, and its clock may be set back: only what was seen is known.
            Profile::Oximeter => {}
        }
    }

    /// After which records the next run continues.
    pub(crate) fn marks(&self) -> Marks {
        let number = |taken: &Taken| taken.whole().and_then(|last| u16::try_from(last).ok());
        let mut glucose = number(&self.glucose);
        if let Some(announced) = self.announced
            && !self.contexts.contains(announced.into())
        {
            // Its context is missing: it is asked for once more.
            glucose = announced
                .checked_sub(1)
                .and_then(|before| glucose.map(|last| last.min(before)));
        }
        Marks {
            glucose,
            monitor: number(&self.monitor),
        }
    }

    /// As a row, for the device with this source number; `None` if there is nothing to keep.
    pub(crate) fn to_row(&self, source: u16) -> Option<RecordsRow> {
        if *self == Self::default() {
            return None;
        }
        let [glucose, contexts, monitor] =
            [&self.glucose, &self.contexts, &self.monitor].map(Taken::to_row);
        Some(RecordsRow {
            source: source.into(),
            glucose,
            contexts,
            announced: self.announced.map(u32::from),
            monitor,
            session: self.session.clone(),
            spots: spots_to_row(&self.spots),
            glucose_latest: self.latest,
            glucose_before: self.before,
        })
    }

    pub(crate) fn from_row(row: &RecordsRow) -> Self {
        Self {
            glucose: Taken::from_row(&row.glucose),
            contexts: Taken::from_row(&row.contexts),
            announced: row.announced.and_then(|number| u16::try_from(number).ok()),
            monitor: Taken::from_row(&row.monitor),
            session: row.session.clone(),
            spots: spots_from_row(&row.spots),
            latest: row.glucose_latest,
            before: row.glucose_before,
            told: (0, 0),
        }
    }
}

/// Each stamp as the seconds since the one before it, followed by its count.
fn spots_to_row(spots: &BTreeMap<u64, u64>) -> Vec<u64> {
    let mut before = 0;
    let step = |(stamp, count): (&u64, &u64)| {
        let since = stamp - std::mem::replace(&mut before, *stamp);
        [since, *count]
    };
    spots.iter().flat_map(step).collect()
}

fn spots_from_row(row: &[u64]) -> BTreeMap<u64, u64> {
    let mut stamp = 0_u64;
    let pairs = row.chunks_exact(2).map(|pair| {
        stamp = stamp.saturating_add(pair[0]);
        (stamp, pair[1])
    });
    pairs.collect()
}

/// True for a value that changes what [`TakenRecords`] keeps.
pub(crate) fn is_stored(characteristic: u128) -> bool {
    let profiles = [Profile::Glucose, Profile::Monitor, Profile::Oximeter];
    profiles
        .iter()
        .any(|profile| profile.is_record(characteristic))
        || characteristic == Characteristic::CgmSessionStart.uuid()
}

fn once(taken: &mut Taken, number: u64) -> Fresh {
    if taken.contains(number) {
        return Fresh::Nothing;
    }
    taken.insert(number);
    if taken.0.len() > MOST_PIECES {
        // Runs rest on the numbers from the first on.
        taken.0.pop();
    }
    Fresh::Whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ble::Address;
    use proptest::prelude::*;
    use vitals::Time;
    use vitals::gatt::{DateTime, Decimal, Number};

    fn notification(characteristic: Characteristic, value: Vec<u8>) -> Notification {
        Notification {
            device: Address([1; 6]),
            service: 0,
            characteristic: characteristic.uuid(),
            value,
            received: Time::from_micros(0),
        }
    }

    fn glucose(sequence: u16, context_follows: bool) -> Notification {
        let measurement = GlucoseMeasurement {
            sequence,
            base_time: DateTime::from_utc(Time::from_micros(1_800_000_000_000_000))
                .expect("a date"),
            time_offset_min: None,
            sample: None,
            sensor_status: None,
            context_follows,
        };
        let value = measurement.encode().expect("well formed");
        notification(Characteristic::GlucoseMeasurement, value)
    }

    /// Of a minute of its own.
    fn later(sequence: u16, minute: i16, context_follows: bool) -> Notification {
        let mut notified = glucose(sequence, context_follows);
        let mut measurement = GlucoseMeasurement::decode(&notified.value).expect("ours");
        measurement.time_offset_min = Some(minute);
        notified.value = measurement.encode().expect("well formed");
        notified
    }

    /// A meter whose battery was changed numbers from the beginning; what it still has of before came already.
    #[test]
    fn a_meter_that_numbers_anew_is_heard() {
        let mut taken = TakenRecords::default();
        for number in 0..10 {
            assert_eq!(
                taken.take(&later(number, number as i16, false)),
                Fresh::Whole
            );
        }
        taken.complete(Profile::Glucose);
        assert_eq!(taken.take(&later(3, 3, false)), Fresh::Nothing, "control");
        assert_eq!(taken.take(&later(0, 60, true)), Fresh::Whole);
        assert_eq!(taken.marks().glucose, None, "its context is asked for");
        // After a restart of the agent, too.
        let row = taken.to_row(1).expect("something is kept");
        let mut taken = TakenRecords::from_row(&row);
        for number in 0..10 {
            assert_eq!(
                taken.take(&later(number, number as i16, false)),
                Fresh::Nothing
            );
        }
        assert_eq!(taken.take(&later(0, 60, true)), Fresh::Nothing);
        assert_eq!(taken.take(&later(1, 61, false)), Fresh::Whole);
        let context = |sequence| {
            let context = GlucoseContext {
                sequence,
                extended_flags: None,
                carbohydrate: None,
                meal: None,
                tester_and_health: None,
                exercise: None,
                dose: None,
                hba1c: None,
            };
            let value = context.encode().expect("well formed");
            notification(Characteristic::GlucoseMeasurementContext, value)
        };
        assert_eq!(taken.take(&context(9)), Fresh::Nothing, "of before");
        assert_eq!(taken.take(&context(0)), Fresh::Whole);
        taken.complete(Profile::Glucose);
        assert_eq!(taken.marks().glucose, Some(1));
    }

    fn monitor(minutes: &[u16]) -> Notification {
        let records = minutes.iter().map(|minute| CgmRecord {
            glucose: Number::Finite(Decimal {
                mantissa: 100,
                exponent: 0,
            }),
            time_offset_min: *minute,
            status: None,
            caltemp: None,
            warning: None,
            trend: None,
            quality: None,
            crc_ok: None,
        });
        let value = CgmRecord::encode(&records.collect::<Vec<_>>()).expect("well formed");
        notification(Characteristic::CgmMeasurement, value)
    }

    #[test]
    fn a_hole_is_asked_for_until_the_device_says_that_it_is_none() {
        let mut taken = TakenRecords::default();
        assert_eq!(taken.marks().glucose, None);
        for sequence in [0, 1, 2] {
            assert_eq!(taken.take(&glucose(sequence, false)), Fresh::Whole);
        }
        // Measured live while 3 and 4 are still in the device.
        assert_eq!(taken.take(&glucose(5, false)), Fresh::Whole);
        assert_eq!(taken.marks().glucose, Some(2));
        assert_eq!(taken.take(&glucose(3, false)), Fresh::Whole);
        assert_eq!(taken.take(&glucose(5, false)), Fresh::Nothing);
        assert_eq!(taken.marks().glucose, Some(3));
        taken.complete(Profile::Glucose);
        assert_eq!(taken.marks().glucose, Some(5));
    }

    #[test]
    fn a_context_that_did_not_come_is_asked_for_with_its_record() {
        let mut taken = TakenRecords::default();
        taken.take(&glucose(0, false));
        taken.take(&glucose(1, true));
        assert_eq!(taken.marks().glucose, Some(0));
        let context = notification(Characteristic::GlucoseMeasurementContext, vec![0, 1, 0]);
        assert_eq!(taken.take(&context), Fresh::Whole);
        assert_eq!(taken.marks().glucose, Some(1));
        assert_eq!(taken.take(&context), Fresh::Nothing);
    }

    #[test]
    fn minutes_begin_anew_with_a_session_and_a_value_is_taken_in_part() {
        let mut taken = TakenRecords::default();
        let session = |day: u8| {
            let value = vec![0xEA, 0x07, 11, day, 8, 0, 0, 0, 0];
            notification(Characteristic::CgmSessionStart, value)
        };
        taken.take(&session(20));
        assert_eq!(taken.take(&monitor(&[0, 1])), Fresh::Whole);
        assert_eq!(taken.take(&monitor(&[1])), Fresh::Nothing);
        assert_eq!(
            taken.take(&monitor(&[1, 2])),
            Fresh::Part(monitor(&[2]).value)
        );
        taken.take(&session(20));
        assert_eq!(taken.marks().monitor, Some(2));
        taken.take(&session(21));
        assert_eq!(taken.marks().monitor, None);
        assert_eq!(taken.take(&monitor(&[1])), Fresh::Whole);
    }

    /// SpO2 97, pulse 72, at that minute and second.
    fn spot_at(minute: u8, second: u8) -> Notification {
        let mut value = vec![0x01, 97, 0, 72, 0];
        value.extend([0xEA, 0x07, 11, 22, 8, minute, second]);
        notification(Characteristic::PlxSpotCheck, value)
    }

    #[test]
    fn a_spot_check_that_is_told_live_and_listed_on_one_link_is_one() {
        let mut taken = TakenRecords::default();
        let listed = |taken: &mut TakenRecords| -> Vec<Fresh> {
            [30, 35, 40]
                .map(|minute| taken.take(&spot_at(minute, 0)))
                .into()
        };
        // Measured while the link came up; the device lists it after its older ones.
        assert_eq!(taken.take(&spot_at(40, 0)), Fresh::Whole);
        let first = listed(&mut taken);
        assert_eq!(first, [Fresh::Whole, Fresh::Whole, Fresh::Nothing]);
        // The run was aborted and asks for all of them again.
        assert_eq!(listed(&mut taken), vec![Fresh::Nothing; 3]);
        assert_eq!(
            taken.take(&spot_at(45, 0)),
            Fresh::Whole,
            "control: a new one"
        );
    }

    #[test]
    fn a_memory_full_of_spot_checks_comes_again_in_vain() {
        let all =
            || (0..=255).flat_map(|n| [spot_at(n % 60, n / 60), spot_at(n % 60, 10 + n / 60)]);
        let mut taken = TakenRecords::default();
        assert!(all().all(|spot| taken.take(&spot) == Fresh::Whole));
        let row = taken.to_row(1).expect("kept");
        assert!(prost::Message::encoded_len(&row) < 2048);
        let mut taken = TakenRecords::from_row(&row);
        assert!(all().all(|spot| taken.take(&spot) == Fresh::Nothing));
    }

    #[test]
    fn two_spot_checks_with_one_stamp_are_two_and_come_again_in_vain() {
        let spot = || spot_at(30, 0);
        let mut taken = TakenRecords::default();
        assert_eq!(taken.take(&spot()), Fresh::Whole);
        assert_eq!(taken.take(&spot()), Fresh::Whole);
        let mut taken = TakenRecords::from_row(&taken.to_row(1).expect("kept"));
        assert_eq!(taken.take(&spot()), Fresh::Nothing);
        taken.link_lost();
        let again: Vec<Fresh> = (0..3).map(|_| taken.take(&spot())).collect();
        assert_eq!(again, [Fresh::Nothing, Fresh::Nothing, Fresh::Whole]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// A device with records 0..count, links that end anywhere, the agent dying anywhere: each record is
        /// taken exactly once, as far as what is durable can tell.
        #[test]
        fn each_record_is_taken_once_over_drops_and_crashes(
            count in 1..60_u16,
            runs in proptest::collection::vec((0..40_usize, any::<bool>()), 1..20),
        ) {
            let mut taken = TakenRecords::default();
            // What was committed: the row and the readings of the same commit.
            let (mut durable, mut kept) = (taken.clone(), Vec::new());
            let mut memory: Vec<u16> = Vec::new();
            let whole = std::iter::once((usize::MAX, false));
            for (length, crash) in runs.into_iter().chain(whole) {
                let first = taken.marks().glucose.map_or(0, |last| last + 1);
                for sequence in (first..count).take(length) {
                    if taken.take(&glucose(sequence, false)) == Fresh::Whole {
                        memory.push(sequence);
                    }
                }
                if length >= usize::from(count - first.min(count)) {
                    taken.complete(Profile::Glucose);
                }
                if crash {
                    memory.clear();
                    taken = TakenRecords::from_row(&durable.to_row(1).unwrap_or_default());
                } else {
                    kept.append(&mut memory);
                    durable = taken.clone();
                }
            }
            kept.sort_unstable();
            prop_assert_eq!(kept, (0..count).collect::<Vec<_>>());
        }
    }
}
