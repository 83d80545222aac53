//! A message as a signed CloudEvent to an address of the operator's: HTTP/1.1 over TLS 1.3, signed as Standard Webhooks 1.0 says
//! (HMAC-SHA256 over id, time and body). A 2xx answer is the proof that it was taken.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Uri, header};
use proto::clock::Clock;
use proto::seal::Secret;
use proto::seal::crypto::hmac_sha256;
use rustls_pki_types::CertificateDer;

use super::ChannelError;
use super::message::Message;
use super::plan::Outcome;
use super::settings;
use crate::https::{Client, Reach};

/// A server that takes longer does not confirm.
const PATIENCE: Duration = Duration::from_secs(10);

/// One address, ready to be called.
pub(super) struct Webhook {
    url: Uri,
    secret: Secret,
    client: Client,
    clock: Clock,
}

impl Webhook {
    pub(super) fn new(
        of: &settings::Webhook,
        roots: Vec<CertificateDer<'static>>,
        clock: Clock,
    ) -> Result<Self, ChannelError> {
        let url: Uri = of.url.parse().map_err(|_| ChannelError::Url)?;
        url.host().ok_or(ChannelError::Url)?;
        let file = Path::new(&of.secret_file);
        let text =
            std::fs::read_to_string(file).map_err(|error| ChannelError::file(file, error))?;
        let text = text.trim();
        let octets = STANDARD.decode(text.strip_prefix("whsec_").unwrap_or(text));
        let secret = octets.ok().and_then(|of| Secret::from_slice(&of));
        Ok(Self {
            url,
            secret: secret.ok_or(ChannelError::Secret)?,
            client: Client::new(roots, clock, PATIENCE).map_err(|_| ChannelError::Roots)?,
            clock,
        })
    }

    pub(super) async fn send(&self, message: &Message) -> Outcome {
        let body = message.event().to_string();
        let time = (self.clock.now().as_micros() / 1_000_000).to_string();
        let signed = format!("{}.{time}.{body}", message.id);
        let signature = STANDARD.encode(hmac_sha256(&self.secret, signed.as_bytes()));
        let request = Request::post(&self.url)
            .header(header::CONTENT_TYPE, "application/cloudevents+json")
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", time)
            .header("webhook-signature", format!("v1,{signature}"))
            .body(Bytes::from(body))
            .map_err(said)?;
        // The operator named it.
        let answer = self.client.call(request, Reach::Any).await.map_err(said)?;
        let status = answer.status();
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
