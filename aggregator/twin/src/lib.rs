//! The twin: a pure fold of one patient's log. [`step`] takes the state, an event and its *known* time, and
//! gives effects; the same log gives the same twin and the same alerts, bit for bit.
//!
//! In the order in which a reading passes through: [`event`] (what comes in), [`order`] (is it new, is it
//! ours), `channel` (latest value, freshness, which source leads; [`fusion`]: several sources of one kind) with [`baseline`] (what is usual for this
//! person) and [`window`] (the last half hour), then the models [`news2`], [`bedside`], [`ecg`] and [`ppg`] (beats from an electrocardiogram and from light; [`signal`]: what they share), [`rhythm`], [`glucose`] and [`forecast`] (on a [`trend`]), the
//! rules in [`rule`] (what a centre may change of them: [`rules`]; how urgent what is: [`urgency`]), `threshold` (`past`: the same of what is no longer about now) and `technical`, the alerts' life in [`alert`] (`local`: those that a gateway
//! raised by itself; `amend`: what becomes of them when readings are voided), and [`view`] (what readers are shown). [`board`] keeps how good the models are for this person. [`coverage`] names what each stretch of time was. [`sentinel`] is what a gateway runs of it. [`twin`] ties them together; [`canonical`] writes the state as bytes and reads it back.
//!
//! Invariants: no clock, no randomness, no I/O, no hash tables; transcendental functions from `libm` only;
//! every collection has a stated bound. What it must not know: patients' names or ids, keys, sockets, files.
#![no_std]

extern crate alloc;

#[cfg(test)]
extern crate std;

pub mod alert;
mod amend;
pub mod baseline;
pub mod bearing;
pub mod bedside;
pub mod board;
mod body;
pub mod canonical;
pub mod care;
mod channel;
pub mod coverage;
mod device;
pub mod ecg;
pub mod event;
pub mod facts;
pub mod forecast;
pub mod fusion;
pub mod glucose;
mod lean;
mod life;
mod local;
mod motion;
pub mod news2;
pub mod order;
mod past;
pub mod ppg;
mod resting;
pub mod rhythm;
pub mod rule;
pub mod rules;
pub mod sentinel;
pub mod signal;
mod stream;
mod technical;
mod threshold;
pub mod trend;
pub mod twin;
pub mod urgency;
pub mod view;
mod warning;
pub mod watch;
pub mod window;
mod words;

pub use alert::{
    Alert, AlertChange, AlertId, Category, Change, Condition, Evidence, Priority, State, Withdrawal,
};
pub use event::Event;
pub use twin::{Effect, Twin, step};

/// Names the meaning of the fold. Equal logs give equal states only within one version: raise it with every
/// change that can alter a state or an effect.
pub const FOLD_VERSION: u32 = 25;
