//! One life of the centre: the production journal, books, ingest, fold and hub, with nothing but time, disk and line
//! replaced. Futures are polled by hand, so all of it is one thread and as deterministic as its inputs.
//!
//! Must not know: the network, agents, what must hold.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use prost::Message as _;
use proto::clock::Clock;
use proto::seal::{Secret, crypto::sha256};
use proto::v1::{self, CentreToGateway, GatewayToCentre};
use vitals::{GatewayId, PatientId, Time};
use vitaltwin_aggregator::counters::Transport;
use vitaltwin_aggregator::ingest::{
    Flow, Ingest, Late, Parts, Replies, Room, Session, command_message,
};
use vitaltwin_aggregator::journal::{
    Appended, Committed, Desk, Entry, Feed, Journal, JournalError, Log, Position,
};
use vitaltwin_aggregator::patient::Fold;
use vitaltwin_aggregator::publish::{
    AlertIds, At, CursorKey, Events, Hub, Limits, PatientIndex, Source,
};
use vitaltwin_aggregator::registry::Books;

use crate::rereading::{self, Logs};
use crate::shelf::Shelf;
use crate::stock::Stock;

/// Messages that a door hands over at once, as the real ones do.
const TOGETHER: usize = 8;

/// A change that was published, in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Twin(At, PatientIndex),
    /// With a hash of the whole message.
    Alert(At, PatientIndex, [u8; 32]),
}

impl Told {
    pub(crate) const fn at(&self) -> At {
        match self {
            Self::Twin(at, _) | Self::Alert(at, ..) => *at,
        }
    }
}

/// The second implementation of published events: a tape of all of them, beside the hub that readers ask.
pub(crate) struct Tape {
    hub: Arc<Hub>,
    told: Mutex<Vec<Told>>,
    /// Planted: alerts of which this is the patient are not published.
    drops_alerts: bool,
}

impl Tape {
    fn note(&self, told: Told) {
        let mut tape = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        tape.push(told);
    }

    pub(crate) fn told(&self) -> Vec<Told> {
        let tape = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        tape.clone()
    }
}

impl Events for Tape {
    fn begin_epoch(&self, epoch: u64) {
        self.hub.begin_epoch(epoch);
    }

    fn add_patient(&self, id: PatientId, source: Arc<dyn Source>) -> PatientIndex {
        self.hub.add_patient(id, source)
    }

    fn twin_changed(&self, index: PatientIndex, at: At) {
        self.note(Told::Twin(at, index));
        self.hub.twin_changed(index, at);
    }

    fn alert_changed(&self, index: PatientIndex, at: At, key: String, alert: v1::Alert) {
        if self.drops_alerts && index.0 == 0 {
            return;
        }
        let hash = sha256(&[&alert.encode_to_vec()]);
        self.note(Told::Alert(at, index, hash));
        self.hub.alert_changed(index, at, key, alert);
    }

    fn folded(&self, position: u64) {
        self.hub.folded(position);
    }
}

/// Fold and hub that have seen nothing.
pub(crate) fn empty_fold(
    drops_alerts: bool,
    shelf: &Shelf,
    forgets: bool,
) -> (Fold<Tape>, Arc<Tape>, Arc<Hub>) {
    let secret = Secret::new([7; 32]);
    let limits = Limits::default();
    let hub = Arc::new(Hub::new(CursorKey::new(secret.clone()), limits));
    let tape = Arc::new(Tape {
        hub: Arc::clone(&hub),
        told: Mutex::default(),
        drops_alerts,
    });
    let vault = Arc::clone(&Stock::get().vault);
    let logs = Logs::new(Arc::new(shelf.clone()), vault, forgets);
    let fold = Fold::new(Arc::clone(&tape), AlertIds::new(secret));
    (fold.reading(Arc::new(logs)), tape, hub)
}

/// The state of each patient's twin, as the hub shows it: place of its newest change, and its hash.
pub(crate) type States = BTreeMap<String, (u64, Vec<u8>)>;

pub(crate) fn states(hub: &Hub) -> States {
    let of = |(id, index): (PatientId, PatientIndex)| {
        let twin = hub.view(index).twin;
        let state = (twin.position, twin.state_hash.clone());
        (id.reveal().to_owned(), state)
    };
    hub.patients().into_iter().map(of).collect()
}

/// A future that is polled by hand.
type Slow<T> = Pin<Box<dyn Future<Output = T>>>;

fn poll<T>(slow: &mut Slow<T>) -> Option<T> {
    match slow.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}

/// A gateway's connection, as a door holds it.
struct Door {
    house: usize,
    link: u64,
    session: Arc<Session>,
    commands_after: Option<u64>,
    waiting: VecDeque<GatewayToCentre>,
    busy: Option<Slow<Replies>>,
}

/// An answer: for which house's connection, and what.
pub(crate) type Answer = (usize, u64, CentreToGateway);

/// What the planted bugs change in a centre.
#[derive(Clone, Copy, Default)]
pub(crate) struct Planted {
    pub(crate) drops_alerts: bool,
    pub(crate) other_time: bool,
    pub(crate) forgets_meanwhile: bool,
    pub(crate) forgets_behind: bool,
    pub(crate) open_door: bool,
}

pub(crate) struct Centre {
    clock: Clock,
    books: Arc<Books>,
    journal: Journal,
    desk: Desk,
    feed: Feed,
    fold: Fold<Tape>,
    pub(crate) tape: Arc<Tape>,
    pub(crate) hub: Arc<Hub>,
    ingest: Arc<Ingest>,
    doors: BTreeMap<usize, Door>,
    /// What connections that are gone were about: a door finishes what it took, and nobody hears the answer.
    endings: Vec<Slow<Replies>>,
    acts: Vec<Slow<Result<Appended, JournalError>>>,
    tick: Option<Slow<Result<Appended, JournalError>>>,
    looked: Position,
    other_time: bool,
    began: Instant,
    /// Planted: what becomes durable after this while the twins are not current is not folded.
    forgets_after: Option<Position>,
}

impl Centre {
    /// Opens the log, as far as it must be known before anybody is let in: the fold catches up behind the open doors
    /// ([`Centre::catch_up`]).
    pub(crate) fn open(
        shelf: &Shelf,
        clock: Clock,
        planted: Planted,
    ) -> Result<Self, JournalError> {
        let stock = Stock::get();
        let books = Arc::new(Books::new(Arc::clone(&stock.vault)));
        let keeper = Arc::clone(&books);
        let log = Log::on(Arc::new(shelf.clone()), clock, keeper)?;
        let (fold, tape, hub) = empty_fold(planted.drops_alerts, shelf, planted.forgets_meanwhile);
        log.survey(Position::START)?;
        let looked = Position(log.next().0 - 1);
        let forgets_after = planted.forgets_behind.then_some(looked);
        let watched = if planted.open_door {
            empty_fold(false, shelf, false).2
        } else {
            Arc::clone(&hub)
        };
        if planted.open_door {
            watched.ready();
        }
        let (journal, feed, desk) = log.by_hand_behind(Position::START)?;
        let ingest = Arc::new(Ingest::new(Parts {
            books: Arc::clone(&books),
            journal: journal.clone(),
            command_key: stock.command_key(),
            ca: stock.ca.clone(),
            clock,
            counters: Arc::default(),
            flow: Flow::default(),
            room: Arc::new(Room::new(std::path::PathBuf::new(), 0)),
            late: Late::of(&watched, clock),
        }));
        Ok(Self {
            clock,
            books,
            journal,
            desk,
            feed,
            fold,
            tape,
            hub,
            ingest,
            doors: BTreeMap::new(),
            endings: Vec::new(),
            acts: Vec::new(),
            tick: None,
            looked,
            other_time: planted.other_time,
            began: clock.moment(),
            forgets_after,
        })
    }

    /// The fold reads so many entries more of what it does not know yet; true: it knows all, and goes on from the feed. Each
    /// is told to `seen` with the hub that knows it.
    pub(crate) fn catch_up(
        &mut self,
        most: usize,
        mut seen: impl FnMut(&Committed, &Hub),
    ) -> Result<bool, JournalError> {
        let (fold, hub, mut left) = (&mut self.fold, &self.hub, most);
        let forgets_after = self.forgets_after;
        let done = self.feed.catch_up(|committed| {
            if forgets_after.is_none_or(|after| committed.position <= after) {
                fold.apply(&committed);
            }
            seen(&committed, hub);
            left -= 1;
            left > 0
        })?;
        if done {
            self.hub.ready();
        }
        Ok(done)
    }

    /// How long it has been open with twins that are not current.
    pub(crate) fn unwatched(&self) -> Duration {
        let waited = self.clock.moment().saturating_duration_since(self.began);
        if self.is_behind() {
            waited
        } else {
            Duration::ZERO
        }
    }

    /// Readers wait, and no deadline is asked for.
    pub(crate) const fn is_behind(&self) -> bool {
        self.feed.is_behind()
    }

    pub(crate) const fn books(&self) -> &Arc<Books> {
        &self.books
    }

    /// Why the store stopped; empty while it works.
    pub(crate) fn stopped(&self) -> String {
        self.journal.status().stopped
    }

    /// What people do, all in one append.
    pub(crate) fn act(&mut self, entries: Vec<Entry>) {
        let journal = self.journal.clone();
        let drafts = entries.into_iter().map(Into::into).collect();
        self.acts
            .push(Box::pin(async move { journal.append(drafts).await }));
    }

    /// A gateway connects; an older connection of it ends.
    pub(crate) fn connect(&mut self, house: usize, link: u64) -> bool {
        let gateway: &GatewayId = Stock::get().gateway(house);
        if !self.ingest.may_write(gateway) {
            return false;
        }
        let sessions = self.ingest.sessions();
        let session = sessions.open(gateway.clone(), Transport::Grpc, self.clock.now());
        let door = Door {
            house,
            link,
            session: Arc::new(session),
            commands_after: None,
            waiting: VecDeque::new(),
            busy: None,
        };
        let before = self.doors.insert(house, door);
        self.endings.extend(before.and_then(|door| door.busy));
        true
    }

    /// The connection is gone, and the door noticed.
    pub(crate) fn disconnect(&mut self, house: usize, link: u64) {
        if self.link(house) == Some(link) {
            let gone = self.doors.remove(&house);
            self.endings.extend(gone.and_then(|door| door.busy));
        }
    }

    /// The connection of a house that is open at this end.
    pub(crate) fn link(&self, house: usize) -> Option<u64> {
        self.doors.get(&house).map(|door| door.link)
    }

    /// A message comes in by the open connection of a house.
    pub(crate) fn take(&mut self, house: usize, message: GatewayToCentre) {
        if let Some(door) = self.doors.get_mut(&house) {
            door.waiting.push_back(message);
        }
    }

    /// Goes as far as it can without the disk. True: something waits for it.
    pub(crate) fn go_on(&mut self, answers: &mut Vec<Answer>) -> bool {
        self.endings.retain_mut(|ending| poll(ending).is_none());
        for door in self.doors.values_mut() {
            door.go_on(&self.ingest, answers);
        }
        self.acts.retain_mut(|act| poll(act).is_none());
        if let Some(tick) = &mut self.tick
            && poll(tick).is_some()
        {
            self.tick = None;
        }
        self.tick_if_due();
        self.tick.is_some()
            || !self.acts.is_empty()
            || !self.endings.is_empty()
            || self.doors.values().any(|door| door.busy.is_some())
    }

    /// When time alone asks for a tick, by the centre's clock.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let next = self.fold.next_deadline();
        next.filter(|_| self.tick.is_none() && !self.is_behind())
    }

    fn tick_if_due(&mut self) {
        if self
            .deadline()
            .is_some_and(|due| due <= self.clock.now() && self.stopped().is_empty())
        {
            let journal = self.journal.clone();
            let mut tick: Slow<_> =
                Box::pin(async move { journal.append(vec![Entry::Tick.into()]).await });
            self.tick = poll(&mut tick).is_none().then_some(tick);
        }
    }

    /// The disk is done with one group: it is committed, fed, folded and answered. What was committed is told.
    pub(crate) fn commit(&mut self, mut seen: impl FnMut(&Committed)) {
        self.desk.turn();
        while let Some(mut committed) = self.feed.try_recv() {
            seen(&committed);
            if self.other_time {
                committed.known = committed.known + vitals::Span::from_micros(3);
            }
            self.fold.apply(&committed);
        }
        if !self.is_behind() {
            self.read_again();
        }
    }

    /// What the fold's own task does: a step for a void, and once all is read, it is settled.
    fn read_again(&mut self) {
        let Some(reading) = self.fold.rereading() else {
            return;
        };
        let durable = self.journal.status().position;
        if rereading::step(&reading, durable).is_ok_and(|all| all) {
            self.act(vec![reading.ask()]);
        }
    }

    /// Doors tell gateways what changed for them.
    pub(crate) fn look_again(&mut self, answers: &mut Vec<Answer>) {
        let changed = *self.books.changes().borrow();
        if changed <= self.looked {
            return;
        }
        self.looked = changed;
        for door in self.doors.values_mut() {
            let Some(after) = door.commands_after else {
                continue;
            };
            let (commands, after) = self.ingest.commands(door.session.gateway(), after);
            door.commands_after = Some(after);
            let commands = commands.into_iter().map(command_message);
            answers.extend(commands.map(|command| (door.house, door.link, command)));
        }
    }

    /// An entry on which the fold of a twin panicked.
    pub(crate) fn panicked(&self) -> Option<u64> {
        self.fold.broken().first().map(|broken| broken.position)
    }
}

impl Door {
    fn go_on(&mut self, ingest: &Arc<Ingest>, answers: &mut Vec<Answer>) {
        loop {
            if self.busy.is_none() {
                if self.waiting.is_empty() {
                    return;
                }
                let count = self.waiting.len().min(TOGETHER);
                let messages: Vec<_> = self.waiting.drain(..count).collect();
                let (ingest, session) = (Arc::clone(ingest), Arc::clone(&self.session));
                self.busy = Some(Box::pin(
                    async move { ingest.handle(&session, messages).await },
                ));
            }
            let Some(replies) = self.busy.as_mut().and_then(poll) else {
                return;
            };
            self.busy = None;
            self.commands_after = replies.commands_after.or(self.commands_after);
            let answer = |message| (self.house, self.link, message);
            answers.extend(replies.messages.into_iter().map(answer));
        }
    }
}
