//! The past as researchers take it: the command line's history at any resolution and as known then, and an export of a
//! whole cohort by a platform, killed again and again.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::centre::Centre;
use e2e::client::clock_of;
use e2e::hand::{HandGateway, heart_rates, seal_readings};
use e2e::process::{Process, program};
use e2e::world::fast_clock;
use proto::v1::gateway_to_centre::Kind as Up;
use serde_json::Value;
use vitals::{Span, Time};

/// Patients of the cohort.
const PATIENTS: usize = 3;
/// Readings of each, one a second.
const READINGS: usize = 3_000;

/// The objects of an answer, one a line.
fn lines(text: &str) -> Result<Vec<Value>> {
    text.lines()
        .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()))
        .collect()
}

/// A time as the command line takes it.
fn at(time: Time) -> String {
    let time = jiff::Timestamp::from_microsecond(time.as_micros());
    time.expect("a time of this age").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_is_asked_and_exported_whole_however_often_the_export_is_killed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let envs = fast_clock(300.0);
    let clock = clock_of(&envs)?;
    let mut centre = Centre::init(&folder.path().join("centre"), &envs)?;
    centre.start().await?;
    let (token, id) = centre.token("by hand")?;
    let gateway = HandGateway::enrol(centre.ready()?.grpc, &token, clock).await?;
    let mut patients = Vec::new();
    for number in 0..PATIENTS {
        let patient = centre.add_patient(&format!("Cohort {number}"))?;
        centre.assign(&patient, &id, &[format!("C0:00:00:00:00:{number:02X}")])?;
        patients.push(patient);
    }
    let mut up = gateway.connect().await?;
    let assignments = up.assignments().await?;
    // All of it lies in the past when it is sent.
    let from = clock.now();
    tokio::time::sleep(clock.real(Span::from_secs(i64::try_from(READINGS)?))).await;
    let mut halves = Vec::new();
    for assignment in &assignments {
        let (header, mut sealer) = gateway.open_context(assignment, from)?;
        up.send(Up::OpenContext(header)).await?;
        let values: Vec<i64> = (0..READINGS)
            .map(|n| 60 + i64::try_from(n % 50).unwrap_or(0))
            .collect();
        let readings = heart_rates(from, &values);
        let mut both = readings
            .chunks(READINGS / 2)
            .map(|half| seal_readings(&mut sealer, half));
        let first = both.next().context("a half")??;
        halves.push((first, both.next().context("a half")??));
    }
    up.listen(|heard| heard.admitted.len() == PATIENTS).await?;
    let (firsts, seconds): (Vec<_>, Vec<_>) = halves.into_iter().unzip();
    send(&mut up, firsts.concat()).await?;
    let between = clock.now();
    tokio::time::sleep(Duration::from_millis(20)).await;
    send(&mut up, seconds.concat()).await?;

    let to = at(from + Span::from_secs(i64::try_from(READINGS)?));
    let patient = patients[0].as_str();
    let ask = |more: &[&str]| {
        let fixed = [
            "history",
            patient,
            "--json",
            "--from",
            "2020-01-01T00:00:00Z",
            "--to",
            &to,
        ];
        lines(&centre.cli(&[&fixed[..], more].concat())?)
    };
    ensure!(ask(&[])?.len() == READINGS);
    let then = ask(&["--known-at", &at(between)])?;
    ensure!(
        then.len() == READINGS / 2,
        "{} readings were known then",
        then.len()
    );
    for resolution in ["minute", "hour"] {
        let stretches = ask(&["--resolution", resolution, "--kind", "heart_rate"])?;
        let counts = stretches.iter().filter_map(|line| line["count"].as_u64());
        ensure!(counts.sum::<u64>() == READINGS as u64, "{resolution}");
        ensure!(
            stretches
                .iter()
                .all(|line| line["low"].as_f64() >= Some(60.0))
        );
    }
    ensure!(
        ask(&["--kind", "body_weight"])?.is_empty(),
        "control: there is none"
    );

    let platform = folder.path().join("platform");
    centre.cli(&[
        "platform",
        "add",
        "Research",
        "--out",
        &platform.to_string_lossy(),
        "--all-patients",
        "--for",
        "history",
        "--for",
        "values",
    ])?;
    let whole = folder.path().join("whole.ndjson");
    let as_platform = platform.to_string_lossy().into_owned();
    let arguments = |out: &Path| {
        let out = out.to_string_lossy().into_owned();
        let fixed = ["export", "--out", &out, "--as", &as_platform, "--to", &to];
        fixed.map(str::to_owned)
    };
    let export = |out: &Path, more: &[&str]| {
        let all = arguments(out);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        centre.cli(&[&all[..], more].concat())
    };
    export(&whole, &["--identified"])?;
    let expected = std::fs::read_to_string(&whole)?;
    ensure!(expected.lines().count() == PATIENTS * READINGS);
    let again = export(&whole, &["--identified"]);
    ensure!(again.is_err(), "what is there is not overwritten");
    // A cohort by what is known of people.
    let born = ["--kind", "birth_year", "--value", "1947"];
    centre.cli(&[&["fact", "record", patient][..], &born].concat())?;
    let old = folder.path().join("old.ndjson");
    export(&old, &["--with", "birth_year", "--kind", "heart_rate"])?;
    let of_one = std::fs::read_to_string(&old)?;
    ensure!(of_one.lines().count() == READINGS, "one patient's");

    let cut = folder.path().join("cut.ndjson");
    let dir = centre.dir().to_string_lossy().into_owned();
    let all: Vec<String> = ["--dir".to_owned(), dir, "--test-clock".to_owned()]
        .into_iter()
        .chain(arguments(&cut))
        .collect();
    let (mut kills, mut patience) = (0, 5);
    loop {
        ensure!(kills < 200, "it never ends");
        let log = folder.path().join("export.log");
        let mut export = Process::start(
            "export",
            &program("vitaltwin-aggregator")?,
            &all,
            &envs,
            &log,
        )?;
        tokio::time::sleep(Duration::from_millis(patience)).await;
        if export.ended()?.is_none() {
            export.kill()?;
            kills += 1;
            patience += 15;
            continue;
        }
        if cut.exists() && !folder.path().join("cut.ndjson.progress").exists() {
            break;
        }
        anyhow::bail!("the export failed: {}", export.tail());
    }
    ensure!(kills > 0, "control: it was killed");
    let told = std::fs::read_to_string(&cut)?;
    let (told, expected) = (lines(&told)?, lines(&expected)?);
    ensure!(told.len() == expected.len(), "after {kills} kills");
    // Under names that this copy alone has, and otherwise the same, line by line.
    let mut names = BTreeMap::new();
    for (told, expected) in told.iter().zip(&expected) {
        for field in ["kind", "unit", "source", "effective_us", "quality", "value"] {
            ensure!(told[field] == expected[field], "{told} for {expected}");
        }
        let (name, id) = (told["patient"].to_string(), expected["patient"].to_string());
        ensure!(names.entry(name).or_insert_with(|| id.clone()) == &id);
        ensure!(told["stream"] != expected["stream"] && told["position"].is_null());
    }
    ensure!(names.len() == PATIENTS);
    ensure!(names.iter().all(|(name, id)| name != id));
    let other = lines(&of_one)?;
    ensure!(
        !names.contains_key(&other[0]["patient"].to_string()),
        "its own"
    );
    // Who took what is in the log, and the killed one is one of them.
    let taken: Value = serde_json::from_str(&centre.cli(&["exports", "--json"])?)?;
    let taken = taken.as_array().context("a list")?;
    let of = |taken: &Value| {
        let patients = taken["patients"].as_array().map_or(0, Vec::len);
        (patients, taken["pseudonymous"] == true)
    };
    // A kill may have come before the first mark of progress: then it was begun again.
    let all: Vec<_> = taken.iter().map(of).collect();
    ensure!(
        all.len() > 2 && all[..2] == [(3, false), (1, true)],
        "{taken:?}"
    );
    ensure!(all[2..].iter().all(|one| *one == (3, true)), "{taken:?}");
    ensure!(taken.iter().all(|one| one["by"] == "platform Research"));
    ensure!(centre.cli(&["exports"])?.contains("heart_rate"));
    Ok(())
}

async fn send(up: &mut e2e::hand::HandUplink, records: Vec<Vec<u8>>) -> Result<()> {
    let all = records.len();
    for some in records.chunks(8) {
        up.send_records(some.to_vec()).await?;
    }
    let of = |heard: &e2e::hand::Heard| {
        let ranges = heard.receipts.iter().flat_map(|receipt| &receipt.ranges);
        ranges
            .map(|range| range.last - range.first + 1)
            .sum::<u64>()
    };
    let all = u64::try_from(all)?;
    up.listen(|heard| of(heard) >= all).await?;
    Ok(())
}
