//! Readers that go away and come back: what they see has no gap and no duplicate, also across a restart of the
//! centre.

use anyhow::{Context, Result, ensure};
use e2e::hand::HandUplink;
use e2e::wait::wait_for;
use proto::seal::{Label, Lane, Sealer};
use proto::v1::alert_event::Kind as AlertKind;
use proto::v1::gateway_to_centre::Kind as Up;
use proto::v1::{self, AlertEvent, AlertState, BatchBody, DeviceReport};
use vitals::Time;

use crate::support::{ADDRESS, SOON, Small};

/// One step of an alert's life: its event, its id, its state.
type Step = (String, String, i32);

fn steps(events: &[AlertEvent]) -> Vec<Step> {
    let step = |event: &AlertEvent| match &event.kind {
        Some(AlertKind::Change(alert)) => {
            Some((event.event_id.clone(), alert.id.clone(), alert.state))
        }
        _ => None,
    };
    events.iter().filter_map(step).collect()
}

/// What a stream from `cursor` gives until `count` changes came; with `count` 0, until its snapshot ended.
async fn read(small: &Small, cursor: Vec<u8>, count: usize) -> Result<Vec<AlertEvent>> {
    let mut stream = small.centre.client().await?.watch_alerts(cursor).await?;
    let mut events = Vec::new();
    let read = async {
        loop {
            let event = stream.message().await?.context("the stream ended")?;
            let end = matches!(event.kind, Some(AlertKind::SnapshotEnd(_)));
            events.push(event);
            if if count == 0 {
                end
            } else {
                steps(&events).len() >= count
            } {
                return anyhow::Ok(());
            }
        }
    };
    let ended = tokio::time::timeout(SOON, read).await;
    ended.with_context(|| format!("waited for {count} changes"))??;
    Ok(events)
}

/// The sensor says how charged its battery is, and the centre has made of it what it should.
async fn say(small: &Small, up: &HandUplink, sealer: &mut Sealer, percent: u32) -> Result<()> {
    let now = small.clock.now();
    let report = DeviceReport {
        source: 1,
        address: ADDRESS.into(),
        link: v1::LinkState::Connected.into(),
        since_us: now.as_micros(),
        battery_percent: Some(percent),
        ..DeviceReport::default()
    };
    let body = BatchBody {
        devices: vec![report],
        ..BatchBody::default()
    };
    let record = sealer.seal(&label(sealer.next_number(), now), &body)?;
    up.send_records(vec![record]).await?;
    let wanted = if percent < 15 {
        AlertState::Active
    } else {
        AlertState::Resolved
    };
    wait_for("the alert's change", SOON, async || {
        let alerts = small.centre.client().await?.all_alerts().await?;
        let newest = alerts
            .into_iter()
            .filter(|alert| alert.condition == "battery_low")
            .max_by_key(|alert| alert.position);
        Ok(newest.filter(|alert| alert.state() == wanted).map(drop))
    })
    .await
}

fn label(number: u64, now: Time) -> Label {
    Label {
        number,
        lane: Lane::Alert,
        source: 0,
        count: 0,
        oldest: now,
        newest: now,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_alerts_resumes_across_a_restart_without_gap_or_duplicate() -> Result<()> {
    let mut small = Small::new().await?;
    let start = read(&small, Vec::new(), 0).await?;
    let start = start.last().context("the snapshot's end")?.cursor.clone();
    ensure!(!start.is_empty(), "a snapshot ends with a cursor");

    let (up, assignment) = small.uplink().await?;
    let (header, mut sealer) = small.gateway.open_context(&assignment, small.clock.now())?;
    up.send(Up::OpenContext(header)).await?;
    say(&small, &up, &mut sealer, 10).await?;
    say(&small, &up, &mut sealer, 80).await?;
    let seen = read(&small, start.clone(), 2).await?;
    let cursor = seen.last().context("two changes")?.cursor.clone();

    // The reader is away: one change before the centre dies, one after.
    say(&small, &up, &mut sealer, 9).await?;
    small.centre.kill()?;
    small.centre.start().await?;
    let gateway = small.gateway.at(small.centre.ready()?.grpc);
    let up = gateway.connect().await?;
    let (header, mut sealer) = gateway.open_context(&assignment, small.clock.now())?;
    up.send(Up::OpenContext(header)).await?;
    say(&small, &up, &mut sealer, 90).await?;

    let after = read(&small, cursor, 2).await?;
    let snapshot = |event: &AlertEvent| {
        matches!(
            event.kind,
            Some(AlertKind::Snapshot(_) | AlertKind::SnapshotEnd(_))
        )
    };
    ensure!(!after.iter().any(snapshot), "a new snapshot: {after:?}");
    let all = read(&small, start.clone(), 4).await?;
    let resumed = [steps(&seen), steps(&after)].concat();
    ensure!(
        resumed == steps(&all),
        "a reader with a break saw {resumed:?}, one without {all:?}"
    );
    let states: Vec<i32> = resumed.iter().map(|(_, _, state)| *state).collect();
    let [active, resolved] = [AlertState::Active, AlertState::Resolved].map(|state| state as i32);
    ensure!(states == [active, resolved, active, resolved], "{states:?}");

    // The negative control: a reader that kept an older cursor sees again what it saw, under the same ids.
    let again = steps(&read(&small, start, 2).await?);
    ensure!(
        again[..2] == steps(&seen),
        "events keep their ids: {again:?}"
    );
    ensure!([steps(&seen), again].concat() != resumed);
    Ok(())
}
