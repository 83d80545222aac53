//! A message as a signed CloudEvent to an address of the operator's: HTTP/1.1 over TLS 1.3, signed as Standard Webhooks 1.0 says
//! (HMAC-SHA256 over id, time and body). A 2xx answer is the proof that it was taken.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use proto::clock::Clock;
use proto::seal::Secret;
use proto::seal::crypto::hmac_sha256;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::ChannelError;
use super::message::Message;
use super::plan::Outcome;
use super::settings;

/// A server that takes longer does not confirm.
const PATIENCE: Duration = Duration::from_secs(10);

/// One address, ready to be called.
pub(super) struct Webhook {
    host: String,
    port: u16,
    path: String,
    secret: Secret,
    tls: TlsConnector,
    clock: Clock,
}

impl Webhook {
    pub(super) fn new(
        of: &settings::Webhook,
        roots: Vec<CertificateDer<'static>>,
        clock: Clock,
    ) -> Result<Self, ChannelError> {
        let url: http::Uri = of.url.parse().map_err(|_| ChannelError::Url)?;
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        let host = url.host().ok_or(ChannelError::Url)?;
        let file = Path::new(&of.secret_file);
        let text =
            std::fs::read_to_string(file).map_err(|error| ChannelError::file(file, error))?;
        let text = text.trim();
        let octets = STANDARD.decode(text.strip_prefix("whsec_").unwrap_or(text));
        let secret = octets.ok().and_then(|of| Secret::from_slice(&of));
        let tls = proto::tls::web_client_config(roots, clock);
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port_u16().unwrap_or(443),
            path: path.to_owned(),
            secret: secret.ok_or(ChannelError::Secret)?,
            tls: Arc::new(tls.map_err(|_| ChannelError::Roots)?).into(),
            clock,
        })
    }

    pub(super) async fn send(&self, message: &Message) -> Outcome {
        let sent = tokio::time::timeout(PATIENCE, self.try_send(message)).await;
        sent.unwrap_or_else(|_| Err("no answer within 10 s".into()))
    }

    async fn try_send(&self, message: &Message) -> Outcome {
        let body = message.event().to_string();
        let time = (self.clock.now().as_micros() / 1_000_000).to_string();
        let signed = format!("{}.{time}.{body}", message.id);
        let signature = STANDARD.encode(hmac_sha256(&self.secret, signed.as_bytes()));
        let tcp = TcpStream::connect((self.host.as_str(), self.port));
        let tcp = tcp.await.map_err(said)?;
        let name = ServerName::try_from(self.host.clone()).map_err(said)?;
        let stream = self.tls.connect(name, tcp).await.map_err(said)?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(said)?;
        let driver = tokio::spawn(connection);
        let request = http::Request::post(&self.path)
            .header("host", format!("{}:{}", self.host, self.port))
            .header("content-type", "application/cloudevents+json")
            .header(
                "user-agent",
                concat!("vitaltwin/", env!("CARGO_PKG_VERSION")),
            )
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", time)
            .header("webhook-signature", format!("v1,{signature}"))
            .body(Full::new(bytes::Bytes::from(body)))
            .map_err(said)?;
        let answer = sender.send_request(request).await.map_err(said);
        driver.abort();
        let status = answer?.status();
        if status.is_success() {
            Ok(format!("HTTP {status}"))
        } else {
            Err(format!("HTTP {status}"))
        }
    }
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}
