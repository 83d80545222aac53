//! What people did as bytes, within the fields of an entry (`fields.rs`): care, teams, passkeys and other ways to sign in, looks.
//!
//! Invariant: numbers are disk format: add, never reuse. Must not know: rows, checksums.

use std::sync::Arc;

use proto::v1::{AccessDoor, AccessPart, Collection, StaffRole};
use vitals::Kind;

use super::account::{AccountAct, PasskeyAct, PasswordHash};
use super::bytes::{Reader, put, put_len, put_time, put_u64};
use super::care::CareAct;
use super::codec::DecodeError;
use super::entry::{Entry, Sight, TeamAct};
use crate::scope::Scope;

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
        CareAct::Pass { alert, calls } => {
            out.push(5);
            put(out, alert.as_bytes());
            out.extend_from_slice(&calls.to_be_bytes());
        }
        CareAct::Escalate { alert, duty } => {
            out.push(6);
            put(out, alert.as_bytes());
            out.push(*duty);
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
        5 => CareAct::Pass {
            alert: r.text("alert")?,
            calls: u32::from_be_bytes(r.array("calls")?),
        },
        6 => CareAct::Escalate {
            alert: r.text("alert")?,
            duty: r.byte("duty")?,
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
        TeamAct::Filters { name, .. } => (7, Some(name.as_str())),
    };
    out.push(number);
    if let Some(who) = who {
        put(out, who.as_bytes());
    }
    if let TeamAct::Filters { facets, .. } = act {
        put_len(out, facets.len());
        facets.iter().for_each(|facet| put(out, facet.as_bytes()));
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
        7 => TeamAct::Filters {
            name: r.text("name")?,
            facets: r.list("facets", |r| r.text("facet"))?,
        },
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

pub(super) fn write_account_act(act: &AccountAct, out: &mut Vec<u8>) {
    match act {
        AccountAct::PasswordSet {
            hash,
            seed,
            recovery,
            at,
        } => {
            out.push(1);
            for part in [hash.memory_kib, hash.passes, hash.lanes] {
                out.extend_from_slice(&part.to_be_bytes());
            }
            out.extend_from_slice(&hash.salt);
            out.extend_from_slice(&hash.tag);
            put(out, &seed.0);
            write_hashes(recovery, out);
            put_time(out, *at);
        }
        AccountAct::CodeUsed(step) => {
            out.push(2);
            put_u64(out, *step);
        }
        AccountAct::RecoveryUsed(hash) => {
            out.push(3);
            out.extend_from_slice(hash);
        }
        AccountAct::RecoveryMade(recovery) => {
            out.push(4);
            write_hashes(recovery, out);
        }
        AccountAct::PasswordRemoved => out.push(5),
        AccountAct::Linked {
            issuer,
            subject,
            at,
        } => {
            out.push(6);
            put(out, issuer.as_bytes());
            put(out, subject.as_bytes());
            put_time(out, *at);
        }
        AccountAct::Unlinked => out.push(7),
        AccountAct::Subscribed {
            id,
            sealed,
            label,
            at,
        } => {
            out.push(8);
            out.extend_from_slice(id);
            put(out, &sealed.0);
            put(out, label.as_bytes());
            put_time(out, *at);
        }
        AccountAct::Unsubscribed { id } => {
            out.push(9);
            out.extend_from_slice(id);
        }
    }
}

pub(super) fn read_account_act(r: &mut Reader<'_>) -> Result<AccountAct, DecodeError> {
    Ok(match r.byte("act")? {
        1 => {
            let [memory_kib, passes, lanes] =
                [r.array("cost")?, r.array("cost")?, r.array("cost")?].map(u32::from_be_bytes);
            AccountAct::PasswordSet {
                hash: PasswordHash {
                    memory_kib,
                    passes,
                    lanes,
                    salt: r.array("salt")?,
                    tag: r.array("tag")?,
                },
                seed: r.sealed("seed")?,
                recovery: read_hashes(r)?,
                at: r.time("at")?,
            }
        }
        2 => AccountAct::CodeUsed(r.u64("step")?),
        3 => AccountAct::RecoveryUsed(r.array("recovery")?),
        4 => AccountAct::RecoveryMade(read_hashes(r)?),
        5 => AccountAct::PasswordRemoved,
        6 => AccountAct::Linked {
            issuer: r.text("issuer")?,
            subject: r.text("subject")?,
            at: r.time("at")?,
        },
        7 => AccountAct::Unlinked,
        8 => AccountAct::Subscribed {
            id: r.array("id")?,
            sealed: r.sealed("sealed")?,
            label: r.text("label")?,
            at: r.time("at")?,
        },
        9 => AccountAct::Unsubscribed { id: r.array("id")? },
        _ => return Err(DecodeError::Field("act")),
    })
}

fn write_hashes(hashes: &[[u8; 32]], out: &mut Vec<u8>) {
    put_len(out, hashes.len());
    hashes.iter().for_each(|hash| out.extend_from_slice(hash));
}

fn read_hashes(r: &mut Reader<'_>) -> Result<Vec<[u8; 32]>, DecodeError> {
    r.list("recovery", |r| r.array("recovery"))
}

pub(super) fn write_kinds(kinds: &[Kind], out: &mut Vec<u8>) {
    put_len(out, kinds.len());
    kinds
        .iter()
        .for_each(|kind| put_u64(out, u64::from(kind.wire().cast_unsigned())));
}

pub(super) fn read_kinds(r: &mut Reader<'_>) -> Result<Vec<Kind>, DecodeError> {
    r.list("kinds", |r| {
        let kind = i32::try_from(r.u64("kinds")?).ok();
        kind.and_then(Kind::from_wire)
            .ok_or(DecodeError::Field("kinds"))
    })
}

pub(super) fn write_sight(sight: &Sight, out: &mut Vec<u8>) {
    let Sight {
        part,
        kinds,
        named,
        door,
    } = sight;
    // The contract's numbers, which never change; each fits.
    out.push(*part as u8);
    write_kinds(kinds, out);
    out.push(u8::from(*named));
    out.push(*door as u8);
}

pub(super) fn read_sight(r: &mut Reader<'_>) -> Result<Sight, DecodeError> {
    let part = AccessPart::try_from(i32::from(r.byte("part")?));
    Ok(Sight {
        part: part.map_err(|_| DecodeError::Field("part"))?,
        kinds: read_kinds(r)?,
        named: r.flag("named")?,
        door: AccessDoor::try_from(i32::from(r.byte("door")?))
            .map_err(|_| DecodeError::Field("door"))?,
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

/// What was said of a platform: two kinds of entry.
pub(super) fn write_platform(entry: &Entry, out: &mut Vec<u8>) {
    if let Entry::Platform {
        platform,
        scope,
        since,
        by,
    } = entry
    {
        put(out, platform.as_bytes());
        put(out, &Scope::to_bytes(scope.as_deref()));
        put_time(out, *since);
        put(out, by.as_bytes());
    }
    if let Entry::Sharing {
        patient,
        platform,
        shared,
        by,
    } = entry
    {
        put(out, patient.reveal().as_bytes());
        put(out, platform.as_bytes());
        out.push(u8::from(*shared));
        put(out, by.as_bytes());
    }
}

pub(super) fn read_platform(r: &mut Reader<'_>) -> Result<Entry, DecodeError> {
    let platform = r.text("platform")?;
    let scope = Scope::from_bytes(r.bytes("scope")?).ok_or(DecodeError::Field("scope"))?;
    Ok(Entry::Platform {
        platform,
        scope: scope.map(Arc::new),
        since: r.time("since")?,
        by: r.text("by")?,
    })
}

pub(super) fn read_sharing(r: &mut Reader<'_>) -> Result<Entry, DecodeError> {
    Ok(Entry::Sharing {
        patient: r.patient()?,
        platform: r.text("platform")?,
        shared: r.flag("shared")?,
        by: r.text("by")?,
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
