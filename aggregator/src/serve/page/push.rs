//! Messages to this browser: switched on and off by its person, tried, and confirmed.
//!
//! | route | who | answer |
//! |---|---|---|
//! | `POST /push/key` | a person who is signed in | what this browser's push service must know |
//! | `POST /push/subscribe`, `/push/unsubscribe` | the same | nothing |
//! | `POST /push/test` | the same | what came of a message to their own browsers |
//! | `POST /push/shown` | whoever has the word that lay in a message | nothing |
//! | `GET /push-worker.js` | anybody | the program that shows messages while no page is open |
//!
//! Invariants: a confirmation shows nothing and tells nothing, not even whether its word is known. Must not know: gRPC, twins,
//! how a message is sealed.

use axum::Router;
use axum::extract::{Extension, Json, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode, Uri};
use serde::{Deserialize, Serialize};

use super::proof::{Signed, authority, done, written};
use super::{Page, PeerIdentity, file, plain};
use crate::channel::push::{Address, Desk, MOST, seal};
use crate::journal::{AccountAct, Entry};

/// Characters of a browser's name for itself.
const LABEL: usize = 120;

pub(super) fn routes() -> Router<Page> {
    Router::new()
        .route("/push/key", post(key))
        .route("/push/subscribe", post(subscribe))
        .route("/push/unsubscribe", post(unsubscribe))
        .route("/push/test", post(test))
        .route("/push/shown", post(shown))
        .route(
            "/push-worker.js",
            get(|headers: HeaderMap| async move { file("push-worker.js", &headers) }),
        )
}

/// The desk, for somebody who may be called.
fn desk<'p>(page: &'p Page, person: &str) -> Option<&'p Desk> {
    page.access.directory().person(person)?;
    page.push.as_deref()
}

fn none() -> Response {
    plain(
        StatusCode::NOT_FOUND,
        "This centre sends no messages to browsers.",
    )
}

#[derive(Serialize)]
struct Key {
    key: String,
}

async fn key(State(page): State<Page>, Signed { person, .. }: Signed) -> Response {
    match desk(&page, &person) {
        Some(desk) => Json(Key {
            key: desk.public_key(),
        })
        .into_response(),
        None => none(),
    }
}

async fn subscribe(
    State(page): State<Page>,
    Extension(peer): Extension<PeerIdentity>,
    Signed { person, .. }: Signed,
    headers: HeaderMap,
    Json(address): Json<Address>,
) -> Response {
    let Some(desk) = desk(&page, &person) else {
        return none();
    };
    let own = page.access.directory().browsers_of(&person);
    let again = seal::id_of(&address.endpoint);
    if own.len() >= MOST && !own.iter().any(|(id, _)| *id == again) {
        return plain(
            StatusCode::CONFLICT,
            "Ten browsers of yours take messages already: switch one off first.",
        );
    }
    let browser = super::proof::place(&peer, &headers).browser;
    let label = browser.chars().filter(|c| !c.is_control()).take(LABEL);
    let at = page.access.clock().now();
    match desk.subscribed(&person, &address, label.collect(), at) {
        Ok(entry) => written(&page, entry).await,
        Err(unfit) => {
            tracing::info!("a browser was not taken for messages: {unfit}");
            plain(
                StatusCode::UNPROCESSABLE_ENTITY,
                "This browser's push service cannot be used from here.",
            )
        }
    }
}

#[derive(Deserialize)]
struct Gone {
    /// As [`OwnBrowser`](super::proof) names it, or the address itself.
    id: String,
}

async fn unsubscribe(
    State(page): State<Page>,
    Signed { person, .. }: Signed,
    Json(gone): Json<Gone>,
) -> Response {
    let by_address = seal::id_of(&gone.id);
    let own = page.access.directory().browsers_of(&person);
    let found = own
        .into_iter()
        .find(|(id, _)| *id == by_address || proto::text::hex(id) == gone.id);
    let Some((id, _)) = found else {
        return plain(StatusCode::NOT_FOUND, "You have no such browser.");
    };
    let entry = Entry::Account {
        person: person.clone(),
        act: AccountAct::Unsubscribed { id },
        by: person,
    };
    written(&page, entry).await
}

#[derive(Serialize)]
struct Came {
    shown: bool,
    said: String,
}

async fn test(
    State(page): State<Page>,
    Signed { person, .. }: Signed,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let Some(desk) = desk(&page, &person) else {
        return none();
    };
    let authority = authority(&headers, &uri).unwrap_or_default();
    let came = desk.test(&person, &format!("https://{authority}/")).await;
    let shown = came.is_ok();
    let said = came.unwrap_or_else(|why| why);
    Json(Came { shown, said }).into_response()
}

#[derive(Deserialize)]
struct Shown {
    word: String,
    #[serde(default)]
    opened: bool,
}

async fn shown(State(page): State<Page>, Json(shown): Json<Shown>) -> Response {
    if let Some(desk) = &page.push {
        desk.confirm(&shown.word, shown.opened);
    }
    done()
}
