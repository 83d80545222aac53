//! The task that renews the gateway's certificate in time. Promises: it never ends by itself, and a failure
//! leaves the old certificate in force.

use std::sync::Arc;
use std::time::Duration;

use proto::cert::peer_identity;
use proto::clock::Clock;
use tokio::sync::{mpsc, watch};
use vitals::{Span, Time};

use crate::enrol::{EnrolError, client_config, renew, renewal_due};
use crate::identity::{Identity, IdentityDir};
use crate::status::describe;
use crate::uplink::meter::Meter;

/// Renews the certificate in time, for as long as the agent runs.
pub(super) struct Renewer {
    pub(super) dir: IdentityDir,
    pub(super) identity: Arc<Identity>,
    pub(super) address: String,
    pub(super) clock: Clock,
    pub(super) tls: watch::Sender<Arc<rustls::ClientConfig>>,
    pub(super) renewed: mpsc::Sender<Arc<Identity>>,
    /// Why the last attempt failed; empty after one that did not.
    pub(super) trouble: watch::Sender<String>,
    pub(super) meter: Meter,
}

impl Renewer {
    pub(super) async fn run(mut self) {
        let mut failures = 0_i64;
        let mut due = self.due();
        loop {
            let wait = due.since(self.clock.now());
            if wait > Span::ZERO {
                // In pieces: a machine that was suspended must not sleep on.
                let piece = self.clock.real(wait).min(Duration::from_secs(60));
                tokio::time::sleep(piece).await;
                continue;
            }
            due = match self.renew().await {
                Ok(()) => {
                    failures = 0;
                    self.trouble.send_replace(String::new());
                    self.due()
                }
                Err(error) => {
                    let (error, now) = (describe(&error), self.clock.now());
                    failures += 1;
                    let leaf = self.identity.chain.first().map_or(&[][..], Vec::as_slice);
                    let ended = peer_identity(leaf).is_ok_and(|of| of.not_after <= now);
                    // A certificate that ended is no way to the centre: sooner, and at least once a minute.
                    let wait = if ended {
                        tracing::warn!(
                            error,
                            "the certificate has ended and could not be renewed yet"
                        );
                        5 * failures.min(12)
                    } else {
                        tracing::warn!(error, "the certificate could not be renewed");
                        60 * failures.min(60)
                    };
                    self.trouble.send_replace(error);
                    now + Span::from_secs(wait)
                }
            };
        }
    }

    fn due(&self) -> Time {
        let now = self.clock.now();
        renewal_due(&self.identity, now).unwrap_or(now)
    }

    async fn renew(&mut self) -> Result<(), EnrolError> {
        let (address, meter) = (&self.address, &self.meter);
        let identity = renew(&self.dir, &self.identity, address, self.clock, meter).await?;
        let config = client_config(&identity, self.clock)?;
        self.identity = Arc::new(identity);
        self.tls.send_replace(Arc::new(config));
        let _agent_stops = self.renewed.send(Arc::clone(&self.identity)).await;
        tracing::info!("the certificate was renewed");
        Ok(())
    }
}
