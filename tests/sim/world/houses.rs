//! Sensors and agents.

use super::*;

impl World {
    pub(super) fn beat(&mut self, patient: usize) {
        let house = self.plan.patients[patient];
        self.beats += 1;
        let now = self.now;
        if self.quiet_until[patient] <= now {
            let bpm = bpm(patient, self.plan.is_ill(patient, now), self.beats);
            // The last digits make each stamp its own.
            let stamp = (now + self.houses[house].ahead).as_micros() / 20_000 * 20_000;
            let stamp = Time::from_micros(stamp + i64::try_from(self.beats % 20_000).unwrap_or(0));
            if self.houses[house].value(patient, bpm, stamp, now) {
                self.truth.measured(patient, now, stamp);
            }
        }
        let until = self.plan.heal + RECOVERY + Span::from_secs(20);
        if now < until {
            let jitter = self.between(0, 300);
            let calm = if self.healed { CALM_BEAT } else { Span::ZERO };
            self.post(self.plan.beat + calm + jitter, Event::Beat(patient));
        }
        self.after_house(house);
    }

    /// Carries out what an agent wants.
    pub(super) fn after_house(&mut self, house: usize) {
        while let Some(link) = self.lines[house].up
            && self.lines[house].sending < LINE_LENGTH
            && let Some(message) = self.houses[house].message(self.now)
        {
            self.send_up(house, link, message);
        }
        if self.houses[house].has_work() && !self.card_busy[house] {
            self.card_busy[house] = true;
            let delay = if self.one_in(20) {
                self.between(100, 2500)
            } else {
                self.between(2, 60)
            };
            let life = self.houses[house].life;
            self.post(delay, Event::CardDone(house, life));
        }
        let Some(deadline) = self.houses[house].deadline() else {
            return;
        };
        // As the shell does: a deadline in the past is looked at again soon, not at once.
        let at = deadline.max(self.now + Span::from_millis(10));
        if self.wakes[house].is_none_or(|wake| at < wake) {
            self.wakes[house] = Some(at);
            let life = self.houses[house].life;
            self.post(at.since(self.now), Event::Wake(house, life));
        }
    }

    pub(super) fn start_house(&mut self, house: usize) {
        if self.houses[house].is_running() {
            return;
        }
        self.houses[house].start(self.now);
        // A radio needs longer to find its sensors than a store to say that a run began.
        let found = self.now + Span::from_secs(4);
        for patient in 0..self.plan.patients.len() {
            if self.plan.patients[patient] == house {
                self.quiet_until[patient] = self.quiet_until[patient].max(found);
            }
        }
        (self.wakes[house], self.card_busy[house]) = (None, false);
        let (life, ahead) = (self.houses[house].life, self.houses[house].ahead);
        self.note(|| format!("house {house}: starts, life {life}, ahead {ahead:?}"));
        self.post(Span::from_millis(50), Event::Connect(house, life));
        if ahead < Span::ZERO {
            let later = self.between(20_000, 120_000);
            self.post(later, Event::ClockRight(house, life));
        }
        self.after_house(house);
    }

    pub(super) fn crash_house(&mut self, house: usize, down: Span) {
        if !self.houses[house].is_running() {
            return;
        }
        let extent = [Extent::Nothing, Extent::Lagging, Extent::All];
        let extent = extent[self.dice.random_range(0..3)];
        self.crashes += 1;
        self.note(|| format!("house {house}: power cut, {extent:?} of the commit under way"));
        self.houses[house].crash(extent);
        self.agent_gone(house);
        self.post(down, Event::HouseStart(house));
    }

    pub(super) fn stop_house(&mut self, house: usize, down: Span) {
        if self.houses[house].is_running() {
            self.note(|| format!("house {house}: stops"));
            self.houses[house].stop(self.now);
            self.agent_gone(house);
            self.post(down, Event::HouseStart(house));
        }
    }

    /// An agent's end of its connection is gone with it.
    pub(super) fn agent_gone(&mut self, house: usize) {
        // What was meant for that life is void.
        self.houses[house].life += 1;
        if let Some(link) = self.lines[house].up.take() {
            let late = self.between(10, 20_000);
            self.post(late, Event::DoorGone(house, link));
        }
    }

    /// The agent's clock is set back, to where it should be or not; while the agent is down.
    pub(super) fn set_clock_back(&mut self, house: usize, to: Span) {
        let before = self.houses[house].ran_ahead;
        let back = Span::from_micros(before.as_micros() - to.as_micros());
        self.truth.set_back = self.truth.set_back.max(back);
        self.houses[house].ahead = to;
    }

    /// The agent's clock is set right. It ends itself when that is back: it starts anew.
    pub(super) fn clock_right(&mut self, house: usize) {
        self.note(|| format!("house {house}: its clock is set right"));
        if self.houses[house].ahead > Span::ZERO {
            self.stop_house(house, Span::from_secs(1));
            self.set_clock_back(house, Span::ZERO);
        } else {
            self.houses[house].ahead = Span::ZERO;
            self.houses[house].tick(self.now);
            self.after_house(house);
        }
    }
}
