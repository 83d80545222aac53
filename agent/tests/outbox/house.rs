//! The child: the whole core over a real store, and a socket to the centre in the parent.
//!
//! Each beat is one notification with the next marker, and a second of the child's own time; in a life with waves as
//! well some frames of an ECG, so that records of all sizes come, and the store makes places for them. After each commit
//! it tells the parent, and the file `ack` in its folder, up to which marker everything is durable: never before.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use prost::Message as _;
use proto::seal::SigningKey;
use proto::v1::{CentreToGateway, GatewayToCentre, centre_to_gateway as down};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tokio::sync::mpsc;
use vitals::gatt::{Characteristic, Packing, PmdData, PmdFrame, PmdType};
use vitals::{GatewayId, Span};
use vitaltwin_agent::ble::{Address, LinkState, Notification, Overflow, RadioEvent};
use vitaltwin_agent::core::{Core, Event, Settings};
use vitaltwin_agent::identity::{Identity, IdentityDir, private_dir};
use vitaltwin_agent::outbox::store::Store;
use vitaltwin_agent::outbox::writer::{Done, Job};
use vitaltwin_agent::uplink::UplinkEvent;
use vitaltwin_agent::uplink::window::Limits;
use zeroize::Zeroizing;

use crate::centre::{Centre, DEVICE, Durable, GATEWAY, at, frames, number_of};

/// What the child is to do, as environment.
const LIFE: &str = "VITALTWIN_OUTBOX_LIFE";
const POLAR_DATA: u128 = Characteristic::PolarData.info().uuid;
/// Samples of a frame of an ECG.
const SAMPLES: usize = 160;
/// A frame's kinds.
const MESSAGE: u8 = b'M';
const COMMITTED: u8 = b'C';
const ANSWER: u8 = b'D';

/// One life of the child.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Life {
    pub(crate) seed: u64,
    /// The first marker.
    pub(crate) from: u64,
    /// Beats before it stops by itself.
    pub(crate) beats: u64,
    /// The line comes and goes; else there is none.
    pub(crate) line: bool,
    /// At the end there is a line until the centre has everything.
    pub(crate) drain: bool,
    /// Bytes of sealed records kept.
    pub(crate) budget: u64,
    /// Each beat has frames of an ECG, too.
    pub(crate) waves: bool,
}

/// A machine: a folder, a centre for it, and at most one child at a time.
pub(crate) struct House {
    folder: tempfile::TempDir,
    key: Vec<u8>,
    listener: UnixListener,
    centre: Arc<Mutex<Centre>>,
    /// Markers below were given out.
    pub(crate) next: u64,
    /// Of a hundred messages, how many stay without a receipt.
    pub(crate) receipts_lost: u32,
}

/// A running child.
pub(crate) struct Running {
    child: Child,
    served: JoinHandle<()>,
    log: PathBuf,
}

impl House {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(folder.path().join("socket")).expect("bound");
        let house = Self {
            key: SigningKey::generate_pkcs8().to_vec(),
            listener,
            centre: Arc::new(Mutex::new(Centre::new())),
            folder,
            next: 1,
            receipts_lost: 0,
        };
        private_dir(&house.dir()).expect("created");
        house
    }

    /// The agent's folder.
    pub(crate) fn dir(&self) -> PathBuf {
        self.folder.path().join("agent")
    }

    /// Leaves everything where it is, for people who want to know why.
    pub(crate) fn keep(&mut self) -> &Path {
        self.folder.disable_cleanup(true);
        self.folder.path()
    }

    pub(crate) fn centre(&self) -> MutexGuard<'_, Centre> {
        self.centre.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the child with the next markers. `envs` as well, for what is preloaded.
    pub(crate) fn start(&mut self, life: Life, envs: &[(&str, String)]) -> Running {
        let life = Life {
            from: self.next,
            ..life
        };
        self.next += life.beats;
        let home = self.folder.path();
        std::fs::write(home.join("key"), &self.key).expect("written");
        let command_key = self.centre().command_key.public_point();
        std::fs::write(home.join("command"), command_key).expect("written");
        let log = home.join("log");
        let err = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&log)
            .expect("a log");
        let child = Command::new(std::env::current_exe().expect("this program"))
            .args(["house::child", "--exact", "--nocapture"])
            .env(LIFE, serde_json::to_string(&life).expect("plain"))
            .env("VITALTWIN_OUTBOX_HOME", home)
            .envs(envs.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(err)
            .spawn()
            .expect("this program starts");
        let served = self.serve(life);
        Running { child, served, log }
    }

    /// Answers one child until its socket closes; what it sent before is taken in any case.
    fn serve(&self, life: Life) -> JoinHandle<()> {
        let listener = self.listener.try_clone().expect("a handle");
        let centre = Arc::clone(&self.centre);
        let mut rng = ChaCha8Rng::seed_from_u64(life.seed ^ 0x5EED);
        let lost = self.receipts_lost;
        std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("the child or its stand-in");
            let (mut durable, mut places) = (None, 0);
            while let Some((kind, bytes)) = read_frame(&mut socket) {
                let mut centre = centre.lock().unwrap_or_else(PoisonError::into_inner);
                if kind == COMMITTED {
                    let word = |at: usize| bytes[at..at + 8].try_into().expect("eight bytes");
                    let [last, taken] = [0, 8].map(|at| u64::from_be_bytes(word(at)));
                    centre.commits += 1;
                    centre.places += taken - std::mem::replace(&mut places, taken);
                    if last >= life.from {
                        let place = *durable.get_or_insert(centre.durable.len());
                        centre.durable.truncate(place);
                        centre.durable.push(Durable {
                            first: life.from,
                            last,
                            waves: life.waves,
                        });
                    }
                    continue;
                }
                let message = GatewayToCentre::decode(bytes.as_slice()).expect("a message");
                let receipts = !rng.random_ratio(lost, 100);
                for answer in centre.take(message, receipts) {
                    // The child may be dead: what it sent is taken all the same.
                    let _alive = write_frame(&mut socket, ANSWER, &answer.encode_to_vec());
                }
            }
        })
    }

    /// Runs a life to its own end.
    pub(crate) fn live(&mut self, life: Life) {
        self.start(life, &[]).end(self);
    }

    /// The line works from now on: everything goes to the centre.
    pub(crate) fn drain(&mut self) {
        self.receipts_lost = 0;
        let life = Life {
            seed: 0,
            from: 0,
            beats: 3,
            line: true,
            drain: true,
            budget: 1 << 30,
            waves: false,
        };
        self.live(life);
    }
}

impl Running {
    /// `kill -9`; waits until the centre has taken what was sent.
    pub(crate) fn kill(mut self, house: &House) {
        self.child.kill().expect("killed");
        self.child.wait().expect("gone");
        self.join(house);
    }

    /// Waits for the child's own end, which must be a good one.
    pub(crate) fn end(self, house: &House) {
        let log = self.log.clone();
        if !self.try_end(house) {
            let log = std::fs::read_to_string(log).unwrap_or_default();
            panic!(
                "the child failed: {}",
                &log[log.len().saturating_sub(4000)..]
            );
        }
    }

    /// Waits for the child's own end; true if it was a good one.
    pub(crate) fn try_end(mut self, house: &House) -> bool {
        let status = crate::wait_for("the child's end", Duration::from_secs(900), || {
            self.child.try_wait().expect("looked at")
        });
        self.join(house);
        status.success()
    }

    /// A child that died before it called leaves its server waiting: someone must call.
    fn join(self, house: &House) {
        if !self.served.is_finished() {
            drop(UnixStream::connect(house.folder.path().join("socket")));
        }
        self.served.join().expect("the centre does not panic");
        // The stand-in may have come second.
        house.listener.set_nonblocking(true).expect("set");
        while house.listener.accept().is_ok() {}
        house.listener.set_nonblocking(false).expect("set");
    }
}

fn write_frame(socket: &mut UnixStream, kind: u8, bytes: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(bytes.len()).expect("small").to_be_bytes();
    socket.write_all(&[&[kind][..], &length, bytes].concat())
}

fn read_frame(socket: &mut UnixStream) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 5];
    socket.read_exact(&mut head).ok()?;
    let [kind, length @ ..] = head;
    let mut bytes = vec![0; usize::try_from(u32::from_be_bytes(length)).ok()?];
    socket.read_exact(&mut bytes).ok()?;
    Some((kind, bytes))
}

/// Not a test: the child, when a test asked for it.
#[test]
fn child() {
    let Ok(life) = std::env::var(LIFE) else {
        return;
    };
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(std::io::stderr)
        .init();
    let home = PathBuf::from(std::env::var("VITALTWIN_OUTBOX_HOME").expect("given"));
    let life: Life = serde_json::from_str(&life).expect("given");
    Agent::start(&home, life).live(life);
}

struct Agent {
    core: Core,
    store: Store,
    identity: IdentityDir,
    socket: UnixStream,
    answers: Receiver<CentreToGateway>,
    ack: std::fs::File,
    connected: bool,
    /// The first marker of this life.
    from: u64,
    /// The next marker.
    marker: u64,
    now: vitals::Time,
}

impl Agent {
    fn start(home: &Path, life: Life) -> Self {
        let socket = UnixStream::connect(home.join("socket")).expect("the parent listens");
        let mut incoming = socket.try_clone().expect("a handle");
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            while let Some((_, bytes)) = read_frame(&mut incoming) {
                let answer = CentreToGateway::decode(bytes.as_slice()).expect("an answer");
                if sender.send(answer).is_err() {
                    return;
                }
            }
        });
        let dir = home.join("agent");
        let now = at(life.from);
        let (identity, who) = identity(home, &dir);
        let opened = Store::open(&dir, now).expect("always opens");
        let settings = settings(life.budget);
        let obeyed = identity.obeyed();
        let core = Core::new(settings, &who, obeyed, &opened, Overflow::default(), now);
        let ack = std::fs::File::options()
            .create(true)
            .append(true)
            .open(dir.join("ack"));
        Self {
            core,
            store: opened.store,
            identity,
            socket,
            answers,
            ack: ack.expect("opened"),
            connected: false,
            from: life.from,
            marker: life.from,
            now,
        }
    }

    fn live(mut self, life: Life) {
        let mut rng = ChaCha8Rng::seed_from_u64(life.seed);
        for _ in 0..life.beats {
            if life.line && rng.random_ratio(1, 20) {
                self.connect(!self.connected);
            }
            self.beat(life.waves);
            while let Ok(answer) = self.answers.try_recv() {
                self.hear(answer);
            }
        }
        if life.drain {
            self.connect(true);
            let end = Instant::now() + Duration::from_secs(120);
            while !self.core.is_drained() || self.core.status(self.now).devices.is_empty() {
                assert!(
                    Instant::now() < end,
                    "not drained: {:?}",
                    self.core.status(self.now)
                );
                match self.answers.recv_timeout(Duration::from_millis(5)) {
                    Ok(answer) => self.hear(answer),
                    Err(RecvTimeoutError::Timeout) => self.pass(),
                    Err(RecvTimeoutError::Disconnected) => panic!("the centre is gone"),
                }
            }
        }
        self.core.stop(self.now);
        self.pump();
        while !self.core.is_durable() {
            self.pass();
        }
        self.store.finish();
    }

    fn connect(&mut self, up: bool) {
        if self.connected == up {
            return;
        }
        self.connected = up;
        let (line, _unused) = mpsc::channel(1);
        let event = if up {
            UplinkEvent::Up(line)
        } else {
            UplinkEvent::Down("cut".into())
        };
        self.core.handle(Event::Uplink(event), self.now);
        self.pump();
    }

    fn hear(&mut self, answer: CentreToGateway) {
        if let Some(down::Kind::Receipt(receipt)) = &answer.kind {
            for range in &receipt.ranges {
                let context = receipt.context.iter().map(|byte| format!("{byte:02x}"));
                let line = format!("R {} {}\n", context.collect::<String>(), range.first);
                self.ack.write_all(line.as_bytes()).unwrap_or_default();
            }
        }
        // A line that is down brings nothing.
        if self.connected {
            let event = UplinkEvent::Message(answer);
            self.core.handle(Event::Uplink(event), self.now);
            self.pump();
        }
    }

    fn beat(&mut self, waves: bool) {
        let device = Address::parse(DEVICE).expect("an address");
        let link = RadioEvent::Link(device, LinkState::Connected);
        self.core.handle(Event::Radio(link), self.now);
        let marker = u16::try_from(self.marker).expect("a house has few markers");
        let [low, high] = marker.to_le_bytes();
        let heart_rate = vitals::gatt::uuid(0x2A37);
        let mut values = vec![(heart_rate, vec![0x08, 70, low, high])];
        if waves {
            let frames = frames(self.marker).map(|frame| ecg(self.marker, frame));
            values.extend(frames.map(|frame| (POLAR_DATA, frame)));
        }
        // Without an assignment it is refused, and no reading.
        if !self.core.status(self.now).devices.is_empty() {
            for (characteristic, value) in values {
                let notification = Notification {
                    device,
                    service: 0,
                    characteristic,
                    value,
                    received: self.now,
                };
                self.core
                    .handle(Event::Notification(notification), self.now);
            }
            self.marker += 1;
        }
        self.pump();
        self.pass();
    }

    /// A second.
    fn pass(&mut self) {
        let until = self.now + Span::from_secs(1);
        while self.core.next_deadline() <= until {
            self.now = self.core.next_deadline().max(self.now);
            self.core.tick(self.now);
            self.pump();
            if self.core.next_deadline() <= self.now {
                self.now = self.now + Span::from_millis(1);
            }
        }
        self.now = until;
    }

    fn pump(&mut self) {
        loop {
            if let Some(obeyed) = self.core.poll_obeyed() {
                self.identity.store_obeyed(&obeyed).unwrap_or_default();
            }
            if self.connected
                && let Some(message) = self.core.poll_message(self.now)
            {
                write_frame(&mut self.socket, MESSAGE, &message.encode_to_vec()).expect("sent");
                continue;
            }
            let Some(job) = self.core.poll_job() else {
                return;
            };
            let done = match job {
                Job::Commit(changes) => {
                    let result = self.store.commit(&changes);
                    if result.is_ok() {
                        self.acknowledge(self.marker - 1);
                    }
                    let free = self.store.free();
                    Done::Committed { result, free }
                }
                Job::Load(ids) => Done::Loaded(self.store.load(&ids)),
            };
            self.core.handle(Event::Store(done), self.now);
        }
    }

    /// A commit holds everything that was taken before it was asked for, which is everything: nothing comes
    /// between.
    fn acknowledge(&mut self, marker: u64) {
        self.ack
            .write_all(format!("C {} {marker}\n", self.from).as_bytes())
            .unwrap_or_default();
        let told = [marker, self.store.places_taken()].map(u64::to_be_bytes);
        write_frame(&mut self.socket, COMMITTED, told.as_flattened()).expect("told");
    }
}

/// A frame of an ECG that nothing packs well: its number, and noise.
fn ecg(marker: u64, frame: u64) -> Vec<u8> {
    let number = i32::try_from(number_of(marker, frame)).expect("24 bits");
    let mut rng = ChaCha8Rng::seed_from_u64(marker << 8 | frame);
    let noise = std::iter::repeat_with(|| rng.random_range(-9000..9000));
    let frame = PmdFrame {
        what: PmdType::Ecg,
        recording: 0,
        timestamp_ns: marker * 1_000_000_000 + frame * 100_000_000,
        frame_type: 0,
        data: PmdData::Samples {
            channels: 1,
            packing: Packing::Plain(3),
            values: std::iter::once(number).chain(noise).take(SAMPLES).collect(),
        },
    };
    frame.encode().expect("fits a notification")
}

pub(crate) fn settings(budget: u64) -> Settings {
    Settings {
        commit_interval: Span::from_secs(1),
        buffer_bytes: budget,
        buffer_age: Span::from_secs(40 * 86_400),
        keep_free_bytes: 0,
        clock_ahead: Span::ZERO,
        heartbeat: Span::from_secs(30),
        survival: vitaltwin_agent::survival::Limits {
            after: None,
            clear: vitals::Span::ZERO,
        },
        window: Limits::default(),
        bytes_per_day: 0,
    }
}

pub(crate) fn identity(home: &Path, dir: &Path) -> (IdentityDir, Identity) {
    let key = std::fs::read(home.join("key")).expect("given");
    let command_key = std::fs::read(home.join("command")).expect("given");
    let folder = dir.join("identity");
    private_dir(&folder).expect("created");
    let identity = Identity {
        gateway: GatewayId::parse(GATEWAY).expect("an id"),
        key: Arc::new(SigningKey::from_pkcs8(&key).expect("a key")),
        key_pkcs8: Zeroizing::new(key),
        chain: vec![vec![1; 700]],
        ca: vec![2],
        command_key: command_key.try_into().expect("65 bytes"),
        grpc_address: String::new(),
        mqtt_address: String::new(),
    };
    (IdentityDir::of(dir), identity)
}
