//! Context headers: who seals, for which stream, under which key of the patient, and what came before.
//!
//! Invariant: one header has one encoding; [`parse_header`] refuses every other (a field that should be zero
//! and is not, bytes left over).

use vitals::{ContextId, GatewayId, StreamId, Time};

use super::crypto::{self, SigningKey, Suite};
use super::{KeyId, SealError, take, take_time, take_u16, take_u64};
use crate::cert::{Role, p256_point, peer_identity};

const MAGIC: &[u8; 4] = b"VTH1";
const VERSION: u8 = 1;
const SIGNED: &[u8] = b"vitaltwin context v1\0";
const INFO: &[u8] = b"vitaltwin context v1\0";
/// Longest signature taken: an ASN.1 P-256 signature has at most 72 bytes.
const LONGEST_SIGNATURE: u16 = 80;
/// Longest header, bytes; for those who bound what they read.
pub const MAX_HEADER: usize = 137 + 40 + LONGEST_SIGNATURE as usize;

/// Everything a header says, signature apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextHeader {
    /// The bulk AEAD.
    pub suite: Suite,
    /// The generation of the patient's key that it is sealed to.
    pub key_id: KeyId,
    /// The assignment.
    pub stream: StreamId,
    /// The new context.
    pub context: ContextId,
    /// What came before in this stream, on this gateway.
    pub predecessor: Option<Predecessor>,
    /// The agent's clock when it opened the context.
    pub opened_at: Time,
    /// Who seals.
    pub gateway: GatewayId,
    /// HPKE's encapsulated key.
    pub encapsulated: [u8; 32],
}

/// Where the context before this one ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Predecessor {
    /// That context.
    pub context: ContextId,
    /// Its highest number durable on the gateway's disk; 0 if none.
    pub durable: u64,
    /// The time of that.
    pub durable_at: Time,
    /// Its highest number whose receipt was acted upon; 0 if none.
    pub receipted: u64,
    /// Journal epoch of that receipt; 0 if none.
    pub receipt_epoch: u64,
}

impl ContextHeader {
    /// Bytes 0..103+g: what the HPKE `info` hashes.
    fn prefix(&self) -> Vec<u8> {
        let gateway = self.gateway.as_str().as_bytes();
        let mut bytes = Vec::with_capacity(MAX_HEADER);
        bytes.extend_from_slice(MAGIC);
        bytes.push(VERSION);
        bytes.push(self.suite.wire());
        bytes.extend_from_slice(&self.key_id.0);
        bytes.extend_from_slice(&self.stream.0);
        bytes.extend_from_slice(&self.context.0);
        let none = Predecessor {
            context: ContextId([0; 16]),
            durable: 0,
            durable_at: Time::ZERO,
            receipted: 0,
            receipt_epoch: 0,
        };
        let before = self.predecessor.unwrap_or(none);
        bytes.extend_from_slice(&before.context.0);
        bytes.extend_from_slice(&before.durable.to_be_bytes());
        bytes.extend_from_slice(&before.durable_at.as_micros().to_be_bytes());
        bytes.extend_from_slice(&before.receipted.to_be_bytes());
        bytes.extend_from_slice(&before.receipt_epoch.to_be_bytes());
        bytes.extend_from_slice(&self.opened_at.as_micros().to_be_bytes());
        bytes.push(u8::try_from(gateway.len()).expect("a gateway id has at most 40 characters"));
        bytes.extend_from_slice(gateway);
        bytes
    }

    /// The HPKE `info` of this context.
    pub(super) fn info(&self) -> Vec<u8> {
        [INFO, crypto::sha256(&[&self.prefix()]).as_slice()].concat()
    }

    /// The whole header, signed by the gateway's enrolled key.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> Vec<u8> {
        let mut bytes = self.prefix();
        bytes.extend_from_slice(&self.encapsulated);
        let signature = key.sign(&[SIGNED, &bytes].concat());
        let length =
            u16::try_from(signature.len()).expect("a P-256 signature has at most 72 bytes");
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&signature);
        bytes
    }
}

/// Reads a header without asking who signed it: for those who only need its names. The centre calls
/// [`verify_header`].
///
/// # Errors
/// [`SealError::Malformed`], [`SealError::UnsupportedVersion`], [`SealError::UnsupportedSuite`].
pub fn parse_header(bytes: &[u8]) -> Result<ContextHeader, SealError> {
    parse(bytes).map(|(header, _, _)| header)
}

/// Reads a header and verifies that the holder of this certificate's key signed it and that the certificate
/// names the header's gateway. Whether the certificate is one of ours, and not revoked, is the caller's
/// question (see [`crate::cert::issued_by`]); its dates do not matter, because backlog outlives them.
///
/// # Errors
/// As [`parse_header`], and [`SealError::Forged`], [`SealError::OtherGateway`].
pub fn verify_header(bytes: &[u8], leaf_cert_der: &[u8]) -> Result<ContextHeader, SealError> {
    let (header, signed, signature) = parse(bytes)?;
    let identity = peer_identity(leaf_cert_der).map_err(|_| SealError::OtherGateway)?;
    if identity.role != Role::Gateway || identity.name != header.gateway.as_str() {
        return Err(SealError::OtherGateway);
    }
    let point = p256_point(leaf_cert_der).map_err(|_| SealError::Forged)?;
    crypto::verify_p256(&point, &[SIGNED, signed].concat(), signature)
        .map_err(|_| SealError::Forged)?;
    Ok(header)
}

/// The header, the signed part, the signature.
fn parse(bytes: &[u8]) -> Result<(ContextHeader, &[u8], &[u8]), SealError> {
    let mut rest = bytes;
    let malformed = |field| SealError::Malformed { field };
    if &take::<4>(&mut rest, "magic")? != MAGIC {
        return Err(malformed("magic"));
    }
    let [version, suite] = take(&mut rest, "version")?;
    if version != VERSION {
        return Err(SealError::UnsupportedVersion { version });
    }
    let suite = Suite::from_wire(suite).ok_or(SealError::UnsupportedSuite { suite })?;
    let key_id = KeyId(take(&mut rest, "key id")?);
    let stream = StreamId(take(&mut rest, "stream")?);
    let context = ContextId(take(&mut rest, "context")?);
    let predecessor = parse_predecessor(&mut rest)?;
    let opened_at = take_time(&mut rest, "opened at")?;
    let [length] = take(&mut rest, "gateway")?;
    let (gateway, after) = rest
        .split_at_checked(usize::from(length))
        .ok_or(malformed("gateway"))?;
    rest = after;
    let gateway = std::str::from_utf8(gateway).ok().and_then(GatewayId::parse);
    let gateway = gateway.ok_or(malformed("gateway"))?;
    let encapsulated = take(&mut rest, "encapsulated key")?;
    let signed = &bytes[..bytes.len() - rest.len()];
    let length = take_u16(&mut rest, "signature")?;
    if length == 0 || length > LONGEST_SIGNATURE || usize::from(length) != rest.len() {
        return Err(malformed("signature"));
    }
    let header = ContextHeader {
        suite,
        key_id,
        stream,
        context,
        predecessor,
        opened_at,
        gateway,
        encapsulated,
    };
    Ok((header, signed, rest))
}

fn parse_predecessor(rest: &mut &[u8]) -> Result<Option<Predecessor>, SealError> {
    let before = Predecessor {
        context: ContextId(take(rest, "predecessor")?),
        durable: take_u64(rest, "predecessor's durable number")?,
        durable_at: take_time(rest, "predecessor's durable time")?,
        receipted: take_u64(rest, "predecessor's receipted number")?,
        receipt_epoch: take_u64(rest, "predecessor's receipt epoch")?,
    };
    if before.context != ContextId([0; 16]) {
        return Ok(Some(before));
    }
    let empty = before.durable == 0
        && before.durable_at == Time::ZERO
        && before.receipted == 0
        && before.receipt_epoch == 0;
    empty.then_some(None).ok_or(SealError::Malformed {
        field: "predecessor",
    })
}
