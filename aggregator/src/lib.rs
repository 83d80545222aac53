//! The centre: ingest -> journal -> patient -> publish -> serve.
//!
//! The way of one batch, in folder order: [`ingest`] takes a sealed record from a gateway, opens it and
//! hands it to [`journal`], which makes it durable; only then the gateway gets its receipt and the fold its
//! event; [`publish`] gives every change a position, and [`serve`] shows it to whom the gate allows.
//!
//! Must not know: Bluetooth, the agent.

pub mod admin;
pub mod app;
pub mod backup;
pub mod ca;
pub mod chain;
pub mod channel;
pub mod cli;
pub mod config;
pub mod counters;
pub mod dir;
pub mod doctor;
pub mod evaluate;
pub mod gate;
pub mod history;
pub mod https;
pub mod ingest;
pub mod journal;
pub mod lock;
pub mod metrics;
pub mod past;
pub mod patient;
pub mod publish;
pub mod registry;
pub mod replay;
pub mod roster;
pub mod rules;
pub mod scope;
pub mod serve;
pub mod snapshot;
pub mod staff;
mod stages;
pub mod traces;
pub mod vault;
