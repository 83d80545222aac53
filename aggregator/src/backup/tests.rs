//! A centre copied while it works, lost, and restored.

use proto::clock::Clock;
use proto::seal::{Secret, receipt};
use proto::v1::centre_to_gateway;

use super::*;
use crate::app::Core;
use crate::config::Config;
use crate::ingest::rig::{Rig, Said, batches, said, seal};
use crate::journal::Position;
use crate::lock::StoreLock;

struct Places {
    temp: tempfile::TempDir,
}

impl Places {
    fn new() -> Self {
        let temp = tempfile::tempdir().expect("a temporary directory");
        Self { temp }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }
}

async fn centre() -> Rig {
    let rig = Rig::new().await;
    let secret = Secret::new([7; 32]);
    dir::write_private(&rig.dir.serve_key(), secret.expose()).expect("written");
    let config = Config::default().to_text();
    dir::write_private(&rig.dir.config(), config.as_bytes()).expect("written");
    rig
}

async fn new_epoch(dir: &CentreDir) -> (u64, u64) {
    let lock = StoreLock::take(&dir.lock()).expect("nobody works on it");
    let core = Core::open(lock, dir.clone(), Config::default(), Clock::system());
    let begun = core.expect("it opens").new_epoch().await;
    begun.expect("it begins")
}

#[tokio::test]
async fn what_was_receipted_after_the_backup_is_taken_again_in_a_new_epoch() {
    let places = Places::new();
    let rig = centre().await;
    let gateway = rig.gateway().await;
    let assigned = rig.assign(&gateway).await;
    let session = rig.session(&gateway);
    let (open, mut sealer) = gateway.open(&assigned, None, Clock::system().now());
    rig.say(&session, open.clone()).await;
    let records: Vec<_> = (0..6).map(|_| seal(&mut sealer)).collect();
    rig.say(&session, batches(records[..3].to_vec())).await;
    // While the centre works.
    let (to, vault) = (places.at("backup"), places.at("elsewhere"));
    let manifest = backup(&rig.dir, &to, Some(&vault)).expect("it is made");
    assert_eq!(manifest.position, rig.journal.status().position.0);
    rig.say(&session, batches(records[3..].to_vec())).await;
    let former = rig.journal.status().position;
    drop(rig);

    let dir = CentreDir::new(places.at("restored"));
    restore(&to, &vault, &dir).expect("it is whole");
    // Broken off here, it would go on where gateways and readers have heard more.
    let lock = StoreLock::take(&dir.lock()).expect("nobody works on it");
    let core = Core::open(lock, dir.clone(), Config::default(), Clock::system());
    let Err(error) = core.expect("it opens").desk().await else {
        panic!("it goes on");
    };
    assert!(format!("{error:#}").contains("was broken off"), "{error:#}");
    let again = restore(&to, &vault, &dir).expect_err("refused");
    assert!(format!("{again:#}").contains("was broken off"), "{again:#}");
    let (epoch, first) = new_epoch(&dir).await;
    assert_eq!(epoch, 2);
    assert!(Position(first) > former, "no number is given out twice");
    let mut rig = Rig::open(dir, None, 0).await;
    assert_eq!(rig.books.registry().totals().batches, 3);
    assert_eq!(rig.journal.status().damaged, 0, "the leap is no damage");
    rig.journaled();
    let session = rig.session(&gateway);
    rig.say(&session, open).await;
    let answers = rig.say(&session, batches(records.clone())).await;
    assert_eq!(
        said(&answers),
        [Said::Receipt(sealer.context(), vec![(1, 6)])]
    );
    assert_eq!(
        rig.journaled(),
        [4, 5, 6],
        "only what the backup does not hold"
    );
    let Some(centre_to_gateway::Kind::Receipt(message)) = &answers[0].kind else {
        panic!("a receipt");
    };
    let verified = receipt::verify(sealer.receipt_key(), message).expect("authentic");
    assert_eq!(verified.journal_epoch, 2);
}

#[tokio::test]
async fn nothing_is_restored_over_a_centre_or_from_what_is_not_whole() {
    let places = Places::new();
    let rig = centre().await;
    let (to, vault) = (places.at("backup"), places.at("elsewhere"));
    backup(&rig.dir, &to, Some(&vault)).expect("it is made");
    let refused = |from: &Path, vault: &Path, to: CentreDir| {
        let error = restore(from, vault, &to).expect_err("refused");
        format!("{error:#}")
    };
    let fresh = || CentreDir::new(places.at("restored"));
    assert!(refused(&to, &vault, rig.dir.clone()).contains("is a centre already"));
    assert!(refused(&vault, &vault, fresh()).contains("of a vault"));
    let manifest = to.join(MANIFEST);
    let text = fs::read_to_string(&manifest).expect("there");
    fs::write(&manifest, text.replace("\"format\": 1", "\"format\": 2")).expect("ours");
    assert!(refused(&to, &vault, fresh()).contains("newer release"));
    fs::write(&manifest, text.replace("command.key", "../command.key")).expect("ours");
    assert!(refused(&to, &vault, fresh()).contains("no file of a backup"));
    fs::write(&manifest, &text).expect("ours");
    let key = fs::read(to.join("command.key")).expect("there");
    fs::write(to.join("command.key"), b"other").expect("ours");
    assert!(refused(&to, &vault, fresh()).contains("damaged"));
    fs::write(to.join("command.key"), key).expect("ours");
    fs::remove_file(vault.join(MANIFEST)).expect("there");
    assert!(refused(&to, &vault, fresh()).contains("no complete backup"));
    assert!(!fresh().root().exists(), "nothing was begun");
    // Control: whole again.
    let other = places.at("third");
    backup(&rig.dir, &places.at("second"), Some(&other)).expect("it is made");
    restore(&to, &other, &fresh()).expect("whole");
    assert!(
        backup(&rig.dir, &to, None).is_err(),
        "a backup is never written over"
    );
    assert!(backup(&rig.dir, &places.at("x"), Some(&places.at("x/vault"))).is_err());
}

#[tokio::test]
async fn a_backup_without_the_vault_tells_nothing() {
    let places = Places::new();
    let rig = centre().await;
    let gateway = rig.gateway().await;
    let assigned = rig.assign(&gateway).await;
    backup(&rig.dir, &places.at("backup"), None).expect("it is made");
    let journal = fs::read(places.at("backup/store/journal.db")).expect("there");
    let holds = |what: &[u8]| journal.windows(what.len()).any(|window| window == what);
    assert!(
        holds(assigned.patient.as_bytes()),
        "control: pseudonyms are"
    );
    assert!(!holds(assigned.devices[0].as_bytes()) && !holds(b"Ann"));
    assert!(!places.at("backup/vault").exists());
}
