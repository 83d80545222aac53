//! `roster`: who is on duty in a team.
//!
//! Must not know: what a roster means; the centre tells.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use proto::clock::Clock;
use proto::v1::{CheckRosterRequest, ListRostersRequest, Roster, SetRosterRequest, Turn};
use serde_json::{Value, json};

use super::office::{Office, said};
use super::people::AT_THE_STORE;
use super::{print, show};
use crate::admin::Asker;
use crate::channel::settings::name_of as duty;
use crate::dir::CentreDir;
use crate::{roster, staff};

#[derive(Debug, Subcommand)]
pub(super) enum RosterCommand {
    /// Who is on duty now and who comes then, and when nobody is in the next two weeks.
    Show {
        /// Of this team alone.
        team: Option<String>,
        /// Print the document instead. A copy, edited, is what `set` takes.
        #[arg(long, requires = "team", conflicts_with = "json")]
        document: bool,
        /// As JSON, with the field names of `ListRostersResponse` in proto/v1/roster.proto.
        #[arg(long)]
        json: bool,
    },
    /// Say who is on duty in a team from now on.
    Set {
        /// Which team.
        team: String,
        /// TOML.
        #[arg(required_unless_present = "none")]
        file: Option<PathBuf>,
        /// Instead of a file: nobody says any more, and calls are as without a roster.
        #[arg(long, conflicts_with = "file")]
        none: bool,
    },
    /// Say what is wrong with a document; with --team, also what it would say now. Needs no centre without it.
    Check {
        /// TOML.
        file: PathBuf,
        /// For which team.
        #[arg(long)]
        team: Option<String>,
        /// As JSON, with the field names of `Roster` in proto/v1/roster.proto.
        #[arg(long, requires = "team")]
        json: bool,
    },
}

pub(super) async fn run(command: RosterCommand, dir: CentreDir, clock: Clock) -> Result<()> {
    if let RosterCommand::Check {
        file, team: None, ..
    } = &command
    {
        let roster = roster::Roster::parse(&read(file)?)?;
        return print(&format!(
            "it can be read; time zone {}\n",
            roster.zone_name()
        ));
    }
    let mut office = Office::open(dir, clock).await?;
    let told = ask(&mut office, command).await;
    office.close().await;
    print(&told?)
}

async fn ask(office: &mut Office, command: RosterCommand) -> Result<String> {
    let (roster, json) = match command {
        RosterCommand::Show {
            team,
            document,
            json,
        } => {
            let mut rosters = office.rosters().await?;
            if let Some(team) = &team {
                rosters.retain(|of| staff::alike(&of.team, team));
                if rosters.is_empty() {
                    bail!("there is no team of this name; see `team list`");
                }
            }
            if document {
                return Ok(rosters.remove(0).document);
            }
            if json {
                let rosters: Vec<Value> = rosters.iter().map(roster_json).collect();
                return show::json(&json!({ "rosters": rosters }));
            }
            if rosters.is_empty() {
                return Ok("no teams yet: `team add NAME`\n".into());
            }
            return Ok(rosters.iter().map(text).collect());
        }
        RosterCommand::Set { team, file, .. } => {
            let document = file.as_deref().map(read).transpose()?;
            let document = document.unwrap_or_default();
            (office.set_roster(team, document).await?, false)
        }
        RosterCommand::Check { file, team, json } => {
            let team = team.unwrap_or_default();
            (office.check_roster(team, read(&file)?).await?, json)
        }
    };
    if json {
        show::json(&roster_json(&roster))
    } else {
        Ok(text(&roster))
    }
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| file.display().to_string())
}

/// For people.
pub(super) fn text(of: &Roster) -> String {
    if of.document.is_empty() {
        return format!(
            "{}\n  no roster: every nurse, doctor and supervisor is called who sees it (`roster set`)\n",
            of.team
        );
    }
    let mut text = format!("{}\n", of.team);
    if !of.unread.is_empty() {
        text += &format!("  CANNOT BE READ: {}\n", of.unread);
    }
    for turn in &of.now {
        text += &format!("  now      {}\n", line(turn));
    }
    for turn in &of.next {
        text += &format!("  then     {}\n", line(turn));
    }
    for turn in &of.gaps {
        text += &format!("  NOBODY   {}\n", line(turn));
    }
    for remark in &of.remarks {
        text += &format!("  note     {remark}\n");
    }
    text
}

fn line(of: &Turn) -> String {
    let people = if of.people.is_empty() {
        "nobody".into()
    } else {
        of.people.join(", ")
    };
    let over = match (of.handover, of.taken_by.as_str()) {
        (_, by) if !by.is_empty() => {
            format!("; taken over by {by} {}", show::time(of.taken_us))
        }
        (true, _) if of.leaving.is_empty() => "; to be taken over".into(),
        (true, _) => format!("; to be taken over from {}", of.leaving.join(", ")),
        (false, _) => String::new(),
    };
    format!(
        "{:<10} {} to {}  {people}{}{over}",
        duty(of.duty()),
        show::time(of.from_us),
        show::time(of.until_us),
        if of.shift.is_empty() {
            String::new()
        } else {
            format!(" ({})", of.shift)
        },
    )
}

pub(super) fn roster_json(of: &Roster) -> Value {
    let turns = |of: &[Turn]| of.iter().map(turn_json).collect::<Vec<_>>();
    json!({
        "team": of.team,
        "document": of.document,
        "since_us": of.since_us,
        "by": of.by,
        "unread": of.unread,
        "now": turns(&of.now),
        "next": turns(&of.next),
        "gaps": turns(&of.gaps),
        "remarks": of.remarks,
    })
}

fn turn_json(of: &Turn) -> Value {
    json!({
        "duty": duty(of.duty()),
        "shift": of.shift,
        "from_us": of.from_us,
        "until_us": of.until_us,
        "people": of.people,
        "able": of.able,
        "handover": of.handover,
        "leaving": of.leaving,
        "taken_by": of.taken_by,
        "taken_us": of.taken_us,
    })
}

impl Office {
    async fn rosters(&mut self) -> Result<Vec<Roster>> {
        match self {
            Self::Direct(admin, _) => Ok(admin.rosters(Asker {
                name: AT_THE_STORE,
                role: None,
            })),
            Self::Running(client, _) => {
                let listed = client.list_rosters(ListRostersRequest {}).await;
                Ok(listed.map_err(said)?.into_inner().rosters)
            }
        }
    }

    async fn check_roster(&mut self, team: String, document: String) -> Result<Roster> {
        match self {
            Self::Direct(admin, _) => Ok(admin.check_roster(&team, &document)?),
            Self::Running(client, _) => {
                let request = CheckRosterRequest { team, document };
                Ok(client
                    .check_roster(request)
                    .await
                    .map_err(said)?
                    .into_inner())
            }
        }
    }

    async fn set_roster(&mut self, team: String, document: String) -> Result<Roster> {
        match self {
            Self::Direct(admin, _) => Ok(admin.set_roster(&team, &document, AT_THE_STORE).await?),
            Self::Running(client, _) => {
                let request = SetRosterRequest { team, document };
                Ok(client.set_roster(request).await.map_err(said)?.into_inner())
            }
        }
    }
}
