//! Duplicate, reordered, replayed, tampered and misdirected batches: each reading is applied once, in the right
//! twin, or refused with a reason.

use anyhow::{Context, Result, ensure};
use e2e::hand::{heart_rates, seal_readings};
use proto::v1::RefusalReason;
use proto::v1::gateway_to_centre::Kind as Up;

use crate::support::Small;

/// Receipted batch numbers of what was heard.
fn receipted(receipts: &[proto::v1::Receipt]) -> u64 {
    receipts
        .iter()
        .flat_map(|receipt| &receipt.ranges)
        .map(|range| range.last - range.first + 1)
        .sum()
}

#[tokio::test]
async fn duplicates_and_reordering_change_nothing() -> Result<()> {
    let small = Small::new().await?;
    let (mut uplink, assignment) = small.uplink().await?;
    let (header, mut sealer) = small.gateway.open_context(&assignment, small.clock.now())?;
    uplink.send(Up::OpenContext(header.clone())).await?;
    let mut records = Vec::new();
    for minute in 0..10 {
        let start = small.clock.now() + vitals::Span::from_millis(minute);
        records.extend(seal_readings(
            &mut sealer,
            &heart_rates(start, &[60 + minute]),
        )?);
    }
    // Once backwards, once forwards, then all twice in one message: 40 deliveries of 10 batches.
    uplink
        .send_records(records.iter().rev().cloned().collect())
        .await?;
    for record in &records {
        uplink.send_records(vec![record.clone()]).await?;
    }
    uplink
        .send_records([records.clone(), records.clone()].concat())
        .await?;
    // One more behind them: when it is receipted, all before it were looked at.
    let last = seal_readings(&mut sealer, &heart_rates(small.clock.now(), &[80]))?;
    uplink.send_records(last.clone()).await?;
    let heard = uplink
        .listen(|heard| {
            heard
                .receipts
                .iter()
                .flat_map(|receipt| &receipt.ranges)
                .any(|range| range.last == 11)
        })
        .await?;
    ensure!(
        heard.refusals.is_empty(),
        "a duplicate is receipted again, not refused: {heard:?}"
    );
    let status = small.applied(11).await?;
    ensure!(status["readings_journaled"] == 11, "{status}");
    // Across a restart of the centre, on a new connection: still the same eleven.
    let mut small = small;
    small.centre.kill()?;
    small.centre.start().await?;
    let gateway = small.gateway.at(small.centre.ready()?.grpc);
    let mut uplink = gateway.connect().await?;
    uplink.send(Up::OpenContext(header)).await?;
    uplink.send_records(records).await?;
    uplink
        .listen(|heard| receipted(&heard.receipts) >= 10)
        .await?;
    let status = small.centre.status()?;
    ensure!(
        status["readings_applied"] == 11 && status["readings_journaled"] == 11,
        "{status}"
    );
    Ok(())
}

#[tokio::test]
async fn what_does_not_verify_is_refused_and_never_receipted() -> Result<()> {
    let small = Small::new().await?;
    let (mut uplink, assignment) = small.uplink().await?;
    let (header, mut sealer) = small.gateway.open_context(&assignment, small.clock.now())?;
    uplink.send(Up::OpenContext(header)).await?;
    let [good, other] = [70, 71].map(|bpm| heart_rates(small.clock.now(), &[bpm]));
    let good = seal_readings(&mut sealer, &good)?.remove(0);
    let other = seal_readings(&mut sealer, &other)?.remove(0);
    // A flipped bit in the ciphertext with the checksum mended: only the tag can tell.
    let tampered = |at: usize| {
        let mut record = good.clone();
        record[at] ^= 4;
        let end = record.len() - 4;
        let sum = proto::seal::record::checksum(&record[..end]);
        record[end..].copy_from_slice(&sum);
        record
    };
    let in_text = tampered(60);
    let in_count = tampered(48);
    let in_number = tampered(43);
    for (what, record) in [
        ("text", in_text),
        ("count", in_count),
        ("number", in_number),
    ] {
        uplink.send_records(vec![record]).await?;
        let heard = uplink.listen(|heard| !heard.refusals.is_empty()).await?;
        let reason = heard.refusals[0].reason();
        ensure!(
            reason == RefusalReason::Forged && heard.receipts.is_empty(),
            "{what}: {heard:?}"
        );
    }
    // A cut record and plain noise are malformed.
    for record in [good[..good.len() - 1].to_vec(), vec![0xA5; 300], Vec::new()] {
        uplink.send_records(vec![record]).await?;
        let heard = uplink.listen(|heard| !heard.refusals.is_empty()).await?;
        ensure!(
            heard.refusals[0].reason() == RefusalReason::Malformed,
            "{heard:?}"
        );
    }
    // A context that nobody opened here.
    let (_, mut stranger) = small.gateway.open_context(&assignment, small.clock.now())?;
    let unknown = seal_readings(&mut stranger, &heart_rates(small.clock.now(), &[72]))?;
    uplink.send_records(unknown).await?;
    let heard = uplink.listen(|heard| !heard.refusals.is_empty()).await?;
    ensure!(
        heard.refusals[0].reason() == RefusalReason::UnknownContext,
        "{heard:?}"
    );
    // The negative control: untouched records of the same context pass.
    uplink.send_records(vec![good, other]).await?;
    let heard = uplink
        .listen(|heard| receipted(&heard.receipts) >= 2)
        .await?;
    ensure!(heard.refusals.is_empty(), "{heard:?}");
    let status = small.applied(2).await?;
    ensure!(
        status["refused"]["forged"].as_u64() >= Some(3),
        "refusals are counted by reason: {status}"
    );
    Ok(())
}

#[tokio::test]
async fn a_gateway_cannot_write_for_another() -> Result<()> {
    let small = Small::new().await?;
    let (_own, assignment) = small.uplink().await?;
    let (token, _) = small.centre.token("another")?;
    let another =
        e2e::hand::HandGateway::enrol(small.centre.ready()?.grpc, &token, small.clock).await?;
    let mut uplink = another.connect().await?;
    // Another gateway that learned stream and key opens a context for them, properly signed by itself.
    let (header, mut sealer) = another.open_context(&assignment, small.clock.now())?;
    uplink.send(Up::OpenContext(header)).await?;
    let records = seal_readings(&mut sealer, &heart_rates(small.clock.now(), &[180]))?;
    uplink.send_records(records).await?;
    let heard = uplink.listen(|heard| heard.refusals.len() >= 2).await?;
    ensure!(
        heard.refusals[0].reason() == RefusalReason::NotAssigned,
        "{heard:?}"
    );
    ensure!(
        heard.receipts.is_empty() && heard.admitted.is_empty(),
        "{heard:?}"
    );
    // It replays the first gateway's own header: the header names another gateway than the certificate does.
    let (header, mut sealer) = small.gateway.open_context(&assignment, small.clock.now())?;
    let records = seal_readings(&mut sealer, &heart_rates(small.clock.now(), &[64]))?;
    uplink.send(Up::OpenContext(header)).await?;
    uplink.send_records(records).await?;
    let heard = uplink.listen(|heard| heard.refusals.len() >= 2).await?;
    ensure!(
        heard.refusals[0].reason() == RefusalReason::HeaderInvalid,
        "{heard:?}"
    );
    ensure!(
        heard.receipts.is_empty() && heard.admitted.is_empty(),
        "{heard:?}"
    );
    let twin = small.client.twin(&small.patient).await?;
    let wrong = twin.channels.iter().any(|channel| channel.value.is_some());
    ensure!(!wrong, "another gateway's reading reached the twin");
    Ok(())
}

#[tokio::test]
async fn what_opens_but_makes_no_sense_is_journaled_and_counted() -> Result<()> {
    let small = Small::new().await?;
    let (mut uplink, assignment) = small.uplink().await?;
    let (header, mut sealer) = small.gateway.open_context(&assignment, small.clock.now())?;
    uplink.send(Up::OpenContext(header)).await?;
    let now = small.clock.now();
    let label = |number| proto::seal::Label {
        number,
        lane: proto::seal::Lane::Vitals,
        source: 1,
        count: 3,
        oldest: now,
        newest: now,
    };
    // Bytes that are no BatchBody, sealed properly.
    let nonsense = sealer.seal_encoded(&label(1), &[0xFF; 40])?;
    // A column whose lists have unequal lengths.
    let lame = proto::v1::Column {
        kind: 1,
        value_delta: vec![60, 1],
        first_effective_us: 1,
        ..Default::default()
    };
    let lame = sealer.seal(
        &label(2),
        &proto::v1::BatchBody {
            columns: vec![lame],
            ..Default::default()
        },
    )?;
    uplink.send_records(vec![nonsense, lame]).await?;
    let heard = uplink
        .listen(|heard| receipted(&heard.receipts) >= 2)
        .await
        .context("receipted although malformed")?;
    ensure!(heard.refusals.is_empty(), "{heard:?}");
    let status = small.applied(0).await?;
    ensure!(status["batches_journaled"] == 2, "{status}");
    // The centre goes on.
    let records = seal_readings(&mut sealer, &heart_rates(now, &[66]))?;
    uplink.send_records(records).await?;
    small.applied(1).await.map(drop)
}
