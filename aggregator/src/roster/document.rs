//! A team's shifts as TOML.
//!
//! Invariants: what is read tells one answer for each duty and moment: shifts of a duty do not overlap within a week, nor do
//! its exceptions; each name is fit. Must not know: who works here.

use jiff::civil::{DateTime, Time as Clock, Weekday};
use jiff::tz::TimeZone;
use proto::v1::Duty;
use serde::Deserialize;

use crate::channel::settings::name_of;
use crate::staff;

/// What documents of this form begin with.
const FORMAT: &str = "roster/1";
/// Bytes of a document.
const LONGEST: usize = 64 * 1024;
/// Shifts, exceptions, people of one.
const SHIFTS: usize = 100;
const EXCEPTIONS: usize = 200;
const PEOPLE: usize = 50;
/// Minutes.
const DAY: u32 = 24 * 60;
const WEEK: u32 = 7 * DAY;
/// Days of an exception.
const LONGEST_EXCEPTION: i32 = 31;
/// Years that a roster may speak of.
const YEARS: std::ops::RangeInclusive<i16> = 2020..=2199;

/// Who is called, in the order of the ladder.
pub const DUTIES: [Duty; 3] = [Duty::Nurse, Duty::Doctor, Duty::Supervisor];

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// Why a text is no roster: everything that is wrong with it, one a line, each with its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct RosterError(pub Vec<String>);

/// Who is on duty, week after week, and what is different on some days.
#[derive(Clone, Debug)]
pub struct Roster {
    pub(super) zone: TimeZone,
    pub(super) shifts: Vec<Shift>,
    pub(super) exceptions: Vec<Exception>,
}

/// A shift of the week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shift {
    pub(super) name: String,
    pub(super) duty: Duty,
    /// On which days it begins.
    pub(super) days: Vec<Weekday>,
    pub(super) from: Clock,
    /// On the next day where it is not after `from`.
    pub(super) until: Clock,
    pub(super) people: Vec<String>,
}

/// A stretch of time in which the week does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exception {
    pub(super) name: String,
    pub(super) duty: Duty,
    pub(super) from: DateTime,
    pub(super) until: DateTime,
    pub(super) people: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    time_zone: String,
    #[serde(default)]
    shifts: Vec<WeeklyLine>,
    #[serde(default)]
    exceptions: Vec<DatedLine>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WeeklyLine {
    name: String,
    duty: String,
    days: Vec<String>,
    from: String,
    until: String,
    people: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DatedLine {
    name: String,
    duty: String,
    from: String,
    until: String,
    people: Vec<String>,
}

/// What was found wrong so far.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn say(&mut self, place: &str, what: &str) {
        self.0.push(format!("{place}: {what}"));
    }

    fn name(&mut self, place: &str, text: &str) -> String {
        staff::name(text).unwrap_or_else(|| {
            self.say(
                &format!("{place}.name"),
                "one line of 1 to 80 characters that print",
            );
            String::new()
        })
    }

    fn duty(&mut self, place: &str, text: &str) -> Duty {
        let found = DUTIES.into_iter().find(|duty| name_of(*duty) == text);
        found.unwrap_or_else(|| {
            self.say(
                &format!("{place}.duty"),
                "must be nurse, doctor or supervisor",
            );
            Duty::Unspecified
        })
    }

    fn people(&mut self, place: &str, names: &[String]) -> Vec<String> {
        let place = format!("{place}.people");
        if names.len() > PEOPLE {
            self.say(&place, "at most 50");
        }
        let mut people: Vec<String> = Vec::new();
        for (at, name) in names.iter().enumerate().take(PEOPLE) {
            match staff::name(name) {
                Some(name) if people.contains(&name) => {
                    self.say(&format!("{place}[{at}]"), "is named twice");
                }
                Some(name) => people.push(name),
                None => self.say(
                    &format!("{place}[{at}]"),
                    "must be a name as `person list` shows it",
                ),
            }
        }
        people
    }
}

impl Roster {
    /// Reads a document.
    ///
    /// # Errors
    /// [`RosterError`], with everything that is wrong.
    pub fn parse(text: &str) -> Result<Self, RosterError> {
        let one = |what: String| RosterError(vec![what]);
        if text.len() > LONGEST {
            return Err(one(format!("at most {LONGEST} bytes")));
        }
        let document: Document = toml::from_str(text).map_err(|error| one(error.to_string()))?;
        if document.format != FORMAT {
            return Err(one(format!(
                "format: must be \"{FORMAT}\" for this program"
            )));
        }
        let mut faults = Faults::default();
        let zone = TimeZone::get(&document.time_zone).unwrap_or_else(|_| {
            faults.say(
                "time_zone",
                "must be a name of the IANA time zone database that this machine knows, such as \"Europe/Berlin\" (Debian: package tzdata)",
            );
            TimeZone::UTC
        });
        if document.shifts.len() > SHIFTS {
            faults.say("shifts", "at most 100");
        }
        if document.exceptions.len() > EXCEPTIONS {
            faults.say("exceptions", "at most 200: leave out those that are over");
        }
        let weekly = document.shifts.iter().enumerate().take(SHIFTS);
        let shifts: Vec<Shift> = weekly
            .map(|(at, line)| shift(&format!("shifts[{at}]"), line, &mut faults))
            .collect();
        let dated = document.exceptions.iter().enumerate().take(EXCEPTIONS);
        let exceptions: Vec<Exception> = dated
            .map(|(at, line)| exception(&format!("exceptions[{at}]"), line, &mut faults))
            .collect();
        if faults.0.is_empty() {
            overlaps(&shifts, &exceptions, &mut faults);
        }
        if faults.0.is_empty() {
            Ok(Self {
                zone,
                shifts,
                exceptions,
            })
        } else {
            Err(RosterError(faults.0))
        }
    }

    /// Everybody whom it names, once, with each duty that they are named for.
    #[must_use]
    pub fn named(&self) -> Vec<(Duty, &str)> {
        let weekly = self.shifts.iter().map(|of| (of.duty, &of.people));
        let dated = self.exceptions.iter().map(|of| (of.duty, &of.people));
        let mut named: Vec<(Duty, &str)> = weekly
            .chain(dated)
            .flat_map(|(duty, people)| people.iter().map(move |name| (duty, name.as_str())))
            .collect();
        named.sort_unstable();
        named.dedup();
        named
    }

    /// The time zone's name.
    #[must_use]
    pub fn zone_name(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }
}

fn shift(place: &str, line: &WeeklyLine, faults: &mut Faults) -> Shift {
    let mut days = Vec::new();
    for (at, day) in line.days.iter().enumerate() {
        match DAYS.into_iter().find(|(name, _)| name == day) {
            Some((_, day)) if !days.contains(&day) => days.push(day),
            Some(_) => faults.say(&format!("{place}.days[{at}]"), "is there twice"),
            None => faults.say(
                &format!("{place}.days[{at}]"),
                "must be mon, tue, wed, thu, fri, sat or sun",
            ),
        }
    }
    if line.days.is_empty() {
        faults.say(&format!("{place}.days"), "needs one at least");
    }
    let mut clock = |field: &str, text: &str| {
        let read = text.parse::<Clock>().ok();
        let whole = read.filter(|of| of.second() == 0 && of.subsec_nanosecond() == 0);
        whole.unwrap_or_else(|| {
            faults.say(
                &format!("{place}.{field}"),
                "must be a time of the day, such as \"06:30\"",
            );
            Clock::midnight()
        })
    };
    let (from, until) = (clock("from", &line.from), clock("until", &line.until));
    Shift {
        name: faults.name(place, &line.name),
        duty: faults.duty(place, &line.duty),
        days,
        from,
        until,
        people: faults.people(place, &line.people),
    }
}

fn exception(place: &str, line: &DatedLine, faults: &mut Faults) -> Exception {
    let mut moment = |field: &str, text: &str| {
        let read = text.parse::<DateTime>().ok();
        let fits = read.filter(|of| {
            of.second() == 0 && of.subsec_nanosecond() == 0 && YEARS.contains(&of.year())
        });
        fits.unwrap_or_else(|| {
            faults.say(
                &format!("{place}.{field}"),
                "must be a day and a time, such as \"2027-12-24 14:00\"",
            );
            DateTime::constant(2020, 1, 1, 0, 0, 0, 0)
        })
    };
    let (from, until) = (moment("from", &line.from), moment("until", &line.until));
    let days = from.date().until(until.date()).map(|span| span.get_days());
    if faults.0.is_empty() && (until <= from || !days.is_ok_and(|days| days <= LONGEST_EXCEPTION)) {
        faults.say(
            &format!("{place}.until"),
            "must be after its beginning, by 31 days at most",
        );
    }
    Exception {
        name: faults.name(place, &line.name),
        duty: faults.duty(place, &line.duty),
        from,
        until,
        people: faults.people(place, &line.people),
    }
}

/// Minutes of the day.
fn minute(clock: Clock) -> u32 {
    let part = |of: i8| u32::try_from(of).unwrap_or(0);
    part(clock.hour()) * 60 + part(clock.minute())
}

impl Shift {
    /// Its parts of the week, as minutes since Monday; the end may lie in the next week.
    fn week(&self) -> impl Iterator<Item = (u32, u32)> {
        let begin = minute(self.from);
        let long = match (minute(self.until) + DAY - begin) % DAY {
            0 => DAY,
            long => long,
        };
        self.days.iter().map(move |day| {
            let day = u32::try_from(day.to_monday_zero_offset()).unwrap_or(0);
            let from = day * DAY + begin;
            (from, from + long)
        })
    }
}

fn overlaps(shifts: &[Shift], exceptions: &[Exception], faults: &mut Faults) {
    for duty in DUTIES {
        let mut week: Vec<(u32, u32, usize)> = Vec::new();
        for (at, shift) in shifts.iter().enumerate().filter(|(_, of)| of.duty == duty) {
            week.extend(shift.week().map(|(from, until)| (from, until, at)));
        }
        week.sort_unstable();
        // The week begins again after Sunday.
        let first = week
            .first()
            .map(|(from, until, at)| (from + WEEK, until + WEEK, *at));
        let mut told = Vec::new();
        for (one, next) in week.iter().zip(week.iter().skip(1).copied().chain(first)) {
            let pair = (one.2, next.2);
            if next.0 < one.1 && !told.contains(&pair) {
                told.push(pair);
                faults.say(
                    &format!("shifts[{}]", next.2),
                    &format!(
                        "overlaps shifts[{}] of the same duty ({}): name both people in one shift",
                        one.2,
                        name_of(duty)
                    ),
                );
            }
        }
        let of = exceptions.iter().enumerate();
        let mut dated: Vec<(usize, &Exception)> = of.filter(|(_, of)| of.duty == duty).collect();
        dated.sort_by_key(|(_, of)| (of.from, of.until));
        for (one, next) in dated.iter().zip(dated.iter().skip(1)) {
            if next.1.from < one.1.until {
                faults.say(
                    &format!("exceptions[{}]", next.0),
                    &format!("overlaps exceptions[{}] of the same duty", one.0),
                );
            }
        }
    }
}
