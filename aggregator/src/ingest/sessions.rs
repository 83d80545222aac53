//! Who is connected: one live connection per gateway, whichever transport it came by.
//!
//! Invariants: a new connection of a gateway ends the older one (a half-open connection never keeps a gateway out);
//! the table holds one entry per enrolled gateway at most. Must not know: messages.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proto::v1::{ConfigurationReport, GatewayHealth};
use tokio_util::sync::CancellationToken;
use vitals::{GatewayId, StreamId, Time};

use crate::counters::Transport;

/// Sources of a gateway whose receipts are known; of more, those that were receipted longest ago are forgotten.
const SOURCES: usize = 256;

/// The table of connections.
#[derive(Debug, Default)]
pub struct Sessions {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    last_id: u64,
    gateways: BTreeMap<GatewayId, Seen>,
}

/// What is known of a gateway's connection.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `None`: not connected.
    pub connected_by: Option<Transport>,
    /// How it came last.
    pub last_by: Transport,
    /// When it said something last.
    pub last_seen: Time,
    /// Version of its agent; empty: it did not say yet.
    pub agent_version: String,
    /// What it said of its settings from afar.
    pub configuration: Option<ConfigurationReport>,
    /// What it said of itself.
    pub health: Option<GatewayHealth>,
    /// When it was given a receipt last.
    pub last_receipt: Time,
    /// The same by source of a stream, as clear stubs name it.
    pub receipts: BTreeMap<(StreamId, u32), Time>,
    id: u64,
    end: CancellationToken,
}

impl Seen {
    fn new(last_by: Transport) -> Self {
        Self {
            connected_by: None,
            last_by,
            last_seen: Time::ZERO,
            agent_version: String::new(),
            configuration: None,
            health: None,
            last_receipt: Time::ZERO,
            receipts: BTreeMap::new(),
            id: 0,
            end: CancellationToken::new(),
        }
    }
}

/// A live connection; dropping it takes it out of the table.
#[derive(Debug)]
pub struct Session {
    sessions: Arc<Sessions>,
    gateway: GatewayId,
    transport: Transport,
    id: u64,
    end: CancellationToken,
}

impl Sessions {
    /// Enters a new connection; the older one of the same gateway is told to end.
    #[must_use]
    pub fn open(self: &Arc<Self>, gateway: GatewayId, transport: Transport, now: Time) -> Session {
        let end = CancellationToken::new();
        let mut table = self.lock();
        table.last_id += 1;
        let id = table.last_id;
        // What it said before holds until it says otherwise.
        let before = table.gateways.get(&gateway).cloned();
        let mut seen = before.unwrap_or_else(|| Seen::new(transport));
        seen.connected_by = Some(transport);
        seen.last_by = transport;
        seen.last_seen = now;
        seen.id = id;
        seen.end = end.clone();
        if let Some(older) = table.gateways.insert(gateway.clone(), seen) {
            older.end.cancel();
        }
        drop(table);
        Session {
            sessions: Arc::clone(self),
            gateway,
            transport,
            id,
            end,
        }
    }

    /// Messages of a gateway that did not come by a connection: the table does not know, and none is ended.
    #[must_use]
    pub fn apart(self: &Arc<Self>, gateway: GatewayId, transport: Transport) -> Session {
        Session {
            sessions: Arc::clone(self),
            gateway,
            transport,
            // No connection's.
            id: 0,
            end: CancellationToken::new(),
        }
    }

    /// What is known of a gateway since the centre was started.
    #[must_use]
    pub fn seen(&self, gateway: &GatewayId) -> Option<Seen> {
        self.lock().gateways.get(gateway).cloned()
    }

    /// How many connections of this gateway are live: 0 or 1.
    #[must_use]
    pub fn live(&self, gateway: &GatewayId) -> u32 {
        let seen = self
            .lock()
            .gateways
            .get(gateway)
            .and_then(|seen| seen.connected_by);
        u32::from(seen.is_some())
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Which of the process's connections it is.
    #[must_use]
    pub(super) const fn id(&self) -> u64 {
        self.id
    }

    /// Whose connection it is.
    #[must_use]
    pub const fn gateway(&self) -> &GatewayId {
        &self.gateway
    }

    /// How it came.
    #[must_use]
    pub const fn transport(&self) -> Transport {
        self.transport
    }

    /// Notes that the gateway said something.
    pub fn saw(&self, now: Time) {
        if let Some(seen) = self.sessions.lock().gateways.get_mut(&self.gateway) {
            seen.last_seen = seen.last_seen.max(now);
        }
    }

    /// Notes what it said of itself; what it did not say stays as it was.
    pub fn told(
        &self,
        agent_version: String,
        configuration: Option<ConfigurationReport>,
        health: Option<GatewayHealth>,
    ) {
        if let Some(seen) = self.sessions.lock().gateways.get_mut(&self.gateway) {
            seen.agent_version = agent_version;
            seen.configuration = configuration.or_else(|| seen.configuration.take());
            seen.health = health.or_else(|| seen.health.take());
        }
    }

    /// Notes that it was given a receipt, for records of these sources.
    pub fn receipted(&self, now: Time, sources: impl Iterator<Item = (StreamId, u32)>) {
        let mut table = self.sessions.lock();
        let Some(seen) = table.gateways.get_mut(&self.gateway) else {
            return;
        };
        seen.last_receipt = seen.last_receipt.max(now);
        seen.receipts.extend(sources.map(|source| (source, now)));
        while seen.receipts.len() > SOURCES {
            let oldest = seen.receipts.iter().min_by_key(|(_, at)| **at);
            let Some(oldest) = oldest.map(|(source, _)| *source) else {
                return;
            };
            seen.receipts.remove(&oldest);
        }
    }

    /// Returns when a newer connection of the same gateway took over.
    pub async fn replaced(&self) {
        self.end.cancelled().await;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(seen) = self.sessions.lock().gateways.get_mut(&self.gateway)
            && seen.id == self.id
        {
            seen.connected_by = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_are_known_by_source_and_bounded() {
        let sessions = Arc::new(Sessions::default());
        let gateway = GatewayId::parse("g-1").expect("fine id");
        let session = sessions.open(gateway.clone(), Transport::Grpc, Time::ZERO);
        let of = |source| (StreamId([1; 16]), source);
        let at = Time::from_micros;
        session.receipted(at(5), [of(1), of(2)].into_iter());
        session.receipted(at(7), [of(2)].into_iter());
        let seen = sessions.seen(&gateway).expect("entered");
        assert_eq!(seen.last_receipt, at(7));
        let known: Vec<_> = seen.receipts.into_iter().collect();
        assert_eq!(known, [(of(1), at(5)), (of(2), at(7))]);
        session.receipted(at(9), (10..=265).map(of));
        let seen = sessions.seen(&gateway).expect("entered");
        assert_eq!(seen.receipts.len(), SOURCES);
        assert!(!seen.receipts.contains_key(&of(1)) && !seen.receipts.contains_key(&of(2)));
    }

    #[tokio::test]
    async fn a_newer_connection_takes_over_and_the_older_one_does_not_sign_it_off() {
        let sessions = Arc::new(Sessions::default());
        let gateway = GatewayId::parse("g-1").expect("fine id");
        let older = sessions.open(gateway.clone(), Transport::Mqtt, Time::ZERO);
        let newer = sessions.open(gateway.clone(), Transport::Grpc, Time::ZERO);
        older.replaced().await;
        drop(older);
        let seen = sessions.seen(&gateway).expect("entered");
        assert_eq!(seen.connected_by, Some(Transport::Grpc));
        newer.saw(Time::from_micros(5));
        assert_eq!(sessions.live(&gateway), 1);
        drop(newer);
        assert_eq!(sessions.live(&gateway), 0);
        assert_eq!(
            sessions.seen(&gateway).map(|seen| seen.last_seen),
            Some(Time::from_micros(5))
        );
    }
}
