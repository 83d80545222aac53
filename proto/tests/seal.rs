//! The seal as a whole: what is sealed opens, what was touched does not, and no bytes make a reader panic.

mod common;

use common::{Ca, Leaf};
use proptest::prelude::*;
use vitals::{ContextId, GatewayId, StreamId, Time};
use vitaltwin_proto::seal::crypto::{BatchCipher, random};
use vitaltwin_proto::seal::record::{STUB_SIZE, checksum};
use vitaltwin_proto::seal::{
    ContextHeader, ContextKeys, KeyId, Label, Lane, MAX_BODY, MAX_INFLATED, MAX_RECORD, NewContext,
    Opener, PatientSecret, Predecessor, SealError, Sealer, SigningKey, Suite, command, padded_size,
    parse_header, parse_stub, receipt, tag_of, verify_header,
};
use vitaltwin_proto::v1::{BatchBody, Column, Command, SetAside};

const SUITES: [Suite; 2] = [Suite::Aes256Gcm, Suite::ChaCha20Poly1305];

struct Context {
    patient: PatientSecret,
    gateway: Leaf,
    bytes: Vec<u8>,
    header: ContextHeader,
    sealer: Sealer,
    opener: Opener,
}

fn context(suite: Suite) -> Context {
    let patient = PatientSecret::generate();
    let gateway = Ca::new("centre").issue("g-17", "gateway", &[]);
    let new = NewContext {
        suite,
        key_id: KeyId::random(),
        public_key: patient.public(),
        stream: StreamId(random()),
        predecessor: Some(Predecessor {
            context: ContextId(random()),
            durable: 7,
            durable_at: Time::from_micros(1),
            receipted: 5,
            receipt_epoch: 2,
        }),
        gateway: GatewayId::parse("g-17").expect("fine id"),
        opened_at: Time::from_micros(1_795_219_200_000_000),
    };
    let key = SigningKey::from_pkcs8(&gateway.key).expect("rcgen makes P-256 keys");
    let (bytes, sealer) = Sealer::open_context(new, &key).expect("fine key");
    let header = verify_header(&bytes, &gateway.der).expect("just signed");
    let opener = Opener::new(&patient, &header).expect("just encapsulated");
    Context {
        patient,
        gateway,
        bytes,
        header,
        sealer,
        opener,
    }
}

fn label(number: u64) -> Label {
    Label {
        number,
        lane: Lane::Vitals,
        source: 3,
        count: 1,
        oldest: Time::from_micros(1_795_219_201_000_000),
        newest: Time::from_micros(1_795_219_262_000_000),
    }
}

fn body(size: usize) -> BatchBody {
    let values = (0..size).map(|n| i64::try_from(n % 60).expect("small"));
    let column = Column {
        kind: 1,
        value_delta: values.collect(),
        ..Column::default()
    };
    BatchBody {
        columns: vec![column],
        ..BatchBody::default()
    }
}

/// Changes a record and makes its checksum hold again, as a forger would.
fn forge(record: &[u8], change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut forged = record[..record.len() - 4].to_vec();
    change(&mut forged);
    let sum = checksum(&forged);
    forged.extend_from_slice(&sum);
    forged
}

#[test]
fn what_is_sealed_opens_and_tells_its_stub() {
    for suite in SUITES {
        let mut c = context(suite);
        let record = c.sealer.seal(&label(1), &body(10)).expect("fits");
        let opened = c.opener.open(&record).expect("untouched");
        assert_eq!(opened.body, Ok(body(10)));
        let stub = opened.stub;
        assert_eq!(parse_stub(&record), Ok(stub));
        assert_eq!(
            (stub.stream, stub.context, stub.number),
            (c.sealer.stream(), c.sealer.context(), 1)
        );
        assert_eq!(
            (stub.lane, stub.source, stub.count, stub.padded),
            (Lane::Vitals, 3, 1, 64)
        );
        assert_eq!(stub.oldest(), Time::from_micros(1_795_219_200_000_000));
        assert_eq!(stub.newest(), Time::from_micros(1_795_219_320_000_000));
        assert_eq!(
            tag_of(&record).expect("fine").as_slice(),
            &record[record.len() - 20..record.len() - 4]
        );
        assert_eq!(c.sealer.receipt_key(), c.opener.receipt_key());
    }
}

#[test]
fn a_restart_opens_with_exported_keys_alone() {
    let mut c = context(Suite::for_this_cpu());
    let record = c.sealer.seal(&label(1), &body(3)).expect("fits");
    let keys: ContextKeys = c.opener.keys().clone();
    let opener = Opener::from_keys(
        c.opener.suite(),
        c.opener.stream(),
        c.opener.context(),
        keys,
    );
    assert_eq!(opener.open(&record).expect("untouched").body, Ok(body(3)));
    let again = PatientSecret::from_slice(c.patient.expose()).expect("its own bytes");
    assert_eq!(again.public(), c.patient.public());
    let stranger = Opener::new(&PatientSecret::generate(), &c.header).expect("a usable key");
    assert_eq!(stranger.open(&record).map(|_| ()), Err(SealError::Forged));
}

#[test]
fn every_flipped_bit_and_every_cut_is_found() {
    for suite in SUITES {
        let mut c = context(suite);
        let record = c.sealer.seal(&label(1), &body(10)).expect("fits");
        assert!(c.opener.open(&record).is_ok(), "the control");
        for at in 0..record.len() {
            let mut damaged = record.clone();
            damaged[at] ^= 1 << (at % 8);
            let error = c.opener.open(&damaged).expect_err("found");
            let misread = SealError::Malformed {
                field: if at < 4 { "magic" } else { "length" },
            };
            assert!(
                error == SealError::Checksum || error == misread,
                "byte {at}: {error}"
            );
            assert!(c.opener.open(&record[..at]).is_err(), "cut at {at}");
        }
        for at in 4..record.len() - 4 {
            let forged = forge(&record, |bytes| bytes[at] ^= 1 << (at % 8));
            let error = c.opener.open(&forged).expect_err("found");
            let refused = matches!(error, SealError::Forged)
                || (at < STUB_SIZE && matches!(error, SealError::Malformed { .. }));
            assert!(refused, "byte {at}: {error}");
        }
        let longer = [record.as_slice(), &[0]].concat();
        assert_eq!(
            c.opener.open(&longer).map(|_| ()),
            Err(SealError::Malformed { field: "length" })
        );
    }
}

#[test]
fn a_record_of_another_stream_context_or_number_is_forged() {
    let mut c = context(Suite::Aes256Gcm);
    let record = c.sealer.seal(&label(1), &body(10)).expect("fits");
    let other = c.sealer.seal(&label(2), &body(10)).expect("fits");
    let refused =
        |bytes: &[u8]| assert_eq!(c.opener.open(bytes).map(|_| ()), Err(SealError::Forged));
    refused(&forge(&record, |bytes| {
        bytes[4..20].copy_from_slice(&random::<16>());
    }));
    refused(&forge(&record, |bytes| {
        bytes[20..36].copy_from_slice(&random::<16>());
    }));
    refused(&forge(&record, |bytes| {
        bytes[36..44].copy_from_slice(&2_u64.to_be_bytes());
    }));
    refused(&forge(&record, |bytes| bytes[44] = Lane::Alert as u8));
    refused(&forge(&record, |bytes| {
        bytes[STUB_SIZE..].copy_from_slice(&other[STUB_SIZE..other.len() - 4]);
    }));
    let mut second = context(Suite::Aes256Gcm);
    refused(&second.sealer.seal(&label(1), &body(10)).expect("fits"));
    // The key holder lies about the stream: the tag would hold, the stub does not.
    let keys = c.opener.keys().clone();
    let elsewhere = Opener::from_keys(
        Suite::Aes256Gcm,
        StreamId(random()),
        c.opener.context(),
        keys,
    );
    assert_eq!(elsewhere.open(&record).map(|_| ()), Err(SealError::Forged));
    assert!(
        c.opener.open(&record).is_ok() && c.opener.open(&other).is_ok(),
        "the control"
    );
}

#[test]
fn a_true_seal_around_nonsense_is_malformed_not_forged() {
    let mut c = context(Suite::Aes256Gcm);
    let record = c.sealer.seal_encoded(&label(1), &[0xff; 9]).expect("fits");
    let opened = c.opener.open(&record).expect("truly sealed");
    assert_eq!(opened.body.map_err(|error| error.field), Err("encoding"));
    let by_hand = |text: &[u8]| {
        let mut sealed = text.to_vec();
        let cipher = BatchCipher::new(Suite::Aes256Gcm, &c.opener.keys().batch);
        cipher
            .seal(1, &record[..STUB_SIZE], &mut sealed)
            .expect("short");
        forge(&record, |bytes| bytes[STUB_SIZE..].copy_from_slice(&sealed))
    };
    let field = |record: &[u8]| {
        c.opener
            .open(record)
            .expect("truly sealed")
            .body
            .expect_err("nonsense")
            .field
    };
    assert_eq!(
        field(&by_hand(&[[0, 63].as_slice(), &[0; 62]].concat())),
        "length"
    );
    assert_eq!(
        field(&by_hand(&[[0; 63].as_slice(), &[1]].concat())),
        "padding"
    );
}

#[test]
fn the_sealer_uses_a_number_once_and_knows_its_limits() {
    let mut c = context(Suite::Aes256Gcm);
    assert_eq!(c.sealer.next_number(), 1);
    assert_eq!(
        c.sealer.seal(&label(0), &body(1)),
        Err(SealError::NumberUsed { number: 0, last: 0 })
    );
    let noise =
        |length: usize| -> Vec<u8> { (0..).flat_map(|_| random::<32>()).take(length).collect() };
    let too_large = c.sealer.seal_encoded(&label(1), &noise(MAX_BODY + 1));
    assert_eq!(
        too_large,
        Err(SealError::TooLarge {
            size: MAX_BODY + 1,
            limit: MAX_BODY
        })
    );
    assert_eq!(c.sealer.next_number(), 1, "nothing was used up");
    let largest = c
        .sealer
        .seal_encoded(&label(5), &noise(MAX_BODY))
        .expect("fits");
    assert!(
        c.sealer
            .seal_encoded(&label(6), &vec![0; MAX_INFLATED + 1])
            .is_err()
    );
    assert!(largest.len() <= MAX_RECORD);
    for number in [5, 4, 1, u64::MAX] {
        assert_eq!(
            c.sealer.seal(&label(number), &body(1)),
            Err(SealError::NumberUsed { number, last: 5 })
        );
    }
    assert_eq!(c.sealer.next_number(), 6);
    assert_eq!(
        (padded_size(0), padded_size(62), padded_size(63)),
        (Some(64), Some(64), Some(128))
    );
    assert_eq!(
        (padded_size(MAX_BODY), padded_size(MAX_BODY + 1)),
        (Some(4000), None)
    );
}

#[test]
fn a_header_proves_its_gateway() {
    let c = context(Suite::ChaCha20Poly1305);
    assert_eq!(
        verify_header(&c.bytes, &c.gateway.der).as_ref(),
        Ok(&c.header),
        "the control"
    );
    assert_eq!(parse_header(&c.bytes).as_ref(), Ok(&c.header));
    let ca = Ca::new("centre");
    let verify = |leaf: &Leaf| verify_header(&c.bytes, &leaf.der).map(|_| ());
    assert_eq!(
        verify(&ca.issue("g-17", "gateway", &[])),
        Err(SealError::Forged)
    );
    assert_eq!(
        verify(&ca.issue("g-18", "gateway", &[])),
        Err(SealError::OtherGateway)
    );
    assert_eq!(
        verify(&ca.issue("g-17", "operator", &[])),
        Err(SealError::OtherGateway)
    );
    for at in 0..c.bytes.len() {
        let mut changed = c.bytes.clone();
        changed[at] ^= 1;
        assert!(
            verify_header(&changed, &c.gateway.der).is_err(),
            "byte {at}"
        );
        assert!(parse_header(&c.bytes[..at]).is_err(), "cut at {at}");
    }
    let mut newer = c.bytes.clone();
    newer[4] = 2;
    assert_eq!(
        parse_header(&newer),
        Err(SealError::UnsupportedVersion { version: 2 })
    );
    newer[4] = 1;
    newer[5] = 3;
    assert_eq!(
        parse_header(&newer),
        Err(SealError::UnsupportedSuite { suite: 3 })
    );
}

#[test]
fn a_low_order_encapsulated_key_is_refused() {
    let c = context(Suite::Aes256Gcm);
    let header = ContextHeader {
        encapsulated: [0; 32],
        ..c.header
    };
    assert_eq!(
        Opener::new(&c.patient, &header).map(|_| ()),
        Err(SealError::BadKey)
    );
}

#[test]
fn a_receipt_holds_for_its_key_context_ranges_and_epoch_only() {
    let mut c = context(Suite::Aes256Gcm);
    let records: Vec<_> = (1..=3)
        .map(|n| c.sealer.seal(&label(n), &body(2)).expect("fits"))
        .collect();
    let tags = || records.iter().map(|record| tag_of(record).expect("fine"));
    let ranges = [
        receipt::Range {
            first: 1,
            last: 3,
            tags_hash: receipt::tags_hash(tags()),
        },
        receipt::Range {
            first: 9,
            last: 9,
            tags_hash: [4; 32],
        },
    ];
    let made = receipt::make(c.opener.receipt_key(), c.opener.context(), 6, &ranges);
    let key = c.sealer.receipt_key();
    let verified = receipt::verify(key, &made).expect("the control");
    assert_eq!(
        (verified.context, verified.journal_epoch),
        (c.sealer.context(), 6)
    );
    assert_eq!(verified.ranges, ranges);
    let refused = |change: &dyn Fn(&mut vitaltwin_proto::v1::Receipt)| {
        let mut changed = made.clone();
        change(&mut changed);
        receipt::verify(key, &changed).expect_err("changed")
    };
    assert_eq!(refused(&|r| r.journal_epoch = 7), SealError::Forged);
    assert_eq!(refused(&|r| r.context[0] ^= 1), SealError::Forged);
    assert_eq!(refused(&|r| r.ranges[0].last = 4), SealError::Forged);
    assert_eq!(
        refused(&|r| r.ranges[1].tags_hash[0] ^= 1),
        SealError::Forged
    );
    assert_eq!(refused(&|r| r.ranges.truncate(1)), SealError::Forged);
    assert_eq!(refused(&|r| r.mac[31] ^= 1), SealError::Forged);
    assert_eq!(refused(&|r| r.mac.truncate(16)), SealError::Forged);
    assert_eq!(
        refused(&|r| r.ranges.reverse()),
        SealError::Malformed { field: "ranges" }
    );
    assert_eq!(
        refused(&|r| r.ranges.clear()),
        SealError::Malformed { field: "ranges" }
    );
    assert_eq!(
        refused(&|r| r.ranges[0].first = 0),
        SealError::Malformed { field: "ranges" }
    );
    assert_eq!(
        refused(&|r| r.ranges[0].tags_hash.clear()),
        SealError::Malformed { field: "tags hash" }
    );
    let other = context(Suite::Aes256Gcm);
    assert_eq!(
        receipt::verify(other.sealer.receipt_key(), &made),
        Err(SealError::Forged)
    );
    assert_ne!(
        receipt::tags_hash(tags().rev()),
        ranges[0].tags_hash,
        "order counts"
    );
}

#[test]
fn a_command_is_obeyed_once_by_its_gateway() {
    let key = SigningKey::from_pkcs8(&SigningKey::generate_pkcs8()).expect("just made");
    let gateway = GatewayId::parse("g-17").expect("fine id");
    let kind = vitaltwin_proto::v1::command::Kind::SetAside(SetAside::default());
    let order = Command {
        gateway: "g-17".into(),
        number: 4,
        kind: Some(kind),
    };
    let signed = command::sign(&key, &order);
    let point = key.public_point();
    assert_eq!(command::verify(&point, &gateway, 3, &signed), Ok(order));
    let stale = command::CommandError::Stale { number: 4, last: 4 };
    assert_eq!(command::verify(&point, &gateway, 4, &signed), Err(stale));
    let other = GatewayId::parse("g-18").expect("fine id");
    assert_eq!(
        command::verify(&point, &other, 3, &signed),
        Err(command::CommandError::OtherGateway)
    );
    let stranger = SigningKey::from_pkcs8(&SigningKey::generate_pkcs8())
        .expect("just made")
        .public_point();
    assert_eq!(
        command::verify(&stranger, &gateway, 3, &signed),
        Err(command::CommandError::Forged)
    );
    let mut changed = signed;
    changed.command[1] ^= 1;
    assert_eq!(
        command::verify(&point, &gateway, 3, &changed),
        Err(command::CommandError::Forged)
    );
}

#[test]
fn a_body_is_deflated_where_that_makes_the_record_smaller() {
    for suite in SUITES {
        let mut c = context(suite);
        let (small, large) = (body(10), body(400));
        let plain = c.sealer.seal(&label(1), &small).expect("fits");
        let deflated = c.sealer.seal(&label(2), &large).expect("fits");
        assert_eq!((&plain[..4], &deflated[..4]), (&b"VTB1"[..], &b"VTB2"[..]));
        assert!(
            deflated.len() < 300,
            "{} bytes for 400 numbers",
            deflated.len()
        );
        assert_eq!(c.opener.open(&plain).expect("untouched").body, Ok(small));
        assert_eq!(c.opener.open(&deflated).expect("untouched").body, Ok(large));
        // More than a record holds as it is.
        let more = body(MAX_BODY + 100);
        let record = c.sealer.seal(&label(3), &more).expect("fits deflated");
        assert_eq!(c.opener.open(&record).expect("untouched").body, Ok(more));
    }
}

#[test]
fn how_a_body_is_packed_is_bound_by_the_seal() {
    let mut c = context(Suite::Aes256Gcm);
    for size in [10, 400] {
        let record = c
            .sealer
            .seal(&label(c.sealer.next_number()), &body(size))
            .expect("fits");
        let other = forge(&record, |bytes| bytes[3] = b'1' + b'2' - bytes[3]);
        assert_ne!(other[..4], record[..4]);
        assert_eq!(c.opener.open(&other).map(|_| ()), Err(SealError::Forged));
    }
}

#[test]
fn a_bomb_truly_sealed_is_malformed() {
    let mut c = context(Suite::Aes256Gcm);
    let record = c.sealer.seal(&label(1), &body(400)).expect("fits");
    let cipher = BatchCipher::new(Suite::Aes256Gcm, &c.opener.keys().batch);
    let packed = |text: &[u8]| {
        let room = record.len() - STUB_SIZE - 20;
        let length = u16::try_from(text.len()).expect("short").to_be_bytes();
        let mut sealed = [length.as_slice(), text].concat();
        sealed.resize(room, 0);
        cipher
            .seal(1, &record[..STUB_SIZE], &mut sealed)
            .expect("short");
        let forged = forge(&record, |bytes| bytes[STUB_SIZE..].copy_from_slice(&sealed));
        c.opener
            .open(&forged)
            .expect("truly sealed")
            .body
            .map_err(|error| error.field)
    };
    let mut bomb = Vec::with_capacity(100);
    let mut stream = flate2::Compress::new(flate2::Compression::best(), false);
    let zeros = vec![0; MAX_INFLATED + 1];
    let end = stream.compress_vec(&zeros, &mut bomb, flate2::FlushCompress::Finish);
    assert!(matches!(end, Ok(flate2::Status::StreamEnd)));
    assert_eq!(packed(&bomb), Err("deflate"));
    assert_eq!(packed(&[0xFF; 40]), Err("deflate"));
    assert_eq!(packed(&[]), Err("deflate"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_body_round_trips(body in prop::collection::vec(any::<i64>(), 0..350), number in 1..u64::MAX, oldest in any::<i64>(), span in any::<i64>(), source in any::<u16>()) {
        let mut c = context(Suite::ChaCha20Poly1305);
        let column = Column { kind: 2, value_delta: body, ..Column::default() };
        let body = BatchBody { columns: vec![column], supersedes: vec![1], ..BatchBody::default() };
        let (oldest, newest) = (Time::from_micros(oldest), Time::from_micros(span));
        let label = Label { number, source, oldest, newest, ..label(1) };
        let record = c.sealer.seal(&label, &body).expect("fits");
        let opened = c.opener.open(&record).expect("untouched");
        prop_assert_eq!(opened.body, Ok(body));
        prop_assert_eq!((opened.stub.number, opened.stub.source), (number, source));
    }

    #[test]
    fn no_bytes_make_a_reader_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300), magic in 0..4) {
        let opener = context(Suite::Aes256Gcm).opener;
        let magic: &[u8] = match magic { 0 => b"VTH1\x01\x01", 1 => b"VTB1", 2 => b"VTB2", _ => b"" };
        bytes.splice(0..magic.len().min(bytes.len()), magic.iter().copied());
        let _ = parse_header(&bytes);
        let _ = parse_stub(&bytes);
        let _ = tag_of(&bytes);
        let _ = verify_header(&bytes, &bytes);
        prop_assert!(opener.open(&bytes).is_err());
    }
}
