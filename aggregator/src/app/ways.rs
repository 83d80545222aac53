//! The ways in and out that lead past this machine: by what people sign in beside passkeys, and on what they are called.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use proto::clock::Clock;
use proto::seal::crypto::SigningKey;
use zeroize::Zeroizing;

use crate::channel::{self, ChannelError, Channels};
use crate::config::Config;
use crate::dir::{self, CentreDir};
use crate::journal::Journal;
use crate::registry::Books;
use crate::serve::Ways;
use crate::serve::provider::Provider;

/// As the settings have them; nobody is called yet. `page`: where people sign in.
pub(super) fn open(
    config: &Config,
    dir: &CentreDir,
    books: &Arc<Books>,
    journal: &Journal,
    page: &str,
    clock: Clock,
) -> Result<(Ways, Arc<Channels>)> {
    let named = |(name, error): (String, ChannelError)| {
        anyhow::Error::new(error).context(format!("channel {name:?} in config.toml"))
    };
    let desk = channel::desk(&config.channels, || push_key(dir), books, journal, clock);
    let desk = desk.map_err(named)?;
    let channels = Channels::new(&config.channels, page, clock, desk.as_ref()).map_err(named)?;
    let provider = config.provider.as_ref();
    let provider = provider.map(|of| Provider::new(of, page, clock));
    let provider = provider.transpose().context("[provider] in config.toml")?;
    let ways = Ways {
        passkey_only: config.passkey_only,
        provider: provider.map(Arc::new),
        push: desk,
    };
    Ok((ways, Arc::new(channels)))
}

/// Made when it is needed first: browsers tie their addresses to it.
fn push_key(dir: &CentreDir) -> Result<Zeroizing<Vec<u8>>, ChannelError> {
    let path = dir.push_key();
    if !path.exists() {
        let key = SigningKey::generate_pkcs8();
        dir::write_private(&path, &key).map_err(ChannelError::Key)?;
    }
    dir::read_secret(&path).map_err(ChannelError::Key)
}
