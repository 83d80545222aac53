//! A gateway's line, by either door. Must not know: what is said.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use prost::Message as _;
use proto::topic;
use proto::v1::centre_to_gateway::Kind as Down;
use proto::v1::gateway_to_centre::Kind as Up;
use proto::v1::{CentreToGateway, GatewayToCentre, Hello};
use rumqttc::{
    AsyncClient, Event, MqttOptions, Packet, QoS, TlsConfiguration, Transport as MqttTransport,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::centre::Centre;
use crate::hand::{HandGateway, HandUplink};

/// Where a centre listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doors {
    /// By gRPC.
    pub grpc: SocketAddr,
    /// By MQTT.
    pub mqtt: SocketAddr,
}

impl Doors {
    /// Of one that was started.
    ///
    /// # Errors
    /// When it was not.
    pub fn of(centre: &Centre) -> Result<Self> {
        let ready = centre.ready()?;
        Ok(Self {
            grpc: ready.grpc,
            mqtt: ready.mqtt,
        })
    }
}

/// Messages that wait for the line, either way: more than are ever on their way at once.
const WAITING: usize = 1024;
/// A line that does not stand within this is none, and one that takes no message for so long is dead: both ends may be
/// waiting for the other to read.
const STANDS: Duration = Duration::from_secs(10);

/// An open line.
#[derive(Debug)]
pub enum Line {
    /// By gRPC.
    Grpc(Box<HandUplink>),
    /// By MQTT.
    Mqtt(Mqtt),
}

/// By MQTT: one task turns the library's loop, another one publishes.
#[derive(Debug)]
pub struct Mqtt {
    up: mpsc::Sender<GatewayToCentre>,
    down: mpsc::Receiver<Down>,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Mqtt {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Line {
    /// Connects and says hello.
    ///
    /// # Errors
    /// When it does not stand within some seconds.
    pub async fn open(gateway: &HandGateway, doors: Doors, by_mqtt: bool) -> Result<Self> {
        let opening = async {
            if by_mqtt {
                return Ok(Self::Mqtt(Mqtt::open(gateway, doors).await?));
            }
            let line = gateway.at(doors.grpc).connect().await?;
            Ok(Self::Grpc(Box::new(line)))
        };
        tokio::time::timeout(STANDS, opening)
            .await
            .context("the line does not stand")?
    }

    /// Sends one message.
    ///
    /// # Errors
    /// When the line is gone, or takes nothing for some seconds.
    pub async fn send(&self, kind: Up) -> Result<()> {
        tokio::time::timeout(STANDS, self.sending(kind))
            .await
            .context("the line takes nothing")?
    }

    async fn sending(&self, kind: Up) -> Result<()> {
        match self {
            Self::Grpc(line) => line.send(kind).await,
            Self::Mqtt(line) => {
                let kind = Some(kind);
                let sent = line.up.send(GatewayToCentre { kind }).await;
                sent.context("the line is gone")
            }
        }
    }

    /// What the centre says next. May be cancelled.
    ///
    /// # Errors
    /// When the line is gone.
    pub async fn next(&mut self) -> Result<Down> {
        match self {
            Self::Grpc(line) => line.next().await?.context("the centre ended the stream"),
            Self::Mqtt(line) => line.down.recv().await.context("the line is gone"),
        }
    }
}

impl Mqtt {
    async fn open(gateway: &HandGateway, doors: Doors) -> Result<Self> {
        let (host, port) = (doors.mqtt.ip().to_string(), doors.mqtt.port());
        let mut options = MqttOptions::new(gateway.id.as_str(), host, port);
        let tls = TlsConfiguration::Rustls(Arc::new(gateway.tls()?));
        options
            .set_transport(MqttTransport::Tls(tls))
            .set_clean_session(true)
            .set_keep_alive(Duration::from_secs(30))
            .set_inflight(64)
            .set_max_packet_size(70_000, 70_000);
        let (client, mut turning) = AsyncClient::new(options, WAITING);
        let (heard, down) = mpsc::channel(WAITING);
        let (up, mut outgoing) = mpsc::channel(WAITING);
        let (ours, theirs) = (topic::down(&gateway.id), topic::up(&gateway.id));
        client.subscribe(&ours, QoS::AtLeastOnce).await?;
        let (stands, mut standing) = mpsc::channel(1);
        let turn = tokio::spawn(async move {
            while let Ok(event) = turning.poll().await {
                if let Event::Incoming(Packet::SubAck(_)) = &event {
                    // Nobody waits for it twice.
                    let _ = stands.try_send(());
                }
                if let Event::Incoming(Packet::Publish(publish)) = event
                    && let Ok(message) = CentreToGateway::decode(publish.payload)
                    && let Some(kind) = message.kind
                    && heard.send(kind).await.is_err()
                {
                    return;
                }
            }
        });
        let publish = tokio::spawn(async move {
            while let Some(message) = outgoing.recv().await {
                let message: GatewayToCentre = message;
                let sent =
                    client.publish(&theirs, QoS::AtLeastOnce, false, message.encode_to_vec());
                if sent.await.is_err() {
                    return;
                }
            }
        });
        let line = Self {
            up,
            down,
            tasks: [turn, publish],
        };
        if standing.recv().await.is_none() {
            bail!("the centre does not let it subscribe");
        }
        let hello = Hello {
            agent_version: "by hand".into(),
            command_number: 0,
            configuration: None,
            health: None,
        };
        let kind = Some(Up::Hello(hello));
        line.up.send(GatewayToCentre { kind }).await?;
        Ok(line)
    }
}
