//! PURE. Who is on duty at a moment.
//!
//! A roster speaks of clocks on a wall; here each of its times becomes one moment, so that each moment has one answer, also in
//! the two hours a year that clocks skip or show twice. A time that is shown twice is its first showing; one that is skipped
//! is the moment of the skip. So later times never become earlier moments, shifts that touch on the wall touch in truth, and a
//! night is an hour longer or shorter for whoever has it, without a gap and without two who each think it is the other's.
//!
//! Must not know: who works here, alerts.

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan as _};
use proto::v1::Duty;
use vitals::{Span, Time};

use super::document::{DUTIES, Roster, Shift};

/// How far is looked for when it began that nobody is on duty, and when that ends.
const FAR: Span = Span::from_mins(32 * 24 * 60);

/// A stretch of time with one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Whose.
    pub duty: Duty,
    /// The shift's name; empty: no shift.
    pub shift: String,
    /// Since then ...
    pub from: Time,
    /// ... and up to then, without it.
    pub until: Time,
    /// Who is on duty, as the roster names them; none: nobody.
    pub people: Vec<String>,
}

impl Roster {
    /// The answer at that moment; `None`: the roster says nothing of this duty at all.
    #[must_use]
    pub fn at(&self, duty: Duty, at: Time) -> Option<Turn> {
        let turns = self.turns(duty, at - FAR, at + FAR)?;
        turns
            .into_iter()
            .find(|turn| turn.from <= at && at < turn.until)
    }

    /// The next turn.
    #[must_use]
    pub fn after(&self, turn: &Turn) -> Option<Turn> {
        self.at(turn.duty, turn.until)
    }

    /// Who hands over to whoever has this turn, if it is to be taken over: another shift's people, or nobody. `None`: nothing is
    /// to be taken over, because nobody comes, the same people stay, or the roster is younger than the turn.
    #[must_use]
    pub fn handover(&self, turn: &Turn, since: Time) -> Option<Vec<String>> {
        if turn.people.is_empty() || turn.from < since {
            return None;
        }
        let before = self.at(turn.duty, turn.from - Span::from_micros(1))?;
        let mut leaving = before.people;
        let mut coming = turn.people.clone();
        leaving.sort_unstable();
        coming.sort_unstable();
        (leaving != coming).then_some(leaving)
    }

    /// From `from` to `to`, one turn after the other without a hole; the first and the last may reach further. `None`: the
    /// roster says nothing of this duty at all.
    #[must_use]
    pub fn turns(&self, duty: Duty, from: Time, to: Time) -> Option<Vec<Turn>> {
        let speaks = self.shifts.iter().any(|of| of.duty == duty)
            || self.exceptions.iter().any(|of| of.duty == duty);
        if !speaks {
            return None;
        }
        let dated = self.dated(duty);
        let mut turns: Vec<Turn> = Vec::new();
        for weekly in self.weekly(duty, from, to) {
            let mut rest = weekly;
            for day in &dated {
                if day.until <= rest.from || day.from >= rest.until {
                    continue;
                }
                if day.from > rest.from {
                    turns.push(Turn {
                        until: day.from,
                        ..rest.clone()
                    });
                }
                rest.from = day.until;
            }
            if rest.from < rest.until {
                turns.push(rest);
            }
        }
        let near = |turn: &Turn| turn.until > from && turn.from < to;
        turns.extend(dated.into_iter().filter(near));
        turns.retain(near);
        turns.sort_by_key(|turn| turn.from);
        Some(filled(duty, turns, from, to))
    }

    /// When nobody is on duty who ought to be, of all duties that it speaks of.
    #[must_use]
    pub fn gaps(&self, from: Time, to: Time) -> Vec<Turn> {
        let turns = DUTIES
            .into_iter()
            .filter_map(|duty| self.turns(duty, from, to))
            .flatten();
        turns.filter(|turn| turn.people.is_empty()).collect()
    }

    /// Exceptions of a duty as moments, in order.
    fn dated(&self, duty: Duty) -> Vec<Turn> {
        let of = self.exceptions.iter().filter(|of| of.duty == duty);
        let mut dated: Vec<Turn> = of
            .map(|of| Turn {
                duty,
                shift: of.name.clone(),
                from: moment(&self.zone, of.from),
                until: moment(&self.zone, of.until),
                people: of.people.clone(),
            })
            .filter(|turn| turn.from < turn.until)
            .collect();
        dated.sort_by_key(|turn| turn.from);
        dated
    }

    /// Shifts that begin on the days around, as moments, in order.
    fn weekly(&self, duty: Duty, from: Time, to: Time) -> Vec<Turn> {
        let (Some(first), Some(last)) = (self.day(from), self.day(to)) else {
            return Vec::new();
        };
        // A shift of the day before may reach into it.
        let first = first.checked_sub(2.days()).unwrap_or(first);
        let days = std::iter::successors(Some(first), |day| day.tomorrow().ok())
            .take_while(|day| *day <= last);
        let on = |day: Date| {
            let shifts = self.shifts.iter();
            let begins = move |of: &&Shift| of.duty == duty && of.days.contains(&day.weekday());
            shifts.filter(begins).filter_map(move |of| self.on(day, of))
        };
        let mut weekly: Vec<Turn> = days.flat_map(on).collect();
        weekly.sort_by_key(|turn| turn.from);
        weekly
    }

    /// A shift that begins on that day; `None`: all of it lies in an hour that the clocks skip.
    fn on(&self, day: Date, of: &Shift) -> Option<Turn> {
        let end = if of.until > of.from {
            day
        } else {
            day.tomorrow().ok()?
        };
        let turn = Turn {
            duty: of.duty,
            shift: of.name.clone(),
            from: moment(&self.zone, day.to_datetime(of.from)),
            until: moment(&self.zone, end.to_datetime(of.until)),
            people: of.people.clone(),
        };
        (turn.from < turn.until).then_some(turn)
    }

    fn day(&self, at: Time) -> Option<Date> {
        let at = Timestamp::from_microsecond(at.as_micros()).ok()?;
        Some(self.zone.to_datetime(at).date())
    }
}

/// The one moment of a time on the wall: see the module's words.
fn moment(zone: &TimeZone, wall: DateTime) -> Time {
    let at = match zone.to_ambiguous_timestamp(wall).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(wall),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(wall),
        AmbiguousOffset::Gap { after, before } => match after.to_timestamp(wall) {
            // By the clock after the skip it would have been before the skip: the next change is that one.
            Ok(early) => match zone.following(early).next() {
                Some(skip) => Ok(skip.timestamp()),
                None => before.to_timestamp(wall),
            },
            Err(error) => Err(error),
        },
    };
    at.map_or(Time::MAX, |at| Time::from_micros(at.as_microsecond()))
}

/// What no shift covers is nobody's.
fn filled(duty: Duty, turns: Vec<Turn>, from: Time, to: Time) -> Vec<Turn> {
    let nobody = |from: Time, until: Time| Turn {
        duty,
        shift: String::new(),
        from,
        until,
        people: Vec::new(),
    };
    let (mut all, mut at) = (Vec::new(), from);
    for turn in turns {
        if turn.from > at {
            all.push(nobody(at, turn.from));
        }
        at = turn.until;
        all.push(turn);
    }
    if at < to {
        all.push(nobody(at, to));
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Span = Span::from_mins(1);

    fn at(text: &str) -> Time {
        let at: Timestamp = text.parse().expect("a moment");
        Time::from_micros(at.as_microsecond())
    }

    fn roster(zone: &str, rest: &str) -> Roster {
        let text = format!("format = \"roster/1\"\ntime_zone = \"{zone}\"\n{rest}");
        Roster::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    /// The whole week, cut at these minutes since Monday.
    fn week(cuts: &[u32]) -> String {
        let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        // A shift has a day at most: each day's midnight cuts, too.
        let mut all: Vec<u32> = cuts
            .iter()
            .copied()
            .chain((0..7).map(|day| day * 1440))
            .collect();
        all.sort_unstable();
        all.dedup();
        let ends = all.iter().skip(1).copied().chain([7 * 1440]);
        let clock = |minute: u32| format!("{:02}:{:02}", minute % 1440 / 60, minute % 60);
        let shifts = all.iter().zip(ends).enumerate().map(|(place, (from, until))| {
            format!(
                "[[shifts]]\nname = \"s{place}\"\nduty = \"nurse\"\ndays = [\"{}\"]\nfrom = \"{}\"\nuntil = \"{}\"\npeople = [\"p{place}\"]\n",
                names[usize::try_from(from / 1440).expect("few")],
                clock(*from),
                clock(until)
            )
        });
        shifts.collect()
    }

    const DAY_AND_NIGHT: &str = "
[[shifts]]
name = \"day\"
duty = \"nurse\"
days = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\", \"sun\"]
from = \"06:00\"
until = \"18:00\"
people = [\"Ann\"]
[[shifts]]
name = \"night\"
duty = \"nurse\"
days = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\", \"sun\"]
from = \"18:00\"
until = \"06:00\"
people = [\"Bob\"]
";

    fn hours(turn: &Turn) -> i64 {
        turn.until.since(turn.from).as_micros() / 3_600_000_000
    }

    #[test]
    fn a_night_is_an_hour_shorter_or_longer_where_the_clocks_change() {
        let berlin = roster("Europe/Berlin", DAY_AND_NIGHT);
        let night = |moment: &str| {
            let turn = berlin.at(Duty::Nurse, at(moment)).expect("an answer");
            assert_eq!(
                (turn.shift.as_str(), &turn.people[..]),
                ("night", &["Bob".to_owned()][..])
            );
            turn
        };
        assert_eq!(hours(&night("2027-01-15T23:00:00Z")), 12);
        let spring = night("2027-03-28T01:00:00Z");
        assert_eq!(
            (hours(&spring), spring.until),
            (11, at("2027-03-28T04:00:00Z"))
        );
        let autumn = night("2027-10-31T01:30:00Z");
        assert_eq!(
            (hours(&autumn), autumn.until),
            (13, at("2027-10-31T05:00:00Z"))
        );
        let day = berlin.after(&autumn).expect("an answer");
        assert_eq!((day.shift.as_str(), day.from), ("day", autumn.until));
    }

    #[test]
    fn a_change_in_the_hour_that_is_shown_twice_or_skipped_happens_once() {
        let cut = roster("Europe/Berlin", &week(&[6 * 1440 + 150]));
        let shift = |moment: &str| cut.at(Duty::Nurse, at(moment)).expect("an answer").shift;
        // Sunday 02:30 is shown twice on 31 October: at 00:30 and at 01:30 UTC.
        assert_ne!(shift("2027-10-31T00:29:00Z"), shift("2027-10-31T00:30:00Z"));
        assert_eq!(shift("2027-10-31T00:30:00Z"), shift("2027-10-31T01:31:00Z"));
        // And never on 28 March: it is the moment of the skip, 01:00 UTC.
        assert_ne!(shift("2027-03-28T00:59:00Z"), shift("2027-03-28T01:00:00Z"));
        assert_eq!(shift("2027-03-28T01:00:00Z"), shift("2027-03-28T01:31:00Z"));
    }

    #[test]
    fn an_exception_takes_the_place_of_the_week_and_of_nothing_else() {
        let christmas = format!(
            "{DAY_AND_NIGHT}
[[exceptions]]
name = \"Christmas\"
duty = \"nurse\"
from = \"2027-12-24 14:00\"
until = \"2027-12-25 08:00\"
people = [\"Cy\"]
[[exceptions]]
name = \"nobody\"
duty = \"nurse\"
from = \"2027-12-25 08:00\"
until = \"2027-12-25 10:00\"
people = []
"
        );
        let berlin = roster("Europe/Berlin", &christmas);
        let who = |moment: &str| {
            let turn = berlin.at(Duty::Nurse, at(moment)).expect("an answer");
            (turn.people.join(" "), hours(&turn))
        };
        assert_eq!(who("2027-12-24T12:59:00Z"), ("Ann".into(), 8));
        assert_eq!(who("2027-12-24T13:00:00Z"), ("Cy".into(), 18));
        assert_eq!(who("2027-12-25T07:00:00Z"), (String::new(), 2));
        assert_eq!(who("2027-12-25T09:00:00Z"), ("Ann".into(), 8));
        assert_eq!(berlin.at(Duty::Doctor, at("2027-12-25T09:00:00Z")), None);
        let gaps = berlin.gaps(at("2027-12-20T00:00:00Z"), at("2027-12-30T00:00:00Z"));
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        assert_eq!(gaps[0].from, at("2027-12-25T07:00:00Z"));
    }

    #[test]
    fn a_handover_names_who_leaves_and_is_none_where_the_same_stay() {
        let berlin = roster("Europe/Berlin", DAY_AND_NIGHT);
        let turn = |moment: &str| berlin.at(Duty::Nurse, at(moment)).expect("an answer");
        let day = turn("2027-01-15T12:00:00Z");
        assert_eq!(
            berlin.handover(&day, Time::ZERO),
            Some(vec!["Bob".to_owned()])
        );
        let younger = day.from + MINUTE;
        assert_eq!(
            berlin.handover(&day, younger),
            None,
            "the roster came in the middle of it"
        );
        let same = roster("Europe/Berlin", &DAY_AND_NIGHT.replace("Bob", "Ann"));
        let day = same.at(Duty::Nurse, day.from).expect("an answer");
        assert_eq!(same.handover(&day, Time::ZERO), None);
    }

    proptest! {
        /// Every moment has exactly one answer, and a week that is full has somebody at each: also where clocks change by
        /// half an hour, at midnight, or twice in a month.
        #[test]
        fn each_moment_has_exactly_one_answer(
            cuts in proptest::collection::vec(0_u32..7 * 1440, 0..12),
            zone in prop_oneof![
                Just("Europe/Berlin"), Just("America/New_York"), Just("Australia/Lord_Howe"),
                Just("America/Havana"), Just("Africa/Casablanca"), Just("Asia/Kathmandu"), Just("UTC"),
            ],
            begin in 0_i64..366 * 24 * 60,
            long in 1_i64..3 * 24 * 60,
        ) {
            let full = roster(zone, &week(&cuts));
            let from = at("2027-01-01T00:00:00Z") + Span::from_mins(begin);
            let to = from + Span::from_mins(long);
            let turns = full.turns(Duty::Nurse, from, to).expect("it speaks of nurses");
            prop_assert!(turns.first().is_some_and(|turn| turn.from <= from));
            prop_assert!(turns.last().is_some_and(|turn| turn.until >= to));
            for (one, next) in turns.iter().zip(turns.iter().skip(1)) {
                prop_assert_eq!(one.until, next.from, "{:?} {:?}", one, next);
            }
            prop_assert!(turns.iter().all(|turn| turn.from < turn.until && turn.people.len() == 1));
            for turn in &turns {
                for moment in [turn.from, turn.until - Span::from_micros(1)] {
                    prop_assert_eq!(&full.at(Duty::Nurse, moment), &Some(turn.clone()));
                }
            }
        }
    }
}
