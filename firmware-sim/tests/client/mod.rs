//! A central of a few D-Bus calls, for tests that need no real one.

use std::time::{Duration, Instant};

use zbus::Connection;
use zbus::zvariant::OwnedValue;

/// Nothing here takes longer unless it is broken.
const LIMIT: Duration = Duration::from_secs(30);

/// On the bus.
pub(crate) struct Client(pub(crate) Connection);

impl Client {
    pub(crate) async fn call<B, R>(
        &self,
        path: &str,
        interface: &str,
        method: &str,
        body: &B,
    ) -> zbus::Result<R>
    where
        B: serde::Serialize + zbus::zvariant::DynamicType + Sync,
        R: for<'d> zbus::zvariant::DynamicDeserialize<'d>,
    {
        let reply = self
            .0
            .call_method(Some("org.bluez"), path, Some(interface), method, body)
            .await?;
        reply.body().deserialize()
    }

    /// A property of a device that is true or false.
    pub(crate) async fn flag(&self, device: &str, property: &str) -> Option<bool> {
        let body = ("org.bluez.Device1", property);
        let value: zbus::Result<OwnedValue> = self
            .call(device, "org.freedesktop.DBus.Properties", "Get", &body)
            .await;
        value.ok().and_then(|value| bool::try_from(value).ok())
    }

    /// Until it reads so.
    pub(crate) async fn until(&self, device: &str, property: &str, wanted: Option<bool>) {
        let deadline = Instant::now() + LIMIT;
        let mut pace = tokio::time::interval(Duration::from_millis(5));
        while self.flag(device, property).await != wanted {
            assert!(
                Instant::now() < deadline,
                "{property} did not become {wanted:?}"
            );
            pace.tick().await;
        }
    }

    pub(crate) async fn control<B, R>(&self, method: &str, body: &B) -> zbus::Result<R>
    where
        B: serde::Serialize + zbus::zvariant::DynamicType + Sync,
        R: for<'d> zbus::zvariant::DynamicDeserialize<'d>,
    {
        let (name, path) = (
            firmware_sim::bluez::CONTROL_NAME,
            firmware_sim::bluez::CONTROL_PATH,
        );
        let reply = self
            .0
            .call_method(Some(name), path, Some("org.vitaltwin.Sim1"), method, body)
            .await?;
        reply.body().deserialize()
    }
}

/// To a bus on which wearables are, or soon will be.
pub(crate) async fn connect(bus: &str) -> Client {
    let connection = zbus::connection::Builder::address(bus)
        .expect("an address")
        .build()
        .await;
    let client = Client(connection.expect("the bus is there"));
    let deadline = Instant::now() + LIMIT;
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    while client
        .control::<_, Vec<String>>("Devices", &())
        .await
        .is_err()
    {
        assert!(Instant::now() < deadline, "the wearables did not come");
        pace.tick().await;
    }
    client
}
