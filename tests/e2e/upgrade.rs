//! What a release left on its disks, and its agent, work with the program of today; what a later release wrote is refused
//! by each store, with words that say what to do.
//!
//! `tests/fixtures/RELEASE.tar.gz` holds a centre (journal, snapshots, history, vault), a gateway with sealed records that
//! wait in its outbox, and `told.json`: what that release told of them. Its keys are nobody's. A release makes its own,
//! once, and none is ever changed: `VITALTWIN_FIXTURE=0.2.0 cargo test -p e2e --test e2e a_release_leaves`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use e2e::centre::Centre;
use e2e::client::{Client, clock_of, measurements};
use e2e::gateway::{Gateway, Uplink};
use e2e::hand::{HandGateway, heart_rates, seal_readings};
use e2e::process::{program, run};
use e2e::rogue::Lies;
use e2e::wait::wait_for;
use proto::seal::crypto::sha256;
use proto::text::hex;
use proto::v1::RefusalReason;
use proto::v1::gateway_to_centre::Kind as Up;
use serde::{Deserialize, Serialize};
use vitals::{Span, Time};
use vitaltwin_aggregator::history::History;
use vitaltwin_aggregator::journal::Log;
use vitaltwin_aggregator::registry::Books;
use vitaltwin_aggregator::vault::Vault;

use crate::buffer::{assigned, fill_buffer, nothing_twice};
use crate::forgery::rogue;
use crate::paths::LONG;
use crate::support::ADDRESS;

/// What a release told of what it left.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    /// The release.
    program: String,
    fold_version: u32,
    /// By its clock, when it ended.
    now_us: i64,
    readings_applied: u64,
    /// Readings that wait at the gateway.
    waiting: u64,
    patients: BTreeMap<String, Patient>,
    alerts: BTreeMap<String, Alert>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Patient {
    position: u64,
    state_hash: String,
    readings: usize,
    /// SHA-256 over each reading's kind, stream, source, time, number and device time.
    sum: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Alert {
    patient: String,
    condition: String,
    onset_us: i64,
    raised_us: i64,
    acknowledged_by: String,
    acknowledge_note: String,
    summary: String,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

async fn patient_of(client: &Client, id: &str) -> Result<Patient> {
    let twin = client.twin(id).await?;
    let all = measurements(client, id).await?;
    Ok(Patient {
        position: twin.position,
        state_hash: hex(&twin.state_hash),
        readings: all.len(),
        sum: hex(&sha256(&[format!("{all:?}").as_bytes()])),
    })
}

async fn alerts_of(client: &Client) -> Result<BTreeMap<String, Alert>> {
    let alerts = client.all_alerts().await?.into_iter();
    let of = alerts.map(|alert| {
        let told = Alert {
            patient: alert.patient,
            condition: alert.condition,
            onset_us: alert.onset_us,
            raised_us: alert.raised_us,
            acknowledged_by: alert.acknowledged_by,
            acknowledge_note: alert.acknowledge_note,
            summary: alert.summary,
        };
        (alert.id, told)
    });
    Ok(of.collect())
}

/// Not a test of anything: makes the fixture of this release where one is asked for by name.
#[tokio::test(flavor = "multi_thread")]
async fn a_release_leaves_its_disks_for_those_after_it() -> Result<()> {
    let Ok(release) = std::env::var("VITALTWIN_FIXTURE") else {
        return Ok(());
    };
    let archive = fixtures().join(format!("{release}.tar.gz"));
    ensure!(!archive.exists(), "{} is there", archive.display());
    let (folder, mut world) = assigned(Uplink::Grpc).await?;
    let clock = clock_of(&world.plan.envs)?;
    // A second patient whose heart is slow for as long as it takes, and what people said about that.
    let (token, id) = world.centre.token("by hand")?;
    let hand = HandGateway::enrol(world.centre.ready()?.grpc, &token, clock).await?;
    let slow = world.centre.add_patient("Slow")?;
    world.centre.assign(&slow, &id, &[ADDRESS.into()])?;
    let mut up = hand.connect().await?;
    let assignment = up.assignments().await?.remove(0);
    let begin = clock.now();
    tokio::time::sleep(clock.real(Span::from_secs(150))).await;
    let (header, mut sealer) = hand.open_context(&assignment, begin)?;
    up.send(Up::OpenContext(header)).await?;
    let records = seal_readings(&mut sealer, &heart_rates(begin, &[34; 150]))?;
    up.send_records(records).await?;
    up.listen(|heard| !heard.receipts.is_empty()).await?;
    let client = world.centre.client().await?;
    let raised = wait_for("the alert", LONG, async || {
        let alerts = alerts_of(&client).await?;
        let mut found = alerts.into_iter().filter(|(_, of)| of.patient == slow);
        Ok(found.find(|(_, of)| of.condition == "heart_rate_low"))
    });
    let (alert, _) = raised.await?;
    world
        .centre
        .cli(&["alert", "acknowledge", &alert, "--note", "on the way"])?;
    let kind = ["--kind", "birth_year", "--value", "1947"];
    world
        .centre
        .cli(&[&["fact", "record", &slow][..], &kind].concat())?;
    // Records that nobody has taken yet.
    fill_buffer(&mut world).await?;
    let home = world.gateway("home")?;
    let waiting = home.count("/readings_sealed") - home.count("/readings_receipted");
    let mut patients = BTreeMap::new();
    for id in world.patients.values().chain([&slow]) {
        patients.insert(id.clone(), patient_of(&client, id).await?);
    }
    let status = world.centre.status()?;
    let told = Told {
        program: release.clone(),
        fold_version: twin::FOLD_VERSION,
        now_us: clock.now().as_micros(),
        readings_applied: status["readings_applied"].as_u64().context("a count")?,
        waiting,
        patients,
        alerts: alerts_of(&client).await?,
    };
    world.centre.stop()?;
    write_out(world.centre.dir(), clock).await?;
    let pack = folder.path().join("pack");
    fs::create_dir_all(&pack)?;
    fs::rename(world.centre.dir(), pack.join("centre"))?;
    fs::rename(world.gateway("home")?.agent_dir(), pack.join("agent"))?;
    for gone in ["centre/run", "agent/status.json"] {
        let gone = pack.join(gone);
        let _ = fs::remove_dir_all(&gone).or_else(|_| fs::remove_file(&gone));
    }
    fs::write(pack.join("told.json"), serde_json::to_vec_pretty(&told)?)?;
    fs::create_dir_all(fixtures())?;
    let [archive, pack] = [archive, pack].map(|path| path.to_string_lossy().into_owned());
    let whole = ["-c", "-z", "-S", "-f", &archive, "-C", &pack];
    run(Path::new("tar"), whole.into_iter().chain(["."]), &[])?;
    Ok(())
}

/// The history moves into blocks when enough has come; here at once.
async fn write_out(dir: &Path, clock: proto::clock::Clock) -> Result<()> {
    let vault = Arc::new(Vault::open(&dir.join("vault"))?);
    let books = Arc::new(Books::new(Arc::clone(&vault)));
    let log = Log::open(&dir.join("store/journal.db"), None, clock, books.clone())?;
    log.replay(vitaltwin_aggregator::journal::Position::START, |_| {})?;
    let (journal, feed) = log.start()?;
    drop(feed);
    let begins = move |stream| Some(books.registry().stream(stream)?.from);
    let path = dir.join("store/history.db");
    let (history, following) = History::start(&path, vault, journal.clone(), Arc::new(begins))?;
    history.write_out(journal.status().position).await?;
    tokio::task::spawn_blocking(move || following.stop()).await?;
    journal.close().await;
    Ok(())
}

/// A fixture on a disk of its own, with the rights that secrets have.
fn unpack(release: &Path, to: &Path) -> Result<Told> {
    fs::create_dir_all(to)?;
    let [archive, into] = [release, to].map(|path| path.to_string_lossy().into_owned());
    run(
        Path::new("tar"),
        ["-x", "-z", "-f", &archive, "-C", &into],
        &[],
    )?;
    // Made by `init`; nothing in it outlives a process.
    fs::create_dir_all(to.join("centre/run"))?;
    make_private(to)?;
    Ok(serde_json::from_slice(&fs::read(to.join("told.json"))?)?)
}

fn make_private(path: &Path) -> Result<()> {
    let is_dir = path.is_dir();
    let mode = if is_dir { 0o700 } else { 0o600 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    if is_dir {
        for entry in fs::read_dir(path)? {
            make_private(&entry?.path())?;
        }
    }
    Ok(())
}

/// A clock that reads a minute after the release ended.
fn after(told: &Told) -> Vec<(String, String)> {
    let wall = proto::clock::wall_now().as_micros();
    let then = Time::from_micros(told.now_us) + Span::from_secs(60);
    let text = format!("{wall}:{}:1", then.as_micros());
    vec![(proto::clock::TEST_CLOCK_VARIABLE.into(), text)]
}

fn releases() -> Result<Vec<PathBuf>> {
    let files = fs::read_dir(fixtures())?.map(|file| Ok(file?.path()));
    let all: Vec<PathBuf> = files.collect::<Result<_>>()?;
    let all: Vec<_> = all
        .into_iter()
        .filter(|path| path.to_string_lossy().ends_with(".tar.gz"))
        .collect();
    ensure!(!all.is_empty(), "no fixture");
    Ok(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_earlier_releases_left_works_with_this_one() -> Result<()> {
    for release in releases()? {
        let folder = tempfile::tempdir()?;
        let told = unpack(&release, &folder.path().join("old"))?;
        goes_on(folder.path(), &told)
            .await
            .with_context(|| release.display().to_string())?;
    }
    Ok(())
}

async fn goes_on(folder: &Path, told: &Told) -> Result<()> {
    let envs = after(told);
    let mut centre = Centre::existing(&folder.join("old/centre"), &envs);
    centre.start().await?;
    let client = centre.client().await?;
    let status = centre.status()?;
    ensure!(
        status["readings_applied"] == told.readings_applied,
        "{} were applied then: {status}",
        told.readings_applied
    );
    ensure!(status["refused"]["damaged_entry"].is_null(), "{status}");
    for (id, patient) in &told.patients {
        let now = patient_of(&client, id).await?;
        ensure!(
            (now.readings, &now.sum) == (patient.readings, &patient.sum),
            "its readings are others: {now:?}"
        );
        let at = patient.position.to_string();
        let mut asked = vec!["rebuild", id, "--at", &at];
        // Hashes are promised within a fold version.
        if told.fold_version == twin::FOLD_VERSION {
            asked.extend(["--expect", &patient.state_hash]);
        }
        centre.cli(&asked)?;
    }
    let now = alerts_of(&client).await?;
    for (id, alert) in &told.alerts {
        ensure!(
            now.get(id) == Some(alert),
            "{alert:?} is now {:?}",
            now.get(id)
        );
    }
    ensure!(
        told.alerts
            .values()
            .any(|of| !of.acknowledge_note.is_empty())
    );
    // The gateway's records, sealed by the release of then, are taken by today's agent and centre.
    let mut gateway = Gateway::new(&folder.join("gateway"), Uplink::Grpc, &envs).await?;
    fs::remove_dir_all(gateway.agent_dir())?;
    fs::rename(folder.join("old/agent"), gateway.agent_dir())?;
    let door = centre.ready()?.grpc.port();
    gateway.configure(&format!("grpc_address = \"localhost:{door}\"\n"))?;
    gateway.start_agent()?;
    ensure!(told.waiting > 50, "control: {told:?}");
    let all = told.readings_applied + told.waiting;
    let taken = wait_for("what waited at the gateway", LONG, async || {
        let applied = centre.status()?["readings_applied"].as_u64();
        Ok((applied >= Some(all)).then_some(applied))
    });
    let taken = taken.await?;
    ensure!(taken == Some(all), "{taken:?} of {all}");
    gateway.stop_agent()?;
    let status = gateway.status().context("its status")?;
    ensure!(
        status["readings_dropped"] == serde_json::json!({}),
        "{status}"
    );
    centre.stop()
}

/// An agent of today before a centre that is full, and before one of a later release that refuses for reasons of its own.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_keeps_what_is_refused_and_brings_it_later() -> Result<()> {
    let (folder, mut world) = assigned(Uplink::Grpc).await?;
    for (reason, name) in [
        (RefusalReason::Overloaded.into(), "overloaded"),
        (4711, "unknown_here"),
    ] {
        let lies = Lies {
            gateway: world.gateway_ids["home"].clone(),
            stream: vec![1; 16],
            replayed: None,
            refuses: Some(reason),
        };
        let rogue = rogue(&folder, &world, lies).await?;
        let home = world.gateway("home")?;
        home.configure(&format!(
            "grpc_address = \"localhost:{}\"\n",
            rogue.address.port()
        ))?;
        home.start_agent()?;
        // Records that wait grow together: what is in them is counted.
        let refused = format!("/refusals/{name}");
        let kept = wait_for("refusals", LONG, async || {
            let waits = home.count("/readings_sealed") - home.count("/readings_receipted");
            let (refused, records) = (home.count(&refused), home.count("/buffer/records"));
            Ok((refused >= 20 && waits >= 20 && records > 0).then_some(()))
        });
        kept.await.with_context(|| format!("{:?}", home.status()))?;
        home.kill_agent()?;
    }
    // The control: the true centre gets all of it, and each once.
    let home = world.gateway("home")?;
    home.stop_wearables()?;
    home.configure("")?;
    home.start_agent()?;
    let brought = wait_for("the buffer to be empty", LONG, async || {
        Ok((home.count("/connections") > 0 && home.count("/buffer/records") == 0).then_some(()))
    });
    brought.await?;
    home.stop_agent()?;
    let status = home.status().context("its status")?;
    ensure!(
        status["readings_dropped"].get("refused").is_none(),
        "{status}"
    );
    let all = nothing_twice(&world).await?;
    ensure!(all > 40, "{all}");
    Ok(())
}

/// Says in a database's own words that a later release made it. Python's SQLite folds the write-ahead log in.
fn from_the_future(file: &Path) -> Result<()> {
    let set =
        "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('PRAGMA user_version = 77')";
    let file = file.to_string_lossy();
    run(Path::new("python3"), ["-c", set, &file], &[]).map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_later_release_wrote_is_refused_with_what_to_do() -> Result<()> {
    let release = releases()?.remove(0);
    let folder = tempfile::tempdir()?;
    for (store, file) in [
        ("journal", "store/journal.db"),
        ("snapshots", "store/snapshots.db"),
        ("history", "store/history.db"),
        ("vault", "vault/vault.db"),
    ] {
        let there = folder.path().join(store);
        let told = unpack(&release, &there)?;
        let mut centre = Centre::existing(&there.join("centre"), &after(&told));
        let file = centre.dir().join(file);
        from_the_future(&file)?;
        let before = fs::read(&file)?;
        let error = centre.start().await.err().context(store)?;
        let text = format!("{error:#}");
        ensure!(
            text.contains("newer release") && text.contains("install that release again"),
            "{store}: {text}"
        );
        ensure!(before == fs::read(&file)?, "{store} was changed");
    }
    // A backup and an outbox say their version in another way.
    let told = unpack(&release, &folder.path().join("last"))?;
    let old = folder.path().join("last");
    let centre = Centre::existing(&old.join("centre"), &after(&told));
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (copy, keys, new) = (at("copy"), at("keys"), at("new"));
    centre.cli(&["backup", &copy, "--vault", &keys])?;
    let manifest = Path::new(&copy).join("backup.json");
    let text = fs::read_to_string(&manifest)?;
    fs::write(&manifest, text.replace("\"format\": 1", "\"format\": 77"))?;
    let restored = Centre::existing(Path::new(&new), &after(&told));
    let refused = restored.cli(&["restore", &copy, "--vault", &keys]);
    let text = format!("{:#}", refused.err().context("the backup")?);
    ensure!(
        text.contains("newer release: restore it with that one"),
        "{text}"
    );
    let format = old.join("agent/outbox.format");
    fs::write(&format, "77\n")?;
    make_private(&format)?;
    let dir = old.join("agent").to_string_lossy().into_owned();
    let run_agent = ["--dir", &dir, "--test-clock", "run"];
    let refused = run(&program("vitaltwin-agent")?, run_agent, &after(&told));
    let text = format!("{:#}", refused.err().context("the outbox")?);
    ensure!(
        text.contains("newer release") && text.contains("install that release again"),
        "{text}"
    );
    ensure!(old.join("agent/outbox/db").exists(), "it was set aside");
    Ok(())
}
