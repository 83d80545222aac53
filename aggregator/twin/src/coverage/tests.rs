//! Any facts in any order: the answer tiles its window, and is the same.

use std::vec::Vec;

use proptest::prelude::*;
use vitals::{Fixed, GatewayId};

use super::*;
use crate::event::{Assigned, DeviceReport};

const KIND: Kind = Kind::HeartRate;
const SOURCE: SourceId = SourceId(1);
const ADDRESS: &str = "AA:BB:CC:DD:EE:01";

fn at(seconds: i64) -> Time {
    Time::from_micros(1_795_219_200_000_000) + Span::from_secs(seconds)
}

/// One fact, seconds.
#[derive(Clone, Copy, Debug)]
enum Fact {
    Reading(i64, Option<bool>, u32),
    Link(i64, Link),
    Beat(i64, i64),
    Gap(i64, i64, u16, i32),
    Undated(i64),
}

fn any_fact() -> impl Strategy<Value = Fact> {
    let links = prop::sample::select(std::vec![Link::Connected, Link::Lost, Link::Searching]);
    let bits = prop::sample::select(std::vec![0u32, 0, 0, 1, 4, 64]);
    prop_oneof![
        6 => (0i64..900, prop::option::of(any::<bool>()), bits)
            .prop_map(|(at, absent, bits)| Fact::Reading(at, absent, bits)),
        2 => (0i64..900, links).prop_map(|(at, link)| Fact::Link(at, link)),
        2 => (0i64..900, 0i64..400).prop_map(|(at, awake)| Fact::Beat(at, awake)),
        2 => (0i64..900, 0i64..200, 0u16..3, 1i32..7)
            .prop_map(|(at, length, source, reason)| Fact::Gap(at, length, source, reason)),
        1 => (0i64..900).prop_map(Fact::Undated),
    ]
}

fn reading(second: i64, absent: Option<bool>, bits: u32) -> Reading {
    let value = match absent {
        None => Value::Measured(Fixed(60)),
        Some(true) => Value::Absent(Absence::NoContact),
        Some(false) => Value::Absent(Absence::NotANumber),
    };
    Reading {
        kind: KIND,
        value,
        source: SOURCE,
        sequence: 0,
        effective: at(second),
        received: at(second),
        quality: Quality::from_bits(bits),
        device: None,
    }
}

/// A stream of one sensor, assigned from second 50 on, that was told these facts.
fn told(facts: &[Fact]) -> BTreeMap<StreamId, Arc<Stream>> {
    let known = at(1000);
    let assigned = Assigned {
        stream: StreamId([1; 16]),
        gateway: GatewayId::parse("gw-1").expect("valid"),
        devices: std::vec![ADDRESS.into()],
        from: at(50),
    };
    let mut stream = Stream::new(&assigned, at(50));
    let named = DeviceReport {
        source: SOURCE,
        address: ADDRESS.into(),
        name: "".into(),
        model: "".into(),
        link: Link::Searching,
        since: at(0),
        battery_percent: None,
        contact: None,
    };
    stream.report(&named, known);
    for fact in facts {
        let device = stream.devices.entry(SOURCE).or_default();
        match *fact {
            Fact::Reading(second, absent, bits) => {
                device
                    .facts
                    .reading(&reading(second, absent, bits), at(second), known);
                stream.facts.heard(at(second));
            }
            Fact::Link(second, link) => device.facts.link(at(second), link),
            Fact::Undated(second) => device.facts.undated(KIND, at(second)),
            Fact::Beat(second, awake) => stream.facts.beat(
                &Heartbeat {
                    sent: at(second),
                    buffer_records: 0,
                    readings_decoded: 0,
                    awake_since: Some(at(second - awake)),
                    complete_until: Some(at(second - 20)),
                },
                known,
            ),
            Fact::Gap(second, length, source, reason) => stream.facts.declare(
                &Gap {
                    source: SourceId(source),
                    reason,
                    readings: 7,
                    exact: true,
                    from: at(second),
                    to: at(second + length),
                },
                known,
            ),
        }
    }
    BTreeMap::from([(assigned.stream, Arc::new(stream))])
}

/// What is wrong with stretches that should tile a window; the checker of these tests.
fn fault(stretches: &[Stretch], (from, to): (Time, Time)) -> Option<&'static str> {
    let (mut at, mut sum) = (from, Span::ZERO);
    for stretch in stretches {
        if stretch.from > at {
            return Some("a hole");
        }
        if stretch.from < at {
            return Some("an overlap");
        }
        if stretch.to <= stretch.from {
            return Some("an empty stretch");
        }
        sum = sum + stretch.to.since(stretch.from);
        at = stretch.to;
    }
    let whole = at == to && sum == to.since(from);
    (!whole).then_some("the sum is not the window")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn any_facts_tile_any_window_and_their_order_does_not_matter(
        facts in prop::collection::vec(any_fact(), 0..80),
        order in any::<u64>(),
        window in (-100i64..1100, 1i64..1200),
        paused in prop::option::of((60i64..900, 1i64..300)),
    ) {
        let window = (at(window.0), at(window.0 + window.1));
        let mut withheld = Withheld::default();
        if let Some((from, length)) = paused {
            withheld.say(false, at(from));
            withheld.say(true, at(from + length));
        }
        let answer = |facts: &[Fact]| lines(&told(facts), &withheld, &[KIND], window, at(1000));
        let first = answer(&facts);
        prop_assert!(!first.is_empty());
        for line in &first {
            prop_assert_eq!(fault(&line.stretches, window), None, "{:?}", line);
            prop_assert!(line.stretches.windows(2).all(|two| two[0].class != two[1].class));
        }
        let mut shuffled: Vec<(u64, Fact)> = facts.iter().copied().enumerate()
            .map(|(n, fact)| ((n as u64 + 1).wrapping_mul(order | 1).rotate_left(17), fact)).collect();
        shuffled.sort_by_key(|(key, _)| *key);
        // Copies of everything but losses, whose records are told apart before they come here.
        let copies = facts.iter().copied().filter(|fact| !matches!(fact, Fact::Gap(..)));
        let shuffled: Vec<Fact> = shuffled.into_iter().map(|(_, fact)| fact).chain(copies).collect();
        prop_assert_eq!(answer(&shuffled), first);
    }

    #[test]
    fn measured_beats_all(facts in prop::collection::vec(any_fact(), 0..80)) {
        let mut facts = facts;
        facts.extend((300..=400).map(|second| Fact::Reading(second, None, 0)));
        let lines = lines(&told(&facts), &Withheld::default(), &[KIND], (at(300), at(400)), at(1000));
        for line in lines {
            prop_assert!(line.stretches.iter().all(|one| one.class == Class::Measured), "{line:?}");
        }
    }
}

#[test]
fn a_planted_hole_and_a_planted_overlap_are_found() {
    let stretch = |from, to, class| Stretch {
        from: at(from),
        to: at(to),
        class,
        readings: 0,
    };
    let window = (at(0), at(30));
    let whole = [
        stretch(0, 10, Class::Measured),
        stretch(10, 20, Class::NotWorn),
        stretch(20, 30, Class::Awaited),
    ];
    assert_eq!(fault(&whole, window), None, "control");
    assert_eq!(fault(&[whole[0], whole[2]], window), Some("a hole"));
    let twice = [whole[0], stretch(5, 20, Class::NotWorn), whole[2]];
    assert_eq!(fault(&twice, window), Some("an overlap"));
    assert_eq!(
        fault(&whole[..2], window),
        Some("the sum is not the window")
    );
}

#[test]
fn what_is_kept_is_bounded_and_what_was_let_go_is_said() {
    let mut facts = SourceFacts::default();
    let mut stream = StreamFacts::default();
    let known = at(60_000);
    for n in 0..2000 {
        facts.reading(&reading(n * 30, None, 0), at(n * 30), known);
        facts.link(at(n * 30), Link::Connected);
        let gap = Gap {
            source: SOURCE,
            reason: 2,
            readings: 1,
            exact: true,
            from: at(n),
            to: at(n + 1),
        };
        stream.declare(&gap, known);
    }
    let kept = facts
        .kinds
        .values()
        .map(|of| of.measured.iter().len())
        .sum::<usize>();
    assert_eq!(
        (kept, facts.links.len(), stream.losses.len()),
        (runs::MOST, MOST_LINKS, MOST_LOSSES)
    );
    let mut streams = told(&[]);
    let one = Arc::make_mut(streams.get_mut(&StreamId([1; 16])).expect("just told"));
    one.devices.entry(SOURCE).or_default().facts = facts;
    let window = (at(60), at(2000 * 30));
    let lines = lines(
        &streams,
        &Withheld::default(),
        &[KIND],
        window,
        at(2000 * 30),
    );
    assert_eq!(
        lines[1].stretches[0].class,
        Class::Forgotten,
        "{:?}",
        lines[1].stretches[0]
    );
}
