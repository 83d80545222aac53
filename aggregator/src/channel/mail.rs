//! A message as an e-mail, over TLS 1.3. That the server took it (250) is the proof. The only file that names `lettre`.

use std::path::Path;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{
    Certificate, CertificateStore, Tls, TlsParameters, TlsVersion,
};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use rustls_pki_types::CertificateDer;

use super::ChannelError;
use super::message::Message;
use super::plan::Outcome;
use super::settings;

/// A server that takes longer does not confirm.
const PATIENCE: Duration = Duration::from_secs(20);
/// Where TLS comes before the first word (RFC 8314).
const TLS_FIRST: u16 = 465;

/// One mailbox or several, ready to be written to.
pub(super) struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    host: String,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Mail {
    pub(super) fn new(
        of: &settings::Mail,
        roots: Vec<CertificateDer<'static>>,
    ) -> Result<Self, ChannelError> {
        let address = |text: &String| {
            let parsed = text.parse::<Mailbox>();
            parsed.map_err(|_| ChannelError::Address(text.clone()))
        };
        let (host, port) = of.server.rsplit_once(':').ok_or(ChannelError::Server)?;
        let port: u16 = port.parse().map_err(|_| ChannelError::Server)?;
        let mut tls = TlsParameters::builder(host.to_owned())
            .certificate_store(CertificateStore::None)
            .set_min_tls_version(TlsVersion::Tlsv13);
        for root in roots {
            // One root that cannot be used does not spoil the others.
            if let Ok(root) = Certificate::from_der(root.to_vec()) {
                tls = tls.add_root_certificate(root);
            }
        }
        let tls = tls.build().map_err(|_| ChannelError::Roots)?;
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(port)
            .tls(if port == TLS_FIRST {
                Tls::Wrapper(tls)
            } else {
                Tls::Required(tls)
            })
            .timeout(Some(PATIENCE));
        if let (Some(user), Some(file)) = (&of.user, &of.password_file) {
            let file = Path::new(file);
            let password =
                std::fs::read_to_string(file).map_err(|error| ChannelError::file(file, error))?;
            transport =
                transport.credentials(Credentials::new(user.clone(), password.trim().to_owned()));
        }
        Ok(Self {
            transport: transport.build(),
            host: host.to_owned(),
            from: address(&of.from)?,
            to: of.to.iter().map(address).collect::<Result<_, _>>()?,
        })
    }

    pub(super) async fn send(&self, message: &Message) -> Outcome {
        // The same for the same message, so that a mailbox shows it once.
        let id = message.id.replace('/', ".");
        let mut letter = lettre::Message::builder()
            .from(self.from.clone())
            .message_id(Some(format!("<{id}@{}>", self.host)))
            .subject(message.subject())
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            letter = letter.to(to.clone());
        }
        let letter = letter
            .body(message.text())
            .map_err(|error| error.to_string())?;
        let sent = tokio::time::timeout(PATIENCE, self.transport.send(letter)).await;
        let sent = sent.map_err(|_| "no answer within 20 s".to_owned())?;
        let said = sent.map_err(|error| why(&error))?;
        let words: Vec<&str> = said.message().collect();
        Ok(format!("{} {}", said.code(), words.join(" ")))
    }
}

/// The whole chain: lettre's own words alone say "connection error".
fn why(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        words = format!("{words}: {error}");
        next = error.source();
    }
    words
}
