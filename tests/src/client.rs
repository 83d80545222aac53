//! A reader of the centre, as a telemedicine platform would be one: its own certificate, the contract, nothing
//! else.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use hyper_util::rt::TokioIo;
use proto::clock::Clock;
use proto::v1;
use proto::v1::alert_service_client::AlertServiceClient;
use proto::v1::history_service_client::HistoryServiceClient;
use proto::v1::operator_service_client::OperatorServiceClient;
use proto::v1::twin_service_client::TwinServiceClient;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::Streaming;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic_web::{GrpcWebCall, GrpcWebClientService};
use vitals::{Kind, Quality, Span, Time};

type Whole = fn(http::Request<GrpcWebCall<Body>>) -> http::Request<Body>;

/// A line that speaks gRPC-web.
pub type Web = GrpcWebClientService<tower::util::MapRequest<Channel, Whole>>;

/// One connection to the centre.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
}

/// The clock that `envs` (of a world) asks for.
///
/// # Errors
/// When the text is no clock.
pub fn clock_of(envs: &[(String, String)]) -> Result<Clock> {
    let text = envs
        .iter()
        .find(|(name, _)| name == proto::clock::TEST_CLOCK_VARIABLE)
        .map(|(_, value)| value.as_str());
    Clock::from_text(text, text.is_some()).context("the test clock")
}

/// A gRPC channel to the centre over a TLS configuration of the caller's.
///
/// # Errors
/// When the handshake fails.
pub async fn channel(address: SocketAddr, mut config: rustls::ClientConfig) -> Result<Channel> {
    config.alpn_protocols = vec![proto::tls::ALPN_H2.to_vec()];
    let connector = TlsConnector::from(Arc::new(config));
    let connect = tower::service_fn(move |_: Uri| {
        let connector = connector.clone();
        async move {
            let tcp = TcpStream::connect(address).await?;
            tcp.set_nodelay(true)?;
            let name = ServerName::try_from("localhost").map_err(std::io::Error::other)?;
            anyhow::Ok(TokioIo::new(connector.connect(name, tcp).await?))
        }
    });
    // tonic adds no TLS of its own to "http"; the origin is what the centre sees.
    let endpoint =
        Endpoint::from_static("http://localhost").origin(Uri::from_static("https://localhost"));
    endpoint
        .connect_with_connector(connect)
        .await
        .context("connecting to the centre")
}

impl Client {
    /// Connects with `cert.pem`, `key.pem` and `ca.pem` of `identity`.
    ///
    /// # Errors
    /// When a file is missing or the handshake fails.
    pub async fn connect(
        address: SocketAddr,
        identity: &Path,
        envs: &[(String, String)],
    ) -> Result<Self> {
        let ca = CertificateDer::from_pem_file(identity.join("ca.pem")).context("ca.pem")?;
        let chain = CertificateDer::pem_file_iter(identity.join("cert.pem"))
            .context("cert.pem")?
            .collect::<Result<Vec<_>, _>>()
            .context("cert.pem")?;
        let key = PrivateKeyDer::from_pem_file(identity.join("key.pem")).context("key.pem")?;
        let config = proto::tls::client_config(&ca, Some((chain, key)), clock_of(envs)?)?;
        Ok(Self {
            channel: channel(address, config).await?,
        })
    }

    /// The line itself.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// The twins' service.
    #[must_use]
    pub fn twins(&self) -> TwinServiceClient<Channel> {
        TwinServiceClient::new(self.channel.clone())
    }

    /// The alerts' service.
    #[must_use]
    pub fn alerts(&self) -> AlertServiceClient<Channel> {
        AlertServiceClient::new(self.channel.clone())
    }

    /// Past readings.
    #[must_use]
    pub fn history(&self) -> HistoryServiceClient<Channel> {
        HistoryServiceClient::new(self.channel.clone())
    }

    /// The same line spoken as a page speaks it: gRPC-web.
    #[must_use]
    pub fn web(&self) -> Web {
        let whole: Whole = |request| request.map(Body::new);
        let channel = tower::util::MapRequest::new(self.channel.clone(), whole);
        GrpcWebClientService::new(channel)
    }

    /// What operators do.
    #[must_use]
    pub fn operator(&self) -> OperatorServiceClient<Channel> {
        OperatorServiceClient::new(self.channel.clone())
    }

    /// All alerts that the caller may see, resolved ones too.
    ///
    /// # Errors
    /// As the call.
    pub async fn all_alerts(&self) -> Result<Vec<v1::Alert>> {
        let request = v1::ListAlertsRequest {
            include_resolved: true,
            page_size: 1000,
            ..Default::default()
        };
        Ok(self.alerts().list(request).await?.into_inner().alerts)
    }

    /// One patient's twin.
    ///
    /// # Errors
    /// As the call.
    pub async fn twin(&self, patient: &str) -> Result<v1::Twin> {
        Ok(self
            .twins()
            .get(v1::GetTwinRequest {
                patient: patient.into(),
            })
            .await?
            .into_inner())
    }

    /// The twins' changes after `cursor` (empty: a snapshot first).
    ///
    /// # Errors
    /// As the call.
    pub async fn watch_twins(&self, cursor: Vec<u8>) -> Result<Streaming<v1::TwinEvent>> {
        let request = v1::WatchTwinsRequest {
            cursor,
            ..Default::default()
        };
        Ok(self.twins().watch(request).await?.into_inner())
    }

    /// The alerts' changes after `cursor` (empty: a snapshot first).
    ///
    /// # Errors
    /// As the call.
    pub async fn watch_alerts(&self, cursor: Vec<u8>) -> Result<Streaming<v1::AlertEvent>> {
        let request = v1::WatchAlertsRequest {
            cursor,
            ..Default::default()
        };
        Ok(self.alerts().watch(request).await?.into_inner())
    }
}

/// Every reading of a patient that the history gives: kind, source, effective time, value's bits.
///
/// # Errors
/// As the call.
pub async fn all_readings(client: &Client, patient: &str) -> Result<Vec<(i32, u32, i64, u64)>> {
    let all = measurements(client, patient).await?.into_iter();
    let of = |(kind, _, source, effective, value, _): Measurement| (kind, source, effective, value);
    Ok(all.map(of).collect())
}

/// What tells one measurement from another: kind, stream, source, effective time, the number's bits, and what the
/// device's own clock said (0 where it gave no time).
pub type Measurement = (i32, String, u32, i64, u64, i64);

/// Every reading that the history gives, as what tells it from others, in order.
///
/// # Errors
/// As the call.
pub async fn measurements(client: &Client, patient: &str) -> Result<Vec<Measurement>> {
    let request = v1::HistoryRequest {
        patient: patient.into(),
        from_us: 0,
        to_us: i64::MAX,
        device_times: true,
        ..Default::default()
    };
    let mut chunks = client.history().query(request).await?.into_inner();
    let mut all = Vec::new();
    while let Some(chunk) = chunks.message().await? {
        for (n, effective) in chunk.effective_us.iter().enumerate() {
            let (value, stamp) = (chunk.value[n].to_bits(), chunk.device_us[n]);
            let stream = chunk.stream.clone();
            all.push((chunk.kind, stream, chunk.source, *effective, value, stamp));
        }
    }
    all.sort_unstable();
    Ok(all)
}

/// A past reading with all its times.
#[derive(Clone, Copy, Debug)]
pub struct Dated {
    /// Where it comes from, within the stream.
    pub source: u32,
    /// The number.
    pub value: f64,
    /// When it was measured, as far as anybody knows.
    pub effective: Time,
    /// What is said about it.
    pub quality: Quality,
    /// What the device's own clock said; `None` where it gave no time.
    pub stamp: Option<Time>,
    /// How far the effective time may be off; `None` where nobody knows.
    pub uncertainty: Option<Span>,
}

/// Every reading of a kind that the history gives, with what the devices' own clocks said.
///
/// # Errors
/// As the call.
pub async fn dated_readings(client: &Client, patient: &str, kind: Kind) -> Result<Vec<Dated>> {
    let request = v1::HistoryRequest {
        patient: patient.into(),
        kinds: vec![kind.wire()],
        from_us: 0,
        to_us: i64::MAX,
        device_times: true,
        ..Default::default()
    };
    let mut chunks = client.history().query(request).await?.into_inner();
    let mut readings = Vec::new();
    while let Some(chunk) = chunks.message().await? {
        for (n, effective) in chunk.effective_us.iter().enumerate() {
            let (stamp, unsure) = (chunk.device_us[n], chunk.uncertainty_us[n]);
            readings.push(Dated {
                source: chunk.source,
                value: chunk.value[n],
                effective: Time::from_micros(*effective),
                quality: Quality::from_bits(chunk.quality[n]),
                stamp: (stamp != 0).then_some(Time::from_micros(stamp)),
                uncertainty: (unsure >= 0).then_some(Span::from_micros(unsure)),
            });
        }
    }
    Ok(readings)
}
