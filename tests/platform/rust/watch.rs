//! A telemedicine platform in Rust: hears every alert of its patients, each once, across restarts of either side.
//!
//!     cargo run -p e2e --example watch -- HOST:PORT FOLDER CURSOR_FILE [SECONDS]
//!
//! FOLDER holds cert.pem, key.pem and ca.pem as `vitaltwin-aggregator platform add` made them. What was heard is printed as
//! one line of JSON; the cursor is written to CURSOR_FILE only after it, so a line may come twice after a crash, and never not
//! at all: tell them apart by `event`. Ends by itself after SECONDS, if given.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use anyhow::{Context as _, Result, bail};
use proto::v1::alert_event::Kind;
use proto::v1::alert_service_client::AlertServiceClient;
use proto::v1::{Alert, ConfirmRequest, WatchAlertsRequest};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Status};

/// The centre says something each 15 s. Who hears nothing for so long has no line, whatever the connection says.
const SILENCE: Duration = Duration::from_secs(60);
/// Said only after what was told is dealt with. Who has begun to confirm is missed by the centre after two minutes without.
const CONFIRM: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

struct Platform {
    alerts: AlertServiceClient<Channel>,
    cursor_file: PathBuf,
}

impl Platform {
    /// No connection is made yet; it is made again by itself whenever it is needed.
    fn new(address: &str, folder: &Path, cursor_file: &Path) -> Result<Self> {
        let pem = |name: &str| {
            fs::read(folder.join(name)).with_context(|| format!("{name} of `platform add`"))
        };
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(pem("ca.pem")?))
            .identity(Identity::from_pem(pem("cert.pem")?, pem("key.pem")?));
        let centre = Endpoint::from_shared(format!("https://{address}"))?.tls_config(tls)?;
        Ok(Self {
            alerts: AlertServiceClient::new(centre.connect_lazy()),
            cursor_file: cursor_file.to_owned(),
        })
    }

    /// Whole or not at all: a torn cursor would be refused, and all alerts told again.
    fn remember(&self, cursor: &[u8]) -> io::Result<()> {
        let new = self.cursor_file.with_extension("new");
        fs::write(&new, cursor)?;
        fs::rename(new, &self.cursor_file)
    }

    /// One stream, until it ends; `heard` is set by whatever comes on it.
    async fn listen(&mut self, heard: &mut bool) -> Result<(), Status> {
        let request = WatchAlertsRequest {
            cursor: fs::read(&self.cursor_file).unwrap_or_default(),
            ..WatchAlertsRequest::default()
        };
        let silent = |_| Status::unavailable("nothing was heard for a minute");
        let call = timeout(SILENCE, self.alerts.watch(request)).await;
        let mut stream = call.map_err(silent)??.into_inner();
        let mut confirmed = None::<Instant>;
        while let Some(event) = timeout(SILENCE, stream.message()).await.map_err(silent)?? {
            *heard = true;
            match &event.kind {
                Some(Kind::Snapshot(alert)) => tell(&event.event_id, alert, true),
                Some(Kind::Change(alert)) => tell(&event.event_id, alert, false),
                Some(Kind::SnapshotEnd(_) | Kind::KeepAlive(_)) | None => {}
            }
            if !event.cursor.is_empty() {
                self.remember(&event.cursor)?;
            }
            if confirmed.is_none_or(|at| at.elapsed() >= CONFIRM) {
                confirmed = Some(Instant::now());
                self.alerts.confirm(ConfirmRequest {}).await?;
            }
        }
        Ok(())
    }

    async fn run(&mut self) -> Result<()> {
        let mut pause = FIRST_PAUSE;
        loop {
            let mut heard = false;
            if let Err(why) = self.listen(&mut heard).await {
                if matches!(why.code(), Code::Unauthenticated | Code::PermissionDenied) {
                    bail!(
                        "the centre does not let this platform in: {}\nask its operator (`platform add`, `platform scope`)",
                        why.message()
                    );
                }
                eprintln!("the stream ended: {}", why.message());
            }
            pause = if heard {
                FIRST_PAUSE
            } else {
                LONGEST_PAUSE.min(2 * pause)
            };
            // Not all platforms at once when a centre comes back.
            sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
        }
    }
}

fn tell(event: &str, alert: &Alert, whole: bool) {
    let line = json!({
        "event": event,
        "snapshot": whole,
        "alert": alert.id,
        "patient": alert.patient,
        "condition": alert.condition,
        "priority": alert.priority().as_str_name(),
        "state": alert.state().as_str_name(),
        "summary": alert.summary,
        "testData": alert.test_data,
    });
    println!("{line}");
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (address, folder, cursor_file, seconds) = match &arguments[..] {
        [address, folder, cursor] => (address, folder, cursor, None),
        [address, folder, cursor, seconds] => (address, folder, cursor, Some(seconds.parse()?)),
        _ => bail!("usage: watch HOST:PORT FOLDER CURSOR_FILE [SECONDS]"),
    };
    let mut platform = Platform::new(address, Path::new(folder), Path::new(cursor_file))?;
    match seconds {
        None => platform.run().await,
        Some(seconds) => timeout(Duration::from_secs_f64(seconds), platform.run())
            .await
            .unwrap_or(Ok(())),
    }
}
