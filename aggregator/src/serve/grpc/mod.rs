//! The contract's services for readers. Each file is one service; `watch` is what their streams share.
//!
//! Must not know: TLS, the journal's format, how rights come about.

pub(super) mod alert;
pub(super) mod context;
pub(super) mod history;
mod lookin;
pub(super) mod twin;
mod watch;

pub(super) use watch::Events;

use std::convert::Infallible;
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use prost::Message;
use tonic::codec::{BufferSettings, Codec};
use tonic::server::{Grpc, ServerStreamingService};
use tonic::{Request, Response, Status};
use tonic_prost::{ProstDecoder, ProstEncoder};
use vitals::{Kind, PatientId};

use super::access::Caller;
use super::error;
use super::peer::Stopping;
use crate::publish::Hub;

/// A call waits so long for the twins to be up to date.
const CURRENT: Duration = Duration::from_secs(20);
/// Patients that one call may name.
const PATIENTS: usize = 1000;

/// Who asks; the guard has put it there.
fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    let caller = request.extensions().get::<Caller>().cloned();
    caller.ok_or_else(|| Status::internal("a call came past the guard: report it to the makers"))
}

/// After a start twins are brought up to date behind the open doors: nobody is shown one before.
async fn current(hub: &Hub) -> Result<(), Status> {
    let ready = tokio::time::timeout(CURRENT, hub.wait_ready()).await;
    ready.map_err(|_| error::not_current())
}

/// When the centre stops; never for a call that did not come through the port.
fn stopping<T>(request: &Request<T>) -> Stopping {
    request
        .extensions()
        .get::<Stopping>()
        .cloned()
        .unwrap_or_default()
}

fn patient(field: &str, text: &str) -> Result<PatientId, Status> {
    PatientId::parse(text)
        .ok_or_else(|| error::invalid(field, "must be a patient's id as `patient list` shows it"))
}

fn patients(texts: &[String]) -> Result<Vec<PatientId>, Status> {
    if texts.len() > PATIENTS {
        return Err(error::invalid(
            "patients",
            "at most 1000; leave it empty for all",
        ));
    }
    texts.iter().map(|text| patient("patients", text)).collect()
}

fn kinds(numbers: &[i32]) -> Result<Vec<Kind>, Status> {
    let kinds = numbers.iter().map(|number| {
        let kind = Kind::from_wire(*number);
        kind.ok_or_else(|| {
            error::invalid("kinds", "must be kinds of the contract, not UNSPECIFIED")
        })
    });
    kinds.collect()
}

/// A stream whose events are the bytes of the contract's messages but not their generated types
/// (`publish::event`). The generated services cannot give these: such a method is answered beside them.
pub(super) trait Watched: Clone + Send + Sync + 'static {
    /// "/package.Service/Method".
    const PATH: &'static str;
    /// What it is asked with.
    type Request: Message + Default + 'static;
    /// What it gives.
    type Event: Message + Send + 'static;

    /// Opens the stream.
    fn watch(
        self,
        request: Request<Self::Request>,
    ) -> impl Future<Output = Result<Response<Events<Self::Event>>, Status>> + Send;
}

/// A stream keeps the buffer that its largest burst needed, and most streams begin with one, their snapshot: tonic's
/// own 32 KiB for each of ten thousand idle readers would be most of their memory.
const BUFFER: usize = 2 * 1024;
const BURST: usize = 8 * 1024;

/// Tonic's codec with these buffers.
struct Small<W>(PhantomData<W>);

impl<W: Watched> Codec for Small<W> {
    type Encode = W::Event;
    type Decode = W::Request;
    type Encoder = ProstEncoder<W::Event>;
    type Decoder = ProstDecoder<W::Request>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::new(BufferSettings::new(BUFFER, BURST))
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstDecoder::new(BufferSettings::new(BUFFER, BURST))
    }
}

struct Method<W>(W);

impl<W: Watched> ServerStreamingService<W::Request> for Method<W> {
    type Response = W::Event;
    type ResponseStream = Events<W::Event>;
    type Future =
        Pin<Box<dyn Future<Output = Result<Response<Self::ResponseStream>, Status>> + Send>>;

    fn call(&mut self, request: Request<W::Request>) -> Self::Future {
        Box::pin(self.0.clone().watch(request))
    }
}

/// Answers the method in place of its generated service.
pub(super) fn route<W: Watched>(router: Router, watched: W, longest_request: usize) -> Router {
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let method = Method(watched.clone());
        async move {
            let mut grpc =
                Grpc::new(Small::<W>(PhantomData)).max_decoding_message_size(longest_request);
            Ok::<_, Infallible>(grpc.server_streaming(method, request).await)
        }
    });
    router.route_service(W::PATH, service)
}

/// What the generated service answers for a method that [`route`] answers.
fn answered_beside() -> Status {
    Status::internal("a call came past its route: report it to the makers")
}
