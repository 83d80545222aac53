//! What the agent and its radio worker say to each other: one JSON line each, over the worker's standard input
//! and output. Both ends are the same program file, so the form may change with any version.
//!
//! Why a process of its own: btleplug leaks a D-Bus connection with each manager and match rules with each
//! connect, and its calls hang for good when the bus dies; only a fresh process cures that. What was written to
//! the pipe outlives the worker.
//!
//! Must not know: D-Bus, processes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vitals::{Span, Time};

use super::pins::Pin;
use super::records::Marks;
use super::{Address, Missed, Notification, RadioEvent};

/// Longest line, bytes: a value of 512 octets stays far below.
pub const LONGEST_LINE: usize = 64 * 1024;

/// From the agent to the worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Down {
    /// The first line.
    Setup(Setup),
    /// The assigned devices, all of them, with the last records that were taken of each; whenever that changes.
    Devices(BTreeMap<Address, Marks>),
    /// What devices are held to, all of them; whenever that changes.
    Pins(BTreeMap<Address, Pin>),
    /// Let go of all links and end.
    Stop,
}

/// What the worker needs to know once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// Adapter by name, such as "hci0"; the first one if absent.
    pub adapter: Option<String>,
    /// A device that streams and is silent for this long is connected anew; microseconds of the house's clock.
    #[serde(with = "span")]
    pub silence: Span,
    /// Links that the adapter holds at once; absent where nobody knows.
    pub most_links: Option<usize>,
    /// How far the home's wall clocks are ahead of UTC, minutes; absent: no device's clock is set.
    pub clock_ahead_min: Option<i16>,
    /// What Polar sensors are asked to stream besides the heart rate.
    pub polar_streams: Vec<PolarStream>,
}

/// A stream that a Polar sensor sends when it is asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PolarStream {
    /// The electrocardiogram of a chest strap, 130 Hz.
    Ecg,
    /// Acceleration, 50 Hz.
    Acceleration,
    /// Pulse intervals of an optical sensor.
    Intervals,
    /// The optical signal itself, with ambient light.
    Light,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            adapter: None,
            silence: Span::from_secs(30),
            most_links: None,
            clock_ahead_min: None,
            polar_streams: Vec::new(),
        }
    }
}

/// From the worker to the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Up {
    /// A subscribed value.
    Value(Notification),
    /// Everything else.
    Event(RadioEvent),
    /// A device was met, and this is what it says it is.
    Met(Address, Pin),
    /// Values that the worker could not hand on in time.
    Missed(Address, Missed),
    /// The worker's loop turns, and the Bluetooth daemon answers.
    Alive,
}

impl Down {
    /// As a line, with its end.
    #[must_use]
    pub fn to_line(&self) -> String {
        line(self)
    }
}

impl Up {
    /// As a line, with its end.
    #[must_use]
    pub fn to_line(&self) -> String {
        line(self)
    }
}

fn line(message: &impl Serialize) -> String {
    let mut text = serde_json::to_string(message).expect("no map here has a key that is no text");
    text.push('\n');
    text
}

/// `vitals` knows no serde: times are microseconds.
pub(super) mod time {
    use super::{Deserialize, Time};

    pub(in crate::ble) fn serialize<S: serde::Serializer>(
        time: &Time,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_i64(time.as_micros())
    }

    pub(in crate::ble) fn deserialize<'de, D: serde::Deserializer<'de>>(
        from: D,
    ) -> Result<Time, D::Error> {
        i64::deserialize(from).map(Time::from_micros)
    }
}

mod span {
    use super::{Deserialize, Span};

    pub(super) fn serialize<S: serde::Serializer>(span: &Span, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(span.as_micros())
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Span, D::Error> {
        i64::deserialize(from).map(Span::from_micros)
    }
}

/// A UUID as text: JSON has no number of 128 bits.
pub(super) mod uuid {
    use super::Deserialize;
    use serde::de::Error as _;

    pub(in crate::ble) fn serialize<S: serde::Serializer>(
        uuid: &u128,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{uuid:x}"))
    }

    pub(in crate::ble) fn deserialize<'de, D: serde::Deserializer<'de>>(
        from: D,
    ) -> Result<u128, D::Error> {
        let text = String::deserialize(from)?;
        u128::from_str_radix(&text, 16).map_err(D::Error::custom)
    }
}

/// Octets as hexadecimal text: shorter than a list of numbers.
pub(super) mod octets {
    use super::Deserialize;
    use serde::de::Error as _;

    const DIGITS: &[u8; 16] = b"0123456789abcdef";

    pub(in crate::ble) fn serialize<S: serde::Serializer>(
        octets: &[u8],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let digit = |four: u8| char::from(DIGITS[usize::from(four & 15)]);
        let text: String = octets
            .iter()
            .flat_map(|octet| [digit(octet >> 4), digit(*octet)])
            .collect();
        to.serialize_str(&text)
    }

    pub(in crate::ble) fn deserialize<'de, D: serde::Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        let digits = text.as_bytes().chunks(2);
        let octet = |pair: &[u8]| {
            let pair = std::str::from_utf8(pair)
                .ok()
                .filter(|pair| pair.len() == 2)?;
            u8::from_str_radix(pair, 16).ok()
        };
        let octets: Option<Vec<u8>> = digits.map(octet).collect();
        octets.ok_or_else(|| D::Error::custom("not hexadecimal"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ble::{About, LinkState};

    #[test]
    fn every_message_survives_the_pipe() {
        let device = Address([0xC0, 0, 0, 0, 0, 1]);
        let missed = Missed {
            notifications: 3,
            from: Time::from_micros(1),
            to: Time::from_micros(2),
        };
        let about = About {
            name: Some("strap".into()),
            battery_percent: Some(7),
            ..About::default()
        };
        let ups = [
            Up::Value(Notification {
                device,
                service: u128::MAX,
                characteristic: 0x2a37,
                value: vec![0, 0xff, 0x10],
                received: Time::from_micros(1_800_000_000_000_001),
            }),
            Up::Event(RadioEvent::Link(device, LinkState::Lost)),
            Up::Event(RadioEvent::About(device, about)),
            Up::Event(RadioEvent::Health(None)),
            Up::Missed(device, missed),
            Up::Alive,
        ];
        for up in ups {
            let line = up.to_line();
            assert_eq!(line.matches('\n').count(), 1);
            assert_eq!(serde_json::from_str::<Up>(&line).expect("well formed"), up);
        }
        for down in [
            Down::Setup(Setup::default()),
            Down::Devices(BTreeMap::from([(
                device,
                Marks {
                    glucose: Some(7),
                    monitor: None,
                },
            )])),
            Down::Stop,
        ] {
            let line = down.to_line();
            assert_eq!(
                serde_json::from_str::<Down>(&line).expect("well formed"),
                down
            );
        }
        assert!(serde_json::from_str::<Up>(r#"{"Value":{"device":"C0"}}"#).is_err());
    }
}
