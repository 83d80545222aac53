//! Which surface a request is for: gRPC and gRPC-web by their content type, the page otherwise.
//!
//! Invariant: a request that says it is gRPC never reaches the page's routes, and no other reaches gRPC.
//!
//! Must not know: who asks.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request, Response, header};
use hyper::body::Incoming;
use tower::ServiceExt as _;

/// How a gRPC call came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// gRPC over HTTP/2.
    Native,
    /// gRPC-web: from a browser, unless proved otherwise.
    Web,
}

impl Wire {
    /// From the content type; `None`: not gRPC.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let content = headers.get(header::CONTENT_TYPE)?.as_bytes();
        let rest = content.strip_prefix(b"application/grpc")?;
        Some(if rest.starts_with(b"-web") {
            Self::Web
        } else {
            Self::Native
        })
    }
}

/// Both surfaces.
#[derive(Clone, Debug)]
pub struct Front {
    grpc: Router,
    page: Router,
}

impl Front {
    /// From the routes of both.
    #[must_use]
    pub const fn new(grpc: Router, page: Router) -> Self {
        Self { grpc, page }
    }

    /// Answers one request.
    ///
    /// # Errors
    /// None: refusals are responses.
    pub fn call(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Body>, Infallible>> + use<> {
        self.answer(request.map(Body::new))
    }

    /// As [`Front::call`], for any body.
    pub fn answer(
        &self,
        mut request: Request<Body>,
    ) -> impl Future<Output = Result<Response<Body>, Infallible>> + use<> {
        let router = match Wire::of(request.headers()) {
            Some(wire) => {
                request.extensions_mut().insert(wire);
                self.grpc.clone()
            }
            None => self.page.clone(),
        };
        router.oneshot(request)
    }
}
