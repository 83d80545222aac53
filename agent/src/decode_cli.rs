//! What `vitaltwin-agent decode` answers: the octets of one characteristic value as JSON.
//!
//! Field names are those of `vitals::gatt::fields`; special numbers are the strings `NaN`, `NRes`, `+INF`,
//! `-INF` and `reserved`. Every error names what is wrong and what to do. Knows no Bluetooth and no files, and
//! prints nothing: the caller prints the answer and, for an error, [`error`] of it, and exits with 1.

use serde_json::{Map, Number as JsonNumber, Value, json};
use vitals::gatt::{self, Advert, Characteristic, Field, Fields, Layout, Number};

/// A profile that can be asked for by name. The names are those of the published test vectors.
struct Profile {
    names: &'static [&'static str],
    /// The services whose characteristics belong to it; empty = any.
    services: &'static [u16],
    layout: Layout,
}

const PROFILES: &[Profile] = &[
    profile(&["HRP", "HRS", "heart rate"], &[0x180D]),
    profile(&["PLXP", "PLXS", "pulse oximeter"], &[0x1822]),
    profile(&["HTP", "HTS", "thermometer"], &[0x1809]),
    profile(&["BLP", "BLS", "blood pressure"], &[0x1810]),
    profile(&["GLP", "GLS", "glucose"], &[0x1808]),
    profile(&["CGMP", "CGMS"], &[0x181F]),
    profile(
        &["WSP", "WSS", "WSP/BCS", "BCS", "weight"],
        &[0x181D, 0x181B],
    ),
    profile(&["BAP", "BAS", "battery"], &[0x180F]),
    profile(&["DIP", "DIS", "device information"], &[0x180A]),
    profile(&["CTP", "CTS", "TIP", "time"], &[0x1805]),
    profile(&["InfiniTime", "motion"], &[]),
    profile(&["Polar PMD", "Polar"], &[]),
    profile(&["GHSP", "GHSS", "health sensor"], &[0x1840, 0x183F]),
    profile(&["Bangle.js"], &[]),
    profile(&["advert"], &[]),
    profile(&["IEEE 11073", "SIG"], &[]),
    Profile {
        names: &["vendor Mi Scale", "Mi Scale", "MiScale", "Xiaomi"],
        services: &[],
        layout: Layout::MiScale,
    },
];

const fn profile(names: &'static [&'static str], services: &'static [u16]) -> Profile {
    Profile {
        names,
        services,
        layout: Layout::Sig,
    }
}

/// Decodes `hex`, the octets of a value of `what`: a characteristic as a 16-bit or full UUID, or a bare number
/// format, `SFLOAT` or `FLOAT`. `profile` and `device_name` tell vendor layouts apart that share a UUID with a
/// standard one; a profile that contradicts the characteristic is an error.
///
/// # Errors
/// Text for a person: what is wrong, and the remedy.
pub fn run(
    profile: Option<&str>,
    device_name: Option<&str>,
    what: &str,
    hex: &str,
) -> Result<Value, String> {
    let octets = octets(hex)?;
    let profile = profile.map(find_profile).transpose()?;
    if let Some(number) = bare_number(what, &octets)? {
        return Ok(json!({ "value": number_json(number) }));
    }
    if ["advert", "raw AD"]
        .iter()
        .any(|word| what.trim().starts_with(word))
    {
        let advert = Advert::decode(&octets).map_err(|error| error.to_string())?;
        return Ok(object(advert.fields()));
    }
    let characteristic = characteristic(what)?;
    if let Some(profile) = profile {
        check_service(profile, characteristic)?;
    }
    let named = device_name.map(Layout::of_device).unwrap_or_default();
    let layout = match profile.map(|profile| profile.layout) {
        None | Some(Layout::Sig) => named,
        Some(Layout::MiScale) => Layout::MiScale,
    };
    let decoded = layout
        .decode(characteristic, &octets)
        .map_err(|error| error.to_string())?;
    Ok(object(decoded.fields()))
}

/// An error as the JSON that `decode` prints for it.
#[must_use]
pub fn error(text: &str) -> Value {
    json!({ "error": text })
}

fn find_profile(name: &str) -> Result<&'static Profile, String> {
    let same = |known: &&str| known.eq_ignore_ascii_case(name.trim());
    PROFILES
        .iter()
        .find(|profile| profile.names.iter().any(same))
        .ok_or_else(|| {
            let known: Vec<&str> = PROFILES
                .iter()
                .filter_map(|profile| profile.names.first().copied())
                .collect();
            format!(
                "unknown profile `{name}`: leave --profile away, or use one of {}",
                known.join(", ")
            )
        })
}

fn check_service(profile: &Profile, characteristic: Characteristic) -> Result<(), String> {
    // Several services have these.
    if matches!(
        characteristic,
        Characteristic::RecordAccessControlPoint | Characteristic::DateTime
    ) {
        return Ok(());
    }
    let info = characteristic.info();
    let of_some_profile = PROFILES.iter().find(|other| serves(other, info.service));
    match of_some_profile {
        Some(right) if !profile.services.is_empty() && !serves(profile, info.service) => {
            Err(format!(
                "{} is not of profile {} but of {}: correct --profile or leave it away",
                info.name,
                profile.names.first().unwrap_or(&"?"),
                right.names.first().unwrap_or(&"?"),
            ))
        }
        _ => Ok(()),
    }
}

fn serves(profile: &Profile, service: u128) -> bool {
    profile
        .services
        .iter()
        .any(|short| gatt::uuid(*short) == service)
}

/// The octets of hexadecimal text; blanks, `:`, `-` and a leading `0x` are passed over.
fn octets(hex: &str) -> Result<Vec<u8>, String> {
    let hex = hex.trim();
    let hex = hex
        .strip_prefix("0x")
        .or_else(|| hex.strip_prefix("0X"))
        .unwrap_or(hex);
    let digits: Vec<u8> = hex
        .chars()
        .filter(|c| !c.is_ascii_whitespace() && !matches!(c, ':' | '-'))
        .map(|c| {
            c.to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
                .ok_or(c)
        })
        .collect::<Result<_, _>>()
        .map_err(|c| {
            format!(
                "hex: `{}` is no hexadecimal digit: give the octets as 0-9 and a-f",
                c.escape_debug()
            )
        })?;
    let (pairs, odd) = digits.as_chunks::<2>();
    if !odd.is_empty() {
        return Err(format!(
            "hex: {} digits make no whole octets: give two for each",
            digits.len()
        ));
    }
    Ok(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

/// The number, if `what` names a number format.
fn bare_number(what: &str, octets: &[u8]) -> Result<Option<Number>, String> {
    let format = what.split([' ', '(']).next().unwrap_or_default();
    let wrong = |need: usize| format!("{format} needs {need} octets, got {}", octets.len());
    if format.eq_ignore_ascii_case("SFLOAT") {
        let octets = octets.try_into().map_err(|_| wrong(2))?;
        Ok(Some(Number::from_sfloat(u16::from_le_bytes(octets))))
    } else if format.eq_ignore_ascii_case("FLOAT") {
        let octets = octets.try_into().map_err(|_| wrong(4))?;
        Ok(Some(Number::from_float(u32::from_le_bytes(octets))))
    } else {
        Ok(None)
    }
}

/// The characteristic that `what` names: by its UUID, or by the first eight digits of a vendor's.
fn characteristic(what: &str) -> Result<Characteristic, String> {
    let uuid = parse_uuid(what)?;
    Characteristic::from_uuid(uuid).or_else(|error| {
        let short = |known: &&Characteristic| {
            uuid & u128::from(u64::MAX) == gatt::uuid(0) & u128::from(u64::MAX)
                && known.uuid() >> 96 == uuid >> 96
        };
        let vendor = Characteristic::ALL.iter().find(short);
        vendor.copied().ok_or_else(|| error.to_string())
    })
}

/// A UUID of 4, 8 or 32 hexadecimal digits, dashes allowed.
fn parse_uuid(what: &str) -> Result<u128, String> {
    let wrong = || {
        format!(
            "characteristic `{}` is none: give a UUID as 4 or 32 hexadecimal digits (2A37), or SFLOAT, FLOAT or advert",
            what.escape_debug()
        )
    };
    // "FB005C81 (write)": what follows is for people.
    let what = what.split_whitespace().next().unwrap_or_default();
    let text = what
        .strip_prefix("0x")
        .or_else(|| what.strip_prefix("0X"))
        .unwrap_or(what);
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    if !digits.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let number = u128::from_str_radix(&digits, 16).map_err(|_| wrong())?;
    match digits.len() {
        4 | 8 => Ok(number << 96 | gatt::uuid(0)),
        32 => Ok(number),
        _ => Err(wrong()),
    }
}

fn object(fields: Fields) -> Value {
    fields
        .0
        .into_iter()
        .map(|(name, field)| (name.to_owned(), field_json(field)))
        .collect::<Map<_, _>>()
        .into()
}

fn field_json(field: Field) -> Value {
    match field {
        Field::Nothing => Value::Null,
        Field::Flag(flag) => flag.into(),
        Field::Whole(whole) => whole.into(),
        Field::Number(number) => number_json(number),
        Field::Text(text) => text.into(),
        Field::Wholes(wholes) => wholes.into(),
        Field::Rows(rows) => rows.into(),
        Field::Texts(texts) => texts.into(),
        Field::Group(fields) => object(fields),
        Field::Records(records) => records.into_iter().map(object).collect(),
    }
}

/// At the sensor's precision: 99 without exponent, 98.0 with one.
fn number_json(number: Number) -> Value {
    match number {
        Number::Finite(decimal) if decimal.exponent == 0 => decimal.mantissa.into(),
        // A FLOAT ends at 8e133, so there always is a finite JSON number.
        Number::Finite(decimal) => {
            JsonNumber::from_f64(decimal.to_f64()).map_or(Value::Null, Value::Number)
        }
        Number::Special(special) => special.text().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn sig(what: &str, hex: &str) -> Result<String, String> {
        run(None, None, what, hex).map(|value| value.to_string())
    }

    #[test]
    fn every_shared_vector_of_a_known_profile() {
        let shared = std::env::var_os("VITALTWIN_SHARED").map_or_else(
            || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
            PathBuf::from,
        );
        let file = shared.join("gatt/vectors.jsonl");
        let Ok(text) = std::fs::read_to_string(&file) else {
            println!("skipped: {} absent", file.display());
            return;
        };
        let mut checked = 0;
        for line in text.lines() {
            let vector: Value = serde_json::from_str(line).expect("a vector is JSON");
            let get = |key: &str| vector[key].as_str().expect("a vector's field is text");
            // Part of a frame is no value: the library's tests have it.
            let part = get("characteristic").contains("delta block");
            let mibeacon = get("characteristic").contains("MiBeacon");
            if find_profile(get("profile")).is_err() || part || mibeacon {
                println!("skipped: {} {}", get("profile"), get("characteristic"));
                continue;
            }
            checked += 1;
            let expected = &vector["expected"];
            match run(
                Some(get("profile")),
                None,
                get("characteristic"),
                get("hex"),
            ) {
                Ok(got) => assert!(same(&got, expected), "{line}\n got {got}"),
                Err(text) => assert!(expected.get("error").is_some(), "{line}\n got {text}"),
            }
        }
        assert!(checked >= 40, "only {checked} vectors");
    }

    /// JSON equality where 30 is 30.0.
    fn same(left: &Value, right: &Value) -> bool {
        match (left, right) {
            (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
            (Value::Object(left), Value::Object(right)) => {
                left.len() == right.len()
                    && left
                        .iter()
                        .all(|(key, left)| right.get(key).is_some_and(|right| same(left, right)))
            }
            (Value::Array(left), Value::Array(right)) => {
                let same_pair = |(left, right)| same(left, right);
                left.len() == right.len() && left.iter().zip(right).all(same_pair)
            }
            _ => left == right,
        }
    }

    #[test]
    fn numbers_keep_the_sensors_precision() {
        assert_eq!(sig("SFLOAT", "d4f3"), Ok(r#"{"value":98.0}"#.into()));
        assert_eq!(sig("sfloat", "6100"), Ok(r#"{"value":97}"#.into()));
        assert_eq!(sig("FLOAT", "6c 01 00 ff"), Ok(r#"{"value":36.4}"#.into()));
        assert_eq!(
            sig("FLOAT (medfloat32)", "ffff7f00"),
            Ok(r#"{"value":"NaN"}"#.into())
        );
        assert!(sig("SFLOAT", "d4f300").is_err_and(|text| text.contains("needs 2 octets")));
    }

    #[test]
    fn characteristics_by_any_spelling() {
        let expected = sig("2A19", "51");
        assert_eq!(expected, Ok(r#"{"battery":81}"#.into()));
        for spelling in [
            "2a19",
            "0x2A19",
            "00002a19",
            "00002A19-0000-1000-8000-00805f9b34fb",
        ] {
            assert_eq!(sig(spelling, "0x51"), expected);
        }
        let steps = sig("00030001-78fc-48fe-8e23-433b3a1942d0", "10:27:00:00");
        assert_eq!(steps, Ok(r#"{"steps":10000}"#.into()));
        assert_eq!(sig("2A24", "483130"), Ok(r#"{"value":"H10"}"#.into()));
    }

    #[test]
    fn a_vendor_layout_is_told_by_profile_or_name() {
        let hex = "0204e307011d1135010000743b";
        let mi = run(Some("vendor Mi Scale"), None, "2A9C", hex).expect("a Mi scale's value");
        assert_eq!(mi["weight_kg"], json!(76.1));
        assert_eq!(run(None, Some("MIBFS"), "2A9C", hex), Ok(mi));
        assert!(run(None, None, "2A9C", hex).is_err_and(|text| text.contains("Mi scale")));
        assert!(run(None, Some("BF105"), "2A9C", hex).is_err());
    }

    #[test]
    fn errors_name_the_field_and_the_remedy() {
        for (what, hex, hint) in [
            ("2A37", "1039230435", "rr_1024"),
            ("2A37", "10392", "two for each"),
            ("2A37", "zz", "hexadecimal"),
            ("2A37", "", "flags"),
            ("2AFF", "00", "unknown characteristic"),
            ("heart", "00", "2A37"),
            ("+A37", "00", "2A37"),
            ("2A19", "ff", "0 to 100"),
        ] {
            let text = sig(what, hex).expect_err("malformed");
            assert!(text.contains(hint), "{what} {hex}: {text}");
        }
        assert!(run(Some("HPR"), None, "2A37", "0040").is_err_and(|text| text.contains("HRP")));
        assert!(
            run(Some("HRP"), None, "2A5F", "0061006000").is_err_and(|text| text.contains("PLXP"))
        );
        assert_eq!(error("short").to_string(), r#"{"error":"short"}"#);
    }
}
