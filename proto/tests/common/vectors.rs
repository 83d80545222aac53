//! Test vectors of the seal: made here, checked here, read by `vectors/check.py`.
#![allow(unreachable_pub, reason = "a part of one test binary")]

use flate2::{Compress, Compression, FlushCompress, Status};
use serde_json::{Value, json};
use vitals::{ContextId, GatewayId, StreamId, Time};
use vitaltwin_proto::seal::crypto::{BatchCipher, random};
use vitaltwin_proto::seal::receipt::{self, Range};
use vitaltwin_proto::seal::record::{STUB_SIZE, checksum};
use vitaltwin_proto::seal::{
    ContextHeader, KeyId, Label, Lane, MAX_INFLATED, NewContext, Opener, PatientSecret,
    Predecessor, SealError, Sealer, SigningKey, Stub, Suite, command, parse_header, tag_of,
    verify_header,
};
use vitaltwin_proto::v1::{self, BatchBody, Column, Command, SetAside};

use crate::common::Ca;

const GATEWAY: &str = "g-17";

/// One context of each suite, with everything that belongs to it, under fresh keys.
pub fn make() -> Value {
    let suites = [
        (Suite::Aes256Gcm, "AES-256-GCM"),
        (Suite::ChaCha20Poly1305, "ChaCha20-Poly1305"),
    ];
    let vectors: Vec<Value> = suites
        .into_iter()
        .map(|(suite, name)| make_vector(suite, name))
        .collect();
    json!({ "format": "vitaltwin seal vectors", "version": 1, "vectors": vectors })
}

fn make_vector(suite: Suite, name: &str) -> Value {
    let patient = PatientSecret::generate();
    let leaf = Ca::new("centre").issue(GATEWAY, "gateway", &[]);
    let predecessor = Predecessor {
        context: ContextId(random()),
        durable: 40,
        durable_at: Time::from_micros(1_795_219_100_000_000),
        receipted: 38,
        receipt_epoch: 1,
    };
    let new = NewContext {
        suite,
        key_id: KeyId::random(),
        public_key: patient.public(),
        stream: StreamId(random()),
        // One vector with a predecessor, one without.
        predecessor: (suite == Suite::Aes256Gcm).then_some(predecessor),
        gateway: GatewayId::parse(GATEWAY).expect("fine id"),
        opened_at: Time::from_micros(1_795_219_200_000_000),
    };
    let key = SigningKey::from_pkcs8(&leaf.key).expect("rcgen makes P-256 keys");
    let (bytes, mut sealer) = Sealer::open_context(new, &key).expect("fine key");
    let header = parse_header(&bytes).expect("just made");
    let opener = Opener::new(&patient, &header).expect("just encapsulated");
    let mut records = Vec::new();
    for (body, lane) in [
        (0, Lane::Vitals),
        (20, Lane::Alert),
        (500, Lane::Waveform),
        (3, Lane::Gap),
    ] {
        let label = Label {
            number: sealer.next_number(),
            lane,
            source: 3,
            count: body,
            oldest: Time::from_micros(1_795_219_201_000_000),
            newest: Time::from_micros(1_795_219_262_000_000),
        };
        records.push(sealer.seal(&label, &sample_body(body)).expect("fits"));
    }
    let tags = |records: &[Vec<u8>]| {
        receipt::tags_hash(records.iter().map(|record| tag_of(record).expect("fine")))
    };
    let ranges = [
        Range {
            first: 1,
            last: 1,
            tags_hash: tags(&records[..1]),
        },
        Range {
            first: 3,
            last: 4,
            tags_hash: tags(&records[2..]),
        },
    ];
    json!({
        "name": name,
        "patient_private": hex(patient.expose()),
        "patient_public": hex(&patient.public().0),
        "gateway_key_pkcs8": hex(&leaf.key),
        "gateway_certificate": hex(&leaf.der),
        "header": hex(&bytes),
        "header_fields": header_fields(&header),
        "batch_key": hex(opener.keys().batch.expose()),
        "receipt_key": hex(opener.receipt_key().expose()),
        "records": records.iter().map(|record| opened_fields(&opener, record)).collect::<Vec<_>>(),
        "refused": refused(&opener, &bytes, &records),
        "receipt": receipt_fields(&receipt::make(opener.receipt_key(), opener.context(), 2, &ranges)),
        "command": make_command(),
    })
}

fn sample_body(readings: u16) -> BatchBody {
    let deltas = |first: i64| {
        (0..readings)
            .map(|n| if n == 0 { 0 } else { first })
            .collect()
    };
    let column = Column {
        kind: 1,
        first_effective_us: 1_795_219_201_000_000,
        effective_delta_us: deltas(100_000),
        received_delta_us: deltas(2_000),
        value_delta: deltas(1),
        ..Column::default()
    };
    let columns = if readings == 0 {
        Vec::new()
    } else {
        vec![column]
    };
    BatchBody {
        columns,
        supersedes: vec![1],
        ..BatchBody::default()
    }
}

/// What a forger, a bad disk or a careless relay could make of a context's bytes.
fn refused(opener: &Opener, header: &[u8], records: &[Vec<u8>]) -> Vec<Value> {
    let (record, other, deflated) = (&records[0], &records[1], &records[2]);
    let flip = |at: usize| {
        let mut changed = record.clone();
        changed[at] ^= 1;
        changed
    };
    let forge = |change: &dyn Fn(&mut [u8])| {
        let mut changed = record[..record.len() - 4].to_vec();
        change(&mut changed);
        let sum = checksum(&changed);
        [changed.as_slice(), &sum].concat()
    };
    let tag = record.len() - 5;
    let body = {
        let mut text = vec![0; record.len() - STUB_SIZE - 20];
        text[..2].copy_from_slice(&[0xff; 2]);
        let cipher = BatchCipher::new(opener.suite(), &opener.keys().batch);
        cipher
            .seal(1, &record[..STUB_SIZE], &mut text)
            .expect("short");
        forge(&move |bytes| bytes[STUB_SIZE..].copy_from_slice(&text))
    };
    let records = [
        ("wrong checksum", "checksum", flip(record.len() - 1)),
        ("stub byte flipped by accident", "checksum", flip(47)),
        ("tag flipped by accident", "checksum", flip(tag)),
        (
            "tag flipped, checksum made to hold",
            "forged",
            forge(&|bytes| bytes[tag] ^= 1),
        ),
        (
            "stub byte flipped, checksum made to hold",
            "forged",
            forge(&|bytes| bytes[47] ^= 1),
        ),
        (
            "swapped stream",
            "forged",
            forge(&|bytes| bytes[4..20].fill(7)),
        ),
        (
            "swapped context",
            "forged",
            forge(&|bytes| bytes[20..36].fill(7)),
        ),
        ("wrong number", "forged", forge(&|bytes| bytes[43] = 2)),
        ("number zero", "malformed", forge(&|bytes| bytes[43] = 0)),
        ("unknown lane", "malformed", forge(&|bytes| bytes[44] = 9)),
        ("content of another number", "forged", {
            let content = other[STUB_SIZE..]
                .iter()
                .copied()
                .cycle()
                .take(record.len() - STUB_SIZE - 4);
            let content: Vec<u8> = content.collect();
            forge(&move |bytes| bytes[STUB_SIZE..].copy_from_slice(&content))
        }),
        (
            "cut short",
            "malformed",
            record[..record.len() - 1].to_vec(),
        ),
        ("longer", "malformed", [record.as_slice(), &[0]].concat()),
        (
            "magic of a header",
            "malformed",
            forge(&|bytes| bytes[2] = b'H'),
        ),
        ("truly sealed, length beyond the text", "body", body),
    ];
    let mut list: Vec<Value> = records
        .iter()
        .map(|(what, error, bytes)| json!({ "what": what, "error": error, "record": hex(bytes) }))
        .collect();
    list.extend(refused_deflated(opener, deflated));
    let headers = [
        ("newer version", "version", 4, 2),
        ("unknown suite", "suite", 5, 9),
        ("key id changed", "forged", 6, 1),
        ("gateway changed", "gateway", 103, b'h'),
    ];
    for (what, error, at, value) in headers {
        let mut changed = header.to_vec();
        changed[at] = if changed[at] == value {
            value + 1
        } else {
            value
        };
        list.push(json!({ "what": what, "error": error, "header": hex(&changed) }));
    }
    let cut = hex(&header[..header.len() - 1]);
    list.push(json!({ "what": "header cut short", "error": "malformed", "header": cut }));
    list
}

/// The same for a deflated record.
fn refused_deflated(opener: &Opener, record: &[u8]) -> Vec<Value> {
    let text = deflated_text(opener, record).expect("500 readings are deflated");
    let sealed = |inside: &[u8]| hex(&seal_again(opener, record, inside));
    let with_more = [text.as_slice(), &[7]].concat();
    let mut plain = record[..record.len() - 4].to_vec();
    plain[3] = b'1';
    let plain = [plain.as_slice(), &checksum(&plain)].concat();
    [
        ("deflated, said to be plain", "forged", hex(&plain)),
        (
            "deflated, cut short",
            "body",
            sealed(&text[..text.len() - 1]),
        ),
        (
            "deflated, with something behind it",
            "body",
            sealed(&with_more),
        ),
        ("deflated, longer than 16384 bytes", "body", sealed(&bomb())),
    ]
    .into_iter()
    .map(|(what, error, record)| json!({ "what": what, "error": error, "record": record }))
    .collect()
}

/// A deflate stream that says one zero more than may be.
fn bomb() -> Vec<u8> {
    let mut bomb = Vec::with_capacity(100);
    let mut stream = Compress::new(Compression::best(), false);
    let zeros = vec![0; MAX_INFLATED + 1];
    let end = stream.compress_vec(&zeros, &mut bomb, FlushCompress::Finish);
    assert!(matches!(end, Ok(Status::StreamEnd)));
    bomb
}

fn make_command() -> Value {
    let key = SigningKey::from_pkcs8(&SigningKey::generate_pkcs8()).expect("just made");
    let kind = v1::command::Kind::SetAside(SetAside {
        context: vec![5; 16],
        numbers: vec![3],
        reason: 6,
    });
    let signed = command::sign(
        &key,
        &Command {
            gateway: GATEWAY.into(),
            number: 5,
            kind: Some(kind),
        },
    );
    json!({
        "public_key": hex(&key.public_point()),
        "command": hex(&signed.command),
        "signature": hex(&signed.signature),
    })
}

/// Checks one vector, made by any implementation, with the patient's key that it was sealed to. Returns how
/// many records opened and how many changed ones were refused.
pub fn check(vector: &Value, patient: &PatientSecret) -> (usize, usize) {
    let name = text(&vector["name"]);
    let certificate = unhex(&vector["gateway_certificate"]);
    let header = verify_header(&unhex(&vector["header"]), &certificate).expect(name);
    assert_eq!(header_fields(&header), vector["header_fields"], "{name}");
    let opener = Opener::new(patient, &header).expect(name);
    assert_eq!(
        hex(opener.keys().batch.expose()),
        vector["batch_key"],
        "{name}"
    );
    assert_eq!(
        hex(opener.receipt_key().expose()),
        vector["receipt_key"],
        "{name}"
    );
    let records = list(&vector["records"]);
    for sealed in records {
        let record = unhex(&sealed["record"]);
        assert_eq!(&opened_fields(&opener, &record), sealed, "{name}");
        let inside = sealed.get("deflated").unwrap_or(&sealed["body"]);
        assert_eq!(
            seal_again(&opener, &record, &unhex(inside)),
            record,
            "{name}"
        );
    }
    for refused in list(&vector["refused"]) {
        let found = match refused.get("header") {
            Some(bytes) => {
                verify_header(&unhex(bytes), &certificate).map_or_else(error_name, |_| "taken")
            }
            None => match opener.open(&unhex(&refused["record"])) {
                Ok(opened) => opened.body.map_or("body", |_| "taken"),
                Err(error) => error_name(error),
            },
        };
        assert_eq!(found, refused["error"], "{name}: {}", refused["what"]);
    }
    check_receipt(&opener, &vector["receipt"], records);
    let signed = v1::SignedCommand {
        command: unhex(&vector["command"]["command"]),
        signature: unhex(&vector["command"]["signature"]),
    };
    let point = unhex(&vector["command"]["public_key"])
        .try_into()
        .expect("65 bytes");
    assert!(
        command::verify(&point, &header.gateway, 4, &signed).is_ok(),
        "{name}"
    );
    (records.len(), list(&vector["refused"]).len())
}

fn check_receipt(opener: &Opener, wire: &Value, records: &[Value]) {
    let ranges = list(&wire["ranges"]).iter().map(|range| v1::ReceiptRange {
        first: range["first"].as_u64().expect("a number"),
        last: range["last"].as_u64().expect("a number"),
        tags_hash: unhex(&range["tags_hash"]),
    });
    let made = v1::Receipt {
        context: opener.context().0.to_vec(),
        ranges: ranges.collect(),
        journal_epoch: wire["journal_epoch"].as_u64().expect("a number"),
        mac: unhex(&wire["mac"]),
    };
    let verified =
        receipt::verify(opener.receipt_key(), &made).expect("the vector's receipt holds");
    assert!(!verified.ranges.is_empty());
    for range in verified.ranges {
        let covered = (range.first..=range.last).map(|number| {
            let record = &records[usize::try_from(number - 1).expect("small")]["record"];
            tag_of(&unhex(record)).expect("fine")
        });
        assert_eq!(receipt::tags_hash(covered), range.tags_hash);
    }
}

/// What a deflated record holds instead of its body.
fn deflated_text(opener: &Opener, record: &[u8]) -> Option<Vec<u8>> {
    let stub = opener.open(record).expect("it opens").stub;
    let mut text = record[STUB_SIZE..record.len() - 4].to_vec();
    let cipher = BatchCipher::new(opener.suite(), &opener.keys().batch);
    let plain = cipher
        .open(stub.number, &record[..STUB_SIZE], &mut text)
        .expect("it opens");
    let length = usize::from(u16::from_be_bytes([plain[0], plain[1]]));
    stub.deflated.then(|| plain[2..2 + length].to_vec())
}

/// The same stub and body under the same key and number give the same bytes.
fn seal_again(opener: &Opener, record: &[u8], body: &[u8]) -> Vec<u8> {
    let stub = opener.open(record).expect("opened before").stub;
    let mut text = u16::try_from(body.len())
        .expect("fits")
        .to_be_bytes()
        .to_vec();
    text.extend_from_slice(body);
    assert!(text.len() <= usize::from(stub.padded), "it fits");
    text.resize(usize::from(stub.padded), 0);
    let cipher = BatchCipher::new(opener.suite(), &opener.keys().batch);
    cipher
        .seal(stub.number, &record[..STUB_SIZE], &mut text)
        .expect("short");
    let sealed = [&record[..STUB_SIZE], &text].concat();
    [sealed.as_slice(), &checksum(&sealed)].concat()
}

fn error_name(error: SealError) -> &'static str {
    match error {
        SealError::Malformed { .. } => "malformed",
        SealError::UnsupportedVersion { .. } => "version",
        SealError::UnsupportedSuite { .. } => "suite",
        SealError::Checksum => "checksum",
        SealError::Forged => "forged",
        SealError::OtherGateway => "gateway",
        SealError::TooLarge { .. } | SealError::NumberUsed { .. } | SealError::BadKey => "other",
    }
}

fn header_fields(header: &ContextHeader) -> Value {
    let before = header.predecessor;
    json!({
        "suite": header.suite.wire(),
        "key_id": header.key_id.to_string(),
        "stream": header.stream.to_string(),
        "context": header.context.to_string(),
        "predecessor": before.map_or(ContextId([0; 16]), |before| before.context).to_string(),
        "predecessor_durable": before.map_or(0, |before| before.durable),
        "predecessor_durable_at_us": before.map_or(0, |before| before.durable_at.as_micros()),
        "predecessor_receipted": before.map_or(0, |before| before.receipted),
        "predecessor_receipt_epoch": before.map_or(0, |before| before.receipt_epoch),
        "opened_at_us": header.opened_at.as_micros(),
        "gateway": header.gateway.as_str(),
        "encapsulated": hex(&header.encapsulated),
    })
}

fn opened_fields(opener: &Opener, record: &[u8]) -> Value {
    let opened = opener.open(record).expect("the record opens");
    let body = opened.body.expect("the body parses");
    let mut fields = json!({
        "stub": stub_fields(&opened.stub),
        "body": hex(&prost::Message::encode_to_vec(&body)),
        "record": hex(record),
    });
    if let Some(text) = deflated_text(opener, record) {
        fields["deflated"] = hex(&text).into();
    }
    fields
}

fn stub_fields(stub: &Stub) -> Value {
    json!({
        "stream": stub.stream.to_string(),
        "context": stub.context.to_string(),
        "number": stub.number,
        "lane": stub.lane as u8,
        "source": stub.source,
        "count": stub.count,
        "oldest_minute": stub.oldest_minute,
        "span_minutes": stub.span_minutes,
        "padded": stub.padded,
    })
}

fn receipt_fields(receipt: &v1::Receipt) -> Value {
    let range = |range: &v1::ReceiptRange| json!({ "first": range.first, "last": range.last, "tags_hash": hex(&range.tags_hash) });
    json!({
        "journal_epoch": receipt.journal_epoch,
        "ranges": receipt.ranges.iter().map(range).collect::<Vec<_>>(),
        "mac": hex(&receipt.mac),
    })
}

/// A list of a vector file.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

/// A hexadecimal text of a vector file.
pub fn unhex(value: &Value) -> Vec<u8> {
    let digits = text(value).as_bytes().chunks(2);
    let byte = |pair: &[u8]| {
        u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hexadecimal")
    };
    digits.map(byte).collect()
}

/// Bytes as vector files hold them.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}
