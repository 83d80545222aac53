//! PURE: passkeys (WebAuthn level 3) as a relying party judges them: discoverable, with user verification, without
//! attestation; ES256 and Ed25519.
//!
//! Strict where the standard leaves room: the key must lie in the authenticator data exactly as CTAP2's canonical CBOR
//! has it, so there is no parser that could be led astray; what comes from another origin, frame or host, for another
//! challenge, without the person having proved to the authenticator who they are, or with a counter that did not go
//! up, is refused, and all refusals look alike to whoever asks.
//!
//! Must not know: HTTP, sessions, the registry, clocks.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proto::seal::crypto::{equal, sha256, verify_ed25519, verify_p256};
use serde::Deserialize;

/// The person touched the authenticator.
const PRESENT: u8 = 0x01;
/// The authenticator knows that it was this person: finger, face or PIN.
const VERIFIED: u8 = 0x04;
/// A new credential follows.
const ATTESTED: u8 = 0x40;
/// Words of extensions follow, which nobody asked for; some browsers do by themselves.
const EXTENDED: u8 = 0x80;
/// Hash, flags and counter.
const FIXED: usize = 37;
/// Longest credential id (level 3, section 4).
const LONGEST_ID: usize = 1023;
/// What browsers write is a few hundred bytes.
const LONGEST_CLIENT_DATA: usize = 4096;

/// Before x and y of an ES256 key as canonical CBOR: {1: 2, 3: -7, -1: 1, -2: x, -3: y}.
const ES256: [&[u8]; 2] = [
    &[0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20],
    &[0x22, 0x58, 0x20],
];
/// Before x of an Ed25519 key: {1: 1, 3: -8, -1: 6, -2: x}.
const EDDSA: &[u8] = &[0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21, 0x58, 0x20];

/// COSE numbers of the algorithms that are taken, as `pubKeyCredParams` lists them.
pub const ALGORITHMS: [i32; 2] = [-8, -7];

/// A public key, as it is kept: one byte that says which algorithm, and the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(Vec<u8>);

impl PublicKey {
    const P256: u8 = 1;
    const ED25519: u8 = 2;

    /// As it is kept.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// From where it is kept.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let fits = matches!(
            (bytes.first(), bytes.len()),
            (Some(&Self::P256), 66) | (Some(&Self::ED25519), 33)
        );
        fits.then(|| Self(bytes.to_vec()))
    }

    /// The key that a canonical COSE key begins with, and what follows it.
    fn from_cose(bytes: &[u8]) -> Option<(Self, &[u8])> {
        if let Some(rest) = bytes.strip_prefix(EDDSA) {
            let (x, rest) = rest.split_at_checked(32)?;
            return Some((Self([&[Self::ED25519], x].concat()), rest));
        }
        let rest = bytes.strip_prefix(ES256[0])?;
        let (x, rest) = rest.split_at_checked(32)?;
        let (y, rest) = rest.strip_prefix(ES256[1])?.split_at_checked(32)?;
        Some((Self([&[Self::P256, 0x04], x, y].concat()), rest))
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self.0.split_first() {
            Some((&Self::P256, point)) => point
                .try_into()
                .is_ok_and(|point| verify_p256(point, message, signature).is_ok()),
            Some((&Self::ED25519, key)) => key
                .try_into()
                .is_ok_and(|key| verify_ed25519(key, message, signature).is_ok()),
            Some(_) | None => false,
        }
    }
}

/// Where the page was, and what it was asked.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Host and port, as the browser called them.
    pub authority: &'a str,
    /// What was handed out.
    pub challenge: &'a [u8],
}

impl Expected<'_> {
    /// The relying party's id: the host alone.
    #[must_use]
    pub fn host(&self) -> &str {
        host_of(self.authority)
    }
}

/// A host without its port.
#[must_use]
pub fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        Some(_) | None => authority,
    }
}

/// A new passkey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The credential's id, as the authenticator chose it.
    pub id: Vec<u8>,
    /// Its public key.
    pub key: PublicKey,
    /// How often it signed.
    pub count: u32,
}

/// Why a passkey was refused. For the log: whoever asks learns no more than that it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasskeyError {
    /// The browser's words do not fit what was asked: another challenge, origin, frame or act.
    #[error("the browser's answer does not fit what it was asked")]
    ClientData,
    /// The authenticator's words do not fit: another host, nobody there, nobody verified, a key that we do not take.
    #[error("the authenticator's answer does not fit")]
    Authenticator,
    /// The signature does not hold.
    #[error("the signature does not hold")]
    Signature,
    /// The counter did not go up: the key was copied, or the answer is an old one.
    #[error("the authenticator's counter did not go up: the key may have been copied")]
    Counter,
}

#[derive(Deserialize)]
struct ClientData {
    r#type: String,
    challenge: String,
    origin: String,
    #[serde(default, rename = "crossOrigin")]
    cross_origin: bool,
}

fn check_client_data(bytes: &[u8], act: &str, expected: &Expected<'_>) -> Result<(), PasskeyError> {
    if bytes.len() > LONGEST_CLIENT_DATA {
        return Err(PasskeyError::ClientData);
    }
    let said: ClientData = serde_json::from_slice(bytes).map_err(|_| PasskeyError::ClientData)?;
    let challenge = URL_SAFE_NO_PAD.decode(&said.challenge).unwrap_or_default();
    let origin = said.origin.strip_prefix("https://");
    let fits = said.r#type == act
        && !expected.challenge.is_empty()
        && equal(&challenge, expected.challenge)
        && origin.is_some_and(|origin| origin.eq_ignore_ascii_case(expected.authority))
        && !said.cross_origin;
    if fits {
        Ok(())
    } else {
        Err(PasskeyError::ClientData)
    }
}

/// Flags, counter and what follows them, if they are about this host and a person who proved who they are.
fn check_authenticator<'d>(
    data: &'d [u8],
    expected: &Expected<'_>,
) -> Result<(u8, u32, &'d [u8]), PasskeyError> {
    let (fixed, rest) = data
        .split_at_checked(FIXED)
        .ok_or(PasskeyError::Authenticator)?;
    let flags = fixed[32];
    let count = u32::from_be_bytes([fixed[33], fixed[34], fixed[35], fixed[36]]);
    let host = expected.host().to_ascii_lowercase();
    if !equal(&fixed[..32], &sha256(&[host.as_bytes()]))
        || flags & (PRESENT | VERIFIED) != PRESENT | VERIFIED
    {
        return Err(PasskeyError::Authenticator);
    }
    Ok((flags, count, rest))
}

/// Takes a new passkey. What it is worth is the session that it is made in: nothing attests it.
///
/// # Errors
/// [`PasskeyError`].
pub fn make(
    client_data: &[u8],
    authenticator: &[u8],
    expected: &Expected<'_>,
) -> Result<Made, PasskeyError> {
    check_client_data(client_data, "webauthn.create", expected)?;
    let (flags, count, rest) = check_authenticator(authenticator, expected)?;
    let made = |rest: &[u8]| {
        // The authenticator's model is nobody's business here.
        let (_, rest) = rest.split_at_checked(16)?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (id, rest) = rest.split_at_checked(length)?;
        let (key, rest) = PublicKey::from_cose(rest)?;
        let ends = rest.is_empty() || flags & EXTENDED != 0;
        let fits = (16..=LONGEST_ID).contains(&length) && ends;
        fits.then(|| Made {
            id: id.to_vec(),
            key,
            count,
        })
    };
    if flags & ATTESTED == 0 {
        return Err(PasskeyError::Authenticator);
    }
    made(rest).ok_or(PasskeyError::Authenticator)
}

/// A passkey's answer, as the browser hands it on.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// `clientDataJSON`.
    pub client_data: &'a [u8],
    /// `authenticatorData`.
    pub authenticator: &'a [u8],
    /// Over both.
    pub signature: &'a [u8],
}

/// Judges an answer of a known passkey that had signed `count` times; gives how often it has now.
///
/// # Errors
/// [`PasskeyError`].
pub fn judge(
    answer: Answer<'_>,
    key: &PublicKey,
    count: u32,
    expected: &Expected<'_>,
) -> Result<u32, PasskeyError> {
    check_client_data(answer.client_data, "webauthn.get", expected)?;
    let (_, now, _) = check_authenticator(answer.authenticator, expected)?;
    let message = [answer.authenticator, &sha256(&[answer.client_data])].concat();
    if !key.verify(&message, answer.signature) {
        return Err(PasskeyError::Signature);
    }
    // Passkeys that live on several devices do not count.
    if (count > 0 || now > 0) && now <= count {
        return Err(PasskeyError::Counter);
    }
    Ok(now)
}

#[cfg(test)]
mod tests {
    use proto::seal::crypto::SigningKey;

    use super::*;

    const HERE: Expected<'static> = Expected {
        authority: "centre.example:8443",
        challenge: &[7; 32],
    };

    fn client(act: &str, challenge: &[u8], origin: &str, rest: &str) -> Vec<u8> {
        let challenge = URL_SAFE_NO_PAD.encode(challenge);
        format!(r#"{{"type":"{act}","challenge":"{challenge}","origin":"{origin}"{rest}}}"#).into()
    }

    fn data(host: &str, flags: u8, count: u32) -> Vec<u8> {
        let mut data = sha256(&[host.as_bytes()]).to_vec();
        data.push(flags);
        data.extend(count.to_be_bytes());
        data
    }

    fn signing() -> SigningKey {
        SigningKey::from_pkcs8(&SigningKey::generate_pkcs8()).expect("just made")
    }

    fn cose(point: &[u8; 65]) -> Vec<u8> {
        [ES256[0], &point[1..33], ES256[1], &point[33..]].concat()
    }

    fn attested(key: &[u8], id: &[u8]) -> Vec<u8> {
        let mut all = data("centre.example", PRESENT | VERIFIED | ATTESTED, 1);
        all.extend([0; 16]);
        all.extend(u16::try_from(id.len()).expect("short").to_be_bytes());
        all.extend(id);
        all.extend(key);
        all
    }

    fn get() -> Vec<u8> {
        client("webauthn.get", &[7; 32], "https://centre.example:8443", "")
    }

    fn create() -> Vec<u8> {
        client(
            "webauthn.create",
            &[7; 32],
            "https://centre.example:8443",
            "",
        )
    }

    #[test]
    fn a_key_is_made_and_signs_in_and_counts() {
        let signing = signing();
        let data_made = attested(&cose(&signing.public_point()), &[5; 32]);
        let made = make(&create(), &data_made, &HERE).expect("as it must be");
        assert_eq!((made.id.as_slice(), made.count), (&[5_u8; 32][..], 1));
        let kept = PublicKey::from_bytes(made.key.as_bytes()).expect("as it was kept");
        assert_eq!(kept, made.key);
        let (client_data, authenticator) = (get(), data("centre.example", 5, 2));
        let message = [&authenticator[..], &sha256(&[&client_data])].concat();
        let signature = signing.sign(&message);
        let answer = Answer {
            client_data: &client_data,
            authenticator: &authenticator,
            signature: &signature,
        };
        assert_eq!(judge(answer, &kept, 1, &HERE), Ok(2));
        assert_eq!(
            judge(answer, &kept, 2, &HERE),
            Err(PasskeyError::Counter),
            "replayed"
        );
        let other = Expected {
            challenge: &[8; 32],
            ..HERE
        };
        assert_eq!(
            judge(answer, &kept, 1, &other),
            Err(PasskeyError::ClientData)
        );
        let none = Expected {
            challenge: &[],
            ..HERE
        };
        assert_eq!(
            judge(answer, &kept, 1, &none),
            Err(PasskeyError::ClientData)
        );
        // Any flipped bit of what is signed, and another's key.
        for place in 0..authenticator.len() {
            let mut forged = authenticator.clone();
            forged[place] ^= 0x80;
            let forged = Answer {
                authenticator: &forged,
                ..answer
            };
            assert!(judge(forged, &kept, 1, &HERE).is_err(), "{place}");
        }
        let foreign = make(
            &create(),
            &attested(&cose(&self::signing().public_point()), &[6; 16]),
            &HERE,
        );
        let foreign = foreign.expect("a key").key;
        assert_eq!(
            judge(answer, &foreign, 1, &HERE),
            Err(PasskeyError::Signature)
        );
    }

    #[test]
    fn what_the_browser_says_must_be_what_it_was_asked_here() {
        let authenticator = data("centre.example", 5, 0);
        let key = PublicKey::from_bytes(&[&[1, 4][..], &[1; 64]].concat()).expect("a shape");
        let refused = |client_data: Vec<u8>| {
            let answer = Answer {
                client_data: &client_data,
                authenticator: &authenticator,
                signature: &[],
            };
            judge(answer, &key, 0, &HERE)
        };
        assert_eq!(
            refused(get()),
            Err(PasskeyError::Signature),
            "control: only the signature is wrong"
        );
        let origin = "https://centre.example:8443";
        for client_data in [
            client("webauthn.create", &[7; 32], origin, ""),
            client("webauthn.get", &[7; 31], origin, ""),
            client("webauthn.get", &[], origin, ""),
            client("webauthn.get", &[7; 32], "https://centre.example", ""),
            client(
                "webauthn.get",
                &[7; 32],
                "https://centre.example:8443.evil",
                "",
            ),
            client("webauthn.get", &[7; 32], "http://centre.example:8443", ""),
            client("webauthn.get", &[7; 32], origin, r#","crossOrigin":true"#),
            client(
                "webauthn.get",
                &[7; 32],
                origin,
                &format!(r#","x":"{}""#, "x".repeat(4096)),
            ),
            b"{}".to_vec(),
            Vec::new(),
        ] {
            assert_eq!(refused(client_data), Err(PasskeyError::ClientData));
        }
        let frame = client("webauthn.get", &[7; 32], origin, r#","crossOrigin":false"#);
        assert_eq!(refused(frame), Err(PasskeyError::Signature), "control");
    }

    #[test]
    fn what_the_authenticator_says_must_be_of_this_host_and_a_verified_person() {
        let client_data = get();
        let key = PublicKey::from_bytes(&[&[2][..], &[1; 32]].concat()).expect("a shape");
        let refused = |authenticator: Vec<u8>| {
            let answer = Answer {
                client_data: &client_data,
                authenticator: &authenticator,
                signature: &[],
            };
            judge(answer, &key, 0, &HERE)
        };
        assert_eq!(
            refused(data("centre.example", 5, 0)),
            Err(PasskeyError::Signature),
            "control"
        );
        for authenticator in [
            data("evil.example", 5, 0),
            data("centre.example:8443", 5, 0),
            data("centre.example", PRESENT, 0),
            data("centre.example", VERIFIED, 0),
            data("centre.example", 0, 0),
            data("centre.example", 5, 0)[..36].to_vec(),
        ] {
            assert_eq!(refused(authenticator), Err(PasskeyError::Authenticator));
        }
    }

    #[test]
    fn a_new_key_must_lie_there_as_the_standard_writes_it() {
        let point = signing().public_point();
        let good = cose(&point);
        assert!(
            make(&create(), &attested(&good, &[5; 16]), &HERE).is_ok(),
            "control"
        );
        let ed = [EDDSA, &[3; 32]].concat();
        assert!(
            make(&create(), &attested(&ed, &[5; 16]), &HERE).is_ok(),
            "control"
        );
        let mut other_order = good.clone();
        other_order.swap(1, 3);
        for (key, id) in [
            (good[..good.len() - 1].to_vec(), vec![5; 16]),
            ([&good[..], &[0]].concat(), vec![5; 16]),
            (other_order, vec![5; 16]),
            (Vec::new(), vec![5; 16]),
            (good.clone(), vec![5; 15]),
            (good.clone(), vec![5; 1024]),
        ] {
            assert_eq!(
                make(&create(), &attested(&key, &id), &HERE),
                Err(PasskeyError::Authenticator)
            );
        }
        let whole = attested(&good, &[5; 16]);
        for length in 0..whole.len() {
            assert!(
                make(&create(), &whole[..length], &HERE).is_err(),
                "{length}"
            );
        }
        let mut unattested = whole;
        unattested[32] = PRESENT | VERIFIED;
        assert!(make(&create(), &unattested, &HERE).is_err());
    }

    #[test]
    fn a_host_is_an_authority_without_its_port() {
        for (authority, host) in [
            ("centre.example:8443", "centre.example"),
            ("centre.example", "centre.example"),
            ("localhost:1", "localhost"),
            ("[::1]:8443", "[::1]"),
        ] {
            assert_eq!(host_of(authority), host);
        }
    }
}
