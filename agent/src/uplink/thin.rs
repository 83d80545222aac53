//! PURE, for tests: a thin line in virtual time, and a backlog of ten megabytes behind which an alert comes.
//!
//! The line carries so many bytes a second in order, as TCP does; a lost segment of 512 bytes is sent again after a
//! stall that doubles with each loss in a row, from one second to eight. Answers take half a second back.

use std::collections::{BTreeSet, VecDeque};

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use vitals::{Span, Time};

use super::window::{Class, Limits, Send, Window};
use crate::outbox::RecordId;

const RECORD: usize = 4077;
const ALERT: usize = 141;
const BACKLOG: u64 = 2500;
/// Bytes around a message: TLS, HTTP/2 and the contract's own, or the topic.
const ENVELOPE: usize = 64;

/// What came through: records, or a record up to this byte.
#[derive(Clone, Copy)]
enum Through {
    Record(RecordId),
    Piece(usize),
}

/// What is on the line, and when it is through.
struct Line {
    bytes_per_second: i64,
    loss_percent: u32,
    rng: ChaCha8Rng,
    free_at: Time,
    under_way: VecDeque<(Through, Time)>,
}

impl Line {
    fn carry(&mut self, what: Through, bytes: usize, now: Time) {
        self.free_at = self.free_at.max(now);
        let mut left = i64::try_from(bytes + ENVELOPE).expect("small");
        while left > 0 {
            let segment = left.min(512);
            let time = Span::from_micros(segment * 1_000_000 / self.bytes_per_second);
            let mut stall = 1;
            while self.rng.random_range(0..100) < self.loss_percent {
                self.free_at = self.free_at + time + Span::from_secs(stall);
                stall = 8.min(2 * stall);
            }
            self.free_at = self.free_at + time;
            left -= segment;
        }
        self.under_way.push_back((what, self.free_at));
    }
}

/// Who uses the line.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Uplink {
    /// The window, and a centre that puts pieces together.
    Ours,
    /// The window, and a centre from before pieces: it answers none.
    Whole,
    /// Hands over what is oldest, whatever it is, and as much as it has.
    Greedy,
    /// There is no backlog: what the line does to an alert alone.
    Alone,
}

/// Hours on a line with the backlog behind it and an alert every five minutes: how long each took, and how much of the
/// backlog arrived.
fn alerts_behind_backlog(
    bytes_per_second: i64,
    loss_percent: u32,
    uplink: Uplink,
    (hours, seed): (i64, u64),
) -> (Vec<Span>, usize) {
    let mut window = Window::new(Limits::default());
    let ours = matches!(uplink, Uplink::Ours | Uplink::Whole);
    for number in (1..=BACKLOG).filter(|_| ours) {
        window.add_backlog(RecordId { ordinal: 1, number }, Class::Vitals);
    }
    window.connected();
    let start = Time::from_micros(0) + Span::from_secs(1000);
    let mut line = Line {
        bytes_per_second,
        loss_percent,
        rng: ChaCha8Rng::seed_from_u64(seed),
        free_at: start,
        under_way: VecDeque::new(),
    };
    let (mut took, mut backlog, mut raised) = (Vec::new(), 0, Vec::new());
    let (mut arrived, mut twice) = (BTreeSet::new(), 0);
    if uplink == Uplink::Greedy {
        for number in 1..=BACKLOG {
            let record = Through::Record(RecordId { ordinal: 1, number });
            line.carry(record, RECORD, start);
        }
    }
    for tick in 0..hours * 3600 * 10 {
        let now = start + Span::from_millis(100 * tick);
        if tick > 0 && tick % 3000 == 0 {
            let alert = RecordId {
                ordinal: 1,
                number: BACKLOG + 1 + raised.len() as u64,
            };
            raised.push((alert, now));
            if uplink == Uplink::Greedy {
                line.carry(Through::Record(alert), ALERT, now);
            } else {
                window.add(alert, Class::Urgent);
            }
        }
        let size = |id: RecordId| if id.number > BACKLOG { ALERT } else { RECORD };
        while let Some(send) = window.next(now, true, size) {
            match send {
                Send::Open(_) => {}
                Send::Records(ids) => {
                    for id in ids {
                        line.carry(Through::Record(id), size(id), now);
                    }
                }
                Send::Piece(id, range) if range.end == size(id) => {
                    line.carry(Through::Record(id), range.len(), now);
                }
                Send::Piece(_, range) => line.carry(Through::Piece(range.end), range.len(), now),
            }
        }
        while let Some((what, through)) = line.under_way.front().copied()
            && through + Span::from_millis(500) <= now
        {
            line.under_way.pop_front();
            let id = match what {
                Through::Record(id) => id,
                Through::Piece(_) if uplink == Uplink::Whole => continue,
                Through::Piece(held) => {
                    window.piece_taken(held, now);
                    continue;
                }
            };
            let alert = raised.iter().find(|(alert, _)| *alert == id);
            if arrived.insert(id) {
                match alert {
                    Some((_, began)) => took.push(through.since(*began)),
                    None => backlog += 1,
                }
            } else {
                twice += usize::from(alert.is_none());
            }
            window.receipted([id].into_iter(), now);
        }
    }
    assert!(
        twice <= backlog / 5,
        "{twice} of {backlog} went twice: the line is full of what it carries anyway"
    );
    took.sort_unstable();
    (took, backlog)
}

fn quantile(took: &[Span], percent: usize) -> Span {
    took[(took.len() - 1) * percent / 100]
}

#[test]
fn an_alert_is_through_in_ten_seconds_behind_ten_megabytes() {
    for (bytes_per_second, loss) in [
        (250, 0),
        (1000, 0),
        (2000, 0),
        (8000, 0),
        (8000, 10),
        (100_000, 0),
    ] {
        let (took, backlog) = alerts_behind_backlog(bytes_per_second, loss, Uplink::Ours, (1, 7));
        let worst = quantile(&took, 100);
        println!(
            "{bytes_per_second} bytes a second, {loss} % lost: alerts took {worst:?} at most, {backlog} of backlog"
        );
        assert!(took.len() >= 11, "all of them: {}", took.len());
        assert!(
            worst <= Span::from_secs(10),
            "{worst:?} at {bytes_per_second}, {loss} %"
        );
        // A lost segment stalls all that is behind it.
        let used = if loss > 0 { 8 } else { 2 };
        let carried = usize::try_from(bytes_per_second * 3600).expect("positive") / RECORD;
        assert!(
            backlog > (carried / used).min(BACKLOG as usize - 1),
            "the line is used: {backlog} of {carried}"
        );
    }
}

/// Where two of five segments are lost, the line's own stalls make some alerts late that have it for themselves; the
/// backlog may add little to that.
#[test]
fn at_two_kbit_with_two_of_five_lost_the_backlog_adds_little_to_what_the_line_does() {
    let hours = |uplink| {
        let mut all = Vec::new();
        for seed in 1..=3 {
            let (took, _) = alerts_behind_backlog(250, 40, uplink, (3, seed));
            assert!(took.len() >= 34, "{} alerts of 35", took.len());
            all.extend(took);
        }
        all.sort_unstable();
        let quick = all.iter().filter(|took| **took <= Span::from_secs(10));
        let quick = 100 * quick.count() / all.len();
        let at = [50, 90, 100].map(|percent| quantile(&all, percent));
        println!(
            "{uplink:?}: half within {:?}, nine of ten {:?}, all {:?}; {quick} % in ten seconds",
            at[0], at[1], at[2]
        );
        (at, quick)
    };
    let (alone, ours, whole) = (
        hours(Uplink::Alone),
        hours(Uplink::Ours),
        hours(Uplink::Whole),
    );
    assert!(ours.0[0] <= Span::from_secs(8), "{ours:?}");
    assert!(
        ours.0[1] <= alone.0[1] + Span::from_secs(20),
        "{ours:?}, alone {alone:?}"
    );
    // The control: records that are not cut.
    assert!(whole.0[0] >= Span::from_secs(15), "{whole:?}");
}

#[test]
fn control_where_records_are_not_cut_an_alert_waits_for_the_one_on_its_way() {
    let (took, _) = alerts_behind_backlog(250, 0, Uplink::Whole, (1, 7));
    let worst = quantile(&took, 100);
    assert!(worst > Span::from_secs(10), "{worst:?}");
}

#[test]
fn control_a_greedy_uplink_keeps_alerts_waiting_for_hours() {
    let (took, _) = alerts_behind_backlog(2000, 0, Uplink::Greedy, (1, 7));
    assert!(took.is_empty(), "an hour was not enough: {took:?}");
}
