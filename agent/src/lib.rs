//! The edge: reads wearables, seals every reading for one patient, keeps it until it is safe elsewhere.
//!
//! The way of one notification, and the folders in its order:
//!
//! 1. [`ble`]: a subscribed value comes out of the radio, with the time.
//! 2. [`decode`]: it becomes scalar readings, or a counted refusal.
//! 3. [`outbox`]: the readings are sealed to the patient's public key; the record is kept until it is safe.
//! 4. [`uplink`]: the record goes to the centre, live before backlog, until its receipt comes.
//!
//! [`survival`] raises the few critical alerts here while the centre is silent; where no line ever comes, [`carry`]
//! brings records to the centre by hand.
//!
//! [`core`] is all of that as one pure machine; [`app`] runs it: radio, line, writer and time around it.
//! [`identity`], [`mod@enrol`] and [`command`] say who this gateway is and whom it obeys; [`config`],
//! [`page`], [`status`], [`doctor`], [`telemetry`] and [`cli`] are for people; [`decode_cli`] decodes single values for them.
//!
//! What the agent never has: a key that opens anything it wrote before, a patient's name, a reading on disk
//! in clear.

pub mod app;
pub mod backoff;
pub mod ble;
pub mod carry;
pub mod cli;
pub mod command;
pub mod config;
pub mod core;
pub mod decode;
pub mod decode_cli;
pub mod doctor;
pub mod enrol;
pub mod identity;
pub mod outbox;
pub mod page;
pub mod remote;
pub mod status;
pub mod survival;
pub mod telemetry;
pub mod uplink;
