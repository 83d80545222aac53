//! Technical alerts: sensor off, battery, silence and loss of a sensor, silence of a gateway, a gateway that was
//! shut out, wrong clocks.
//!
//! Each names its subject and hop. Silence is judged by what was made (heartbeats, readings) and never by
//! arrival; while a gateway is silent nothing is said about its sensors' silence, and nothing ever about a
//! sensor that is not on the list. Of one sensor one alert says that it does not measure: off the body explains silence and a lost
//! link, and a lost link explains silence; what explained the others is over before they are told.

use alloc::format;
use alloc::vec::Vec;

use vitals::{Kind, SourceId, StreamId, Time};

use crate::alert::Condition;
use crate::device::Device;
use crate::event::Link;
use crate::life::{Life, Subject};
use crate::rule;
use crate::stream::Stream;
use crate::twin::Effect;
use crate::words::{Fault, technical};

/// What time alone can bring about in a stream. The order breaks ties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    GatewaySilent,
    SensorOff(SourceId),
    DeviceSilent(SourceId),
    DeviceLost(SourceId),
    ClockRight(SourceId),
}

/// The next deadline of a stream.
pub(crate) fn deadline(id: StreamId, stream: &Stream, life: &Life) -> Option<(Time, Due)> {
    if stream.revoked {
        return None;
    }
    let gateway = stream.silence_deadline().map(|at| (at, Due::GatewaySilent));
    let listed = stream.devices.iter().filter_map(|(source, device)| {
        let begin = stream.begin(device)?;
        Some((source, device, begin))
    });
    let devices = listed.flat_map(|(source, device, begin)| {
        let subject = Subject::Source(id, *source);
        let quiet = |condition| life.active(condition, subject).is_none();
        let off = device
            .off_deadline()
            .filter(|_| quiet(Condition::SensorOff) && quiet(Condition::DeviceLost));
        let silent = stream.device_silence_deadline(device).filter(|_| {
            quiet(Condition::DeviceSilent)
                && quiet(Condition::SensorOff)
                && quiet(Condition::DeviceLost)
        });
        let lost = device
            .lost_deadline()
            .map(|at| at.max(begin + rule::LOST_HOLD))
            .filter(|_| !stream.silent && quiet(Condition::DeviceLost))
            // Off the body it goes to sleep, and one alert says so already.
            .filter(|_| quiet(Condition::SensorOff));
        let clock = device.bad_clock.map(|at| at + rule::CLOCK_CLEAR);
        [
            off.map(|at| (at, Due::SensorOff(*source))),
            silent.map(|at| (at, Due::DeviceSilent(*source))),
            lost.map(|at| (at, Due::DeviceLost(*source))),
            clock.map(|at| (at, Due::ClockRight(*source))),
        ]
    });
    gateway.into_iter().chain(devices.flatten()).min()
}

/// A deadline of a stream has come.
pub(crate) fn fire(
    id: StreamId,
    stream: &mut Stream,
    due: Due,
    now: Time,
    life: &mut Life,
    out: &mut Vec<Effect>,
) {
    match due {
        Due::GatewaySilent => gateway_silent(id, stream, now, life, out),
        Due::SensorOff(source) => sensor_off(id, stream, source, now, life, out),
        Due::DeviceSilent(source) => device_silent(id, stream, source, now, life, out),
        Due::DeviceLost(source) => device_lost(id, stream, source, now, life, out),
        Due::ClockRight(source) => {
            if let Some(device) = stream.devices.get_mut(&source) {
                device.bad_clock = None;
            }
            life.resolve(Condition::ClockWrong, Subject::Source(id, source), now, out);
        }
    }
}

fn gateway_silent(
    id: StreamId,
    stream: &mut Stream,
    now: Time,
    life: &mut Life,
    out: &mut Vec<Effect>,
) {
    stream.silent = true;
    let detail = match stream.content {
        Some(content) => {
            let seconds = now.since(content).as_micros() / 1_000_000;
            format!("gateway has said nothing for {seconds} s")
        }
        None => "gateway has not said anything since it was assigned".into(),
    };
    let fault = Fault {
        condition: Condition::GatewaySilent,
        subject: format!("{}", stream.gateway),
        onset: stream.content.unwrap_or(now),
        kind: None,
        value: None,
        detail,
    };
    life.raise(Subject::Stream(id), technical(fault), now, out);
}

fn device_silent(
    id: StreamId,
    stream: &Stream,
    source: SourceId,
    now: Time,
    life: &mut Life,
    out: &mut Vec<Effect>,
) {
    let Some(device) = stream.devices.get(&source) else {
        return;
    };
    let heard = device.heard.unwrap_or(now);
    let seconds = now.since(heard).as_micros() / 1_000_000;
    let gateway = &stream.gateway;
    raise(
        id,
        source,
        device,
        Condition::DeviceSilent,
        heard,
        None,
        now,
        life,
        out,
        format!("connected to {gateway} but has sent nothing for {seconds} s"),
    );
}

fn device_lost(
    id: StreamId,
    stream: &Stream,
    source: SourceId,
    now: Time,
    life: &mut Life,
    out: &mut Vec<Effect>,
) {
    let Some(device) = stream.devices.get(&source) else {
        return;
    };
    let what = if device.heard.is_some() {
        "lost the link to it"
    } else {
        "has not found it yet"
    };
    let gateway = &stream.gateway;
    raise(
        id,
        source,
        device,
        Condition::DeviceLost,
        device.since,
        None,
        now,
        life,
        out,
        format!("gateway {gateway} {what}"),
    );
    let subject = Subject::Source(id, source);
    life.resolve(Condition::DeviceSilent, subject, now, out);
}

fn sensor_off(
    id: StreamId,
    stream: &mut Stream,
    source: SourceId,
    now: Time,
    life: &mut Life,
    out: &mut Vec<Effect>,
) {
    let Some(device) = stream.devices.get_mut(&source) else {
        return;
    };
    let is_off = device.is_off(now);
    let Some(off) = &mut device.off else { return };
    off.judged = true;
    let (since, said, kind) = (off.since, off.said, off.kind);
    if is_off {
        let detail = if said {
            "says that it is not on the body"
        } else {
            "has not been able to measure"
        };
        raise(
            id,
            source,
            device,
            Condition::SensorOff,
            since,
            kind,
            now,
            life,
            out,
            detail.into(),
        );
        // Off the body explains why it is silent.
        life.resolve(
            Condition::DeviceSilent,
            Subject::Source(id, source),
            now,
            out,
        );
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "one call site per condition; a struct would only rename them"
)]
fn raise(
    id: StreamId,
    source: SourceId,
    device: &Device,
    condition: Condition,
    onset: Time,
    kind: Option<Kind>,
    now: Time,
    life: &mut Life,
    out: &mut Vec<Effect>,
    detail: alloc::string::String,
) {
    let fault = Fault {
        condition,
        subject: device.label(),
        onset,
        kind,
        value: None,
        detail,
    };
    life.raise(Subject::Source(id, source), technical(fault), now, out);
}

/// A sensor said something: battery, link and silence by newest evidence.
pub(crate) fn heard(
    id: StreamId,
    source: SourceId,
    stream: &Stream,
    now: Time,
    life: &mut Life,
    out: &mut Vec<Effect>,
) {
    let Some(device) = stream.devices.get(&source) else {
        return;
    };
    if stream.begin(device).is_none() {
        return dismiss(id, source, now, life, out);
    }
    let subject = Subject::Source(id, source);
    if device
        .heard
        .is_some_and(|heard| now.since(heard) < rule::SILENT_AT_LEAST)
    {
        life.resolve(Condition::DeviceSilent, subject, now, out);
    }
    if device.link == Some(Link::Connected) {
        life.resolve(Condition::DeviceLost, subject, now, out);
    }
    if device.off.is_none() {
        life.resolve(Condition::SensorOff, subject, now, out);
    }
    let Some((at, percent)) = device.battery else {
        return;
    };
    if percent >= rule::BATTERY_CLEAR {
        life.resolve(Condition::BatteryLow, subject, now, out);
    } else if percent <= rule::BATTERY_LOW && life.active(Condition::BatteryLow, subject).is_none()
    {
        let fault = Fault {
            condition: Condition::BatteryLow,
            subject: device.label(),
            onset: at,
            kind: Some(Kind::BatteryLevel),
            value: Some(f64::from(percent)),
            detail: format!("battery at {percent} %"),
        };
        life.raise(subject, technical(fault), now, out);
    }
}

/// A reading was set aside for its impossible time.
pub(crate) fn clock_wrong(
    id: StreamId,
    stream: &mut Stream,
    source: SourceId,
    ahead: bool,
    now: Time,
    life: &mut Life,
    out: &mut Vec<Effect>,
) {
    if stream.devices.len() >= crate::stream::MAX_SOURCES && !stream.devices.contains_key(&source) {
        return;
    }
    stream.devices.entry(source).or_default();
    let Some(device) = stream.devices.get(&source) else {
        return;
    };
    if stream.begin(device).is_none() {
        return;
    }
    let detail = if ahead {
        "stamps its readings in the future"
    } else {
        "stamps its readings more than a year ago"
    };
    raise(
        id,
        source,
        device,
        Condition::ClockWrong,
        now,
        None,
        now,
        life,
        out,
        format!("{detail}; they are set aside"),
    );
    if let Some(device) = stream.devices.get_mut(&source) {
        device.bad_clock = Some(now);
    }
}

/// Why a gateway is shut out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShutOut {
    Revoked,
    Frozen,
}

/// Nobody has the sensors of a stream that was shut out.
pub(crate) fn not_monitored(
    id: StreamId,
    stream: &mut Stream,
    why: ShutOut,
    now: Time,
    life: &mut Life,
    out: &mut Vec<Effect>,
) {
    stream.lost = Some(now);
    let why = match why {
        ShutOut::Revoked => "the gateway was revoked",
        ShutOut::Frozen => "two copies of the gateway sent at once, and it was shut out",
    };
    let fault = Fault {
        condition: Condition::NotMonitored,
        subject: format!("{}", stream.gateway),
        onset: now,
        kind: None,
        value: None,
        detail: format!(
            "{why}; sensors of this patient are not monitored until a newly enrolled gateway has them"
        ),
    };
    life.raise(Subject::Stream(id), technical(fault), now, out);
}

/// The list changed: ends what was said about those of whom nothing is expected any more.
pub(crate) fn expect_no_more(
    id: StreamId,
    stream: &mut Stream,
    now: Time,
    life: &mut Life,
    out: &mut Vec<Effect>,
) {
    if !stream.lasts() {
        stream.silent = false;
        life.resolve(Condition::GatewaySilent, Subject::Stream(id), now, out);
    }
    let gone =
        |(source, device): (&SourceId, &Device)| stream.begin(device).is_none().then_some(*source);
    let gone: Vec<SourceId> = stream
        .devices
        .iter()
        .filter_map(|(source, device)| gone((source, device)))
        .collect();
    for source in gone {
        if let Some(device) = stream.devices.get_mut(&source) {
            device.bad_clock = None;
        }
        dismiss(id, source, now, life, out);
    }
}

/// Ends all that was said about a sensor.
fn dismiss(id: StreamId, source: SourceId, now: Time, life: &mut Life, out: &mut Vec<Effect>) {
    for condition in [
        Condition::SensorOff,
        Condition::BatteryLow,
        Condition::DeviceSilent,
        Condition::DeviceLost,
        Condition::ClockWrong,
    ] {
        life.resolve(condition, Subject::Source(id, source), now, out);
    }
}
