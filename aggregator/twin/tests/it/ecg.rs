//! Beats from electrocardiograms: found at any rate and under noise, in whatever blocks they come; counted where blocks are
//! late, missing, doubled, stuck or useless; and never counted beside a strap's intervals.

use twin::alert::{Change, Condition};
use twin::ecg::{Beat, Counts, Lead};
use twin::event::Link;
use twin::view::BeatView;
use twin::{Effect, Event, step};
use vitals::gatt::Decimal;
use vitals::{Kind, Quality, Reading, Span, Time, Wave, Waveform};

use crate::shared::electric::{self, Match};
use crate::shared::{Chance, recorded, recordings};
use crate::support::{STRAP, STREAM, World, at, batch, reading, report};

/// A block of microvolts that begins `micros` after the zero of the test.
fn block(sequence: u64, micros: f64, rate: f64, microvolts: &[f64]) -> Waveform {
    Waveform {
        wave: Wave::Ecg,
        source: STRAP,
        sequence,
        start: at(0) + Span::from_micros(micros.round() as i64),
        received: at(0),
        rate_millihertz: (rate * 1000.0) as u32,
        channels: 1,
        step: Decimal {
            mantissa: 1,
            exponent: -1,
        },
        numbers: microvolts
            .iter()
            .map(|x| (x * 10.0).round() as i32)
            .collect(),
        quality: Quality::GOOD,
    }
}

/// A signal in blocks of so many samples.
fn blocks(signal: &[f64], rate: f64, size: usize) -> Vec<Waveform> {
    let cut = (0..).zip(signal.chunks(size));
    cut.map(|(n, samples)| {
        let micros = (n as usize * size) as f64 / rate * 1e6;
        block(n, micros, rate, samples)
    })
    .collect()
}

fn sinus(seconds: f64, rate: f64) -> (Vec<f64>, Vec<f64>) {
    let mut chance = Chance(3);
    let truth = electric::beats(&mut chance, seconds, false);
    let signal = electric::signal(&mut chance, &truth, seconds, rate);
    (truth, signal)
}

fn fed(blocks: &[Waveform]) -> (Vec<Beat>, Vec<Beat>, Counts) {
    let mut lead = Lead::default();
    let (mut live, mut late) = (Vec::new(), Vec::new());
    for block in blocks {
        let taken = lead.take(block, at(0));
        live.extend(taken.live);
        late.extend(taken.late);
    }
    let taken = lead.finish();
    live.extend(taken.live);
    late.extend(taken.late);
    (live, late, lead.counts())
}

fn seconds(beats: &[Beat]) -> Vec<f64> {
    let of = |beat: &Beat| beat.at.since(at(0)).as_micros() as f64 / 1e6;
    beats.iter().map(of).collect()
}

#[test]
fn beats_are_found_at_any_rate() {
    for rate in [125.0, 130.0, 200.0, 250.0, 333.0, 500.0] {
        for irregular in [false, true] {
            let mut chance = Chance(5);
            let truth = electric::beats(&mut chance, 60.0, irregular);
            let signal = electric::signal(&mut chance, &truth, 60.0, rate);
            let (found, _, counts) = fed(&blocks(&signal, rate, 73));
            let of = Match::of(&seconds(&found), &truth);
            assert_eq!(
                (of.found, of.both),
                (truth.len(), truth.len()),
                "{rate} {of:?}"
            );
            assert!(of.interval_jitter < 1.5, "{rate} {of:?}");
            let said = seconds(&found);
            let both = found.iter().zip(&said).zip(&truth);
            for ((beat, said), real) in both.skip(1) {
                assert!((said - real).abs() < 0.012, "{rate}: {said} for {real}");
                assert!(beat.quality > 0.7, "{rate} {beat:?}");
            }
            assert_eq!((counts.runs, counts.late, counts.bridged), (1, 0, 0));
        }
    }
}

#[test]
fn muscle_noise_as_strong_as_the_signal_is_borne_and_doubted() {
    let (truth, mut signal) = sinus(300.0, 250.0);
    let bursts = electric::bursts(&mut Chance(7), &mut signal, 250.0, (20.0, 120.0));
    let (found, _, _) = fed(&blocks(&signal, 250.0, 100));
    let of = Match::of(&seconds(&found), &truth);
    assert!(of.f1() >= 97.5, "{} {of:?}", of.f1());
    let doubted = |(from, to): &&(f64, f64)| {
        let within = found.iter().zip(seconds(&found));
        within
            .filter(|(_, at)| (*from..*to).contains(at))
            .any(|(beat, _)| beat.quality < twin::ecg::DOUBTFUL)
    };
    let flagged = bursts.iter().filter(doubted).count();
    assert!(
        flagged * 100 >= bursts.len() * 95,
        "{flagged} of {}",
        bursts.len()
    );
}

#[test]
fn how_a_signal_is_cut_changes_nothing() {
    let (_, signal) = sinus(40.0, 130.0);
    let (whole, ..) = fed(&blocks(&signal, 130.0, signal.len()));
    for size in [1, 7, 73, 999] {
        let (cut, ..) = fed(&blocks(&signal, 130.0, size));
        assert_eq!(cut.len(), whole.len());
        for (a, b) in cut.iter().zip(&whole) {
            assert_eq!((a.tenth_ms, a.quality), (b.tenth_ms, b.quality), "{size}");
            // Starts are whole microseconds.
            assert!(a.at.since(b.at).max(b.at.since(a.at)) <= Span::from_micros(2));
        }
    }
}

/// The delay that is promised: no beat is said later than that after it.
#[test]
fn a_beat_is_said_in_time() {
    let (truth, signal) = sinus(30.0, 250.0);
    let mut lead = Lead::default();
    let mut said = 0;
    for (n, block) in blocks(&signal, 250.0, 1).iter().enumerate() {
        let now = n as f64 / 250.0;
        for beat in lead.take(block, at(0)).live {
            said += 1;
            let delay = now - seconds(&[beat])[0];
            // The first two seconds tell what beats are like.
            let promised = twin::ecg::DELAY.as_micros() as f64 / 1e6;
            assert!(delay <= promised || now < 2.1, "{delay} at {now}");
        }
    }
    assert!(said + 3 >= truth.len(), "{said} of {}", truth.len());
}

#[test]
fn stamps_that_tremble_do_not_reach_the_intervals() {
    let (_, signal) = sinus(40.0, 130.0);
    let mut list = blocks(&signal, 130.0, 73);
    let (steady, ..) = fed(&list);
    let mut chance = Chance(9);
    for block in &mut list {
        block.start = block.start + Span::from_millis((80.0 * chance.uniform()) as i64);
    }
    let (trembling, _, counts) = fed(&list);
    let intervals = |of: &[Beat]| of.iter().map(|beat| beat.tenth_ms).collect::<Vec<_>>();
    assert_eq!(intervals(&trembling), intervals(&steady));
    assert_eq!(counts.runs, 1);
}

#[test]
fn a_missing_block_ends_a_run_and_a_few_missing_samples_do_not() {
    let (truth, signal) = sinus(60.0, 250.0);
    let mut list = blocks(&signal, 250.0, 250);
    list.remove(30);
    let (found, _, counts) = fed(&list);
    assert_eq!(counts.runs, 2);
    let without: Vec<f64> = truth
        .iter()
        .copied()
        .filter(|beat| !(29.9..31.1).contains(beat))
        .collect();
    let of = Match::of(&seconds(&found), &without);
    assert!(of.both + 1 >= without.len(), "{of:?}");
    let firsts = found.iter().filter(|beat| beat.tenth_ms.is_none()).count();
    assert_eq!(firsts, 2, "no interval spans the gap");
    assert!(
        found
            .iter()
            .filter_map(|beat| beat.tenth_ms)
            .all(|rr| rr < 10_000)
    );
    // Ten samples are missing at the end of a block.
    let mut list = blocks(&signal, 250.0, 250);
    list[30].numbers.truncate(240);
    list[31].sequence += 1;
    let (_, _, counts) = fed(&list);
    assert_eq!((counts.runs, counts.bridged), (1, 10));
}

#[test]
fn what_comes_twice_is_not_counted_twice() {
    let (truth, signal) = sinus(60.0, 250.0);
    let mut list = blocks(&signal, 250.0, 250);
    // A block that repeats the last half second of the one before.
    let again = &signal[20 * 250 - 125..21 * 250];
    list[20] = block(99, 20.0 * 1e6 - 0.5 * 1e6, 250.0, again);
    let (found, late, counts) = fed(&list);
    assert_eq!((counts.overlapped, counts.runs), (125, 1));
    assert_eq!((found.len(), late.len()), (truth.len(), 0));
}

#[test]
fn late_blocks_are_looked_at_apart() {
    let (truth, signal) = sinus(90.0, 250.0);
    let list = blocks(&signal, 250.0, 250);
    let (backlog, live) = list.split_at(60);
    // Live data first, then what waited.
    let order: Vec<Waveform> = live.iter().chain(backlog).cloned().collect();
    let (now, past, counts) = fed(&order);
    assert_eq!((counts.late, counts.runs), (60, 2));
    let after = truth.iter().filter(|beat| **beat > 60.0).count();
    assert!(
        now.len() + 1 >= after && now.len() <= after,
        "{}",
        now.len()
    );
    assert!(past.len() + 1 >= truth.len() - after, "{}", past.len());
    let numbers: std::collections::BTreeSet<_> = now.iter().map(|beat| beat.run).collect();
    assert!(past.iter().all(|beat| !numbers.contains(&beat.run)));
}

#[test]
fn what_is_flat_at_its_limit_or_useless_gives_no_beats_and_is_counted() {
    let flat = vec![0.0; 250 * 20];
    let (found, _, counts) = fed(&blocks(&flat, 250.0, 250));
    assert!(found.is_empty() && counts.stuck == 5000, "{counts:?}");
    // The amplifier at its limit for five seconds.
    let (_, mut signal) = sinus(40.0, 250.0);
    signal[5000..6250].fill(3000.0);
    let (found, _, counts) = fed(&blocks(&signal, 250.0, 250));
    assert_eq!(counts.stuck, 1250);
    let within = seconds(&found)
        .iter()
        .filter(|at| (20.3..24.7).contains(*at))
        .count();
    assert_eq!(within, 0);
    let after = seconds(&found).iter().filter(|at| **at > 26.0).count();
    assert!(after >= 16, "{after} beats after it");
    // Rates at which nothing can be found, and numbers that no electrode gives.
    let (_, signal) = sinus(10.0, 50.0);
    let (found, _, counts) = fed(&blocks(&signal, 50.0, 50));
    assert_eq!((found.len(), counts.refused, counts.blocks), (0, 10, 0));
    let mut wild = blocks(&signal, 250.0, 250);
    for block in &mut wild {
        block.step.exponent = 120;
    }
    let (found, _, counts) = fed(&wild);
    assert_eq!((found.len(), counts.impossible), (0, signal.len() as u64));
}

#[test]
fn another_rate_begins_a_run() {
    let (_, first) = sinus(20.0, 130.0);
    let (_, second) = sinus(20.0, 250.0);
    let mut list = blocks(&first, 130.0, 130);
    for mut block in blocks(&second, 250.0, 250) {
        block.start = block.start + Span::from_secs(20);
        block.sequence += 20;
        list.push(block);
    }
    let (found, _, counts) = fed(&list);
    assert_eq!(counts.runs, 2);
    assert!(found.len() > 40, "{}", found.len());
}

pub(crate) fn beats_of(world: &mut World, known: Time, waveforms: Vec<Waveform>) -> Vec<BeatView> {
    let number = 10_000 + world.log.len() as u64;
    let event = Event::Batch(twin::event::Batch {
        waveforms,
        ..batch(number, Vec::new())
    });
    let mut out = Vec::new();
    step(&mut world.twin, &event, known, &mut out);
    world.log.push((known, event));
    let mut beats = Vec::new();
    for effect in out {
        match effect {
            Effect::Beat(beat) => beats.push(*beat),
            Effect::Alert(change) => world.changes.push(*change),
            Effect::TwinChanged => {}
        }
    }
    beats
}

fn fibrillating(seconds: f64) -> Vec<Waveform> {
    let mut chance = Chance(21);
    let truth = electric::beats(&mut chance, seconds, true);
    blocks(
        &electric::signal(&mut chance, &truth, seconds, 130.0),
        130.0,
        130,
    )
}

#[test]
fn fibrillation_in_an_electrocardiogram_raises_the_alert() {
    let mut world = World::new();
    for (second, block) in (1..).zip(fibrillating(120.0)) {
        let beats = beats_of(&mut world, at(second), vec![block]);
        assert!(
            beats
                .iter()
                .all(|beat| beat.counts && beat.rhythm.is_some())
        );
    }
    assert_eq!(
        world.count(Condition::AtrialFibrillation, Change::Raised),
        1
    );
    assert!(world.twin.rhythm().fibrillation);
    // The last beats are said when no more comes.
    let before = world.twin.ecg_counts()[0].2.beats;
    world.tick(140);
    assert!(world.twin.ecg_counts()[0].2.beats > before);
}

/// A block that reaches from what another person wore into what the patient did is left out whole.
#[test]
fn beats_of_another_person_are_found_in_no_block_that_is_theirs_in_part() {
    let with = |voids: &[(f64, f64)]| {
        let mut world = World::new();
        for (from, to) in voids {
            let time = |seconds: f64| at(0) + Span::from_micros((seconds * 1e6) as i64);
            world.event(
                1,
                Event::Voided(twin::event::Void {
                    stream: STREAM,
                    source: STRAP,
                    from: time(*from),
                    to: time(*to),
                }),
            );
        }
        for (second, block) in (2..).zip(fibrillating(40.0)) {
            beats_of(&mut world, at(second), vec![block]);
        }
        let counters = world.twin.counters();
        (counters.blocks_applied, counters.blocks_quarantined)
    };
    assert_eq!(with(&[]), (40, 0), "control");
    assert_eq!(with(&[(10.0, 12.0)]), (38, 2), "to the sample");
    assert_eq!(with(&[(10.5, 12.0)]), (38, 2), "it begins before");
    assert_eq!(with(&[(10.0, 11.5)]), (38, 2), "it ends after");
}

/// A heart that beats steadily, so many times a minute.
fn steady(rate: f64, seconds: f64) -> Vec<Waveform> {
    let beats = (seconds * rate / 60.0) as usize;
    let truth: Vec<f64> = (1..beats).map(|n| n as f64 * 60.0 / rate).collect();
    let signal = electric::signal(&mut Chance(31), &truth, seconds, 130.0);
    blocks(&signal, 130.0, 130)
}

fn told(world: &mut World, blocks: Vec<Waveform>) {
    for (second, mut block) in (1..).zip(blocks) {
        block.received = at(second);
        beats_of(world, at(second), vec![block]);
        world.tick(second);
    }
}

/// From the slowest heart that is alive to the fastest, also where the first seconds hold no beat at all.
#[test]
fn beats_are_found_from_twenty_to_two_hundred_and_twenty_a_minute() {
    for rate in [20.0, 28.0, 35.0, 45.0, 60.0, 100.0, 145.0, 180.0, 220.0] {
        let (found, ..) = fed(&steady(rate, 60.0));
        assert_eq!(found.len() + 1, rate as usize, "{rate}");
        assert!(found.iter().all(|beat| beat.quality > 0.5), "{rate}");
    }
}

/// A block of the conduction: from one beat to the next the heart is slow. And a signal that is six times as high from
/// one moment to the next, because an electrode was moved.
#[test]
fn a_heart_that_slows_at_once_and_a_signal_that_grows_at_once_are_followed() {
    let fast = (1..72).map(f64::from).map(|n| n * 60.0 / 72.0);
    let slow = (1..30).map(|n| 60.0 + 2.2 * f64::from(n));
    let truth: Vec<f64> = fast.chain(slow).collect();
    let mut signal = electric::signal(&mut Chance(33), &truth, 126.0, 250.0);
    let (found, ..) = fed(&blocks(&signal, 250.0, 250));
    let of = Match::of(&seconds(&found), &truth);
    assert_eq!((of.found, of.both), (truth.len(), truth.len()), "{of:?}");
    for value in &mut signal[30 * 250..] {
        *value *= 6.0;
    }
    let (found, ..) = fed(&blocks(&signal, 250.0, 250));
    let of = Match::of(&seconds(&found), &truth);
    assert!(
        of.both + 8 >= truth.len() && of.found <= truth.len() + 8,
        "{of:?}"
    );
    let last = seconds(&found).into_iter().filter(|at| *at > 40.0).count();
    let real = truth.iter().filter(|at| **at > 40.0).count();
    assert_eq!(last, real, "ten seconds later it is as before");
}

/// A patch that sends an electrocardiogram and nothing else is watched like a strap.
#[test]
fn a_heart_rate_is_read_from_an_electrocardiogram_and_watched() {
    for (rate, condition) in [
        (35.0, Some(Condition::HeartRateLow)),
        (72.0, None),
        (145.0, Some(Condition::HeartRateHigh)),
    ] {
        let mut world = World::new();
        told(&mut world, steady(rate, 150.0));
        let mut view = world.twin.channels().into_iter();
        let channel = view.find(|view| view.kind == Kind::HeartRate);
        let value = channel.and_then(|view| view.value).expect("told");
        assert!((value - rate).abs() <= 1.0, "{value} for {rate}");
        for other in [Condition::HeartRateLow, Condition::HeartRateHigh] {
            let raised = world.count(other, Change::Raised);
            assert_eq!(raised, usize::from(condition == Some(other)), "{rate}");
        }
    }
}

/// What an hour in the gateway's buffer holds is a finding.
#[test]
fn a_slow_heart_in_a_late_electrocardiogram_is_a_finding() {
    let mut world = World::new();
    let late = steady(35.0, 120.0);
    beats_of(&mut world, at(3600), late);
    world.tick(3800);
    assert_eq!(world.count(Condition::HeartRateLow, Change::Finding), 1);
    assert_eq!(world.count(Condition::HeartRateLow, Change::Raised), 0);
}

/// Where a sensor tells the rate itself, beats add nothing to it.
#[test]
fn a_rate_that_is_told_is_not_read_from_beats() {
    let mut world = World::new();
    for (second, block) in (1..).zip(steady(145.0, 120.0)) {
        world.readings(second, vec![reading(STRAP, Kind::HeartRate, second, 90.0)]);
        beats_of(&mut world, at(second), vec![block]);
    }
    assert_eq!(world.count(Condition::HeartRateHigh, Change::Raised), 0);
    let mut view = world.twin.channels().into_iter();
    let rates = view.find(|view| view.kind == Kind::HeartRate);
    assert_eq!(rates.map(|view| view.count), Some(120));
}

/// A patch is missed when it falls silent, and reported when its electrode is off.
#[test]
fn a_patch_that_falls_silent_or_goes_flat_is_reported() {
    let patch = || {
        let mut world = World::new();
        let devices = vec![report(STRAP, Link::Connected, 0)];
        world.send(
            0,
            twin::event::Batch {
                devices,
                ..batch(0, Vec::new())
            },
        );
        world
    };
    let mut world = patch();
    told(&mut world, steady(72.0, 60.0));
    for second in 61..240 {
        world.heartbeat(second, second);
        world.tick(second);
    }
    assert_eq!(world.count(Condition::DeviceSilent, Change::Raised), 1);
    let mut world = patch();
    let mut list = steady(72.0, 180.0);
    for block in &mut list[60..150] {
        block.numbers.fill(7);
    }
    told(&mut world, list);
    assert_eq!(world.count(Condition::SensorOff, Change::Raised), 1);
    assert_eq!(world.count(Condition::SensorOff, Change::Resolved), 1);
    assert_eq!(world.count(Condition::HeartRateLow, Change::Raised), 0);
}

#[test]
fn a_heart_with_strap_and_electrocardiogram_is_counted_once() {
    let interval = |second: i64| Reading {
        sequence: second as u64,
        ..reading(STRAP, Kind::RrInterval, second, 1000.0)
    };
    let mut world = World::new();
    let mut list = fibrillating(120.0).into_iter();
    let mut counted = 0;
    for (second, block) in (1..=60).zip(&mut list) {
        world.live([interval(second)]);
        let beats = beats_of(&mut world, at(second) + Span::from_secs(1), vec![block]);
        counted += beats.iter().filter(|beat| beat.counts).count();
    }
    assert_eq!(counted, 0, "the strap's intervals count");
    // The strap falls silent: ten seconds later the ECG takes its place.
    let mut first = None;
    for (second, block) in (61..).zip(list) {
        let beats = beats_of(&mut world, at(second) + Span::from_secs(1), vec![block]);
        first = first.or_else(|| beats.iter().find(|beat| beat.counts).map(|b| b.beat.at));
    }
    let first = first.expect("it takes over");
    let wait = first.since(at(60));
    assert!(
        wait >= Span::from_secs(10) && wait < Span::from_secs(12),
        "{wait:?}"
    );
    // And it gives it back.
    world.live((122..125).map(interval));
    assert_eq!(world.twin.rhythm().finding, "not enough beats");
}

/// A patch and a Holter: one of them counts, and the other when that one is silent.
#[test]
fn two_electrocardiograms_do_not_take_turns() {
    let mut world = World::new();
    let mut counted = [0, 0];
    for (second, block) in (1..).zip(fibrillating(120.0)) {
        let other = Waveform {
            source: crate::support::OXIMETER,
            ..block.clone()
        };
        let both = if second <= 90 {
            vec![block, other]
        } else {
            vec![other]
        };
        let beats = beats_of(&mut world, at(second), both);
        for beat in beats.iter().filter(|beat| beat.counts) {
            counted[usize::from(beat.source != STRAP)] += 1;
        }
    }
    assert!(counted[0] > 120 && counted[1] > 20, "{counted:?}");
    assert_eq!(
        world.count(Condition::AtrialFibrillation, Change::Raised),
        1
    );
}

#[test]
fn a_block_outside_the_assignment_is_set_aside() {
    let mut world = World::new();
    let mut block = fibrillating(3.0).remove(0);
    block.start = at(-60);
    assert!(beats_of(&mut world, at(5), vec![block.clone()]).is_empty());
    block.start = at(86_400 * 3);
    beats_of(&mut world, at(6), vec![block]);
    let counters = world.twin.counters();
    assert_eq!(
        (counters.blocks_quarantined, counters.blocks_applied),
        (2, 0)
    );
    assert!(world.twin.ecg_counts().is_empty());
}

#[test]
fn the_reference_beats_of_mitdb_100() {
    let folder = recordings().join("wfdb_sample");
    if !folder.exists() {
        println!("skipped: {} absent", folder.display());
        return;
    }
    let (signal, truth) = recorded::mitdb(&folder);
    let truth: Vec<f64> = truth.iter().map(|sample| *sample as f64 / 360.0).collect();
    assert_eq!(truth.len(), 2273, "the annotations are read");
    let found = recorded::beats(&signal, 360.0);
    let micros = |beat: &Beat| beat.at.as_micros() as f64 / 1e6;
    let of = Match::of(&found.iter().map(micros).collect::<Vec<_>>(), &truth);
    assert!(of.f1() >= 99.9, "{} {of:?}", of.f1());
    assert!(of.jitter <= 1.5 && of.interval_jitter <= 1.5, "{of:?}");
}

#[test]
fn the_quality_tells_noisy_recordings() {
    let folder = recordings().join("cinc2017");
    if !folder.exists() {
        println!("skipped: {} absent", folder.display());
        return;
    }
    let (mut noisy, mut others) = (Vec::new(), Vec::new());
    for (_, label, signal) in recorded::cinc(&folder) {
        let found = recorded::beats(&signal, 300.0);
        let sum: f64 = found.iter().map(|beat| beat.quality).sum();
        let mean = sum / found.len().max(1) as f64;
        if label == '~' {
            noisy.push(mean);
        } else {
            others.push(mean);
        }
    }
    let area = recorded::area(&noisy, &others);
    assert!(
        area >= 0.93,
        "{area} of {} and {}",
        noisy.len(),
        others.len()
    );
}
