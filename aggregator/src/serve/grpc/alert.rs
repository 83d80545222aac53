//! `AlertService`: what is wrong, and who took notice.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use proto::v1::alert_service_server::AlertService;
use proto::v1::{
    AccessPart, AcknowledgeRequest, Alert, AlertState, Category, CommentRequest, ConfirmRequest,
    ConfirmResponse, EndSnoozeRequest, EndSnoozeResponse, EscalateRequest, GetAlertRequest,
    ListAlertsRequest, ListAlertsResponse, Priority, SetOwnerRequest, SnoozeRequest,
    SnoozeResponse, WatchAlertsRequest,
};
use tonic::{Request, Response, Status};
use twin::care::Duty;
use twin::{Condition, rule};
use vitals::{PatientId, Span};

use super::watch::{self, Events};
use super::{Watched, caller, current, patient, patients, stopping};
use crate::gate::{Kind, Role};
use crate::patient::Patients;
use crate::publish::event::AlertEvent;
use crate::publish::{AlertFilter, AlertReader, AlertRecord, Shown, Within};
use crate::serve::access::{Access, Caller, Seen};
use crate::serve::error;

/// Alerts in one page of a list, at most and by default.
const PAGE: usize = 1000;
/// Longest note, comment or reason, characters.
const NOTE: usize = 1000;
/// Longest name of an owner, characters.
const NAME: usize = 100;
/// Longest alert id that is looked up, bytes.
const ID: usize = 64;

pub(in crate::serve) struct AlertsApi {
    pub(in crate::serve) patients: Patients,
    pub(in crate::serve) access: Arc<Access>,
}

impl AlertsApi {
    /// The alert, if the caller may have `kind` of its patient. Who may not learns as much as if there were none.
    fn find(&self, caller: &Caller, id: &str, kind: Kind) -> Result<Arc<AlertRecord>, Status> {
        if id.is_empty() || id.len() > ID {
            return Err(error::invalid(
                "alert",
                "must be an alert's id as the stream gives it",
            ));
        }
        self.access
            .check(caller, None, kind)
            .map_err(error::denied)?;
        let found = self.patients.hub().alert(id);
        found
            .filter(|record| self.told(caller, record).is_some())
            .filter(|record| {
                self.access
                    .check(caller, Some(&record.patient), kind)
                    .is_ok()
            })
            .ok_or_else(|| error::not_found("alert"))
    }

    /// The alert as the caller gets it, if they do.
    fn told(&self, caller: &Caller, record: &AlertRecord) -> Option<Alert> {
        let within = self.access.within(caller);
        let told = within.cut(&record.alert, || record.rested.clone())?;
        Some(told.into_owned())
    }

    /// The answer that shows the alert.
    fn answer(&self, caller: &Caller, record: &AlertRecord) -> Result<Response<Alert>, Status> {
        let told = self.told(caller, record);
        told.map(Response::new)
            .ok_or_else(|| error::not_found("alert"))
    }
}

impl AlertsApi {
    /// The kinds of data that the caller is limited to; empty: to none.
    fn kinds_of(&self, caller: &Caller) -> Vec<vitals::Kind> {
        self.access.within(caller).kinds.into_iter().collect()
    }
}

/// What a call about a condition names.
fn condition_of(id: &str, name: &str) -> Result<(PatientId, Condition), Status> {
    let condition = Condition::parse(name).ok_or_else(|| {
        error::invalid(
            "condition",
            "must be a condition as alerts name it, such as heart_rate_low",
        )
    })?;
    Ok((patient("patient", id)?, condition))
}

/// Most urgent first: what holds, then by priority, then the newest.
type Order = (bool, Reverse<i32>, Reverse<i64>, String);

fn order(alert: &Alert) -> Order {
    let resolved = alert.state() == AlertState::Resolved;
    (
        resolved,
        Reverse(alert.priority),
        Reverse(alert.raised_us),
        alert.id.clone(),
    )
}

fn token_of((resolved, Reverse(priority), Reverse(raised), id): &Order) -> String {
    format!("{}.{priority}.{raised}.{id}", u8::from(*resolved))
}

fn order_of(token: &str) -> Option<Order> {
    let mut parts = token.splitn(4, '.');
    let resolved = match parts.next()? {
        "0" => false,
        "1" => true,
        _ => return None,
    };
    let priority = parts.next()?.parse().ok()?;
    let raised = parts.next()?.parse().ok()?;
    Some((
        resolved,
        Reverse(priority),
        Reverse(raised),
        parts.next()?.to_owned(),
    ))
}

#[tonic::async_trait]
impl AlertService for AlertsApi {
    async fn get(&self, request: Request<GetAlertRequest>) -> Result<Response<Alert>, Status> {
        let caller = caller(&request)?;
        current(self.patients.hub()).await?;
        let record = self.find(&caller, &request.get_ref().alert, Kind::Alert)?;
        let seen = Seen::of(AccessPart::Alerts).kinds(self.kinds_of(&caller));
        let about = std::slice::from_ref(&record.patient);
        let noted = self.access.look(&caller, &seen, about).await;
        noted.map_err(error::unnoted)?;
        self.answer(&caller, &record)
    }

    async fn list(
        &self,
        request: Request<ListAlertsRequest>,
    ) -> Result<Response<ListAlertsResponse>, Status> {
        let caller = caller(&request)?;
        current(self.patients.hub()).await?;
        let asked = request.get_ref();
        let wanted: BTreeSet<_> = patients(&asked.patients)?.into_iter().collect();
        let size = match usize::try_from(asked.page_size) {
            Ok(0) | Err(_) => PAGE,
            Ok(size) => size.min(PAGE),
        };
        let after = match asked.page_token.as_str() {
            "" => None,
            token => Some(order_of(token).ok_or_else(|| {
                error::invalid("page_token", "must be next_page_token of the page before")
            })?),
        };
        let within = self.access.within(&caller);
        let mut found: Vec<(Order, Arc<AlertRecord>)> = self
            .patients
            .hub()
            .alerts()
            .into_iter()
            .filter(|one| wanted.is_empty() || wanted.contains(&one.patient))
            .filter(|one| {
                let rested = || one.rested.clone();
                within.shows(&one.alert, rested) != Shown::Not
            })
            .filter(|one| asked.include_resolved || one.alert.state() != AlertState::Resolved)
            .filter(|one| {
                self.access
                    .check(&caller, Some(&one.patient), Kind::Alert)
                    .is_ok()
            })
            .map(|one| (order(&one.alert), one))
            .filter(|(order, _)| after.as_ref().is_none_or(|after| order > after))
            .collect();
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        let more = found.len() > size;
        found.truncate(size);
        let next_page_token = match found.last() {
            Some((order, _)) if more => token_of(order),
            Some(_) | None => String::new(),
        };
        let about: BTreeSet<_> = found.iter().map(|(_, one)| one.patient.clone()).collect();
        let about: Vec<_> = about.into_iter().collect();
        let seen = Seen::of(AccessPart::Alerts)
            .kinds(self.kinds_of(&caller))
            .listed(!wanted.is_empty());
        let noted = self.access.look(&caller, &seen, &about).await;
        noted.map_err(error::unnoted)?;
        let alerts = found
            .iter()
            .filter_map(|(_, one)| within.cut(&one.alert, || one.rested.clone()))
            .map(Cow::into_owned)
            .collect();
        Ok(Response::new(ListAlertsResponse {
            alerts,
            next_page_token,
        }))
    }

    type WatchStream = Events<proto::v1::AlertEvent>;

    async fn watch(
        &self,
        _: Request<WatchAlertsRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(super::answered_beside())
    }

    async fn acknowledge(
        &self,
        request: Request<AcknowledgeRequest>,
    ) -> Result<Response<Alert>, Status> {
        let caller = caller(&request)?;
        current(self.patients.hub()).await?;
        let asked = request.get_ref();
        let note = error::text("note", &asked.note, NOTE)?;
        let record = self.find(&caller, &asked.alert, Kind::Acknowledgement)?;
        let by = self.access.actor(&caller).name();
        let done = self
            .patients
            .acknowledge(&record.alert.id, &by, &note)
            .await;
        let record = done.map_err(|failed| error::care(&failed))?;
        self.answer(&caller, &record)
    }

    async fn comment(&self, request: Request<CommentRequest>) -> Result<Response<Alert>, Status> {
        let caller = caller(&request)?;
        current(self.patients.hub()).await?;
        let asked = request.get_ref();
        let text = error::text("text", &asked.text, NOTE)?;
        if text.is_empty() {
            return Err(error::invalid("text", "must say something"));
        }
        let record = self.find(&caller, &asked.alert, Kind::Acknowledgement)?;
        let by = self.access.actor(&caller).name();
        let done = self.patients.comment(&record.alert.id, &by, &text).await;
        let record = done.map_err(|failed| error::care(&failed))?;
        self.answer(&caller, &record)
    }

    async fn set_owner(
        &self,
        request: Request<SetOwnerRequest>,
    ) -> Result<Response<Alert>, Status> {
        let caller = caller(&request)?;
        current(self.patients.hub()).await?;
        let asked = request.get_ref();
        let owner = error::text("owner", &asked.owner, NAME)?;
        let record = self.find(&caller, &asked.alert, Kind::Duty)?;
        let by = self.access.actor(&caller).name();
        let done = self.patients.set_owner(&record.alert.id, &by, &owner).await;
        let record = done.map_err(|failed| error::care(&failed))?;
        self.answer(&caller, &record)
    }

    async fn escalate(&self, request: Request<EscalateRequest>) -> Result<Response<Alert>, Status> {
        let caller = caller(&request)?;
        current(self.patients.hub()).await?;
        let asked = request.get_ref();
        let duty = u8::try_from(asked.duty).ok().and_then(Duty::of);
        let duty = duty.ok_or_else(|| error::invalid("duty", "must say who is to be called"))?;
        let text = error::text("text", &asked.text, NOTE)?;
        let record = self.find(&caller, &asked.alert, Kind::Duty)?;
        let by = self.access.actor(&caller).name();
        let called = &record.alert.id;
        let done = self.patients.escalate(called, &by, duty, &text).await;
        let record = done.map_err(|failed| error::care(&failed))?;
        self.answer(&caller, &record)
    }

    async fn snooze(
        &self,
        request: Request<SnoozeRequest>,
    ) -> Result<Response<SnoozeResponse>, Status> {
        let caller = caller(&request)?;
        current(self.patients.hub()).await?;
        let asked = request.get_ref();
        let (patient, condition) = condition_of(&asked.patient, &asked.condition)?;
        let reason = error::text("reason", &asked.reason, NOTE)?;
        if reason.is_empty() {
            return Err(error::invalid(
                "reason",
                "must say why nobody is to be called",
            ));
        }
        let last = Span::from_secs(asked.for_s.into());
        if last < Span::from_secs(1) || last > rule::SNOOZE_AT_MOST {
            return Err(error::invalid(
                "for_s",
                "must be from 1 to 43200 (12 hours)",
            ));
        }
        self.access
            .check(&caller, Some(&patient), Kind::Duty)
            .map_err(error::denied)?;
        let by = self.access.actor(&caller).name();
        let when = (self.access.clock().now(), last);
        let what = (condition, reason.as_str());
        let done = self.patients.snooze(&patient, &by, what, when).await;
        let snooze = done.map_err(|failed| error::care(&failed))?;
        Ok(Response::new(SnoozeResponse {
            snooze: Some(snooze),
        }))
    }

    async fn confirm(
        &self,
        request: Request<ConfirmRequest>,
    ) -> Result<Response<ConfirmResponse>, Status> {
        let caller = caller(&request)?;
        current(self.patients.hub()).await?;
        if let Role::Platform(platform) = self.access.actor(&caller).role {
            self.access.attendance().confirm(&platform.name);
        }
        Ok(Response::new(ConfirmResponse {}))
    }

    async fn end_snooze(
        &self,
        request: Request<EndSnoozeRequest>,
    ) -> Result<Response<EndSnoozeResponse>, Status> {
        let caller = caller(&request)?;
        current(self.patients.hub()).await?;
        let asked = request.get_ref();
        let (patient, condition) = condition_of(&asked.patient, &asked.condition)?;
        self.access
            .check(&caller, Some(&patient), Kind::Duty)
            .map_err(error::denied)?;
        let by = self.access.actor(&caller).name();
        let done = self.patients.end_snooze(&patient, &by, condition).await;
        done.map_err(|failed| error::care(&failed))?;
        Ok(Response::new(EndSnoozeResponse {}))
    }
}

impl Watched for Arc<AlertsApi> {
    const PATH: &'static str = "/vitaltwin.v1.AlertService/Watch";
    type Request = WatchAlertsRequest;
    type Event = AlertEvent;

    async fn watch(
        self,
        request: Request<WatchAlertsRequest>,
    ) -> Result<Response<Events<AlertEvent>>, Status> {
        let caller = caller(&request)?;
        let stopping = stopping(&request);
        let asked = request.into_inner();
        let scope = self.access.scope(&caller);
        let filter = AlertFilter {
            scope,
            within: self.access.within(&caller),
            ..filter(&asked)?
        };
        let hub = Arc::clone(self.patients.hub());
        hub.wait_ready().await;
        // Of all whom it may ever tell of, before an alert comes: none of them waits for it.
        let seen = Seen::of(AccessPart::Alerts)
            .kinds(self.kinds_of(&caller))
            .listed(!filter.patients.is_empty());
        let patients = watch::wanted(&hub, &filter.patients);
        let noted = watch::opened(&self.access, &caller, Kind::Alert, &seen, patients).await?;
        let reader = AlertReader::new(hub, &filter, &asked.cursor);
        let access = Arc::clone(&self.access);
        let attending = match access.actor(&caller).role {
            Role::Platform(platform) => Some(access.attendance().begin(&platform.name)),
            Role::Anonymous
            | Role::Gateway(_)
            | Role::Operator(_)
            | Role::Person(_)
            | Role::Patient(_) => None,
        };
        let opening = watch::Opening {
            caller,
            attending,
            scope,
            stopping,
            seen,
            noted,
        };
        Ok(Response::new(watch::stream(reader, access, opening)))
    }
}

fn filter(asked: &WatchAlertsRequest) -> Result<AlertFilter, Status> {
    let priority = Priority::try_from(asked.priority_at_least).map_err(|_| {
        error::invalid(
            "priority_at_least",
            "must be one of the contract's priorities",
        )
    })?;
    let category = Category::try_from(asked.category)
        .map_err(|_| error::invalid("category", "must be one of the contract's categories"))?;
    Ok(AlertFilter {
        patients: patients(&asked.patients)?.into_iter().collect(),
        priority_at_least: priority as i32,
        category: category as i32,
        scope: None,
        within: Within::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_token_is_the_place_in_the_order() {
        let alert = Alert {
            id: "ab.c".into(),
            priority: 3,
            raised_us: -5,
            ..Default::default()
        };
        let order = order(&alert);
        assert_eq!(order_of(&token_of(&order)), Some(order));
        for wrong in ["", "2.1.1.x", "0.1.1", "0.x.1.y", "0.1.y.z"] {
            assert_eq!(order_of(wrong), None, "{wrong}");
        }
    }
}
