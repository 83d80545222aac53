//! Signing in by a provider of identities (OpenID Connect: authorization code with PKCE, state and nonce).
//!
//! [`settings`] what the operator says; `token` PURE: what the provider says, judged; here what is asked of it, and what each
//! browser was sent with.
//!
//! Invariants: a state is answered once, within [`STATE_LIFE`], by the browser that was sent with it; only the configured
//! provider is believed, over TLS, and only about who somebody is there: who that is here, an administrator said before, and
//! roles are ours. Must not know: HTTP routes, the registry.

pub mod settings;
mod token;

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, StatusCode, header};
use proto::clock::{Clock, wall_now};
use proto::seal::crypto::{random, sha256};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use vitals::{Span, Time};
use zeroize::Zeroizing;

use self::settings::Settings;
use self::token::{Expected, Keys, TokenError};
use crate::https::{self, CallError, Client, Reach, escaped};

/// Somebody who was sent to the provider comes back within this.
pub const STATE_LIFE: Span = Span::from_mins(10);
/// A provider that takes longer does not answer.
const PATIENCE: Duration = Duration::from_secs(8);
/// What it says of itself is asked anew after this.
const KNOWN_LIFE: Span = Span::from_mins(60);
/// A key that is not known is asked for at most so often.
const KEYS_AGAIN: Span = Span::from_mins(1);
/// Browsers that are away at once, and of one address; the oldest gives way.
const AWAY: usize = 1000;
const AWAY_OF_ONE: usize = 32;

/// Why the provider cannot be used as it stands in `config.toml`.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A file cannot be read.
    #[error("{path} cannot be read: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// No root can be used.
    #[error(
        "ca_file holds no certificate that can be used: give a PEM file, or install ca-certificates"
    )]
    Roots,
}

/// Why nobody was signed in. For the log: whoever asks learns no more than that.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// No browser was sent with this state, or it was answered before, or too late.
    #[error("the answer belongs to no sign-in that began here")]
    State,
    /// Another provider answered, or this one says that it is another.
    #[error("it calls itself by another issuer")]
    Issuer,
    /// It does not answer.
    #[error("it does not answer: {0}")]
    Call(#[from] CallError),
    /// It answers something else.
    #[error("its answer is not understood: {0}")]
    Answer(String),
    /// It answers with a refusal.
    #[error("it refused: HTTP {0}")]
    Refused(StatusCode),
    /// Its token does not hold.
    #[error("{0}")]
    Token(String),
}

impl From<TokenError> for ProviderError {
    fn from(error: TokenError) -> Self {
        Self::Token(error.to_string())
    }
}

/// What the provider says of itself (OpenID Connect Discovery 1.0).
#[derive(Clone, Debug, Deserialize)]
struct Said {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

#[derive(Clone)]
struct Known {
    said: Said,
    keys: Keys,
    at: Time,
}

struct Away {
    nonce: String,
    verifier: Zeroizing<String>,
    from: IpAddr,
    until: Time,
}

/// Somebody of the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The provider.
    pub issuer: String,
    /// Whom it names.
    pub subject: String,
}

/// The way back of a browser.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Return {
    /// What it was sent with.
    #[serde(default)]
    pub state: String,
    /// What the provider gives for it.
    #[serde(default)]
    pub code: String,
    /// Which provider answers (RFC 9207).
    pub iss: Option<String>,
}

/// The provider.
pub struct Provider {
    settings: Settings,
    secret: Option<Zeroizing<String>>,
    back: String,
    client: Client,
    known: tokio::sync::Mutex<Option<Arc<Known>>>,
    away: Mutex<HashMap<[u8; 32], Away>>,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Provider({})", self.settings.issuer)
    }
}

impl Provider {
    /// Ready to be asked; it is not called yet. `page`: where people sign in, with a slash at its end.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(settings: &Settings, page: &str, clock: Clock) -> Result<Self, SetupError> {
        let roots = https::roots(settings.ca_file.as_deref()).ok_or(SetupError::Roots)?;
        let secret = settings.secret_file.as_deref().map(|file| {
            let text = std::fs::read_to_string(file);
            text.map_err(|error| SetupError::File {
                path: file.into(),
                error,
            })
        });
        let secret = secret.transpose()?.map(Zeroizing::new);
        Ok(Self {
            settings: settings.clone(),
            secret: secret.map(|text| Zeroizing::new(text.trim().to_owned())),
            back: format!("{page}provider/return"),
            client: Client::new(roots, clock, PATIENCE).map_err(|_| SetupError::Roots)?,
            known: tokio::sync::Mutex::default(),
            away: Mutex::default(),
        })
    }

    /// How people call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Where a browser goes to sign in, and the state that it goes with.
    ///
    /// # Errors
    /// [`ProviderError`] if the provider does not answer.
    pub async fn begin(&self, from: IpAddr) -> Result<(String, String), ProviderError> {
        let known = self.known(None).await?;
        let word = || URL_SAFE_NO_PAD.encode(random::<32>());
        let (state, nonce, verifier) = (word(), word(), Zeroizing::new(word()));
        let challenge = URL_SAFE_NO_PAD.encode(sha256(&[verifier.as_bytes()]));
        let query = form(&[
            ("response_type", "code"),
            ("scope", "openid"),
            ("client_id", &self.settings.client_id),
            ("redirect_uri", &self.back),
            ("state", &state),
            ("nonce", &nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        let endpoint = &known.said.authorization_endpoint;
        let joint = if endpoint.contains('?') { '&' } else { '?' };
        let away = Away {
            nonce,
            verifier,
            from,
            until: wall_now() + STATE_LIFE,
        };
        self.send_away(&state, away);
        Ok((format!("{endpoint}{joint}{query}"), state))
    }

    fn send_away(&self, state: &str, away: Away) {
        let now = wall_now();
        let mut all = self.away();
        all.retain(|_, one| now < one.until);
        let crowded = |all: &HashMap<[u8; 32], Away>, own: bool| {
            let some = all.iter().filter(|(_, one)| !own || one.from == away.from);
            let full = some.clone().count() >= if own { AWAY_OF_ONE } else { AWAY };
            let oldest = some.min_by_key(|(_, one)| one.until).map(|(key, _)| *key);
            oldest.filter(|_| full)
        };
        for own in [true, false] {
            if let Some(oldest) = crowded(&all, own) {
                all.remove(&oldest);
            }
        }
        all.insert(sha256(&[state.as_bytes()]), away);
    }

    fn away(&self) -> MutexGuard<'_, HashMap<[u8; 32], Away>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who came back. `cookie`: the state that this browser was sent with.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn end(&self, back: &Return, cookie: &str) -> Result<Identity, ProviderError> {
        let same = proto::seal::crypto::equal(back.state.as_bytes(), cookie.as_bytes());
        if back.state.is_empty() || !same {
            return Err(ProviderError::State);
        }
        let found = self.away().remove(&sha256(&[back.state.as_bytes()]));
        let found = found.filter(|away| wall_now() < away.until);
        let away = found.ok_or(ProviderError::State)?;
        let known = self.known(None).await?;
        let must_say = known.said.authorization_response_iss_parameter_supported;
        match &back.iss {
            Some(issuer) if *issuer == self.settings.issuer => {}
            None if !must_say => {}
            Some(_) | None => return Err(ProviderError::Issuer),
        }
        let token = self.redeem(&known.said, &back.code, &away.verifier).await?;
        let known = match token::names_unknown_key(&token, &known.keys) {
            true => self.known(Some(known.at)).await?,
            false => known,
        };
        let expected = Expected {
            issuer: &self.settings.issuer,
            client: &self.settings.client_id,
            nonce: &away.nonce,
            now: wall_now(),
        };
        let subject = token::judge(&token, &known.keys, expected)?;
        Ok(Identity {
            issuer: self.settings.issuer.clone(),
            subject,
        })
    }

    /// The token for a code.
    async fn redeem(
        &self,
        said: &Said,
        code: &str,
        verifier: &str,
    ) -> Result<String, ProviderError> {
        let methods = &said.token_endpoint_auth_methods_supported;
        let has = |method: &str| methods.iter().any(|known| known == method);
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.back.as_str()),
            ("code_verifier", verifier),
        ];
        let mut request = Request::post(&said.token_endpoint)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json");
        match self.secret.as_deref() {
            // The default where nothing is said (Discovery, section 3).
            Some(secret) if has("client_secret_basic") || !has("client_secret_post") => {
                let both = format!("{}:{}", escaped(&self.settings.client_id), escaped(secret));
                let both = Zeroizing::new(both);
                request = request.header(
                    header::AUTHORIZATION,
                    format!("Basic {}", STANDARD.encode(both.as_bytes())),
                );
            }
            Some(secret) => {
                fields.push(("client_id", self.settings.client_id.as_str()));
                fields.push(("client_secret", secret.as_str()));
            }
            None => fields.push(("client_id", self.settings.client_id.as_str())),
        }
        #[derive(Deserialize)]
        struct Tokens {
            id_token: String,
        }
        let request = request.body(Bytes::from(form(&fields)));
        let request = request.map_err(|error| ProviderError::Answer(error.to_string()))?;
        Ok(self.ask::<Tokens>(request).await?.id_token)
    }

    /// What the provider says of itself; newer than `than` where its keys changed.
    async fn known(&self, than: Option<Time>) -> Result<Arc<Known>, ProviderError> {
        let now = wall_now();
        let mut kept = self.known.lock().await;
        if let Some(known) = &*kept {
            let age = now.since(known.at);
            let enough = match than {
                Some(than) => known.at > than || age < KEYS_AGAIN,
                None => age < KNOWN_LIFE,
            };
            if enough {
                return Ok(Arc::clone(known));
            }
        }
        let issuer = self.settings.issuer.trim_end_matches('/');
        let said: Said = self
            .get(&format!("{issuer}/.well-known/openid-configuration"))
            .await?;
        if said.issuer != self.settings.issuer {
            return Err(ProviderError::Issuer);
        }
        let ends = [
            &said.authorization_endpoint,
            &said.token_endpoint,
            &said.jwks_uri,
        ];
        if ends.iter().any(|end| !end.starts_with("https://")) {
            return Err(ProviderError::Answer("an address without TLS".into()));
        }
        let keys = self.get(&said.jwks_uri).await?;
        let known = Arc::new(Known {
            said,
            keys,
            at: now,
        });
        *kept = Some(Arc::clone(&known));
        Ok(known)
    }

    async fn get<T: DeserializeOwned>(&self, address: &str) -> Result<T, ProviderError> {
        let request = Request::get(address).header(header::ACCEPT, "application/json");
        let request = request.body(Bytes::new());
        self.ask(request.map_err(|error| ProviderError::Answer(error.to_string()))?)
            .await
    }

    async fn ask<T: DeserializeOwned>(&self, request: Request<Bytes>) -> Result<T, ProviderError> {
        let answer = self.client.call(request, Reach::Any).await?;
        if !answer.status().is_success() {
            return Err(ProviderError::Refused(answer.status()));
        }
        serde_json::from_slice(answer.body())
            .map_err(|error| ProviderError::Answer(error.to_string()))
    }
}

/// As a form or a query.
fn form(fields: &[(&str, &str)]) -> String {
    let fields = fields.iter();
    let fields: Vec<String> = fields
        .map(|(name, value)| format!("{name}={}", escaped(value)))
        .collect();
    fields.join("&")
}

#[cfg(test)]
mod tests;
