//! The agent's radio, on the unmodified btleplug, against the pretended Bluetooth daemon and its faults.
//!
//! What was measured about btleplug and `BlueZ`, and which test holds the cure:
//!
//! | finding | test |
//! |---|---|
//! | a dropped stream leaks its match rule; the bus then refuses more | `match_rules_run_out_and_a_fresh_worker_takes_over`, `many_links_leave_no_rules_and_sockets_behind` |
//! | a dropped manager leaks its socket | `many_links_leave_no_rules_and_sockets_behind` |
//! | the daemon's restart is silent | `a_restarted_daemon_is_noticed` |
//! | the bus's death is silent, and calls hang | `a_dead_bus_is_told_and_taken_back` |
//! | values come before the subscription | `values_come_whole_and_in_order_over_drops_and_failed_connects` |
//! | a subscription on a dropped link, zero services | `a_link_without_services_is_no_link` |
//! | ... and while the device still says who it is | `values_that_come_while_a_device_says_who_it_is_are_held_and_bounded` |
//! | a read appears as a notification | `a_read_is_no_measurement` |
//! | without an agent nothing pairs, and reads hang | `an_operator_pairs_by_name_and_nothing_less_than_the_pin_is_taken` |
//! | links stay up when their process dies | `a_worker_that_dies_costs_no_value_and_its_link_is_taken_over` |
//! | a link is called connected and says nothing | `silence_is_cured_by_connecting_anew` |
//! | a panic or a hanging call takes the radio with it | `a_worker_that_dies_...`, `a_worker_that_hangs_is_replaced` |
//! | queues without bound | `a_core_that_does_not_listen_costs_counted_values_only` |
//! | cached services stay broken until the daemon forgets the device | `broken_cached_services_are_forgotten` |
//! | a scan of somebody else stands in the way | `a_scan_in_progress_is_waited_for` |
//! | the adapter carries fewer links than there are devices, and the daemon does not say so, or never answers | `more_straps_than_links_take_turns` |
//! | the daemon comes back and knows nothing | `a_daemon_that_starts_afresh_is_taken_as_it_is` |
//! | the adapter goes and comes back | `an_adapter_that_goes_away_is_told_and_taken_back` |
//! | each advert costs round trips: scans in windows, none while connecting | `ble::radio`'s `keeps_its_promises`, `adverts_of_assigned_devices_are_values_once_each_and_no_others_are` |
//! | discovery of services takes seconds | `values_that_come_while_a_device_says_who_it_is_are_held_and_bounded` |
//! | `local_name` is the alias, never empty | what a device calls itself is `advertisement_name` first (`read_about`); no test |
//! | of two instances of one service btleplug keeps one | not cured: no device that people own is known to have two |

#![expect(
    clippy::expect_used,
    reason = "a test that cannot go on says why and ends"
)]

mod adverts;
mod bench;
mod clocks;
mod records;
mod trust;

use std::time::Duration;

use bench::{Bench, Plan, STRAP, THERMOMETER};
use firmware::gatt;
use vitaltwin_agent::ble::{Address, LinkState, RadioEvent, WorkerEnd};

const STRAPS: [&str; 6] = [
    STRAP,
    "C0:00:00:00:00:11",
    "C0:00:00:00:00:12",
    "C0:00:00:00:00:13",
    "C0:00:00:00:00:14",
    "C0:00:00:00:00:15",
];

fn health(event: &RadioEvent, fine: bool) -> bool {
    matches!(event, RadioEvent::Health(trouble) if trouble.is_none() == fine)
}

fn numbered(number: u16) -> Vec<u8> {
    // Rate 60 with an energy field, which the strap itself never sends: it carries the number.
    let [low, high] = number.to_le_bytes();
    vec![0x08, 60, low, high]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_come_whole_and_in_order_over_drops_and_failed_connects() {
    let Some(mut bench) = Bench::start().await else {
        return;
    };
    let about = |event: &RadioEvent| matches!(event, RadioEvent::About(..));
    bench.until_event("what it is", 0, about).await;
    bench.until_more_values(5).await;
    for failures in [0, 3] {
        let told = bench.events.len();
        let faults = bench.faults();
        faults.fail_connects(STRAP, failures).expect("known");
        let dropped = faults.drop_link(STRAP).await.expect("known");
        assert!(dropped, "there was a link");
        let told = bench.until_link(told, LinkState::Lost).await;
        bench.until_link(told, LinkState::Connected).await;
        bench.until_more_values(5).await;
    }
    let sent = bench.sent();
    assert_eq!(
        bench.values,
        sent[..bench.values.len()],
        "nothing lost, doubled or out of order"
    );
    let about = bench.events.iter().find_map(|event| {
        let RadioEvent::About(_, about) = event else {
            return None;
        };
        Some(about.clone())
    });
    let about = about.expect("waited for");
    let manufacturer = about.manufacturer.expect("it says so");
    assert!(manufacturer.starts_with("vitaltwin sim"), "{manufacturer}");
    assert!(about.battery_percent.is_some());
    // The thermometer beside it is not assigned: seen, told, never connected.
    let thermometer = Address::parse(THERMOMETER).expect("an address");
    assert!(bench.events.contains(&RadioEvent::Unassigned(thermometer)));
    let (sent, _) = bench.faults().counts(THERMOMETER).expect("known");
    assert_eq!(sent, 0);
}

/// Discovery takes seconds on a slow device, and its notify session is active meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_that_come_while_a_device_says_who_it_is_are_held_and_bounded() {
    let Some(mut bench) = Bench::start().await else {
        return;
    };
    bench.until_more_values(3).await;
    let told = bench.events.len();
    // Until the test has sent what it wants to send; shorter than the patience of one call.
    let (slow, done) = (Duration::from_secs(7), Duration::ZERO);
    bench.faults().slow_discovery(STRAP, slow).expect("known");
    bench.faults().drop_link(STRAP).await.expect("known");
    let told = bench.until_link(told, LinkState::Lost).await;
    let heart = gatt::HEART_RATE_MEASUREMENT;
    while !bench.faults().heard(STRAP, heart).expect("known") {
        bench.watch_for(Duration::from_millis(50)).await;
    }
    // Far fewer than are held, and all of them before anybody knows who sends.
    for number in 0..200 {
        let sent = bench.faults().inject(STRAP, heart, numbered(number));
        sent.await.expect("subscribed");
    }
    let connected = bench.events[told..].iter();
    let connected =
        connected.filter(|event| matches!(event, RadioEvent::Link(_, LinkState::Connected)));
    assert_eq!(connected.count(), 0, "control: it was still being asked");
    bench.faults().slow_discovery(STRAP, done).expect("known");
    bench.until_link(told, LinkState::Connected).await;
    let last = bench::hex(&numbered(199));
    bench
        .until("the last", |bench| bench.values.contains(&last))
        .await;
    assert_eq!(bench.values, bench.sent()[..bench.values.len()]);
    assert!(bench.overflow.take().is_empty());

    // More than are held: the first ones come, the others are counted.
    let told = bench.events.len();
    bench.faults().slow_discovery(STRAP, slow).expect("known");
    bench.faults().drop_link(STRAP).await.expect("known");
    let told = bench.until_link(told, LinkState::Lost).await;
    while !bench.faults().heard(STRAP, heart).expect("known") {
        bench.watch_for(Duration::from_millis(50)).await;
    }
    for number in 1000..1400 {
        let sent = bench.faults().inject(STRAP, heart, numbered(number));
        sent.await.expect("subscribed");
    }
    bench.faults().slow_discovery(STRAP, done).expect("known");
    bench.until_link(told, LinkState::Connected).await;
    let came = |bench: &Bench, number| bench.values.contains(&bench::hex(&numbered(number)));
    let mut missed = 0;
    bench
        .until("everything is there or counted", |bench| {
            let taken = bench.overflow.take();
            let counts = taken.values().map(|missed| missed.notifications);
            missed += counts.sum::<u64>();
            let there = (1000..1400).filter(|number| came(bench, *number));
            there.count() as u64 + missed >= 400
        })
        .await;
    assert!(came(&bench, 1000) && came(&bench, 1200) && !came(&bench, 1399));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_is_no_measurement() {
    let Some(mut bench) = Bench::start().await else {
        return;
    };
    let about = |event: &RadioEvent| matches!(event, RadioEvent::About(..));
    bench.until_event("what it is", 0, about).await;
    bench.until_more_values(20).await;
    // The battery was read once and is subscribed to: what came is what it sent by itself.
    let battery = gatt::BATTERY_LEVEL.0;
    let levels = bench.others.iter();
    let levels = levels.filter(|value| value.characteristic == battery);
    assert_eq!(levels.count(), 0, "an echo was taken for a measurement");
    // Control: a level that it sends does come.
    let level = bench.faults().inject(STRAP, gatt::BATTERY_LEVEL, vec![55]);
    level.await.expect("subscribed");
    let sent = |bench: &Bench| bench.others.iter().any(|value| value.value == [55]);
    bench.until("the battery's level", sent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_without_services_is_no_link() {
    let Some(mut bench) = Bench::start().await else {
        return;
    };
    bench.until_more_values(1).await;
    let told = bench.events.len();
    bench.faults().hide_services(STRAP, true).expect("known");
    bench.faults().drop_link(STRAP).await.expect("known");
    let told = bench.until_link(told, LinkState::Lost).await;
    // For twenty seconds of its clock it connects again and again, and never takes that for a link.
    bench.watch_for(Duration::from_secs(2)).await;
    let strap = Address::parse(STRAP).expect("an address");
    let connected = RadioEvent::Link(strap, LinkState::Connected);
    assert!(!bench.events[told..].contains(&connected));
    let told = bench.events.len();
    bench.faults().hide_services(STRAP, false).expect("known");
    bench.until_link(told, LinkState::Connected).await;
    bench.until_more_values(2).await;
}

/// The battery can be had and the heart rate cannot: "connected" would be believed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_tells_nothing_that_is_measured_is_no_link() {
    let Some(mut bench) = Bench::start().await else {
        return;
    };
    bench.until_more_values(1).await;
    let told = bench.events.len();
    bench
        .faults()
        .refuse_subscriptions(STRAP, true)
        .expect("known");
    bench.faults().drop_link(STRAP).await.expect("known");
    let told = bench.until_link(told, LinkState::Lost).await;
    bench.watch_for(Duration::from_secs(2)).await;
    let strap = Address::parse(STRAP).expect("an address");
    let connected = RadioEvent::Link(strap, LinkState::Connected);
    assert!(!bench.events[told..].contains(&connected));
    let told = bench.events.len();
    bench
        .faults()
        .refuse_subscriptions(STRAP, false)
        .expect("known");
    bench.until_link(told, LinkState::Connected).await;
    bench.until_more_values(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_is_cured_by_connecting_anew() {
    let Some(mut bench) = Bench::start().await else {
        return;
    };
    bench.until_more_values(3).await;
    // The link stays up and says nothing.
    let told = bench.events.len();
    bench.faults().silence(STRAP, true).expect("known");
    let told = bench.until_link(told, LinkState::Lost).await;
    bench.faults().silence(STRAP, false).expect("known");
    bench.until_link(told, LinkState::Connected).await;
    bench.until_more_values(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_daemon_is_noticed() {
    let Some(mut bench) = Bench::start().await else {
        return;
    };
    bench.until_more_values(3).await;
    // The daemon's successor knows the link, and no subscription; nobody is told.
    let told = bench.events.len();
    let started = tokio::time::Instant::now();
    bench.faults().restart_daemon(50).await.expect("a bus");
    let told = bench.until_ended(told, WorkerEnd::Trouble).await;
    // By its name on the bus: the regular look comes every five seconds only.
    assert!(
        started.elapsed() < Duration::from_secs(4),
        "{:?}",
        started.elapsed()
    );
    bench.until_link(told, LinkState::Connected).await;
    bench.until_more_values(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_bus_is_told_and_taken_back() {
    let Some(mut bench) = Bench::start().await else {
        return;
    };
    bench.until_more_values(2).await;
    let told = bench.events.len();
    bench.kill_bus();
    let told = bench.until_link(told, LinkState::Lost).await;
    let trouble = |event: &RadioEvent| health(event, false);
    let told = bench
        .until_event("trouble", told.saturating_sub(3), trouble)
        .await;
    bench.revive_bus().await;
    let fine = |event: &RadioEvent| health(event, true);
    let told = bench.until_event("no trouble", told, fine).await;
    bench.until_link(told, LinkState::Connected).await;
    bench.until_more_values(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adapter_that_goes_away_is_told_and_taken_back() {
    let Some(mut bench) = Bench::start().await else {
        return;
    };
    bench.until_more_values(2).await;
    let told = bench.events.len();
    bench.faults().vanish_adapter(true).await.expect("a bus");
    let trouble = |event: &RadioEvent| health(event, false);
    let told = bench.until_event("trouble", told, trouble).await;
    bench.faults().vanish_adapter(false).await.expect("a bus");
    let fine = |event: &RadioEvent| health(event, true);
    let told = bench.until_event("no trouble", told, fine).await;
    bench.until_link(told, LinkState::Connected).await;
    bench.until_more_values(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_dies_costs_no_value_and_its_link_is_taken_over() {
    let Some(mut bench) = Bench::start().await else {
        return;
    };
    bench.until_more_values(3).await;
    // All of these are handed over before the worker dies, and taken after.
    for number in 0..100 {
        let heart = gatt::HEART_RATE_MEASUREMENT;
        let sent = bench.faults().inject(STRAP, heart, numbered(number));
        sent.await.expect("subscribed");
    }
    let last = bench::hex(&numbered(99));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!bench.values.contains(&last), "nobody has listened yet");
    let told = bench.events.len();
    bench.signal("-KILL");
    bench
        .until("the last", |bench| bench.values.contains(&last))
        .await;
    assert_eq!(bench.values, bench.sent()[..bench.values.len()]);
    let told = bench.until_ended(told, WorkerEnd::Died).await;
    let strap = Address::parse(STRAP).expect("an address");
    let lost = RadioEvent::Link(strap, LinkState::Lost);
    assert!(bench.events.contains(&lost), "nobody hears it meanwhile");
    // The link is still up, so the strap does not advertise: it is found among those that are connected.
    assert!(!bench.faults().drop_link(THERMOMETER).await.expect("known"));
    bench.until_link(told, LinkState::Connected).await;
    bench.until_more_values(3).await;
    let bench = bench.stop().await;
    let linked = bench.faults().drop_link(STRAP).await.expect("known");
    assert!(!linked, "an orderly end leaves no link behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_hangs_is_replaced() {
    let plan = Plan {
        patience: Duration::from_secs(6),
        ..Plan::default()
    };
    let Some(mut bench) = Bench::with(plan).await else {
        return;
    };
    bench.until_more_values(3).await;
    let told = bench.events.len();
    let hung = bench.worker_pid();
    bench.signal("-STOP");
    let told = bench.until_ended(told, WorkerEnd::Hung).await;
    bench.until_link(told, LinkState::Connected).await;
    bench.until_more_values(3).await;
    assert_ne!(bench.worker_pid(), hung);
    // Control: one that works is left alone for longer than that.
    let told = bench.events.len();
    bench.watch_for(Duration::from_millis(6500)).await;
    let ended = |event: &RadioEvent| matches!(event, RadioEvent::Ended(_));
    assert!(!bench.events[told..].iter().any(ended));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn match_rules_run_out_and_a_fresh_worker_takes_over() {
    // Enough for the daemon and a few devices, not for all.
    let plan = Plan {
        match_rules: Some(8),
        ..Plan::of_straps(&STRAPS)
    };
    let Some(mut bench) = Bench::with(plan).await else {
        return;
    };
    let told = bench.until_ended(0, WorkerEnd::Trouble).await;
    let rules = |event: &RadioEvent| matches!(event, RadioEvent::Health(Some(why)) if why.contains("match rules"));
    assert!(bench.events.iter().any(rules), "{:?}", bench.events);
    bench.until_ended(told, WorkerEnd::Trouble).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_links_leave_no_rules_and_sockets_behind() {
    let plan = Plan {
        match_rules: Some(24),
        ..Plan::default()
    };
    let Some(mut bench) = Bench::with(plan).await else {
        return;
    };
    bench.until_more_values(1).await;
    let files = bench.worker_files();
    for _ in 0..24 {
        let told = bench.events.len();
        bench.faults().drop_link(STRAP).await.expect("known");
        bench.until_link(told, LinkState::Connected).await;
        bench.until_more_values(1).await;
    }
    let now = bench.worker_files();
    assert!(
        now <= files + 1,
        "{files} files at first, {now} after 24 links"
    );
    assert_eq!(bench.values, bench.sent()[..bench.values.len()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_core_that_does_not_listen_costs_counted_values_only() {
    let Some(mut bench) = Bench::start().await else {
        return;
    };
    bench.until_more_values(1).await;
    // The core takes nothing while this many are sent: queues and pipe hold some, and what finds them full is
    // counted. How many that are depends on the machine; that nothing is neither there nor counted does not.
    let first = bench.sent().len();
    for number in 0..6000 {
        let heart = gatt::HEART_RATE_MEASUREMENT;
        let sent = bench.faults().inject(STRAP, heart, numbered(number));
        sent.await.expect("subscribed");
    }
    let mut missed = 0;
    bench
        .until("everything is there or counted", |bench| {
            let taken = bench.overflow.take();
            missed += taken
                .values()
                .map(|missed| missed.notifications)
                .sum::<u64>();
            bench.values.len() as u64 + missed >= (first + 6000) as u64
        })
        .await;
    let sent = bench.sent();
    let strange = bench.values.iter().find(|value| !sent.contains(value));
    assert_eq!(strange, None);
    println!("{missed} of 6000 values were counted, the others came");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_cached_services_are_forgotten() {
    let Some(mut bench) = Bench::start().await else {
        return;
    };
    bench.until_more_values(1).await;
    let told = bench.events.len();
    bench.faults().lose_services(STRAP).expect("known");
    bench.faults().drop_link(STRAP).await.expect("known");
    let told = bench.until_link(told, LinkState::Lost).await;
    bench.until_link(told, LinkState::Connected).await;
    bench.until_more_values(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_in_progress_is_waited_for() {
    let Some(mut bench) = Bench::start().await else {
        return;
    };
    bench.until_more_values(1).await;
    // Out of reach, so that a scan is needed to find it again; and the scan cannot be started.
    let told = bench.events.len();
    bench.faults().hold_scan(true).await;
    bench.faults().fail_connects(STRAP, 2).expect("known");
    bench.faults().drop_link(STRAP).await.expect("known");
    // After some attempts a fresh worker tries, which is told.
    let told = bench.until_ended(told, WorkerEnd::Trouble).await;
    bench.faults().hold_scan(false).await;
    bench.until_link(told, LinkState::Connected).await;
    bench.until_more_values(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_starts_afresh_is_taken_as_it_is() {
    let Some(mut bench) = Bench::start().await else {
        return;
    };
    bench.until_more_values(2).await;
    let told = bench.events.len();
    bench
        .faults()
        .restart_daemon_afresh(50)
        .await
        .expect("a bus");
    let told = bench.until_ended(told, WorkerEnd::Trouble).await;
    bench.until_link(told, LinkState::Connected).await;
    bench.until_more_values(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_straps_than_links_take_turns() {
    let three = &STRAPS[..3];
    let Some(mut bench) = Bench::with(Plan::of_straps(three)).await else {
        return;
    };
    bench.faults().set_slots(2);
    // A turn takes a minute of the clock, six seconds here.
    let turns = |bench: &Bench, address: &str| {
        let device = Address::parse(address).expect("an address");
        let connected = RadioEvent::Link(device, LinkState::Connected);
        bench
            .events
            .iter()
            .filter(|event| **event == connected)
            .count()
    };
    bench
        .until("a turn for each, and more", |bench| {
            let turns = three.iter().map(|strap| turns(bench, strap));
            turns.clone().all(|n| n >= 1) && turns.sum::<usize>() >= 5
        })
        .await;
    for strap in three {
        assert!(turns(&bench, strap) <= 2, "{strap} had more than its share");
    }
}
