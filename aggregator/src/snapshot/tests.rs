//! Snapshots of a real journal: restored and refused for their reasons; nothing readable at rest.

use std::sync::Arc;

use proto::clock::Clock;
use proto::seal::{Sealer, Secret};
use vitals::ContextId;

use super::*;
use crate::ingest::rig::{Assigned, Gateway, Rig, batches, seal};
use crate::journal::{Log, known_at};
use crate::patient::Fold;
use crate::publish::{AlertIds, CursorKey, Hub, Limits};

/// A centre with a fold, and gateways that send.
struct Centre {
    rig: Rig,
    fold: Fold,
    snapshots: Snapshots,
    senders: Vec<(Gateway, Assigned, Sealer)>,
}

fn empty_fold() -> Fold {
    let key = || Secret::new([5; 32]);
    let hub = Hub::new(CursorKey::new(key()), Limits::default());
    Fold::new(Arc::new(hub), AlertIds::new(key()))
}

impl Centre {
    async fn new(patients: usize) -> Self {
        let rig = Rig::new().await;
        let fold = empty_fold();
        let journal = rig.dir.journal();
        let known = KnownAt(Box::new(move |position| known_at(&journal, position)));
        let snapshots = Snapshots::new(
            rig.dir.snapshots(),
            Arc::clone(&rig.books),
            fold.saver(),
            known,
            &Restored::default(),
        );
        let mut centre = Self {
            rig,
            fold,
            snapshots,
            senders: Vec::new(),
        };
        for _ in 0..patients {
            let gateway = centre.rig.gateway().await;
            let assigned = centre.rig.assign(&gateway).await;
            let session = centre.rig.session(&gateway);
            let (open, sealer) = gateway.open(&assigned, None, Clock::system().now());
            centre.rig.say(&session, open).await;
            centre.senders.push((gateway, assigned, sealer));
        }
        centre.fold_all();
        centre
    }

    async fn send(&mut self, of: usize, count: usize) {
        let (gateway, _, sealer) = &mut self.senders[of];
        let records: Vec<_> = (0..count).map(|_| seal(sealer)).collect();
        let session = self.rig.session(gateway);
        self.rig.say(&session, batches(records)).await;
        self.fold_all();
    }

    fn fold_all(&mut self) {
        while let Ok(committed) = self.rig.feed.try_recv() {
            self.fold.apply(&committed);
        }
    }

    fn take(&self) -> Made {
        self.snapshots.take(|_| true).expect("it is made")
    }

    /// What a start of this centre would find now: books and fold, and where they came from.
    fn start(&self) -> (Arc<Books>, Fold, Restored) {
        let books = Arc::new(Books::new(Arc::clone(self.rig.books.vault_handle())));
        let log = Log::open(
            &self.rig.dir.journal(),
            None,
            Clock::system(),
            Arc::clone(&books) as _,
        )
        .expect("a journal");
        let mut fold = empty_fold();
        let known = |position| log.known_at(position);
        let restored = restore(
            &self.rig.dir.snapshots(),
            &books,
            &mut fold,
            &known,
            Position(u64::MAX),
        );
        let after = restored.begin.unwrap_or(Position::START);
        log.replay(after, |committed| fold.apply(&committed))
            .expect("it reads");
        (books, fold, restored)
    }

    /// Everything that a start could get wrong.
    fn assert_same(&self, books: &Books, fold: &Fold) {
        let twins = |fold: &Fold| -> Vec<_> {
            let hub = fold.hub();
            let all = hub.patients().into_iter();
            all.map(|(_, index)| (hub.view(index).at, hub.view(index).twin))
                .collect()
        };
        assert_eq!(twins(fold), twins(&self.fold));
        assert_eq!(fold.next_deadline(), self.fold.next_deadline());
        assert_eq!(
            bytes_of(&*books.registry()),
            bytes_of(&*self.rig.books.registry())
        );
    }

    fn sql(&self, sql: &str) {
        let store = SnapshotStore::open(&self.rig.dir.snapshots()).expect("it is there");
        store.execute_for_test(sql);
    }

    fn context(&self, of: usize) -> ContextId {
        self.senders[of].2.context()
    }
}

#[tokio::test]
async fn a_start_reads_the_snapshot_and_the_tail_and_decapsulates_nothing() {
    let mut centre = Centre::new(3).await;
    for of in [0, 1, 2, 0] {
        centre.send(of, 4).await;
    }
    let made = centre.take();
    assert_eq!((made.written, made.patients), (3, 3));
    centre.send(1, 5).await;
    let (books, fold, restored) = centre.start();
    assert_eq!(restored.begin, Some(made.begin));
    assert!(restored.ignored.is_empty() && restored.patients == 3);
    centre.assert_same(&books, &fold);
    // Control: without the tail it is another centre.
    let empty = Arc::new(Books::new(Arc::clone(centre.rig.books.vault_handle())));
    let mut without = empty_fold();
    let known = |position| known_at(&centre.rig.dir.journal(), position);
    let all = Position(u64::MAX);
    restore(
        &centre.rig.dir.snapshots(),
        &empty,
        &mut without,
        &known,
        all,
    );
    assert_ne!(bytes_of(&*empty.registry()), bytes_of(&*books.registry()));
    for of in 0..3 {
        assert!(empty.has_opener(centre.context(of)), "its keys were kept");
    }
}

#[tokio::test]
async fn only_what_changed_is_written_again() {
    let mut centre = Centre::new(3).await;
    assert_eq!(centre.take().written, 3);
    assert_eq!(centre.take().written, 0);
    centre.send(2, 1).await;
    assert_eq!(centre.take().written, 1);
    // Rows of three snapshots now make one.
    let (books, fold, restored) = centre.start();
    assert!(restored.begin.is_some());
    centre.assert_same(&books, &fold);
}

#[tokio::test]
async fn what_does_not_hold_is_not_used_and_says_why() {
    let newest = "(SELECT max(pass) FROM passes)";
    let cases = [
        (
            format!("UPDATE passes SET format = 99 WHERE pass = {newest}"),
            Why::Newer,
        ),
        (
            format!("UPDATE passes SET header = x'00' WHERE pass = {newest}"),
            Why::Torn,
        ),
        (
            format!("UPDATE passes SET registry = x'' WHERE pass = {newest}"),
            Why::Torn,
        ),
        (
            format!("DELETE FROM twins WHERE pass = {newest}"),
            Why::Torn,
        ),
        (
            format!("UPDATE twins SET sealed = substr(sealed, 1, 90) WHERE pass = {newest}"),
            Why::Unreadable,
        ),
        (
            format!("UPDATE twins SET patient = patient || 'x' WHERE pass = {newest}"),
            Why::Unreadable,
        ),
    ];
    for (sql, why) in cases {
        let mut centre = Centre::new(2).await;
        centre.send(0, 3).await;
        let older = centre.take();
        centre.send(0, 2).await;
        // A patient that comes between them is in the newest only.
        let gateway = centre.rig.gateway().await;
        let assigned = centre.rig.assign(&gateway).await;
        let (_, sealer) = gateway.open(&assigned, None, Clock::system().now());
        centre.senders.push((gateway, assigned, sealer));
        centre.fold_all();
        let newer = centre.take();
        let (.., restored) = centre.start();
        assert_eq!(restored.begin, Some(newer.begin), "control: {sql}");
        centre.sql(&sql);
        let (books, fold, restored) = centre.start();
        assert_eq!(
            (restored.begin, restored.ignored),
            (Some(older.begin), vec![why]),
            "{sql}"
        );
        centre.assert_same(&books, &fold);
        // And without any, the whole log.
        centre.sql("UPDATE passes SET sum = x'00'");
        let (books, fold, restored) = centre.start();
        assert_eq!((restored.begin, restored.ignored.len()), (None, 2));
        centre.assert_same(&books, &fold);
    }
}

#[tokio::test]
async fn a_snapshot_of_another_fold_version_or_journal_is_not_used() {
    let mut centre = Centre::new(1).await;
    centre.send(0, 3).await;
    centre.take();
    let path = centre.rig.dir.snapshots();
    let rewrite = |change: &dyn Fn(&mut Header)| {
        let store = SnapshotStore::open(&path).expect("it is there");
        let pass = store.passes().expect("readable").remove(0);
        let mut header: Header = twin::canonical::read(&pass.header).expect("ours");
        change(&mut header);
        let header = bytes_of(&header);
        let sum = sha256(&[&header, &pass.registry]);
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        store.execute_for_test(&format!(
            "UPDATE passes SET header = x'{}', sum = x'{}'",
            hex(&header),
            hex(&sum)
        ));
    };
    let why = |centre: &Centre| centre.start().2.ignored;
    assert_eq!(why(&centre), []);
    rewrite(&|header| header.fold_version -= 1);
    assert_eq!(why(&centre), [Why::FoldVersion]);
    // A later release's is not passed over: the start is refused (`app/keeping.rs`).
    rewrite(&|header| header.fold_version += 2);
    assert_eq!(why(&centre), [Why::Newer]);
    rewrite(&|header| header.fold_version -= 1);
    assert_eq!(why(&centre), [], "control");
    rewrite(&|header| header.registry_known = Time::from_micros(7));
    assert_eq!(why(&centre), [Why::OtherJournal]);
    let (books, fold, _) = centre.start();
    centre.assert_same(&books, &fold);
}

#[tokio::test]
async fn nothing_about_a_patient_lies_readable_in_the_file() {
    let mut centre = Centre::new(2).await;
    centre.send(0, 3).await;
    let made = centre.take();
    let opener = centre.rig.books.opener(centre.context(0)).expect("in use");
    let device = centre.senders[0].1.devices[0].clone();
    let path = centre.rig.dir.snapshots();
    let mut bytes = std::fs::read(&path).expect("the file");
    bytes.extend(std::fs::read(path.with_extension("db-wal")).unwrap_or_default());
    let holds = |what: &[u8]| bytes.windows(what.len()).any(|window| window == what);
    assert!(
        holds(centre.senders[0].0.id.as_str().as_bytes()),
        "control: what is searched is there"
    );
    assert!(made.bytes > 0);
    for secret in [
        device.as_bytes(),
        b"Ann",
        opener.keys().batch.expose(),
        opener.keys().receipt.expose(),
    ] {
        assert!(!holds(secret));
    }
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_written_stops_nothing_and_is_counted() {
    let mut centre = Centre::new(1).await;
    let path = centre.rig.dir.snapshots();
    std::fs::create_dir(&path).expect("in the way");
    assert!(centre.snapshots.take(|_| true).is_err());
    let failed = centre.snapshots.health().failed;
    assert_eq!(failed.get(Why::Unwritten.as_str()), Some(&1));
    let before = centre.rig.journal.status().position;
    centre.send(0, 2).await;
    let status = centre.rig.journal.status();
    assert!(status.stopped.is_empty() && status.position > before);
    std::fs::remove_dir(&path).expect("ours");
    assert_eq!(centre.take().written, 1);
    let (books, fold, restored) = centre.start();
    assert!(restored.begin.is_some());
    centre.assert_same(&books, &fold);
}

#[tokio::test]
async fn a_snapshot_that_was_not_finished_is_none_and_is_swept_away() {
    let mut centre = Centre::new(40).await;
    let first = centre.take();
    for of in 0..40 {
        centre.send(of, 1).await;
    }
    let mut asked = 0;
    let stopped = centre.snapshots.take(|_| {
        asked += 1;
        false
    });
    assert!(matches!(stopped, Err(NotMade::Stopped)) && asked == 1);
    let (books, fold, restored) = centre.start();
    assert_eq!(restored.begin, Some(first.begin));
    centre.assert_same(&books, &fold);
    let made = centre.take();
    assert_eq!(
        made.written, 40,
        "nothing of the unfinished one is built upon"
    );
    let (books, fold, restored) = centre.start();
    assert_eq!(restored.begin, Some(made.begin));
    centre.assert_same(&books, &fold);
}

/// Files of an earlier release, in a directory of their own.
fn fixture(name: &str) -> (tempfile::TempDir, Arc<Vault>) {
    use std::os::unix::fs::PermissionsExt as _;
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name);
    let temp = tempfile::tempdir().expect("a temporary directory");
    for file in std::fs::read_dir(from).expect("the fixtures") {
        let file = file.expect("a file").path();
        let to = temp.path().join(file.file_name().expect("a name"));
        std::fs::copy(&file, &to).expect("copied");
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&to, private).expect("ours");
    }
    let vault = Arc::new(Vault::open(temp.path()).expect("its vault"));
    (temp, vault)
}

#[tokio::test]
async fn the_journal_of_an_earlier_release_is_read_and_a_later_one_is_refused() {
    let (temp, vault) = fixture("tables-2");
    let path = temp.path().join("journal.db");
    let open = || {
        let books = Arc::new(Books::new(Arc::clone(&vault)));
        let log = Log::open(&path, None, Clock::system(), Arc::clone(&books) as _);
        (books, log)
    };
    let (books, log) = open();
    let log = log.expect("it reads what came before");
    let mut fold = empty_fold();
    log.replay(Position::START, |committed| fold.apply(&committed))
        .expect("it reads");
    assert_eq!((log.next(), log.lost_administrative()), (Position(9), None));
    let registry = books.keep();
    let (patient, of) = registry.patients().next().expect("one patient");
    assert_eq!(books.name(patient), "Test Patient");
    assert!(of.will.allows() && registry.streams().count() == 1);
    assert_eq!(registry.gateways().count(), 1);
    drop(log);
    crate::journal::set_tables(&path, 5);
    let refused = open().1.expect_err("a later release's").to_string();
    assert!(refused.contains("newer release"), "{refused}");
    crate::journal::set_tables(&path, 4);
    assert!(open().1.is_ok(), "control");
}

#[tokio::test]
async fn old_entries_go_only_when_covered_and_what_is_left_is_the_same_centre() {
    let mut centre = Centre::new(2).await;
    for of in [0, 1, 0, 1] {
        centre.send(of, 5).await;
    }
    let forever = Time::from_micros(i64::MAX);
    let (journal, end) = (
        centre.rig.journal.clone(),
        centre.rig.journal.status().position,
    );
    assert_eq!(
        centre.snapshots.verify().err(),
        Some(Why::File),
        "there is none"
    );
    let first = centre.take();
    centre.send(0, 5).await;
    centre.take();
    let covered = centre.snapshots.verify().expect("it holds");
    assert_eq!(
        covered, first.begin,
        "an older one would need what lies behind it"
    );
    // Younger than is kept: nothing.
    let removed = journal.remove(covered, Time::ZERO).await.expect("asked");
    assert_eq!((removed.entries, removed.kept), (0, 0));
    let (mut entries, mut kept) = (0, 0);
    loop {
        let removed = journal.remove(covered, forever).await.expect("removed");
        if removed.entries + removed.kept == 0 {
            break;
        }
        (entries, kept) = (entries + removed.entries, kept + removed.kept);
    }
    assert!(
        entries >= 15 && kept >= 8,
        "{entries} batches, {kept} of the others"
    );
    let (below, _) = journal.status().removed.expect("it says so");
    assert!(below <= covered && below.0 > 10 && end >= covered);
    // A start goes on as before, from either snapshot.
    let (books, fold, restored) = centre.start();
    assert!(restored.ignored.is_empty());
    centre.assert_same(&books, &fold);
    centre.sql("UPDATE passes SET sum = x'00' WHERE pass = (SELECT max(pass) FROM passes)");
    let (books, fold, restored) = centre.start();
    assert_eq!(restored.begin, Some(first.begin));
    centre.assert_same(&books, &fold);
    // Without any, the administrative entries are all there, and no damage is told.
    centre.sql("UPDATE passes SET sum = x'00'");
    let (books, _, restored) = centre.start();
    assert_eq!(restored.begin, None);
    let (here, there) = (books.keep(), centre.rig.books.keep());
    assert_eq!(here.contexts_count(), there.contexts_count());
    assert_eq!(here.streams().count(), there.streams().count());
    assert!(
        here.totals().batches < there.totals().batches,
        "control: batches are gone"
    );
    // What does not hold covers nothing.
    assert_eq!(centre.snapshots.verify().err(), Some(Why::Torn));
    let failed = centre.snapshots.health().failed;
    assert_eq!(failed.get(Why::Torn.as_str()), Some(&1));
}

#[tokio::test]
async fn after_a_change_of_the_fold_no_batch_is_taken_twice_though_it_is_no_longer_kept() {
    let mut centre = Centre::new(1).await;
    let (gateway, _, sealer) = &mut centre.senders[0];
    let records: Vec<_> = (0..4).map(|_| seal(sealer)).collect();
    let session = centre.rig.session(gateway);
    centre.rig.say(&session, batches(records.clone())).await;
    centre.fold_all();
    centre.take();
    let path = centre.rig.dir.snapshots();
    let store = SnapshotStore::open(&path).expect("it is there");
    let pass = store.passes().expect("readable").remove(0);
    let mut header: Header = twin::canonical::read(&pass.header).expect("ours");
    header.fold_version -= 1;
    let header = bytes_of(&header);
    let sum = sha256(&[&header, &pass.registry]);
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let (header, sum) = (hex(&header), hex(&sum));
    store.execute_for_test(&format!(
        "UPDATE passes SET header = x'{header}', sum = x'{sum}'"
    ));
    let (books, _, restored) = centre.start();
    assert_eq!(restored.ignored, [Why::FoldVersion]);
    assert_eq!(
        bytes_of(&*books.registry()),
        bytes_of(&*centre.rig.books.registry())
    );
}
