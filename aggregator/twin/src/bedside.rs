//! Two scores beside NEWS2 that teams ask for: qSOFA (Singer et al. 2016, JAMA 315:801) and MEWS (Subbe et al. 2001, QJM
//! 94:521). Shown as intervals over what is missing, like NEWS2; neither raises an alert, for NEWS2 does.
//!
//! MEWS as published leaves a heart rate of exactly 40 in no band; here it belongs to the lower one (2 points). Rounding as
//! in [`crate::news2`]. The gateway's wearers are "alert" or not: not alert is 1 to 3 points of MEWS (voice, pain,
//! unresponsive). Must not know: alerts.

use alloc::vec;
use alloc::vec::Vec;

use vitals::Time;

use crate::news2::{Input, Inputs, Step, look_up, tenths, whole};
use crate::view::{ScorePart, ScoreView};

/// For people.
pub const QSOFA_SOURCE: &str =
    "qSOFA (Singer et al. 2016); 2 or more: think of sepsis; shown, raises nothing";
/// For people.
pub const MEWS_SOURCE: &str =
    "MEWS (Subbe et al. 2001); 5 or more asks for a review; shown, raises nothing";

const QSOFA_RESPIRATION: [Step; 2] = [(21, 0), (i64::MAX, 1)];
const QSOFA_SYSTOLIC: [Step; 2] = [(100, 1), (i64::MAX, 0)];
const MEWS_SYSTOLIC: [Step; 5] = [(70, 3), (80, 2), (100, 1), (199, 0), (i64::MAX, 2)];
const MEWS_PULSE: [Step; 6] = [
    (40, 2),
    (50, 1),
    (100, 0),
    (110, 1),
    (129, 2),
    (i64::MAX, 3),
];
const MEWS_RESPIRATION: [Step; 5] = [(8, 2), (14, 0), (20, 1), (29, 2), (i64::MAX, 3)];
/// In tenths of a degree Celsius.
const MEWS_TEMPERATURE: [Step; 3] = [(349, 2), (384, 0), (i64::MAX, 2)];

/// A part with the points that it surely has, and may have.
struct Scored {
    part: ScorePart,
    least: u8,
    most: u8,
}

fn numeric(
    name: &'static str,
    input: Input<f64>,
    round: fn(f64) -> i64,
    per_unit: f64,
    steps: &[Step],
) -> Scored {
    match input {
        Ok(value) => {
            let rounded = round(value);
            let points = look_up(steps, rounded);
            #[expect(clippy::cast_precision_loss, reason = "vital signs are small numbers")]
            let value = Some(rounded as f64 / per_unit);
            let part = ScorePart {
                name,
                points: Some(points),
                value,
                missing: "",
            };
            Scored {
                part,
                least: points,
                most: points,
            }
        }
        Err(missing) => {
            let part = ScorePart {
                name,
                points: None,
                value: None,
                missing,
            };
            let most = steps.iter().map(|(_, points)| *points).max().unwrap_or(0);
            Scored {
                part,
                least: 0,
                most,
            }
        }
    }
}

/// `not`: the least and the most that somebody who is not alert scores.
fn consciousness(alert: Input<bool>, not: (u8, u8)) -> Scored {
    let (points, least, most, missing) = match alert {
        Ok(true) => (Some(0), 0, 0, ""),
        Ok(false) if not.0 == not.1 => (Some(not.0), not.0, not.1, ""),
        Ok(false) => (None, not.0, not.1, "not alert, and nobody said how far"),
        Err(missing) => (None, 0, not.1, missing),
    };
    let part = ScorePart {
        name: "consciousness",
        points,
        value: None,
        missing,
    };
    Scored { part, least, most }
}

fn view(name: &'static str, source: &'static str, at: Time, scored: Vec<Scored>) -> ScoreView {
    ScoreView {
        name,
        low: scored.iter().map(|one| u32::from(one.least)).sum(),
        high: scored.iter().map(|one| u32::from(one.most)).sum(),
        parts: scored.into_iter().map(|one| one.part).collect(),
        at,
        source,
    }
}

/// 0 to 3.
#[must_use]
pub fn qsofa(inputs: &Inputs, at: Time) -> ScoreView {
    let scored = vec![
        numeric(
            "respiratory rate",
            inputs.respiration,
            whole,
            1.0,
            &QSOFA_RESPIRATION,
        ),
        numeric(
            "systolic pressure",
            inputs.systolic,
            whole,
            1.0,
            &QSOFA_SYSTOLIC,
        ),
        consciousness(inputs.alert, (1, 1)),
    ];
    view("qsofa", QSOFA_SOURCE, at, scored)
}

/// 0 to 14.
#[must_use]
pub fn mews(inputs: &Inputs, at: Time) -> ScoreView {
    let scored = vec![
        numeric(
            "systolic pressure",
            inputs.systolic,
            whole,
            1.0,
            &MEWS_SYSTOLIC,
        ),
        numeric("pulse", inputs.pulse, whole, 1.0, &MEWS_PULSE),
        numeric(
            "respiratory rate",
            inputs.respiration,
            whole,
            1.0,
            &MEWS_RESPIRATION,
        ),
        numeric(
            "temperature",
            inputs.temperature,
            tenths,
            10.0,
            &MEWS_TEMPERATURE,
        ),
        consciousness(inputs.alert, (1, 3)),
    ];
    view("mews", MEWS_SOURCE, at, scored)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Inputs = Inputs {
        respiration: Err("not measured"),
        oxygen_saturation: Err("not measured"),
        on_oxygen: Err("not known"),
        systolic: Err("not measured"),
        pulse: Err("not measured"),
        alert: Err("not known"),
        temperature: Err("not measured"),
        scale_2: false,
    };
    const WELL: Inputs = Inputs {
        respiration: Ok(14.0),
        systolic: Ok(120.0),
        pulse: Ok(70.0),
        alert: Ok(true),
        temperature: Ok(36.8),
        ..NOTHING
    };

    fn both(score: &ScoreView) -> (u32, u32) {
        (score.low, score.high)
    }

    #[test]
    fn what_is_missing_is_an_interval_and_never_normal() {
        assert_eq!(both(&qsofa(&NOTHING, Time::ZERO)), (0, 3));
        assert_eq!(both(&mews(&NOTHING, Time::ZERO)), (0, 14));
        assert_eq!(both(&qsofa(&WELL, Time::ZERO)), (0, 0));
        assert_eq!(both(&mews(&WELL, Time::ZERO)), (0, 0));
        let asleep = Inputs {
            alert: Ok(false),
            ..WELL
        };
        assert_eq!(both(&qsofa(&asleep, Time::ZERO)), (1, 1));
        assert_eq!(both(&mews(&asleep, Time::ZERO)), (1, 3));
    }

    #[test]
    fn every_cut_of_the_tables_and_its_neighbours() {
        let mews_of = |inputs: Inputs| mews(&inputs, Time::ZERO).low;
        let systolic = [
            (70, 3),
            (71, 2),
            (80, 2),
            (81, 1),
            (100, 1),
            (101, 0),
            (199, 0),
            (200, 2),
        ];
        for (value, points) in systolic {
            let inputs = Inputs {
                systolic: Ok(f64::from(value)),
                ..WELL
            };
            assert_eq!(mews_of(inputs), points, "systolic {value}");
            assert_eq!(
                qsofa(&inputs, Time::ZERO).low,
                u32::from(value <= 100),
                "systolic {value}"
            );
        }
        let pulse = [
            (39, 2),
            (40, 2),
            (41, 1),
            (50, 1),
            (51, 0),
            (100, 0),
            (101, 1),
            (110, 1),
            (111, 2),
            (129, 2),
            (130, 3),
        ];
        for (value, points) in pulse {
            assert_eq!(
                mews_of(Inputs {
                    pulse: Ok(f64::from(value)),
                    ..WELL
                }),
                points,
                "pulse {value}"
            );
        }
        let breaths = [
            (8, 2),
            (9, 0),
            (14, 0),
            (15, 1),
            (20, 1),
            (21, 2),
            (22, 2),
            (29, 2),
            (30, 3),
        ];
        for (value, points) in breaths {
            let inputs = Inputs {
                respiration: Ok(f64::from(value)),
                ..WELL
            };
            assert_eq!(mews_of(inputs), points, "respiration {value}");
            assert_eq!(
                qsofa(&inputs, Time::ZERO).low,
                u32::from(value >= 22),
                "respiration {value}"
            );
        }
        for (value, points) in [(34.9, 2), (35.0, 0), (38.4, 0), (38.5, 2)] {
            assert_eq!(
                mews_of(Inputs {
                    temperature: Ok(value),
                    ..WELL
                }),
                points,
                "temperature {value}"
            );
        }
    }
}
