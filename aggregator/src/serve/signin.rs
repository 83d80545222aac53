//! Signing in at the page: one-time codes and sessions. In memory only: a restart signs everybody out.
//!
//! Invariants: neither a code nor a cookie is kept, only its SHA-256; a code is spent at most once and only
//! within [`CODE_LIFE`]; a session ends after [`IDLE`] without a request of its person, after [`LIFE`] in any
//! case, and at sign-out; all tables are bounded; failures are limited by address.
//!
//! These limits are about people's patience, so they are measured in people's time: under a test clock that
//! runs `rate` times as fast they are `rate` times as long on that clock.
//!
//! Must not know: HTTP, the gate's table.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use proto::clock::Clock;
use proto::seal::crypto::{random, sha256};
use proto::text::hex;
use vitals::{Span, Time};

use crate::gate::Standing;

/// A one-time code can be spent for so long.
pub const CODE_LIFE: Span = Span::from_mins(10);
/// A session ends so long after the last request of its person. The page's own polling does not count.
pub const IDLE: Span = Span::from_mins(60);
/// A session ends so long after it began: a working shift.
pub const LIFE: Span = Span::from_mins(12 * 60);
/// Sessions and codes kept at once; the least recently used gives way.
const KEPT: usize = 1000;
/// Failures that one address may have within [`FAILURE_WINDOW`].
const FAILURES: u32 = 10;
const FAILURE_WINDOW: Span = Span::from_mins(1);
/// Addresses whose failures are remembered.
const ADDRESSES: usize = 4096;
/// Longest name of a person, characters.
const NAME: usize = 80;

/// Why nobody was signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// Unknown, spent or too old: these look alike on purpose.
    #[error("this link was used before, is too old, or is not one of ours: ask for a new one")]
    Code,
    /// Too many failures from this address.
    #[error("too many attempts from this address: wait a minute")]
    TooMany,
}

/// Names a session within this process: the hash of its cookie.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionKey([u8; 32]);

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionKey(hidden)")
    }
}

struct Code {
    person: String,
    until: Time,
}

struct Session {
    person: String,
    began: Time,
    used: Time,
}

#[derive(Default)]
struct State {
    codes: HashMap<[u8; 32], Code>,
    sessions: HashMap<SessionKey, Session>,
    failures: HashMap<IpAddr, (u32, Time)>,
}

/// Codes and sessions.
pub struct SignIn {
    clock: Clock,
    rate: f64,
    state: Mutex<State>,
}

impl std::fmt::Debug for SignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SignIn(hidden)")
    }
}

impl SignIn {
    /// Nobody is signed in.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let probe = Span::from_secs(1000);
        let rate = probe.as_secs_f64() / clock.real(probe).as_secs_f64();
        Self {
            clock,
            rate,
            state: Mutex::default(),
        }
    }

    /// How fast the clock runs against people's time.
    #[must_use]
    pub const fn rate(&self) -> f64 {
        self.rate
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A span of people's time as a span of the clock.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "hours times a rate stay far below 2^63"
    )]
    fn people(&self, span: Span) -> Span {
        Span::from_micros((span.as_secs_f64() * self.rate * 1e6) as i64)
    }

    /// A one-time code for `person`. Control characters in the name are left out, and it is cut to 80.
    #[must_use]
    pub fn create_code(&self, person: &str) -> String {
        let person: String = person
            .chars()
            .filter(|c| !c.is_control())
            .take(NAME)
            .collect();
        let code = hex(&random::<32>());
        let until = self.clock.now() + self.people(CODE_LIFE);
        let mut state = self.lock();
        if state.codes.len() >= KEPT {
            let oldest = state
                .codes
                .iter()
                .min_by_key(|(_, code)| code.until)
                .map(|(hash, _)| *hash);
            oldest.map(|hash| state.codes.remove(&hash));
        }
        state
            .codes
            .insert(sha256(&[code.as_bytes()]), Code { person, until });
        code
    }

    /// Spends a code: a new session's cookie value.
    ///
    /// # Errors
    /// [`SignInError`].
    pub fn spend(&self, code: &str, from: IpAddr) -> Result<String, SignInError> {
        let now = self.clock.now();
        let mut state = self.lock();
        self.check_failures(&mut state, from, now)?;
        let found = state
            .codes
            .remove(&sha256(&[code.as_bytes()]))
            .filter(|code| now < code.until);
        let Some(Code { person, .. }) = found else {
            let failures = state.failures.entry(from).or_insert((0, now));
            failures.0 += 1;
            return Err(SignInError::Code);
        };
        if state.sessions.len() >= KEPT {
            let oldest = state
                .sessions
                .iter()
                .min_by_key(|(_, one)| one.used)
                .map(|(key, _)| *key);
            oldest.map(|key| state.sessions.remove(&key));
        }
        let cookie = hex(&random::<32>());
        state.sessions.insert(
            key_of(&cookie),
            Session {
                person,
                began: now,
                used: now,
            },
        );
        Ok(cookie)
    }

    fn check_failures(
        &self,
        state: &mut State,
        from: IpAddr,
        now: Time,
    ) -> Result<(), SignInError> {
        let window = self.people(FAILURE_WINDOW);
        if state.failures.len() >= ADDRESSES {
            state
                .failures
                .retain(|_, (_, since)| now.since(*since) < window);
        }
        let full = state.failures.len() >= ADDRESSES && !state.failures.contains_key(&from);
        match state.failures.get(&from) {
            Some((_, since)) if now.since(*since) >= window => {
                state.failures.remove(&from);
                Ok(())
            }
            Some((count, _)) if *count >= FAILURES => Err(SignInError::TooMany),
            // An attack from thousands of addresses at once: nobody new may try for this minute.
            None if full => Err(SignInError::TooMany),
            Some(_) | None => Ok(()),
        }
    }

    /// The session of a cookie value, if it is one of ours and still holds.
    #[must_use]
    pub fn session(&self, cookie: &str) -> Option<SessionKey> {
        let key = key_of(cookie);
        let (_, standing) = self.standing(key)?;
        (self.clock.now() < standing.until).then_some(key)
    }

    /// Who it is and how long the session holds; `None` when it was ended or forgotten.
    #[must_use]
    pub fn standing(&self, key: SessionKey) -> Option<(String, Standing)> {
        let mut state = self.lock();
        let session = state.sessions.get(&key)?;
        let until = (session.began + self.people(LIFE)).min(session.used + self.people(IDLE));
        let person = session.person.clone();
        if self.clock.now() >= until {
            state.sessions.remove(&key);
        }
        Some((
            person,
            Standing {
                until,
                revoked: false,
            },
        ))
    }

    /// The person did something.
    pub fn touch(&self, key: SessionKey) {
        let now = self.clock.now();
        if let Some(session) = self.lock().sessions.get_mut(&key) {
            session.used = now;
        }
    }

    /// Signs out. Open streams of the session end within a second.
    pub fn end(&self, key: SessionKey) {
        self.lock().sessions.remove(&key);
    }
}

fn key_of(cookie: &str) -> SessionKey {
    SessionKey(sha256(&[cookie.as_bytes()]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// A clock that stands so near to `minutes` after the start that a test does not see it move.
    fn clock(minutes: i64) -> Clock {
        let start = Time::from_micros(1_000_000_000_000_000) + Span::from_mins(minutes);
        Clock::test(proto::clock::wall_now(), start, 0.001).expect("a fine rate")
    }

    /// A sign-in whose clock can be set; its limits are those of the system clock.
    struct Rig(SignIn);

    impl Rig {
        fn new() -> Self {
            let mut sign_in = SignIn::new(clock(0));
            sign_in.rate = 1.0;
            Self(sign_in)
        }

        fn at(&mut self, minutes: i64) -> &SignIn {
            self.0.clock = clock(minutes);
            &self.0
        }
    }

    #[test]
    fn a_code_is_spent_once() {
        let mut rig = Rig::new();
        let code = rig.at(0).create_code("Ann\n\u{7}");
        let cookie = rig.at(1).spend(&code, HERE).expect("the first time");
        let key = rig.at(1).session(&cookie).expect("it is a session");
        assert_eq!(
            rig.at(1).standing(key).map(|(person, _)| person),
            Some("Ann".into())
        );
        assert_eq!(rig.at(1).spend(&code, HERE), Err(SignInError::Code));
        assert_eq!(rig.at(1).session(&code), None, "a code is no cookie");
    }

    #[test]
    fn a_code_is_too_old_after_ten_minutes() {
        let mut rig = Rig::new();
        let (old, fresh) = (rig.at(0).create_code("a"), rig.at(5).create_code("b"));
        assert_eq!(rig.at(11).spend(&old, HERE), Err(SignInError::Code));
        assert!(rig.at(11).spend(&fresh, HERE).is_ok(), "control");
    }

    #[test]
    fn a_session_ends_when_idle_at_its_age_and_at_sign_out() {
        let mut rig = Rig::new();
        let begin = |rig: &mut Rig| {
            let code = rig.at(0).create_code("a");
            rig.at(0).spend(&code, HERE).expect("signed in")
        };
        let idle = begin(&mut rig);
        assert!(rig.at(59).session(&idle).is_some(), "control");
        assert!(rig.at(61).session(&idle).is_none());

        let busy = begin(&mut rig);
        for minutes in (0..=11 * 60 + 55).step_by(55) {
            let key = rig.at(minutes).session(&busy).expect("in use");
            rig.at(minutes).touch(key);
        }
        assert!(rig.at(12 * 60 + 1).session(&busy).is_none());

        let out = begin(&mut rig);
        let key = rig.at(1).session(&out).expect("signed in");
        rig.at(1).end(key);
        assert!(rig.at(1).session(&out).is_none());
        assert!(rig.at(1).standing(key).is_none());
    }

    #[test]
    fn failures_are_limited_by_address() {
        let mut rig = Rig::new();
        let code = rig.at(0).create_code("a");
        for _ in 0..FAILURES {
            assert_eq!(rig.at(0).spend("wrong", HERE), Err(SignInError::Code));
        }
        assert_eq!(rig.at(0).spend(&code, HERE), Err(SignInError::TooMany));
        let elsewhere = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
        assert!(
            rig.at(0).spend(&code, elsewhere).is_ok(),
            "control: another address"
        );
        let code = rig.at(0).create_code("a");
        assert!(rig.at(2).spend(&code, HERE).is_ok(), "the minute is over");
    }

    #[test]
    fn limits_are_in_peoples_time() {
        let fast = Clock::test(proto::clock::wall_now(), Time::ZERO, 60.0).expect("a fine rate");
        let sign_in = SignIn::new(fast);
        assert!((sign_in.rate() - 60.0).abs() < 0.01);
        let minute = sign_in.people(Span::from_mins(1)).as_secs_f64();
        assert!((minute - 3600.0).abs() < 1.0);
    }
}
