//! `org.vitaltwin.Sim1` at `/sim`: faults on demand, for tests and the demo.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use firmware::gatt::Uuid;
use zbus::fdo;

use super::Faults;

/// The control object.
#[derive(Debug)]
pub(crate) struct Sim1 {
    faults: Arc<Faults>,
}

impl Sim1 {
    pub(crate) fn new(faults: Arc<Faults>) -> Self {
        Self { faults }
    }
}

fn refuse(error: &super::FaultError) -> fdo::Error {
    fdo::Error::InvalidArgs(error.to_string())
}

fn parse(uuid: &str) -> fdo::Result<Uuid> {
    let bad = || fdo::Error::InvalidArgs(format!("{uuid} is not a UUID"));
    Uuid::parse(uuid).ok_or_else(bad)
}

#[zbus::interface(name = "org.vitaltwin.Sim1")]
impl Sim1 {
    /// Ends the link; returns false if there was none.
    async fn drop_link(&self, address: &str) -> fdo::Result<bool> {
        self.faults.drop_link(address).await.map_err(|e| refuse(&e))
    }

    /// The next `count` connects fail.
    fn fail_connects(&self, address: &str, count: u32) -> fdo::Result<()> {
        self.faults
            .fail_connects(address, count)
            .map_err(|e| refuse(&e))
    }

    /// The wearable stays connected and says nothing.
    fn silence(&self, address: &str, silent: bool) -> fdo::Result<()> {
        self.faults.silence(address, silent).map_err(|e| refuse(&e))
    }

    /// Services resolve to nothing from the next connect on.
    fn hide_services(&self, address: &str, hidden: bool) -> fdo::Result<()> {
        self.faults
            .hide_services(address, hidden)
            .map_err(|e| refuse(&e))
    }

    /// Services resolve to nothing from the next connect on, until the daemon forgets the device.
    fn lose_services(&self, address: &str) -> fdo::Result<()> {
        self.faults.lose_services(address).map_err(|e| refuse(&e))
    }

    /// Discovery of services takes so many milliseconds longer from the next connect on.
    fn slow_discovery(&self, address: &str, by_ms: u32) -> fdo::Result<()> {
        let by = Duration::from_millis(by_ms.into());
        self.faults
            .slow_discovery(address, by)
            .map_err(|e| refuse(&e))
    }

    /// Another program reads a value.
    async fn read_by_another(&self, address: &str, characteristic: &str) -> fdo::Result<()> {
        self.faults
            .read_by_another(address, parse(characteristic)?)
            .await
            .map_err(|e| refuse(&e))
    }

    /// A former process left the link up.
    async fn leave_link_up(&self, address: &str) -> fdo::Result<()> {
        self.faults
            .leave_link_up(address)
            .await
            .map_err(|e| refuse(&e))
    }

    /// Somebody else's scan: every `StartDiscovery` is answered with "in progress".
    async fn hold_scan(&self, held: bool) {
        self.faults.hold_scan(held).await;
    }

    /// The controller carries so many links; 0 = as many as are asked for.
    fn set_slots(&self, slots: u32) {
        self.faults.set_slots(slots as usize);
    }

    /// Another device answers in its place.
    fn spoof(&self, address: &str, spoofed: bool) -> fdo::Result<()> {
        self.faults.spoof(address, spoofed).map_err(|e| refuse(&e))
    }

    /// Match rules on the bus, by client.
    async fn match_rules(&self) -> fdo::Result<HashMap<String, u64>> {
        let rules = self.faults.match_rules().await.map_err(|e| refuse(&e))?;
        Ok(rules
            .into_iter()
            .map(|(client, count)| (client, count as u64))
            .collect())
    }

    /// The patient takes it off.
    fn take_off(&self, address: &str) -> fdo::Result<()> {
        self.faults.set_worn(address, false).map_err(|e| refuse(&e))
    }

    /// The patient puts it on.
    fn put_on(&self, address: &str) -> fdo::Result<()> {
        self.faults.set_worn(address, true).map_err(|e| refuse(&e))
    }

    /// Noise on the sensors' signal: 0 = none, 1 = as large as the signal.
    fn add_noise(&self, address: &str, share: f64) -> fdo::Result<()> {
        self.faults.disturb(address, share).map_err(|e| refuse(&e))
    }

    /// Battery charge, percent.
    fn set_battery(&self, address: &str, percent: u8) -> fdo::Result<()> {
        self.faults
            .set_battery(address, percent)
            .map_err(|e| refuse(&e))
    }

    /// Sends any octets as a value of a characteristic; returns the value's number, the simulation's time and the
    /// wall's time of sending, both in microseconds.
    async fn inject(
        &self,
        address: &str,
        characteristic: &str,
        bytes: Vec<u8>,
    ) -> fdo::Result<(u64, i64, i64)> {
        let sent = self
            .faults
            .inject(address, parse(characteristic)?, bytes)
            .await
            .map_err(|e| refuse(&e))?;
        Ok((sent.number, sent.at.as_micros(), sent.at_wall.as_micros()))
    }

    /// The sensor bus of the wearable fails: every transfer is answered with NACK.
    fn break_sensor(&self, address: &str, broken: bool) -> fdo::Result<()> {
        self.faults
            .break_sensor(address, broken)
            .map_err(|e| refuse(&e))
    }

    /// The radio is unplugged (true) or plugged in again (false).
    async fn vanish_adapter(&self, gone: bool) -> fdo::Result<()> {
        self.faults
            .vanish_adapter(gone)
            .await
            .map_err(|e| refuse(&e))
    }

    /// The Bluetooth daemon dies and is back after some milliseconds; links survive it, subscriptions do not.
    async fn restart_daemon(&self, away_ms: u32) -> fdo::Result<()> {
        self.faults
            .restart_daemon(away_ms)
            .await
            .map_err(|e| refuse(&e))
    }

    /// The same where the links died with it: the new daemon knows no device.
    async fn restart_daemon_afresh(&self, away_ms: u32) -> fdo::Result<()> {
        self.faults
            .restart_daemon_afresh(away_ms)
            .await
            .map_err(|e| refuse(&e))
    }

    /// Addresses of all wearables.
    fn devices(&self) -> Vec<String> {
        self.faults.addresses()
    }

    /// Values sent and values nobody was there to hear.
    fn counts(&self, address: &str) -> fdo::Result<(u64, u64)> {
        self.faults.counts(address).map_err(|e| refuse(&e))
    }
}
