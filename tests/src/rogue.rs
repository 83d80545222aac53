//! A centre that lies: it has a certificate that gateways trust (a stolen server key, a hostile broker), but
//! neither the command key nor any patient's key. It takes everything and answers with forgeries.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use proto::clock::Clock;
use proto::seal::{Secret, SigningKey, command, crypto, parse_stub, receipt, tag_of};
use proto::v1::centre_to_gateway::Kind as Down;
use proto::v1::gateway_to_centre::Kind as Up;
use proto::v1::uplink_service_server::{UplinkService, UplinkServiceServer};
use proto::v1::{self, CentreToGateway, GatewayToCentre};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

/// What it does to whoever calls.
#[derive(Clone, Debug)]
pub struct Lies {
    /// The gateway it expects; forged commands name it.
    pub gateway: String,
    /// The stream whose key it wants to swap.
    pub stream: Vec<u8>,
    /// A genuine command that it heard earlier and replays.
    pub replayed: Option<v1::SignedCommand>,
    /// It refuses each record for this reason (a number of the wire) instead of receipting it.
    pub refuses: Option<i32>,
}

/// What it saw.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Connections.
    pub connections: u64,
    /// Contexts that were offered.
    pub contexts: u64,
    /// Records, as they came.
    pub records: Vec<Vec<u8>>,
}

/// A running liar; ends when dropped.
#[derive(Debug)]
pub struct Rogue {
    /// Where it listens.
    pub address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

struct Service {
    lies: Lies,
    seen: Arc<Mutex<Seen>>,
    own_key: SigningKey,
}

impl Rogue {
    /// Listens with a certificate and key of the caller's.
    ///
    /// # Errors
    /// When no port can be had or rustls does not take the certificate.
    pub async fn start(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        lies: Lies,
        clock: Clock,
    ) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let config = proto::tls::server_config(chain, key, None, clock, &[proto::tls::ALPN_H2])?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let seen = Arc::new(Mutex::new(Seen::default()));
        let own_key = SigningKey::from_pkcs8(&SigningKey::generate_pkcs8())
            .ok()
            .context("a key of its own")?;
        let service = UplinkServiceServer::new(Service {
            lies,
            seen: Arc::clone(&seen),
            own_key,
        });
        let routes = TowerToHyperService::new(Routes::new(service));
        let task = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, routes) = (acceptor.clone(), routes.clone());
                tokio::spawn(async move {
                    let Ok(tls) = acceptor.accept(tcp).await else {
                        return;
                    };
                    // How a victim ends its connection is its own affair.
                    drop(
                        Builder::new(TokioExecutor::new())
                            .serve_connection(TokioIo::new(tls), routes)
                            .await,
                    );
                });
            }
        });
        Ok(Self {
            address,
            seen,
            task,
        })
    }

    /// What it saw so far.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.seen
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Rogue {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Service {
    fn note(&self, change: impl FnOnce(&mut Seen)) {
        change(
            &mut self
                .seen
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        );
    }

    /// Commands that no gateway may obey.
    fn commands(&self) -> Vec<Down> {
        let swapped = v1::Assignment {
            stream: self.lies.stream.clone(),
            key_id: vec![9; 8],
            public_key: crypto::generate_patient_key().1.to_vec(),
            devices: vec!["AA:AA:AA:AA:AA:AA".into()],
            effective_from_us: 0,
        };
        let list = v1::AssignmentList {
            assignments: vec![swapped],
            withheld: Vec::new(),
        };
        let forged = v1::Command {
            gateway: self.lies.gateway.clone(),
            number: 1_000_000,
            kind: Some(v1::command::Kind::Assignments(list)),
        };
        let mut commands = vec![Down::Command(command::sign(&self.own_key, &forged))];
        commands.extend(self.lies.replayed.clone().map(Down::Command));
        commands
    }

    /// Receipts for what it was sent, under a key that is not the context's; or a refusal.
    fn answer(record: &[u8], refuses: Option<i32>) -> Option<Down> {
        if let Some(reason) = refuses {
            let stub = parse_stub(record).ok()?;
            return Some(Down::Refusal(v1::Refusal {
                context: stub.context.0.to_vec(),
                number: stub.number,
                reason,
                detail: "not now".into(),
            }));
        }
        let (stub, tag) = (parse_stub(record).ok()?, tag_of(record).ok()?);
        let range = receipt::Range {
            first: stub.number,
            last: stub.number,
            tags_hash: receipt::tags_hash([tag]),
        };
        Some(Down::Receipt(receipt::make(
            &Secret::new([7; 32]),
            stub.context,
            1,
            &[range],
        )))
    }
}

#[tonic::async_trait]
impl UplinkService for Service {
    type ExchangeStream = Pin<Box<dyn Stream<Item = Result<CentreToGateway, Status>> + Send>>;

    async fn exchange(
        &self,
        request: Request<Streaming<GatewayToCentre>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        self.note(|seen| seen.connections += 1);
        let mut incoming = request.into_inner();
        let (sender, receiver) = mpsc::channel(64);
        for command in self.commands() {
            drop(sender.try_send(Ok(CentreToGateway {
                kind: Some(command),
            })));
        }
        let (seen, refuses) = (Arc::clone(&self.seen), self.lies.refuses);
        tokio::spawn(async move {
            while let Some(Ok(message)) = incoming.next().await {
                let mut answers = Vec::new();
                match message.kind {
                    Some(Up::OpenContext(open)) => {
                        seen.lock()
                            .unwrap_or_else(std::sync::PoisonError::into_inner)
                            .contexts += 1;
                        if let Ok(header) = proto::seal::parse_header(&open.header) {
                            let context = header.context.0.to_vec();
                            answers.push(Down::ContextAdmitted(v1::ContextAdmitted { context }));
                        }
                    }
                    Some(Up::Batches(batches)) => {
                        answers.extend(
                            batches
                                .records
                                .iter()
                                .filter_map(|record| Self::answer(record, refuses)),
                        );
                        let mut seen = seen
                            .lock()
                            .unwrap_or_else(std::sync::PoisonError::into_inner);
                        seen.records.extend(batches.records);
                    }
                    // It answers no piece, as a centre from before them.
                    Some(Up::Hello(_) | Up::Piece(_)) | None => {}
                }
                for answer in answers {
                    if sender
                        .send(Ok(CentreToGateway { kind: Some(answer) }))
                        .await
                        .is_err()
                    {
                        return;
                    }
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}
