//! Tokens as a provider makes them, and as an attacker does.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use jsonwebtoken::{EncodingKey, Header, encode};
use proto::seal::crypto::SigningKey;
use serde_json::{Value, json};

use super::*;

const ISSUER: &str = "https://id.example/";
const NOW: i64 = 1_800_000_000;

fn expected() -> Expected<'static> {
    Expected {
        issuer: ISSUER,
        client: "centre",
        nonce: "n-1",
        now: Time::from_micros(NOW * 1_000_000),
    }
}

/// A key of a provider: what it signs with, and what it publishes.
struct Key {
    der: Vec<u8>,
    jwk: Value,
}

fn key(id: &str) -> Key {
    let der = SigningKey::generate_pkcs8().to_vec();
    let point = SigningKey::from_pkcs8(&der)
        .expect("just made")
        .public_point();
    let [x, y] = [&point[1..33], &point[33..]].map(|half| B64.encode(half));
    let jwk = json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": id, "alg": "ES256", "use": "sig"});
    Key { der, jwk }
}

fn keys(all: &[&Key]) -> Keys {
    let all: Vec<&Value> = all.iter().map(|key| &key.jwk).collect();
    serde_json::from_value(json!({ "keys": all })).expect("a set")
}

fn claims() -> Value {
    json!({"iss": ISSUER, "sub": "u-7", "aud": "centre", "exp": NOW + 300, "iat": NOW, "nonce": "n-1"})
}

fn signed(key: &Key, kid: Option<&str>, claims: &Value) -> String {
    let mut header = Header::new(Algorithm::ES256);
    header.kid = kid.map(str::to_owned);
    encode(&header, claims, &EncodingKey::from_ec_der(&key.der)).expect("it signs")
}

/// A token whose parts are what they are, signature included.
fn raw(header: &Value, claims: &Value, signature: &[u8]) -> String {
    let part = |value: &Value| B64.encode(value.to_string());
    format!(
        "{}.{}.{}",
        part(header),
        part(claims),
        B64.encode(signature)
    )
}

#[test]
fn a_token_of_the_provider_names_somebody() {
    let (one, other) = (key("1"), key("2"));
    let known = keys(&[&one, &other]);
    let token = signed(&other, Some("2"), &claims());
    assert_eq!(judge(&token, &known, expected()), Ok("u-7".into()));
    // As one of several audiences it must say that it is for us.
    let mut several = claims();
    several["aud"] = json!(["centre", "other"]);
    assert_eq!(
        judge(&signed(&one, Some("1"), &several), &known, expected()),
        Err(TokenError::Audience)
    );
    several["azp"] = json!("centre");
    assert!(judge(&signed(&one, Some("1"), &several), &known, expected()).is_ok());
    // Without a name the key must be the only one.
    let nameless = signed(&one, None, &claims());
    assert_eq!(judge(&nameless, &known, expected()), Err(TokenError::Key));
    assert!(judge(&nameless, &keys(&[&one]), expected()).is_ok());
    // A key of tomorrow is asked for.
    let tomorrow = signed(&key("3"), Some("3"), &claims());
    assert!(names_unknown_key(&tomorrow, &known) && !names_unknown_key(&token, &known));
    assert_eq!(judge(&tomorrow, &known, expected()), Err(TokenError::Key));
}

#[test]
fn what_is_wrong_in_any_of_it_is_refused() {
    let key = key("1");
    let known = keys(&[&key]);
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        judge(&signed(&key, Some("1"), &claims), &known, expected())
    };
    assert!(with("name", json!("x")).is_ok(), "control");
    for (name, value, why) in [
        ("iss", json!("https://id.example"), TokenError::Signature),
        ("iss", json!("https://evil.example/"), TokenError::Signature),
        ("iss", json!([ISSUER]), TokenError::Signature),
        ("iss", Value::Null, TokenError::Signature),
        ("aud", json!("other"), TokenError::Signature),
        ("aud", json!([]), TokenError::Signature),
        ("aud", Value::Null, TokenError::Signature),
        ("azp", json!("other"), TokenError::Audience),
        ("exp", json!(NOW - 61), TokenError::Time),
        ("exp", Value::Null, TokenError::Signature),
        ("iat", json!(NOW + 61), TokenError::Time),
        ("iat", json!(NOW - 601), TokenError::Time),
        ("nbf", json!(NOW + 61), TokenError::Time),
        ("nonce", json!("n-2"), TokenError::Nonce),
        ("nonce", json!(""), TokenError::Nonce),
        ("sub", json!(""), TokenError::Subject),
        ("sub", json!("x".repeat(256)), TokenError::Subject),
        ("sub", json!("a\nb"), TokenError::Subject),
    ] {
        assert_eq!(with(name, value.clone()), Err(why), "{name} {value}");
    }
    let unasked = Expected {
        nonce: "",
        ..expected()
    };
    let mut none = claims();
    none["nonce"] = json!("");
    let token = signed(&key, Some("1"), &none);
    assert_eq!(judge(&token, &known, unasked), Err(TokenError::Nonce));
}

#[test]
fn neither_none_nor_a_shared_secret_nor_anothers_key_signs() {
    let key = key("1");
    let known = keys(&[&key]);
    for alg in ["none", "None", "NONE", ""] {
        let header = json!({"alg": alg, "kid": "1", "typ": "JWT"});
        for signature in [&[][..], &[0; 64]] {
            let token = raw(&header, &claims(), signature);
            assert_eq!(
                judge(&token, &known, expected()),
                Err(TokenError::Algorithm),
                "{alg:?}"
            );
        }
    }
    // The public key, which everybody has, as a shared secret.
    let public = key.jwk.to_string();
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("1".into());
    let secret = EncodingKey::from_secret(public.as_bytes()).expect("a secret");
    let token = encode(&header, &claims(), &secret).expect("it signs");
    assert_eq!(
        judge(&token, &known, expected()),
        Err(TokenError::Algorithm)
    );
    // Another's key under the same name, and one that the token brings along.
    let thief = self::key("1");
    let token = signed(&thief, Some("1"), &claims());
    assert_eq!(
        judge(&token, &known, expected()),
        Err(TokenError::Signature)
    );
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some("1".into());
    header.jwk = serde_json::from_value(thief.jwk.clone()).ok();
    let token =
        encode(&header, &claims(), &EncodingKey::from_ec_der(&thief.der)).expect("it signs");
    assert_eq!(
        judge(&token, &known, expected()),
        Err(TokenError::Signature)
    );
    // What must be understood and is not; a key for something else; any changed octet of what is signed.
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some("1".into());
    header.crit = Some(vec!["x".into()]);
    let token = encode(&header, &claims(), &EncodingKey::from_ec_der(&key.der)).expect("it signs");
    assert_eq!(
        judge(&token, &known, expected()),
        Err(TokenError::Algorithm)
    );
    let mut other = Key {
        der: key.der.clone(),
        jwk: key.jwk.clone(),
    };
    let good = signed(&key, Some("1"), &claims());
    for (field, value) in [("use", "enc"), ("alg", "ES384")] {
        other.jwk = key.jwk.clone();
        other.jwk[field] = json!(value);
        assert_eq!(
            judge(&good, &keys(&[&other]), expected()),
            Err(TokenError::Key),
            "{field}"
        );
    }
    for place in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(bytes).expect("text");
        // The last characters of base64 have bits that say nothing; a strict reader refuses them, too.
        assert!(judge(&forged, &known, expected()).is_err(), "{place}");
    }
    for hostile in ["", ".", "..", "a.b.c", &"x.".repeat(1000)] {
        assert!(judge(hostile, &known, expected()).is_err());
    }
}
