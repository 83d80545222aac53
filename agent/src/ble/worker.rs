//! The radio worker: a process that owns the connection to D-Bus and nothing else. Started and heard by the
//! [`supervisor`](super::supervisor).
//!
//! Invariants: it ends at once when its standard input closes (its agent died), leaving the links to its
//! successor; it ends by itself when adapter, daemon or bus fail it; signals meant for the agent do not end it.
//! Must not know: seals, stores, uplinks.

use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::os::fd::AsFd as _;

use proto::clock::Clock;
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};

use super::pins::Pin;
use super::pipe::{Down, Setup, Up};
use super::records::Marks;
use super::{Address, Overflow, RadioEvent};
use crate::ble::btleplug::Bluetooth;

/// Messages between the worker's loop and the pipe: several seconds of a full house.
const QUEUE: usize = 1024;
/// Places of them that values leave to everything else.
const RESERVED: usize = 128;
/// Bytes that are written at once: less than what the pipe holds, so that no write waits in a quiet house.
const AT_ONCE: usize = 32 * 1024;
/// Exit code of a worker that tells why it ended.
const TROUBLE: u8 = 3;

/// The worker's way out, for the loop that must never wait.
#[derive(Clone, Debug)]
pub struct Out {
    queue: mpsc::Sender<Up>,
    overflow: Overflow,
}

impl Out {
    /// A value; what finds the queue full is counted and told later.
    pub fn value(&self, value: super::Notification) {
        let (device, received) = (value.device, value.received);
        if self.queue.capacity() <= RESERVED || self.queue.try_send(Up::Value(value)).is_err() {
            self.overflow.count(device, received);
        }
    }

    /// Anything but a value. There is a place left for it unless the agent has not read for seconds; then the
    /// agent ends this worker, and the next one tells how things are.
    pub fn event(&self, event: RadioEvent) {
        if let Err(TrySendError::Full(_)) = self.queue.try_send(Up::Event(event)) {
            tracing::warn!("a radio event found the queue full");
        }
    }

    /// A value that was not handed on, and never will be.
    pub fn missed(&self, value: &super::Notification) {
        self.overflow.count(value.device, value.received);
    }

    /// What a device says it is.
    pub fn met(&self, device: Address, pin: Pin) {
        let _told_on_the_next_link = self.queue.try_send(Up::Met(device, pin));
    }

    /// The loop turns and the daemon answers. Also the time to tell what was missed.
    pub fn alive(&self) {
        let _full = self.queue.try_send(Up::Alive);
        self.tell_missed();
    }

    /// What was missed, for a worker that ends: no sign of life, or one that never came to anything would be started
    /// again without a pause.
    fn tell_missed(&self) {
        for (device, missed) in self.overflow.take() {
            if self.queue.try_send(Up::Missed(device, missed)).is_err() {
                self.overflow.add(device, missed);
            }
        }
    }
}

/// What the agent asks of the worker.
#[derive(Debug)]
pub struct Orders {
    /// Assigned devices.
    pub devices: watch::Receiver<BTreeMap<Address, Marks>>,
    /// What devices are held to.
    pub pins: watch::Receiver<BTreeMap<Address, Pin>>,
    /// Turns true when links are to be let go.
    pub stop: watch::Receiver<bool>,
}

/// Plays the worker until it is told to stop or the radio fails it; the exit code of the process.
///
/// # Errors
/// The operating system gives no thread, runtime or signal handler.
pub fn run(clock: Clock) -> std::io::Result<u8> {
    let mut first = String::new();
    std::io::stdin().lock().read_line(&mut first)?;
    let Ok(Down::Setup(setup)) = serde_json::from_str(&first) else {
        return Err(std::io::Error::other(
            "this command is started by the agent alone: see `vitaltwin-agent run`",
        ));
    };
    let (queue, told) = mpsc::channel(QUEUE);
    let (devices, devices_wanted) = watch::channel(BTreeMap::new());
    let (pins, pins_wanted) = watch::channel(BTreeMap::new());
    let (stop, stop_wanted) = watch::channel(false);
    let reader = std::thread::Builder::new().name("orders".into());
    reader.spawn(move || obey(&devices, &pins, &stop))?;
    let out = Out {
        queue,
        overflow: Overflow::default(),
    };
    let orders = Orders {
        devices: devices_wanted,
        pins: pins_wanted,
        stop: stop_wanted,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .build()?;
    let code = runtime.block_on(async {
        let pipe = std::io::stdout().as_fd().try_clone_to_owned()?;
        let writer = tokio::spawn(write(told, pipe::Sender::from_owned_fd(pipe)?));
        let code = play(setup, clock, out, orders).await;
        let _pipe_closed = writer.await;
        code
    });
    // Hanging calls of libdbus must not hold the process.
    runtime.shutdown_background();
    code
}

async fn play(setup: Setup, clock: Clock, out: Out, orders: Orders) -> std::io::Result<u8> {
    // Ctrl-C and a stopping service reach the whole group: only the agent obeys them.
    let _interrupt = signal(SignalKind::interrupt())?;
    let _terminate = signal(SignalKind::terminate())?;
    let bluetooth = Bluetooth {
        setup,
        clock,
        out: out.clone(),
        orders,
    };
    Ok(match bluetooth.run().await {
        Ok(()) => 0,
        Err(why) => {
            out.tell_missed();
            out.event(RadioEvent::Health(Some(why)));
            TROUBLE
        }
    })
}

/// Reads orders until the agent is gone, which ends this process at once: links stay up for its successor.
fn obey(
    devices: &watch::Sender<BTreeMap<Address, Marks>>,
    pins: &watch::Sender<BTreeMap<Address, Pin>>,
    stop: &watch::Sender<bool>,
) {
    for line in std::io::stdin().lines().map_while(Result::ok) {
        match serde_json::from_str(&line) {
            Ok(Down::Devices(wanted)) => drop(devices.send_replace(wanted)),
            Ok(Down::Pins(told)) => drop(pins.send_replace(told)),
            Ok(Down::Stop) => drop(stop.send_replace(true)),
            Ok(Down::Setup(_)) | Err(_) => {
                tracing::error!("an order that this worker does not know");
            }
        }
    }
    std::process::exit(0);
}

/// Writes until all senders are gone, or the pipe. On the loop's own thread: a thread of its own would be woken for each
/// value. What came in one turn of the loop goes out in one write.
async fn write(mut told: mpsc::Receiver<Up>, mut pipe: pipe::Sender) {
    let mut lines = Vec::new();
    while let Some(up) = told.recv().await {
        let mut next = Some(up);
        while let Some(up) = next {
            lines.extend_from_slice(up.to_line().as_bytes());
            next = (lines.len() < AT_ONCE)
                .then(|| told.try_recv().ok())
                .flatten();
        }
        if pipe.write_all(&lines).await.is_err() {
            return;
        }
        lines.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ble::{LinkState, Notification};
    use vitals::Time;

    #[test]
    fn values_that_find_no_place_are_counted_and_told_and_leave_room_for_news() {
        let (queue, mut told) = mpsc::channel(RESERVED + 2);
        let out = Out {
            queue,
            overflow: Overflow::default(),
        };
        let device = Address([1; 6]);
        for second in 0..5 {
            out.value(Notification {
                device,
                service: 0,
                characteristic: 0,
                value: Vec::new(),
                received: Time::from_micros(second),
            });
        }
        out.event(RadioEvent::Link(device, LinkState::Lost));
        out.alive();
        let mut all = Vec::new();
        while let Ok(up) = told.try_recv() {
            all.push(up);
        }
        let values = all.iter().filter(|up| matches!(up, Up::Value(_))).count();
        let missed = crate::ble::Missed {
            notifications: 3,
            from: Time::from_micros(2),
            to: Time::from_micros(4),
        };
        assert_eq!(values, 2);
        assert_eq!(
            all[2..],
            [
                Up::Event(RadioEvent::Link(device, LinkState::Lost)),
                Up::Alive,
                Up::Missed(device, missed)
            ]
        );
    }
}
