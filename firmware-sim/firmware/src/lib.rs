//! What a wearable computes, from its sensors' registers to the octets of its GATT values.
//!
//! `no_std` (with `alloc`), generic over embedded-hal 1.0: the same code can run on a microcontroller. Sensors are
//! read by published driver crates (`max3010x`, `lis2dh12`, `mlx9061x`); only the ECG front end has a driver of our own,
//! because none for embedded-hal 1.0 is published (November 2026).
//!
//! In the order of the flow:
//! * [`ads1292`]: ECG front end; [`ecg`]: R peaks. [`optic`]: light through tissue; [`ppg`]: pulse and saturation.
//!   [`steps`]: steps from acceleration. [`rate`]: a rate from intervals.
//! * [`strap`], [`watch`], [`oximeter`], [`thermometer`]: the devices. A device is started with its bus (which configures
//!   its chips), told or asked to look at its sensors, and asked for its values. A sensor that stops answering does not
//!   stop a device: its values say that it has no signal.
//! * [`gatt`]: the attribute table and values.
//!
//! Must not know: patients, simulation, clocks (time is counted in samples), D-Bus.
#![no_std]

extern crate alloc;

pub mod ads1292;
pub mod ecg;
pub mod gatt;
pub mod optic;
pub mod oximeter;
pub mod ppg;
pub mod rate;
pub mod steps;
pub mod strap;
pub mod thermometer;
pub mod watch;
