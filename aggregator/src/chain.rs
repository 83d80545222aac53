//! PURE. The way from a sensor to a person as a chain of hops: each must be heard within a bound, and what is silent is
//! named. Sensors and gateways are judged by each twin, from what they made (`twin::technical`); the rest is judged here,
//! where no patient is known.
//!
//! Promises: a hop that is silent is told within its bound and named; nothing is told of a hop that nobody waits for.
//! Must not know: sockets, clocks, patients.

use std::collections::BTreeMap;
use std::time::Duration;

use vitals::{Span, Time};

use crate::channel::plan::{BOUND, Silent};
use crate::counters::Transport;

/// Nothing came through the MQTT door for so long, though several gateways use it: each of them says something every
/// half minute.
pub const BROKER: Span = twin::rule::GATEWAY_SILENT;
/// Something durable waits to be folded, and nothing was folded for so long.
pub const CENTRE: Span = Span::from_secs(30);
/// Streams of readers say so often at least that the centre lives, in real time. Who hears nothing for four times that must
/// take it for dead.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A part of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hop {
    /// Where gateways that use MQTT are heard.
    Broker,
    /// Where twins are made.
    Centre,
    /// A platform that passes alerts on.
    Subscriber,
    /// A way on which people are called.
    Channel,
    /// Whoever ought to be on duty.
    Duty,
    /// From one shift to the next.
    Handover,
    /// Whoever was called.
    Person,
}

impl Hop {
    /// All, in the order of the way.
    pub const ALL: [Self; 7] = [
        Self::Broker,
        Self::Centre,
        Self::Subscriber,
        Self::Channel,
        Self::Duty,
        Self::Handover,
        Self::Person,
    ];

    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::Centre => "centre",
            Self::Subscriber => "subscriber",
            Self::Channel => "channel",
            Self::Duty => "duty",
            Self::Handover => "handover",
            Self::Person => "person",
        }
    }
}

/// A hop that is not heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// Which.
    pub hop: Hop,
    /// Which one of them; empty where there is one.
    pub who: String,
    /// When it was heard last.
    pub since: Time,
    /// What it was given.
    pub bound: Span,
    /// What that means and what to do.
    pub words: String,
}

/// The broker, by how each gateway that is not revoked was heard last. One gateway alone is not told from its broker, and
/// has an alert of its own.
#[must_use]
pub fn broker(heard: &[(Transport, Time)], now: Time) -> Option<Silence> {
    let by_mqtt = heard.iter().filter(|(by, _)| *by == Transport::Mqtt);
    let times: Vec<Time> = by_mqtt.map(|(_, at)| *at).collect();
    let since = times.iter().copied().max()?;
    (times.len() > 1 && now.since(since) > BROKER).then(|| Silence {
        hop: Hop::Broker,
        who: String::new(),
        since,
        bound: BROKER,
        words: format!(
            "none of the {} gateways that use MQTT is heard: look at the MQTT port, its broker and the way to it",
            times.len()
        ),
    })
}

/// Whether the fold moves.
#[derive(Debug, Default)]
pub struct Fold {
    at: u64,
    /// Since when something waited and nothing was folded.
    since: Option<Time>,
}

impl Fold {
    /// Looks: `folded` of what is `durable`. To be asked more often than [`CENTRE`].
    pub fn look(&mut self, folded: u64, durable: u64, now: Time) -> Option<Silence> {
        if folded >= durable || folded != self.at {
            (self.at, self.since) = (folded, None);
        }
        if folded >= durable {
            return None;
        }
        let since = *self.since.get_or_insert(now);
        (now.since(since) > CENTRE).then(|| Silence {
            hop: Hop::Centre,
            who: String::new(),
            since,
            bound: CENTRE,
            words: format!(
                "{} durable entries wait and the fold stands still: look at the log, then restart the centre",
                durable - folded
            ),
        })
    }
}

/// What was heard of a platform that reads alerts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Streams of alerts that are open.
    pub open: u32,
    /// When the last one was opened or closed.
    pub at: Time,
    /// When it last confirmed how far it is; `None`: it never did, and an open stream has to do.
    pub confirmed: Option<Time>,
}

impl Heard {
    fn since(&self, now: Time) -> Time {
        match (self.open, self.confirmed) {
            (0, confirmed) => self.at.max(confirmed.unwrap_or(Time::ZERO)),
            (_, None) => now,
            (_, Some(confirmed)) => confirmed.max(self.at),
        }
    }
}

/// Platforms that ought to read alerts and do not. `began`: since when this centre could hear them.
#[must_use]
pub fn subscribers(
    expected: &[String],
    heard: &BTreeMap<String, Heard>,
    (within, began): (Span, Time),
    now: Time,
) -> Vec<Silence> {
    let silent = expected.iter().filter_map(|name| {
        let of = heard.get(name);
        let since = of.map_or(began, |of| of.since(now).max(began));
        let is_open = of.is_some_and(|of| of.open > 0);
        (now.since(since) > within).then(|| Silence {
            hop: Hop::Subscriber,
            who: name.clone(),
            since,
            bound: within,
            words: if is_open {
                format!("platform {name} has its stream of alerts open and confirms nothing: ask its operator whether it hangs")
            } else {
                format!("platform {name} does not read alerts: call its operator, and have somebody watch the page meanwhile")
            },
        })
    });
    silent.collect()
}

/// Channels on which calls do not get through: each ladder goes on without them.
#[must_use]
pub fn channels(silent: Vec<Silent>) -> Vec<Silence> {
    let silence = |of: Silent| Silence {
        hop: Hop::Channel,
        since: of.since,
        bound: BOUND,
        words: format!(
            "calls on channel {} do not get through ({}): look at its server, then try `channel test {}`",
            of.name, of.why, of.name
        ),
        who: of.name,
    };
    silent.into_iter().map(silence).collect()
}

/// Nobody: for each alert that holds, when its ladder ended unanswered.
#[must_use]
pub fn persons(unanswered: &[Time]) -> Option<Silence> {
    let since = unanswered.iter().copied().min()?;
    Some(Silence {
        hop: Hop::Person,
        who: String::new(),
        since,
        bound: Span::ZERO,
        words: format!(
            "nobody answered about {} alerts, though everybody on the ladder was called: `alert list` shows them",
            unanswered.len()
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_micros(1_800_000_000_000_000);

    fn ago(seconds: i64) -> Time {
        NOW - Span::from_secs(seconds)
    }

    #[test]
    fn a_broker_is_silent_when_all_who_use_it_are() {
        use Transport::{Grpc, Mqtt};
        let silent = |heard: &[(Transport, Time)]| broker(heard, NOW).map(|of| of.since);
        let bound = BROKER.as_micros() / 1_000_000;
        let late = ago(bound + 1);
        assert_eq!(silent(&[(Mqtt, late), (Mqtt, ago(900))]), Some(late));
        assert_eq!(
            silent(&[(Mqtt, ago(bound)), (Mqtt, ago(900))]),
            None,
            "one is heard"
        );
        assert_eq!(
            silent(&[(Mqtt, late), (Grpc, late)]),
            None,
            "one gateway may be off"
        );
        assert_eq!(silent(&[(Grpc, late), (Grpc, late)]), None);
        assert_eq!(silent(&[]), None);
    }

    #[test]
    fn a_fold_stands_still_when_something_waits_and_nothing_moves() {
        let mut fold = Fold::default();
        let after = |seconds| NOW + Span::from_secs(seconds);
        assert_eq!(fold.look(5, 5, NOW), None);
        // Nothing waits: an idle centre is not a dead one.
        assert_eq!(fold.look(5, 5, after(3600)), None);
        assert_eq!(fold.look(5, 9, after(3601)), None);
        assert_eq!(fold.look(5, 9, after(3631)), None, "within the bound");
        let silence = fold.look(5, 9, after(3632)).expect("it stands");
        assert_eq!((silence.hop, silence.since), (Hop::Centre, after(3601)));
        assert!(silence.words.contains("4 durable"), "{}", silence.words);
        // However slow, it moves.
        assert_eq!(fold.look(6, 900, after(3640)), None);
        assert_eq!(fold.look(7, 900, after(3669)), None);
        assert_eq!(fold.look(7, 900, after(3699)), None);
        assert!(fold.look(7, 900, after(3700)).is_some());
    }

    #[test]
    fn a_platform_that_ought_to_read_and_does_not_is_named() {
        let expected = ["tele".to_owned()];
        let within = Span::from_secs(120);
        let silent = |of: Option<Heard>, began| {
            let heard = of.map(|of| ("tele".to_owned(), of)).into_iter().collect();
            let told = subscribers(&expected, &heard, (within, began), NOW);
            assert!(
                told.iter()
                    .all(|of| of.who == "tele" && of.hop == Hop::Subscriber)
            );
            told.first().map(|of| of.since)
        };
        let heard = |open, at, confirmed| {
            Some(Heard {
                open,
                at,
                confirmed,
            })
        };
        let long = ago(9000);
        assert_eq!(silent(None, long), Some(long), "never heard");
        assert_eq!(silent(None, ago(120)), None, "the centre has just begun");
        assert_eq!(silent(heard(1, long, None), long), None, "it reads");
        assert_eq!(silent(heard(0, ago(121), None), long), Some(ago(121)));
        assert_eq!(silent(heard(0, ago(120), None), long), None);
        // Who confirms, and then does not, hangs; its connection may well stand.
        assert_eq!(silent(heard(1, long, Some(ago(300))), long), Some(ago(300)));
        assert_eq!(silent(heard(1, long, Some(ago(60))), long), None);
        assert_eq!(
            silent(heard(1, ago(50), Some(ago(300))), long),
            None,
            "it came again"
        );
        assert!(subscribers(&[], &BTreeMap::new(), (within, long), NOW).is_empty());
    }

    #[test]
    fn a_ladder_that_ended_unanswered_is_told() {
        assert_eq!(persons(&[]), None);
        let silence = persons(&[ago(10), ago(500)]).expect("nobody came");
        assert_eq!((silence.hop, silence.since), (Hop::Person, ago(500)));
    }

    /// Each hop and its bound stand in one table for people.
    #[test]
    fn the_table_of_the_architecture_says_these_bounds() {
        let page = include_str!("../../ARCHITECTURE.md");
        let seconds = |span: Span| span.as_micros() / 1_000_000;
        let ladder = |priority| twin::rule::ladder(priority).end.map_or(0, seconds) / 60;
        use twin::Priority::{High, Medium};
        for row in [
            format!("| sensor | {} s", seconds(twin::rule::SILENT_AT_LEAST)),
            format!("| gateway | {} s", seconds(twin::rule::GATEWAY_SILENT)),
            format!("| broker | {} s", seconds(BROKER)),
            format!("| centre | {} s", seconds(CENTRE)),
            "| subscriber | 120 s".to_owned(),
            format!("| channel | {} s", seconds(BOUND)),
            "| duty | at once".to_owned(),
            format!(
                "| handover | {} min",
                seconds(crate::roster::watch::HANDOVER) / 60
            ),
            format!(
                "| person | {} min high, {} min medium",
                ladder(High),
                ladder(Medium)
            ),
        ] {
            assert!(page.contains(&row), "{row:?} is not in the table");
        }
    }
}
