//! What one core does with the same readings when it only decodes protobuf and updates a map, as the peers' anchors
//! do: names of sixteen characters, last value, a weighted mean and a threshold by patient and kind.

use std::collections::HashMap;
use std::time::Instant;

use anyhow::Result;
use prost::Message;
use vitals::{Time, Value};

use super::worn::Worn;

#[derive(Clone, PartialEq, Message)]
struct PlainReading {
    #[prost(string, tag = "1")]
    patient: String,
    #[prost(uint32, tag = "2")]
    kind: u32,
    #[prost(uint64, tag = "3")]
    t_ms: u64,
    #[prost(sint32, tag = "4")]
    value: i32,
}

#[derive(Clone, PartialEq, Message)]
struct PlainBatch {
    #[prost(message, repeated, tag = "1")]
    readings: Vec<PlainReading>,
}

#[derive(Clone, Copy, Default)]
struct State {
    last_ms: u64,
    mean: f32,
    is_alert: bool,
}

/// Readings a second, of so many, ten a message.
pub(super) fn decode_and_update(patients: u64, readings: usize) -> Result<f64> {
    let mut worn: Vec<_> = (0..patients)
        .map(|number| Worn::new(number, Time::from_micros(1_795_000_000_000_000)))
        .collect();
    let mut messages = Vec::new();
    while messages.len() * super::READINGS < readings {
        for (number, worn) in (0_u64..).zip(&mut worn) {
            let mut batch = PlainBatch::default();
            for of in worn.next(super::READINGS) {
                let Value::Measured(value) = of.value else {
                    continue;
                };
                batch.readings.push(PlainReading {
                    patient: format!("{number:016x}"),
                    kind: of.kind as u32,
                    t_ms: u64::try_from(of.effective.as_micros() / 1000)?,
                    value: i32::try_from(value.0)?,
                });
            }
            messages.push(batch.encode_to_vec());
        }
    }
    let mut states: HashMap<(String, u32), State> = HashMap::new();
    let (start, mut alerts) = (Instant::now(), 0_u64);
    for message in &messages {
        for of in PlainBatch::decode(message.as_slice())?.readings {
            let state = states.entry((of.patient, of.kind)).or_default();
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let value = of.value as f32;
            state.mean = 0.9 * state.mean + 0.1 * value;
            state.last_ms = of.t_ms;
            let is_alert = value > 1200.0;
            alerts += u64::from(is_alert && !state.is_alert);
            state.is_alert = is_alert;
        }
    }
    std::hint::black_box((alerts, &states));
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let count = (messages.len() * super::READINGS) as f64;
    Ok(count / start.elapsed().as_secs_f64())
}
