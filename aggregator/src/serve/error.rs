//! Every refusal as a gRPC status, in one place: the code, what is wrong, and what to do about it.
//!
//! Invariant: no text names a patient or repeats what the caller sent.

use tonic::metadata::{BinaryMetadataValue, MetadataMap};
use tonic::{Code, Status};
use vitals::Time;

use super::looks::Unnoted;
use crate::gate::Reason;
use crate::history::HistoryError;
use crate::journal::JournalError;
use crate::patient::{CareError, FactsError};
use crate::publish::Cut;

/// Trailer that carries the cursor of a reader that was cut off.
pub const CURSOR_TRAILER: &str = "vitaltwin-cursor-bin";

/// Says on an answer from which known time on this centre keeps what it was sent, in microseconds since the Unix
/// epoch: what was known before is not in the answer.
pub const KEPT_SINCE: &str = "vitaltwin-kept-since-us";

/// A request whose field does not hold: `hint` says what it must be.
#[must_use]
pub fn invalid(field: &str, hint: &str) -> Status {
    Status::invalid_argument(format!("{field}: {hint}"))
}

/// There is no such thing, or the caller may not know of it.
#[must_use]
pub fn not_found(what: &str) -> Status {
    Status::not_found(format!("there is no such {what}, or it is no longer kept"))
}

/// The gate said no.
#[must_use]
pub fn denied(reason: Reason) -> Status {
    match reason {
        Reason::NotSignedIn | Reason::Revoked | Reason::Expired => {
            Status::unauthenticated(reason.to_string())
        }
        Reason::Locked
        | Reason::OtherTenant
        | Reason::RoleMayNot
        | Reason::NotTheirs
        | Reason::NothingGiven
        | Reason::ServiceNotGiven
        | Reason::NotShared
        | Reason::KindNotGiven
        | Reason::WrongPurpose => Status::permission_denied(reason.to_string()),
    }
}

/// The caller has other patients than when the stream began, or more or less of them.
#[must_use]
pub fn other_patients() -> Status {
    Status::aborted(
        "whom you see, or how much of them, has changed: call again; what is seen now comes as a snapshot",
    )
}

/// What would be looked at could not be written down.
#[must_use]
pub fn unnoted(unnoted: Unnoted) -> Status {
    Status::unavailable(unnoted.to_string())
}

/// A gRPC-web call from another site's page.
#[must_use]
pub fn foreign_origin() -> Status {
    Status::permission_denied(
        "this call came from a page of another site: open the centre's own page",
    )
}

/// The centre is being stopped.
#[must_use]
pub fn stopping() -> Status {
    Status::unavailable("the centre stops: call again, with the cursor of the last event")
}

/// The centre was started a moment ago.
#[must_use]
pub fn not_current() -> Status {
    Status::unavailable(
        "the twins are brought up to date after a start of the centre: ask again in a moment",
    )
}

/// The call did not come in whole, or could not be answered, in time.
#[must_use]
pub fn too_slow() -> Status {
    Status::deadline_exceeded(
        "no answer within 60 s: send the whole request at once, or try again later",
    )
}

/// The journal cannot.
#[must_use]
pub fn journal(error: &JournalError) -> Status {
    match error {
        JournalError::StoreStopped(_) => Status::unavailable(
            "the centre cannot write to its store: an operator has to look at `status`, mend the disk and restart",
        ),
        JournalError::Read(_) | JournalError::NotRemoved(_) => {
            Status::internal("the centre cannot read its store: an operator has to look at its log")
        }
    }
}

/// The time that is asked about lies before what this centre keeps.
#[must_use]
pub fn not_kept(kept_since: Time) -> Status {
    Status::out_of_range(format!(
        "older than what is kept: this centre removed what it knew before {} us (Unix time); ask for a later time, or an operator for a backup",
        kept_since.as_micros()
    ))
}

/// The history cannot answer.
#[must_use]
pub fn history(error: &HistoryError) -> Status {
    match error {
        HistoryError::Store(_) | HistoryError::Stopped(_) => Status::internal(error.to_string()),
        HistoryError::Behind { .. } => Status::unavailable(error.to_string()),
        HistoryError::Damaged { .. } => Status::data_loss(error.to_string()),
    }
}

/// A person's act about an alert could not be done.
#[must_use]
pub fn care(error: &CareError) -> Status {
    match error {
        CareError::NoSuchAlert | CareError::KeyGone => not_found("alert"),
        CareError::NoSuchPatient => not_found("patient"),
        CareError::Resolved => Status::failed_precondition(
            "the alert is resolved already: it needs no acknowledgement",
        ),
        CareError::OwnAlert
        | CareError::NobodyLeft
        | CareError::NotNext { .. }
        | CareError::Silenced => Status::failed_precondition(error.to_string()),
        CareError::TooUrgent => Status::failed_precondition(
            "the condition holds at high priority, which nothing silences: acknowledge the alert",
        ),
        CareError::Journal(error) => journal(error),
    }
}

/// Facts could not be recorded.
#[must_use]
pub fn facts(error: &FactsError) -> Status {
    match error {
        FactsError::NoSuchPatient | FactsError::KeyGone => not_found("patient"),
        FactsError::Unfit { .. } | FactsError::TooManyAtOnce => {
            Status::invalid_argument(error.to_string())
        }
        FactsError::TooMany | FactsError::TooManyNotes => {
            Status::failed_precondition(error.to_string())
        }
        FactsError::Journal(error) => journal(error),
    }
}

/// An alert reader fell too far behind. The cursor is in the trailer [`CURSOR_TRAILER`].
#[must_use]
pub fn cut(cut: &Cut) -> Status {
    let mut trailers = MetadataMap::new();
    trailers.insert_bin(CURSOR_TRAILER, BinaryMetadataValue::from_bytes(&cut.cursor));
    let text = "the reader is too slow for the alert changes: \
                call again with the cursor of the last event, or the one in trailer vitaltwin-cursor-bin";
    Status::with_metadata(Code::ResourceExhausted, text, trailers)
}

/// Something that others use up as well is used up.
#[must_use]
pub fn busy(what: &str) -> Status {
    Status::resource_exhausted(format!("too many {what} at once: try again in a moment"))
}

/// A text that a person wrote, fit to be stored and shown; at most `limit` characters.
///
/// # Errors
/// `INVALID_ARGUMENT` when it is longer.
pub fn text(field: &str, text: &str, limit: usize) -> Result<String, Status> {
    if text.chars().count() > limit {
        return Err(invalid(field, &format!("at most {limit} characters")));
    }
    // Lines stay; nothing else that does not print, and nothing that turns the direction of writing.
    let hidden = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let clean: String = text.chars().filter(|c| !hidden(*c)).collect();
    Ok(clean.trim().to_owned())
}
