//! What each trouble does to the world, and what sets it right.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::stage::Stage;
use super::trouble::Trouble;
use crate::process::children;
use crate::proxy::Weather;

impl Stage {
    pub(super) fn begin(&mut self, home: &str, trouble: Trouble) -> Result<()> {
        match trouble {
            Trouble::AgentKilled => self.world.gateway(home)?.kill_agent()?,
            Trouble::AgentStopped => self.stop_agent(home)?,
            Trouble::PowerCut(offset) => {
                self.world.gateway(home)?.kill_agent()?;
                self.set_clock(home, offset, true)?;
                self.world.gateway(home)?.start_agent()?;
            }
            Trouble::ClockStep(by) => self.set_clock(home, by, true)?,
            Trouble::DiskFull => {
                // With a line nothing would wait for room.
                self.weather(home, CUT);
                self.fill(home)?;
            }
            Trouble::RadioKilled => {
                let agent = self.world.gateway(home)?.agent()?.id();
                for radio in children(agent) {
                    Command::new("kill")
                        .arg("-9")
                        .arg(radio.to_string())
                        .status()?;
                }
            }
            Trouble::DaemonRestarted => self.control(home, "RestartDaemon", &["uint32:500"]),
            Trouble::DaemonAfresh => self.control(home, "RestartDaemonAfresh", &["uint32:500"]),
            Trouble::BusKilled => {
                self.world.gateway(home)?.stop_wearables()?;
                self.world.gateway(home)?.bus_mut().kill();
            }
            Trouble::AdapterGone => self.control(home, "VanishAdapter", &["boolean:true"]),
            Trouble::LinksDropped => self.control_all(home, "DropLink", None),
            Trouble::OutOfRange => {
                self.control_all(home, "FailConnects", Some("uint32:40"));
                self.control_all(home, "DropLink", None);
            }
            Trouble::Silence => self.control_all(home, "Silence", Some("boolean:true")),
            Trouble::TakenOff => self.control_all(home, "TakeOff", None),
            Trouble::LineCut => self.weather(home, CUT),
            Trouble::LineRough => self.weather(home, ROUGH),
            Trouble::LineThin => self.weather(home, THIN),
            Trouble::CentreKilled => self.world.centre.kill()?,
            Trouble::CentreStopped => self.world.centre.stop()?,
            Trouble::Paused => self.patients("pause")?,
            Trouble::KeysRotated => self.patients("rotate-key")?,
            Trouble::Configured => self.configure()?,
        }
        Ok(())
    }

    pub(super) async fn end(&mut self, home: &str, trouble: Trouble) -> Result<()> {
        match trouble {
            Trouble::AgentKilled | Trouble::AgentStopped => {
                self.world.gateway(home)?.start_agent()?;
            }
            Trouble::PowerCut(off) | Trouble::ClockStep(off) => self.set_clock(home, off, false)?,
            Trouble::DiskFull => {
                let filler = self.world.gateway(home)?.agent_dir().join("filler");
                std::fs::remove_file(filler)?;
                self.weather(home, Weather::default());
            }
            Trouble::BusKilled => {
                self.world.gateway(home)?.bus_mut().revive().await?;
                self.start_wearables(home)?;
            }
            Trouble::AdapterGone => self.control(home, "VanishAdapter", &["boolean:false"]),
            Trouble::OutOfRange => self.control_all(home, "FailConnects", Some("uint32:0")),
            Trouble::Silence => self.control_all(home, "Silence", Some("boolean:false")),
            Trouble::TakenOff => self.control_all(home, "PutOn", None),
            Trouble::LineCut | Trouble::LineRough | Trouble::LineThin => {
                self.weather(home, Weather::default());
            }
            Trouble::CentreKilled | Trouble::CentreStopped => {
                let ready = self.world.centre.start().await?.clone();
                for lines in self.lines.values() {
                    lines.grpc.lead_to(ready.grpc);
                    lines.mqtt.lead_to(ready.mqtt);
                }
            }
            Trouble::Paused => self.patients("resume")?,
            Trouble::RadioKilled
            | Trouble::DaemonRestarted
            | Trouble::DaemonAfresh
            | Trouble::LinksDropped
            | Trouble::KeysRotated
            | Trouble::Configured => {}
        }
        Ok(())
    }

    /// A control call that may fail, because the daemon is just being restarted.
    fn control(&self, home: &str, method: &str, arguments: &[&str]) {
        let Some(gateway) = self.world.gateways.get(home) else {
            return;
        };
        if let Err(error) = gateway.control(method, arguments) {
            self.note(&format!("{home}: {method} was not heard: {error:#}"));
        }
    }

    /// The same for each device of a home.
    fn control_all(&self, home: &str, method: &str, argument: Option<&str>) {
        for patient in &self.world.scenario.patients {
            for address in patient
                .addresses()
                .iter()
                .filter(|_| patient.gateway == home)
            {
                let address = format!("string:{address}");
                let arguments: Vec<&str> =
                    std::iter::once(address.as_str()).chain(argument).collect();
                self.control(home, method, &arguments);
            }
        }
    }

    pub(super) fn weather(&self, home: &str, weather: Weather) {
        if let Some(lines) = self.lines.get(home) {
            lines.grpc.set(weather);
            lines.mqtt.set(weather);
        }
    }

    fn fill(&mut self, home: &str) -> Result<()> {
        let filler = self.world.gateway(home)?.agent_dir().join("filler");
        let filled = Command::new("sh")
            .args(["-c", "cat /dev/zero > \"$0\" 2> /dev/null"])
            .arg(filler)
            .status()?;
        ensure!(!filled.success(), "the disk was not filled");
        Ok(())
    }

    fn patients(&self, word: &str) -> Result<()> {
        for patient in self.world.patients.values() {
            self.world.centre.cli(&["patient", word, patient])?;
        }
        Ok(())
    }

    fn configure(&mut self) -> Result<()> {
        let seconds = 60 + self.acts % 60;
        let setting = format!("heartbeat_s={seconds}");
        for id in self.world.gateway_ids.values() {
            self.world
                .centre
                .cli(&["gateway", "configure", id, "--set", &setting])?;
        }
        Ok(())
    }
}

/// No connection lives.
pub(super) const CUT: Weather = Weather {
    cut: true,
    ..CALM_LINE
};
const ROUGH: Weather = Weather {
    delay: Duration::from_millis(5),
    corrupt_one_in: 200,
    drop_one_in: 200,
    ..CALM_LINE
};
/// Bytes a second of the wall.
const THIN: Weather = Weather {
    bytes_per_second: 4000,
    loss_percent: 20,
    stall: Duration::from_millis(10),
    ..CALM_LINE
};
const CALM_LINE: Weather = Weather {
    cut: false,
    delay: Duration::ZERO,
    corrupt_one_in: 0,
    drop_one_in: 0,
    bytes_per_second: 0,
    loss_percent: 0,
    stall: Duration::ZERO,
};
