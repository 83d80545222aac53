//! What a seed decides before anything happens, and the bugs that may be planted.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use vitals::{Span, Time};

/// Where every schedule begins.
pub(crate) const START: Time = Time::from_micros(1_800_000_000_000_000);
/// Patients and gateways that there are keys for.
pub(crate) const MOST_PATIENTS: usize = 3;
pub(crate) const MOST_HOUSES: usize = 2;

/// The properties of the simulation, as the reliability goals number them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Property {
    /// What was receipted is never lost.
    P1,
    /// Each reading is applied once.
    P2,
    /// Readers see the log's order, and no state that the log does not give.
    P3,
    /// Whatever is lost is declared.
    P4,
    /// A twin is the replay of its log.
    P5,
    /// One alert an episode, and none missed.
    P6,
    /// After a fault, fresh readings come through within a bound.
    P7,
    /// After all faults, all is delivered.
    P8,
    /// No patient's reading reaches another's twin.
    P9,
}

/// A property that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) property: Property,
    pub(crate) what: String,
}

/// A violation as an error.
pub(crate) fn broken<T>(property: Property, what: impl Into<String>) -> Result<T, Violation> {
    let what = what.into();
    Err(Violation { property, what })
}

/// A bug in one of the simulation's own adapters: the negative control of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// The centre's disk calls commits durable that it did not sync.
    ForgottenSync,
    /// The radio hands out its last values again when the agent starts.
    ValuesAgain,
    /// A reader goes on from a cursor that is not its newest.
    StaleCursor,
    /// The card loses a record at a start and says nothing.
    QuietLoss,
    /// The fold is given another time than the log's.
    OtherTime,
    /// Where readings are voided, what comes while the log is read again is not read.
    ForgottenMeanwhile,
    /// What is published of a patient's alerts is dropped.
    DroppedAlerts,
    /// Each failure to connect doubles the wait, without an end.
    EndlessBackoff,
    /// After a failed write the card's writer hangs.
    HangingWriter,
    /// The radio takes two devices for each other when the agent starts.
    SwappedDevices,
    /// What became durable while the twins were not current is not folded.
    ForgottenBehind,
    /// The door stays open however long the twins are not current.
    OpenDoor,
}

impl Bug {
    /// The property that it breaks.
    pub(crate) const fn breaks(self) -> Property {
        match self {
            Self::ForgottenSync => Property::P1,
            Self::ValuesAgain => Property::P2,
            Self::StaleCursor => Property::P3,
            Self::QuietLoss => Property::P4,
            Self::OtherTime | Self::ForgottenMeanwhile | Self::ForgottenBehind => Property::P5,
            Self::DroppedAlerts | Self::OpenDoor => Property::P6,
            Self::EndlessBackoff => Property::P7,
            Self::HangingWriter => Property::P8,
            Self::SwappedDevices => Property::P9,
        }
    }
}

/// A stretch of time in which a patient's heart is too slow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Episode {
    pub(crate) patient: usize,
    pub(crate) from: Time,
    pub(crate) to: Time,
}

/// What lies between agents and centre.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    /// A broker of somebody else: messages overtake each other, come twice, and come after their connection.
    pub(crate) broker: bool,
    /// Per cent of messages.
    pub(crate) lost: u32,
    pub(crate) twice: u32,
    /// Milliseconds on the way.
    pub(crate) delay: (u32, u32),
}

impl Weather {
    pub(crate) const CALM: Self = Self {
        broker: false,
        lost: 0,
        twice: 0,
        delay: (1, 60),
    };
}

/// What a seed decides.
pub(crate) struct Plan {
    pub(crate) houses: usize,
    /// In which house each patient lives.
    pub(crate) patients: Vec<usize>,
    /// Between two values of a patient's sensor.
    pub(crate) beat: Span,
    pub(crate) episodes: Vec<Episode>,
    pub(crate) weather: Weather,
    /// Between two troubles, on average.
    pub(crate) trouble: Span,
    /// When the troubles end.
    pub(crate) heal: Time,
    /// A house without a line from then on until the troubles end.
    pub(crate) cut: Option<(usize, Time)>,
    /// A centre whose twins take minutes until they are current.
    pub(crate) slow_fold: bool,
}

impl Plan {
    pub(crate) fn of(rng: &mut ChaCha8Rng) -> Self {
        let houses = rng.random_range(1..=MOST_HOUSES);
        let count = rng.random_range(houses..=MOST_PATIENTS);
        let patients: Vec<usize> = (0..count).map(|patient| patient % houses).collect();
        let minutes = rng.random_range(4..=7);
        let heal = START + Span::from_mins(minutes);
        let mut episodes = Vec::new();
        for patient in 0..count {
            if rng.random_range(0..3) == 0 {
                continue;
            }
            let from = START + Span::from_secs(rng.random_range(40..minutes * 60 - 60));
            let to = from + Span::from_secs(rng.random_range(70..130));
            let episode = Episode { patient, from, to };
            episodes.push(episode);
        }
        let broker = rng.random_range(0..3) == 0;
        let weather = Weather {
            broker,
            lost: [0, 0, 1, 4][rng.random_range(0..4)],
            twice: if broker { rng.random_range(0..=20) } else { 0 },
            delay: [(1, 60), (5, 400), (20, 3000)][rng.random_range(0..3)],
        };
        let cut = (rng.random_range(0..4) == 0).then(|| {
            let before = Span::from_secs(rng.random_range(195..=minutes * 60 - 30));
            (rng.random_range(0..houses), heal - before)
        });
        Self {
            cut,
            slow_fold: rng.random_range(0..8) == 0,
            houses,
            patients,
            beat: Span::from_millis(rng.random_range(2500..=4500)),
            episodes,
            weather,
            trouble: Span::from_secs(rng.random_range(8..=60)),
            heal,
        }
    }

    pub(crate) fn is_ill(&self, patient: usize, at: Time) -> bool {
        let mut of = self.episodes.iter().filter(|of| of.patient == patient);
        of.any(|of| (of.from..of.to).contains(&at))
    }
}

/// The value of a patient's sensor: tells by itself whose it is.
pub(crate) const fn bpm(patient: usize, is_ill: bool, count: u64) -> u8 {
    let patient = patient as u8;
    if is_ill {
        33 + patient
    } else {
        60 + 10 * patient + (count % 7) as u8
    }
}

/// True if a value is one of an episode.
pub(crate) const fn is_slow(bpm: i64) -> bool {
    matches!(bpm, 33..=35)
}

/// Whose value it is.
pub(crate) const fn whose(bpm: i64) -> Option<usize> {
    match bpm {
        33..=35 => Some((bpm - 33) as usize),
        60..=89 => Some(((bpm - 60) / 10) as usize),
        _ => None,
    }
}

/// A seed's randomness.
pub(crate) fn dice(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}
