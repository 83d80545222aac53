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
//! * [`device`]: what the devices that measure now and then have in common; they keep what they measured and give it when
//!   somebody asks: [`cuff`], [`glucose_meter`], [`cgm`], [`scale`], [`spot`]. They stamp it by a [`clock`] of their own,
//!   right or wrong; [`records`]: the Record Access Control Point.
//! * [`beacon`]: devices whose values are in their adverts.
//! * [`polar`]: a chest strap's streams of ECG, acceleration and intervals.
//! * [`gatt`]: the attribute table and values; [`profiles`]: the tables of the devices that store.
//!
//! Must not know: patients, simulation, D-Bus, the time (samples are counted; devices that store are told how long they
//! have been running).
#![no_std]

extern crate alloc;

pub mod ads1292;
pub mod beacon;
pub mod cgm;
pub mod clock;
pub mod cuff;
pub mod device;
pub mod ecg;
pub mod gatt;
pub mod glucose_meter;
pub mod optic;
pub mod oximeter;
pub mod polar;
pub mod ppg;
pub mod profiles;
pub mod rate;
pub mod records;
pub mod scale;
pub mod spot;
pub mod steps;
pub mod strap;
pub mod thermometer;
pub mod watch;
