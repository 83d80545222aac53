//! The demo from curtain to curtain: build, start, tell, end, sum up.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;
use proto::clock::Clock;
use proto::v1;
use vitals::{Kind, Time};

use super::observer::{Observer, emissions, latencies_ms};
use super::summary::{AlertNote, Percentiles, Summary};
use crate::centre::Centre;
use crate::client::clock_of;
use crate::gateway::Uplink;
use crate::wait::wait_for;
use crate::world::{Plan, World, fast_clock};

/// Below this measured saturation, in percent, NEWS2 (RCP 2017) gives two points: the threshold that the
/// respiratory patient's alert must foresee.
const SPO2_THRESHOLD: f64 = 92.0;

/// Readings over which the measured saturation must stay below the threshold to have crossed it.
const CROSSING_READINGS: usize = 30;

/// All of vitaltwin on this machine: wearables on a private Bluetooth bus, two gateways (one by MQTT, one by
/// gRPC), the centre and its page, as separate processes over real TLS. Everything shown is simulated or
/// recorded test data.
#[derive(Debug, Parser)]
#[command(name = "cargo demo --")]
pub struct Options {
    /// End by itself, without a page for people.
    #[arg(long)]
    pub headless: bool,
    /// Wall seconds to run for; without it the demo runs until Ctrl-C.
    #[arg(long)]
    pub seconds: Option<u64>,
    /// Where to write the JSON summary.
    #[arg(long)]
    pub summary: Option<PathBuf>,
    /// A recorded heart for the AF patient: RR intervals, or a qrsNNNNN.txt.gz of the AF database. Without
    /// it, the sample in VITALTWIN_SHARED is worn where it exists, else a simulated paroxysm.
    #[arg(long)]
    pub recording: Option<PathBuf>,
    /// How many times faster than the wall the demo's clock runs.
    #[arg(long, default_value_t = 10.0)]
    pub rate: f64,
    /// Seed of the physiology.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Folder for all data and logs; made anew at each start.
    #[arg(long, default_value = ".demo")]
    pub dir: PathBuf,
    /// Address of gRPC and page.
    #[arg(long, default_value = "127.0.0.1:8443")]
    pub listen: String,
    /// Use the programs as they are built.
    #[arg(long)]
    pub no_build: bool,
}

/// Runs the demo. True: everything was as it must be.
///
/// # Errors
/// When a step fails; says which and what to do.
pub async fn run(options: Options) -> Result<bool> {
    if !options.no_build {
        build()?;
    }
    let built = Instant::now();
    let recording = recording(&options);
    match &recording {
        Some(file) => println!("the AF patient wears a recorded heart: {}", file.display()),
        None => println!(
            "the AF patient's paroxysm is simulated (no recording found; give --recording FILE)"
        ),
    }
    if options.dir.exists() {
        std::fs::remove_dir_all(&options.dir)
            .with_context(|| format!("clearing {}", options.dir.display()))?;
    }
    std::fs::create_dir_all(&options.dir)
        .with_context(|| format!("making {}", options.dir.display()))?;
    let dir = options.dir.canonicalize().context("the demo's folder")?;
    let plan = Plan {
        scenario: root()?.join("firmware-sim/scenarios/demo.toml"),
        seed: options.seed,
        recording: recording.clone(),
        envs: fast_clock(options.rate),
        uplinks: [
            ("livingroom".into(), Uplink::Mqtt),
            ("clinic".into(), Uplink::Grpc),
        ]
        .into(),
    };
    let clock = clock_of(&plan.envs)?;
    println!("{}", clock.describe());
    let listen = if options.headless {
        "127.0.0.1:0"
    } else {
        options.listen.as_str()
    };
    let centre = Centre::init_listening(&dir.join("centre"), &plan.envs, listen, "127.0.0.1:0")?;
    let mut world = World::build_around(&dir, plan, centre).await?;
    let client = world.centre.client().await?;
    let names: BTreeMap<String, String> = world
        .patients
        .iter()
        .map(|(name, id)| (id.clone(), name.clone()))
        .collect();
    let (told_names, started) = (names.clone(), clock.now());
    let observer = Observer::start(&client, clock, move |alert| {
        tell(&told_names, started, alert);
    })
    .await?;
    world.start()?;
    introduce(&world, &options)?;

    let first = wait_for(
        "the first patient's first value",
        Duration::from_secs(60),
        async || Ok(observer.notes().first_value),
    )
    .await
    .with_context(|| logs(&world))?;
    let first_s = first.duration_since(built).as_secs_f64();
    println!("first value on screen {first_s:.1} s after the end of the build");
    play(&options, &observer, clock, started).await?;

    println!("ending: the wearables first, then the agents drain, then the sum");
    let mut summary = sum_up(&mut world, &observer, &names, started)?;
    summary.recording = recording.map(|file| file.display().to_string());
    summary.clock = clock.describe();
    summary.first_patient_s_wall = Some(first_s);
    summary.judge();
    drop(observer);
    world.centre.stop()?;
    if let Some(file) = &options.summary {
        let text = serde_json::to_string_pretty(&summary).context("the summary as JSON")?;
        std::fs::write(file, text + "\n").with_context(|| format!("writing {}", file.display()))?;
    }
    report(&summary);
    Ok(summary.failures.is_empty())
}

/// The workspace's root.
///
/// # Errors
/// When this source tree has moved.
pub fn root() -> Result<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(Path::to_path_buf)
        .context("tests/ lies in the workspace")
}

fn build() -> Result<()> {
    println!("building the programs (the first time takes some minutes)");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--workspace", "--bins"])
        .current_dir(root()?);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    if !command.status().context("running cargo build")?.success() {
        bail!(
            "the build failed; what it needs: Rust, a C compiler, and Node with npm for the page"
        );
    }
    Ok(())
}

/// The recording asked for, else the sample of the shared folder.
fn recording(options: &Options) -> Option<PathBuf> {
    let sample = || {
        let shared = std::env::var_os("VITALTWIN_SHARED")
            .map(PathBuf::from)
            .or_else(|| Some(root().ok()?.join("../shared")))?;
        let file = shared.join("recordings/afdb_rr_sample/qrs04043.txt.gz");
        file.is_file().then_some(file)
    };
    options.recording.clone().or_else(sample)
}

fn introduce(world: &World, options: &Options) -> Result<()> {
    println!("\npatients (all test data):");
    for patient in &world.scenario.patients {
        println!(
            "  {:<12} at {:<11} {}",
            patient.name, patient.gateway, patient.about
        );
    }
    if !options.headless {
        let centre = &world.centre;
        centre.cli(&["person", "add", "demo", "--role", "supervisor"])?;
        println!("\n{}", centre.cli(&["sign-in", "demo"])?);
        println!(
            "Your browser will warn that it does not know this certificate: the centre made its own authority a"
        );
        println!(
            "moment ago, for this machine alone. Compare the fingerprint above with the one the browser shows."
        );
    }
    println!("\nlogs and data: {}\n", options.dir.display());
    Ok(())
}

/// One line for each change of an alert.
fn tell(names: &BTreeMap<String, String>, started: Time, alert: &v1::Alert) {
    let step = match alert.state() {
        v1::AlertState::Active if alert.unanswered_us > 0 => "unanswered",
        v1::AlertState::Active if alert.calls.len() > 1 => "calls on",
        v1::AlertState::Active => "raised",
        v1::AlertState::Acknowledged => "acknowledged",
        v1::AlertState::Resolved => "resolved",
        v1::AlertState::Unspecified => "changed",
    };
    let called = alert.calls.last().map_or(0, |call| call.at_us);
    let (raised, answered) = (alert.raised_us, alert.acknowledged_us);
    let ended = [alert.resolved_us, alert.unanswered_us, called];
    let at = [raised, answered]
        .into_iter()
        .chain(ended)
        .max()
        .unwrap_or_default();
    let after = Time::from_micros(at).since(started).as_secs_f64();
    let name = names.get(&alert.patient).map_or("?", String::as_str);
    println!(
        "{after:7.0} s  {name:<12} {step:<12} {:<8} {}",
        priority(alert),
        alert.summary
    );
}

fn priority(alert: &v1::Alert) -> &'static str {
    match alert.priority() {
        v1::Priority::High => "high",
        v1::Priority::Medium => "medium",
        v1::Priority::Low => "low",
        v1::Priority::Unspecified => "none",
    }
}

/// Until the time is over or somebody presses Ctrl-C; a line now and then.
async fn play(options: &Options, observer: &Observer, clock: Clock, started: Time) -> Result<()> {
    let begun = Instant::now();
    let mut line = tokio::time::interval(Duration::from_secs(10));
    loop {
        let left = options.seconds.map_or(Duration::from_secs(3600), |s| {
            Duration::from_secs(s).saturating_sub(begun.elapsed())
        });
        tokio::select! {
            () = tokio::time::sleep(left) => if options.seconds.is_some() { return Ok(()) },
            ended = tokio::signal::ctrl_c() => return ended.context("waiting for Ctrl-C"),
            _ = line.tick() => {
                let notes = observer.notes();
                if let Some(end) = notes.ended.first() {
                    bail!("a stream ended: {end}");
                }
                let after = clock.now().since(started).as_secs_f64();
                println!("{after:7.0} s  {} patients, {} values, {} alerts", notes.twins.len(), notes.arrivals.len(), notes.alerts.len());
            }
        }
    }
}

/// Stops everything but the centre, waits until the observer has caught up, and counts.
fn sum_up(
    world: &mut World,
    observer: &Observer,
    names: &BTreeMap<String, String>,
    started: Time,
) -> Result<Summary> {
    for gateway in world.gateways.values_mut() {
        gateway.stop_wearables()?;
    }
    let mut summary = Summary::default();
    for (name, gateway) in &mut world.gateways {
        gateway
            .stop_agent()
            .with_context(|| format!("stopping {name}"))?;
        summary.readings_sent += gateway.count("/readings_decoded");
        summary.readings_receipted += gateway.count("/readings_receipted");
    }
    let status = world.centre.status()?;
    let count = |field: &str| status[field].as_u64().unwrap_or_default();
    summary.readings_journaled = count("readings_journaled");
    summary.declared_gaps = count("readings_declared_lost");
    let signed = |count: u64| i64::try_from(count).context("a count beyond 2^63");
    let (applied, quarantined) = (count("readings_applied"), count("readings_quarantined"));
    // Quarantined readings are kept and counted, with their reason; they are not lost.
    summary.lost = signed(summary.readings_sent)?
        - signed(applied + quarantined)?
        - signed(summary.declared_gaps)?;
    // `readings_duplicated` counts what arrived twice and was applied once; applied twice shows as more
    // applied than journaled.
    summary.duplicated = applied.saturating_sub(summary.readings_journaled);
    summary.transports = status["readings_receipted"]
        .as_object()
        .map(|map| {
            map.iter()
                .map(|(k, v)| (k.clone(), v.as_u64().unwrap_or_default()))
                .collect()
        })
        .unwrap_or_default();
    let notes = observer.notes();
    let traces: Vec<PathBuf> = world
        .gateways
        .values()
        .map(crate::gateway::Gateway::trace)
        .collect();
    let latencies = latencies_ms(&notes.arrivals, &emissions(&traces)?);
    summary.latency_ms_wall = Percentiles::of(
        latencies
            .iter()
            .map(|ms| ms / rate(&world.plan.envs))
            .collect(),
    );
    summary.latency_ms = Percentiles::of(latencies);
    summary.alerts = notes
        .alerts
        .values()
        .map(|alert| note(alert, &notes.values, names, started))
        .collect();
    summary
        .alerts
        .sort_by(|a, b| a.raised_after_s.total_cmp(&b.raised_after_s));
    Ok(summary)
}

fn rate(envs: &[(String, String)]) -> f64 {
    envs.first()
        .and_then(|(_, text)| text.rsplit(':').next()?.parse().ok())
        .unwrap_or(1.0)
}

type Values = BTreeMap<(String, i32), Vec<(Time, f64)>>;

fn note(
    alert: &v1::Alert,
    values: &Values,
    names: &BTreeMap<String, String>,
    started: Time,
) -> AlertNote {
    let after = |micros: i64| Time::from_micros(micros).since(started).as_secs_f64();
    let foreseen = alert.condition == "oxygen_saturation_falling";
    let crossed = foreseen
        .then(|| crossing(values.get(&(alert.patient.clone(), Kind::OxygenSaturation.wire()))?))
        .flatten();
    AlertNote {
        patient: names.get(&alert.patient).cloned().unwrap_or_default(),
        condition: alert.condition.clone(),
        priority: priority(alert).into(),
        onset_after_s: after(alert.onset_us),
        threshold_after_s: crossed.map(|time| time.since(started).as_secs_f64()),
        raised_after_s: after(alert.raised_us),
    }
}

/// The first of [`CROSSING_READINGS`] successive measured values below the threshold.
fn crossing(values: &[(Time, f64)]) -> Option<Time> {
    let run = values
        .windows(CROSSING_READINGS)
        .find(|run| run.iter().all(|(_, value)| *value < SPO2_THRESHOLD))?;
    run.first().map(|(time, _)| *time)
}

fn logs(world: &World) -> String {
    let mut text = String::from("what the processes said last:\n");
    for (name, gateway) in &world.gateways {
        for file in ["wearables.log", "agent.log"] {
            let log = gateway.agent_dir().with_file_name(file);
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            let last: Vec<&str> = said.lines().rev().take(5).collect();
            text += &format!("{name}/{file}: {last:#?}\n");
        }
    }
    text
}

fn report(summary: &Summary) {
    println!(
        "\nsent {}, journaled {}, receipted {}, lost {}, declared gaps {}, duplicated {}",
        summary.readings_sent,
        summary.readings_journaled,
        summary.readings_receipted,
        summary.lost,
        summary.declared_gaps,
        summary.duplicated
    );
    println!(
        "D-Bus signal to subscriber: p50 {:.1} ms, p99 {:.1} ms of wall time, {} values",
        summary.latency_ms_wall.p50, summary.latency_ms_wall.p99, summary.latency_ms_wall.n
    );
    for alert in &summary.alerts {
        println!(
            "{:7.0} s  {:<12} {:<8} {}",
            alert.raised_after_s, alert.patient, alert.priority, alert.condition
        );
    }
    for failure in &summary.failures {
        println!("FAILED: {failure}");
    }
}
