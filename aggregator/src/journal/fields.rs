//! The fields of each kind of entry as bytes, within a frame (`codec.rs`).
//!
//! Invariant: numbers of kinds are disk format: add, never reuse. Must not know: rows, checksums.

use proto::cert::Role;
use vitals::{ContextId, SourceId, StreamId};

use super::acts::{
    collection, collection_number, read_account_act, read_act, read_kinds, read_passkey_act,
    read_platform, read_sharing, read_sight, read_team_act, role, role_number, write_account_act,
    write_act, write_kinds, write_passkey_act, write_platform, write_sight, write_team_act,
};
use super::bytes::{Reader, put, put_len, put_time, put_u64};
use super::codec::DecodeError;
use super::entry::{Entry, Position};

/// Numbers of kinds that are named twice.
pub(super) const BATCH: u8 = 11;
pub(super) const ACKNOWLEDGED: u8 = 12;
pub(super) const TICK: u8 = 13;
pub(super) const CARE: u8 = 21;
pub(super) const LOOKED: u8 = 29;
const FACTS: u8 = 22;

pub(super) const fn kind_of(entry: &Entry) -> u8 {
    match entry {
        Entry::EpochStarted { .. } => 1,
        Entry::PatientAdded { .. } => 2,
        Entry::KeyAdded { .. } => 3,
        Entry::TokenCreated { .. } => 4,
        Entry::GatewayEnrolled { .. } => 5,
        Entry::CertificateIssued { .. } => 6,
        Entry::GatewayRevoked { .. } => 7,
        Entry::Assigned { .. } => 8,
        Entry::ContextAdmitted { .. } => 9,
        Entry::StreamFrozen { .. } => 10,
        Entry::Batch { .. } => BATCH,
        Entry::Acknowledged { .. } => ACKNOWLEDGED,
        Entry::Tick => TICK,
        Entry::Quarantined { .. } => 14,
        Entry::SetAside { .. } => 15,
        Entry::CertificateRevoked { .. } => 16,
        Entry::Configured { .. } => 17,
        Entry::Collection { .. } => 18,
        Entry::Care { .. } => CARE,
        Entry::Facts { .. } => FACTS,
        Entry::Voided { .. } => 19,
        Entry::Moved { .. } => 20,
        Entry::VoidSettled { .. } => 23,
        Entry::Damaged { .. } => 24,
        Entry::Exported { .. } => 25,
        Entry::Person { .. } => 26,
        Entry::Team { .. } => 27,
        Entry::Passkey { .. } => 28,
        Entry::Looked { .. } => LOOKED,
        Entry::RulesActivated { .. } => 30,
        Entry::RulesTried { .. } => 31,
        Entry::Roster { .. } => 36,
        Entry::TakenOver { .. } => 37,
        Entry::By { .. } => 32,
        Entry::Account { .. } => 40,
        Entry::Platform { .. } => 50,
        Entry::Sharing { .. } => 51,
    }
}

pub(super) fn write_fields(entry: &Entry, out: &mut Vec<u8>) {
    match entry {
        Entry::EpochStarted { epoch, program } => {
            put_u64(out, *epoch);
            put(out, program.as_bytes());
        }
        Entry::PatientAdded {
            patient,
            name,
            test_data,
        } => {
            put(out, patient.reveal().as_bytes());
            put(out, &name.0);
            out.push(u8::from(*test_data));
        }
        Entry::KeyAdded {
            patient,
            key_id,
            public_key,
        } => {
            put(out, patient.reveal().as_bytes());
            out.extend_from_slice(key_id);
            out.extend_from_slice(public_key);
        }
        Entry::TokenCreated {
            gateway,
            label,
            hash,
            expires,
        } => {
            put(out, gateway.as_str().as_bytes());
            put(out, label.as_bytes());
            out.extend_from_slice(hash);
            put_time(out, *expires);
        }
        Entry::GatewayEnrolled {
            gateway,
            serial,
            not_after,
        }
        | Entry::CertificateIssued {
            gateway,
            serial,
            not_after,
        } => {
            put(out, gateway.as_str().as_bytes());
            put(out, serial);
            put_time(out, *not_after);
        }
        Entry::GatewayRevoked { gateway } => put(out, gateway.as_str().as_bytes()),
        Entry::Assigned {
            patient,
            gateway,
            stream,
            key_id,
            devices,
            from,
        } => {
            put(out, patient.reveal().as_bytes());
            put(out, gateway.as_str().as_bytes());
            out.extend_from_slice(&stream.0);
            out.extend_from_slice(key_id);
            put(out, &devices.0);
            put_time(out, *from);
        }
        Entry::ContextAdmitted {
            gateway,
            header,
            chain,
            forked,
        } => {
            put(out, gateway.as_str().as_bytes());
            put(out, header);
            put_len(out, chain.len());
            chain.iter().for_each(|cert| put(out, cert));
            out.push(u8::from(*forked));
        }
        Entry::StreamFrozen { stream } => out.extend_from_slice(&stream.0),
        Entry::Batch { gateway, record } => {
            put(out, gateway.as_str().as_bytes());
            put(out, record);
        }
        Entry::Acknowledged {
            patient,
            alert,
            by,
            note,
        } => {
            put(out, patient.reveal().as_bytes());
            put(out, alert.as_bytes());
            put(out, by.as_bytes());
            put(out, &note.0);
        }
        Entry::Care {
            patient,
            by,
            act,
            text,
        } => {
            put(out, patient.reveal().as_bytes());
            put(out, by.as_bytes());
            write_act(act, out);
            put(out, &text.0);
        }
        Entry::Facts { patient, by, facts } => {
            put(out, patient.reveal().as_bytes());
            put(out, by.as_bytes());
            put(out, &facts.0);
        }
        Entry::Tick => {}
        Entry::Quarantined { position, patient }
        | Entry::VoidSettled {
            void: position,
            patient,
        } => {
            put_u64(out, position.0);
            put(out, patient.reveal().as_bytes());
        }
        Entry::SetAside {
            gateway,
            context,
            numbers,
        } => {
            put(out, gateway.as_str().as_bytes());
            out.extend_from_slice(&context.0);
            put_len(out, numbers.len());
            numbers.iter().for_each(|number| put_u64(out, *number));
        }
        Entry::CertificateRevoked { role, name } => {
            put(out, role.as_str().as_bytes());
            put(out, name.as_bytes());
        }
        Entry::Configured { gateway, settings } => {
            put(out, gateway.as_str().as_bytes());
            put(out, settings.as_bytes());
        }
        Entry::Collection {
            patient,
            collection,
            erase_unsent,
            since,
            streams,
        } => {
            put(out, patient.reveal().as_bytes());
            out.push(collection_number(*collection));
            out.push(u8::from(*erase_unsent));
            put_time(out, *since);
            put_len(out, streams.len());
            streams
                .iter()
                .for_each(|stream| out.extend_from_slice(&stream.0));
        }
        Entry::Voided {
            patient,
            sources,
            from,
            to,
            since,
            by,
            reason,
            moved_to,
        } => {
            put(out, patient.reveal().as_bytes());
            put_len(out, sources.len());
            for (stream, source) in sources {
                out.extend_from_slice(&stream.0);
                out.extend_from_slice(&source.0.to_be_bytes());
            }
            put_time(out, *from);
            put_time(out, *to);
            put_time(out, *since);
            put(out, by.as_bytes());
            put(out, &reason.0);
            out.push(u8::from(moved_to.is_some()));
            if let Some(moved_to) = moved_to {
                put(out, moved_to.reveal().as_bytes());
            }
        }
        Entry::Moved {
            patient,
            stream,
            context,
            number,
            source,
            readings,
            body,
        } => {
            put(out, patient.reveal().as_bytes());
            out.extend_from_slice(&stream.0);
            out.extend_from_slice(&context.0);
            put_u64(out, *number);
            out.extend_from_slice(&source.0.to_be_bytes());
            out.extend_from_slice(&readings.to_be_bytes());
            put(out, &body.0);
        }
        Entry::Damaged {
            patient,
            stream,
            position,
            from,
            to,
            readings,
            exact,
        } => {
            put(out, patient.reveal().as_bytes());
            out.extend_from_slice(&stream.0);
            put_u64(out, position.0);
            put_time(out, *from);
            put_time(out, *to);
            put_u64(out, *readings);
            out.push(u8::from(*exact));
        }
        Entry::Exported {
            by,
            patients,
            kinds,
            from,
            to,
            known,
            pseudonymous,
        } => {
            put(out, by.as_bytes());
            put_len(out, patients.len());
            patients
                .iter()
                .for_each(|patient| put(out, patient.reveal().as_bytes()));
            write_kinds(kinds, out);
            put_time(out, *from);
            put_time(out, *to);
            put_u64(out, known.0);
            out.push(u8::from(*pseudonymous));
        }
        Entry::Looked {
            by,
            sight,
            patients,
            from,
            until,
        } => {
            put(out, by.as_bytes());
            write_sight(sight, out);
            put_len(out, patients.len());
            patients
                .iter()
                .for_each(|patient| put(out, patient.reveal().as_bytes()));
            put_time(out, *from);
            put_time(out, *until);
        }
        Entry::Person { person, role, by } => {
            put(out, person.as_bytes());
            out.push(role_number(*role));
            put(out, by.as_bytes());
        }
        Entry::Team { team, act, by } => {
            put(out, team.as_bytes());
            write_team_act(act, out);
            put(out, by.as_bytes());
        }
        Entry::Roster {
            team,
            document,
            since,
            by,
        } => {
            put(out, team.as_bytes());
            put(out, document.as_bytes());
            put_time(out, *since);
            put(out, by.as_bytes());
        }
        Entry::TakenOver {
            team,
            duty,
            shift,
            leaving,
            at,
            by,
        } => {
            put(out, team.as_bytes());
            out.push(*duty);
            put_time(out, *shift);
            put_len(out, leaving.len());
            leaving.iter().for_each(|name| put(out, name.as_bytes()));
            put_time(out, *at);
            put(out, by.as_bytes());
        }
        Entry::RulesActivated {
            document,
            since,
            by,
            reason,
        } => {
            put(out, document.as_bytes());
            put_time(out, *since);
            put(out, by.as_bytes());
            put(out, reason.as_bytes());
        }
        Entry::RulesTried { report } => put(out, report),
        Entry::By { by, at, entries } => {
            put(out, by.as_bytes());
            put_time(out, *at);
            out.extend_from_slice(&entries.to_be_bytes());
        }
        Entry::Passkey { person, id, act } => {
            put(out, person.as_bytes());
            put(out, id);
            write_passkey_act(act, out);
        }
        Entry::Account { person, act, by } => {
            put(out, person.as_bytes());
            write_account_act(act, out);
            put(out, by.as_bytes());
        }
        Entry::Platform { .. } | Entry::Sharing { .. } => write_platform(entry, out),
    }
}

pub(super) fn read_fields(kind: u8, r: &mut Reader<'_>) -> Result<Entry, DecodeError> {
    Ok(match kind {
        1 => Entry::EpochStarted {
            epoch: r.u64("epoch")?,
            program: r.text("program")?,
        },
        2 => Entry::PatientAdded {
            patient: r.patient()?,
            name: r.sealed("name")?,
            test_data: r.flag("test_data")?,
        },
        3 => Entry::KeyAdded {
            patient: r.patient()?,
            key_id: r.array("key_id")?,
            public_key: r.array("public_key")?,
        },
        4 => Entry::TokenCreated {
            gateway: r.gateway()?,
            label: r.text("label")?,
            hash: r.array("hash")?,
            expires: r.time("expires")?,
        },
        5 => Entry::GatewayEnrolled {
            gateway: r.gateway()?,
            serial: r.bytes("serial")?.to_vec(),
            not_after: r.time("not_after")?,
        },
        6 => Entry::CertificateIssued {
            gateway: r.gateway()?,
            serial: r.bytes("serial")?.to_vec(),
            not_after: r.time("not_after")?,
        },
        7 => Entry::GatewayRevoked {
            gateway: r.gateway()?,
        },
        8 => Entry::Assigned {
            patient: r.patient()?,
            gateway: r.gateway()?,
            stream: StreamId(r.array("stream")?),
            key_id: r.array("key_id")?,
            devices: r.sealed("devices")?,
            from: r.time("from")?,
        },
        9 => Entry::ContextAdmitted {
            gateway: r.gateway()?,
            header: r.bytes("header")?.to_vec(),
            chain: r.list("chain", |r| Ok(r.bytes("chain")?.to_vec()))?,
            forked: r.flag("forked")?,
        },
        10 => Entry::StreamFrozen {
            stream: StreamId(r.array("stream")?),
        },
        BATCH => Entry::Batch {
            gateway: r.gateway()?,
            record: r.bytes("record")?.to_vec(),
        },
        ACKNOWLEDGED => Entry::Acknowledged {
            patient: r.patient()?,
            alert: r.text("alert")?,
            by: r.text("by")?,
            note: r.sealed("note")?,
        },
        CARE => Entry::Care {
            patient: r.patient()?,
            by: r.text("by")?,
            act: read_act(r)?,
            text: r.sealed("text")?,
        },
        FACTS => Entry::Facts {
            patient: r.patient()?,
            by: r.text("by")?,
            facts: r.sealed("facts")?,
        },
        TICK => Entry::Tick,
        14 => Entry::Quarantined {
            position: Position(r.u64("position")?),
            patient: r.patient()?,
        },
        15 => Entry::SetAside {
            gateway: r.gateway()?,
            context: ContextId(r.array("context")?),
            numbers: r.list("numbers", |r| r.u64("numbers"))?,
        },
        16 => Entry::CertificateRevoked {
            role: Role::parse(&r.text("role")?).ok_or(DecodeError::Field("role"))?,
            name: r.text("name")?,
        },
        17 => Entry::Configured {
            gateway: r.gateway()?,
            settings: r.text("settings")?,
        },
        18 => Entry::Collection {
            patient: r.patient()?,
            collection: collection(r.byte("collection")?)?,
            erase_unsent: r.flag("erase_unsent")?,
            since: r.time("since")?,
            streams: r.list("streams", |r| Ok(StreamId(r.array("streams")?)))?,
        },
        19 => Entry::Voided {
            patient: r.patient()?,
            sources: r.list("sources", |r| {
                Ok((StreamId(r.array("sources")?), SourceId(r.u16("sources")?)))
            })?,
            from: r.time("from")?,
            to: r.time("to")?,
            since: r.time("since")?,
            by: r.text("by")?,
            reason: r.sealed("reason")?,
            moved_to: if r.flag("moved_to")? {
                Some(r.patient()?)
            } else {
                None
            },
        },
        20 => Entry::Moved {
            patient: r.patient()?,
            stream: StreamId(r.array("stream")?),
            context: ContextId(r.array("context")?),
            number: r.u64("number")?,
            source: SourceId(r.u16("source")?),
            readings: r.u16("readings")?,
            body: r.sealed("body")?,
        },
        23 => Entry::VoidSettled {
            void: Position(r.u64("position")?),
            patient: r.patient()?,
        },
        24 => Entry::Damaged {
            patient: r.patient()?,
            stream: StreamId(r.array("stream")?),
            position: Position(r.u64("position")?),
            from: r.time("from")?,
            to: r.time("to")?,
            readings: r.u64("readings")?,
            exact: r.flag("exact")?,
        },
        25 => Entry::Exported {
            by: r.text("by")?,
            patients: r.list("patients", |r| r.patient())?,
            kinds: read_kinds(r)?,
            from: r.time("from")?,
            to: r.time("to")?,
            known: Position(r.u64("known")?),
            pseudonymous: r.flag("pseudonymous")?,
        },
        26 => Entry::Person {
            person: r.text("person")?,
            role: role(r.byte("role")?)?,
            by: r.text("by")?,
        },
        27 => Entry::Team {
            team: r.text("team")?,
            act: read_team_act(r)?,
            by: r.text("by")?,
        },
        36 => Entry::Roster {
            team: r.text("team")?,
            document: r.text("document")?,
            since: r.time("since")?,
            by: r.text("by")?,
        },
        37 => Entry::TakenOver {
            team: r.text("team")?,
            duty: r.byte("duty")?,
            shift: r.time("shift")?,
            leaving: r.list("leaving", |r| r.text("leaving"))?,
            at: r.time("at")?,
            by: r.text("by")?,
        },
        30 => Entry::RulesActivated {
            document: r.text("document")?,
            since: r.time("since")?,
            by: r.text("by")?,
            reason: r.text("reason")?,
        },
        31 => Entry::RulesTried {
            report: r.bytes("report")?.to_vec(),
        },
        32 => Entry::By {
            by: r.text("by")?,
            at: r.time("at")?,
            entries: u32::from_be_bytes(r.array("entries")?),
        },
        40 => Entry::Account {
            person: r.text("person")?,
            act: read_account_act(r)?,
            by: r.text("by")?,
        },
        50 => read_platform(r)?,
        51 => read_sharing(r)?,
        28 => Entry::Passkey {
            person: r.text("person")?,
            id: r.bytes("id")?.to_vec(),
            act: read_passkey_act(r)?,
        },
        LOOKED => Entry::Looked {
            by: r.text("by")?,
            sight: read_sight(r)?,
            patients: r.list("patients", |r| r.patient())?,
            from: r.time("from")?,
            until: r.time("until")?,
        },
        _ => return Err(DecodeError::Field("kind")),
    })
}
