//! The fold from outside: what a log does to a twin. One module per promise.

mod alerts;
mod care;
mod coverage;
mod determinism;
mod ecg;
mod fusion;
mod glucose;
mod local;
mod models;
mod order;
mod pace;
mod past;
#[path = "../../examples/support/mod.rs"]
mod shared;
mod stable;
mod support;
mod technical;
mod time;
mod void;
