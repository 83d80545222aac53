//! What the outside may rely on: the shared vectors, round trips, hostile octets, and readings.
#![allow(clippy::unwrap_used, reason = "a test stops where its promise breaks")]

mod device_clock;
mod fuzzer;
mod general;
mod hostile;
mod polar;
mod readings;
mod round_trip;
mod sample_array;
mod samples;
mod specification;
mod stored;
mod vectors;
