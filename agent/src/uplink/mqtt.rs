//! The only file that names rumqttc: the uplink over MQTT 3.1.1 with QoS 1.
//!
//! A PUBACK means that the other end took the packet, nothing more: a broker in between may drop what it
//! acknowledged. Delivery is the centre's receipt, which comes on the down topic.
//! Invariants: each session is a clean one with a client of its own, so nothing of an old connection is ever
//! repeated by the library; the event loop and the publisher are two futures that live as long as the session
//! (the loop must not be cancelled half way, and never waits for its own queue).

use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use proto::text::host_port;
use proto::topic;
use proto::v1::{CentreToGateway, GatewayToCentre};
use proto::wire::MAX_MESSAGE;
use rumqttc::{
    AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, NetworkOptions, Outgoing, Packet,
    QoS, SubscribeReasonCode, TlsConfiguration, Transport as RumqttTransport,
};
use tokio::sync::mpsc;
use vitals::GatewayId;

use super::meter::Meter;
use super::{Access, CONNECT_TIMEOUT, LINE_LENGTH, Transport, UplinkError, UplinkEvent};

/// A dead line is noticed within twice this; a slow one must get an answer back within it.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// rumqttc owns its socket, so what passes it is told by its packets. TLS 1.3 adds to each record: header, type and
/// tag; each packet is taken for a record of its own, which is rarely too little.
const TLS_RECORD: usize = 22;
/// Most that a packet takes besides topic and payload: kind, length, length of the topic, packet id.
const PACKET: usize = 9;
/// A packet that only acknowledges or asks whether the other is there.
const SHORT_PACKET: usize = 4 + TLS_RECORD;
/// A handshake with both certificates, CONNECT and SUBSCRIBE, and their answers; a story holds the whole estimate against
/// what passed a proxy.
const GREETING: usize = 4200;
/// Publications without a PUBACK at most.
const IN_FLIGHT: u16 = 64;
/// Longest packet: a message of the contract, its topic and header.
const MAX_PACKET: usize = MAX_MESSAGE + 1024;

/// The MQTT transport.
#[derive(Debug)]
pub struct Mqtt {
    access: Access,
    gateway: GatewayId,
}

impl Mqtt {
    /// To this address with this identity; topics are the gateway's own.
    #[must_use]
    pub const fn new(access: Access, gateway: GatewayId) -> Self {
        Self { access, gateway }
    }

    fn client(&mut self) -> Result<(AsyncClient, EventLoop), UplinkError> {
        let address = &self.access.address;
        let (host, port) =
            host_port(address).ok_or_else(|| UplinkError::Address(address.clone()))?;
        let tls = Arc::clone(&self.access.tls.borrow_and_update());
        let mut options = MqttOptions::new(self.gateway.as_str(), host, port);
        options
            .set_transport(RumqttTransport::Tls(TlsConfiguration::Rustls(tls)))
            .set_clean_session(true)
            .set_keep_alive(KEEP_ALIVE)
            .set_inflight(IN_FLIGHT)
            .set_max_packet_size(MAX_PACKET, MAX_PACKET);
        let (client, mut event_loop) = AsyncClient::new(options, LINE_LENGTH);
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        network.set_connection_timeout(CONNECT_TIMEOUT.as_secs());
        event_loop.set_network_options(network);
        Ok((client, event_loop))
    }

    async fn run(&mut self, events: &mpsc::Sender<UplinkEvent>) -> Result<(), UplinkError> {
        let (client, event_loop) = self.client()?;
        let (line, outgoing) = mpsc::channel(LINE_LENGTH);
        let receive = Receive {
            address: self.access.address.clone(),
            client: client.clone(),
            meter: self.access.meter.clone(),
            down: topic::down(&self.gateway),
            line: Some(line),
        };
        let receive = receive.run(event_loop, events);
        let send = send(
            client,
            topic::up(&self.gateway),
            outgoing,
            self.access.meter.clone(),
        );
        tokio::select! {
            end = receive => Err(end),
            end = send => end,
            Ok(()) = self.access.tls.changed() => Err(UplinkError::Renewed),
        }
    }
}

impl Transport for Mqtt {
    async fn session(&mut self, events: &mpsc::Sender<UplinkEvent>) -> UplinkError {
        match self.run(events).await {
            Ok(()) => UplinkError::Ended("the agent stops".into()),
            Err(error) => error,
        }
    }
}

struct Receive {
    address: String,
    client: AsyncClient,
    meter: Meter,
    down: String,
    /// Handed to the core once the subscription stands.
    line: Option<mpsc::Sender<GatewayToCentre>>,
}

impl Receive {
    /// Turns the event loop until it fails.
    async fn run(
        mut self,
        mut event_loop: EventLoop,
        events: &mpsc::Sender<UplinkEvent>,
    ) -> UplinkError {
        loop {
            let event = match event_loop.poll().await {
                Ok(Event::Incoming(packet)) => self.take(packet),
                Ok(Event::Outgoing(Outgoing::PingReq | Outgoing::PubAck(_))) => {
                    self.meter.add(SHORT_PACKET);
                    Ok(None)
                }
                Ok(Event::Outgoing(_)) => Ok(None),
                Err(error) => Err(why(self.address.clone(), error)),
            };
            match event {
                Ok(None) => {}
                Ok(Some(event)) => {
                    if events.send(event).await.is_err() {
                        return UplinkError::Ended("the agent stops".into());
                    }
                }
                Err(error) => return error,
            }
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "foreign, and the rest is none of ours"
    )]
    fn take(&mut self, packet: Packet) -> Result<Option<UplinkEvent>, UplinkError> {
        let ended = |text: &str| Err(UplinkError::Ended(text.to_owned()));
        match packet {
            Packet::ConnAck(_) => {
                self.meter.add(GREETING);
                // The queue is empty at this point: it cannot be full.
                match self.client.try_subscribe(&self.down, QoS::AtLeastOnce) {
                    Ok(()) => Ok(None),
                    Err(_) => ended("the subscription could not be sent"),
                }
            }
            Packet::SubAck(answer) => {
                if answer.return_codes.contains(&SubscribeReasonCode::Failure) {
                    return ended("the centre does not let this gateway subscribe to its topic");
                }
                Ok(self.line.take().map(UplinkEvent::Up))
            }
            Packet::Publish(publish) if publish.topic == self.down => {
                self.meter
                    .add(publish.payload.len() + publish.topic.len() + PACKET + TLS_RECORD);
                let message = CentreToGateway::decode(publish.payload);
                Ok(Some(
                    message.map_or(UplinkEvent::Malformed, UplinkEvent::Message),
                ))
            }
            Packet::PubAck(_) | Packet::PingResp => {
                self.meter.add(SHORT_PACKET);
                Ok(None)
            }
            Packet::Disconnect => ended("the centre disconnected"),
            _ => Ok(None),
        }
    }
}

async fn send(
    client: AsyncClient,
    up: String,
    mut outgoing: mpsc::Receiver<GatewayToCentre>,
    meter: Meter,
) -> Result<(), UplinkError> {
    while let Some(message) = outgoing.recv().await {
        let payload = message.encode_to_vec();
        let bytes = payload.len() + up.len() + PACKET + TLS_RECORD;
        client
            .publish(&up, QoS::AtLeastOnce, false, payload)
            .await
            .map_err(|error| UplinkError::Ended(error.to_string()))?;
        meter.add(bytes);
    }
    Ok(())
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "foreign, and the rest reads alike"
)]
fn why(address: String, error: ConnectionError) -> UplinkError {
    match error {
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => UplinkError::TimedOut,
        ConnectionError::Io(source) => UplinkError::Unreachable { address, source },
        ConnectionError::Tls(error) => UplinkError::Tls {
            address,
            source: std::io::Error::other(error),
        },
        other => UplinkError::Ended(other.to_string()),
    }
}
