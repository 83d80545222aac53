//! A sensor that the wrong person wore, by the commands that an operator has: what is void leaves history, export, sums and
//! waveforms, at one moment that every start finds again.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::hand::heart_rates;
use e2e::wait::wait_for;
use proto::seal::{Label, Lane, Sealer};
use proto::v1::gateway_to_centre::Kind as Up;
use proto::v1::{BatchBody, DeviceReport, LinkState, WaveformRequest};
use proto::wire::{split_to_fit, split_waveforms};
use serde_json::Value;
use vitals::gatt::Decimal;
use vitals::{Quality, Reading, SourceId, Span, Time, Wave, Waveform};

use crate::support::{ADDRESS, Small};

const MINUTE: i64 = 60;

fn seal(sealer: &mut Sealer, readings: &[Reading]) -> Result<Vec<u8>> {
    let batch = split_to_fit(readings, 300).remove(0);
    let label = Label {
        number: sealer.next_number(),
        lane: Lane::Vitals,
        source: batch.source.0,
        count: batch.count,
        oldest: batch.oldest,
        newest: batch.newest,
    };
    let mut body = batch.into_body();
    body.devices.push(DeviceReport {
        source: 1,
        address: ADDRESS.into(),
        link: LinkState::Connected.into(),
        since_us: readings[0].received.as_micros(),
        ..DeviceReport::default()
    });
    sealer.seal(&label, &body).context("it fits")
}

/// A second of ECG.
fn seal_ecg(sealer: &mut Sealer, sequence: u64, start: Time) -> Result<Vec<u8>> {
    let block = Waveform {
        wave: Wave::Ecg,
        source: SourceId(1),
        sequence,
        start,
        received: start + Span::from_secs(1),
        rate_millihertz: 130_000,
        channels: 1,
        step: Decimal {
            mantissa: 1,
            exponent: 0,
        },
        numbers: (0..130).collect(),
        quality: Quality::GOOD,
    };
    let batch = split_waveforms(&[block]).remove(0);
    let label = Label {
        number: sealer.next_number(),
        lane: Lane::Waveform,
        source: batch.source.0,
        count: batch.count,
        oldest: batch.oldest,
        newest: batch.newest,
    };
    let body: BatchBody = batch.into_body();
    sealer.seal(&label, &body).context("it fits")
}

fn at(time: Time) -> String {
    let time = jiff::Timestamp::from_microsecond(time.as_micros());
    time.expect("a time of this age").to_string()
}

/// Values in an export, by patient.
fn values(text: &str, patient: &str) -> Result<Vec<f64>> {
    let mut values = Vec::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line)?;
        if line["patient"] == patient {
            values.extend(line["value"].as_f64());
        }
    }
    Ok(values)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_wore_is_voided_by_command_and_gone_from_everything_but_the_past() -> Result<()>
{
    let mut small = Small::new().await?;
    let other = small.centre.add_patient("Other")?;
    let (up, assignment) = small.uplink().await?;
    let patient = small.patient.clone();
    let now = small.clock.now();
    let begin = Time::from_micros(assignment.effective_from_us.max(now.as_micros()));
    let (header, mut sealer) = small.gateway.open_context(&assignment, begin)?;
    up.send(Up::OpenContext(header)).await?;
    // Five minutes from now on: what a gateway with a clock that is a little ahead sends.
    let mut readings = heart_rates(begin, &[70; 60]);
    readings.extend(heart_rates(begin + Span::from_secs(MINUTE), &[34; 60]));
    for (reading, sequence) in readings.iter_mut().zip(0..) {
        reading.sequence = sequence;
    }
    let mut records = Vec::new();
    for some in readings.chunks(40) {
        records.push(seal(&mut sealer, some)?);
    }
    for second in [10, 70] {
        let sequence = u64::from(second > 60);
        records.push(seal_ecg(
            &mut sealer,
            sequence,
            begin + Span::from_secs(second),
        )?);
    }
    up.send_records(records).await?;
    small.applied(120).await?;

    let export = |name: &str| -> Result<String> {
        let out = small.centre.dir().join(name);
        let to = at(begin + Span::from_secs(10 * MINUTE));
        let path = out.to_string_lossy().into_owned();
        small
            .centre
            .cli(&["export", "--identified", "--out", &path, "--to", &to])?;
        std::fs::read_to_string(&out).context(path)
    };
    let before = export("before.ndjson")?;
    ensure!(values(&before, &patient)?.len() == 120, "control: {before}");
    let said = small.centre.cli(&["patient", "voids", &patient])?;
    ensure!(said.contains("nothing was voided"), "{said}");

    let (from, to) = (
        begin + Span::from_secs(MINUTE),
        begin + Span::from_secs(3 * MINUTE),
    );
    let said = small.centre.cli(&[
        "patient",
        "void",
        &patient,
        "--device",
        ADDRESS,
        "--from",
        &at(from),
        "--to",
        &at(to),
        "--to-patient",
        &other,
        "--reason",
        "beds were changed",
    ])?;
    ensure!(
        said.contains("60 readings are void, 60 of them moved"),
        "{said}"
    );
    let settled = wait_for("a settled void", Duration::from_secs(20), async || {
        let listed: Value = serde_json::from_str(
            &small
                .centre
                .cli(&["patient", "voids", &patient, "--json"])?,
        )?;
        let void = listed["voids"][0].clone();
        Ok((void["settled_position"].as_u64() > Some(0)).then_some(void))
    })
    .await?;
    ensure!(settled["reason"] == "beds were changed", "{settled}");
    ensure!(
        settled["devices"][0] == ADDRESS && settled["to_patient"] == other,
        "{settled}"
    );
    ensure!(
        settled["from_us"].as_i64() == Some(from.as_micros()),
        "{settled}"
    );
    let said = small.centre.cli(&["patient", "voids", &patient])?;
    ensure!(
        said.contains("nothing rests on them") && said.contains("beds were changed"),
        "{said}"
    );

    let after = export("after.ndjson")?;
    ensure!(
        values(&after, &patient)? == [70.0; 60],
        "only the patient's own are left: {after}"
    );
    ensure!(
        values(&after, &other)? == [34.0; 60],
        "the other's are there: {after}"
    );
    let request = WaveformRequest {
        patient: patient.clone(),
        waves: vec![Wave::Ecg.wire()],
        from_us: 0,
        to_us: i64::MAX,
    };
    let mut chunks = small
        .client
        .history()
        .waveforms(request)
        .await?
        .into_inner();
    let mut starts = Vec::new();
    while let Some(chunk) = chunks.message().await? {
        starts.extend(chunk.blocks.iter().map(|block| block.start_us));
    }
    let own = begin + Span::from_secs(10);
    ensure!(
        starts == [own.as_micros()],
        "one block of ECG is left: {starts:?}"
    );

    // The same, bit for bit, wherever the log is read again.
    let position = settled["settled_position"].as_u64().context("a position")?;
    let rebuilt = |at: u64| {
        small
            .centre
            .cli(&["rebuild", &patient, "--at", &at.to_string()])
    };
    let hash = |text: &str| {
        let words: Vec<_> = text.split_whitespace().collect();
        let place = words.iter().position(|word| *word == "hash")?;
        words
            .get(place + 1)
            .map(|hash| hash.trim_end_matches(',').to_owned())
    };
    let twin = hash(&rebuilt(position)?).context("a hash")?;
    ensure!(
        hash(&rebuilt(position - 1)?) != Some(twin.clone()),
        "control: there it changes"
    );
    small.centre.kill()?;
    small.centre.start().await?;
    let again: Value = serde_json::from_str(
        &small
            .centre
            .cli(&["patient", "voids", &patient, "--json"])?,
    )?;
    ensure!(again["voids"][0] == settled, "{again}");
    Ok(())
}
