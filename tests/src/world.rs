//! A whole small world: one centre, the gateways and patients of a scenario, everything enrolled and assigned.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use firmware_sim::scenario::Scenario;

use crate::centre::Centre;
use crate::gateway::{Bench, Gateway, Uplink};

/// The test clock for all processes: starts at this moment and runs `rate` times as fast.
#[must_use]
pub fn fast_clock(rate: f64) -> Vec<(String, String)> {
    let wall = proto::clock::wall_now().as_micros();
    vec![(
        proto::clock::TEST_CLOCK_VARIABLE.into(),
        format!("{wall}:{wall}:{rate}"),
    )]
}

/// The test clock for processes that start so many days from now, at the true rate.
#[must_use]
pub fn days_later(days: i64) -> Vec<(String, String)> {
    let wall = proto::clock::wall_now();
    let then = wall + vitals::Span::from_mins(days * 24 * 60);
    let text = format!("{}:{}:1", wall.as_micros(), then.as_micros());
    vec![(proto::clock::TEST_CLOCK_VARIABLE.into(), text)]
}

/// The test clock for processes that start so much later than now, and run `rate` times as fast from then on.
#[must_use]
pub fn later_and_fast(span: vitals::Span, rate: f64) -> Vec<(String, String)> {
    let wall = proto::clock::wall_now();
    let then = wall + span;
    let text = format!("{}:{}:{rate}", wall.as_micros(), then.as_micros());
    vec![(proto::clock::TEST_CLOCK_VARIABLE.into(), text)]
}

/// What a world is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Scenario file.
    pub scenario: PathBuf,
    /// Seed of the physiology.
    pub seed: u64,
    /// A recorded heart.
    pub recording: Option<PathBuf>,
    /// The test clock as environment; empty: the machine's clock.
    pub envs: Vec<(String, String)>,
    /// Uplink of each gateway, by its name in the scenario; MQTT where absent.
    pub uplinks: BTreeMap<String, Uplink>,
}

/// A running world. Everything dies with it.
#[derive(Debug)]
pub struct World {
    /// The centre.
    pub centre: Centre,
    /// Gateways by their name in the scenario.
    pub gateways: BTreeMap<String, Gateway>,
    /// Gateway ids by their name in the scenario.
    pub gateway_ids: BTreeMap<String, String>,
    /// Pseudonymous ids by the patient's name in the scenario.
    pub patients: BTreeMap<String, String>,
    /// The scenario.
    pub scenario: Scenario,
    /// What it was made of.
    pub plan: Plan,
}

impl World {
    /// Starts the centre, enrols each gateway, adds and assigns each patient. Nothing measures yet.
    ///
    /// # Errors
    /// When any step fails; says which.
    pub async fn build(dir: &Path, plan: Plan) -> Result<Self> {
        let centre = Centre::init(&dir.join("centre"), &plan.envs)?;
        Self::build_around(dir, plan, centre).await
    }

    /// As [`World::build`] around a centre that is initialised but does not run yet.
    ///
    /// # Errors
    /// When any step fails; says which.
    pub async fn build_around(dir: &Path, plan: Plan, mut centre: Centre) -> Result<Self> {
        let scenario = Scenario::load(&plan.scenario).context("the scenario")?;
        centre.start().await.context("starting the centre")?;
        let (mut gateways, mut gateway_ids, mut patients) =
            (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for patient in &scenario.patients {
            if !gateways.contains_key(&patient.gateway) {
                let uplink = plan
                    .uplinks
                    .get(&patient.gateway)
                    .copied()
                    .unwrap_or(Uplink::Mqtt);
                let gateway = Gateway::new(&dir.join(&patient.gateway), uplink, &plan.envs).await?;
                let (token, id) = centre.token(&patient.gateway)?;
                gateway
                    .enrol(&token)
                    .with_context(|| format!("enrolling {}", patient.gateway))?;
                gateways.insert(patient.gateway.clone(), gateway);
                gateway_ids.insert(patient.gateway.clone(), id);
            }
            let id = centre.add_patient(&patient.name)?;
            let gateway = gateway_ids.get(&patient.gateway).context("just enrolled")?;
            centre.assign(&id, gateway, &patient.addresses())?;
            patients.insert(patient.name.clone(), id);
        }
        Ok(Self {
            centre,
            gateways,
            gateway_ids,
            patients,
            scenario,
            plan,
        })
    }

    /// Switches all wearables and agents on.
    ///
    /// # Errors
    /// When a program cannot start.
    pub fn start(&mut self) -> Result<()> {
        for (name, gateway) in &mut self.gateways {
            gateway.start_wearables(&Bench {
                scenario: &self.plan.scenario,
                gateway: name,
                seed: self.plan.seed,
                recording: self.plan.recording.as_deref(),
            })?;
            gateway.start_agent()?;
        }
        Ok(())
    }

    /// Another clock for all processes that start from now on.
    pub fn set_envs(&mut self, envs: &[(String, String)]) {
        self.centre.set_envs(envs);
        for gateway in self.gateways.values_mut() {
            gateway.set_envs(envs);
        }
    }

    /// The gateway of that name.
    ///
    /// # Errors
    /// When the scenario has none of that name.
    pub fn gateway(&mut self, name: &str) -> Result<&mut Gateway> {
        self.gateways
            .get_mut(name)
            .with_context(|| format!("no gateway {name} in this world"))
    }
}
