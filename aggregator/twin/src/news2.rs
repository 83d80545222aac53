//! NEWS2, exactly as charted (Royal College of Physicians, National Early Warning Score 2, London 2017; the
//! RCP asks to be acknowledged and that the chart is not altered). For people of 16 years and more, not in
//! pregnancy.
//!
//! What is missing is never taken as normal: the score is an interval from the lowest to the highest total
//! that the missing parameters allow. Rounding is pinned: temperature to 0.1, all others to whole numbers,
//! half away from zero, before the table is looked up.

use crate::rules::EarlyWarning;
use alloc::string::String;
use alloc::vec::Vec;

use crate::view::ScorePart;

/// Name and version.
pub const MODEL: &str = "news2/2";
/// For people.
pub const SOURCE: &str =
    "RCP National Early Warning Score (NEWS) 2, 2017; parameters not measured give an interval";

/// One step of the chart: up to and including `to` (in units of the rounding) it is `points`.
pub(crate) type Step = (i64, u8);

const RESPIRATION: [Step; 5] = [(8, 3), (11, 1), (20, 0), (24, 2), (i64::MAX, 3)];
const OXYGEN_1: [Step; 4] = [(91, 3), (93, 2), (95, 1), (i64::MAX, 0)];
const OXYGEN_2_AIR: [Step; 4] = [(83, 3), (85, 2), (87, 1), (i64::MAX, 0)];
const OXYGEN_2_OXYGEN: [Step; 7] = [
    (83, 3),
    (85, 2),
    (87, 1),
    (92, 0),
    (94, 1),
    (96, 2),
    (i64::MAX, 3),
];
const SYSTOLIC: [Step; 5] = [(90, 3), (100, 2), (110, 1), (219, 0), (i64::MAX, 3)];
const PULSE: [Step; 6] = [(40, 3), (50, 1), (90, 0), (110, 1), (130, 2), (i64::MAX, 3)];
/// In tenths of a degree Celsius.
const TEMPERATURE: [Step; 5] = [(350, 3), (360, 1), (380, 0), (390, 1), (i64::MAX, 2)];

/// A parameter, or why it is missing.
pub type Input<T> = Result<T, &'static str>;

/// What the score is made of. Numbers in the units of the chart, not yet rounded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Inputs {
    /// Breaths per minute.
    pub respiration: Input<f64>,
    /// Percent.
    pub oxygen_saturation: Input<f64>,
    /// Breathes supplemental oxygen.
    pub on_oxygen: Input<bool>,
    /// mmHg.
    pub systolic: Input<f64>,
    /// Beats per minute.
    pub pulse: Input<f64>,
    /// Alert in the sense of ACVPU (no new confusion).
    pub alert: Input<bool>,
    /// Degrees Celsius.
    pub temperature: Input<f64>,
    /// Scale 2 for oxygen saturation: prescribed target 88-92 %.
    pub scale_2: bool,
}

/// The parameters, in the order of the chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Parameter {
    /// Respiratory rate.
    Respiration,
    /// Oxygen saturation.
    OxygenSaturation,
    /// Air or oxygen.
    Oxygen,
    /// Systolic pressure.
    Systolic,
    /// Pulse.
    Pulse,
    /// Consciousness.
    Consciousness,
    /// Temperature.
    Temperature,
}

impl Parameter {
    /// All, in the order of the chart.
    pub const ALL: [Self; 7] = [
        Self::Respiration,
        Self::OxygenSaturation,
        Self::Oxygen,
        Self::Systolic,
        Self::Pulse,
        Self::Consciousness,
        Self::Temperature,
    ];

    /// For people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Respiration => "respiratory rate",
            Self::OxygenSaturation => "oxygen saturation",
            Self::Oxygen => "air or oxygen",
            Self::Systolic => "systolic pressure",
            Self::Pulse => "pulse",
            Self::Consciousness => "consciousness",
            Self::Temperature => "temperature",
        }
    }

    /// The most it can add.
    #[must_use]
    pub const fn most(self) -> u8 {
        match self {
            Self::Oxygen => 2,
            Self::Respiration
            | Self::OxygenSaturation
            | Self::Systolic
            | Self::Pulse
            | Self::Consciousness
            | Self::Temperature => 3,
        }
    }
}

impl Inputs {
    /// The same of somebody who walks: pulse and respiration are not those of rest, so they are missing, for the reason
    /// given. Only where nothing else scores more than exertion explains: somebody who walks can be ill.
    #[must_use]
    pub fn walking(self, reason: &'static str) -> Self {
        let rest = Self {
            respiration: self.respiration.and(Err(reason)),
            pulse: self.pulse.and(Err(reason)),
            ..self
        };
        if Score::of(&rest).low > crate::rule::NEWS2_STRAIN_OTHERS {
            self
        } else {
            rest
        }
    }
}

impl Inputs {
    /// The same with another number of one parameter; what is no number stays.
    #[must_use]
    pub(crate) fn with(self, parameter: Parameter, value: f64) -> Self {
        let mut other = self;
        match parameter {
            Parameter::Respiration => other.respiration = Ok(value),
            Parameter::OxygenSaturation => other.oxygen_saturation = Ok(value),
            Parameter::Systolic => other.systolic = Ok(value),
            Parameter::Pulse => other.pulse = Ok(value),
            Parameter::Temperature => other.temperature = Ok(value),
            Parameter::Oxygen | Parameter::Consciousness => {}
        }
        other
    }
}

/// A score with its interval.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Lowest total that the missing parameters allow.
    pub low: u32,
    /// Highest.
    pub high: u32,
    /// In the order of [`Parameter::ALL`].
    pub parts: [ScorePart; 7],
}

impl Score {
    /// Scores the inputs.
    #[must_use]
    pub fn of(inputs: &Inputs) -> Self {
        let parts = Parameter::ALL.map(|parameter| part(parameter, inputs));
        let low = parts
            .iter()
            .map(|part| u32::from(part.points.unwrap_or(0)))
            .sum();
        let missing = |(part, parameter): (&ScorePart, Parameter)| match part.points {
            Some(points) => u32::from(points),
            None => highest(parameter, inputs),
        };
        let high = parts.iter().zip(Parameter::ALL).map(missing).sum();
        Self { low, high, parts }
    }

    /// One parameter's part.
    #[must_use]
    pub const fn part(&self, parameter: Parameter) -> &ScorePart {
        let [
            respiration,
            saturation,
            oxygen,
            systolic,
            pulse,
            consciousness,
            temperature,
        ] = &self.parts;
        match parameter {
            Parameter::Respiration => respiration,
            Parameter::OxygenSaturation => saturation,
            Parameter::Oxygen => oxygen,
            Parameter::Systolic => systolic,
            Parameter::Pulse => pulse,
            Parameter::Consciousness => consciousness,
            Parameter::Temperature => temperature,
        }
    }

    /// Points of everything but pulse and respiration.
    #[must_use]
    pub fn others(&self) -> u32 {
        let strain = [Parameter::Pulse, Parameter::Respiration];
        let strain = strain.map(|one| u32::from(self.part(one).points.unwrap_or(0)));
        self.low.saturating_sub(strain.iter().sum())
    }

    /// Parameters that score anything.
    #[must_use]
    pub fn scoring(&self) -> Vec<Parameter> {
        Parameter::ALL
            .into_iter()
            .filter(|parameter| {
                self.part(*parameter)
                    .points
                    .is_some_and(|points| points > 0)
            })
            .collect()
    }

    /// Parameters that score 3 on their own.
    #[must_use]
    pub fn red(&self) -> Vec<Parameter> {
        let red = |(part, parameter): (&ScorePart, Parameter)| {
            (part.points == Some(3)).then_some(parameter)
        };
        self.parts
            .iter()
            .zip(Parameter::ALL)
            .filter_map(red)
            .collect()
    }

    /// Names of the missing parameters, for people.
    #[must_use]
    pub fn missing(&self) -> String {
        let names: Vec<&str> = self
            .parts
            .iter()
            .filter(|part| part.points.is_none())
            .map(|part| part.name)
            .collect();
        names.join(", ")
    }
}

/// The most that a missing parameter can add, given what is known. On scale 2 the saturation's points depend
/// on the oxygen, so a known saturation with unknown oxygen is missing with a narrower range.
fn highest(parameter: Parameter, inputs: &Inputs) -> u32 {
    if parameter == Parameter::OxygenSaturation
        && let Ok(value) = inputs.oxygen_saturation
    {
        let value = whole(value);
        return u32::from(look_up(&OXYGEN_2_OXYGEN, value).max(look_up(&OXYGEN_2_AIR, value)));
    }
    u32::from(parameter.most())
}

fn part(parameter: Parameter, inputs: &Inputs) -> ScorePart {
    let (points, value) = match parameter {
        Parameter::Respiration => numeric(inputs.respiration, whole, 1.0, &RESPIRATION),
        Parameter::OxygenSaturation => oxygen_saturation(inputs),
        Parameter::Oxygen => (
            inputs.on_oxygen.map(|oxygen| if oxygen { 2 } else { 0 }),
            None,
        ),
        Parameter::Systolic => numeric(inputs.systolic, whole, 1.0, &SYSTOLIC),
        Parameter::Pulse => numeric(inputs.pulse, whole, 1.0, &PULSE),
        Parameter::Consciousness => (inputs.alert.map(|alert| if alert { 0 } else { 3 }), None),
        Parameter::Temperature => numeric(inputs.temperature, tenths, 10.0, &TEMPERATURE),
    };
    let (points, missing) = match points {
        Ok(points) => (Some(points), ""),
        Err(reason) => (None, reason),
    };
    ScorePart {
        name: parameter.name(),
        points,
        value,
        missing,
    }
}

fn numeric(
    input: Input<f64>,
    round: fn(f64) -> i64,
    per_unit: f64,
    steps: &[Step],
) -> (Input<u8>, Option<f64>) {
    match input {
        Ok(value) => {
            let rounded = round(value);
            #[expect(clippy::cast_precision_loss, reason = "vital signs are small numbers")]
            (Ok(look_up(steps, rounded)), Some(rounded as f64 / per_unit))
        }
        Err(reason) => (Err(reason), None),
    }
}

fn oxygen_saturation(inputs: &Inputs) -> (Input<u8>, Option<f64>) {
    let steps: &[Step] = match (inputs.scale_2, inputs.on_oxygen) {
        (false, _) => &OXYGEN_1,
        (true, Ok(true)) => &OXYGEN_2_OXYGEN,
        (true, Ok(false)) => &OXYGEN_2_AIR,
        (true, Err(_)) => {
            // Up to 92 % both columns of scale 2 agree.
            let both = numeric(inputs.oxygen_saturation, whole, 1.0, &OXYGEN_2_OXYGEN);
            let above = inputs
                .oxygen_saturation
                .is_ok_and(|value| whole(value) > 92);
            return if above {
                (Err("scale 2 above 92 %: air or oxygen unknown"), both.1)
            } else {
                both
            };
        }
    };
    numeric(inputs.oxygen_saturation, whole, 1.0, steps)
}

pub(crate) fn look_up(steps: &[Step], value: i64) -> u8 {
    steps
        .iter()
        .find(|(to, _)| value <= *to)
        .map_or(0, |(_, points)| *points)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "casts saturate; vital signs are small numbers"
)]
pub(crate) fn whole(value: f64) -> i64 {
    libm::round(value) as i64
}

/// A billionth is added so that 38.05, which binary fractions write as 38.0499..., rounds up as on paper.
#[expect(
    clippy::cast_possible_truncation,
    reason = "casts saturate; vital signs are small numbers"
)]
pub(crate) fn tenths(value: f64) -> i64 {
    libm::round(value * 10.0 + 1e-9) as i64
}

/// The definition, for the hash that alerts carry.
#[must_use]
pub fn definition(rules: &EarlyWarning) -> String {
    alloc::format!(
        "{MODEL} respiration {RESPIRATION:?} oxygen1 {OXYGEN_1:?} oxygen2 air {OXYGEN_2_AIR:?} oxygen2 oxygen \
         {OXYGEN_2_OXYGEN:?} systolic {SYSTOLIC:?} pulse {PULSE:?} temperature {TEMPERATURE:?} oxygen 2 \
         consciousness 3 hold {:?} strain {:?} others {} walking {:?} urgent {} emergency {}",
        rules.hold,
        rules.strain_hold,
        crate::rule::NEWS2_STRAIN_OTHERS,
        crate::motion::EXCUSED,
        rules.urgent,
        rules.emergency
    )
}

crate::canonical_numbers! {
    Parameter { Respiration, OxygenSaturation, Oxygen, Systolic, Pulse, Consciousness, Temperature }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MISSING: &str = "not measured";

    fn normal() -> Inputs {
        Inputs {
            respiration: Ok(16.0),
            oxygen_saturation: Ok(97.0),
            on_oxygen: Ok(false),
            systolic: Ok(120.0),
            pulse: Ok(70.0),
            alert: Ok(true),
            temperature: Ok(37.0),
            scale_2: false,
        }
    }

    fn points(change: impl FnOnce(&mut Inputs)) -> u32 {
        let mut inputs = normal();
        change(&mut inputs);
        let score = Score::of(&inputs);
        assert_eq!(score.low, score.high, "nothing is missing");
        score.low
    }

    /// The chart, written a second time as what each whole value scores: independent of the tables above.
    fn check(
        range: std::ops::RangeInclusive<i64>,
        chart: &[(std::ops::RangeInclusive<i64>, u32)],
        set: fn(&mut Inputs, i64),
    ) {
        for value in range {
            let rows: Vec<_> = chart
                .iter()
                .filter(|(row, _)| row.contains(&value))
                .collect();
            assert_eq!(rows.len(), 1, "the chart has one row for {value}");
            assert_eq!(points(|inputs| set(inputs, value)), rows[0].1, "at {value}");
        }
    }

    #[test]
    fn every_value_of_respiration_scores_as_charted() {
        check(
            0..=80,
            &[
                (0..=8, 3),
                (9..=11, 1),
                (12..=20, 0),
                (21..=24, 2),
                (25..=80, 3),
            ],
            |i, v| {
                i.respiration = Ok(v as f64);
            },
        );
    }

    #[test]
    fn every_value_of_saturation_scores_as_charted_on_scale_1() {
        check(
            0..=100,
            &[(0..=91, 3), (92..=93, 2), (94..=95, 1), (96..=100, 0)],
            |i, v| {
                i.oxygen_saturation = Ok(v as f64);
            },
        );
    }

    #[test]
    fn every_value_of_saturation_scores_as_charted_on_scale_2() {
        check(
            0..=100,
            &[(0..=83, 3), (84..=85, 2), (86..=87, 1), (88..=100, 0)],
            |i, v| {
                (i.oxygen_saturation, i.scale_2) = (Ok(v as f64), true);
            },
        );
        // On oxygen: 2 points for the oxygen itself come on top.
        let chart = [
            (0..=83, 5),
            (84..=85, 4),
            (86..=87, 3),
            (88..=92, 2),
            (93..=94, 3),
            (95..=96, 4),
            (97..=100, 5),
        ];
        check(0..=100, &chart, |i, v| {
            (i.oxygen_saturation, i.scale_2, i.on_oxygen) = (Ok(v as f64), true, Ok(true));
        });
    }

    #[test]
    fn every_value_of_pressure_and_pulse_scores_as_charted() {
        let chart = [
            (0..=90, 3),
            (91..=100, 2),
            (101..=110, 1),
            (111..=219, 0),
            (220..=300, 3),
        ];
        check(0..=300, &chart, |i, v| i.systolic = Ok(v as f64));
        let chart = [
            (0..=40, 3),
            (41..=50, 1),
            (51..=90, 0),
            (91..=110, 1),
            (111..=130, 2),
            (131..=300, 3),
        ];
        check(0..=300, &chart, |i, v| i.pulse = Ok(v as f64));
    }

    #[test]
    fn every_tenth_of_temperature_scores_as_charted() {
        let chart = [
            (250..=350, 3),
            (351..=360, 1),
            (361..=380, 0),
            (381..=390, 1),
            (391..=450, 2),
        ];
        check(250..=450, &chart, |i, v| {
            i.temperature = Ok(v as f64 / 10.0);
        });
    }

    #[test]
    fn oxygen_and_consciousness_score_as_charted() {
        assert_eq!(points(|i| i.on_oxygen = Ok(true)), 2);
        assert_eq!(points(|i| i.alert = Ok(false)), 3);
        assert_eq!(points(|_| ()), 0);
    }

    #[test]
    fn rounding_is_half_away_from_zero_before_the_table() {
        assert_eq!(points(|i| i.oxygen_saturation = Ok(95.49)), 1);
        assert_eq!(points(|i| i.oxygen_saturation = Ok(95.5)), 0);
        assert_eq!(points(|i| i.pulse = Ok(90.49)), 0);
        assert_eq!(points(|i| i.pulse = Ok(90.5)), 1);
        assert_eq!(points(|i| i.temperature = Ok(38.04)), 0);
        assert_eq!(points(|i| i.temperature = Ok(38.05)), 1);
        assert_eq!(points(|i| i.temperature = Ok(35.05)), 1);
    }

    #[test]
    fn the_range_is_0_to_20() {
        let worst = Inputs {
            respiration: Ok(30.0),
            oxygen_saturation: Ok(80.0),
            on_oxygen: Ok(true),
            systolic: Ok(80.0),
            pulse: Ok(140.0),
            alert: Ok(false),
            temperature: Ok(34.0),
            scale_2: false,
        };
        assert_eq!(Score::of(&worst).low, 20);
    }

    #[test]
    fn each_missing_parameter_widens_the_interval_by_what_it_can_add() {
        type Remove = fn(&mut Inputs);
        let missing: [(Remove, Parameter); 7] = [
            (|i| i.respiration = Err(MISSING), Parameter::Respiration),
            (
                |i| i.oxygen_saturation = Err(MISSING),
                Parameter::OxygenSaturation,
            ),
            (|i| i.on_oxygen = Err(MISSING), Parameter::Oxygen),
            (|i| i.systolic = Err(MISSING), Parameter::Systolic),
            (|i| i.pulse = Err(MISSING), Parameter::Pulse),
            (|i| i.alert = Err(MISSING), Parameter::Consciousness),
            (|i| i.temperature = Err(MISSING), Parameter::Temperature),
        ];
        let mut all = normal();
        for (remove, parameter) in missing {
            let mut inputs = normal();
            remove(&mut inputs);
            remove(&mut all);
            let score = Score::of(&inputs);
            assert_eq!((score.low, score.high), (0, u32::from(parameter.most())));
            assert_eq!(score.missing(), parameter.name());
        }
        assert_eq!((Score::of(&all).low, Score::of(&all).high), (0, 20));
    }

    #[test]
    fn scale_2_with_unknown_oxygen_is_an_interval_only_above_92() {
        let at = |value: f64| {
            let inputs = Inputs {
                oxygen_saturation: Ok(value),
                on_oxygen: Err(MISSING),
                scale_2: true,
                ..normal()
            };
            let score = Score::of(&inputs);
            (score.low, score.high)
        };
        assert_eq!(at(86.0), (1, 3));
        assert_eq!(at(92.0), (0, 2));
        assert_eq!(at(94.0), (0, 3));
        assert_eq!(at(98.0), (0, 5));
    }

    #[test]
    fn red_names_the_parameters_at_three() {
        let inputs = Inputs {
            pulse: Ok(140.0),
            temperature: Ok(39.5),
            ..normal()
        };
        assert_eq!(Score::of(&inputs).red(), [Parameter::Pulse]);
    }
}
