//! Pairing one device on an operator's order: an own agent object (`org.bluez.Agent1`) for as long as it takes.
//!
//! Invariants: only the device that the operator named is answered, every other is rejected; with a PIN nothing
//! less than that PIN is accepted (no silent step down to "just works"), without one nothing that needs a PIN.
//! One thread, one connection: while a call waits for its answer, the daemon's questions are answered.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use dbus::arg::{PropMap, RefArg, Variant, prop_cast};
use dbus::channel::{BusType, Channel};
use dbus::message::MessageType;
use dbus::{Message, Path};
use vitals::gatt::{Characteristic, DeviceText};

use super::DAEMON;
use crate::ble::Address;
use crate::ble::pins::Pin;

const AGENT: &str = "/org/vitaltwin/agent";
const DEVICE: &str = "org.bluez.Device1";
const ADAPTER: &str = "org.bluez.Adapter1";
/// A call that is no pairing.
const CALL: Duration = Duration::from_secs(10);
/// Searching for a device that the daemon does not know.
const SEARCH: Duration = Duration::from_secs(30);
/// Pairing: people look for their glasses.
const PAIR: Duration = Duration::from_secs(60);
/// Services after pairing.
const SERVICES: Duration = Duration::from_secs(30);
/// Between two looks at what the daemon knows.
const LOOK: Duration = Duration::from_millis(200);

/// Why a device is not paired.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// D-Bus or the daemon failed.
    #[error("Bluetooth does not work: {0}")]
    Bus(String),
    /// There is no adapter, or not this one.
    #[error("there is no such Bluetooth adapter: see `adapter` in config.toml")]
    NoAdapter,
    /// It was not heard.
    #[error("{0} was not heard within 30 s: wake it, put it into pairing mode, bring it nearer")]
    NotHeard(Address),
    /// It asks for a PIN.
    #[error("{0} refused: if it shows a PIN, run this again with --pin and the six digits")]
    NeedsPin(Address),
    /// The PIN is wrong, or it does not take one.
    #[error("{0} did not take this PIN: look again; leave --pin away if it shows none")]
    WrongPin(Address),
    /// Anything else that the daemon answers.
    #[error("{device} was not paired: {why}")]
    Refused {
        /// Which.
        device: Address,
        /// The daemon's words.
        why: String,
    },
}

impl From<dbus::Error> for PairError {
    fn from(error: dbus::Error) -> Self {
        Self::Bus(error.to_string())
    }
}

/// What the daemon manages: by path, by interface, by property.
type Objects = HashMap<Path<'static>, HashMap<String, PropMap>>;

/// Pairs `device`; what it says about itself afterwards is what later links are held to.
///
/// # Errors
/// [`PairError`], each with what to do.
pub fn pair(adapter: Option<&str>, device: Address, pin: Option<u32>) -> Result<Pin, PairError> {
    let mut line = Line {
        channel: Channel::get_private(BusType::System)?,
        device: String::new(),
        pin,
    };
    let adapter = line.adapter(adapter)?;
    line.device = format!("{adapter}/dev_{}", device.to_string().replace(':', "_"));
    line.find(&adapter, device)?;
    let capability = if pin.is_some() {
        "KeyboardDisplay"
    } else {
        "NoInputNoOutput"
    };
    let manager = ("/org/bluez", "org.bluez.AgentManager1");
    let agent = Path::from(AGENT);
    line.call(manager, "RegisterAgent", (agent.clone(), capability), CALL)?;
    let paired = line.pair(device);
    let _gone_with_the_connection = line.call(manager, "UnregisterAgent", (agent,), CALL);
    paired?;
    line.trust();
    line.identity()
}

/// Makes the daemon forget a device, its bond included.
///
/// # Errors
/// [`PairError::Bus`].
pub fn unpair(adapter: Option<&str>, device: Address) -> Result<(), PairError> {
    let mut line = Line {
        channel: Channel::get_private(BusType::System)?,
        device: String::new(),
        pin: None,
    };
    let adapter = line.adapter(adapter)?;
    let path = format!("{adapter}/dev_{}", device.to_string().replace(':', "_"));
    let path = Path::new(path).map_err(PairError::Bus)?;
    if line.objects()?.contains_key(&path) {
        line.call((&adapter, ADAPTER), "RemoveDevice", (path,), CALL)?;
    }
    Ok(())
}

/// A connection that answers the daemon's questions while it waits for answers itself.
struct Line {
    channel: Channel,
    /// Path of the one device that may be paired.
    device: String,
    pin: Option<u32>,
}

impl Line {
    fn call<A: dbus::arg::AppendAll>(
        &mut self,
        (path, interface): (&str, &str),
        method: &str,
        arguments: A,
        limit: Duration,
    ) -> Result<Message, dbus::Error> {
        let gone = || dbus::Error::new_custom("org.freedesktop.DBus.Error.Disconnected", "gone");
        let mut message = Message::call_with_args(DAEMON, path, interface, method, arguments);
        message.set_no_reply(false);
        let serial = self.channel.send(message).map_err(|()| gone())?;
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let name = "org.freedesktop.DBus.Error.NoReply";
                return Err(dbus::Error::new_custom(name, "no answer in time"));
            }
            let Some(mut message) = self.channel.blocking_pop_message(left)? else {
                continue;
            };
            if message.get_reply_serial() == Some(serial) {
                message.as_result()?;
                return Ok(message);
            }
            if message.msg_type() == MessageType::MethodCall {
                let reply = self.answer(&message);
                self.channel.send(reply).map_err(|()| gone())?;
            }
        }
    }

    /// The agent object.
    fn answer(&self, question: &Message) -> Message {
        let rejected = || {
            let text = c"not what the operator ordered";
            let name = dbus::strings::ErrorName::new("org.bluez.Error.Rejected");
            let name = name.expect("a well-formed name, written here");
            question.error(&name, text)
        };
        let method = question.member();
        let method = method.as_deref().unwrap_or_default();
        if matches!(method, "Release" | "Cancel") {
            return question.method_return();
        }
        let asked: Option<Path<'_>> = question.get1();
        if asked.as_deref() != Some(self.device.as_str()) {
            return rejected();
        }
        match (method, self.pin) {
            ("RequestAuthorization" | "AuthorizeService", None)
            | ("DisplayPasskey" | "DisplayPinCode", _) => question.method_return(),
            ("RequestPasskey", Some(pin)) => question.method_return().append1(pin),
            ("RequestPinCode", Some(pin)) => question.method_return().append1(format!("{pin:06}")),
            ("RequestConfirmation", Some(pin)) => {
                let (_, shown): (Option<Path<'_>>, Option<u32>) = question.get2();
                if shown == Some(pin) {
                    question.method_return()
                } else {
                    rejected()
                }
            }
            _ => rejected(),
        }
    }

    fn objects(&mut self) -> Result<Objects, dbus::Error> {
        let manager = ("/", "org.freedesktop.DBus.ObjectManager");
        let reply = self.call(manager, "GetManagedObjects", (), CALL)?;
        Ok(reply.read1()?)
    }

    fn adapter(&mut self, name: Option<&str>) -> Result<String, PairError> {
        let objects = self.objects()?;
        let mut adapters: Vec<&Path<'_>> = objects
            .iter()
            .filter(|(_, interfaces)| interfaces.contains_key(ADAPTER))
            .map(|(path, _)| path)
            .collect();
        adapters.sort();
        let wanted =
            |path: &&&Path<'_>| name.is_none_or(|name| path.ends_with(&format!("/{name}")));
        let found = adapters.iter().find(wanted).ok_or(PairError::NoAdapter)?;
        Ok(found.to_string())
    }

    fn find(&mut self, adapter: &str, device: Address) -> Result<(), PairError> {
        let path = Path::new(self.device.clone()).map_err(PairError::Bus)?;
        if self.objects()?.contains_key(&path) {
            return Ok(());
        }
        let place = (adapter, ADAPTER);
        if let Err(error) = self.call(place, "StartDiscovery", (), CALL)
            && error.name() != Some("org.bluez.Error.InProgress")
        {
            return Err(error.into());
        }
        let deadline = Instant::now() + SEARCH;
        let found = loop {
            if self.objects()?.contains_key(&path) {
                break true;
            }
            if Instant::now() > deadline {
                break false;
            }
            std::thread::sleep(LOOK);
        };
        let _ends_with_the_connection = self.call(place, "StopDiscovery", (), CALL);
        found.then_some(()).ok_or(PairError::NotHeard(device))
    }

    fn pair(&mut self, device: Address) -> Result<(), PairError> {
        let path = self.device.clone();
        let Err(error) = self.call((&path, DEVICE), "Pair", (), PAIR) else {
            return Ok(());
        };
        match error.name().unwrap_or_default() {
            "org.bluez.Error.AlreadyExists" => Ok(()),
            name if name.starts_with("org.bluez.Error.Authentication") => Err(match self.pin {
                None => PairError::NeedsPin(device),
                Some(_) => PairError::WrongPin(device),
            }),
            name => {
                let words = error.message().unwrap_or(name);
                let why = proto::wire::sanitise(words);
                Err(PairError::Refused { device, why })
            }
        }
    }

    /// The daemon may then let it in without asking again; it works without, too.
    fn trust(&mut self) {
        let path = self.device.clone();
        let properties = (path.as_str(), "org.freedesktop.DBus.Properties");
        let arguments = (DEVICE, "Trusted", Variant(true));
        if let Err(error) = self.call(properties, "Set", arguments, CALL) {
            tracing::debug!(%error, "the daemon does not keep that it is trusted");
        }
    }

    /// What the device is, as it says after pairing.
    fn identity(&mut self) -> Result<Pin, PairError> {
        let path = self.device.clone();
        let place = Path::new(path.clone()).map_err(PairError::Bus)?;
        let connected = self.call((&path, DEVICE), "Connect", (), SERVICES);
        if let Err(error) = connected {
            tracing::debug!(%error, "connecting after pairing");
        }
        let deadline = Instant::now() + SERVICES;
        let objects = loop {
            let objects = self.objects()?;
            let device = objects.get(&place).and_then(|device| device.get(DEVICE));
            let resolved = device.and_then(|device| prop_cast(device, "ServicesResolved"));
            if resolved == Some(&true) || Instant::now() > deadline {
                break objects;
            }
            std::thread::sleep(LOOK);
        };
        let device = objects.get(&place).and_then(|device| device.get(DEVICE));
        let text = |name: &str| {
            device
                .and_then(|device| prop_cast::<String>(device, name))
                .cloned()
        };
        let bonded = device.and_then(|device| prop_cast::<bool>(device, "Paired"));
        let mut read = |known: Characteristic| self.read(&objects, &path, known);
        Ok(Pin {
            identity: text("Address").and_then(|text| Address::parse(&text)),
            bonded: bonded.copied().unwrap_or(false),
            manufacturer: read(Characteristic::ManufacturerName),
            model: read(Characteristic::ModelNumber),
            serial: read(Characteristic::SerialNumber),
        })
    }

    fn read(&mut self, objects: &Objects, device: &str, known: Characteristic) -> Option<String> {
        let wanted = vitals::gatt::Uuid(known.uuid()).to_string();
        let interface = "org.bluez.GattCharacteristic1";
        let path = objects.iter().find_map(|(path, interfaces)| {
            let uuid: &String = prop_cast(interfaces.get(interface)?, "UUID")?;
            (path.starts_with(device) && *uuid == wanted).then(|| path.to_string())
        })?;
        let options: HashMap<&str, Variant<Box<dyn RefArg>>> = HashMap::new();
        let reply = self.call((&path, interface), "ReadValue", (options,), CALL);
        let octets: Vec<u8> = reply.ok()?.read1().ok()?;
        let text = DeviceText::from_octets(&octets);
        (!text.as_str().is_empty()).then(|| text.as_str().to_owned())
    }
}
