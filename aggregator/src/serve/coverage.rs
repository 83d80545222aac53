//! What each moment of a window was, as a message of the contract.
//!
//! The twin keeps the facts and judges them (`twin::coverage`); no batch is opened again. Invariants: the window ends
//! at the centre's present at the latest; an answer of more than [`MOST`] stretches is refused, not cut.
//!
//! Must not know: gRPC's server, the gate.

use proto::v1::{CoverageLine, CoverageResponse, CoverageStretch};
use twin::coverage::{Line, Stretch};
use vitals::Time;

/// Stretches in one answer, at most: about a mebibyte.
const MOST: usize = 40_000;

/// More stretches than one answer takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany;

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
) -> Result<CoverageResponse, TooMany> {
    if lines.iter().map(|line| line.stretches.len()).sum::<usize>() > MOST {
        return Err(TooMany);
    }
    Ok(CoverageResponse {
        from_us: from.as_micros(),
        to_us: to.as_micros(),
        as_of_us: now.as_micros(),
        lines: lines.iter().map(line).collect(),
    })
}

fn line(line: &Line) -> CoverageLine {
    CoverageLine {
        kind: line.kind.wire(),
        stream: line
            .source
            .map_or_else(String::new, |(stream, _)| stream.to_string()),
        source: line.source.map_or(0, |(_, source)| source.0.into()),
        stretches: line.stretches.iter().map(stretch).collect(),
    }
}

fn stretch(stretch: &Stretch) -> CoverageStretch {
    CoverageStretch {
        from_us: stretch.from.as_micros(),
        to_us: stretch.to.as_micros(),
        class: stretch.class as i32,
        readings: stretch.readings,
    }
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
