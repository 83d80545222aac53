//! Signing in by a provider of identities, where the operator named one.
//!
//! | route | who | answer |
//! |---|---|---|
//! | `POST /provider/begin` | anybody | where the browser is to go, and a cookie that it comes back with |
//! | `GET /provider/return` | whoever comes back from there | the session's cookie; the sign-in page goes on to the page |
//!
//! The way back comes from another site, so a session's strict cookie would not be sent with a redirect to the page: the
//! sign-in page, which is ours, takes that last step.
//!
//! Invariants: only whom an administrator linked is let in; their role is what it is here. Must not know: tokens, keys.

use axum::Router;
use axum::extract::{Extension, Json, Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;

use super::proof::session;
use super::{Page, PeerIdentity, cookie, plain, set_cookie, sign_in_cookie};
use crate::counters::Refused;
use crate::https::escaped;
use crate::serve::provider::Return;
use crate::serve::signin::How;

/// Comes back from another site, so it is lax; it opens nothing.
const AWAY: &str = "__Host-vitaltwin-provider";

pub(super) fn routes() -> Router<Page> {
    Router::new()
        .route("/provider/begin", post(begin))
        .route("/provider/return", get(back))
}

#[derive(Serialize)]
struct Go {
    to: String,
}

async fn begin(State(page): State<Page>, Extension(peer): Extension<PeerIdentity>) -> Response {
    let Some(provider) = &page.provider else {
        return plain(
            StatusCode::NOT_FOUND,
            "This centre knows no provider of identities.",
        );
    };
    if page.access.sign_in().may_try(peer.address).is_err() {
        return plain(
            StatusCode::TOO_MANY_REQUESTS,
            "Too many attempts: wait a few minutes.",
        );
    }
    match provider.begin(peer.address).await {
        Ok((to, state)) => {
            let mut response = Json(Go { to }).into_response();
            let flags = "Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600";
            set_cookie(&mut response, &format!("{AWAY}={state}; {flags}"));
            response
        }
        Err(error) => {
            tracing::warn!("the provider of identities: {error}");
            plain(
                StatusCode::BAD_GATEWAY,
                "The provider does not answer: sign in another way, and tell an operator.",
            )
        }
    }
}

async fn back(
    State(page): State<Page>,
    Extension(peer): Extension<PeerIdentity>,
    headers: HeaderMap,
    back: Result<Query<Return>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let mut response = match (&page.provider, back) {
        (Some(provider), Ok(Query(back))) => {
            let sent = cookie(&headers, AWAY).unwrap_or_default();
            match provider.end(&back, sent).await {
                Ok(who) => known(&page, &peer, &headers, &who),
                Err(error) => {
                    tracing::warn!("the provider of identities: {error}");
                    refused(&page, &peer, "/sign-in?provider=failed")
                }
            }
        }
        (None, _) | (_, Err(_)) => refused(&page, &peer, "/sign-in?provider=failed"),
    };
    let gone = format!("{AWAY}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0");
    set_cookie(&mut response, &gone);
    response
}

/// The person whom the provider's words mean here, if there is one.
fn known(
    page: &Page,
    peer: &PeerIdentity,
    headers: &HeaderMap,
    who: &crate::serve::provider::Identity,
) -> Response {
    let directory = page.access.directory();
    let person = directory.linked(&who.issuer, &who.subject);
    let Some(person) = person.filter(|person| directory.person(person).is_some()) else {
        // An administrator needs to know what to link.
        let to = format!("/sign-in?provider=unknown&id={}", escaped(&who.subject));
        return refused(page, peer, &to);
    };
    let value = session(page, peer, headers, person, How::Provider);
    let mut response = to_page("/sign-in?provider=done");
    sign_in_cookie(&mut response, &value);
    response
}

fn refused(page: &Page, peer: &PeerIdentity, to: &str) -> Response {
    page.access.counters().refuse(Refused::SignIn);
    page.access.sign_in().failed(peer.address);
    to_page(to)
}

fn to_page(to: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/sign-in"));
    response.headers_mut().insert(header::LOCATION, to);
    response
}
