//! MQTT 3.1.1 packets to and from bytes, by rumqttc's public codec: the only file of the centre that names rumqttc.
//!
//! Stricter than that codec where it is lax: the reserved flags of the fixed header must be as the standard says.
//! Invariants: no bytes panic; no packet longer than [`Codec::limit`] is buffered. Must not know: topics, gateways.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::v4::{
    ConnAck, ConnectReturnCode, Packet, PingResp, PubAck, Publish, SubAck, SubscribeReasonCode,
    UnsubAck,
};
use rumqttc::mqttbytes::{Error, Protocol, QoS};
use tokio_util::codec::{Decoder, Encoder};

/// What a client may say to this endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    Connect(Connect),
    Publish {
        topic: String,
        retain: bool,
        packet: Option<u16>,
        payload: Bytes,
    },
    Subscribe {
        packet: u16,
        filters: Vec<String>,
    },
    Unsubscribe {
        packet: u16,
    },
    Ping,
    Disconnect,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Connect {
    pub(super) client_id: String,
    /// Zero: the client promises nothing.
    pub(super) keep_alive: Duration,
    pub(super) has_will: bool,
}

/// What this endpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outgoing {
    /// Accepted; no session is ever kept.
    Accepted,
    Refused(Refusal),
    Received(u16),
    /// One answer per filter, in order: granted with QoS 0, or not.
    Subscribed {
        packet: u16,
        granted: Vec<bool>,
    },
    Unsubscribed(u16),
    Pong,
    /// Always QoS 0: whatever is lost is asked for again by resending.
    Publish {
        topic: String,
        payload: Bytes,
    },
}

/// Return codes of CONNACK that are used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Protocol,
    ClientId,
    NotAuthorised,
}

/// Why a connection ends: its bytes are not MQTT as this endpoint speaks it.
#[derive(Debug, thiserror::Error)]
pub(super) enum CodecError {
    /// Not MQTT 3.1.1; the client is told.
    #[error("protocol version not supported")]
    Version,
    /// A packet is longer than allowed.
    #[error("packet too large")]
    TooLarge,
    /// Malformed, or a packet that only a server may send, or QoS 2.
    #[error("protocol error: {0}")]
    Protocol(&'static str),
    /// The connection.
    #[error("connection: {0}")]
    Io(#[from] std::io::Error),
}

/// The codec with its limit.
#[derive(Debug)]
pub(super) struct Codec {
    /// Longest packet taken, bytes after the fixed header.
    pub(super) limit: usize,
}

impl Decoder for Codec {
    type Item = Incoming;
    type Error = CodecError;

    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Incoming>, CodecError> {
        if bytes.first().is_some_and(|first| !flags_hold(*first)) {
            return Err(CodecError::Protocol("reserved flags"));
        }
        match Packet::read(bytes, self.limit) {
            Ok(packet) => incoming(packet).map(Some),
            Err(Error::InsufficientBytes(_)) => Ok(None),
            Err(Error::PayloadSizeLimitExceeded(_)) => Err(CodecError::TooLarge),
            Err(Error::InvalidProtocol | Error::InvalidProtocolLevel(_)) => {
                Err(CodecError::Version)
            }
            Err(_) => Err(CodecError::Protocol("malformed packet")),
        }
    }
}

/// The low nibble of the first byte, [MQTT-2.2.2-2]; PUBLISH uses it, SUBSCRIBE, UNSUBSCRIBE and PUBREL have 2.
const fn flags_hold(first: u8) -> bool {
    let flags = first & 0x0F;
    match first >> 4 {
        3 => flags & 0x06 != 0x06,
        6 | 8 | 10 => flags == 2,
        _ => flags == 0,
    }
}

fn incoming(packet: Packet) -> Result<Incoming, CodecError> {
    match packet {
        Packet::Connect(connect) if connect.protocol != Protocol::V4 => Err(CodecError::Version),
        Packet::Connect(connect) => Ok(Incoming::Connect(Connect {
            client_id: connect.client_id,
            keep_alive: Duration::from_secs(connect.keep_alive.into()),
            has_will: connect.last_will.is_some(),
        })),
        Packet::Publish(publish) => {
            let packet = match publish.qos {
                QoS::AtMostOnce => None,
                QoS::AtLeastOnce => Some(publish.pkid),
                QoS::ExactlyOnce => return Err(CodecError::Protocol("QoS 2 is not spoken here")),
            };
            let Publish {
                topic,
                retain,
                payload,
                ..
            } = publish;
            Ok(Incoming::Publish {
                topic,
                retain,
                packet,
                payload,
            })
        }
        Packet::Subscribe(subscribe) if subscribe.pkid == 0 => {
            Err(CodecError::Protocol("packet id 0"))
        }
        Packet::Subscribe(subscribe) => Ok(Incoming::Subscribe {
            packet: subscribe.pkid,
            filters: subscribe
                .filters
                .into_iter()
                .map(|filter| filter.path)
                .collect(),
        }),
        Packet::Unsubscribe(unsubscribe) if unsubscribe.pkid == 0 => {
            Err(CodecError::Protocol("packet id 0"))
        }
        Packet::Unsubscribe(unsubscribe) => Ok(Incoming::Unsubscribe {
            packet: unsubscribe.pkid,
        }),
        Packet::PingReq => Ok(Incoming::Ping),
        Packet::Disconnect => Ok(Incoming::Disconnect),
        Packet::ConnAck(_)
        | Packet::PubAck(_)
        | Packet::PubRec(_)
        | Packet::PubRel(_)
        | Packet::PubComp(_)
        | Packet::SubAck(_)
        | Packet::UnsubAck(_)
        | Packet::PingResp => Err(CodecError::Protocol("a packet that answers nothing")),
    }
}

impl Encoder<Outgoing> for Codec {
    type Error = CodecError;

    fn encode(&mut self, packet: Outgoing, bytes: &mut BytesMut) -> Result<(), CodecError> {
        let written = match packet {
            Outgoing::Accepted => ConnAck::new(ConnectReturnCode::Success, false).write(bytes),
            Outgoing::Refused(why) => ConnAck::new(return_code(why), false).write(bytes),
            Outgoing::Received(packet) => PubAck::new(packet).write(bytes),
            Outgoing::Subscribed { packet, granted } => {
                let code = |granted| match granted {
                    true => SubscribeReasonCode::Success(QoS::AtMostOnce),
                    false => SubscribeReasonCode::Failure,
                };
                SubAck::new(packet, granted.into_iter().map(code).collect()).write(bytes)
            }
            Outgoing::Unsubscribed(packet) => UnsubAck::new(packet).write(bytes),
            Outgoing::Pong => PingResp.write(bytes),
            Outgoing::Publish { topic, payload } => {
                Publish::from_bytes(topic, QoS::AtMostOnce, payload).write(bytes)
            }
        };
        written
            .map(|_| ())
            .map_err(|_| CodecError::Protocol("a packet that cannot be written"))
    }
}

const fn return_code(why: Refusal) -> ConnectReturnCode {
    match why {
        Refusal::Protocol => ConnectReturnCode::RefusedProtocolVersion,
        Refusal::ClientId => ConnectReturnCode::BadClientId,
        Refusal::NotAuthorised => ConnectReturnCode::NotAuthorized,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(bytes: &[u8]) -> Result<Option<Incoming>, CodecError> {
        Codec { limit: 1024 }.decode(&mut BytesMut::from(bytes))
    }

    /// The bytes of the standard's own tables.
    #[test]
    fn packets_of_the_standard_are_read() {
        let connect = b"\x10\x0F\x00\x04MQTT\x04\x02\x00\x0A\x00\x03abc";
        let expected = Connect {
            client_id: "abc".into(),
            keep_alive: Duration::from_secs(10),
            has_will: false,
        };
        assert!(matches!(decode(connect), Ok(Some(Incoming::Connect(got))) if got == expected));
        assert!(matches!(decode(b"\xC0\x00"), Ok(Some(Incoming::Ping))));
        assert!(matches!(
            decode(b"\xE0\x00"),
            Ok(Some(Incoming::Disconnect))
        ));
        let subscribe = decode(b"\x82\x06\x00\x07\x00\x01a\x01");
        assert!(
            matches!(subscribe, Ok(Some(Incoming::Subscribe { packet: 7, filters })) if filters == ["a"])
        );
        let publish = decode(b"\x32\x07\x00\x01a\x00\x09hi");
        assert!(
            matches!(publish, Ok(Some(Incoming::Publish { packet: Some(9), payload, .. })) if payload == "hi")
        );
    }

    #[test]
    fn what_the_standard_forbids_ends_the_connection() {
        for (what, bytes) in [
            (
                "reserved flags of CONNECT",
                &b"\x11\x0F\x00\x04MQTT\x04\x02\x00\x0A\x00\x03abc"[..],
            ),
            ("flags of SUBSCRIBE", b"\x80\x06\x00\x07\x00\x01a\x01"),
            ("QoS 3", b"\x36\x07\x00\x01a\x00\x09hi"),
            ("QoS 2", b"\x34\x07\x00\x01a\x00\x09hi"),
            ("packet id 0 in PUBLISH", b"\x32\x07\x00\x01a\x00\x00hi"),
            ("packet id 0 in SUBSCRIBE", b"\x82\x06\x00\x00\x00\x01a\x01"),
            ("SUBSCRIBE without a filter", b"\x82\x02\x00\x07"),
            ("a text longer than its packet", b"\x30\x03\x00\x09a"),
            ("a topic that is not UTF-8", b"\x30\x04\x00\x01\xFFx"),
            ("five length bytes", b"\x30\xFF\xFF\xFF\xFF\x01"),
            ("a server's packet", b"\x20\x02\x00\x00"),
            ("packet type 0", b"\x00\x00"),
            ("packet type 15", b"\xF0\x00"),
        ] {
            assert!(
                matches!(decode(bytes), Err(CodecError::Protocol(_))),
                "{what}: {:?}",
                decode(bytes)
            );
        }
        assert!(
            matches!(decode(b"\x30\x81\x08"), Err(CodecError::TooLarge)),
            "before its bytes are there"
        );
        for other in [
            &b"\x10\x0F\x00\x04MQTT\x05\x02\x00\x0A\x00\x03abc"[..],
            b"\x10\x11\x00\x06MQIsdp\x03\x02\x00\x0A\x00\x03abc",
        ] {
            assert!(
                matches!(decode(other), Err(CodecError::Version)),
                "{:?}",
                decode(other)
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn hostile_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0u8..16) {
            let _ = decode(&bytes);
            // A whole packet of each kind, so that the insides are reached.
            if let Some(first) = bytes.first_mut() {
                *first = kind << 4 | (*first & 0x0F);
                let (first, rest) = (*first, bytes.split_off(1));
                let rest = &rest[..rest.len().min(127)];
                let mut packet = vec![first, u8::try_from(rest.len()).expect("at most 127")];
                packet.extend_from_slice(rest);
                let _ = decode(&packet);
            }
        }
    }
}
