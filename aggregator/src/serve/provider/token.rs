//! PURE: the token by which a provider of identities says who somebody is (OpenID Connect Core 1.0, section 3.1.3.7), judged.
//! The only file that names `jsonwebtoken`.
//!
//! Invariants: an algorithm that needs no key, or a shared one, is none; the key is one of the provider's own, for this
//! algorithm; issuer, audience, nonce and times all hold, or nothing does. Must not know: HTTP, people.

use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use proto::seal::crypto::equal;
use serde::Deserialize;
use vitals::Time;

/// With a public key each.
const ALGORITHMS: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::PS256,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];
/// Seconds that the provider's clock may be off.
const SKEW: f64 = 60.0;
/// Seconds since it was made: it comes straight from the provider.
const OLDEST: f64 = 600.0;
/// Characters of a subject (OpenID Connect Core, section 2).
const LONGEST_SUBJECT: usize = 255;

/// Keys of a provider.
pub(super) type Keys = JwkSet;

/// What it must say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    /// The provider.
    pub issuer: &'a str,
    /// This centre, as the provider knows it.
    pub client: &'a str,
    /// What the browser was sent with.
    pub nonce: &'a str,
    /// By the wall: the provider knows no other clock.
    pub now: Time,
}

/// Why a token is worth nothing. For the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenError {
    #[error(
        "the token has no header that is understood: none, or an algorithm without a public key"
    )]
    Algorithm,
    #[error("no key of the provider is the token's")]
    Key,
    #[error("the token's signature, issuer or audience does not hold")]
    Signature,
    #[error("the token is about another issuer")]
    Issuer,
    #[error("the token is for somebody else")]
    Audience,
    #[error("the token is too old, or not yet good")]
    Time,
    #[error("the token answers another sign-in")]
    Nonce,
    #[error("the token names nobody")]
    Subject,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: OneOrMany,
    exp: f64,
    iat: f64,
    #[serde(default)]
    nbf: Option<f64>,
    #[serde(default)]
    nonce: String,
    #[serde(default)]
    azp: Option<String>,
}

/// Whether a key that is not known yet may help: the provider may have a new one.
pub(super) fn names_unknown_key(token: &str, keys: &Keys) -> bool {
    let header = decode_header(token).ok();
    header.is_some_and(|header| header.kid.is_some_and(|kid| keys.find(&kid).is_none()))
}

/// Whom the provider names.
pub(super) fn judge(
    token: &str,
    keys: &Keys,
    expected: Expected<'_>,
) -> Result<String, TokenError> {
    // "none" is no algorithm of the library's.
    let header = decode_header(token).map_err(|_| TokenError::Algorithm)?;
    if !ALGORITHMS.contains(&header.alg) || header.crit.is_some() || header.enc.is_some() {
        return Err(TokenError::Algorithm);
    }
    let key = key_for(keys, header.kid.as_deref(), header.alg).ok_or(TokenError::Key)?;
    let key = DecodingKey::from_jwk(key).map_err(|_| TokenError::Key)?;
    let mut rules = Validation::new(header.alg);
    rules.set_issuer(&[expected.issuer]);
    rules.set_audience(&[expected.client]);
    rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // The library's clock is the machine's; ours is given.
    rules.validate_exp = false;
    let claims = decode::<Claims>(token, &key, &rules).map_err(|_| TokenError::Signature)?;
    let claims = claims.claims;
    if claims.iss != expected.issuer {
        return Err(TokenError::Issuer);
    }
    let ours = match &claims.aud {
        OneOrMany::One(one) => one == expected.client,
        OneOrMany::Many(all) => {
            all.iter().any(|one| one == expected.client) && (all.len() == 1 || claims.azp.is_some())
        }
    };
    let authorized = claims.azp.is_none_or(|azp| azp == expected.client);
    if !ours || !authorized {
        return Err(TokenError::Audience);
    }
    let now = expected.now.since(Time::ZERO).as_secs_f64();
    let begins = claims.nbf.unwrap_or(claims.iat).max(claims.iat);
    let timely = now < claims.exp + SKEW && begins < now + SKEW && now < claims.iat + OLDEST;
    if !timely {
        return Err(TokenError::Time);
    }
    if expected.nonce.is_empty() || !equal(claims.nonce.as_bytes(), expected.nonce.as_bytes()) {
        return Err(TokenError::Nonce);
    }
    let fits = !claims.sub.is_empty()
        && claims.sub.len() <= LONGEST_SUBJECT
        && claims.sub.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    fits.then_some(claims.sub).ok_or(TokenError::Subject)
}

fn key_for<'k>(keys: &'k Keys, kid: Option<&str>, algorithm: Algorithm) -> Option<&'k Jwk> {
    let fits = |key: &&Jwk| {
        let common = &key.common;
        let signs = !matches!(common.public_key_use, Some(PublicKeyUse::Encryption));
        let named = kid.is_none() || common.key_id.as_deref() == kid;
        let said = common.key_algorithm.as_ref().map(ToString::to_string);
        signs && named && said.is_none_or(|said| said == format!("{algorithm:?}"))
    };
    let mut all = keys.keys.iter().filter(fits);
    let found = all.next()?;
    // Without a name it must be the only one.
    all.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests;
