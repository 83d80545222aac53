//! Messages to browsers of those who are called (Web Push, RFC 8030): whom, by which push service, and the proof.
//!
//! What proves that somebody was told is that a browser showed it and said so; that a push service took it is not enough, for it
//! may keep it for ever. Without that word the message is tried again, and the channel is told as silent.
//!
//! Invariants: a message goes to those alone who have the duty and look after the patient; it says nothing about them; a
//! push service is called in the open network only, unless the operator named it; a browser whose push service says that it
//! is gone gets nothing more, and the log says so. Must not know: HTTP routes, the page.

pub mod seal;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, StatusCode, Uri, header};
use proto::clock::{Clock, wall_now};
use proto::seal::Secret;
use proto::seal::crypto::{SigningKey, hmac_sha256, random, sha256};
use proto::v1::{Duty, StaffRole};
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use vitals::{PatientId, Time};
use zeroize::Zeroizing;

use self::seal::Keys;
use super::ChannelError;
use super::message::Message;
use super::plan::Outcome;
use super::settings;
use crate::https::{Client, Reach, is_public};
use crate::journal::{AccountAct, Entry, Journal};
use crate::registry::Books;

/// A push service that takes longer does not take it.
const PATIENCE: Duration = Duration::from_secs(10);
/// A browser that showed a message says so within this, if it is there at all.
const SHOWN: Duration = Duration::from_secs(20);
/// Somebody who tries it looks on for so long.
const TEST: Duration = Duration::from_secs(12);
/// Seconds that a push service keeps a message for a browser that is away: later, another one was called.
const KEEP_S: u32 = 600;
/// Browsers of one person.
pub const MOST: usize = 10;
/// Messages whose word is waited for or remembered; the oldest gives way.
const REMEMBERED: usize = 4096;
/// Longest address of a browser.
const LONGEST: usize = 1024;
/// For what the vault seals them.
const PURPOSE: &str = "push address";

/// A browser's address and keys, as its person's page hands them over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Address {
    /// At its push service.
    pub endpoint: String,
    /// Its public key, base64url.
    pub p256dh: String,
    /// Its secret, base64url.
    pub auth: String,
    /// Of the words that it is to show.
    pub language: String,
}

impl Address {
    fn keys(&self) -> Option<Keys> {
        let octets = |text: &str| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok();
        Some(Keys {
            point: octets(&self.p256dh)?.try_into().ok()?,
            auth: octets(&self.auth)?.try_into().ok()?,
        })
    }
}

/// Why a browser is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Its address is no push service's in the open network.
    #[error(
        "this browser's push service is not in the open network: the operator can name it in config.toml"
    )]
    Address,
    /// Its keys are none.
    #[error("this browser's keys are not understood")]
    Keys,
}

struct Recipient {
    person: String,
    id: [u8; 16],
    address: Address,
}

struct Sent {
    message: String,
    person: String,
    at: Time,
    shown: bool,
    opened: bool,
}

/// What came of one message at one browser.
enum Came {
    Taken,
    Gone,
    Failed(String),
}

/// Messages to browsers.
pub struct Desk {
    key: Zeroizing<Vec<u8>>,
    settings: settings::Push,
    client: Client,
    books: Arc<Books>,
    journal: Journal,
    /// Makes the words by which a browser says that it showed a message.
    words: Secret,
    sent: Mutex<HashMap<[u8; 32], Sent>>,
    shown: Notify,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Desk(hidden)")
    }
}

impl Desk {
    /// Over this centre's key (PKCS#8) and registry.
    ///
    /// # Errors
    /// [`ChannelError`].
    pub fn new(
        key: Zeroizing<Vec<u8>>,
        settings: &settings::Push,
        roots: Vec<CertificateDer<'static>>,
        books: Arc<Books>,
        journal: Journal,
        clock: Clock,
    ) -> Result<Self, ChannelError> {
        SigningKey::from_pkcs8(&key).map_err(|_| ChannelError::Secret)?;
        Ok(Self {
            key,
            settings: settings.clone(),
            client: Client::new(roots, clock, PATIENCE).map_err(|_| ChannelError::Roots)?,
            books,
            journal,
            words: Secret::new(random()),
            sent: Mutex::default(),
            shown: Notify::new(),
        })
    }

    /// This centre's public key, by which a browser ties its address to us; base64url.
    #[must_use]
    pub fn public_key(&self) -> String {
        let key = SigningKey::from_pkcs8(&self.key);
        key.map_or_else(
            |_| String::new(),
            |key| URL_SAFE_NO_PAD.encode(key.public_point()),
        )
    }

    /// A browser of `person` takes messages from now on.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn subscribed(
        &self,
        person: &str,
        address: &Address,
        label: String,
        at: Time,
    ) -> Result<Entry, Unfit> {
        let uri: Uri = address.endpoint.parse().map_err(|_| Unfit::Address)?;
        let closed = || {
            let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
            host.parse().is_ok_and(|ip| !is_public(ip)) || !host.contains('.')
        };
        let fits = uri.scheme_str() == Some("https") && address.endpoint.len() <= LONGEST;
        if !fits || (self.reach(&uri) == Reach::Public && closed()) {
            return Err(Unfit::Address);
        }
        let keys = address.keys().ok_or(Unfit::Keys)?;
        seal::seal(b"", &keys).map_err(|_| Unfit::Keys)?;
        let plain = Zeroizing::new(serde_json::to_vec(address).map_err(|_| Unfit::Keys)?);
        Ok(Entry::Account {
            person: person.to_owned(),
            act: AccountAct::Subscribed {
                id: seal::id_of(&address.endpoint),
                sealed: self.books.vault_handle().seal_for(person, PURPOSE, &plain),
                label,
                at,
            },
            by: person.to_owned(),
        })
    }

    fn reach(&self, uri: &Uri) -> Reach {
        let authority = uri.authority().map_or("", |all| all.as_str());
        let near = self.settings.near.iter().any(|near| near == authority);
        if near { Reach::Any } else { Reach::Public }
    }

    /// Tells those who have the duty and look after the patient, and waits until one of their browsers says that it showed it.
    /// `writer`: under which name the log has what is removed.
    pub(super) async fn tell(
        &self,
        message: &Message,
        duty: Duty,
        patient: &PatientId,
        writer: &str,
    ) -> Outcome {
        if let Some(proof) = self.shown_by(&message.id) {
            return Ok(proof);
        }
        let role = match duty {
            Duty::Nurse => StaffRole::Nurse,
            Duty::Doctor => StaffRole::Doctor,
            Duty::Supervisor | Duty::Unspecified => StaffRole::Supervisor,
        };
        let to = self.recipients(|name| {
            let registry = self.books.registry();
            let has = registry.role_of(name) == Some(role);
            let looks_after = || {
                registry
                    .wards_of(name)
                    .iter()
                    .any(|ward| ward.contains(patient))
            };
            has && (role == StaffRole::Supervisor || looks_after())
        });
        self.send_to_all(message, to, writer).await
    }

    /// A message that asks for nothing, to somebody's own browsers.
    pub async fn test(&self, person: &str, page: &str) -> Outcome {
        let to = self.recipients(|name| name == person);
        let message = Message::test(page, wall_now());
        let sent = tokio::time::timeout(TEST, self.send_to_all(&message, to, person)).await;
        sent.unwrap_or_else(|_| Err(format!("none within {} s", TEST.as_secs())))
    }

    fn recipients(&self, wanted: impl Fn(&str) -> bool) -> Vec<Recipient> {
        let all: Vec<_> = {
            let registry = self.books.registry();
            let all = registry.subscriptions();
            all.map(|(id, of)| (*id, of.clone())).collect()
        };
        let mut to = Vec::new();
        for (id, of) in all {
            if !wanted(&of.person) {
                continue;
            }
            let vault = self.books.vault_handle();
            let plain = vault.open_for(&of.person, PURPOSE, &of.sealed);
            let address = plain.and_then(|plain| serde_json::from_slice(&plain).ok());
            to.extend(address.map(|address| Recipient {
                person: of.person,
                id,
                address,
            }));
        }
        to
    }

    async fn send_to_all(&self, message: &Message, to: Vec<Recipient>, writer: &str) -> Outcome {
        if to.is_empty() {
            return Err("no browser of anybody who is called takes messages".into());
        }
        let all = to.iter().map(|one| self.send(message, one));
        let mut taken = 0;
        let mut why = String::new();
        for (one, came) in to.iter().zip(join_all(all).await) {
            match came {
                Came::Taken => taken += 1,
                Came::Failed(said) => why = said,
                Came::Gone => {
                    "a browser is gone, and was removed".clone_into(&mut why);
                    self.remove(one, writer).await;
                }
            }
        }
        if taken == 0 {
            return Err(why);
        }
        let waiting = async {
            loop {
                let next = self.shown.notified();
                if let Some(proof) = self.shown_by(&message.id) {
                    return proof;
                }
                next.await;
            }
        };
        match tokio::time::timeout(SHOWN, waiting).await {
            Ok(proof) => Ok(proof),
            Err(_) => Err(format!(
                "push services took it for {taken} browsers, and none showed it within {} s",
                SHOWN.as_secs()
            )),
        }
    }

    async fn remove(&self, one: &Recipient, writer: &str) {
        tracing::info!(
            channel = writer,
            "a browser takes no more messages: removed"
        );
        let gone = Entry::Account {
            person: one.person.clone(),
            act: AccountAct::Unsubscribed { id: one.id },
            by: writer.to_owned(),
        };
        if self.journal.append(vec![gone.into()]).await.is_err() {
            tracing::error!("the store has stopped: a browser that is gone stays in it");
        }
    }

    async fn send(&self, message: &Message, to: &Recipient) -> Came {
        match self.try_send(message, to).await {
            Ok(StatusCode::NOT_FOUND | StatusCode::GONE) => Came::Gone,
            Ok(status) if status.is_success() => Came::Taken,
            Ok(status) => Came::Failed(format!("the push service answered HTTP {status}")),
            Err(why) => Came::Failed(why),
        }
    }

    async fn try_send(&self, message: &Message, to: &Recipient) -> Result<StatusCode, String> {
        let text = message.push(&self.word(message, to), &to.address.language);
        let keys = to.address.keys().ok_or("its keys are not understood")?;
        let sealed = seal::seal(text.to_string().as_bytes(), &keys);
        let sealed = sealed.map_err(|error| error.to_string())?;
        let sealed = sealed.ok_or("the message is too long")?;
        let uri: Uri = to.address.endpoint.parse().map_err(|_| "no address")?;
        let authority = uri.authority().ok_or("no address")?;
        let origin = format!("https://{authority}");
        let word = seal::authorization(&self.key, &origin, &self.settings.contact, wall_now());
        // A newer one of the same call takes the place of one that still waits there.
        let topic = sha256(&[message.id.as_bytes()]);
        let request = Request::post(&uri)
            .header(
                header::AUTHORIZATION,
                word.map_err(|error| error.to_string())?,
            )
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::CONTENT_ENCODING, "aes128gcm")
            .header("ttl", KEEP_S)
            .header("urgency", "high")
            .header("topic", URL_SAFE_NO_PAD.encode(&topic[..24]))
            .body(Bytes::from(sealed))
            .map_err(|error| error.to_string())?;
        let answer = self.client.call(request, self.reach(&uri)).await;
        // An address may name a whole network's insides: no more of it is told than its status.
        Ok(answer.map_err(|error| error.to_string())?.status())
    }

    /// By which this browser says that it showed this message; no one else can.
    fn word(&self, message: &Message, to: &Recipient) -> String {
        let of = [message.id.as_bytes(), b"\0", &to.id].concat();
        let word = URL_SAFE_NO_PAD.encode(&hmac_sha256(&self.words, &of)[..16]);
        let mut sent = self.sent();
        let key = sha256(&[word.as_bytes()]);
        if sent.len() >= REMEMBERED {
            let oldest = sent
                .iter()
                .min_by_key(|(_, one)| one.at)
                .map(|(key, _)| *key);
            oldest.map(|key| sent.remove(&key));
        }
        sent.entry(key).or_insert_with(|| Sent {
            message: message.id.clone(),
            person: to.person.clone(),
            at: wall_now(),
            shown: false,
            opened: false,
        });
        word
    }

    fn sent(&self) -> MutexGuard<'_, HashMap<[u8; 32], Sent>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The proof: on whose device a message was shown, if on any; rather one on which it was opened.
    fn shown_by(&self, message: &str) -> Option<String> {
        let sent = self.sent();
        let shown = sent.values().filter(|of| of.message == message && of.shown);
        let of = shown.max_by_key(|of| of.opened)?;
        let word = if of.opened { "opened" } else { "shown" };
        Some(format!("{word} on a device of {}", of.person))
    }

    /// A browser says that it showed a message, or that its person opened it.
    pub fn confirm(&self, word: &str, opened: bool) {
        let mut sent = self.sent();
        if let Some(of) = sent.get_mut(&sha256(&[word.as_bytes()])) {
            of.shown = true;
            of.opened |= opened;
        }
        drop(sent);
        self.shown.notify_waiters();
    }
}
