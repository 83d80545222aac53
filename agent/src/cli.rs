//! The command line: what each command does and what people see of it. Exit codes: 0 done, 1 failed, 2 misuse
//! (clap's).

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use proto::clock::Clock;

use crate::app::{self, Options};
use crate::ble::bluez::pairing;
use crate::ble::{Address, pins};
use crate::config::{Config, UplinkKind, Uplinks};
use crate::doctor::Reach;
use crate::identity::IdentityDir;
use crate::status::Status;
use crate::{carry, decode_cli, doctor, enrol, telemetry};

/// Reads wearables, seals every reading for one patient, and brings it to the centre.
///
/// Research software, not a medical device.
#[derive(Debug, Parser)]
#[command(name = "vitaltwin-agent", version)]
pub struct Cli {
    /// The agent's folder: identity, outbox, config.toml, status.json.
    #[arg(
        long,
        global = true,
        env = "VITALTWIN_AGENT_DIR",
        default_value = "/var/lib/vitaltwin-agent"
    )]
    dir: PathBuf,
    /// Let VITALTWIN_TEST_CLOCK drive this process.
    #[arg(long, global = true)]
    test_clock: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Collect, seal, deliver, until SIGTERM or Ctrl-C.
    Run {
        /// The transport, or two, as in `mqtt,grpc`: the first while it delivers; goes before config.toml.
        #[arg(long, value_enum, value_delimiter = ',')]
        uplink: Vec<UplinkKind>,
        /// Real seconds that delivery may take when stopping; what is left stays on disk.
        #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(..=3600))]
        drain_seconds: u64,
    },
    /// Spend a one-time token of the centre: makes this gateway's key here and gets its certificate.
    Enrol {
        /// The token, or "-" to read it from standard input (so that no process list shows it).
        token: String,
        /// Replace an identity that is there; what lies in the outbox is kept.
        #[arg(long)]
        replace: bool,
    },
    /// Devices, batteries, buffer, last receipt.
    Status {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Pair a device, or let a replaced one be met anew. Nothing else is paired meanwhile.
    Pair {
        /// The device's address, "AA:BB:CC:DD:EE:FF".
        device: String,
        /// The six digits that it shows.
        #[arg(long, value_parser = clap::value_parser!(u32).range(0..=999_999))]
        pin: Option<u32>,
        /// Forget what the device was, and its bond; what answers next is believed.
        #[arg(long, conflicts_with = "pin")]
        forget: bool,
    },
    /// The radio's worker: started by `run`, never by people.
    #[command(hide = true)]
    Radio,
    /// Look at clock, disk, permissions, radio, certificate, centre and buffer, and say what to do.
    ///
    /// Exit code 0: it works (perhaps with warnings); 1: something does not.
    Doctor {
        /// As JSON.
        #[arg(long)]
        json: bool,
        /// Leave the line alone: what a running agent asks of itself.
        #[arg(long, hide = true)]
        here: bool,
    },
    /// Where there is no line: write everything that the centre does not have into a file, for a USB stick.
    ///
    /// The agent must be stopped meanwhile. Nothing is deleted here. The file is sealed: only the centre can open it,
    /// with `vitaltwin-aggregator import`.
    Export {
        /// The file; it must not be there yet.
        file: PathBuf,
    },
    /// Delete what the centre has, by the file of receipts that its `import` wrote. The agent must be stopped.
    ImportReceipts {
        /// The file.
        file: PathBuf,
    },
    /// Decode the octets of one characteristic value and print it as JSON.
    Decode {
        /// The profile, where one characteristic has several layouts.
        #[arg(long)]
        profile: Option<String>,
        /// The device's name, where a vendor has a layout of its own.
        #[arg(long)]
        device_name: Option<String>,
        /// A characteristic ("2A37" or a full UUID), SFLOAT, FLOAT, or advert.
        what: String,
        /// The octets, hexadecimal.
        hex: String,
    },
}

/// Does what the command says; the exit code.
///
/// # Errors
/// Told on standard error by `main`.
pub fn main(cli: Cli) -> Result<u8> {
    match cli.command {
        Command::Run {
            uplink,
            drain_seconds,
        } => {
            telemetry::init();
            let uplinks = Uplinks::of(&uplink);
            anyhow::ensure!(
                uplink.is_empty() || uplinks.is_some(),
                "--uplink takes one transport, or two that differ with the preferred one first"
            );
            let options = Options {
                dir: cli.dir,
                uplink: uplinks,
                drain: Duration::from_secs(drain_seconds),
                clock: Clock::from_env(cli.test_clock)?,
            };
            let config = Config::load(&options.dir)?;
            runtime()?.block_on(app::run(&config, &options))?;
            Ok(0)
        }
        Command::Enrol { token, replace } => {
            telemetry::init();
            let token = if token == "-" { from_stdin()? } else { token };
            let clock = Clock::from_env(cli.test_clock)?;
            // A running agent would write its renewed certificate over the new identity.
            let _lock = app::lock(&cli.dir)?;
            let dir = IdentityDir::of(&cli.dir);
            let enrolled = runtime()?.block_on(enrol::enrol(&dir, &token, replace, clock));
            let gateway = enrolled.map_err(|error| {
                let hint = error.hint();
                let error = anyhow::Error::new(error);
                match hint {
                    Some(hint) => anyhow::anyhow!("{error:#}\n{hint}"),
                    None => error,
                }
            })?;
            say(&format!("enrolled as gateway {gateway}"))?;
            hint(
                "next: start it (`systemctl enable --now vitaltwin-agent`, or `vitaltwin-agent run`); `vitaltwin-agent status` shows what it reads",
            )?;
            Ok(0)
        }
        Command::Status { json } => {
            let status = Status::read(&cli.dir).with_context(|| {
                format!(
                    "no agent has run in {}: start one, or give --dir",
                    cli.dir.display()
                )
            })?;
            if json {
                say(&serde_json::to_string_pretty(&status)?)?;
            } else {
                let clock = Clock::from_env(!status.test_clock.is_empty());
                let now = clock.map_or_else(
                    |_| vitals::Time::from_micros(status.written_us),
                    |clock| clock.now(),
                );
                say(status.to_text(now).trim_end())?;
            }
            Ok(0)
        }
        Command::Pair {
            device,
            pin,
            forget,
        } => {
            telemetry::init();
            pair(&cli.dir, &device, pin, forget)
        }
        Command::Radio => {
            telemetry::init();
            crate::ble::btleplug::quiet_known_panic();
            let clock = Clock::from_env(cli.test_clock)?;
            crate::ble::worker::run(clock).context("the radio's worker")
        }
        Command::Doctor { json, here } => {
            let clock = Clock::from_env(cli.test_clock)?;
            let reach = if here { Reach::Here } else { Reach::Centre };
            let report = runtime()?.block_on(doctor::examine(&cli.dir, clock, reach));
            if json {
                say(&serde_json::to_string_pretty(&report)?)?;
            } else {
                say(&report.to_text())?;
            }
            Ok(report.exit_code())
        }
        Command::Export { file } => export(&cli.dir, &file, Clock::from_env(cli.test_clock)?),
        Command::ImportReceipts { file } => {
            let clock = Clock::from_env(cli.test_clock)?;
            telemetry::init();
            let done = carry::import_receipts(&cli.dir, &file, clock.now()).map_err(by_hand)?;
            let (deleted, waiting) = (done.deleted, done.waiting);
            say(&format!(
                "{deleted} records are safe at the centre and deleted here; {waiting} still wait"
            ))?;
            if done.outdated > 0 {
                let outdated = done.outdated;
                hint(&format!(
                    "{outdated} receipts are from before the centre was restored: what they cover stays here"
                ))?;
            }
            if done.invalid + done.damaged > 0 {
                let (invalid, damaged) = (done.invalid, done.damaged);
                hint(&format!(
                    "{invalid} receipts are not authentic, {damaged} pieces of the file are damaged: nothing was deleted for them"
                ))?;
            }
            Ok(0)
        }
        Command::Decode {
            profile,
            device_name,
            what,
            hex,
        } => match decode_cli::run(profile.as_deref(), device_name.as_deref(), &what, &hex) {
            Ok(value) => {
                say(&value.to_string())?;
                Ok(0)
            }
            Err(text) => {
                say(&decode_cli::error(&text).to_string())?;
                Ok(1)
            }
        },
    }
}

fn export(dir: &Path, file: &Path, clock: Clock) -> Result<u8> {
    telemetry::init();
    let mut told = 0;
    let done = carry::export(dir, file, clock.now(), |written, all| {
        // Every few seconds on a slow stick.
        if written / 10_000 > told {
            told = written / 10_000;
            // Progress is no answer: without a reader it goes on.
            let _nobody_reads = hint(&format!("{written} of {all} records"));
        }
    });
    let done = done.map_err(by_hand)?;
    let (records, readings) = (done.records, done.readings);
    say(&format!(
        "{records} sealed records with {readings} readings are in {}; nothing was deleted here",
        file.display()
    ))?;
    if done.unreadable > 0 {
        let unreadable = done.unreadable;
        hint(&format!(
            "{unreadable} records cannot be read: the agent's next start deals with them"
        ))?;
    }
    hint(
        "next: start the agent again (`systemctl start vitaltwin-agent`), carry the file to the centre (`vitaltwin-aggregator import FILE`), and bring FILE.receipts back for `vitaltwin-agent import-receipts`",
    )?;
    Ok(0)
}

/// A running agent has the folder: what a person does then.
fn by_hand(error: carry::HandError) -> anyhow::Error {
    let running = matches!(error, carry::HandError::Folder(app::RunError::Running(_)));
    let error = anyhow::Error::new(error);
    if running {
        return anyhow::anyhow!(
            "{error:#}\nstop it (`systemctl stop vitaltwin-agent`), do this again, and then start it (`systemctl start vitaltwin-agent`)"
        );
    }
    error
}

fn pair(dir: &Path, device: &str, pin: Option<u32>, forget: bool) -> Result<u8> {
    let device = Address::parse(device)
        .with_context(|| format!("{device} is no Bluetooth address: write AA:BB:CC:DD:EE:FF"))?;
    let adapter = Config::load(dir)?.adapter;
    if forget {
        pins::forget(dir, device).context("what the device was cannot be forgotten")?;
        pairing::unpair(adapter.as_deref(), device)?;
        say(&format!(
            "{device} is forgotten: what answers next under this address is believed"
        ))?;
        return Ok(0);
    }
    let pinned = pairing::pair(adapter.as_deref(), device, pin)?;
    pins::store(dir, device, &pinned).context("what the device is cannot be kept")?;
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    say(&format!(
        "paired {device}: {} {}, serial number {}",
        text(&pinned.manufacturer),
        text(&pinned.model),
        text(&pinned.serial)
    ))?;
    Ok(0)
}

/// One thread carries the whole agent: it has 20 MiB and 1 % of a core.
fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .build()
        .context("no asynchronous runtime")
}

fn from_stdin() -> Result<String> {
    let mut text = String::new();
    let most = 4096;
    std::io::stdin()
        .take(most)
        .read_to_string(&mut text)
        .context("the token cannot be read from standard input")?;
    Ok(text)
}

/// For people; standard output holds the answer alone.
fn hint(text: &str) -> Result<()> {
    writeln!(std::io::stderr(), "{text}").context("standard error is closed")
}

fn say(text: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{text}").context("standard output is closed")
}
