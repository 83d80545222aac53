//! A TCP proxy between a gateway and the centre that can be cut, made slow, lossy and made to corrupt bytes.
//!
//! There is no kernel network emulator on the test machines. What happens is decided by a seed, so a failure
//! can be run again. Loss is modelled as TCP shows it to programs, not packet by packet: each segment of
//! [`SEGMENT`] bytes takes the line's time; a lost one takes it again after a stall that doubles with each loss
//! in a row. Lost acknowledgements, reordering and TCP giving up for good are not modelled
//! ([`Weather::drop_one_in`] ends connections instead).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the proxy does to its connections; can be changed while it runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// No connection lives and no new one is made.
    pub cut: bool,
    /// Each piece waits this long before it goes on.
    pub delay: Duration,
    /// One piece in this many has one bit flipped; 0 = none.
    pub corrupt_one_in: u32,
    /// One piece in this many ends its connection; 0 = none.
    pub drop_one_in: u32,
    /// What the line carries each way, bytes a second of the wall's clock; 0 = as fast as it goes.
    pub bytes_per_second: u32,
    /// Segments lost, percent; only on a line of limited rate.
    pub loss_percent: u32,
    /// How long a lost segment stalls the stream the first time, on top of its time on the line.
    pub stall: Duration,
}

/// What a lossy line loses or carries at once, bytes.
pub const SEGMENT: usize = 512;
/// A stall is doubled this often at most.
const DOUBLED: u32 = 3;

/// A running proxy; ends when dropped.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    weather: watch::Sender<Weather>,
    target: watch::Sender<SocketAddr>,
    accepted: Arc<AtomicU64>,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

/// What passed and what happened, over all connections.
#[derive(Debug, Default)]
struct Counts {
    bytes: AtomicU64,
    ended: AtomicU64,
    lost: AtomicU64,
}

impl Proxy {
    /// Listens on a free port and forwards to `target`.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(target: SocketAddr, seed: u64) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("a port for the proxy")?;
        let address = listener.local_addr().context("the proxy's address")?;
        let (weather, seen) = watch::channel(Weather::default());
        let (target, door) = watch::channel(target);
        let accepted = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&accepted);
        let counts = Arc::new(Counts::default());
        let counted = Arc::clone(&counts);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let number = count.fetch_add(1, Ordering::Relaxed);
                let (target, rng) = (*door.borrow(), ChaCha8Rng::seed_from_u64(seed ^ number));
                tokio::spawn(forward(
                    client,
                    target,
                    seen.clone(),
                    rng,
                    Arc::clone(&counted),
                ));
            }
        });
        Ok(Self {
            address,
            weather,
            target,
            accepted,
            counts,
            task,
        })
    }

    /// Changes the weather for all connections, old and new.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Leads new connections to another door (a restarted centre has other ports).
    pub fn lead_to(&self, target: SocketAddr) {
        self.target.send_replace(target);
    }

    /// Bytes taken from both ends so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.counts.bytes.load(Ordering::Relaxed)
    }

    /// Connections that the weather ended, and segments that it lost, so far.
    #[must_use]
    pub fn harm(&self) -> (u64, u64) {
        let counts = &self.counts;
        (
            counts.ended.load(Ordering::Relaxed),
            counts.lost.load(Ordering::Relaxed),
        )
    }

    /// Connections taken so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.weather.send_replace(Weather {
            cut: true,
            ..Weather::default()
        });
    }
}

async fn forward(
    client: TcpStream,
    target: SocketAddr,
    mut weather: watch::Receiver<Weather>,
    rng: ChaCha8Rng,
    counts: Arc<Counts>,
) {
    if weather.borrow_and_update().cut {
        return;
    }
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    // Nagle's delay would hide what the programs themselves do.
    if client
        .set_nodelay(true)
        .and(server.set_nodelay(true))
        .is_err()
    {
        return;
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut other = rng.clone();
    other.set_stream(1);
    tokio::select! {
        () = pump(from_client, to_server, weather.clone(), rng, &counts) => {}
        () = pump(from_server, to_client, weather.clone(), other, &counts) => {}
        () = cut(&mut weather) => {}
    }
}

async fn cut(weather: &mut watch::Receiver<Weather>) {
    // An ended channel means that the proxy is gone: cut as well.
    let _ended = weather.wait_for(|w| w.cut).await;
}

/// The time that a segment takes on a slow and lossy line.
async fn crawl(weather: Weather, length: usize, rng: &mut ChaCha8Rng, counts: &Counts) {
    #[expect(clippy::cast_precision_loss, reason = "at most 16 KiB")]
    let line = Duration::from_secs_f64(length as f64 / f64::from(weather.bytes_per_second));
    let mut losses = 0;
    while rng.random_range(0..100) < weather.loss_percent {
        tokio::time::sleep(line + weather.stall * 2_u32.pow(losses)).await;
        losses = DOUBLED.min(losses + 1);
        counts.lost.fetch_add(1, Ordering::Relaxed);
    }
    tokio::time::sleep(line).await;
}

async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    weather: watch::Receiver<Weather>,
    mut rng: ChaCha8Rng,
    counts: &Counts,
) {
    let mut piece = vec![0; 16 * 1024];
    loop {
        let most = match weather.borrow().bytes_per_second {
            0 => piece.len(),
            _ => SEGMENT,
        };
        let Ok(length @ 1..) = from.read(&mut piece[..most]).await else {
            return;
        };
        counts.bytes.fetch_add(length as u64, Ordering::Relaxed);
        let now = *weather.borrow();
        if now.bytes_per_second > 0 {
            crawl(now, length, &mut rng, counts).await;
        }
        if !now.delay.is_zero() {
            tokio::time::sleep(now.delay).await;
        }
        if now.drop_one_in > 0 && rng.random_range(0..now.drop_one_in) == 0 {
            counts.ended.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if now.corrupt_one_in > 0 && rng.random_range(0..now.corrupt_one_in) == 0 {
            let at = rng.random_range(0..length);
            piece[at] ^= 1 << rng.random_range(0..8);
        }
        if to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}
