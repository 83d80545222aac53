//! What goes wrong, and how it ends.

use super::*;

impl World {
    pub(super) fn trouble(&mut self) {
        if self.healed {
            return;
        }
        let mean = self.plan.trouble.as_micros() / 1000;
        let next = self.between(mean / 4, mean * 2);
        self.post(next, Event::Trouble);
        let house = self.dice.random_range(0..self.houses.len());
        let patient = self.dice.random_range(0..self.plan.patients.len());
        match self.dice.random_range(0..21) {
            0 | 1 => self.line_down(house, "cut"),
            2 => {
                if let Some(link) = self.lines[house].up {
                    self.note(|| format!("house {house}: line {link} is a hole"));
                    self.lines[house].is_hole = true;
                    let noticed = self.between(5_000, 40_000);
                    self.post(noticed, Event::LineDown(house, link));
                }
            }
            3 | 4 => {
                let long = if self.one_in(3) { 300_000 } else { 60_000 };
                let until = self.now + self.between(5_000, long);
                self.cut_off(house, until);
            }
            5 | 6 => {
                let down = self.between(500, 40_000);
                self.crash_house(house, down);
            }
            7 => {
                let down = self.between(500, 20_000);
                self.stop_house(house, down);
            }
            8 | 9 => {
                self.crash_centre("power cut");
                let down = self.between(500, 60_000);
                self.post(down, Event::CentreStart);
            }
            10 => self.shelf.next_commit(Fate::Torn),
            11 => {
                let fate = [Fate::Refused, Fate::Doubtful][self.dice.random_range(0..2)];
                self.shelf.next_commit(fate);
            }
            12 => self.houses[house].disk_full = true,
            13 => {
                let records = self.houses[house].card.records();
                if records > 0 {
                    let place = self.dice.random_range(0..records);
                    let bit = self.dice.random_range(0..1 << 20);
                    self.note(|| format!("house {house}: record {place} of {records} rots"));
                    self.houses[house].card.rot(place, bit);
                }
            }
            14 => self.agent_clock(house),
            15 => {
                let more = if self.one_in(4) { 1_200_000 } else { 240_000 };
                let more = self.between(500, more);
                self.note(|| format!("centre: its clock jumps by {more:?}"));
                self.ahead = self.ahead + more;
            }
            16 => self.slow_disk = self.between(500, 8_000),
            17 => {
                self.houses[house].lose_sensor(patient, self.now);
                self.quiet_until[patient] = self.now + self.between(2_000, 40_000);
                self.after_house(house);
            }
            18 => {
                // As below.
                let _ = self.void(patient);
            }
            _ => {
                // What it finds is judged when the centre is looked at next.
                let _ = self.acknowledge();
            }
        }
    }

    pub(super) fn cut_off(&mut self, house: usize, until: Time) {
        let span = until.since(self.now);
        self.note(|| format!("house {house}: cut off for {span:?}"));
        self.line_down(house, "cut off");
        let line = &mut self.lines[house];
        line.cut_until = line.cut_until.max(until);
    }

    /// An agent's clock jumps ahead; or its machine comes back in its own past, as one without a battery does.
    pub(super) fn agent_clock(&mut self, house: usize) {
        if self.one_in(2) {
            let more = self.between(500, 400_000);
            self.note(|| format!("house {house}: its clock jumps by {more:?}"));
            self.houses[house].ahead = self.houses[house].ahead + more;
            self.houses[house].tick(self.now);
            self.after_house(house);
        } else {
            let down = self.between(500, 20_000);
            self.crash_house(house, down);
            let back = self.between(1_000, 600_000);
            self.set_clock_back(house, Span::ZERO - back);
        }
    }

    pub(super) fn heal(&mut self) {
        self.note(|| "all is well from here on".into());
        self.healed = true;
        self.weather = Weather {
            broker: self.weather.broker,
            ..Weather::CALM
        };
        self.shelf.next_commit(Fate::Fine);
        self.slow_disk = Span::ZERO;
        for house in 0..self.houses.len() {
            self.lines[house].cut_until = self.now;
            self.houses[house].disk_full = false;
            if self.houses[house].ahead != Span::ZERO {
                self.stop_house(house, Span::from_secs(1));
                self.set_clock_back(house, Span::ZERO);
            }
            self.post(Span::from_secs(2), Event::HouseStart(house));
        }
        for patient in 0..self.quiet_until.len() {
            self.quiet_until[patient] = self.now;
        }
        if self.ahead > Span::ZERO
            || self
                .centre
                .as_ref()
                .is_some_and(|centre| !centre.stopped().is_empty())
        {
            self.crash_centre("is started anew, with a right clock");
        }
        self.post(Span::from_secs(2), Event::CentreStart);
    }

    pub(super) fn recovered(&mut self) -> Result<(), Violation> {
        for patient in 0..self.plan.patients.len() {
            if !self.truth.is_fresh(patient, self.plan.heal) {
                let house = self.houses[self.plan.patients[patient]].describe(self.now);
                let what = format!("patient {patient}: nothing fresh after {RECOVERY:?}; {house}");
                return broken(Property::P7, what);
            }
        }
        Ok(())
    }

    pub(super) fn delivered(&mut self) -> Result<(), Violation> {
        let settled = self.houses.iter().all(House::is_settled);
        let caught_up = self.centre.as_ref().is_some_and(|centre| {
            let hub = states(&centre.hub);
            let seen = &self.twins.seen;
            hub.iter()
                .all(|(patient, (at, _))| seen.get(patient) == Some(at))
        });
        // A clock that was ahead is waited for, and then for the longest that a finding waits for more.
        let healed = self.plan.heal.max(self.furthest);
        let is_due = self.now >= healed + RECOVERY;
        if settled && caught_up && is_due {
            self.is_over = true;
            return Ok(());
        }
        if self.now.since(healed) > DELIVERY {
            let houses: Vec<_> = self.houses.iter().map(|of| of.describe(self.now)).collect();
            let what = format!("not delivered; readers at the end: {caught_up}; {houses:?}");
            return broken(Property::P8, what);
        }
        self.post(Span::from_secs(11), Event::Delivered);
        Ok(())
    }
}
