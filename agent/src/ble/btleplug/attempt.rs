//! One attempt to connect: connect, open the stream of values once, look up services, subscribe. And what a
//! device says about itself, read beside everything else once it is subscribed.

use std::collections::HashSet;
use std::time::Duration;

use btleplug::api::{Central as _, CharPropFlags, Characteristic, Peripheral as _, WriteType};
use btleplug::platform::{Adapter, Peripheral, PeripheralId};
use futures_util::StreamExt as _;
use proto::clock::Clock;
use tokio::time::timeout;
use vitals::gatt::{Characteristic as Known, CurrentTime, DateTime, DeviceText};
use vitals::{Span, Time};

use super::{CALL_TIMEOUT, Values};
use crate::ble::pins::{Pin, Verdict};
use crate::ble::pipe::PolarStream;
use crate::ble::{About, Address, bluez};
use crate::decode::{Offer, offer, streams};

/// Real time that connecting, and then looking up services, may take: `BlueZ` itself gives up after 30 s.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(35);

/// Real time between two looks at whether the daemon still knows a device that is being connected.
const LOOK: Duration = Duration::from_secs(1);

/// What a connection attempt brought. Peripheral and stream are kept however it ended: dropping a stream is
/// what costs match rules.
pub(super) struct Attempt {
    /// The house's clock.
    clock: Clock,
    pub(super) peripheral: Option<Peripheral>,
    pub(super) values: Option<Values>,
    pub(super) subscribed: HashSet<(u128, u128)>,
    pub(super) streams: bool,
    /// Values that were read because later ones rest on them.
    pub(super) told: Vec<Told>,
    /// Write the time to a device that takes it, so many minutes ahead of UTC.
    set_clock: Option<i16>,
    pub(super) unknown: usize,
    pub(super) failure: Option<Failure>,
    /// Such as "hci0".
    pub(super) adapter: String,
    /// What the device is held to.
    pub(super) pin: Option<Pin>,
    /// What it says it is.
    pub(super) met: Pin,
    /// It is the device that it is held to.
    pub(super) proved: bool,
    /// What a Polar sensor is asked for.
    pub(super) polar: Vec<PolarStream>,
}

/// A value that was read.
pub(super) struct Told {
    pub(super) service: u128,
    pub(super) characteristic: u128,
    pub(super) value: Vec<u8>,
    /// When it was.
    pub(super) received: Time,
}

/// Why an attempt failed, as far as the machine must know.
pub(super) enum Failure {
    /// The daemon does not know it any more.
    Vanished,
    /// Connected, and there is no service at all.
    Empty,
    /// It is another device: this differs.
    Impostor(&'static str),
    Other(String),
}

impl Attempt {
    /// On a peripheral that was connected before, if it was.
    pub(super) fn new(clock: Clock, set_clock: Option<i16>, known: Option<Peripheral>) -> Self {
        Self {
            clock,
            peripheral: known,
            values: None,
            subscribed: HashSet::new(),
            streams: false,
            told: Vec::new(),
            set_clock,
            unknown: 0,
            failure: None,
            adapter: String::new(),
            pin: None,
            met: Pin::default(),
            proved: false,
            polar: Vec::new(),
        }
    }

    pub(super) async fn run(
        &mut self,
        address: Address,
        adapter: Adapter,
        id: Option<PeripheralId>,
    ) -> Result<(), Failure> {
        let other = |error: btleplug::Error| Failure::Other(error.to_string());
        let late = |_| Failure::Other("timed out".into());
        let first = self.peripheral.is_none();
        let peripheral = match (&self.peripheral, id) {
            (Some(peripheral), _) => peripheral.clone(),
            (None, Some(id)) => {
                let found = timeout(CALL_TIMEOUT, adapter.peripheral(&id)).await;
                match found.map_err(late)? {
                    Ok(peripheral) => peripheral,
                    Err(btleplug::Error::DeviceNotFound) => return Err(Failure::Vanished),
                    Err(error) => return Err(other(error)),
                }
            }
            (None, None) => return Err(Failure::Vanished),
        };
        if first {
            let adapter = self.adapter.clone();
            let stale = move || bluez::end_stale_link(&adapter, address);
            // If it could not be ended, connecting says what is wrong.
            if let Ok(Ok(true)) = tokio::task::spawn_blocking(stale).await {
                tracing::debug!(%address, "a link of a former daemon was ended");
            }
        }
        let connected = tokio::select! {
            connected = timeout(CONNECT_TIMEOUT, peripheral.connect()) => connected.map_err(late)?,
            () = forgotten(&peripheral) => {
                return Err(Failure::Other("the daemon gave it up and forgot it".into()));
            }
        };
        if let Err(error) = connected {
            // The object is gone since the daemon restarted or cleaned up: it must be found anew.
            if is_unknown(&error) {
                return Err(Failure::Vanished);
            }
            return Err(other(error));
        }
        // Before the first subscription, and once: see the head of this file.
        if first {
            let stream = peripheral.notifications().await.map_err(other)?;
            self.values = Some(stream.map(move |value| (address, value)).boxed());
            self.peripheral = Some(peripheral.clone());
        }
        let discovery = timeout(CONNECT_TIMEOUT, peripheral.discover_services());
        discovery.await.map_err(late)?.map_err(other)?;
        let offered = peripheral.characteristics();
        if offered.is_empty() {
            let _may_be_gone = timeout(CALL_TIMEOUT, peripheral.disconnect()).await;
            return Err(Failure::Empty);
        }
        if let Err(failure) = self.identify(address, &peripheral).await {
            let _may_be_gone = timeout(CALL_TIMEOUT, peripheral.disconnect()).await;
            return Err(failure);
        }
        self.proved = true;
        for characteristic in &offered {
            // Its clock before and after: stored records bear the old one's time.
            self.read(&peripheral, characteristic, &CLOCKS).await;
            if let Some(minutes) = self.set_clock
                && set_clock(&peripheral, characteristic, (self.clock, minutes)).await
            {
                self.read(&peripheral, characteristic, &CLOCKS).await;
            }
            let session = [Known::CgmSessionStart];
            self.read(&peripheral, characteristic, &session).await;
        }
        let mut refused = None;
        for characteristic in &offered {
            if let Err(why) = self.subscribe(&peripheral, characteristic).await {
                refused = Some(why);
            }
        }
        if let Some(why) = refused.filter(|_| !self.measures()) {
            // A link that tells a battery and no vital sign would be called connected for ever.
            let _may_be_gone = timeout(CALL_TIMEOUT, peripheral.disconnect()).await;
            return Err(Failure::Other(format!(
                "it tells nothing that it measures: {why}"
            )));
        }
        // Answers and frames come to what was just subscribed to.
        for characteristic in &offered {
            self.start_polar(&peripheral, characteristic).await;
        }
        Ok(())
    }

    /// Nothing is taken from a device before it has said who it is, and is the one that it is held to.
    async fn identify(&mut self, address: Address, peripheral: &Peripheral) -> Result<(), Failure> {
        let adapter = self.adapter.clone();
        let bonded = tokio::task::spawn_blocking(move || bluez::is_bonded(&adapter, address));
        let bonded = bonded
            .await
            .map_err(|error| Failure::Other(error.to_string()))?;
        let mut met = Pin {
            bonded: bonded.map_err(Failure::Other)?,
            ..Pin::default()
        };
        if let Some(pin) = self.pin.as_ref().filter(|pin| pin.bonded && met.bonded) {
            // Services are resolved over a link that the bond's key encrypts, or not at all: that proves more than
            // texts, which some devices take seconds for.
            self.met = pin.clone();
            return Ok(());
        }
        for characteristic in peripheral.characteristics() {
            let uuid = characteristic.uuid.as_u128();
            let place = if uuid == Known::ManufacturerName.uuid() {
                &mut met.manufacturer
            } else if uuid == Known::ModelNumber.uuid() {
                &mut met.model
            } else if uuid == Known::SerialNumber.uuid() {
                &mut met.serial
            } else {
                continue;
            };
            if let Ok(Ok(value)) = timeout(CALL_TIMEOUT, peripheral.read(&characteristic)).await {
                *place = text(&value);
            }
        }
        let verdict = self.pin.as_ref().map(|pin| pin.judge(&met));
        self.met = met;
        match verdict {
            None | Some(Verdict::Same) => Ok(()),
            Some(Verdict::Unclear) => Err(Failure::Other("it did not say who it is".into())),
            Some(Verdict::Other(what)) => Err(Failure::Impostor(what)),
        }
    }

    /// Reads a value that later ones rest on, if it is one of these.
    async fn read(
        &mut self,
        peripheral: &Peripheral,
        characteristic: &Characteristic,
        wanted: &[Known],
    ) {
        let uuid = characteristic.uuid.as_u128();
        let readable = characteristic.properties.contains(CharPropFlags::READ);
        if !readable || !wanted.iter().any(|known| known.uuid() == uuid) {
            return;
        }
        if let Ok(Ok(value)) = timeout(CALL_TIMEOUT, peripheral.read(characteristic)).await {
            self.told.push(Told {
                service: characteristic.service_uuid.as_u128(),
                characteristic: uuid,
                value,
                received: self.clock.now(),
            });
        }
    }

    /// A Polar sensor streams only what it was asked for on this link.
    async fn start_polar(&mut self, peripheral: &Peripheral, characteristic: &Characteristic) {
        if characteristic.uuid.as_u128() != Known::PolarControlPoint.uuid() {
            return;
        }
        for stream in &self.polar {
            let Ok(octets) = stream.start().encode() else {
                continue;
            };
            let write = peripheral.write(characteristic, &octets, WriteType::WithResponse);
            let written = timeout(CALL_TIMEOUT, write).await;
            if !matches!(written, Ok(Ok(()))) {
                tracing::debug!(?stream, "a stream could not be asked for");
            }
        }
    }

    /// It is subscribed to something besides a battery.
    fn measures(&self) -> bool {
        let mut subscribed = self.subscribed.iter();
        subscribed.any(|(_, uuid)| *uuid != Known::BatteryLevel.uuid())
    }

    /// An error says why a wanted characteristic is not subscribed to.
    async fn subscribe(
        &mut self,
        peripheral: &Peripheral,
        characteristic: &Characteristic,
    ) -> Result<(), String> {
        let notifies = CharPropFlags::NOTIFY | CharPropFlags::INDICATE;
        if !characteristic.properties.intersects(notifies) {
            return Ok(());
        }
        let uuid = characteristic.uuid.as_u128();
        match offer(uuid) {
            Offer::Wanted => {}
            Offer::Ignored => return Ok(()),
            Offer::Unknown => {
                self.unknown += 1;
                return Ok(());
            }
        }
        let subscribed = timeout(CALL_TIMEOUT, peripheral.subscribe(characteristic)).await;
        match subscribed.map_err(|_| "a subscription timed out".to_owned())? {
            Ok(()) => {
                let service = characteristic.service_uuid.as_u128();
                self.subscribed.insert((service, uuid));
                self.streams |= streams(uuid);
                Ok(())
            }
            Err(error) => {
                tracing::warn!(characteristic = %characteristic.uuid, %error, "a subscription failed");
                Err(error.to_string())
            }
        }
    }
}

/// Ends when the daemon does not know the device any more. It forgets one whose first connect fails, and then never
/// answers that call (measured).
async fn forgotten(peripheral: &Peripheral) {
    loop {
        tokio::time::sleep(LOOK).await;
        if let Err(error) = peripheral.is_connected().await
            && is_unknown(&error)
        {
            return;
        }
    }
}

/// The daemon has no such object. Only the words get through btleplug: those of the real daemon and of a pretended one.
fn is_unknown(error: &btleplug::Error) -> bool {
    let text = error.to_string();
    text.contains("doesn't exist") || text.contains("Unknown object")
}

/// Where a device shows its clock.
const CLOCKS: [Known; 2] = [Known::CurrentTime, Known::DateTime];

/// Cuffs and scales that keep time want to be told before they report; who refuses keeps its own. True if it took
/// the time.
async fn set_clock(
    peripheral: &Peripheral,
    characteristic: &Characteristic,
    (clock, minutes): (Clock, i16),
) -> bool {
    if !characteristic.properties.contains(CharPropFlags::WRITE) {
        return false;
    }
    let ahead = Span::from_mins(minutes.into());
    let uuid = characteristic.uuid.as_u128();
    let octets = if uuid == Known::CurrentTime.uuid() {
        CurrentTime::at(clock.now(), ahead, 0).and_then(|time| time.encode().ok())
    } else if uuid == Known::DateTime.uuid() {
        DateTime::from_utc(clock.now() + ahead).map(|time| time.to_octets().to_vec())
    } else {
        return false;
    };
    let Some(octets) = octets else { return false };
    let write = peripheral.write(characteristic, &octets, WriteType::WithResponse);
    match timeout(CALL_TIMEOUT, write).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => tracing::debug!(%error, "a device keeps its own time"),
        Err(_) => tracing::debug!("a device did not take the time"),
    }
    false
}

/// What is read once a device is subscribed; all of it may echo.
pub(super) const READ_FOR_ABOUT: [Known; 1] = [Known::BatteryLevel];

pub(super) async fn read_about(peripheral: &Peripheral, met: Pin) -> About {
    let mut about = About {
        manufacturer: met.manufacturer,
        model: met.model,
        ..About::default()
    };
    if let Ok(Ok(Some(properties))) = timeout(CALL_TIMEOUT, peripheral.properties()).await {
        let name = properties.advertisement_name.or(properties.local_name);
        about.name = name.and_then(|name| text(name.as_bytes()));
    }
    for characteristic in peripheral.characteristics() {
        let uuid = characteristic.uuid.as_u128();
        let readable = characteristic.properties.contains(CharPropFlags::READ);
        if uuid != Known::BatteryLevel.uuid() || !readable {
            continue;
        }
        if let Ok(Ok(value)) = timeout(CALL_TIMEOUT, peripheral.read(&characteristic)).await {
            let level = vitals::gatt::BatteryLevel::decode(&value);
            about.battery_percent = level.ok().map(|level| level.percent);
        }
    }
    about
}

fn text(octets: &[u8]) -> Option<String> {
    let text = DeviceText::from_octets(octets);
    (!text.as_str().is_empty()).then(|| text.as_str().to_owned())
}
