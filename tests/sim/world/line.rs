//! What lies between agents and centre.

use super::*;

impl World {
    pub(super) fn connect(&mut self, house: usize, life: u64) -> Result<(), Violation> {
        if self.houses[house].life != life || self.lines[house].up.is_some() {
            return Ok(());
        }
        let link = self.lines[house].next;
        let reachable = self.lines[house].cut_until <= self.now;
        let connected = reachable
            && self
                .centre
                .as_mut()
                .is_some_and(|centre| centre.connect(house, link));
        if !connected {
            let jitter = self.dice.random();
            let pause = self.houses[house].backoff.fail(jitter);
            self.post(pause, Event::Connect(house, life));
            return Ok(());
        }
        self.note(|| format!("house {house}: line {link} is up"));
        self.lines[house] = Line {
            up: Some(link),
            since: self.now,
            next: link + 1,
            ..Line::default()
        };
        self.houses[house].line_up(self.now);
        self.after_house(house);
        self.after_centre()
    }

    pub(super) fn line_down(&mut self, house: usize, why: &str) {
        let Some(link) = self.lines[house].up.take() else {
            return;
        };
        self.note(|| format!("house {house}: line {link}: {why}"));
        let stood = self.now.since(self.lines[house].since);
        if stood > Span::from_secs(30) {
            self.houses[house].backoff.succeed();
        }
        self.houses[house].line_down(self.now);
        let (life, jitter) = (self.houses[house].life, self.dice.random());
        let pause = self.houses[house].backoff.fail(jitter);
        self.post(pause, Event::Connect(house, life));
        let late = self.between(10, 20_000);
        self.post(late, Event::DoorGone(house, link));
        self.after_house(house);
    }

    pub(super) fn send_up(&mut self, house: usize, link: u64, message: GatewayToCentre) {
        if let Some(up::Kind::OpenContext(open)) = &message.kind
            && let Ok(header) = parse_header(&open.header)
        {
            let next = self.names.len() as u64;
            self.names.entry(header.context).or_insert(next);
        }
        self.lines[house].sending += 1;
        let Some(delay) = self.on_the_way(house, link) else {
            return;
        };
        if self.comes_twice() {
            let later = delay + self.between(1, 30_000);
            let again = Event::ToCentre(house, link, Box::new(message.clone()), true);
            self.post(later, again);
        }
        let order = &mut self.lines[house].order.0;
        let mut at = self.now + delay;
        if !self.weather.broker {
            at = at.max(*order);
            *order = at;
        }
        let arrives = Event::ToCentre(house, link, Box::new(message), false);
        self.post(at.since(self.now), arrives);
    }

    pub(super) fn send_down(&mut self, house: usize, link: u64, message: CentreToGateway) {
        let Some(delay) = self.on_the_way(house, link) else {
            return;
        };
        if self.comes_twice() {
            let later = delay + self.between(1, 30_000);
            let again = Event::ToHouse(house, link, Box::new(message.clone()));
            self.post(later, again);
        }
        let order = &mut self.lines[house].order.1;
        let mut at = self.now + delay;
        if !self.weather.broker {
            at = at.max(*order);
            *order = at;
        }
        let arrives = Event::ToHouse(house, link, Box::new(message));
        self.post(at.since(self.now), arrives);
    }

    /// How long a message takes; `None`: it is lost, and with it, soon, the connection.
    pub(super) fn on_the_way(&mut self, house: usize, link: u64) -> Option<Span> {
        let (least, most) = self.weather.delay;
        let delay = self.between(least.into(), most.into());
        if self.lines[house].is_hole {
            return None;
        }
        if self.dice.random_range(0..100) < self.weather.lost {
            let soon = self.between(100, 30_000);
            self.post(soon, Event::LineDown(house, link));
            return None;
        }
        Some(delay)
    }

    pub(super) fn comes_twice(&mut self) -> bool {
        self.dice.random_range(0..100) < self.weather.twice
    }

    pub(super) fn arrive(
        &mut self,
        house: usize,
        link: u64,
        message: GatewayToCentre,
        again: bool,
    ) -> Result<(), Violation> {
        if !again && self.lines[house].up == Some(link) {
            self.lines[house].sending -= 1;
        }
        if let Some(centre) = &mut self.centre {
            let open = centre.link(house);
            if open == Some(link) || (self.weather.broker && open.is_some()) {
                centre.take(house, message);
            }
        }
        self.after_house(house);
        self.after_centre()
    }
}
