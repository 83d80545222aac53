//! Findings: what late data tell of the past. Nothing here raises or withdraws a live alert.

use alloc::vec::Vec;

use vitals::{Fixed, Kind, Quality, Reading, Time};

use super::Body;
use crate::channel::{Origin, Role, usable};
use crate::life::Life;
use crate::past::Line;
use crate::rhythm::Episode;
use crate::rule::{self, Threshold};
use crate::twin::Effect;
use crate::window::{BUCKETS, Window};
use crate::words::{self, Beyond};

impl Body {
    fn threshold_rules(&self) -> [Threshold; 3] {
        rule::personal(self.rules_in_force(), &self.judged())
    }

    /// A leading source measured. What its window is about to let go of may be a part of an episode.
    pub(super) fn lead(&mut self, line: Line, effective: Time) {
        if !rule::is_watched(line.0) {
            return;
        }
        self.past.lead(line, effective);
        let rules = self.threshold_rules();
        if let Some(window) = self.channels.get(&line.0).and_then(|of| of.window.as_ref()) {
            let until = Window::index(effective) - BUCKETS as i64 + 1;
            self.past.leave(line, window, until, &rules);
        }
    }

    /// The window of a source that no longer leads.
    pub(super) fn leave(&mut self, line: Line, window: &Window, until: i64) {
        if rule::is_watched(line.0) {
            let rules = self.threshold_rules();
            self.past.leave(line, window, until, &rules);
        }
    }

    /// A leading source could not measure.
    pub(super) fn no_signal(&mut self, line: Line, role: Role, effective: Time) {
        if role == Role::Newest
            && let Some(channel) = self.channels.get_mut(&line.0)
        {
            channel.lone = None;
        }
        self.past.no_signal(line, effective);
    }

    /// Another source than the leading one tells of the past.
    pub(super) fn follow_aside(
        &mut self,
        origin: Origin,
        reading: &Reading,
        effective: Time,
        known: Time,
        life: &mut Life,
        out: &mut Vec<Effect>,
    ) {
        let kind = reading.kind;
        let is_late = known.since(effective) >= rule::fresh_for(kind);
        // Anybody can send an advert.
        if is_late
            && !reading.quality.has(Quality::ADVERTISED)
            && let Some(fixed) = usable(reading)
        {
            self.follow_past((kind, origin), effective, fixed, false, known, life, out);
        }
    }

    /// People moved it here from another patient's log: however young it is, it tells of the past alone.
    pub(super) fn take_moved(
        &mut self,
        origin: Origin,
        reading: &Reading,
        effective: Time,
        known: Time,
        life: &mut Life,
        out: &mut Vec<Effect>,
    ) {
        let kind = reading.kind;
        if kind == Kind::InterstitialGlucose || kind == Kind::BloodGlucose {
            self.sweet(origin, reading, Role::Late, effective, known, life, out);
        } else if let Some(fixed) = usable(reading) {
            self.follow_past((kind, origin), effective, fixed, false, known, life, out);
        }
    }

    /// Joins a value about the past to what is known of it. `kept`: the live window has it.
    #[expect(clippy::too_many_arguments, reason = "what a reading comes with")]
    pub(super) fn follow_past(
        &mut self,
        line: Line,
        effective: Time,
        value: Fixed,
        kept: bool,
        known: Time,
        life: &mut Life,
        out: &mut Vec<Effect>,
    ) {
        if !rule::is_watched(line.0) {
            return;
        }
        let rules = self.threshold_rules();
        self.past.late(line, effective, value, kept, known, &rules);
        if self.past.is_full() {
            self.look_back(known, true, life, out);
        }
    }

    /// Looks for episodes that the past holds, of whatever parts.
    pub(super) fn look_back(
        &mut self,
        now: Time,
        whole: bool,
        life: &mut Life,
        out: &mut Vec<Effect>,
    ) {
        let rules = self.threshold_rules();
        let leaders: Vec<_> = self
            .channels
            .iter()
            .filter(|(kind, _)| rule::is_watched(**kind))
            .filter_map(|(kind, channel)| {
                let (origin, window) = channel.leader()?;
                Some(((*kind, origin), window))
            })
            .collect();
        for found in self.past.look(&leaders, &rules, now, whole) {
            if let Some(rule) = rules.get(found.rule) {
                self.find(rule, found.kind, &found.episode, now, life, out);
            }
        }
    }

    /// An episode of a rule, all of it in the past.
    fn find(
        &self,
        rule: &Threshold,
        kind: Kind,
        episode: &Episode,
        now: Time,
        life: &mut Life,
        out: &mut Vec<Effect>,
    ) {
        let Some(level) = rule.levels.first() else {
            return;
        };
        let found = Beyond {
            rule,
            level: *level,
            kind,
            onset: episode.onset,
            value: episode.worst,
            at: episode.end,
            quality: Quality::GOOD,
            context: self.judged(),
            rules: self.rules_in_force(),
            learned: self.learned_limit().is_some(),
        };
        life.finding(words::threshold(&found, true), episode.end, now, out);
    }
}

/// The same for an episode of fibrillation. `light`: of pulse waves.
pub(super) fn find_fibrillation(
    episode: &Episode,
    light: bool,
    now: Time,
    life: &mut Life,
    out: &mut Vec<Effect>,
) {
    let quality = if light {
        Quality::QUESTIONABLE
    } else {
        Quality::GOOD
    };
    let draft = words::fibrillation(
        episode.onset,
        episode.worst,
        episode.end,
        quality,
        (true, light),
    );
    life.finding(draft, episode.end, now, out);
}
