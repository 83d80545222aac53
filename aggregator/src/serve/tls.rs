//! The one TLS port: accepts, shakes hands, limits, and serves each connection until it ends.
//!
//! Invariants: TLS 1.3 only; a client certificate is optional but verified against our CA when shown; the
//! protocol is the one that ALPN agreed on; every connection has a bound on its handshake, its first request,
//! its headers, its streams and its silence; at most `max_connections` at once, and at most a quarter of them
//! from one address that is not this machine.
//!
//! Must not know: routes, who may do what.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use proto::tls::{ALPN_H2, peer_identity};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::front::Front;
use super::peer::{PeerIdentity, Stopping};
use crate::counters::{Counters, Refused};

/// A handshake takes a few round trips and six kilobytes: a gateway at 2 kbit/s needs half a minute without a loss, and
/// two or more where every third packet is lost. Who needs longer is not there.
const HANDSHAKE: Duration = Duration::from_secs(180);
/// From the handshake to the first request, and for the header of each HTTP/1 request.
const FIRST_REQUEST: Duration = Duration::from_secs(60);
/// HTTP/2: a peer that is silent for so long is asked, and given so long to answer.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_ANSWER: Duration = Duration::from_secs(90);
/// Streams of one HTTP/2 connection at once: a page needs three, a platform a few dozen.
const STREAMS: u32 = 128;
/// All headers of a request, bytes.
const HEADERS: u32 = 16 * 1024;
/// Buffered of one HTTP/1 connection, bytes.
const HTTP1_BUFFER: usize = 64 * 1024;
/// Received ahead of its reader, bytes per stream and connection: gateways send messages of at most 64 KiB.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Sent ahead of a slow reader, bytes per stream. Small, so that a slow reader gets new states and not old ones.
const SEND_BUFFER: usize = 64 * 1024;
/// Streams that a peer opened and reset at once before the connection is closed (rapid reset).
const RESETS: usize = 32;
/// Connections that end get so long to finish what they are writing.
const LINGER: Duration = Duration::from_secs(1);
/// After a failed `accept` (out of file handles, mostly): others end meanwhile.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The port.
pub struct Port {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Port")
            .field("listener", &self.listener)
            .finish_non_exhaustive()
    }
}

struct Shared {
    http: auto::Builder<TokioExecutor>,
    counters: Arc<Counters>,
    max_connections: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
    numbers: AtomicU64,
}

/// A connection's place among those that are open.
struct Place {
    shared: Arc<Shared>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self
            .shared
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

impl Shared {
    fn place(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = open.values().sum();
        let here = open.get(&address).copied().unwrap_or_default();
        let limit = if address.is_loopback() {
            self.max_connections
        } else {
            self.max_connections.div_ceil(4)
        };
        if all >= self.max_connections || here >= limit {
            return None;
        }
        open.insert(address, here + 1);
        drop(open);
        Some(Place {
            shared: Arc::clone(self),
            address,
        })
    }
}

impl Port {
    /// Listens on `address` (port 0: a free one) with this TLS configuration.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(
        address: SocketAddr,
        config: Arc<ServerConfig>,
        max_connections: usize,
        counters: Arc<Counters>,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let (open, numbers) = (Mutex::default(), AtomicU64::new(1));
        let http = http();
        let shared = Arc::new(Shared {
            http,
            counters,
            max_connections,
            open,
            numbers,
        });
        Ok(Self {
            listener,
            acceptor: TlsAcceptor::from(config),
            shared,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`, then lets open connections finish for a second.
    pub async fn run(self, front: Front, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            let (tcp, from) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Some(place) = self.shared.place(from.ip().to_canonical()) else {
                self.shared.counters.refuse(Refused::Connections);
                continue;
            };
            let (acceptor, front, stop) = (self.acceptor.clone(), front.clone(), stop.clone());
            tasks.spawn(async move {
                let shared = Arc::clone(&place.shared);
                if let Some(tls) = handshake(&acceptor, tcp, &shared.counters).await {
                    serve(tls, &place, front, stop).await;
                }
            });
        }
        tasks.close();
        // Each connection bounds its own end.
        tasks.wait().await;
    }
}

fn http() -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(FIRST_REQUEST)
        .max_buf_size(HTTP1_BUFFER);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADERS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(RESETS)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_ANSWER);
    http
}

async fn handshake(
    acceptor: &TlsAcceptor,
    tcp: TcpStream,
    counters: &Counters,
) -> Option<TlsStream<TcpStream>> {
    // Small messages leave at once: an alert must not wait for a full segment.
    if tcp.set_nodelay(true).is_err() {
        return None;
    }
    match tokio::time::timeout(HANDSHAKE, acceptor.accept(tcp)).await {
        Ok(Ok(tls)) => Some(tls),
        Ok(Err(error)) => {
            tracing::debug!(%error, "TLS handshake refused");
            counters.refuse(Refused::Handshake);
            None
        }
        Err(_) => {
            counters.refuse(Refused::Handshake);
            None
        }
    }
}

async fn serve(tls: TlsStream<TcpStream>, place: &Place, front: Front, stop: CancellationToken) {
    let shared = &place.shared;
    let (_, session) = tls.get_ref();
    let certificate = match session.peer_certificates().and_then(|chain| chain.first()) {
        // Signed by our CA, but not a name of ours: nobody.
        Some(leaf) => peer_identity(leaf).ok().map(Arc::new),
        None => None,
    };
    let connection = shared.numbers.fetch_add(1, Ordering::Relaxed);
    let peer = PeerIdentity {
        certificate,
        address: place.address,
        connection,
    };
    let h2 = session.alpn_protocol() == Some(ALPN_H2);
    let asked = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&asked);
    let stopping = Stopping(stop.clone());
    let service = hyper::service::service_fn(move |mut request: http::Request<Incoming>| {
        noted.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(peer.clone());
        request.extensions_mut().insert(stopping.clone());
        front.call(request)
    });
    // Detecting the version would wait for ever for a first byte: ALPN has said it.
    let http = shared.http.clone();
    let http = if h2 {
        http.http2_only()
    } else {
        http.http1_only()
    };
    let running = http.serve_connection(TokioIo::new(tls), service);
    tokio::pin!(running);
    let first_request = tokio::time::sleep(FIRST_REQUEST);
    tokio::pin!(first_request);
    let mut waiting = true;
    loop {
        tokio::select! {
            ended = running.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection ended");
                }
                return;
            }
            () = first_request.as_mut(), if waiting => {
                if !asked.load(Ordering::Relaxed) {
                    shared.counters.refuse(Refused::Timeout);
                    return;
                }
                waiting = false;
            }
            () = stop.cancelled() => break,
        }
    }
    running.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(LINGER, running).await;
}
