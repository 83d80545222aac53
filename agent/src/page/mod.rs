//! The status page for people at home: is everything worn, charged and sent, and must somebody call?
//!
//! * [`view`]: PURE. From the agent's status to plain words in HTML.
//! * [`qr`]: an address as a picture.
//! * this file: a small HTTP server for whoever sits at this machine.
//!
//! Who sees what: nobody signs in, so the page listens on a loopback address only (the configuration refuses any
//! other) and shows what a passer-by at this screen may see: which devices are connected, on the body and
//! charged, when something was last sent, that help is needed, and where the centre's page is (the same for everybody). Never
//! a measured value, a person's name, a device's own name or address (people call their watches by their names), a condition,
//! or an id.
//! Invariants: it answers GET and HEAD of three fixed paths, to requests for this very machine (a web page
//! elsewhere that gives its name this address gets nothing); at most `CONNECTIONS` connections; it holds no
//! state and changes nothing.

pub mod qr;
pub mod view;

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener as Socket};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use proto::clock::Clock;
use proto::text::is_here;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use crate::status::Status;

/// Connections at a time; others wait.
const CONNECTIONS: usize = 8;
/// Real time for a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Real time that a connection may last.
const LONGEST: Duration = Duration::from_secs(60);

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// What is shown.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The agent's newest status.
    pub shown: watch::Receiver<Arc<Status>>,
    /// What people are asked to do when help is needed.
    pub words: String,
    /// Where people find their own page at the centre; empty: not said.
    pub own_page: String,
    /// The house's clock.
    pub clock: Clock,
}

/// A socket of this machine.
#[derive(Debug)]
pub struct Listening {
    /// Where.
    pub address: SocketAddr,
    socket: TcpListener,
}

impl Listening {
    /// Opens the socket.
    ///
    /// # Errors
    /// The port is taken, or not this process's to take.
    pub fn open(address: SocketAddr) -> std::io::Result<Self> {
        let socket = Socket::bind(address)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            address: socket.local_addr()?,
            socket: TcpListener::from_std(socket)?,
        })
    }

    /// Serves for as long as the agent shows something.
    pub async fn serve(self, shown: Shown) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut end = shown.shown.clone();
        let accept = async {
            loop {
                // The semaphore is never closed, so there is always a place in the end.
                let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                    return;
                };
                let stream = match self.socket.accept().await {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::debug!(%error, "no connection to the status page");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                };
                let shown = shown.clone();
                tokio::spawn(async move {
                    let answer = service_fn(|request| {
                        let answer = answer(&request, &shown);
                        std::future::ready(Ok::<_, Infallible>(answer))
                    });
                    let connection = hyper::server::conn::http1::Builder::new()
                        .timer(TokioTimer::new())
                        .header_read_timeout(HEAD_TIMEOUT)
                        .serve_connection(TokioIo::new(stream), answer);
                    let _whatever_the_browser_did = tokio::time::timeout(LONGEST, connection).await;
                    drop(place);
                });
            }
        };
        tokio::select! {
            () = accept => {}
            () = async { while end.changed().await.is_ok() {} } => {}
        }
    }
}

fn answer(request: &Request<Incoming>, shown: &Shown) -> Response<Full<Bytes>> {
    let host = request.headers().get(header::HOST);
    let (status, kind, body) = match look_up(request.method(), request.uri().path(), host, shown) {
        Ok((kind, body)) => (StatusCode::OK, kind, body),
        Err(status) => (status, "text/plain; charset=utf-8", String::new()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'; \
             img-src data:",
        ),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            header::HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn look_up(
    method: &Method,
    path: &str,
    host: Option<&HeaderValue>,
    shown: &Shown,
) -> Result<(&'static str, String), StatusCode> {
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !is_here(host) {
        return Err(StatusCode::MISDIRECTED_REQUEST);
    }
    if method != Method::GET && method != Method::HEAD {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    match path {
        "/" => {
            let status = shown.shown.borrow().clone();
            let html = view::page(&status, &shown.words, &shown.own_page, shown.clock.now());
            Ok(("text/html; charset=utf-8", html))
        }
        "/page.css" => Ok(("text/css; charset=utf-8", STYLE.into())),
        "/page.js" => Ok(("text/javascript; charset=utf-8", SCRIPT.into())),
        _ => Err(StatusCode::NOT_FOUND),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    async fn ask(address: SocketAddr, head: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let request = format!("{head}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answered");
        answer
    }

    #[tokio::test]
    async fn it_answers_this_machine_and_nobody_else() {
        let (sender, receiver) = watch::channel(Arc::default());
        let loopback = "127.0.0.1:0".parse().expect("an address");
        let listening = Listening::open(loopback).expect("a free port");
        let address = listening.address;
        let shown = Shown {
            shown: receiver,
            words: "Please call.".into(),
            own_page: "https://centre.example.org:8443/sign-in".into(),
            clock: Clock::system(),
        };
        let server = tokio::spawn(listening.serve(shown));
        for (head, expected) in [
            ("GET / HTTP/1.1\r\nHost: localhost:8480", "200"),
            ("GET / HTTP/1.1\r\nHost: 127.0.0.1", "200"),
            ("GET / HTTP/1.1\r\nHost: [::1]:8480", "200"),
            ("GET /page.css HTTP/1.1\r\nHost: localhost", "200"),
            ("GET /page.js HTTP/1.1\r\nHost: localhost", "200"),
            // A name of somebody else's that points here.
            ("GET / HTTP/1.1\r\nHost: evil.example", "421"),
            ("GET / HTTP/1.1\r\nHost: localhost.evil.example:8480", "421"),
            ("GET / HTTP/1.0", "421"),
            (
                "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0",
                "405",
            ),
            ("GET /status.json HTTP/1.1\r\nHost: localhost", "404"),
            (
                "GET /../identity/key.pem HTTP/1.1\r\nHost: localhost",
                "404",
            ),
        ] {
            let answer = ask(address, head).await;
            let line = answer.lines().next().unwrap_or_default();
            assert!(line.contains(expected), "{head:?}: {line}");
            assert!(answer.contains("default-src 'none'"), "{head:?}");
            assert_eq!(
                answer.contains("<main"),
                head.contains("GET / ") && expected == "200"
            );
        }
        drop(sender);
        server.await.expect("it ends with the agent");
    }
}
