//! How much of a patient a reader may have at most, whatever it asked for; and what of an alert that is.
//!
//! Invariants: who was told an alert is told how it goes on and its end, also where it rests on data by then that they were
//! not given: then without a word of those ([`Shown::Bare`]). Whom it may have been told follows from what it rested on in
//! each of its states ([`Rested`]), which is a fold of its changes: a restart and a cursor give the same.
//!
//! Must not know: who reads, who gave them what.

use std::borrow::Cow;
use std::collections::BTreeSet;

use proto::v1;
use vitals::Kind;

/// What a bare alert says in the place of both of its sentences.
const WITHHELD: &str = "What it rests on now was not given to this reader; how it goes on is told.";

/// Sets of kinds that are kept of one alert. What is left out then is told to fewer than could have it, and its end to fewer than
/// were told it: no rule gets near.
const MOST: usize = 16;

/// How much of a patient a reader may have at most, whatever was asked for. The default: everything. A cursor does not know it: the
/// mark of whom the reader may see ([`TwinFilter::scope`](super::TwinFilter::scope)) is another one where this is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Within {
    /// Of these kinds, and nothing that comes of several; empty = everything.
    pub kinds: BTreeSet<Kind>,
    /// No alerts, and no snoozes of them.
    pub without_alerts: bool,
}

/// What a reader gets of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// All of it.
    Whole,
    /// All that was measured, without what people know of the patient.
    Measured,
    /// That it is, how urgent, and who took notice; not what it rests on, nor what people wrote.
    Bare,
    /// They were never told of it, and are not.
    Not,
}

impl Within {
    pub(super) fn is_all(&self) -> bool {
        self.kinds.is_empty() && !self.without_alerts
    }

    /// Of how good the models are, what goes with it.
    pub fn narrow_scores(&self, board: &mut v1::Scoreboard) {
        board.forecasts.retain(|of| self.has(of.kind));
        if self.without_alerts || !self.kinds.is_empty() {
            board.alerts.clear();
        }
    }

    /// Whether data of this kind, as the contract numbers it, are within.
    pub(super) fn has(&self, kind: i32) -> bool {
        self.kinds.is_empty() || self.kinds.iter().any(|of| of.wire() == kind)
    }

    /// What the reader gets of the alert; `rested` knows what it rested on so far.
    #[must_use]
    pub fn shows(&self, alert: &v1::Alert, rested: impl FnOnce() -> Rested) -> Shown {
        if self.without_alerts {
            return Shown::Not;
        }
        if self.kinds.is_empty() {
            return Shown::Whole;
        }
        if kinds_of(alert).is_some_and(|kinds| self.all(&kinds)) {
            return if alert.evidence.iter().any(|of| of.known) || !alert.part_of.is_empty() {
                Shown::Measured
            } else {
                Shown::Whole
            };
        }
        if rested().0.iter().any(|kinds| self.all(kinds)) {
            return Shown::Bare;
        }
        Shown::Not
    }

    /// The alert as the reader gets it, if they do.
    #[must_use]
    pub fn cut<'a>(
        &self,
        alert: &'a v1::Alert,
        rested: impl FnOnce() -> Rested,
    ) -> Option<Cow<'a, v1::Alert>> {
        match self.shows(alert, rested) {
            Shown::Whole => Some(Cow::Borrowed(alert)),
            Shown::Measured => Some(Cow::Owned(measured(alert))),
            Shown::Bare => Some(Cow::Owned(bare(alert))),
            Shown::Not => None,
        }
    }

    fn all(&self, kinds: &BTreeSet<i32>) -> bool {
        kinds.iter().all(|kind| self.has(*kind))
    }
}

/// What an alert tells of: these kinds alone, and devices. `None`: nothing says what, so nobody who is limited may have it. A remark
/// that had no part in the decision, such as the limit that was learned from this person, is of the kinds that had.
fn kinds_of(alert: &v1::Alert) -> Option<BTreeSet<i32>> {
    let decided = |of: &&v1::Evidence| of.kind != 0 || of.contribution > 0.0;
    let evidence = alert.evidence.iter();
    let mut kinds: BTreeSet<i32> = evidence.filter(decided).map(|of| of.kind).collect();
    if alert.category == v1::Category::Technical as i32 {
        kinds.remove(&0);
        return Some(kinds);
    }
    (!kinds.is_empty() && !kinds.contains(&0)).then_some(kinds)
}

/// The alert without what people know of the patient, and without another one that it is listed under: that may rest on anything.
#[must_use]
pub(super) fn measured(alert: &v1::Alert) -> v1::Alert {
    let mut alert = alert.clone();
    alert.evidence.retain(|of| !of.known);
    alert.part_of.clear();
    alert
}

/// The alert without a word of data.
#[must_use]
pub(super) fn bare(alert: &v1::Alert) -> v1::Alert {
    v1::Alert {
        summary: WITHHELD.to_owned(),
        plain_summary: WITHHELD.to_owned(),
        evidence: Vec::new(),
        expected_us: None,
        probability: None,
        acknowledge_note: String::new(),
        withdrawn_reason: String::new(),
        comments: Vec::new(),
        withheld: true,
        part_of: String::new(),
        ..alert.clone()
    }
}

/// What an alert rested on in each of its states, as sets of kinds. A set that another one lies in is left out: whoever may have all
/// of it may have the smaller one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rested(Vec<BTreeSet<i32>>);

impl Rested {
    /// With one more state of the alert.
    #[must_use]
    pub fn and(mut self, alert: &v1::Alert) -> Self {
        if let Some(kinds) = kinds_of(alert) {
            self.add(kinds);
        }
        self
    }

    fn add(&mut self, kinds: BTreeSet<i32>) {
        if self.0.iter().any(|had| had.is_subset(&kinds)) {
            return;
        }
        self.0.retain(|had| !kinds.is_subset(had));
        if self.0.len() < MOST {
            self.0.push(kinds);
        }
    }

    /// As it is kept beside an alert: a message of its own whose one field no alert has, so that a program that does not know it reads
    /// the alert all the same.
    #[must_use]
    pub(crate) fn kept(&self) -> Kept {
        let set = |kinds: &BTreeSet<i32>| KeptSet {
            kinds: kinds.iter().copied().collect(),
        };
        Kept {
            sets: self.0.iter().map(set).collect(),
        }
    }
}

impl From<Kept> for Rested {
    fn from(kept: Kept) -> Self {
        let mut rested = Self::default();
        for set in kept.sets {
            rested.add(set.kinds.into_iter().collect());
        }
        rested
    }
}

/// See [`Rested::kept`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Kept {
    #[prost(message, repeated, tag = "100000")]
    sets: Vec<KeptSet>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct KeptSet {
    #[prost(int32, repeated, tag = "1")]
    kinds: Vec<i32>,
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    fn alert(category: v1::Category, kinds: &[Option<Kind>]) -> v1::Alert {
        let evidence = |kind: &Option<Kind>| v1::Evidence {
            kind: kind.map_or(0, |kind| kind.wire()),
            label: "what was measured".into(),
            contribution: 0.5,
            ..v1::Evidence::default()
        };
        v1::Alert {
            id: "0123".into(),
            category: category.into(),
            priority: 3,
            summary: "Heart rate 171 /min".into(),
            plain_summary: "The heart beats 171 times a minute".into(),
            acknowledged_us: 5,
            acknowledged_by: "ann".into(),
            acknowledge_note: "rate of 171".into(),
            withdrawn_reason: "not 171".into(),
            expected_us: Some(7),
            probability: Some(0.5),
            comments: vec![v1::Comment::default()],
            evidence: kinds.iter().map(evidence).collect(),
            ..v1::Alert::default()
        }
    }

    fn of(kinds: &[Kind]) -> Within {
        Within {
            kinds: kinds.iter().copied().collect(),
            without_alerts: false,
        }
    }

    #[test]
    fn whoever_was_told_is_told_on_without_a_word_of_what_they_were_not_given() {
        let (body, oxygen, pulse) = (
            v1::Category::Physiological,
            Kind::OxygenSaturation,
            Kind::HeartRate,
        );
        let states = [
            alert(body, &[Some(oxygen)]),
            alert(body, &[Some(oxygen), Some(pulse)]),
            alert(body, &[Some(pulse)]),
            // As one whose evidence is gone.
            alert(body, &[]),
            alert(body, &[Some(oxygen)]),
        ];
        let seen = |within: &Within| {
            let mut rested = Rested::default();
            let shown = states.iter().map(|state| {
                rested = rested.clone().and(state);
                within.shows(state, || rested.clone())
            });
            shown.collect::<Vec<_>>()
        };
        use Shown::{Bare, Not, Whole};
        assert_eq!(seen(&of(&[oxygen])), [Whole, Bare, Bare, Bare, Whole]);
        assert_eq!(seen(&of(&[pulse])), [Not, Not, Whole, Bare, Bare]);
        assert_eq!(seen(&of(&[oxygen, pulse]))[..3], [Whole; 3]);
        assert_eq!(seen(&of(&[Kind::BodyTemperature])), [Not; 5]);
        assert_eq!(seen(&Within::default()), [Whole; 5]);
        let silent = Within {
            without_alerts: true,
            ..of(&[oxygen])
        };
        assert_eq!(seen(&silent), [Not; 5]);

        let mut known = states[0].clone();
        known.evidence.push(v1::Evidence {
            label: "An anticoagulant is taken".into(),
            known: true,
            ..v1::Evidence::default()
        });
        let told = of(&[oxygen]).cut(&known, Rested::default).expect("told");
        assert_eq!(*told, states[0], "no medicine is a kind of data");
        let told = Within::default().cut(&known, Rested::default);
        assert_eq!(told.as_deref(), Some(&known));

        let rested = || Rested::default().and(&states[0]);
        let told = of(&[oxygen]).cut(&states[2], rested).expect("told");
        let said = format!("{told:?}");
        assert!(
            !said.contains("171") && !said.contains("measured"),
            "{said}"
        );
        let kept = (
            told.id.as_str(),
            told.priority,
            told.acknowledged_by.as_str(),
        );
        assert_eq!(kept, ("0123", 3, "ann"));
        assert!(told.withheld && told.evidence.is_empty() && told.comments.is_empty());
        assert_eq!((told.expected_us, told.probability), (None, None));
    }

    #[test]
    fn technical_alerts_tell_of_devices_as_well() {
        let technical = v1::Category::Technical;
        let within = of(&[Kind::OxygenSaturation]);
        let never = Rested::default;
        for (kinds, shown) in [
            (vec![], Shown::Whole),
            (vec![None], Shown::Whole),
            (vec![None, Some(Kind::OxygenSaturation)], Shown::Whole),
            (vec![None, Some(Kind::HeartRate)], Shown::Not),
        ] {
            let alert = alert(technical, &kinds);
            assert_eq!(within.shows(&alert, never), shown, "{kinds:?}");
        }
    }

    #[test]
    fn a_remark_keeps_an_alert_from_nobody() {
        let within = of(&[Kind::HeartRate]);
        let mut slow = alert(v1::Category::Physiological, &[Some(Kind::HeartRate), None]);
        assert_eq!(within.shows(&slow, Rested::default), Shown::Not);
        // The limit of this person's nights, say.
        slow.evidence[1].contribution = 0.0;
        assert_eq!(within.shows(&slow, Rested::default), Shown::Whole);
        slow.evidence.remove(0);
        assert_eq!(within.shows(&slow, Rested::default), Shown::Not);
    }

    #[test]
    fn what_it_rested_on_is_bounded_and_lies_beside_an_alert() {
        let body = v1::Category::Physiological;
        let (a, b, c) = (Kind::HeartRate, Kind::OxygenSaturation, Kind::RrInterval);
        let mut rested = Rested::default();
        for kinds in [vec![a, b], vec![a, b, c], vec![c], vec![b], vec![b, c]] {
            let kinds: Vec<_> = kinds.into_iter().map(Some).collect();
            rested = rested.and(&alert(body, &kinds));
        }
        let least = [c, b].map(|kind| BTreeSet::from([kind.wire()]));
        assert_eq!(rested.0, least);
        let whole = alert(body, &[Some(a)]);
        let bytes = [whole.encode_to_vec(), rested.kept().encode_to_vec()].concat();
        assert_eq!(v1::Alert::decode(bytes.as_slice()), Ok(whole.clone()));
        let kept = |bytes: &[u8]| Rested::from(Kept::decode(bytes).expect("a message"));
        assert_eq!(kept(&bytes), rested);
        assert_eq!(kept(&whole.encode_to_vec()), Rested::default());
        for kind in 100..200 {
            rested.add([kind].into());
        }
        assert_eq!(rested.0.len(), MOST);
    }
}
