//! Entries and rows as bytes (row format 2, entry format 1). All integers are big-endian.
//!
//! Row, one a group commit: magic `VTJ2` (4) || count n (4) || n frame lengths (4 each) || n kinds (1 each) ||
//! CRC-32C of `first position (8) || all before` (4) || n frames. The kinds are there so that it is known of a
//! damaged frame what was lost; rows of format 1 (`VTJ1`) are without them.
//! Frame: format (1) || kind (1) || known time (8) || fields || CRC-32C of `position (8) || all before` (4).
//! The position is in the checksum and not in the frame, so an entry that was moved is damaged too. Texts and byte
//! strings are a length (4) and the bytes; a list is a count (4) and its items.
//!
//! Invariants: an entry decodes to what was encoded, or not at all; damage in one frame does not touch another.
//! Must not know: SQLite. Numbers of kinds are disk format: add, never reuse.

mod acts;

use proto::cert::Role;
use vitals::{ContextId, SourceId, StreamId, Time};

use super::bytes::{Reader, put, put_len, put_time, put_u64};
use super::entry::{Entry, Position};
use acts::{
    collection, collection_number, read_act, read_passkey_act, read_team_act, role, role_number,
    write_act, write_passkey_act, write_team_act,
};

const MAGIC: &[u8; 4] = b"VTJ2";
const MAGIC_WITHOUT_KINDS: &[u8; 4] = b"VTJ1";
const FORMAT: u8 = 1;
/// Format, kind, known time and checksum.
const FRAME_OVERHEAD: usize = 14;

/// Numbers of kinds that are named twice.
const BATCH: u8 = 11;
const ACKNOWLEDGED: u8 = 12;
const TICK: u8 = 13;
const CARE: u8 = 21;
const FACTS: u8 = 22;

/// Why bytes are no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DecodeError {
    /// The checksum does not hold.
    #[error("the checksum does not hold")]
    Checksum,
    /// A later program wrote it.
    #[error("entry format {0} is newer than this program")]
    Format(u8),
    /// The checksum holds, but a field does not parse.
    #[error("the field {0} does not parse")]
    Field(&'static str),
}

/// All entries of one commit as one row.
pub(super) fn encode_row(first: Position, entries: &[(Time, &Entry)]) -> Vec<u8> {
    let frames: Vec<Vec<u8>> = entries
        .iter()
        .zip(first.0..)
        .map(|((known, entry), position)| encode_entry(Position(position), *known, entry))
        .collect();
    let mut row = Vec::with_capacity(12 + frames.iter().map(|f| f.len() + 4).sum::<usize>());
    row.extend_from_slice(MAGIC);
    put_len(&mut row, frames.len());
    for frame in &frames {
        put_len(&mut row, frame.len());
    }
    row.extend(entries.iter().map(|(_, entry)| kind_of(entry)));
    let sum = checksum(first, &row);
    row.extend_from_slice(&sum);
    frames.iter().for_each(|frame| row.extend_from_slice(frame));
    row
}

/// One entry's bytes within a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// As the row's header says; `None` in rows of format 1.
    kind: Option<u8>,
    pub(super) bytes: &'a [u8],
}

impl Frame<'_> {
    /// Whether it can be lost without giving anybody a right back: batches, ticks, and what people did about
    /// alerts (those ring again). Whatever cannot be told is not.
    pub(super) fn is_expendable(&self) -> bool {
        matches!(self.kind, Some(BATCH | ACKNOWLEDGED | TICK | CARE))
    }
}

impl Frame<'_> {
    /// Whether it stays when its row is removed: everything but batches and ticks. Of a row of format 1 the kind is
    /// read from the frame.
    pub(super) fn is_lasting(&self) -> bool {
        let kind = self.kind.or_else(|| self.bytes.get(1).copied());
        !matches!(kind, Some(BATCH | TICK))
    }
}

/// The frames of a row, in order; `None` if its header is damaged (then every entry of the row is).
pub(super) fn split_row(first: Position, row: &[u8]) -> Option<Vec<Frame<'_>>> {
    let (magic, rest) = row.split_first_chunk::<4>()?;
    let (count, rest) = rest.split_first_chunk::<4>()?;
    let count = usize::try_from(u32::from_be_bytes(*count)).ok()?;
    let (lengths, rest) = rest.split_at_checked(count.checked_mul(4)?)?;
    let with_kinds = match magic {
        MAGIC => count,
        MAGIC_WITHOUT_KINDS => 0,
        _ => return None,
    };
    let (kinds, rest) = rest.split_at_checked(with_kinds)?;
    let (sum, mut frames) = rest.split_first_chunk::<4>()?;
    let header = row.get(..8 + lengths.len() + kinds.len())?;
    if *sum != checksum(first, header) {
        return None;
    }
    lengths
        .chunks_exact(4)
        .enumerate()
        .map(|(at, length)| {
            let length = u32::from_be_bytes(length.try_into().ok()?);
            let (bytes, rest) = frames.split_at_checked(usize::try_from(length).ok()?)?;
            frames = rest;
            let kind = kinds.get(at).copied();
            Some(Frame { kind, bytes })
        })
        .collect()
}

/// Which batch a damaged frame held, as far as its bytes still say: for people, who look for it at its gateway. The damage may
/// have hit the name itself.
pub(super) fn name_of_damaged(frame: &[u8]) -> Option<String> {
    let (bytes, _) = frame.split_last_chunk::<4>()?;
    let mut reader = Reader {
        rest: bytes.get(10..)?,
    };
    if bytes.get(1) != Some(&BATCH) {
        return None;
    }
    let Ok(Entry::Batch { gateway, record }) = read_fields(BATCH, &mut reader) else {
        return None;
    };
    // The record's own checksum is damaged, too, so its stub is read by its places (`proto/SEAL.md`).
    let stream = StreamId::from_slice(record.get(4..20)?)?;
    let context = ContextId::from_slice(record.get(20..36)?)?;
    let number = u64::from_be_bytes(record.get(36..44)?.try_into().ok()?);
    Some(format!(
        "batch {number} of context {context}, stream {stream}, gateway {gateway}"
    ))
}

/// One frame back to its known time and entry.
pub(super) fn decode_entry(position: Position, frame: &[u8]) -> Result<(Time, Entry), DecodeError> {
    let (bytes, sum) = frame.split_last_chunk::<4>().ok_or(DecodeError::Checksum)?;
    if *sum != checksum(position, bytes) {
        return Err(DecodeError::Checksum);
    }
    let mut reader = Reader { rest: bytes };
    let format = reader.byte("format")?;
    if format != FORMAT {
        return Err(DecodeError::Format(format));
    }
    let kind = reader.byte("kind")?;
    let known = Time::from_micros(reader.i64("known")?);
    let entry = read_fields(kind, &mut reader)?;
    if reader.rest.is_empty() {
        Ok((known, entry))
    } else {
        Err(DecodeError::Field("end"))
    }
}

fn encode_entry(position: Position, known: Time, entry: &Entry) -> Vec<u8> {
    let mut out = Vec::with_capacity(FRAME_OVERHEAD + 128);
    out.push(FORMAT);
    out.push(kind_of(entry));
    out.extend_from_slice(&known.as_micros().to_be_bytes());
    write_fields(entry, &mut out);
    let sum = checksum(position, &out);
    out.extend_from_slice(&sum);
    out
}

fn checksum(position: Position, bytes: &[u8]) -> [u8; 4] {
    let sum = crc32c::crc32c(&position.0.to_be_bytes());
    crc32c::crc32c_append(sum, bytes).to_be_bytes()
}

const fn kind_of(entry: &Entry) -> u8 {
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
        Entry::Person { .. } => 24,
        Entry::Team { .. } => 25,
        Entry::Passkey { .. } => 26,
    }
}

fn write_fields(entry: &Entry, out: &mut Vec<u8>) {
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
        Entry::Passkey { person, id, act } => {
            put(out, person.as_bytes());
            put(out, id);
            write_passkey_act(act, out);
        }
    }
}

fn read_fields(kind: u8, r: &mut Reader<'_>) -> Result<Entry, DecodeError> {
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
        24 => Entry::Person {
            person: r.text("person")?,
            role: role(r.byte("role")?)?,
            by: r.text("by")?,
        },
        25 => Entry::Team {
            team: r.text("team")?,
            act: read_team_act(r)?,
            by: r.text("by")?,
        },
        26 => Entry::Passkey {
            person: r.text("person")?,
            id: r.bytes("id")?.to_vec(),
            act: read_passkey_act(r)?,
        },
        _ => return Err(DecodeError::Field("kind")),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proto::v1::{Collection, StaffRole};
    use vitals::{GatewayId, PatientId};

    use super::*;
    use crate::journal::{CareAct, PasskeyAct, SealedText, TeamAct};

    fn patient() -> PatientId {
        PatientId::parse("p-1").expect("fine id")
    }

    fn gateway() -> GatewayId {
        GatewayId::parse("g-1").expect("fine id")
    }

    fn person(role: StaffRole) -> Entry {
        Entry::Person {
            person: "ann".into(),
            role,
            by: "olga".into(),
        }
    }

    fn passkey(act: PasskeyAct) -> Entry {
        Entry::Passkey {
            person: "ann".into(),
            id: vec![9; 16],
            act,
        }
    }

    fn team(act: TeamAct) -> Entry {
        Entry::Team {
            team: "ward 3".into(),
            act,
            by: "olga".into(),
        }
    }

    fn care(act: CareAct, text: SealedText) -> Entry {
        Entry::Care {
            patient: patient(),
            by: "ann".into(),
            act,
            text,
        }
    }

    /// One of each kind.
    fn samples() -> Vec<Entry> {
        let sealed = SealedText(vec![1, 2, 3]);
        let (stream, context) = (StreamId([1; 16]), ContextId([2; 16]));
        let (serial, not_after) = (vec![5, 6], Time::from_micros(9));
        vec![
            Entry::EpochStarted {
                epoch: 1,
                program: "0.1.0".into(),
            },
            Entry::PatientAdded {
                patient: patient(),
                name: sealed.clone(),
                test_data: true,
            },
            Entry::KeyAdded {
                patient: patient(),
                key_id: [3; 8],
                public_key: [4; 32],
            },
            Entry::TokenCreated {
                gateway: gateway(),
                label: "ward 3".into(),
                hash: [7; 32],
                expires: not_after,
            },
            Entry::GatewayEnrolled {
                gateway: gateway(),
                serial: serial.clone(),
                not_after,
            },
            Entry::CertificateIssued {
                gateway: gateway(),
                serial,
                not_after,
            },
            Entry::GatewayRevoked { gateway: gateway() },
            Entry::Assigned {
                patient: patient(),
                gateway: gateway(),
                stream,
                key_id: [3; 8],
                devices: sealed.clone(),
                from: Time::from_micros(-5),
            },
            Entry::ContextAdmitted {
                gateway: gateway(),
                header: vec![8; 200],
                chain: vec![vec![1], vec![]],
                forked: false,
            },
            Entry::StreamFrozen { stream },
            Entry::Batch {
                gateway: gateway(),
                record: vec![9; 4096],
            },
            Entry::Acknowledged {
                patient: patient(),
                alert: "a-1".into(),
                by: "ann".into(),
                note: sealed.clone(),
            },
            Entry::Facts {
                patient: patient(),
                by: "ann".into(),
                facts: sealed.clone(),
            },
            care(
                CareAct::Comment {
                    alert: "a-1".into(),
                },
                sealed.clone(),
            ),
            care(
                CareAct::Own {
                    alert: "a-1".into(),
                    owner: "ben".into(),
                },
                SealedText::default(),
            ),
            care(
                CareAct::Snooze {
                    condition: "sensor_off".into(),
                    until: Time::from_micros(7),
                },
                sealed,
            ),
            care(
                CareAct::Wake {
                    condition: "sensor_off".into(),
                },
                SealedText::default(),
            ),
            Entry::Tick,
            Entry::Quarantined {
                position: Position(4),
                patient: patient(),
            },
            Entry::VoidSettled {
                void: Position(4),
                patient: patient(),
            },
            person(StaffRole::Unspecified),
            person(StaffRole::Administrator),
            team(TeamAct::Made),
            team(TeamAct::Ended),
            team(TeamAct::Joined("ann".into())),
            team(TeamAct::Left("ann".into())),
            team(TeamAct::Took(patient())),
            team(TeamAct::Released(patient())),
            passkey(PasskeyAct::Added {
                host: "centre.example".into(),
                key: vec![1; 66],
                count: u32::MAX,
                label: "phone".into(),
                at: Time::from_micros(5),
            }),
            passkey(PasskeyAct::Used(7)),
            passkey(PasskeyAct::Removed),
            Entry::SetAside {
                gateway: gateway(),
                context,
                numbers: vec![1, 5, u64::MAX],
            },
            Entry::CertificateRevoked {
                role: Role::Platform,
                name: "tele".into(),
            },
            Entry::Configured {
                gateway: gateway(),
                settings: "heartbeat_s = 60".into(),
            },
            Entry::Collection {
                patient: patient(),
                collection: Collection::Withdrawn,
                erase_unsent: true,
                since: Time::from_micros(7),
                streams: vec![StreamId([3; 16]), StreamId([4; 16])],
            },
            Entry::Voided {
                patient: patient(),
                sources: vec![(stream, SourceId(3)), (StreamId([4; 16]), SourceId(700))],
                from: Time::from_micros(-4),
                to: Time::from_micros(40),
                since: Time::from_micros(50),
                by: "operator olga".into(),
                reason: SealedText(vec![4]),
                moved_to: Some(PatientId::parse("p-2").expect("fine id")),
            },
            Entry::Moved {
                patient: patient(),
                stream,
                context,
                number: 7,
                source: SourceId(700),
                readings: 300,
                body: SealedText(vec![6; 900]),
            },
        ]
    }

    fn row() -> (Vec<Entry>, Vec<u8>) {
        let entries = samples();
        let timed: Vec<_> = entries
            .iter()
            .map(|entry| (Time::from_micros(77), entry))
            .collect();
        let row = encode_row(Position(10), &timed);
        (entries, row)
    }

    #[test]
    fn every_kind_round_trips() {
        let (entries, row) = row();
        let frames = split_row(Position(10), &row).expect("header is sound");
        assert_eq!(frames.len(), entries.len());
        for ((frame, entry), position) in frames.iter().zip(entries).zip(10..) {
            let decoded = decode_entry(Position(position), frame.bytes);
            assert_eq!(decoded, Ok((Time::from_micros(77), entry)));
        }
    }

    #[test]
    fn what_may_be_lost_is_known_without_the_frame_and_unknown_is_kept() {
        let (entries, row) = row();
        let frames = split_row(Position(10), &row).expect("header is sound");
        for (frame, entry) in frames.iter().zip(&entries) {
            let may = matches!(
                entry,
                Entry::Batch { .. } | Entry::Tick | Entry::Acknowledged { .. } | Entry::Care { .. }
            );
            assert_eq!(frame.is_expendable(), may, "{entry:?}");
        }
        // A row as format 1 wrote it is read, but says no kinds.
        let (count, header) = (entries.len(), 8 + 4 * entries.len());
        let mut former = row[..header].to_vec();
        former[..4].copy_from_slice(MAGIC_WITHOUT_KINDS);
        let sum = checksum(Position(10), &former);
        former.extend_from_slice(&sum);
        former.extend_from_slice(&row[header + count + 4..]);
        let former = split_row(Position(10), &former).expect("header is sound");
        for ((frame, entry), position) in former.iter().zip(&entries).zip(10..) {
            assert!(!frame.is_expendable());
            let (_, decoded) = decode_entry(Position(position), frame.bytes).expect("sound");
            assert_eq!(decoded, *entry);
        }
    }

    #[test]
    fn an_entry_at_another_position_is_damaged() {
        let (_, row) = row();
        assert_eq!(split_row(Position(11), &row), None);
        let frames = split_row(Position(10), &row).expect("header is sound");
        assert_eq!(
            decode_entry(Position(11), frames[0].bytes),
            Err(DecodeError::Checksum)
        );
    }

    #[test]
    fn one_changed_byte_damages_one_entry_or_the_header() {
        let (entries, row) = row();
        for at in 0..row.len() {
            let mut changed = row.clone();
            changed[at] ^= 0x10;
            let Some(frames) = split_row(Position(10), &changed) else {
                continue;
            };
            let damaged = frames
                .iter()
                .zip(10..)
                .filter(|(frame, position)| decode_entry(Position(*position), frame.bytes).is_err())
                .count();
            assert_eq!((frames.len(), damaged), (entries.len(), 1), "byte {at}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), kind in 0u8..20) {
            let _ = split_row(Position(1), &bytes);
            let _ = decode_entry(Position(1), &bytes);
            // Past the checksum, as a program with a bug might write it.
            let mut frame = vec![FORMAT, kind];
            frame.extend_from_slice(&bytes);
            let sum = checksum(Position(1), &frame);
            frame.extend_from_slice(&sum);
            let _ = decode_entry(Position(1), &frame);
        }
    }
}
