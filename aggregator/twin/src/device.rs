//! A sensor as far as it can be judged from what it says: link, battery, on the body or not, how often it
//! speaks. Holds state and deadlines; [`crate::technical`] makes alerts of them.
//!
//! Only newest evidence counts: what comes late changes nothing here.

use alloc::string::String;

use vitals::{Absence, Kind, Quality, Reading, Span, Time, Value};

use crate::channel::usable;
use crate::coverage::SourceFacts;
use crate::event::{DeviceReport, Link};
use crate::rule;

/// Longest text kept of what a device says about itself.
const TEXT: usize = 64;
/// Weight of the newest interval in the typical one.
const INTERVAL_WEIGHT: f64 = 0.1;

/// A sensor that cannot measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Off {
    /// The kind that said so; `None`: the gateway's report did, and any kind can end it.
    pub(crate) kind: Option<Kind>,
    /// First effective time.
    pub(crate) since: Time,
    /// Newest effective time.
    pub(crate) seen: Time,
    /// It said that it is not on the body (and not only that it cannot measure).
    pub(crate) said: bool,
    /// Usable again since.
    back: Option<Time>,
    /// The deadline has fired.
    pub(crate) judged: bool,
}

/// A sensor.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Device {
    pub(crate) name: String,
    pub(crate) model: String,
    pub(crate) address: String,
    pub(crate) link: Option<Link>,
    pub(crate) since: Time,
    pub(crate) battery: Option<(Time, u8)>,
    pub(crate) contact: Option<bool>,
    /// Newest effective time of anything it measured.
    pub(crate) measured: Option<Time>,
    /// Newest received time, never beyond known time.
    pub(crate) heard: Option<Time>,
    /// Typical time between notifications, seconds.
    interval: f64,
    notifications: u32,
    pub(crate) off: Option<Off>,
    /// Newest usable reading about the body.
    body: Option<Time>,
    /// Known time of the last impossible stamp.
    pub(crate) bad_clock: Option<Time>,
    pub(crate) facts: SourceFacts,
}

/// What a reading says about being worn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Worn {
    Nothing,
    Back,
}

impl Device {
    /// Takes a report of the gateway's, unless it is older than what is known.
    pub(crate) fn report(&mut self, report: &DeviceReport, known: Time) {
        self.facts.link(report.since.min(known), report.link);
        if self.link.is_some() && report.since < self.since {
            return;
        }
        self.name = cut(&report.name);
        self.model = cut(&report.model);
        self.address = cut(&report.address);
        (self.link, self.since) = (Some(report.link), report.since.min(known));
        if let Some(percent) = report.battery_percent {
            self.set_battery(known, percent);
        }
        match report.contact {
            Some(false) if self.contact != Some(false) => self.set_off(None, known, true),
            Some(_) | None => {}
        }
        self.contact = report.contact.or(self.contact);
        if report.contact == Some(true) && self.off.is_some_and(|off| off.seen <= report.since) {
            self.off = None;
        }
    }

    /// False for an advert under the address of a device that a link holds: it proves nothing about that device, and
    /// must not hide its silence.
    pub(crate) fn vouches(&self, reading: &Reading) -> bool {
        !(reading.quality.has(Quality::ADVERTISED) && self.link == Some(Link::Connected))
    }

    /// Takes a reading that was applied; `effective` and `heard` are cut to known time.
    pub(crate) fn reading(&mut self, reading: &Reading, effective: Time, heard: Time) -> Worn {
        self.listen(heard);
        if self.measured.is_some_and(|measured| effective < measured) {
            return Worn::Nothing;
        }
        self.measured = Some(effective);
        if reading.kind == Kind::BatteryLevel {
            if let Some(percent) = reading
                .number()
                .filter(|percent| (0.0..=100.0).contains(percent))
            {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "0 to 100"
                )]
                self.set_battery(effective, percent as u8);
            }
            return Worn::Nothing;
        }
        if rule::is_about_the_body(reading.kind) {
            self.wear(reading, effective)
        } else {
            Worn::Nothing
        }
    }

    /// Takes a block of a waveform that ends at `effective`, both cut to known time: a patch that sends nothing else is
    /// heard by it, and is on the body unless it says that it is not. Where nothing changes from one sample to the next
    /// nothing is measured: an electrode is off, or the amplifier at its limit.
    pub(crate) fn block(&mut self, quality: Quality, flat: bool, effective: Time, heard: Time) {
        self.listen(heard);
        if self.measured.is_some_and(|measured| effective < measured) {
            return;
        }
        self.measured = Some(effective);
        if quality.has(Quality::NO_CONTACT) {
            self.set_off(None, effective, true);
            self.contact = Some(false);
        } else if flat {
            self.set_off(None, effective, false);
        } else if quality.usable() {
            self.is_worn(None, effective);
        }
    }

    /// For people: name and address.
    pub(crate) fn label(&self) -> String {
        match (self.name.is_empty(), self.address.is_empty()) {
            (true, true) => "unnamed sensor".into(),
            (true, false) => self.address.clone(),
            (false, true) => self.name.clone(),
            (false, false) => alloc::format!("{} ({})", self.name, self.address),
        }
    }

    /// When being off the body is to be reported.
    pub(crate) fn off_deadline(&self) -> Option<Time> {
        let off = self.off.filter(|off| !off.judged && off.back.is_none())?;
        Some(
            off.since
                + if off.said {
                    rule::OFF_HOLD
                } else {
                    rule::UNABLE_HOLD
                },
        )
    }

    /// True if it is off the body by evidence that is about now.
    pub(crate) fn is_off(&self, now: Time) -> bool {
        let Some(off) = self.off.filter(|off| off.back.is_none()) else {
            return false;
        };
        let measures_else = self
            .body
            .is_some_and(|body| now.since(body) < rule::UNABLE_HOLD);
        now.since(off.seen) <= rule::OFF_FRESH && (off.said || !measures_else)
    }

    /// How long it may say nothing, if it streams and its link is up.
    pub(crate) fn silence(&self) -> Option<Span> {
        let linked = self.link.is_none_or(|link| link == Link::Connected);
        let streams = self.notifications >= rule::STREAMING_AFTER
            && self.interval <= rule::STREAMING_INTERVAL.as_secs_f64();
        #[expect(clippy::cast_possible_truncation, reason = "at most a minute")]
        let typical = Span::from_micros((self.interval * 1e6) as i64 * rule::SILENT_INTERVALS);
        (linked && streams).then(|| typical.max(rule::SILENT_AT_LEAST))
    }

    /// When a lost link is to be reported.
    pub(crate) fn lost_deadline(&self) -> Option<Time> {
        match self.link? {
            Link::Connected => None,
            Link::Searching if self.heard.is_none() => Some(self.since + rule::NEVER_SEEN_HOLD),
            Link::Searching | Link::Lost => Some(self.since + rule::LOST_HOLD),
        }
    }

    fn listen(&mut self, heard: Time) {
        // A reading received after the link was reported gone: the report is behind.
        if self.link.is_some_and(|link| link != Link::Connected)
            && heard > self.since + Span::from_secs(5)
        {
            (self.link, self.since) = (Some(Link::Connected), heard);
        }
        let Some(last) = self.heard else {
            self.heard = Some(heard);
            return;
        };
        let gap = heard.since(last).as_secs_f64();
        if gap <= 0.0 {
            return;
        }
        self.heard = Some(heard);
        let longest = 10.0 * rule::STREAMING_INTERVAL.as_secs_f64();
        let weight = if self.notifications == 0 {
            1.0
        } else {
            INTERVAL_WEIGHT
        };
        self.interval += weight * (gap.min(longest) - self.interval);
        self.notifications = self.notifications.saturating_add(1);
    }

    fn wear(&mut self, reading: &Reading, effective: Time) -> Worn {
        let said = reading.quality.has(Quality::NO_CONTACT)
            || reading.value == Value::Absent(Absence::NoContact);
        if usable(reading).is_none() {
            if said || matches!(reading.value, Value::Absent(_)) {
                self.set_off(Some(reading.kind), effective, said);
                self.contact = if said { Some(false) } else { self.contact };
            }
            return Worn::Nothing;
        }
        self.is_worn(Some(reading.kind), effective)
    }

    /// Something usable of the body came: of a kind, or a waveform.
    fn is_worn(&mut self, kind: Option<Kind>, effective: Time) -> Worn {
        self.body = Some(effective);
        let Some(off) = self
            .off
            .as_mut()
            .filter(|off| off.kind.is_none() || off.kind == kind)
        else {
            return Worn::Nothing;
        };
        let back = *off.back.get_or_insert(effective);
        if effective.since(back) < rule::OFF_CLEAR {
            return Worn::Nothing;
        }
        self.contact = if off.said { Some(true) } else { self.contact };
        self.off = None;
        Worn::Back
    }

    fn set_off(&mut self, kind: Option<Kind>, at: Time, said: bool) {
        match &mut self.off {
            Some(off) if off.said && !said && off.kind != kind => {}
            Some(off) => {
                off.seen = off.seen.max(at);
                off.back = None;
                if said && !off.said {
                    (off.said, off.kind, off.judged) = (true, kind, false);
                }
            }
            None => {
                self.off = Some(Off {
                    kind,
                    since: at,
                    seen: at,
                    said,
                    back: None,
                    judged: false,
                });
            }
        }
    }

    fn set_battery(&mut self, at: Time, percent: u8) {
        if self.battery.is_none_or(|(newest, _)| at >= newest) {
            self.battery = Some((at, percent.min(100)));
        }
    }
}

fn cut(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(TEXT)
        .collect()
}

crate::canonical_fields! {
    Off { kind, since, seen, said, back, judged }
    Device { name, model, address, link, since, battery, contact, measured, heard, interval, notifications, off, body, bad_clock, facts }
}
