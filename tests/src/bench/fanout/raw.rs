//! Raw tonic, the peer of the fan-out bench: the contract's service as one would write it first. A note is
//! broadcast to all streams; each stream clones and encodes it. No filters, no cursors, no rights.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use futures_util::StreamExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use proto::clock::Clock;
use proto::v1::twin_service_server::{TwinService, TwinServiceServer};
use proto::v1::{
    GetTwinRequest, ListTwinsRequest, ListTwinsResponse, LookInRequest, Lookers, NotePrintRequest,
    NotePrintResponse, Scoreboard, ScoreboardRequest, SnapshotEnd, SumScoreboardRequest, Twin,
    TwinEvent, WatchTwinsRequest, twin_event,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_rustls::TlsAcceptor;
use tokio_stream::Stream;
use tokio_stream::wrappers::BroadcastStream;
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use vitaltwin_aggregator::ca::Authority;
use vitaltwin_aggregator::dir::CentreDir;

/// Notes that a stream may be behind.
const BEHIND: usize = 1024;
/// Bytes of a note besides its body: tags and lengths of the event and of the twin in it.
const AROUND: usize = 6;

struct Raw {
    notes: broadcast::Sender<TwinEvent>,
}

#[tonic::async_trait]
impl TwinService for Raw {
    /// Sends a note of `patient` bytes to all streams.
    async fn get(&self, request: Request<GetTwinRequest>) -> Result<Response<Twin>, Status> {
        let size: usize = request.get_ref().patient.parse().unwrap_or(64);
        let twin = Twin {
            state_hash: vec![0x5A; size.saturating_sub(AROUND)],
            ..Twin::default()
        };
        let kind = Some(twin_event::Kind::Change(twin));
        // Nobody listens: nothing to send.
        let _ = self.notes.send(TwinEvent {
            kind,
            ..TwinEvent::default()
        });
        Ok(Response::new(Twin::default()))
    }

    async fn list(
        &self,
        _: Request<ListTwinsRequest>,
    ) -> Result<Response<ListTwinsResponse>, Status> {
        Err(Status::unimplemented("there is no list"))
    }

    async fn note_print(
        &self,
        _: Request<NotePrintRequest>,
    ) -> Result<Response<NotePrintResponse>, Status> {
        Err(Status::unimplemented("nothing is printed"))
    }

    async fn get_scoreboard(
        &self,
        _: Request<ScoreboardRequest>,
    ) -> Result<Response<Scoreboard>, Status> {
        Err(Status::unimplemented("there is no scoreboard"))
    }

    async fn sum_scoreboard(
        &self,
        _: Request<SumScoreboardRequest>,
    ) -> Result<Response<Scoreboard>, Status> {
        Err(Status::unimplemented("there is no scoreboard"))
    }

    type LookInStream = Pin<Box<dyn Stream<Item = Result<Lookers, Status>> + Send>>;

    async fn look_in(
        &self,
        _: Request<LookInRequest>,
    ) -> Result<Response<Self::LookInStream>, Status> {
        Err(Status::unimplemented("nobody looks in"))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<TwinEvent, Status>> + Send>>;

    async fn watch(
        &self,
        _: Request<WatchTwinsRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let notes = BroadcastStream::new(self.notes.subscribe());
        let notes = notes.map(|note| note.map_err(|lagged| Status::data_loss(lagged.to_string())));
        let kind = Some(twin_event::Kind::SnapshotEnd(SnapshotEnd::default()));
        let begun = TwinEvent {
            kind,
            ..TwinEvent::default()
        };
        let begun = tokio_stream::once(Ok(begun));
        Ok(Response::new(Box::pin(begun.chain(notes))))
    }
}

/// Serves with the certificate of the centre in `dir` until it is killed; prints its address.
///
/// # Errors
/// When no port can be had.
pub async fn serve(dir: &Path) -> Result<()> {
    let clock = Clock::system();
    let own = tempfile::tempdir()?;
    let credentials = Authority::open(&CentreDir::new(dir), clock)?.server(own.path(), &[])?;
    let chain = credentials
        .chain
        .iter()
        .map(|der| CertificateDer::from(der.clone()))
        .collect();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(credentials.key.to_vec()));
    let config = proto::tls::server_config(chain, key, None, clock, &[proto::tls::ALPN_H2])?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let (notes, _) = broadcast::channel(BEHIND);
    let service = TowerToHyperService::new(Routes::new(TwinServiceServer::new(Raw { notes })));
    loop {
        let (tcp, _) = listener.accept().await.context("a connection")?;
        tcp.set_nodelay(true)?;
        let (acceptor, service) = (acceptor.clone(), service.clone());
        tokio::spawn(async move {
            let Ok(tls) = acceptor.accept(tcp).await else {
                return;
            };
            let mut http = Builder::new(TokioExecutor::new()).http2_only();
            http.http2().max_concurrent_streams(1000);
            // How a reader ends its connection is its own affair.
            drop(http.serve_connection(TokioIo::new(tls), service).await);
        });
    }
}
