//! Beats from light: found at any rate, refused under movement, in whatever blocks they come; what the models may say on
//! them, and what they may not.

use twin::alert::{Change, Condition, Priority};
use twin::canonical::{Canonical, read};
use twin::ppg::{Finder, Lead};
use twin::signal::{Beat, Counts, Reason, Window};
use twin::view::BeatView;
use vitals::gatt::Decimal;
use vitals::{Kind, Quality, Reading, SourceId, Span, Wave, Waveform};

use crate::ecg::beats_of;
use crate::shared::electric::{self, Match};
use crate::shared::optic::{self, Beside, Worn};
use crate::shared::{Chance, recorded, recordings};
use crate::support::{OXIMETER, STRAP, World, at, reading};

/// A block of counts that begins `micros` after the zero of the test.
fn block(sequence: u64, micros: f64, rate: f64, counts: &[f64]) -> Waveform {
    Waveform {
        wave: Wave::Photoplethysmogram,
        source: OXIMETER,
        sequence,
        start: at(0) + Span::from_micros(micros.round() as i64),
        received: at(0),
        rate_millihertz: (rate * 1000.0) as u32,
        channels: 1,
        step: Decimal {
            mantissa: 1,
            exponent: 0,
        },
        numbers: counts.iter().map(|x| x.round() as i32).collect(),
        quality: Quality::GOOD,
    }
}

fn blocks(signal: &[f64], rate: f64, size: usize) -> Vec<Waveform> {
    let cut = (0..).zip(signal.chunks(size));
    cut.map(|(n, counts)| block(n, (n as usize * size) as f64 / rate * 1e6, rate, counts))
        .collect()
}

/// True beats, and the light that they make.
fn light(seconds: f64, rate: f64, irregular: bool, worn: Worn) -> (Vec<f64>, Vec<f64>) {
    let mut chance = Chance(5);
    let truth = electric::beats(&mut chance, seconds, irregular);
    let signal = optic::signal(&mut chance, &truth, seconds, rate, worn);
    (truth, signal)
}

fn sinus(seconds: f64, rate: f64) -> (Vec<f64>, Vec<f64>) {
    light(seconds, rate, false, Worn::WELL)
}

struct Fed {
    live: Vec<Beat>,
    late: Vec<Beat>,
    windows: Vec<Window>,
    counts: Counts,
}

fn fed(blocks: &[Waveform]) -> Fed {
    let mut lead = Lead::default();
    let (mut live, mut late, mut windows) = (Vec::new(), Vec::new(), Vec::new());
    for taken in blocks
        .iter()
        .map(|block| lead.take(block, at(0)))
        .collect::<Vec<_>>()
        .into_iter()
        .chain([lead.finish()])
    {
        live.extend(taken.live);
        late.extend(taken.late);
        windows.extend(taken.windows);
    }
    Fed {
        live,
        late,
        windows,
        counts: lead.counts(),
    }
}

fn seconds(beats: &[Beat]) -> Vec<f64> {
    let of = |beat: &Beat| beat.at.since(at(0)).as_micros() as f64 / 1e6;
    beats.iter().map(of).collect()
}

fn refused(counts: &Counts, reason: Reason) -> u64 {
    counts.refused_ms[reason as usize] / 1000
}

#[test]
fn pulse_waves_are_found_at_any_rate_and_better_than_trivially() {
    for rate in [25.0, 28.0, 55.0, 130.0, 250.0] {
        for (irregular, told) in [(false, 0.99), (true, 0.7)] {
            let (truth, signal) = light(300.0, rate, irregular, Worn::WELL);
            let found = recorded::light(Finder::default(), &signal, rate);
            let of = Beside::of(&found, &truth);
            let name = format!("{rate} {irregular} {of:?} {}", found.told());
            assert!(of.believed >= 99.0 && found.told() >= told, "{name}");
            assert!(of.error < 13.0 && of.within >= 95.0, "{name}");
            let all = recorded::light(Finder::that_believes_all(), &signal, rate);
            let all = Beside::of(&all, &truth).all;
            let trivial = optic::trivial_beside(&signal, rate, &truth);
            assert!(
                all >= 99.0 && all > trivial + 10.0,
                "{name}: {all}, {trivial}"
            );
        }
    }
}

/// Light that comes back gets less when blood comes; a monitor turns it around.
#[test]
fn which_way_a_sensor_counts_changes_no_beat() {
    let (_, up) = sinus(60.0, 130.0);
    let down: Vec<f64> = up.iter().map(|value| 200_000.0 - value).collect();
    let (up, down) = (fed(&blocks(&up, 130.0, 73)), fed(&blocks(&down, 130.0, 73)));
    assert!(up.live.len() > 60);
    let of = |fed: &Fed| {
        fed.live
            .iter()
            .map(|b| (b.at, b.tenth_ms))
            .collect::<Vec<_>>()
    };
    assert_eq!(of(&up), of(&down));
}

#[test]
fn how_light_is_cut_changes_nothing() {
    let (_, signal) = light(60.0, 55.0, true, Worn::WELL);
    let whole = fed(&blocks(&signal, 55.0, signal.len()));
    for size in [1, 7, 73, 999] {
        let cut = fed(&blocks(&signal, 55.0, size));
        assert_eq!(cut.live.len(), whole.live.len(), "{size}");
        assert_eq!(cut.counts.told_ms, whole.counts.told_ms, "{size}");
        for (a, b) in cut.live.iter().zip(&whole.live) {
            assert_eq!((a.tenth_ms, a.quality), (b.tenth_ms, b.quality), "{size}");
        }
    }
}

#[test]
fn a_pulse_wave_is_said_in_time() {
    let (truth, signal) = sinus(40.0, 130.0);
    let mut lead = Lead::default();
    let mut said = 0;
    for (n, block) in blocks(&signal, 130.0, 1).iter().enumerate() {
        let now = n as f64 / 130.0;
        for beat in lead.take(block, at(0)).live {
            said += 1;
            let delay = now - seconds(&[beat])[0];
            let promised = twin::ppg::DELAY.as_micros() as f64 / 1e6;
            // The first eight seconds tell what waves are like.
            assert!(delay <= promised || now < 8.1, "{delay} at {now}");
        }
    }
    assert!(said + 8 >= truth.len(), "{said} of {}", truth.len());
}

/// From a slow heart to a fast one.
#[test]
fn pulses_are_found_from_thirty_to_a_hundred_and_eighty_a_minute() {
    for (rate, told) in [
        (30.0, 0.95),
        (40.0, 0.95),
        (60.0, 0.95),
        (100.0, 0.95),
        (140.0, 0.95),
        // Waves flow into each other.
        (180.0, 0.7),
    ] {
        let beats = (120.0 * rate / 60.0) as usize;
        let truth: Vec<f64> = (1..beats).map(|n| n as f64 * 60.0 / rate).collect();
        let signal = optic::signal(&mut Chance(31), &truth, 120.0, 55.0, Worn::WELL);
        let found = recorded::light(Finder::default(), &signal, 55.0);
        let of = Beside::of(&found, &truth);
        assert!(
            of.believed >= 99.0 && found.told() >= told,
            "{rate} {of:?} {} {:?}",
            found.told(),
            found.counts.refused_ms
        );
    }
}

#[test]
fn movement_is_refused_with_a_reason_and_what_is_left_is_right() {
    for irregular in [false, true] {
        let (truth, still) = light(600.0, 55.0, irregular, Worn::WELL);
        for times in [1.0, 3.0] {
            let mut signal = still.clone();
            let spans = optic::moved(&mut Chance(7), &mut signal, 55.0, times);
            let moved: f64 = spans.iter().map(|(from, to)| to - from).sum::<f64>() / 600.0;
            let found = recorded::light(Finder::default(), &signal, 55.0);
            let of = Beside::of(&found, &truth);
            let all = recorded::light(Finder::that_believes_all(), &signal, 55.0);
            let all = Beside::of(&all, &truth).all;
            let name = format!("{irregular} {times} {of:?} {} {all}", found.told());
            assert!(of.believed >= 98.0 && of.believed > all + 5.0, "{name}");
            assert!(
                found.told() <= 1.0 - moved && found.told() >= 0.25,
                "{name}"
            );
            assert!(refused(&found.counts, Reason::Disputed) > 60, "{name}");
        }
    }
}

/// No finger, and something that moves; a lamp that hums; a sensor in a drawer.
#[test]
fn nothing_is_found_where_there_is_no_pulse() {
    let none = |noise: f64| {
        let worn = Worn {
            noise,
            ..Worn::WELL
        };
        optic::signal(&mut Chance(9), &[], 600.0, 55.0, worn)
    };
    let mut moving = none(10.0);
    for value in &mut moving {
        *value += 1.0;
    }
    let still = moving.clone();
    optic::moved(&mut Chance(8), &mut moving, 55.0, 2.0);
    for (name, signal) in [("noise", none(300.0)), ("moving", moving), ("still", still)] {
        let found = recorded::light(Finder::default(), &signal, 55.0);
        assert!(
            found.told() <= 0.02,
            "{name}: {} {:?}",
            found.told(),
            found.counts
        );
    }
}

#[test]
fn what_is_flat_or_at_its_limit_is_held_and_gives_no_beat() {
    let (_, mut signal) = sinus(60.0, 130.0);
    signal[130 * 20..130 * 30].fill(90_000.0);
    let flat = fed(&blocks(&signal, 130.0, 65));
    let within = |from: f64, to: f64| {
        let times = seconds(&flat.live);
        times.iter().filter(|at| (from..to).contains(*at)).count()
    };
    assert_eq!(within(19.5, 30.5), 0);
    assert!(within(35.0, 55.0) > 20, "and afterwards it is as before");
    assert!(
        refused(&flat.counts, Reason::Held) >= 10,
        "{:?}",
        flat.counts
    );
    assert_eq!(flat.counts.stuck, 1300);
    // No interval spans it.
    let long = flat.live.iter().filter_map(|beat| beat.tenth_ms);
    assert!(long.max().is_some_and(|longest| longest < 10_000));
    // Too much light: where it wanders up, the tops of pulses are cut off.
    let (_, mut signal) = sinus(120.0, 130.0);
    for value in &mut signal {
        *value = value.min(100_300.0);
    }
    let clipped = fed(&blocks(&signal, 130.0, 65));
    assert!(
        refused(&clipped.counts, Reason::Held) > 50,
        "{:?}",
        clipped.counts
    );
    for at in seconds(&clipped.live) {
        let top = &signal[(at * 130.0) as usize..][..60];
        let cut = top.iter().filter(|value| **value >= 100_300.0).count();
        assert!(cut < 30, "a quarter of a second at {at}");
    }
    // Numbers that no sensor gives, and rates at which nothing can be seen.
    let (_, signal) = sinus(20.0, 130.0);
    let mut wild = blocks(&signal, 130.0, 130);
    for block in &mut wild {
        block.step.exponent = 120;
    }
    let wild = fed(&wild);
    assert_eq!((wild.live.len(), wild.counts.impossible), (0, 2600));
    let slow = fed(&blocks(&signal, 10.0, 10));
    assert_eq!((slow.live.len(), slow.counts.refused), (0, 260));
}

#[test]
fn a_lost_block_another_rate_and_what_comes_twice_or_late_are_told_apart() {
    let (truth, signal) = sinus(90.0, 50.0);
    let whole = blocks(&signal, 50.0, 50);
    let mut lost = whole.clone();
    lost.remove(40);
    let found = fed(&lost);
    assert_eq!(found.counts.runs, 2);
    let firsts = found.live.iter().filter(|beat| beat.tenth_ms.is_none());
    assert_eq!(firsts.count(), 2, "no interval spans the gap");
    let inside = |at: &f64| (39.5..41.5).contains(at);
    assert_eq!(
        seconds(&found.live).iter().filter(|at| inside(at)).count(),
        0
    );
    // Each block twice: nothing is counted twice.
    let twice: Vec<Waveform> = whole
        .iter()
        .flat_map(|block| [block.clone(), block.clone()])
        .collect();
    let found = fed(&twice);
    let of = Match::of(&seconds(&found.live), &seconds(&fed(&whole).live));
    assert_eq!((of.both, of.found), (of.truth, of.truth));
    // Live data first, then what waited.
    let (backlog, live) = whole.split_at(60);
    let order: Vec<Waveform> = live.iter().chain(backlog).cloned().collect();
    let found = fed(&order);
    assert_eq!((found.counts.late, found.counts.runs), (60, 2));
    let after = truth.iter().filter(|beat| **beat > 60.0).count();
    assert!(found.live.len() + 4 >= after && found.live.len() <= after);
    assert!(found.late.len() + 4 >= truth.len() - after);
    // Another rate begins a run.
    let mut list = whole.clone();
    for mut block in blocks(&sinus(20.0, 130.0).1, 130.0, 130) {
        block.start = block.start + Span::from_secs(90);
        block.sequence += 90;
        list.push(block);
    }
    let found = fed(&list);
    assert_eq!(found.counts.runs, 2);
    assert!(seconds(&found.live).iter().filter(|at| **at > 91.0).count() > 18);
}

/// Windows follow each other without a hole, and each is told or has a reason.
#[test]
fn all_of_the_time_is_told_or_refused() {
    let (_, mut signal) = light(120.0, 55.0, true, Worn::WELL);
    optic::moved(&mut Chance(7), &mut signal, 55.0, 3.0);
    let found = fed(&blocks(&signal, 55.0, 31));
    for pair in found.windows.windows(2) {
        assert_eq!(pair[0].to, pair[1].from);
    }
    let (first, last) = (found.windows[0], found.windows[found.windows.len() - 1]);
    assert_eq!(first.from, at(0));
    assert!(last.to.since(at(120)).as_secs_f64().abs() < 0.1, "{last:?}");
    let beats = found.live.iter();
    let outside = |beat: &&Beat| {
        let told = |window: &&Window| {
            window.refused.is_none() && window.from <= beat.at && beat.at < window.to
        };
        !found.windows.iter().any(|window| told(&window))
    };
    assert_eq!(beats.filter(outside).count(), 0);
    assert!(found.windows.iter().any(|window| window.refused.is_some()));
}

#[test]
fn its_state_reads_back_and_goes_on_the_same() {
    let (_, signal) = light(60.0, 55.0, true, Worn::WELL);
    let list = blocks(&signal, 55.0, 40);
    let mut lead = Lead::default();
    for block in &list {
        lead.take(block, at(0));
        let mut bytes = Vec::new();
        lead.encode(&mut bytes);
        assert!(bytes.len() < 8_000, "{} bytes", bytes.len());
        let copy: Lead = read(&bytes).expect("what was written");
        assert_eq!(copy, lead);
    }
}

/// Challenge 2015 a103l, 330 s: the reference are beats of our own QRS detection, where both leads have the same.
#[test]
fn the_light_of_a103l() {
    let folder = recordings().join("wfdb_sample");
    if !folder.exists() {
        println!("skipped: {} absent", folder.display());
        return;
    }
    let of = optic::challenge(&folder);
    println!("{of:?}");
    assert!(of.told >= 0.8, "{of:?}");
    assert!(of.beside.believed >= 99.0, "{of:?}");
    assert!(
        of.everything >= 96.0 && of.everything > of.trivial + 2.0,
        "{of:?}"
    );
    assert!(
        of.beside.error <= 20.0 && of.beside.within >= 95.0,
        "{of:?}"
    );
}

/// Gives a world a block a second, each known as it ends.
fn lit(world: &mut World, from: i64, blocks: Vec<Waveform>) -> Vec<BeatView> {
    let mut beats = Vec::new();
    for (second, mut block) in (from + 1..).zip(blocks) {
        block.start = block.start + Span::from_secs(from);
        block.received = at(second);
        beats.extend(beats_of(world, at(second), vec![block]));
        world.tick(second);
    }
    beats
}

fn by_light(seconds: f64, irregular: bool) -> Vec<Waveform> {
    blocks(&light(seconds, 50.0, irregular, Worn::WELL).1, 50.0, 50)
}

const FIBRILLATION: Condition = Condition::AtrialFibrillation;

#[test]
fn fibrillation_by_light_alone_is_told_low_and_as_what_it_is() {
    let mut world = World::new();
    let beats = lit(&mut world, 0, by_light(240.0, true));
    assert!(
        beats
            .iter()
            .all(|beat| beat.counts && beat.wave == Wave::Photoplethysmogram)
    );
    assert_eq!(world.count(FIBRILLATION, Change::Raised), 1);
    let change = world
        .changes
        .iter()
        .find(|change| change.alert.condition == FIBRILLATION);
    let alert = &change.expect("raised").alert;
    assert_eq!(alert.priority, Priority::Low);
    assert_eq!(alert.model, twin::rhythm::LIGHT_MODEL);
    assert!(alert.summary.contains("pulse intervals") && alert.summary.contains("light alone"));
    let evidence = &alert.evidence[0];
    assert_eq!(evidence.kind, Some(Kind::PulseInterval));
    assert!(evidence.quality.has(Quality::QUESTIONABLE));
    // It held for a minute, not for half of one.
    assert!(
        alert.raised.since(at(60)) > Span::ZERO,
        "{:?}",
        alert.raised
    );
}

#[test]
fn a_sinus_rhythm_and_movement_raise_nothing() {
    let mut world = World::new();
    let beats = lit(&mut world, 0, by_light(300.0, false));
    assert!(beats.len() > 330);
    assert!(!world.twin.rhythm().fibrillation);
    assert_eq!(physiological(&world), 0, "{:#?}", world.changes);
    for (irregular, times) in [(false, 0.5), (false, 1.0), (false, 3.0)] {
        let (_, mut signal) = light(900.0, 50.0, irregular, Worn::WELL);
        optic::moved(&mut Chance(7), &mut signal, 50.0, times);
        let mut world = World::new();
        lit(&mut world, 0, blocks(&signal, 50.0, 50));
        assert_eq!(physiological(&world), 0, "{times} {:#?}", world.changes);
    }
}

/// One beat in ten early, with the pause that makes up for it: irregular, and not as fibrillation is. Under movement, where what
/// is seen of it is torn to pieces, the same model calls it fibrillation if nothing is refused (`evaluate --only beats`).
#[test]
fn early_beats_are_not_told_as_fibrillation_not_even_under_movement() {
    for seed in 1..=4 {
        let mut chance = Chance(seed);
        let (mut truth, mut at_second, mut early) = (Vec::new(), 0.5, false);
        while at_second < 899.0 {
            truth.push(at_second);
            let premature = !early && chance.uniform() < 0.1;
            let factor = match (premature, early) {
                (true, _) => 0.6,
                (false, true) => 1.4,
                (false, false) => 1.0,
            };
            let breath = 0.03 * libm::sin(1.6 * at_second);
            at_second += factor * (0.85 + breath + 0.006 * chance.normal());
            early = premature;
        }
        let mut signal = optic::signal(&mut chance, &truth, 900.0, 50.0, Worn::WELL);
        if seed > 1 {
            optic::moved(&mut chance, &mut signal, 50.0, f64::from(seed as u32));
        }
        let mut world = World::new();
        let beats = lit(&mut world, 0, blocks(&signal, 50.0, 50));
        assert!(beats.len() > 250, "{seed}: {}", beats.len());
        assert_eq!(world.count(FIBRILLATION, Change::Raised), 0, "{seed}");
    }
}

fn physiological(world: &World) -> usize {
    let of = |change: &&twin::AlertChange| {
        change.alert.condition.category() == twin::Category::Physiological
    };
    world.changes.iter().filter(of).count()
}

/// A finger that is let go, pressed or cold for some seconds loses waves: never a pause, let alone an asystole.
#[test]
fn a_pulse_that_is_lost_is_no_pause() {
    for silence in [3.2, 4.5, 8.0, 20.0] {
        let first = (1..60).map(f64::from);
        let truth: Vec<f64> = first
            .chain((0..120).map(|n| 59.0 + silence + f64::from(n)))
            .collect();
        let signal = optic::signal(&mut Chance(3), &truth, 180.0, 50.0, Worn::WELL);
        let mut world = World::new();
        let beats = lit(&mut world, 0, blocks(&signal, 50.0, 50));
        assert!(beats.len() > 120, "{silence} {}", beats.len());
        assert_eq!(
            world.count(Condition::HeartPause, Change::Raised),
            0,
            "{silence}"
        );
        let counts = world.twin.ppg_counts()[0].2;
        assert!(
            refused(&counts, Reason::NoPulse) + refused(&counts, Reason::Disputed) >= 2,
            "{silence} {counts:?}"
        );
        let longest = beats.iter().filter_map(|beat| beat.beat.tenth_ms).max();
        assert!(longest < Some(30_000), "{silence} {longest:?}");
    }
}

#[test]
fn a_pulse_rate_is_read_from_light_where_nobody_tells_one() {
    let mut world = World::new();
    lit(&mut world, 0, by_light(60.0, false));
    let value = |world: &World, wanted: Kind| {
        let channel = world
            .twin
            .channels()
            .into_iter()
            .find(|view| view.kind == wanted);
        channel.and_then(|view| view.value)
    };
    let rate = value(&world, Kind::PulseRate).expect("told");
    assert!((rate - 75.0).abs() <= 4.0, "{rate}");
    assert_eq!(
        value(&world, Kind::HeartRate),
        None,
        "waves are no heart beats"
    );
    for told in [Kind::HeartRate, Kind::PulseRate] {
        let mut world = World::new();
        for (second, block) in (1..).zip(by_light(60.0, false)) {
            world.readings(second, vec![reading(STRAP, told, second, 90.0)]);
            beats_of(&mut world, at(second), vec![block]);
        }
        let channels = world.twin.channels();
        let of = |kind| {
            channels
                .iter()
                .find(|view| view.kind == kind)
                .map(|view| view.count)
        };
        assert_eq!(of(told), Some(60));
        assert_eq!(channels.len(), 1, "{told:?}");
    }
}

fn interval(second: i64, ms: f64) -> Reading {
    Reading {
        sequence: second as u64,
        ..reading(STRAP, Kind::RrInterval, second, ms)
    }
}

#[test]
fn a_heart_with_strap_and_light_is_counted_once_and_they_do_not_take_turns() {
    let mut world = World::new();
    let mut list = by_light(180.0, true).into_iter();
    let mut counted = 0;
    for (second, block) in (1..=60).zip(&mut list) {
        world.live([interval(second, 1000.0)]);
        let beats = beats_of(&mut world, at(second) + Span::from_millis(500), vec![block]);
        counted += beats.iter().filter(|beat| beat.counts).count();
    }
    assert_eq!(counted, 0, "the strap's intervals count");
    let mut first = None;
    for (second, block) in (61..=120).zip(&mut list) {
        let beats = beats_of(&mut world, at(second) + Span::from_millis(500), vec![block]);
        first = first.or_else(|| beats.iter().find(|beat| beat.counts).map(|b| b.beat.at));
    }
    let wait = first.expect("it takes over").since(at(60));
    assert!(
        wait >= Span::from_secs(10) && wait < Span::from_secs(16),
        "{wait:?}"
    );
    // A strap that comes back takes its place at once, and what light still says of before changes nothing.
    for (second, block) in (121..=150).zip(&mut list) {
        world.live([interval(second, 1000.0)]);
        let beats = beats_of(&mut world, at(second) + Span::from_millis(500), vec![block]);
        assert!(beats.iter().all(|beat| !beat.counts), "{second}");
    }
    assert_eq!(world.twin.rhythm().finding, "not enough beats");
}

/// A watch on the wrist and a clip on the finger: one of them counts, and the other when that one is silent.
#[test]
fn two_lights_do_not_take_turns() {
    let mut world = World::new();
    let (mut counted, mut first) = ([0, 0], None);
    for (second, block) in (1..).zip(by_light(150.0, true)) {
        let other = Waveform {
            source: SourceId(3),
            ..block.clone()
        };
        let both = if second <= 100 {
            vec![block, other]
        } else {
            vec![other]
        };
        for beat in beats_of(&mut world, at(second), both)
            .iter()
            .filter(|beat| beat.counts)
        {
            let clip = beat.source == SourceId(3);
            counted[usize::from(clip)] += 1;
            if clip {
                first = first.or(Some(beat.beat.at));
            }
        }
    }
    assert!(counted[0] > 80, "{counted:?}");
    let first = first.expect("the other takes over").since(at(100));
    assert!(
        first > Span::from_secs(4) && first < Span::from_secs(25),
        "{first:?}"
    );
    assert_eq!(world.count(FIBRILLATION, Change::Raised), 1);
}

#[test]
fn what_light_said_is_confirmed_by_a_strap_and_what_a_strap_said_is_not_taken_back() {
    let mut world = World::new();
    lit(&mut world, 0, by_light(200.0, true));
    assert_eq!(world.count(FIBRILLATION, Change::Raised), 1);
    let mut chance = Chance(4);
    let mut due = 201_000.0;
    for number in 0..150 {
        let ms = 450.0 + 500.0 * chance.uniform();
        due += ms;
        let second = (due / 1000.0) as i64;
        world.live([Reading {
            sequence: 1000 + number,
            effective: at(0) + Span::from_millis(due as i64),
            ..interval(second, ms.round())
        }]);
    }
    let last = world
        .changes
        .iter()
        .rfind(|change| change.alert.condition == FIBRILLATION);
    let last = last.expect("it was told");
    assert_eq!(
        (last.what, last.alert.priority),
        (Change::Updated, Priority::Medium)
    );
    assert_eq!(last.alert.model, twin::rhythm::MODEL);
    // The strap is taken off; light sees a regular pulse for three minutes.
    let second = (due / 1000.0) as i64 + 2;
    lit(&mut world, second, by_light(180.0, false));
    assert_eq!(world.count(FIBRILLATION, Change::Resolved), 0);
    // The strap sees it, too: now it is over.
    for number in 0..120 {
        world.live([interval(second + 200 + number, 1000.0)]);
    }
    assert_eq!(world.count(FIBRILLATION, Change::Resolved), 1);
}

#[test]
fn what_light_said_light_takes_back() {
    let mut world = World::new();
    lit(&mut world, 0, by_light(200.0, true));
    lit(&mut world, 200, by_light(200.0, false));
    assert_eq!(world.count(FIBRILLATION, Change::Raised), 1);
    assert_eq!(world.count(FIBRILLATION, Change::Resolved), 1);
}

/// A step looks like a pulse: while steps are counted, light says nothing of the heart.
#[test]
fn light_says_nothing_while_somebody_walks() {
    let mut world = World::new();
    let mut counted = 0;
    for (second, block) in (1..).zip(by_light(200.0, true)) {
        if second % 10 == 0 {
            world.readings(
                second,
                vec![reading(STRAP, Kind::StepCount, second, (second * 2) as f64)],
            );
        }
        let beats = beats_of(&mut world, at(second), vec![block]);
        if second > 40 {
            counted += beats.iter().filter(|beat| beat.counts).count();
        }
    }
    assert_eq!(counted, 0);
    assert_eq!(world.count(FIBRILLATION, Change::Raised), 0);
}

#[test]
fn fibrillation_in_light_that_came_late_is_a_finding_that_says_so() {
    let mut world = World::new();
    let late = by_light(300.0, true);
    beats_of(&mut world, at(3600), late);
    world.tick(5000);
    assert_eq!(world.count(FIBRILLATION, Change::Raised), 0);
    assert_eq!(world.count(FIBRILLATION, Change::Finding), 1);
    let finding = world
        .changes
        .iter()
        .find(|change| change.what == Change::Finding);
    let alert = &finding.expect("found").alert;
    assert_eq!(
        (alert.priority, alert.model),
        (Priority::Low, twin::rhythm::LIGHT_MODEL)
    );
    assert!(
        alert.summary.starts_with("Pulse intervals looked like"),
        "{}",
        alert.summary
    );
}
