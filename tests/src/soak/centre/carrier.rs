//! One gateway with its patients: seals what they measure, sends it until it is receipted, and forgets it then.
//!
//! It goes on through everything: what is cut off is sent again, what is refused waits. Some of it is sent once more
//! after its receipt, and nothing goes in order for long. Promise: what a patient measured is a function of the number of
//! the batch ([`Wearer::batch`]), so that whoever judges needs no copy of it.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use prost::Message as _;
use proto::clock::Clock;
use proto::seal::{Sealer, parse_stub};
use proto::v1::centre_to_gateway::Kind as Down;
use proto::v1::gateway_to_centre::Kind as Up;
use proto::v1::{self, RefusalReason};
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tokio::sync::watch;
use vitals::{ContextId, Fixed, Kind, Quality, Reading, SourceId, Span, Time, Value};

use crate::hand::{HandGateway, seal_readings};
use crate::house::device;
use crate::line::{Doors, Line};

/// Readings in a batch.
pub(super) const READINGS: u64 = 10;
/// Records in a message, and those that may wait for a receipt.
const TOGETHER: usize = 24;
const WINDOW: usize = 96;
/// Records that one gateway keeps at most: then its patients are measured later.
const KEPT: usize = 4096;
/// Receipted ones that are sent once more where the orders say so.
const AGAIN: usize = 16;
/// Without a receipt for this long a record goes once more.
const PATIENCE: Duration = Duration::from_secs(20);
/// What was refused waits.
const REFUSED: Duration = Duration::from_secs(3);
/// Between two looks at who is due.
const TICK: Duration = Duration::from_millis(500);

/// What all carriers are told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Orders {
    pub(super) doors: Doors,
    /// Each change cuts lines: those of one carrier in so many.
    pub(super) cut: (u64, u64),
    /// Receipted records are sent once more.
    pub(super) again: bool,
    /// Nothing new is measured; who has delivered everything ends.
    pub(super) ends: bool,
    /// Readers read what is left, and end.
    pub(super) read_out: bool,
}

/// What the negative controls do in a carrier.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Planted {
    /// A record counts as delivered that was never sent.
    pub(super) loses: bool,
    /// A batch is sealed once more, as if it were measured anew.
    pub(super) doubles: bool,
}

/// A patient who wears something.
#[derive(Debug)]
pub(super) struct Wearer {
    pub(super) patient: String,
    /// The first reading, to the millisecond.
    begin: Time,
    /// Between two readings.
    step: Span,
    number: u64,
    sealed: u64,
    sealer: Option<(v1::OpenContext, Sealer)>,
}

impl Wearer {
    pub(super) const fn new(patient: String, number: u64, begin: Time, step: Span) -> Self {
        Self {
            patient,
            begin,
            step,
            number,
            sealed: 0,
            sealer: None,
        }
    }

    /// Batches so far.
    pub(super) const fn sealed(&self) -> u64 {
        self.sealed
    }

    /// When the last reading of a batch is measured.
    fn due(&self, batch: u64) -> Time {
        self.at((batch + 1) * READINGS - 1)
    }

    fn at(&self, reading: u64) -> Time {
        let micros = i64::try_from(reading).unwrap_or(0) * self.step.as_micros();
        self.begin + Span::from_micros(micros)
    }

    /// Milliseconds and value of each reading of a batch. One patient in two hundred has a slow heart now and then.
    pub(super) fn batch(&self, batch: u64) -> impl Iterator<Item = (Time, i64)> + '_ {
        let is_ill = self.number % 200 == 7 && batch % 8 >= 5;
        (0..READINGS).map(move |n| {
            let value = if is_ill { 34 } else { 62 + (batch + n) % 17 };
            let value = i64::try_from(value).unwrap_or(0);
            (self.at(batch * READINGS + n), value)
        })
    }
}

/// What a carrier counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    pub(super) receipted: u64,
    pub(super) sent_again: u64,
    pub(super) refused: u64,
    pub(super) lines: u64,
}

struct Kept {
    record: Vec<u8>,
    /// When it was sent by this line.
    sent: Option<Instant>,
    not_before: Option<Instant>,
}

pub(super) struct Carrier {
    pub(super) gateway: HandGateway,
    pub(super) number: u64,
    by_mqtt: bool,
    clock: Clock,
    pub(super) wearers: Vec<Wearer>,
    pub(super) sums: Sums,
    /// By context: which wearer.
    contexts: BTreeMap<ContextId, usize>,
    kept: BTreeMap<(ContextId, u64), Kept>,
    receipted: VecDeque<Vec<u8>>,
    dice: ChaCha8Rng,
    planted: Planted,
}

/// Why a line is left.
enum Left {
    Done,
    Cut,
}

impl Carrier {
    pub(super) fn new(
        gateway: HandGateway,
        number: u64,
        (wearers, clock): (Vec<Wearer>, Clock),
        (seed, planted): (u64, Planted),
    ) -> Self {
        Self {
            gateway,
            number,
            by_mqtt: number % 2 == 1,
            clock,
            wearers,
            sums: Sums::default(),
            contexts: BTreeMap::new(),
            kept: BTreeMap::new(),
            receipted: VecDeque::new(),
            dice: ChaCha8Rng::seed_from_u64(seed ^ (number << 20)),
            planted,
        }
    }

    /// Until the orders end it and everything is receipted.
    pub(super) async fn run(mut self, mut orders: watch::Receiver<Orders>) -> Result<Self> {
        loop {
            let doors = orders.borrow_and_update().doors;
            // Whatever breaks a line, the next one is tried.
            let left = match Line::open(&self.gateway, doors, self.by_mqtt).await {
                Ok(line) => self.session(line, &mut orders).await.unwrap_or(Left::Cut),
                Err(_) => Left::Cut,
            };
            if matches!(left, Left::Done) {
                return Ok(self);
            }
            let pause = self.dice.random_range(100..1500);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    async fn session(
        &mut self,
        mut line: Line,
        orders: &mut watch::Receiver<Orders>,
    ) -> Result<Left> {
        self.sums.lines += 1;
        for kept in self.kept.values_mut() {
            kept.sent = None;
        }
        self.open_contexts(&mut line).await?;
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut cut = orders.borrow().cut.0;
        loop {
            tokio::select! {
                said = line.next() => self.hear(said?, &line).await?,
                _ = ticks.tick() => {
                    let now = *orders.borrow();
                    if now.ends && self.kept.is_empty() {
                        return Ok(Left::Done);
                    }
                    if !now.ends {
                        self.measure()?;
                    }
                    if now.again {
                        self.send_again(&line).await?;
                    }
                }
                changed = orders.changed() => {
                    changed.context("nobody gives orders any more")?;
                    let (number, share) = orders.borrow_and_update().cut;
                    if number != std::mem::replace(&mut cut, number)
                        && (self.number + number).is_multiple_of(share)
                    {
                        return Ok(Left::Cut);
                    }
                }
            }
            self.send(&line).await?;
        }
    }

    /// The first line brings the assignments; each gets a context.
    async fn open_contexts(&mut self, line: &mut Line) -> Result<()> {
        if !self.contexts.is_empty() {
            return Ok(());
        }
        let assignments = loop {
            if let Down::Command(signed) = line.next().await? {
                let command = v1::Command::decode(signed.command.as_slice())?;
                if let Some(v1::command::Kind::Assignments(list)) = command.kind {
                    break list.assignments;
                }
            }
        };
        let mut of_device = BTreeMap::new();
        for assignment in &assignments {
            let device = assignment.devices.first().context("a device")?;
            of_device.insert(device.clone(), assignment);
        }
        let mut contexts = BTreeMap::new();
        for (place, wearer) in self.wearers.iter_mut().enumerate() {
            let device = device(wearer.number);
            let assignment = of_device.get(&device).context("an assignment a patient")?;
            let (header, sealer) = self.gateway.open_context(assignment, self.clock.now())?;
            contexts.insert(sealer.context(), place);
            wearer.sealer = Some((header.clone(), sealer));
        }
        self.contexts = contexts;
        for wearer in &self.wearers {
            if let Some((header, _)) = &wearer.sealer {
                line.send(Up::OpenContext(header.clone())).await?;
            }
        }
        Ok(())
    }

    /// Seals what is due.
    fn measure(&mut self) -> Result<()> {
        let now = self.clock.now();
        for place in 0..self.wearers.len() {
            while self.kept.len() < KEPT
                && self.wearers[place].due(self.wearers[place].sealed) <= now
            {
                self.seal(place, self.wearers[place].sealed)?;
                self.wearers[place].sealed += 1;
            }
        }
        if self.planted.doubles && self.wearers[0].sealed > 1 {
            self.planted.doubles = false;
            self.seal(0, 0)?;
        }
        Ok(())
    }

    fn seal(&mut self, place: usize, batch: u64) -> Result<()> {
        let wearer = &mut self.wearers[place];
        let measured: Vec<_> = wearer.batch(batch).collect();
        let (_, sealer) = wearer.sealer.as_mut().context("a context")?;
        // Numbers of readings follow those of batches, so that a batch sealed anew has new ones.
        let first = sealer.next_number() * READINGS;
        let reading = |(n, (at, value)): (u64, &(Time, i64))| Reading {
            kind: Kind::HeartRate,
            value: Value::Measured(Fixed(*value)),
            source: SourceId(1),
            sequence: first + n,
            effective: *at,
            received: *at,
            quality: Quality::GOOD,
            device: None,
        };
        let readings: Vec<_> = (0..).zip(&measured).map(reading).collect();
        let records = seal_readings(sealer, &readings)?;
        if batch > 0 && std::mem::take(&mut self.planted.loses) {
            return Ok(());
        }
        for record in records {
            let stub = parse_stub(&record)?;
            let kept = Kept {
                record,
                sent: None,
                not_before: None,
            };
            self.kept.insert((stub.context, stub.number), kept);
        }
        Ok(())
    }

    /// Sends what may go, as the dice order it.
    async fn send(&mut self, line: &Line) -> Result<()> {
        let now = Instant::now();
        for kept in self.kept.values_mut() {
            if kept.sent.is_some_and(|sent| now - sent > PATIENCE) {
                kept.sent = None;
            }
        }
        let waiting = self
            .kept
            .values()
            .filter(|kept| kept.sent.is_some())
            .count();
        let may = |kept: &&mut Kept| {
            kept.sent.is_none() && kept.not_before.is_none_or(|not_before| now >= not_before)
        };
        let room = WINDOW.saturating_sub(waiting);
        let mut records = Vec::new();
        for kept in self.kept.values_mut().filter(may).take(room) {
            kept.sent = Some(now);
            records.push(kept.record.clone());
        }
        if self.dice.random_range(0..3) == 0 {
            records.shuffle(&mut self.dice);
        }
        for some in records.chunks(TOGETHER) {
            let records = some.to_vec();
            line.send(Up::Batches(v1::SealedBatches { records }))
                .await?;
        }
        Ok(())
    }

    async fn send_again(&mut self, line: &Line) -> Result<()> {
        let records: Vec<_> = self.receipted.drain(..).collect();
        if !records.is_empty() {
            self.sums.sent_again += records.len() as u64;
            line.send(Up::Batches(v1::SealedBatches { records }))
                .await?;
        }
        Ok(())
    }

    async fn hear(&mut self, said: Down, line: &Line) -> Result<()> {
        match said {
            Down::Receipt(receipt) => {
                let context = ContextId::from_slice(&receipt.context).context("a context")?;
                for number in receipt.ranges.iter().flat_map(|of| of.first..=of.last) {
                    if let Some(kept) = self.kept.remove(&(context, number)) {
                        self.sums.receipted += 1;
                        if self.receipted.len() < AGAIN {
                            self.receipted.push_back(kept.record);
                        }
                    }
                }
            }
            Down::Refusal(refusal) => self.refused(&refusal, line).await?,
            Down::Command(_) | Down::ContextAdmitted(_) | Down::PieceTaken(_) => {}
        }
        Ok(())
    }

    async fn refused(&mut self, refusal: &v1::Refusal, line: &Line) -> Result<()> {
        self.sums.refused += 1;
        let later = Some(Instant::now() + REFUSED);
        let context = ContextId::from_slice(&refusal.context);
        let named = context.and_then(|context| self.kept.get_mut(&(context, refusal.number)));
        match named {
            Some(kept) => (kept.sent, kept.not_before) = (None, later),
            // It says nothing of which: all wait.
            None => {
                for kept in self.kept.values_mut() {
                    (kept.sent, kept.not_before) = (None, later);
                }
            }
        }
        let unknown = refusal.reason() == RefusalReason::UnknownContext;
        let place = context.and_then(|context| self.contexts.get(&context));
        if unknown
            && let Some(place) = place
            && let Some((header, _)) = &self.wearers[*place].sealer
        {
            line.send(Up::OpenContext(header.clone())).await?;
        }
        Ok(())
    }
}
