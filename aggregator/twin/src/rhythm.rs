//! Atrial fibrillation from RR intervals: two published figures, one slow and one quick.
//!
//! * `entropy`: symbolic dynamics and Shannon entropy of the last 127 words of three intervals (Zhou 2015), with its cut.
//!   It knows regular patterns of any kind, but needs a minute or two to see that a rhythm began or ended.
//! * `novelty`: how far the last patterns of four intervals are from all those shortly before them: the nearest-neighbour
//!   estimate of entropy (Kozachenko and Leonenko 1987), in parts of the mean interval as in the coefficient of sample
//!   entropy (Lake and Moorman 2011). Sixteen beats are enough; bigeminy, flutter and breathing repeat themselves.
//!
//! `score = H + novelty of 16 patterns + 2.1`, and a score above Zhou's own cut of 0.639 says atrial fibrillation. Novelty
//! may also speak alone, over 24 patterns: `score = 0.639 + novelty of 24 + 2.05`, if that is higher. So does a short
//! episode, in which the words have no time to become many; and it is all there is before there are 127 words. What was
//! chosen here, and on which data: MODELS.md.
//!
//! A gap (a missing sequence number, a silence, an interval outside 200-3000 ms) breaks the sequence: no word and no
//! pattern spans it. The window never reaches back more than five minutes.
//!
//! Invariant: what is said depends on the beats in the buffer alone, not on the order in which they came, so
//! late beats complete it. At most [`BEATS`] beats. The signal's quality alone never vetoes: rules on RR
//! ratios and templates reject true fibrillation.

mod entropy;
mod novelty;

use alloc::collections::VecDeque;
use alloc::string::String;

use vitals::{Span, Time};

use crate::lean;
use crate::rule::{RHYTHM_CLEAR, RHYTHM_HOLD};
pub use entropy::WORDS;

/// Name and version.
pub const MODEL: &str = "rr-entropy-novelty/1";
/// The same model on intervals of pulse waves, which are less exact and sometimes missing.
pub const LIGHT_MODEL: &str = "pulse-entropy-novelty/1";
/// It must say so for twice as long.
pub const LIGHT_HOLD: Span = Span::from_secs(60);
/// For people.
pub const SOURCE: &str = "Entropy of RR intervals: 127 words (Zhou 2015, PLoS ONE 10:e0136544) and the novelty of the last 16 patterns of four (nearest neighbour, Kozachenko and Leonenko 1987)";
/// Above it the model says atrial fibrillation.
pub const CUT: f64 = 0.639;
/// The novelty that adds nothing to the entropy: patterns that are 11 % of an interval from the nearest one.
const NEUTRAL: f64 = -2.1;
/// Patterns whose novelty is added.
const PATTERNS: usize = 16;
/// The same for novelty alone.
const NEUTRAL_ALONE: f64 = -2.05;
const PATTERNS_ALONE: usize = 24;
/// Beats kept: the window, what a hold and a clear time need, and room for beats that break the sequence.
pub const BEATS: usize = 384;
/// Intervals outside are artefacts (or pauses, which are another matter).
const SHORTEST_TENTH_MS: i64 = 2_000;
const LONGEST_TENTH_MS: i64 = 30_000;
/// The window reaches back no further: 127 beats at 30/min take 254 s.
const REACH: Span = Span::from_secs(300);
/// Beats whose stamps are further apart than the interval and this are not neighbours; notifications of a
/// strap come once a second, and radios delay them.
const SLACK: Span = Span::from_millis(2_500);

/// What the model says at a beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Verdict {
    /// Not enough beats.
    Unknown = 0,
    /// Sinus rhythm, or something else that is regular enough.
    Other = 1,
    /// Looks like atrial fibrillation.
    Fibrillation = 2,
}

impl Verdict {
    /// For people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "not enough beats",
            Self::Other => "sinus or other",
            Self::Fibrillation => "possible atrial fibrillation",
        }
    }
}

/// One interval as it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Its end.
    pub at: Time,
    /// Tenths of a millisecond; `None` where the sensor gave no usable number.
    pub tenth_ms: Option<i64>,
    /// Counts up by one within a run.
    pub sequence: u64,
    /// Beats of different runs (another start of the agent) are never neighbours.
    pub run: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Kept {
    beat: Beat,
    /// `None`: an artefact.
    symbol: Option<u8>,
    /// The word of this beat and the two after it, if the three are neighbours. Kept, because each of 127 windows
    /// looks at it.
    word: Option<u32>,
    /// Of the pattern that ends here.
    novelty: Option<f64>,
    verdict: Verdict,
}

/// What the model makes of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Score {
    value: f64,
    /// End of the first interval of the patterns that speak for it.
    begin: Time,
}

/// Whether an episode begins or ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Judgement {
    /// Neither.
    Undecided,
    /// Positive for long enough. `onset`: first beat of the first positive window, the earliest time at which
    /// the episode can have begun as far as the model can tell.
    Holds {
        /// See above.
        onset: Time,
        /// Now.
        score: f64,
    },
    /// Negative for long enough.
    Clear,
}

/// The last beats of one source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Beats {
    kept: VecDeque<Kept>,
    /// Verdicts from this beat on have to be given again.
    dirty_from: Option<usize>,
}

impl Beats {
    /// Puts a beat in its place. In time order it is judged at once; a late one makes the rest be judged
    /// again by [`Beats::settle`].
    pub fn take(&mut self, beat: Beat) {
        let symbol = beat.tenth_ms.and_then(symbol);
        let kept = Kept {
            beat,
            symbol,
            word: None,
            novelty: None,
            verdict: Verdict::Unknown,
        };
        let in_order = self.kept.back().is_none_or(|last| last.beat.at <= beat.at);
        if in_order {
            lean::push_back(&mut self.kept, kept);
            self.spell(self.kept.len() - 1);
            self.shrink();
            if self.dirty_from.is_none() {
                self.judge(self.kept.len() - 1);
            }
            return;
        }
        let place = self.kept.partition_point(|other| other.beat.at <= beat.at);
        if place == 0 && self.kept.len() >= BEATS {
            return;
        }
        self.kept.insert(place, kept);
        self.spell(place);
        self.dirty_from = Some(self.dirty_from.map_or(place, |dirty| dirty.min(place)));
        self.shrink();
    }

    /// Gives the verdicts again that late beats may have changed. True if there were any.
    pub fn settle(&mut self) -> bool {
        let Some(from) = self.dirty_from.take() else {
            return false;
        };
        for index in from..self.kept.len() {
            self.judge(index);
        }
        true
    }

    /// Newest time.
    #[must_use]
    pub fn newest(&self) -> Option<Time> {
        self.kept.back().map(|kept| kept.beat.at)
    }

    /// What is said at the newest beat.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.kept
            .back()
            .map_or(Verdict::Unknown, |kept| kept.verdict)
    }

    /// The model's figure at the newest beat.
    #[must_use]
    pub fn score(&self) -> Option<f64> {
        let newest = self.kept.len().checked_sub(1)?;
        Some(self.score_at(newest)?.value)
    }

    /// Zhou's entropy at the newest beat, by itself.
    #[must_use]
    pub fn entropy(&self) -> Option<f64> {
        self.entropy_at(self.kept.len().checked_sub(1)?).ok()
    }

    /// Words that the newest window has (127 when it is full).
    #[must_use]
    pub fn words(&self) -> usize {
        let newest = self.kept.len().checked_sub(1);
        match newest.map(|newest| self.entropy_at(newest)) {
            None => 0,
            Some(Ok(_)) => WORDS,
            Some(Err(words)) => words,
        }
    }

    /// Whether an episode begins or ends, by the verdicts of the last beats: positive for `hold`, negative for a minute.
    #[must_use]
    pub fn judgement(&self, hold: Span) -> Judgement {
        let Some(newest) = self.kept.back() else {
            return Judgement::Undecided;
        };
        let wanted = newest.verdict;
        let same = self
            .kept
            .iter()
            .rev()
            .take_while(|kept| kept.verdict == wanted)
            .count();
        let first = self.kept.len() - same;
        let Some(begin) = self.kept.get(first) else {
            return Judgement::Undecided;
        };
        let lasted = newest.beat.at.since(begin.beat.at);
        match wanted {
            Verdict::Fibrillation if lasted >= hold => {
                let Some(now) = self.score_at(self.kept.len() - 1) else {
                    return Judgement::Undecided;
                };
                // Where it began is no longer known if the buffer has moved on.
                let then = self.score_at(first);
                Judgement::Holds {
                    onset: then.map_or(begin.beat.at, |then| then.begin),
                    score: now.value,
                }
            }
            Verdict::Other if lasted >= RHYTHM_CLEAR => Judgement::Clear,
            Verdict::Fibrillation | Verdict::Other | Verdict::Unknown => Judgement::Undecided,
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.kept.clear();
        self.dirty_from = None;
    }

    /// Spells the words and patterns that a beat at this place has a part in.
    fn spell(&mut self, place: usize) {
        for first in place.saturating_sub(2)..=place {
            let word = self.word(first);
            if let Some(kept) = self.kept.get_mut(first) {
                kept.word = word;
            }
        }
        let last = self.kept.len().min(place + novelty::REACHES);
        for place in place..last {
            let novelty = novelty::at(&self.kept, place);
            if let Some(kept) = self.kept.get_mut(place) {
                kept.novelty = novelty;
            }
        }
    }

    fn word(&self, first: usize) -> Option<u32> {
        let beat = |place: usize| self.kept.get(place);
        let (a, b, c) = (beat(first)?, beat(first + 1)?, beat(first + 2)?);
        let symbols = (a.symbol?, b.symbol?, c.symbol?);
        (neighbours(a, b) && neighbours(b, c))
            .then(|| u32::from(symbols.0) << 12 | u32::from(symbols.1) << 6 | u32::from(symbols.2))
    }

    fn shrink(&mut self) {
        while self.kept.len() > BEATS {
            self.kept.pop_front();
            self.dirty_from = self.dirty_from.map(|dirty| dirty.saturating_sub(1));
        }
    }

    fn judge(&mut self, index: usize) {
        let verdict = match self.score_at(index) {
            Some(score) if score.value > CUT => Verdict::Fibrillation,
            Some(_) => Verdict::Other,
            None => Verdict::Unknown,
        };
        if let Some(kept) = self.kept.get_mut(index) {
            kept.verdict = verdict;
        }
    }

    /// What the model says at a beat, if it has enough before it.
    fn score_at(&self, index: usize) -> Option<Score> {
        let entropy = self.entropy_at(index).ok();
        let both = entropy.and_then(|entropy| {
            let (novelty, begin) = self.novelty_at(index, PATTERNS)?;
            let value = entropy + novelty - NEUTRAL;
            Some(Score { value, begin })
        });
        let alone = self
            .novelty_at(index, PATTERNS_ALONE)
            .map(|(novelty, begin)| {
                let value = CUT + novelty - NEUTRAL_ALONE;
                Score { value, begin }
            });
        match (both, alone) {
            (Some(both), Some(alone)) if alone.value > both.value => Some(alone),
            (both, alone) => both.or(alone),
        }
    }

    /// Mean novelty of the last patterns, and where the first of them begins.
    fn novelty_at(&self, index: usize, patterns: usize) -> Option<(f64, Time)> {
        let newest = self.kept.get(index)?.beat.at;
        let (mut sum, mut count) = (0.0, 0);
        for (place, kept) in self.kept.range(..=index).enumerate().rev() {
            if newest.since(kept.beat.at) > REACH {
                return None;
            }
            if let Some(novelty) = kept.novelty {
                sum += novelty;
                count += 1;
            }
            if count == patterns {
                let first = place.saturating_sub(novelty::INTERVALS - 1);
                let begin = self.kept.get(first)?.beat.at;
                #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
                return Some((sum / patterns as f64, begin));
            }
        }
        None
    }

    /// Entropy of the window that ends at a beat, or how many words it has if they are too few.
    fn entropy_at(&self, index: usize) -> Result<f64, usize> {
        let mut words = [0u32; WORDS];
        let mut count = 0;
        let newest = self.kept.get(index).map_or(Time::ZERO, |kept| kept.beat.at);
        // A word begins two beats before the last one that it may hold.
        for kept in self.kept.range(..index.saturating_sub(1)).rev() {
            if newest.since(kept.beat.at) > REACH || count == WORDS {
                break;
            }
            if let Some(word) = kept.word {
                words[count] = word;
                count += 1;
            }
        }
        if count < WORDS {
            return Err(count);
        }
        Ok(entropy::entropy(&words))
    }
}

fn neighbours(before: &Kept, after: &Kept) -> bool {
    let interval = Span::from_micros(after.beat.tenth_ms.unwrap_or(0).saturating_mul(100));
    before.symbol.is_some()
        && after.symbol.is_some()
        && before.beat.run == after.beat.run
        && before.beat.sequence.checked_add(1) == Some(after.beat.sequence)
        && after.beat.at.since(before.beat.at) <= interval + SLACK
}

/// Intervals outside are artefacts, or pauses, which are another matter.
fn symbol(tenth_ms: i64) -> Option<u8> {
    let valid = (SHORTEST_TENTH_MS..=LONGEST_TENTH_MS).contains(&tenth_ms);
    valid.then(|| entropy::symbol(tenth_ms))
}

/// The definition, for the hash that alerts carry.
#[must_use]
pub fn definition() -> String {
    alloc::format!(
        "{MODEL} words {WORDS} cut {CUT} symbol min(63, floor(hr/5)) neutral {NEUTRAL} patterns {PATTERNS} \
         alone {NEUTRAL_ALONE} {PATTERNS_ALONE} {} interval {SHORTEST_TENTH_MS}..={LONGEST_TENTH_MS} \
         reach {REACH:?} slack {SLACK:?} hold {RHYTHM_HOLD:?} clear {RHYTHM_CLEAR:?}",
        novelty::definition()
    )
}

/// The same for [`LIGHT_MODEL`].
#[must_use]
pub fn light_definition() -> String {
    alloc::format!(
        "{LIGHT_MODEL} {} hold {LIGHT_HOLD:?} of {}",
        definition(),
        crate::ppg::definition()
    )
}

/// Fibrillation in beats that came late or past their freshness limit: followed in time order, and handed
/// out as a finding about the past when it ends or no more of it comes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    beats: Beats,
    /// Onset and newest positive time of an episode that held long enough.
    episode: Option<(Time, Time, f64)>,
    /// Known time of the last late beat.
    fed: Time,
}

/// An episode in the past.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Episode {
    /// Begin.
    pub onset: Time,
    /// End, as far as the data tell.
    pub end: Time,
    /// The figure that it rests on: the model's score, or the worst value.
    pub worst: f64,
}

impl Past {
    /// Takes a beat about the past; gives an episode that it ends. `hold`: how long it must last.
    pub fn take(&mut self, beat: Beat, hold: Span, known: Time) -> Option<Episode> {
        let mut ended = None;
        if self.beats.newest().is_some_and(|newest| beat.at < newest) {
            ended = self.flush();
        }
        self.beats.take(beat);
        self.fed = known;
        match self.beats.judgement(hold) {
            Judgement::Holds { onset, score } => {
                let (onset, worst) = self.episode.map_or((onset, score), |(onset, _, worst)| {
                    (onset, score.max(worst))
                });
                self.episode = Some((onset, beat.at, worst));
                ended
            }
            Judgement::Clear => ended.or_else(|| self.end()),
            Judgement::Undecided => ended,
        }
    }

    /// When an open episode is handed out if nothing more comes.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.episode.map(|_| self.fed + crate::rule::FINDING_AFTER)
    }

    /// Ends an open episode and forgets the beats.
    pub fn flush(&mut self) -> Option<Episode> {
        self.beats.clear();
        self.end()
    }

    fn end(&mut self) -> Option<Episode> {
        self.episode
            .take()
            .map(|(onset, end, worst)| Episode { onset, end, worst })
    }
}

crate::canonical_fields! {
    Beat { at, tenth_ms, sequence, run }
    Kept { beat, symbol, word, novelty, verdict }
    Beats { kept, dirty_from }
    Past { beats, episode, fed }
}

crate::canonical_numbers! {
    Verdict { Unknown, Other, Fibrillation }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// A small deterministic generator (SplitMix64) for test series.
    pub(super) fn noise(seed: &mut u64) -> f64 {
        *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn series(intervals: &[i64]) -> Vec<Beat> {
        let mut at = Time::ZERO;
        let beat = |(sequence, ms): (usize, &i64)| {
            at = at + Span::from_millis(*ms);
            Beat {
                at,
                tenth_ms: Some(ms * 10),
                sequence: sequence as u64,
                run: 1,
            }
        };
        intervals.iter().enumerate().map(beat).collect()
    }

    fn irregular(beats: usize) -> Vec<i64> {
        let mut seed = 7;
        (0..beats)
            .map(|_| 400 + (noise(&mut seed) * 700.0) as i64)
            .collect()
    }

    fn regular(beats: usize) -> Vec<i64> {
        let mut seed = 9;
        (0..beats)
            .map(|_| 800 + (noise(&mut seed) * 40.0) as i64)
            .collect()
    }

    fn fill(beats: &[Beat]) -> Beats {
        let mut kept = Beats::default();
        for beat in beats {
            kept.take(*beat);
        }
        kept
    }

    /// Patterns of four need as many before them, eight neighbours to be compared with, and then 24 to speak.
    const FIRST: usize = 4 + 8 + 23;

    #[test]
    fn irregular_beats_hold_after_the_window_and_the_hold_time() {
        let beats = series(&irregular(300));
        assert_eq!(fill(&beats[..FIRST - 1]).verdict(), Verdict::Unknown);
        let first = fill(&beats[..FIRST]);
        assert_eq!(first.verdict(), Verdict::Fibrillation);
        assert_eq!(first.judgement(RHYTHM_HOLD), Judgement::Undecided);
        let Judgement::Holds { onset, .. } = fill(&beats).judgement(RHYTHM_HOLD) else {
            panic!("holds")
        };
        assert_eq!(
            onset,
            beats[FIRST - 1 - 23 - 3].at,
            "first beat of the first positive patterns"
        );
    }

    #[test]
    fn an_end_is_seen_within_a_few_beats_and_a_begin_too() {
        let mut intervals = regular(300);
        intervals.extend(irregular(60));
        intervals.extend(regular(60));
        let beats = series(&intervals);
        let said = |beats: usize| fill(&series(&intervals)[..beats]).verdict();
        assert_eq!(said(300), Verdict::Other);
        assert_eq!(said(330), Verdict::Fibrillation, "30 beats after it began");
        assert_eq!(said(384), Verdict::Other, "24 after it ended");
        let entropy = fill(&beats[..330]).entropy().expect("127 words");
        assert!(entropy < CUT, "control: not by its words alone: {entropy}");
    }

    /// What is irregular and repeats itself: every second beat early, every third, flutter conducted 2:1 and 3:1 in
    /// turn, breathing.
    #[test]
    fn patterns_that_come_again_are_not_fibrillation() {
        let mut seed = 5;
        let mut noisy = |ms: f64| (ms + 12.0 * noise(&mut seed)) as i64;
        let bigeminy: Vec<i64> = (0..300)
            .map(|n| noisy(if n % 2 == 0 { 520.0 } else { 1040.0 }))
            .collect();
        let trigeminy: Vec<i64> = (0..300)
            .map(|n| noisy([780.0, 500.0, 1060.0][n % 3]))
            .collect();
        let flutter: Vec<i64> = (0..300)
            .map(|n| noisy([440.0, 440.0, 660.0, 440.0, 660.0][n % 5]))
            .collect();
        let breathing: Vec<i64> = (0..300)
            .map(|n| noisy(850.0 + 110.0 * libm::sin(f64::from(n) * 1.3)))
            .collect();
        for series_of in [bigeminy, trigeminy, flutter, breathing] {
            let judgement = fill(&series(&series_of)).judgement(RHYTHM_HOLD);
            assert_eq!(judgement, Judgement::Clear, "{:?}", &series_of[..12]);
        }
    }

    #[test]
    fn regular_beats_do_not() {
        assert_eq!(
            fill(&series(&regular(300))).judgement(RHYTHM_HOLD),
            Judgement::Clear
        );
    }

    #[test]
    fn no_word_spans_an_artefact_or_a_lost_beat() {
        let mut beats = series(&irregular(200));
        let whole = fill(&beats).words();
        assert_eq!(whole, WORDS);
        beats[150].tenth_ms = None;
        let shorter = fill(&beats[..140]);
        assert_eq!(shorter.words(), WORDS);
        // 200 beats with one artefact: words that touch it are gone, the window reaches further back.
        assert_eq!(fill(&beats).words(), WORDS);
        assert_eq!(fill(&beats[100..]).words(), 100 - 2 - 3);
        beats[150].tenth_ms = Some(8_000);
        for beat in &mut beats[150..] {
            beat.sequence += 1;
        }
        assert_eq!(fill(&beats[100..]).words(), 100 - 2 - 2);
    }

    #[test]
    fn late_beats_complete_the_window_as_if_they_had_come_in_order() {
        let beats = series(&irregular(250));
        let in_order = fill(&beats);
        let mut late = fill(&beats[..20]);
        for beat in beats[240..].iter().chain(&beats[20..240]) {
            late.take(*beat);
        }
        assert_eq!(late.verdict(), Verdict::Unknown);
        assert!(late.settle());
        assert_eq!(late, in_order);
    }

    #[test]
    fn an_episode_in_the_past_is_handed_out_once_it_ends() {
        let mut intervals = irregular(300);
        intervals.extend(regular(400));
        let mut past = Past::default();
        let found: Vec<Episode> = series(&intervals)
            .iter()
            .filter_map(|beat| past.take(*beat, RHYTHM_HOLD, Time::MAX))
            .collect();
        assert_eq!(found.len(), 1);
        assert_eq!(past.deadline(), None);
    }

    #[test]
    fn an_episode_in_the_past_without_an_end_waits_for_its_deadline() {
        let mut past = Past::default();
        let known = Time::ZERO + Span::from_mins(60);
        assert!(
            series(&irregular(300))
                .iter()
                .all(|beat| past.take(*beat, RHYTHM_HOLD, known).is_none())
        );
        assert_eq!(past.deadline(), Some(known + crate::rule::FINDING_AFTER));
        assert!(past.flush().is_some());
    }
}
