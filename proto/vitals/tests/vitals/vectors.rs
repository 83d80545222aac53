//! Every shared vector of a profile that this version knows.

use std::path::PathBuf;

use serde_json::{Value, json};
use vitals::gatt::{self, Characteristic, Field, Fields, Layout, Number};

const PROFILES: &[&str] = &[
    "HRP",
    "PLXP",
    "HTP",
    "IEEE 11073",
    "BLP",
    "GLP",
    "CGMP",
    "WSP",
    "WSP/BCS",
    "vendor Mi Scale",
    "Polar PMD",
    "advert",
];

fn vectors() -> Option<Vec<Value>> {
    let shared = std::env::var_os("VITALTWIN_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let file = shared.join("gatt/vectors.jsonl");
    let Ok(text) = std::fs::read_to_string(&file) else {
        println!("skipped: {} absent", file.display());
        return None;
    };
    Some(
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    )
}

pub(crate) fn octets(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

fn number(number: Number) -> Value {
    match number {
        Number::Finite(decimal) => json!(decimal.to_f64()),
        Number::Special(special) => json!(special.text()),
    }
}

fn field(field: Field) -> Value {
    match field {
        Field::Nothing => Value::Null,
        Field::Flag(flag) => json!(flag),
        Field::Whole(whole) => json!(whole),
        Field::Number(value) => number(value),
        Field::Text(text) => json!(text),
        Field::Wholes(wholes) => json!(wholes),
        Field::Rows(rows) => json!(rows),
        Field::Texts(texts) => json!(texts),
        Field::Group(group) => shown(group),
        Field::Records(records) => records.into_iter().map(shown).collect(),
    }
}

fn decode(layout: Layout, characteristic: &str, octets: &[u8]) -> Result<Value, gatt::DecodeError> {
    match characteristic {
        "SFLOAT (medfloat16)" => Ok(
            json!({ "value": number(Number::from_sfloat(u16::from_le_bytes(octets.try_into().unwrap()))) }),
        ),
        "FLOAT (medfloat32)" => Ok(
            json!({ "value": number(Number::from_float(u32::from_le_bytes(octets.try_into().unwrap()))) }),
        ),
        raw if raw.starts_with("raw AD") => {
            gatt::Advert::decode(octets).map(|advert| shown(advert.fields()))
        }
        delta if delta.contains("delta block") => {
            let Ok(gatt::PmdData::Samples { values, .. }) = gatt::pmd::deltas(octets, 3, 14) else {
                panic!("{delta} is no block");
            };
            let samples: Vec<&[i32]> = values.chunks(3).collect();
            Ok(json!({ "samples": samples, "resolution_bits": 14 }))
        }
        name => {
            let short = name.split(' ').next().unwrap();
            let uuid = match u128::from_str_radix(short, 16).unwrap() {
                polar @ 0xFB00_5C80..=0xFB00_5C82 => polar << 96 | 0x02E7_F387_1CAD_8ACD_2D8D_F0C8,
                other => gatt::uuid(u16::try_from(other).unwrap()),
            };
            layout
                .decode(Characteristic::from_uuid(uuid)?, octets)
                .map(|decoded| shown(decoded.fields()))
        }
    }
}

fn shown(fields: Fields) -> Value {
    fields
        .0
        .into_iter()
        .map(|(name, value)| (name.to_string(), field(value)))
        .collect()
}

/// JSON equality where 98 is 98.0.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(key, left)| right.get(key).is_some_and(|right| same(left, right)))
        }
        _ => left == right,
    }
}

#[test]
fn every_shared_vector_decodes_as_expected() {
    let Some(vectors) = vectors() else { return };
    let mut checked = 0;
    for vector in &vectors {
        let text = |key: &str| vector[key].as_str().unwrap();
        let mibeacon = text("characteristic").contains("MiBeacon");
        if !PROFILES.contains(&text("profile")) || mibeacon {
            println!(
                "skipped: {} {}: out of scope",
                text("profile"),
                text("characteristic")
            );
            continue;
        }
        checked += 1;
        let layout = if text("profile") == "vendor Mi Scale" {
            Layout::MiScale
        } else {
            Layout::Sig
        };
        let got = decode(layout, text("characteristic"), &octets(text("hex")));
        let expected = &vector["expected"];
        match got {
            Ok(got) => assert!(same(&got, expected), "{vector}\n got {got}"),
            Err(error) => assert!(expected.get("error").is_some(), "{vector}\n got {error}"),
        }
    }
    assert!(checked > 0, "no vector of {PROFILES:?}");
}

#[test]
fn the_comparison_can_fail() {
    assert!(!same(&json!({ "bpm": 67 }), &json!({ "bpm": 68 })));
    assert!(!same(
        &json!({ "bpm": 67 }),
        &json!({ "bpm": 67, "contact": null })
    ));
}
