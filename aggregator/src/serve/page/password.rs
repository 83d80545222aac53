//! Signing in by a password with a code of an authenticator app, for whom passkeys are not at hand; and making, changing and
//! removing that at one's own page.
//!
//! | route | who | answer |
//! |---|---|---|
//! | `GET /ways` | anybody | by what people sign in here |
//! | `POST /password/sign-in` | whoever has name, password and code | the session's cookie |
//! | `POST /password/new` | a person signed in a short while ago | the secret for their app, as picture and text |
//! | `POST /password/set` | the same, with a code of that app | recovery codes, shown this once |
//! | `POST /password/recovery` | a person with a password, signed in a short while ago | new ones; the former are worth nothing |
//! | `POST /password/remove` | a person with a password | nothing |
//!
//! Invariants: password and second factor always, and every failure is the same answer in about the same time; each code is
//! worth one sign-in, noted durably before it; whoever sets a password ends their other sessions. Must not know: gRPC, twins.

use axum::Router;
use axum::extract::{Extension, Json, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode, Uri};
use proto::clock::wall_now;
use serde::{Deserialize, Deserializer, Serialize};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::proof::{Signed, authority, begun, not_fresh, stopped, written};
use super::{Page, PeerIdentity, plain};
use crate::counters::Refused;
use crate::journal::{AccountAct, Entry};
use crate::registry::Password;
use crate::serve::passkey::host_of;
use crate::serve::password::{self, Busy, Hasher};
use crate::serve::signin::How;
use crate::serve::totp;
use crate::staff;

/// For what the vault seals the secret of an app.
const SEED: &str = "second factor";

/// What passwords are proved with.
#[derive(Debug)]
pub(super) struct Passwords {
    /// Whether a password opens anything here.
    open: bool,
    hasher: Hasher,
    /// A code is judged and noted before the next one is: two of the same are not both new.
    one_at_a_time: Mutex<()>,
}

impl Passwords {
    pub(super) fn new(open: bool) -> Self {
        Self {
            open,
            hasher: Hasher::default(),
            one_at_a_time: Mutex::default(),
        }
    }
}

pub(super) fn routes() -> Router<Page> {
    Router::new()
        .route("/ways", get(ways))
        .route("/password/sign-in", post(sign_in))
        .route("/password/new", post(new))
        .route("/password/set", post(set))
        .route("/password/recovery", post(recovery))
        .route("/password/remove", post(remove))
}

#[derive(Serialize)]
struct Ways {
    password: bool,
    /// How the provider of identities is called, where there is one.
    provider: Option<String>,
}

async fn ways(State(page): State<Page>) -> Response {
    Json(Ways {
        password: page.passwords.open,
        provider: page.provider.as_ref().map(|of| of.name().to_owned()),
    })
    .into_response()
}

/// A text that is wiped.
fn wiped<'de, D: Deserializer<'de>>(from: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(from).map(Zeroizing::new)
}

#[derive(Deserialize)]
struct Given {
    name: String,
    #[serde(deserialize_with = "wiped")]
    password: Zeroizing<String>,
    code: String,
}

async fn sign_in(
    State(page): State<Page>,
    Extension(peer): Extension<PeerIdentity>,
    headers: HeaderMap,
    Json(given): Json<Given>,
) -> Response {
    if !page.passwords.open {
        return closed();
    }
    let name = staff::name(&given.name).unwrap_or_default();
    if page.access.sign_in().attempt(&name, peer.address).is_err() {
        page.access.counters().refuse(Refused::SignIn);
        return plain(
            StatusCode::TOO_MANY_REQUESTS,
            "Too many attempts: wait a few minutes, or sign in with a passkey or a one-time link.",
        );
    }
    if given.password.chars().count() > password::LONGEST {
        return refused(&page);
    }
    let known = page.access.directory().password_named(&name);
    let hash = known.as_ref().map(|(_, of)| &of.hash);
    match page.passwords.hasher.proves(given.password, hash).await {
        Ok(proved) => {
            let _one = page.passwords.one_at_a_time.lock().await;
            let Some((person, act)) = second(&page, &name, &given.code).filter(|_| proved) else {
                return refused(&page);
            };
            let noted = Entry::Account {
                person: person.clone(),
                act,
                by: person.clone(),
            };
            if page.journal.append(vec![noted.into()]).await.is_err() {
                return stopped();
            }
            page.access.sign_in().proved(&person, peer.address);
            begun(&page, &peer, &headers, person, How::Password)
        }
        Err(Busy) => busy(),
    }
}

/// Whose code it is, and what is to be noted of it. The registry is asked anew: one that was just used is no longer any.
fn second(page: &Page, name: &str, code: &str) -> Option<(String, AccountAct)> {
    let directory = page.access.directory();
    let known = directory.password_named(name);
    let seed = known.as_ref().and_then(|(person, of)| {
        // Whoever was revoked has none.
        directory.person(person)?;
        directory.open_for(person, SEED, &of.seed)
    });
    // Nobody's code takes as long as somebody's.
    let used = known.as_ref().map_or(0, |(_, of)| of.used);
    let plain: Zeroizing<String> =
        Zeroizing::new(code.chars().filter(|c| !c.is_whitespace()).collect());
    let step = totp::step_of(
        seed.as_deref().map_or(&[0; 20][..], Vec::as_slice),
        &plain,
        wall_now(),
        used,
    );
    let hash = password::recovery_hash(&plain);
    let (person, Password { recovery, .. }) = known?;
    seed?;
    if let Some(step) = step {
        return Some((person, AccountAct::CodeUsed(step)));
    }
    let left = recovery.contains(&hash);
    left.then_some((person, AccountAct::RecoveryUsed(hash)))
}

/// Whatever is wrong.
fn refused(page: &Page) -> Response {
    page.access.counters().refuse(Refused::SignIn);
    plain(
        StatusCode::FORBIDDEN,
        "Name, password and code do not belong together. A code is worth one sign-in: wait for the next one.",
    )
}

fn busy() -> Response {
    plain(
        StatusCode::SERVICE_UNAVAILABLE,
        "Too many people sign in just now: try again in a moment.",
    )
}

fn closed() -> Response {
    plain(
        StatusCode::NOT_FOUND,
        "Here people sign in with passkeys and one-time links alone.",
    )
}

/// Patients have no name to type; passwords are for those who work here.
pub(super) fn not_for_them(page: &Page, person: &str) -> Option<Response> {
    let theirs = page.access.directory().person(person).is_some();
    (!page.passwords.open || !theirs).then(closed)
}

#[derive(Serialize)]
struct ToLearn {
    /// As people type it into an app.
    secret: String,
    /// As an app reads it from the QR code that the page makes of it.
    uri: String,
    shortest: usize,
}

async fn new(
    State(page): State<Page>,
    Signed { key, person }: Signed,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    if let Some(no) = not_for_them(&page, &person).or_else(|| not_fresh(&page, key)) {
        return no;
    }
    let seed = totp::seed();
    let authority = authority(&headers, &uri).unwrap_or_default();
    let centre = format!("vitaltwin {}", host_of(&authority).to_ascii_lowercase());
    let answer = ToLearn {
        secret: totp::spelled(&seed),
        uri: totp::uri(&seed, &centre, &person).to_string(),
        shortest: password::SHORTEST,
    };
    page.access.sign_in().keep_seed(key, seed);
    Json(answer).into_response()
}

#[derive(Deserialize)]
struct Wanted {
    #[serde(deserialize_with = "wiped")]
    password: Zeroizing<String>,
    code: String,
}

#[derive(Serialize)]
struct Recovery {
    recovery: Vec<String>,
}

async fn set(
    State(page): State<Page>,
    Signed { key, person }: Signed,
    Json(wanted): Json<Wanted>,
) -> Response {
    if let Some(no) = not_for_them(&page, &person).or_else(|| not_fresh(&page, key)) {
        return no;
    }
    // A word of its own for each, which the page says in its reader's language.
    let no = |why| plain(StatusCode::UNPROCESSABLE_ENTITY, why);
    if let Err(unfit) = password::check(&wanted.password, &person) {
        return no(unfit.as_str());
    }
    let sign_in = page.access.sign_in();
    let Some(seed) = sign_in.seed(key) else {
        return no("again");
    };
    let code: String = wanted.code.chars().filter(|c| !c.is_whitespace()).collect();
    let Some(step) = totp::step_of(&seed, &code, wall_now(), 0) else {
        return no("code");
    };
    let Ok(hash) = page.passwords.hasher.hash(wanted.password).await else {
        return busy();
    };
    let codes = password::recovery_codes();
    let entry = |act| Entry::Account {
        person: person.clone(),
        act,
        by: person.clone(),
    };
    let set = AccountAct::PasswordSet {
        hash,
        seed: page.access.directory().seal_for(&person, SEED, &seed),
        recovery: hashes(&codes),
        at: page.access.clock().now(),
    };
    // The code that showed that the app has it opens nothing any more.
    let drafts = vec![entry(set).into(), entry(AccountAct::CodeUsed(step)).into()];
    if page.journal.append(drafts).await.is_err() {
        return stopped();
    }
    sign_in.drop_seed(key);
    sign_in.end_others(&person, key);
    Json(Recovery { recovery: codes }).into_response()
}

fn hashes(codes: &[String]) -> Vec<[u8; 32]> {
    let hashes = codes.iter().map(|code| password::recovery_hash(code));
    hashes.collect()
}

fn has_none() -> Response {
    plain(StatusCode::NOT_FOUND, "You have no password.")
}

async fn recovery(State(page): State<Page>, Signed { key, person }: Signed) -> Response {
    if let Some(no) = not_for_them(&page, &person).or_else(|| not_fresh(&page, key)) {
        return no;
    }
    if page.access.directory().password_named(&person).is_none() {
        return has_none();
    }
    let codes = password::recovery_codes();
    let entry = Entry::Account {
        person: person.clone(),
        act: AccountAct::RecoveryMade(hashes(&codes)),
        by: person,
    };
    if page.journal.append(vec![entry.into()]).await.is_err() {
        return stopped();
    }
    Json(Recovery { recovery: codes }).into_response()
}

async fn remove(State(page): State<Page>, Signed { person, .. }: Signed) -> Response {
    if page.access.directory().password_named(&person).is_none() {
        return has_none();
    }
    let entry = Entry::Account {
        person: person.clone(),
        act: AccountAct::PasswordRemoved,
        by: person,
    };
    written(&page, entry).await
}
