//! One schedule: everything that happens between agents, line, centre, disks, clocks and readers, one event after the
//! other, as the seed's dice say; and the properties, judged on the way and at the end.

mod catching;
mod end;
mod houses;
mod line;
mod readers;
mod troubles;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

use proto::clock::{Clock, Hands};
use proto::seal::parse_header;
use proto::v1::{
    CentreToGateway, GatewayToCentre, centre_to_gateway as down, gateway_to_centre as up,
};
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use vitals::{ContextId, Span, StreamId, Time};
use vitaltwin_aggregator::journal::{Entry, Position, Replay};
use vitaltwin_aggregator::registry::Books;

use crate::card::Extent;
use crate::centre::{self, Centre, Told, empty_fold, states};
use crate::house::{self, House};
use crate::plan::{Bug, Plan, Property, START, Violation, Weather, bpm, broken, dice};
use crate::shelf::{Fate, Shelf};
use crate::stock::Stock;
use crate::truth::Truth;
use crate::watcher::{Alerts, Twins};

/// After the last fault, fresh readings of everybody are in the journal within this: a line that is found dead (40 s),
/// a wait to connect (30 s), a context that rests (60 s), and some room.
const RECOVERY: Span = Span::from_secs(180);
/// And everything is delivered within this: several of the longest waits to send again (300 s).
const DELIVERY: Span = Span::from_mins(25);
/// Receipts tell gateways that the centre watches. Its twins may be behind for less than the 180 s after which they watch
/// themselves: for what it states, and what was on its way to a slow disk.
const UNWATCHED: Duration = Duration::from_secs(150);
/// After the last fault values come more rarely: nothing is learned from them but that they come.
const CALM_BEAT: Span = Span::from_secs(6);
/// Messages that a line takes before the first has arrived.
const LINE_LENGTH: usize = 16;
/// More than any schedule needs.
const MOST_EVENTS: u64 = 400_000;

/// What happens.
enum Event {
    /// A patient's sensor has a value.
    Beat(usize),
    /// An agent's deadline, of one life.
    Wake(usize, u64),
    CardDone(usize, u64),
    /// The bool: a copy that came twice.
    ToCentre(usize, u64, Box<GatewayToCentre>, bool),
    ToHouse(usize, u64, Box<CentreToGateway>),
    Connect(usize, u64),
    /// The agent's end of a connection notices that it is gone.
    LineDown(usize, u64),
    /// The centre's end does.
    DoorGone(usize, u64),
    HouseStart(usize),
    /// A clock that was behind is set right.
    ClockRight(usize, u64),
    CentreStart,
    /// The fold reads on in what was durable at the start, and since.
    CatchUp(u64),
    Commit(u64),
    CentreWake(u64),
    /// Somebody starts a centre anew whose store stopped.
    Operator(u64),
    Read,
    Trouble,
    /// A house has no line until all is well.
    Cut(usize),
    Heal,
    Recovered,
    Delivered,
}

/// An agent's line.
#[derive(Default)]
struct Line {
    up: Option<u64>,
    since: Time,
    next: u64,
    /// Nothing passes, and nobody noticed yet.
    is_hole: bool,
    cut_until: Time,
    /// Until when what was sent is on its way.
    order: (Time, Time),
    sending: usize,
}

struct Post {
    at: Time,
    number: u64,
    event: Event,
}

impl PartialEq for Post {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Post {}

impl PartialOrd for Post {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Post {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// What became of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// A hash of everything that happened.
    pub(crate) trace: u64,
    pub(crate) events: u64,
    pub(crate) simulated: Span,
    pub(crate) readings: u64,
    pub(crate) entries: u64,
    pub(crate) alerts: usize,
    pub(crate) crashes: u64,
}

/// Why a schedule failed, with the last of what happened.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) violation: Violation,
    pub(crate) trace: Vec<String>,
}

pub(crate) struct World {
    dice: ChaCha8Rng,
    plan: Plan,
    bug: Option<Bug>,
    now: Time,
    posts: BinaryHeap<Reverse<Post>>,
    posted: u64,
    houses: Vec<House>,
    lines: Vec<Line>,
    wakes: Vec<Option<Time>>,
    card_busy: Vec<bool>,
    centre: Option<Centre>,
    life: u64,
    ahead: Span,
    /// What its clock showed at most: what is due then by its journal is not due before.
    furthest: Time,
    hands: &'static Hands,
    committing: bool,
    slow_disk: Span,
    wake: Option<Time>,
    shelf: Shelf,
    /// What the last centre published.
    tape: Vec<Told>,
    truth: Truth,
    twins: Twins,
    alerts: Alerts,
    names: HashMap<ContextId, u64>,
    beats: u64,
    quiet_until: Vec<Time>,
    weather: Weather,
    healed: bool,
    is_over: bool,
    crashes: u64,
    trace: VecDeque<String>,
    kept: usize,
    hash: u64,
}

thread_local! {
    /// One for all schedules of a thread: a clock lives as long as the process.
    static HANDS: &'static Hands = Hands::at(START);
}

/// Runs the schedule of a seed, and keeps the last of what happened, so many lines.
pub(crate) fn run(seed: u64, bug: Option<Bug>, kept: usize) -> Result<Report, Box<Failure>> {
    let mut world = World::new(seed, bug, kept);
    match world.work() {
        Ok(()) => Ok(world.report()),
        Err(violation) => Err(Box::new(Failure {
            violation,
            trace: world.trace.into(),
        })),
    }
}

impl World {
    fn new(seed: u64, bug: Option<Bug>, kept: usize) -> Self {
        let mut dice = dice(seed);
        let plan = Plan::of(&mut dice);
        let planted = house::Planted {
            values_again: bug == Some(Bug::ValuesAgain),
            quiet_loss: bug == Some(Bug::QuietLoss),
            endless_backoff: bug == Some(Bug::EndlessBackoff),
            hanging_writer: bug == Some(Bug::HangingWriter),
            swapped_devices: bug == Some(Bug::SwappedDevices),
        };
        let houses = (0..plan.houses).map(|number| House::new(number, planted));
        let mut world = Self {
            houses: houses.collect(),
            lines: (0..plan.houses).map(|_| Line::default()).collect(),
            wakes: vec![None; plan.houses],
            card_busy: vec![false; plan.houses],
            quiet_until: vec![START; plan.patients.len()],
            weather: plan.weather,
            dice,
            bug,
            now: START,
            posts: BinaryHeap::new(),
            posted: 0,
            centre: None,
            life: 0,
            ahead: Span::ZERO,
            furthest: START,
            hands: HANDS.with(|hands| *hands),
            committing: false,
            slow_disk: Span::ZERO,
            wake: None,
            shelf: Shelf::new(bug == Some(Bug::ForgottenSync)),
            tape: Vec::new(),
            truth: Truth::default(),
            twins: Twins::new(bug == Some(Bug::StaleCursor)),
            alerts: Alerts::default(),
            names: HashMap::new(),
            beats: 0,
            healed: false,
            is_over: false,
            crashes: 0,
            trace: VecDeque::new(),
            kept,
            hash: 0xcbf2_9ce4_8422_2325,
            plan,
        };
        world.post(Span::ZERO, Event::CentreStart);
        for house in 0..world.houses.len() {
            world.post(Span::from_millis(500), Event::HouseStart(house));
        }
        for patient in 0..world.plan.patients.len() {
            let begin = world.between(1000, 5000);
            world.post(begin, Event::Beat(patient));
        }
        world.post(Span::from_secs(7), Event::Read);
        world.post(Span::from_secs(20), Event::Trouble);
        if let Some((house, at)) = world.plan.cut {
            world.post(at.since(START), Event::Cut(house));
        }
        if world.plan.slow_fold {
            // Once there is something to catch up with, and with time enough to be late.
            let begin = world.between(50_000, 80_000);
            world.post(begin, Event::Operator(1));
        }
        let heal = world.plan.heal.since(START);
        world.post(heal, Event::Heal);
        world.post(heal + RECOVERY, Event::Recovered);
        world.post(heal + RECOVERY + RECOVERY, Event::Delivered);
        world
    }

    fn post(&mut self, after: Span, event: Event) {
        self.posted += 1;
        let post = Post {
            at: self.now + after,
            number: self.posted,
            event,
        };
        self.posts.push(Reverse(post));
    }

    /// A span of so many milliseconds.
    fn between(&mut self, least: i64, most: i64) -> Span {
        Span::from_millis(self.dice.random_range(least..=most))
    }

    fn one_in(&mut self, count: u32) -> bool {
        self.dice.random_range(0..count) == 0
    }

    /// What happened is part of the schedule's hash (FNV-1a).
    fn mix(&mut self, what: u64) {
        let at = self.now.as_micros().cast_unsigned();
        for part in [at, what] {
            self.hash = (self.hash ^ part).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn note(&mut self, what: impl FnOnce() -> String) {
        let at = self.now.since(START).as_micros();
        let line = format!("{:>4}.{:06} {}", at / 1_000_000, at % 1_000_000, what());
        for byte in line.bytes() {
            self.mix(byte.into());
        }
        if self.trace.len() == self.kept {
            self.trace.pop_front();
        }
        self.trace.push_back(line);
    }

    fn set_clock(&self) {
        let passed = u64::try_from(self.now.since(START).as_micros()).unwrap_or(0);
        self.hands
            .set(self.now + self.ahead, Duration::from_micros(passed));
    }

    fn work(&mut self) -> Result<(), Violation> {
        while !self.is_over {
            let Some(Reverse(post)) = self.posts.pop() else {
                return broken(Property::P8, "nothing happens any more");
            };
            if self.posted > MOST_EVENTS {
                return broken(Property::P8, "it never comes to rest");
            }
            self.now = self.now.max(post.at);
            self.set_clock();
            self.happen(post.event)?;
        }
        self.judge()
    }

    fn happen(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Beat(patient) => self.beat(patient),
            Event::Wake(house, life) => {
                // One that an earlier took the place of would go on beside it for ever.
                let is_due = self.wakes[house].is_some_and(|at| at <= self.now);
                if self.houses[house].life == life && is_due {
                    self.wakes[house] = None;
                    self.houses[house].tick(self.now);
                    self.after_house(house);
                }
            }
            Event::CardDone(house, life) => {
                if self.houses[house].life == life {
                    self.card_busy[house] = false;
                    self.houses[house].card_done(self.now);
                    self.after_house(house);
                }
            }
            Event::ToCentre(house, link, message, again) => {
                return self.arrive(house, link, *message, again);
            }
            Event::ToHouse(house, link, message) => {
                let up = self.lines[house].up;
                if up == Some(link) || (self.weather.broker && up.is_some()) {
                    self.houses[house].hear(*message, self.now);
                    self.after_house(house);
                }
            }
            Event::Connect(house, life) => return self.connect(house, life),
            Event::LineDown(house, link) => {
                if self.lines[house].up == Some(link) {
                    self.line_down(house, "down");
                }
            }
            Event::DoorGone(house, link) => {
                if let Some(centre) = &mut self.centre {
                    centre.disconnect(house, link);
                }
            }
            Event::HouseStart(house) => self.start_house(house),
            Event::ClockRight(house, life) => {
                if self.houses[house].life == life {
                    self.clock_right(house);
                }
            }
            Event::CentreStart => return self.start_centre(),
            Event::CatchUp(life) => return self.catch_up(life),
            Event::Commit(life) => return self.commit(life),
            Event::CentreWake(life) => {
                if self.life == life && self.wake.is_some_and(|at| at <= self.now) {
                    self.wake = None;
                    return self.after_centre();
                }
            }
            Event::Operator(life) => {
                if self.life == life && self.centre.is_some() {
                    self.crash_centre("is started anew");
                    self.post(Span::from_secs(1), Event::CentreStart);
                }
            }
            Event::Read => return self.read(),
            Event::Trouble => self.trouble(),
            Event::Cut(house) => self.cut_off(house, self.plan.heal),
            Event::Heal => self.heal(),
            Event::Recovered => return self.recovered(),
            Event::Delivered => return self.delivered(),
        }
        Ok(())
    }

    // The centre.

    fn start_centre(&mut self) -> Result<(), Violation> {
        if self.centre.is_some() {
            return Ok(());
        }
        // Whoever starts it sets its clock right.
        self.furthest = self.furthest.max(self.now + self.ahead);
        self.ahead = Span::ZERO;
        self.set_clock();
        self.life += 1;
        (self.committing, self.wake) = (false, None);
        let planted = centre::Planted {
            drops_alerts: self.bug == Some(Bug::DroppedAlerts),
            other_time: self.bug == Some(Bug::OtherTime),
            forgets_meanwhile: self.bug == Some(Bug::ForgottenMeanwhile),
            forgets_behind: self.bug == Some(Bug::ForgottenBehind),
            open_door: self.bug == Some(Bug::OpenDoor),
        };
        let clock = Clock::by_hand(self.hands);
        let centre = match Centre::open(&self.shelf, clock, planted) {
            Ok(centre) => centre,
            Err(error) => return broken(Property::P1, format!("no journal: {error}")),
        };
        let last = self.shelf.durable();
        let has = |context, number| {
            let registry = centre.books().registry();
            let context = registry.context(context);
            context.is_some_and(|of| of.journaled.contains(number))
        };
        self.truth.reopened(last, has)?;
        let is_new = centre.books().registry().epoch() == 0;
        let (life, ends) = (self.life, last.0);
        self.note(|| format!("centre: starts, life {life}, {ends} entries"));
        let centre = self.centre.insert(centre);
        if is_new {
            let entries = catching::first_entries(&self.plan, centre.books());
            centre.act(entries);
        }
        self.post(Span::from_millis(1), Event::CatchUp(self.life));
        self.after_centre()
    }

    fn crash_centre(&mut self, why: &str) {
        let Some(centre) = self.centre.take() else {
            return;
        };
        self.note(|| format!("centre: {why}"));
        self.crashes += 1;
        if centre.is_behind() {
            self.note(|| "centre: its twins were not current".into());
        } else {
            let position = Position(centre.hub.position());
            self.truth.stood = Some((position, states(&centre.hub)));
            self.tape = centre.tape.told();
        }
        drop(centre);
        self.twins.leave();
        self.alerts.leave();
        self.shelf.power_off();
        self.life += 1;
        for house in 0..self.houses.len() {
            if let Some(link) = self.lines[house].up {
                let noticed = if self.one_in(3) {
                    self.between(5_000, 40_000)
                } else {
                    self.between(0, 200)
                };
                self.lines[house].is_hole = true;
                self.post(noticed, Event::LineDown(house, link));
            }
        }
    }

    fn commit(&mut self, life: u64) -> Result<(), Violation> {
        if self.life != life {
            return Ok(());
        }
        self.committing = false;
        let Some(centre) = &mut self.centre else {
            return Ok(());
        };
        let (truth, mut found) = (&mut self.truth, Ok(()));
        let mut first = None;
        centre.commit(|committed| {
            first.get_or_insert(committed.position);
            if found.is_ok() {
                found = truth.committed(committed);
            }
        });
        found?;
        if let Some(position) = centre.panicked() {
            return broken(Property::P5, format!("a twin panicked on entry {position}"));
        }
        let stopped = centre.stopped();
        if let Some(first) = first {
            self.mix(first.0);
        }
        if stopped.contains("the power went") {
            self.crash_centre("power cut in a commit");
            let down = self.between(500, 60_000);
            self.post(down, Event::CentreStart);
            return Ok(());
        }
        if !stopped.is_empty() {
            self.note(|| format!("centre: the store stopped: {stopped}"));
            let later = self.between(10_000, 60_000);
            self.post(later, Event::Operator(life));
        }
        self.after_centre()
    }

    /// Carries out what the centre wants.
    fn after_centre(&mut self) -> Result<(), Violation> {
        let Some(centre) = &mut self.centre else {
            return Ok(());
        };
        let mut answers = Vec::new();
        let waits = centre.go_on(&mut answers);
        centre.look_again(&mut answers);
        let names = &self.names;
        let name = |message: &CentreToGateway| match &message.kind {
            Some(down::Kind::Receipt(receipt)) => {
                let context = ContextId::from_slice(&receipt.context);
                context.and_then(|context| names.get(&context).copied())
            }
            Some(
                down::Kind::Command(_)
                | down::Kind::Refusal(_)
                | down::Kind::ContextAdmitted(_)
                | down::Kind::PieceTaken(_),
            )
            | None => None,
        };
        // Receipts come in the order of random ids: the dice must not see that.
        for run in answers.chunk_by_mut(|(house, _, a), (other, _, b)| {
            house == other && name(a).is_some() && name(b).is_some()
        }) {
            run.sort_by_key(|(_, _, message)| name(message));
        }
        for (_, _, message) in &answers {
            if let Some(down::Kind::Receipt(receipt)) = &message.kind {
                if centre.unwatched() > UNWATCHED {
                    let what = "a receipt tells a gateway that somebody watches, and nobody does";
                    return broken(Property::P6, what);
                }
                let registry = centre.books().registry();
                self.truth.receipt(receipt, |context, number| {
                    let context = registry.context(context);
                    context.is_some_and(|of| of.journaled.contains(number))
                })?;
            }
        }
        let deadline = centre.deadline();
        for (house, link, message) in answers {
            self.send_down(house, link, message);
        }
        if waits && !self.committing {
            self.committing = true;
            let slow = std::mem::take(&mut self.slow_disk);
            let delay = self.between(1, 15) + slow;
            let life = self.life;
            self.post(delay, Event::Commit(life));
        }
        if let Some(deadline) = deadline {
            let at = (deadline - self.ahead).max(self.now + Span::from_millis(5));
            if self.wake.is_none_or(|wake| at < wake) {
                self.wake = Some(at);
                let life = self.life;
                self.post(at.since(self.now), Event::CentreWake(life));
            }
        }
        Ok(())
    }
}
