//! A whole body, checked: readings, gaps, heartbeat, device reports, superseded numbers.

use vitals::{ContextId, Reading, SourceId, Waveform};

use super::{
    MAX_DEVICES, MAX_GAPS, MAX_SUPERSEDES, MAX_TEXT, WireError, decode_columns, decode_waveforms,
};
use crate::v1::{BatchBody, DeviceReport, Gap, GapReason, Heartbeat, Lane, LinkState, LocalAlert};

/// Most reasons in a heartbeat's counted refusals.
const MAX_REASONS: usize = 64;
/// Most alerts of the gateway's own in one body: one per rule is usual.
const MAX_LOCAL_ALERTS: usize = 16;

/// What lay inside a seal, with every field in its range and every text cleaned.
#[derive(Clone, Debug, PartialEq)]
pub struct Content {
    /// Scalar readings; the order of each kind is the agent's.
    pub readings: Vec<Reading>,
    /// Waveform blocks.
    pub waveforms: Vec<Waveform>,
    /// Declared losses: known reasons, sources that fit 16 bits, `from <= to`.
    pub gaps: Vec<Gap>,
    /// Present in heartbeats: known lanes, contexts of 16 bytes.
    pub heartbeat: Option<Heartbeat>,
    /// Device states: sources from 1 to 65535, known links, percentages, cleaned texts.
    pub devices: Vec<DeviceReport>,
    /// Numbers of the same context that this batch replaces; all lower than its own.
    pub supersedes: Vec<u64>,
    /// Alerts of the gateway's own: known kinds, finite numbers, times in order; conditions are not looked at.
    pub local_alerts: Vec<LocalAlert>,
}

/// Checks a body that was sealed for `source` under `number`.
///
/// # Errors
/// [`WireError`], naming the first field that does not hold.
pub fn decode_body(source: SourceId, number: u64, body: &BatchBody) -> Result<Content, WireError> {
    few(body.gaps.len(), "gaps", MAX_GAPS)?;
    few(body.devices.len(), "devices", MAX_DEVICES)?;
    few(body.supersedes.len(), "supersedes", MAX_SUPERSEDES)?;
    few(body.local_alerts.len(), "local_alerts", MAX_LOCAL_ALERTS)?;
    let readings = decode_columns(source, body)?;
    let waveforms = decode_waveforms(source, body)?;
    for (index, alert) in body.local_alerts.iter().enumerate() {
        check_local_alert(alert, index)?;
    }
    for (index, gap) in body.gaps.iter().enumerate() {
        check_gap(gap, index)?;
    }
    if let Some(heartbeat) = &body.heartbeat {
        check_heartbeat(heartbeat)?;
    }
    if let Some(index) = body
        .supersedes
        .iter()
        .position(|old| *old == 0 || *old >= number)
    {
        return Err(WireError::Malformed {
            field: "supersedes",
            index,
        });
    }
    let devices = body
        .devices
        .iter()
        .enumerate()
        .map(|(index, device)| clean_device(device, index));
    let heartbeat = body.heartbeat.clone().map(|mut heartbeat| {
        let reasons = heartbeat.device_data_refused.into_iter();
        heartbeat.device_data_refused = reasons
            .map(|(reason, count)| (sanitise(&reason), count))
            .collect();
        heartbeat
    });
    Ok(Content {
        readings,
        waveforms,
        gaps: body.gaps.clone(),
        heartbeat,
        devices: devices.collect::<Result<_, _>>()?,
        supersedes: body.supersedes.clone(),
        local_alerts: body.local_alerts.clone(),
    })
}

/// A text that a device gave, fit to be shown and stored: no control characters, none that change the
/// direction of writing, at most 64 characters, no white space around it.
#[must_use]
pub fn sanitise(text: &str) -> String {
    clean(text, MAX_TEXT)
}

/// As [`sanitise`], with another limit: for texts of a peer that people will see in a log or terminal.
#[must_use]
pub fn clean(text: &str, most: usize) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
    };
    let text: String = text.chars().filter(|c| !hidden(*c)).take(most).collect();
    text.trim().to_owned()
}

fn few(count: usize, field: &'static str, limit: usize) -> Result<(), WireError> {
    if count > limit {
        Err(WireError::TooMany { field, limit })
    } else {
        Ok(())
    }
}

fn check_gap(gap: &Gap, index: usize) -> Result<(), WireError> {
    let malformed = |field| WireError::Malformed { field, index };
    match GapReason::try_from(gap.reason) {
        Ok(GapReason::Unspecified) | Err(_) => {
            return Err(WireError::Unknown {
                field: "gap.reason",
                index,
            });
        }
        Ok(_) => {}
    }
    if gap.source > u32::from(u16::MAX) {
        return Err(malformed("gap.source"));
    }
    if gap.from_us > gap.to_us {
        return Err(malformed("gap.to_us"));
    }
    Ok(())
}

fn check_heartbeat(heartbeat: &Heartbeat) -> Result<(), WireError> {
    few(
        heartbeat.oldest_unreceipted.len(),
        "heartbeat.oldest_unreceipted",
        4,
    )?;
    few(
        heartbeat.device_data_refused.len(),
        "heartbeat.device_data_refused",
        MAX_REASONS,
    )?;
    for (field, time) in [
        ("heartbeat.awake_since_us", heartbeat.awake_since_us),
        ("heartbeat.complete_until_us", heartbeat.complete_until_us),
    ] {
        if time < 0 || time > heartbeat.sent_us.max(0) {
            return Err(WireError::Malformed { field, index: 0 });
        }
    }
    for (index, position) in heartbeat.oldest_unreceipted.iter().enumerate() {
        match Lane::try_from(position.lane) {
            Ok(Lane::Unspecified) | Err(_) => {
                return Err(WireError::Unknown {
                    field: "lane_position.lane",
                    index,
                });
            }
            Ok(_) => {}
        }
        if ContextId::from_slice(&position.context).is_none() {
            return Err(WireError::Malformed {
                field: "lane_position.context",
                index,
            });
        }
    }
    Ok(())
}

fn check_local_alert(alert: &LocalAlert, index: usize) -> Result<(), WireError> {
    let malformed = |field| WireError::Malformed { field, index };
    if vitals::Kind::from_wire(alert.kind).is_none() {
        return Err(WireError::Unknown {
            field: "local_alert.kind",
            index,
        });
    }
    if !alert.value.is_finite() || !alert.limit.is_finite() {
        return Err(malformed("local_alert.value"));
    }
    if alert.onset_us <= 0 || alert.onset_us > alert.raised_us {
        return Err(malformed("local_alert.onset_us"));
    }
    if alert.as_of_us <= 0 {
        return Err(malformed("local_alert.as_of_us"));
    }
    if alert.resolved_us != 0 && alert.resolved_us < alert.raised_us {
        return Err(malformed("local_alert.resolved_us"));
    }
    Ok(())
}

fn clean_device(device: &DeviceReport, index: usize) -> Result<DeviceReport, WireError> {
    let malformed = |field| WireError::Malformed { field, index };
    if device.source == 0 || device.source > u32::from(u16::MAX) {
        return Err(malformed("device_report.source"));
    }
    if !is_address(&device.address) {
        return Err(malformed("device_report.address"));
    }
    match LinkState::try_from(device.link) {
        Ok(LinkState::Unspecified) | Err(_) => {
            return Err(WireError::Unknown {
                field: "device_report.link",
                index,
            });
        }
        Ok(_) => {}
    }
    if device.battery_percent.is_some_and(|percent| percent > 100) {
        return Err(malformed("device_report.battery_percent"));
    }
    Ok(DeviceReport {
        name: sanitise(&device.name),
        manufacturer: sanitise(&device.manufacturer),
        model: sanitise(&device.model),
        ..device.clone()
    })
}

/// "AA:BB:CC:DD:EE:FF", either case.
fn is_address(text: &str) -> bool {
    text.len() == 17
        && text.bytes().enumerate().all(|(at, byte)| match at % 3 {
            2 => byte == b':',
            _ => byte.is_ascii_hexdigit(),
        })
}
