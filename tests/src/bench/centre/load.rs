//! Gateways whose patients' readings are sealed in advance, so that it costs little while it is measured, and sent with a
//! window of receipts, as fast as they are taken or at a pace.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use prost::Message as _;
use proto::seal::Sealer;
use proto::v1;
use proto::v1::centre_to_gateway::Kind as Down;
use proto::v1::gateway_to_centre::Kind as Up;
use vitals::Time;

use super::worn::Worn;
use crate::hand::{HandGateway, seal_readings};
use crate::house::{Home, device};
use crate::line::{Doors, Line};

/// Records of one gateway that may wait for a receipt.
const WINDOW: u64 = 256;
/// Patients whose contexts are opened before the centre's answers are read.
const OPENED: usize = 64;

/// A gateway with the line that it holds.
#[derive(Debug)]
pub(super) struct Sender {
    gateway: HandGateway,
    line: Option<Line>,
    wearers: Vec<(u64, v1::OpenContext, Sealer, Worn)>,
}

/// Messages of one gateway: records each.
pub(super) type Messages = Vec<Vec<Vec<u8>>>;

/// How a load is cut into records and messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Readings in a record.
    pub(super) readings: usize,
    /// Records a patient.
    pub(super) records: usize,
    /// Records in a message.
    pub(super) together: usize,
}

impl Sender {
    /// Opens a context for each patient, by gRPC.
    pub(super) async fn open(home: Home, doors: Doors) -> Result<Self> {
        let mut line = Line::open(&home.gateway, doors, false).await?;
        let assignments = assignments(&mut line).await?;
        let by_device: BTreeMap<&str, &v1::Assignment> = assignments
            .iter()
            .flat_map(|of| of.devices.iter().map(move |device| (device.as_str(), of)))
            .collect();
        let mut wearers = Vec::with_capacity(home.patients.len());
        for (_, number) in &home.patients {
            let assignment = by_device
                .get(device(*number).as_str())
                .context("an assignment a patient")?;
            let from = Time::from_micros(assignment.effective_from_us);
            let (header, sealer) = home.gateway.open_context(assignment, from)?;
            wearers.push((*number, header, sealer, Worn::new(*number, from)));
        }
        for some in wearers.chunks(OPENED) {
            for (_, header, _, _) in some {
                line.send(Up::OpenContext(header.clone())).await?;
            }
            let mut admitted = 0;
            while admitted < some.len() {
                match line.next().await? {
                    Down::ContextAdmitted(_) => admitted += 1,
                    Down::Refusal(refusal) => bail!("refused: {refusal:?}"),
                    Down::Command(_) | Down::Receipt(_) | Down::PieceTaken(_) => {}
                }
            }
        }
        Ok(Self {
            gateway: home.gateway,
            line: Some(line),
            wearers,
        })
    }

    /// Another line, by the door that is wanted. The centre knows the contexts.
    pub(super) async fn reopen(&mut self, doors: Doors, by_mqtt: bool) -> Result<()> {
        self.line = None;
        let mut line = Line::open(&self.gateway, doors, by_mqtt).await?;
        assignments(&mut line).await?;
        self.line = Some(line);
        Ok(())
    }

    /// Seals what all patients measure next, patients in turn.
    pub(super) fn seal(&mut self, shape: Shape) -> Result<Messages> {
        let mut records = Vec::new();
        for _ in 0..shape.records {
            for (_, _, sealer, worn) in &mut self.wearers {
                records.extend(seal_readings(sealer, &worn.next(shape.readings))?);
            }
        }
        let mut records = records.into_iter();
        let mut messages = Vec::new();
        loop {
            let message: Vec<_> = records.by_ref().take(shape.together).collect();
            if message.is_empty() {
                return Ok(messages);
            }
            messages.push(message);
        }
    }

    /// Sends all, at most one message in `every`; returns when the last one is receipted.
    pub(super) async fn send(&mut self, messages: Messages, every: Option<Duration>) -> Result<()> {
        let line = self.line.as_mut().context("a line")?;
        let (mut sent, mut receipted) = (0, 0);
        let all: u64 = messages.iter().map(|message| message.len() as u64).sum();
        let mut messages = messages.into_iter().peekable();
        let begin = Instant::now();
        let mut count = 0;
        while receipted < all {
            let due = begin + every.unwrap_or_default() * count;
            let may_send = messages.peek().is_some() && sent - receipted < WINDOW;
            if may_send && due <= Instant::now() {
                let records = messages.next().context("one that was looked at")?;
                sent += records.len() as u64;
                count += 1;
                line.send(Up::Batches(v1::SealedBatches { records }))
                    .await?;
                continue;
            }
            // A receipt, or the next one's moment.
            let until = if may_send {
                due
            } else {
                Instant::now() + Duration::from_secs(60)
            };
            match tokio::time::timeout_at(until.into(), line.next()).await {
                Ok(Ok(Down::Receipt(receipt))) => {
                    receipted += receipt
                        .ranges
                        .iter()
                        .map(|of| of.last - of.first + 1)
                        .sum::<u64>();
                }
                Ok(Ok(Down::Refusal(refusal))) => bail!("refused: {refusal:?}"),
                Ok(Ok(Down::Command(_) | Down::ContextAdmitted(_) | Down::PieceTaken(_))) => {}
                Ok(Err(error)) => return Err(error),
                Err(_) => ensure!(may_send, "no receipt for a minute: {receipted} of {all}"),
            }
        }
        Ok(())
    }
}

/// What the centre sends after hello.
async fn assignments(line: &mut Line) -> Result<Vec<v1::Assignment>> {
    loop {
        if let Down::Command(signed) = line.next().await? {
            let command = v1::Command::decode(signed.command.as_slice())?;
            if let Some(v1::command::Kind::Assignments(list)) = command.kind {
                return Ok(list.assignments);
            }
        }
    }
}
