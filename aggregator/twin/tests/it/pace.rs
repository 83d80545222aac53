//! Sensors that send seldom: a watch that measures each minute is watched like a strap that measures each second.

use twin::alert::{Change, Condition};
use vitals::Reading;

use crate::support::{World, oxygen, pulse, seconds};

const LOW: Condition = Condition::OxygenSaturationLow;
/// Seconds between two readings: from those of a streaming sensor to a row of spot checks.
const PACES: [i64; 12] = [1, 5, 10, 19, 21, 30, 45, 60, 90, 120, 240, 400];

/// One reading each `pace` seconds from `from` on, as many as there are values.
fn paced(from: i64, pace: i64, values: &[f64]) -> Vec<Reading> {
    let times = (0..).map(|n| from + n * pace);
    let readings = times.zip(values).map(|(at, value)| oxygen(at, *value));
    readings.collect()
}

fn raised_at(world: &World, condition: Condition) -> Option<i64> {
    let mut changes = world.changes.iter();
    let raised =
        changes.find(|change| change.what == Change::Raised && change.alert.condition == condition);
    raised.map(|change| seconds(change.alert.raised))
}

#[test]
fn whatever_its_pace_a_sensor_that_stays_low_raises_and_one_that_is_back_resolves() {
    for pace in PACES {
        let lasts = 90.max(4 * pace) / pace + 1;
        let count = |seconds: i64| usize::try_from(seconds / pace + 2).expect("small");
        let well = vec![97.0; count(600)];
        let low = vec![85.0; usize::try_from(lasts).expect("small")];
        let mut world = World::new();
        world.live(paced(0, pace, &well));
        let begin = well.len() as i64 * pace;
        assert_eq!(raised_at(&world, LOW), None, "each {pace} s");
        world.live(paced(begin, pace, &low));
        let end = begin + low.len() as i64 * pace;
        world.tick(end - pace + 31);
        let raised = raised_at(&world, LOW);
        let by = begin + 40.max(pace) + 31;
        assert!(
            raised.is_some_and(|at| at <= by),
            "each {pace} s: low from {begin} s, raised at {raised:?}, not by {by}"
        );
        world.live(paced(end, pace, &vec![97.0; count(180 + 3 * pace)]));
        world.tick(end + 300 + 4 * pace);
        assert_eq!(world.count(LOW, Change::Raised), 1, "each {pace} s");
        assert_eq!(world.count(LOW, Change::Resolved), 1, "each {pace} s");
    }
}

/// A lone outlier of a sensor that sends on and on is no spot check, whatever its pace.
#[test]
fn one_artefact_of_a_slow_sensor_raises_nothing() {
    for pace in PACES.into_iter().filter(|pace| (5..=240).contains(pace)) {
        let mut world = World::new();
        let mut values = vec![97.0; 60];
        values[40] = 60.0;
        world.live(paced(0, pace, &values));
        world.tick(60 * pace + 60);
        assert_eq!(world.count(LOW, Change::Raised), 0, "each {pace} s");
    }
}

/// What came late is told as a finding, at any pace.
#[test]
fn a_slow_sensors_backlog_is_judged_at_its_pace() {
    for pace in PACES.into_iter().filter(|pace| *pace <= 240) {
        let mut world = World::new();
        let mut values = vec![97.0; 20];
        let lasts = usize::try_from(40 / pace + 4).expect("small");
        values.extend(vec![85.0; lasts]);
        values.extend(vec![97.0; 20]);
        let whole = values.len() as i64 * pace;
        let back = 10 * 3600;
        world.live(vec![pulse(back, 70.0)]);
        for (part, late) in paced(0, pace, &values).chunks(7).enumerate() {
            world.readings(back + 1 + part as i64 * 20, late.to_vec());
        }
        assert!(whole < back);
        world.tick(back + 1000);
        let found = world.count(LOW, Change::Finding);
        assert_eq!(found, 1, "each {pace} s");
        assert_eq!(world.count(LOW, Change::Raised), 0, "each {pace} s");
    }
}
