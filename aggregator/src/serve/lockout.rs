//! Who failed to sign in, and how long they wait.
//!
//! Promises: an address that fails waits longer each time, and nobody else does; so does a name, from wherever it is tried,
//! but not at the places where its person has been in before: a stranger who tries it all night locks out no one who sits where
//! they always do, nor a passkey or a link anywhere. Nothing here tells whether there is such a person. All tables are bounded.
//!
//! Must not know: who there is, HTTP, clocks.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};

use proto::seal::Secret;
use proto::seal::crypto::{hmac_sha256, random};
use vitals::{Span, Time};

use super::signin::SignInError;

/// Failures that an address or a name may have before it has to wait.
pub const FAILURES: u32 = 10;
/// How long it waits then; twice as long with each failure more, up to [`LONGEST_WAIT`].
const FIRST_WAIT: Span = Span::from_mins(1);
const LONGEST_WAIT: Span = Span::from_mins(8);
/// What failed last so long ago begins anew.
const FORGIVEN: Span = Span::from_mins(60);
/// Addresses whose failures are remembered, and places where people have been in.
const KEPT: usize = 4096;
/// A place is its person's for so long after they were in last.
const PLACE_LIFE: Span = Span::from_mins(30 * 24 * 60);

/// The time, and how fast its clock runs against people's.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// By the centre's clock.
    pub now: Time,
    /// The clock's seconds in one of people's.
    pub rate: f64,
}

impl Moment {
    /// A span of people's time as a span of the clock.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "hours times a rate stay far below 2^63"
    )]
    pub fn people(self, span: Span) -> Span {
        Span::from_micros((span.as_secs_f64() * self.rate * 1e6) as i64)
    }
}

struct Failures {
    count: u32,
    last: Time,
    /// Nothing is looked at before.
    wait_until: Time,
}

/// A name, as one of so few that a table of all of them stays small; which names share one is this process's secret.
type Name = u16;
const NAMES: u16 = 4096;

/// All who failed.
pub struct Lockout {
    key: Secret,
    addresses: HashMap<IpAddr, Failures>,
    names: HashMap<Name, Failures>,
    places: HashMap<(Name, IpAddr), Time>,
}

impl std::fmt::Debug for Lockout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lockout(hidden)")
    }
}

impl Default for Lockout {
    fn default() -> Self {
        Self {
            key: Secret::new(random()),
            addresses: HashMap::new(),
            names: HashMap::new(),
            places: HashMap::new(),
        }
    }
}

impl Lockout {
    /// Whether anything from there is looked at.
    pub(super) fn check(&mut self, from: IpAddr, at: Moment) -> Result<(), SignInError> {
        let from = network(from);
        if self.addresses.len() >= KEPT {
            let forgiven = at.people(FORGIVEN);
            self.addresses
                .retain(|_, failures| at.now.since(failures.last) < forgiven);
        }
        // An attack from thousands of addresses at once: nobody new may try for now.
        if self.addresses.len() >= KEPT && !self.addresses.contains_key(&from) {
            return Err(SignInError::TooMany);
        }
        free(&mut self.addresses, from, at)
    }

    /// Somebody failed there.
    pub(super) fn failed(&mut self, from: IpAddr, at: Moment) {
        count(&mut self.addresses, network(from), at);
    }

    /// Somebody tries this name: a failure until it is proved.
    pub(super) fn attempt(
        &mut self,
        name: &str,
        from: IpAddr,
        at: Moment,
    ) -> Result<(), SignInError> {
        self.check(from, at)?;
        let (name, from) = (self.name(name), network(from));
        let been = self.places.get(&(name, from));
        let at_home = been.is_some_and(|last| at.now.since(*last) < at.people(PLACE_LIFE));
        if !at_home {
            free(&mut self.names, name, at)?;
            count(&mut self.names, name, at);
        }
        self.failed(from, at);
        Ok(())
    }

    /// The attempt was its person's own, and is taken back.
    pub(super) fn proved(&mut self, name: &str, from: IpAddr, at: Moment) {
        self.been(name, from, at);
        let (name, from) = (self.name(name), network(from));
        self.names.remove(&name);
        // No more than that: who has one password could otherwise try others' in between.
        if let Some(of) = self.addresses.get_mut(&from) {
            of.count = of.count.saturating_sub(1);
            of.wait_until = Time::ZERO;
        }
    }

    /// Somebody signed in there, whichever way: it is a place of theirs.
    pub(super) fn been(&mut self, name: &str, from: IpAddr, at: Moment) {
        if self.places.len() >= KEPT {
            let oldest = self.places.iter().min_by_key(|(_, last)| **last);
            let oldest = oldest.map(|(place, _)| *place);
            oldest.map(|place| self.places.remove(&place));
        }
        self.places.insert((self.name(name), network(from)), at.now);
    }

    fn name(&self, name: &str) -> Name {
        let name = name.trim().to_lowercase();
        let hash = hmac_sha256(&self.key, name.as_bytes());
        u16::from_be_bytes([hash[0], hash[1]]) % NAMES
    }
}

/// Whoever has one address of IPv6 has the whole network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(all) => {
            let mut parts = all.segments();
            parts[4..].fill(0);
            IpAddr::V6(Ipv6Addr::from(parts))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn free<K: Eq + Hash>(
    all: &mut HashMap<K, Failures>,
    who: K,
    at: Moment,
) -> Result<(), SignInError> {
    match all.get(&who) {
        Some(failures) if at.now < failures.wait_until => Err(SignInError::TooMany),
        Some(failures) if at.now.since(failures.last) >= at.people(FORGIVEN) => {
            all.remove(&who);
            Ok(())
        }
        Some(_) | None => Ok(()),
    }
}

fn count<K: Eq + Hash>(all: &mut HashMap<K, Failures>, who: K, at: Moment) {
    let failures = all.entry(who).or_insert(Failures {
        count: 0,
        last: at.now,
        wait_until: Time::ZERO,
    });
    failures.count = failures.count.saturating_add(1);
    failures.last = at.now;
    if let Some(over) = failures.count.checked_sub(FAILURES) {
        let wait = Span::from_micros(FIRST_WAIT.as_micros() << over.min(5)).min(LONGEST_WAIT);
        failures.wait_until = at.now + at.people(wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Moment {
        Moment {
            now: Time::from_micros(1_000_000_000_000_000) + Span::from_mins(minute),
            rate: 1.0,
        }
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn a_name_tried_from_everywhere_waits_but_not_where_its_person_has_been() {
        let mut lockout = Lockout::default();
        let (home, elsewhere) = (address(1), address(2));
        lockout.been("Ann", home, at(0));
        // A stranger tries all night, each time from another address and as often as may be.
        let mut tried = 0;
        for minute in 0..480_i64 {
            for other in 0..20 {
                let from = IpAddr::from([10, 1, u8::try_from(minute % 256).expect("fits"), other]);
                tried += u32::from(lockout.attempt("ann ", from, at(minute)).is_ok());
            }
        }
        // Ten, then one after each wait.
        assert!((60..80).contains(&tried), "{tried}");
        assert_eq!(lockout.attempt("Ann", home, at(479)), Ok(()));
        // Where she never was, she waits with the stranger, at most as long as the longest wait.
        for _ in 0..FAILURES {
            let _ = lockout.attempt("Ann", address(9), at(500));
        }
        let refused = lockout.attempt("Ann", elsewhere, at(500));
        assert_eq!(refused, Err(SignInError::TooMany));
        assert_eq!(lockout.attempt("Ann", elsewhere, at(509)), Ok(()));
        // Control: another name is another's.
        assert_eq!(lockout.attempt("Ben", elsewhere, at(500)), Ok(()));
    }

    #[test]
    fn who_tries_many_at_once_has_no_more_tries() {
        let mut lockout = Lockout::default();
        let tried = (0..1000).filter(|_| lockout.attempt("Ann", address(1), at(0)).is_ok());
        assert_eq!(tried.count(), usize::try_from(FAILURES).expect("few"));
        // One success of their own buys an attacker one try more, not ten.
        lockout.proved("Eve", address(1), at(0));
        let tried = (0..1000).filter(|_| lockout.attempt("Ben", address(1), at(0)).is_ok());
        assert_eq!(tried.count(), 1);
    }

    #[test]
    fn a_name_that_nobody_has_waits_as_one_that_somebody_has() {
        // There is no way to tell: names are not looked up. A network of IPv6 is one address.
        let mut lockout = Lockout::default();
        for last in 0..=FAILURES {
            let from = IpAddr::V6(Ipv6Addr::new(
                0x2001,
                0xdb8,
                0,
                7,
                0,
                0,
                0,
                last.try_into().expect("few"),
            ));
            let name = format!("nobody {last}");
            assert_eq!(lockout.attempt(&name, from, at(0)).is_ok(), last < FAILURES);
        }
        for number in 0..6_000_u32 {
            let from = IpAddr::from(number.to_be_bytes());
            let _ = lockout.attempt(&number.to_string(), from, at(0));
            lockout.proved(&number.to_string(), from, at(0));
        }
        assert!(lockout.addresses.len() <= KEPT && lockout.places.len() <= KEPT);
        assert!(lockout.names.len() <= usize::from(NAMES));
    }
}
