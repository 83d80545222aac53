//! The world: every process of vitaltwin, started for real, with the means to hurt them.
//!
//! * [`process`]: a child process with its log, to be stopped, killed and waited for.
//! * [`centre`], [`gateway`]: an aggregator and its command line; a gateway machine (a private D-Bus, the
//!   wearables on it, an agent).
//! * [`client`]: a reader of the centre, as a telemedicine platform would be one; [`watcher`]: what one saw that goes away
//!   and comes back, and whether it is what happened.
//! * [`hand`]: a gateway driven by hand, for everything that an honest agent never sends; [`mod@line`]: its line, by either
//!   door; [`house`]: many of them, with patients.
//! * [`rogue`]: a centre that lies.
//! * [`proxy`]: a seeded TCP proxy that delays, cuts and corrupts.
//! * [`world`]: all of it, from a scenario. [`demo`]: the demo around it. [`soak`]: days of it, with everything going wrong.
//! * `bench`: figures beside the limit or peer of the same run.
//! * [`wait`]: waiting on conditions with a deadline; nothing here sleeps and hopes.
//!
//! Used by the stories (`e2e/`), the demo and the benches (`src/bin/`). Knows the processes only by their
//! command lines, files and wires, never by their insides.

pub mod bench;
pub mod centre;
pub mod client;
pub mod demo;
pub mod gateway;
pub mod hand;
pub mod house;
pub mod line;
pub mod process;
pub mod proxy;
pub mod rogue;
pub mod soak;
pub mod wait;
pub mod watcher;
pub mod world;
