//! PURE. One line of observations: JSON to what the fold takes, or why not.
//!
//! Invariants: total, for any bytes; a refusal names the field and what it must be; nothing is guessed: an unknown
//! kind, a wrong unit or a time that cannot be read is refused. Format: `aggregator/REPLAY.md`.

use jiff::Timestamp;
use serde::Deserialize;
use twin::facts::{Fact, FactKind};
use vitals::gatt::Decimal;
use vitals::{Absence, Fixed, Kind, Quality, Span, Time, Value, Wave};

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Whose, as the file names them.
    pub patient: String,
    /// When it was known.
    pub known: Time,
    /// What.
    pub what: What,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A scalar.
    Reading {
        /// Device and placement, as the file names them.
        source: String,
        /// What was measured.
        kind: Kind,
        /// The number, or its absence.
        value: Value,
        /// When the body did it.
        effective: Time,
        /// Its number among those of its source and kind; counted here if absent.
        seq: Option<u64>,
        /// Flags.
        quality: Quality,
    },
    /// A block of a waveform in which beats are found.
    Block {
        /// An electrocardiogram, or light.
        wave: Wave,
        /// Device and placement, as the file names them.
        source: String,
        /// First sample's time and numbers, of each stretch without a missing sample.
        stretches: Vec<(Time, Vec<i32>)>,
        /// What a number is, in the wave's unit.
        step: Decimal,
        /// Samples in a thousand seconds.
        rate_millihertz: u32,
        /// Samples that the sensor gave no number for.
        missing: u64,
        /// Its number among the blocks of its source; counted here if absent.
        seq: Option<u64>,
        /// Flags.
        quality: Quality,
    },
    /// A block of another waveform: checked, and passed over, because no model reads it yet.
    Waveform,
    /// What is known about the patient that no sensor measures.
    Context(Vec<Fact>),
}

/// Why a line is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {remedy}")]
pub struct Refused {
    /// Which field.
    pub field: &'static str,
    /// What it must be.
    pub remedy: String,
}

#[derive(Deserialize)]
struct Raw {
    patient: String,
    kind: String,
    known: String,
    #[serde(default)]
    source: String,
    value: Option<f64>,
    unit: Option<String>,
    effective: Option<String>,
    seq: Option<u64>,
    #[serde(default)]
    quality: u32,
    start: Option<String>,
    rate_hz: Option<f64>,
    samples: Option<Vec<Option<f64>>>,
    oxygen_target_88_92: Option<bool>,
    on_oxygen: Option<bool>,
    alert_and_oriented: Option<bool>,
    #[serde(default)]
    facts: Vec<RawFact>,
}

/// Reads a line.
///
/// # Errors
/// [`Refused`].
pub fn parse(line: &[u8]) -> Result<Line, Refused> {
    let raw: Raw = serde_json::from_slice(line).map_err(|error| Refused {
        field: "line",
        remedy: format!("must be one JSON object of REPLAY.md: {error}"),
    })?;
    if raw.patient.is_empty() || raw.patient.len() > 200 {
        return refuse("patient", "must be 1 to 200 octets");
    }
    let known = time("known", &raw.known)?;
    let what = match raw.kind.as_str() {
        "context" => What::Context(context(&raw, known)?),
        _ if raw.samples.is_some() => waveform(&raw)?,
        _ => reading(&raw)?,
    };
    Ok(Line {
        patient: raw.patient,
        known,
        what,
    })
}

/// One object of `facts`.
#[derive(Deserialize)]
struct RawFact {
    id: String,
    kind: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    label: String,
    value: Option<f64>,
    #[serde(default)]
    unit: String,
    #[serde(default)]
    text: String,
    from: Option<String>,
    to: Option<String>,
}

/// The three short fields are facts, too.
fn context(raw: &Raw, known: Time) -> Result<Vec<Fact>, Refused> {
    let short = |id: &str, kind, text: &str, value| Fact {
        id: id.into(),
        kind,
        code: String::new(),
        label: String::new(),
        value,
        unit: String::new(),
        text: text.into(),
        from: known,
        to: None,
    };
    let mut facts = Vec::new();
    if let Some(low) = raw.oxygen_target_88_92 {
        let text = if low { "88-92" } else { "94-98" };
        let id = "oxygen_target_88_92";
        facts.push(short(id, FactKind::OxygenTarget, text, None));
    }
    if let Some(on) = raw.on_oxygen {
        let flow = if on { 1.0 } else { 0.0 };
        facts.push(short("on_oxygen", FactKind::OxygenSupply, "", Some(flow)));
    }
    if let Some(alert) = raw.alert_and_oriented {
        let text = if alert { "A" } else { "C" };
        facts.push(short(
            "alert_and_oriented",
            FactKind::Consciousness,
            text,
            None,
        ));
    }
    for of in &raw.facts {
        let Some(kind) = FactKind::parse(&of.kind) else {
            let all = FactKind::ALL.map(FactKind::name).join(", ");
            return refuse("facts.kind", format!("must be one of {all}"));
        };
        let stamp = |field, text: &Option<String>| {
            text.as_deref().map(|text| time(field, text)).transpose()
        };
        let fact = Fact {
            id: of.id.clone(),
            kind,
            code: of.code.clone(),
            label: of.label.clone(),
            value: of.value,
            unit: of.unit.clone(),
            text: of.text.clone(),
            from: stamp("facts.from", &of.from)?.unwrap_or(known),
            to: stamp("facts.to", &of.to)?,
        };
        if let Err(unfit) = fact.check() {
            return refuse("facts", format!("{}: {}", unfit.field, unfit.remedy));
        }
        facts.push(fact);
    }
    Ok(facts)
}

fn reading(raw: &Raw) -> Result<What, Refused> {
    let Some(kind) = kind(&raw.kind) else {
        let all = Kind::ALL.map(|kind| kind.info().name).join(", ");
        return refuse("kind", format!("must be context or one of {all}"));
    };
    let info = kind.info();
    if let Some(unit) = &raw.unit
        && !is_unit(unit, info.unit)
    {
        return refuse("unit", format!("must be {} for {}", info.unit, info.name));
    }
    let Some(effective) = &raw.effective else {
        return refuse("effective", "must be there: when the body did it");
    };
    let (value, quality) = match raw.value {
        // JSON has no NaN: an absent number is null, or no value at all.
        None => (Value::Absent(Absence::NotANumber), raw.quality),
        Some(number) => {
            let Some(fixed) = Fixed::from_f64(kind, number) else {
                return refuse("value", "is too large");
            };
            let (low, high) = info.plausible;
            let plausible = (low..=high).contains(&number);
            let mark = if plausible {
                0
            } else {
                Quality::IMPLAUSIBLE.bits()
            };
            (Value::Measured(fixed), raw.quality | mark)
        }
    };
    Ok(What::Reading {
        source: raw.source.clone(),
        kind,
        value,
        effective: time("effective", effective)?,
        seq: raw.seq,
        quality: Quality::from_bits(quality),
    })
}

fn waveform(raw: &Raw) -> Result<What, Refused> {
    let start = match &raw.start {
        Some(start) => time("start", start)?,
        None => return refuse("start", "must be there: the first sample's time"),
    };
    let Some(rate_hz) = raw
        .rate_hz
        .filter(|rate| rate.is_finite() && *rate > 0.0 && *rate < 1e6)
    else {
        return refuse("rate_hz", "must be a positive number below a million");
    };
    let named = |wave: &Wave| wave.info().name == raw.kind;
    let wave = match Wave::ALL.into_iter().find(named) {
        Some(wave @ (Wave::Ecg | Wave::Photoplethysmogram)) => wave,
        Some(Wave::Acceleration) | None => return Ok(What::Waveform),
    };
    let light = wave == Wave::Photoplethysmogram;
    let factor = match raw.unit.as_deref() {
        None => 1.0,
        Some("uV" | "µV") if !light => 1.0,
        Some("mV") if !light => 1000.0,
        Some("1") if light => 1.0,
        Some(_) if light => return refuse("unit", "must be 1 (so if absent) for light"),
        Some(_) => return refuse("unit", "must be uV (so if absent) or mV for ecg"),
    };
    // Tenths of a microvolt. Light is counted in whatever a sensor likes: as fine as fits.
    let exponent = if light {
        let values = raw.samples.iter().flatten().flatten();
        let highest = values.fold(0.0, |highest: f64, value| highest.max(value.abs()));
        let fits = |exponent: &i8| highest * 10_f64.powi(-i32::from(*exponent)) < 1e9;
        (-6..=3).find(fits).unwrap_or(3)
    } else {
        -1
    };
    let step = Decimal {
        mantissa: 1,
        exponent,
    };
    let numbers = factor * 10_f64.powi(-i32::from(exponent));
    let (mut stretches, mut open, mut missing) = (Vec::new(), Vec::new(), 0);
    let mut begin = start;
    let samples = raw.samples.iter().flatten();
    for (index, sample) in samples.enumerate() {
        match sample {
            None => {
                missing += 1;
                if !open.is_empty() {
                    stretches.push((begin, std::mem::take(&mut open)));
                }
            }
            Some(value) => {
                let number = (value * numbers).round();
                if number.abs() > f64::from(i32::MAX) {
                    return refuse("samples", "must be within 200 mV, or 1e12 of light");
                }
                if open.is_empty() {
                    begin =
                        start + Span::from_micros((index as f64 * 1e6 / rate_hz).round() as i64);
                }
                open.push(number as i32);
            }
        }
    }
    if !open.is_empty() {
        stretches.push((begin, open));
    }
    Ok(What::Block {
        wave,
        source: raw.source.clone(),
        stretches,
        step,
        rate_millihertz: (rate_hz * 1000.0).round() as u32,
        missing,
        seq: raw.seq,
        quality: Quality::from_bits(raw.quality),
    })
}

/// By our own name, or by the short one that people use.
fn kind(name: &str) -> Option<Kind> {
    let short = match name {
        "spo2" => Kind::OxygenSaturation,
        "respiration_rate" => Kind::RespiratoryRate,
        "systolic" => Kind::SystolicPressure,
        "diastolic" => Kind::DiastolicPressure,
        // What recordings call glucose comes from continuous monitors; a meter's is `blood_glucose`.
        "glucose" => Kind::InterstitialGlucose,
        "weight" => Kind::BodyWeight,
        "steps" => Kind::StepsTaken,
        name => return Kind::ALL.into_iter().find(|kind| kind.info().name == name),
    };
    Some(short)
}

/// UCUM, or what people write for it.
fn is_unit(given: &str, wanted: &str) -> bool {
    let same = match given {
        "bpm" | "1/min" | "{beats}/min" => "/min",
        "mmHg" => "mm[Hg]",
        "degC" | "C" => "Cel",
        "steps" | "1" => "{steps}",
        other => other,
    };
    same == wanted
}

fn time(field: &'static str, text: &str) -> Result<Time, Refused> {
    match text.parse::<Timestamp>() {
        Ok(time) => Ok(Time::from_micros(time.as_microsecond())),
        Err(_) => refuse(
            field,
            "must be a time with its zone such as 2026-01-01T00:00:00.812Z",
        ),
    }
}

fn refuse<T>(field: &'static str, remedy: impl Into<String>) -> Result<T, Refused> {
    let remedy = remedy.into();
    Err(Refused { field, remedy })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RR: &str = r#"{"patient":"p1","source":"strap/chest","kind":"rr_interval","value":812,"unit":"ms","effective":"2026-01-01T00:00:00.812Z","known":"2026-01-01T00:00:00.900Z","seq":17}"#;

    fn with(field: &str, value: &str) -> Result<Line, Refused> {
        let mut line: serde_json::Value = serde_json::from_str(RR).expect("JSON");
        line[field] = serde_json::from_str(value).expect("JSON");
        parse(line.to_string().as_bytes())
    }

    #[test]
    fn a_line_as_the_document_shows_it() {
        let line = parse(RR.as_bytes()).expect("well formed");
        assert_eq!(line.patient, "p1");
        assert_eq!(line.known, Time::from_micros(1_767_225_600_900_000));
        let What::Reading {
            kind, value, seq, ..
        } = line.what
        else {
            panic!("a reading")
        };
        assert_eq!(kind, Kind::RrInterval);
        assert_eq!((value, seq), (Value::Measured(Fixed(8120)), Some(17)));
    }

    #[test]
    fn short_names_are_those_of_the_document() {
        for (name, unit) in [
            ("heart_rate", "bpm"),
            ("spo2", "%"),
            ("respiration_rate", "/min"),
            ("body_temperature", "Cel"),
            ("systolic", "mm[Hg]"),
            ("diastolic", "mmHg"),
            ("glucose", "mg/dL"),
            ("weight", "kg"),
            ("steps", "{steps}"),
        ] {
            let line = format!(
                r#"{{"patient":"p","source":"s","kind":"{name}","value":50,"unit":"{unit}","effective":"2026-01-01T00:00:00Z","known":"2026-01-01T00:00:00Z"}}"#
            );
            assert!(parse(line.as_bytes()).is_ok(), "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (field, value) in [
            ("kind", "\"pulse\""),
            ("unit", "\"s\""),
            ("effective", "\"2026-01-01 00:00\""),
            ("effective", "null"),
            ("known", "\"yesterday\""),
            ("patient", "\"\""),
            ("value", "1e300"),
        ] {
            let refused = with(field, value).expect_err(value);
            assert_eq!(refused.field, field, "{refused}");
        }
        assert_eq!(
            with("seq", "\"seventeen\"").map_err(|e| e.field),
            Err("line")
        );
        assert_eq!(parse(b"[]").map_err(|e| e.field), Err("line"));
    }

    #[test]
    fn an_absent_number_is_an_absence_and_an_odd_one_is_marked() {
        let what = |line: Result<Line, Refused>| line.expect("taken").what;
        let What::Reading { value, .. } = what(with("value", "null")) else {
            panic!("a reading")
        };
        assert_eq!(value, Value::Absent(Absence::NotANumber));
        let What::Reading { quality, .. } = what(with("value", "60000")) else {
            panic!("a reading")
        };
        assert!(quality.has(Quality::IMPLAUSIBLE));
    }

    #[test]
    fn waveforms_and_context_are_told_apart() {
        let block = r#"{"patient":"p","kind":"ecg","known":"2026-01-01T00:00:01Z","start":"2026-01-01T00:00:00Z","rate_hz":130,"samples":[1,null,3]}"#;
        let Ok(What::Block {
            stretches, missing, ..
        }) = parse(block.as_bytes()).map(|line| line.what)
        else {
            panic!("an ECG")
        };
        let start = Time::from_micros(1_767_225_600_000_000);
        let third = start + Span::from_micros(15_385);
        assert_eq!(stretches, [(start, vec![10]), (third, vec![30])]);
        assert_eq!(missing, 1);
        let other = block.replace("ecg", "acceleration");
        assert_eq!(parse(other.as_bytes()).map(|l| l.what), Ok(What::Waveform));
        let light = block.replace("ecg", "photoplethysmogram");
        let light = light.replace("[1,null,3]", "[0.125,null,-0.5]");
        let Ok(What::Block {
            wave,
            stretches,
            step,
            ..
        }) = parse(light.as_bytes()).map(|line| line.what)
        else {
            panic!("light")
        };
        assert_eq!((wave, step.exponent), (Wave::Photoplethysmogram, -6));
        assert_eq!(stretches[1], (third, vec![-500_000]));
        let large = light.replace("-0.5", "90000000000");
        let Ok(What::Block { stretches, .. }) = parse(large.as_bytes()).map(|l| l.what) else {
            panic!("light")
        };
        assert_eq!(stretches[1].1, [900_000_000]);
        let refused = parse(
            light
                .replace("\"rate_hz\"", "\"unit\":\"mV\",\"rate_hz\"")
                .as_bytes(),
        );
        assert_eq!(refused.map_err(|why| why.field), Err("unit"));
        let said =
            r#"{"patient":"p","kind":"context","known":"2026-01-01T00:00:01Z","on_oxygen":true}"#;
        let Ok(What::Context(facts)) = parse(said.as_bytes()).map(|line| line.what) else {
            panic!("context")
        };
        assert_eq!(facts[0].value, Some(1.0));
    }

    #[test]
    fn facts_are_checked_one_by_one() {
        let with = |fact: &str| {
            let line = format!(
                r#"{{"patient":"p","kind":"context","known":"2026-01-01T00:00:01Z","facts":[{fact}]}}"#
            );
            parse(line.as_bytes()).map(|line| line.what)
        };
        let taken = r#"{"id":"b","kind":"birth_year","value":1947}"#;
        let Ok(What::Context(facts)) = with(taken) else {
            panic!("a fact")
        };
        assert_eq!(facts[0].kind, FactKind::BirthYear);
        assert_eq!(facts[0].from.as_micros(), 1_767_225_601_000_000, "known");
        let refused = |fact: &str| with(fact).expect_err(fact).field;
        assert_eq!(
            refused(r#"{"id":"b","kind":"age","value":79}"#),
            "facts.kind"
        );
        assert_eq!(
            refused(r#"{"id":"b","kind":"birth_year","value":79}"#),
            "facts"
        );
        assert_eq!(
            refused(r#"{"id":"b","kind":"sex","text":"male","from":"2026"}"#),
            "facts.from"
        );
    }

    #[test]
    fn what_is_wrong_with_a_block_is_named() {
        let good = r#"{"patient":"p","kind":"ecg","known":"2026-01-01T00:00:01Z","start":"2026-01-01T00:00:00Z","rate_hz":130,"samples":[0.5],"unit":"mV"}"#;
        let Ok(What::Block { stretches, .. }) = parse(good.as_bytes()).map(|line| line.what) else {
            panic!("an ECG")
        };
        assert_eq!(stretches[0].1, [5000], "millivolts");
        for (from, to, field) in [
            ("\"mV\"", "\"V\"", "unit"),
            ("0.5", "1e9", "samples"),
            (":130", ":-1", "rate_hz"),
            (":130", ":1e300", "rate_hz"),
            ("00:00:00Z", "noon", "start"),
        ] {
            let refused = parse(good.replace(from, to).as_bytes()).expect_err(to);
            assert_eq!(refused.field, field, "{refused}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _taken_or_refused = parse(&bytes);
        }
    }
}
