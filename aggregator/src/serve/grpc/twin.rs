//! `TwinService`: the newest state of patients, and its changes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proto::v1::twin_service_server::TwinService;
use proto::v1::{
    AccessPart, GetTwinRequest, ListTwinsRequest, ListTwinsResponse, LookInRequest,
    NotePrintRequest, NotePrintResponse, Scoreboard, ScoreboardRequest, SumScoreboardRequest, Twin,
    TwinPart, WatchTwinsRequest,
};
use tonic::{Request, Response, Status};

use super::watch::{self, Events};
use super::{Watched, caller, current, lookin, patient, patients, stopping};
use crate::gate::Kind;
use crate::publish::event::TwinEvent;
use crate::publish::{Hub, PatientIndex, TwinFilter, TwinReader, Within};
use crate::serve::access::{Access, Caller, Seen};
use crate::serve::lookers::Lookers;
use crate::serve::{error, scoreboard};

/// Twins in one page of a list, at most and by default.
const PAGE: usize = 1000;
/// Longest interval between looks that a reader may ask for.
const LONGEST_INTERVAL_MS: u32 = 3_600_000;

pub(in crate::serve) struct Twins {
    hub: Arc<Hub>,
    access: Arc<Access>,
    lookers: Arc<Lookers>,
}

impl Twins {
    /// Of this hub, for whom the gate lets in.
    pub(in crate::serve) fn new(hub: Arc<Hub>, access: Arc<Access>) -> Self {
        Self {
            hub,
            access,
            lookers: Lookers::new(),
        }
    }

    /// All that the caller may have of a patient.
    fn most(&self, caller: &Caller) -> TwinFilter {
        TwinFilter {
            within: self.access.within(caller),
            ..TwinFilter::default()
        }
    }

    /// A twin as it stands, as far as the filter lets it.
    async fn narrow(&self, filter: &TwinFilter, index: PatientIndex) -> Twin {
        let twin = self.hub.whole_view(index).await.twin;
        filter.narrow(&twin, |alert| self.hub.rested(alert))
    }
}

#[tonic::async_trait]
impl TwinService for Twins {
    async fn get(&self, request: Request<GetTwinRequest>) -> Result<Response<Twin>, Status> {
        let caller = caller(&request)?;
        current(&self.hub).await?;
        let patient = patient("patient", &request.get_ref().patient)?;
        self.access
            .check(&caller, Some(&patient), Kind::Twin)
            .map_err(error::denied)?;
        let index = self
            .hub
            .find(&patient)
            .ok_or_else(|| error::not_found("patient"))?;
        let filter = self.most(&caller);
        let seen =
            Seen::of(AccessPart::Values).kinds(filter.within.kinds.iter().copied().collect());
        let noted = self.access.look(&caller, &seen, &[patient]).await;
        noted.map_err(error::unnoted)?;
        Ok(Response::new(self.narrow(&filter, index).await))
    }

    async fn list(
        &self,
        request: Request<ListTwinsRequest>,
    ) -> Result<Response<ListTwinsResponse>, Status> {
        let caller = caller(&request)?;
        current(&self.hub).await?;
        let asked = request.get_ref();
        let size = match usize::try_from(asked.page_size) {
            Ok(0) | Err(_) => PAGE,
            Ok(size) => size.min(PAGE),
        };
        // The token is the last id of the page before: it survives a restart.
        let after = match asked.page_token.as_str() {
            "" => None,
            token => Some(patient("page_token", token)?),
        };
        let mut visible = self
            .hub
            .patients()
            .into_iter()
            .filter(|(id, _)| after.as_ref().is_none_or(|after| id > after))
            .filter(|(id, _)| self.access.check(&caller, Some(id), Kind::Twin).is_ok())
            .peekable();
        let (mut ids, mut shown) = (Vec::new(), Vec::new());
        while shown.len() < size
            && let Some((id, index)) = visible.next()
        {
            ids.push(id);
            shown.push(index);
        }
        let more = visible.peek().is_some();
        let last = ids.last().filter(|_| more);
        let next_page_token = last.map_or_else(String::new, |id| id.reveal().to_owned());
        let filter = self.most(&caller);
        let seen = Seen::of(AccessPart::Values)
            .kinds(filter.within.kinds.iter().copied().collect())
            .listed(false);
        let noted = self.access.look(&caller, &seen, &ids).await;
        noted.map_err(error::unnoted)?;
        let mut twins = Vec::with_capacity(shown.len());
        for index in shown {
            twins.push(self.narrow(&filter, index).await);
        }
        Ok(Response::new(ListTwinsResponse {
            twins,
            next_page_token,
        }))
    }

    async fn note_print(
        &self,
        request: Request<NotePrintRequest>,
    ) -> Result<Response<NotePrintResponse>, Status> {
        let caller = caller(&request)?;
        let patient = patient("patient", &request.get_ref().patient)?;
        self.access
            .check(&caller, Some(&patient), Kind::Twin)
            .map_err(error::denied)?;
        self.hub
            .find(&patient)
            .ok_or_else(|| error::not_found("patient"))?;
        let within = self.access.within(&caller);
        let seen = Seen::of(AccessPart::Paper).kinds(within.kinds.into_iter().collect());
        let noted = self.access.look(&caller, &seen, &[patient]).await;
        noted.map_err(error::unnoted)?;
        Ok(Response::new(NotePrintResponse {}))
    }

    async fn get_scoreboard(
        &self,
        request: Request<ScoreboardRequest>,
    ) -> Result<Response<Scoreboard>, Status> {
        let caller = caller(&request)?;
        current(&self.hub).await?;
        let patient = patient("patient", &request.get_ref().patient)?;
        self.access
            .check(&caller, Some(&patient), Kind::Twin)
            .map_err(error::denied)?;
        let index = self
            .hub
            .find(&patient)
            .ok_or_else(|| error::not_found("patient"))?;
        let within = self.access.within(&caller);
        let seen = Seen::of(AccessPart::Values).kinds(within.kinds.iter().copied().collect());
        let noted = self.access.look(&caller, &seen, &[patient]).await;
        noted.map_err(error::unnoted)?;
        let mut board = scoreboard::message(&self.hub.scoreboard(index));
        within.narrow_scores(&mut board);
        Ok(Response::new(board))
    }

    async fn sum_scoreboard(
        &self,
        request: Request<SumScoreboardRequest>,
    ) -> Result<Response<Scoreboard>, Status> {
        let caller = caller(&request)?;
        current(&self.hub).await?;
        self.access
            .check(&caller, None, Kind::Rules)
            .map_err(error::denied)?;
        let hub = Arc::clone(&self.hub);
        // Every twin is looked at for some microseconds: not where streams are served.
        let summed = tokio::task::spawn_blocking(move || {
            let mut sum = twin::board::Scoreboard::default();
            for (_, index) in hub.patients() {
                sum.add(&hub.scoreboard(index));
            }
            sum
        });
        let sum = summed.await.map_err(|_| error::not_current())?;
        Ok(Response::new(scoreboard::message(&sum)))
    }

    type LookInStream = Events<proto::v1::Lookers>;

    async fn look_in(
        &self,
        request: Request<LookInRequest>,
    ) -> Result<Response<Self::LookInStream>, Status> {
        let who = (caller(&request)?, stopping(&request));
        let named = &request.get_ref().patient;
        let patient = match named.as_str() {
            "" => None,
            named => Some(patient("patient", named)?),
        };
        let (access, lookers) = (Arc::clone(&self.access), Arc::clone(&self.lookers));
        Ok(Response::new(lookin::open(access, lookers, who, patient)?))
    }

    type WatchStream = Events<proto::v1::TwinEvent>;

    async fn watch(
        &self,
        _: Request<WatchTwinsRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(super::answered_beside())
    }
}

impl Watched for Arc<Twins> {
    const PATH: &'static str = "/vitaltwin.v1.TwinService/Watch";
    type Request = WatchTwinsRequest;
    type Event = TwinEvent;

    async fn watch(
        self,
        request: Request<WatchTwinsRequest>,
    ) -> Result<Response<Events<TwinEvent>>, Status> {
        let caller = caller(&request)?;
        let stopping = stopping(&request);
        let asked = request.into_inner();
        let scope = self.access.scope(&caller);
        let asked_for = filter(&asked)?;
        let named = asked_for.kinds.iter().copied().collect();
        let kinds = self.access.kinds(&caller, named).map_err(error::denied)?;
        if asked_for.parts.contains(&TwinPart::Alerts) {
            let may = self.access.check(&caller, None, Kind::Alert);
            may.map_err(error::denied)?;
        }
        let several = [TwinPart::Scores, TwinPart::Rhythm];
        if several.iter().any(|part| asked_for.parts.contains(part)) {
            self.access.whole(&caller).map_err(error::denied)?;
        }
        let filter = TwinFilter {
            scope,
            within: self.access.within(&caller),
            ..asked_for
        };
        self.hub.wait_ready().await;
        let seen = Seen::of(AccessPart::Values)
            .kinds(kinds)
            .listed(!filter.patients.is_empty());
        let patients = watch::wanted(&self.hub, &filter.patients);
        let noted = watch::opened(&self.access, &caller, Kind::Twin, &seen, patients).await?;
        let reader = TwinReader::new(Arc::clone(&self.hub), &filter, &asked.cursor);
        let opening = watch::Opening {
            caller,
            attending: None,
            scope,
            stopping,
            seen,
            noted,
        };
        let access = Arc::clone(&self.access);
        Ok(Response::new(watch::stream(reader, access, opening)))
    }
}

fn filter(asked: &WatchTwinsRequest) -> Result<TwinFilter, Status> {
    let part = |number: &i32| {
        let part = TwinPart::try_from(*number).ok();
        part.filter(|part| *part != TwinPart::Unspecified)
            .ok_or_else(|| {
                error::invalid("parts", "must be parts of the contract, not UNSPECIFIED")
            })
    };
    let parts: BTreeSet<_> = asked.parts.iter().map(part).collect::<Result<_, _>>()?;
    let kinds: BTreeSet<_> = super::kinds(&asked.kinds)?.into_iter().collect();
    let about_kinds = [TwinPart::Channels, TwinPart::Forecasts];
    if !kinds.is_empty() && !parts.is_empty() && !about_kinds.iter().any(|p| parts.contains(p)) {
        return Err(error::invalid(
            "kinds",
            "only channels and forecasts have kinds: ask for these parts too, or leave kinds empty",
        ));
    }
    if asked.min_interval_ms > LONGEST_INTERVAL_MS {
        return Err(error::invalid(
            "min_interval_ms",
            "at most 3600000, an hour",
        ));
    }
    Ok(TwinFilter {
        patients: patients(&asked.patients)?.into_iter().collect(),
        kinds,
        parts,
        interval: Duration::from_millis(asked.min_interval_ms.into()),
        scope: None,
        within: Within::default(),
    })
}
