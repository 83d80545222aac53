//! Survival: what the core hears and decodes goes to [`crate::survival`], and its words are sealed at once.

use vitals::Time;

use super::Core;
use crate::survival::Signal;

impl Core {
    /// What people at home are to know next.
    pub fn poll_signal(&mut self) -> Option<Signal> {
        self.survival.poll_signal()
    }

    pub(super) fn survive(&mut self, now: Time) {
        self.survival.tick(now);
        while let Some((stream, word)) = self.survival.poll_word() {
            self.sealing.local_alert(stream, word, now);
            // Durable at once, whatever the interval is.
            self.hurry(now);
        }
    }
}
