//! What operators do about gateways.
//!
//! Must not know: how an act is done.

use std::path::Path;

use anyhow::{Context as _, Result};
use proto::clock::Clock;

use super::office::Office;
use super::{GatewayCommand, print, show};
use crate::dir::CentreDir;

/// Does what the command says.
pub(super) async fn run(command: GatewayCommand, dir: CentreDir, clock: Clock) -> Result<()> {
    let mut office = Office::open(dir, clock).await?;
    let answer = match command {
        GatewayCommand::Token {
            label,
            valid_seconds,
            json,
        } => match office.token(&label, valid_seconds).await {
            Ok((token, gateway)) if json => show::json(&show::token_json(&token, &gateway)),
            Ok((token, _)) => Ok(token + "\n"),
            Err(error) => Err(error),
        },
        GatewayCommand::List { json } => match office.status().await {
            Ok(status) if json => show::json(&show::gateways_json(&status)),
            Ok(status) => Ok(show::gateways(&status)),
            Err(error) => Err(error),
        },
        GatewayCommand::Configure {
            gateway,
            settings,
            file,
            reset: _,
        } => match settings_text(&settings, file.as_deref()) {
            Ok(text) => office
                .configure(&gateway, &text)
                .await
                .map(|number| format!("settings {number} are on their way: see `gateway list`\n")),
            Err(error) => Err(error),
        },
        GatewayCommand::Revoke { gateway } => office.revoke(&gateway).await.map(show::revoked),
    };
    office.close().await;
    print(&answer?)
}

/// Settings as TOML. A value that is no number, boolean or quoted text is taken as text.
fn settings_text(settings: &[String], file: Option<&Path>) -> Result<String> {
    if let Some(file) = file {
        return std::fs::read_to_string(file).with_context(|| file.display().to_string());
    }
    let line = |setting: &String| {
        let (key, value) = setting
            .split_once('=')
            .with_context(|| format!("--set {setting}: give KEY=VALUE"))?;
        let line = format!("{key} = {value}\n");
        if toml::from_str::<toml::Table>(&line).is_ok() {
            return Ok(line);
        }
        Ok(format!("{key} = {}\n", toml::Value::from(value)))
    };
    settings.iter().map(line).collect()
}
