//! The gate: the one place that says who may see or do what.
//!
//! [`decide`] is a pure function of (actor, tenant, patient, kind, purpose, at). Every surface calls it: each
//! gRPC call, each page request, each message of an open stream. Whatever can end an actor's rights while a
//! stream is open (a session that is signed out, a certificate that is revoked or runs out, another role) is in
//! the actor, which the caller reads afresh before each decision (`serve::access`). Whom somebody's teams look
//! after may change in the middle of a stream, too: [`scope`] says whether it did.
//!
//! Invariants: nothing is allowed that is not listed; anonymous actors get nothing of a patient; a reason for a
//! refusal never tells whether a patient exists.
//!
//! Must not know: gRPC, HTTP, TLS, the journal, clocks.

use std::collections::BTreeSet;
use std::sync::Arc;

use proto::seal::crypto::Sha256;
use proto::v1::{PlatformService, StaffRole};
use vitals::{GatewayId, PatientId, Time};

use crate::scope::Scope;

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
    /// Signed in at the page.
    Person(Person),
    /// A telemedicine platform's certificate.
    Platform(Platform),
    /// A patient, at their own page.
    Patient(PatientId),
}

/// Somebody who works here, as of now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// What their acts are recorded under.
    pub name: String,
    /// What they do here.
    pub role: StaffRole,
    /// Whom each of their teams looks after.
    pub wards: Vec<Arc<BTreeSet<PatientId>>>,
}

/// A telemedicine platform, as of now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// The name in its certificate.
    pub name: String,
    /// What it was given; `None`: nothing.
    pub scope: Option<Arc<Scope>>,
    /// Whom each of the scope's teams looks after.
    pub wards: Vec<Arc<BTreeSet<PatientId>>>,
    /// Who shares nothing with it, by their own word.
    pub without: Vec<Arc<BTreeSet<PatientId>>>,
}

impl Platform {
    /// Whether it may have this kind of anybody at all.
    fn serves(&self, kind: Kind) -> Result<(), Reason> {
        let scope = self.scope.as_ref().ok_or(Reason::NothingGiven)?;
        let service = service_of(kind).ok_or(Reason::RoleMayNot)?;
        let given = scope.services.contains(&service);
        given.then_some(()).ok_or(Reason::ServiceNotGiven)
    }

    /// Whether the patient is among those whom it was given, and shares with it.
    fn has(&self, patient: &PatientId) -> bool {
        let Some(scope) = &self.scope else {
            return false;
        };
        let given = scope.all
            || scope.patients.contains(patient)
            || self.wards.iter().any(|ward| ward.contains(patient));
        given && !self.without.iter().any(|of| of.contains(patient))
    }

    /// As [`scope`]: `None` is everything of all.
    fn mark(&self) -> Option<[u8; 8]> {
        let mut hash = Sha256::default();
        hash.update(b"platform\0");
        let Some(scope) = &self.scope else {
            return Some(short(hash));
        };
        let reads = [
            PlatformService::Values,
            PlatformService::Alerts,
            PlatformService::History,
        ];
        let whole = scope.kinds.is_empty() && reads.iter().all(|of| scope.services.contains(of));
        let without: BTreeSet<&PatientId> = self.without.iter().flat_map(|of| &**of).collect();
        if scope.all && whole && without.is_empty() {
            return None;
        }
        let services = reads.iter().filter(|of| scope.services.contains(of));
        services.for_each(|of| hash.update(of.as_str_name().as_bytes()));
        let kinds = scope.kinds.iter();
        kinds.for_each(|kind| hash.update(&kind.wire().to_be_bytes()));
        if scope.all {
            hash.update(b"\0but");
            add_patients(&mut hash, without.into_iter());
        } else {
            let named = self.wards.iter().flat_map(|ward| &**ward);
            let named: BTreeSet<&PatientId> = named.chain(&scope.patients).collect();
            hash.update(b"\0only");
            add_patients(
                &mut hash,
                named.into_iter().filter(|of| !without.contains(of)),
            );
        }
        Some(short(hash))
    }
}

/// The service of a platform's scope that a kind is; `None`: of none.
const fn service_of(kind: Kind) -> Option<PlatformService> {
    match kind {
        Kind::Twin => Some(PlatformService::Values),
        Kind::Alert => Some(PlatformService::Alerts),
        Kind::History => Some(PlatformService::History),
        Kind::Acknowledgement => Some(PlatformService::Acknowledge),
        Kind::Duty
        | Kind::Prescription
        | Kind::Report
        | Kind::Will
        | Kind::Directory
        | Kind::Accesses
        | Kind::Teams
        | Kind::Roster
        | Kind::Rules
        | Kind::Fleet
        | Kind::Administration
        | Kind::Uplink
        | Kind::Enrolment
        | Kind::Contract
        | Kind::Page => None,
    }
}

/// What can end an actor's rights, as of now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The proof (certificate or session) holds before this time.
    pub until: Time,
    /// The proof was taken back.
    pub revoked: bool,
    /// Nobody was there for a while: nothing of a patient is shown until the person proves again who they are.
    pub locked: bool,
}

impl Standing {
    /// Holds for ever: for actors that prove nothing, and for tests.
    pub const ALWAYS: Self = Self {
        until: Time::MAX,
        revoked: false,
        locked: false,
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
            Role::Person(person) => person.name.clone(),
            Role::Platform(platform) => format!("platform {}", platform.name),
            // What they do is about themselves: the entry names whom.
            Role::Patient(_) => "patient".into(),
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
    /// What bends rules for one patient: limits of their own, an oxygen target.
    Prescription,
    /// What a patient tells of themselves.
    Report,
    /// Whether a patient's devices may be read.
    Will,
    /// Who the patients are: display names and assignments.
    Directory,
    /// Who looked at what of a patient.
    Accesses,
    /// Who works here, who belongs to which team, and whom it looks after.
    Teams,
    /// Who is on duty.
    Roster,
    /// The rules for everybody: what they are, what others would have done, which are in force.
    Rules,
    /// Gateways and devices as things that need care: whose they are, links, charges; nothing that was measured.
    Fleet,
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
    pub const ALL: [Self; 19] = [
        Self::Twin,
        Self::Alert,
        Self::History,
        Self::Acknowledgement,
        Self::Duty,
        Self::Prescription,
        Self::Report,
        Self::Will,
        Self::Directory,
        Self::Accesses,
        Self::Teams,
        Self::Roster,
        Self::Rules,
        Self::Fleet,
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
    /// Nobody was there for a while.
    #[error("this screen is locked: sign in again to see anything")]
    Locked,
    /// Another tenant's.
    #[error("this belongs to another organisation")]
    OtherTenant,
    /// The role does not include it.
    #[error("this role may not do that: ask an operator of the centre")]
    RoleMayNot,
    /// None of their teams looks after the patient, if there is one.
    #[error("none of your teams looks after such a patient: ask a supervisor")]
    NotTheirs,
    /// Nobody said yet what the platform may have, or it was taken back.
    #[error(
        "this platform was given nothing: an administrator of the centre says what it may have (`platform scope`)"
    )]
    NothingGiven,
    /// The platform's scope lacks the service.
    #[error(
        "this platform was not given that service: an administrator of the centre may add it (`platform scope`)"
    )]
    ServiceNotGiven,
    /// The platform's scope lacks the patient, if there is one, or the patient shares nothing with it.
    #[error(
        "this platform was not given this patient, or nothing is shared with it: ask an administrator of the centre"
    )]
    NotShared,
    /// The platform's scope lacks the kinds that were named, or what comes of several kinds.
    #[error(
        "this platform was given some kinds of data only, and that is not among them: leave out what was named, or ask an administrator of the centre (`platform scope`)"
    )]
    KindNotGiven,
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
/// People have the patients of their teams, and of no others; supervisors have all, so that nobody's alert falls
/// between teams. Platforms have what they were given, less what patients themselves do not share. Operators have all patients of
/// their tenant until consent by purpose gets its issue.
pub fn decide(
    actor: &Actor,
    tenant: Tenant,
    patient: Option<&PatientId>,
    kind: Kind,
    purpose: Purpose,
    at: Time,
) -> Decision {
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
    if actor.standing.locked && kind != Kind::Page {
        return Decision::Deny(Reason::Locked);
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
    if let Role::Platform(platform) = &actor.role {
        return match platform.serves(kind) {
            Err(reason) => Decision::Deny(reason),
            Ok(()) if patient.is_some_and(|patient| !platform.has(patient)) => {
                Decision::Deny(Reason::NotShared)
            }
            Ok(()) => Decision::Allow,
        };
    }
    let theirs = |patient: &PatientId| {
        if let Role::Patient(own) = &actor.role {
            return own == patient;
        }
        wards(&actor.role).is_none_or(|all| all.iter().any(|ward| ward.contains(patient)))
    };
    if patient.is_some_and(|patient| !theirs(patient)) {
        return Decision::Deny(Reason::NotTheirs);
    }
    Decision::Allow
}

/// Whom an actor's rights are limited to; `None`: to nobody.
const fn wards(role: &Role) -> Option<&Vec<Arc<BTreeSet<PatientId>>>> {
    match role {
        Role::Person(person) => match person.role {
            StaffRole::Supervisor | StaffRole::Administrator => None,
            StaffRole::Unspecified | StaffRole::Viewer | StaffRole::Nurse | StaffRole::Doctor => {
                Some(&person.wards)
            }
        },
        Role::Anonymous
        | Role::Gateway(_)
        | Role::Operator(_)
        | Role::Platform(_)
        | Role::Patient(_) => None,
    }
}

/// A mark of whom an actor has, and of a platform how much of them: two are the same only if they have the same. `None`: all. A
/// stream that was opened under one mark must not go on, nor be resumed, under another: it would lack those who came.
#[must_use]
pub fn scope(actor: &Actor) -> Option<[u8; 8]> {
    if let Role::Platform(platform) = &actor.role {
        return platform.mark();
    }
    let patients: BTreeSet<&PatientId> = if let Role::Patient(own) = &actor.role {
        [own].into()
    } else {
        let wards = wards(&actor.role)?.iter();
        wards.flat_map(|ward| ward.iter()).collect()
    };
    let mut hash = Sha256::default();
    add_patients(&mut hash, patients.into_iter());
    Some(short(hash))
}

fn add_patients<'a>(hash: &mut Sha256, patients: impl Iterator<Item = &'a PatientId>) {
    for patient in patients {
        hash.update(patient.reveal().as_bytes());
        hash.update(b"\0");
    }
}

fn short(hash: Sha256) -> [u8; 8] {
    let mut mark = [0; 8];
    mark.copy_from_slice(&hash.finish()[..8]);
    mark
}

/// The kinds of data that an actor is limited to; empty: to none.
#[must_use]
pub fn kinds(actor: &Actor) -> BTreeSet<vitals::Kind> {
    match &actor.role {
        Role::Platform(platform) => {
            let scope = platform.scope.as_ref();
            scope.map_or_else(BTreeSet::new, |scope| scope.kinds.clone())
        }
        Role::Anonymous
        | Role::Gateway(_)
        | Role::Operator(_)
        | Role::Person(_)
        | Role::Patient(_) => BTreeSet::new(),
    }
}

/// The table of roles. `ARCHITECTURE.md` has it for people.
const fn role_includes(role: &Role, kind: Kind) -> bool {
    match role {
        Role::Anonymous => false,
        Role::Gateway(_) => matches!(kind, Kind::Uplink),
        Role::Operator(_) => !matches!(kind, Kind::Uplink),
        Role::Person(person) => staff_includes(person.role, kind),
        Role::Platform(_) => service_of(kind).is_some(),
        Role::Patient(_) => matches!(
            kind,
            Kind::Twin
                | Kind::Alert
                | Kind::History
                | Kind::Report
                | Kind::Will
                | Kind::Directory
                | Kind::Accesses
                | Kind::Page
        ),
    }
}

const fn staff_includes(role: StaffRole, kind: Kind) -> bool {
    match kind {
        Kind::Twin | Kind::Alert | Kind::History => matches!(
            role,
            StaffRole::Viewer | StaffRole::Nurse | StaffRole::Doctor | StaffRole::Supervisor
        ),
        Kind::Acknowledgement | Kind::Duty | Kind::Report => matches!(
            role,
            StaffRole::Nurse | StaffRole::Doctor | StaffRole::Supervisor
        ),
        Kind::Prescription => matches!(role, StaffRole::Doctor | StaffRole::Supervisor),
        Kind::Directory | Kind::Roster | Kind::Page => !matches!(role, StaffRole::Unspecified),
        Kind::Teams | Kind::Accesses | Kind::Rules | Kind::Fleet => {
            matches!(role, StaffRole::Supervisor | StaffRole::Administrator)
        }
        Kind::Administration | Kind::Will => matches!(role, StaffRole::Administrator),
        Kind::Uplink | Kind::Enrolment | Kind::Contract => false,
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
        | Kind::Prescription
        | Kind::Report
        | Kind::Will
        | Kind::Directory
        | Kind::Accesses => Purpose::Care,
        Kind::Teams
        | Kind::Roster
        | Kind::Rules
        | Kind::Fleet
        | Kind::Administration
        | Kind::Uplink
        | Kind::Enrolment
        | Kind::Contract
        | Kind::Page => Purpose::Operation,
    }
}

#[cfg(test)]
mod tests {
    use proto::v1;

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
            platform(everything(), &[], &[]),
            person(StaffRole::Unspecified, &[]),
            person(StaffRole::Viewer, &["p-1"]),
            person(StaffRole::Nurse, &["p-1"]),
            person(StaffRole::Doctor, &["p-1"]),
            person(StaffRole::Supervisor, &[]),
            person(StaffRole::Administrator, &[]),
            Role::Patient(id("p-1")),
        ]
    }

    /// A platform with one team, and of whom it gets nothing.
    fn platform(scope: v1::PlatformScope, ward: &[&str], without: &[&str]) -> Role {
        let set = |of: &[&str]| Arc::new(of.iter().copied().map(id).collect());
        Role::Platform(Platform {
            name: "x".into(),
            scope: Some(Arc::new(Scope::of(&scope).expect("it is whole"))),
            wards: vec![set(ward)],
            without: vec![set(without)],
        })
    }

    fn everything() -> v1::PlatformScope {
        v1::PlatformScope {
            all_patients: true,
            services: vec![1, 2, 3, 4],
            ..Default::default()
        }
    }

    fn id(patient: &str) -> PatientId {
        PatientId::parse(patient).expect("a patient id")
    }

    /// Somebody whose only team looks after these.
    fn person(role: StaffRole, ward: &[&str]) -> Role {
        Role::Person(Person {
            name: "p".into(),
            role,
            wards: vec![Arc::new(ward.iter().copied().map(id).collect())],
        })
    }

    /// The whole table, written out: a change of rights is a change of this text.
    #[test]
    fn table() {
        // Anonymous, gateway, operator, platform; nobody, viewer, nurse, doctor, supervisor, administrator; patient.
        // `!`: not signed in, `-`: no, `x`: yes.
        let expected = [
            (Kind::Twin, "!-xx -xxxx- x"),
            (Kind::Alert, "!-xx -xxxx- x"),
            (Kind::History, "!-xx -xxxx- x"),
            (Kind::Acknowledgement, "!-xx --xxx- -"),
            (Kind::Duty, "!-x- --xxx- -"),
            (Kind::Prescription, "!-x- ---xx- -"),
            (Kind::Report, "!-x- --xxx- x"),
            (Kind::Will, "!-x- -----x x"),
            (Kind::Directory, "!-x- -xxxxx x"),
            (Kind::Accesses, "!-x- ----xx x"),
            (Kind::Teams, "!-x- ----xx -"),
            (Kind::Roster, "!-x- -xxxxx -"),
            (Kind::Rules, "!-x- ----xx -"),
            (Kind::Fleet, "!-x- ----xx -"),
            (Kind::Administration, "!-x- -----x -"),
            (Kind::Uplink, "!x-- ------ -"),
            (Kind::Enrolment, "xxxx xxxxxx x"),
            (Kind::Contract, "xxxx xxxxxx x"),
            (Kind::Page, "!-x- -xxxxx x"),
        ];
        assert_eq!(expected.map(|(kind, _)| kind), Kind::ALL);
        let patient = PatientId::parse("p-1");
        for (kind, row) in expected {
            let got: String = roles()
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
                        Decision::Allow => 'x',
                        Decision::Deny(Reason::NotSignedIn) => '!',
                        Decision::Deny(_) => '-',
                    }
                })
                .collect();
            assert_eq!(got, row.replace(' ', ""), "{kind:?}");
        }
    }

    #[test]
    fn standing_ends_every_right_that_is_not_public() {
        let ended = [
            (
                Standing {
                    revoked: true,
                    ..Standing::ALWAYS
                },
                Reason::Revoked,
            ),
            (
                Standing {
                    until: NOW,
                    ..Standing::ALWAYS
                },
                Reason::Expired,
            ),
            (
                Standing {
                    locked: true,
                    ..Standing::ALWAYS
                },
                Reason::Locked,
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
                    // A locked session may go on to its lock.
                    let page = reason == Reason::Locked && kind == Kind::Page;
                    if page {
                        assert_ne!(got, Decision::Deny(reason), "{role:?}");
                        continue;
                    }
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
            ..Standing::ALWAYS
        };
        let who = Actor {
            standing: last,
            ..actor(person(StaffRole::Nurse, &[]))
        };
        let before = Time::from_micros(NOW.as_micros() - 1);
        assert_eq!(
            decide(&who, Tenant::HOME, None, Kind::Twin, Purpose::Care, before),
            Decision::Allow
        );
    }

    #[test]
    fn tenant_and_purpose_are_asked() {
        let who = actor(person(StaffRole::Nurse, &[]));
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

    /// Every role, kind and patient: those of other teams are seen by nobody whom a team limits, and the refusal does
    /// not tell whether there is such a patient.
    #[test]
    fn the_patients_of_other_teams_are_nobodys_business() {
        let (own, other, absent) = (id("p-1"), id("p-2"), id("p-404"));
        let limited = [StaffRole::Viewer, StaffRole::Nurse, StaffRole::Doctor];
        for role in roles() {
            for kind in Kind::ALL {
                let who = actor(role.clone());
                let ask = |patient| {
                    decide(
                        &who,
                        Tenant::HOME,
                        Some(patient),
                        kind,
                        purpose_of(kind),
                        NOW,
                    )
                };
                assert_eq!(ask(&other), ask(&absent), "{role:?} {kind:?}");
                let is_limited = matches!(&role, Role::Patient(_))
                    || matches!(&role, Role::Person(of) if limited.contains(&of.role));
                let public = matches!(kind, Kind::Enrolment | Kind::Contract);
                if is_limited && !public && ask(&own) == Decision::Allow {
                    assert_eq!(
                        ask(&other),
                        Decision::Deny(Reason::NotTheirs),
                        "{role:?} {kind:?}"
                    );
                } else {
                    assert_eq!(ask(&other), ask(&own), "{role:?} {kind:?}");
                }
            }
        }
    }

    #[test]
    fn the_scope_is_whom_one_has_and_nothing_else() {
        let of = |role: Role| scope(&actor(role));
        let nurse = |ward: &[&str]| of(person(StaffRole::Nurse, ward));
        assert_eq!(of(person(StaffRole::Supervisor, &["p-1"])), None);
        assert_eq!(of(Role::Operator("o".into())), None);
        assert_eq!(
            nurse(&["p-1", "p-2"]),
            of(person(StaffRole::Viewer, &["p-2", "p-1"]))
        );
        let all = [
            nurse(&[]),
            nurse(&["p-1"]),
            nurse(&["p-2"]),
            nurse(&["p-1", "p-2"]),
            nurse(&["p-1p-2"]),
        ];
        let different: BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
        // However many teams they come from.
        let two = Role::Person(Person {
            name: "q".into(),
            role: StaffRole::Nurse,
            wards: vec![
                Arc::new([id("p-1")].into()),
                Arc::new([id("p-1"), id("p-2")].into()),
            ],
        });
        assert_eq!(of(two), nurse(&["p-1", "p-2"]));
    }

    #[test]
    fn a_platform_has_what_it_was_given_less_what_patients_do_not_share() {
        let ask = |role: &Role, kind, patient: Option<&str>| {
            let (who, patient) = (actor(role.clone()), patient.map(id));
            let purpose = purpose_of(kind);
            decide(&who, Tenant::HOME, patient.as_ref(), kind, purpose, NOW).into_result()
        };
        let nothing = Role::Platform(Platform {
            name: "x".into(),
            scope: None,
            wards: Vec::new(),
            without: Vec::new(),
        });
        let reads = [Kind::Twin, Kind::Alert, Kind::History];
        for kind in reads {
            assert_eq!(ask(&nothing, kind, None), Err(Reason::NothingGiven));
            assert_eq!(ask(&nothing, kind, Some("p-1")), Err(Reason::NothingGiven));
        }
        let some = v1::PlatformScope {
            patients: vec!["p-1".into()],
            teams: vec!["ward".into()],
            services: vec![PlatformService::Alerts.into()],
            ..Default::default()
        };
        let some = platform(some, &["p-2", "p-3"], &["p-3"]);
        // Each service alone, and none gives another.
        assert_eq!(ask(&some, Kind::Alert, Some("p-1")), Ok(()), "control");
        for kind in [Kind::Twin, Kind::History, Kind::Acknowledgement] {
            assert_eq!(ask(&some, kind, Some("p-1")), Err(Reason::ServiceNotGiven));
            assert_eq!(ask(&some, kind, None), Err(Reason::ServiceNotGiven));
        }
        assert_eq!(ask(&some, Kind::Alert, Some("p-2")), Ok(()), "by its team");
        // Their own word stands above it, and nobody learns whether there is such a patient.
        for of in ["p-3", "p-4", "p-404"] {
            assert_eq!(ask(&some, Kind::Alert, Some(of)), Err(Reason::NotShared));
        }
        let all = platform(everything(), &[], &["p-3"]);
        for kind in reads {
            assert_eq!(ask(&all, kind, Some("p-9")), Ok(()), "control");
            assert_eq!(ask(&all, kind, Some("p-3")), Err(Reason::NotShared));
        }
    }

    #[test]
    fn a_platforms_mark_changes_with_everything_that_it_sees() {
        let of = |scope: v1::PlatformScope, ward: &[&str], without: &[&str]| {
            scope_of(&platform(scope, ward, without))
        };
        assert_eq!(of(everything(), &[], &[]), None);
        let kinds = v1::PlatformScope {
            kinds: vec![vitals::Kind::HeartRate.wire()],
            ..everything()
        };
        let no_history = v1::PlatformScope {
            services: vec![1, 2],
            ..everything()
        };
        let named = |patients: &[&str]| v1::PlatformScope {
            all_patients: false,
            patients: patients.iter().copied().map(Into::into).collect(),
            ..everything()
        };
        let marks = [
            of(everything(), &[], &["p-1"]),
            of(everything(), &[], &["p-2"]),
            of(kinds, &[], &[]),
            of(no_history, &[], &[]),
            of(named(&["p-1"]), &[], &[]),
            of(named(&["p-1", "p-2"]), &[], &[]),
            of(named(&["p-1"]), &["p-3"], &[]),
        ];
        let different: BTreeSet<_> = marks.iter().collect();
        assert_eq!(different.len(), marks.len());
        assert!(!different.contains(&None));
        // Who is named and does not share is as one who is not named; whether it acknowledges changes nothing that it sees.
        assert_eq!(of(named(&["p-1", "p-2"]), &[], &["p-2"]), marks[4]);
        let quiet = v1::PlatformScope {
            services: vec![1, 2, 3],
            ..everything()
        };
        assert_eq!(of(quiet, &[], &[]), None);
    }

    fn scope_of(role: &Role) -> Option<[u8; 8]> {
        scope(&actor(role.clone()))
    }
}
