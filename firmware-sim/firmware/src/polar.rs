//! The measurement streams of a Polar chest strap (PMD): ECG, acceleration and pulse intervals, started and stopped by
//! who writes to its control point. Heart rate is the strap's own.

use alloc::vec::Vec;

use vitals::gatt::{Packing, PmdControl, PmdData, PmdFrame, PmdSetting, PmdType, PulseInterval};
use vitals::{Span, Time};

use crate::clock::DeviceClock;
use crate::device::{Heard, Waiting};
use crate::gatt::{self, Access, Characteristic, Refusal, Service, Uuid, Value};

/// Samples of the ECG, Hz; the only rate there is.
pub const ECG_HZ: f64 = 130.0;
/// Samples of the acceleration, Hz, of those the strap offers.
pub const MOTION_HZ: f64 = 50.0;
/// Samples in a frame: what fits in a notification of 247 octets.
const ECG_FRAME: usize = 73;
const MOTION_FRAME: usize = 36;
/// Intervals are sent in so many at a time.
const INTERVALS_FRAME: usize = 5;
/// Second 0 of the strap's clock: 2000-01-01.
const CLOCK_ZERO: Time = Time::from_micros(946_684_800_000_000);

/// PMD service.
pub const SERVICE: Uuid = Uuid(0xFB00_5C80_02E7_F387_1CAD_8ACD_2D8D_F0C8);
/// Its control point.
pub const CONTROL: Uuid = Uuid(0xFB00_5C81_02E7_F387_1CAD_8ACD_2D8D_F0C8);
/// Its data.
pub const DATA: Uuid = Uuid(0xFB00_5C82_02E7_F387_1CAD_8ACD_2D8D_F0C8);

/// The attribute table, without battery and device information.
pub const SERVICES: &[Service] = &[
    gatt::HEART_RATE,
    Service {
        uuid: SERVICE,
        characteristics: &[
            Characteristic {
                uuid: CONTROL,
                access: Access::ReadWriteIndicate,
            },
            gatt::notify(DATA),
        ],
    },
];

/// Answers of the control point.
const DONE: u8 = 0;
const NOT_SUPPORTED: u8 = 3;
const BAD_PARAMETER: u8 = 5;
const RUNNING_ALREADY: u8 = 6;
/// Op codes.
const GET_SETTINGS: u8 = 1;
const START: u8 = 2;
const STOP: u8 = 3;

/// Streams.
#[derive(Debug)]
pub struct Streams {
    clock: DeviceClock,
    ecg: Option<Vec<i32>>,
    motion: Option<Vec<i32>>,
    intervals: Option<Vec<PulseInterval>>,
    waiting: Waiting,
}

impl Streams {
    /// None of them runs.
    #[must_use]
    pub fn new(clock: DeviceClock) -> Self {
        Self {
            clock,
            ecg: None,
            motion: None,
            intervals: None,
            waiting: Waiting::default(),
        }
    }

    /// Its clock.
    pub fn clock_mut(&mut self) -> &mut DeviceClock {
        &mut self.clock
    }

    /// True while the ECG runs.
    #[must_use]
    pub fn wants_ecg(&self) -> bool {
        self.ecg.is_some()
    }

    /// True while the acceleration runs.
    #[must_use]
    pub fn wants_motion(&self) -> bool {
        self.motion.is_some()
    }

    /// True while any stream runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.wants_ecg() || self.wants_motion() || self.intervals.is_some()
    }

    /// A sample of the ECG, microvolt.
    pub fn feed_ecg(&mut self, up: Span, microvolt: i32) {
        let Some(samples) = &mut self.ecg else { return };
        samples.push(microvolt);
        if samples.len() == ECG_FRAME {
            let values = core::mem::take(samples);
            self.push(up, PmdType::Ecg, 0, plain(1, 3, values));
        }
    }

    /// A sample of the acceleration, thousandths of gravity.
    pub fn feed_motion(&mut self, up: Span, axes: [i32; 3]) {
        let Some(samples) = &mut self.motion else {
            return;
        };
        samples.extend(axes);
        if samples.len() == 3 * MOTION_FRAME {
            let values = core::mem::take(samples);
            self.push(up, PmdType::Acceleration, 1, plain(3, 2, values));
        }
    }

    /// A beat, after so many seconds.
    pub fn feed_beat(&mut self, up: Span, rr_s: f64) {
        let Some(intervals) = &mut self.intervals else {
            return;
        };
        // An interval of a living heart fits in these; the casts saturate for what is none.
        intervals.push(PulseInterval {
            heart_rate: libm::round(60.0 / rr_s) as u8,
            interval_ms: libm::round(1000.0 * rr_s) as u16,
            error_ms: 4,
            flags: 0b110,
        });
        if intervals.len() == INTERVALS_FRAME {
            let data = PmdData::Intervals(core::mem::take(intervals));
            self.push(up, PmdType::PulseIntervals, 0, data);
        }
    }

    /// What it sends now.
    pub fn poll(&mut self, heard: Heard<'_>) -> Vec<Value> {
        if !heard(DATA) {
            // As the real one: streams end with their listener.
            (self.ecg, self.motion, self.intervals) = (None, None, None);
        }
        let mut sent = Vec::new();
        while let Some(value) = self.waiting.next(heard) {
            sent.push(value);
        }
        sent
    }

    /// What a read gives.
    #[must_use]
    pub fn read(&self, characteristic: Uuid) -> Option<Vec<u8>> {
        let streams = [PmdType::Ecg, PmdType::Acceleration, PmdType::PulseIntervals];
        let bits = streams
            .iter()
            .fold(0, |bits, stream| bits | 1 << stream.code());
        (characteristic == CONTROL)
            .then(|| PmdControl::Features(bits, Vec::new()).encode().ok())
            .flatten()
    }

    /// A write.
    ///
    /// # Errors
    /// The attribute protocol's error code.
    pub fn write(&mut self, characteristic: Uuid, octets: &[u8]) -> Result<(), Refusal> {
        if characteristic != CONTROL {
            return Err(Refusal::NOT_PERMITTED);
        }
        let request = PmdControl::decode(octets).map_err(|_| Refusal::LENGTH)?;
        let (op, what, (status, settings)) = match request {
            PmdControl::GetSettings(what) => (GET_SETTINGS, what, self.settings(what)),
            PmdControl::Start(what, settings) => (START, what, self.start(what, &settings)),
            PmdControl::Stop(what) => (STOP, what, self.stop(what)),
            PmdControl::Features(..) | PmdControl::Response { .. } => {
                return Err(Refusal::OUT_OF_RANGE);
            }
        };
        let answer = PmdControl::Response {
            request: op,
            what,
            status,
            more: false,
            settings,
        };
        self.waiting.push(gatt::value(CONTROL, answer.encode()));
        Ok(())
    }

    fn settings(&self, what: PmdType) -> Answer {
        let rate = |hertz: f64| PmdSetting::SampleRate(Vec::from([hertz as u16]));
        let bits = |bits| PmdSetting::Resolution(Vec::from([bits]));
        let settings = match stream(what) {
            Some(Stream::Ecg) => Vec::from([rate(ECG_HZ), bits(14)]),
            Some(Stream::Motion) => {
                let range = PmdSetting::Range(Vec::from([2, 4, 8]));
                Vec::from([rate(MOTION_HZ), bits(16), range])
            }
            Some(Stream::Intervals) => Vec::new(),
            None => return (NOT_SUPPORTED, Vec::new()),
        };
        (DONE, settings)
    }

    fn start(&mut self, what: PmdType, asked: &[PmdSetting]) -> Answer {
        let other_rate = |hertz: f64| {
            let is_other = |setting: &PmdSetting| matches!(setting, PmdSetting::SampleRate(rates) if *rates != [hertz as u16]);
            asked.iter().any(is_other)
        };
        let (runs, bad) = match stream(what) {
            Some(Stream::Ecg) => (self.ecg.is_some(), other_rate(ECG_HZ)),
            Some(Stream::Motion) => (self.motion.is_some(), other_rate(MOTION_HZ)),
            Some(Stream::Intervals) => (self.intervals.is_some(), false),
            None => return (NOT_SUPPORTED, Vec::new()),
        };
        let status = match (runs, bad) {
            (true, _) => RUNNING_ALREADY,
            (false, true) => BAD_PARAMETER,
            (false, false) => {
                self.run(what, true);
                DONE
            }
        };
        (status, Vec::new())
    }

    fn stop(&mut self, what: PmdType) -> Answer {
        self.run(what, false);
        let known = stream(what).is_some();
        (if known { DONE } else { NOT_SUPPORTED }, Vec::new())
    }

    fn run(&mut self, what: PmdType, run: bool) {
        match stream(what) {
            Some(Stream::Ecg) => self.ecg = run.then(Vec::new),
            Some(Stream::Motion) => self.motion = run.then(Vec::new),
            Some(Stream::Intervals) => self.intervals = run.then(Vec::new),
            None => {}
        }
    }

    fn push(&mut self, up: Span, what: PmdType, frame_type: u8, data: PmdData) {
        let shown = self.clock.now(up).since(CLOCK_ZERO).as_micros();
        let frame = PmdFrame {
            what,
            recording: 0,
            // A clock before 2000 cannot be told.
            timestamp_ns: u64::try_from(shown).unwrap_or(0).saturating_mul(1000),
            frame_type,
            data,
        };
        self.waiting.push(gatt::value(DATA, frame.encode()));
    }
}

/// What the strap can stream.
#[derive(Clone, Copy)]
enum Stream {
    Ecg,
    Motion,
    Intervals,
}

/// Status and settings.
type Answer = (u8, Vec<PmdSetting>);

fn stream(what: PmdType) -> Option<Stream> {
    let known = [
        (PmdType::Ecg, Stream::Ecg),
        (PmdType::Acceleration, Stream::Motion),
        (PmdType::PulseIntervals, Stream::Intervals),
    ];
    known
        .iter()
        .find(|(known, _)| *known == what)
        .map(|(_, stream)| *stream)
}

fn plain(channels: u8, octets: u8, values: Vec<i32>) -> PmdData {
    PmdData::Samples {
        channels,
        packing: Packing::Plain(octets),
        values,
    }
}
