//! The events of the streams as they leave: the same bytes as the contract's `TwinEvent` and `AlertEvent`, with
//! what many readers get alike (a state, a cursor) held as shared bytes instead of messages, so that it is encoded
//! once and not once for each reader. On the wire a message field and a bytes field are the same thing.
//!
//! Must not know: who reads.

use bytes::Bytes;
use proto::v1;

/// `v1::TwinEvent`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TwinEvent {
    /// Resumes after this event.
    #[prost(bytes = "bytes", tag = "1")]
    pub cursor: Bytes,
    /// What it is.
    #[prost(oneof = "TwinKind", tags = "2, 3, 4, 5")]
    pub kind: Option<TwinKind>,
    /// States left out before this one.
    #[prost(uint64, tag = "6")]
    pub conflated: u64,
}

/// `v1::twin_event::Kind`.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum TwinKind {
    /// An encoded `v1::Twin`.
    #[prost(bytes = "bytes", tag = "2")]
    Snapshot(Bytes),
    /// The snapshot is complete.
    #[prost(message, tag = "3")]
    SnapshotEnd(v1::SnapshotEnd),
    /// An encoded `v1::Twin`.
    #[prost(bytes = "bytes", tag = "4")]
    Change(Bytes),
    /// The line works.
    #[prost(message, tag = "5")]
    KeepAlive(v1::KeepAlive),
}

/// `v1::AlertEvent`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AlertEvent {
    /// Resumes after this event.
    #[prost(bytes = "bytes", tag = "1")]
    pub cursor: Bytes,
    /// What it is.
    #[prost(oneof = "AlertKind", tags = "2, 3, 4, 5")]
    pub kind: Option<AlertKind>,
    /// UTF-8.
    #[prost(bytes = "bytes", tag = "6")]
    pub event_id: Bytes,
}

/// `v1::alert_event::Kind`.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum AlertKind {
    /// An encoded `v1::Alert`.
    #[prost(bytes = "bytes", tag = "2")]
    Snapshot(Bytes),
    /// The snapshot is complete.
    #[prost(message, tag = "3")]
    SnapshotEnd(v1::AlertSnapshotEnd),
    /// An encoded `v1::Alert`.
    #[prost(bytes = "bytes", tag = "4")]
    Change(Bytes),
    /// The line works.
    #[prost(message, tag = "5")]
    KeepAlive(v1::AlertKeepAlive),
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;
    use proto::v1::{alert_event, twin_event};

    #[test]
    fn the_bytes_are_those_of_the_contract() {
        let twin = v1::Twin {
            patient: "a".into(),
            position: 300,
            state_hash: vec![1, 2],
            ..v1::Twin::default()
        };
        let bytes = Bytes::from(twin.encode_to_vec());
        let end = v1::SnapshotEnd { reason: "x".into() };
        let pairs = [
            (
                TwinKind::Snapshot(bytes.clone()),
                twin_event::Kind::Snapshot(twin.clone()),
            ),
            (
                TwinKind::SnapshotEnd(end.clone()),
                twin_event::Kind::SnapshotEnd(end),
            ),
            (TwinKind::Change(bytes), twin_event::Kind::Change(twin)),
            (
                TwinKind::KeepAlive(v1::KeepAlive {}),
                twin_event::Kind::KeepAlive(v1::KeepAlive {}),
            ),
        ];
        for (ours, contract) in pairs {
            let ours = TwinEvent {
                cursor: Bytes::from_static(&[9; 46]),
                kind: Some(ours),
                conflated: 7,
            };
            let contract = v1::TwinEvent {
                cursor: vec![9; 46],
                kind: Some(contract),
                conflated: 7,
            };
            assert_eq!(ours.encode_to_vec(), contract.encode_to_vec());
        }
    }

    #[test]
    fn so_are_those_of_alerts() {
        let alert = v1::Alert {
            id: "a".into(),
            priority: 3,
            ..v1::Alert::default()
        };
        let bytes = Bytes::from(alert.encode_to_vec());
        let end = v1::AlertSnapshotEnd { reason: "x".into() };
        let pairs = [
            (
                AlertKind::Snapshot(bytes.clone()),
                alert_event::Kind::Snapshot(alert.clone()),
            ),
            (
                AlertKind::SnapshotEnd(end.clone()),
                alert_event::Kind::SnapshotEnd(end),
            ),
            (AlertKind::Change(bytes), alert_event::Kind::Change(alert)),
            (
                AlertKind::KeepAlive(v1::AlertKeepAlive {}),
                alert_event::Kind::KeepAlive(v1::AlertKeepAlive {}),
            ),
        ];
        for (ours, contract) in pairs {
            let ours = AlertEvent {
                cursor: Bytes::from_static(&[9; 46]),
                kind: Some(ours),
                event_id: Bytes::from_static(b"12.3"),
            };
            let contract = v1::AlertEvent {
                cursor: vec![9; 46],
                kind: Some(contract),
                event_id: "12.3".into(),
            };
            assert_eq!(ours.encode_to_vec(), contract.encode_to_vec());
        }
    }
}
