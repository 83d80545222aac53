//! Carries out what the radio's machine decides: scans, connects and disconnects, one after the other.

use btleplug::api::{Central as _, Peripheral as _, ScanFilter};
use futures_util::FutureExt as _;
use tokio::time::timeout;

use super::attempt::Attempt;
use super::{Bluetooth, CALL_TIMEOUT, Outcome, Session, polar, within};
use crate::ble::radio::{Command, Radio};

impl Session {
    /// Starts the next command if none runs.
    pub(super) fn obey(&mut self, bluetooth: &Bluetooth, radio: &mut Radio) {
        while let Some(command) = radio.poll_command() {
            self.queue.push_back(command);
        }
        if self.running.is_some() {
            return;
        }
        let Some(command) = self.queue.pop_front() else {
            return;
        };
        let adapter = self.adapter.clone();
        self.running = Some(match command {
            Command::Scan(on) => async move {
                let scan = async {
                    if on {
                        // A scan that was left running elsewhere answers "in progress": stop it first.
                        let _may_not_run = adapter.stop_scan().await;
                        adapter.start_scan(ScanFilter::default()).await
                    } else {
                        adapter.stop_scan().await
                    }
                };
                match within(scan).await {
                    Ok(()) => Outcome::Scan { started: on },
                    Err(error) => {
                        tracing::debug!(error, on, "scan");
                        if on {
                            Outcome::Scan { started: false }
                        } else {
                            Outcome::Plain
                        }
                    }
                }
            }
            .boxed(),
            Command::Connect(address) => {
                let id = self.ids.get(&address).cloned();
                let peer = self.peers.get(&address);
                let known = peer.map(|peer| peer.peripheral.clone());
                let set_clock = bluetooth.setup.clock_ahead_min;
                let mut attempt = Attempt::new(bluetooth.clock, set_clock, known);
                attempt.pin = bluetooth.orders.pins.borrow().get(&address).cloned();
                attempt.adapter.clone_from(&self.name);
                attempt.polar.clone_from(&bluetooth.setup.polar_streams);
                async move {
                    attempt.failure = attempt.run(address, adapter, id).await.err();
                    Outcome::Attempt(address, Box::new(attempt))
                }
                .boxed()
            }
            Command::Disconnect(address) => {
                let peer = self.peers.get(&address);
                let peripheral = peer.map(|peer| peer.peripheral.clone());
                let streams = bluetooth.setup.polar_streams.clone();
                async move {
                    if let Some(peripheral) = peripheral {
                        polar::stop(&peripheral, &streams).await;
                        let _may_be_gone = timeout(CALL_TIMEOUT, peripheral.disconnect()).await;
                    }
                    Outcome::Plain
                }
                .boxed()
            }
        });
    }
}
