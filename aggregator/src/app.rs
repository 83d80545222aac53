//! Assembly: everything is built, joined and ended here.
//!
//! [`Core`] is what a directory holds: lock, settings, authority, vault, registry and journal. `run` puts doors and
//! readers around it until SIGTERM; a command of the line puts only the operators' desk around it.
//!
//! Invariants: nothing listens before the registry knows the whole log; twins are brought up to date behind the open
//! doors, and nobody is shown one before; at the end intake stops first, then what was taken
//! is journaled, folded and answered. Tasks are spawned here and in the doors' accept loops only. Must not know:
//! what any part does inside.

pub mod again;
mod certificate;
mod damage;
mod keeping;
mod live;
mod ways;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use proto::clock::Clock;
use proto::seal::Secret;
use proto::v1::enrolment_service_server::EnrolmentServiceServer;
use proto::v1::fleet_service_server::FleetServiceServer;
use proto::v1::operator_service_server::OperatorServiceServer;
use proto::v1::uplink_service_server::UplinkServiceServer;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use vitals::{Span, Time};

use crate::admin::{Admin, AdminParts, FleetDoor, OperatorDoor};
use crate::ca::{self, Authority};
use crate::config::Config;
use crate::counters::Counters;
use crate::dir::{self, CentreDir};
use crate::history::{Following, History};
use crate::ingest::enrol::Enrolment;
use crate::ingest::grpc::{Addresses, EnrolmentDoor, UplinkDoor};
use crate::ingest::mqtt::MqttDoor;
use crate::ingest::{Flow, Ingest, Late, Parts, Room};
use crate::journal::{self, Entry, Journal, Log};
use crate::lock::StoreLock;
use crate::metrics::Listening;
use crate::patient::{Fold, Folder, Patients};
use crate::publish::{AlertIds, CursorKey, Hub, Limits};
use crate::registry::Books;
use crate::roster;
use crate::serve::access::Access;
use crate::serve::looks::Looks;
use crate::serve::signin::SignIn;
use crate::serve::tls::Port;
use crate::serve::{self, About, Ways};
use crate::snapshot::Snapshots;
use crate::vault::Vault;
use again::FromLog;
use certificate::ServerCertificate;
use keeping::{Begun, Keep};
use live::{Chain, Running, Still, alive, watched};

/// At a stop, streams of gateways have this long to be answered for what they sent.
const LINGER: Duration = Duration::from_secs(5);
/// A clock may be set back by this much while the centre is down; more is a mistake that a person must see.
const CLOCK_BEHIND: Span = Span::from_mins(10);
/// A centre that was down for longer than this is rarer than a clock that is wrong.
const CLOCK_AHEAD: Span = Span::from_mins(400 * 24 * 60);
/// Longest request of an operator or of a gateway that enrols, bytes.
const REQUEST: usize = 64 * 1024;

/// What the person who starts a centre has looked at and takes as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Accepted {
    /// The clock is right although the journal's last entry is very old.
    pub clock: bool,
    /// An administrative entry of the journal is lost.
    pub damage: bool,
}

/// What a directory holds, open and locked.
#[derive(Debug)]
pub struct Core {
    lock: StoreLock,
    dir: CentreDir,
    config: Config,
    clock: Clock,
    authority: Arc<Authority>,
    books: Arc<Books>,
    counters: Arc<Counters>,
    log: Log,
}

/// Where a running centre listens; `run/ready.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// gRPC and page, "host:port" for this machine.
    pub grpc: String,
    /// MQTT, likewise.
    pub mqtt: String,
    /// The page's address, for people.
    pub page: String,
    /// Metrics, if they are switched on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<String>,
    /// All that was durable at the start is in the twins; gateways are answered before.
    #[serde(default)]
    pub current: bool,
}

impl Core {
    /// Opens a centre that `init` made. The lock is held until this is dropped.
    ///
    /// # Errors
    /// When a part is missing, damaged, exposed to others, or in use.
    pub fn open(lock: StoreLock, dir: CentreDir, config: Config, clock: Clock) -> Result<Self> {
        let authority = Arc::new(Authority::open(&dir, clock)?);
        let vault = Arc::new(Vault::open(&dir.vault())?);
        let books = Arc::new(Books::new(vault));
        let limit = (config.journal_max_mib > 0).then_some(config.journal_max_mib);
        let keeper = Arc::clone(&books);
        let log = Log::open(&dir.journal(), limit, clock, keeper)?;
        let counters = Arc::default();
        Ok(Self {
            lock,
            dir,
            config,
            clock,
            authority,
            books,
            counters,
            log,
        })
    }

    /// The operators' desk alone, for one command on a centre that is not running.
    ///
    /// # Errors
    /// When the journal cannot be read, or the clock cannot be right.
    pub async fn desk(self) -> Result<(Admin, Closing)> {
        self.check_clock(false)?;
        let (fold, _) = self.begin()?.whole(&self.log)?;
        self.check_damage(false)?;
        let damages = self.log.damages();
        let (journal, feed) = self.log.start()?;
        begin_epoch(&self.books, &journal).await?;
        let stop = CancellationToken::new();
        let sealer = Arc::clone(self.books.vault_handle());
        let (folder, patients) = Folder::start(fold, feed, &journal, sealer, self.clock, &stop)?;
        damage::declare(&self.books, &journal, &damages).await?;
        let port = self.config.listen.port();
        let grpc_address = (port != 0).then(|| format!("{}:{port}", self.config.host()));
        let least = self.config.disk_free_min_mib.into();
        let room = Arc::new(Room::new(self.dir.store(), least));
        let admin = Admin::new(AdminParts {
            books: self.books,
            journal: journal.clone(),
            clock: self.clock,
            counters: self.counters,
            ca_sha256: self.authority.fingerprint(),
            grpc_address,
            sessions: Arc::default(),
            live: Arc::new(Still { patients }),
            room,
            budget: self.config.budget(),
        });
        Ok((
            admin,
            Closing {
                journal,
                folder,
                following: None,
                stop,
                lock: self.lock,
            },
        ))
    }

    fn begin(&self) -> Result<Begun> {
        let kept = usize::try_from(self.config.alerts_kept).unwrap_or(usize::MAX);
        keeping::begin(&self.dir, Limits::keeping(kept), &self.books, &self.log)
    }

    /// Known time never goes back: with a clock that did, it would stand still until the clock has caught up; and
    /// one that is far ahead would leave it there for good.
    fn check_clock(&self, accepted: bool) -> Result<()> {
        let (now, last) = (self.clock.now(), self.log.last_known());
        let ahead = now.since(last);
        if last > Time::ZERO && ahead > CLOCK_AHEAD && !accepted {
            anyhow::bail!(
                "the clock is {:.0} days ahead of the journal's last entry: set it right; if it is right, confirm with `run --accept-clock`",
                ahead.as_secs_f64() / 86_400.0
            );
        }
        let behind = last.since(now);
        if behind > CLOCK_BEHIND {
            anyhow::bail!(
                "the clock is {:.0} s behind the journal's last entry: set it right{}",
                behind.as_secs_f64(),
                if self.clock.describe().is_empty() {
                    " (was this centre run with --test-clock before?)"
                } else {
                    ""
                }
            );
        }
        Ok(())
    }

    /// A lost revocation, assignment or freezing would give a right back.
    fn check_damage(&self, accepted: bool) -> Result<()> {
        match self.log.lost_administrative() {
            Some(position) if !accepted => anyhow::bail!(
                "damaged administrative entry at position {} of the journal: restore from a backup, or confirm with `run --accept-damage` and look at `gateway list` and `patient list` (a revocation may be gone)",
                position.0
            ),
            Some(position) => {
                tracing::error!(
                    position = position.0,
                    "run without a damaged administrative entry, as confirmed"
                );
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Runs the centre until `stop`.
    ///
    /// # Errors
    /// When it cannot start; once it listens it ends well.
    pub async fn run(self, stop: CancellationToken, accepted: Accepted) -> Result<()> {
        self.check_clock(accepted.clock)?;
        let begun = self.begin()?;
        // Who may do what, and which batches are there, is known before anybody is let in; twins follow.
        self.log.survey(begun.after)?;
        self.check_damage(accepted.damage)?;
        let (current, after) = (begun.replayed(&self.log), begun.after);
        let (fold, restored) = (begun.fold, begun.restored);
        let Self {
            lock,
            dir,
            config,
            clock,
            authority,
            books,
            counters,
            log,
        } = self;
        let damages = log.damages();
        let (journal, feed) = log.start_behind(after)?;
        begin_epoch(&books, &journal).await?;
        let folding = CancellationToken::new();
        let sealer = Arc::clone(books.vault_handle());
        let (folder, patients) = Folder::start(fold, feed, &journal, sealer, clock, &folding)?;
        damage::declare(&books, &journal, &damages).await?;
        let snapshots = keeping::snapshots(&dir, &books, &patients, &restored);
        let (history, following) = follow(&dir, &books, &journal)?;
        let closing = Closing {
            journal: journal.clone(),
            folder,
            following: Some(following),
            stop: folding,
            lock,
        };
        let keep = Keep {
            snapshots: Arc::clone(&snapshots),
            journal: journal.clone(),
            history: history.clone(),
            books: Arc::clone(&books),
            patients: patients.clone(),
            every: Span::from_mins(i64::from(config.snapshot_minutes)),
            retention: Span::from_mins(i64::from(config.retention_days) * 24 * 60),
            clock,
        };
        let house = House {
            dir,
            config,
            clock,
            authority,
            books,
            counters,
            journal,
            history,
            patients,
            snapshots,
        };
        // The house may end by itself, too.
        let ended = stop.child_token();
        let keeping = tokio::spawn(keep.run(ended.clone()));
        let served = house.serve(stop, current).await;
        ended.cancel();
        let lock = closing.close().await;
        if let Ok(keep) = keeping.await {
            keep.last().await;
        }
        drop(lock);
        served
    }
}

/// A fold that has seen nothing, and where it publishes.
///
/// # Errors
/// When the directory's secret cannot be read.
pub(crate) fn empty_fold(
    dir: &CentreDir,
    limits: Limits,
    vault: &Arc<Vault>,
) -> Result<(Fold, Arc<Hub>)> {
    let secret = dir::read_secret(&dir.serve_key())?;
    let secret = Secret::from_slice(&secret)
        .context("serve.key must hold 32 bytes: restore it from its backup")?;
    let hub = Arc::new(Hub::new(CursorKey::new(secret.clone()), limits));
    let fold = Fold::new(Arc::clone(&hub), AlertIds::new(secret));
    let again = FromLog::new(journal::on_disk(&dir.journal()), Arc::clone(vault));
    Ok((fold.reading(Arc::new(again)), hub))
}

/// What must end in order: the journal after all who append, the fold after the journal, the lock last.
#[derive(Debug)]
pub struct Closing {
    journal: Journal,
    folder: Folder,
    following: Option<Following>,
    stop: CancellationToken,
    lock: StoreLock,
}

impl Closing {
    /// Writes what is queued and folds it. The store is let go with what this gives back.
    pub async fn close(self) -> StoreLock {
        self.stop.cancel();
        self.journal.close().await;
        self.folder.join().await;
        if let Some(following) = self.following {
            // It may be in the middle of a block.
            let _ = tokio::task::spawn_blocking(move || following.stop()).await;
        }
        self.lock
    }
}

/// The history behind the journal.
fn follow(dir: &CentreDir, books: &Arc<Books>, journal: &Journal) -> Result<(History, Following)> {
    let vault = Arc::clone(books.vault_handle());
    let streams = Arc::clone(books);
    let begins = move |stream| Some(streams.registry().stream(stream)?.from);
    Ok(History::start(
        &dir.history(),
        vault,
        journal.clone(),
        Arc::new(begins),
    )?)
}

/// The first entry of a journal starts its first epoch.
async fn begin_epoch(books: &Books, journal: &Journal) -> Result<()> {
    if books.registry().epoch() == 0 {
        let program = env!("CARGO_PKG_VERSION").into();
        journal
            .append(vec![Entry::EpochStarted { epoch: 1, program }.into()])
            .await?;
    }
    Ok(())
}

/// A centre with its readers, before it listens.
struct House {
    dir: CentreDir,
    config: Config,
    clock: Clock,
    authority: Arc<Authority>,
    books: Arc<Books>,
    counters: Arc<Counters>,
    journal: Journal,
    history: History,
    patients: Patients,
    snapshots: Arc<Snapshots>,
}

impl House {
    async fn serve(self, stop: CancellationToken, current: impl FnOnce() + Send) -> Result<()> {
        let (authority, names) = (Arc::clone(&self.authority), self.config.names.clone());
        let certificate = ServerCertificate::new(authority, self.dir.ca(), names, self.clock)?;
        let certificate = Arc::new(certificate);
        let (port, mqtt_listener) = self.bind(&certificate).await?;
        let (grpc, mqtt) = (port.address()?, mqtt_listener.local_addr()?);
        let host = self.config.host();
        let addresses = Addresses {
            grpc: format!("{host}:{}", grpc.port()),
            mqtt: format!("{host}:{}", mqtt.port()),
        };
        let page = format!("https://{}/", addresses.grpc);
        let least = self.config.disk_free_min_mib.into();
        let room = Arc::new(Room::new(self.dir.store(), least));
        let (ways, channels) = ways::open(
            &self.config,
            &self.dir,
            &self.books,
            &self.journal,
            &page,
            self.clock,
        )?;
        let command_key = ca::command_key(&self.dir)?;
        let command_point = command_key.public_point();
        let ingest = Arc::new(Ingest::new(Parts {
            books: Arc::clone(&self.books),
            journal: self.journal.clone(),
            command_key,
            ca: self.authority.ca().to_vec(),
            clock: self.clock,
            counters: Arc::clone(&self.counters),
            flow: Flow {
                per_second: u64::from(self.config.gateway_kib_per_s) * 1024,
                at_once: u64::from(self.config.gateway_burst_kib) * 1024,
            },
            room: Arc::clone(&room),
            late: Late::of(self.patients.hub(), self.clock),
        }));
        let sign_in = Arc::new(SignIn::new(self.clock));
        let access = self.access(Arc::clone(&sign_in));
        let running = Running {
            certificate: Arc::clone(&certificate),
            patients: self.patients.clone(),
            sign_in,
            page: page.clone(),
            snapshots: Arc::clone(&self.snapshots),
            history: self.history.clone(),
            chain: Chain::new(
                &self.config,
                &self.journal,
                access.attendance(),
                &channels,
                self.clock,
            ),
        };
        let admin = Admin::new(AdminParts {
            books: Arc::clone(&self.books),
            journal: self.journal.clone(),
            clock: self.clock,
            counters: Arc::clone(&self.counters),
            ca_sha256: self.authority.fingerprint(),
            grpc_address: Some(addresses.grpc.clone()),
            sessions: Arc::clone(ingest.sessions()),
            live: Arc::new(running),
            room,
            budget: self.config.budget(),
        });
        let enrolment = Enrolment::new(
            Arc::clone(&self.books),
            self.journal.clone(),
            Arc::clone(&self.authority),
            self.clock,
            Arc::clone(&self.counters),
            Span::from_mins(i64::from(self.config.renew_grace_days) * 24 * 60),
        );
        let admin = Arc::new(admin);
        let metrics = self.metrics().await?;
        let metrics_at = metrics.as_ref().map(Listening::address).transpose()?;
        let streams = TaskTracker::new();
        let uplink = UplinkDoor::new(Arc::clone(&ingest), stop.clone(), streams.clone());
        let enrolment = EnrolmentDoor::new(Arc::new(enrolment), command_point, addresses);
        let others = Routes::new(
            UplinkServiceServer::new(uplink).max_decoding_message_size(proto::wire::MAX_MESSAGE),
        )
        .add_service(EnrolmentServiceServer::new(enrolment).max_decoding_message_size(REQUEST))
        .add_service(FleetServiceServer::new(FleetDoor::new(
            Arc::clone(&admin),
            Arc::clone(&access),
        )))
        .add_service(
            OperatorServiceServer::new(OperatorDoor::new(
                Arc::clone(&admin),
                Arc::clone(&ingest),
                Arc::clone(&access),
            ))
            .max_decoding_message_size(REQUEST),
        );
        let called = self.patients.clone();
        let (rostered, books) = (self.patients.clone(), Arc::clone(&self.books));
        let front = serve::front(self.reading(access, ways, others));
        let mqtt_tls = certificate.config(&[])?;
        let mqtt_door = MqttDoor::new(mqtt_listener, mqtt_tls, ingest, self.config.max_connections);
        let ready = Ready {
            grpc: here(grpc),
            mqtt: here(mqtt),
            page,
            metrics: metrics_at.map(here),
            current: false,
        };
        tracing::info!(grpc = ready.grpc, mqtt = ready.mqtt, "listening");
        if !self.clock.describe().is_empty() {
            tracing::warn!(
                clock = self.clock.describe(),
                "a test clock drives this centre"
            );
        }
        let ready_path = self.dir.ready();
        dir::write_private(&ready_path, &serde_json::to_vec(&ready)?)?;
        let hub = Arc::clone(self.patients.hub());
        let told = async {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = hub.wait_ready() => {}
            }
            current();
            let ready = Ready {
                current: true,
                ..ready
            };
            dir::write_private(&ready_path, &serde_json::to_vec(&ready)?)?;
            anyhow::Ok(())
        };
        let (told, ..) = tokio::join!(
            told,
            port.run(front, stop.clone()),
            certificate.keep(stop.clone()),
            alive(Arc::clone(&admin), stop.clone()),
            watched(metrics, admin, self.clock, stop.clone()),
            channels.run(called, stop.clone()),
            roster::run(rostered, books, self.clock, stop.clone()),
            mqtt_door.run(stop.clone()),
        );
        told?;
        streams.close();
        // Whoever does not read its last answers by then asks again in the next life.
        let _ = tokio::time::timeout(LINGER, streams.wait()).await;
        // Whoever finds it now would call a centre that is gone.
        std::fs::remove_file(&ready_path).context("run/ready.json")
    }

    async fn bind(&self, certificate: &Arc<ServerCertificate>) -> Result<(Port, TcpListener)> {
        let tls = certificate.config(&[proto::tls::ALPN_H2, proto::tls::ALPN_HTTP1])?;
        let most = usize::try_from(self.config.max_connections).unwrap_or(usize::MAX);
        let listen = self.config.listen;
        let port = Port::bind(listen, tls, most, Arc::clone(&self.counters)).await;
        let port = port.with_context(|| format!("listen = \"{listen}\" in config.toml"))?;
        let listen = self.config.mqtt_listen;
        let mqtt = TcpListener::bind(listen).await;
        let mqtt = mqtt.with_context(|| format!("mqtt_listen = \"{listen}\" in config.toml"))?;
        Ok((port, mqtt))
    }

    async fn metrics(&self) -> Result<Option<Listening>> {
        let Some(listen) = self.config.metrics_listen else {
            return Ok(None);
        };
        let opened = Listening::open(listen).await;
        let opened =
            opened.with_context(|| format!("metrics_listen = \"{listen}\" in config.toml"))?;
        Ok(Some(opened))
    }

    fn access(&self, sign_in: Arc<SignIn>) -> Arc<Access> {
        let directory = Arc::clone(&self.books);
        let counters = Arc::clone(&self.counters);
        let looks = Looks::new(self.journal.clone(), self.clock);
        Arc::new(Access::new(self.clock, sign_in, directory, counters, looks))
    }

    fn reading(&self, access: Arc<Access>, ways: Ways, others: Routes) -> serve::Parts {
        let books = Arc::clone(&self.books);
        serve::Parts {
            patients: self.patients.clone(),
            journal: self.journal.clone(),
            history: self.history.clone(),
            access,
            about: About {
                ca_fingerprint: crate::admin::fingerprint(&self.authority.fingerprint()),
                test_data: Arc::new(move || {
                    books
                        .registry()
                        .patients()
                        .any(|(_, patient)| patient.test_data)
                }),
            },
            ways,
            others,
        }
    }
}

/// An address of this machine under which a listener can be called.
fn here(address: SocketAddr) -> String {
    let mut address = address;
    if address.ip().is_unspecified() {
        let loopback: std::net::IpAddr = if address.is_ipv6() {
            std::net::Ipv6Addr::LOCALHOST.into()
        } else {
            std::net::Ipv4Addr::LOCALHOST.into()
        };
        address.set_ip(loopback);
    }
    address.to_string()
}

#[cfg(test)]
mod tests;
