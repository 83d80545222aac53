//! The centre's own certificate while it runs: made anew before it ends, without a restart.
//!
//! Invariant: both doors ask here at each handshake, so both show the same certificate, and connections that are
//! open are not touched. Must not know: doors, the rules of renewal (`ca.rs`).

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Result;
use proto::clock::Clock;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_util::sync::CancellationToken;
use vitals::{Span, Time};

use crate::ca::Authority;

/// The certificate is looked at so often.
const LOOK: Span = Span::from_mins(24 * 60);

/// The one in use.
struct Held {
    leaf: Vec<u8>,
    resolver: Arc<dyn ResolvesServerCert>,
}

/// What both doors show.
pub(super) struct ServerCertificate {
    authority: Arc<Authority>,
    folder: PathBuf,
    names: Vec<String>,
    clock: Clock,
    held: RwLock<Held>,
}

impl std::fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerCertificate(hidden)")
    }
}

impl ServerCertificate {
    /// The one in `folder`, or a new one for these names.
    pub(super) fn new(
        authority: Arc<Authority>,
        folder: PathBuf,
        names: Vec<String>,
        clock: Clock,
    ) -> Result<Self> {
        let held = RwLock::new(hold(&authority, &folder, &names, clock)?);
        Ok(Self {
            authority,
            folder,
            names,
            clock,
            held,
        })
    }

    /// A configuration of a door that shows this certificate, also when it is another one later.
    pub(super) fn config(self: &Arc<Self>, alpn: &[&[u8]]) -> Result<Arc<rustls::ServerConfig>> {
        let server = self.authority.server(&self.folder, &self.names)?;
        let (chain, key) = proto::tls::credentials(&server.chain, &server.key);
        let ca = Some(self.authority.ca());
        let mut config = proto::tls::server_config(chain, key, ca, self.clock, alpn)?;
        config.cert_resolver = Arc::clone(self) as Arc<dyn ResolvesServerCert>;
        Ok(Arc::new(config))
    }

    /// When the one in use ends.
    pub(super) fn ends(&self) -> Time {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        proto::cert::peer_identity(&held.leaf).map_or(Time::ZERO, |of| of.not_after)
    }

    /// Looks once a day, until `stop`.
    pub(super) async fn keep(&self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.clock.real(LOOK)) => {}
            }
            self.look(&self.authority);
        }
    }

    /// Takes another certificate when the authority says that it is time.
    fn look(&self, authority: &Authority) {
        match hold(authority, &self.folder, &self.names, self.clock) {
            Ok(new) => {
                let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
                if held.leaf != new.leaf {
                    tracing::info!("the server certificate was made anew");
                    *held = new;
                }
            }
            Err(error) => {
                let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
                let left = proto::cert::peer_identity(&held.leaf)
                    .map(|of| of.not_after.since(self.clock.now()).as_secs_f64() / 86_400.0);
                drop(held);
                let days = left.unwrap_or_default().floor();
                tracing::warn!(error = %format!("{error:#}"), days_left = days, "the server certificate could not be made anew");
            }
        }
    }
}

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.resolver.resolve(hello)
    }
}

fn hold(
    authority: &Authority,
    folder: &std::path::Path,
    names: &[String],
    clock: Clock,
) -> Result<Held> {
    let server = authority.server(folder, names)?;
    let (chain, key) = proto::tls::credentials(&server.chain, &server.key);
    // Only for its resolver: rustls checks that key and certificate fit.
    let config = proto::tls::server_config(chain, key, None, clock, &[])?;
    Ok(Held {
        leaf: server.chain.into_iter().next().unwrap_or_default(),
        resolver: config.cert_resolver,
    })
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::ServerName;
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::*;
    use crate::dir::CentreDir;

    /// What a client sees at a new handshake.
    async fn shown(config: &Arc<rustls::ServerConfig>, ca: &[u8], clock: Clock) -> Vec<u8> {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let client = proto::tls::client_config(ca, None, clock).expect("a config");
        let name = ServerName::try_from("localhost").expect("a name");
        let connector = TlsConnector::from(Arc::new(client));
        let acceptor = TlsAcceptor::from(Arc::clone(config));
        let (client, _server) = tokio::join!(connector.connect(name, near), acceptor.accept(far));
        let client = client.expect("a handshake");
        let chain = client.get_ref().1.peer_certificates();
        chain.expect("a chain")[0].to_vec()
    }

    #[tokio::test]
    async fn a_door_that_is_open_shows_the_new_certificate() {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let dir = CentreDir::new(temp.path());
        dir.create().expect("folders");
        let start = Clock::system();
        Authority::create(&dir, start).expect("a CA");
        let at = |days: i64| {
            let now = start.now();
            Clock::test(now, now + Span::from_mins(days * 24 * 60), 1.0).expect("a fine rate")
        };
        let open = |clock| Arc::new(Authority::open(&dir, clock).expect("it opens"));
        let ca = open(start).ca().to_vec();
        let certificate = ServerCertificate::new(open(start), dir.ca(), vec![], start);
        let certificate = Arc::new(certificate.expect("a certificate"));
        let doors = [0, 1].map(|_| certificate.config(&[]).expect("a config"));
        let first = shown(&doors[0], &ca, start).await;
        certificate.look(&open(at(59)));
        assert_eq!(shown(&doors[0], &ca, at(59)).await, first, "31 days left");
        certificate.look(&open(at(61)));
        let second = shown(&doors[0], &ca, at(61)).await;
        assert_ne!(second, first, "29 days left");
        assert_eq!(shown(&doors[1], &ca, at(61)).await, second);
    }
}
