//! The parts of entries that are one of several: what a person did, what became of a team or a passkey, a role, a patient's
//! word. A number says which; it is disk format: add, never reuse.

use proto::v1::{Collection, StaffRole};

use super::DecodeError;
use crate::journal::bytes::{Reader, put, put_time};
use crate::journal::entry::{CareAct, PasskeyAct, TeamAct};

pub(super) fn write_act(act: &CareAct, out: &mut Vec<u8>) {
    match act {
        CareAct::Comment { alert } => {
            out.push(1);
            put(out, alert.as_bytes());
        }
        CareAct::Own { alert, owner } => {
            out.push(2);
            put(out, alert.as_bytes());
            put(out, owner.as_bytes());
        }
        CareAct::Snooze { condition, until } => {
            out.push(3);
            put(out, condition.as_bytes());
            put_time(out, *until);
        }
        CareAct::Wake { condition } => {
            out.push(4);
            put(out, condition.as_bytes());
        }
    }
}

pub(super) fn read_act(r: &mut Reader<'_>) -> Result<CareAct, DecodeError> {
    Ok(match r.byte("act")? {
        1 => CareAct::Comment {
            alert: r.text("alert")?,
        },
        2 => CareAct::Own {
            alert: r.text("alert")?,
            owner: r.text("owner")?,
        },
        3 => CareAct::Snooze {
            condition: r.text("condition")?,
            until: r.time("until")?,
        },
        4 => CareAct::Wake {
            condition: r.text("condition")?,
        },
        _ => return Err(DecodeError::Field("act")),
    })
}

pub(super) fn write_team_act(act: &TeamAct, out: &mut Vec<u8>) {
    let (number, who) = match act {
        TeamAct::Made => (1, None),
        TeamAct::Ended => (2, None),
        TeamAct::Joined(person) => (3, Some(person.as_str())),
        TeamAct::Left(person) => (4, Some(person.as_str())),
        TeamAct::Took(patient) => (5, Some(patient.reveal())),
        TeamAct::Released(patient) => (6, Some(patient.reveal())),
    };
    out.push(number);
    if let Some(who) = who {
        put(out, who.as_bytes());
    }
}

pub(super) fn read_team_act(r: &mut Reader<'_>) -> Result<TeamAct, DecodeError> {
    Ok(match r.byte("act")? {
        1 => TeamAct::Made,
        2 => TeamAct::Ended,
        3 => TeamAct::Joined(r.text("person")?),
        4 => TeamAct::Left(r.text("person")?),
        5 => TeamAct::Took(r.patient()?),
        6 => TeamAct::Released(r.patient()?),
        _ => return Err(DecodeError::Field("act")),
    })
}

pub(super) fn write_passkey_act(act: &PasskeyAct, out: &mut Vec<u8>) {
    match act {
        PasskeyAct::Added {
            host,
            key,
            count,
            label,
            at,
        } => {
            out.push(1);
            put(out, host.as_bytes());
            put(out, key);
            out.extend_from_slice(&count.to_be_bytes());
            put(out, label.as_bytes());
            put_time(out, *at);
        }
        PasskeyAct::Used(count) => {
            out.push(2);
            out.extend_from_slice(&count.to_be_bytes());
        }
        PasskeyAct::Removed => out.push(3),
    }
}

pub(super) fn read_passkey_act(r: &mut Reader<'_>) -> Result<PasskeyAct, DecodeError> {
    Ok(match r.byte("act")? {
        1 => PasskeyAct::Added {
            host: r.text("host")?,
            key: r.bytes("key")?.to_vec(),
            count: u32::from_be_bytes(r.array("count")?),
            label: r.text("label")?,
            at: r.time("at")?,
        },
        2 => PasskeyAct::Used(u32::from_be_bytes(r.array("count")?)),
        3 => PasskeyAct::Removed,
        _ => return Err(DecodeError::Field("act")),
    })
}

pub(super) const fn role_number(role: StaffRole) -> u8 {
    match role {
        StaffRole::Unspecified => 0,
        StaffRole::Viewer => 1,
        StaffRole::Nurse => 2,
        StaffRole::Doctor => 3,
        StaffRole::Supervisor => 4,
        StaffRole::Administrator => 5,
    }
}

pub(super) const fn role(number: u8) -> Result<StaffRole, DecodeError> {
    Ok(match number {
        0 => StaffRole::Unspecified,
        1 => StaffRole::Viewer,
        2 => StaffRole::Nurse,
        3 => StaffRole::Doctor,
        4 => StaffRole::Supervisor,
        5 => StaffRole::Administrator,
        _ => return Err(DecodeError::Field("role")),
    })
}

pub(super) const fn collection_number(collection: Collection) -> u8 {
    match collection {
        Collection::Unspecified | Collection::Given => 1,
        Collection::Paused => 2,
        Collection::Withdrawn => 3,
    }
}

pub(super) const fn collection(number: u8) -> Result<Collection, DecodeError> {
    Ok(match number {
        1 => Collection::Given,
        2 => Collection::Paused,
        3 => Collection::Withdrawn,
        _ => return Err(DecodeError::Field("collection")),
    })
}
