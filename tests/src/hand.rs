//! A gateway driven by hand: enrolled like any other, but it sends what a story tells it to, in any order, as
//! often as it likes. For duplicates, forgeries, hostile frames, and load.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use proto::clock::Clock;
use proto::seal::{self, KeyId, Label, Lane, NewContext, PatientPublic, Sealer, SigningKey, Suite};
use proto::token::EnrolmentToken;
use proto::v1::centre_to_gateway::Kind as Down;
use proto::v1::enrolment_service_client::EnrolmentServiceClient;
use proto::v1::gateway_to_centre::Kind as Up;
use proto::v1::uplink_service_client::UplinkServiceClient;
use proto::v1::{self, CentreToGateway, GatewayToCentre};
use proto::wire::split_to_fit;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use vitals::{GatewayId, Kind, Quality, Reading, SourceId, StreamId, Time, Value};

use crate::client::channel;

/// What enrolment gave.
#[derive(Debug)]
pub struct HandGateway {
    /// Its id.
    pub id: GatewayId,
    /// DER, leaf first.
    pub chain: Vec<Vec<u8>>,
    key_pkcs8: Vec<u8>,
    ca: Vec<u8>,
    address: SocketAddr,
    clock: Clock,
}

/// An open uplink.
#[derive(Debug)]
pub struct HandUplink {
    up: mpsc::Sender<GatewayToCentre>,
    down: Streaming<CentreToGateway>,
}

/// Everything that came down and means something to a story.
#[derive(Debug, Default)]
pub struct Heard {
    /// Receipted ranges.
    pub receipts: Vec<v1::Receipt>,
    /// Refusals.
    pub refusals: Vec<v1::Refusal>,
    /// Commands.
    pub commands: Vec<v1::SignedCommand>,
    /// Admitted contexts.
    pub admitted: Vec<Vec<u8>>,
}

impl HandGateway {
    /// Spends a token, as an agent does.
    ///
    /// # Errors
    /// When the token is no token or the centre refuses.
    pub async fn enrol(address: SocketAddr, token: &str, clock: Clock) -> Result<Self> {
        let parsed = EnrolmentToken::parse(token)?;
        let config = proto::tls::pinned_client_config(parsed.ca_sha256, clock);
        let channel = channel(address, config).await?;
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let csr = rcgen::CertificateParams::default().serialize_request(&key)?;
        let request = v1::EnrolRequest {
            token: token.into(),
            csr: csr.der().to_vec(),
        };
        let response = EnrolmentServiceClient::new(channel)
            .enrol(request)
            .await?
            .into_inner();
        let id = GatewayId::parse(&response.gateway).context("the centre gave no gateway id")?;
        let key_pkcs8 = key.serialize_der();
        Ok(Self {
            id,
            chain: response.certificate_chain,
            key_pkcs8,
            ca: response.ca,
            address,
            clock,
        })
    }

    /// The same gateway, calling another door.
    #[must_use]
    pub fn at(&self, address: SocketAddr) -> Self {
        Self {
            id: self.id.clone(),
            chain: self.chain.clone(),
            key_pkcs8: self.key_pkcs8.clone(),
            ca: self.ca.clone(),
            address,
            clock: self.clock,
        }
    }

    /// The same gateway at another time, calling another door.
    #[must_use]
    pub fn at_time(&self, address: SocketAddr, clock: Clock) -> Self {
        let mut there = self.at(address);
        there.clock = clock;
        there
    }

    /// Its TLS identity.
    #[must_use]
    pub fn tls_identity(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let chain = self
            .chain
            .iter()
            .map(|der| CertificateDer::from(der.clone()))
            .collect();
        (
            chain,
            PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key_pkcs8.clone())),
        )
    }

    /// A TLS configuration with its certificate.
    ///
    /// # Errors
    /// When rustls does not take the certificate.
    pub fn tls(&self) -> Result<rustls::ClientConfig> {
        Ok(proto::tls::client_config(
            &self.ca,
            Some(self.tls_identity()),
            self.clock,
        )?)
    }

    /// The key that signs its contexts.
    ///
    /// # Errors
    /// Never for a key made by [`HandGateway::enrol`].
    pub fn signing_key(&self) -> Result<SigningKey> {
        SigningKey::from_pkcs8(&self.key_pkcs8)
            .ok()
            .context("the gateway's key")
    }

    /// Asks for a fresh certificate, as an agent does, and keeps it; with another key than the enrolled one if
    /// `key_pkcs8` is given.
    ///
    /// # Errors
    /// The status with which the centre refuses.
    pub async fn renew(&mut self, key_pkcs8: Option<&[u8]>) -> Result<()> {
        let key = key_pkcs8.unwrap_or(&self.key_pkcs8);
        let key = rcgen::KeyPair::try_from(&PrivatePkcs8KeyDer::from(key))?;
        let csr = rcgen::CertificateParams::default().serialize_request(&key)?;
        let request = v1::RenewRequest {
            csr: csr.der().to_vec(),
            certificate: self.chain.first().context("a certificate")?.clone(),
        };
        let config = proto::tls::client_config(&self.ca, None, self.clock)?;
        let channel = channel(self.address, config).await?;
        let response = EnrolmentServiceClient::new(channel).renew(request).await?;
        self.chain = response.into_inner().certificate_chain;
        Ok(())
    }

    /// Connects by gRPC and says hello.
    ///
    /// # Errors
    /// When the centre refuses the connection.
    pub async fn connect(&self) -> Result<HandUplink> {
        let channel = channel(self.address, self.tls()?).await?;
        let (up, rx) = mpsc::channel(64);
        let hello = v1::Hello {
            agent_version: "by hand".into(),
            command_number: 0,
            configuration: None,
            health: None,
        };
        up.send(GatewayToCentre {
            kind: Some(Up::Hello(hello)),
        })
        .await?;
        let down = UplinkServiceClient::new(channel)
            .exchange(ReceiverStream::new(rx))
            .await?
            .into_inner();
        Ok(HandUplink { up, down })
    }

    /// Opens a context for an assignment: the header's message and the sealer.
    ///
    /// # Errors
    /// When the assignment's key is none.
    pub fn open_context(
        &self,
        assignment: &v1::Assignment,
        now: Time,
    ) -> Result<(v1::OpenContext, Sealer)> {
        let new = NewContext {
            suite: Suite::for_this_cpu(),
            key_id: KeyId::from_slice(&assignment.key_id).context("key id")?,
            public_key: PatientPublic::from_slice(&assignment.public_key).context("public key")?,
            stream: StreamId::from_slice(&assignment.stream).context("stream")?,
            predecessor: None,
            gateway: self.id.clone(),
            opened_at: now,
        };
        let (header, sealer) = Sealer::open_context(new, &self.signing_key()?)?;
        Ok((
            v1::OpenContext {
                header,
                certificate_chain: self.chain.clone(),
            },
            sealer,
        ))
    }
}

impl HandUplink {
    /// Sends one message.
    ///
    /// # Errors
    /// When the stream is gone.
    pub async fn send(&self, kind: Up) -> Result<()> {
        self.up
            .send(GatewayToCentre { kind: Some(kind) })
            .await
            .context("the uplink is gone")
    }

    /// Sends records in one message.
    ///
    /// # Errors
    /// When the stream is gone.
    pub async fn send_records(&self, records: Vec<Vec<u8>>) -> Result<()> {
        self.send(Up::Batches(v1::SealedBatches { records })).await
    }

    /// The next message from the centre; `None` when the centre ended the stream.
    ///
    /// # Errors
    /// The status with which the centre ended it.
    pub async fn next(&mut self) -> Result<Option<Down>> {
        Ok(self.down.message().await?.and_then(|message| message.kind))
    }

    /// Listens until `enough` says so.
    ///
    /// # Errors
    /// When the stream ends first or 10 s pass.
    pub async fn listen(&mut self, enough: impl Fn(&Heard) -> bool) -> Result<Heard> {
        let mut heard = Heard::default();
        let listening = async {
            while !enough(&heard) {
                match self.next().await? {
                    Some(Down::Receipt(receipt)) => heard.receipts.push(receipt),
                    Some(Down::Refusal(refusal)) => heard.refusals.push(refusal),
                    Some(Down::Command(command)) => heard.commands.push(command),
                    Some(Down::ContextAdmitted(admitted)) => heard.admitted.push(admitted.context),
                    // Nothing is sent in pieces by hand.
                    Some(Down::PieceTaken(_)) => {}
                    None => bail!("the centre ended the stream"),
                }
            }
            anyhow::Ok(())
        };
        let ended = tokio::time::timeout(Duration::from_secs(10), listening).await;
        ended.with_context(|| format!("10 s passed; heard only {heard:?}"))??;
        Ok(heard)
    }

    /// The assignments that the centre sends after hello.
    ///
    /// # Errors
    /// When none come.
    pub async fn assignments(&mut self) -> Result<Vec<v1::Assignment>> {
        use prost::Message as _;
        let heard = self.listen(|heard| !heard.commands.is_empty()).await?;
        let signed = heard.commands.first().context("a command")?;
        let command = v1::Command::decode(signed.command.as_slice())?;
        match command.kind {
            Some(v1::command::Kind::Assignments(list)) => Ok(list.assignments),
            other => bail!("the first command was {other:?}"),
        }
    }
}

/// Heart-rate readings, one a second from `start`.
#[must_use]
pub fn heart_rates(start: Time, values: &[i64]) -> Vec<Reading> {
    let reading = |(n, value): (usize, &i64)| {
        let n = u64::try_from(n).unwrap_or(u64::MAX);
        let at = start + vitals::Span::from_secs(i64::try_from(n).unwrap_or(i64::MAX));
        Reading {
            kind: Kind::HeartRate,
            value: Value::Measured(vitals::Fixed(*value)),
            source: SourceId(1),
            sequence: n,
            effective: at,
            received: at,
            quality: Quality::GOOD,
            device: None,
        }
    };
    values.iter().enumerate().map(reading).collect()
}

/// Seals readings of one source into records, numbering on from the sealer's last.
///
/// # Errors
/// When the sealer refuses.
pub fn seal_readings(
    sealer: &mut Sealer,
    readings: &[Reading],
) -> Result<Vec<Vec<u8>>, seal::SealError> {
    let seal_one = |batch: proto::wire::ReadingBatch| {
        let label = Label {
            number: sealer.next_number(),
            lane: Lane::Vitals,
            source: batch.source.0,
            count: batch.count,
            oldest: batch.oldest,
            newest: batch.newest,
        };
        sealer.seal(&label, &batch.into_body())
    };
    split_to_fit(readings, 0)
        .into_iter()
        .map(seal_one)
        .collect()
}
