//! PURE, for tests: a thin line in virtual time, and a backlog of ten megabytes behind which an alert comes.
//!
//! The line carries so many bytes a second in order, as TCP does; a lost segment of 512 bytes is sent again after a
//! stall that doubles with each loss in a row, from one second to eight. Receipts take half a second back.

use std::collections::{BTreeSet, VecDeque};

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use vitals::{Span, Time};

use super::window::{Class, Limits, Send, Window};
use crate::outbox::RecordId;

const RECORD: usize = 4077;
const ALERT: usize = 141;
const BACKLOG: u64 = 2500;

/// What is on the line: the record, its bytes, and when it is through.
struct Line {
    bytes_per_second: i64,
    loss_percent: u32,
    rng: ChaCha8Rng,
    free_at: Time,
    under_way: VecDeque<(RecordId, Time)>,
}

impl Line {
    fn carry(&mut self, id: RecordId, bytes: usize, now: Time) {
        self.free_at = self.free_at.max(now);
        let mut left = i64::try_from(bytes).expect("small");
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
        self.under_way.push_back((id, self.free_at));
    }
}

/// An hour on a line with the backlog behind it and an alert every five minutes: how long each took, and how much
/// of the backlog arrived. A greedy uplink hands over what is oldest, whatever it is, and as much as it has.
fn alerts_behind_backlog(
    bytes_per_second: i64,
    loss_percent: u32,
    greedy: bool,
) -> (Vec<Span>, usize) {
    let mut window = Window::new(Limits::default());
    for number in 1..=BACKLOG {
        window.add_backlog(RecordId { ordinal: 1, number }, Class::Vitals);
    }
    window.connected();
    let start = Time::from_micros(0) + Span::from_secs(1000);
    let mut line = Line {
        bytes_per_second,
        loss_percent,
        rng: ChaCha8Rng::seed_from_u64(7),
        free_at: start,
        under_way: VecDeque::new(),
    };
    let (mut took, mut backlog, mut raised) = (Vec::new(), 0, Vec::new());
    let (mut arrived, mut twice) = (BTreeSet::new(), 0);
    if greedy {
        for number in 1..=BACKLOG {
            line.carry(RecordId { ordinal: 1, number }, RECORD, start);
        }
    }
    for tick in 0..3600 * 10_i64 {
        let now = start + Span::from_millis(100 * tick);
        if tick > 0 && tick % 3000 == 0 {
            let alert = RecordId {
                ordinal: 1,
                number: BACKLOG + 1 + raised.len() as u64,
            };
            raised.push((alert, now));
            if greedy {
                line.carry(alert, ALERT, now);
            } else {
                window.add(alert, Class::Urgent);
            }
        }
        let size = |id: RecordId| if id.number > BACKLOG { ALERT } else { RECORD };
        while let Some(send) = (!greedy).then(|| window.next(now, true, size)).flatten() {
            if let Send::Records(ids) = send {
                for id in ids {
                    line.carry(id, size(id), now);
                }
            }
        }
        while let Some((id, through)) = line.under_way.front().copied()
            && through + Span::from_millis(500) <= now
        {
            line.under_way.pop_front();
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
    (took, backlog)
}

#[test]
fn an_alert_is_through_in_ten_seconds_behind_ten_megabytes() {
    for (bytes_per_second, loss) in [(1000, 0), (2000, 0), (8000, 0), (8000, 10), (100_000, 0)] {
        let (took, backlog) = alerts_behind_backlog(bytes_per_second, loss, false);
        let worst = took.iter().max().copied().expect("alerts came");
        println!(
            "{bytes_per_second} bytes a second, {loss} % lost: alerts took {worst:?} at most, {backlog} of backlog"
        );
        assert!(took.len() >= 11, "all of them: {}", took.len());
        assert!(
            worst <= Span::from_secs(10),
            "{worst:?} at {bytes_per_second}, {loss} %"
        );
        assert!(
            backlog > 400.min(BACKLOG as usize),
            "the line is used: {backlog}"
        );
    }
}

#[test]
fn at_two_kbit_an_alert_waits_for_the_one_record_on_its_way() {
    // A record of 4 KiB takes sixteen seconds there, and it is not cut.
    let (took, backlog) = alerts_behind_backlog(250, 0, false);
    assert!(
        took.iter().all(|took| *took <= Span::from_secs(18)),
        "{took:?}"
    );
    assert!(took.len() >= 11 && backlog > 150, "{backlog}");
    // Where two of five segments are lost besides, the line's own stalls count, and nothing else does.
    let (took, _) = alerts_behind_backlog(250, 40, false);
    println!("at 2 kbit/s with 40 % loss: {took:?}");
    assert!(
        took.len() >= 10 && took.iter().all(|took| *took <= Span::from_secs(120)),
        "{took:?}"
    );
}

#[test]
fn control_a_greedy_uplink_keeps_alerts_waiting_for_hours() {
    let (took, _) = alerts_behind_backlog(2000, 0, true);
    assert!(took.is_empty(), "an hour was not enough: {took:?}");
}
