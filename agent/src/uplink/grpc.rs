//! The only file with the gRPC client: the uplink stream, enrolment and renewal.
//!
//! TLS is our own connector (tokio-rustls with the house's configuration and clock) under tonic's channel.
//! Invariant: messages longer than the contract allows are neither sent nor taken.

use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use proto::text::host_port;
use proto::tls::ALPN_H2;
use proto::v1::enrolment_service_client::EnrolmentServiceClient;
use proto::v1::uplink_service_client::UplinkServiceClient;
use proto::v1::{EnrolRequest, EnrolResponse, RenewRequest};
use proto::wire::MAX_MESSAGE;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint, Uri};

use super::meter::{Meter, Metered};
use super::{Access, CONNECT_TIMEOUT, LINE_LENGTH, Transport, UplinkError, UplinkEvent};

/// HTTP/2 pings, so that a dead line is noticed within two minutes; a slow one needs its time to answer.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(90);
/// Real time that an enrolment or renewal may take at the centre.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The gRPC transport.
#[derive(Debug)]
pub struct Grpc {
    access: Access,
}

impl Grpc {
    /// To this address with this identity.
    #[must_use]
    pub const fn new(access: Access) -> Self {
        Self { access }
    }

    async fn run(&mut self, events: &mpsc::Sender<UplinkEvent>) -> Result<(), UplinkError> {
        let config = self.access.tls.borrow_and_update().clone();
        let channel = connect(&self.access.address, &config, &self.access.meter);
        let channel = tokio::time::timeout(CONNECT_TIMEOUT, channel)
            .await
            .map_err(|_| UplinkError::TimedOut)??;
        let mut client = UplinkServiceClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        let (line, outgoing) = mpsc::channel(LINE_LENGTH);
        // The centre may wait for the first message before it answers the call.
        let gone = || UplinkError::Ended("the agent stops".into());
        events
            .send(UplinkEvent::Up(line))
            .await
            .map_err(|_| gone())?;
        let ended = |status: tonic::Status| UplinkError::said(status.message());
        let call = client.exchange(ReceiverStream::new(outgoing));
        let mut incoming = tokio::time::timeout(CONNECT_TIMEOUT, call)
            .await
            .map_err(|_| UplinkError::TimedOut)?
            .map_err(ended)?
            .into_inner();
        loop {
            tokio::select! {
                message = incoming.message() => match message.map_err(ended)? {
                    Some(message) => {
                        let message = UplinkEvent::Message(message);
                        events.send(message).await.map_err(|_| gone())?;
                    }
                    None => return Err(UplinkError::Ended("no reason given".into())),
                },
                Ok(()) = self.access.tls.changed() => return Err(UplinkError::Renewed),
            }
        }
    }
}

impl Transport for Grpc {
    async fn session(&mut self, events: &mpsc::Sender<UplinkEvent>) -> UplinkError {
        match self.run(events).await {
            Ok(()) => UplinkError::Ended("no reason given".into()),
            Err(error) => error,
        }
    }
}

/// Spends a token.
///
/// # Errors
/// [`UplinkError`]; what the centre says about a refused token is its text.
pub async fn enrol(
    address: &str,
    config: rustls::ClientConfig,
    request: EnrolRequest,
) -> Result<EnrolResponse, UplinkError> {
    let mut client = enrolment(address, config, &Meter::default()).await?;
    answer(client.enrol(request), ANSWER_TIMEOUT).await
}

/// Renews a certificate.
///
/// # Errors
/// [`UplinkError`].
pub async fn renew(
    address: &str,
    config: rustls::ClientConfig,
    request: RenewRequest,
    meter: &Meter,
) -> Result<EnrolResponse, UplinkError> {
    let mut client = enrolment(address, config, meter).await?;
    answer(client.renew(request), ANSWER_TIMEOUT).await
}

/// Waits for an answer, but not for ever: a centre that never gives one must not keep the agent from asking
/// again.
async fn answer<T>(
    call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    limit: Duration,
) -> Result<T, UplinkError> {
    let answered = tokio::time::timeout(limit, call);
    let answered = answered.await.map_err(|_| UplinkError::NoAnswer)?;
    answered
        .map(tonic::Response::into_inner)
        .map_err(|status| UplinkError::said(status.message()))
}

async fn enrolment(
    address: &str,
    config: rustls::ClientConfig,
    meter: &Meter,
) -> Result<EnrolmentServiceClient<Channel>, UplinkError> {
    let config = Arc::new(config);
    let channel = connect(address, &config, meter);
    let channel = tokio::time::timeout(CONNECT_TIMEOUT, channel)
        .await
        .map_err(|_| UplinkError::TimedOut)??;
    Ok(EnrolmentServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE))
}

async fn connect(
    address: &str,
    config: &Arc<rustls::ClientConfig>,
    meter: &Meter,
) -> Result<Channel, UplinkError> {
    // The connection is made first, so that errors keep their type; the channel then uses it once.
    let stream = tls(address, config, meter).await?;
    let bad_address = |_| UplinkError::Address(address.to_owned());
    let origin: Uri = format!("https://{address}").parse().map_err(bad_address)?;
    // tonic adds no TLS of its own to "http"; the origin is what the centre sees.
    let endpoint: Endpoint = Uri::try_from(format!("http://{address}"))
        .map_err(bad_address)?
        .into();
    let endpoint = endpoint
        .origin(origin)
        .buffer_size(LINE_LENGTH)
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true);
    let mut stream = Some(stream);
    let once = tower::service_fn(move |_: Uri| {
        let stream = stream.take().map(TokioIo::new);
        std::future::ready(stream.ok_or_else(|| std::io::Error::other("the connection ended")))
    });
    let channel = endpoint.connect_with_connector(once).await;
    channel.map_err(|error| UplinkError::Ended(error.to_string()))
}

async fn tls(
    address: &str,
    config: &Arc<rustls::ClientConfig>,
    meter: &Meter,
) -> Result<TlsStream<Metered<TcpStream>>, UplinkError> {
    let (host, port) =
        host_port(address).ok_or_else(|| UplinkError::Address(address.to_owned()))?;
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| UplinkError::Address(address.to_owned()))?;
    let unreachable = |source| UplinkError::Unreachable {
        address: address.to_owned(),
        source,
    };
    let tcp = TcpStream::connect((host, port))
        .await
        .map_err(unreachable)?;
    tcp.set_nodelay(true).map_err(unreachable)?;
    let mut config = config.as_ref().clone();
    config.alpn_protocols = vec![ALPN_H2.to_vec()];
    TlsConnector::from(Arc::new(config))
        .connect(name, meter.around(tcp))
        .await
        .map_err(|source| UplinkError::Tls {
            address: address.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_that_never_comes_is_not_waited_for() {
        let never = std::future::pending::<Result<tonic::Response<()>, tonic::Status>>();
        let answered = answer(never, Duration::from_millis(1)).await;
        assert!(matches!(answered, Err(UplinkError::NoAnswer)));
    }

    #[tokio::test]
    async fn what_the_centre_says_cannot_play_with_a_terminal() {
        let text = format!(
            "spent\u{1b}[2J\nINFO all is well\u{202e} {}",
            "x".repeat(9000)
        );
        let refused = std::future::ready(Err::<tonic::Response<()>, _>(
            tonic::Status::permission_denied(text),
        ));
        let text = answer(refused, ANSWER_TIMEOUT)
            .await
            .expect_err("refused")
            .to_string();
        assert!(
            text.contains("spent[2JINFO all is well x") && text.len() < 400,
            "{text}"
        );
    }
}
