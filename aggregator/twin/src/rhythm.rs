//! Atrial fibrillation from RR intervals: symbolic dynamics and Shannon entropy, after Zhou, Ding, Wu, Zhang
//! and Wang, "Automatic online detection of atrial fibrillation based on symbolic dynamics and Shannon
//! entropy", PLoS ONE 10:e0136544 (2015). Cut and window are the published ones; nothing was tuned.
//!
//! Each interval becomes a symbol `min(63, floor(hr / 5))`, three symbols in a row a word; over the last 127
//! words with K distinct ones, `H = -(K / (N log2 N)) * sum p log2 p`, and `H > 0.639` says atrial
//! fibrillation. A gap (a missing sequence number, a silence, an interval outside 200-3000 ms) breaks the
//! sequence: no word spans it. The window never reaches back more than five minutes.
//!
//! Invariant: what is said depends on the beats in the buffer alone, not on the order in which they came, so
//! late beats complete it. At most [`BEATS`] beats. The signal's quality alone never vetoes: rules on RR
//! ratios and templates reject true fibrillation.

use alloc::collections::VecDeque;
use alloc::string::String;

use vitals::{Span, Time};

use crate::rule::{RHYTHM_CLEAR, RHYTHM_HOLD};

/// Name and version.
pub const MODEL: &str = "zhou-2015-symbolic-entropy/1";
/// For people.
pub const SOURCE: &str = "Zhou 2015, PLoS ONE 10:e0136544: symbolic dynamics and Shannon entropy of 127 words of RR intervals";
/// Above it the model says atrial fibrillation.
pub const CUT: f64 = 0.639;
/// Words in the window.
pub const WORDS: usize = 127;
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
    verdict: Verdict,
}

/// Entropy of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entropy {
    /// The model's figure.
    pub value: f64,
    /// End of the first interval of the window.
    pub begin: Time,
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
        entropy: f64,
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
            verdict: Verdict::Unknown,
        };
        let in_order = self.kept.back().is_none_or(|last| last.beat.at <= beat.at);
        if in_order {
            self.kept.push_back(kept);
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

    /// Entropy at the newest beat.
    #[must_use]
    pub fn entropy(&self) -> Option<Entropy> {
        self.entropy_at(self.kept.len().checked_sub(1)?).ok()
    }

    /// Words that the newest window has (127 when it is full).
    #[must_use]
    pub fn words(&self) -> usize {
        match self
            .kept
            .len()
            .checked_sub(1)
            .map(|newest| self.entropy_at(newest))
        {
            None => 0,
            Some(Ok(_)) => WORDS,
            Some(Err(words)) => words,
        }
    }

    /// Whether an episode begins or ends, by the verdicts of the last beats.
    #[must_use]
    pub fn judgement(&self) -> Judgement {
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
            Verdict::Fibrillation if lasted >= RHYTHM_HOLD => {
                let (now, then) = (self.entropy_at(self.kept.len() - 1), self.entropy_at(first));
                match (now, then) {
                    (Ok(now), Ok(then)) => Judgement::Holds {
                        onset: then.begin,
                        entropy: now.value,
                    },
                    (Ok(now), Err(_)) => Judgement::Holds {
                        onset: begin.beat.at,
                        entropy: now.value,
                    },
                    (Err(_), _) => Judgement::Undecided,
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

    /// Spells the words that a beat at this place is in.
    fn spell(&mut self, place: usize) {
        for first in place.saturating_sub(2)..=place {
            let word = self.word(first);
            if let Some(kept) = self.kept.get_mut(first) {
                kept.word = word;
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
        let verdict = match self.entropy_at(index) {
            Ok(entropy) if entropy.value > CUT => Verdict::Fibrillation,
            Ok(_) => Verdict::Other,
            Err(_) => Verdict::Unknown,
        };
        if let Some(kept) = self.kept.get_mut(index) {
            kept.verdict = verdict;
        }
    }

    /// Entropy of the window that ends at a beat, or how many words it has if they are too few.
    fn entropy_at(&self, index: usize) -> Result<Entropy, usize> {
        let mut words = [0u32; WORDS];
        let mut count = 0;
        let newest = self.kept.get(index).map_or(Time::ZERO, |kept| kept.beat.at);
        let mut begin = newest;
        // A word begins two beats before the last one that it may hold.
        for kept in self.kept.range(..index.saturating_sub(1)).rev() {
            if newest.since(kept.beat.at) > REACH || count == WORDS {
                break;
            }
            if let Some(word) = kept.word {
                words[count] = word;
                count += 1;
                begin = kept.beat.at;
            }
        }
        if count < WORDS {
            return Err(count);
        }
        Ok(Entropy {
            value: entropy(&words),
            begin,
        })
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

/// `min(63, floor(hr / 5))` with `hr = 60 s / RR`, in whole numbers.
fn symbol(tenth_ms: i64) -> Option<u8> {
    let valid = (SHORTEST_TENTH_MS..=LONGEST_TENTH_MS).contains(&tenth_ms);
    valid.then(|| u8::try_from((120_000 / tenth_ms).min(63)).unwrap_or(63))
}

/// Counts equal words, and how many words have each count: sums over counts in their order, so that equal windows
/// give equal bits in whatever order their words stand.
#[expect(clippy::cast_precision_loss, reason = "counts up to 127")]
fn entropy(words: &[u32; WORDS]) -> f64 {
    let n = WORDS as f64;
    let log_n = libm::log2(n);
    let (mut distinct, mut sum) = (0, 0.0);
    for (count, words) in (1..).zip(words_with_count(words)) {
        if words > 0 {
            let p = count as f64 / n;
            sum += f64::from(words) * p * (libm::log2(count as f64) - log_n);
            distinct += words;
        }
    }
    -f64::from(distinct) / (n * log_n) * sum
}

/// Place `c - 1`: how many different words occur `c` times.
fn words_with_count(words: &[u32; WORDS]) -> [u8; WORDS] {
    /// Twice the words, and a power of two: an open table of them is short to search.
    const SLOTS: usize = 256;
    // A word and its count; a count of none is a free slot.
    let mut table = [(0_u32, 0_u8); SLOTS];
    let mut with_count = [0_u8; WORDS];
    for word in words {
        // Fibonacci hashing: the words of a regular heart differ in a few bits.
        let mut slot = (word.wrapping_mul(0x9e37_79b1) >> 24) as usize;
        while table[slot].1 > 0 && table[slot].0 != *word {
            slot = (slot + 1) % SLOTS;
        }
        let count = usize::from(table[slot].1);
        if let Some(before) = count.checked_sub(1) {
            with_count[before] -= 1;
        }
        with_count[count] += 1;
        table[slot] = (*word, table[slot].1 + 1);
    }
    with_count
}

/// The definition, for the hash that alerts carry.
#[must_use]
pub fn definition() -> String {
    alloc::format!(
        "{MODEL} words {WORDS} cut {CUT} symbol min(63, floor(hr/5)) interval {SHORTEST_TENTH_MS}..={LONGEST_TENTH_MS} \
         reach {REACH:?} slack {SLACK:?} hold {RHYTHM_HOLD:?} clear {RHYTHM_CLEAR:?}"
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
    /// The figure that it rests on: entropy, or the worst value.
    pub worst: f64,
}

impl Past {
    /// Takes a beat about the past; gives an episode that it ends.
    pub fn take(&mut self, beat: Beat, known: Time) -> Option<Episode> {
        let mut ended = None;
        if self.beats.newest().is_some_and(|newest| beat.at < newest) {
            ended = self.flush();
        }
        self.beats.take(beat);
        self.fed = known;
        match self.beats.judgement() {
            Judgement::Holds { onset, entropy } => {
                let (onset, worst) = self.episode.map_or((onset, entropy), |(onset, _, worst)| {
                    (onset, entropy.max(worst))
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
    Kept { beat, symbol, word, verdict }
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
    fn noise(seed: &mut u64) -> f64 {
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

    #[test]
    fn the_extremes_of_the_entropy() {
        assert_eq!(entropy(&[7; WORDS]), 0.0);
        let all = core::array::from_fn(|n| n as u32);
        assert!((entropy(&all) - 1.0).abs() < 1e-12);
    }

    /// The formula of the paper as it stands there: sorted words, a sum over the distinct ones.
    #[test]
    fn the_entropy_is_the_papers() {
        let mut seed = 3;
        for spread in [1.0, 4.0, 20.0, 90.0, 260_000.0] {
            for _ in 0..50 {
                let mut words: [u32; WORDS] =
                    core::array::from_fn(|_| (noise(&mut seed) * spread) as u32);
                let ours = entropy(&words);
                words.sort_unstable();
                let (n, groups) = (WORDS as f64, words.chunk_by(|a, b| a == b));
                let shares: Vec<f64> = groups.map(|same| same.len() as f64 / n).collect();
                let shannon: f64 = shares.iter().map(|p| p * libm::log2(*p)).sum();
                let paper = -(shares.len() as f64) / (n * libm::log2(n)) * shannon;
                assert!((ours - paper).abs() < 1e-12, "{ours} {paper}");
                words.rotate_left(31);
                assert_eq!(ours.to_bits(), entropy(&words).to_bits());
            }
        }
    }

    #[test]
    fn symbols_are_those_of_the_paper() {
        assert_eq!(symbol(10_000), Some(12), "60/min");
        assert_eq!(symbol(2_000), Some(60), "300/min");
        assert_eq!(symbol(1_999), None);
        assert_eq!(symbol(30_000), Some(4));
        assert_eq!(symbol(30_001), None);
    }

    #[test]
    fn irregular_beats_hold_after_the_window_and_the_hold_time() {
        let beats = series(&irregular(300));
        assert_eq!(fill(&beats[..128]).verdict(), Verdict::Unknown);
        assert_eq!(fill(&beats[..129]).verdict(), Verdict::Fibrillation);
        assert_eq!(fill(&beats[..129]).judgement(), Judgement::Undecided);
        let Judgement::Holds { onset, .. } = fill(&beats).judgement() else {
            panic!("holds")
        };
        assert_eq!(
            onset, beats[0].at,
            "first beat of the first positive window"
        );
    }

    #[test]
    fn regular_beats_do_not() {
        assert_eq!(fill(&series(&regular(300))).judgement(), Judgement::Clear);
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
        let mut late = fill(&beats[..60]);
        for beat in beats[180..].iter().chain(&beats[60..180]) {
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
            .filter_map(|beat| past.take(*beat, Time::MAX))
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
                .all(|beat| past.take(*beat, known).is_none())
        );
        assert_eq!(past.deadline(), Some(known + crate::rule::FINDING_AFTER));
        assert!(past.flush().is_some());
    }
}
