//! Assembly: builds the parts, spawns them (nobody else does), runs the loop around the [`Core`], and stops
//! in order.
//!
//! Start: lock the folder, open the outbox, then radio, line and certificate renewal as tasks and the outbox's
//! writer as a thread. Stop: the radio first; what it had handed over is sealed and made durable; the line
//! then drains within its limit; what is left stays on disk for the next start.

mod checkup;
mod clock_set;
mod home;
mod renewal;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use proto::cert::peer_identity;
use proto::clock::Clock;
use proto::v1::GatewayToCentre;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle as Task;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use vitals::{Span, Time};

use self::checkup::Checkup;
use self::clock_set::{Distance, since_boot};
use self::home::Home;
use self::renewal::Renewer;
use self::settings::{Addresses, Way, settings, starting};
use crate::ble::records::Marks;
use crate::ble::supervisor::{PATIENCE, Supervisor};
use crate::ble::{Address, Notification, Overflow, RadioEvent};
use crate::config::{Config, Uplinks};
use crate::core::{Core, Event};
use crate::enrol::client_config;
use crate::identity::{Identity, IdentityDir, IdentityError, private_dir};
use crate::outbox::store::{Patience, Store, StoreError};
use crate::outbox::writer::{Done, Job, Writer};
use crate::remote::Remote;
use crate::status::{QUIET, Status, describe};
use crate::uplink::UplinkEvent;
use crate::uplink::choice::Choice;
use crate::uplink::meter::Meter;
use crate::uplink::switch::{Standing, Switch};

/// Values between radio and core: several seconds of a full house.
const VALUES: usize = 1024;
/// Other news, each way.
const NEWS: usize = 64;
/// Values taken in one go before the other queues get their turn.
const VALUES_AT_ONCE: usize = 64;
/// Jobs for the writer: one commit and one read at a time.
const JOBS: usize = 4;
/// How long a start may search a damaged buffer, before anything is measured: a card of 7 MB/s gives 1 GB.
const SALVAGE: Duration = Duration::from_secs(150);
/// Real time for the radio to let go of its links, and for the last commit.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);
/// A line that stays down this long will not drain any more.
const GIVE_UP_LINE: Duration = Duration::from_secs(10);
/// A machine's clock that was set back by more than this: running slower makes up for less.
const MOST_AHEAD: Span = Span::from_mins(1);
/// Real time between the end of the parts and their next start, with other settings.
const BETWEEN: Duration = Duration::from_millis(100);
/// Real time between two looks at what is to be told.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// Real time that a deadline is waited for at least.
const LEAST_PAUSE: Duration = Duration::from_millis(10);

/// Why the agent ended or did not start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Another agent runs in this folder.
    #[error("another agent runs in {0}: stop it first")]
    Running(PathBuf),
    /// The folder cannot be used.
    #[error("{path} cannot be used")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The outbox cannot be opened, and no fresh one either.
    #[error("the outbox cannot be opened")]
    Store(#[from] StoreError),
    /// The identity cannot be used for TLS.
    #[error("the gateway's certificate or key cannot be used: enrol it anew with --replace")]
    Tls(#[from] proto::tls::TlsError),
    /// A task or thread that never ends by itself did: it panicked.
    #[error(
        "{0} ended unasked, which is a fault of this program: start the agent again and report it"
    )]
    PartEnded(&'static str),
    /// This process would give wrong times for long.
    #[error(
        "the machine's clock was set back by {0} s: start the agent again, so that its times are right"
    )]
    ClockSetBack(i64),
}

/// What the command line adds to the configuration.
#[derive(Clone, Debug)]
pub struct Options {
    /// The agent's folder.
    pub dir: PathBuf,
    /// Goes before the configuration's.
    pub uplink: Option<Uplinks>,
    /// Real seconds that draining may take at the end.
    pub drain: Duration,
    /// The house's clock.
    pub clock: Clock,
}

/// Runs the agent until SIGTERM or SIGINT.
///
/// # Errors
/// [`RunError`].
pub async fn run(config: &Config, options: &Options) -> Result<(), RunError> {
    let folder = |source| RunError::Folder {
        path: options.dir.clone(),
        source,
    };
    let _lock = lock(&options.dir)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(folder)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(folder)?;
    loop {
        let mut app = App::build(config, options)?;
        tracing::info!(
            gateway = %app.identity.gateway,
            uplink = app.standing.borrow().using,
            clock = options.clock.describe(),
            "agent starts"
        );
        app.home.ready();
        let end = app.work(&mut terminate, &mut interrupt).await;
        let drain = match end {
            Ok(Next::Again) => Duration::ZERO,
            Ok(Next::Stop) | Err(_) => options.drain,
        };
        app.stop(drain).await;
        if end? == Next::Stop {
            return Ok(());
        }
        tracing::info!("the agent starts anew, with other settings");
        // The page's task and the hook's end after the parts, and let go of what the next ones take.
        tokio::time::sleep(BETWEEN).await;
    }
}

/// What comes after the parts have run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Stop,
    /// With other settings.
    Again,
}

/// Takes the folder for this process until the value is dropped.
///
/// # Errors
/// [`RunError::Running`], [`RunError::Folder`].
pub fn lock(dir: &Path) -> Result<File, RunError> {
    private_dir(dir).map_err(|source| RunError::Folder {
        path: dir.to_owned(),
        source,
    })?;
    let path = dir.join("agent.lock");
    let file = File::create(&path).map_err(|source| RunError::Folder {
        path: path.clone(),
        source,
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(RunError::Running(dir.to_owned())),
        Err(TryLockError::Error(source)) => Err(RunError::Folder { path, source }),
    }
}

/// All parts, running.
struct App {
    dir: PathBuf,
    clock: Clock,
    identity: Arc<Identity>,
    /// When its certificate ends; 0 if it cannot be read.
    expires_us: i64,
    identity_dir: IdentityDir,
    core: Core,
    /// The settings of this machine.
    local: Config,
    remote: Remote,
    /// Other settings are in force from the next start on: start anew.
    again: bool,

    values: mpsc::Receiver<Notification>,
    radio_news: mpsc::Receiver<RadioEvent>,
    devices: watch::Sender<BTreeMap<Address, Marks>>,
    stop_radio: watch::Sender<bool>,
    radio: Task<()>,

    line_news: mpsc::Receiver<UplinkEvent>,
    line: Option<mpsc::Sender<GatewayToCentre>>,
    line_full: bool,
    /// By which it is seen that the machine's clock was set.
    distance: Distance,
    told_why: String,
    stop_line: watch::Sender<bool>,
    driver: Task<()>,
    /// Proofs of delivery, counted.
    delivered: watch::Sender<u64>,
    standing: watch::Receiver<Standing>,
    meter: Meter,
    renewals: mpsc::Receiver<Arc<Identity>>,
    renewal_trouble: watch::Receiver<String>,
    renewer: Task<()>,

    jobs: Option<mpsc::Sender<Job>>,
    done: mpsc::Receiver<Done>,
    writer: Option<JoinHandle<()>>,
    home: Home,
    checkup: Checkup,
    shown: Arc<Status>,
    /// What was news in the file, and when it was written.
    written: Status,
    written_at: Time,
}

impl App {
    fn build(local: &Config, options: &Options) -> Result<Self, RunError> {
        let clock = options.clock;
        let identity_dir = IdentityDir::of(&options.dir);
        let (remote, config) = starting(&identity_dir, local, clock.now());
        let config = &config;
        let identity = Arc::new(identity_dir.load()?);
        let (tls_sender, tls) = watch::channel(Arc::new(client_config(&identity, clock)?));
        let patience = Patience {
            time: Some(SALVAGE),
            leave_free: config.keep_free_bytes,
        };
        let opened = Store::open_with(&options.dir, clock.now(), patience)?;
        let overflow = Overflow::default();
        let mut core = Core::new(
            settings(config),
            &identity,
            identity_dir.obeyed(),
            &opened,
            overflow.clone(),
            clock.now(),
        );
        core.tell_configuration(remote.report.clone());
        let (writer, jobs, done) = writer(opened.store)?;
        let (radio, values, radio_news, devices, stop_radio) =
            radio(&options.dir, config, clock, overflow);
        let (line_sender, line_news) = mpsc::channel(NEWS);
        let (stop_line, stop) = watch::channel(false);
        let addresses = Addresses::of(config, &identity);
        let meter = Meter::default();
        let way = Way {
            addresses: &addresses,
            gateway: &identity.gateway,
            tls,
            meter: &meter,
            clock,
        };
        let uplinks = options.uplink.unwrap_or(config.uplink);
        let after = config.uplink_after(uplinks);
        let (delivered, proofs) = watch::channel(0);
        let (standing, shown) = watch::channel(Standing::default());
        let switch = Switch {
            choice: Choice::new(after, clock.now()),
            preferred: way.line(uplinks.preferred),
            fallback: uplinks.fallback.map(|kind| way.line(kind)),
            events: line_sender,
            delivered: proofs,
            standing,
            clock,
        };
        let driver = tokio::spawn(switch.run(stop));
        let home = Home::start(config, &addresses.grpc, clock);
        let (renewed, renewals) = mpsc::channel(1);
        let (trouble, renewal_trouble) = watch::channel(String::new());
        let renewer = Renewer {
            dir: identity_dir.clone(),
            identity: Arc::clone(&identity),
            address: addresses.grpc,
            clock,
            tls: tls_sender,
            renewed,
            trouble,
            meter: meter.clone(),
        };
        Ok(Self {
            dir: options.dir.clone(),
            clock,
            expires_us: expires_us(&identity),
            identity,
            identity_dir,
            core,
            local: local.clone(),
            remote,
            again: false,
            values,
            radio_news,
            devices,
            stop_radio,
            radio,
            line_news,
            line: None,
            line_full: false,
            distance: Distance::default(),
            told_why: String::new(),
            stop_line,
            driver,
            delivered,
            standing: shown,
            meter,
            renewals,
            renewal_trouble,
            renewer: tokio::spawn(renewer.run()),
            jobs: Some(jobs),
            done,
            writer: Some(writer),
            home,
            checkup: Checkup::start(&options.dir, clock),
            shown: Arc::default(),
            written: Status::default(),
            written_at: Time::ZERO,
        })
    }

    /// Until a signal, or until a fresh process is needed.
    async fn work(
        &mut self,
        terminate: &mut Signal,
        interrupt: &mut Signal,
    ) -> Result<Next, RunError> {
        let mut status = interval(STATUS_EVERY);
        status.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.turn() => {}
                _ = terminate.recv() => return Ok(Next::Stop),
                _ = interrupt.recv() => return Ok(Next::Stop),
                _ = status.tick() => {
                    self.show();
                    self.check_parts()?;
                    if self.again {
                        return Ok(Next::Again);
                    }
                }
            }
        }
    }

    /// Nobody told them to stop. Whichever ended, the rest would go on as if nothing were wrong: readings would
    /// pile up unsent, or in memory.
    fn check_parts(&self) -> Result<(), RunError> {
        for (ended, part) in [
            (self.radio.is_finished(), "the radio's supervisor"),
            (self.driver.is_finished(), "the line to the centre"),
            (self.renewer.is_finished(), "the renewal of the certificate"),
            (
                self.writer.as_ref().is_none_or(JoinHandle::is_finished),
                "the outbox's writer",
            ),
        ] {
            if ended {
                return Err(RunError::PartEnded(part));
            }
        }
        let ahead = self.clock.ahead_of_machine();
        if ahead > MOST_AHEAD {
            return Err(RunError::ClockSetBack(ahead.as_micros() / 1_000_000));
        }
        Ok(())
    }

    /// Carries out what the core wants, waits for one event, and gives it to the core. Safe to cancel.
    async fn turn(&mut self) {
        self.carry_out();
        let now = self.clock.now();
        let due = self.core.next_deadline().since(now);
        // A line that takes no more can leave a deadline in the past: never spin for it. What frees it wakes us.
        let pause = self.clock.real(due).max(LEAST_PAUSE);
        let event = tokio::select! {
            Some(value) = self.values.recv() => Event::Notification(value),
            Some(news) = self.radio_news.recv() => Event::Radio(news),
            Some(news) = self.line_news.recv() => {
                match &news {
                    UplinkEvent::Up(line) => {
                        self.line = Some(line.clone());
                        self.told_why = String::new();
                        tracing::info!(uplink = self.standing.borrow().using, "line to the centre");
                    }
                    UplinkEvent::Down(why) => self.line_down(why),
                    UplinkEvent::Message(_) | UplinkEvent::Malformed => {}
                }
                Event::Uplink(news)
            }
            Some(done) = self.done.recv() => Event::Store(done),
            Some(identity) = self.renewals.recv() => {
                self.identity = identity;
                self.expires_us = expires_us(&self.identity);
                Event::Renewed(self.identity.chain.clone())
            }
            () = room(self.line.as_ref()), if self.line_full => return,
            () = tokio::time::sleep(pause) => {
                let now = self.clock.now();
                self.watch_clock(now);
                self.core.tick(now);
                return;
            }
        };
        let now = self.clock.now();
        self.watch_clock(now);
        let is_value = matches!(event, Event::Notification(_));
        self.core.handle(event, now);
        if is_value {
            for _ in 1..VALUES_AT_ONCE {
                let Ok(value) = self.values.try_recv() else {
                    break;
                };
                self.core.handle(Event::Notification(value), now);
            }
        }
        if self.core.next_deadline() <= now {
            self.core.tick(now);
        }
    }

    /// Before anything is dated by a clock that was set just now.
    fn watch_clock(&mut self, now: Time) {
        // A test clock is not the machine's.
        if !self.clock.is_test() && self.distance.changed(now, since_boot()) {
            self.core.handle(Event::ClockSet, now);
        }
    }

    fn carry_out(&mut self) {
        let now = self.clock.now();
        self.core.passed(self.meter.take(), now);
        self.follow_settings(now);
        if let Some((findings, looked)) = self.checkup.news() {
            self.core.tell_findings(findings, looked);
        }
        if let Some(devices) = self.core.poll_devices() {
            self.devices.send_replace(devices);
        }
        if let Some(obeyed) = self.core.poll_obeyed()
            && let Err(error) = self.identity_dir.store_obeyed(&obeyed)
        {
            // It is obeyed all the same; after a restart the centre tells again.
            tracing::error!(
                error = describe(&error),
                "an obeyed command could not be kept"
            );
        }
        while let Some(signal) = self.core.poll_signal() {
            self.home.tell(signal);
        }
        self.fill_line(self.clock.now());
        while let Some(jobs) = &self.jobs {
            if jobs.capacity() == 0 {
                break;
            }
            let Some(job) = self.core.poll_job() else {
                break;
            };
            if jobs.try_send(job).is_err() {
                tracing::error!("the outbox's writer is gone");
                self.jobs = None;
            }
        }
    }

    /// A centre that stays away is told once, not with each attempt.
    fn line_down(&mut self, why: &str) {
        self.line = None;
        if self.told_why != why {
            why.clone_into(&mut self.told_why);
            tracing::info!(why, "no line to the centre");
        }
    }

    /// Gives the line as much as it takes.
    fn fill_line(&mut self, now: Time) {
        self.line_full = false;
        let Some(line) = &self.line else {
            return;
        };
        loop {
            match line.try_reserve() {
                Ok(place) => match self.core.poll_message(now) {
                    Some(message) => place.send(message),
                    None => return,
                },
                Err(TrySendError::Full(())) => {
                    self.line_full = true;
                    return;
                }
                // The transport tells why in its own time.
                Err(TrySendError::Closed(())) => break,
            }
        }
        self.line = None;
    }

    fn show(&mut self) {
        let mut status = self.core.status(self.clock.now());
        let standing = self.standing.borrow().clone();
        status.uplink = standing.using.to_owned();
        status.uplink_why = standing.why;
        status.uplink_since_us = standing.since.as_micros();
        status.uplink_switches = standing.switches;
        status.test_clock = self.clock.describe();
        status.certificate_expires_us = self.expires_us;
        status
            .certificate_trouble
            .clone_from(&self.renewal_trouble.borrow());
        self.shown = self.home.show(status);
        let (news, age) = (self.shown.news(), self.clock.now().since(self.written_at));
        if news != self.written || age >= QUIET {
            self.written = news;
            self.write_status();
        }
    }

    fn write_status(&mut self) {
        if let Err(error) = self.shown.write(&self.dir) {
            tracing::warn!(error = describe(&error), "the status cannot be written");
        }
        self.written_at = Time::from_micros(self.shown.written_us);
    }

    /// Radio, seal, outbox, line: in this order, each within its limit.
    async fn stop(mut self, drain: Duration) {
        tracing::info!("agent stops: no new readings are taken");
        if !self.again {
            self.home.stopping();
        }
        self.stop_radio.send_replace(true);
        let radio_ended = timeout(STOP_TIMEOUT, async {
            while !self.radio.is_finished() {
                self.turn_for(Duration::from_millis(20)).await;
            }
        });
        if radio_ended.await.is_err() {
            // What it still held is lost, and is declared at the next start.
            self.radio.abort();
            self.core.end_unclean();
        }
        while let Ok(value) = self.values.try_recv() {
            self.core
                .handle(Event::Notification(value), self.clock.now());
        }
        self.core.stop(self.clock.now());
        self.drain(Instant::now() + drain).await;
        self.core.commit_now(self.clock.now());
        let durable = timeout(STOP_TIMEOUT, async {
            while !self.core.is_durable() {
                self.turn_for(Duration::from_millis(20)).await;
            }
        });
        if durable.await.is_err() {
            tracing::error!("the outbox could not be made durable in time");
        }
        self.stop_line.send_replace(true);
        self.renewer.abort();
        let _ended_or_late = timeout(STOP_TIMEOUT, &mut self.driver).await;
        self.jobs = None;
        if let Some(writer) = self.writer.take() {
            // Every job was answered or timed out: the writer ends at once, or hangs in the disk.
            let ended = tokio::task::spawn_blocking(move || writer.join());
            let _ended_or_late = timeout(STOP_TIMEOUT, ended).await;
        }
        self.show();
        self.write_status();
        tracing::info!(waiting = self.shown.buffer.records, "agent stopped");
    }

    /// Until the centre has everything, the limit passed, or the line stays down.
    async fn drain(&mut self, until: Instant) {
        let mut line_seen = Instant::now();
        while Instant::now() < until && !self.core.is_drained() {
            if self.core.is_connected() {
                line_seen = Instant::now();
            } else if line_seen.elapsed() > GIVE_UP_LINE && self.core.is_durable() {
                return;
            }
            self.turn_for(Duration::from_millis(50)).await;
        }
    }

    async fn turn_for(&mut self, limit: Duration) {
        let _quiet = timeout(limit, self.turn()).await;
    }
}

fn expires_us(identity: &Identity) -> i64 {
    let leaf = identity.chain.first();
    let subject = leaf.and_then(|leaf| peer_identity(leaf).ok());
    subject.map_or(0, |subject| subject.not_after.as_micros())
}

/// The outbox's writer on its thread, and the ends of its queues.
type WriterParts = (JoinHandle<()>, mpsc::Sender<Job>, mpsc::Receiver<Done>);

fn writer(store: Store) -> Result<WriterParts, StoreError> {
    let (jobs, jobs_taken) = mpsc::channel(JOBS);
    let (done_sender, done) = mpsc::channel(JOBS);
    let writer = Writer::new(store, jobs_taken, done_sender);
    let thread = std::thread::Builder::new()
        .name("outbox".into())
        .stack_size(1 << 20)
        .spawn(move || writer.run())
        .map_err(StoreError::Io)?;
    Ok((thread, jobs, done))
}

/// The radio as a task, and the ends of its queues.
type Radio = (
    Task<()>,
    mpsc::Receiver<Notification>,
    mpsc::Receiver<RadioEvent>,
    watch::Sender<BTreeMap<Address, Marks>>,
    watch::Sender<bool>,
);

fn radio(dir: &Path, config: &Config, clock: Clock, overflow: Overflow) -> Radio {
    let (values_sender, values) = mpsc::channel(VALUES);
    let (events, news) = mpsc::channel(NEWS);
    let (devices, devices_wanted) = watch::channel(BTreeMap::new());
    let (stop_radio, stop) = watch::channel(false);
    let (program, arguments) = Supervisor::own_program(clock.is_test());
    let supervisor = Supervisor {
        program,
        arguments,
        setup: config.radio(),
        dir: dir.to_owned(),
        clock,
        devices: devices_wanted,
        values: values_sender,
        events,
        overflow,
        stop,
        patience: PATIENCE,
    };
    (
        tokio::spawn(supervisor.run()),
        values,
        news,
        devices,
        stop_radio,
    )
}

/// Waits until the line takes one more message (or is gone).
async fn room(line: Option<&mpsc::Sender<GatewayToCentre>>) {
    match line {
        Some(line) => drop(line.reserve().await),
        None => std::future::pending().await,
    }
}
