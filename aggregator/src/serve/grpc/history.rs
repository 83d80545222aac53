//! `HistoryService`: past readings of one patient.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::unfold;
use proto::v1::history_service_server::HistoryService;
use proto::v1::{HistoryChunk, HistoryRequest};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};
use vitals::{Kind, PatientId, Time};

use super::watch::Events;
use super::{caller, patient};
use crate::gate;
use crate::journal::Journal;
use crate::publish::Hub;
use crate::serve::access::{Access, Caller};
use crate::serve::error;
use crate::serve::history::{Merge, Question, TooMany};

/// Pages that are read and opened at once, for all readers: history must not take the processor from what is
/// live.
const AT_ONCE: usize = 2;
/// A page waits so long for its turn.
const TURN: Duration = Duration::from_secs(20);
/// Most points per kind that a thinned answer may have.
const MAX_POINTS: u32 = 20_000;

pub(in crate::serve) struct History {
    hub: Arc<Hub>,
    journal: Journal,
    access: Arc<Access>,
    turns: Arc<Semaphore>,
}

impl History {
    pub(in crate::serve) fn new(hub: Arc<Hub>, journal: Journal, access: Arc<Access>) -> Self {
        Self {
            hub,
            journal,
            access,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

/// One answer in the making.
struct Answer {
    patient: PatientId,
    merge: Merge,
    journal: Journal,
    access: Arc<Access>,
    caller: Caller,
    turns: Arc<Semaphore>,
}

#[tonic::async_trait]
impl HistoryService for History {
    type QueryStream = Events<HistoryChunk>;

    async fn query(
        &self,
        request: Request<HistoryRequest>,
    ) -> Result<Response<Self::QueryStream>, Status> {
        let caller = caller(&request)?;
        let asked = request.get_ref();
        let patient = patient("patient", &asked.patient)?;
        let check = self
            .access
            .check(&caller, Some(&patient), gate::Kind::History);
        check.map_err(error::denied)?;
        let question = question(asked)?;
        self.hub
            .find(&patient)
            .ok_or_else(|| error::not_found("patient"))?;
        let streams = self.access.directory().streams(&patient);
        let answer = Answer {
            patient,
            merge: Merge::new(question, streams),
            journal: self.journal.clone(),
            access: Arc::clone(&self.access),
            caller,
            turns: Arc::clone(&self.turns),
        };
        Ok(Response::new(Box::pin(unfold(
            Some(answer),
            |answer| async move {
                let mut answer = answer?;
                let chunk = answer.next().await?;
                let goes_on = chunk.is_ok();
                Some((chunk, goes_on.then_some(answer)))
            },
        ))))
    }
}

fn question(asked: &HistoryRequest) -> Result<Question, Status> {
    let kinds = asked.kinds.iter().map(|number| {
        let kind = Kind::from_wire(*number);
        kind.ok_or_else(|| {
            error::invalid("kinds", "must be kinds of the contract, not UNSPECIFIED")
        })
    });
    let kinds = kinds.collect::<Result<Vec<_>, _>>()?;
    if asked.from_us >= asked.to_us {
        return Err(error::invalid("to_us", "must be later than from_us"));
    }
    if asked.max_points == 1 || asked.max_points > MAX_POINTS {
        return Err(error::invalid(
            "max_points",
            "must be 0 (all), or from 2 to 20000",
        ));
    }
    Ok(Question {
        kinds,
        from: Time::from_micros(asked.from_us),
        to: Time::from_micros(asked.to_us),
        max_points: asked.max_points as usize,
        device_times: asked.device_times,
    })
}

impl Answer {
    async fn next(&mut self) -> Option<Result<HistoryChunk, Status>> {
        loop {
            let check = self
                .access
                .check(&self.caller, Some(&self.patient), gate::Kind::History);
            if let Err(reason) = check {
                return Some(Err(error::denied(reason)));
            }
            if let Some(chunk) = self.merge.next_chunk() {
                return Some(Ok(chunk));
            }
            if let Err(status) = self.load().await? {
                return Some(Err(status));
            }
        }
    }

    /// Reads one page; `None`: all was read.
    async fn load(&mut self) -> Option<Result<(), Status>> {
        let (stream, range, after) = self.merge.wants()?;
        // Held for the reading only: a client that does not read keeps nobody else waiting.
        let turn = tokio::time::timeout(TURN, self.turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Some(Err(error::busy("questions about the past")));
        };
        let page = match self.journal.history(stream, range, after).await {
            Ok(page) => page,
            Err(failed) => return Some(Err(error::journal(&failed))),
        };
        Some(self.merge.take(stream, &page).map_err(|TooMany| {
            error::invalid(
                "to_us",
                "too many readings lie across each other: ask for a shorter time",
            )
        }))
    }
}
