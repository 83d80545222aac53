//! What the page takes with many patients whose values change each second, how soon an alert is heard, and the same rows polled.
//!
//! The centre, simulated patients at gateways by hand and a headless Chromium (`tests/browser/bench.mjs`) run on this machine. Now
//! and then the heart of one of the patients slows down until its alert is raised and heard, and is answered then. Promise: the
//! time to the sound begins at the alert's own entry in the log, before that is durable, and ends where the page begins the burst;
//! what the sound card adds is not in it.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use proto::clock::Clock;
use proto::seal::{Label, Lane, Sealer};
use proto::v1::centre_to_gateway::Kind as Down;
use proto::v1::gateway_to_centre::Kind as Up;
use proto::v1::{self, alert_event};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::centre::Centre;
use crate::client::Client;
use crate::demo::summary::Percentiles;
use crate::hand::{HandGateway, HandUplink, heart_rates, seal_readings};

/// Patients of one gateway.
const EACH: usize = 250;
/// Records in one message.
const TOGETHER: usize = 50;
/// Between two patients whose heart slows down.
const STAGGER: Duration = Duration::from_secs(4);
/// A gateway says so often that it lives, ticks of a second.
const HEARTBEAT: u64 = 60;
/// What is not heard by then is told as such.
const HEARD: f64 = 5_000.0;

/// Runs it and prints the figures.
///
/// # Errors
/// When a process fails.
pub async fn run(patients: usize, minutes: u64) -> Result<()> {
    ensure!(patients > 0, "at least one patient");
    let folder = tempfile::tempdir()?;
    let began = Instant::now();
    let started = epoch_ms();
    let mut centre = Centre::init(&folder.path().join("centre"), &[])?;
    // One connection brings the readings of hundreds of homes.
    centre.set("gateway_kib_per_s", 0)?;
    centre.start().await?;
    centre.cli(&["person", "add", "Bench", "--role", "supervisor"])?;
    let client = centre.client().await?;
    let low: Arc<Vec<AtomicBool>> =
        Arc::new((0..patients).map(|_| AtomicBool::new(false)).collect());
    let counts = Arc::new(Counts::default());
    let first = Home::new(&centre, &client, 0..1).await?;
    let mut homes = vec![tokio::spawn(
        first.0.run(Arc::clone(&low), Arc::clone(&counts)),
    )];
    let mut numbers = first.1;
    let mut browser = Browser::open(&centre)?;
    let shown = browser.first().await?;
    println!(
        "first patient on screen: {:.1} s after the start of a fresh centre, {:.1} s of that the browser's own (aim: 60)",
        (shown - started) / 1e3,
        (shown - browser.opened) / 1e3
    );
    for begin in (1..patients).step_by(EACH) {
        let range = begin..(begin + EACH).min(patients);
        let (home, more) = Home::new(&centre, &client, range).await?;
        numbers.extend(more);
        homes.push(tokio::spawn(
            home.run(Arc::clone(&low), Arc::clone(&counts)),
        ));
    }
    println!(
        "{patients} patients, each with a new value every second, after {:.0?}",
        began.elapsed()
    );
    browser.ask("axe").await?;
    browser.ask("lighthouse").await?;
    let alerts = tokio::spawn(alerts(
        centre.client().await?,
        numbers,
        Arc::clone(&low),
        Arc::clone(&browser.bursts),
    ));
    let (from, at) = (counts.receipted(), Instant::now());
    browser
        .ask(&format!("watch {}", (minutes * 60).max(20)))
        .await?;
    let rate = (counts.receipted() - from) / at.elapsed().as_secs_f64();
    println!("readings that came through meanwhile: {rate:.0} a second of {patients}");
    let seconds = (minutes * 60 / 4).clamp(10, 60);
    browser.ask(&format!("bytes {seconds}")).await?;
    browser.ask(&format!("poll {seconds}")).await?;
    alerts.abort();
    if let Ok(Err(error)) = alerts.await {
        return Err(error.context("the alerts"));
    }
    heard(&browser.raised());
    browser.end().await?;
    for home in homes {
        if home.is_finished() {
            home.await??;
        } else {
            home.abort();
        }
    }
    centre.stop()
}

fn heard(raised: &[(f64, Option<f64>)]) {
    let sample: Vec<f64> = raised.iter().filter_map(|(_, heard)| *heard).collect();
    let missed = raised.len() - sample.len();
    if sample.is_empty() {
        println!("from alert to sound: no alert was heard in this time, {missed} were not");
        return;
    }
    let (count, of) = (sample.len(), Percentiles::of(sample));
    println!(
        "from an alert's entry to its sound: p50 {:.0} ms, p99 {:.0} ms of {count} alerts, {missed} not heard within {:.0} s of their own (aim: 250 ms)",
        of.p50,
        of.p99,
        HEARD / 1e3
    );
}

fn epoch_ms() -> f64 {
    Clock::system().now().as_micros() as f64 / 1e3
}

/// Readings that came through.
#[derive(Debug, Default)]
struct Counts(Mutex<u64>);

impl Counts {
    fn add(&self, more: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += more;
    }

    fn receipted(&self) -> f64 {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) as f64
    }
}

/// A gateway with its patients.
struct Home {
    uplink: HandUplink,
    patients: Vec<(usize, Sealer, u64)>,
}

impl Home {
    /// Patients of these numbers, and what the centre calls them.
    async fn new(
        centre: &Centre,
        client: &Client,
        numbers: std::ops::Range<usize>,
    ) -> Result<(Self, BTreeMap<String, usize>)> {
        let clock = Clock::system();
        let (token, id) = centre.token("bench")?;
        let gateway = HandGateway::enrol(centre.ready()?.grpc, &token, clock).await?;
        let mut operator = client.operator();
        let (mut streams, mut names) = (BTreeMap::new(), BTreeMap::new());
        for number in numbers {
            let added = operator.add_patient(v1::AddPatientRequest {
                display_name: format!("Bench {number}"),
                test_data: true,
            });
            let patient = added.await?.into_inner().patient;
            let assigned = operator.assign(v1::AssignRequest {
                patient: patient.clone(),
                gateway: id.clone(),
                devices: vec![device(number)],
            });
            let assigned = assigned.await?.into_inner().assignment;
            streams.insert(assigned.context("an assignment")?.stream, number);
            names.insert(patient, number);
        }
        let mut uplink = gateway.connect().await?;
        let mut patients = Vec::new();
        for chunk in uplink.assignments().await?.chunks(TOGETHER) {
            for assignment in chunk {
                let (header, sealer) = gateway.open_context(assignment, clock.now())?;
                uplink.send(Up::OpenContext(header)).await?;
                let stream =
                    vitals::StreamId::from_slice(&assignment.stream).context("a stream")?;
                let number = *streams.get(&stream.to_string()).context("one of ours")?;
                patients.push((number, sealer, 0));
            }
            uplink
                .listen(|heard| heard.admitted.len() == chunk.len())
                .await?;
        }
        Ok((Self { uplink, patients }, names))
    }

    /// A reading a patient and second, for as long as this is wanted.
    async fn run(mut self, low: Arc<Vec<AtomicBool>>, counts: Arc<Counts>) -> Result<()> {
        let clock = Clock::system();
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        for tick in 0_u64.. {
            let due = ticks.tick().await + Duration::from_secs(1);
            let mut records = Vec::new();
            for (number, sealer, sequence) in &mut self.patients {
                let value = if low[*number].load(Ordering::Relaxed) {
                    25
                } else {
                    60 + i64::try_from((*sequence + *number as u64) % 17)?
                };
                let mut readings = heart_rates(clock.now(), &[value]);
                readings[0].sequence = *sequence;
                *sequence += 1;
                records.extend(seal_readings(sealer, &readings)?);
                if tick.is_multiple_of(HEARTBEAT) {
                    records.push(heartbeat(sealer, clock)?);
                }
            }
            for message in records.chunks(TOGETHER) {
                self.uplink.send_records(message.to_vec()).await?;
            }
            // Until the next second, or until nothing more comes.
            while let Ok(heard) = tokio::time::timeout_at(due, self.uplink.next()).await {
                match heard?.context("the centre ended the stream")? {
                    Down::Receipt(receipt) => {
                        let ranges = receipt.ranges.iter();
                        counts.add(ranges.map(|of| of.last - of.first + 1).sum());
                    }
                    Down::Refusal(refusal) => anyhow::bail!("refused: {refusal:?}"),
                    Down::Command(_) | Down::ContextAdmitted(_) | Down::PieceTaken(_) => {}
                }
            }
        }
        Ok(())
    }
}

fn heartbeat(sealer: &mut Sealer, clock: Clock) -> Result<Vec<u8>> {
    let now = clock.now();
    let label = Label {
        number: sealer.next_number(),
        lane: Lane::Vitals,
        source: 0,
        count: 0,
        oldest: now,
        newest: now,
    };
    let heartbeat = v1::Heartbeat {
        sent_us: now.as_micros(),
        ..Default::default()
    };
    let body = v1::BatchBody {
        heartbeat: Some(heartbeat),
        ..Default::default()
    };
    Ok(sealer.seal(&label, &body)?)
}

fn device(number: usize) -> String {
    let [.., a, b, c] = number.to_be_bytes();
    format!("C0:00:00:{a:02X}:{b:02X}:{c:02X}")
}

/// Bursts of the page, and when which alert was raised and heard, milliseconds.
#[derive(Debug, Default)]
struct Bursts {
    heard: Vec<f64>,
    raised: Vec<(f64, Option<f64>)>,
}

/// One heart after another slows down; its alert is answered once it was heard.
async fn alerts(
    client: Client,
    numbers: BTreeMap<String, usize>,
    low: Arc<Vec<AtomicBool>>,
    bursts: Arc<Mutex<Bursts>>,
) -> Result<()> {
    let request = v1::WatchAlertsRequest {
        priority_at_least: v1::Priority::High.into(),
        ..Default::default()
    };
    let mut stream = client.alerts().watch(request).await?.into_inner();
    let mut stagger = tokio::time::interval(STAGGER);
    let mut next = 0;
    loop {
        let event = tokio::select! {
            _ = stagger.tick() => {
                low[next % low.len()].store(true, Ordering::Relaxed);
                next += 1;
                continue;
            }
            event = stream.message() => event?.context("the centre ended the stream")?,
        };
        let Some(alert_event::Kind::Change(alert)) = event.kind else {
            continue;
        };
        let Some(number) = numbers.get(&alert.patient) else {
            continue;
        };
        if alert.state() != v1::AlertState::Active || !low[*number].swap(false, Ordering::Relaxed) {
            continue;
        }
        let (client, bursts) = (client.clone(), Arc::clone(&bursts));
        tokio::spawn(async move {
            let raised = alert.raised_us as f64 / 1e3;
            let heard = hear(&bursts, raised).await;
            let note = v1::AcknowledgeRequest {
                alert: alert.id,
                note: String::new(),
            };
            // It may have been over by itself.
            drop(client.alerts().acknowledge(note).await);
            let mut of = bursts.lock().unwrap_or_else(PoisonError::into_inner);
            of.raised.push((raised, heard));
        });
    }
}

/// How long after `raised` the page began a burst.
async fn hear(bursts: &Mutex<Bursts>, raised: f64) -> Option<f64> {
    let end = Instant::now() + Duration::from_secs(6);
    while Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let of = bursts.lock().unwrap_or_else(PoisonError::into_inner);
        let after = of.heard.iter().map(|burst| burst - raised);
        let first = after
            .filter(|after| (0.0..HEARD).contains(after))
            .reduce(f64::min);
        if first.is_some() {
            return first;
        }
    }
    None
}

/// The page in a browser.
struct Browser {
    child: Child,
    input: ChildStdin,
    lines: tokio::sync::mpsc::UnboundedReceiver<String>,
    bursts: Arc<Mutex<Bursts>>,
    opened: f64,
}

impl Browser {
    fn open(centre: &Centre) -> Result<Self> {
        let said = centre.cli(&["sign-in", "Bench"])?;
        let mut words = said.split_whitespace();
        let link = words.find(|word| word.starts_with("https://"));
        let opened = epoch_ms();
        let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/bench.mjs");
        let mut child = Command::new("node")
            .arg(script)
            .env("PAGE", centre.ready()?.page.trim_end_matches('/'))
            .env("SIGN_IN", link.context("a link")?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("node: `tests/run install` brings what the browser tests need")?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (to, lines) = tokio::sync::mpsc::unbounded_channel();
        let bursts = Arc::<Mutex<Bursts>>::default();
        tokio::spawn(read(output.context("its output")?, Arc::clone(&bursts), to));
        Ok(Self {
            child,
            input: input.context("its input")?,
            lines,
            bursts,
            opened,
        })
    }

    /// When the first patient was on screen.
    async fn first(&mut self) -> Result<f64> {
        let line = self.lines.recv().await.context("the browser ended")?;
        let at = line.strip_prefix("first ").context(line.clone())?;
        Ok(at.parse()?)
    }

    /// Has something measured, and prints what is said about it.
    async fn ask(&mut self, what: &str) -> Result<()> {
        self.input.write_all(format!("{what}\n").as_bytes()).await?;
        loop {
            let line = self.lines.recv().await.context("the browser ended")?;
            if line == "done" {
                return Ok(());
            }
            println!("{line}");
        }
    }

    fn raised(&self) -> Vec<(f64, Option<f64>)> {
        let of = self.bursts.lock().unwrap_or_else(PoisonError::into_inner);
        of.raised.clone()
    }

    async fn end(mut self) -> Result<()> {
        self.input.write_all(b"end\n").await?;
        let ended = tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await;
        ensure!(
            ended.context("the browser stays")??.success(),
            "the browser failed"
        );
        Ok(())
    }
}

async fn read(
    output: ChildStdout,
    bursts: Arc<Mutex<Bursts>>,
    to: tokio::sync::mpsc::UnboundedSender<String>,
) -> Result<()> {
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = lines.next_line().await? {
        if let Some(burst) = line.strip_prefix("burst ") {
            let mut of = bursts.lock().unwrap_or_else(PoisonError::into_inner);
            of.heard.push(burst.parse()?);
        } else if to.send(line).is_err() {
            break;
        }
    }
    Ok(())
}
