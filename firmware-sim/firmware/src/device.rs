//! What devices that measure now and then have in common: they are written to, keep what they measured, and give it to
//! who listens.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use vitals::Span;

use crate::clock::DeviceClock;
use crate::gatt::{Refusal, Service, Uuid, Value};

/// Who listens to what.
pub type Heard<'a> = &'a dyn Fn(Uuid) -> bool;

/// A device that measures now and then. `up` is how long it has been running; it never goes back.
pub trait Device {
    /// The attribute table, without battery and device information.
    fn services(&self) -> &'static [Service];

    /// What it sends now, in order.
    fn poll(&mut self, up: Span, heard: Heard<'_>) -> Vec<Value>;

    /// True if it has more to send as soon as it is polled again.
    fn busy(&self, heard: Heard<'_>) -> bool;

    /// A value that did not get through (an indication without its confirmation).
    fn undelivered(&mut self, value: Value);

    /// What a read gives.
    fn read(&self, up: Span, characteristic: Uuid) -> Option<Vec<u8>>;

    /// A write.
    ///
    /// # Errors
    /// The attribute protocol's error code.
    fn write(&mut self, up: Span, characteristic: Uuid, octets: &[u8]) -> Result<(), Refusal>;

    /// Its clock.
    fn clock_mut(&mut self) -> &mut DeviceClock;
}

/// Values that wait for somebody to listen, as a cuff's or a scale's memory of what nobody took yet.
#[derive(Debug, Default)]
pub struct Waiting {
    values: VecDeque<Value>,
}

/// What a memory holds; the oldest is overwritten.
const CAPACITY: usize = 100;

impl Waiting {
    /// A new value.
    pub fn push(&mut self, value: Option<Value>) {
        self.values.extend(value);
        if self.values.len() > CAPACITY {
            self.values.pop_front();
        }
    }

    /// It did not get through: it is the next one again.
    pub fn put_back(&mut self, value: Value) {
        self.values.push_front(value);
    }

    /// The next one, if somebody listens to it.
    pub fn next(&mut self, heard: Heard<'_>) -> Option<Value> {
        if !self.has_next(heard) {
            return None;
        }
        self.values.pop_front()
    }

    /// True if there is one that somebody listens to.
    #[must_use]
    pub fn has_next(&self, heard: Heard<'_>) -> bool {
        let first = self.values.front();
        first.is_some_and(|value| heard(value.characteristic))
    }
}
