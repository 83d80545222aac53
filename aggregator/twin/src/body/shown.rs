//! What the body shows: views for readers, and its canonical bytes.

use alloc::vec::Vec;

use vitals::{Kind, Time};

use super::Body;
use crate::alert::Condition;
use crate::board::Scoreboard;
use crate::channel::Channel;
use crate::twin::Effect;
use crate::view::{ChannelView, ForecastView, ModelView, RhythmView, ScoreView, TallyView};
use crate::{bedside, news2, rhythm, rule};

impl Body {
    pub(crate) fn channels(&self, known: Time) -> Vec<ChannelView> {
        self.channels
            .values()
            .filter_map(|channel| channel.view(known, self.motion.explains(known)))
            .collect()
    }

    pub(crate) fn models(&self) -> Vec<ModelView> {
        self.watch.view(&self.context)
    }

    /// How often a model would have been told that is in shadow by itself.
    pub(crate) fn unsaid(&self, condition: Condition) -> u32 {
        self.watch.unsaid(condition)
    }

    pub(crate) fn tallies(&self, known: Time) -> Vec<TallyView> {
        let tallies = self.tallies.iter();
        tallies
            .map(|(what, tally)| tally.view(*what, known))
            .collect()
    }

    /// Those that hold for this person.
    pub(crate) fn scores(&self, known: Time) -> Vec<ScoreView> {
        if self.context.early_warning_unfit {
            return alloc::vec![bedside::qsofa(&self.inputs(known), known)];
        }
        let score = self.score(known);
        let view = ScoreView {
            name: "news2",
            low: score.low,
            high: score.high,
            parts: score.parts.into(),
            at: known,
            source: news2::SOURCE,
        };
        let inputs = self.inputs(known);
        alloc::vec![
            view,
            bedside::qsofa(&inputs, known),
            bedside::mews(&inputs, known)
        ]
    }

    pub(crate) fn forecasts(&self, known: Time) -> Vec<ForecastView> {
        let view =
            |channel: &Channel| Some(channel.forecaster.as_ref()?.view(!channel.is_fresh(known)));
        let stale = !self.is_fresh(Kind::InterstitialGlucose, known);
        let glucose = self
            .glucose
            .as_ref()
            .and_then(|glucose| glucose.view(stale));
        self.channels
            .values()
            .filter_map(|channel| view(channel))
            .chain(glucose)
            .collect()
    }

    /// What was told in a step, and whose time is over.
    /// `unsaid`: what models in shadow would have told in it.
    pub(crate) fn keep_score(&mut self, known: Time, told: &[Effect], unsaid: &[Condition]) {
        for condition in unsaid {
            self.board.hear_unsaid(*condition, known);
        }
        for effect in told {
            if let Effect::Alert(change) = effect {
                self.board.hear(change);
            }
        }
        let channels = &self.channels;
        self.board.settle(known, |kind| {
            let measured = channels.get(&kind)?.measured()?;
            Some((measured, rule::fresh_for(kind)))
        });
    }

    /// Kinds that have never been measured have no forecasts, and no line.
    pub(crate) fn scoreboard(&self) -> Scoreboard {
        let channels = self.channels.values();
        let told = channels.filter_map(|channel| Some(channel.forecaster.as_ref()?.told()));
        let glucose = self.glucose.as_ref().map(|glucose| glucose.told());
        Scoreboard {
            patients: 1,
            forecasts: told.chain(glucose).collect(),
            alerts: self.board.view(),
        }
    }

    pub(crate) fn rhythm(&self, known: Time) -> RhythmView {
        let newest = self.beats.newest();
        let fresh = |newest: Time| known.since(newest) < rule::fresh_for(Kind::RrInterval);
        if newest.is_none_or(fresh) {
            return self.rhythm_of_beats();
        }
        RhythmView {
            finding: "no fresh beats",
            fibrillation: false,
            score: None,
            ..self.rhythm_of_beats()
        }
    }

    /// The same, however old the beats are.
    pub(super) fn rhythm_of_beats(&self) -> RhythmView {
        let verdict = self.beats.verdict();
        RhythmView {
            finding: verdict.name(),
            fibrillation: verdict == rhythm::Verdict::Fibrillation,
            score: self.beats.score(),
            cut: rhythm::CUT,
            beats: u32::try_from(self.beats.words()).unwrap_or(u32::MAX),
            source: rhythm::SOURCE,
        }
    }
}

crate::canonical_fields! {
    Body { context, rules, channels, tallies, motion, resting, night_limit, glucose, glucose_of, beats, beats_past, light_past, beats_quality, beats_of, runs, last_run, rate, late_rate, rate_told, pulse_told, leads, lights, heard, past, warning, late, score_due, watch, board, cuffs }
}
