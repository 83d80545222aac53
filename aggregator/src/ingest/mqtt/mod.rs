//! The MQTT door: an ingest endpoint for gateways, not a broker.
//!
//! TLS 1.3, MQTT 3.1.1. A client must show a gateway's certificate; it may publish on `vt1/<gateway>/up` and
//! subscribe to `vt1/<gateway>/down` of that gateway and nothing else. No session is kept, no will, no retained
//! message, no QoS 2; answers go down with QoS 0, since whatever is lost is asked for again.
//!
//! Invariants: PUBACK comes after the durable commit (or a refusal) of what the message brought; every connection
//! is bounded in memory and in time; what breaks the rules is cut off and counted. Must not know: what is in a
//! batch.

mod codec;
mod connection;
mod greeting;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use proto::cert::{Identity, Role, peer_identity};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use vitals::GatewayId;

use super::Ingest;
use crate::counters::Refused;
use greeting::Greetings;

/// A gateway that takes longer for CONNECT is cut off.
const PATIENCE: Duration = Duration::from_secs(60);
/// A peer that takes longer for its TLS handshake is cut off: it has shown nothing yet. An honest one at
/// 2 kbit/s needs half a minute without a loss, and two or more where every third packet is lost.
const HANDSHAKE: Duration = Duration::from_secs(180);
/// At a stop, connections have this long to be answered for what they sent.
const LINGER: Duration = Duration::from_secs(5);
/// Pause after a failed accept (no file descriptors, for instance), so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listening MQTT door.
#[derive(Debug)]
pub struct MqttDoor {
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    ingest: Arc<Ingest>,
    places: Arc<Semaphore>,
    greetings: Arc<Greetings>,
    patience: Duration,
    handshake: Duration,
}

impl MqttDoor {
    /// On a bound socket, for at most `connections` at once.
    #[must_use]
    pub fn new(
        listener: TcpListener,
        tls: Arc<rustls::ServerConfig>,
        ingest: Arc<Ingest>,
        connections: u32,
    ) -> Self {
        let places = usize::try_from(connections)
            .unwrap_or(usize::MAX)
            .min(Semaphore::MAX_PERMITS);
        Self {
            listener,
            tls,
            ingest,
            places: Arc::new(Semaphore::new(places)),
            greetings: Arc::default(),
            patience: PATIENCE,
            handshake: HANDSHAKE,
        }
    }

    /// With another patience than people have.
    #[cfg(test)]
    const fn patient_for(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self.handshake = patience;
        self
    }

    /// Serves until `stop`, then lets every connection finish what it holds.
    pub async fn run(self, stop: CancellationToken) {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.tls));
        let connections = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            let Ok((socket, from)) = accepted else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let place = Arc::clone(&self.places).try_acquire_owned().ok();
            let greeting = self.greetings.begin(from.ip());
            let Some((place, greeting)) = place.zip(greeting) else {
                self.ingest.parts().counters.refuse(Refused::Connections);
                continue;
            };
            let (acceptor, ingest, stop) =
                (acceptor.clone(), Arc::clone(&self.ingest), stop.clone());
            let (patience, handshake) = (self.patience, self.handshake);
            connections.spawn(async move {
                let peer = tokio::select! {
                    () = stop.cancelled() => None,
                    peer = greet(&acceptor, &ingest, socket, from, handshake) => peer,
                };
                drop(greeting);
                if let Some((stream, gateway, identity)) = peer {
                    connection::run(stream, gateway, &identity, &ingest, patience, stop).await;
                }
                drop(place);
            });
        }
        connections.close();
        // Whoever does not read its last answers by then asks again in the next life.
        let _ = tokio::time::timeout(LINGER, connections.wait()).await;
    }
}

/// Handshake, and who it is.
async fn greet(
    acceptor: &TlsAcceptor,
    ingest: &Ingest,
    socket: TcpStream,
    from: SocketAddr,
    patience: Duration,
) -> Option<(TlsStream<TcpStream>, GatewayId, Identity)> {
    // Small packets both ways: waiting to fill one would add to every alert.
    let _ = socket.set_nodelay(true);
    let stream = match tokio::time::timeout(patience, acceptor.accept(socket)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%from, %error, "MQTT: TLS handshake failed");
            ingest.parts().counters.refuse(Refused::Handshake);
            return None;
        }
        Err(_) => {
            ingest.parts().counters.refuse(Refused::Handshake);
            return None;
        }
    };
    let leaf = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|chain| chain.first());
    let identity = leaf.and_then(|leaf| peer_identity(leaf).ok());
    let gateway = identity.as_ref().filter(|who| who.role == Role::Gateway);
    let gateway = gateway.and_then(|who| GatewayId::parse(&who.name));
    let Some((identity, gateway)) = identity.zip(gateway) else {
        tracing::debug!(%from, "MQTT: no certificate of a gateway");
        ingest.parts().counters.refuse(Refused::Identity);
        return None;
    };
    Some((stream, gateway, identity))
}

#[cfg(test)]
mod tests;
