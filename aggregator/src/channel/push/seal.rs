//! PURE: a message for one browser, so that the push service in between cannot read it (RFC 8291 over RFC 8188), and the word
//! by which a push service knows who sends (RFC 8292).
//!
//! Invariants: each message has a key and a salt of its own; all are equally long. Must not know: networks, what is said.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proto::seal::Secret;
use proto::seal::crypto::{self, CryptoError, hmac_sha256_with, random, sha256};
use vitals::Time;

/// Octets before it is sealed, padding and its mark included.
const LENGTH: usize = 512;
/// One record is more than enough.
const RECORD: u32 = 4096;
/// The word to a push service holds for so long, of the day that it may.
const WORD_LIFE_S: i64 = 12 * 60 * 60;

/// Where a browser takes messages: its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Its public key.
    pub point: [u8; 65],
    /// What proves to it that it gave the key out.
    pub auth: [u8; 16],
}

/// The body of a push message. `None`: it is too long.
///
/// # Errors
/// [`CryptoError`] if the browser's key is none.
pub fn seal(text: &[u8], to: &Keys) -> Result<Option<Vec<u8>>, CryptoError> {
    if text.len() >= LENGTH {
        return Ok(None);
    }
    let own = crypto::generate_agreement_key();
    seal_with(text, LENGTH, to, &own, &random()).map(Some)
}

fn seal_with(
    text: &[u8],
    length: usize,
    to: &Keys,
    own: &Secret,
    salt: &[u8; 16],
) -> Result<Vec<u8>, CryptoError> {
    let (public, shared) = crypto::agree_p256(own, &to.point)?;
    // RFC 8291, section 3.4; each expansion is one block long.
    let pair = hmac_sha256_with(&to.auth, &[shared.expose()]);
    let input = hmac_sha256_with(&pair, &[b"WebPush: info\0", &to.point, &public, &[1]]);
    let root = hmac_sha256_with(salt, &[&input]);
    let key = hmac_sha256_with(&root, &[b"Content-Encoding: aes128gcm\0", &[1]]);
    let nonce = hmac_sha256_with(&root, &[b"Content-Encoding: nonce\0", &[1]]);
    let mut body = text.to_vec();
    // The last record's mark, then padding.
    body.push(2);
    body.resize(length.max(body.len()), 0);
    let (key, nonce) = (first::<16>(&key), first::<12>(&nonce));
    crypto::seal_aes128(&key, nonce, &mut body)?;
    let header = [&salt[..], &RECORD.to_be_bytes(), &[65], &public].concat();
    Ok([header, body].concat())
}

fn first<const N: usize>(bytes: &[u8; 32]) -> [u8; N] {
    std::array::from_fn(|at| bytes[at])
}

/// The value of `Authorization` for a push service at this origin. `pkcs8`: this centre's key; `contact`: who to turn to.
///
/// # Errors
/// [`CryptoError`] if the key is none.
pub fn authorization(
    pkcs8: &[u8],
    origin: &str,
    contact: &str,
    wall: Time,
) -> Result<String, CryptoError> {
    let until = wall.as_micros() / 1_000_000 + WORD_LIFE_S;
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(serde_json::json!({"typ": "JWT", "alg": "ES256"}));
    let claims = part(serde_json::json!({"aud": origin, "exp": until, "sub": contact}));
    let signed = format!("{header}.{claims}");
    let signature = crypto::sign_p256_fixed(pkcs8, signed.as_bytes())?;
    let signature = URL_SAFE_NO_PAD.encode(signature);
    let key = crypto::SigningKey::from_pkcs8(pkcs8)?.public_point();
    let key = URL_SAFE_NO_PAD.encode(key);
    Ok(format!("vapid t={signed}.{signature}, k={key}"))
}

/// Names a browser: the hash of its address.
#[must_use]
pub fn id_of(endpoint: &str) -> [u8; 16] {
    let hash = sha256(&[b"vitaltwin push\0", endpoint.as_bytes()]);
    std::array::from_fn(|at| hash[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn octets<const N: usize>(text: &str) -> [u8; N] {
        let octets = URL_SAFE_NO_PAD.decode(text).expect("base64url");
        octets.try_into().expect("of that length")
    }

    #[test]
    fn the_message_is_that_of_the_standard() {
        // RFC 8291, section 5 and appendix A.
        let to = Keys {
            point: octets(
                "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
            ),
            auth: octets("BTBZMqHH6r4Tts7J_aSIgg"),
        };
        let own = Secret::new(octets("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"));
        let salt = octets("DGv6ra1nlYgDCS1FRnbzlw");
        let text = b"When I grow up, I want to be a watermelon";
        let sealed = seal_with(text, 0, &to, &own, &salt).expect("sealed");
        assert_eq!(
            URL_SAFE_NO_PAD.encode(sealed),
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
        );
    }

    #[test]
    fn all_are_equally_long_and_none_is_another() {
        let own = crypto::generate_agreement_key();
        let (point, _) = crypto::agree_p256(&own, &peer()).expect("a key");
        let to = Keys {
            point,
            auth: [7; 16],
        };
        let sealed = |text: &[u8]| seal(text, &to).expect("a key");
        let (short, long) = (sealed(b"a"), sealed(&[b'a'; LENGTH - 1]));
        assert_eq!(short.as_ref().map(Vec::len), long.as_ref().map(Vec::len));
        assert_ne!(short, sealed(b"a"));
        assert_eq!(sealed(&[b'a'; LENGTH]), None);
        let broken = Keys {
            point: [4; 65],
            ..to
        };
        assert_eq!(seal(b"a", &broken), Err(CryptoError));
    }

    fn peer() -> [u8; 65] {
        let der = crypto::SigningKey::generate_pkcs8();
        let key = crypto::SigningKey::from_pkcs8(&der).expect("just made");
        key.public_point()
    }

    #[test]
    fn the_word_to_a_push_service_is_signed_for_it_alone() {
        let der = crypto::SigningKey::generate_pkcs8();
        let wall = Time::from_micros(1_800_000_000_000_000);
        let word = authorization(&der, "https://push.example", "mailto:a@example.org", wall);
        let word = word.expect("a key");
        let (token, key) = word
            .strip_prefix("vapid t=")
            .and_then(|rest| rest.split_once(", k="))
            .expect("as RFC 8292 writes it");
        assert_eq!(URL_SAFE_NO_PAD.decode(key).map(|key| key.len()), Ok(65));
        let claims = token.split('.').nth(1).expect("three parts");
        let claims: serde_json::Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).expect("base64url"))
                .expect("JSON");
        assert_eq!(claims["aud"], "https://push.example");
        assert_eq!(claims["exp"], 1_800_000_000 + WORD_LIFE_S);
    }
}
