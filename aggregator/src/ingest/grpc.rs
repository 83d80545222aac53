//! The gRPC door: `UplinkService.Exchange` for gateways, `EnrolmentService` for those that become one.
//!
//! Invariants: a gateway is whom the connection's certificate names, never what a message says; one task per
//! stream; bounded both ways. Must not know: TLS, what is in a batch.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use proto::cert::{Identity, Role};
use proto::v1::enrolment_service_server::EnrolmentService;
use proto::v1::uplink_service_server::UplinkService;
use proto::v1::{CentreToGateway, EnrolRequest, EnrolResponse, GatewayToCentre, RenewRequest};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};
use vitals::GatewayId;

use super::enrol::{EnrolError, Enrolment};
use super::{Ingest, Session, command_message};
use crate::ca::Issued;
use crate::counters::{Refused, Transport};
use crate::serve::peer::PeerIdentity;

/// Messages that are journaled together, at most 64 KiB each.
const TOGETHER: usize = 8;
/// Answers that wait for a gateway to read them.
const ANSWERS: usize = 64;
/// A gateway that does not read is cut off after this long.
const READ_PATIENCE: Duration = Duration::from_secs(120);
/// A certificate request has a few hundred bytes.
const LONGEST_REQUEST: usize = 8 * 1024;

/// What a stream answers.
type Answer = Result<CentreToGateway, Status>;

/// The uplink service.
#[derive(Clone, Debug)]
pub struct UplinkDoor {
    ingest: Arc<Ingest>,
    stop: CancellationToken,
    streams: TaskTracker,
}

impl UplinkDoor {
    /// Streams end at `stop`; `streams` tracks their tasks.
    #[must_use]
    pub const fn new(ingest: Arc<Ingest>, stop: CancellationToken, streams: TaskTracker) -> Self {
        Self {
            ingest,
            stop,
            streams,
        }
    }
}

#[tonic::async_trait]
impl UplinkService for UplinkDoor {
    type ExchangeStream = ReceiverStream<Answer>;

    async fn exchange(
        &self,
        request: Request<Streaming<GatewayToCentre>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let (gateway, identity) = gateway_of(&request)?;
        if !self.ingest.may_write(&gateway) {
            self.ingest.parts().counters.refuse(Refused::Revoked);
            return Err(revoked());
        }
        let now = self.ingest.parts().clock.now();
        let left = self
            .ingest
            .parts()
            .clock
            .real(identity.not_after.since(now));
        let (answers, out) = mpsc::channel(ANSWERS);
        let stream = Stream {
            ingest: Arc::clone(&self.ingest),
            session: self.ingest.sessions().open(gateway, Transport::Grpc, now),
            inbound: request.into_inner(),
            answers,
            commands_after: None,
            expires: Instant::now() + left,
        };
        self.streams.spawn(stream.run(self.stop.clone()));
        Ok(Response::new(ReceiverStream::new(out)))
    }
}

struct Stream {
    ingest: Arc<Ingest>,
    session: Session,
    inbound: Streaming<GatewayToCentre>,
    answers: mpsc::Sender<Answer>,
    /// Highest command number sent or known to the gateway; `None` before its hello.
    commands_after: Option<u64>,
    expires: Instant,
}

impl Stream {
    async fn run(mut self, stop: CancellationToken) {
        let Err(end) = self.serve(stop).await else {
            return;
        };
        if let Some(status) = end {
            tracing::info!(gateway = %self.session.gateway(), why = status.message(), "gRPC: stream ended");
            // The stream ends in any case when the sender is dropped.
            let _ = tokio::time::timeout(READ_PATIENCE, self.answers.send(Err(status))).await;
        }
    }

    /// Until the peer leaves (`Err(None)`) or is told to go.
    async fn serve(&mut self, stop: CancellationToken) -> Result<(), Option<Status>> {
        let mut changes = self.ingest.parts().books.changes();
        loop {
            tokio::select! {
                () = stop.cancelled() => return Err(Some(Status::unavailable("the centre stops"))),
                () = self.session.replaced() => {
                    return Err(Some(Status::aborted("a newer connection of this gateway took over")));
                }
                () = tokio::time::sleep_until(self.expires) => {
                    return Err(Some(Status::unauthenticated("the certificate ran out: renew it")));
                }
                () = self.answers.closed() => return Err(None),
                changed = changes.changed() => match changed {
                    Ok(()) => self.look_again().await?,
                    Err(_) => return Err(Some(Status::unavailable("the centre stops"))),
                },
                message = self.inbound.message() => match message {
                    Ok(Some(message)) => self.take(message).await?,
                    Ok(None) => return Err(None),
                    Err(status) => return Err(self.broken(&status)),
                },
            }
        }
    }

    async fn look_again(&mut self) -> Result<(), Option<Status>> {
        let gateway = self.session.gateway();
        if !self.ingest.may_write(gateway) {
            self.ingest.parts().counters.refuse(Refused::Revoked);
            return Err(Some(revoked()));
        }
        let Some(after) = self.commands_after else {
            return Ok(());
        };
        let (commands, after) = self.ingest.commands(gateway, after);
        self.commands_after = Some(after);
        self.answer(commands.into_iter().map(command_message).collect())
            .await
    }

    /// A message and those that have arrived behind it, journaled together.
    async fn take(&mut self, first: GatewayToCentre) -> Result<(), Option<Status>> {
        let mut messages = vec![first];
        let mut broken = None;
        while messages.len() < TOGETHER {
            match self.inbound.message().now_or_never() {
                Some(Ok(Some(message))) => messages.push(message),
                Some(Ok(None)) => {
                    broken = Some(None);
                    break;
                }
                Some(Err(status)) => {
                    broken = Some(self.broken(&status));
                    break;
                }
                None => break,
            }
        }
        let replies = self.ingest.handle(&self.session, messages).await;
        self.commands_after = replies.commands_after.or(self.commands_after);
        self.answer(replies.messages).await?;
        broken.map_or(Ok(()), Err)
    }

    async fn answer(&self, messages: Vec<CentreToGateway>) -> Result<(), Option<Status>> {
        for message in messages {
            match tokio::time::timeout(READ_PATIENCE, self.answers.send(Ok(message))).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(None),
                Err(_) => {
                    self.ingest.parts().counters.refuse(Refused::Timeout);
                    return Err(Some(Status::resource_exhausted("answers are not read")));
                }
            }
        }
        Ok(())
    }

    /// The peer's connection broke, or it sent what is no message.
    fn broken(&self, status: &Status) -> Option<Status> {
        use tonic::Code;
        if matches!(status.code(), Code::OutOfRange | Code::ResourceExhausted) {
            self.ingest.parts().counters.refuse(Refused::TooLarge);
            return Some(Status::resource_exhausted("a message has at most 64 KiB"));
        }
        if matches!(status.code(), Code::Internal | Code::InvalidArgument) {
            self.ingest.parts().counters.refuse(Refused::Malformed);
            return Some(Status::invalid_argument("a message does not decode"));
        }
        None
    }
}

/// The enrolment service.
#[derive(Clone, Debug)]
pub struct EnrolmentDoor {
    enrolment: Arc<Enrolment>,
    command_key: [u8; 65],
    addresses: Addresses,
}

/// Where gateways connect, "host:port".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// gRPC and the page.
    pub grpc: String,
    /// MQTT.
    pub mqtt: String,
}

impl EnrolmentDoor {
    /// Tells new gateways the command key and where to connect.
    #[must_use]
    pub const fn new(
        enrolment: Arc<Enrolment>,
        command_key: [u8; 65],
        addresses: Addresses,
    ) -> Self {
        Self {
            enrolment,
            command_key,
            addresses,
        }
    }

    fn response(&self, gateway: &GatewayId, issued: Issued) -> Response<EnrolResponse> {
        Response::new(EnrolResponse {
            gateway: gateway.as_str().into(),
            certificate_chain: issued.chain,
            ca: self.enrolment.authority().ca().to_vec(),
            command_key: self.command_key.to_vec(),
            grpc_address: self.addresses.grpc.clone(),
            mqtt_address: self.addresses.mqtt.clone(),
        })
    }
}

#[tonic::async_trait]
impl EnrolmentService for EnrolmentDoor {
    async fn enrol(
        &self,
        request: Request<EnrolRequest>,
    ) -> Result<Response<EnrolResponse>, Status> {
        let EnrolRequest { token, csr } = request.into_inner();
        if csr.len() > LONGEST_REQUEST {
            return Err(Status::invalid_argument("csr: too long"));
        }
        let (gateway, issued) = self
            .enrolment
            .enrol(&token, &csr)
            .await
            .map_err(status_of)?;
        Ok(self.response(&gateway, issued))
    }

    async fn renew(
        &self,
        request: Request<RenewRequest>,
    ) -> Result<Response<EnrolResponse>, Status> {
        let RenewRequest { csr, certificate } = request.into_inner();
        for (field, bytes) in [("csr", &csr), ("certificate", &certificate)] {
            if bytes.len() > LONGEST_REQUEST {
                return Err(Status::invalid_argument(format!("{field}: too long")));
            }
        }
        let (gateway, issued) = self
            .enrolment
            .renew(&certificate, &csr)
            .await
            .map_err(status_of)?;
        Ok(self.response(&gateway, issued))
    }
}

fn status_of(error: EnrolError) -> Status {
    let text = error.to_string();
    match error {
        EnrolError::Token | EnrolError::Revoked | EnrolError::Holder | EnrolError::TooOld(_) => {
            Status::permission_denied(text)
        }
        EnrolError::Request(_) => Status::invalid_argument(text),
        EnrolError::Busy => Status::resource_exhausted(text),
        EnrolError::Store(_) => Status::unavailable(text),
    }
}

fn revoked() -> Status {
    Status::permission_denied("this gateway was revoked: enrol it again with a new token")
}

/// Which gateway the connection's certificate names.
fn gateway_of<T>(request: &Request<T>) -> Result<(GatewayId, Arc<Identity>), Status> {
    let peer = request.extensions().get::<PeerIdentity>();
    let identity = peer.and_then(|peer| peer.certificate.clone());
    identity
        .filter(|identity| identity.role == Role::Gateway)
        .and_then(|identity| Some((GatewayId::parse(&identity.name)?, identity)))
        .ok_or_else(|| {
            Status::unauthenticated("connect with a gateway's certificate of this centre")
        })
}
