//! What the body says, and how sensors say it.
//!
//! Pure: no I/O, no clock, no randomness, no serialisation framework; `no_std` with `alloc`, so that real
//! firmware can use the same code. Every crate of the house uses these words.
//!
//! * [`measure`]: kinds of measurement with units (UCUM), LOINC and MDC codes, plausible ranges.
//! * [`id`]: identifiers whose `Debug` hides the patient.
//! * [`time`]: microseconds since the Unix epoch, and spans of them.
//! * [`quality`]: what a sensor says about its own signal, and why a number is absent.
//! * [`waveform`]: blocks of samples at a steady rate.
//! * [`gatt`]: Bluetooth profiles, octets to values and back.
//! * [`observe`]: from a decoded notification to readings.
//!
//! Invariant: a special value (NaN, "not at this resolution", no contact) is an [`quality::Absence`] with
//! its reason, never a number.
#![no_std]

extern crate alloc;

pub mod gatt;
pub mod id;
pub mod measure;
pub mod observe;
pub mod quality;
pub mod time;
pub mod waveform;

pub use id::{ContextId, GatewayId, PatientId, SourceId, StreamId};
pub use measure::{Fixed, Kind, Reading, Value};
pub use quality::{Absence, Quality};
pub use time::{DeviceTime, Span, Time};
pub use waveform::{Wave, Waveform};
