//! Devices that are a strap or a watch with something of their maker's own: Polar's streams, the open watches.

use firmware::clock::DeviceClock;
use firmware::device::Heard;
use firmware::gatt::{self, Refusal, Service, Uuid, Value};
use firmware::polar::{self, Streams};
use firmware::profiles;
use vitals::gatt::HeartRateMeasurement;
use vitals::{Span, Time};

use super::board::{Board, Fit, Samples};
use super::instrument::Meddling;
use super::seconds;
use crate::patient::Patient;
use crate::patient::signal;
use crate::scenario::WearablePlan;

/// A running stream is looked at this often: twice a frame of the ECG.
const FRAME_PACE: Span = Span::from_millis(280);

/// A strap or watch with its maker's own.
#[derive(Debug)]
pub(super) struct Vendor {
    within: Board,
    services: &'static [Service],
    clock: DeviceClock,
    meddling: Meddling,
    polar: Option<Polar>,
}

/// Whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Own {
    Polar,
    PineTime,
    Bangle,
}

/// What feeds the streams.
#[derive(Debug)]
struct Polar {
    streams: Streams,
    ecg: Samples,
    motion: Samples,
    /// Of the last beat that was streamed, seconds.
    last_beat: f64,
}

impl Vendor {
    /// With `own` on top of what is within.
    pub(super) fn new(plan: &WearablePlan, epoch: Time, within: Board, own: Own) -> Self {
        let services = match own {
            Own::Polar => polar::SERVICES,
            Own::PineTime => profiles::PINE_TIME,
            Own::Bangle => profiles::BANGLE,
        };
        let clock = DeviceClock::new(epoch + seconds(plan.clock.offset_s), plan.clock.drift_ppm);
        let polar = (own == Own::Polar).then(|| Polar {
            streams: Streams::new(clock),
            ecg: Samples::default(),
            motion: Samples::default(),
            last_beat: f64::NEG_INFINITY,
        });
        Self {
            within,
            services,
            clock,
            meddling: Meddling::new(plan),
            polar,
        }
    }

    pub(super) fn services(&self) -> &'static [Service] {
        self.services
    }

    pub(super) fn within(&self) -> &Board {
        &self.within
    }

    pub(super) fn play_to(&mut self, patient: &Patient, until: f64, fit: Fit) {
        self.within.play_to(patient, until, fit);
        self.clock_at(seconds(until));
        if let Some(polar) = &mut self.polar {
            polar.play_to(patient, until, fit);
        }
    }

    /// What the chips' firmware measured, as this maker sends it.
    pub(super) fn measurements(&mut self) -> Vec<Value> {
        let open_watch = self.polar.is_none();
        let mut values = self.within.measurements();
        values.retain(|value| self.has(value.characteristic));
        for value in &mut values {
            if open_watch && value.characteristic == gatt::HEART_RATE_MEASUREMENT {
                value.bytes = without_contact(&value.bytes);
            }
        }
        values
    }

    /// What it sends out of turn.
    pub(super) fn poll(&mut self, heard: Heard<'_>) -> Vec<Value> {
        let polar = self.polar.as_mut();
        polar.map_or_else(Vec::new, |polar| polar.streams.poll(heard))
    }

    /// When it will have more to send, if it is not asked for its measurements before.
    pub(super) fn pace(&self) -> Option<Span> {
        let polar = self.polar.as_ref()?;
        polar.streams.is_running().then_some(FRAME_PACE)
    }

    pub(super) fn read(&mut self, at: Span, characteristic: Uuid) -> Option<Vec<u8>> {
        if !self.has(characteristic) {
            return None;
        }
        let polar = self.polar.as_ref();
        polar
            .and_then(|polar| polar.streams.read(characteristic))
            .or_else(|| self.clock_at(at).read(at, characteristic))
            .or_else(|| self.within.read(at, characteristic))
    }

    pub(super) fn write(
        &mut self,
        at: Span,
        characteristic: Uuid,
        octets: &[u8],
    ) -> Result<(), Refusal> {
        if let Some(polar) = &mut self.polar {
            return polar.streams.write(characteristic, octets);
        }
        let written = self.clock_at(at).write(at, characteristic, octets);
        written.unwrap_or(Err(Refusal::NOT_PERMITTED))
    }

    fn has(&self, characteristic: Uuid) -> bool {
        let mut all = self.services.iter().flat_map(|s| s.characteristics);
        all.any(|known| known.uuid == characteristic)
    }

    /// Its clock, with what happened to it until `at`.
    fn clock_at(&mut self, at: Span) -> &mut DeviceClock {
        let clock = match &mut self.polar {
            Some(polar) => polar.streams.clock_mut(),
            None => &mut self.clock,
        };
        self.meddling.until(at, Span::ZERO, clock);
        clock
    }
}

impl Polar {
    fn play_to(&mut self, patient: &Patient, until: f64, fit: Fit) {
        while let Some((at, sample)) = self.ecg.next_before(until, Some(polar::ECG_HZ)) {
            if self.streams.wants_ecg() {
                // Off the body the electrodes see nothing but themselves.
                let millivolt = if fit.worn {
                    signal::ecg_mv(patient, at, sample, fit.sensor)
                } else {
                    0.0
                };
                // Thousands of microvolts at most.
                let microvolt = (1000.0 * millivolt).round() as i32;
                self.streams.feed_ecg(seconds(at), microvolt);
            }
        }
        while let Some((at, sample)) = self.motion.next_before(until, Some(polar::MOTION_HZ)) {
            if self.streams.wants_motion() {
                let gait = at * patient.state(at).cadence / 60.0;
                let felt = signal::acceleration(patient, at, gait, sample, fit.sensor);
                let axes = felt.map(|axis| (1000.0 * axis).round() as i32);
                self.streams.feed_motion(seconds(at), axes);
            }
        }
        let beats = patient.beats();
        for beat in beats.filter(|beat| beat.at > self.last_beat && beat.at <= until) {
            if fit.worn {
                self.streams.feed_beat(seconds(beat.at), beat.rr);
            }
        }
        self.last_beat = until;
    }
}

/// The open watches tell a rate and nothing of the skin.
fn without_contact(octets: &[u8]) -> Vec<u8> {
    let known = HeartRateMeasurement::decode(octets).ok();
    let plain = known.map(|known| HeartRateMeasurement {
        contact: None,
        ..known
    });
    // What our own firmware encoded decodes, and encodes again.
    plain
        .and_then(|value| value.encode().ok())
        .unwrap_or_default()
}
