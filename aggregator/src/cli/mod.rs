//! The command line: arguments, and what each command does.
//!
//! Commands about patients and gateways go through the running centre (its `OperatorService`, with the operator's
//! certificate in `DIR/operator`) or, when none runs, directly to the store, which they lock: `office.rs`. What is
//! printed: `show.rs`.
//!
//! Invariants: standard output holds the answer and nothing else, so that scripts can use it; hints and progress go
//! to standard error. Must not know: how an act is done.

mod accesses;
mod again;
mod alert;
mod certificate;
mod channel;
mod copies;
mod evaluate;
mod export;
mod exports;
mod fact;
mod fleet;
mod gateway;
mod handover;
mod history;
mod import;
mod init;
mod look;
mod office;
mod patient;
mod people;
mod platform;
mod roster;
mod rules;
mod scoreboard;
mod show;
mod show_past;
mod telemetry;
mod void;

use std::ffi::OsStr;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use proto::cert::Role;
use proto::clock::Clock;
use tokio_util::sync::CancellationToken;

use self::platform::PlatformCommand;
use crate::app::{Accepted, Core};
use crate::config::Config;
use crate::dir::{self, CentreDir};
use crate::doctor;
use crate::lock::{LockError, StoreLock};
use crate::traces;
use office::Office;

const EXAMPLES: &str = "\
A first centre:
  {name} --dir centre init --name centre.example
  {name} --dir centre run                         (leave it running)
  {name} --dir centre patient add --name \"Ann\"     prints the patient's id
  {name} --dir centre gateway token --label \"Ann's home\"   prints a token for `vitaltwin-agent enrol`
  {name} --dir centre gateway list                the gateway's id, and whether it has enrolled
  {name} --dir centre patient assign p-... --gateway g-... --device AA:BB:CC:DD:EE:FF
  {name} --dir centre person add \"Dr Smith\" --role supervisor
  {name} --dir centre sign-in \"Dr Smith\"           prints a one-time link to the page

Research software, not a medical device.";

/// As the service is called, and the program.
const SERVICE: &str = "vitaltwin-aggregator";
/// As whoever watches over people calls it: a link to the program, which the package brings.
const COMMAND: &str = "vitaltwin";

/// The name by which the program was called: help, completion and hints are to be typed as they stand.
#[must_use]
pub fn called() -> &'static str {
    named(std::env::args_os().next().as_deref())
}

fn named(program: Option<&OsStr>) -> &'static str {
    let file = program.and_then(|program| Path::new(program).file_name());
    if file == Some(OsStr::new(COMMAND)) {
        COMMAND
    } else {
        SERVICE
    }
}

/// All commands, under the name by which the program was called.
fn commands(name: &'static str) -> clap::Command {
    Args::command()
        .name(name)
        .bin_name(name)
        .after_help(EXAMPLES.replace("{name}", name))
        .mut_subcommand("completions", |command| {
            let about = command.get_about().map(ToString::to_string);
            command.about(about.unwrap_or_default().replace(SERVICE, name))
        })
}

/// The centre of vitaltwin: takes sealed readings from gateways, keeps a twin of each patient, raises alerts.
#[derive(Debug, Parser)]
#[command(name = SERVICE, version)]
pub struct Args {
    /// The centre's directory: settings, keys, journal.
    #[arg(long, env = "VITALTWIN_DIR", default_value = "centre", global = true)]
    dir: PathBuf,
    /// Take the time from VITALTWIN_TEST_CLOCK (for tests and demonstrations; shown on every screen).
    #[arg(long, global = true)]
    test_clock: bool,
    #[command(subcommand)]
    command: Command,
}

impl Args {
    /// What was typed; ends the program with help, version or what is wrong with it.
    #[must_use]
    pub fn typed() -> Self {
        let typed = commands(called()).get_matches();
        Self::from_arg_matches(&typed).unwrap_or_else(|error| error.exit())
    }
}

/// "File size limit exceeded", as Linux numbers it on all machines that we build for.
const SIGXFSZ: i32 = 25;

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a centre: CA, vault, command key, settings, first operator. Safe to repeat: keys and config.toml are
    /// kept (options that say otherwise are ignored, and named); the operator's certificate is made anew when it is
    /// missing, damaged or in its last 30 days.
    Init {
        /// Host name or address under which gateways and people reach this centre (may be repeated; the first
        /// goes into tokens and links).
        #[arg(long = "name", value_name = "HOST")]
        names: Vec<String>,
        /// Where gRPC and the page listen; port 0 takes a free one. Default: 127.0.0.1:8443.
        #[arg(long, value_name = "ADDRESS")]
        listen: Option<SocketAddr>,
        /// Where MQTT listens; port 0 takes a free one. Default: 127.0.0.1:8883.
        #[arg(long, value_name = "ADDRESS")]
        mqtt_listen: Option<SocketAddr>,
        /// Name of the first operator, whose certificate is put into DIR/operator. Default: operator.
        #[arg(long, value_name = "NAME")]
        operator: Option<String>,
    },
    /// Run the centre until SIGTERM or Ctrl-C.
    Run {
        /// The clock is right although the journal's last entry is very old.
        #[arg(long)]
        accept_clock: bool,
        /// Run although an administrative entry of the journal is lost; a revocation may be gone with it.
        #[arg(long)]
        accept_damage: bool,
        /// Read config.toml, say what is wrong with it or what is in force, and end.
        #[arg(long)]
        check: bool,
        /// Write the CPU time of each stage into this file at the end (for the throughput bench).
        #[arg(long, value_name = "FILE", hide = true)]
        stage_times: Option<PathBuf>,
    },
    /// Patients: add, list, assign, pause, withdraw, resume, new keys, void readings of somebody else.
    #[command(subcommand)]
    Patient(patient::PatientCommand),
    /// Who needs somebody, most urgent first: what is wrong, since when, how old the data are, whose affair it is. Needs the
    /// running centre.
    Worklist(look::WorklistArguments),
    /// Alerts as they change, until it is stopped. Needs the running centre.
    Watch(look::WatchArguments),
    /// Alerts: list, acknowledge, comment, escalate, own, snooze, wake, handover. Needs the running centre.
    #[command(subcommand)]
    Alert(alert::AlertCommand),
    /// Facts about patients that no sensor measures: list, record, retract. Needs the running centre.
    #[command(subcommand)]
    Fact(fact::FactCommand),
    /// Gateways and their devices, those first that need a hand, and the way to people hop by hop.
    Fleet(fleet::Arguments),
    /// Gateways: token, list, configure, revoke.
    #[command(subcommand)]
    Gateway(GatewayCommand),
    /// Operators: revoke. `init` makes the first one's certificate.
    #[command(subcommand)]
    Operator(OperatorCommand),
    /// Telemedicine platforms: add, scope (what each may have), list, sharing, revoke.
    #[command(subcommand)]
    Platform(PlatformCommand),
    /// Channels on which people are called (config.toml has them): list, test.
    #[command(subcommand)]
    Channel(channel::ChannelCommand),
    /// People who sign in at the page: add, list, role, reset, revoke.
    #[command(subcommand)]
    Person(people::PersonCommand),
    /// Teams, which look after patients: add, list, join, leave, take, release, remove.
    #[command(subcommand)]
    Team(people::TeamCommand),
    /// Who is on duty in a team: show, set, check.
    #[command(subcommand)]
    Roster(roster::RosterCommand),
    /// What one shift tells the next, with who leaves and who comes: what waits, what nobody answered, which devices are silent,
    /// what is silenced until when, what patients said, what ended. Needs the running centre.
    Handover(handover::HandoverArguments),
    /// Rules for everybody: show, check, shadow (try over recorded days), activate, history, back.
    #[command(subcommand)]
    Rules(rules::RulesCommand),
    /// Who is signed in at the page: list, end. Needs the running centre.
    #[command(subcommand)]
    Session(people::SessionCommand),
    /// Print a one-time link with which a person signs in at the page, and the CA's fingerprint.
    SignIn(people::SignInArguments),
    /// A patient's twin as it was when an entry of the journal had been folded: the journal is read again from its
    /// beginning. Works beside a running centre, which writes down who looked, and on a copy of its directory on another machine.
    Rebuild(again::RebuildArguments),
    /// Why an alert was raised: what made it change, what it rests on, and the batches that brought those readings.
    Why {
        /// The alert's id, as the page and the streams show it.
        alert: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Feed observations from a file through exactly the fold of a running centre, and write what it says: states, scores,
    /// forecasts, alerts. Needs no centre. Format: aggregator/REPLAY.md.
    Replay(again::ReplayArguments),
    /// How good the models are, on recordings and on simulated people, as text and as one page. Needs no centre; takes an hour
    /// with everything (use a release build).
    Evaluate(evaluate::Arguments),
    /// What each moment of a patient's time was, in percent per kind and sensor: measured, or why not.
    /// Needs the running centre.
    Coverage {
        /// The patient's id.
        patient: String,
        /// From when on, such as 2026-11-21T08:00:00Z. Default: a day before the end.
        #[arg(long, value_name = "TIME")]
        from: Option<jiff::Timestamp>,
        /// Until when. Default: now.
        #[arg(long, value_name = "TIME")]
        to: Option<jiff::Timestamp>,
        /// As JSON, with the field names of `CoverageResponse` in proto/v1/history.proto: each stretch.
        #[arg(long)]
        json: bool,
    },
    /// How good the models are, counted while they run: forecasts beside persistence, and alerts that foretell beside what came.
    /// Needs the running centre.
    Scoreboard {
        /// The patient's id. Without: summed up over all patients.
        patient: Option<String>,
        /// As JSON, with the field names of `Scoreboard` in proto/v1/scoreboard.proto.
        #[arg(long)]
        json: bool,
    },
    /// A patient's past readings, or minutes and hours with minimum, mean and maximum; also as the centre knew them at an
    /// earlier time. Needs the running centre.
    History(history::Arguments),
    /// Past readings of all patients that the reader may see, one JSON object a line, for research. Needs the running centre. A
    /// run that was cut goes on where it was when it is repeated.
    Export(export::Arguments),
    /// Who took copies of past readings by `export`, of whom and of when. Reads the whole journal; the centre may be running.
    Exports {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Who looked at what of a patient, and when: people at the page, platforms and operators, each look within an hour of the
    /// first as one. Reads the whole journal; the centre may be running.
    Accesses(accesses::Arguments),
    /// Take records that a person carried here: a file of `vitaltwin-agent export`. Needs the running
    /// centre. Safe to repeat, with another file for the receipts.
    Import {
        /// The file.
        file: PathBuf,
        /// Where the receipts go, for `vitaltwin-agent import-receipts`. Default: FILE.receipts.
        #[arg(long, value_name = "FILE")]
        receipts: Option<PathBuf>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Copy the centre while it works: settings, its own keys, journal and snapshots; the patients' keys apart. A file
    /// `backup.json` at the end says that the copy is complete.
    Backup {
        /// An empty or new directory.
        to: PathBuf,
        /// Copy the vault as well, into this directory, which belongs in another place: who has both can read
        /// everything.
        #[arg(long, value_name = "DIR")]
        vault: Option<PathBuf>,
    },
    /// Make a centre from a backup, in an empty --dir. It begins a new epoch: what was receipted after the backup and is
    /// not held by gateways any more is lost, and each patient's coverage says so. The old centre must never run again.
    Restore {
        /// The backup's directory.
        from: PathBuf,
        /// The vault's backup.
        #[arg(long, value_name = "DIR")]
        vault: PathBuf,
    },
    /// Look at everything that the centre needs (settings, rights, disk, keys, certificates, clock, journal, gateways),
    /// and say what to do. Changes nothing; ends with 1 if something does not work.
    Doctor {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print what makes a shell complete these commands, such as: source <(vitaltwin-aggregator completions bash)
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// How the centre is doing.
    Status {
        /// As JSON, with the field names of `CentreStatus` in proto/v1/operator.proto.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
enum GatewayCommand {
    /// Make a one-time enrolment token; prints the token alone.
    Token {
        /// For people: where the gateway stands.
        #[arg(long, default_value = "")]
        label: String,
        /// How long it may be spent, seconds; 0: the default.
        #[arg(long, value_name = "N", default_value_t = crate::admin::TOKEN_VALID_S)]
        valid_seconds: u32,
        /// As JSON: token and gateway.
        #[arg(long)]
        json: bool,
    },
    /// List gateways.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Send settings to a gateway: keys of the agent's config.toml, which replace all that were sent before. It takes
    /// them whole or not at all, and goes back by itself when it loses the centre under them; `gateway list` tells.
    Configure {
        /// The gateway's id.
        gateway: String,
        /// A key and its value, such as `--set heartbeat_s=60` (repeat it for more).
        #[arg(long = "set", value_name = "KEY=VALUE", required_unless_present_any = ["file", "reset"])]
        settings: Vec<String>,
        /// A TOML file instead.
        #[arg(long, value_name = "FILE", conflicts_with = "settings")]
        file: Option<PathBuf>,
        /// Nothing from afar: the gateway's own config.toml is in force again.
        #[arg(long, conflicts_with_all = ["settings", "file"])]
        reset: bool,
    },
    /// Take a gateway's rights away for good: its connections are cut at once.
    Revoke {
        /// The gateway's id.
        gateway: String,
    },
}

#[derive(Debug, Subcommand)]
enum OperatorCommand {
    /// Refuse every certificate of this operator for good; their open streams end within two seconds.
    Revoke {
        /// The name given to `init --operator`; it cannot be used again.
        name: String,
    },
}

/// Does what the arguments say.
///
/// # Errors
/// With a text for the person at the terminal.
pub fn run(args: Args) -> Result<()> {
    let clock = Clock::from_env(args.test_clock)?;
    let dir = CentreDir::new(args.dir);
    let runtime = tokio::runtime::Runtime::new().context("starting the runtime")?;
    match args.command {
        Command::Init {
            names,
            listen,
            mqtt_listen,
            operator,
        } => {
            let wanted = init::Wanted {
                names,
                listen,
                mqtt_listen,
                operator,
            };
            init::init(&dir, &wanted, clock)
        }
        Command::Run { check: true, .. } => {
            let config = settings(&dir)?;
            channel::open(&config, clock)?;
            print(&toml::to_string(&config).context("config.toml")?)
        }
        Command::Run {
            accept_clock,
            accept_damage,
            check: false,
            stage_times,
        } => {
            let accepted = Accepted {
                clock: accept_clock,
                damage: accept_damage,
            };
            if stage_times.is_some() {
                crate::stages::switch_on();
            }
            runtime.block_on(serve(dir, clock, accepted))?;
            stage_times.map_or(Ok(()), |file| {
                crate::stages::write(&file).context("--stage-times")
            })
        }
        Command::Worklist(asked) => runtime.block_on(look::worklist(asked, &dir, clock)),
        Command::Watch(asked) => runtime.block_on(look::watch(asked, &dir, clock)),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            let name = called();
            clap_complete::generate(shell, &mut commands(name), name, &mut script);
            print(&String::from_utf8_lossy(&script))
        }
        Command::Patient(command) => runtime.block_on(patient::run(command, dir, clock)),
        Command::Fact(command) => runtime.block_on(fact::run(command, &dir, clock)),
        Command::Alert(command) => runtime.block_on(alert::run(command, &dir, clock)),
        Command::Fleet(asked) => runtime.block_on(fleet::run(asked, dir, clock)),
        Command::Gateway(command) => runtime.block_on(gateway::run(command, dir, clock)),
        Command::Channel(command) => runtime.block_on(channel::run(command, &dir, clock)),
        Command::Platform(command) => runtime.block_on(platform::run(command, dir, clock)),
        Command::Operator(OperatorCommand::Revoke { name }) => {
            runtime.block_on(certificate::revoke(Role::Operator, &name, dir, clock))
        }
        Command::Person(command) => runtime.block_on(people::person(command, dir, clock)),
        Command::Team(command) => runtime.block_on(people::team(command, dir, clock)),
        Command::Roster(command) => runtime.block_on(roster::run(command, dir, clock)),
        Command::Handover(asked) => runtime.block_on(handover::run(&asked, &dir, clock)),
        Command::Rules(command) => runtime.block_on(rules::rules(command, dir, clock)),
        Command::Session(command) => runtime.block_on(people::session(command, dir, clock)),
        Command::SignIn(who) => runtime.block_on(people::sign_in(&who, dir, clock)),
        Command::Rebuild(asked) => runtime.block_on(again::rebuild(&dir, clock, &asked)),
        Command::Why { alert, json } => runtime.block_on(again::why(&dir, clock, &alert, json)),
        Command::Replay(asked) => again::replay(&asked),
        Command::Evaluate(asked) => evaluate::run(&asked),
        Command::Coverage {
            patient,
            from,
            to,
            json,
        } => runtime.block_on(again::coverage(&dir, clock, patient, (from, to), json)),
        Command::Scoreboard { patient, json } => {
            runtime.block_on(scoreboard::run(&dir, clock, patient, json))
        }
        Command::History(asked) => runtime.block_on(history::run(&dir, clock, &asked)),
        Command::Export(asked) => runtime.block_on(export::run(&dir, clock, &asked)),
        Command::Exports { json } => exports::run(&dir, json),
        Command::Accesses(asked) => accesses::run(&dir, &asked),
        Command::Import {
            file,
            receipts,
            json,
        } => runtime.block_on(import::run(dir, clock, &file, receipts, json)),
        Command::Backup { to, vault } => copies::backup(&dir, &to, vault.as_deref()),
        Command::Restore { from, vault } => {
            runtime.block_on(copies::restore(&dir, &from, &vault, clock))
        }
        Command::Doctor { json } => {
            let asked = runtime.block_on(office::ask(&dir, clock));
            let report = doctor::examine(&dir, clock, StoreLock::is_held(&dir.lock()), asked);
            print(&if json {
                show::json(&serde_json::to_value(&report)?)?
            } else {
                report.to_text() + "\n"
            })?;
            anyhow::ensure!(
                report.exit_code() == 0,
                "the doctor found something that does not work"
            );
            Ok(())
        }
        Command::Status { json } => runtime.block_on(async {
            let mut office = Office::open(dir, clock).await?;
            let status = office.status().await;
            office.close().await;
            let status = status?;
            print(&if json {
                show::json(&show::status_json(&status))?
            } else {
                show::status(&status)
            })
        }),
    }
}

async fn serve(dir: CentreDir, clock: Clock, accepted: Accepted) -> Result<()> {
    let config = settings(&dir)?;
    telemetry::init(&config.log)?;
    let lock = StoreLock::take(&dir.lock()).map_err(|error| match error {
        LockError::Held => {
            anyhow::anyhow!("{error}: it runs already, or a command is at work; look with `status`")
        }
        LockError::Io { .. } => anyhow::Error::new(error),
    })?;
    if let Some(to) = &config.traces {
        traces::switch_on(to, clock)?;
    }
    let core = Core::open(lock, dir, config, clock)?;
    let stop = CancellationToken::new();
    let signalled = stop.clone();
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    // A file over its limit is a write that fails, which stops the store and is told; it is no reason to die.
    let _too_large =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::from_raw(SIGXFSZ))?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        tracing::info!("stopping: what was taken is finished first");
        signalled.cancel();
    });
    let served = core.run(stop, accepted).await;
    // What was made last is told; a collector that is away is not waited for.
    tokio::task::spawn_blocking(traces::end).await?;
    served
}

/// `config.toml`, or a hint to make one.
fn settings(dir: &CentreDir) -> Result<Config> {
    let path = dir.config();
    if !path.exists() {
        let root = dir.root().display();
        let name = called();
        anyhow::bail!("{root} is no centre yet: run `{name} --dir {root} init` first");
    }
    let text = String::from_utf8(dir::read(&path)?).context("config.toml is not UTF-8")?;
    Ok(Config::parse(&text)?)
}

/// A name as an argument of a shell.
fn word(name: &str) -> String {
    format!("'{}'", name.replace('\'', "'\\''"))
}

fn print(text: &str) -> Result<()> {
    // Colours for a terminal that wants them (NO_COLOR, TERM, CLICOLOR), nothing but text for all else.
    let mut out = anstream::AutoStream::auto(std::io::stdout()).lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("standard output")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_and_completion_have_the_name_by_which_the_program_was_called() {
        let name = |typed: &str| named(Some(OsStr::new(typed)));
        assert_eq!(name("vitaltwin"), COMMAND);
        assert_eq!(name("/usr/bin/vitaltwin"), COMMAND);
        for other in ["vitaltwin-aggregator", "./centre", ""] {
            assert_eq!(name(other), SERVICE);
        }
        assert_eq!(named(None), SERVICE);
        for (name, other) in [(COMMAND, Some(SERVICE)), (SERVICE, None)] {
            let mut all = commands(name);
            let mut help = all.render_long_help().to_string();
            let completions = all.find_subcommand_mut("completions");
            help += &completions.expect("one").render_long_help().to_string();
            let mut script = Vec::new();
            clap_complete::generate(
                clap_complete::Shell::Bash,
                &mut commands(name),
                name,
                &mut script,
            );
            let script = String::from_utf8(script).expect("text");
            assert!(help.contains(&format!("{name} --dir centre sign-in")));
            assert!(help.contains(&format!("Usage: {name}")), "{help}");
            assert!(help.contains(&format!("<({name} completions bash)")));
            assert!(script.ends_with(&format!("-o default {name}\nfi\n")));
            for text in [help, script] {
                assert!(other.is_none_or(|other| !text.contains(other)), "{name}");
            }
        }
    }
}
