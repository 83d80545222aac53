//! The page: its files, signing in and out, and who is signed in.
//!
//! | route | who | answer |
//! |---|---|---|
//! | `GET /` | signed in | the page; others are sent to `/sign-in` |
//! | `GET /sign-in` | anybody | the form that spends a one-time code |
//! | `POST /sign-in` | anybody with a code | the session's cookie |
//! | `POST /sign-out` | anybody | ends the session |
//! | `GET /session` | signed in | who it is, the clock, the CA's fingerprint, what rings; 401 for others |
//! | `GET /assets/*`, `/favicon.svg` | anybody | the program of the page: nothing of any patient |
//!
//! Passkeys, sessions and the lock have routes of their own in [`proof`], passwords in [`password`], a provider of
//! identities in [`provider`], messages in [`push`].
//!
//! Invariants: no route here shows anything of a patient; a code is spent by `POST` only, so that a preview of
//! the link burns nothing; a form of another site is refused; every answer has the security headers.
//!
//! Must not know: gRPC, twins.

mod password;
mod proof;
mod provider;
mod push;

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Extension, Path, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Json, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use proto::text::hex;
use proto::v1::{AlertState, Priority};
use serde::{Deserialize, Serialize};

use super::access::{Access, Caller, Proof};
use super::guard;
use super::peer::PeerIdentity;
use super::signin::{SessionKey, SignInError};
use crate::channel::push::Desk;
use crate::counters::Refused;
use crate::gate::{Kind, Role};
use crate::journal::Journal;
use crate::publish::Hub;
use crate::serve::Ways;
use crate::serve::provider::Provider;
use crate::staff;

/// `__Host-`: the browser keeps it for this host, this path and TLS alone.
const COOKIE: &str = "__Host-vitaltwin";
/// The longest of ours is a new passkey.
const FORM: usize = 16 * 1024;
/// With a question for the session: the person did something since the last one.
const ACTIVE: &str = "x-vitaltwin-active";
/// A form comes in one packet; who needs longer is not a browser.
const ANSWER: Duration = Duration::from_secs(15);

const SECURITY: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];

/// The page's files: `web/dist` as it was when this program was built (see `build.rs`).
#[derive(rust_embed::Embed)]
#[folder = "$OUT_DIR/page"]
struct Files;

/// What the page says about the centre.
#[derive(Clone)]
pub struct About {
    /// SHA-256 of the CA's certificate, as people compare it.
    pub ca_fingerprint: String,
    /// Are there patients whose data are simulated?
    pub test_data: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl std::fmt::Debug for About {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("About")
            .field("ca_fingerprint", &self.ca_fingerprint)
            .finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Page {
    access: Arc<Access>,
    about: About,
    hub: Arc<Hub>,
    journal: Journal,
    passwords: Arc<password::Passwords>,
    provider: Option<Arc<Provider>>,
    push: Option<Arc<Desk>>,
}

/// All routes of the page.
pub(super) fn routes(
    access: Arc<Access>,
    about: About,
    hub: Arc<Hub>,
    journal: Journal,
    ways: Ways,
) -> Router {
    let page = Page {
        access,
        about,
        hub,
        journal,
        passwords: Arc::new(password::Passwords::new(!ways.passkey_only)),
        provider: ways.provider.filter(|_| !ways.passkey_only),
        push: ways.push,
    };
    Router::new()
        .merge(proof::routes())
        .merge(password::routes())
        .merge(provider::routes())
        .merge(push::routes())
        .route("/", get(index))
        .route("/sign-in", get(sign_in_form).post(sign_in))
        .route("/sign-out", post(sign_out))
        .route("/session", get(session))
        .route("/assets/{*path}", get(asset))
        .route(
            "/favicon.svg",
            get(|headers: HeaderMap| async move { file("favicon.svg", &headers) }),
        )
        .fallback(|| async { plain(StatusCode::NOT_FOUND, "There is no such page here.") })
        .method_not_allowed_fallback(|| async {
            plain(
                StatusCode::METHOD_NOT_ALLOWED,
                "This page does not take such requests.",
            )
        })
        .layer(middleware::from_fn_with_state(page.clone(), own))
        .layer(DefaultBodyLimit::max(FORM))
        .layer(middleware::from_fn(secure))
        .with_state(page)
}

/// The session's cookie value among a request's cookies.
pub(super) fn session_cookie(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, COOKIE)
}

/// A cookie's value among a request's.
fn cookie<'h>(headers: &'h HeaderMap, wanted: &str) -> Option<&'h str> {
    let all = headers
        .get_all(header::COOKIE)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    all.flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == wanted)
        .map(|(_, value)| value)
}

async fn secure(request: Request, next: Next) -> Response {
    let named = is_named_host(request.headers(), request.uri());
    let answer = tokio::time::timeout(ANSWER, next.run(request)).await;
    let mut response = answer.unwrap_or_else(|_| {
        plain(
            StatusCode::REQUEST_TIMEOUT,
            "The request did not come in whole.",
        )
    });
    let headers = response.headers_mut();
    for (name, value) in SECURITY {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if named {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// HSTS binds a whole host: right for a centre's own name, wrong for `localhost`, where other programs serve.
fn is_named_host(headers: &HeaderMap, uri: &Uri) -> bool {
    let host = uri
        .authority()
        .map(|authority| authority.host().to_owned())
        .or_else(|| {
            let host = headers.get(header::HOST)?.to_str().ok()?;
            Some(
                host.rsplit_once(':')
                    .map_or(host, |(name, _)| name)
                    .to_owned(),
            )
        });
    host.is_some_and(|host| {
        host != "localhost" && !host.starts_with('[') && host.parse::<std::net::IpAddr>().is_err()
    })
}

/// The caller as pages know them: every navigation of one's own browser may carry the cookie (it is
/// `SameSite=Strict`), and pages change nothing.
fn caller(page: &Page, peer: &PeerIdentity, headers: &HeaderMap) -> Option<Caller> {
    let caller = guard::caller(&page.access, peer, headers, true);
    page.access
        .check(&caller, None, Kind::Page)
        .is_ok()
        .then_some(caller)
}

async fn index(
    State(page): State<Page>,
    Extension(peer): Extension<PeerIdentity>,
    headers: HeaderMap,
) -> Response {
    match caller(&page, &peer, &headers) {
        Some(caller) => {
            if let Proof::Session(key) = caller.proof {
                page.access.sign_in().touch(key);
            }
            file("index.html", &headers)
        }
        None => see_other("/sign-in"),
    }
}

async fn sign_in_form(headers: HeaderMap) -> Response {
    file("sign-in.html", &headers)
}

#[derive(Deserialize)]
struct SignInForm {
    code: String,
}

async fn sign_in(
    State(page): State<Page>,
    Extension(peer): Extension<PeerIdentity>,
    headers: HeaderMap,
    Form(form): Form<SignInForm>,
) -> Response {
    let sign_in = page.access.sign_in();
    let place = proof::place(&peer, &headers);
    match sign_in.spend(form.code.trim(), place) {
        Ok(cookie) => {
            // What this browser had before is over, whoever it was.
            if let Some(former) = session_of(&page, &headers) {
                sign_in.end(former);
            }
            let mut response = see_other("/");
            sign_in_cookie(&mut response, &cookie);
            response
        }
        Err(error) => {
            page.access.counters().refuse(Refused::SignIn);
            see_other(match error {
                SignInError::Code => "/sign-in?error=code",
                SignInError::TooMany => "/sign-in?error=many",
            })
        }
    }
}

async fn sign_out(
    State(page): State<Page>,
    Extension(peer): Extension<PeerIdentity>,
    headers: HeaderMap,
) -> Response {
    if let Some(Caller {
        proof: Proof::Session(key),
        ..
    }) = caller(&page, &peer, &headers)
    {
        page.access.sign_in().end(key);
    }
    let mut response = see_other("/sign-in");
    set_cookie(
        &mut response,
        &format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0"),
    );
    response
}

/// What changes anything comes from the centre's own page, whatever route it takes.
async fn own(State(page): State<Page>, request: Request, next: Next) -> Response {
    let changes = !request.method().is_safe();
    if changes && foreign_form(request.headers(), request.uri()) {
        page.access.counters().refuse(Refused::Origin);
        return plain(
            StatusCode::FORBIDDEN,
            "This came from another site. Open the centre's own page.",
        );
    }
    next.run(request).await
}

/// Did a page of another site send this form? Browsers say so in `Sec-Fetch-Site`; older ones in `Origin`.
fn foreign_form(headers: &HeaderMap, uri: &Uri) -> bool {
    match headers.get("sec-fetch-site") {
        Some(site) => site.as_bytes() != b"same-origin",
        None => guard::same_origin(headers, uri) == Some(false),
    }
}

#[derive(Serialize)]
struct Session {
    person: String,
    role: &'static str,
    now_us: i64,
    rate: f64,
    test_clock: String,
    ca_fingerprint: String,
    test_data: bool,
    ends_us: i64,
    locked: bool,
    /// Alerts that nobody took notice of, of whom this person looks after: high, medium, low.
    ringing: [u32; 3],
}

/// How many alerts wait that the caller may hear, by priority: all that a locked screen learns.
fn ringing(page: &Page, caller: &Caller) -> [u32; 3] {
    let mut counts = [0; 3];
    for record in page.hub.alerts() {
        let alert = &record.alert;
        let place = match alert.priority() {
            Priority::High => 0,
            Priority::Medium => 1,
            Priority::Low | Priority::Unspecified => 2,
        };
        let waits = alert.state() == AlertState::Active && alert.snoozed_until_us == 0;
        if waits && page.access.may_hear(caller, &record.patient) {
            counts[place] += 1;
        }
    }
    counts
}

async fn session(
    State(page): State<Page>,
    Extension(peer): Extension<PeerIdentity>,
    headers: HeaderMap,
) -> Response {
    let Some(caller) = caller(&page, &peer, &headers) else {
        return plain(
            StatusCode::UNAUTHORIZED,
            "Nobody is signed in: open the one-time link.",
        );
    };
    if let (Proof::Session(key), true) = (&caller.proof, headers.contains_key(ACTIVE)) {
        page.access.sign_in().touch(*key);
    }
    let actor = page.access.actor(&caller);
    let clock = page.access.clock();
    let locked = actor.standing.locked;
    Json(Session {
        role: match &actor.role {
            Role::Person(person) => staff::role_name(person.role),
            // Whoever comes with a certificate may do at the page what operators may.
            Role::Anonymous | Role::Gateway(_) | Role::Operator(_) | Role::Platform(_) => "",
            Role::Patient(_) => "patient",
        },
        person: actor.name(),
        now_us: clock.now().as_micros(),
        rate: page.access.sign_in().rate(),
        test_clock: clock.describe(),
        ca_fingerprint: page.about.ca_fingerprint.clone(),
        test_data: (page.about.test_data)(),
        ends_us: actor.standing.until.as_micros(),
        locked,
        // An open screen has the stream of alerts.
        ringing: if locked {
            ringing(&page, &caller)
        } else {
            [0; 3]
        },
    })
    .into_response()
}

async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Response {
    file(&format!("assets/{path}"), &headers)
}

fn file(path: &str, headers: &HeaderMap) -> Response {
    let Some(found) = Files::get(path) else {
        return plain(StatusCode::NOT_FOUND, "There is no such file here.");
    };
    let hash = hex(&found.metadata.sha256_hash()[..16]);
    let tag = HeaderValue::from_str(&format!("\"{hash}\"")).expect("hexadecimal digits in quotes");
    // Files below assets/ carry a hash in their name; the pages themselves must show a new program at once.
    let cache = if path.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let mut response = if headers.get(header::IF_NONE_MATCH) == Some(&tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let body = match found.data {
            std::borrow::Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            std::borrow::Cow::Owned(bytes) => Bytes::from(bytes),
        };
        let mut response = Response::new(Body::from(body));
        let kind = HeaderValue::from_static(content_type(path));
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    };
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    response.headers_mut().insert(header::ETAG, tag);
    response
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        Some("png") => "image/png",
        Some("json" | "map") => "application/json",
        _ => "application/octet-stream",
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
        text,
    )
        .into_response()
}

fn see_other(to: &'static str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response()
}

fn set_cookie(response: &mut Response, cookie: &str) {
    let value =
        HeaderValue::from_str(cookie).expect("a cookie of letters and digits is a header value");
    response.headers_mut().append(header::SET_COOKIE, value);
}

/// A new session's cookie.
fn sign_in_cookie(response: &mut Response, cookie: &str) {
    set_cookie(
        response,
        &format!("{COOKIE}={cookie}; Path=/; Secure; HttpOnly; SameSite=Strict"),
    );
}

/// The session that this browser has, whether it may do anything or not.
fn session_of(page: &Page, headers: &HeaderMap) -> Option<SessionKey> {
    page.access.sign_in().session(session_cookie(headers)?)
}

/// Every route with its methods, for the sweep that nobody unknown gets anything of a patient.
#[cfg(test)]
pub(super) const ROUTES: [(http::Method, &str); 30] = [
    (http::Method::GET, "/"),
    (http::Method::GET, "/sign-in"),
    (http::Method::POST, "/sign-in"),
    (http::Method::POST, "/sign-out"),
    (http::Method::GET, "/session"),
    (http::Method::GET, "/assets/x.js"),
    (http::Method::GET, "/favicon.svg"),
    (http::Method::GET, "/metrics"),
    (http::Method::POST, "/passkey/challenge"),
    (http::Method::POST, "/passkey/sign-in"),
    (http::Method::POST, "/passkey/new"),
    (http::Method::POST, "/passkey/add"),
    (http::Method::POST, "/passkey/remove"),
    (http::Method::GET, "/sessions"),
    (http::Method::POST, "/sessions/end"),
    (http::Method::POST, "/lock"),
    (http::Method::GET, "/ways"),
    (http::Method::POST, "/password/sign-in"),
    (http::Method::POST, "/password/new"),
    (http::Method::POST, "/password/set"),
    (http::Method::POST, "/password/recovery"),
    (http::Method::POST, "/password/remove"),
    (http::Method::POST, "/provider/begin"),
    (http::Method::GET, "/provider/return"),
    (http::Method::POST, "/push/key"),
    (http::Method::POST, "/push/subscribe"),
    (http::Method::POST, "/push/unsubscribe"),
    (http::Method::POST, "/push/test"),
    (http::Method::POST, "/push/shown"),
    (http::Method::GET, "/push-worker.js"),
];
