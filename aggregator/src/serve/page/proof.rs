//! Passkeys, sessions and the lock: what somebody who is signed in may do about how they sign in, and signing in
//! with a passkey.
//!
//! | route | who | answer |
//! |---|---|---|
//! | `POST /passkey/challenge` | anybody | what a browser needs to ask for a passkey |
//! | `POST /passkey/sign-in` | whoever has a passkey | the session's cookie |
//! | `POST /passkey/new` | signed in a short while ago | what a browser needs to make one |
//! | `POST /passkey/add`, `/passkey/remove` | signed in (to add: a short while ago) | nothing |
//! | `GET /sessions` | signed in | one's own sessions and passkeys |
//! | `POST /sessions/end` | signed in | nothing; one of one's own sessions is over |
//! | `POST /lock` | signed in | nothing; the session shows nothing of a patient any more |
//!
//! Invariants: as of the page; a refusal never tells whether a passkey, or its person, is known; a cookie that a
//! browser had before is worth nothing once it signed in anew. Must not know: gRPC, twins.

use axum::Router;
use axum::extract::{Extension, FromRequestParts, Json, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use http::{HeaderMap, StatusCode, Uri, header};
use proto::seal::crypto::sha256;
use proto::text::hex;
use serde::{Deserialize, Deserializer, Serialize};
use vitals::Time;

use super::{Page, PeerIdentity, plain, sign_in_cookie};
use crate::counters::Refused;
use crate::gate::{Kind, Role};
use crate::journal::{Entry, PasskeyAct};
use crate::serve::access::Proof;
use crate::serve::passkey::{self, ALGORITHMS, Answer, Expected, PasskeyError, PublicKey};
use crate::serve::signin::{How, Listed, Place, Purpose, SessionKey};
use crate::staff;

/// Passkeys of one person.
const MOST: usize = 20;
/// Longest name of a passkey, characters.
const LABEL: usize = 60;

pub(super) fn routes() -> Router<Page> {
    Router::new()
        .route("/passkey/challenge", post(challenge))
        .route("/passkey/sign-in", post(sign_in))
        .route("/passkey/new", post(new))
        .route("/passkey/add", post(add))
        .route("/passkey/remove", post(remove))
        .route("/sessions", get(sessions))
        .route("/sessions/end", post(end))
        .route("/lock", post(lock))
}

/// Bytes as JSON carries them: base64url without padding.
#[derive(Clone, Debug, Default)]
struct Bytes64(Vec<u8>);

impl Serialize for Bytes64 {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&URL_SAFE_NO_PAD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes64 {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let bytes = URL_SAFE_NO_PAD.decode(text);
        bytes.map(Self).map_err(serde::de::Error::custom)
    }
}

/// Host and port as the browser called them.
pub(super) fn authority(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let named = uri
        .authority()
        .map(|authority| authority.as_str().to_owned());
    named.or_else(|| Some(headers.get(header::HOST)?.to_str().ok()?.to_owned()))
}

/// Where this request comes from.
pub(super) fn place(peer: &PeerIdentity, headers: &HeaderMap) -> Place {
    let browser = headers.get(header::USER_AGENT);
    Place {
        address: peer.address,
        browser: browser
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned(),
    }
}

/// Somebody signed in by a session, as the gate lets them at the page.
pub(super) struct Signed {
    pub(super) key: SessionKey,
    pub(super) person: String,
}

fn signed(page: &Page, peer: &PeerIdentity, headers: &HeaderMap) -> Option<Signed> {
    let caller = super::caller(page, peer, headers)?;
    let Proof::Session(key) = caller.proof else {
        return None;
    };
    page.access.check(&caller, None, Kind::Page).ok()?;
    let actor = page.access.actor(&caller);
    if actor.standing.locked {
        return None;
    }
    match actor.role {
        Role::Person(person) => Some(Signed {
            key,
            person: person.name,
        }),
        Role::Patient(patient) => Some(Signed {
            key,
            person: staff::patient_name(&patient),
        }),
        Role::Anonymous | Role::Gateway(_) | Role::Operator(_) | Role::Platform(_) => None,
    }
}

impl FromRequestParts<Page> for Signed {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, page: &Page) -> Result<Self, Response> {
        let peer = parts.extensions.get::<PeerIdentity>();
        let signed = peer.and_then(|peer| signed(page, peer, &parts.headers));
        signed.ok_or_else(|| plain(StatusCode::UNAUTHORIZED, "Nobody is signed in."))
    }
}

/// Whatever is wrong with a passkey.
fn refused(page: &Page) -> Response {
    page.access.counters().refuse(Refused::SignIn);
    plain(
        StatusCode::FORBIDDEN,
        "This passkey was not accepted: try once more, or ask for a link.",
    )
}

pub(super) fn stopped() -> Response {
    plain(
        StatusCode::SERVICE_UNAVAILABLE,
        "The centre cannot write to its store: ask an operator to look at `status`.",
    )
}

pub(super) fn done() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

#[derive(Serialize)]
struct Asked {
    challenge: Bytes64,
    host: String,
}

async fn challenge(
    State(page): State<Page>,
    Extension(peer): Extension<PeerIdentity>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let Some(authority) = authority(&headers, &uri) else {
        return plain(StatusCode::BAD_REQUEST, "The request names no host.");
    };
    let sign_in = page.access.sign_in();
    let challenge = sign_in.challenge(Purpose::SignIn, peer.address);
    Json(Asked {
        challenge: Bytes64(challenge.to_vec()),
        host: passkey::host_of(&authority).to_ascii_lowercase(),
    })
    .into_response()
}

#[derive(Deserialize)]
struct SignInAnswer {
    id: Bytes64,
    challenge: Bytes64,
    client_data: Bytes64,
    authenticator: Bytes64,
    signature: Bytes64,
}

async fn sign_in(
    State(page): State<Page>,
    Extension(peer): Extension<PeerIdentity>,
    uri: Uri,
    headers: HeaderMap,
    Json(answer): Json<SignInAnswer>,
) -> Response {
    let authority = authority(&headers, &uri).unwrap_or_default();
    let Some((person, count)) = accepted(&page, &answer, &authority) else {
        return refused(&page);
    };
    if count > 0 {
        // Before the session: a counter that is not kept could be used again.
        let act = PasskeyAct::Used(count);
        let noted = Entry::Passkey {
            person: person.clone(),
            id: answer.id.0.clone(),
            act,
        };
        if page.journal.append(vec![noted.into()]).await.is_err() {
            return stopped();
        }
    }
    begun(&page, &peer, &headers, person, How::Passkey)
}

/// Somebody proved who they are: their new session is this browser's.
pub(super) fn begun(
    page: &Page,
    peer: &PeerIdentity,
    headers: &HeaderMap,
    person: String,
    how: How,
) -> Response {
    let cookie = session(page, peer, headers, person, how);
    let mut response = done();
    sign_in_cookie(&mut response, &cookie);
    response
}

/// The same: its cookie's value.
pub(super) fn session(
    page: &Page,
    peer: &PeerIdentity,
    headers: &HeaderMap,
    person: String,
    how: How,
) -> String {
    let sign_in = page.access.sign_in();
    // What this browser had before is over, whoever it was.
    if let Some(former) = super::session_of(page, headers) {
        sign_in.end(former);
    }
    sign_in.begin(person, how, place(peer, headers))
}

/// Whose passkey it is and how often it has signed now, if all of it holds.
fn accepted(page: &Page, answer: &SignInAnswer, authority: &str) -> Option<(String, u32)> {
    let challenge: [u8; 32] = answer.challenge.0.as_slice().try_into().ok()?;
    if !page
        .access
        .sign_in()
        .spend_challenge(&challenge, Purpose::SignIn)
    {
        return None;
    }
    let expected = Expected {
        authority,
        challenge: &challenge,
    };
    let known = page.access.directory().passkey(&answer.id.0)?;
    if known.host != expected.host().to_ascii_lowercase() {
        return None;
    }
    let key = PublicKey::from_bytes(&known.key)?;
    let said = Answer {
        client_data: &answer.client_data.0,
        authenticator: &answer.authenticator.0,
        signature: &answer.signature.0,
    };
    match passkey::judge(said, &key, known.count, &expected) {
        Ok(count) => Some((known.person, count)),
        Err(error @ PasskeyError::Counter) => {
            tracing::warn!("a passkey was refused: {error}");
            None
        }
        Err(PasskeyError::ClientData | PasskeyError::Authenticator | PasskeyError::Signature) => {
            None
        }
    }
}

#[derive(Serialize)]
struct ToMake {
    challenge: Bytes64,
    host: String,
    /// Names the person to their authenticator; not who they are.
    user: Bytes64,
    name: String,
    algorithms: [i32; 2],
    known: Vec<Bytes64>,
}

async fn new(
    State(page): State<Page>,
    Extension(peer): Extension<PeerIdentity>,
    Signed { key, person }: Signed,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    if let Some(stale) = not_fresh(&page, key) {
        return stale;
    }
    let Some(authority) = authority(&headers, &uri) else {
        return plain(StatusCode::BAD_REQUEST, "The request names no host.");
    };
    let sign_in = page.access.sign_in();
    let challenge = sign_in.challenge(Purpose::Make(key), peer.address);
    let known = page.access.directory().passkeys_of(&person);
    let user = sha256(&[b"vitaltwin person\0", person.as_bytes()]);
    Json(ToMake {
        challenge: Bytes64(challenge.to_vec()),
        host: passkey::host_of(&authority).to_ascii_lowercase(),
        user: Bytes64(user[..16].to_vec()),
        name: person,
        algorithms: ALGORITHMS,
        known: known.into_iter().map(|(id, _)| Bytes64(id)).collect(),
    })
    .into_response()
}

/// Whoever finds an open page must not make themselves a way in that lasts.
pub(super) fn not_fresh(page: &Page, key: SessionKey) -> Option<Response> {
    (!page.access.sign_in().is_fresh(key)).then(|| {
        plain(
            StatusCode::CONFLICT,
            "Sign in once more first: ways to sign in are made within fifteen minutes of signing in.",
        )
    })
}

#[derive(Deserialize)]
struct MadeAnswer {
    challenge: Bytes64,
    client_data: Bytes64,
    authenticator: Bytes64,
    label: String,
}

async fn add(
    State(page): State<Page>,
    Signed { key, person }: Signed,
    uri: Uri,
    headers: HeaderMap,
    Json(answer): Json<MadeAnswer>,
) -> Response {
    if let Some(stale) = not_fresh(&page, key) {
        return stale;
    }
    let authority = authority(&headers, &uri).unwrap_or_default();
    let challenge = <[u8; 32]>::try_from(answer.challenge.0.as_slice()).unwrap_or_default();
    let expected = Expected {
        authority: &authority,
        challenge: &challenge,
    };
    let spent = page
        .access
        .sign_in()
        .spend_challenge(&challenge, Purpose::Make(key));
    let made = passkey::make(&answer.client_data.0, &answer.authenticator.0, &expected);
    let (true, Ok(made)) = (spent, made) else {
        return refused(&page);
    };
    let directory = page.access.directory();
    if directory.passkey(&made.id).is_some() || directory.passkeys_of(&person).len() >= MOST {
        return plain(
            StatusCode::CONFLICT,
            "This passkey is known already, or there are twenty: remove one first.",
        );
    }
    let label: String = answer
        .label
        .chars()
        .filter(|c| !c.is_control())
        .take(LABEL)
        .collect();
    let act = PasskeyAct::Added {
        host: expected.host().to_ascii_lowercase(),
        key: made.key.as_bytes().to_vec(),
        count: made.count,
        label: label.trim().to_owned(),
        at: page.access.clock().now(),
    };
    let entry = Entry::Passkey {
        person,
        id: made.id,
        act,
    };
    written(&page, entry).await
}

pub(super) async fn written(page: &Page, entry: Entry) -> Response {
    match page.journal.append(vec![entry.into()]).await {
        Ok(_) => done(),
        Err(_) => stopped(),
    }
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

async fn remove(
    State(page): State<Page>,
    Signed { person, .. }: Signed,
    Json(named): Json<Named>,
) -> Response {
    let id = URL_SAFE_NO_PAD.decode(&named.id).unwrap_or_default();
    let theirs = page.access.directory().passkey(&id);
    if theirs.is_none_or(|of| of.person != person) {
        return plain(StatusCode::NOT_FOUND, "You have no such passkey.");
    }
    let act = PasskeyAct::Removed;
    written(&page, Entry::Passkey { person, id, act }).await
}

#[derive(Serialize)]
struct Own {
    sessions: Vec<OwnSession>,
    passkeys: Vec<OwnPasskey>,
    password: Option<OwnPassword>,
    may_password: bool,
    /// Browsers of theirs that take messages; `None`: this centre sends none, or not to them.
    browsers: Option<Vec<OwnBrowser>>,
    /// Whether a way to sign in may be made now.
    fresh: bool,
}

#[derive(Serialize)]
struct OwnSession {
    id: String,
    here: bool,
    how: &'static str,
    began_us: i64,
    used_us: i64,
    address: String,
    browser: String,
}

#[derive(Serialize)]
struct OwnPasskey {
    id: Bytes64,
    label: String,
    added_us: i64,
}

#[derive(Serialize)]
struct OwnBrowser {
    id: String,
    label: String,
}

#[derive(Serialize)]
struct OwnPassword {
    set_us: i64,
    /// Recovery codes that are left.
    recovery: usize,
}

fn browsers(page: &Page, person: &str) -> Option<Vec<OwnBrowser>> {
    let directory = page.access.directory();
    page.push.as_ref()?;
    directory.person(person)?;
    let own = directory.browsers_of(person).into_iter();
    let own = own.map(|(id, label)| OwnBrowser {
        id: hex(&id),
        label,
    });
    Some(own.collect())
}

async fn sessions(State(page): State<Page>, Signed { key, person }: Signed) -> Response {
    let sessions = page.access.sign_in().sessions(Some(&person), Some(key));
    let one = |(of, here): (Listed, bool)| OwnSession {
        id: of.id,
        here,
        how: of.how.as_str(),
        began_us: of.began.as_micros(),
        used_us: of.used.as_micros(),
        address: of.address.to_string(),
        browser: of.browser,
    };
    let passkeys = page.access.directory().passkeys_of(&person).into_iter();
    let passkeys = passkeys.map(|(id, of)| OwnPasskey {
        id: Bytes64(id),
        label: of.label,
        added_us: Time::as_micros(of.at),
    });
    let password = page.access.directory().password_named(&person);
    let password = password.map(|(_, of)| OwnPassword {
        set_us: of.at.as_micros(),
        recovery: of.recovery.len(),
    });
    Json(Own {
        sessions: sessions.into_iter().map(one).collect(),
        passkeys: passkeys.collect(),
        password,
        browsers: browsers(&page, &person),
        may_password: super::password::not_for_them(&page, &person).is_none(),
        fresh: page.access.sign_in().is_fresh(key),
    })
    .into_response()
}

async fn end(
    State(page): State<Page>,
    Signed { person, .. }: Signed,
    Json(named): Json<Named>,
) -> Response {
    if page
        .access
        .sign_in()
        .end_listed(Some(&named.id), Some(&person))
        == 0
    {
        return plain(StatusCode::NOT_FOUND, "You have no such session.");
    }
    done()
}

async fn lock(State(page): State<Page>, Signed { key, .. }: Signed) -> Response {
    page.access.sign_in().lock_up(key);
    done()
}
