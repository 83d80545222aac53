//! What several stories need: a centre with one patient and one gateway driven by hand.

use anyhow::{Context, Result};
use e2e::centre::Centre;
use e2e::client::{Client, clock_of};
use e2e::hand::{HandGateway, HandUplink};
use e2e::wait::wait_for;
use e2e::world::fast_clock;
use proto::clock::Clock;
use proto::v1;
use std::time::Duration;
use tempfile::TempDir;

/// The longest a story waits for something that should take milliseconds; two cores may be busy with other stories.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A sensor's address for stories that have no sensor.
pub(crate) const ADDRESS: &str = "C0:00:00:00:00:01";

/// One patient, one gateway by hand, one reader.
pub(crate) struct Small {
    /// Holds all files; removed at the end.
    _folder: TempDir,
    pub(crate) centre: Centre,
    pub(crate) gateway: HandGateway,
    pub(crate) patient: String,
    pub(crate) client: Client,
    pub(crate) clock: Clock,
}

impl Small {
    pub(crate) async fn new() -> Result<Self> {
        Self::build(Clock::system(), &[]).await
    }

    /// On a clock that many times as fast as the wall's.
    pub(crate) async fn fast(rate: f64) -> Result<Self> {
        let envs = fast_clock(rate);
        Self::build(clock_of(&envs)?, &envs).await
    }

    async fn build(clock: Clock, envs: &[(String, String)]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut centre = Centre::init(&folder.path().join("centre"), envs)?;
        centre.start().await?;
        let (token, id) = centre.token("by hand")?;
        let gateway = HandGateway::enrol(centre.ready()?.grpc, &token, clock).await?;
        let patient = centre.add_patient("Story")?;
        centre.assign(&patient, &id, &[ADDRESS.into()])?;
        let client = centre.client().await?;
        Ok(Self {
            _folder: folder,
            centre,
            gateway,
            patient,
            client,
            clock,
        })
    }

    /// An uplink and the one assignment.
    pub(crate) async fn uplink(&self) -> Result<(HandUplink, v1::Assignment)> {
        let mut uplink = self.gateway.connect().await?;
        let assignment = uplink
            .assignments()
            .await?
            .into_iter()
            .next()
            .context("one assignment")?;
        Ok((uplink, assignment))
    }

    /// Waits until the centre has applied exactly this many readings, and says what else it counted.
    pub(crate) async fn applied(&self, readings: u64) -> Result<serde_json::Value> {
        wait_for(&format!("{readings} applied readings"), SOON, async || {
            let status = self.centre.status()?;
            Ok((status["readings_applied"].as_u64() == Some(readings)).then_some(status))
        })
        .await
    }
}
