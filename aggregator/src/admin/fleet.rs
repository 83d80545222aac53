//! The fleet: gateways with their devices as things that need care, and the way to people hop by hop.
//!
//! * `judge`: PURE. Who needs a hand, and in which order they stand.
//!
//! Invariants: nothing that was measured of anybody is in it, nor any alert; whose devices are shown was noted before.
//! Must not know: what a twin makes of a reading.

mod judge;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use proto::text::hex;
use proto::v1::fleet_service_server::FleetService;
use proto::v1::{
    AccessPart, CentreStatus, DeviceState, Fleet, FleetDevice, FleetGateway, GatewayAct,
    GatewayHealth, GatewayState, ReadFleetRequest, ServiceLoad,
};
use tonic::{Request, Response, Status};
use vitals::{GatewayId, PatientId, StreamId, Time};

use super::service::{caller, status_of};
use super::{Admin, AdminError};
use crate::serve::access::{Access, Seen};
use crate::serve::error;

/// What the twins know of a patient's devices and of the gateways that collect for the patient.
#[derive(Clone, Debug, Default)]
pub struct Things {
    /// Sensors.
    pub devices: Vec<DeviceState>,
    /// Gateways, each with what its last heartbeat said.
    pub gateways: Vec<GatewayState>,
}

/// A stream with devices, as it lies in the registry.
struct Collected {
    stream: StreamId,
    patient: PatientId,
    gateway: GatewayId,
    frozen: bool,
}

impl Admin {
    /// All gateways, or one with what was done about it.
    ///
    /// # Errors
    /// [`AdminError::NotFound`].
    pub fn fleet(&self, one: &str) -> Result<Fleet, AdminError> {
        let one = match one {
            "" => None,
            id => Some(self.gateway(id)?),
        };
        let now = self.parts.clock.now();
        let status = self.status();
        let wanted = |id: &str| one.as_ref().is_none_or(|one| one.as_str() == id);
        let shown = status.gateways.iter().filter(|of| wanted(&of.gateway));
        let mut gateways: BTreeMap<String, FleetGateway> = shown
            .map(|status| (status.gateway.clone(), self.thing(status.clone())))
            .collect();
        let cloned = self.add_devices(&mut gateways, now);
        for (id, of) in &mut gateways {
            let own = judge::gateway(of, cloned.contains(id), now);
            of.own_needs = own.into_iter().map(i32::from).collect();
            of.needs = judge::all(of);
        }
        let mut gateways: Vec<FleetGateway> = gateways.into_values().collect();
        judge::in_order(&mut gateways);
        if let (Some(id), [of]) = (&one, &mut gateways[..]) {
            self.add_past(id, of);
            return Ok(Fleet {
                at_us: now.as_micros(),
                gateways,
                ..Fleet::default()
            });
        }
        let expected = self.parts.live.expected();
        Ok(Fleet {
            at_us: now.as_micros(),
            hops: judge::hops(&gateways, &status.silent, expected, now),
            load: Some(self.load(&status, &gateways)),
            warnings: status.warnings,
            gateways,
        })
    }

    /// A gateway without its devices.
    fn thing(&self, status: proto::v1::GatewayStatus) -> FleetGateway {
        let id = GatewayId::parse(&status.gateway);
        let seen = id.as_ref().and_then(|id| self.parts.sessions.seen(id));
        let registry = self.parts.books.registry();
        let token = id.and_then(|id| registry.gateway(&id)?.token.as_ref().map(|of| of.expires));
        FleetGateway {
            agent_version: seen
                .as_ref()
                .map_or_else(String::new, |of| of.agent_version.clone()),
            token_expires_us: token.map_or(0, Time::as_micros),
            heard_us: status.last_seen_us,
            last_receipt_us: seen.as_ref().map_or(0, |of| of.last_receipt.as_micros()),
            health: seen.and_then(|of| of.health),
            status: Some(status),
            ..FleetGateway::default()
        }
    }

    /// Adds the devices that are assigned, with what the twins know of them. Gives the gateways of which two copies sent.
    fn add_devices(&self, gateways: &mut BTreeMap<String, FleetGateway>, now: Time) -> Vec<String> {
        let books = &self.parts.books;
        let collected: Vec<Collected> = {
            let registry = books.registry();
            let streams = registry.streams();
            let streams = streams.filter(|(_, of)| gateways.contains_key(of.gateway.as_str()));
            streams
                .map(|(stream, of)| Collected {
                    stream,
                    patient: of.patient.clone(),
                    gateway: of.gateway.clone(),
                    frozen: of.frozen,
                })
                .collect()
        };
        let mut known: HashMap<PatientId, (String, Things)> = HashMap::new();
        let mut receipts: HashMap<GatewayId, BTreeMap<(StreamId, u32), Time>> = HashMap::new();
        let mut cloned = Vec::new();
        for of in collected {
            let devices = books.devices(of.stream);
            let Some(gateway) = gateways.get_mut(of.gateway.as_str()) else {
                continue;
            };
            if devices.is_empty() {
                continue;
            }
            if of.frozen {
                cloned.push(of.gateway.as_str().to_owned());
            }
            let (name, things) = known.entry(of.patient.clone()).or_insert_with(|| {
                let things = self.parts.live.things(&of.patient);
                (books.name(&of.patient), things)
            });
            let stream = of.stream.to_string();
            let beat = things.gateways.iter().find(|of| of.stream == stream);
            if let Some(beat) = beat {
                gateway.heard_us = gateway.heard_us.max(beat.last_heartbeat_us);
                gateway.backlog_records = gateway.backlog_records.max(beat.buffer_records);
            }
            for address in devices {
                let here = |of: &&DeviceState| of.stream == stream && of.address == address;
                let state = things.devices.iter().find(here);
                let mut shown = shown(state, &stream, gateway.health.as_ref());
                let receipts = receipts.entry(of.gateway.clone()).or_insert_with(|| {
                    let seen = self.parts.sessions.seen(&of.gateway);
                    seen.map(|seen| seen.receipts).unwrap_or_default()
                });
                let receipt = state.and_then(|state| receipts.get(&(of.stream, state.source)));
                shown.last_receipt_us = receipt.map_or(0, |at| at.as_micros());
                shown.patient = of.patient.reveal().into();
                shown.display_name.clone_from(name);
                shown.address = address;
                let needs = judge::device(&shown, now).into_iter();
                shown.needs = needs.map(i32::from).collect();
                gateway.devices.push(shown);
            }
        }
        cloned
    }

    /// What was done about one gateway.
    fn add_past(&self, id: &GatewayId, to: &mut FleetGateway) {
        let registry = self.parts.books.registry();
        let of = registry.gateway(id);
        let settings = of.and_then(|of| of.configuration.as_ref());
        to.settings = settings.map_or_else(String::new, |(_, text)| text.clone());
        let acts = registry.acts(id).map(|act| {
            let (kind, text) = act.deed.told();
            GatewayAct {
                kind: kind.into(),
                position: act.at.0,
                by: act.by.clone(),
                at_us: act.time.as_micros(),
                text: text.to_owned(),
            }
        });
        to.acts = acts.collect();
    }

    fn load(&self, status: &CentreStatus, gateways: &[FleetGateway]) -> ServiceLoad {
        let live = status.gateways.iter().filter(|of| !of.revoked);
        let connected = live.clone().filter(|of| !of.connected_by.is_empty());
        let count = |of: usize| u32::try_from(of).unwrap_or(u32::MAX);
        ServiceLoad {
            patients: status.patients,
            gateways: count(live.clone().count()),
            connected: count(connected.count()),
            readers: status.watchers,
            readings_journaled: status.readings_journaled,
            entries_waiting: self.parts.live.behind(),
            records_waiting: gateways.iter().map(|of| of.backlog_records).sum(),
            store_stopped: status.store_stopped.clone(),
            refused: status.refused.clone(),
        }
    }
}

/// A device as the twin and the gateway know it; `None`: it was not met yet.
fn shown(state: Option<&DeviceState>, stream: &str, health: Option<&GatewayHealth>) -> FleetDevice {
    let Some(state) = state else {
        return FleetDevice::default();
    };
    let clocks = health.map_or(&[][..], |health| &health.clocks);
    let own = clocks
        .iter()
        .find(|clock| clock.source == state.source && hex(&clock.stream) == stream);
    FleetDevice {
        name: state.name.clone(),
        model: state.model.clone(),
        link: state.link.clone(),
        since_us: state.since_us,
        battery_percent: state.battery_percent,
        worn: state.contact,
        last_reading_us: state.last_reading_us.unwrap_or_default(),
        clock: own.cloned(),
        ..FleetDevice::default()
    }
}

/// `FleetService`. The gate was asked before whether the caller may see a fleet at all.
#[derive(Clone, Debug)]
pub struct FleetDoor {
    admin: Arc<Admin>,
    access: Arc<Access>,
}

impl FleetDoor {
    /// Over the desk and the gate.
    #[must_use]
    pub const fn new(admin: Arc<Admin>, access: Arc<Access>) -> Self {
        Self { admin, access }
    }
}

#[tonic::async_trait]
impl FleetService for FleetDoor {
    async fn read(&self, request: Request<ReadFleetRequest>) -> Result<Response<Fleet>, Status> {
        let asked = &request.get_ref().gateway;
        let fleet = self.admin.fleet(asked).map_err(status_of)?;
        let devices = fleet.gateways.iter().flat_map(|of| &of.devices);
        let mut patients: Vec<PatientId> = devices
            .filter_map(|device| PatientId::parse(&device.patient))
            .collect();
        patients.sort();
        patients.dedup();
        let seen = Seen::of(AccessPart::Names).listed(false);
        let noted = self.access.look(caller(&request)?, &seen, &patients).await;
        noted.map_err(error::unnoted)?;
        Ok(Response::new(fleet))
    }
}
