//! What a collector of traces is told: each step of a message's way, over TLS 1.3, and nothing of whom it is about.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::hand::{heart_rates, seal_readings};
use e2e::wait::wait_for;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use proto::v1::gateway_to_centre::Kind as Up;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

use crate::support::Small;

/// Between two exports pass up to five seconds.
const EXPORTED: Duration = Duration::from_secs(30);

/// A collector with the generated server of OpenTelemetry's own contract, over tonic's own TLS.
#[derive(Clone, Debug, Default)]
struct Collector {
    taken: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    away: Arc<AtomicBool>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        if self.away.load(Relaxed) {
            return Err(Status::unavailable("the collector is away"));
        }
        self.taken().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    async fn listen(&self, folder: &Path) -> Result<SocketAddr> {
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        std::fs::write(folder.join("roots.pem"), own.cert.pem())?;
        let identity = Identity::from_pem(own.cert.pem(), own.signing_key.serialize_pem());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = Server::builder()
            .tls_config(ServerTlsConfig::new().identity(identity))?
            .add_service(TraceServiceServer::new(self.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(async move {
            // It ends with the test.
            let _ = server.await;
        });
        Ok(address)
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, Vec<ExportTraceServiceRequest>> {
        self.taken.lock().expect("nobody panicked")
    }

    fn spans(&self) -> Vec<Span> {
        let taken = self.taken();
        let resources = taken.iter().flat_map(|export| &export.resource_spans);
        let scopes = resources.flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    /// Every byte that came, as text.
    fn text(&self) -> String {
        let taken = self.taken();
        let bytes: Vec<u8> = taken
            .iter()
            .flat_map(prost::Message::encode_to_vec)
            .collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// The names within each trace that has one of this name.
fn traces_with(spans: &[Span], name: &str) -> Vec<Vec<String>> {
    let mut by_trace: BTreeMap<&[u8], Vec<String>> = BTreeMap::new();
    for span in spans {
        by_trace
            .entry(&span.trace_id)
            .or_default()
            .push(span.name.clone());
    }
    by_trace
        .into_values()
        .filter(|names| names.iter().any(|found| found == name))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_is_told_each_step_and_of_nobody() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let collector = Collector::default();
    let address = collector.listen(folder.path()).await?;
    let mut small = Small::new().await?;
    small.centre.stop()?;
    let config = small.centre.dir().join("config.toml");
    let text = std::fs::read_to_string(&config)?;
    let roots = folder.path().join("roots.pem");
    let port = address.port();
    let traces = format!(
        "\n[traces]\ncollector = \"https://localhost:{port}\"\nca_file = {roots:?}\none_in = 1\n"
    );
    // Where everything listens must stay, since the gateway was told.
    let ready = small.centre.ready()?.clone();
    let text = text.replacen(
        "listen = \"127.0.0.1:0\"",
        &format!("listen = \"{}\"", ready.grpc),
        1,
    );
    std::fs::write(&config, text + &traces)?;
    small.centre.start().await?;

    let (uplink, assignment) = small.uplink().await?;
    let (header, mut sealer) = small.gateway.open_context(&assignment, small.clock.now())?;
    uplink.send(Up::OpenContext(header)).await?;
    let readings = heart_rates(small.clock.now(), &[60, 61]);
    uplink
        .send_records(seal_readings(&mut sealer, &readings)?)
        .await?;
    small.applied(2).await?;
    let whole = wait_for("a whole trace", EXPORTED, async || {
        let traces = traces_with(&collector.spans(), "twin.fold");
        Ok(traces.into_iter().find(|names| names.len() >= 5))
    })
    .await?;
    for name in [
        "gateway.message",
        "ingest.judge",
        "journal.append",
        "journal.commit",
    ] {
        ensure!(
            whole.iter().any(|found| found == name),
            "{name} is not in {whole:?}"
        );
    }
    let calls = wait_for("a traced call", EXPORTED, async || {
        let calls = traces_with(&collector.spans(), "api.call");
        Ok((!calls.is_empty()).then_some(calls))
    });
    calls.await?;

    // Steps lie within the message that they are of.
    let spans = collector.spans();
    let fold = spans
        .iter()
        .find(|span| span.name == "twin.fold")
        .context("a fold")?;
    let message = spans
        .iter()
        .find(|span| span.span_id == fold.parent_span_id);
    let message = message.context("its message")?;
    ensure!(message.name == "gateway.message" && message.trace_id == fold.trace_id);
    ensure!(fold.start_time_unix_nano >= message.start_time_unix_nano);

    // Whatever was told names nobody.
    let told = collector.text();
    let gateway = assignment_names(&small)?;
    ensure!(
        told.contains("vitaltwin-aggregator"),
        "control: the service is named"
    );
    for secret in [small.patient.as_str(), "Story", "by hand", gateway.as_str()] {
        ensure!(!told.contains(secret), "the collector is told {secret:?}");
    }
    for span in &spans {
        for pair in &span.attributes {
            let known = ["vitaltwin.", "rpc."]
                .iter()
                .any(|head| pair.key.starts_with(head));
            ensure!(known, "{} carries {}", span.name, pair.key);
        }
        ensure!(span.events.is_empty() && span.links.is_empty());
    }
    let status = small.centre.status()?;
    ensure!(status["traces"]["sent"].as_u64() >= Some(5), "{status}");

    // A collector that is away costs steps, and nobody else anything.
    collector.away.store(true, Relaxed);
    let readings = heart_rates(small.clock.now(), &[62]);
    uplink
        .send_records(seal_readings(&mut sealer, &readings)?)
        .await?;
    small.applied(3).await?;
    wait_for("counted as failed", EXPORTED, async || {
        let status = small.centre.status()?;
        Ok((status["traces"]["failed"].as_u64() > Some(0)).then_some(()))
    })
    .await?;
    Ok(())
}

/// The gateway's id, which is in no trace either.
fn assignment_names(small: &Small) -> Result<String> {
    let status = small.centre.status()?;
    let id = status["gateways"][0]["gateway"].as_str();
    Ok(id.context("a gateway")?.to_owned())
}
