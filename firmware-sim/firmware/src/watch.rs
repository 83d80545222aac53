//! A smartwatch: heart rate and saturation from light, steps from acceleration.

use alloc::vec::Vec;

use embedded_hal::i2c::I2c;
use lis2dh12::{
    Error as LisError, FifoMode, FullScale, Lis2dh12, Mode, Odr, RawAccelerometer, SlaveAddr,
};
use vitals::gatt::heart_rate::{BodyLocation, HeartRateMeasurement};
use vitals::gatt::motion::StepCount;

use crate::gatt::{self, Service, Uuid, Value};
use crate::optic::Optic;
use crate::oximeter;
use crate::steps::Steps;

/// Raw counts of one unit of gravity: 12 bits, left-justified, at a range of 2 g (1 mg a digit).
const GRAVITY_COUNTS: f32 = 16_000.0;

/// Why a watch does not start.
#[derive(Debug)]
pub enum Error<E: core::fmt::Debug> {
    /// The optical sensor.
    Optic(max3010x::Error<E>),
    /// The accelerometer.
    Motion(LisError<E>),
}

/// The watch. Both chips hang on one bus, so the bus is shared: `I2C` is a handle of it.
pub struct Watch<I2C> {
    optic: Optic<I2C>,
    motion: Lis2dh12<I2C>,
    steps: Steps,
    steps_sent: Option<u32>,
}

impl<I2C: I2c> Watch<I2C> {
    /// The attribute table, without battery and device information.
    pub const SERVICES: &'static [Service] = &[
        gatt::HEART_RATE,
        gatt::PULSE_OXIMETER_CONTINUOUS,
        gatt::INFINITIME_MOTION,
    ];

    /// Starts both sensors.
    ///
    /// # Errors
    /// What their drivers say.
    pub fn start(optic: I2C, motion: I2C) -> Result<Self, Error<I2C::Error>> {
        let optic = Optic::start(optic).map_err(Error::Optic)?;
        let motion = start_motion(motion).map_err(Error::Motion)?;
        Ok(Self {
            optic,
            motion,
            steps: Steps::default(),
            steps_sent: None,
        })
    }

    /// Empties both FIFOs; to be called at least every 0.6 s.
    pub fn poll(&mut self) {
        self.optic.poll();
        // An accelerometer that does not answer counts no steps.
        let waiting = self.motion.get_stored_samples().unwrap_or(0);
        for _ in 0..waiting {
            let Ok(raw) = self.motion.accel_raw() else {
                return;
            };
            self.steps
                .feed([raw.x, raw.y, raw.z].map(|axis| f32::from(axis) / GRAVITY_COUNTS));
        }
    }

    /// What is due each period: heart rate (without RR: a wrist cannot), saturation, and steps if there are new ones.
    pub fn measurements(&mut self) -> Vec<Value> {
        let pulse = self.optic.pulse();
        let heart_rate = HeartRateMeasurement {
            // A rate of plausible beats fits in 16 bits.
            bpm: libm::roundf(pulse.rate.unwrap_or(0.0)) as u16,
            contact: Some(pulse.contact),
            energy_kj: None,
            rr_1024: Vec::new(),
        };
        let steps = self.steps.count();
        let new_steps = self.steps_sent.replace(steps) != Some(steps);
        [
            gatt::value(gatt::HEART_RATE_MEASUREMENT, heart_rate.encode()),
            gatt::value(gatt::PLX_CONTINUOUS, self.optic.continuous().encode()),
            new_steps.then(|| Value {
                characteristic: gatt::INFINITIME_STEPS,
                bytes: StepCount { steps }.encode(),
            }),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// What a read gives.
    #[must_use]
    pub fn read(&self, characteristic: Uuid) -> Option<Vec<u8>> {
        match characteristic {
            gatt::BODY_SENSOR_LOCATION => Some(Vec::from([BodyLocation::Wrist.code()])),
            gatt::INFINITIME_STEPS => Some(
                StepCount {
                    steps: self.steps.count(),
                }
                .encode(),
            ),
            gatt::PLX_FEATURES => oximeter::features().encode().ok(),
            _ => None,
        }
    }
}

/// 25 samples a second at 12 bits and 2 g, kept in the FIFO.
fn start_motion<I2C: I2c>(i2c: I2C) -> Result<Lis2dh12<I2C>, LisError<I2C::Error>> {
    let mut motion = Lis2dh12::new(i2c, SlaveAddr::Default)?;
    motion.set_mode(Mode::HighResolution)?;
    motion.set_fs(FullScale::G2)?;
    motion.enable_axis((true, true, true))?;
    motion.enable_fifo(true)?;
    motion.set_fm(FifoMode::Stream)?;
    motion.set_odr(Odr::Hz25)?;
    Ok(motion)
}

impl<I2C> core::fmt::Debug for Watch<I2C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Watch")
            .field("optic", &self.optic)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}
