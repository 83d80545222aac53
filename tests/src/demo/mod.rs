//! The demo: wearables, gateways and the centre as separate processes on this machine, and what they do.
//!
//! * [`observer`]: reads the streams like any platform and notes what came when.
//! * [`summary`]: PURE: from notes and counts to the JSON summary and its verdict.
//!
//! Nothing here makes a reading or an alert: all of it comes from the simulated physiology (or a recorded
//! heart) through the whole path, and is marked as test data.

pub mod observer;
pub mod stage;
pub mod summary;
