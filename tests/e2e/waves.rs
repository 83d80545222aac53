//! An ECG from the strap to the history: each sample, without a seam; and when the buffer is full, the waveforms go
//! first, declared, and every scalar reading stays.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use e2e::client::Client;
use e2e::gateway::Uplink;
use e2e::wait::wait_for;
use proto::v1;
use vitals::gatt::{Characteristic, PmdData, PmdFrame, PmdType};
use vitals::{Kind, Span, Time, Wave};

use crate::paths::{LONG, quiet_world};

/// A block of the history: when its first sample was, when the one after its last would be, its numbers.
#[derive(Debug)]
struct Block {
    start: Time,
    end: Time,
    numbers: Vec<i64>,
}

impl Block {
    fn of(block: &v1::Waveform) -> Self {
        let channels = usize::try_from(block.channels).unwrap_or(1).max(1);
        let mut numbers: Vec<i64> = Vec::new();
        for (place, delta) in block.number_delta.iter().enumerate() {
            let before = place.checked_sub(channels).map_or(0, |at| numbers[at]);
            numbers.push(before + delta);
        }
        let samples = i64::try_from(numbers.len() / channels).unwrap_or(0);
        let start = Time::from_micros(block.start_us);
        let length = samples * 1_000_000_000 / i64::from(block.rate_millihertz.max(1));
        let end = start + Span::from_micros(length);
        Self {
            start,
            end,
            numbers,
        }
    }
}

async fn blocks(client: &Client, patient: &str, wave: Wave) -> Result<Vec<Block>> {
    let request = v1::WaveformRequest {
        patient: patient.into(),
        waves: vec![wave.wire()],
        from_us: 0,
        to_us: i64::MAX,
    };
    let mut chunks = client.history().waveforms(request).await?.into_inner();
    let mut blocks = Vec::new();
    while let Some(chunk) = chunks.message().await? {
        blocks.extend(chunk.blocks.iter().map(Block::of));
    }
    blocks.sort_by_key(|block| block.start);
    Ok(blocks)
}

fn numbers(blocks: &[Block]) -> Vec<i64> {
    blocks.iter().flat_map(|one| one.numbers.clone()).collect()
}

/// What the strap sent of a stream, by its own books.
fn sent(trace: &Path, wanted: PmdType) -> Result<Vec<i64>> {
    let data = Characteristic::PolarData.uuid();
    let mut all = Vec::new();
    for line in std::fs::read_to_string(trace)?.lines() {
        let line: serde_json::Value = serde_json::from_str(line)?;
        let uuid = line["characteristic"].as_str().context("a UUID")?;
        if u128::from_str_radix(&uuid.replace('-', ""), 16)? != data {
            continue;
        }
        let hex = line["hex"].as_str().context("octets")?;
        let pairs = (0..hex.len()).step_by(2).map(|at| &hex[at..at + 2]);
        let octets: Result<Vec<u8>, _> = pairs.map(|pair| u8::from_str_radix(pair, 16)).collect();
        let octets = octets.context("hexadecimal")?;
        let frame = PmdFrame::decode(&octets)?;
        if let (true, PmdData::Samples { values, .. }) = (frame.what == wanted, frame.data) {
            all.extend(values.into_iter().map(i64::from));
        }
    }
    Ok(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ecg_is_in_the_history_sample_by_sample() -> Result<()> {
    let (_folder, mut world) = quiet_world("waves.toml", 10.0, Uplink::Grpc).await?;
    let home = world.gateway("home")?;
    home.configure("polar_streams = [\"ecg\"]\n")?;
    world.start()?;
    let client = world.centre.client().await?;
    let patient = world.patients["waves"].clone();
    let minute = 60 * 130;
    wait_for("a minute of ECG", LONG, async || {
        let ecg = blocks(&client, &patient, Wave::Ecg).await?;
        Ok((numbers(&ecg).len() >= minute).then_some(()))
    })
    .await?;
    let home = world.gateway("home")?;
    home.stop_wearables()?;
    home.stop_agent()?;
    let trace = home.trace();
    let ecg = blocks(&client, &patient, Wave::Ecg).await?;
    let truth = sent(&trace, PmdType::Ecg)?;
    ensure!(
        numbers(&ecg) == truth,
        "{} samples of the {} that were sent, or others",
        numbers(&ecg).len(),
        truth.len()
    );
    ensure!(
        truth.iter().any(|microvolt| *microvolt > 500),
        "control: no heart beats in it"
    );
    // Without a seam: each block begins where the one before ends, but for how unsteadily frames arrive.
    let unsteady = Span::from_secs(2).as_micros();
    for pair in ecg.windows(2) {
        let seam = pair[1].start.since(pair[0].end).as_micros();
        ensure!(seam.abs() < unsteady, "a seam of {seam} us");
    }
    let (first, last) = (ecg.first().context("some")?, ecg.last().context("some")?);
    let seconds = last.end.since(first.start).as_secs_f64();
    let rate = f64::from(u32::try_from(truth.len())?) / seconds;
    ensure!((rate - 130.0).abs() < 6.0, "{rate} samples a second");
    // A lane of its own: the heart rate is told beside it, and no sample is a reading.
    let readings = e2e::client::dated_readings(&client, &patient, Kind::HeartRate).await?;
    ensure!(readings.len() > 30, "{} heart rates", readings.len());
    let decoded = world.gateway("home")?.count("/readings_decoded");
    ensure!(
        decoded < truth.len() as u64 / 10,
        "{decoded} scalar readings beside {} samples",
        truth.len()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_buffer_gives_up_waveforms_first_and_declares_them() -> Result<()> {
    let (_folder, mut world) = quiet_world("waves.toml", 20.0, Uplink::Grpc).await?;
    let home = world.gateway("home")?;
    let streams = "polar_streams = [\"ecg\", \"acceleration\"]\n";
    home.configure(streams)?;
    world.start()?;
    let home = world.gateway("home")?;
    home.wait_decoded(50, LONG).await?;
    home.stop_agent()?;
    ensure!(
        home.count("/readings_dropped/buffer_full") == 0,
        "control: with the line nothing is dropped"
    );
    // The centre is away, and the disk has no room to give: the buffer may hold what it holds, or 64 KiB.
    home.configure(&format!(
        "{streams}grpc_address = \"localhost:1\"\nkeep_free_bytes = 1000000000000000\n"
    ))?;
    home.start_agent()?;
    wait_for("a full buffer", LONG, async || {
        Ok((home.count("/readings_dropped/buffer_full") > 0).then_some(()))
    })
    .await?;
    home.stop_wearables()?;
    home.stop_agent()?;
    let dropped = home.count("/readings_dropped/buffer_full");
    home.configure("")?;
    home.start_agent()?;
    wait_for("the backlog to arrive", LONG, async || {
        let status = home.status().unwrap_or_default();
        let drained = status["buffer"]["records"] == 0 && status["connected"] == true;
        Ok(drained.then_some(()))
    })
    .await?;
    home.stop_agent()?;
    let (trace, decoded) = (home.trace(), home.count("/readings_decoded"));
    let status = world.centre.status()?;
    let count = |field: &str| status[field].as_u64().unwrap_or(0);
    ensure!(
        count("readings_declared_lost") == dropped && count("losses_of_unknown_size") == 0,
        "{dropped} blocks dropped: {status}"
    );
    ensure!(
        count("readings_applied") + count("readings_quarantined") == decoded,
        "{decoded} scalar readings decoded, and one was dropped: {status}"
    );
    let client = world.centre.client().await?;
    let patient = world.patients["waves"].clone();
    let ecg = blocks(&client, &patient, Wave::Ecg).await?;
    let truth = sent(&trace, PmdType::Ecg)?.len();
    ensure!(
        numbers(&ecg).len() < truth,
        "control: some of the {truth} samples are gone"
    );
    Ok(())
}
