//! Who asks, and the gate on their behalf: each question reads afresh whether the proof still holds.
//!
//! Invariants: an actor's standing is never cached; what the gate refuses to a call or an open stream is counted
//! by whoever answers it; what is shown of patients was noted before ([`Access::look`]).
//!
//! Must not know: gRPC, HTTP.

use std::net::IpAddr;
use std::sync::Arc;

use proto::clock::Clock;
use proto::tls::{Identity, Role as CertificateRole};
use proto::v1::{AccessDoor, AccessPart, StaffRole};
use vitals::{GatewayId, PatientId};

use super::Directory;
use super::attendance::Attendance;
use super::looks::{Looks, Noted, Unnoted};
use super::signin::{SessionKey, SignIn};
use crate::counters::{Counters, Refused};
use crate::gate::{self, Actor, Kind, Person, Reason, Role, Standing, Tenant};
use crate::journal::Sight;
use crate::publish::Within;
use crate::staff;

/// How somebody proved who they are.
#[derive(Clone, Debug)]
pub enum Proof {
    /// Not at all.
    Nothing,
    /// By a certificate of our CA.
    Certificate(Arc<Identity>),
    /// By the cookie of a session.
    Session(SessionKey),
}

/// Who asks. Lies in the extensions of each request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Their proof.
    pub proof: Proof,
    /// Where from.
    pub address: IpAddr,
}

/// What somebody asks to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What.
    pub part: AccessPart,
    /// Empty: all, or of no kind in particular.
    pub kinds: Vec<vitals::Kind>,
    /// By the patient's id, not as one of a list.
    pub named: bool,
}

impl Seen {
    /// This of one patient.
    #[must_use]
    pub const fn of(part: AccessPart) -> Self {
        Self {
            part,
            kinds: Vec::new(),
            named: true,
        }
    }

    /// These kinds of it; empty: all.
    #[must_use]
    pub fn kinds(self, mut kinds: Vec<vitals::Kind>) -> Self {
        kinds.sort_unstable();
        kinds.dedup();
        Self { kinds, ..self }
    }

    /// As one of all whom the caller has, unless some were named.
    #[must_use]
    pub fn listed(self, named: bool) -> Self {
        Self { named, ..self }
    }
}

/// The gate with what it has to know.
pub struct Access {
    clock: Clock,
    sign_in: Arc<SignIn>,
    directory: Arc<dyn Directory>,
    counters: Arc<Counters>,
    attendance: Arc<Attendance>,
    looks: Looks,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

impl Access {
    /// Over these sessions and this registry.
    #[must_use]
    pub fn new(
        clock: Clock,
        sign_in: Arc<SignIn>,
        directory: Arc<dyn Directory>,
        counters: Arc<Counters>,
        looks: Looks,
    ) -> Self {
        Self {
            clock,
            sign_in,
            directory,
            counters,
            attendance: Arc::new(Attendance::new(clock)),
            looks,
        }
    }

    /// The clock that decides.
    #[must_use]
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// Codes and sessions.
    #[must_use]
    pub const fn sign_in(&self) -> &Arc<SignIn> {
        &self.sign_in
    }

    /// The registry.
    #[must_use]
    pub fn directory(&self) -> &dyn Directory {
        &*self.directory
    }

    /// Who reads alerts.
    #[must_use]
    pub const fn attendance(&self) -> &Arc<Attendance> {
        &self.attendance
    }

    /// Where refusals are counted.
    #[must_use]
    pub const fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// The caller as the gate knows actors, with their standing as of now.
    #[must_use]
    pub fn actor(&self, caller: &Caller) -> Actor {
        let (role, standing) = match &caller.proof {
            Proof::Nothing => return Actor::ANONYMOUS,
            Proof::Certificate(identity) => match self.role_of(identity) {
                Some(role) => {
                    let revoked = self.directory.is_revoked(identity);
                    (
                        role,
                        Standing {
                            until: identity.not_after,
                            revoked,
                            locked: false,
                        },
                    )
                }
                None => return Actor::ANONYMOUS,
            },
            Proof::Session(key) => self.signed_in(*key),
        };
        Actor {
            role,
            tenant: Tenant::HOME,
            standing,
        }
    }

    /// Whoever the session is of; without any right once it was ended, or everything was taken back from its person.
    fn signed_in(&self, key: SessionKey) -> (Role, Standing) {
        let found = self.sign_in.standing(key).and_then(|(name, standing)| {
            if let Some(patient) = staff::patient_of(&name) {
                // Their own device has a lock of its own, and nobody works at it in passing.
                let standing = Standing {
                    locked: false,
                    ..standing
                };
                let role = Role::Patient(patient);
                return Some((role, standing));
            }
            let (role, wards) = self.directory.person(&name)?;
            Some((Role::Person(Person { name, role, wards }), standing))
        });
        found.unwrap_or_else(|| {
            let nobody = Person {
                name: String::new(),
                role: StaffRole::Unspecified,
                wards: Vec::new(),
            };
            let standing = Standing {
                revoked: true,
                ..Standing::ALWAYS
            };
            (Role::Person(nobody), standing)
        })
    }

    /// May the caller have `kind` of `patient` (`None`: of nobody in particular), now, for its one purpose?
    ///
    /// # Errors
    /// The gate's reason.
    pub fn check(
        &self,
        caller: &Caller,
        patient: Option<&PatientId>,
        kind: Kind,
    ) -> Result<(), Reason> {
        let (actor, at) = (self.actor(caller), self.clock.now());
        gate::decide(
            &actor,
            Tenant::HOME,
            patient,
            kind,
            gate::purpose_of(kind),
            at,
        )
        .into_result()
    }

    /// May the caller know that some alert of this patient rings? So much a locked screen may, too: it says no more than
    /// how urgent it is.
    #[must_use]
    pub fn may_hear(&self, caller: &Caller, patient: &PatientId) -> bool {
        let mut actor = self.actor(caller);
        actor.standing.locked = false;
        let (kind, at) = (Kind::Alert, self.clock.now());
        let purpose = gate::purpose_of(kind);
        gate::decide(&actor, Tenant::HOME, Some(patient), kind, purpose, at)
            .into_result()
            .is_ok()
    }

    /// Notes that the caller is shown this of these patients, before they are. Not what patients see of themselves.
    ///
    /// # Errors
    /// [`Unnoted`]: then nothing may be shown.
    pub async fn look(
        &self,
        caller: &Caller,
        seen: &Seen,
        patients: &[PatientId],
    ) -> Result<Noted, Unnoted> {
        let actor = self.actor(caller);
        if matches!(actor.role, Role::Patient(_)) {
            return Ok(Noted::own());
        }
        let door = match caller.proof {
            Proof::Session(_) => AccessDoor::Page,
            Proof::Certificate(_) | Proof::Nothing => AccessDoor::Certificate,
        };
        let sight = Sight {
            part: seen.part,
            kinds: seen.kinds.clone(),
            named: seen.named,
            door: if seen.part == AccessPart::Past {
                AccessDoor::Files
            } else {
                door
            },
        };
        let noted = self.looks.note(&actor.name(), sight, patients).await;
        if noted.is_err() {
            self.counters.refuse(Refused::Unnoted);
        }
        noted
    }

    /// How much of a patient the caller may have at most.
    #[must_use]
    pub fn within(&self, caller: &Caller) -> Within {
        Within {
            kinds: gate::kinds(&self.actor(caller)),
            without_alerts: self.check(caller, None, Kind::Alert).is_err(),
        }
    }

    /// The kinds of data that the caller gets who named these (nobody named means all that they may have); empty: all.
    ///
    /// # Errors
    /// [`Reason::KindNotGiven`] if one is named that they may not have.
    pub fn kinds(
        &self,
        caller: &Caller,
        named: Vec<vitals::Kind>,
    ) -> Result<Vec<vitals::Kind>, Reason> {
        let given = gate::kinds(&self.actor(caller));
        if given.is_empty() {
            return Ok(named);
        }
        if named.iter().any(|kind| !given.contains(kind)) {
            return Err(Reason::KindNotGiven);
        }
        Ok(if named.is_empty() {
            given.into_iter().collect()
        } else {
            named
        })
    }

    /// May the caller have what comes of several kinds of data at once?
    ///
    /// # Errors
    /// [`Reason::KindNotGiven`].
    pub fn whole(&self, caller: &Caller) -> Result<(), Reason> {
        let limited = !gate::kinds(&self.actor(caller)).is_empty();
        if limited {
            Err(Reason::KindNotGiven)
        } else {
            Ok(())
        }
    }

    /// A mark of which patients the caller has, as [`gate::scope`] has it.
    #[must_use]
    pub fn scope(&self, caller: &Caller) -> Option<[u8; 8]> {
        gate::scope(&self.actor(caller))
    }

    fn role_of(&self, identity: &Identity) -> Option<Role> {
        let name = identity.name.clone();
        match identity.role {
            CertificateRole::Gateway => GatewayId::parse(&name).map(Role::Gateway),
            CertificateRole::Operator => Some(Role::Operator(name)),
            CertificateRole::Platform => Some(Role::Platform(self.directory.platform(&name))),
            // The centre's own certificate is for serving; whoever shows it as a client is nobody.
            CertificateRole::Centre => None,
        }
    }
}
