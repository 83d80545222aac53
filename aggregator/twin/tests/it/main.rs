//! The fold from outside: what a log does to a twin. One module per promise.

mod again;
mod alerts;
mod avoided;
mod board;
mod care;
mod coverage;
mod determinism;
mod ecg;
mod falls;
mod fusion;
mod glucose;
mod known;
mod local;
mod models;
mod order;
mod pace;
mod past;
mod ppg;
mod rules;
#[path = "../../support/mod.rs"]
mod shared;
mod stable;
mod support;
mod switch;
mod technical;
mod time;
mod void;
mod watch;
mod wearer;
