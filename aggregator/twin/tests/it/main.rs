//! The fold from outside: what a log does to a twin. One module per promise.

mod alerts;
mod coverage;
mod determinism;
mod fusion;
mod glucose;
mod local;
mod models;
mod order;
mod past;
mod stable;
mod support;
mod technical;
mod time;
mod void;
