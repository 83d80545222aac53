//! The soak of the centre: many simulated patients over some hundred gateways, both doors, and faults from a seed.
//!
//! * [`carrier`]: a gateway with its patients, by a line of either door.
//! * [`readers`]: readers with cursors, some slow.
//! * [`judge`]: PURE: what failed.
//!
//! The real program and the wall's clock. In the first half the centre is killed, stopped, frozen and put on a full disk;
//! its life in the second half is let go on, under cuts, repeats and slow readers, so that what grows shows; near the end
//! it is started anew, to see what its log alone makes it hold. At the end everything must be there: each reading of each
//! patient once in the history and counted once by the twin, readers where the twins are, and twins that are the same after
//! one more restart.

mod carrier;
mod judge;
mod readers;

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures_util::StreamExt as _;
use proto::clock::Clock;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tokio::sync::watch;
use tokio::task::JoinSet;
use vitals::Span;

use self::carrier::{Carrier, Orders, Planted, READINGS, Sums, Wearer};
use self::judge::{Found, compare};
use self::readers::{Reader, twins_now};
use super::sample::{Sample, append, bytes_below, taken};
use super::{Options, Plant};
use crate::centre::Centre;
use crate::client::{Client, Measurement, measurements};
use crate::house::{Home, furnish};
use crate::line::Doors;

/// Histories that are read at the same time.
const AT_ONCE: usize = 8;
/// Of the run: from here on the centre's life is let go on; and here it is started anew.
const MORTAL: f64 = 0.5;
const ANEW: f64 = 0.88;
/// Between two troubles, seconds, and as much again for each half hour of the run: a centre that is never left alone for as
/// long as its twins take to catch up makes no snapshot, and shows nothing of its memory.
const TROUBLE_S: std::ops::Range<u64> = 8..30;
const HALF_HOUR_S: u64 = 1800;
/// Minutes between snapshots: several in each life.
const SNAPSHOT_MINUTES: u64 = 1;
/// Longest wait for the last receipt, and for the twins behind it.
const DRAIN: Duration = Duration::from_secs(900);
/// A start on a loaded machine.
const START: Duration = Duration::from_secs(300);

/// Something bad.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Killed,
    Stopped,
    Full,
    Frozen,
    Cut,
    Again,
}

struct Run {
    options: Options,
    centre: Centre,
    orders: watch::Sender<Orders>,
    dice: ChaCha8Rng,
    began: Instant,
    found: Found,
    planted: Vec<Vec<u8>>,
}

/// Runs it and prints the verdict. True: nothing failed.
///
/// # Errors
/// When the harness itself fails.
pub(super) async fn run(options: Options) -> Result<bool> {
    if options.dir.exists() {
        std::fs::remove_dir_all(&options.dir).context("clearing the folder")?;
    }
    std::fs::create_dir_all(&options.dir).context("making the folder")?;
    let mut centre = Centre::init(&options.dir.join("centre"), &[])?;
    centre.set("snapshot_minutes", SNAPSHOT_MINUTES)?;
    centre.start().await?;
    let began = Instant::now();
    let carriers = enrol(&centre, &options)
        .await
        .context("while patients were added")?;
    let patients = carriers.iter().map(|of| of.wearers.len()).sum();
    eprintln!(
        "{patients} patients at {} gateways after {:?}",
        carriers.len(),
        began.elapsed()
    );
    let orders = Orders {
        doors: Doors::of(&centre)?,
        cut: (0, 1),
        again: false,
        ends: false,
        read_out: false,
    };
    let found = Found {
        patients,
        length: options.length(),
        ..Found::default()
    };
    let mut run = Run {
        dice: ChaCha8Rng::seed_from_u64(options.seed),
        orders: watch::channel(orders).0,
        began: Instant::now(),
        planted: Vec::new(),
        centre,
        options,
        found,
    };
    let mut sending = JoinSet::new();
    for carrier in carriers {
        sending.spawn(carrier.run(run.orders.subscribe()));
    }
    let (mut twins, mut alerts) = (JoinSet::new(), JoinSet::new());
    for number in 0..2 {
        twins.spawn(run.reader(number, number == 1).twins());
        alerts.spawn(run.reader(10 + number, false).alerts());
    }
    run.play().await.context("during the soak")?;
    run.drain(sending, twins, alerts)
        .await
        .context("while draining")?;
    println!("{}", run.found.text());
    Ok(run.found.failures().is_empty())
}

/// Gateways with patients, as operators add them.
async fn enrol(centre: &Centre, options: &Options) -> Result<Vec<Carrier>> {
    let clock = Clock::system();
    let patients = u32::try_from(options.patients)?;
    // A batch a patient in this time gives the rate that was asked for.
    let turn = Duration::from_secs(READINGS) * patients / options.rate;
    let step = Span::from_millis(i64::try_from(turn.as_millis())? / i64::try_from(READINGS)?);
    ensure!(
        step >= Span::from_millis(100),
        "--rate: at most ten readings a second and patient"
    );
    let homes = furnish(centre, options.patients, clock).await?;
    // Each patient begins at another moment of a turn.
    let start = clock.now().as_micros() / 1000 * 1000 + 5_000_000;
    let mut carriers = Vec::new();
    for Home {
        number,
        gateway,
        patients: wearers,
    } in homes
    {
        let wearers = wearers.into_iter().map(|(patient, of)| {
            let share = u128::from(of) * turn.as_millis() / u128::from(patients);
            let begin = start + i64::try_from(share).unwrap_or(0) * 1000;
            Wearer::new(patient, of, vitals::Time::from_micros(begin), step)
        });
        let planted = Planted {
            loses: options.plant == Some(Plant::Loss) && number == 0,
            doubles: options.plant == Some(Plant::Twice) && number == 0,
        };
        let seed = (options.seed, planted);
        carriers.push(Carrier::new(
            gateway,
            number,
            (wearers.collect(), clock),
            seed,
        ));
    }
    Ok(carriers)
}

impl Run {
    fn reader(&self, number: u64, is_slow: bool) -> Reader {
        Reader {
            identity: self.centre.dir().join("operator"),
            orders: self.orders.subscribe(),
            seed: self.options.seed ^ (number << 8),
            is_slow,
        }
    }

    async fn play(&mut self) -> Result<()> {
        let length = self.options.length();
        let (mut next_sample, mut next_trouble) = (Duration::ZERO, Duration::from_secs(10));
        let mut is_anew = false;
        loop {
            let at = self.began.elapsed();
            if at >= length {
                return Ok(());
            }
            if at >= next_sample {
                next_sample = at + self.options.sample_every();
                self.sample()?;
            }
            let share = at.as_secs_f64() / length.as_secs_f64();
            if share >= ANEW && !is_anew {
                is_anew = true;
                self.note("centre killed, to see what its log makes it hold");
                self.centre.kill()?;
                self.start().await?;
            }
            if at >= next_trouble && share < ANEW {
                let trouble = self.choose(share < MORTAL);
                self.hurt(trouble).await?;
                let pause = self.dice.random_range(TROUBLE_S);
                let pause = pause * (1 + length.as_secs() / HALF_HOUR_S);
                next_trouble = self.began.elapsed() + Duration::from_secs(pause);
            }
            if self.options.plant == Some(Plant::Leak) {
                self.planted.push(vec![1; 1 << 20]);
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    fn choose(&mut self, is_mortal: bool) -> Trouble {
        let most = if is_mortal { 10 } else { 5 };
        match self.dice.random_range(0..most) {
            0 | 1 => Trouble::Cut,
            2 | 3 => Trouble::Again,
            4 => Trouble::Frozen,
            5 => Trouble::Full,
            6 => Trouble::Stopped,
            _ => Trouble::Killed,
        }
    }

    fn note(&mut self, what: &'static str) {
        *self.found.troubles.entry(what).or_default() += 1;
        eprintln!("{:6.1} s {what}", self.began.elapsed().as_secs_f64());
    }

    async fn hurt(&mut self, trouble: Trouble) -> Result<()> {
        match trouble {
            Trouble::Killed => {
                self.note("centre killed");
                self.centre.kill()?;
                self.start().await
            }
            Trouble::Stopped => {
                self.note("centre stopped in order");
                self.centre.stop()?;
                self.start().await
            }
            Trouble::Full => {
                self.note("disk full, and the centre killed");
                self.centre.kill()?;
                // Less than it is: no page more.
                self.centre.set("journal_max_mib", 1)?;
                // It may not even start; nothing is receipted either way.
                if let Ok(ready) = self.centre.start_early().await {
                    let _ready = ready;
                    self.tell_doors()?;
                    tokio::time::sleep(Duration::from_secs(8)).await;
                    self.centre.kill()?;
                }
                self.centre.set("journal_max_mib", 0)?;
                self.start().await
            }
            Trouble::Frozen => {
                self.note("centre frozen for some seconds");
                let pid = self.centre.process()?.id().to_string();
                let seconds = self.dice.random_range(1..8);
                ensure!(
                    Command::new("kill")
                        .args(["-STOP", &pid])
                        .status()?
                        .success()
                );
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                ensure!(
                    Command::new("kill")
                        .args(["-CONT", &pid])
                        .status()?
                        .success()
                );
                Ok(())
            }
            Trouble::Cut => {
                self.note("lines cut");
                let share = self.dice.random_range(1..5);
                self.orders
                    .send_modify(|orders| orders.cut = (orders.cut.0 + 1, share));
                Ok(())
            }
            Trouble::Again => {
                self.note("receipted batches sent again for a while, or no more");
                self.orders
                    .send_modify(|orders| orders.again = !orders.again);
                Ok(())
            }
        }
    }

    fn tell_doors(&self) -> Result<()> {
        let doors = Doors::of(&self.centre)?;
        self.orders.send_modify(|orders| orders.doors = doors);
        Ok(())
    }

    /// Starts the centre, whose doors are open before its twins are current.
    async fn start(&mut self) -> Result<()> {
        self.centre.start_early().await?;
        self.tell_doors()
    }

    fn sample(&mut self) -> Result<()> {
        let mut processes = BTreeMap::new();
        let centre = self.centre.process()?.id();
        for (who, pid) in [("centre", centre), ("soak", std::process::id())] {
            processes.extend(taken(pid).map(|taken| (who.to_owned(), taken)));
        }
        let mut sample = Sample {
            at_s: self.began.elapsed().as_secs_f64(),
            troubles: self.found.troubles.values().sum(),
            processes,
            ..Sample::default()
        };
        sample.centre.store_bytes = bytes_below(self.centre.dir());
        append(&self.options.dir.join("samples.jsonl"), &sample)?;
        self.found.samples.push(sample);
        Ok(())
    }

    async fn drain(
        &mut self,
        sending: JoinSet<Result<Carrier>>,
        twins: JoinSet<readers::Saw>,
        alerts: JoinSet<crate::watcher::Record>,
    ) -> Result<()> {
        self.orders.send_modify(|orders| orders.ends = true);
        let delivering = tokio::time::timeout(DRAIN, sending.join_all()).await;
        let carriers = delivering.context("not everything was receipted")?;
        let carriers = carriers.into_iter().collect::<Result<Vec<_>>>()?;
        let mut sums = Sums::default();
        for carrier in &carriers {
            sums.receipted += carrier.sums.receipted;
            sums.sent_again += carrier.sums.sent_again;
            sums.refused += carrier.sums.refused;
            sums.lines += carrier.sums.lines;
            for wearer in &carrier.wearers {
                let readings = wearer.sealed() * READINGS;
                self.found.measured += readings;
                self.found.expected.insert(wearer.patient.clone(), readings);
            }
        }
        self.found.sums = sums;
        eprintln!("everything is receipted");
        let client = self.current().await?;
        self.found.delivered = self.settled(&client).await?;
        self.orders.send_modify(|orders| orders.read_out = true);
        self.found.readers = twins.join_all().await;
        self.found.alerts = alerts.join_all().await;
        self.found.read_out = twins_now(&client).await?;
        self.centre.kill()?;
        self.start().await?;
        let client = self.current().await?;
        self.found.anew = twins_now(&client).await?;
        eprintln!("started once more; now {} histories", self.found.patients);
        let wearers = carriers.iter().flat_map(|carrier| &carrier.wearers);
        let compared = wearers.map(|wearer| {
            let client = client.clone();
            async move {
                let batches = 0..wearer.sealed();
                let measured = batches.flat_map(|batch| wearer.batch(batch));
                let measured: Vec<_> = measured
                    .map(|(at, value)| (at.as_micros(), value))
                    .collect();
                let there = read_back(&client, &wearer.patient).await?;
                #[expect(clippy::cast_possible_truncation, reason = "whole beats")]
                let there = there
                    .iter()
                    .map(|(_, _, _, at, value, _)| (*at, f64::from_bits(*value) as i64));
                anyhow::Ok(compare(&measured, &there.collect::<Vec<_>>()))
            }
        });
        let mut compared = futures_util::stream::iter(compared).buffer_unordered(AT_ONCE);
        while let Some(of) = compared.next().await {
            let (missing, twice) = of?;
            self.found.missing += missing;
            self.found.twice += twice;
        }
        Ok(())
    }

    /// A line to a centre whose twins are current.
    async fn current(&mut self) -> Result<Client> {
        self.centre.wait_current(START).await?;
        self.centre.client().await
    }

    /// The twins once they count what was measured, or do not within the time for it.
    async fn settled(&self, client: &Client) -> Result<readers::Now> {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let now = twins_now(client).await?;
            let counted: u64 = now.values().map(|(.., counted)| counted).sum();
            if counted >= self.found.measured || Instant::now() > end {
                return Ok(now);
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    }
}

/// All readings of a patient, once the history has read what the journal holds.
async fn read_back(client: &Client, patient: &str) -> Result<Vec<Measurement>> {
    let end = Instant::now() + START;
    loop {
        let read = measurements(client, patient).await;
        let Err(error) = &read else { return read };
        let status = error.downcast_ref::<tonic::Status>();
        let later = status.is_some_and(|status| status.code() == tonic::Code::Unavailable);
        if !later || Instant::now() > end {
            return read;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
