//! Entries and rows as bytes (row format 2, entry format 1). All integers are big-endian.
//!
//! Row, one a group commit: magic `VTJ2` (4) || count n (4) || n frame lengths (4 each) || n kinds (1 each) ||
//! CRC-32C of `first position (8) || all before` (4) || n frames. The kinds are there so that it is known of a
//! damaged frame what was lost; rows of format 1 (`VTJ1`) are without them.
//! Frame: format (1) || kind (1) || known time (8) || fields || CRC-32C of `position (8) || all before` (4).
//! The position is in the checksum and not in the frame, so an entry that was moved is damaged too. Texts and byte
//! strings are a length (4) and the bytes; a list is a count (4) and its items.
//!
//! Each kind's fields: `fields.rs`.
//!
//! Invariants: an entry decodes to what was encoded, or not at all; damage in one frame does not touch another.
//! Must not know: SQLite.

use vitals::{ContextId, GatewayId, StreamId, Time};

use super::bytes::{Reader, put_len};
use super::entry::{Entry, Position};
use super::fields::{ACKNOWLEDGED, BATCH, CARE, LOOKED, TICK, kind_of, read_fields, write_fields};

const MAGIC: &[u8; 4] = b"VTJ2";
const MAGIC_WITHOUT_KINDS: &[u8; 4] = b"VTJ1";
const FORMAT: u8 = 1;
/// Format, kind, known time and checksum.
const FRAME_OVERHEAD: usize = 14;

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
    /// Whether it was a batch; what cannot be told is not.
    pub(super) fn is_batch(&self) -> bool {
        self.kind == Some(BATCH)
    }

    /// Whether it can be lost without giving anybody a right back: batches, ticks, what people did about
    /// alerts (those ring again), and who looked. Whatever cannot be told is not.
    pub(super) fn is_expendable(&self) -> bool {
        matches!(self.kind, Some(BATCH | ACKNOWLEDGED | TICK | CARE | LOOKED))
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

/// What a damaged batch said of itself in clear, as far as its bytes still say. The damage may have hit any of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clear {
    gateway: GatewayId,
    pub(super) stream: StreamId,
    context: ContextId,
    number: u64,
    pub(super) readings: u16,
    /// Whole minutes.
    pub(super) oldest: u32,
    pub(super) span: u16,
}

impl std::fmt::Display for Clear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            gateway,
            stream,
            context,
            number,
            ..
        } = self;
        write!(
            f,
            "batch {number} of context {context}, stream {stream}, gateway {gateway}"
        )
    }
}

/// Which batch a damaged frame held.
pub(super) fn clear_of_damaged(frame: &[u8]) -> Option<Clear> {
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
    let u16_at = |at: usize| Some(u16::from_be_bytes(record.get(at..at + 2)?.try_into().ok()?));
    Some(Clear {
        gateway,
        stream: StreamId::from_slice(record.get(4..20)?)?,
        context: ContextId::from_slice(record.get(20..36)?)?,
        number: u64::from_be_bytes(record.get(36..44)?.try_into().ok()?),
        readings: u16_at(47)?,
        oldest: u32::from_be_bytes(record.get(49..53)?.try_into().ok()?),
        span: u16_at(53)?,
    })
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use proto::cert::Role;
    use proto::v1::Collection;
    use vitals::{Kind, PatientId, SourceId};

    use super::*;
    use crate::scope::Scope;
    use proto::v1::StaffRole;

    use crate::journal::{AccountAct, PasskeyAct, PasswordHash, Sight, TeamAct};
    use crate::journal::{CareAct, SealedText};
    use proto::v1::{AccessDoor, AccessPart};

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

    fn account(act: AccountAct) -> Entry {
        Entry::Account {
            person: "ann".into(),
            act,
            by: "olga".into(),
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

    fn scope() -> Scope {
        let asked = proto::v1::PlatformScope {
            patients: vec!["p-1".into()],
            teams: vec!["ward 3".into()],
            kinds: vec![Kind::HeartRate.wire()],
            services: vec![1, 2],
            ..Default::default()
        };
        Scope::of(&asked).expect("it is whole")
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
            care(
                CareAct::Pass {
                    alert: "a-1".into(),
                    calls: 2,
                },
                SealedText(vec![7]),
            ),
            care(
                CareAct::Escalate {
                    alert: "a-1".into(),
                    duty: 2,
                },
                SealedText(vec![8]),
            ),
            Entry::RulesActivated {
                document: "format = 1".into(),
                since: not_after,
                by: "ann".into(),
                reason: "too loud".into(),
            },
            Entry::RulesTried { report: vec![1, 2] },
            Entry::Roster {
                team: "ward 3".into(),
                document: "format = 1".into(),
                since: not_after,
                by: "sue".into(),
            },
            Entry::TakenOver {
                team: "ward 3".into(),
                duty: 1,
                shift: not_after,
                leaving: vec!["ann".into(), "bob".into()],
                at: Time::from_micros(6),
                by: "cy".into(),
            },
            Entry::By {
                by: "olga".into(),
                at: Time::from_micros(5),
                entries: 2,
            },
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
            team(TeamAct::Filters {
                name: "mine, stale".into(),
                facets: vec!["owner=mine".into(), "data=stale".into()],
            }),
            passkey(PasskeyAct::Added {
                host: "centre.example".into(),
                key: vec![1; 66],
                count: u32::MAX,
                label: "phone".into(),
                at: Time::from_micros(5),
            }),
            Entry::Platform {
                platform: "Tele".into(),
                scope: Some(Arc::new(scope())),
                since: Time::from_micros(6),
                by: "olga".into(),
            },
            Entry::Platform {
                platform: "Tele".into(),
                scope: None,
                since: Time::from_micros(6),
                by: "olga".into(),
            },
            Entry::Sharing {
                patient: patient(),
                platform: "Tele".into(),
                shared: false,
                by: "patient".into(),
            },
            passkey(PasskeyAct::Used(7)),
            passkey(PasskeyAct::Removed),
            account(AccountAct::PasswordSet {
                hash: PasswordHash {
                    memory_kib: 19_456,
                    passes: 2,
                    lanes: 1,
                    salt: [1; 16],
                    tag: [2; 32],
                },
                seed: SealedText(vec![3; 60]),
                recovery: vec![[4; 32], [5; 32]],
                at: Time::from_micros(5),
            }),
            account(AccountAct::CodeUsed(u64::MAX)),
            account(AccountAct::RecoveryUsed([4; 32])),
            account(AccountAct::RecoveryMade(vec![[6; 32]])),
            account(AccountAct::PasswordRemoved),
            account(AccountAct::Linked {
                issuer: "https://id.example".into(),
                subject: "7".into(),
                at: Time::from_micros(5),
            }),
            account(AccountAct::Unlinked),
            account(AccountAct::Subscribed {
                id: [7; 16],
                sealed: SealedText(vec![8; 90]),
                label: "phone".into(),
                at: Time::from_micros(5),
            }),
            account(AccountAct::Unsubscribed { id: [7; 16] }),
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
            Entry::Damaged {
                patient: patient(),
                stream,
                position: Position(4),
                from: Time::from_micros(-4),
                to: Time::from_micros(40),
                readings: 300,
                exact: true,
            },
            Entry::Exported {
                by: "platform research".into(),
                patients: vec![patient(), PatientId::parse("p-2").expect("fine id")],
                kinds: vec![Kind::HeartRate, Kind::OxygenSaturation],
                from: Time::from_micros(-4),
                to: Time::from_micros(40),
                known: Position(9),
                pseudonymous: true,
            },
            Entry::Looked {
                by: "Nina".into(),
                sight: Sight {
                    part: AccessPart::Readings,
                    kinds: vec![Kind::HeartRate],
                    named: true,
                    door: AccessDoor::Page,
                },
                patients: vec![patient(), PatientId::parse("p-2").expect("fine id")],
                from: Time::from_micros(-4),
                until: Time::from_micros(40),
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
                Entry::Batch { .. }
                    | Entry::Tick
                    | Entry::Acknowledged { .. }
                    | Entry::Care { .. }
                    | Entry::Looked { .. }
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
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), kind in 0u8..41) {
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
