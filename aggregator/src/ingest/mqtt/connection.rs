//! One MQTT connection of one gateway.
//!
//! Invariants: one task, one owner; at most [`super::super::GROUP`] messages are held at once; answers that the
//! peer does not read within [`READ_PATIENCE`] end the connection. Must not know: TLS, other gateways.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use prost::Message as _;
use proto::cert::Identity;
use proto::topic;
use proto::v1::{CentreToGateway, GatewayToCentre};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_util::codec::Framed;
use tokio_util::sync::CancellationToken;
use vitals::GatewayId;

use super::codec::{Codec, CodecError, Connect, Incoming, Outgoing, Refusal};
use crate::counters::{Refused, Transport};
use crate::ingest::{GROUP, GROUP_BYTES, Ingest, Replies, Session, command_message};

/// CONNECT is short; longer ones are not worth buffering.
const CONNECT_LIMIT: usize = 1024;
/// A message with its topic and packet id.
const PACKET_LIMIT: usize = proto::wire::MAX_MESSAGE + 256;
/// A client without keep-alive is cut off after this long in silence: a half-open connection must end some day.
const LONGEST_SILENCE: Duration = Duration::from_secs(600);
/// A peer that does not read is cut off after this long.
const READ_PATIENCE: Duration = Duration::from_secs(120);

/// Why a connection ended. Only for logs and counters.
#[derive(Debug)]
enum End {
    /// DISCONNECT, or the peer closed.
    Left,
    /// A newer connection, the centre stops, or the certificate ran out.
    Told(&'static str),
    Refused(Refused, &'static str),
}

impl From<CodecError> for End {
    fn from(error: CodecError) -> Self {
        match error {
            CodecError::Io(_) => Self::Left,
            CodecError::TooLarge => Self::Refused(Refused::TooLarge, "packet too large"),
            CodecError::Version => Self::Refused(Refused::MqttProtocol, "not MQTT 3.1.1"),
            CodecError::Protocol(what) => Self::Refused(Refused::MqttProtocol, what),
        }
    }
}

/// Serves the connection until it ends.
pub(super) async fn run<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    gateway: GatewayId,
    identity: &Identity,
    ingest: &Ingest,
    patience: Duration,
    stop: CancellationToken,
) {
    let mut framed = Framed::new(
        stream,
        Codec {
            limit: CONNECT_LIMIT,
        },
    );
    let greeted = tokio::select! {
        () = stop.cancelled() => return,
        greeted = greet(&mut framed, &gateway, ingest, patience) => greeted,
    };
    let silence = match greeted {
        Ok(silence) => silence,
        Err(end) => return note(ingest, &gateway, &end),
    };
    framed.codec_mut().limit = PACKET_LIMIT;
    let now = ingest.parts().clock.now();
    let session = ingest
        .sessions()
        .open(gateway.clone(), Transport::Mqtt, now);
    let left = ingest.parts().clock.real(identity.not_after.since(now));
    let mut connection = Connection {
        framed,
        ingest,
        session,
        subscribed: false,
        commands_after: None,
        silence,
        expires: Instant::now() + left,
    };
    let end = connection.serve(stop).await;
    // What was answered last should still get out; a peer that is gone is no matter.
    let _ = tokio::time::timeout(Duration::from_secs(1), connection.framed.close()).await;
    note(ingest, &gateway, &end);
}

/// CONNECT and its answer; how long the client may be silent.
async fn greet<S: AsyncRead + AsyncWrite + Unpin>(
    framed: &mut Framed<S, Codec>,
    gateway: &GatewayId,
    ingest: &Ingest,
    patience: Duration,
) -> Result<Duration, End> {
    let first = tokio::time::timeout(patience, framed.next()).await;
    let first = first.map_err(|_| End::Refused(Refused::Timeout, "no CONNECT"))?;
    let refusal = match first {
        Some(Ok(Incoming::Connect(connect))) => match judge(&connect, gateway, ingest) {
            Ok(()) => {
                send(framed, Outgoing::Accepted).await?;
                let keep_alive = connect.keep_alive.mul_f64(1.5);
                return Ok(if keep_alive.is_zero() {
                    LONGEST_SILENCE
                } else {
                    keep_alive
                });
            }
            Err(refusal) => refusal,
        },
        Some(Ok(_)) => {
            return Err(End::Refused(
                Refused::MqttProtocol,
                "the first packet is not CONNECT",
            ));
        }
        Some(Err(CodecError::Version)) => {
            (Refusal::Protocol, Refused::MqttProtocol, "not MQTT 3.1.1")
        }
        Some(Err(error)) => return Err(error.into()),
        None => return Err(End::Left),
    };
    let (code, counted, what) = refusal;
    let _ = send(framed, Outgoing::Refused(code)).await;
    let _ = tokio::time::timeout(Duration::from_secs(1), framed.close()).await;
    Err(End::Refused(counted, what))
}

fn judge(
    connect: &Connect,
    gateway: &GatewayId,
    ingest: &Ingest,
) -> Result<(), (Refusal, Refused, &'static str)> {
    if !ingest.may_write(gateway) {
        return Err((
            Refusal::NotAuthorised,
            Refused::Revoked,
            "the gateway was revoked",
        ));
    }
    if !connect.client_id.is_empty() && connect.client_id != gateway.as_str() {
        return Err((
            Refusal::ClientId,
            Refused::MqttProtocol,
            "the client id is not the gateway's",
        ));
    }
    if connect.has_will {
        return Err((
            Refusal::NotAuthorised,
            Refused::MqttProtocol,
            "a will is not kept here",
        ));
    }
    Ok(())
}

struct Connection<'a, S> {
    framed: Framed<S, Codec>,
    ingest: &'a Ingest,
    session: Session,
    /// To its own `down` topic.
    subscribed: bool,
    /// Highest command number sent or known to the gateway; `None` before its hello.
    commands_after: Option<u64>,
    /// Longest pause between packets.
    silence: Duration,
    /// When its certificate does.
    expires: Instant,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    async fn serve(&mut self, stop: CancellationToken) -> End {
        let mut changes = self.ingest.parts().books.changes();
        let mut heard = Instant::now();
        loop {
            let step = tokio::select! {
                () = stop.cancelled() => return End::Told("the centre stops"),
                () = self.session.replaced() => return End::Told("a newer connection took over"),
                () = tokio::time::sleep_until(self.expires) => return End::Told("the certificate ran out"),
                () = tokio::time::sleep_until(heard + self.silence) => {
                    return End::Refused(Refused::Timeout, "silent for too long");
                }
                changed = changes.changed() => match changed {
                    Ok(()) => self.look_again().await,
                    Err(_) => return End::Told("the centre stops"),
                },
                packet = self.framed.next() => match packet {
                    Some(Ok(packet)) => {
                        heard = Instant::now();
                        self.take(packet).await
                    }
                    Some(Err(error)) => Err(error.into()),
                    None => Err(End::Left),
                },
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// Something administrative changed: is the gateway still welcome, are there new commands?
    async fn look_again(&mut self) -> Result<(), End> {
        let gateway = self.session.gateway();
        if !self.ingest.may_write(gateway) {
            return Err(End::Refused(Refused::Revoked, "the gateway was revoked"));
        }
        let Some(after) = self.commands_after else {
            return Ok(());
        };
        let (commands, after) = self.ingest.commands(gateway, after);
        self.commands_after = Some(after);
        let messages = commands.into_iter().map(command_message).collect();
        self.send_down(messages).await
    }

    /// One packet, and the messages that are right behind it.
    async fn take(&mut self, packet: Incoming) -> Result<(), End> {
        let mut next = Some(packet);
        while let Some(packet) = next.take() {
            match packet {
                Incoming::Publish { .. } => next = self.publishes(packet).await?,
                Incoming::Subscribe { packet, filters } => self.subscribe(packet, &filters).await?,
                Incoming::Unsubscribe { packet } => {
                    self.subscribed = false;
                    send(&mut self.framed, Outgoing::Unsubscribed(packet)).await?;
                }
                Incoming::Ping => send(&mut self.framed, Outgoing::Pong).await?,
                Incoming::Disconnect => return Err(End::Left),
                Incoming::Connect(_) => {
                    return Err(End::Refused(Refused::MqttProtocol, "a second CONNECT"));
                }
            }
        }
        Ok(())
    }

    /// A PUBLISH and those that have arrived behind it, journaled together. Returns the packet after them.
    async fn publishes(&mut self, first: Incoming) -> Result<Option<Incoming>, End> {
        let own = topic::up(self.session.gateway());
        let (mut messages, mut received, mut refusals) = (Vec::new(), Vec::new(), Vec::new());
        let (mut bytes, mut next) = (0, Some(first));
        while let Some(packet) = next.take() {
            let Incoming::Publish {
                topic,
                retain,
                packet,
                payload,
            } = packet
            else {
                next = Some(packet);
                break;
            };
            if topic != own {
                return Err(End::Refused(
                    Refused::MqttTopic,
                    "a topic that is not the gateway's own",
                ));
            }
            if retain {
                return Err(End::Refused(
                    Refused::MqttProtocol,
                    "retained messages are not kept here",
                ));
            }
            bytes += payload.len();
            received.extend(packet);
            match GatewayToCentre::decode(payload) {
                Ok(message) => messages.push(message),
                Err(_) => refusals.push(self.ingest.malformed("the message does not decode")),
            }
            if messages.len() >= GROUP || bytes >= GROUP_BYTES {
                break;
            }
            next = match self.framed.next().now_or_never() {
                Some(Some(Ok(packet))) => Some(packet),
                Some(Some(Err(error))) => return Err(error.into()),
                // Closed, or nothing more yet: what is here is handled first.
                Some(None) | None => None,
            };
        }
        let Replies {
            messages,
            commands_after,
        } = self.ingest.handle(&self.session, messages).await;
        self.commands_after = commands_after.or(self.commands_after);
        for packet in received {
            feed(&mut self.framed, Outgoing::Received(packet)).await?;
        }
        self.send_down(messages.into_iter().chain(refusals).collect())
            .await?;
        Ok(next)
    }

    async fn subscribe(&mut self, packet: u16, filters: &[String]) -> Result<(), End> {
        let own = topic::down(self.session.gateway());
        let granted: Vec<bool> = filters.iter().map(|filter| *filter == own).collect();
        self.subscribed |= granted.contains(&true);
        if granted.contains(&false) {
            self.ingest.parts().counters.refuse(Refused::MqttTopic);
        }
        send(&mut self.framed, Outgoing::Subscribed { packet, granted }).await
    }

    async fn send_down(&mut self, messages: Vec<CentreToGateway>) -> Result<(), End> {
        let topic = topic::down(self.session.gateway());
        // Without a subscription nobody listens; the gateway asks again by resending.
        for message in messages.into_iter().filter(|_| self.subscribed) {
            let payload = Bytes::from(message.encode_to_vec());
            feed(
                &mut self.framed,
                Outgoing::Publish {
                    topic: topic.clone(),
                    payload,
                },
            )
            .await?;
        }
        within(self.framed.flush()).await
    }
}

async fn send<S: AsyncRead + AsyncWrite + Unpin>(
    framed: &mut Framed<S, Codec>,
    packet: Outgoing,
) -> Result<(), End> {
    within(framed.send(packet)).await
}

async fn feed<S: AsyncRead + AsyncWrite + Unpin>(
    framed: &mut Framed<S, Codec>,
    packet: Outgoing,
) -> Result<(), End> {
    within(framed.feed(packet)).await
}

async fn within(write: impl Future<Output = Result<(), CodecError>>) -> Result<(), End> {
    match tokio::time::timeout(READ_PATIENCE, write).await {
        Ok(written) => written.map_err(End::from),
        Err(_) => Err(End::Refused(Refused::Timeout, "the peer does not read")),
    }
}

fn note(ingest: &Ingest, gateway: &GatewayId, end: &End) {
    match end {
        End::Left => tracing::debug!(%gateway, "MQTT: left"),
        End::Told(why) => tracing::info!(%gateway, why, "MQTT: connection ended"),
        End::Refused(reason, what) => {
            ingest.parts().counters.refuse(*reason);
            tracing::warn!(%gateway, what, "MQTT: connection cut");
        }
    }
}
