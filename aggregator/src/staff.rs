//! How people, teams and roles are called.
//!
//! Promises: a name that is fit is one line that reads as it is written, and cannot be taken for an operator's, a
//! platform's or a gateway's in the log. Must not know: what a role may do, who has it.

use proto::v1::StaffRole;
use vitals::PatientId;

/// Longest name of a person or team, characters.
const NAME: usize = 80;

/// All roles, from the least.
pub const ROLES: [StaffRole; 5] = [
    StaffRole::Viewer,
    StaffRole::Nurse,
    StaffRole::Doctor,
    StaffRole::Supervisor,
    StaffRole::Administrator,
];

/// A role's name at the command line and on the page.
#[must_use]
pub const fn role_name(role: StaffRole) -> &'static str {
    match role {
        StaffRole::Unspecified => "revoked",
        StaffRole::Viewer => "viewer",
        StaffRole::Nurse => "nurse",
        StaffRole::Doctor => "doctor",
        StaffRole::Supervisor => "supervisor",
        StaffRole::Administrator => "administrator",
    }
}

/// The role of that name.
#[must_use]
pub fn role_of(name: &str) -> Option<StaffRole> {
    ROLES.into_iter().find(|role| role_name(*role) == name)
}

/// What acts of others are recorded under: see `Actor::name`.
const TAKEN: [&str; 7] = [
    "anonymous",
    "channel",
    "gateway",
    "operator",
    "patient",
    "platform",
    "roster",
];

/// A person's or team's name as it is kept; `None`: it is not fit.
#[must_use]
pub fn name(text: &str) -> Option<String> {
    let name = text.split_whitespace().collect::<Vec<_>>().join(" ");
    // Nothing that does not print, and nothing that turns the direction of writing.
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let first = name.split(' ').next().unwrap_or_default().to_lowercase();
    let fit = !name.is_empty()
        && name.chars().count() <= NAME
        && !name.chars().any(hidden)
        && !TAKEN.contains(&first.as_str());
    fit.then_some(name)
}

/// Whose session it is, where a patient signed in to their own page: no person has such a name.
#[must_use]
pub fn patient_name(patient: &PatientId) -> String {
    format!("{PATIENT}{}", patient.reveal())
}

/// The patient of such a name; `None`: it is a person's.
#[must_use]
pub fn patient_of(name: &str) -> Option<PatientId> {
    PatientId::parse(name.strip_prefix(PATIENT)?)
}

const PATIENT: &str = "patient ";

/// Two names that people would take for one.
#[must_use]
pub fn alike(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_go_by_their_names() {
        for role in ROLES {
            assert_eq!(role_of(role_name(role)), Some(role));
        }
        assert_eq!(role_of("revoked"), None, "nobody is given it");
    }

    #[test]
    fn a_name_is_one_line_that_nobody_mistakes() {
        assert_eq!(name("  Ann   Lee "), Some("Ann Lee".into()));
        assert_eq!(name("Ann\nLee"), Some("Ann Lee".into()));
        for unfit in [
            "",
            " \n",
            "Operator olga",
            "platform tele",
            "channel ward",
            "patient",
            "a\u{7}",
            "a\u{202e}b",
        ] {
            assert_eq!(name(unfit), None, "{unfit:?}");
        }
        assert_eq!(
            name(&"x".repeat(NAME)).map(|name| name.len()),
            Some(NAME),
            "control"
        );
        assert_eq!(name(&"x".repeat(NAME + 1)), None);
        let patient = PatientId::parse("p-1").expect("a patient id");
        let called = patient_name(&patient);
        assert_eq!((patient_of(&called), name(&called)), (Some(patient), None));
        assert_eq!(patient_of("Ann"), None);
        assert!(alike("ANN", "Ann") && !alike("Ann", "Anna"));
    }
}
