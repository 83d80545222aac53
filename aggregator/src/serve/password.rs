//! Passwords: which ones are taken, and how they are kept and proved. The only file that names `argon2`.
//!
//! A password is never worth anything by itself: a code of an authenticator app, or a recovery code, belongs to it.
//! Rules as of NIST SP 800-63B-4: a length, no composition; not what everybody has, nor one's own name.
//!
//! Invariants: at most `AT_ONCE` are hashed at a time and `WAITING` wait, so whoever tries many costs the others little;
//! an unknown person's costs as much as a known one's; no password lives longer than its proof.
//!
//! Must not know: HTTP, the registry.

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, Version};
use proto::seal::crypto::{equal, random, sha256};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::totp::base32;
use crate::journal::PasswordHash;

/// Characters, at least.
pub const SHORTEST: usize = 12;
/// And at most: a phrase has room, and nobody sends megabytes to be hashed.
pub const LONGEST: usize = 128;
/// Hashed at once: each takes [`MEMORY_KIB`] and a core for some ten milliseconds.
const AT_ONCE: usize = 2;
/// Who comes beyond these is told to come again.
const WAITING: usize = 16;
/// OWASP's first choice for Argon2id (Password Storage Cheat Sheet): 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Recovery codes that are made at once.
const CODES: usize = 10;
/// Different characters, at least.
const DIFFERENT: usize = 5;
/// What people choose, as counted in leaks: one a line, of twelve characters or more (from `zxcvbn` 4.4.2, MIT).
const COMMON: &str = include_str!("password.common.txt");

/// Why a password is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// Fewer characters than [`SHORTEST`].
    Short,
    /// More than [`LONGEST`].
    Long,
    /// Everybody's, or of few different characters.
    Common,
    /// It has its person's name in it, or the program's.
    Named,
}

impl Unfit {
    /// For machines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Long => "long",
            Self::Common => "common",
            Self::Named => "named",
        }
    }
}

/// Whether somebody may have this password.
///
/// # Errors
/// [`Unfit`].
pub fn check(password: &str, person: &str) -> Result<(), Unfit> {
    let length = password.chars().count();
    if length < SHORTEST {
        return Err(Unfit::Short);
    }
    if length > LONGEST {
        return Err(Unfit::Long);
    }
    let low = Zeroizing::new(password.to_lowercase());
    let different: std::collections::BTreeSet<char> = low.chars().collect();
    // With a year or an exclamation mark behind it, it is the same word.
    let core = low.trim_end_matches(|c: char| !c.is_alphabetic());
    let common = |word: &str| COMMON.lines().any(|known| known == word);
    if different.len() < DIFFERENT || common(&low) || common(core) || is_repeated(&low) {
        return Err(Unfit::Common);
    }
    let person = person.to_lowercase();
    let words = person.split(' ').filter(|word| word.chars().count() >= 4);
    let whole: String = person.split(' ').collect();
    let mut names = words.chain([whole.as_str(), "vitaltwin"]);
    if names.any(|name| name.chars().count() >= 3 && low.contains(name)) {
        return Err(Unfit::Named);
    }
    Ok(())
}

/// A short piece over and over.
fn is_repeated(text: &str) -> bool {
    let all: Vec<char> = text.chars().collect();
    (1..=all.len() / 2).any(|piece| all.iter().zip(&all[piece..]).all(|(a, b)| a == b))
}

/// As many are hashed just now as may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

/// Hashes and proves, off the threads that serve.
#[derive(Debug)]
pub struct Hasher {
    queue: Arc<Semaphore>,
    at_once: Arc<Semaphore>,
    /// Nobody's: what an unknown person's password is proved against.
    nobody: PasswordHash,
}

impl Default for Hasher {
    fn default() -> Self {
        Self {
            queue: Arc::new(Semaphore::new(AT_ONCE + WAITING)),
            at_once: Arc::new(Semaphore::new(AT_ONCE)),
            nobody: empty(),
        }
    }
}

impl Hasher {
    /// A new hash, with a salt of its own.
    ///
    /// # Errors
    /// [`Busy`].
    pub async fn hash(&self, password: Zeroizing<String>) -> Result<PasswordHash, Busy> {
        let mut of = empty();
        of.tag = self.tag(password, of.clone()).await?;
        Ok(of)
    }

    /// Whether it is the password behind the hash; never, but as slowly, where there is none.
    ///
    /// # Errors
    /// [`Busy`].
    pub async fn proves(
        &self,
        password: Zeroizing<String>,
        hash: Option<&PasswordHash>,
    ) -> Result<bool, Busy> {
        let against = hash.unwrap_or(&self.nobody);
        let tag = self.tag(password, against.clone()).await?;
        Ok(equal(&tag, &against.tag) & hash.is_some())
    }

    async fn tag(&self, password: Zeroizing<String>, of: PasswordHash) -> Result<[u8; 32], Busy> {
        // Both permits go along: whoever hangs up in the middle frees nothing that still works.
        let place = Arc::clone(&self.queue).try_acquire_owned();
        let place = place.map_err(|_| Busy)?;
        let turn = Arc::clone(&self.at_once).acquire_owned().await;
        let turn = turn.map_err(|_| Busy)?;
        let work = tokio::task::spawn_blocking(move || {
            let _until_it_is_done = (place, turn);
            tag(password.as_bytes(), &of)
        });
        work.await.map_err(|_| Busy)
    }
}

fn empty() -> PasswordHash {
    PasswordHash {
        memory_kib: MEMORY_KIB,
        passes: PASSES,
        lanes: LANES,
        salt: random(),
        tag: [0; 32],
    }
}

/// All zeros, which no password has, where the costs are none.
fn tag(password: &[u8], of: &PasswordHash) -> [u8; 32] {
    let mut tag = [0; 32];
    if let Ok(cost) = Params::new(of.memory_kib, of.passes, of.lanes, Some(32)) {
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, cost);
        if argon
            .hash_password_into(password, &of.salt, &mut tag)
            .is_err()
        {
            tag = [0; 32];
        }
    }
    tag
}

/// New recovery codes, as they are shown once: 80 random bits each, so that their SHA-256 is kept as it is.
#[must_use]
pub fn recovery_codes() -> Vec<String> {
    let one = || {
        let plain = base32(&random::<10>()).to_lowercase();
        let groups: Vec<&str> = (0..4).map(|at| &plain[at * 4..at * 4 + 4]).collect();
        groups.join("-")
    };
    (0..CODES).map(|_| one()).collect()
}

/// What is kept of a recovery code, however it is written.
#[must_use]
pub fn recovery_hash(code: &str) -> [u8; 32] {
    let plain = code.chars().filter(char::is_ascii_alphanumeric);
    let plain: Zeroizing<String> = Zeroizing::new(plain.map(|c| c.to_ascii_lowercase()).collect());
    sha256(&[b"vitaltwin recovery code\0", plain.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[test]
    fn length_and_what_everybody_has_are_the_rules() {
        let check = |password: &str| check(password, "Nina van der Berg");
        for fit in [
            "correct horse battery",
            "ein Satz mit Umlaut ü",
            "ttttttttx9Qpz",
        ] {
            assert_eq!(check(fit), Ok(()), "{fit}");
        }
        for (password, why) in [
            ("", Unfit::Short),
            ("elevenchars", Unfit::Short),
            (&"öäü12345".repeat(17)[..], Unfit::Long),
            ("qwerty123456", Unfit::Common),
            ("JustinBieber2019!", Unfit::Common),
            ("aaaaaaaaaaaaaaaa", Unfit::Common),
            ("abcdabcdabcdabcd", Unfit::Common),
            ("hunger hunger ", Unfit::Common),
            ("my name is nina!", Unfit::Named),
            ("NinaVanDerBerg1", Unfit::Named),
            ("VitalTwin centre", Unfit::Named),
        ] {
            assert_eq!(check(password), Err(why), "{password}");
        }
        // Short words of a name are in too many others.
        assert_eq!(check("wander vandalism"), Ok(()));
        assert!(COMMON.lines().count() > 200);
        assert!(COMMON.lines().all(|line| line == line.to_lowercase()));
    }

    #[test]
    fn the_hash_is_argon2id_of_the_standard() {
        // Made by the reference implementation (argon2-cffi): hash_secret_raw(b"password", b"somesaltsomesalt", 2, 19456, 1, 32, Type.ID)
        let of = PasswordHash {
            salt: *b"somesaltsomesalt",
            ..empty()
        };
        let tag = tag(b"password", &of);
        assert_eq!(proto::text::hex(&tag), REFERENCE);
    }

    #[tokio::test]
    async fn only_the_password_proves_and_nobody_costs_as_much_as_somebody() {
        let hasher = Hasher::default();
        let hash = hasher.hash(word("correct horse battery")).await;
        let hash = hash.expect("not busy");
        let proves = |text: &str| hasher.proves(word(text), Some(&hash));
        assert_eq!(proves("correct horse battery").await, Ok(true));
        assert_eq!(proves("correct horse batterx").await, Ok(false));
        assert_eq!(proves("").await, Ok(false));
        assert_eq!(hasher.proves(word("x"), None).await, Ok(false));
        let other = hasher.hash(word("correct horse battery")).await;
        assert_ne!(other.expect("not busy"), hash, "a salt of its own");
        // Costs that are none prove nothing.
        let broken = PasswordHash {
            memory_kib: 0,
            tag: [1; 32],
            ..hash
        };
        assert_eq!(hasher.proves(word("x"), Some(&broken)).await, Ok(false));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_tries_very_many_at_once_is_told_to_come_again() {
        let hasher = Hasher::default();
        let all = (0..100).map(|_| hasher.proves(word("some password"), None));
        let all = futures_util::future::join_all(all).await;
        let busy = all.iter().filter(|one| **one == Err(Busy)).count();
        assert_eq!(busy, 100 - AT_ONCE - WAITING);
        // Control: afterwards there is room again.
        assert_eq!(hasher.proves(word("x"), None).await, Ok(false));
    }

    #[test]
    fn recovery_codes_are_read_however_they_are_written() {
        let codes = recovery_codes();
        assert_eq!(codes.len(), CODES);
        assert!(codes.iter().all(|code| code.len() == 19), "{codes:?}");
        let [one, other] = [&codes[0], &codes[1]];
        let loud = one.to_uppercase().replace('-', " ");
        assert_eq!(recovery_hash(&loud), recovery_hash(one));
        assert_ne!(recovery_hash(other), recovery_hash(one));
    }

    const REFERENCE: &str = "2b5dc4054886ec957ef59c73b661c54dd6fb274590b278f657c6d96aac8fa6d1";
}
