//! `fleet`: what the page's fleet shows, for a terminal or a script.
//!
//! Must not know: who needs a hand, and why.

use std::fmt::Write as _;

use anyhow::Result;
use proto::clock::Clock;
use proto::v1::{Fleet, FleetDevice, FleetGateway, GatewayAct, HopState, Need};
use serde_json::{Value, json};
use vitals::{Span, Time};

use super::look::plain;
use super::office::Office;
use super::{print, show};
use crate::dir::CentreDir;

/// What `fleet` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// One gateway, with what people did about it.
    gateway: Option<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(asked: Arguments, dir: CentreDir, clock: Clock) -> Result<()> {
    let mut office = Office::open(dir, clock).await?;
    let fleet = office.fleet(asked.gateway.as_deref().unwrap_or("")).await;
    office.close().await;
    let fleet = fleet?;
    print(&if asked.json {
        show::json(&to_json(&fleet))?
    } else {
        to_text(&fleet)
    })
}

fn need(number: i32) -> &'static str {
    match Need::try_from(number).unwrap_or_default() {
        Need::Unspecified => "needs a look",
        Need::Cloned => "two copies sent at once: enrol it again",
        Need::CertificateEnded => "away, its certificate has ended",
        Need::Silent => "silent",
        Need::Broken => "its doctor found something that does not work",
        Need::Settings => "did not keep its settings",
        Need::Unreachable => "device out of reach",
        Need::Battery => "battery low",
        Need::Clock => "device clock far off",
        Need::Backlog => "much waits there",
        Need::TokenEnded => "its token has ended: make another one",
        Need::Enrolment => "its token waits",
        Need::Assignment => "nothing is assigned",
        Need::Unheard => "not heard since the centre was started",
        Need::Look => "its doctor found something to look at",
    }
}

fn needs(of: &[i32]) -> String {
    let words: Vec<&str> = of.iter().map(|number| need(*number)).collect();
    words.join(", ")
}

fn ago(at_us: i64, now_us: i64) -> String {
    if at_us == 0 {
        return "never".into();
    }
    let age = Time::from_micros(now_us).since(Time::from_micros(at_us));
    let seconds = age.max(Span::ZERO).as_micros() / 1_000_000;
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7200 => format!("{} min ago", seconds / 60),
        7200..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

fn to_text(fleet: &Fleet) -> String {
    let mut text = String::new();
    let now = fleet.at_us;
    for warning in &fleet.warnings {
        line(&mut text, format_args!("LOOK AT  {}", plain(warning)));
    }
    for hop in &fleet.hops {
        line(&mut text, format_args!("{}", hop_text(hop, now)));
    }
    if fleet.gateways.is_empty() {
        line(&mut text, format_args!("no gateways yet: `gateway token`"));
    }
    for of in &fleet.gateways {
        gateway_text(&mut text, of, now);
    }
    text
}

fn hop_text(hop: &HopState, now: i64) -> String {
    let HopState {
        hop: name,
        all,
        silent,
        ..
    } = hop;
    match (*all, *silent) {
        (0, _) => format!("{name:<12} none"),
        (all, 0) => format!("{name:<12} {all} heard"),
        (all, silent) => format!(
            "{name:<12} {silent} of {all} silent, the first {}",
            ago(hop.since_us, now)
        ),
    }
}

fn gateway_text(text: &mut String, of: &FleetGateway, now: i64) {
    let status = of.status.clone().unwrap_or_default();
    let state = if status.revoked {
        "revoked".to_owned()
    } else if of.own_needs.is_empty() {
        "well".to_owned()
    } else {
        needs(&of.own_needs)
    };
    let label = plain(&status.label);
    line(text, format_args!("{}  {state}  {label}", status.gateway));
    let version = plain(&of.agent_version);
    line(
        text,
        format_args!(
            "    heard {}, receipt {}, {} records wait, settings {} (running {}), agent {version}",
            ago(of.heard_us, now),
            ago(of.last_receipt_us, now),
            of.backlog_records,
            status.configuration_number,
            running(of),
        ),
    );
    for finding in of.health.iter().flat_map(|health| &health.findings) {
        let (check, found) = (plain(&finding.check), plain(&finding.found));
        line(
            text,
            format_args!("    {check}: {found} -> {}", plain(&finding.remedy)),
        );
    }
    for device in &of.devices {
        line(text, format_args!("    {}", device_text(device, now)));
    }
    for act in &of.acts {
        line(text, format_args!("    {}", act_text(act)));
    }
}

fn running(of: &FleetGateway) -> String {
    let report = of.status.as_ref().and_then(|of| of.configuration.as_ref());
    let running = report.and_then(|report| report.running);
    running.map_or_else(|| "?".into(), |number| number.to_string())
}

fn device_text(device: &FleetDevice, now: i64) -> String {
    let mut text = format!("{}  {}", device.address, plain(&device.name));
    let _infallible = write!(
        text,
        "  of {}  {}  read {}  receipt {}",
        device.patient,
        if device.link.is_empty() {
            "not met yet"
        } else {
            &device.link
        },
        ago(device.last_reading_us, now),
        ago(device.last_receipt_us, now)
    );
    if let Some(percent) = device.battery_percent {
        let _infallible = write!(text, "  battery {percent} %");
    }
    if let Some(clock) = &device.clock {
        let (ahead, gains) = (clock.ahead_us / 1000, clock.gains_ppb / 1000);
        let _infallible = write!(text, "  clock {ahead} ms ahead, gains {gains} ppm");
    }
    if !device.needs.is_empty() {
        let _infallible = write!(text, "  {}", needs(&device.needs));
    }
    text
}

fn act_text(act: &GatewayAct) -> String {
    let what = act
        .kind()
        .as_str_name()
        .trim_start_matches("GATEWAY_ACT_KIND_");
    let by = if act.by.is_empty() { "?" } else { &act.by };
    format!(
        "{}  {}  {}  by {}",
        act.position,
        what.to_lowercase(),
        show::time(act.at_us),
        plain(by)
    )
}

fn line(text: &mut String, words: std::fmt::Arguments<'_>) {
    let _infallible = writeln!(text, "{words}");
}

fn to_json(fleet: &Fleet) -> Value {
    let needs = |of: &[i32]| -> Vec<&str> {
        let names = of.iter().map(|of| Need::try_from(*of).unwrap_or_default());
        names.map(|need| need.as_str_name()).collect()
    };
    let device = |of: &FleetDevice| {
        json!({
            "patient": of.patient,
            "address": of.address,
            "name": of.name,
            "model": of.model,
            "link": of.link,
            "battery_percent": of.battery_percent,
            "worn": of.worn,
            "last_reading_us": of.last_reading_us,
            "last_receipt_us": of.last_receipt_us,
            "clock_ahead_us": of.clock.as_ref().map(|clock| clock.ahead_us),
            "clock_gains_ppb": of.clock.as_ref().map(|clock| clock.gains_ppb),
            "needs": needs(&of.needs),
        })
    };
    let act = |of: &GatewayAct| {
        json!({
            "kind": of.kind().as_str_name(),
            "position": of.position,
            "by": of.by,
            "at_us": of.at_us,
            "text": of.text,
        })
    };
    let gateway = |of: &FleetGateway| {
        let status = of.status.clone().unwrap_or_default();
        let findings = of.health.iter().flat_map(|health| &health.findings);
        let findings = findings.map(|finding| {
            json!({ "check": finding.check, "broken": finding.broken, "found": finding.found, "remedy": finding.remedy })
        });
        json!({
            "gateway": status.gateway,
            "label": status.label,
            "revoked": status.revoked,
            "connected_by": status.connected_by,
            "needs": needs(&of.needs),
            "agent_version": of.agent_version,
            "heard_us": of.heard_us,
            "last_receipt_us": of.last_receipt_us,
            "certificate_expires_us": status.certificate_expires_us,
            "backlog_records": of.backlog_records,
            "configuration_number": status.configuration_number,
            "configuration_running": status.configuration.and_then(|report| report.running),
            "looked_us": of.health.as_ref().map(|health| health.looked_us),
            "findings": findings.collect::<Vec<_>>(),
            "devices": of.devices.iter().map(device).collect::<Vec<_>>(),
            "settings": of.settings,
            "acts": of.acts.iter().map(act).collect::<Vec<_>>(),
        })
    };
    let hop = |of: &HopState| json!({ "hop": of.hop, "all": of.all, "silent": of.silent, "since_us": of.since_us });
    json!({
        "at_us": fleet.at_us,
        "gateways": fleet.gateways.iter().map(gateway).collect::<Vec<_>>(),
        "hops": fleet.hops.iter().map(hop).collect::<Vec<_>>(),
        "warnings": fleet.warnings,
    })
}
