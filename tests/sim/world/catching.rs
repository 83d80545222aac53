//! A centre whose doors are open and whose twins are still being brought up to date.

use super::*;

impl World {
    /// The fold reads some entries more; whoever sends, acts, or cuts the power may come between.
    pub(super) fn catch_up(&mut self, life: u64) -> Result<(), Violation> {
        if self.life != life {
            return Ok(());
        }
        // Mostly at once, sometimes for minutes of appends, sometimes longer than the door may be open.
        let (most, next) = match (self.healed, self.plan.slow_fold) {
            (true, _) => (usize::MAX, self.between(1, 400)),
            (false, true) => (1, self.between(2_000, 9_000)),
            (false, false) => {
                let most = [3, 40, 1000][self.dice.random_range(0..3)];
                (most, self.between(1, 400))
            }
        };
        let Some(centre) = &mut self.centre else {
            return Ok(());
        };
        let (truth, mut found) = (&mut self.truth, Ok(()));
        let caught_up = centre.catch_up(most, |committed, hub| {
            if found.is_ok() {
                found = truth.replayed(committed, hub);
            }
        });
        found?;
        let told = centre.tape.told();
        let (longer, shorter) = if told.len() < self.tape.len() {
            (&self.tape, &told)
        } else {
            (&told, &self.tape)
        };
        if !longer.starts_with(shorter) {
            return broken(Property::P5, "the replay published something else");
        }
        match caught_up {
            Err(error) => broken(Property::P1, format!("no journal: {error}")),
            Ok(false) => {
                self.post(next, Event::CatchUp(life));
                Ok(())
            }
            Ok(true) if told.len() < self.tape.len() => {
                broken(Property::P5, "the replay published less")
            }
            Ok(true) => {
                self.note(|| "centre: its twins are current".into());
                self.after_centre()
            }
        }
    }
}
