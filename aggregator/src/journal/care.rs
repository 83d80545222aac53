//! What people do about alerts, other than taking notice of them, as the log holds it.
//!
//! Invariant: alerts and conditions go by their names; words are sealed beside it. Must not know: bytes, what a twin makes of it.

use vitals::Time;

/// What a person does about an alert or a condition. Conditions go by their names: a later program may know more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CareAct {
    /// The entry's text is about an alert.
    Comment {
        /// The alert's id.
        alert: String,
    },
    /// Whose affair an alert is.
    Own {
        /// The alert's id.
        alert: String,
        /// Whose; empty: nobody's in particular.
        owner: String,
    },
    /// A condition is silenced; the entry's text says why.
    Snooze {
        /// Its name.
        condition: String,
        /// Until when, by the centre's clock.
        until: Time,
    },
    /// A snooze ends before its time.
    Wake {
        /// Its condition's name.
        condition: String,
    },
    /// Nobody is on duty whom the last call is for; the entry's text says where.
    Pass {
        /// The alert's id.
        alert: String,
        /// How many calls were made.
        calls: u32,
    },
    /// The next one of the alert's ladder is called now; the entry's text is for them.
    Escalate {
        /// The alert's id.
        alert: String,
        /// Who is called, as the contract numbers duties.
        duty: u8,
    },
}
