//! Who is at the other end of a connection, as far as TLS proved it. Lies in the extensions of each request.
//!
//! Must not know: what the peer may do.

use std::net::IpAddr;
use std::sync::Arc;

use proto::tls::Identity;
use tokio_util::sync::CancellationToken;

/// A connection's other end.
#[derive(Clone, Debug)]
pub struct PeerIdentity {
    /// Whom the verified client certificate names; `None` without one.
    pub certificate: Option<Arc<Identity>>,
    /// Where from.
    pub address: IpAddr,
    /// Number of the connection within this process.
    pub connection: u64,
}

/// Given when the centre stops: open streams end then, each with a status that says so. Lies in the extensions of
/// each request, too.
#[derive(Clone, Debug, Default)]
pub struct Stopping(pub CancellationToken);
