//! What each moment of a window was, as a message of the contract.
//!
//! The twin keeps the facts and judges them (`twin::coverage`); no batch is opened again. What this centre had and has
//! no longer is laid over that: removed by age, or damaged in the history. Invariants: the window ends
//! at the centre's present at the latest; an answer of more than [`MOST`] stretches is refused, not cut.
//!
//! Must not know: gRPC's server, the gate.

use proto::v1::{CoverageClass, CoverageLine, CoverageResponse, CoverageStretch};
use twin::coverage::{Class, Line, Stretch};
use vitals::Time;

use crate::history::Bad;
use crate::journal::Position;

/// Stretches in one answer, at most: about a mebibyte.
const MOST: usize = 40_000;

/// More stretches than one answer takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany;

/// What is laid over what the twin says of the time in between.
#[derive(Clone, Copy, Debug)]
pub(super) struct Over {
    from: Time,
    to: Time,
    class: CoverageClass,
    readings: u64,
}

/// Where batches were removed, before which known time.
pub(super) fn removed(removed: Option<(Position, Time)>) -> Vec<Over> {
    let over = removed.map(|(_, known)| Over {
        from: Time::from_micros(i64::MIN),
        to: known,
        class: CoverageClass::Removed,
        readings: 0,
    });
    over.into_iter().collect()
}

/// Where a block of the history does not open.
pub(super) fn bad(bad: &Bad) -> Over {
    Over {
        from: bad.from,
        to: bad.to,
        class: CoverageClass::Lost,
        readings: bad.readings as u64,
    }
}

impl Over {
    /// Only what was there can be gone.
    const fn takes(self, class: Class) -> bool {
        match class {
            Class::Measured | Class::ClockUnknown => true,
            Class::NotWorn | Class::SensorFault | Class::Forgotten => {
                matches!(self.class, CoverageClass::Removed)
            }
            Class::Dropped
            | Class::Lost
            | Class::OutOfRange
            | Class::GatewayDown
            | Class::Awaited
            | Class::Withheld
            | Class::Unassigned => false,
        }
    }
}

/// The window that can be answered at `now`.
pub(super) fn window(from_us: i64, to_us: i64, now: Time) -> (Time, Time) {
    let from = Time::from_micros(from_us);
    (from, Time::from_micros(to_us).min(now).max(from))
}

/// The answer about `window`.
pub(super) fn answer(
    (from, to): (Time, Time),
    now: Time,
    lines: &[Line],
    over: &[Over],
) -> Result<CoverageResponse, TooMany> {
    if lines.iter().map(|line| line.stretches.len()).sum::<usize>() > MOST {
        return Err(TooMany);
    }
    Ok(CoverageResponse {
        from_us: from.as_micros(),
        to_us: to.as_micros(),
        as_of_us: now.as_micros(),
        lines: lines.iter().map(|of| line(of, over)).collect(),
    })
}

fn line(line: &Line, over: &[Over]) -> CoverageLine {
    CoverageLine {
        kind: line.kind.wire(),
        stream: line
            .source
            .map_or_else(String::new, |(stream, _)| stream.to_string()),
        source: line.source.map_or(0, |(_, source)| source.0.into()),
        stretches: laid(&line.stretches, over),
    }
}

/// The stretches, cut where anything lies over them; equal neighbours are one.
fn laid(stretches: &[Stretch], over: &[Over]) -> Vec<CoverageStretch> {
    let mut told: Vec<CoverageStretch> = Vec::new();
    for stretch in stretches {
        let of: Vec<&Over> = over
            .iter()
            .filter(|one| {
                one.takes(stretch.class) && one.from < stretch.to && one.to > stretch.from
            })
            .collect();
        let ends = of.iter().flat_map(|one| [one.from, one.to]);
        let inside = ends.filter(|at| stretch.from < *at && *at < stretch.to);
        let mut cuts: Vec<Time> = inside.chain([stretch.from, stretch.to]).collect();
        cuts.sort_unstable();
        cuts.dedup();
        for pair in cuts.windows(2) {
            let &[from, to] = pair else { continue };
            let here = of.iter().find(|one| one.from <= from && to <= one.to);
            let (class, readings) = here.map_or((stretch.class as i32, stretch.readings), |one| {
                (one.class as i32, one.readings)
            });
            match told.last_mut() {
                Some(last) if last.class == class && here.is_some() => {
                    last.to_us = to.as_micros();
                    last.readings = last.readings.max(readings);
                }
                _ => told.push(CoverageStretch {
                    from_us: from.as_micros(),
                    to_us: to.as_micros(),
                    class,
                    readings,
                }),
            }
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::v1::CoverageClass;
    use twin::coverage::Class;

    #[test]
    fn every_class_of_the_twin_is_the_same_one_in_the_contract() {
        let classes = [
            Class::Measured,
            Class::NotWorn,
            Class::SensorFault,
            Class::ClockUnknown,
            Class::Dropped,
            Class::Lost,
            Class::OutOfRange,
            Class::GatewayDown,
            Class::Awaited,
            Class::Forgotten,
            Class::Withheld,
            Class::Unassigned,
        ];
        for class in classes {
            let told = CoverageClass::try_from(class as i32).expect("in the contract");
            let name = told
                .as_str_name()
                .replace("COVERAGE_CLASS_", "")
                .replace('_', "");
            assert_eq!(name, format!("{class:?}").to_uppercase());
        }
    }

    #[test]
    fn what_the_centre_has_no_longer_lies_over_what_was_measured() {
        let at = Time::from_micros;
        let stretch = |from, to, class| Stretch {
            from: at(from),
            to: at(to),
            class,
            readings: 0,
        };
        let stretches = [
            stretch(0, 10, Class::Forgotten),
            stretch(10, 20, Class::GatewayDown),
            stretch(20, 60, Class::Measured),
            stretch(60, 70, Class::NotWorn),
        ];
        let told = |over: &[Over]| {
            let told = laid(&stretches, over);
            let of = |one: &CoverageStretch| (one.from_us, one.to_us, one.class, one.readings);
            told.iter().map(of).collect::<Vec<_>>()
        };
        assert_eq!(told(&[]).len(), 4, "control");
        let damaged = bad(&Bad::for_test(at(50), at(65), 7));
        let gone = removed(Some((Position(3), at(30))));
        assert_eq!(
            told(&[gone[0], damaged]),
            [
                (0, 10, 13, 0),
                (10, 20, 8, 0),
                (20, 30, 13, 0),
                (30, 50, 1, 0),
                (50, 60, 6, 7),
                (60, 70, 2, 0),
            ]
        );
    }

    #[test]
    fn the_future_is_cut_off() {
        let now = Time::from_micros(50);
        let cut = |from, to| {
            let (from, to) = window(from, to, now);
            (from.as_micros(), to.as_micros())
        };
        assert_eq!(cut(10, 40), (10, 40), "control");
        assert_eq!(cut(10, 90), (10, 50));
        assert_eq!(
            cut(70, 90),
            (70, 70),
            "nothing is left, and that is no error"
        );
    }
}
