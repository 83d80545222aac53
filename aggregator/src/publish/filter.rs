//! What a reader asked for. The patients say whom it hears of; the rest says how much of them.
//!
//! Invariants: two filters that ask for the same are equal, whatever the order and the repeats in which they were
//! written; the hash of a filter that names nothing new is the one that it had before there was anything new, so
//! that cursors live through an upgrade.
//!
//! Must not know: the contract's requests and how they are refused, cursors.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use proto::seal::crypto::Sha256;
use proto::v1::{self, TwinPart};
use vitals::{Kind, PatientId};

use super::within::{Rested, Within};

/// A filter as a short hash: a cursor holds for the same question only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterHash(pub(super) [u8; 8]);

/// Which twins, and how much of them. The default asks for everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TwinFilter {
    /// Of these patients; empty = all.
    pub patients: BTreeSet<PatientId>,
    /// Channels and forecasts of these kinds; empty = all.
    pub kinds: BTreeSet<Kind>,
    /// These parts; empty = all.
    pub parts: BTreeSet<TwinPart>,
    /// At least so long between one look for changes and the next.
    pub interval: Duration,
    /// A mark of whom the reader may see; who may see others asks another question. `None`: all.
    pub scope: Option<[u8; 8]>,
    /// What they may have at most.
    pub within: Within,
}

/// Which alerts. The default asks for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AlertFilter {
    /// Of these patients; empty = all.
    pub patients: BTreeSet<PatientId>,
    /// Those that have or had at least this priority, as the contract numbers them; 0 = all.
    pub priority_at_least: i32,
    /// Of this category alone, as the contract numbers them; 0 = all.
    pub category: i32,
    /// As of [`TwinFilter::scope`].
    pub scope: Option<[u8; 8]>,
    /// What they may have at most.
    pub within: Within,
}

/// Is this one of those who were asked for? Nobody named means all.
pub(super) fn names(patients: &BTreeSet<PatientId>, patient: &PatientId) -> bool {
    patients.is_empty() || patients.contains(patient)
}

fn begin(patients: &BTreeSet<PatientId>, priority_at_least: i32) -> Sha256 {
    let mut hash = Sha256::default();
    hash.update(b"vitaltwin filter v1\0");
    hash.update(&priority_at_least.to_be_bytes());
    for patient in patients {
        hash.update(patient.reveal().as_bytes());
        hash.update(b"\0");
    }
    hash
}

/// Adds numbers under a name; nothing when there are none. No patient's id begins with the byte 1.
fn add(hash: &mut Sha256, name: &[u8], numbers: impl Iterator<Item = u64>) {
    for (n, number) in numbers.enumerate() {
        if n == 0 {
            hash.update(b"\x01");
            hash.update(name);
        }
        hash.update(&number.to_be_bytes());
    }
}

fn add_scope(hash: &mut Sha256, scope: Option<[u8; 8]>) {
    add(hash, b"scope", scope.map(u64::from_be_bytes).into_iter());
}

fn short(hash: Sha256) -> FilterHash {
    let mut short = [0; 8];
    short.copy_from_slice(&hash.finish()[..8]);
    FilterHash(short)
}

impl TwinFilter {
    /// Its hash.
    #[must_use]
    pub fn hash(&self) -> FilterHash {
        let mut hash = begin(&self.patients, 0);
        let kinds = self
            .kinds
            .iter()
            .map(|kind| kind.wire().unsigned_abs().into());
        add(&mut hash, b"kinds", kinds);
        let parts = self
            .parts
            .iter()
            .map(|part| (*part as i32).unsigned_abs().into());
        add(&mut hash, b"parts", parts);
        let interval = u64::try_from(self.interval.as_micros()).unwrap_or(u64::MAX);
        add(
            &mut hash,
            b"interval",
            (interval > 0).then_some(interval).into_iter(),
        );
        add_scope(&mut hash, self.scope);
        short(hash)
    }

    /// Does it ask for less than whole twins?
    pub(super) fn narrows(&self) -> bool {
        !self.kinds.is_empty() || !self.parts.is_empty() || !self.within.is_all()
    }

    /// What it leaves of a twin. `rested` knows what an alert rested on so far.
    #[must_use]
    pub fn narrow(&self, twin: &v1::Twin, rested: impl Fn(&str) -> Rested) -> v1::Twin {
        let wants = |part| self.parts.is_empty() || self.parts.contains(&part);
        let kind = |number: i32| {
            let asked =
                self.kinds.is_empty() || self.kinds.iter().any(|kind| kind.wire() == number);
            asked && self.within.has(number)
        };
        // What comes of several kinds at once.
        let whole = self.within.kinds.is_empty();
        let alerts = wants(TwinPart::Alerts) && !self.within.without_alerts;
        fn some<T: Clone>(wanted: bool, of: &[T], which: impl Fn(&T) -> bool) -> Vec<T> {
            if !wanted {
                return Vec::new();
            }
            of.iter().filter(|one| which(one)).cloned().collect()
        }
        v1::Twin {
            patient: twin.patient.clone(),
            position: twin.position,
            known_us: twin.known_us,
            channels: some(wants(TwinPart::Channels), &twin.channels, |one| {
                kind(one.kind)
            }),
            scores: some(whole && wants(TwinPart::Scores), &twin.scores, |_| true),
            forecasts: some(wants(TwinPart::Forecasts), &twin.forecasts, |one| {
                kind(one.kind)
            }),
            alerts: twin
                .alerts
                .iter()
                .filter(|_| alerts)
                .filter_map(|one| self.within.cut(one, || rested(&one.id)))
                .map(Cow::into_owned)
                .collect(),
            devices: some(wants(TwinPart::Devices), &twin.devices, |_| true),
            gateways: some(wants(TwinPart::Gateways), &twin.gateways, |_| true),
            test_data: twin.test_data,
            state_hash: twin.state_hash.clone(),
            rhythm: twin
                .rhythm
                .clone()
                .filter(|_| whole && wants(TwinPart::Rhythm)),
            tallies: some(wants(TwinPart::Channels), &twin.tallies, |_| {
                whole && self.kinds.is_empty()
            }),
            snoozes: some(alerts && whole, &twin.snoozes, |_| true),
            influences: some(whole && wants(TwinPart::Scores), &twin.influences, |_| true),
            models: some(whole && wants(TwinPart::Scores), &twin.models, |_| true),
        }
    }
}

impl AlertFilter {
    /// Its hash.
    #[must_use]
    pub fn hash(&self) -> FilterHash {
        let mut hash = begin(&self.patients, self.priority_at_least);
        let category = u64::from(self.category.unsigned_abs());
        add(
            &mut hash,
            b"category",
            (category > 0).then_some(category).into_iter(),
        );
        add_scope(&mut hash, self.scope);
        short(hash)
    }

    /// Is this the category that was asked for?
    pub(super) const fn takes(&self, category: i32) -> bool {
        self.category == 0 || self.category == category
    }
}

#[cfg(test)]
mod tests {
    use super::super::within::Shown;
    use super::*;

    fn never(_: &str) -> Rested {
        Rested::default()
    }

    fn set(names: &[&str]) -> BTreeSet<PatientId> {
        let id = |name: &&str| PatientId::parse(name).expect("a patient id");
        names.iter().map(id).collect()
    }

    #[test]
    fn scores_of_models_go_with_what_a_reader_may_have() {
        use proto::v1::{AlertScore, ForecastScore, Scoreboard};
        let of = |kind: Kind| ForecastScore {
            kind: kind.wire(),
            ..ForecastScore::default()
        };
        let board = Scoreboard {
            patients: 1,
            forecasts: vec![of(Kind::HeartRate), of(Kind::InterstitialGlucose)],
            alerts: vec![AlertScore::default()],
        };
        let left = |within: Within| {
            let mut board = board.clone();
            within.narrow_scores(&mut board);
            (board.forecasts.len(), board.alerts.len())
        };
        assert_eq!(left(Within::default()), (2, 1));
        let without_alerts = Within {
            without_alerts: true,
            ..Within::default()
        };
        assert_eq!(left(without_alerts), (2, 0));
        let glucose = Within {
            kinds: [Kind::InterstitialGlucose].into(),
            ..Within::default()
        };
        assert_eq!(left(glucose), (1, 0));
    }

    #[test]
    fn the_hash_ignores_order_and_repeats_and_nothing_else() {
        let of = |names: &[&str]| TwinFilter {
            patients: set(names),
            ..TwinFilter::default()
        };
        assert_eq!(of(&["a", "b"]).hash(), of(&["b", "a", "b"]).hash());
        let mut different = vec![
            of(&[]),
            of(&["a"]),
            of(&["a", "b"]),
            of(&["ab"]),
            of(&["kinds"]),
        ];
        for kinds in [
            vec![Kind::HeartRate],
            vec![Kind::HeartRate, Kind::RrInterval],
        ] {
            let kinds = kinds.into_iter().collect();
            different.push(TwinFilter { kinds, ..of(&[]) });
        }
        for part in [TwinPart::Channels, TwinPart::Scores] {
            let parts = [part].into();
            different.push(TwinFilter { parts, ..of(&[]) });
        }
        for mark in [[0; 8], [1; 8]] {
            let scope = Some(mark);
            different.push(TwinFilter { scope, ..of(&[]) });
        }
        for ms in [1, 2] {
            let interval = Duration::from_millis(ms);
            different.push(TwinFilter {
                interval,
                ..of(&[])
            });
        }
        let mut hashes: Vec<[u8; 8]> = different.iter().map(|one| one.hash().0).collect();
        for priority_at_least in [1, 2] {
            for category in [0, 1, 2] {
                let filter = AlertFilter {
                    priority_at_least,
                    category,
                    ..AlertFilter::default()
                };
                hashes.push(filter.hash().0);
            }
        }
        let all = hashes.len();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), all);
    }

    #[test]
    fn cursors_of_the_release_before_the_filters_still_hold() {
        // Computed by that release: sha256("vitaltwin filter v1\0" | priority | names), first eight bytes.
        let of_all = proto::seal::crypto::sha256(&[b"vitaltwin filter v1\0", &[0; 4]]);
        assert_eq!(TwinFilter::default().hash().0, of_all[..8]);
        assert_eq!(AlertFilter::default().hash().0, of_all[..8]);
    }

    #[test]
    fn a_twin_is_narrowed_to_what_was_asked_for() {
        let channel = |kind: Kind| v1::Channel {
            kind: kind.wire(),
            ..v1::Channel::default()
        };
        let forecast = |kind: Kind| v1::Forecast {
            kind: kind.wire(),
            ..v1::Forecast::default()
        };
        let whole = v1::Twin {
            patient: "a".into(),
            position: 3,
            known_us: 4,
            channels: vec![channel(Kind::HeartRate), channel(Kind::OxygenSaturation)],
            scores: vec![v1::Score::default()],
            forecasts: vec![forecast(Kind::HeartRate), forecast(Kind::OxygenSaturation)],
            alerts: vec![v1::Alert::default()],
            devices: vec![v1::DeviceState::default()],
            gateways: vec![v1::GatewayState::default()],
            test_data: true,
            state_hash: vec![7; 16],
            rhythm: Some(v1::Rhythm::default()),
            tallies: vec![v1::Tally::default()],
            snoozes: vec![v1::Snooze::default()],
            influences: vec![v1::Influence::default()],
            models: vec![v1::ModelStanding::default()],
        };
        assert_eq!(
            TwinFilter::default().narrow(&whole, never),
            whole,
            "control"
        );
        let filter = TwinFilter {
            kinds: [Kind::HeartRate].into(),
            parts: [TwinPart::Channels, TwinPart::Rhythm].into(),
            ..TwinFilter::default()
        };
        let narrow = v1::Twin {
            channels: vec![channel(Kind::HeartRate)],
            scores: Vec::new(),
            forecasts: Vec::new(),
            alerts: Vec::new(),
            devices: Vec::new(),
            gateways: Vec::new(),
            tallies: Vec::new(),
            snoozes: Vec::new(),
            influences: Vec::new(),
            models: Vec::new(),
            ..whole.clone()
        };
        assert_eq!(filter.narrow(&whole, never), narrow);
        let only_kinds = TwinFilter {
            parts: BTreeSet::new(),
            ..filter
        };
        let got = only_kinds.narrow(&whole, never);
        assert_eq!(
            (got.channels.len(), got.forecasts.len(), got.scores.len()),
            (1, 1, 1)
        );
    }

    #[test]
    fn nothing_beyond_what_the_reader_may_have_is_left() {
        let evidence = |kinds: &[Kind]| {
            let one = |kind: &Kind| v1::Evidence {
                kind: kind.wire(),
                ..v1::Evidence::default()
            };
            kinds.iter().map(one).collect::<Vec<_>>()
        };
        let alert = |category: v1::Category, evidence| v1::Alert {
            category: category.into(),
            evidence,
            ..v1::Alert::default()
        };
        let (body, technical) = (v1::Category::Physiological, v1::Category::Technical);
        let oxygen = alert(body, evidence(&[Kind::OxygenSaturation]));
        let device = alert(technical, vec![v1::Evidence::default()]);
        let beyond = [
            alert(body, evidence(&[Kind::HeartRate])),
            alert(body, evidence(&[Kind::OxygenSaturation, Kind::HeartRate])),
            // Nothing says what it tells of.
            alert(body, Vec::new()),
            alert(body, vec![v1::Evidence::default()]),
            alert(technical, evidence(&[Kind::HeartRate])),
        ];
        let mut alerts = vec![oxygen.clone(), device.clone()];
        alerts.extend(beyond.clone());
        let whole = v1::Twin {
            channels: vec![
                v1::Channel {
                    kind: Kind::OxygenSaturation.wire(),
                    ..v1::Channel::default()
                },
                v1::Channel {
                    kind: Kind::HeartRate.wire(),
                    ..v1::Channel::default()
                },
            ],
            alerts,
            scores: vec![v1::Score::default()],
            rhythm: Some(v1::Rhythm::default()),
            tallies: vec![v1::Tally::default()],
            snoozes: vec![v1::Snooze::default()],
            influences: vec![v1::Influence::default()],
            models: vec![v1::ModelStanding::default()],
            ..v1::Twin::default()
        };
        let within = Within {
            kinds: [Kind::OxygenSaturation].into(),
            without_alerts: false,
        };
        let not = |one: &v1::Alert| within.shows(one, Rested::default) == Shown::Not;
        assert!(beyond.iter().all(not));
        let mut filter = TwinFilter {
            within,
            ..TwinFilter::default()
        };
        let left = v1::Twin {
            channels: whole.channels[..1].to_vec(),
            alerts: vec![oxygen, device],
            ..v1::Twin::default()
        };
        assert_eq!(filter.narrow(&whole, never), left);
        assert!(filter.narrows());
        // One of which they were told before goes on, without what they may not have.
        let moved = v1::Alert {
            id: "0123".into(),
            ..beyond[0].clone()
        };
        let with = v1::Twin {
            alerts: vec![moved, beyond[1].clone()],
            ..whole.clone()
        };
        let rested = |id: &str| match id {
            "0123" => Rested::default().and(&left.alerts[0]),
            _ => Rested::default(),
        };
        let told = filter.narrow(&with, rested).alerts;
        assert_eq!(told.len(), 1);
        assert!(told[0].withheld && told[0].id == "0123" && told[0].evidence.is_empty());
        // Asking for more changes nothing.
        filter.kinds = [Kind::OxygenSaturation, Kind::HeartRate].into();
        assert_eq!(filter.narrow(&whole, never), left);
        filter.within.without_alerts = true;
        let silent = v1::Twin {
            alerts: Vec::new(),
            ..left
        };
        assert_eq!(filter.narrow(&whole, never), silent);
    }
}
