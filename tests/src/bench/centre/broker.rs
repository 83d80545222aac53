//! mosquitto alone: the same messages from as many publishers to one subscriber, QoS 1 over TLS 1.3. It stores nothing
//! durably and opens nothing; its clients are the ones that gateways use.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rumqttc::{
    AsyncClient, Event, MqttOptions, Packet, QoS, TlsConfiguration, Transport as MqttTransport,
};
use tokio::task::JoinSet;

use crate::demo::summary::Percentiles;
use crate::process::Process;
use crate::wait::wait_for;

/// Publishers.
const PUBLISHERS: usize = 8;
/// Messages of each that wait for its acknowledgement.
const WINDOW: u16 = 64;

/// What a run gave.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carried {
    /// Messages a second.
    pub(super) a_second: f64,
    /// From the intended moment of sending to the subscriber, ms.
    pub(super) late: Percentiles,
}

/// A running broker.
#[derive(Debug)]
pub(super) struct Broker {
    port: u16,
    tls: rustls::ClientConfig,
    _process: Process,
}

impl Broker {
    /// `None`, said aloud, where it is not installed.
    pub(super) async fn start(folder: &Path) -> Result<Option<Self>> {
        let program = Path::new("/usr/sbin/mosquitto");
        if !program.exists() {
            println!("no mosquitto (apt-get install mosquitto): nothing to stand beside MQTT");
            return Ok(None);
        }
        let folder = folder.join("mosquitto");
        std::fs::create_dir_all(&folder)?;
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let issuer = rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate()?)?;
        let key = rcgen::KeyPair::generate()?;
        let own =
            rcgen::CertificateParams::new(vec!["localhost".into()])?.signed_by(&key, &issuer)?;
        std::fs::write(folder.join("cert.pem"), own.pem())?;
        std::fs::write(folder.join("key.pem"), key.serialize_pem())?;
        let port = {
            let free = std::net::TcpListener::bind(("127.0.0.1", 0))?;
            free.local_addr()?.port()
        };
        let dir = folder.display();
        let text = format!(
            "allow_anonymous true\nuser root\nmax_inflight_messages 2000\nmax_queued_messages 0\n\
             listener {port} 127.0.0.1\ncertfile {dir}/cert.pem\nkeyfile {dir}/key.pem\ntls_version tlsv1.3\n"
        );
        std::fs::write(folder.join("conf"), text)?;
        let config = folder.join("conf").to_string_lossy().into_owned();
        let log = folder.join("log");
        let process = Process::start("mosquitto", program, ["-c", &config], &[], &log)?;
        wait_for("mosquitto", Duration::from_secs(10), async || {
            Ok(std::net::TcpStream::connect(("127.0.0.1", port)).ok())
        })
        .await?;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(issuer.der().clone())?;
        let tls = rustls::ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Some(Self {
            port,
            tls,
            _process: process,
        }))
    }

    fn options(&self, name: &str) -> MqttOptions {
        let mut options = MqttOptions::new(name, "localhost", self.port);
        let tls = TlsConfiguration::Rustls(Arc::new(self.tls.clone()));
        options
            .set_transport(MqttTransport::Tls(tls))
            .set_inflight(WINDOW)
            .set_max_packet_size(70_000, 70_000);
        options
    }

    /// Carries these messages, at most so many a second.
    pub(super) async fn carry(&self, messages: Vec<Vec<u8>>, rate: Option<f64>) -> Result<Carried> {
        let all = messages.len();
        let begin = Instant::now();
        let taken = Arc::new(AtomicU64::new(0));
        let (client, mut turning) = AsyncClient::new(self.options("subscriber"), 16);
        client.subscribe("up", QoS::AtLeastOnce).await?;
        let (stands, mut standing) = tokio::sync::mpsc::channel(1);
        let counted = Arc::clone(&taken);
        let subscriber = tokio::spawn(async move {
            let mut late = Vec::with_capacity(all);
            while late.len() < all {
                match turning.poll().await.context("the subscriber's line")? {
                    Event::Incoming(Packet::SubAck(_)) => stands.send(()).await?,
                    Event::Incoming(Packet::Publish(publish)) => {
                        let sent = publish.payload.first_chunk().context("its moment")?;
                        let sent = Duration::from_nanos(u64::from_le_bytes(*sent));
                        late.push((begin.elapsed().saturating_sub(sent)).as_secs_f64() * 1e3);
                        counted.fetch_add(1, Ordering::Relaxed);
                    }
                    Event::Incoming(_) | Event::Outgoing(_) => {}
                }
            }
            anyhow::Ok((late, Instant::now()))
        });
        if standing.recv().await.is_none() {
            // What it ended with.
            subscriber.await??;
            bail!("mosquitto takes no subscriber");
        }
        let start = Instant::now();
        let mut publishers = JoinSet::new();
        for number in 0..PUBLISHERS {
            let own: Vec<_> = messages
                .iter()
                .skip(number)
                .step_by(PUBLISHERS)
                .cloned()
                .collect();
            let name = format!("publisher-{number}");
            let options = self.options(&name);
            let every = rate.map(|rate| Duration::from_secs_f64(PUBLISHERS as f64 / rate));
            publishers.spawn(publish(options, own, every, begin));
        }
        let (late, end) = subscriber.await??;
        publishers.shutdown().await;
        Ok(Carried {
            a_second: all as f64 / end.duration_since(start).as_secs_f64(),
            late: Percentiles::of(late),
        })
    }
}

/// Each message behind the moment when it was to be sent.
async fn publish(
    options: MqttOptions,
    messages: Vec<Vec<u8>>,
    every: Option<Duration>,
    begin: Instant,
) -> Result<()> {
    let (client, mut turning) = AsyncClient::new(options, usize::from(WINDOW));
    let turn = tokio::spawn(async move { while turning.poll().await.is_ok() {} });
    let start = Instant::now();
    for (count, message) in (0..).zip(messages) {
        let due = start + every.unwrap_or_default() * count;
        if every.is_some() {
            tokio::time::sleep_until(due.into()).await;
        }
        let sent = if every.is_some() { due } else { Instant::now() };
        let nanos = u64::try_from(sent.duration_since(begin).as_nanos())?;
        let payload = [&nanos.to_le_bytes()[..], &message].concat();
        client
            .publish("up", QoS::AtLeastOnce, false, payload)
            .await?;
    }
    turn.await.context("its loop")
}
