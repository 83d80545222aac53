//! The journal against its promises: durable before known, in order, damage contained, stopped for good.

use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use proto::seal::Lane;
use vitals::{ContextId, GatewayId};

use super::medium::NewRow;
use super::*;

/// Knows nothing, keeps the positions that it was told.
#[derive(Default)]
struct Notes(Mutex<Vec<Position>>);

impl Keeper for Notes {
    fn apply(&self, position: Position, _: Time, _: &Entry) {
        self.0
            .lock()
            .expect("no test panics with it")
            .push(position);
    }

    fn unseal(&self, _: &Entry) -> Option<Arc<Opened>> {
        None
    }
}

fn gateway() -> GatewayId {
    GatewayId::parse("g-1").expect("fine id")
}

const STREAM: StreamId = StreamId([7; 16]);

/// A record whose stub is sound; what it seals is nonsense. `padded` as the format allows.
fn record(number: u64, oldest_minute: u32, span: u16, padded: u16) -> Vec<u8> {
    record_of(Lane::Vitals, number, oldest_minute, span, padded)
}

fn record_of(lane: Lane, number: u64, oldest_minute: u32, span: u16, padded: u16) -> Vec<u8> {
    let mut record = b"VTB1".to_vec();
    record.extend_from_slice(&STREAM.0);
    record.extend_from_slice(&ContextId([9; 16]).0);
    record.extend_from_slice(&number.to_be_bytes());
    record.extend_from_slice(&[lane as u8, 0, 1, 0, 1]);
    record.extend_from_slice(&oldest_minute.to_be_bytes());
    record.extend_from_slice(&span.to_be_bytes());
    record.extend_from_slice(&padded.to_be_bytes());
    record.resize(57 + usize::from(padded) + 16, 0x5A);
    let sum = proto::seal::record::checksum(&record);
    record.extend_from_slice(&sum);
    record
}

fn batch(number: u64, oldest_minute: u32, span: u16) -> Draft {
    Entry::Batch {
        gateway: gateway(),
        record: record(number, oldest_minute, span, 64),
    }
    .into()
}

fn number_of(committed: &Committed) -> u64 {
    let Entry::Batch { record, .. } = &*committed.entry else {
        return 0;
    };
    u64::from_be_bytes(record[36..44].try_into().expect("eight bytes"))
}

struct Place {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("journal.db");
        Self { _dir: dir, path }
    }

    fn open(&self, max_mib: Option<u32>) -> Log {
        let keeper = Arc::new(Notes::default());
        Log::open(&self.path, max_mib, Clock::system(), keeper).expect("it opens")
    }

    fn replayed(&self) -> (Vec<Committed>, u64) {
        replayed(&self.path)
    }
}

fn replayed(path: &Path) -> (Vec<Committed>, u64) {
    let keeper = Arc::new(Notes::default());
    let log = Log::open(path, None, Clock::system(), keeper).expect("it opens");
    let mut all = Vec::new();
    log.replay(Position::START, |committed| all.push(committed))
        .expect("it reads");
    (all, log.replay.damaged().load(Ordering::Relaxed))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_appended_is_fed_in_order_and_replayed_alike() {
    let place = Place::new();
    let (journal, mut feed) = place.open(None).start().expect("it starts");
    let mut callers = Vec::new();
    for caller in 0..20u64 {
        let journal = journal.clone();
        callers.push(tokio::spawn(async move {
            let mut places = Vec::new();
            for turn in 0..10 {
                let number = caller * 100 + turn * 2;
                let drafts = vec![batch(number, 1, 0), batch(number + 1, 1, 0)];
                let at = journal.append(drafts).await.expect("it is durable");
                assert_eq!(
                    at.last,
                    at.first.next(),
                    "nothing lies between one caller's drafts"
                );
                places.push((at.first, number));
            }
            places
        }));
    }
    let mut places = Vec::new();
    for caller in callers {
        places.extend(caller.await.expect("no panic"));
    }
    let mut fed = Vec::new();
    while fed.len() < 400 {
        fed.push(feed.recv().await.expect("the writer lives"));
    }
    assert_eq!(journal.status().position, Position(400));
    drop(journal);
    assert!(feed.recv().await.is_none(), "nothing is fed twice");

    let (again, damaged) = place.replayed();
    assert_eq!(damaged, 0);
    assert_eq!(again.len(), fed.len());
    for ((a, b), position) in again.iter().zip(&fed).zip(1..) {
        assert_eq!(
            (a.position, a.known, &a.entry),
            (b.position, b.known, &b.entry)
        );
        assert_eq!(a.position, Position(position));
    }
    assert!(again.windows(2).all(|pair| pair[0].known < pair[1].known));
    for (first, number) in places {
        let at = usize::try_from(first.0 - 1).expect("small");
        assert_eq!(number_of(&again[at]), number);
    }
}

#[tokio::test]
async fn known_time_goes_on_from_the_last_life() {
    let place = Place::new();
    let (journal, _feed) = place.open(None).start().expect("it starts");
    let before = journal
        .append(vec![Entry::Tick.into()])
        .await
        .expect("durable");
    drop(journal);
    // A clock that was set back by a day.
    let now = Clock::system().now();
    let back = Clock::test(now, now - vitals::Span::from_mins(24 * 60), 1.0).expect("a fine rate");
    let log = Log::open(&place.path, None, back, Arc::new(Notes::default())).expect("it opens");
    let (journal, _feed) = log.start().expect("it starts");
    let after = journal
        .append(vec![Entry::Tick.into()])
        .await
        .expect("durable");
    assert_eq!(after.first, before.last.next());
    assert!(after.known > before.known);
}

#[tokio::test]
async fn a_clock_that_jumps_ahead_stops_the_store_before_anything_is_written() {
    for (minutes, good) in [(11, false), (9, true)] {
        let place = Place::new();
        let log = place.open(None);
        let now = log.clock.now();
        let seat = Seat {
            clock: log.clock,
            pace: Pace::new(Clock::system(), now).since(now - vitals::Span::from_mins(minutes)),
            keeper: Arc::clone(&log.keeper),
            next: log.next(),
            last_known: log.last_known(),
            damaged: log.replay.damaged(),
            removed: None,
        };
        let reader = Reader::open(&place.path).expect("the file exists");
        let (journal, feed, desk) = seat.take(log.store, Box::new(reader));
        desk.start().expect("it starts");
        let appended = journal.append(vec![Entry::Tick.into()]).await;
        assert_eq!(appended.is_ok(), good);
        let stopped = journal.status().stopped;
        assert_eq!(stopped.contains("set it right"), !good, "{stopped}");
        drop((journal, feed));
        assert_eq!(place.replayed().0.len(), usize::from(good));
    }
}

#[tokio::test]
async fn a_damaged_entry_is_skipped_counted_and_hides_no_other() {
    let place = Place::new();
    let (journal, feed) = place.open(None).start().expect("it starts");
    for row in 0..3 {
        let drafts = (0..4).map(|n| batch(row * 4 + n + 1, 1, 0)).collect();
        journal.append(drafts).await.expect("durable");
    }
    drop((journal, feed));
    assert_eq!(place.replayed().0.len(), 12, "control: undamaged");

    // In the third of four frames of the second row; and in the header of the third row.
    let frames = codec::encode_row(Position(1), &[(Time::ZERO, &batch(1, 1, 0).entry)]);
    let frame = frames.len() - 17;
    store::damage(&place.path, Position(5), 32 + 2 * frame + 30);
    let (left, damaged) = place.replayed();
    assert_eq!((left.len(), damaged), (11, 1));
    assert!(
        left.iter()
            .all(|committed| committed.position != Position(7))
    );
    store::damage(&place.path, Position(9), 6);
    let (left, damaged) = place.replayed();
    assert_eq!((left.len(), damaged), (7, 5));

    // It still takes entries, behind the damage.
    let (journal, _feed) = place.open(None).start().expect("it starts");
    let at = journal
        .append(vec![Entry::Tick.into()])
        .await
        .expect("durable");
    assert_eq!(at.first, Position(13));
}

/// Whatever single bit of a batch's entry rots, it is found, and unless it is one of the name's own the batch is named.
#[test]
fn a_damaged_batch_is_named_to_whoever_looks_for_it() {
    let entry = batch(77, 1, 0).entry;
    let row = codec::encode_row(Position(9), &[(Time::ZERO, &entry)]);
    let whole = codec::split_row(Position(9), &row)
        .expect("a row")
        .remove(0);
    let name_of = |frame: &[u8]| codec::clear_of_damaged(frame).map(|clear| clear.to_string());
    let name = name_of(whole.bytes).expect("a batch");
    assert!(
        name.contains("batch 77 of context 09") && name.contains("gateway g-1"),
        "{name}"
    );
    let mut named = 0;
    for bit in 0..whole.bytes.len() * 8 {
        let mut rotten = whole.bytes.to_vec();
        rotten[bit / 8] ^= 1 << (bit % 8);
        assert!(
            codec::decode_entry(Position(9), &rotten).is_err(),
            "bit {bit}"
        );
        named += usize::from(name_of(&rotten).as_ref() == Some(&name));
    }
    let own = 8 * (1 + 4 + 3 + 4 + 40);
    assert!(
        named >= whole.bytes.len() * 8 - own,
        "{named} of {}",
        whole.bytes.len() * 8
    );
}

/// Fails at the commit whose turn it is; `u32::MAX`: never.
struct Failing {
    inner: Box<dyn Store>,
    good: u32,
}

impl Store for Failing {
    fn commit(&mut self, row: &NewRow) -> Result<(), StoreError> {
        match self.good.checked_sub(1) {
            Some(left) => {
                self.good = left;
                self.inner.commit(row)
            }
            // Only this one write fails: the store must not take the next one all the same.
            None => {
                self.good = u32::MAX;
                Err(StoreError::new("the disk failed"))
            }
        }
    }

    fn remove(&mut self, _: &[Removal]) -> Result<(), StoreError> {
        Err(StoreError::new("the disk failed"))
    }
}

async fn append_ten(good: u32) -> (usize, Status, usize) {
    let place = Place::new();
    let log = place.open(None);
    let seat = Seat {
        clock: log.clock,
        pace: Pace::new(log.clock, log.clock.now()),
        keeper: Arc::clone(&log.keeper),
        next: log.next(),
        last_known: log.last_known(),
        damaged: log.replay.damaged(),
        removed: None,
    };
    let store = Box::new(Failing {
        inner: log.store,
        good,
    });
    let reader = Reader::open(&place.path).expect("the file exists");
    let (journal, mut feed, desk) = seat.take(store, Box::new(reader));
    desk.start().expect("it starts");
    let mut durable = 0;
    for number in 1..=10 {
        match journal.append(vec![batch(number, 1, 0)]).await {
            Ok(at) => {
                durable += 1;
                assert_eq!(at.first, Position(number));
            }
            Err(JournalError::StoreStopped(reason)) => assert_eq!(&*reason, "the disk failed"),
            Err(JournalError::Read(reason) | JournalError::NotRemoved(reason)) => {
                panic!("{reason}")
            }
        }
    }
    let status = journal.status();
    drop(journal);
    let mut fed = 0;
    while feed.recv().await.is_some() {
        fed += 1;
    }
    assert_eq!(
        place.replayed().0.len(),
        durable,
        "what was refused is not there after a restart"
    );
    (durable, status, fed)
}

#[tokio::test]
async fn a_failed_write_stops_the_store_for_good() {
    let (durable, status, fed) = append_ten(4).await;
    assert_eq!(
        (durable, fed, status.stopped.as_str()),
        (4, 4, "the disk failed")
    );
    assert_eq!(status.position, Position(4));
    // Control: without the fault all ten are taken.
    let (durable, status, fed) = append_ten(100).await;
    assert_eq!((durable, fed, status.stopped.as_str()), (10, 10, ""));
}

#[tokio::test]
async fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let place = Place::new();
    let (journal, mut feed) = place.open(Some(1)).start().expect("it starts");
    let drain = tokio::spawn(async move { while feed.recv().await.is_some() {} });
    let mut durable = 0;
    let reason = loop {
        let entry = Entry::Batch {
            gateway: gateway(),
            record: record(durable + 1, 1, 0, 4000),
        };
        match journal.append(vec![entry.into()]).await {
            Ok(_) => durable += 1,
            Err(error) => break error.to_string(),
        }
        assert!(durable < 1000, "1 MiB never holds this much");
    };
    assert!(reason.contains("free space"), "{reason}");
    assert!(
        journal.append(vec![Entry::Tick.into()]).await.is_err(),
        "stopped for good"
    );
    drop(journal);
    drain.await.expect("no panic");
    let (left, damaged) = place.replayed();
    assert_eq!((u64::try_from(left.len()), damaged), (Ok(durable), 0));
    // With space again it goes on.
    let (journal, _feed) = place.open(None).start().expect("it starts");
    let at = journal
        .append(vec![Entry::Tick.into()])
        .await
        .expect("durable");
    assert_eq!(at.first, Position(durable + 1));
}

#[tokio::test]
async fn history_finds_every_batch_of_the_time_and_pages() {
    let place = Place::new();
    let (journal, feed) = place.open(None).start().expect("it starts");
    // Live minutes 1000..1300 in rows of their own; backlog, a long one and another hour in one row.
    for minute in 1000..1300 {
        journal
            .append(vec![batch(u64::from(minute), minute, 1)])
            .await
            .expect("durable");
    }
    let mixed = vec![
        batch(1, 1100, 0),
        batch(2, 400, 0),
        batch(3, 100, 900),
        batch(4, 1129, 2),
    ];
    journal.append(mixed).await.expect("durable");
    let ask = async |from: i64, to: i64| {
        let range = (
            Time::from_micros(from * MICROS_A_MINUTE),
            Time::from_micros(to * MICROS_A_MINUTE),
        );
        let (mut numbers, mut pages, mut after) = (Vec::new(), 0, None);
        loop {
            let page = journal
                .history(STREAM, range, after, Past::Readings)
                .await
                .expect("it reads");
            numbers.extend(page.batches.iter().map(number_of));
            pages += 1;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        numbers.sort_unstable();
        (numbers, pages)
    };
    let (all, pages) = ask(0, 5000).await;
    assert_eq!(all, (1..=4).chain(1000..1300).collect::<Vec<_>>());
    assert!(pages > 4, "{pages}");
    let (some, _) = ask(1100, 1110).await;
    for number in (1099..=1110).chain([1]) {
        assert!(some.contains(&number), "{number} in {some:?}");
    }
    assert!(!some.contains(&2) && !some.contains(&3));
    assert_eq!(ask(950, 990).await.0, [3], "the long one reaches there");
    assert_eq!(ask(2000, 3000).await.0, [0u64; 0]);
    let other = journal
        .history(
            StreamId([8; 16]),
            (Time::ZERO, Time::MAX),
            None,
            Past::Readings,
        )
        .await;
    assert!(other.expect("it reads").batches.is_empty());
    drop(feed);
}

#[tokio::test]
async fn a_question_about_readings_opens_no_waveform_and_the_other_way_round() {
    let place = Place::new();
    let (journal, _feed) = place.open(None).start().expect("it starts");
    let waves = |number: u64| -> Draft {
        Entry::Batch {
            gateway: gateway(),
            record: record_of(Lane::Waveform, number, 1000, 0, 64),
        }
        .into()
    };
    let drafts = vec![batch(1, 1000, 0), waves(2), batch(3, 1001, 0), waves(4)];
    journal.append(drafts).await.expect("durable");
    for (past, numbers) in [(Past::Readings, [1, 3]), (Past::Waveforms, [2, 4])] {
        let all = (Time::ZERO, Time::MAX);
        let page = journal.history(STREAM, all, None, past).await;
        let found = page.expect("it reads").batches;
        assert_eq!(found.iter().map(number_of).collect::<Vec<_>>(), numbers);
    }
}

#[tokio::test]
async fn a_lost_revocation_is_told_from_a_lost_batch() {
    let place = Place::new();
    let (journal, feed) = place.open(None).start().expect("it starts");
    let revoked = || Entry::GatewayRevoked { gateway: gateway() }.into();
    for drafts in [vec![batch(1, 1, 0), revoked()], vec![revoked()]] {
        journal.append(drafts).await.expect("durable");
    }
    drop((journal, feed));
    let lost = || {
        let log = place.open(None);
        log.replay(Position::START, |_| {}).expect("it reads");
        log.lost_administrative()
    };
    assert_eq!(lost(), None, "control: undamaged");
    // Header of two entries: 4 + 4 + 8 + 2 + 4 bytes; then the batch.
    store::damage(&place.path, Position(1), 22 + 40);
    assert_eq!((lost(), place.replayed().1), (None, 1), "a batch");
    store::damage(&place.path, Position(3), 17 + 12);
    assert_eq!((lost(), place.replayed().1), (Some(Position(3)), 2));
    store::damage(&place.path, Position(1), 6);
    assert_eq!(lost(), Some(Position(1)), "a header hides what was lost");
}

#[tokio::test]
async fn a_span_too_long_for_its_stub_reaches_to_any_later_time() {
    let place = Place::new();
    let (journal, _feed) = place.open(None).start().expect("it starts");
    let drafts = vec![batch(1, 1000, u16::MAX), batch(2, 1001, u16::MAX - 1)];
    journal.append(drafts).await.expect("durable");
    let at = |minute: i64| Time::from_micros(minute * MICROS_A_MINUTE);
    for (minute, found) in [(60_000, vec![1, 2]), (70_000, vec![1]), (999, vec![])] {
        let page = journal
            .history(STREAM, (at(minute), at(minute)), None, Past::Readings)
            .await;
        let batches = page.expect("it reads").batches;
        // A row is found by its groups; the fold of the page looks at each batch.
        let numbers: Vec<u64> = batches.iter().map(number_of).collect();
        assert!(
            found.iter().all(|number| numbers.contains(number)),
            "{minute}: {numbers:?}"
        );
        assert_eq!(
            numbers.is_empty(),
            found.is_empty(),
            "{minute}: {numbers:?}"
        );
    }
}

const CHILD: &str = "VITALTWIN_TEST_JOURNAL_CHILD";

/// Not a test of its own: the process that [`kill_at_any_moment_loses_nothing_acknowledged`] kills. Prints the
/// position of each entry after its append returned.
#[test]
fn child() {
    let Some(path) = std::env::var_os(CHILD) else {
        return;
    };
    let keeper = Arc::new(Notes::default());
    let log = Log::open(Path::new(&path), None, Clock::system(), keeper).expect("it opens");
    let (journal, mut feed) = log.start().expect("it starts");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        tokio::spawn(async move { while feed.recv().await.is_some() {} });
        for number in 1.. {
            let at = journal
                .append(vec![batch(number, 1, 0), Entry::Tick.into()])
                .await
                .expect("durable");
            let mut out = std::io::stdout();
            writeln!(out, "durable {}", at.last.0)
                .and_then(|()| out.flush())
                .expect("the parent reads");
        }
    });
}

#[test]
fn kill_at_any_moment_loses_nothing_acknowledged() {
    let place = Place::new();
    let mut acknowledged = 0;
    for lines in [1, 7, 40, 133] {
        let mut child = Command::new(std::env::current_exe().expect("a test binary has a path"))
            .args(["--exact", "journal::tests::child", "--nocapture"])
            .env(CHILD, &place.path)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let out = std::io::BufReader::new(child.stdout.take().expect("piped"));
        let durable = out.lines().map_while(Result::ok).filter_map(|line| {
            line.split_once("durable ")
                .and_then(|(_, position)| position.parse::<u64>().ok())
        });
        acknowledged = durable.take(lines).last().expect("it appends");
        child.kill().expect("it runs until it is killed");
        child.wait().expect("it ends");
        let (left, damaged) = place.replayed();
        let last = left.last().expect("not empty").position.0;
        assert_eq!(
            (u64::try_from(left.len()), damaged),
            (Ok(last), 0),
            "no hole"
        );
        assert!(last >= acknowledged, "{last} of {acknowledged}");
        assert_eq!(last % 2, 0, "one append is there whole or not at all");
    }
    assert!(
        acknowledged > 300,
        "each life went on where the last one ended"
    );
}

#[tokio::test]
async fn a_removal_that_fails_removes_nothing_and_stops_nothing() {
    let place = Place::new();
    let log = place.open(None);
    let seat = Seat {
        clock: log.clock,
        pace: Pace::new(log.clock, log.clock.now()),
        keeper: Arc::clone(&log.keeper),
        next: log.next(),
        last_known: log.last_known(),
        damaged: log.replay.damaged(),
        removed: None,
    };
    let store = Box::new(Failing {
        inner: log.store,
        good: 100,
    });
    let reader = Reader::open(&place.path).expect("the file exists");
    let (journal, _feed, desk) = seat.take(store, Box::new(reader));
    desk.start().expect("it starts");
    for number in 1..=5 {
        let appended = journal.append(vec![batch(number, 1, 0)]).await;
        appended.expect("durable");
    }
    let forever = Time::from_micros(i64::MAX);
    let removed = journal.remove(Position(4), forever).await;
    assert!(
        matches!(removed, Err(JournalError::NotRemoved(_))),
        "{removed:?}"
    );
    assert!(journal.status().stopped.is_empty() && journal.status().removed.is_none());
    let appended = journal.append(vec![batch(6, 1, 0)]).await;
    assert_eq!(appended.expect("it takes entries").first, Position(6));
    journal.close().await;
    drop(journal);
    let (all, damaged) = place.replayed();
    assert_eq!((all.len(), damaged), (6, 0));
}

/// History and replay know what is gone; what stays keeps its position.
#[tokio::test]
async fn what_is_removed_is_neither_damage_nor_history() {
    let place = Place::new();
    let (journal, _feed) = place.open(None).start().expect("it starts");
    for number in 1..=9 {
        let mut drafts = vec![batch(number, 10, 0)];
        if number % 3 == 0 {
            let revoked = Entry::GatewayRevoked { gateway: gateway() };
            drafts.push(revoked.into());
        }
        journal.append(drafts).await.expect("durable");
    }
    let everything = (Time::ZERO, Time::from_micros(i64::MAX));
    let found = || journal.history(STREAM, everything, None, Past::Readings);
    assert_eq!(found().await.expect("it reads").batches.len(), 9, "control");
    let forever = Time::from_micros(i64::MAX);
    // Positions 1 to 8 hold six batches and two revocations; the row that ends at 8 is not wholly before it.
    let removed = journal.remove(Position(8), forever).await.expect("removed");
    assert_eq!((removed.entries, removed.kept), (5, 1));
    assert_eq!(found().await.expect("it reads").batches.len(), 4);
    journal.close().await;
    drop(journal);
    let (all, damaged) = place.replayed();
    let places: Vec<_> = all.iter().map(|committed| committed.position.0).collect();
    assert_eq!((places, damaged), (vec![4, 7, 8, 9, 10, 11, 12], 0));
    let log = place.open(None);
    assert_eq!(log.removed().map(|(below, _)| below), Some(Position(7)));
    assert_eq!(log.next(), Position(13), "it goes on where it was");
}

/// The writer goes on whatever the fold does, and the fold hears each entry once and in order.
#[tokio::test]
async fn a_fold_that_is_behind_holds_up_nobody_and_misses_nothing() {
    let place = Place::new();
    let (journal, _feed) = place.open(None).start().expect("it starts");
    for number in 1..=100 {
        journal
            .append(vec![batch(number, 1, 0)])
            .await
            .expect("durable");
    }
    journal.close().await;
    let log = place.open(None);
    log.survey(Position::START).expect("it reads");
    let (journal, mut feed) = log.start_behind(Position(10)).expect("it starts");
    // More than would wait in memory.
    for round in 0..(FEED as u64 / 50 + 10) {
        let drafts = (0..50).map(|n| batch(1000 + round * 50 + n, 1, 0));
        journal.append(drafts.collect()).await.expect("durable");
    }
    assert!(feed.is_behind());
    let before = journal.status().position.0;
    let folding = std::thread::spawn(move || {
        let mut heard = Vec::new();
        while !feed
            .catch_up(|committed| {
                heard.push(committed.position.0);
                !heard.len().is_multiple_of(700)
            })
            .expect("it reads")
        {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        assert!(heard.len() as u64 >= before - 10);
        while let Some(committed) = feed.blocking_recv() {
            heard.push(committed.position.0);
        }
        heard
    });
    for number in 0..300 {
        journal
            .append(vec![batch(90_000 + number, 1, 0)])
            .await
            .expect("durable");
    }
    let last = journal.status().position.0;
    journal.close().await;
    drop(journal);
    let heard = folding.join().expect("no panic");
    assert_eq!(heard, (11..=last).collect::<Vec<_>>());
}

/// Whoever goes on without a fold is stopped.
#[tokio::test]
async fn a_fold_that_ends_while_it_is_behind_stops_the_store() {
    let place = Place::new();
    let (journal, feed) = place
        .open(None)
        .start_behind(Position::START)
        .expect("it starts");
    journal
        .append(vec![batch(1, 1, 0)])
        .await
        .expect("durable, though nobody listens");
    drop(feed);
    let _ = journal.append(vec![batch(2, 1, 0)]).await;
    let stopped = journal.status().stopped;
    assert!(stopped.contains("the fold ended"), "{stopped}");
}
