//! How people are reached who are called: signed webhooks, e-mails and messages to browsers, tried until they are taken, with
//! the proof in the log.
//!
//! Files: [`settings`] what the operator says; [`plan`] PURE: what is to be told now; [`message`] PURE: the words, none of them
//! about a patient; `webhook`, `mail`, [`push`] the three ways. The fold decides who is called; this reads what it published, and writes
//! what came of each message as a comment on the alert.
//!
//! Promises: a ladder never waits for a message; a channel that takes nothing is told within [`plan::BOUND`] by `status`,
//! `doctor` and the metrics ([`crate::chain`]), and on each alert that it did not tell of.
//!
//! Must not know: what is the matter with a patient, twins, gRPC.

mod mail;
pub mod message;
pub mod plan;
pub mod push;
pub mod settings;
mod webhook;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use proto::clock::Clock;
use rustls_pki_types::CertificateDer;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use self::message::Message;
use self::plan::{Job, Outcome, Plan, Silent};
use self::push::Desk;
use self::settings::Channel;
use crate::dir::DirError;
use crate::https;
use crate::journal::Journal;
use crate::patient::Patients;
use crate::registry::Books;

/// How often it is looked whether somebody is to be told, and at most how much later that is.
const LOOK: Duration = Duration::from_millis(500);
/// At a stop, what is on its way has this long to be answered, so that its proof is in the log.
const LINGER: Duration = Duration::from_secs(5);

/// Why a channel cannot be used as it stands in `config.toml`.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// A file cannot be read.
    #[error("{path} cannot be read: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// No root can be used.
    #[error(
        "ca_file holds no certificate that can be used: give a PEM file, or install ca-certificates"
    )]
    Roots,
    /// The address is none.
    #[error("webhook.url is not an address such as https://example.org/hook")]
    Url,
    /// The secret is none.
    #[error(
        "webhook.secret_file must hold 32 octets in base64: make them with `openssl rand -base64 32`"
    )]
    Secret,
    /// The server is none.
    #[error("mail.server must be HOST:PORT, such as mail.example.org:465")]
    Server,
    /// The centre's own key for push services.
    #[error("{0}")]
    Key(#[source] DirError),
    /// More than one channel to browsers: each is reached once.
    #[error("one channel with push is enough: its duties say whom it reaches")]
    Again,
    /// An address is none.
    #[error("{0:?} is not a mail address")]
    Address(String),
}

impl ChannelError {
    fn file(path: &Path, error: io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            error,
        }
    }
}

/// Where servers' certificates must come from.
fn roots(of: &Channel) -> Result<Vec<CertificateDer<'static>>, ChannelError> {
    https::roots(of.ca_file.as_deref()).ok_or(ChannelError::Roots)
}

enum Way {
    Webhook(webhook::Webhook),
    Mail(Box<mail::Mail>),
    /// `None` where no centre runs: browsers are known to it alone.
    Push(Option<Arc<Desk>>),
}

impl Way {
    fn new(of: &Channel, clock: Clock, desk: Option<&Arc<Desk>>) -> Result<Self, ChannelError> {
        if of.push.is_some() {
            return Ok(Self::Push(desk.cloned()));
        }
        if let Some(webhook) = &of.webhook {
            let webhook = webhook::Webhook::new(webhook, roots(of)?, clock)?;
            return Ok(Self::Webhook(webhook));
        }
        let mail = of.mail.as_ref().ok_or(ChannelError::Server)?;
        Ok(Self::Mail(Box::new(mail::Mail::new(mail, roots(of)?)?)))
    }

    async fn test(&self, message: &Message) -> Outcome {
        match self {
            Self::Webhook(webhook) => webhook.send(message).await,
            Self::Mail(mail) => mail.send(message).await,
            Self::Push(_) => Err(
                "whoever takes messages in a browser tests it there: the page, \"My sign-ins\""
                    .into(),
            ),
        }
    }

    /// About a call: who it is about decides whose browsers are told.
    async fn send(&self, message: &Message, job: &Job, patients: &Patients, by: &str) -> Outcome {
        match self {
            Self::Webhook(webhook) => webhook.send(message).await,
            Self::Mail(mail) => mail.send(message).await,
            Self::Push(None) => Err("no centre runs here".into()),
            Self::Push(Some(desk)) => {
                let alerts = patients.hub().alerts();
                let mut ours = alerts.iter().filter(|of| of.alert.id == job.call.alert);
                let patient = ours.next().map(|of| of.patient.clone());
                let patient = patient.ok_or("the alert is no longer kept")?;
                desk.tell(message, job.duty, &patient, by).await
            }
        }
    }
}

/// What the channel to browsers needs, where the settings have one.
///
/// # Errors
/// Its name, and why it cannot be used.
pub fn desk(
    settings: &[Channel],
    key: impl FnOnce() -> Result<Zeroizing<Vec<u8>>, ChannelError>,
    books: &Arc<Books>,
    journal: &Journal,
    clock: Clock,
) -> Result<Option<Arc<Desk>>, (String, ChannelError)> {
    let mut with = settings.iter().filter(|of| of.push.is_some());
    let Some((of, push)) = with.next().and_then(|of| Some((of, of.push.as_ref()?))) else {
        return Ok(None);
    };
    let named = |error| (of.name.clone(), error);
    if with.next().is_some() {
        return Err(named(ChannelError::Again));
    }
    let roots = roots(of).map_err(named)?;
    let (books, journal) = (Arc::clone(books), journal.clone());
    let desk = Desk::new(key().map_err(named)?, push, roots, books, journal, clock);
    Ok(Some(Arc::new(desk.map_err(named)?)))
}

/// All channels of a centre.
pub struct Channels {
    ways: Vec<Way>,
    plan: Mutex<Plan>,
    page: String,
    clock: Clock,
}

impl std::fmt::Debug for Channels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Channels({})", self.ways.len())
    }
}

impl Channels {
    /// Ready to be used; no server is called yet. `page`: where people sign in; `desk`: for the channel to browsers.
    ///
    /// # Errors
    /// The name of the first channel that cannot be used, and why.
    pub fn new(
        settings: &[Channel],
        page: &str,
        clock: Clock,
        desk: Option<&Arc<Desk>>,
    ) -> Result<Self, (String, ChannelError)> {
        let way =
            |of: &Channel| Way::new(of, clock, desk).map_err(|error| (of.name.clone(), error));
        let ways = settings.iter().map(way).collect::<Result<_, _>>()?;
        let names = settings.iter().map(|of| (of.name.clone(), of.reaches()));
        Ok(Self {
            ways,
            plan: Mutex::new(Plan::new(names)),
            page: page.to_owned(),
            clock,
        })
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.ways.len()
    }

    /// Those on which nothing gets through.
    #[must_use]
    pub fn silent(&self) -> Vec<Silent> {
        self.plan().silent(self.clock.now())
    }

    /// Sends a message that asks for nothing, at this place of the settings.
    pub async fn test(&self, place: usize) -> Outcome {
        let message = Message::test(&self.page, self.clock.now());
        match self.ways.get(place) {
            Some(way) => way.test(&message).await,
            None => Err("there is no such channel".into()),
        }
    }

    /// Tells whoever is called, until it is stopped.
    pub async fn run(&self, patients: Patients, stop: CancellationToken) {
        if self.ways.is_empty() {
            return;
        }
        patients.hub().wait_ready().await;
        let mut looks = tokio::time::interval(LOOK);
        let mut on_the_way = FuturesUnordered::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(()) = on_the_way.next() => continue,
                _ = looks.tick() => {}
            }
            let alerts = patients.hub().alerts();
            let alerts = alerts.iter().map(|of| &*of.alert);
            let jobs = self.plan().look(alerts, self.clock.now());
            for job in jobs {
                on_the_way.push(self.tell(&patients, job));
            }
        }
        let all = async { while on_the_way.next().await.is_some() {} };
        let _told_again_by_the_next_life = tokio::time::timeout(LINGER, all).await;
    }

    async fn tell(&self, patients: &Patients, job: Job) {
        let Some(way) = self.ways.get(job.channel) else {
            return;
        };
        let (message, by) = (
            Message::of(&job, &self.page),
            self.plan().writer(job.channel),
        );
        let outcome = way.send(&message, &job, patients, &by).await;
        let (words, writer) = {
            let mut plan = self.plan();
            let words = plan.ended(&job, &outcome, self.clock.now());
            (words, plan.writer(job.channel))
        };
        match &outcome {
            Ok(_) => tracing::info!(channel = writer, "told of a call"),
            Err(why) => tracing::warn!(channel = writer, why, "could not tell of a call"),
        }
        let Some(words) = words else {
            return;
        };
        if let Err(error) = patients.comment(&job.call.alert, &writer, &words).await {
            let error = &error as &dyn std::error::Error;
            tracing::error!(
                channel = writer,
                error,
                "what came of a call is not in the log"
            );
        }
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
