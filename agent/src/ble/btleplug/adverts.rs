//! What was heard in adverts, for [`adverts`](crate::ble::adverts) to judge.

use btleplug::platform::PeripheralId;

use super::{Bluetooth, Session, address_of};
use crate::ble::Notification;
use crate::ble::adverts::{ADVERT, Data, Standing};
use crate::ble::link::Input;
use crate::ble::radio::Radio;

impl Session {
    /// What a device advertises may be a value; and whoever advertises vitals is worth listening for.
    pub(super) fn advert(
        &mut self,
        id: &PeripheralId,
        data: Data<'_>,
        bluetooth: &Bluetooth,
        radio: &mut Radio,
    ) {
        let Some(device) = address_of(id) else {
            return;
        };
        let pins = bluetooth.orders.pins.borrow();
        let standing = Standing {
            assigned: radio.is_assigned(device),
            bonded: pins.get(&device).is_some_and(|pin| pin.bonded),
            linked: radio.connected().any(|linked| linked == device),
        };
        let beacon = data.is_beacon() && !pins.contains_key(&device);
        drop(pins);
        let received = bluetooth.clock.now();
        if data.is_vital() {
            let input = Input::Advertised { beacon };
            radio.handle(device, input, received, 0);
        }
        if let Some(value) = self.adverts.take(device, data, standing, received) {
            bluetooth.out.value(Notification {
                device,
                service: 0,
                characteristic: ADVERT,
                value,
                received,
            });
        }
    }
}
