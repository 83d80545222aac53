//! Traces for operators: the way of one message in so many through the centre, and of calls, told to an OpenTelemetry
//! collector (OTLP over gRPC, TLS 1.3).
//!
//! The one adapter to OpenTelemetry. Nothing here comes from the log or from what anybody wrote: a span's name is a
//! `Name`, its attributes are `Fact`s, whose values are counts and words of closed lists. So a trace cannot name a
//! patient, a gateway or a person. What a caller says of a trace of its own is not read: who is not trusted does not
//! choose what is recorded.
//!
//! Invariants: switched off, a step costs one load; nobody waits for the collector; what it does not take is counted
//! (`counted`), not kept. Must not know: what a step does.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use hyper_util::rt::TokioIo;
use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, SpanKind, TraceContextExt as _, TraceFlags, TraceId,
    TraceState, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, SpanData,
    SpanExporter,
};
use proto::clock::Clock;
use rand::Rng as _;
use rustls_pki_types::ServerName;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::https;

/// A collector that takes longer takes nothing.
const PATIENCE: Duration = Duration::from_secs(10);
/// At the end of the process.
const LINGER: Duration = Duration::from_secs(2);
/// Spans that wait; of about half a KiB each.
const QUEUE: usize = 4096;

/// Where traces go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traces {
    /// The collector, OTLP over gRPC: `https://HOST:PORT`, or `http://` and a loopback address of this machine.
    pub collector: String,
    /// Roots that its certificate must come from, PEM. Default: those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// Of so many messages of gateways, and of so many calls, one is traced. Default 100.
    #[serde(default = "one_in")]
    pub one_in: u32,
}

const fn one_in() -> u32 {
    100
}

impl Traces {
    /// What is wrong with it, if anything.
    #[must_use]
    pub fn complaint(&self) -> Option<&'static str> {
        let address = Address::of(&self.collector);
        if address.is_none() {
            return Some("collector: https://HOST:PORT, or http:// and a loopback address");
        }
        (self.one_in == 0).then_some("one_in: must be at least 1")
    }
}

/// Of a collector.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    host: String,
    port: u16,
    tls: bool,
}

impl Address {
    fn of(url: &str) -> Option<Self> {
        let url: Uri = url.parse().ok()?;
        let host = url.host()?.trim_matches(['[', ']']).to_owned();
        let here = || {
            let address = host.parse::<std::net::IpAddr>();
            host == "localhost" || address.is_ok_and(|address| address.is_loopback())
        };
        let tls = match url.scheme_str()? {
            "https" => true,
            "http" if here() => false,
            _ => return None,
        };
        matches!(url.path(), "" | "/").then_some(())?;
        let port = url.port_u16()?;
        Some(Self { host, port, tls })
    }
}

/// Why traces cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// Not the collector's address.
    #[error("traces.collector: https://HOST:PORT, or http:// and a loopback address")]
    Collector,
    /// No usable root.
    #[error(
        "traces.ca_file: {0} holds no root that can be used: name a PEM file, or install ca-certificates"
    )]
    Roots(String),
    /// OpenTelemetry cannot be started.
    #[error("traces: {0}")]
    Library(String),
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $kind:ident;)*) => {
        /// What a span is about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Name {
            $($(#[$doc])* $name,)*
        }

        impl Name {
            const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            const fn kind(self) -> SpanKind {
                match self { $(Self::$name => SpanKind::$kind,)* }
            }
        }
    };
}

names! {
    /// Messages of one gateway, from the door to the replies.
    Message = "gateway.message", Server;
    /// Turns waited for, seals opened, duplicates found.
    Judge = "ingest.judge", Internal;
    /// From asking the journal to its answer.
    Append = "journal.append", Internal;
    /// The group's row, with its sync; one for each message in it.
    Commit = "journal.commit", Internal;
    /// One entry into its twin, and published.
    Fold = "twin.fold", Internal;
    /// A call by gRPC, up to the head of its answer.
    Call = "api.call", Server;
}

/// What is told of a step: counts, and words of closed lists.
#[derive(Clone, Debug)]
pub(crate) enum Fact {
    /// By which door.
    Transport(&'static str),
    /// Messages, or records in them.
    Records(usize),
    /// Records that are new.
    New(usize),
    /// Replies that refuse something.
    Refused(usize),
    /// Entries in the group that was committed.
    Entries(usize),
    /// A path of the guard's list, and no other.
    Method(String),
    /// Status of a call that was refused.
    Status(i32),
}

impl Fact {
    fn pair(self) -> KeyValue {
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        match self {
            Self::Transport(door) => KeyValue::new("vitaltwin.transport", door),
            Self::Records(number) => KeyValue::new("vitaltwin.records", count(number)),
            Self::New(number) => KeyValue::new("vitaltwin.records_new", count(number)),
            Self::Refused(number) => KeyValue::new("vitaltwin.refused", count(number)),
            Self::Entries(number) => KeyValue::new("vitaltwin.entries", count(number)),
            Self::Method(path) => KeyValue::new("rpc.method", path),
            Self::Status(code) => KeyValue::new("rpc.grpc.status_code", i64::from(code)),
        }
    }
}

/// The trace that something belongs to, if it is traced at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trace(Option<(TraceId, SpanId)>);

impl Trace {
    /// A step of this trace begins.
    pub(crate) fn step(self, name: Name) -> Step {
        Step(self.0.and_then(|parent| open(name, Some(parent))))
    }

    /// Likewise; `None`: not traced.
    pub(crate) fn traced(self, name: Name) -> Option<Step> {
        self.0.is_some().then(|| self.step(name))
    }
}

/// A step that goes on until this is dropped.
#[derive(Debug)]
pub(crate) struct Step(Option<opentelemetry_sdk::trace::Span>);

impl Step {
    /// The first step of a new trace, for one in so many.
    pub(crate) fn first(name: Name) -> Self {
        let chosen = ON
            .get()
            .filter(|on| on.one_in <= 1 || rand::rng().random_range(0..on.one_in) == 0);
        Self(chosen.and_then(|_| open(name, None)))
    }

    /// What steps within it belong to.
    pub(crate) fn trace(&self) -> Trace {
        let span = self.0.as_ref();
        Trace(span.map(|span| {
            let context = span.span_context();
            (context.trace_id(), context.span_id())
        }))
    }

    /// Tells this, too.
    pub(crate) fn note(&mut self, fact: Fact) {
        if let Some(span) = &mut self.0 {
            span.set_attribute(fact.pair());
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let (Some(span), Some(on)) = (&mut self.0, ON.get()) {
            span.end_with_timestamp(on.now());
            MADE.fetch_add(1, Relaxed);
        }
    }
}

/// Switched on.
struct On {
    tracer: SdkTracer,
    provider: SdkTracerProvider,
    clock: Clock,
    one_in: u32,
}

impl On {
    fn now(&self) -> SystemTime {
        let since = u64::try_from(self.clock.now().as_micros()).unwrap_or(0);
        SystemTime::UNIX_EPOCH + Duration::from_micros(since)
    }
}

static ON: OnceLock<On> = OnceLock::new();
static MADE: AtomicU64 = AtomicU64::new(0);
static SENT: AtomicU64 = AtomicU64::new(0);
static FAILED: AtomicU64 = AtomicU64::new(0);

/// Steps since the start, by what became of them: `made` is all that ended, `sent` what the collector took, `failed` what it
/// did not; the rest waits, or found no room. Empty when nothing is traced.
pub(crate) fn counted() -> HashMap<String, u64> {
    let counts = [("made", &MADE), ("sent", &SENT), ("failed", &FAILED)];
    let told = counts.into_iter().filter(|_| ON.get().is_some());
    told.map(|(what, count)| (what.to_owned(), count.load(Relaxed)))
        .collect()
}

fn open(name: Name, parent: Option<(TraceId, SpanId)>) -> Option<opentelemetry_sdk::trace::Span> {
    let on = ON.get()?;
    let mut context = Context::new();
    if let Some((trace, span)) = parent {
        let state = TraceState::default();
        let parent = SpanContext::new(trace, span, TraceFlags::SAMPLED, false, state);
        context = context.with_remote_span_context(parent);
    }
    let builder = on.tracer.span_builder(name.text()).with_kind(name.kind());
    let builder = builder.with_start_time(on.now());
    Some(builder.start_with_context(&on.tracer, &context))
}

/// From now on steps are told. Call it within the runtime, once.
///
/// # Errors
/// [`TracesError`] says which setting cannot be used; a collector that is away is no error.
pub(crate) fn switch_on(traces: &Traces, clock: Clock) -> Result<(), TracesError> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_channel(channel(traces, clock)?)
        .with_timeout(PATIENCE)
        .build()
        .map_err(|error| TracesError::Library(error.to_string()))?;
    let batches = BatchConfigBuilder::default().with_max_queue_size(QUEUE);
    let processor = BatchSpanProcessor::builder(Counting::over(exporter))
        .with_batch_config(batches.build())
        .build();
    // Without what the library would find out about this machine.
    let resource = Resource::builder_empty().with_attributes([
        KeyValue::new("service.name", "vitaltwin-aggregator"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
    ]);
    let provider = SdkTracerProvider::builder()
        .with_sampler(Sampler::AlwaysOn)
        .with_resource(resource.build())
        .with_span_processor(processor)
        .build();
    let on = On {
        tracer: provider.tracer("vitaltwin"),
        provider,
        clock,
        one_in: traces.one_in,
    };
    ON.set(on)
        .map_err(|_| TracesError::Library("switched on twice".into()))
}

/// What waits is told, if the collector takes it soon. Blocks: not for a thread of the runtime.
pub(crate) fn end() {
    if let Some(on) = ON.get() {
        // What it did not take is counted; the process ends.
        let _ = on.provider.shutdown_with_timeout(LINGER);
    }
}

/// Connects when something is to be sent, and again whenever that broke.
fn channel(traces: &Traces, clock: Clock) -> Result<Channel, TracesError> {
    let Address { host, port, tls } =
        Address::of(&traces.collector).ok_or(TracesError::Collector)?;
    let tls = tls.then(|| connector(traces, clock)).transpose()?;
    let connect = {
        let host = host.clone();
        tower::service_fn(move |_: Uri| {
            let (host, tls) = (host.clone(), tls.clone());
            async move {
                let tcp = TcpStream::connect((host.as_str(), port)).await?;
                let Some(tls) = tls else {
                    return Ok(TokioIo::new(Box::new(tcp) as Box<dyn Wire>));
                };
                let name = ServerName::try_from(host).map_err(std::io::Error::other)?;
                let stream = tls.connect(name, tcp).await?;
                Ok::<_, std::io::Error>(TokioIo::new(Box::new(stream) as Box<dyn Wire>))
            }
        })
    };
    let shown = if host.contains(':') {
        format!("[{host}]")
    } else {
        host
    };
    // The TLS is ours, so tonic is told of none.
    let endpoint = Endpoint::from_shared(format!("http://{shown}:{port}"));
    let endpoint = endpoint.map_err(|_| TracesError::Collector)?;
    let endpoint = endpoint.connect_timeout(PATIENCE).timeout(PATIENCE);
    Ok(endpoint.connect_with_connector_lazy(connect))
}

fn connector(traces: &Traces, clock: Clock) -> Result<TlsConnector, TracesError> {
    let file = traces.ca_file.as_deref();
    let unusable = || TracesError::Roots(file.unwrap_or(https::ROOTS).to_owned());
    let roots = https::roots(file).ok_or_else(unusable)?;
    let mut config = proto::tls::web_client_config(roots, clock).map_err(|_| unusable())?;
    config.alpn_protocols = vec![proto::tls::ALPN_H2.to_vec()];
    Ok(std::sync::Arc::new(config).into())
}

/// In clear or not.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Counts what the collector takes, and says once when it begins to take nothing, and when it takes again.
#[derive(Debug)]
struct Counting {
    inner: opentelemetry_otlp::SpanExporter,
    away: AtomicBool,
}

impl Counting {
    const fn over(inner: opentelemetry_otlp::SpanExporter) -> Self {
        Self {
            inner,
            away: AtomicBool::new(false),
        }
    }
}

impl SpanExporter for Counting {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let taken = self.inner.export(batch).await;
        match &taken {
            Ok(()) => {
                SENT.fetch_add(spans, Relaxed);
                if self.away.swap(false, Relaxed) {
                    tracing::info!("the collector of traces takes them again");
                }
            }
            Err(error) => {
                FAILED.fetch_add(spans, Relaxed);
                if !self.away.swap(true, Relaxed) {
                    tracing::warn!(%error, "the collector takes no traces: they are dropped and counted");
                }
            }
        }
        taken
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_spoken_to_by_tls_or_on_this_machine() {
        let address = |host: &str, port, tls| {
            let host = host.to_owned();
            Some(Address { host, port, tls })
        };
        let of = Address::of;
        assert_eq!(
            of("https://otel.example.org:4317"),
            address("otel.example.org", 4317, true)
        );
        assert_eq!(of("http://[::1]:4317/"), address("::1", 4317, false));
        assert_eq!(of("http://localhost:1"), address("localhost", 1, false));
        for refused in [
            "http://otel.example.org:4317",
            "http://192.0.2.1:4317",
            "https://otel.example.org",
            "https://otel.example.org:4317/v1/traces",
            "ftp://localhost:1",
            "localhost:4317",
            "",
        ] {
            assert_eq!(of(refused), None, "{refused}");
        }
    }

    #[test]
    fn switched_off_nothing_is_traced() {
        let mut step = Step::first(Name::Message);
        step.note(Fact::Records(1));
        assert_eq!(step.trace(), Trace::default());
        assert!(step.trace().traced(Name::Commit).is_none());
        drop(step);
        assert!(counted().is_empty());
    }
}
