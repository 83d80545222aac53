//! A telemedicine platform begins: the examples in `tests/platform`, as they stand there, each with a certificate of its own,
//! hear each alert once across their own end and the centre's.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use e2e::hand::{HandUplink, heart_rates, seal_readings};
use e2e::process::run;
use proto::seal::Sealer;
use proto::v1::gateway_to_centre::Kind as Up;
use proto::v1::{Alert, AlertState, Priority};
use serde_json::{Value, json};
use vitals::{Kind, Reading, SourceId, Span};

use crate::support::Small;

/// A program with the arguments that come before an example's own.
struct Example {
    language: &'static str,
    program: PathBuf,
    first: Vec<String>,
}

/// Those that can run here; for the others it is said why not.
fn examples() -> Vec<Example> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let here = std::env::current_exe().unwrap_or_default();
    let built = here.parent().and_then(Path::parent).map(Path::to_owned);
    let python = root.join("target/tools/python/bin/python");
    let javascript = root.join("tests/platform/typescript/out/watch.js");
    let all = [
        Example {
            language: "Rust",
            program: built.unwrap_or_default().join("examples/watch"),
            first: Vec::new(),
        },
        Example {
            language: "Python",
            program: python,
            first: vec![text(&root.join("tests/platform/python/watch.py"))],
        },
        Example {
            language: "TypeScript",
            program: if javascript.exists() {
                PathBuf::from("node")
            } else {
                javascript.clone()
            },
            first: vec![text(&javascript)],
        },
        Example {
            language: "Go",
            program: root.join("target/platform-go/watch"),
            first: Vec::new(),
        },
    ];
    let (here, absent): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|example| example.program.exists() || example.program == Path::new("node"));
    for example in absent {
        let program = example.program.display();
        println!(
            "skipped: {}: {program} is absent: run `tests/run install`",
            example.language
        );
    }
    here
}

/// What each one hears in so many seconds, all at once, a line each.
async fn hear(
    examples: &[Example],
    address: &str,
    folder: &Path,
    seconds: u32,
) -> Result<Vec<Vec<Value>>> {
    let runs = examples.iter().map(|example| {
        let mut arguments = example.first.clone();
        let own = folder.join(example.language);
        for argument in [
            address,
            &own.to_string_lossy(),
            &own.join("cursor").to_string_lossy(),
            &seconds.to_string(),
        ] {
            arguments.push(argument.to_owned());
        }
        let program = example.program.clone();
        tokio::task::spawn_blocking(move || run(&program, arguments, &[]))
    });
    let mut heard = Vec::new();
    for (running, example) in runs.collect::<Vec<_>>().into_iter().zip(examples) {
        let said = running.await?.context(example.language)?;
        let lines = said.lines().map(serde_json::from_str);
        heard.push(lines.collect::<Result<_, _>>().context(example.language)?);
    }
    Ok(heard)
}

fn events(lines: &[Value]) -> BTreeSet<String> {
    let events = lines.iter().filter_map(|line| line["event"].as_str());
    events
        .filter(|event| !event.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Measures the pulse for half a minute, again and again, until the alert about it is as asked for.
async fn until(
    small: &Small,
    (up, sealer): (&HandUplink, &mut Sealer),
    (kind, pulse): (Kind, i64),
    as_asked: fn(&Alert) -> bool,
) -> Result<Alert> {
    let clock = small.clock;
    for _ in 0..120 {
        let start = clock.now();
        tokio::time::sleep(clock.real(Span::from_secs(30))).await;
        let of_kind = |reading| Reading {
            kind,
            source: SourceId(kind as u16),
            ..reading
        };
        let measured = heart_rates(start, &[pulse; 30]).into_iter().map(of_kind);
        let records = seal_readings(sealer, &measured.collect::<Vec<_>>())?;
        up.send_records(records).await?;
        let mut alerts = small.client.all_alerts().await?.into_iter();
        if let Some(alert) = alerts.find(|of| of.condition == "heart_rate_low" && as_asked(of)) {
            return Ok(alert);
        }
    }
    bail!("an hour of {pulse} per minute changed nothing")
}

#[tokio::test(flavor = "multi_thread")]
async fn platforms_in_four_languages_hear_each_alert_once() -> Result<()> {
    // As fast as the platforms' certificates allow: their clock is the wall's.
    let mut small = Small::fast(60.0).await?;
    let clock = small.clock;
    let folder = tempfile::tempdir()?;
    let examples = examples();
    for example in &examples {
        let own = folder.path().join(example.language);
        small.centre.cli(&[
            "platform",
            "add",
            &format!("tele-{}", example.language.to_lowercase()),
            "--out",
            &own.to_string_lossy(),
            "--patient",
            small.patient.as_str(),
            "--for",
            "alerts",
        ])?;
    }
    let scopes: Value = serde_json::from_str(&small.centre.cli(&["platform", "list", "--json"])?)?;
    let [first, ..] = scopes["platforms"]
        .as_array()
        .map_or(&[][..], Vec::as_slice)
    else {
        bail!("no platform has anything: {scopes}");
    };
    ensure!(
        first["patients_now"] == 1 && first["scope"]["services"] == json!(["alerts"]),
        "{first}"
    );
    // One more may have the oximeter's pulse and nothing else.
    let narrow = Example {
        language: "narrow",
        program: examples[0].program.clone(),
        first: examples[0].first.clone(),
    };
    let narrow = std::slice::from_ref(&narrow);
    small.centre.cli(&[
        "platform",
        "add",
        "tele-narrow",
        "--out",
        &folder.path().join("narrow").to_string_lossy(),
        "--patient",
        small.patient.as_str(),
        "--kind",
        "pulse_rate",
        "--for",
        "alerts",
    ])?;
    let (up, assignment) = small.uplink().await?;
    let (header, mut sealer) = small.gateway.open_context(&assignment, clock.now())?;
    up.send(Up::OpenContext(header)).await?;
    let address =
        |small: &Small| anyhow::Ok(format!("localhost:{}", small.centre.ready()?.grpc.port()));
    // In tenths, as oximeters tell it.
    let oximeter = (Kind::PulseRate, 380);
    until(&small, (&up, &mut sealer), oximeter, |_| true).await?;
    let told = hear(narrow, &address(&small)?, folder.path(), 2).await?;
    let of_alert = |lines: &[Value]| -> Vec<(String, String)> {
        let about = lines
            .iter()
            .filter(|line| line["condition"] == "heart_rate_low");
        let text = |of: &Value| of.as_str().unwrap_or_default().to_owned();
        about
            .map(|line| (text(&line["state"]), text(&line["summary"])))
            .collect()
    };
    let told = of_alert(&told[0]);
    ensure!(told.len() == 1 && told[0].1.contains("38"), "{told:?}");
    // A strap is put on: the alert rests on the heart rate from then on.
    let strap = (Kind::HeartRate, 28);
    let urgent = |of: &Alert| of.priority() == Priority::High;
    let alert = until(&small, (&up, &mut sealer), strap, urgent).await?;
    let first = hear(&examples, &address(&small)?, folder.path(), 5).await?;
    for (lines, example) in first.iter().zip(&examples) {
        let language = example.language;
        let ours = |line: &&Value| line["alert"] == alert.id.as_str();
        let line = lines
            .iter()
            .find(ours)
            .with_context(|| format!("{language}: {lines:?}"))?;
        ensure!(
            line["patient"] == small.patient.as_str(),
            "{language}: {line}"
        );
        ensure!(
            line["condition"] == alert.condition.as_str(),
            "{language}: {line}"
        );
    }

    // Nobody listens, the centre is another process, and a person says something.
    small
        .centre
        .cli(&["alert", "comment", &alert.id, "while you were away"])?;
    let strap = (Kind::HeartRate, 70);
    let over = |of: &Alert| of.state() == AlertState::Resolved;
    until(&small, (&up, &mut sealer), strap, over).await?;
    small.centre.kill()?;
    small.centre.start().await?;
    let second = hear(&examples, &address(&small)?, folder.path(), 5).await?;
    for ((lines, before), example) in second.iter().zip(&first).zip(&examples) {
        let language = example.language;
        ensure!(!lines.is_empty(), "{language} did not hear of the comment");
        let whole = lines.iter().filter(|line| line["snapshot"] == true).count();
        ensure!(whole == 0, "{language} was told all again: {lines:?}");
        let twice = &events(lines) & &events(before);
        ensure!(twice.is_empty(), "{language} heard twice: {twice:?}");
    }

    // Who was told of it is told its end, and nothing of what it was not given.
    let told = of_alert(&hear(narrow, &address(&small)?, folder.path(), 3).await?[0]);
    let (state, summary) = told.last().context("the end was not told")?;
    ensure!(
        state == "ALERT_STATE_RESOLVED" && told.len() > 1,
        "{told:?}"
    );
    ensure!(summary.contains("not given to this reader"), "{told:?}");
    ensure!(
        told.iter().all(|(_, said)| !said.contains("28")),
        "{told:?}"
    );

    // One that was given nothing any more hears nothing, and is told what to do.
    let one = std::slice::from_ref(&examples[0]);
    let name = format!("tele-{}", one[0].language.to_lowercase());
    small
        .centre
        .cli(&["platform", "scope", &name, "--nothing"])?;
    let refused = hear(one, &address(&small)?, folder.path(), 10).await;
    let said = format!(
        "{:#}",
        refused
            .err()
            .context("a platform without a scope was let in")?
    );
    ensure!(
        said.contains("given nothing") && said.contains("platform scope"),
        "{said}"
    );

    // The control: a platform whose certificate was taken back hears nothing, and is told what to do.
    for example in &examples {
        let name = format!("tele-{}", example.language.to_lowercase());
        small.centre.cli(&["platform", "revoke", &name])?;
        let one = std::slice::from_ref(example);
        let refused = hear(one, &address(&small)?, folder.path(), 10).await;
        let refused = refused.err().context("a revoked platform was let in")?;
        let said = format!("{refused:#}");
        ensure!(said.contains("does not let this platform in"), "{said}");
    }
    Ok(())
}
