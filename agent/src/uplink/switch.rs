//! The line over one transport or two: keeps the ones connected that the [`Choice`] wants, and shows the core one.
//!
//! Promise: the core sees one connection at a time: before another transport's `Up` comes a `Down`, so everything that
//! was on its way goes out again by the new one, and the centre tells what it has twice.
//! Must not know: what goes over the line.

use proto::clock::Clock;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use vitals::Time;

use super::choice::{Choice, Place, Why};
use super::{Transport, UplinkEvent, drive};

/// News of one transport that may wait.
const NEWS: usize = 16;
/// Real time between two looks at the clock at least.
const LEAST_PAUSE: std::time::Duration = std::time::Duration::from_millis(10);

/// What people are told of the line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The transport in use.
    pub using: &'static str,
    /// Why this one, in words; empty if there is no other.
    pub why: String,
    /// Since when.
    pub since: Time,
    /// How often another one was taken.
    pub switches: u64,
}

/// A transport that runs while it is wanted.
#[derive(Debug)]
pub struct Line {
    name: &'static str,
    news: mpsc::Receiver<UplinkEvent>,
    wanted: watch::Sender<bool>,
    driver: JoinHandle<()>,
    up: bool,
    trouble: String,
}

impl Line {
    /// Starts the task that drives the transport; it connects once it is wanted, and ends with this value.
    pub fn start(name: &'static str, transport: impl Transport + 'static, clock: Clock) -> Self {
        let (sender, news) = mpsc::channel(NEWS);
        let (wanted, seen) = watch::channel(false);
        Self {
            name,
            news,
            wanted,
            driver: tokio::spawn(drive(transport, sender, clock, seen)),
            up: false,
            trouble: String::new(),
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// One line over the preferred transport and, where there is one, another.
#[derive(Debug)]
pub struct Switch {
    /// Which is in use.
    pub choice: Choice,
    /// The preferred transport.
    pub preferred: Line,
    /// The other one.
    pub fallback: Option<Line>,
    /// To the core.
    pub events: mpsc::Sender<UplinkEvent>,
    /// Changes with each proof of delivery.
    pub delivered: watch::Receiver<u64>,
    /// For people.
    pub standing: watch::Sender<Standing>,
    /// The house's clock.
    pub clock: Clock,
}

impl Switch {
    /// Runs until `stop` turns true, the core is gone, or a driver ended unasked.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            self.follow();
            let due = self.choice.next_deadline().since(self.clock.now());
            let pause = self.clock.real(due).max(LEAST_PAUSE);
            let news = tokio::select! {
                news = self.preferred.news.recv() => Some((Place::Preferred, news)),
                news = next_of(self.fallback.as_mut()) => Some((Place::Fallback, news)),
                Ok(()) = self.delivered.changed() => {
                    self.choice.delivered(self.clock.now());
                    None
                }
                () = tokio::time::sleep(pause) => None,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            let told = match news {
                Some((place, Some(event))) => self.take(place, event).await,
                Some((_, None)) => false,
                None => self.look().await,
            };
            if !told {
                return;
            }
        }
    }

    /// Time passed. False: the core is gone.
    async fn look(&mut self) -> bool {
        let before = self.choice.using();
        if !self.choice.tick(self.clock.now()) {
            return true;
        }
        let (left, taken) = (self.name(before), self.name(self.choice.using()));
        tracing::warn!(
            left,
            taken,
            "the centre was not heard: the other transport is tried"
        );
        let why = format!("nothing authentic came by {left}: {taken} is tried");
        self.end(before, why).await
    }

    /// False: the core is gone.
    async fn take(&mut self, place: Place, event: UplinkEvent) -> bool {
        let now = self.clock.now();
        let before = self.choice.using();
        if let Some(line) = self.line(place) {
            match &event {
                UplinkEvent::Up(_) => line.up = true,
                UplinkEvent::Down(why) => {
                    line.up = false;
                    line.trouble.clone_from(why);
                }
                UplinkEvent::Message(_) | UplinkEvent::Malformed => {}
            }
        }
        if matches!(event, UplinkEvent::Up(_)) && self.choice.up(place, now) && place != before {
            let name = self.name(place);
            tracing::info!(taken = name, "the preferred transport stands again");
            if !self.end(before, format!("over to {name}")).await {
                return false;
            }
        }
        place != self.choice.using() || self.events.send(event).await.is_ok()
    }

    /// The line that is left is down for the core.
    async fn end(&mut self, place: Place, why: String) -> bool {
        let was_up = self
            .line(place)
            .is_some_and(|line| std::mem::take(&mut line.up));
        !was_up || self.events.send(UplinkEvent::Down(why)).await.is_ok()
    }

    /// Lets those run that are wanted, and tells people.
    fn follow(&mut self) {
        for place in [Place::Preferred, Place::Fallback] {
            let wanted = self.choice.wants(place);
            if let Some(line) = self.line(place) {
                line.wanted
                    .send_if_modified(|was| std::mem::replace(was, wanted) != wanted);
            }
        }
        let (why, since) = self.choice.why();
        let preferred = &self.preferred;
        let why = match why {
            Why::Only => String::new(),
            Why::Preferred => "it is the preferred one".to_owned(),
            Why::PreferredSilent => format!(
                "nothing authentic came by {} ({})",
                preferred.name,
                if preferred.trouble.is_empty() {
                    "it stood"
                } else {
                    &preferred.trouble
                }
            ),
            Why::BothSilent => "nothing authentic comes by either: they take turns".to_owned(),
        };
        let standing = Standing {
            using: self.name(self.choice.using()),
            why,
            since,
            switches: self.choice.switches(),
        };
        self.standing.send_if_modified(|was| {
            let changed = *was != standing;
            *was = standing;
            changed
        });
    }

    fn line(&mut self, place: Place) -> Option<&mut Line> {
        match place {
            Place::Preferred => Some(&mut self.preferred),
            Place::Fallback => self.fallback.as_mut(),
        }
    }

    fn name(&self, place: Place) -> &'static str {
        match place {
            Place::Preferred => self.preferred.name,
            Place::Fallback => self.fallback.as_ref().map_or("none", |line| line.name),
        }
    }
}

async fn next_of(line: Option<&mut Line>) -> Option<UplinkEvent> {
    match line {
        Some(line) => line.news.recv().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uplink::UplinkError;
    use proto::v1::GatewayToCentre;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;
    use vitals::Span;

    /// A door that takes connections while it is open.
    struct Door(Arc<AtomicBool>);

    impl Transport for Door {
        async fn session(&mut self, events: &mpsc::Sender<UplinkEvent>) -> UplinkError {
            let closed = || UplinkError::Ended("closed".into());
            if !self.0.load(Ordering::Relaxed) {
                return closed();
            }
            let (line, mut outgoing) = mpsc::channel::<GatewayToCentre>(1);
            if events.send(UplinkEvent::Up(line)).await.is_err() {
                return closed();
            }
            while self.0.load(Ordering::Relaxed) {
                let _quiet = tokio::time::timeout(Duration::from_millis(2), outgoing.recv()).await;
            }
            closed()
        }
    }

    #[tokio::test]
    async fn the_core_sees_one_connection_at_a_time_and_is_led_round_a_closed_door_and_back() {
        // Two minutes are an eighth of a second.
        let clock = Clock::test(Time::ZERO, Time::ZERO, 1000.0).expect("a rate");
        let first = Arc::new(AtomicBool::new(false));
        let second = Arc::new(AtomicBool::new(true));
        let (events, mut told) = mpsc::channel(8);
        let (_delivered, seen) = watch::channel(0);
        let (standing, shown) = watch::channel(Standing::default());
        let (_stop, stop) = watch::channel(false);
        let switch = Switch {
            choice: Choice::new(Some(Span::from_secs(120)), clock.now()),
            preferred: Line::start("mqtt", Door(Arc::clone(&first)), clock),
            fallback: Some(Line::start("grpc", Door(second), clock)),
            events,
            delivered: seen,
            standing,
            clock,
        };
        let task = tokio::spawn(switch.run(stop));
        let mut up = false;
        let mut ups = 0;
        while ups < 2 {
            match told.recv().await.expect("it runs") {
                UplinkEvent::Up(_) => {
                    assert!(!up, "one at a time");
                    (up, ups) = (true, ups + 1);
                    if ups == 1 {
                        assert_eq!(shown.borrow().using, "grpc");
                        assert!(
                            shown
                                .borrow()
                                .why
                                .contains("by mqtt (the centre ended the stream: closed)")
                        );
                        first.store(true, Ordering::Relaxed);
                    }
                }
                UplinkEvent::Down(_) => up = false,
                UplinkEvent::Message(_) | UplinkEvent::Malformed => panic!("nobody spoke"),
            }
        }
        let mut shown = shown;
        let back = shown.wait_for(|standing| standing.using == "mqtt");
        drop(back.await.expect("it runs"));
        task.abort();
    }
}
