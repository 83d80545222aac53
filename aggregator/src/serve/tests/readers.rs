//! Readers at the port: filters and their refusals, and a reader of alerts that hangs.

use prost::Message as _;
use proto::tls::Role;
use proto::v1::alert_service_client::AlertServiceClient;
use proto::v1::twin_service_client::TwinServiceClient;
use proto::v1::{self, alert_event};
use tonic::Code;

use super::super::error::CURSOR_TRAILER;
use super::super::front::Wire;
use super::rig::{Rig, channel};
use super::soon;
use crate::publish::{At, Events as _, Limits};

const TWINS: &str = "/vitaltwin.v1.TwinService/Watch";
const ALERTS: &str = "/vitaltwin.v1.AlertService/Watch";

async fn refused(rig: &Rig, path: &str, request: &impl prost::Message) {
    for wire in [Wire::Native, Wire::Web] {
        let (code, _) = soon(rig.call(path, request, wire, Some(rig.operator()), &[])).await;
        assert_eq!(code, Code::InvalidArgument, "{path}");
    }
}

#[tokio::test]
async fn a_filter_that_does_not_hold_is_refused_with_its_field() {
    let rig = Rig::new().await;
    let twins = v1::WatchTwinsRequest::default;
    let address = rig.listen().await;
    let own = rig.client(Some((&rig, "olga", Role::Operator)));
    let channel = soon(channel(address, own)).await.expect("a channel");
    let mut client = TwinServiceClient::new(channel);
    let wrong = [
        (
            "patients",
            v1::WatchTwinsRequest {
                patients: vec!["not a name".into()],
                ..twins()
            },
        ),
        (
            "patients",
            v1::WatchTwinsRequest {
                patients: vec!["p".into(); 1001],
                ..twins()
            },
        ),
        (
            "kinds",
            v1::WatchTwinsRequest {
                kinds: vec![0],
                ..twins()
            },
        ),
        (
            "kinds",
            v1::WatchTwinsRequest {
                kinds: vec![9999],
                ..twins()
            },
        ),
        // Only channels and forecasts have kinds.
        (
            "kinds",
            v1::WatchTwinsRequest {
                kinds: vec![1],
                parts: vec![2],
                ..twins()
            },
        ),
        (
            "parts",
            v1::WatchTwinsRequest {
                parts: vec![0],
                ..twins()
            },
        ),
        (
            "parts",
            v1::WatchTwinsRequest {
                parts: vec![99],
                ..twins()
            },
        ),
        (
            "min_interval_ms",
            v1::WatchTwinsRequest {
                min_interval_ms: 3_600_001,
                ..twins()
            },
        ),
    ];
    for (field, request) in wrong {
        refused(&rig, TWINS, &request).await;
        let status = soon(client.watch(request))
            .await
            .expect_err("it is refused");
        assert!(
            status.message().starts_with(&format!("{field}: ")),
            "{}",
            status.message()
        );
    }
    // Control.
    let fine = v1::WatchTwinsRequest {
        kinds: vec![1, 1],
        parts: vec![1, 2],
        min_interval_ms: 3_600_000,
        ..twins()
    };
    assert!(soon(client.watch(fine)).await.is_ok());
    let alerts = v1::WatchAlertsRequest::default;
    for request in [
        v1::WatchAlertsRequest {
            patients: vec!["not a name".into()],
            ..alerts()
        },
        v1::WatchAlertsRequest {
            priority_at_least: 9,
            ..alerts()
        },
        v1::WatchAlertsRequest {
            category: 9,
            ..alerts()
        },
    ] {
        refused(&rig, ALERTS, &request).await;
    }
}

/// Of a change; nothing else may come.
fn id_of(event: v1::AlertEvent) -> String {
    assert!(
        matches!(event.kind, Some(alert_event::Kind::Change(_))),
        "{:?}",
        event.kind
    );
    event.event_id
}

/// The changes are more than a connection holds on its way and a reader may be behind.
#[tokio::test]
async fn a_reader_of_alerts_that_hangs_is_cut_off_with_its_cursor() {
    let rig = Rig::new().await;
    let patient = rig.patient("p-1").await;
    let address = rig.listen().await;
    let watch = async |cursor: Vec<u8>| {
        let own = rig.client(Some((&rig, "olga", Role::Operator)));
        let channel = soon(channel(address, own)).await.expect("a channel");
        let request = v1::WatchAlertsRequest {
            cursor,
            ..Default::default()
        };
        let stream = soon(AlertServiceClient::new(channel).watch(request)).await;
        stream.expect("a stream").into_inner()
    };
    let (mut hung, mut healthy) = (watch(Vec::new()).await, watch(Vec::new()).await);
    for stream in [&mut hung, &mut healthy] {
        let event = soon(stream.message())
            .await
            .expect("no error")
            .expect("an event");
        assert!(matches!(
            event.kind,
            Some(alert_event::Kind::SnapshotEnd(_))
        ));
    }
    let hub = rig.patients.hub();
    let index = hub.find(&patient).expect("it was added");
    let first = hub.position() + 1;
    let changes = Limits::default().alert_lag as u64 + 3000;
    let mut got = Vec::new();
    for n in 0..changes {
        let alert = v1::Alert {
            id: format!("a{n}"),
            priority: 2,
            state: v1::AlertState::Active as i32,
            summary: "x".repeat(2000),
            ..Default::default()
        };
        let at = At {
            position: first + n,
            index: 0,
        };
        hub.alert_changed(index, at, format!("a{n}"), alert);
        hub.folded(first + n);
        // The other reads on and misses nothing.
        if n % 100 == 99 {
            while got.len() as u64 <= n {
                let event = soon(healthy.message())
                    .await
                    .expect("not cut off")
                    .expect("an event");
                got.push(id_of(event));
            }
        }
    }
    let mut seen = Vec::new();
    let cut = loop {
        match soon(hung.message()).await {
            Ok(event) => seen.push(id_of(event.expect("it does not end without a status"))),
            Err(status) => break status,
        }
    };
    assert_eq!(cut.code(), Code::ResourceExhausted, "{}", cut.message());
    assert!((seen.len() as u64) < changes, "control: it was behind");
    let slow = crate::counters::Refused::SlowReader;
    assert_eq!(rig.access.counters().refused(slow), 1);
    let cursor = cut.metadata().get_bin(CURSOR_TRAILER).expect("its cursor");
    let cursor = cursor.to_bytes().expect("bytes").to_vec();
    let mut again = watch(cursor).await;
    while (seen.len() as u64) < changes {
        let event = soon(again.message())
            .await
            .expect("no error")
            .expect("an event");
        assert!(
            matches!(event.kind, Some(alert_event::Kind::Change(_))),
            "no snapshot"
        );
        seen.push(event.event_id);
    }
    let all: Vec<String> = (first..first + changes)
        .map(|at| format!("{at}.0"))
        .collect();
    assert_eq!(seen, all);
    assert_eq!(got[..], all[..got.len()]);
}

#[tokio::test]
async fn a_narrow_stream_gives_what_was_asked_for() {
    let rig = Rig::new().await;
    let patient = rig.patient("p-1").await;
    rig.assign(&patient, "g-1", rig.clock.now()).await;
    let address = rig.listen().await;
    let own = rig.client(Some((&rig, "olga", Role::Operator)));
    let channel = soon(channel(address, own)).await.expect("a channel");
    let mut twins = TwinServiceClient::new(channel);
    let mut first = async |request: v1::WatchTwinsRequest| {
        let mut stream = soon(twins.watch(request))
            .await
            .expect("a stream")
            .into_inner();
        let event = soon(stream.message())
            .await
            .expect("no error")
            .expect("an event");
        match event.kind {
            Some(v1::twin_event::Kind::Snapshot(twin)) => twin,
            other => panic!("{other:?}"),
        }
    };
    let whole = first(v1::WatchTwinsRequest::default()).await;
    assert!(
        !whole.gateways.is_empty() && whole.rhythm.is_some(),
        "control"
    );
    let parts = vec![v1::TwinPart::Gateways as i32];
    let narrow = first(v1::WatchTwinsRequest {
        parts,
        ..Default::default()
    })
    .await;
    let wanted = v1::Twin {
        patient: whole.patient.clone(),
        position: whole.position,
        known_us: whole.known_us,
        gateways: whole.gateways.clone(),
        test_data: whole.test_data,
        state_hash: whole.state_hash.clone(),
        ..Default::default()
    };
    assert_eq!(narrow, wanted);
    assert!(narrow.encoded_len() < whole.encoded_len());
}

/// Many looks a second were possible; the reader gets the newest state, and is told how many it did not get.
#[tokio::test]
async fn a_minimum_interval_leaves_states_out_and_counts_them() {
    let rig = Rig::new().await;
    let patient = rig.patient("p-1").await;
    let address = rig.listen().await;
    let own = rig.client(Some((&rig, "olga", Role::Operator)));
    let channel = soon(channel(address, own)).await.expect("a channel");
    let mut twins = TwinServiceClient::new(channel);
    let request = v1::WatchTwinsRequest {
        min_interval_ms: 300,
        ..Default::default()
    };
    let mut stream = soon(twins.watch(request))
        .await
        .expect("a stream")
        .into_inner();
    for _ in 0..2 {
        soon(stream.message())
            .await
            .expect("no error")
            .expect("a snapshot and its end");
    }
    let state = || {
        let hub = rig.patients.hub();
        hub.view(hub.find(&patient).expect("it was added"))
    };
    let before = state();
    for gateway in 0..12 {
        rig.assign(&patient, &format!("g-{gateway}"), rig.clock.now())
            .await;
    }
    let newest = state();
    let (mut changes, mut left_out, mut last) = (0, 0, 0);
    while last < newest.at.position {
        let event = soon(stream.message())
            .await
            .expect("no error")
            .expect("an event");
        if let Some(v1::twin_event::Kind::Change(twin)) = event.kind {
            changes += 1;
            left_out += event.conflated;
            last = twin.position;
        }
    }
    assert!(changes >= 1);
    assert_eq!(changes + left_out, newest.changes - before.changes);
}
