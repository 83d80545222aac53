//! What the agent keeps until it is safe elsewhere.
//!
//! * [`assignment`]: PURE. Whose readings are sealed to which key.
//! * [`seal`]: opens contexts to patients' keys, batches readings, seals them.
//! * [`minute`]: PURE. Small records of an open minute, which become one without a line.
//! * [`ledger`]: PURE. Which sealed records exist, what a receipt covers, what to drop when the disk is full.
//! * [`records`]: PURE. What the ledger knows of each record, packed.
//! * [`store`]: with its `engine`, the only files that name sled; [`writer`]: the one thread that owns it.
//! * [`rows`]: PURE. What lies in the store besides sealed records; `places`: PURE. Keys that stand ready for the next ones.
//! * `reserve`: room to give up when the disk is full.
//! * `recover`: a store that does not open or lost something is set aside, and what can be read of it adopted.
//! * [`salvage`]: finds that, byte by byte.
//! * [`tally`]: PURE. What should be in the store, kept beside it, so that a loss can be counted; `mark`: the number
//!   of the newest commit, so that a loss is noticed.
//!
//! The promises:
//! 1. A reading is never on disk unsealed, and no key on disk opens anything: what a previous run sealed is
//!    only ever sent again, never opened.
//! 2. A record is deleted for an authentic receipt. Otherwise it leaves only by a declared policy (full disk, age: a
//!    gap tells), a signed order (set aside: a gap; a withdrawal with erasure: none), or as part of a merged record
//!    that is committed in its place.
//! 3. A crash loses at most what came after the last commit (default every second), and says so.
//! 4. The agent always starts: a store that does not open, or has lost something, is set aside and salvaged; a kill
//!    in the middle of that is made good by the next start. Nothing of it is deleted before all that can be read was
//!    fetched; then it is kept until two newer ones were searched, or what waits needs its room. A start waits for
//!    that 150 seconds at most, and leaves the room that is configured to be free.
//!
//! On disk (one sled tree, keys are one letter and big-endian numbers, every value carries a CRC-32C):
//!
//! | key | value |
//! |---|---|
//! | `c` ordinal (8) | a context: its signed header, certificate chain, receipt key, stream |
//! | `r` ordinal (8) number (8) | one sealed record as in `proto/SEAL.md`; or nothing yet (`places`) |
//! | `s` stream (16) | what outlives a context: its last positions, counters, source numbers |
//! | `x` ordinal (8) number (8) | a record set aside by order of the centre |
//! | `k` stream (16) source (2) | what is known of a device's clocks |
//! | `m` | how the last run ended, and the counters of the gateway |
//!
//! Beside it: `outbox.format` (of which release), `outbox.tally` and `outbox.mark` (counts), `outbox.reserve` and
//! `outbox.reserve-to-open`, and folders of damaged stores:
//! `salvage-TIME` while there is something to fetch from it, then `corrupt-TIME`.

pub mod assignment;
mod format;
mod hang;
pub mod ledger;
mod mark;
pub mod minute;
mod places;
pub mod records;
mod recover;
mod reserve;
pub mod rows;
pub mod salvage;
pub mod seal;
pub mod store;
pub mod tally;
pub mod writer;

/// Where a record stands: contexts are numbered in the order in which this gateway opened them, records
/// within their context. The order of ids is the order of age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId {
    /// The context's place in the order of opening, from 1.
    pub ordinal: u64,
    /// The batch number within the context, from 1.
    pub number: u64,
}
