//! A stolen disk: no plaintext on it, and no key that opens what lies there. Each with its negative control.
//!
//! Readings are found by what they are in clear: every 16 bytes of every record's plaintext, wherever they might
//! lie. Keys by trying: each 32 bytes on the disk are taken for a batch key, and for the patient's own.
//! `VITALTWIN_MARKED=1000000 cargo test --release -p vitaltwin-agent --test outbox theft` searches for a million
//! marked readings.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use prost::Message as _;
use proto::seal::crypto::BatchCipher;
use proto::seal::record::STUB_SIZE;
use proto::seal::{Secret, parse_stub};
use proto::v1::BatchBody;
use vitals::ContextId;
use vitaltwin_agent::outbox::salvage::{self, Found, Rows};

use crate::centre::{Centre, READINGS_A_MARKER};
use crate::house::{House, Life};

/// Bytes that a window must have at least two thirds different, or it is found in any file of zeros.
const WINDOW: usize = 16;
/// Of 32 bytes drawn at random, 30 are different on average; of a key, never so few.
const LEAST_OF_A_KEY: usize = 20;
/// Bits a byte that sealed bytes have, of eight.
const LEAST_ENTROPY: f64 = 7.99;
/// Bytes whose evenness is looked at together.
const BLOCK: usize = 4096;

/// What lies in a store, found byte by byte.
#[derive(Default)]
struct Salvaged {
    rows: Rows,
    records: BTreeMap<(ContextId, u64), Vec<u8>>,
}

fn salvaged(house: &House) -> Salvaged {
    let mut all = Salvaged::default();
    let found = salvage::scan(
        &house.dir().join("outbox"),
        0,
        |_| Ok(()),
        |found| {
            if let Found::Record(stub, record) = &found {
                let place = (stub.context, stub.number);
                all.records.insert(place, record.to_vec());
            }
            all.rows.take(found);
            Ok::<(), std::io::Error>(())
        },
    );
    found.expect("readable");
    all
}

/// All files of the agent's folder, in one.
fn disk(dir: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            bytes.extend(disk(&path));
        } else {
            bytes.extend(std::fs::read(&path).expect("a file"));
        }
        // So that nothing reaches over the end of a file.
        bytes.extend([0; 64]);
    }
    bytes
}

fn distinct(bytes: &[u8]) -> usize {
    bytes.iter().collect::<HashSet<_>>().len()
}

/// The readings of every record that lies there, as they are in clear. (Which devices are assigned is no secret of
/// the buffer: `identity/commands.pb` must say it.)
fn plaintexts(salvaged: &Salvaged, centre: &mut Centre) -> Vec<Vec<u8>> {
    for (_, context) in salvaged.rows.contexts.values() {
        centre.open(&context.header);
    }
    let records = salvaged.records.values();
    let clear = |record| BatchBody {
        columns: centre.body(record).columns,
        ..BatchBody::default()
    };
    records
        .map(|record| clear(record).encode_to_vec())
        .collect()
}

/// Windows of plaintext that lie on the disk.
fn plaintext_on(disk: &[u8], plaintexts: &[Vec<u8>]) -> usize {
    let windows: HashSet<&[u8]> = plaintexts
        .iter()
        .flat_map(|text| text.windows(WINDOW))
        .filter(|window| distinct(window) * 3 >= WINDOW * 2)
        .collect();
    disk.windows(WINDOW)
        .filter(|window| windows.contains(window))
        .count()
}

/// Places on the disk whose 32 bytes open a record.
fn keys_on(disk: &[u8], salvaged: &Salvaged, centre: &Centre) -> usize {
    // One record of each context: a key opens all of a context or none.
    let mut of_context: HashMap<ContextId, (u64, &[u8])> = HashMap::new();
    for ((context, number), record) in &salvaged.records {
        of_context.entry(*context).or_insert((*number, record));
    }
    let suite = proto::seal::Suite::for_this_cpu();
    let opens = |key: &[u8]| {
        let secret = Secret::from_slice(key).expect("32 bytes");
        let cipher = BatchCipher::new(suite, &secret);
        let opened = of_context.values().any(|(number, record)| {
            let (clear, sealed) = record[..record.len() - 4].split_at(STUB_SIZE);
            let mut text = sealed.to_vec();
            cipher.open(*number, clear, &mut text).is_ok()
        });
        opened || centre.is_a_private_key(key)
    };
    let windows = disk
        .windows(32)
        .filter(|window| distinct(window) >= LEAST_OF_A_KEY);
    windows.filter(|window| opens(window)).count()
}

/// Bits of information in a byte, by how often each value comes. Of few bytes it looks a little less than it is.
fn entropy(bytes: &[u8]) -> f64 {
    let mut histogram = [0_u32; 256];
    for byte in bytes {
        histogram[usize::from(*byte)] += 1;
    }
    #[expect(clippy::cast_precision_loss, reason = "some MB")]
    let all = bytes.len() as f64;
    let counts = histogram.iter().filter(|count| **count > 0);
    counts
        .map(|count| f64::from(*count) / all)
        .map(|share| -share * share.log2())
        .sum()
}

/// Blocks whose bytes are less, or more, even than chance would have them once in 10^9 blocks.
fn uneven_blocks(bytes: &[u8]) -> usize {
    let blocks = bytes.chunks_exact(BLOCK);
    let uneven = |block: &&[u8]| !(135.0..420.0).contains(&unevenness(block));
    blocks.filter(uneven).count()
}

/// Chi-squared of the bytes against evenly distributed ones: 255 on average, 23 the standard deviation.
fn unevenness(bytes: &[u8]) -> f64 {
    let mut histogram = [0_u32; 256];
    for byte in bytes {
        histogram[usize::from(*byte)] += 1;
    }
    #[expect(clippy::cast_precision_loss, reason = "a few MB")]
    let expected = bytes.len() as f64 / 256.0;
    let square = |count: &u32| (f64::from(*count) - expected).powi(2) / expected;
    histogram.iter().map(square).sum()
}

fn life(seed: u64, beats: u64) -> Life {
    Life {
        seed,
        from: 0,
        beats,
        line: false,
        drain: false,
        budget: 1 << 30,
        waves: false,
    }
}

/// A house with so many beats in its store.
fn filled(beats: u64) -> House {
    let mut house = House::new();
    house.drain();
    house.live(life(1, beats));
    house
}

#[test]
fn no_marked_reading_lies_on_the_disk_in_clear() {
    let readings = crate::count("VITALTWIN_MARKED", 4000);
    let (mut searched, mut marked) = (0, 0);
    let (mut least, mut evened) = (8.0_f64, 0);
    while marked < readings {
        let beats = ((readings - marked) / READINGS_A_MARKER).min(30_000);
        let house = filled(beats);
        let salvaged = salvaged(&house);
        let texts = plaintexts(&salvaged, &mut house.centre());
        let mut disk = disk(&house.dir());
        assert_eq!(plaintext_on(&disk, &texts), 0, "plaintext on the disk");
        searched += disk.len();
        marked += beats * READINGS_A_MARKER;
        // The negative control: one record in clear, anywhere, is found.
        disk.extend(texts.iter().max_by_key(|text| text.len()).expect("records"));
        assert!(plaintext_on(&disk, &texts) > 0, "the search finds nothing");
        // Sealed bytes are as even as chance, in the whole and block by block; their plaintext is not.
        let sealed = salvaged.records.values().flat_map(|record| {
            let padded = usize::from(parse_stub(record).expect("whole").padded);
            &record[STUB_SIZE..][..padded]
        });
        let (sealed, clear) = (sealed.copied().collect::<Vec<_>>(), texts.concat());
        assert!(entropy(&sealed) >= LEAST_ENTROPY, "{}", entropy(&sealed));
        assert!(entropy(&clear) < LEAST_ENTROPY, "the negative control");
        assert_eq!(uneven_blocks(&sealed), 0, "sealed bytes are uneven");
        let blocks = clear.len() / BLOCK;
        assert!(
            uneven_blocks(&clear) * 10 > blocks * 9,
            "the negative control"
        );
        least = least.min(entropy(&sealed));
        evened += sealed.len() / BLOCK;
    }
    println!(
        "sealed bytes: {least:.4} bits of entropy a byte at least, {evened} blocks of {BLOCK} bytes, all even"
    );
    println!("{marked} marked readings searched for in {searched} bytes: none in clear");
}

#[test]
fn no_key_that_opens_the_buffer_lies_on_the_disk() {
    let house = filled(12);
    let salvaged = salvaged(&house);
    let mut centre = house.centre();
    plaintexts(&salvaged, &mut centre);
    let mut disk = disk(&house.dir());
    assert_eq!(keys_on(&disk, &salvaged, &centre), 0, "a key on the disk");
    // The negative control: the key of one context, or of the patient, is found.
    let batch = centre.batch_keys().first().copied().expect("a context");
    let private = centre.private_keys().first().copied().expect("a patient");
    disk.truncate(64);
    disk.extend(batch);
    disk.extend([0; 64]);
    disk.extend(private);
    assert_eq!(
        keys_on(&disk, &salvaged, &centre),
        2,
        "the search finds nothing"
    );
}
