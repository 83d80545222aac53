//! One-time codes of an authenticator app (RFC 6238: HMAC-SHA1, six digits, 30 seconds, which every app knows), and how
//! an app learns their secret.
//!
//! Must not know: people, clocks, what a code opens.

use proto::seal::crypto::{equal, hmac_sha1, random};
use vitals::Time;
use zeroize::Zeroizing;

use crate::https::escaped;

/// Seconds that a code holds.
const STEP: u64 = 30;
/// Steps that the person's clock may be off, either way.
const SKEW: u64 = 1;
/// Octets of a secret: as long as the hash (RFC 4226, R6).
const SEED: usize = 20;
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A new secret.
#[must_use]
pub fn seed() -> Zeroizing<Vec<u8>> {
    Zeroizing::new(random::<SEED>().to_vec())
}

/// The step of a time.
#[must_use]
pub fn step_at(time: Time) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(0) / 1_000_000 / STEP
}

/// The code of a step.
#[must_use]
pub fn code(seed: &[u8], step: u64) -> String {
    let hash = hmac_sha1(seed, &step.to_be_bytes());
    let at = usize::from(hash[19] & 0x0f);
    let word = u32::from_be_bytes([hash[at], hash[at + 1], hash[at + 2], hash[at + 3]]);
    format!("{:06}", (word & 0x7fff_ffff) % 1_000_000)
}

/// The step whose code this is, near `now` and newer than `used`. All are compared, whichever it is.
#[must_use]
pub fn step_of(seed: &[u8], given: &str, now: Time, used: u64) -> Option<u64> {
    let here = step_at(now);
    let near = here.saturating_sub(SKEW)..=here + SKEW;
    let hit = |step: u64| equal(code(seed, step).as_bytes(), given.as_bytes());
    let hits: Vec<u64> = near.filter(|step| hit(*step)).collect();
    hits.into_iter().find(|step| *step > used)
}

/// A secret as people type it: base32 in groups of four.
#[must_use]
pub fn spelled(seed: &[u8]) -> String {
    let plain = base32(seed);
    let groups = plain.as_bytes().chunks(4);
    let groups: Vec<_> = groups.map(String::from_utf8_lossy).collect();
    groups.join(" ")
}

/// Base32 without padding (RFC 4648).
#[must_use]
pub fn base32(bytes: &[u8]) -> String {
    let digits = bytes.chunks(5).flat_map(|group| {
        let mut word = [0; 8];
        word[3..3 + group.len()].copy_from_slice(group);
        let word = u64::from_be_bytes(word);
        let count = (group.len() * 8).div_ceil(5);
        (0..count).map(move |place| BASE32[(word >> (35 - 5 * place) & 31) as usize] as char)
    });
    digits.collect()
}

/// What an app is told: who it is for, and the secret.
#[must_use]
pub fn uri(seed: &[u8], centre: &str, person: &str) -> Zeroizing<String> {
    let (centre, person) = (escaped(centre), escaped(person));
    let secret = base32(seed);
    Zeroizing::new(format!(
        "otpauth://totp/{centre}:{person}?secret={secret}&issuer={centre}&algorithm=SHA1&digits=6&period=30"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Time {
        Time::from_micros(second * 1_000_000)
    }

    #[test]
    fn the_codes_are_those_of_the_standard() {
        // RFC 6238, appendix B (SHA-1), of whose eight digits these are the last six.
        for (second, expected) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            let seed = b"12345678901234567890";
            assert_eq!(code(seed, step_at(at(second))), expected, "{second}");
        }
    }

    #[test]
    fn a_code_holds_one_step_either_way_and_once() {
        let seed = b"12345678901234567890";
        let now = at(1_111_111_111);
        let step = step_at(now);
        for (off, taken) in [
            (-2_i64, false),
            (-1, true),
            (0, true),
            (1, true),
            (2, false),
        ] {
            let step = step.wrapping_add_signed(off);
            let found = step_of(seed, &code(seed, step), now, 0);
            assert_eq!(found, taken.then_some(step), "{off}");
        }
        let given = code(seed, step);
        assert_eq!(step_of(seed, &given, now, step), None, "again");
        assert_eq!(
            step_of(seed, &code(seed, step - 1), now, step),
            None,
            "older"
        );
        assert_eq!(step_of(seed, "", now, 0), None);
        assert_eq!(step_of(b"another secret of 20", &given, now, 0), None);
    }

    #[test]
    fn a_secret_is_spelled_as_apps_read_it() {
        // RFC 4648, section 10.
        for (bytes, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
        assert_eq!(spelled(b"foobar"), "MZXW 6YTB OI");
        let uri = uri(b"foobar", "vitaltwin a:b", "Ann Öz");
        assert_eq!(
            uri.as_str(),
            "otpauth://totp/vitaltwin%20a%3Ab:Ann%20%C3%96z?secret=MZXW6YTBOI&issuer=vitaltwin%20a%3Ab&algorithm=SHA1&digits=6&period=30"
        );
    }
}
