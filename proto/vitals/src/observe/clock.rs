//! What is known of one device's clock, and when its stamps really were.
//!
//! A clock is off by an offset (true time minus stamp) that drifts, and that jumps when somebody sets it, when
//! summer begins, or when the battery was changed. Two things are learnt from:
//! * the clock itself was read ([`DeviceClock::read`]): stamp and time at once, so the offset is pinned;
//! * a measurement came in ([`DeviceClock::judge`]): it was taken before it came, so the offset is at most
//!   `received - stamp`. Only a jump ahead shows at once; the same difference three times, minutes apart, says
//!   that measurements come as they are taken.
//!
//! The offset is kept as an interval that widens with the distance to where it was pinned and is cut by what is
//! learnt; an interval that becomes empty means that the clock was changed, and a new epoch begins. Stamps from
//! before a change are judged by the epoch they fit.
//!
//! Promises: the true time is within the stated uncertainty if the clock was read after each change (a change so
//! small that drift explains it is taken for drift) and drifts less than [`MOST_DRIFT_PPM`], or than it was seen
//! to; stamps that grow give times that do not fall within one delivery. What nobody can know is said so ([`Quality::CLOCK_UNKNOWN`]), not guessed. Time is handed
//! in. Must not know: kinds, transports.

mod kept;

use alloc::collections::VecDeque;

use super::{MAX_AGE, MAX_AHEAD};
use crate::{Quality, Span, Time};

/// A clock of which nothing is known yet runs wrong by this at most: two minutes a day. Quartz is ten times better.
pub const MOST_DRIFT_PPM: i64 = 1_500;
/// What a measured drift may change by: temperature.
const WANDER_PPB: i64 = 50_000;
/// No drift seen is taken for worse than this: an hour a day is no clock.
const WORST_DRIFT_PPB: i64 = 50_000_000;
/// Drift is measured over stretches longer than this.
const DRIFT_BASE: i64 = 3_600 * SECOND;
/// Between the moment that a read value was true for and its arrival.
const READ_DELAY: i64 = 3 * SECOND;
/// Between a measurement and its arrival when a device sends as it measures.
const LIVE_DELAY: i64 = 90 * SECOND;
/// The gateway's clock and the way may be this unsteady.
const JITTER: i64 = 2 * SECOND;
/// Time zones and summer time come in these.
const QUARTER: i64 = 15 * 60 * SECOND;
/// A device whose clock was never compared shows the time of some zone: its stamp may be off by this.
pub const ANY_ZONE: Span = Span::from_mins(14 * 60);
/// Two deliveries are apart if this lies between them.
const APART: Span = Span::from_mins(5);
/// Agreeing deliveries that pin an offset.
const AGREEING: u32 = 3;
/// Differences agree within this.
const AGREE: i64 = 60 * SECOND;
/// Epochs kept: this one and what stored records may still come from.
const EPOCHS: usize = 6;

const SECOND: i64 = 1_000_000;

/// What a device says about when a measurement was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its own date and time, read as if it kept UTC.
    pub stamp: Time,
    /// The stamp is cut to this.
    pub exact: Span,
    /// How far it says to be ahead of UTC; used for as long as its clock was never compared.
    pub ahead: Span,
    /// False: it says itself that its clock was never set.
    pub trusted: bool,
}

/// A device's stamp, judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// When it was measured, as far as anybody knows.
    pub effective: Time,
    /// How far that may be off, either way; [`Span::MAX`] where nobody knows.
    pub uncertainty: Span,
    /// [`Quality::CLOCK_REPAIRED`], [`Quality::CLOCK_UNKNOWN`], or nothing.
    pub quality: Quality,
}

/// How a clock was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// By whole quarters of an hour within a day: a time zone, or summer time.
    Zone,
    /// By something else within a day: set by hand.
    Set,
    /// By more than a day: it lost its power.
    Reset,
}

/// One device's clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceClock {
    /// Oldest first; the last one is in force.
    epochs: VecDeque<Epoch>,
    /// The drift that was seen to be possible, parts per billion; 0 = none seen.
    seen_drift: i64,
    lone: Option<Lone>,
    last: Option<Last>,
    changes: u32,
    change: Option<Change>,
}

/// A difference that deliveries may agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lone {
    difference: i64,
    received: Time,
    count: u32,
}

/// Possible true times of a stamp.
#[derive(Clone, Copy, Debug)]
struct Fits {
    best: (i64, i64),
    all: (i64, i64),
    epochs: u32,
}

/// The measurement judged last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Last {
    stamp: Time,
    effective: Time,
    received: Time,
}

/// A clock between two changes. Offsets are microseconds, true time minus stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Epoch {
    /// The stamp at which the offset lies within `low..=high`.
    at: i64,
    low: i64,
    high: i64,
    /// Change of the offset, parts per billion, and how sure it is.
    rate: i64,
    rate_off: i64,
    /// Where it was first pinned by reading: stamp, offset, half width.
    first: Option<(i64, i64, i64)>,
    /// True time at which this was certainly the clock.
    sure: i64,
    /// No stamp of this epoch is from before this true time.
    begins: i64,
    /// Nor from after it.
    ends: i64,
}

impl Epoch {
    fn new(stamp: i64, (low, high): (i64, i64), drift: i64, begins: i64) -> Self {
        Self {
            at: stamp,
            low,
            high,
            rate: 0,
            rate_off: drift,
            first: None,
            sure: stamp.saturating_add(low),
            begins,
            ends: i64::MAX,
        }
    }

    /// Offsets that are possible at a stamp.
    fn offsets(&self, stamp: i64) -> (i64, i64) {
        let away = stamp.saturating_sub(self.at);
        let shift = parts(away, self.rate);
        let widen = parts(away.saturating_abs(), self.rate_off);
        let low = self.low.saturating_add(shift).saturating_sub(widen);
        let high = self.high.saturating_add(shift).saturating_add(widen);
        (low, high)
    }

    /// True times that are possible for a stamp of this resolution; `None` if none of this epoch is.
    fn times(&self, stamp: i64, resolution: i64, received: i64) -> Option<(i64, i64)> {
        let (low, high) = self.offsets(stamp);
        let earliest = stamp.saturating_add(low).max(self.begins);
        let latest = stamp.saturating_add(high).saturating_add(resolution);
        let latest = latest.min(self.ends).min(received.saturating_add(JITTER));
        (earliest <= latest).then_some((earliest, latest))
    }

    /// Cuts the interval; false, with nothing changed, if that leaves nothing.
    fn cut(&mut self, stamp: i64, low: i64, high: i64) -> bool {
        let (known_low, known_high) = self.offsets(stamp);
        let (low, high) = (known_low.max(low), known_high.min(high));
        if low > high {
            return false;
        }
        (self.at, self.low, self.high) = (stamp, low, high);
        true
    }

    /// Learns the drift from where it was first read to here.
    fn learn_drift(&mut self, stamp: i64, low: i64, high: i64) {
        let (offset, half) = (middle(low, high), half(low, high));
        let Some((first, before, half_before)) = self.first else {
            self.first = Some((stamp, offset, half));
            return;
        };
        let base = stamp.saturating_sub(first);
        if base < DRIFT_BASE {
            return;
        }
        let unsure = ratio(half.saturating_add(half_before), base).saturating_add(WANDER_PPB);
        if unsure < self.rate_off {
            self.rate = ratio(offset.saturating_sub(before), base);
            self.rate_off = unsure;
        }
    }
}

impl DeviceClock {
    /// The clock was read, or told its time unasked: `stamp` (to a second) arrived at `received`.
    pub fn read(&mut self, stamp: Time, received: Time) {
        let (stamp, received) = (stamp.as_micros(), received.as_micros());
        let high = received.saturating_sub(stamp).saturating_add(JITTER);
        let low = high.saturating_sub(READ_DELAY + SECOND + 2 * JITTER);
        self.lone = None;
        if let Some(epoch) = self.epochs.back_mut()
            && stamp >= epoch.at.saturating_sub(JITTER)
            && epoch.cut(stamp, low, high)
        {
            epoch.learn_drift(stamp, low, high);
            epoch.sure = stamp.saturating_add(low);
            return;
        }
        self.begin(stamp, (low, high), received);
        if let Some(epoch) = self.epochs.back_mut() {
            epoch.learn_drift(stamp, low, high);
        }
    }

    /// A measurement with this claim about its time arrived at `received`.
    pub fn judge(&mut self, claim: Claim, received: Time) -> Judged {
        self.agree(claim, received);
        let Claim { stamp, exact, .. } = claim;
        let judged = match self.times(stamp.as_micros(), exact.as_micros(), received) {
            Some(times) => Self::place(claim, times, received, self.last),
            None => unread(claim, received),
        };
        self.last = Some(Last {
            stamp,
            effective: judged.effective,
            received,
        });
        judged
    }

    /// The same measurement again, now that more may be known of the clock: `None` while nobody knows when it was.
    #[must_use]
    pub fn judge_again(&self, claim: Claim, received: Time) -> Option<Judged> {
        let (stamp, exact) = (claim.stamp.as_micros(), claim.exact.as_micros());
        let fits = self.fits(stamp, exact, received)?;
        // What was judged last came long after it: that says nothing about their order.
        let judged = Self::place(claim, fits, received, None);
        let quality = judged.quality.with(Quality::CLOCK_REPAIRED);
        Some(Judged { quality, ..judged })
    }

    /// True time minus stamp at `now`, and how far that may be off, which grows with the time since the clock was
    /// compared; `None` while it never was.
    #[must_use]
    pub fn offset(&self, now: Time) -> Option<(Span, Span)> {
        let epoch = self.epochs.back()?;
        let stamp = now
            .as_micros()
            .saturating_sub(middle(epoch.low, epoch.high));
        let (low, high) = epoch.offsets(stamp);
        let (middle, half) = (middle(low, high), half(low, high));
        Some((Span::from_micros(middle), Span::from_micros(half)))
    }

    /// How much true time runs faster than the clock, parts per billion, and how sure that is.
    #[must_use]
    pub fn drift(&self) -> Option<(i64, i64)> {
        self.epochs.back().map(|epoch| (epoch.rate, epoch.rate_off))
    }

    /// How often the clock was found changed, and how the last time.
    #[must_use]
    pub const fn changes(&self) -> (u32, Option<Change>) {
        (self.changes, self.change)
    }

    /// Possible true times: by the newest epoch that the stamp fits, and over all of them.
    fn fits(&self, stamp: i64, resolution: i64, received: Time) -> Option<Fits> {
        let now = received.as_micros();
        let oldest = (received - MAX_AGE).as_micros();
        let mut fits: Option<Fits> = None;
        for epoch in self.epochs.iter().rev() {
            let times = epoch.times(stamp, resolution, now);
            let Some((low, high)) = times.filter(|(_, latest)| *latest >= oldest) else {
                continue;
            };
            fits = Some(fits.map_or(
                Fits {
                    best: (low, high),
                    all: (low, high),
                    epochs: 1,
                },
                |fits| Fits {
                    all: (fits.all.0.min(low), fits.all.1.max(high)),
                    epochs: 2,
                    ..fits
                },
            ));
        }
        fits
    }

    /// The same, and what it says of the clock.
    fn times(&mut self, stamp: i64, resolution: i64, received: Time) -> Option<Fits> {
        let now = received.as_micros();
        let fits = self.fits(stamp, resolution, received);
        // It was taken before it came: the offset is no larger than that.
        if let Some(epoch) = self.epochs.back_mut()
            && stamp >= epoch.at
            && fits.is_some_and(|fits| fits.epochs == 1)
        {
            let most = now.saturating_sub(stamp).saturating_add(JITTER);
            epoch.cut(stamp, i64::MIN, most);
        }
        fits
    }

    /// The middle of what is likely; within one delivery never before what came before it.
    fn place(claim: Claim, fits: Fits, received: Time, last: Option<Last>) -> Judged {
        let (low, high) = fits.all;
        let mut effective = middle(fits.best.0, fits.best.1);
        if let Some(last) = last
            && claim.stamp >= last.stamp
            && received.since(last.received) < APART
        {
            effective = effective.max(last.effective.as_micros());
        }
        let effective = effective.min(received.as_micros());
        let off = high
            .saturating_sub(effective)
            .max(effective.saturating_sub(low))
            .max(0);
        let said = claim.stamp - claim.ahead;
        let moved = effective.saturating_sub(said.as_micros()).saturating_abs();
        let quality = if moved > MAX_AHEAD.as_micros() {
            Quality::CLOCK_REPAIRED
        } else {
            Quality::GOOD
        };
        Judged {
            effective: Time::from_micros(effective),
            uncertainty: Span::from_micros(off),
            quality,
        }
    }

    /// Looks for the same difference over several deliveries.
    fn agree(&mut self, claim: Claim, received: Time) {
        let stamp = claim.stamp.as_micros();
        let difference = received.as_micros().saturating_sub(stamp);
        let known = self.epochs.back().map(|epoch| {
            let (low, high) = epoch.offsets(stamp);
            middle(low, high)
        });
        let expected = |known: i64| difference.saturating_sub(known).saturating_abs() < AGREE;
        if known.is_some_and(expected) || !tells(difference, known) {
            // As expected, or what a stored measurement looks like: whatever agreed before was chance.
            if self
                .lone
                .is_some_and(|lone| received.since(lone.received) >= APART)
            {
                self.lone = None;
            }
            return;
        }
        let count = match self.lone {
            Some(lone) if received.since(lone.received) < APART => {
                if difference < lone.difference {
                    self.lone = Some(Lone { difference, ..lone });
                }
                return;
            }
            Some(lone) if difference.saturating_sub(lone.difference).saturating_abs() <= AGREE => {
                lone.count.saturating_add(1)
            }
            Some(_) | None => 1,
        };
        self.lone = Some(Lone {
            difference,
            received,
            count,
        });
        if count >= AGREEING {
            self.lone = None;
            let offsets = (
                difference.saturating_sub(LIVE_DELAY),
                difference.saturating_add(JITTER),
            );
            self.begin(stamp, offsets, received.as_micros());
        }
    }

    /// The clock is not what it was: a new epoch.
    fn begin(&mut self, stamp: i64, offsets: (i64, i64), received: i64) {
        let mut begins = i64::MIN;
        let mut drift = self.seen_drift.max(MOST_DRIFT_PPM * 1_000);
        if let Some(before) = self.epochs.back_mut() {
            let (low, high) = before.offsets(stamp);
            let moved = middle(offsets.0, offsets.1).saturating_sub(middle(low, high));
            // It may have been changed right after it was last seen to be as before.
            begins = before.sure;
            before.ends = received;
            let change = change(moved);
            if change == Change::Set && moved.saturating_abs() < QUARTER / 2 {
                // Or it drifts more than was thought possible: allow for it from now on.
                let since = received.saturating_sub(begins).max(1);
                let seen = ratio(moved.saturating_abs().saturating_mul(2), since);
                drift = drift.max(seen.min(WORST_DRIFT_PPB));
                self.seen_drift = drift;
            }
            self.changes = self.changes.saturating_add(1);
            self.change = Some(change);
        }
        if self.epochs.len() >= EPOCHS {
            self.epochs.pop_front();
        }
        self.epochs
            .push_back(Epoch::new(stamp, offsets, drift, begins));
    }
}

/// A stamp of a clock that was never compared with the gateway's.
fn unread(claim: Claim, received: Time) -> Judged {
    let stamp = claim.stamp - claim.ahead;
    let past = stamp >= received - MAX_AGE && stamp <= received + MAX_AHEAD;
    if past && claim.trusted {
        return Judged {
            effective: stamp.min(received),
            uncertainty: ANY_ZONE,
            quality: Quality::GOOD,
        };
    }
    let zone = stamp > received && stamp <= received + ANY_ZONE;
    let (uncertainty, quality) = if zone && claim.trusted {
        (ANY_ZONE, Quality::CLOCK_REPAIRED)
    } else {
        let unknown = Quality::CLOCK_REPAIRED.with(Quality::CLOCK_UNKNOWN);
        (Span::MAX, unknown)
    };
    Judged {
        effective: received,
        uncertainty,
        quality,
    }
}

/// Whether a difference between arrival and stamp can tell of the clock's offset, and not only of how long a
/// measurement was stored.
fn tells(difference: i64, known: Option<i64>) -> bool {
    let from = difference.saturating_sub(known.unwrap_or(0));
    let quarters = from.saturating_add(QUARTER / 2).div_euclid(QUARTER);
    let beside = from.saturating_sub(quarters.saturating_mul(QUARTER));
    let zone = beside.saturating_abs() <= LIVE_DELAY && (quarters != 0 || known.is_none());
    from < -JITTER || from > ANY_ZONE.as_micros() || zone
}

fn change(moved: i64) -> Change {
    let quarters = moved.saturating_add(QUARTER / 2).div_euclid(QUARTER);
    let beside = moved.saturating_sub(quarters.saturating_mul(QUARTER));
    if moved.saturating_abs() > 26 * 3_600 * SECOND {
        Change::Reset
    } else if quarters != 0 && beside.saturating_abs() <= LIVE_DELAY {
        Change::Zone
    } else {
        Change::Set
    }
}

/// `value` times parts per billion.
fn parts(value: i64, ppb: i64) -> i64 {
    let product = i128::from(value).saturating_mul(i128::from(ppb));
    i64::try_from(product.div_euclid(1_000_000_000)).unwrap_or(i64::MAX)
}

/// Parts per billion that `part` is of `whole`, which is positive.
fn ratio(part: i64, whole: i64) -> i64 {
    let scaled = i128::from(part).saturating_mul(1_000_000_000);
    i64::try_from(scaled.div_euclid(i128::from(whole.max(1)))).unwrap_or(i64::MAX)
}

const fn middle(low: i64, high: i64) -> i64 {
    low.saturating_add(high.saturating_sub(low).div_euclid(2))
}

const fn half(low: i64, high: i64) -> i64 {
    high.saturating_sub(low).div_euclid(2).saturating_add(1)
}
