//! Devices that are never connected to: what they measure is in their adverts.

use alloc::vec::Vec;

/// Service data of `BTHome` (bthome.io, version 2): the number that Allterco registered.
pub const BTHOME: u16 = 0xFCD2;
/// Polar Electro Oy.
pub const POLAR: u16 = 0x006B;

/// Version 2, not encrypted, at regular intervals.
const BTHOME_PLAIN: u8 = 0x40;
/// Objects: packet number, battery (percent), temperature (0.01 degrees Celsius).
const PACKET: u8 = 0x00;
const BATTERY: u8 = 0x01;
const TEMPERATURE: u8 = 0x02;

/// Service data of a thermometer.
#[must_use]
pub fn bthome_thermometer(packet: u8, battery_percent: u8, celsius: f64) -> Vec<u8> {
    // The cast saturates far outside what lives.
    let [low, high] = (libm::round(100.0 * celsius) as i16).to_le_bytes();
    Vec::from([
        BTHOME_PLAIN,
        PACKET,
        packet,
        BATTERY,
        battery_percent,
        TEMPERATURE,
        low,
        high,
    ])
}

/// Manufacturer data of a Polar heart-rate sensor, as an H7 was seen to send it: two octets of state, then the rate of the
/// last beats and the slower average.
#[must_use]
pub fn polar_heart_rate(fast: f64, slow: f64) -> Vec<u8> {
    // A rate fits in 8 bits; the cast saturates for what is none.
    let whole = |rate: f64| libm::round(rate) as u8;
    Vec::from([0x3B, 0x1B, whole(fast), whole(slow)])
}
