//! The enrolment token: one line of text that a person carries from the centre to a gateway.
//!
//! `vt1.` and base64url (no padding) of: SHA-256 of the centre's CA certificate (32) || secret (32) || length
//! of the gateway id (1) || gateway id || gRPC address, "host:port" || CRC-32C of all before (4, big-endian),
//! so that a token which was cut or mistyped is told from one which was spent.
//! Invariant: `Debug` hides the secret, errors never quote the token. Must not know: how it is spent.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use vitals::GatewayId;

use crate::seal::crypto;

const PREFIX: &str = "vt1.";
/// Longest text taken; a token with the longest gateway id and host name stays below.
const LONGEST: usize = 1024;

/// What a gateway must know to enrol once.
#[derive(Clone, PartialEq, Eq)]
pub struct EnrolmentToken {
    /// The centre's gRPC door, "host:port".
    pub grpc_address: String,
    /// SHA-256 of the centre's CA certificate (DER): the pin.
    pub ca_sha256: [u8; 32],
    /// The id that the gateway will have.
    pub gateway: GatewayId,
    /// What proves the right to enrol; spent by its first use.
    pub secret: [u8; 32],
}

/// Why a text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It does not begin like one, or a newer centre made it.
    #[error("this is not an enrolment token: it must begin with \"vt1.\"")]
    NotAToken,
    /// Characters are missing or wrong.
    #[error("the enrolment token is damaged ({field}): copy the whole line again")]
    Damaged {
        /// The part that does not hold.
        field: &'static str,
    },
}

impl EnrolmentToken {
    /// The line of text.
    #[must_use]
    pub fn encode(&self) -> String {
        let gateway = self.gateway.as_str().as_bytes();
        let mut bytes = Vec::with_capacity(69 + gateway.len() + self.grpc_address.len());
        bytes.extend_from_slice(&self.ca_sha256);
        bytes.extend_from_slice(&self.secret);
        bytes.push(u8::try_from(gateway.len()).expect("a gateway id has at most 40 characters"));
        bytes.extend_from_slice(gateway);
        bytes.extend_from_slice(self.grpc_address.as_bytes());
        let sum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&sum.to_be_bytes());
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// From the line of text; white space around it is ignored.
    ///
    /// # Errors
    /// [`TokenError`], which tells a person what to do.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let damaged = |field| TokenError::Damaged { field };
        let coded = text
            .trim()
            .strip_prefix(PREFIX)
            .ok_or(TokenError::NotAToken)?;
        if coded.len() > LONGEST {
            return Err(damaged("length"));
        }
        let bytes = URL_SAFE_NO_PAD
            .decode(coded)
            .map_err(|_| damaged("characters"))?;
        let (bytes, sum) = bytes.split_last_chunk::<4>().ok_or(damaged("length"))?;
        if crc32c::crc32c(bytes).to_be_bytes() != *sum {
            return Err(damaged("checksum"));
        }
        let (ca_sha256, bytes) = bytes
            .split_first_chunk::<32>()
            .ok_or(damaged("CA fingerprint"))?;
        let (secret, bytes) = bytes.split_first_chunk::<32>().ok_or(damaged("secret"))?;
        let (length, bytes) = bytes.split_first().ok_or(damaged("gateway"))?;
        let (gateway, address) = bytes
            .split_at_checked(usize::from(*length))
            .ok_or(damaged("gateway"))?;
        let gateway = std::str::from_utf8(gateway).ok().and_then(GatewayId::parse);
        let address = std::str::from_utf8(address)
            .ok()
            .filter(|text| text.contains(':'));
        Ok(Self {
            grpc_address: address.ok_or(damaged("address"))?.to_owned(),
            ca_sha256: *ca_sha256,
            gateway: gateway.ok_or(damaged("gateway"))?,
            secret: *secret,
        })
    }

    /// SHA-256 of the secret: what the centre keeps, so that its disk cannot enrol anybody.
    #[must_use]
    pub fn secret_sha256(&self) -> [u8; 32] {
        crypto::sha256(&[&self.secret])
    }
}

impl fmt::Debug for EnrolmentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnrolmentToken")
            .field("grpc_address", &self.grpc_address)
            .field("gateway", &self.gateway)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> EnrolmentToken {
        EnrolmentToken {
            grpc_address: "centre.example:8443".into(),
            ca_sha256: [7; 32],
            gateway: GatewayId::parse("g-17").expect("fine id"),
            secret: [9; 32],
        }
    }

    #[test]
    fn a_token_round_trips_and_hides_its_secret() {
        let token = sample();
        assert_eq!(
            EnrolmentToken::parse(&format!(" {}\n", token.encode())),
            Ok(token.clone())
        );
        assert!(!format!("{token:?}").contains('9'));
        assert_ne!(token.secret_sha256(), token.secret);
    }

    #[test]
    fn every_cut_and_every_changed_character_is_found() {
        let text = sample().encode();
        for end in 0..text.len() {
            assert!(EnrolmentToken::parse(&text[..end]).is_err(), "cut at {end}");
        }
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).expect("ASCII");
            assert!(EnrolmentToken::parse(&changed).is_err(), "changed at {at}");
        }
    }
}
