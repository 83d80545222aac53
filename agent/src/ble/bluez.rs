//! What btleplug does not offer of `BlueZ`, by calls of our own on D-Bus: a watch over daemon and bus, and
//! forgetting a device whose cached services are broken.
//!
//! The only file beside `bluez/` that names the crate `dbus`. Calls here block; they run on threads of their own.
//! Must not know: links' machines, values.

pub mod pairing;

use std::time::Duration;

use dbus::Message;
use dbus::blocking::Connection;
use dbus::blocking::stdintf::org_freedesktop_dbus::Properties as _;
use dbus::message::MatchRule;
use tokio::sync::oneshot;

use super::Address;

/// The daemon's name on the bus.
pub const DAEMON: &str = "org.bluez";
/// A call that takes longer has failed.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// The watch looks up from its socket this often; it wakes at once when something comes.
const WATCH_TURN: Duration = Duration::from_secs(3600);
const OWNER_CHANGED: &str = "type='signal',sender='org.freedesktop.DBus',\
     interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='org.bluez'";

/// Object path of a device.
#[must_use]
pub fn device_path(adapter: &str, device: Address) -> String {
    let address = device.to_string().replace(':', "_");
    format!("/org/bluez/{adapter}/dev_{address}")
}

/// Tells when the Bluetooth daemon changes hands or the bus dies, both of which btleplug keeps to itself.
///
/// # Errors
/// The bus cannot be reached; for people.
pub fn watch_daemon() -> Result<oneshot::Receiver<&'static str>, String> {
    let connection = Connection::new_system().map_err(|error| error.to_string())?;
    let watched = connection.add_match_no_cb(OWNER_CHANGED);
    watched.map_err(|error| error.to_string())?;
    let (told, news) = oneshot::channel();
    let thread = std::thread::Builder::new().name("daemon-watch".into());
    let watch = thread.spawn(move || {
        let (changed, changes) = std::sync::mpsc::channel();
        let rule = MatchRule::new_signal("org.freedesktop.DBus", "NameOwnerChanged");
        let seen = move |message: Message, _: &Connection| {
            let (name, _, _): (&str, &str, &str) = message.read3().unwrap_or_default();
            name != DAEMON || changed.send(()).is_ok()
        };
        dbus::channel::MatchingReceiver::start_receive(&connection, rule, Box::new(seen));
        let why = loop {
            if connection.process(WATCH_TURN).is_err() {
                break "the D-Bus died";
            }
            if changes.try_recv().is_ok() {
                break "the Bluetooth daemon was restarted";
            }
        };
        let _nobody_cares_any_more = told.send(why);
    });
    watch.map_err(|error| error.to_string())?;
    Ok(news)
}

/// True if there is a bond with the device.
///
/// # Errors
/// The daemon's, for people.
pub fn is_bonded(adapter: &str, device: Address) -> Result<bool, String> {
    let text = |error: dbus::Error| error.to_string();
    let connection = Connection::new_system().map_err(text)?;
    let path = device_path(adapter, device);
    let proxy = connection.with_proxy(DAEMON, path.as_str(), CALL_TIMEOUT);
    proxy.get("org.bluez.Device1", "Paired").map_err(text)
}

/// Ends a link over which the daemon resolves nothing: a restarted daemon has the kernel's links, says that they
/// are connected, and never looks up their services (measured); only a new link helps. True if there was one.
///
/// # Errors
/// The daemon's, for people.
pub fn end_stale_link(adapter: &str, device: Address) -> Result<bool, String> {
    let text = |error: dbus::Error| error.to_string();
    let connection = Connection::new_system().map_err(text)?;
    let path = device_path(adapter, device);
    let proxy = connection.with_proxy(DAEMON, path.as_str(), CALL_TIMEOUT);
    let flag = |name| proxy.get::<bool>("org.bluez.Device1", name).map_err(text);
    if !flag("Connected")? || flag("ServicesResolved")? {
        return Ok(false);
    }
    let ended: Result<(), dbus::Error> = proxy.method_call("org.bluez.Device1", "Disconnect", ());
    ended.map_err(text)?;
    Ok(true)
}

/// Makes the daemon forget a device and its cached services, unless it is bonded: a bond is worth more.
///
/// # Errors
/// The daemon's, for people.
pub fn forget(adapter: &str, device: Address) -> Result<(), String> {
    let text = |error: dbus::Error| error.to_string();
    let connection = Connection::new_system().map_err(text)?;
    let path = device_path(adapter, device);
    let proxy = connection.with_proxy(DAEMON, path.as_str(), CALL_TIMEOUT);
    let bonded: bool = proxy.get("org.bluez.Device1", "Paired").map_err(text)?;
    if bonded {
        return Ok(());
    }
    let adapter = format!("/org/bluez/{adapter}");
    let proxy = connection.with_proxy(DAEMON, adapter.as_str(), CALL_TIMEOUT);
    let path = dbus::Path::new(path)?;
    proxy
        .method_call("org.bluez.Adapter1", "RemoveDevice", (path,))
        .map_err(text)
}
