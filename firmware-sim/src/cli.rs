//! The command line. Only here anything is printed.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use firmware_sim::bluez::{Emitted, FakeBluez, Options, Trace};
use firmware_sim::patient::glucose::GlucoseRecording;
use firmware_sim::replay::Replay;
use firmware_sim::scenario::{RECORDING_LEAD_S, Scenario};
use firmware_sim::wearable::Wearable;
use proto::clock::Clock;
use proto::text::hex;
use vitals::{Span, Time};

/// Simulated wearables (test data): patients with a physiology, sensor chips, firmware, and a Bluetooth daemon on a
/// private D-Bus.
#[derive(Debug, Parser)]
#[command(name = "firmware-sim", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Plays the wearables within reach of one gateway until it is ended.
    Run(Run),
    /// Says what a scenario holds.
    List {
        /// The scenario.
        file: PathBuf,
        /// As JSON.
        #[arg(long)]
        json: bool,
        /// A recorded heart for the patient who wears one.
        #[arg(long)]
        recording: Option<PathBuf>,
    },
    /// Prints what every wearable would send, as JSON lines, without D-Bus and as fast as it goes.
    Bytes {
        #[command(flatten)]
        scene: Scene,
        /// How many seconds of the scenario.
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
}

#[derive(Debug, clap::Args)]
struct Scene {
    /// The scenario file.
    #[arg(long)]
    scenario: PathBuf,
    /// Seed of the physiology: the same seed, the same octets.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only wearables within reach of this gateway.
    #[arg(long)]
    gateway: Option<String>,
    /// A recorded heart (PhysioNet `qrs*.txt[.gz]`, or one RR interval a line) for the patient who wears one.
    #[arg(long)]
    recording: Option<PathBuf>,
    /// A recorded glucose (`id,time,mg/dL` lines, as of Hall et al. 2018) for the patient who has one.
    #[arg(long)]
    glucose: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Run {
    #[command(flatten)]
    scene: Scene,
    /// D-Bus address to serve on, `unix:path=...`.
    #[arg(long)]
    bus: String,
    /// Write a JSON line for every value sent.
    #[arg(long)]
    trace: Option<PathBuf>,
    /// Allow the clock of `VITALTWIN_TEST_CLOCK`.
    #[arg(long)]
    test_clock: bool,
    /// Second 0 of the scenario, microseconds since 1970 by the clock; default: now.
    #[arg(long)]
    start_us: Option<i64>,
}

impl Scene {
    fn wearables(&self) -> Result<Vec<Wearable>> {
        let mut scenario = Scenario::load(&self.scenario)?;
        if let Some(file) = &self.glucose {
            scenario.wear_glucose(&Arc::new(GlucoseRecording::load(file)?));
        }
        let recording = self.recording.as_deref().map(load_recording).transpose()?;
        if let Some(name) = &self.gateway {
            let known = scenario.gateways();
            anyhow::ensure!(
                known.contains(name),
                "the scenario has no gateway {name}; it has {}",
                known.join(", ")
            );
        }
        Ok(scenario.wearables(self.gateway.as_deref(), self.seed, recording.as_ref()))
    }
}

/// Parses, runs, reports.
pub(crate) fn main() -> Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| "info,zbus=warn".into()),
        )
        .with_writer(std::io::stderr)
        .init();
    match Arguments::parse().command {
        Command::Run(run) => play(&run),
        Command::List {
            file,
            json,
            recording,
        } => list(&file, json, recording.as_deref()),
        Command::Bytes { scene, seconds } => bytes(&scene, seconds),
    }
}

fn load_recording(file: &Path) -> Result<Arc<Replay>> {
    Ok(Arc::new(
        Replay::load(file)?.before_paroxysm(RECORDING_LEAD_S),
    ))
}

#[tokio::main(flavor = "current_thread")]
async fn play(run: &Run) -> Result<()> {
    let clock = Clock::from_env(run.test_clock)?;
    let wearables = run.scene.wearables()?;
    let start = run.start_us.map_or_else(|| clock.now(), Time::from_micros);
    let trace = run.trace.as_deref().map(Tracer::create).transpose()?;
    let options = Options {
        bus: run.bus.clone(),
        gateway: run
            .scene
            .gateway
            .clone()
            .unwrap_or_else(|| "gateway".into()),
        clock,
        start,
        trace: trace
            .clone()
            .map(|tracer| -> Trace { Arc::new(move |emitted| tracer.note(emitted)) }),
    };
    let count = wearables.len();
    let mut bluez = FakeBluez::start(options, wearables).await?;
    tracing::info!(
        wearables = count,
        clock = clock.describe(),
        "simulated wearables are on (test data)"
    );
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .context("cannot listen for SIGTERM")?;
    let ended = tokio::select! {
        () = bluez.run() => Err(anyhow::anyhow!("the bus {} went away", run.bus)),
        _ = terminated.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted.context("cannot listen for Ctrl-C"),
    };
    if let Some(tracer) = trace {
        tracer.flush()?;
    }
    ended
}

/// Writes one JSON line for each value sent.
#[derive(Clone)]
struct Tracer(Arc<Mutex<BufWriter<File>>>);

impl Tracer {
    fn create(file: &Path) -> Result<Self> {
        let opened = File::create(file)
            .with_context(|| format!("cannot write the trace {}", file.display()))?;
        Ok(Self(Arc::new(Mutex::new(BufWriter::new(opened)))))
    }

    fn note(&self, emitted: &Emitted) {
        let line = serde_json::json!({
            "device": emitted.address,
            "n": emitted.number,
            "at_us": emitted.at.as_micros(),
            "at_wall_us": emitted.at_wall.as_micros(),
            "characteristic": emitted.characteristic.to_string(),
            "hex": hex(&emitted.bytes),
        });
        let mut file = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // Line by line, so that who ends this process finds whole lines.
        if let Err(error) = writeln!(file, "{line}").and_then(|()| file.flush()) {
            tracing::error!(%error, "cannot write the trace");
        }
    }

    fn flush(&self) -> Result<()> {
        let mut file = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        file.flush().context("cannot write the trace")
    }
}

fn bytes(scene: &Scene, seconds: u32) -> Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    for mut wearable in scene.wearables()? {
        let address = wearable.identity().address.clone();
        for emission in wearable.advance_to(Span::from_secs(seconds.into())) {
            let line = serde_json::json!({
                "device": address,
                "at_us": emission.at.as_micros(),
                "characteristic": emission.value.characteristic.to_string(),
                "hex": hex(&emission.value.bytes),
            });
            writeln!(out, "{line}")?;
        }
    }
    out.flush()?;
    Ok(())
}

fn list(file: &Path, json: bool, recording: Option<&Path>) -> Result<()> {
    let scenario = Scenario::load(file)?;
    let recording = recording.map(load_recording).transpose()?;
    let mut out = std::io::stdout().lock();
    let patients: Vec<serde_json::Value> = scenario
        .patients
        .iter()
        .map(|patient| {
            serde_json::json!({
                "name": patient.name,
                "about": patient.about,
                "gateway": patient.gateway,
                "recorded_heart": patient.recorded_heart && recording.is_some(),
                "fibrillation_onset_s": patient.fibrillation_onset_s(recording.as_ref()),
                "saturation_below_92_s": patient.saturation_below_s(92.0),
                "wearables": patient.wearables.iter().map(|wearable| serde_json::json!({
                    "kind": wearable.kind.name(),
                    "address": wearable.address,
                })).collect::<Vec<_>>(),
            })
        })
        .collect();
    if json {
        let text =
            serde_json::json!({ "about": scenario.about, "test_data": true, "patients": patients });
        writeln!(out, "{text}")?;
        return Ok(());
    }
    writeln!(out, "{} (test data)", scenario.about)?;
    for patient in &scenario.patients {
        writeln!(
            out,
            "{} at {}: {}",
            patient.name, patient.gateway, patient.about
        )?;
        if let Some(onset) = patient.fibrillation_onset_s(recording.as_ref()) {
            writeln!(out, "    atrial fibrillation begins after {onset:.0} s")?;
        }
        if let Some(below) = patient.saturation_below_s(92.0) {
            writeln!(out, "    saturation falls below 92 % after {below:.0} s")?;
        }
        for wearable in &patient.wearables {
            writeln!(out, "    {:<12} {}", wearable.kind.name(), wearable.address)?;
        }
    }
    Ok(())
}
