//! The agent's end of the radio: starts the worker process, hears it, ends it when it hangs, starts it again.
//!
//! Invariants: everything that the worker wrote before it died is handed on; a worker that says nothing for
//! [`Supervisor::patience`] is killed; the next one is started after a delay that grows until a worker proves
//! alive; each end is told with its reason; queues are bounded, and a core that is too busy to take a value
//! makes the worker count it.
//! Must not know: D-Bus, what values mean.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;
use proto::clock::Clock;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use tokio_util::codec::{FramedRead, LinesCodec};
use vitals::Span;

use super::pins::{self, Pin};
use super::pipe::{Down, LONGEST_LINE, Setup, Up};
use super::records::Marks;
use super::{Address, LinkState, Notification, Overflow, RadioEvent, WorkerEnd};
use crate::backoff::Backoff;

/// Real time without a sign of life after which a worker hangs. It gives one every five seconds.
pub const PATIENCE: Duration = Duration::from_secs(40);
/// Real time that a worker may take to let go of its links.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// What the supervisor is given.
#[derive(Debug)]
pub struct Supervisor {
    /// The worker's program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// What the worker is told first.
    pub setup: Setup,
    /// The agent's folder: what devices are held to lies there, written by this and by `pair`.
    pub dir: PathBuf,
    /// The house's clock.
    pub clock: Clock,
    /// Assigned devices.
    pub devices: watch::Receiver<BTreeMap<Address, Marks>>,
    /// Values, bounded.
    pub values: mpsc::Sender<Notification>,
    /// Everything else, bounded.
    pub events: mpsc::Sender<RadioEvent>,
    /// Values that the worker could not hand on.
    pub overflow: Overflow,
    /// Turns true when intake ends.
    pub stop: watch::Receiver<bool>,
    /// Real time without a sign of life after which the worker is killed.
    pub patience: Duration,
}

/// What one worker left behind.
#[derive(Debug, Default)]
struct Left {
    /// Devices that it called connected.
    connected: BTreeSet<Address>,
    /// It told why it ends.
    told: bool,
    /// It proved alive.
    proved: bool,
}

/// How hearing a worker ended.
enum Heard {
    /// It was told to stop.
    Stopped,
    /// It closed its pipe.
    Closed,
    /// It said nothing any more.
    Silent,
}

/// What a line was, besides being handed on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// A sign of life.
    Alive,
    /// A device was met.
    Met,
    /// Nothing more.
    None,
}

/// A running worker.
struct Worker {
    child: Child,
    orders: ChildStdin,
    lines: FramedRead<ChildStdout, LinesCodec>,
    left: Left,
    /// As last told.
    pins: BTreeMap<Address, Pin>,
    /// As of then.
    pins_of: Option<SystemTime>,
}

impl Supervisor {
    /// The worker as a command of this program itself; the file is found also when it was replaced meanwhile.
    #[must_use]
    pub fn own_program(test_clock: bool) -> (PathBuf, Vec<OsString>) {
        let flag = test_clock.then(|| OsString::from("--test-clock"));
        let arguments = flag.into_iter().chain([OsString::from("radio")]);
        ("/proc/self/exe".into(), arguments.collect())
    }

    /// Works until it is told to stop, over as many workers as it takes.
    pub async fn run(mut self) {
        let mut backoff = Backoff::new(Span::from_secs(1), Span::from_secs(60));
        loop {
            match self.start() {
                Ok(mut worker) => {
                    let heard = self.hear(&mut worker).await;
                    if matches!(heard, Heard::Stopped) {
                        return;
                    }
                    if self.bury(worker, &heard).await {
                        backoff.succeed();
                    }
                }
                Err(error) => {
                    let text = format!("the radio's worker cannot be started: {error}");
                    self.tell(RadioEvent::Health(Some(text))).await;
                }
            }
            let pause = self.clock.real(backoff.fail(rand::random()));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = self.stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    fn start(&self) -> std::io::Result<Worker> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let piped = || std::io::Error::other("a pipe is missing");
        Ok(Worker {
            orders: child.stdin.take().ok_or_else(piped)?,
            lines: FramedRead::new(
                child.stdout.take().ok_or_else(piped)?,
                LinesCodec::new_with_max_length(LONGEST_LINE),
            ),
            child,
            left: Left::default(),
            pins: BTreeMap::new(),
            pins_of: None,
        })
    }

    /// Until the worker ends, hangs, or was told to stop.
    async fn hear(&self, worker: &mut Worker) -> Heard {
        let (mut stop, mut devices) = (self.stop.clone(), self.devices.clone());
        let assigned = devices.borrow_and_update().clone();
        worker.order(&Down::Setup(self.setup.clone())).await;
        self.tell_pins(worker).await;
        worker.order(&Down::Devices(assigned)).await;
        let mut deadline = Instant::now() + self.patience;
        loop {
            tokio::select! {
                biased;
                _ = async { stop.wait_for(|stop| *stop).await.map(drop) } => {
                    self.let_go(worker).await;
                    return Heard::Stopped;
                }
                Ok(()) = devices.changed() => {
                    let devices = devices.borrow_and_update().clone();
                    worker.order(&Down::Devices(devices)).await;
                }
                // Before the deadline: while the core was busy, a sign of life may have waited in the pipe.
                line = worker.lines.next() => match line {
                    Some(Ok(line)) => {
                        let sign = self.take(&line, &mut worker.left).await;
                        if sign == Sign::Alive {
                            deadline = Instant::now() + self.patience;
                        }
                        // Also from time to time: somebody may have paired a device meanwhile.
                        if sign != Sign::None {
                            self.tell_pins(worker).await;
                        }
                    }
                    // No text, or too long: this worker is not sane.
                    Some(Err(_)) | None => return Heard::Closed,
                },
                () = tokio::time::sleep_until(deadline) => return Heard::Silent,
            }
        }
    }

    /// The worker may close its links; what it says meanwhile is heard.
    async fn let_go(&self, worker: &mut Worker) {
        worker.order(&Down::Stop).await;
        let _ended_or_late = timeout(STOP_TIMEOUT, async {
            while let Some(Ok(line)) = worker.lines.next().await {
                self.take(&line, &mut worker.left).await;
            }
        })
        .await;
    }

    /// Ends what is left of a worker, after taking all that it wrote, and tells why. True if it had proved
    /// alive.
    async fn bury(&self, mut worker: Worker, heard: &Heard) -> bool {
        if let Err(error) = worker.child.start_kill() {
            tracing::debug!(%error, "the radio's worker is gone already");
        }
        while let Some(Ok(line)) = worker.lines.next().await {
            self.take(&line, &mut worker.left).await;
        }
        let _status = worker.child.wait().await;
        let left = worker.left;
        let (end, text) = match heard {
            Heard::Silent => (WorkerEnd::Hung, "the radio's worker hung and was ended"),
            _ if left.told => (WorkerEnd::Trouble, ""),
            Heard::Closed | Heard::Stopped => (WorkerEnd::Died, "the radio's worker died"),
        };
        tracing::warn!(
            end = end.as_str(),
            "the radio's worker ended; another one starts"
        );
        for device in &left.connected {
            self.tell(RadioEvent::Link(*device, LinkState::Lost)).await;
        }
        self.tell(RadioEvent::Ended(end)).await;
        if !left.told {
            self.tell(RadioEvent::Health(Some(text.into()))).await;
        }
        left.proved
    }

    /// Hands one line on.
    async fn take(&self, line: &str, left: &mut Left) -> Sign {
        match serde_json::from_str(line) {
            Ok(Up::Value(value)) => {
                let _core_is_gone = self.values.send(value).await;
            }
            Ok(Up::Event(event)) => {
                match &event {
                    RadioEvent::Link(device, LinkState::Connected) => {
                        left.connected.insert(*device);
                    }
                    RadioEvent::Link(device, _) => {
                        left.connected.remove(device);
                    }
                    RadioEvent::Health(trouble) => left.told = trouble.is_some(),
                    RadioEvent::About(..)
                    | RadioEvent::Unassigned(_)
                    | RadioEvent::UnknownProfiles(..)
                    | RadioEvent::Records(..)
                    | RadioEvent::Impostor(..)
                    | RadioEvent::Adverts(_)
                    | RadioEvent::Ended(_) => {}
                }
                self.tell(event).await;
            }
            Ok(Up::Met(device, pin)) => {
                self.met(device, &pin);
                return Sign::Met;
            }
            Ok(Up::Missed(device, missed)) => self.overflow.add(device, missed),
            Ok(Up::Alive) => {
                left.proved = true;
                return Sign::Alive;
            }
            // The half line of a worker that was killed.
            Err(_) => tracing::debug!("the radio's worker was cut short"),
        }
        Sign::None
    }

    async fn tell_pins(&self, worker: &mut Worker) {
        let of = pins::settled(&self.dir);
        if of.is_some() && of == worker.pins_of {
            return;
        }
        // Unreadable is no reason to believe any device anew: what was known holds.
        let Some(pins) = self.pins() else { return };
        worker.pins_of = of;
        if pins != worker.pins {
            worker.order(&Down::Pins(pins.clone())).await;
            worker.pins = pins;
        }
    }

    /// What devices are held to; `None` if that cannot be read.
    fn pins(&self) -> Option<BTreeMap<Address, Pin>> {
        let pins = pins::load(&self.dir);
        pins.inspect_err(|error| tracing::error!(%error, "what devices are held to cannot be read"))
            .ok()
    }

    /// The first meeting counts.
    fn met(&self, device: Address, pin: &Pin) {
        if self.pins().is_none_or(|pins| pins.contains_key(&device)) {
            return;
        }
        if let Err(error) = pins::store(&self.dir, device, pin) {
            tracing::error!(%error, "what a device is cannot be kept");
        }
    }

    async fn tell(&self, event: RadioEvent) {
        let _core_is_gone = self.events.send(event).await;
    }
}

impl Worker {
    /// A worker that cannot be told is found dead when it is heard.
    async fn order(&mut self, order: &Down) {
        let line = order.to_line();
        let _dead = timeout(STOP_TIMEOUT, self.orders.write_all(line.as_bytes())).await;
    }
}
