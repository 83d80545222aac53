//! PURE. Which gateway or device needs a hand, in which order they stand, and how the hops do.
//!
//! Must not know: clocks, twins, the registry; anything that was measured.

use std::cmp::Reverse;

use proto::v1::{ConfigurationOutcome, FleetDevice, FleetGateway, HopState, Need, Silence};
use vitals::{Span, Time};

use crate::chain::Hop;

/// A gateway that collects says something every half minute.
const GATEWAY: Span = twin::rule::GATEWAY_SILENT;
/// A device with a link measures more often than that, if it is worn.
const DEVICE: Span = Span::from_mins(15);
/// So many records make some minutes of a full house.
const BACKLOG: u64 = 500;
/// Times are mended by what is known of the clock; a person should set it all the same.
const CLOCK: Span = Span::from_mins(5);

/// What a device needs.
pub(super) fn device(device: &FleetDevice, now: Time) -> Vec<Need> {
    let mut needs = Vec::new();
    let age = now.since(Time::from_micros(device.last_reading_us));
    if device.link == "connected" && device.worn != Some(false) && age > DEVICE {
        needs.push(Need::Silent);
    }
    if device.link == "lost" {
        needs.push(Need::Unreachable);
    }
    let low = u32::from(twin::rule::BATTERY_CLEAR);
    if device.battery_percent.is_some_and(|percent| percent < low) {
        needs.push(Need::Battery);
    }
    let ahead = device.clock.as_ref().map_or(0, |clock| clock.ahead_us);
    if ahead.unsigned_abs() > CLOCK.as_micros().unsigned_abs() {
        needs.push(Need::Clock);
    }
    needs
}

/// What the gateway itself needs. `cloned`: a stream of it is frozen.
pub(super) fn gateway(of: &FleetGateway, cloned: bool, now: Time) -> Vec<Need> {
    let status = of.status.clone().unwrap_or_default();
    if status.revoked {
        return Vec::new();
    }
    let ends = status.certificate_expires_us;
    if ends == 0 {
        let ended = now.as_micros() >= of.token_expires_us;
        return vec![if ended {
            Need::TokenEnded
        } else {
            Need::Enrolment
        }];
    }
    let mut needs = Vec::new();
    if cloned {
        needs.push(Need::Cloned);
    }
    let collects = !of.devices.is_empty();
    if ends <= now.as_micros() {
        needs.push(Need::CertificateEnded);
    } else if of.heard_us == 0 {
        needs.push(Need::Unheard);
    } else if collects && now.since(Time::from_micros(of.heard_us)) > GATEWAY {
        needs.push(Need::Silent);
    }
    let findings = of.health.iter().flat_map(|health| &health.findings);
    let (mut broken, mut look) = (false, false);
    for finding in findings {
        broken |= finding.broken;
        look |= !finding.broken;
    }
    if broken {
        needs.push(Need::Broken);
    }
    if let Some(report) = &status.configuration {
        match report.outcome() {
            ConfigurationOutcome::Refused | ConfigurationOutcome::RolledBack => {
                needs.push(Need::Settings);
            }
            ConfigurationOutcome::Unspecified
            | ConfigurationOutcome::Trial
            | ConfigurationOutcome::Applied => {}
        }
    }
    if of.backlog_records > BACKLOG {
        needs.push(Need::Backlog);
    }
    if !collects {
        needs.push(Need::Assignment);
    }
    if look {
        needs.push(Need::Look);
    }
    needs.sort();
    needs
}

/// Its own needs and those of its devices, each once, most urgent first.
pub(super) fn all(of: &FleetGateway) -> Vec<i32> {
    let devices = of.devices.iter().flat_map(|device| &device.needs);
    let mut needs: Vec<i32> = of.own_needs.iter().chain(devices).copied().collect();
    needs.sort_unstable();
    needs.dedup();
    needs
}

/// Those first that need a hand; revoked ones last. Within that by how many needs they have, then by name.
pub(super) fn in_order(gateways: &mut [FleetGateway]) {
    gateways.sort_by_cached_key(|of| {
        let status = of.status.clone().unwrap_or_default();
        let first = of.needs.first().copied().unwrap_or(i32::MAX);
        (
            status.revoked,
            first,
            Reverse(of.needs.len()),
            status.label,
            status.gateway,
        )
    });
}

/// The way hop by hop. `silent`: hops behind the doors. `expected`: platforms and channels that are waited for.
pub(super) fn hops(
    gateways: &[FleetGateway],
    silent: &[Silence],
    expected: (usize, usize),
    now: Time,
) -> Vec<HopState> {
    let live = gateways.iter().filter(|of| {
        let status = of.status.as_ref();
        status.is_some_and(|status| !status.revoked && status.certificate_expires_us > 0)
    });
    let live: Vec<&FleetGateway> = live.collect();
    let mut sensors = HopState {
        hop: "sensor".into(),
        ..HopState::default()
    };
    let mut ways = HopState {
        hop: "gateway".into(),
        bound_s: seconds(GATEWAY),
        ..HopState::default()
    };
    for of in &live {
        for device in &of.devices {
            let lost = [Need::Silent, Need::Unreachable].map(i32::from);
            let since = device.needs.iter().any(|need| lost.contains(need));
            note(&mut sensors, since.then_some(device.last_reading_us));
        }
        if of.devices.is_empty() {
            continue;
        }
        let heard = Time::from_micros(of.heard_us);
        note(
            &mut ways,
            (now.since(heard) > GATEWAY).then_some(of.heard_us),
        );
    }
    let by_mqtt = live.iter().filter(|of| {
        let status = of.status.as_ref();
        status.is_some_and(|status| status.connected_by == "mqtt")
    });
    let behind = Hop::ALL.map(|hop| {
        let of_it: Vec<&Silence> = silent.iter().filter(|of| of.hop == hop.as_str()).collect();
        let expected = match hop {
            Hop::Broker => usize::from(by_mqtt.clone().next().is_some()),
            Hop::Centre | Hop::Person => 1,
            Hop::Subscriber => expected.0,
            Hop::Channel => expected.1,
            // Told only while somebody is missing.
            Hop::Duty | Hop::Handover => 0,
        };
        HopState {
            hop: hop.as_str().into(),
            all: count(expected.max(of_it.len())),
            silent: count(of_it.len()),
            since_us: of_it.iter().map(|of| of.since_us).min().unwrap_or(0),
            bound_s: of_it.first().map_or(0, |of| of.bound_s),
        }
    });
    [sensors, ways].into_iter().chain(behind).collect()
}

/// One more of a hop, and since when it is silent.
fn note(hop: &mut HopState, silent_since: Option<i64>) {
    hop.all += 1;
    if let Some(since) = silent_since {
        hop.since_us = if hop.silent == 0 {
            since
        } else {
            hop.since_us.min(since)
        };
        hop.silent += 1;
    }
}

fn count(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}

fn seconds(of: Span) -> u32 {
    u32::try_from(of.as_micros() / 1_000_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proto::v1::{
        ConfigurationReport, DeviceClock, GatewayFinding, GatewayHealth, GatewayStatus,
    };

    use super::*;

    const NOW: Time = Time::from_micros(1_800_000_000_000_000);

    fn ago(seconds: i64) -> i64 {
        (NOW - Span::from_secs(seconds)).as_micros()
    }

    /// Heard, with a device that measures: nothing is wrong.
    fn well() -> FleetGateway {
        FleetGateway {
            status: Some(GatewayStatus {
                gateway: "g-1".into(),
                certificate_expires_us: ago(-3600),
                ..GatewayStatus::default()
            }),
            heard_us: ago(5),
            devices: vec![worn()],
            ..FleetGateway::default()
        }
    }

    fn worn() -> FleetDevice {
        FleetDevice {
            link: "connected".into(),
            last_reading_us: ago(2),
            battery_percent: Some(80),
            ..FleetDevice::default()
        }
    }

    fn with_status(change: impl FnOnce(&mut GatewayStatus)) -> FleetGateway {
        let mut of = well();
        change(of.status.as_mut().expect("it has one"));
        of
    }

    #[test]
    fn each_need_is_told_and_a_well_gateway_has_none() {
        let needs = |of: &FleetGateway| gateway(of, false, NOW);
        assert_eq!(needs(&well()), [], "control");
        assert_eq!(gateway(&well(), true, NOW), [Need::Cloned]);
        assert_eq!(
            needs(&with_status(|of| of.certificate_expires_us = ago(1))),
            [Need::CertificateEnded]
        );
        let silent = |heard_us| FleetGateway { heard_us, ..well() };
        assert_eq!(needs(&silent(ago(180))), []);
        assert_eq!(needs(&silent(ago(181))), [Need::Silent]);
        assert_eq!(needs(&silent(0)), [Need::Unheard]);
        let found = |broken: &[bool]| FleetGateway {
            health: Some(GatewayHealth {
                findings: broken
                    .iter()
                    .map(|broken| GatewayFinding {
                        broken: *broken,
                        ..GatewayFinding::default()
                    })
                    .collect(),
                ..GatewayHealth::default()
            }),
            ..well()
        };
        assert_eq!(needs(&found(&[])), []);
        assert_eq!(needs(&found(&[false])), [Need::Look]);
        assert_eq!(needs(&found(&[false, true])), [Need::Broken, Need::Look]);
        let report = |outcome: ConfigurationOutcome| {
            with_status(|of| {
                of.configuration = Some(ConfigurationReport {
                    outcome: outcome.into(),
                    ..ConfigurationReport::default()
                });
            })
        };
        assert_eq!(needs(&report(ConfigurationOutcome::Trial)), []);
        assert_eq!(
            needs(&report(ConfigurationOutcome::RolledBack)),
            [Need::Settings]
        );
        let behind = FleetGateway {
            backlog_records: BACKLOG + 1,
            ..well()
        };
        assert_eq!(needs(&behind), [Need::Backlog]);
        let idle = FleetGateway {
            devices: Vec::new(),
            heard_us: ago(9000),
            ..well()
        };
        assert_eq!(needs(&idle), [Need::Assignment], "it has nothing to say");
        let token = |ends| FleetGateway {
            token_expires_us: ends,
            ..with_status(|of| of.certificate_expires_us = 0)
        };
        assert_eq!(needs(&token(ago(-1))), [Need::Enrolment]);
        assert_eq!(needs(&token(ago(0))), [Need::TokenEnded]);
        assert_eq!(needs(&with_status(|of| of.revoked = true)), []);
    }

    #[test]
    fn devices_are_judged_by_link_charge_clock_and_words() {
        assert_eq!(device(&worn(), NOW), [], "control");
        let with = |change: fn(&mut FleetDevice)| {
            let mut of = worn();
            change(&mut of);
            device(&of, NOW)
        };
        assert_eq!(with(|of| of.link = "lost".into()), [Need::Unreachable]);
        assert_eq!(with(|of| of.last_reading_us = ago(901)), [Need::Silent]);
        let aside = |of: &mut FleetDevice| {
            (of.last_reading_us, of.worn) = (ago(901), Some(false));
        };
        assert_eq!(with(aside), [], "not worn, so it has nothing to say");
        assert_eq!(with(|of| of.battery_percent = Some(20)), []);
        assert_eq!(with(|of| of.battery_percent = Some(19)), [Need::Battery]);
        let clock = |ahead_us| {
            Some(DeviceClock {
                ahead_us,
                ..DeviceClock::default()
            })
        };
        assert_eq!(
            device(
                &FleetDevice {
                    clock: clock(-300_000_001),
                    ..worn()
                },
                NOW
            ),
            [Need::Clock]
        );
        assert_eq!(
            device(
                &FleetDevice {
                    clock: clock(300_000_000),
                    ..worn()
                },
                NOW
            ),
            []
        );
    }

    #[test]
    fn what_needs_a_hand_stands_first_and_what_was_revoked_last() {
        let of = |label: &str, needs: &[Need], revoked| FleetGateway {
            needs: needs.iter().map(|need| i32::from(*need)).collect(),
            ..with_status(|status| {
                status.label = label.into();
                status.revoked = revoked;
            })
        };
        let mut fleet = [
            of("revoked", &[], true),
            of("b well", &[], false),
            of("a well", &[], false),
            of("look", &[Need::Look], false),
            of("silent", &[Need::Silent], false),
            of("silent and low", &[Need::Silent, Need::Battery], false),
        ];
        in_order(&mut fleet);
        let labels = fleet.map(|of| of.status.expect("it has one").label);
        assert_eq!(
            labels,
            [
                "silent and low",
                "silent",
                "look",
                "a well",
                "b well",
                "revoked"
            ]
        );
    }

    #[test]
    fn hops_count_who_is_there_and_who_is_silent() {
        let mut away = FleetGateway {
            heard_us: ago(500),
            ..well()
        };
        away.devices[0].needs = vec![Need::Unreachable.into()];
        away.devices[0].last_reading_us = ago(700);
        let unanswered = Silence {
            hop: "person".into(),
            since_us: ago(60),
            ..Silence::default()
        };
        let fleet = [well(), away, with_status(|of| of.revoked = true)];
        let hops = hops(&fleet, &[unanswered], (2, 0), NOW);
        let told: Vec<_> = hops
            .iter()
            .map(|of| (of.hop.as_str(), of.all, of.silent, of.since_us))
            .collect();
        assert_eq!(
            told,
            [
                ("sensor", 2, 1, ago(700)),
                ("gateway", 2, 1, ago(500)),
                ("broker", 0, 0, 0),
                ("centre", 1, 0, 0),
                ("subscriber", 2, 0, 0),
                ("channel", 0, 0, 0),
                ("duty", 0, 0, 0),
                ("handover", 0, 0, 0),
                ("person", 1, 1, ago(60)),
            ]
        );
    }
}
