//! The gate: the one place that says who may see or do what.
//!
//! [`decide`] is a pure function of (actor, tenant, patient, kind, purpose, at). Every surface calls it: each
//! gRPC call, each page request, each message of an open stream. Whatever can end an actor's rights while a
//! stream is open (a session that is signed out, a certificate that is revoked or runs out) is in the actor's
//! [`Standing`], which the caller reads afresh before each decision (`serve::access`).
//!
//! Invariants: nothing is allowed that is not listed; anonymous actors get nothing of a patient; a reason for a
//! refusal never tells whether a patient exists.
//!
//! Must not know: gRPC, HTTP, TLS, the journal, clocks.

use vitals::{GatewayId, PatientId, Time};

/// Who owns patients and people. There is one tenant until tenants get an issue of their own; the parameter is
/// here so that no caller has to change then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(pub u32);

impl Tenant {
    /// The tenant of everything today.
    pub const HOME: Self = Self(0);
}

/// What an actor is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Nobody proved anything.
    Anonymous,
    /// A gateway's certificate.
    Gateway(GatewayId),
    /// Runs the centre: an operator's certificate.
    Operator(String),
    /// Looks after patients: signed in at the page.
    Person(String),
    /// A telemedicine platform's certificate.
    Platform(String),
}

/// What can end an actor's rights, as of now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The proof (certificate or session) holds before this time.
    pub until: Time,
    /// The proof was taken back.
    pub revoked: bool,
}

impl Standing {
    /// Holds for ever: for actors that prove nothing, and for tests.
    pub const ALWAYS: Self = Self {
        until: Time::MAX,
        revoked: false,
    };
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// What they are.
    pub role: Role,
    /// Whose they are.
    pub tenant: Tenant,
    /// Whether the proof of it still holds.
    pub standing: Standing,
}

impl Actor {
    /// An actor who proved nothing.
    pub const ANONYMOUS: Self = Self {
        role: Role::Anonymous,
        tenant: Tenant::HOME,
        standing: Standing::ALWAYS,
    };

    /// How the actor is named in the journal: role and name; never empty.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.role {
            Role::Anonymous => "anonymous".into(),
            Role::Gateway(gateway) => format!("gateway {gateway}"),
            Role::Operator(name) => format!("operator {name}"),
            Role::Person(name) => name.clone(),
            Role::Platform(name) => format!("platform {name}"),
        }
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A patient's twin: latest values, scores, forecasts.
    Twin,
    /// Alerts and their evidence.
    Alert,
    /// Past readings.
    History,
    /// To take notice of an alert in one's own name, or to say something about it.
    Acknowledgement,
    /// To silence a condition of a patient for a while, to say whose affair an alert is, or what is known about the
    /// patient: for those who look after the patients here.
    Duty,
    /// Who the patients are: display names and assignments.
    Directory,
    /// Registry, tokens, status: running the centre.
    Administration,
    /// Writing sealed batches.
    Uplink,
    /// Becoming or staying a gateway: a one-time token or the enrolled key is the proof, judged where it is
    /// spent.
    Enrolment,
    /// The contract itself and the health of the service: public.
    Contract,
    /// The page's own files and session.
    Page,
}

impl Kind {
    /// All kinds, for tables and sweeps.
    pub const ALL: [Self; 11] = [
        Self::Twin,
        Self::Alert,
        Self::History,
        Self::Acknowledgement,
        Self::Duty,
        Self::Directory,
        Self::Administration,
        Self::Uplink,
        Self::Enrolment,
        Self::Contract,
        Self::Page,
    ];
}

/// What for. Consent will be asked by purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Looking after this patient.
    Care,
    /// Keeping the service running.
    Operation,
}

/// Why not. The text is shown to the actor; it says what to do and nothing about any patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Reason {
    /// Nothing was proved.
    #[error(
        "nobody is signed in: use the one-time link, or connect with a certificate of this centre"
    )]
    NotSignedIn,
    /// The session or certificate was taken back.
    #[error("signed out, or the certificate was revoked: sign in again, or ask an operator")]
    Revoked,
    /// The session or certificate ran out.
    #[error("the session or certificate has expired: sign in again, or renew the certificate")]
    Expired,
    /// Another tenant's.
    #[error("this belongs to another organisation")]
    OtherTenant,
    /// The role does not include it.
    #[error("this role may not do that: ask an operator of the centre")]
    RoleMayNot,
    /// The purpose does not fit what is asked for.
    #[error("not for this purpose")]
    WrongPurpose,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// Yes.
    Allow,
    /// No, and why.
    Deny(Reason),
}

impl Decision {
    /// As a result, for `?`.
    ///
    /// # Errors
    /// The reason of a refusal.
    pub const fn into_result(self) -> Result<(), Reason> {
        match self {
            Self::Allow => Ok(()),
            Self::Deny(reason) => Err(reason),
        }
    }
}

/// May `actor` have `kind` of `patient` (`None`: of no patient in particular) of `tenant` for `purpose`, at
/// time `at`?
///
/// `patient` decides nothing yet: people and platforms see all patients of their tenant until care teams and
/// consent get their issue. It is asked for each patient all the same.
pub fn decide(
    actor: &Actor,
    tenant: Tenant,
    patient: Option<&PatientId>,
    kind: Kind,
    purpose: Purpose,
    at: Time,
) -> Decision {
    let _ = patient;
    if matches!(kind, Kind::Contract | Kind::Enrolment) {
        return Decision::Allow;
    }
    if actor.role == Role::Anonymous {
        return Decision::Deny(Reason::NotSignedIn);
    }
    if actor.standing.revoked {
        return Decision::Deny(Reason::Revoked);
    }
    if at >= actor.standing.until {
        return Decision::Deny(Reason::Expired);
    }
    if actor.tenant != tenant {
        return Decision::Deny(Reason::OtherTenant);
    }
    if !role_includes(&actor.role, kind) {
        return Decision::Deny(Reason::RoleMayNot);
    }
    if !fits(kind, purpose) {
        return Decision::Deny(Reason::WrongPurpose);
    }
    Decision::Allow
}

/// The table of roles.
const fn role_includes(role: &Role, kind: Kind) -> bool {
    match role {
        Role::Anonymous => false,
        Role::Gateway(_) => matches!(kind, Kind::Uplink),
        Role::Operator(_) => matches!(
            kind,
            Kind::Twin
                | Kind::Alert
                | Kind::History
                | Kind::Acknowledgement
                | Kind::Duty
                | Kind::Directory
                | Kind::Administration
                | Kind::Page
        ),
        Role::Person(_) => matches!(
            kind,
            Kind::Twin
                | Kind::Alert
                | Kind::History
                | Kind::Acknowledgement
                | Kind::Duty
                | Kind::Directory
                | Kind::Page
        ),
        Role::Platform(_) => {
            matches!(
                kind,
                Kind::Twin | Kind::Alert | Kind::History | Kind::Acknowledgement
            )
        }
    }
}

/// What is about a patient is for care; the rest is for running the service.
const fn fits(kind: Kind, purpose: Purpose) -> bool {
    matches!(
        (purpose_of(kind), purpose),
        (Purpose::Care, Purpose::Care) | (Purpose::Operation, Purpose::Operation)
    )
}

/// The one purpose that a kind is for today.
#[must_use]
pub const fn purpose_of(kind: Kind) -> Purpose {
    match kind {
        Kind::Twin
        | Kind::Alert
        | Kind::History
        | Kind::Acknowledgement
        | Kind::Duty
        | Kind::Directory => Purpose::Care,
        Kind::Administration | Kind::Uplink | Kind::Enrolment | Kind::Contract | Kind::Page => {
            Purpose::Operation
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_micros(1_000);

    fn actor(role: Role) -> Actor {
        Actor {
            role,
            tenant: Tenant::HOME,
            standing: Standing::ALWAYS,
        }
    }

    fn roles() -> Vec<Role> {
        vec![
            Role::Anonymous,
            Role::Gateway(GatewayId::parse("g-1").expect("a gateway id")),
            Role::Operator("o".into()),
            Role::Person("p".into()),
            Role::Platform("x".into()),
        ]
    }

    /// The whole table, written out: a change of rights is a change of this text.
    #[test]
    fn table() {
        //                    anonymous gateway operator person platform
        let expected = [
            (Kind::Twin, "--  no  yes  yes  yes"),
            (Kind::Alert, "--  no  yes  yes  yes"),
            (Kind::History, "--  no  yes  yes  yes"),
            (Kind::Acknowledgement, "--  no  yes  yes  yes"),
            (Kind::Duty, "--  no  yes  yes  no"),
            (Kind::Directory, "--  no  yes  yes  no"),
            (Kind::Administration, "--  no  yes  no  no"),
            (Kind::Uplink, "--  yes  no  no  no"),
            (Kind::Enrolment, "yes  yes  yes  yes  yes"),
            (Kind::Contract, "yes  yes  yes  yes  yes"),
            (Kind::Page, "--  no  yes  yes  no"),
        ];
        assert_eq!(expected.map(|(kind, _)| kind), Kind::ALL);
        let patient = PatientId::parse("p-1");
        for (kind, row) in expected {
            let got: Vec<&str> = roles()
                .into_iter()
                .map(|role| {
                    let purpose = purpose_of(kind);
                    match decide(
                        &actor(role),
                        Tenant::HOME,
                        patient.as_ref(),
                        kind,
                        purpose,
                        NOW,
                    ) {
                        Decision::Allow => "yes",
                        Decision::Deny(Reason::NotSignedIn) => "--",
                        Decision::Deny(_) => "no",
                    }
                })
                .collect();
            assert_eq!(got.join("  "), row, "{kind:?}");
        }
    }

    #[test]
    fn standing_ends_every_right_that_is_not_public() {
        let ended = [
            (
                Standing {
                    until: Time::MAX,
                    revoked: true,
                },
                Reason::Revoked,
            ),
            (
                Standing {
                    until: NOW,
                    revoked: false,
                },
                Reason::Expired,
            ),
        ];
        for (standing, reason) in ended {
            for role in roles().into_iter().skip(1) {
                for kind in Kind::ALL {
                    let who = Actor {
                        role: role.clone(),
                        tenant: Tenant::HOME,
                        standing,
                    };
                    let got = decide(&who, Tenant::HOME, None, kind, purpose_of(kind), NOW);
                    let public = matches!(kind, Kind::Contract | Kind::Enrolment);
                    let want = if public {
                        Decision::Allow
                    } else {
                        Decision::Deny(reason)
                    };
                    assert_eq!(got, want, "{role:?} {kind:?}");
                }
            }
        }
        // Control: one microsecond before its end the same standing holds.
        let last = Standing {
            until: NOW,
            revoked: false,
        };
        let who = Actor {
            standing: last,
            ..actor(Role::Person("p".into()))
        };
        let before = Time::from_micros(NOW.as_micros() - 1);
        assert_eq!(
            decide(&who, Tenant::HOME, None, Kind::Twin, Purpose::Care, before),
            Decision::Allow
        );
    }

    #[test]
    fn tenant_and_purpose_are_asked() {
        let who = actor(Role::Person("p".into()));
        assert_eq!(
            decide(&who, Tenant(7), None, Kind::Twin, Purpose::Care, NOW),
            Decision::Deny(Reason::OtherTenant)
        );
        assert_eq!(
            decide(
                &who,
                Tenant::HOME,
                None,
                Kind::Twin,
                Purpose::Operation,
                NOW
            ),
            Decision::Deny(Reason::WrongPurpose)
        );
    }

    #[test]
    fn reasons_do_not_tell_whether_a_patient_exists() {
        for role in roles() {
            for kind in Kind::ALL {
                let who = actor(role.clone());
                let ask = |patient: Option<&PatientId>| {
                    decide(&who, Tenant::HOME, patient, kind, purpose_of(kind), NOW)
                };
                let one = PatientId::parse("p-1");
                let other = PatientId::parse("p-2");
                assert_eq!(ask(one.as_ref()), ask(other.as_ref()));
            }
        }
    }
}
