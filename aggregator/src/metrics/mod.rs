//! For the machines that watch this machine: `/metrics`, `/health` and `/ready`, in clear, on a loopback address only.
//!
//! * [`text`]: PURE. What is exposed.
//! * this file: a small HTTP server.
//!
//! Who sees what: nobody signs in, so it listens on this machine only (the configuration refuses any other address)
//! and tells nothing about a patient, nor any word that a person wrote. `/health` answers while the process does, and is well
//! while what is durable is folded;
//! `/ready` only while the store takes batches.
//! Invariants: GET and HEAD of three fixed paths, to requests for this very machine; at most `CONNECTIONS`
//! connections; it changes nothing. Must not know: twins, readings.

pub mod text;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use proto::clock::Clock;
use proto::text::is_here;
use proto::v1::CentreStatus;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::chain::Silence;

/// Connections at a time; others wait.
const CONNECTIONS: usize = 8;
/// Real time for a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Real time that a connection may last.
const LONGEST: Duration = Duration::from_secs(60);

/// Tells how the centre is doing.
pub type Ask = Arc<dyn Fn() -> CentreStatus + Send + Sync>;

/// Tells whether the fold stands still, whatever it does.
pub type Pulse = Arc<dyn Fn() -> Option<Silence> + Send + Sync>;

/// A socket of this machine.
#[derive(Debug)]
pub struct Listening(TcpListener);

impl Listening {
    /// Opens the socket.
    ///
    /// # Errors
    /// The port is taken, or not this process's to take.
    pub async fn open(address: SocketAddr) -> std::io::Result<Self> {
        Ok(Self(TcpListener::bind(address).await?))
    }

    /// Where.
    ///
    /// # Errors
    /// As the system says.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Answers until `stop`.
    pub async fn serve(self, ask: (Ask, Pulse), clock: Clock, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let accept = async {
            // The semaphore is never closed, so there is always a place in the end.
            while let Ok(place) = Arc::clone(&places).acquire_owned().await {
                let Ok((stream, _)) = self.0.accept().await else {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                let ask = ask.clone();
                tokio::spawn(async move {
                    let answer = service_fn(|request| {
                        let answer = answer(&request, &ask, clock);
                        std::future::ready(Ok::<_, Infallible>(answer))
                    });
                    let connection = hyper::server::conn::http1::Builder::new()
                        .timer(TokioTimer::new())
                        .header_read_timeout(HEAD_TIMEOUT)
                        .serve_connection(TokioIo::new(stream), answer);
                    let _whatever_the_scraper_did = tokio::time::timeout(LONGEST, connection).await;
                    drop(place);
                });
            }
        };
        tokio::select! {
            () = accept => {}
            () = stop.cancelled() => {}
        }
    }
}

fn answer(request: &Request<Incoming>, ask: &(Ask, Pulse), clock: Clock) -> Response<Full<Bytes>> {
    let host = request.headers().get(HOST);
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    let (status, body) = look_up(request.method(), request.uri().path(), host, ask, clock);
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn look_up(
    method: &Method,
    path: &str,
    host: &str,
    (ask, pulse): &(Ask, Pulse),
    clock: Clock,
) -> (StatusCode, String) {
    if !is_here(host) {
        return (StatusCode::MISDIRECTED_REQUEST, String::new());
    }
    if method != Method::GET && method != Method::HEAD {
        return (StatusCode::METHOD_NOT_ALLOWED, String::new());
    }
    match path {
        "/health" => match pulse() {
            None => (StatusCode::OK, "alive\n".into()),
            Some(silence) => (StatusCode::SERVICE_UNAVAILABLE, silence.words + "\n"),
        },
        "/ready" => match ask().store_stopped {
            none if none.is_empty() => (StatusCode::OK, "ready\n".into()),
            why => (StatusCode::SERVICE_UNAVAILABLE, why + "\n"),
        },
        "/metrics" => (StatusCode::OK, text::text(&ask(), clock.now())),
        _ => (StatusCode::NOT_FOUND, String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn ask(address: SocketAddr, head: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(address)
            .await
            .expect("it listens");
        let request = format!("{head}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answered");
        answer
    }

    /// A fold that does not move.
    fn still() -> Silence {
        let mut fold = crate::chain::Fold::default();
        let at = vitals::Time::from_micros(1_800_000_000_000_000);
        assert_eq!(fold.look(1, 2, at), None, "control");
        let later = at + vitals::Span::from_mins(1);
        fold.look(1, 2, later).expect("it stands still")
    }

    #[tokio::test]
    async fn it_answers_this_machine_and_says_when_the_store_stopped() {
        for (stopped, ready, still, health) in [
            ("", "200", None, "200"),
            ("the disk is full", "503", Some(still()), "503"),
        ] {
            let loopback = "127.0.0.1:0".parse().expect("an address");
            let listening = Listening::open(loopback).await.expect("a free port");
            let address = listening.address().expect("bound");
            let stop = CancellationToken::new();
            let status = CentreStatus {
                store_stopped: stopped.into(),
                ..CentreStatus::default()
            };
            let tell: Ask = Arc::new(move || status.clone());
            let pulse: Pulse = Arc::new(move || still.clone());
            let served = listening.serve((tell, pulse), Clock::system(), stop.clone());
            let server = tokio::spawn(served);
            for (head, expected) in [
                ("GET /metrics HTTP/1.1\r\nHost: localhost:9464", "200"),
                ("GET /health HTTP/1.1\r\nHost: 127.0.0.1", health),
                ("GET /ready HTTP/1.1\r\nHost: [::1]", ready),
                // A name of somebody else's that points here.
                ("GET /metrics HTTP/1.1\r\nHost: evil.example", "421"),
                ("GET /metrics HTTP/1.0", "421"),
                (
                    "POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0",
                    "405",
                ),
                ("GET / HTTP/1.1\r\nHost: localhost", "404"),
            ] {
                let answer = ask(address, head).await;
                let line = answer.lines().next().unwrap_or_default();
                assert!(line.contains(expected), "{head:?}: {line}");
                let told = answer.contains("vitaltwin_info");
                assert_eq!(told, head.contains("/metrics") && expected == "200");
            }
            stop.cancel();
            server.await.expect("it ends with the centre");
        }
    }
}
