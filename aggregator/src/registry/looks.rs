//! Who was shown what of a patient: the newest, for the patient to see at any time. All of it lies in the log.
//!
//! Invariants: a patient has at most [`KEPT`] lines here, whoever looks how often; what a person was here, and in which
//! teams, is what they were then. Must not know: who asks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use proto::v1::{AccessDoor, AccessPart, StaffRole};
use twin::canonical::Canonical;
use vitals::{Kind, PatientId, Time};

use super::Registry;
use crate::journal::{Entry, Sight};

/// Lines of one patient.
pub(super) const KEPT: usize = 40;
const MICROS_A_DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// What one and the same was shown of one kind on one day (UTC).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Who, as the gate named them.
    pub by: String,
    /// What they were here then; unspecified for who is no person.
    pub role: StaffRole,
    /// Those of their teams that looked after the patient then.
    pub teams: Vec<String>,
    /// What, and where.
    pub sight: Sight,
    /// When it was written down first that day,
    pub from: Time,
    /// and last.
    pub last: Time,
    /// Nothing of it was shown from then on.
    pub until: Time,
}

/// By patient, oldest first. Shared with the copy that a snapshot is made of.
pub(super) type Looks = BTreeMap<PatientId, Arc<VecDeque<Look>>>;

impl Canonical for Look {
    fn encode(&self, to: &mut Vec<u8>) {
        self.by.encode(to);
        i32::from(self.role).encode(to);
        self.teams.encode(to);
        i32::from(self.sight.part).encode(to);
        self.sight.kinds.encode(to);
        self.sight.named.encode(to);
        i32::from(self.sight.door).encode(to);
        self.from.encode(to);
        self.last.encode(to);
        self.until.encode(to);
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        Some(Self {
            by: Canonical::decode(from)?,
            role: StaffRole::try_from(i32::decode(from)?).ok()?,
            teams: Canonical::decode(from)?,
            sight: Sight {
                part: AccessPart::try_from(i32::decode(from)?).ok()?,
                kinds: Canonical::decode(from)?,
                named: Canonical::decode(from)?,
                door: AccessDoor::try_from(i32::decode(from)?).ok()?,
            },
            from: Canonical::decode(from)?,
            last: Canonical::decode(from)?,
            until: Canonical::decode(from)?,
        })
    }
}

impl Registry {
    pub(super) fn note_look(&mut self, entry: &Entry) {
        let Entry::Looked {
            by,
            sight,
            patients,
            from,
            until,
        } = entry
        else {
            return;
        };
        for patient in patients {
            let (role, teams) = self.who(by, patient);
            let day = |time: Time| time.as_micros().div_euclid(MICROS_A_DAY);
            let of = Arc::make_mut(self.looks.entry(patient.clone()).or_default());
            let same = |look: &Look| {
                let (a, b) = (&look.sight, sight);
                (look.by == *by && look.role == role && look.teams == teams)
                    && (a.part == b.part && a.named == b.named && a.door == b.door)
                    && day(look.from) == day(*from)
            };
            let before = of.iter().position(same).and_then(|place| of.remove(place));
            of.push_back(match before {
                Some(look) => Look {
                    sight: Sight {
                        kinds: joined(&look.sight.kinds, &sight.kinds),
                        ..look.sight
                    },
                    last: look.last.max(*from),
                    until: look.until.max(*until),
                    ..look
                },
                None => Look {
                    by: by.clone(),
                    role,
                    teams,
                    sight: sight.clone(),
                    from: *from,
                    last: *from,
                    until: *until,
                },
            });
            if of.len() > KEPT {
                of.pop_front();
            }
        }
    }

    /// What somebody is here, and which of their teams look after the patient.
    #[must_use]
    pub fn who(&self, by: &str, patient: &PatientId) -> (StaffRole, Vec<String>) {
        let role = self.role_of(by).unwrap_or(StaffRole::Unspecified);
        let teams = self.teams().filter(|(_, team)| {
            role != StaffRole::Unspecified
                && team.people.contains(by)
                && team.patients.contains(patient)
        });
        (role, teams.map(|(name, _)| name.to_owned()).collect())
    }

    /// The newest looks at a patient, oldest first.
    #[must_use]
    pub fn looks(&self, patient: &PatientId) -> Arc<VecDeque<Look>> {
        self.looks.get(patient).cloned().unwrap_or_default()
    }
}

/// Empty: all.
fn joined(a: &[Kind], b: &[Kind]) -> Vec<Kind> {
    if a.is_empty() || b.is_empty() {
        return Vec::new();
    }
    let both: BTreeSet<Kind> = a.iter().chain(b).copied().collect();
    both.into_iter().collect()
}
