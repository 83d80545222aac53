//! `channel`: the ways on which people are called, as `config.toml` has them, and a test of each. Needs no running centre.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use clap::Subcommand;
use proto::clock::Clock;

use crate::channel::Channels;
use crate::channel::settings::{Channel, name_of};
use crate::config::Config;
use crate::dir::CentreDir;

#[derive(Debug, Subcommand)]
pub(super) enum ChannelCommand {
    /// List the channels of config.toml and whom they reach.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Send a message that says it is a test, and print what the server said when it took it.
    Test {
        /// The channel's name.
        name: String,
    },
}

pub(super) async fn run(command: ChannelCommand, dir: &CentreDir, clock: Clock) -> Result<()> {
    let config = super::settings(dir)?;
    match command {
        ChannelCommand::List { json: true } => super::print(&super::show::json(
            &serde_json::to_value(&config.channels)?,
        )?),
        ChannelCommand::List { json: false } => super::print(&list(&config.channels)),
        ChannelCommand::Test { name } => {
            let mut places = config.channels.iter();
            let place = places.position(|of| of.name == name).with_context(|| {
                format!("config.toml has no channel {name:?}: `channel list` shows those it has")
            })?;
            let channels = open(&config, clock)?;
            let said = channels.test(place).await;
            let said =
                said.map_err(|why| anyhow::anyhow!("channel {name:?} does not work: {why}"))?;
            super::print(&format!("channel {name:?} took the message: {said}\n"))
        }
    }
}

/// All channels, ready to be used.
pub(super) fn open(config: &Config, clock: Clock) -> Result<Channels> {
    let page = format!("https://{}:{}/", config.host(), config.listen.port());
    Channels::new(&config.channels, &page, clock, None).map_err(|(name, error)| {
        anyhow::Error::new(error).context(format!("channel {name:?} in config.toml"))
    })
}

fn list(channels: &[Channel]) -> String {
    if channels.is_empty() {
        return "no channels: nobody is called outside of the page; config.toml shows how to add one\n".into();
    }
    let mut text = Vec::new();
    for of in channels {
        let duties: Vec<&str> = of.reaches().into_iter().map(name_of).collect();
        let way = match (&of.webhook, &of.mail) {
            (Some(webhook), _) => format!("webhook {}", webhook.url),
            (None, Some(mail)) => format!("mail to {} by {}", mail.to.join(", "), mail.server),
            (None, None) => "browsers of whoever switched it on".into(),
        };
        writeln!(text, "{}\t{}\t{way}", of.name, duties.join(", "))
            .expect("a vector takes everything");
    }
    String::from_utf8_lossy(&text).into_owned()
}
