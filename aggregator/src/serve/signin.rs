//! Signing in at the page: one-time codes, challenges for passkeys, and sessions. In memory only: a restart signs
//! everybody out.
//!
//! Invariants: neither a code nor a cookie is kept, only its SHA-256; a code is spent at most once and only
//! within [`CODE_LIFE`], a challenge within [`CHALLENGE_LIFE`] and for what it was made; a session is locked after
//! [`LOCK`] without its person, ends after [`LIFE`] and at sign-out; whoever signs in
//! anew gets a new cookie; all tables are bounded; who fails waits longer each time ([`super::lockout`]). Nobody guesses a
//! passkey's signature, so nobody waits for another's: a ward must be able to open its screens.
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
use zeroize::Zeroizing;

use super::lockout::{Lockout, Moment};
use crate::gate::Standing;

/// Signs of a one-time code: 80 bits, that nobody guesses within [`CODE_LIFE`], and few enough to be read out on the telephone.
const CODE_SIGNS: usize = 16;
/// Douglas Crockford's base 32 (<https://www.crockford.com/base32.html>): nothing in it looks or sounds like another.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// A one-time code can be spent for so long.
pub const CODE_LIFE: Span = Span::from_mins(10);
/// A challenge can be answered for so long.
pub const CHALLENGE_LIFE: Span = Span::from_mins(2);
/// A session shows nothing of a patient any more so long after its person was last heard of.
pub const LOCK: Span = Span::from_mins(10);
/// Who signed in so recently may make a passkey: who finds an open page hours later may not.
pub const FRESH: Span = Span::from_mins(15);
/// A session ends so long after it began: a working shift.
pub const LIFE: Span = Span::from_mins(12 * 60);
/// Sessions and codes kept at once; the least recently used gives way.
const KEPT: usize = 1000;
/// Challenges that one address may have open; its own oldest gives way.
const CHALLENGES: usize = 64;
/// What a browser says it is, characters.
const BROWSER: usize = 120;

/// Why nobody was signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// Unknown, spent or too old: these look alike on purpose.
    #[error("this link was used before, is too old, or is not one of ours: ask for a new one")]
    Code,
    /// Too many failures from this address.
    #[error("too many attempts from this address: wait a few minutes")]
    TooMany,
}

/// How somebody proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// By a one-time link of an operator.
    Link,
    /// By a passkey.
    Passkey,
    /// By a password with a code.
    Password,
    /// By a provider of identities.
    Provider,
}

impl How {
    /// For people and machines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Passkey => "passkey",
            Self::Password => "password",
            Self::Provider => "provider",
        }
    }
}

/// Where somebody signs in from.
#[derive(Clone, Debug)]
pub struct Place {
    /// Their address.
    pub address: IpAddr,
    /// What their browser says it is.
    pub browser: String,
}

/// What a challenge is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Signing in.
    SignIn,
    /// A new passkey, in this session.
    Make(SessionKey),
}

/// A session, as people see it in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Names it; opens nothing.
    pub id: String,
    /// Whose.
    pub person: String,
    /// How they signed in.
    pub how: How,
    /// Since when.
    pub began: Time,
    /// When they were last heard of.
    pub used: Time,
    /// Where from.
    pub address: IpAddr,
    /// What their browser says it is.
    pub browser: String,
    /// Whether it shows nothing until they prove again who they are.
    pub locked: bool,
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

struct Challenge {
    purpose: Purpose,
    from: IpAddr,
    until: Time,
}

struct Seed {
    seed: Zeroizing<Vec<u8>>,
    until: Time,
}

struct Session {
    id: String,
    person: String,
    how: How,
    from: Place,
    began: Time,
    used: Time,
    locked: bool,
}

#[derive(Default)]
struct State {
    codes: HashMap<[u8; 32], Code>,
    challenges: HashMap<[u8; 32], Challenge>,
    sessions: HashMap<SessionKey, Session>,
    lockout: Lockout,
    seeds: HashMap<SessionKey, Seed>,
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
    fn people(&self, span: Span) -> Span {
        self.moment().people(span)
    }

    /// A one-time code for `person`, in groups of four: for a link, or to be read out and typed ([`SignIn::spend`]).
    #[must_use]
    pub fn create_code(&self, person: &str) -> String {
        let (person, code) = (person.to_owned(), code());
        let until = self.clock.now() + self.people(CODE_LIFE);
        let mut state = self.lock();
        make_room(&mut state.codes, |code| code.until);
        state.codes.insert(digest(&code), Code { person, until });
        code
    }

    /// A challenge that is to be answered by a passkey.
    #[must_use]
    pub fn challenge(&self, purpose: Purpose, from: IpAddr) -> [u8; 32] {
        let challenge = random::<32>();
        let until = self.clock.now() + self.people(CHALLENGE_LIFE);
        let mut state = self.lock();
        let own = state.challenges.iter().filter(|(_, of)| of.from == from);
        if own.clone().count() >= CHALLENGES {
            let oldest = own.min_by_key(|(_, of)| of.until).map(|(key, _)| *key);
            oldest.map(|key| state.challenges.remove(&key));
        }
        make_room(&mut state.challenges, |one| one.until);
        let one = Challenge {
            purpose,
            from,
            until,
        };
        state.challenges.insert(challenge, one);
        challenge
    }

    /// Spends a challenge. False: there is none, it is spent or too old, or was for something else.
    #[must_use]
    pub fn spend_challenge(&self, challenge: &[u8; 32], purpose: Purpose) -> bool {
        let found = self.lock().challenges.remove(challenge);
        found.is_some_and(|one| one.purpose == purpose && self.clock.now() < one.until)
    }

    /// Spends a code, however a person typed it: a new session's cookie value.
    ///
    /// # Errors
    /// [`SignInError`].
    pub fn spend(&self, code: &str, from: Place) -> Result<String, SignInError> {
        let now = self.clock.now();
        let found = {
            let mut state = self.lock();
            let moment = self.moment();
            state.lockout.check(from.address, moment)?;
            let code = state.codes.remove(&digest(code));
            code.filter(|code| now < code.until)
        };
        match found {
            Some(Code { person, .. }) => Ok(self.begin(person, How::Link, from)),
            None => {
                self.failed(from.address);
                Err(SignInError::Code)
            }
        }
    }

    /// A new session of somebody who proved who they are: its cookie value.
    #[must_use]
    pub fn begin(&self, person: String, how: How, from: Place) -> String {
        let (cookie, now) = (hex(&random::<32>()), self.clock.now());
        let moment = self.moment();
        let browser = from.browser.chars().filter(|c| !c.is_control());
        let session = Session {
            id: hex(&random::<8>()),
            person,
            how,
            from: Place {
                browser: browser.take(BROWSER).collect(),
                ..from
            },
            began: now,
            used: now,
            locked: false,
        };
        let mut state = self.lock();
        state
            .lockout
            .been(&session.person, session.from.address, moment);
        make_room(&mut state.sessions, |one| one.used);
        state.sessions.insert(key_of(&cookie), session);
        cookie
    }

    /// Somebody tries to sign in under this name. It counts as a failure until [`SignIn::proved`], so that whoever tries very
    /// many at once gains nothing.
    ///
    /// # Errors
    /// [`SignInError::TooMany`], whether there is such a person or not.
    pub fn attempt(&self, name: &str, from: IpAddr) -> Result<(), SignInError> {
        let now = self.moment();
        self.lock().lockout.attempt(name, from, now)
    }

    /// The attempt was this person's own: it was no failure, and their name is free again.
    pub fn proved(&self, name: &str, from: IpAddr) {
        let now = self.moment();
        self.lock().lockout.proved(name, from, now);
    }

    /// Somebody proved nothing, at no name in particular.
    pub fn failed(&self, from: IpAddr) {
        let now = self.moment();
        self.lock().lockout.failed(from, now);
    }

    /// Whether anything from there is looked at.
    ///
    /// # Errors
    /// [`SignInError::TooMany`].
    pub fn may_try(&self, from: IpAddr) -> Result<(), SignInError> {
        let now = self.moment();
        self.lock().lockout.check(from, now)
    }

    /// Keeps the secret of codes that an app of this session's person is about to learn.
    pub fn keep_seed(&self, key: SessionKey, seed: Zeroizing<Vec<u8>>) {
        let until = self.clock.now() + self.people(CODE_LIFE);
        let mut state = self.lock();
        make_room(&mut state.seeds, |one| one.until);
        state.seeds.insert(key, Seed { seed, until });
    }

    /// That secret, while it is fresh.
    #[must_use]
    pub fn seed(&self, key: SessionKey) -> Option<Zeroizing<Vec<u8>>> {
        let now = self.clock.now();
        let mut state = self.lock();
        state.seeds.retain(|_, one| now < one.until);
        state.seeds.get(&key).map(|one| one.seed.clone())
    }

    /// The app has it, or never will.
    pub fn drop_seed(&self, key: SessionKey) {
        self.lock().seeds.remove(&key);
    }

    fn moment(&self) -> Moment {
        Moment {
            now: self.clock.now(),
            rate: self.rate,
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
        let now = self.clock.now();
        let mut state = self.lock();
        let session = state.sessions.get_mut(&key)?;
        let until = session.began + self.people(LIFE);
        // Once locked it stays so: only a new proof shows anything again.
        session.locked |= now.since(session.used) >= self.people(LOCK);
        let standing = Standing {
            until,
            revoked: false,
            locked: session.locked,
        };
        let person = session.person.clone();
        if now >= until {
            state.sessions.remove(&key);
        }
        Some((person, standing))
    }

    /// The person did something. What is locked stays locked.
    pub fn touch(&self, key: SessionKey) {
        let now = self.clock.now();
        let lock = self.people(LOCK);
        if let Some(session) = self.lock().sessions.get_mut(&key) {
            session.locked |= now.since(session.used) >= lock;
            session.used = now;
        }
    }

    /// Shows nothing of a patient any more until the person proves anew who they are. Open streams end within a second.
    pub fn lock_up(&self, key: SessionKey) {
        if let Some(session) = self.lock().sessions.get_mut(&key) {
            session.locked = true;
        }
    }

    /// Whether its person signed in a short while ago.
    #[must_use]
    pub fn is_fresh(&self, key: SessionKey) -> bool {
        let now = self.clock.now();
        let state = self.lock();
        let session = state.sessions.get(&key);
        session.is_some_and(|of| now.since(of.began) < self.people(FRESH) && !of.locked)
    }

    /// Signs out. Open streams of the session end within a second.
    pub fn end(&self, key: SessionKey) {
        self.lock().sessions.remove(&key);
    }

    /// The sessions of a person, or of all (`None`), the newest first; with whether each is `own`.
    #[must_use]
    pub fn sessions(&self, person: Option<&str>, own: Option<SessionKey>) -> Vec<(Listed, bool)> {
        let keys: Vec<SessionKey> = self.lock().sessions.keys().copied().collect();
        for key in keys {
            // Those that are over are forgotten, those that are idle lock.
            let _ = self.standing(key);
        }
        let state = self.lock();
        let theirs = state
            .sessions
            .iter()
            .filter(|(_, of)| person.is_none_or(|name| name == of.person));
        let mut all: Vec<_> = theirs
            .map(|(key, of)| {
                let listed = Listed {
                    id: of.id.clone(),
                    person: of.person.clone(),
                    how: of.how,
                    began: of.began,
                    used: of.used,
                    address: of.from.address,
                    browser: of.from.browser.clone(),
                    locked: of.locked,
                };
                (listed, Some(*key) == own)
            })
            .collect();
        all.sort_by_key(|(of, _)| std::cmp::Reverse((of.began, of.id.clone())));
        all
    }

    /// Ends all sessions of a person but this one. How many.
    pub fn end_others(&self, person: &str, own: SessionKey) -> usize {
        let mut state = self.lock();
        let before = state.sessions.len();
        let keep = |key: &SessionKey, of: &Session| *key == own || of.person != person;
        state.sessions.retain(|key, of| keep(key, of));
        before - state.sessions.len()
    }

    /// Ends sessions that a list named: that of this id, or all of a person. How many.
    pub fn end_listed(&self, id: Option<&str>, person: Option<&str>) -> usize {
        let mut state = self.lock();
        let before = state.sessions.len();
        if id.is_some() || person.is_some() {
            state.sessions.retain(|_, of| {
                !(id.is_none_or(|id| id == of.id) && person.is_none_or(|name| name == of.person))
            });
        }
        before - state.sessions.len()
    }
}

fn code() -> String {
    let mut text = String::with_capacity(CODE_SIGNS + 3);
    for (n, octet) in random::<CODE_SIGNS>().into_iter().enumerate() {
        if n > 0 && n % 4 == 0 {
            text.push('-');
        }
        // 256 is a multiple of 32: each sign is as likely as another.
        text.push(char::from(ALPHABET[usize::from(octet % 32)]));
    }
    text
}

/// Of a code as it was meant: case, spaces and hyphens say nothing, and what looks like a digit is one.
fn digest(typed: &str) -> [u8; 32] {
    let said = typed.chars().filter(|c| !c.is_whitespace() && *c != '-');
    let meant = said.map(|c| match c.to_ascii_lowercase() {
        'o' => '0',
        'i' | 'l' => '1',
        other => other,
    });
    sha256(&[meant.collect::<String>().as_bytes()])
}

/// Makes room for one more: what is the oldest gives way.
fn make_room<K: Copy + Eq + std::hash::Hash, V>(all: &mut HashMap<K, V>, age: impl Fn(&V) -> Time) {
    if all.len() >= KEPT {
        let oldest = all
            .iter()
            .min_by_key(|(_, one)| age(one))
            .map(|(key, _)| *key);
        oldest.map(|key| all.remove(&key));
    }
}

fn key_of(cookie: &str) -> SessionKey {
    SessionKey(sha256(&[cookie.as_bytes()]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn here() -> Place {
        Place {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            browser: "Some browser".into(),
        }
    }

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
        let code = rig.at(0).create_code("Ann");
        let cookie = rig.at(1).spend(&code, here()).expect("the first time");
        let key = rig.at(1).session(&cookie).expect("it is a session");
        assert_eq!(
            rig.at(1).standing(key).map(|(person, _)| person),
            Some("Ann".into())
        );
        assert_eq!(rig.at(1).spend(&code, here()), Err(SignInError::Code));
        assert_eq!(rig.at(1).session(&code), None, "a code is no cookie");
    }

    #[test]
    fn a_code_is_taken_as_people_type_it() {
        let mut rig = Rig::new();
        let code = rig.at(0).create_code("Ann");
        let groups: Vec<usize> = code.split('-').map(str::len).collect();
        assert_eq!(groups, [4; 4], "{code}");
        let typed = format!(
            " {} ",
            code.to_uppercase()
                .replace('-', " ")
                .replace('0', "O")
                .replace('1', "l")
        );
        assert!(rig.at(1).spend(&typed, here()).is_ok(), "{typed}");
        let code = rig.at(1).create_code("Ann");
        let cut = &code[..code.len() - 1];
        assert_eq!(rig.at(1).spend(cut, here()), Err(SignInError::Code));
        let other = if code.ends_with('z') { "y" } else { "z" };
        let wrong = format!("{cut}{other}");
        assert_eq!(rig.at(1).spend(&wrong, here()), Err(SignInError::Code));
        assert!(rig.at(1).spend(&code, here()).is_ok(), "control");
    }

    #[test]
    fn a_code_is_too_old_after_ten_minutes() {
        let mut rig = Rig::new();
        let (old, fresh) = (rig.at(0).create_code("a"), rig.at(5).create_code("b"));
        assert_eq!(rig.at(11).spend(&old, here()), Err(SignInError::Code));
        assert!(rig.at(11).spend(&fresh, here()).is_ok(), "control");
    }

    fn begin(rig: &mut Rig, minutes: i64, person: &str) -> String {
        let code = rig.at(minutes).create_code(person);
        rig.at(minutes).spend(&code, here()).expect("signed in")
    }

    #[test]
    fn a_session_locks_when_idle_and_ends_at_its_age_and_at_sign_out() {
        let mut rig = Rig::new();
        let locked =
            |rig: &mut Rig, minutes, key| rig.at(minutes).standing(key).expect("there").1.locked;
        let idle = begin(&mut rig, 0, "a");
        let key = rig.at(9).session(&idle).expect("there");
        assert!(!locked(&mut rig, 9, key), "control");
        // Looked at late, it was locked all the same; and what is done then does not open it.
        rig.at(11).touch(key);
        assert!(locked(&mut rig, 12, key));
        assert!(
            rig.at(12 * 60 - 1).session(&idle).is_some(),
            "it still rings"
        );
        assert!(rig.at(12 * 60 + 1).session(&idle).is_none());

        let busy = begin(&mut rig, 0, "a");
        for minutes in (0..=11 * 60 + 55).step_by(5) {
            let key = rig.at(minutes).session(&busy).expect("in use");
            assert!(!locked(&mut rig, minutes, key));
            rig.at(minutes).touch(key);
        }
        assert!(rig.at(12 * 60 + 1).session(&busy).is_none());

        let out = begin(&mut rig, 0, "a");
        let key = rig.at(1).session(&out).expect("signed in");
        assert!(rig.at(14).is_fresh(key) || locked(&mut rig, 14, key));
        rig.at(1).lock_up(key);
        assert!(locked(&mut rig, 1, key) && !rig.at(1).is_fresh(key));
        rig.at(1).end(key);
        assert!(rig.at(1).session(&out).is_none());
        assert!(rig.at(1).standing(key).is_none());
    }

    #[test]
    fn sessions_are_listed_and_ended_by_their_names_alone() {
        let mut rig = Rig::new();
        let (first, second) = (begin(&mut rig, 0, "a"), begin(&mut rig, 1, "a"));
        let other = begin(&mut rig, 2, "b");
        let own = rig.at(3).session(&second);
        let listed = rig.at(3).sessions(Some("a"), own);
        let owns: Vec<bool> = listed.iter().map(|(_, own)| *own).collect();
        assert_eq!(owns, [true, false]);
        assert!(
            !second.contains(&listed[0].0.id),
            "the name is no part of the cookie"
        );
        let id = listed[1].0.id.clone();
        assert_eq!(rig.at(3).end_listed(Some(&id), Some("b")), 0, "another's");
        assert_eq!(
            rig.at(3).end_listed(None, None),
            0,
            "nobody's in particular"
        );
        assert_eq!(rig.at(3).end_listed(Some(&id), Some("a")), 1);
        assert!(rig.at(3).session(&first).is_none());
        assert!(rig.at(3).session(&second).is_some() && rig.at(3).session(&other).is_some());
        assert_eq!(rig.at(3).end_listed(None, Some("a")), 1);
        assert_eq!(rig.at(3).sessions(None, None).len(), 1);
    }

    #[test]
    fn a_challenge_is_answered_once_soon_and_for_what_it_was_made() {
        let mut rig = Rig::new();
        let address = here().address;
        let cookie = begin(&mut rig, 0, "a");
        let key = rig.at(0).session(&cookie).expect("signed in");
        let make = |rig: &mut Rig, purpose| rig.at(0).challenge(purpose, address);
        let one = make(&mut rig, Purpose::SignIn);
        assert!(rig.at(1).spend_challenge(&one, Purpose::SignIn), "control");
        assert!(
            !rig.at(1).spend_challenge(&one, Purpose::SignIn),
            "replayed"
        );
        let other = make(&mut rig, Purpose::Make(key));
        assert!(!rig.at(1).spend_challenge(&other, Purpose::SignIn));
        let late = make(&mut rig, Purpose::SignIn);
        assert!(!rig.at(3).spend_challenge(&late, Purpose::SignIn));
        assert!(!rig.at(0).spend_challenge(&[0; 32], Purpose::SignIn));
        // Whoever asks for very many pushes out their own alone.
        let elsewhere = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
        let theirs = rig.at(0).challenge(Purpose::SignIn, elsewhere);
        let first = make(&mut rig, Purpose::SignIn);
        for _ in 0..10 * KEPT {
            let _ = rig.at(1).challenge(Purpose::SignIn, address);
        }
        assert!(!rig.at(1).spend_challenge(&first, Purpose::SignIn));
        assert!(rig.at(1).spend_challenge(&theirs, Purpose::SignIn));
    }

    #[test]
    fn who_fails_waits_longer_each_time_and_nobody_else_does() {
        let mut rig = Rig::new();
        let code = rig.at(0).create_code("a");
        for _ in 0..crate::serve::lockout::FAILURES {
            assert_eq!(rig.at(0).spend("wrong", here()), Err(SignInError::Code));
        }
        assert_eq!(rig.at(0).spend(&code, here()), Err(SignInError::TooMany));
        let elsewhere = Place {
            address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
            ..here()
        };
        assert!(
            rig.at(0).spend(&code, elsewhere).is_ok(),
            "control: another address"
        );
        // One minute, then two, four, ... half an hour; never for ever.
        let mut at = 0;
        for wait in [1, 2, 4, 8, 8] {
            let code = rig.at(at).create_code("a");
            assert_eq!(
                rig.at(at + wait - 1).spend(&code, here()),
                Err(SignInError::TooMany),
                "{wait}"
            );
            at += wait;
            assert_eq!(
                rig.at(at).spend("wrong", here()),
                Err(SignInError::Code),
                "{wait}"
            );
        }
        let code = rig.at(at + 55).create_code("a");
        assert!(rig.at(at + 60).spend(&code, here()).is_ok());
        assert_eq!(
            rig.at(at + 60).spend("wrong", here()),
            Err(SignInError::Code),
            "begins anew"
        );
        let code = rig.at(at + 60).create_code("a");
        assert!(rig.at(at + 60).spend(&code, here()).is_ok());
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
