//! `HistoryService`: past readings and waveforms of one patient, what each moment of a window was, and cohorts.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::unfold;
use proto::v1::history_service_server::HistoryService;
use proto::v1::{
    self, AccessPart, BeginExportRequest, BeginExportResponse, CoverageRequest, CoverageResponse,
    FactKind, HistoryChunk, HistoryRequest, ListAccessesRequest, ListAccessesResponse, Resolution,
    WaveformChunk, WaveformRequest,
};
use tokio::sync::{Semaphore, SemaphorePermit};
use tonic::{Request, Response, Status};
use vitals::{Kind, PatientId, StreamId, Time, Wave};

use super::watch::Events;
use super::{caller, current, kinds, patient, patients};
use crate::gate;
use crate::history::block::Origin;
use crate::history::rollup::Width;
use crate::history::{self, HistoryError};
use crate::journal::{Entry, HistoryCursor, Journal, Page, Past, Position, Sight};
use crate::patient::Patients;
use crate::publish::Hub;
use crate::registry::{Look, Voided};
use crate::serve::access::{Access, Caller, Seen};
use crate::serve::history::{Found, Hidden, Limit, Merge, Question, Token, TooMany, Wanted};
use crate::serve::waveforms::{Blocks, WaveQuestion};
use crate::serve::{StreamOf, cohort, coverage, error};

/// Pages that are read and opened at once, for all readers: history must not take the processor from what is
/// live.
const AT_ONCE: usize = 2;
/// A page waits so long for its turn.
const TURN: Duration = Duration::from_secs(20);
/// Most points per kind that a thinned answer may have.
const MAX_POINTS: u32 = 20_000;

pub(in crate::serve) struct History {
    patients: Patients,
    hub: Arc<Hub>,
    journal: Journal,
    readings: history::History,
    access: Arc<Access>,
    turns: Arc<Semaphore>,
}

impl History {
    pub(in crate::serve) fn new(
        patients: Patients,
        journal: Journal,
        readings: history::History,
        access: Arc<Access>,
    ) -> Self {
        Self {
            hub: Arc::clone(patients.hub()),
            patients,
            journal,
            readings,
            access,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Who asks about whom, and the streams to look in, once the gate has let the question through.
    fn admit<T>(
        &self,
        request: &Request<T>,
        named: &str,
    ) -> Result<(Reader, Vec<StreamOf>), Status> {
        let caller = caller(request)?;
        let patient = patient("patient", named)?;
        let check = self
            .access
            .check(&caller, Some(&patient), gate::Kind::History);
        check.map_err(error::denied)?;
        self.hub
            .find(&patient)
            .ok_or_else(|| error::not_found("patient"))?;
        let streams = self.access.directory().streams(&patient);
        let reader = Reader {
            patient,
            journal: self.journal.clone(),
            readings: self.readings.clone(),
            access: Arc::clone(&self.access),
            limited: self.access.within(&caller).kinds,
            caller,
            turns: Arc::clone(&self.turns),
        };
        Ok((reader, streams))
    }
}

/// Somebody who reads one patient's past, page by page.
struct Reader {
    patient: PatientId,
    journal: Journal,
    readings: history::History,
    access: Arc<Access>,
    caller: Caller,
    /// The kinds that the caller was limited to when they asked; empty: to none.
    limited: BTreeSet<Kind>,
    turns: Arc<Semaphore>,
}

impl Reader {
    /// An answer, marked if it lacks what is no longer kept; refused if all of the time asked for is older.
    fn marked<T>(&self, (from_us, to_us): (i64, i64), answer: T) -> Result<Response<T>, Status> {
        let removed = self.journal.status().removed;
        let mut answer = Response::new(answer);
        // What was known then was measured before.
        if let Some((_, since)) = removed
            && from_us < since.as_micros()
        {
            if to_us <= since.as_micros() {
                return Err(error::not_kept(since));
            }
            answer
                .metadata_mut()
                .insert(error::KEPT_SINCE, since.as_micros().into());
        }
        Ok(answer)
    }

    /// Asked before every answer: a right can be taken back meanwhile.
    fn may(&self) -> Result<(), Status> {
        let check = self
            .access
            .check(&self.caller, Some(&self.patient), gate::Kind::History);
        check.map_err(error::denied)?;
        if self.access.within(&self.caller).kinds != self.limited {
            return Err(error::other_patients());
        }
        Ok(())
    }

    /// The kinds that are told of those that were named.
    fn kinds(&self, named: Vec<Kind>) -> Result<Vec<Kind>, Status> {
        let kinds = self.access.kinds(&self.caller, named);
        kinds.map_err(error::denied)
    }

    /// Noted before anything is told.
    async fn look(&self, seen: &Seen) -> Result<(), Status> {
        let patients = std::slice::from_ref(&self.patient);
        let noted = self.access.look(&self.caller, seen, patients).await;
        noted.map(drop).map_err(error::unnoted)
    }

    /// Held for the reading only: a client that does not read keeps nobody else waiting.
    async fn turn(&self) -> Result<SemaphorePermit<'_>, Status> {
        let turn = tokio::time::timeout(TURN, self.turns.acquire()).await;
        match turn {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(error::busy("questions about the past")),
        }
    }

    async fn page(
        &self,
        stream: StreamId,
        range: (Time, Time),
        after: Option<HistoryCursor>,
    ) -> Result<Page, Status> {
        let _turn = self.turn().await?;
        let page = self
            .journal
            .history(stream, range, after, Past::Waveforms)
            .await;
        page.map_err(|failed| error::journal(&failed))
    }

    async fn look_up(&self, wanted: Wanted, kinds: Vec<Kind>) -> Result<Found, Status> {
        let _turn = self.turn().await?;
        let (readings, patient) = (self.readings.clone(), self.patient.clone());
        let found =
            tokio::task::spawn_blocking(move || look_up(&readings, &patient, wanted, &kinds));
        match found.await {
            Ok(found) => found.map_err(|failed| error::history(&failed)),
            Err(_) => Err(Status::internal(
                "reading the history failed: report it to the makers",
            )),
        }
    }
}

fn look_up(
    history: &history::History,
    patient: &PatientId,
    wanted: Wanted,
    kinds: &[Kind],
) -> Result<Found, HistoryError> {
    Ok(match wanted {
        Wanted::Plan(times) => Found::Plan(history.plan(patient, times)?),
        Wanted::Readings(row) => match history.readings(patient, &row, kinds)? {
            Some(block) => Found::Readings(block),
            None => Found::Moved,
        },
        Wanted::Sums(rows, width) => {
            let sums = rows
                .iter()
                .map(|row| history.sums(patient, row, width, kinds));
            let sums: Option<Vec<_>> = sums.collect::<Result<_, _>>()?;
            sums.map_or(Found::Moved, Found::Sums)
        }
    })
}

/// An answer about readings in the making.
struct Answer {
    reader: Reader,
    kinds: Vec<Kind>,
    merge: Merge,
}

/// An answer about waveforms in the making.
struct WaveAnswer {
    reader: Reader,
    blocks: Blocks,
}

#[tonic::async_trait]
impl HistoryService for History {
    type QueryStream = Events<HistoryChunk>;

    async fn query(
        &self,
        request: Request<HistoryRequest>,
    ) -> Result<Response<Self::QueryStream>, Status> {
        let asked = request.get_ref();
        let (reader, _) = self.admit(&request, &asked.patient)?;
        let mut question = question(asked, self.journal.status().position)?;
        question.kinds = reader.kinds(question.kinds)?;
        let seen = Seen::of(AccessPart::Readings).kinds(question.kinds.clone());
        reader.look(&seen).await?;
        question.voids = hidden(
            &self.access.directory().voids(&reader.patient),
            question.limit,
        );
        let removed = self.journal.status().removed;
        question.floor = removed.map_or(0, |(below, _)| below.0);
        let marked = reader.marked((asked.from_us, asked.to_us), ())?;
        let reached = self.readings.reach(Position(question.limit.position)).await;
        reached.map_err(|failed| error::history(&failed))?;
        let answer = Answer {
            reader,
            kinds: question.kinds.clone(),
            merge: Merge::new(question),
        };
        Ok(marked.map(|()| -> Self::QueryStream {
            Box::pin(unfold(Some(answer), |answer| async move {
                let mut answer = answer?;
                let chunk = answer.next().await?;
                let goes_on = chunk.is_ok();
                Some((chunk, goes_on.then_some(answer)))
            }))
        }))
    }

    async fn coverage(
        &self,
        request: Request<CoverageRequest>,
    ) -> Result<Response<CoverageResponse>, Status> {
        let asked = request.get_ref();
        let (reader, _) = self.admit(&request, &asked.patient)?;
        current(&self.hub).await?;
        let kinds = reader.kinds(kinds(&asked.kinds)?)?;
        ordered(asked.from_us, asked.to_us)?;
        let seen = Seen::of(AccessPart::Coverage).kinds(kinds.clone());
        reader.look(&seen).await?;
        let patient = patient("patient", &asked.patient)?;
        let index = self
            .hub
            .find(&patient)
            .ok_or_else(|| error::not_found("patient"))?;
        let now = self.access.clock().now();
        let window = coverage::window(asked.from_us, asked.to_us, now);
        let lines = self.hub.coverage(index, &kinds, window, now);
        let mut over = coverage::removed(self.journal.status().removed);
        over.extend(self.readings.damaged_of(&patient).iter().map(coverage::bad));
        let answer =
            coverage::answer(window, now, &lines, &over).map_err(|coverage::TooMany| {
                error::invalid(
                    "to_us",
                    "too many stretches: ask for a shorter time or fewer kinds",
                )
            })?;
        Ok(Response::new(answer))
    }

    async fn begin_export(
        &self,
        request: Request<BeginExportRequest>,
    ) -> Result<Response<BeginExportResponse>, Status> {
        let caller = caller(&request)?;
        let asked = request.get_ref();
        ordered(asked.from_us, asked.to_us)?;
        let kinds = self.access.kinds(&caller, kinds(&asked.kinds)?);
        let kinds = kinds.map_err(error::denied)?;
        if !asked.facts.is_empty() {
            let twin = self.access.check(&caller, None, gate::Kind::Twin);
            twin.and_then(|()| self.access.whole(&caller))
                .map_err(error::denied)?;
        }
        let named = patients(&asked.patients)?;
        if asked
            .facts
            .iter()
            .any(|of| of.kind() == FactKind::Unspecified)
        {
            return Err(error::invalid(
                "facts.kind",
                "must be a kind of the contract",
            ));
        }
        current(&self.hub).await?;
        let may = |patient: &PatientId, what| self.access.check(&caller, Some(patient), what);
        // Before anything depends on whether there is such a patient.
        for patient in &named {
            may(patient, gate::Kind::History).map_err(error::denied)?;
        }
        let now = self.access.clock().now();
        let is_of = |patient: &PatientId| {
            let facts = self.patients.facts(patient);
            facts.is_ok_and(|known| cohort::takes(&asked.facts, &known.facts, now))
        };
        let (mut cohort, mut refused) = (Vec::new(), None);
        for (patient, _) in self.hub.patients() {
            if !named.is_empty() && !named.contains(&patient) {
                continue;
            }
            // What is known about a patient is for who may see the twin.
            let by_facts = || may(&patient, gate::Kind::Twin).is_ok() && is_of(&patient);
            let is_in = asked.facts.is_empty() || by_facts();
            match may(&patient, gate::Kind::History) {
                Ok(()) if is_in => cohort.push(patient),
                Ok(()) => {}
                Err(reason) => refused = Some(reason),
            }
        }
        if let (true, Some(reason)) = (cohort.is_empty(), refused) {
            return Err(error::denied(reason));
        }
        // Nobody took anything: nothing is noted.
        if cohort.is_empty() || asked.facts.is_empty() && cohort.len() < named.len() {
            return Err(error::not_found("patient"));
        }
        let known = self.journal.status().position;
        let entry = Entry::Exported {
            by: self.access.actor(&caller).name(),
            patients: cohort.clone(),
            kinds: kinds.clone(),
            from: Time::from_micros(asked.from_us),
            to: Time::from_micros(asked.to_us),
            known,
            pseudonymous: asked.pseudonymous,
        };
        let appended = self.journal.append(vec![entry.into()]).await;
        let appended = appended.map_err(|failed| error::journal(&failed))?;
        // For the patients to see, as other looks; the entry above says more.
        let seen = Seen::of(AccessPart::Copy)
            .kinds(kinds)
            .listed(!named.is_empty());
        let noted = self.access.look(&caller, &seen, &cohort).await;
        noted.map_err(error::unnoted)?;
        let patients = cohort.iter().map(|patient| patient.reveal().to_owned());
        Ok(Response::new(BeginExportResponse {
            patients: patients.collect(),
            known_at_position: known.0,
            position: appended.last.0,
        }))
    }

    async fn list_accesses(
        &self,
        request: Request<ListAccessesRequest>,
    ) -> Result<Response<ListAccessesResponse>, Status> {
        let caller = caller(&request)?;
        let patient = patient("patient", &request.get_ref().patient)?;
        self.access
            .check(&caller, Some(&patient), gate::Kind::Accesses)
            .map_err(error::denied)?;
        let looks = self.access.directory().looks(&patient);
        let accesses = looks.iter().rev().map(access_of).collect();
        Ok(Response::new(ListAccessesResponse { accesses }))
    }

    type WaveformsStream = Events<WaveformChunk>;

    async fn waveforms(
        &self,
        request: Request<WaveformRequest>,
    ) -> Result<Response<Self::WaveformsStream>, Status> {
        let asked = request.get_ref();
        let (reader, streams) = self.admit(&request, &asked.patient)?;
        let mut question = wave_question(asked)?;
        self.access.whole(&reader.caller).map_err(error::denied)?;
        reader.look(&Seen::of(AccessPart::Waveforms)).await?;
        let voids = self.access.directory().voids(&reader.patient);
        question.voids = voids.into_iter().map(|of| of.void).collect();
        let marked = reader.marked((asked.from_us, asked.to_us), ())?;
        let answer = WaveAnswer {
            reader,
            blocks: Blocks::new(question, streams),
        };
        Ok(marked.map(|()| -> Self::WaveformsStream {
            Box::pin(unfold(Some(answer), |answer| async move {
                let mut answer = answer?;
                let chunk = answer.next().await?;
                let goes_on = chunk.is_ok();
                Some((chunk, goes_on.then_some(answer)))
            }))
        }))
    }
}

fn access_of(look: &Look) -> v1::Access {
    let Sight {
        part,
        kinds,
        named,
        door,
    } = &look.sight;
    v1::Access {
        by: look.by.clone(),
        role: look.role.into(),
        teams: look.teams.clone(),
        part: (*part).into(),
        kinds: kinds.iter().map(|kind| kind.wire()).collect(),
        named: *named,
        door: (*door).into(),
        from_us: look.from.as_micros(),
        last_us: look.last.as_micros(),
        until_us: look.until.as_micros(),
    }
}

fn wave_question(asked: &WaveformRequest) -> Result<WaveQuestion, Status> {
    let waves = asked.waves.iter().map(|number| {
        let wave = Wave::from_wire(*number);
        wave.ok_or_else(|| {
            error::invalid("waves", "must be waves of the contract, not UNSPECIFIED")
        })
    });
    let waves = waves.collect::<Result<Vec<_>, _>>()?;
    ordered(asked.from_us, asked.to_us)?;
    Ok(WaveQuestion {
        waves,
        from: Time::from_micros(asked.from_us),
        to: Time::from_micros(asked.to_us),
        voids: Vec::new(),
    })
}

impl WaveAnswer {
    async fn next(&mut self) -> Option<Result<WaveformChunk, Status>> {
        loop {
            if let Err(denied) = self.reader.may() {
                return Some(Err(denied));
            }
            if let Some(chunk) = self.blocks.next_chunk() {
                return Some(Ok(chunk));
            }
            let (stream, range, after) = self.blocks.wants()?;
            match self.reader.page(stream, range, after).await {
                Ok(page) => self.blocks.take(&page),
                Err(status) => return Some(Err(status)),
            }
        }
    }
}

fn ordered(from_us: i64, to_us: i64) -> Result<(), Status> {
    if from_us >= to_us {
        return Err(error::invalid("to_us", "must be later than from_us"));
    }
    Ok(())
}

fn question(asked: &HistoryRequest, newest: Position) -> Result<Question, Status> {
    let kinds = kinds(&asked.kinds)?;
    ordered(asked.from_us, asked.to_us)?;
    if asked.max_points == 1 || asked.max_points > MAX_POINTS {
        return Err(error::invalid(
            "max_points",
            "must be 0 (all), or from 2 to 20000",
        ));
    }
    let width = match Resolution::try_from(asked.resolution) {
        Ok(Resolution::Unspecified | Resolution::Raw) => None,
        Ok(Resolution::Minute) => Some(Width::Minute),
        Ok(Resolution::Hour) => Some(Width::Hour),
        Err(_) => {
            let hint = "must be RAW, MINUTE or HOUR";
            return Err(error::invalid("resolution", hint));
        }
    };
    let whole = asked.max_points == 0;
    if width.is_some() && !whole {
        let hint = "must be 0 with this resolution";
        return Err(error::invalid("max_points", hint));
    }
    if asked.provenance && (width.is_some() || !whole) {
        let hint = "is there for all raw readings only: max_points 0";
        return Err(error::invalid("provenance", hint));
    }
    if asked.device_times && width.is_some() {
        let hint = "are there for raw readings only";
        return Err(error::invalid("device_times", hint));
    }
    let mut limit = Limit {
        position: match asked.known_at_position {
            0 => newest.0,
            asked => asked.min(newest.0),
        },
        known: match asked.known_at_us {
            0 => i64::MAX,
            asked => asked.div_euclid(1000),
        },
    };
    // The first whole millisecond in the range, and the first one after it.
    let up = |micros: i64| micros.div_euclid(1000) + i64::from(micros.rem_euclid(1000) > 0);
    let (mut from, mut to) = match width {
        None => (asked.from_us.div_euclid(1000), up(asked.to_us)),
        Some(width) => {
            let millis = width.millis();
            let begin = asked.from_us.div_euclid(1000).div_euclid(millis) * millis;
            (
                begin,
                (up(asked.to_us) + millis - 1).div_euclid(millis) * millis,
            )
        }
    };
    let name = Token::name(asked);
    if !asked.resume.is_empty() {
        let token = Token::decode(&asked.resume, name).ok_or_else(|| {
            let hint = "is not from an answer to this question: ask from the beginning";
            error::invalid("resume", hint)
        })?;
        limit = token.limit;
        limit.position = limit.position.min(newest.0);
        from = from.max(token.next);
        to = to.max(from);
    }
    Ok(Question {
        kinds,
        from,
        to,
        max_points: asked.max_points as usize,
        device_times: asked.device_times,
        provenance: asked.provenance,
        width,
        limit,
        floor: 0,
        voids: Vec::new(),
        name,
    })
}

/// What is not told as of a moment. Times of readings are whole milliseconds here.
fn hidden(voids: &[Voided], limit: Limit) -> Vec<Hidden> {
    let by_then = voids.iter().filter(|of| {
        of.position.0 <= limit.position && of.since.as_micros().div_euclid(1000) <= limit.known
    });
    let hidden = by_then.map(|Voided { void, .. }| Hidden {
        origin: Origin {
            stream: void.stream,
            source: void.source,
        },
        from: void.from.as_micros().div_euclid(1000),
        to: void.to.as_micros().saturating_add(999).div_euclid(1000),
    });
    hidden.collect()
}

impl Answer {
    async fn next(&mut self) -> Option<Result<HistoryChunk, Status>> {
        loop {
            if let Err(denied) = self.reader.may() {
                return Some(Err(denied));
            }
            if let Some(chunk) = self.merge.next_chunk() {
                return Some(Ok(chunk));
            }
            let wanted = self.merge.wants()?;
            let found = match self.reader.look_up(wanted, self.kinds.clone()).await {
                Ok(found) => found,
                Err(status) => return Some(Err(status)),
            };
            if let Err(TooMany) = self.merge.take(found) {
                let hint = "too many readings lie across each other: ask for a shorter time";
                return Some(Err(error::invalid("to_us", hint)));
            }
        }
    }
}
