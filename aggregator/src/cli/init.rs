//! `init`: everything that a centre needs before its first start.
//!
//! Invariant: keys that exist are kept; only `config.toml` that does not exist is written. Must not know: journal.

use std::io::Write as _;

use anyhow::{Context as _, Result, bail};
use proto::cert::Role;
use proto::clock::Clock;
use proto::seal::crypto;

use crate::admin::fingerprint;
use crate::ca::{Authority, pem};
use crate::config::Config;
use crate::dir::{self, CentreDir};
use crate::vault::Vault;

/// Makes what is missing.
pub(super) fn init(dir: &CentreDir, config: &Config, operator: &str, clock: Clock) -> Result<()> {
    if operator.is_empty()
        || operator.chars().count() > 60
        || operator.chars().any(char::is_control)
    {
        bail!("--operator: give a name of at most 60 characters");
    }
    // What would be written must also be readable: a wrong name is told now and not at the first start.
    Config::parse(&config.to_text())?;
    dir.create()?;
    if !dir.config().exists() {
        dir::write_private(&dir.config(), config.to_text().as_bytes())?;
    }
    Vault::create(&dir.vault())?;
    if !dir.serve_key().exists() {
        dir::write_private(&dir.serve_key(), &crypto::random::<32>())?;
    }
    Authority::create(dir, clock)?;
    let authority = Authority::open(dir, clock)?;
    let folder = dir.operator();
    if !folder.join("cert.pem").exists() {
        let person = authority.person(operator, Role::Operator)?;
        let chain: String = person
            .chain
            .iter()
            .map(|der| pem("CERTIFICATE", der))
            .collect();
        dir::write_private(
            &folder.join("key.pem"),
            pem("PRIVATE KEY", &person.key).as_bytes(),
        )?;
        dir::write_private(
            &folder.join("ca.pem"),
            pem("CERTIFICATE", authority.ca()).as_bytes(),
        )?;
        dir::write_private(&folder.join("cert.pem"), chain.as_bytes())?;
    }
    let root = dir.root().display();
    let mut out = std::io::stderr();
    writeln!(
        out,
        "centre in {root}\nCA fingerprint (SHA-256) {}\nnext: vitaltwin-aggregator --dir {root} run",
        fingerprint(&authority.fingerprint())
    )
    .context("standard error")
}
