//! `platform`: certificates of telemedicine platforms, and what each may have.
//!
//! Must not know: what a scope means; the gate tells.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use proto::cert::Role;
use proto::clock::Clock;
use proto::v1::{
    ListPlatformsRequest, Platform, PlatformScope, PlatformService, SetPlatformScopeRequest,
    SetSharingRequest,
};
use serde_json::{Value, json};
use vitals::Kind;

use super::history::kind;
use super::office::{Office, said};
use super::people::AT_THE_STORE;
use super::{certificate, print, show, word};
use crate::dir::CentreDir;

/// Names at the command line, in the contract's order.
const SERVICES: [(&str, PlatformService); 4] = [
    ("values", PlatformService::Values),
    ("alerts", PlatformService::Alerts),
    ("history", PlatformService::History),
    ("acknowledge", PlatformService::Acknowledge),
];

#[derive(Debug, Subcommand)]
pub(super) enum PlatformCommand {
    /// Make a certificate for a platform; it holds for a year. The platform has nothing until it is given something: here, or by
    /// `platform scope`.
    Add {
        /// The platform's name; each platform has its own.
        name: String,
        /// The folder that takes cert.pem, key.pem and ca.pem.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        #[command(flatten)]
        scope: ScopeArguments,
    },
    /// Say of whom, what and for what a platform may have, in place of what was said before. Open streams follow within two
    /// seconds. A patient's own word stands above it.
    Scope {
        /// The name given to `platform add`.
        name: String,
        /// Nothing any more.
        #[arg(long, conflicts_with_all = ["all_patients", "patients", "teams", "kinds", "services"])]
        nothing: bool,
        #[command(flatten)]
        scope: ScopeArguments,
    },
    /// What each platform may have, since when and by whose word.
    List {
        /// As JSON, with the field names of `ListPlatformsResponse` in proto/v1/platform.proto.
        #[arg(long)]
        json: bool,
    },
    /// Write down a patient's word: whether a platform may have anything of them. It stands above `platform scope`; patients say
    /// it themselves at their own page.
    Sharing {
        /// The patient's id.
        patient: String,
        /// The platform's name.
        platform: String,
        /// Nothing; without it: as the platform's scope says.
        #[arg(long)]
        stop: bool,
    },
    /// Refuse every certificate of this platform for good; its open streams end within two seconds.
    Revoke {
        /// The name given to `platform add`; it cannot be used again.
        name: String,
    },
}

/// Of whom, what, and for what.
#[derive(Debug, Args)]
pub(super) struct ScopeArguments {
    /// Of all patients, those who come later among them.
    #[arg(long, conflicts_with_all = ["patients", "teams"])]
    all_patients: bool,
    /// Of this patient (repeat it for more).
    #[arg(long = "patient", value_name = "PATIENT")]
    patients: Vec<String>,
    /// Of those whom this team looks after, as of any moment (repeat it for more).
    #[arg(long = "team", value_name = "TEAM")]
    teams: Vec<String>,
    /// Only data of this kind, such as oxygen_saturation (repeat it for more), and nothing that comes of several kinds: no scores,
    /// facts or waveforms. Default: everything.
    #[arg(long = "kind", value_name = "KIND", value_parser = kind)]
    kinds: Vec<Kind>,
    /// For what: values, alerts, history, acknowledge (repeat it for more). Default: values and alerts.
    #[arg(long = "for", value_name = "SERVICE", value_parser = service)]
    services: Vec<PlatformService>,
}

impl ScopeArguments {
    /// `None`: nothing was said.
    fn scope(&self) -> Option<PlatformScope> {
        let said = self.all_patients
            || !(self.patients.is_empty() && self.teams.is_empty())
            || !(self.kinds.is_empty() && self.services.is_empty());
        let services = match self.services.as_slice() {
            [] => &[PlatformService::Values, PlatformService::Alerts],
            services => services,
        };
        said.then(|| PlatformScope {
            all_patients: self.all_patients,
            patients: self.patients.clone(),
            teams: self.teams.clone(),
            kinds: self.kinds.iter().map(|kind| kind.wire()).collect(),
            services: services.iter().map(|of| i32::from(*of)).collect(),
        })
    }
}

fn service(name: &str) -> Result<PlatformService, String> {
    let found = SERVICES.into_iter().find(|(known, _)| *known == name);
    found.map(|(_, service)| service).ok_or_else(|| {
        let names = SERVICES.map(|(name, _)| name);
        format!("no such service; there are {}", names.join(", "))
    })
}

pub(super) async fn run(command: PlatformCommand, dir: CentreDir, clock: Clock) -> Result<()> {
    match command {
        PlatformCommand::Add { name, out, scope } => {
            certificate::add_platform(&dir, &name, &out, clock)?;
            let Some(scope) = scope.scope() else {
                let name = word(&name);
                return print(&format!(
                    "it has nothing yet: platform scope {name} --team TEAM (or --patient, --all-patients)\n"
                ));
            };
            give(&name, Some(scope), dir, clock).await
        }
        PlatformCommand::Scope {
            name,
            nothing,
            scope,
        } => {
            let scope = scope.scope();
            if !nothing && scope.is_none() {
                bail!("say of whom: --team, --patient or --all-patients; or --nothing");
            }
            give(&name, scope, dir, clock).await
        }
        PlatformCommand::List { json } => {
            let mut office = Office::open(dir, clock).await?;
            let platforms = office.platforms().await;
            office.close().await;
            let platforms = platforms?;
            if json {
                let all: Vec<Value> = platforms.iter().map(as_json).collect();
                return print(&show::json(&json!({ "platforms": all }))?);
            }
            if platforms.is_empty() {
                return print("nothing was given to any platform yet: `platform scope`\n");
            }
            print(&platforms.iter().map(line).collect::<String>())
        }
        PlatformCommand::Sharing {
            patient,
            platform,
            stop,
        } => {
            let mut office = Office::open(dir, clock).await?;
            let set = office.set_sharing(&patient, &platform, !stop).await;
            office.close().await;
            set?;
            print(if stop {
                "nothing of this patient is shared with it any more\n"
            } else {
                "of this patient it has what its scope says\n"
            })
        }
        PlatformCommand::Revoke { name } => {
            certificate::revoke(Role::Platform, &name, dir, clock).await
        }
    }
}

async fn give(
    name: &str,
    scope: Option<PlatformScope>,
    dir: CentreDir,
    clock: Clock,
) -> Result<()> {
    let mut office = Office::open(dir, clock).await?;
    let given = office.set_platform_scope(name, scope).await;
    office.close().await;
    print(&line(&given?))
}

/// One platform for people.
fn line(of: &Platform) -> String {
    let since = show::time(of.since_us);
    let by = &of.by;
    let name = &of.name;
    let Some(scope) = &of.scope else {
        return format!("{name}\n  nothing, since {since} by {by}\n");
    };
    let revoked = if of.revoked { ", revoked" } else { "" };
    let mut whom = scope.patients.clone();
    whom.extend(scope.teams.iter().map(|team| format!("team {team}")));
    let whom = match (scope.all_patients, whom.as_slice()) {
        (true, _) => "all patients".to_owned(),
        (false, []) => "nobody (its teams are no more)".to_owned(),
        (false, whom) => whom.join(", "),
    };
    let kinds = match kinds_of(scope).as_slice() {
        [] => "everything".to_owned(),
        kinds => kinds.join(", "),
    };
    let services = services_of(scope).join(", ");
    let now = of.patients_now;
    format!(
        "{name}{revoked}\n  of    {whom} ({now} now)\n  what  {kinds}\n  for   {services}\n  since {since} by {by}\n"
    )
}

fn kinds_of(scope: &PlatformScope) -> Vec<&'static str> {
    let kinds = scope.kinds.iter().filter_map(|of| Kind::from_wire(*of));
    kinds.map(|kind| kind.info().name).collect()
}

fn services_of(scope: &PlatformScope) -> Vec<&'static str> {
    let has = |of: PlatformService| scope.services.contains(&i32::from(of));
    let services = SERVICES.into_iter().filter(|(_, of)| has(*of));
    services.map(|(name, _)| name).collect()
}

fn as_json(of: &Platform) -> Value {
    let scope = of.scope.as_ref().map(|scope| {
        json!({
            "all_patients": scope.all_patients,
            "patients": scope.patients,
            "teams": scope.teams,
            "kinds": kinds_of(scope),
            "services": services_of(scope),
        })
    });
    json!({
        "name": of.name,
        "scope": scope,
        "since_us": of.since_us,
        "by": of.by,
        "revoked": of.revoked,
        "patients_now": of.patients_now,
    })
}

impl Office {
    async fn set_platform_scope(
        &mut self,
        name: &str,
        scope: Option<PlatformScope>,
    ) -> Result<Platform> {
        match self {
            Self::Direct(admin, _) => Ok(admin
                .set_platform_scope(name, scope.as_ref(), AT_THE_STORE)
                .await?),
            Self::Running(client, _) => {
                let name = name.into();
                let asked = SetPlatformScopeRequest { name, scope };
                let set = client.set_platform_scope(asked).await;
                Ok(set.map_err(said)?.into_inner())
            }
        }
    }

    async fn platforms(&mut self) -> Result<Vec<Platform>> {
        match self {
            Self::Direct(admin, _) => Ok(admin.platforms()),
            Self::Running(client, _) => {
                let listed = client.list_platforms(ListPlatformsRequest {}).await;
                Ok(listed.map_err(said)?.into_inner().platforms)
            }
        }
    }

    async fn set_sharing(&mut self, patient: &str, platform: &str, shared: bool) -> Result<()> {
        match self {
            Self::Direct(admin, _) => {
                let set = admin.set_sharing(patient, platform, shared, AT_THE_STORE);
                Ok(set.await?)
            }
            Self::Running(client, _) => {
                let asked = SetSharingRequest {
                    patient: patient.into(),
                    platform: platform.into(),
                    shared,
                };
                client.set_sharing(asked).await.map(drop).map_err(said)
            }
        }
    }
}
