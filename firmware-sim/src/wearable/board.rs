//! The printed circuit: which chips hang on which wires, and the firmware that runs.

use firmware::cgm::Cgm;
use firmware::clock::DeviceClock;
use firmware::cuff::Cuff;
use firmware::device::Heard;
use firmware::gatt::{Refusal, Service, Uuid, Value};
use firmware::glucose_meter::GlucoseMeter;
use firmware::oximeter::Oximeter;
use firmware::scale::Scale;
use firmware::spot::SpotOximeter;
use firmware::strap::Strap;
use firmware::thermometer::Thermometer;
use firmware::watch::Watch;
use vitals::{Span, Time};

use super::Kind;
use super::instrument::{Instrument, Station};
use super::vendor::{Own, Vendor};
use crate::chip::ads1292::Ads1292;
use crate::chip::bus::{I2cBus, Shared, SpiWire, Wire, hold, shared};
use crate::chip::lis2dh12::Lis2dh12;
use crate::chip::max30102::Max30102;
use crate::chip::mlx90614::Mlx90614;
use crate::patient::Patient;
use crate::patient::signal::{self, Sensor};
use crate::scenario::WearablePlan;

/// A device with more records to send is asked again after this time: about the pace of a slow link.
const RECORD_PACE: Span = Span::from_millis(40);
/// Air in the room, degrees Celsius.
const AMBIENT: f64 = 22.0;
/// Light that comes back from an empty room, share of what still tissue gives.
const STRAY_LIGHT: f64 = 0.01;
/// Why starting cannot fail: the buses are whole and the chips are the ones that the drivers expect.
const WHOLE: &str = "simulated chips answer on an unbroken bus";

/// How the sensors sit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fit {
    /// On the body.
    pub(super) worn: bool,
    /// What is particular about the sensors.
    pub(super) sensor: Sensor,
}

/// Chips and firmware.
#[derive(Debug)]
pub(super) enum Board {
    Strap {
        chip: Shared<Ads1292>,
        samples: Samples,
        firmware: Strap<SpiWire<Ads1292>>,
        wire: Wire,
    },
    Watch {
        light: Light,
        motion: Motion,
        firmware: Watch<I2cBus>,
        wire: Wire,
    },
    Oximeter {
        light: Light,
        firmware: Oximeter<I2cBus>,
        wire: Wire,
    },
    Thermometer {
        chip: Shared<Mlx90614>,
        firmware: Thermometer<I2cBus>,
        wire: Wire,
    },
    /// A strap or a watch with something of its maker's own.
    Vendor(Box<Vendor>),
    /// Never connected to: it advertises what it is told it measures.
    Beacon { wire: Wire },
    /// Without chips: it is told what it measures.
    Station { station: Box<Station>, wire: Wire },
}

/// What hangs on the wires.
#[derive(Clone, Copy, Debug)]
enum Chips {
    Strap,
    Watch,
    Oximeter,
    Thermometer,
}

/// Counts the samples of a chip: sample n lies at n / rate seconds.
#[derive(Debug, Default)]
pub(super) struct Samples {
    next: u64,
}

impl Samples {
    /// Time and number of the next sample if it lies before `until`.
    #[expect(
        clippy::cast_precision_loss,
        reason = "2^53 samples take longer than any scenario"
    )]
    pub(super) fn next_before(&mut self, until: f64, rate_hz: Option<f64>) -> Option<(f64, u64)> {
        let at = self.next as f64 / rate_hz?;
        (at < until).then(|| {
            self.next += 1;
            (at, self.next - 1)
        })
    }
}

/// The optical sensor and what it sees.
#[derive(Debug)]
pub(super) struct Light {
    chip: Shared<Max30102>,
    samples: Samples,
}

impl Light {
    fn play_to(&mut self, patient: &Patient, until: f64, fit: Fit) {
        let mut chip = hold(&self.chip);
        while let Some((at, sample)) = self.samples.next_before(until, chip.rate_hz()) {
            if fit.worn {
                let light = signal::light(patient, at, sample, fit.sensor);
                chip.sense(light.red, light.infrared);
            } else {
                chip.sense(STRAY_LIGHT, STRAY_LIGHT);
            }
        }
    }
}

/// The accelerometer and how the arm swings.
#[derive(Debug)]
pub(super) struct Motion {
    chip: Shared<Lis2dh12>,
    samples: Samples,
    /// Phase of walking, turns of one step each.
    gait: f64,
}

impl Motion {
    fn play_to(&mut self, patient: &Patient, until: f64, fit: Fit) {
        let mut chip = hold(&self.chip);
        let rate = chip.rate_hz();
        while let Some((at, sample)) = self.samples.next_before(until, rate) {
            // A watch on the table feels gravity alone.
            let felt = if fit.worn {
                signal::acceleration(patient, at, self.gait, sample, fit.sensor)
            } else {
                [0.0, 0.0, 1.0]
            };
            chip.sense(felt);
            self.gait += patient.state(at).cadence / 60.0 / rate.unwrap_or(f64::INFINITY);
        }
    }
}

impl Board {
    /// As it lies there at the start of the scenario, which is `epoch` by UTC.
    pub(super) fn new(plan: &WearablePlan, patient: &Patient, seed: u64, epoch: Time) -> Self {
        let station = |make: fn(DeviceClock) -> Instrument| Self::Station {
            station: Box::new(Station::new(plan, patient, seed, epoch, make)),
            wire: Wire::default(),
        };
        let vendor = |chips, own| {
            let within = Self::on_chips(chips);
            Self::Vendor(Box::new(Vendor::new(plan, epoch, within, own)))
        };
        match plan.kind {
            Kind::Strap => Self::on_chips(Chips::Strap),
            Kind::Watch => Self::on_chips(Chips::Watch),
            Kind::Oximeter => Self::on_chips(Chips::Oximeter),
            Kind::Thermometer => Self::on_chips(Chips::Thermometer),
            Kind::PolarH10 => vendor(Chips::Strap, Own::Polar),
            Kind::PineTime => vendor(Chips::Watch, Own::PineTime),
            Kind::Bangle => vendor(Chips::Watch, Own::Bangle),
            Kind::ThermometerBeacon | Kind::HeartRateBeacon => Self::Beacon {
                wire: Wire::default(),
            },
            Kind::Cuff => station(|clock| Instrument::Cuff(Cuff::new(clock))),
            Kind::GlucoseMeter => {
                station(|clock| Instrument::GlucoseMeter(GlucoseMeter::new(clock)))
            }
            Kind::Cgm => station(|clock| Instrument::Cgm(Cgm::new(clock))),
            Kind::Scale => station(|clock| Instrument::Scale(Scale::new(clock))),
            Kind::SpotOximeter => {
                station(|clock| Instrument::SpotOximeter(SpotOximeter::new(clock)))
            }
        }
    }

    /// With its chips, started.
    fn on_chips(chips: Chips) -> Self {
        let wire = Wire::default();
        let light = || Light {
            chip: shared(Max30102::default()),
            samples: Samples::default(),
        };
        match chips {
            Chips::Strap => {
                let chip = shared(Ads1292::default());
                let firmware = Strap::start(SpiWire::new(chip.clone(), wire.clone())).expect(WHOLE);
                Self::Strap {
                    chip,
                    samples: Samples::default(),
                    firmware,
                    wire,
                }
            }
            Chips::Watch => {
                let light = light();
                let motion = Motion {
                    chip: shared(Lis2dh12::default()),
                    samples: Samples::default(),
                    gait: 0.0,
                };
                let bus = I2cBus::new(vec![light.chip.clone(), motion.chip.clone()], wire.clone());
                let firmware = Watch::start(bus.clone(), bus).expect(WHOLE);
                Self::Watch {
                    light,
                    motion,
                    firmware,
                    wire,
                }
            }
            Chips::Oximeter => {
                let light = light();
                let bus = I2cBus::new(vec![light.chip.clone()], wire.clone());
                Self::Oximeter {
                    light,
                    firmware: Oximeter::start(bus).expect(WHOLE),
                    wire,
                }
            }
            Chips::Thermometer => {
                let chip = shared(Mlx90614::default());
                let bus = I2cBus::new(vec![chip.clone()], wire.clone());
                Self::Thermometer {
                    chip,
                    firmware: Thermometer::start(bus).expect(WHOLE),
                    wire,
                }
            }
        }
    }

    /// Chips sense up to `until` seconds, the firmware looks at them.
    pub(super) fn play_to(&mut self, patient: &Patient, until: f64, fit: Fit) {
        match self {
            Self::Strap {
                chip,
                samples,
                firmware,
                ..
            } => {
                let rate = hold(chip).rate_hz();
                while let Some((at, sample)) = samples.next_before(until, rate) {
                    let millivolt = signal::ecg_mv(patient, at, sample, fit.sensor);
                    hold(chip).convert(millivolt, fit.worn);
                    firmware.on_data_ready();
                }
            }
            Self::Watch {
                light,
                motion,
                firmware,
                ..
            } => {
                light.play_to(patient, until, fit);
                motion.play_to(patient, until, fit);
                firmware.poll();
            }
            Self::Oximeter {
                light, firmware, ..
            } => {
                light.play_to(patient, until, fit);
                firmware.poll();
            }
            Self::Thermometer { chip, .. } => {
                let ear = patient.state(until).temperature;
                hold(chip).sense(if fit.worn { ear } else { AMBIENT }, AMBIENT);
            }
            Self::Vendor(vendor) => vendor.play_to(patient, until, fit),
            Self::Station { .. } | Self::Beacon { .. } => {}
        }
    }

    /// What is due each period.
    pub(super) fn measurements(&mut self) -> Vec<Value> {
        match self {
            Self::Strap { firmware, .. } => firmware.measurement().into_iter().collect(),
            Self::Watch { firmware, .. } => firmware.measurements(),
            Self::Oximeter { firmware, .. } => firmware.measurements(),
            Self::Thermometer { firmware, .. } => firmware.measurement().into_iter().collect(),
            Self::Vendor(vendor) => vendor.measurements(),
            Self::Station { .. } | Self::Beacon { .. } => Vec::new(),
        }
    }

    /// What a read gives.
    pub(super) fn read(&mut self, at: Span, characteristic: Uuid) -> Option<Vec<u8>> {
        match self {
            Self::Vendor(vendor) => vendor.read(at, characteristic),
            Self::Beacon { .. } => None,
            Self::Station { station, .. } => {
                let up = station.up(at);
                station.device_at(at).read(up, characteristic)
            }
            Self::Strap { firmware, .. } => firmware.read(characteristic),
            Self::Watch { firmware, .. } => firmware.read(characteristic),
            Self::Oximeter { firmware, .. } => firmware.read(characteristic),
            Self::Thermometer { firmware, .. } => firmware.read(characteristic),
        }
    }

    /// The attribute table of its kind.
    pub(super) fn services(&self) -> &'static [Service] {
        match self {
            Self::Strap { .. } => Strap::<SpiWire<Ads1292>>::SERVICES,
            Self::Watch { .. } => Watch::<I2cBus>::SERVICES,
            Self::Oximeter { .. } => Oximeter::<I2cBus>::SERVICES,
            Self::Thermometer { .. } => Thermometer::<I2cBus>::SERVICES,
            Self::Vendor(vendor) => vendor.services(),
            Self::Beacon { .. } => &[],
            Self::Station { station, .. } => station.device().services(),
        }
    }

    /// The wire to the sensors.
    pub(super) fn wire(&self) -> &Wire {
        match self {
            Self::Vendor(vendor) => vendor.within().wire(),
            Self::Strap { wire, .. }
            | Self::Watch { wire, .. }
            | Self::Oximeter { wire, .. }
            | Self::Thermometer { wire, .. }
            | Self::Beacon { wire }
            | Self::Station { wire, .. } => wire,
        }
    }

    /// A write by the central.
    pub(super) fn write(&mut self, at: Span, uuid: Uuid, octets: &[u8]) -> Result<(), Refusal> {
        match self {
            Self::Vendor(vendor) => vendor.write(at, uuid, octets),
            Self::Station { station, .. } => {
                let up = station.up(at);
                station.device_at(at).write(up, uuid, octets)
            }
            Self::Strap { .. }
            | Self::Watch { .. }
            | Self::Oximeter { .. }
            | Self::Thermometer { .. }
            | Self::Beacon { .. } => Err(Refusal::NOT_PERMITTED),
        }
    }

    /// What it has to say out of turn.
    pub(super) fn poll(&mut self, at: Span, heard: Heard<'_>) -> Vec<Value> {
        match self {
            Self::Vendor(vendor) => vendor.poll(heard),
            Self::Station { station, .. } => {
                let up = station.up(at);
                station.device_at(at).poll(up, heard)
            }
            Self::Strap { .. }
            | Self::Watch { .. }
            | Self::Oximeter { .. }
            | Self::Thermometer { .. }
            | Self::Beacon { .. } => Vec::new(),
        }
    }

    /// After what time it will have more to say out of turn; `None` if it has nothing.
    pub(super) fn pace(&self, heard: Heard<'_>) -> Option<Span> {
        match self {
            Self::Vendor(vendor) => vendor.pace(),
            Self::Station { station, .. } => station.device().busy(heard).then_some(RECORD_PACE),
            Self::Strap { .. }
            | Self::Watch { .. }
            | Self::Oximeter { .. }
            | Self::Thermometer { .. }
            | Self::Beacon { .. } => None,
        }
    }

    /// The station, if it is one.
    pub(super) fn station(&mut self) -> Option<&mut Station> {
        if let Self::Station { station, .. } = self {
            Some(station)
        } else {
            None
        }
    }

    /// True if it looks at its body all the time, not only when it measures.
    pub(super) fn is_continuous(&self) -> bool {
        !matches!(self, Self::Station { .. } | Self::Beacon { .. })
    }
}
