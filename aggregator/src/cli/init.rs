//! `init`: everything that a centre needs before its first start, and what it lacks later.
//!
//! Invariants: keys that exist are kept; only `config.toml` that does not exist is written, and options that would
//! change one that does are named as ignored. The operator's certificate alone is renewed: when it is missing, of no
//! use, or near its end. Must not know: journal.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, Result};
use proto::cert::{Identity, Role, issued_by, p256_point, peer_identity};
use proto::clock::Clock;
use proto::seal::{SigningKey, crypto};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use vitals::Span;

use super::{certificate, show, word};
use crate::admin::fingerprint;
use crate::ca::Authority;
use crate::config::Config;
use crate::dir::{self, CentreDir};
use crate::vault::Vault;

/// An operator's certificate is made anew in its last 30 days.
const RENEW: Span = Span::from_mins(30 * 24 * 60);

/// What was asked for; nothing: the default, or what is there.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) names: Vec<String>,
    pub(super) listen: Option<SocketAddr>,
    pub(super) mqtt_listen: Option<SocketAddr>,
    pub(super) operator: Option<String>,
}

impl Wanted {
    fn config(&self) -> Config {
        let default = Config::default();
        Config {
            names: self.names.clone(),
            listen: self.listen.unwrap_or(default.listen),
            mqtt_listen: self.mqtt_listen.unwrap_or(default.mqtt_listen),
            ..default
        }
    }

    /// Options that say something else than the settings that are kept.
    fn ignored(&self, kept: &Config) -> Vec<&'static str> {
        let differ = [
            ("--name", !self.names.is_empty() && self.names != kept.names),
            ("--listen", self.listen.is_some_and(|of| of != kept.listen)),
            (
                "--mqtt-listen",
                self.mqtt_listen.is_some_and(|of| of != kept.mqtt_listen),
            ),
        ];
        let differ = differ.into_iter().filter(|(_, differs)| *differs);
        differ.map(|(option, _)| option).collect()
    }
}

/// Makes what is missing, and tells on standard error what was made, kept and ignored.
pub(super) fn init(dir: &CentreDir, wanted: &Wanted, clock: Clock) -> Result<()> {
    let told = make(dir, wanted, clock)?;
    std::io::stderr()
        .write_all(told.as_bytes())
        .context("standard error")
}

fn make(dir: &CentreDir, wanted: &Wanted, clock: Clock) -> Result<String> {
    let operator = wanted.operator.as_deref();
    let operator = operator.map(|name| certificate::name_of("--operator", name));
    let operator = operator.transpose()?;
    let config = wanted.config();
    // What would be written must also be readable: a wrong name is told now and not at the first start.
    Config::parse(&config.to_text())?;
    let mut notes = Vec::new();
    dir.create()?;
    if dir.config().exists() {
        let ignored = wanted.ignored(&super::settings(dir)?);
        let mut note = format!("{} is kept as it is", dir.config().display());
        if !ignored.is_empty() {
            let ignored = ignored.join(", ");
            note += &format!("; IGNORED, since it says otherwise: {ignored} (edit the file)");
        }
        notes.push(note);
    } else {
        dir::write_private(&dir.config(), config.to_text().as_bytes())?;
    }
    Vault::create(&dir.vault())?;
    if !dir.serve_key().exists() {
        dir::write_private(&dir.serve_key(), &crypto::random::<32>())?;
    }
    Authority::create(dir, clock)?;
    let authority = Authority::open(dir, clock)?;
    notes.push(first_operator(dir, operator, &authority, clock)?);
    let (root, fingerprint) = (dir.root().display(), fingerprint(&authority.fingerprint()));
    let (notes, name) = (notes.join("\n"), super::called());
    Ok(format!(
        "centre in {root}\n{notes}\nCA fingerprint (SHA-256) {fingerprint}\nnext: {name} --dir {root} run\n"
    ))
}

/// Keeps the operator's certificate, or makes one; says which, and why.
fn first_operator(
    dir: &CentreDir,
    wanted: Option<&str>,
    authority: &Authority,
    clock: Clock,
) -> Result<String> {
    let folder = dir.operator();
    let reason = match usable(&folder, authority.ca()) {
        Ok(of) if of.not_after.since(clock.now()) > RENEW => {
            let until = show::time(of.not_after.as_micros());
            let mut note = format!(
                "operator {} is kept; the certificate holds until {until}",
                word(&of.name)
            );
            if wanted.is_some_and(|wanted| wanted != of.name) {
                let file = folder.join("cert.pem");
                note += &format!(
                    "; IGNORED: --operator (to make another, remove {} first)",
                    file.display()
                );
            }
            return Ok(note);
        }
        Ok(of) => format!("the former ends {}", show::time(of.not_after.as_micros())),
        // Names the file; its causes repeat it.
        Err(reason) => reason.to_string(),
    };
    let former = certificate::operator_of(dir);
    let fresh = !folder.join("cert.pem").exists() && !folder.join("key.pem").exists();
    let name = wanted.map(str::to_owned).or(former);
    let name = name.unwrap_or_else(|| "operator".into());
    let issued = authority.person(&name, Role::Operator)?;
    certificate::write(&folder, &issued, authority.ca())?;
    let made = format!(
        "operator {}: new certificate in {}",
        word(&name),
        folder.display()
    );
    Ok(if fresh {
        made
    } else {
        format!("{made} ({reason})")
    })
}

/// Whose certificate lies in `folder`, if it works with its key and this CA.
fn usable(folder: &Path, ca: &[u8]) -> Result<Identity> {
    let path = |file: &str| folder.join(file);
    let of = |file| move || path(file).display().to_string();
    let leaf = CertificateDer::from_pem_slice(&dir::read(&path("cert.pem"))?);
    let leaf = leaf.with_context(of("cert.pem"))?;
    let key = PrivateKeyDer::from_pem_slice(&dir::read_secret(&path("key.pem"))?);
    let key = key.with_context(of("key.pem"))?;
    let key = SigningKey::from_pkcs8(key.secret_der()).with_context(of("key.pem"))?;
    let root = CertificateDer::from_pem_slice(&dir::read(&path("ca.pem"))?);
    anyhow::ensure!(
        root.with_context(of("ca.pem"))?.as_ref() == ca,
        "{} is not of this centre",
        path("ca.pem").display()
    );
    issued_by(&leaf, ca).with_context(of("cert.pem"))?;
    let fits = p256_point(&leaf).with_context(of("cert.pem"))? == key.public_point();
    anyhow::ensure!(fits, "{} is of another key", path("cert.pem").display());
    peer_identity(&leaf).with_context(of("cert.pem"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn later(days: i64) -> Clock {
        let now = Clock::system().now();
        let then = now + Span::from_mins(days * 24 * 60);
        Clock::test(now, then, 1.0).expect("a fine rate")
    }

    fn centre() -> (tempfile::TempDir, CentreDir) {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let dir = CentreDir::new(temp.path().join("c"));
        let wanted = Wanted {
            operator: Some("olga".into()),
            ..Wanted::default()
        };
        make(&dir, &wanted, Clock::system()).expect("made");
        (temp, dir)
    }

    fn cert(dir: &CentreDir) -> Vec<u8> {
        dir::read(&dir.operator().join("cert.pem")).expect("there")
    }

    #[test]
    fn a_second_init_keeps_everything_and_says_what_it_ignored() {
        let (_temp, dir) = centre();
        let (config, before) = (dir::read(&dir.config()).expect("there"), cert(&dir));
        let quiet = make(&dir, &Wanted::default(), Clock::system()).expect("repeated");
        assert!(!quiet.contains("IGNORED"), "control: {quiet}");
        let wanted = Wanted {
            names: vec!["centre.example".into()],
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 1))),
            mqtt_listen: Some(Config::default().mqtt_listen),
            operator: Some("otto".into()),
        };
        let told = make(&dir, &wanted, Clock::system()).expect("repeated");
        for named in ["config.toml is kept", "--name, --listen (", "--operator ("] {
            assert!(told.contains(named), "{named}: {told}");
        }
        assert!(!told.contains("--mqtt-listen"), "it says the same: {told}");
        assert_eq!(dir::read(&dir.config()).expect("there"), config);
        assert_eq!(cert(&dir), before);
    }

    #[test]
    fn an_operators_certificate_is_renewed_when_it_is_of_no_use() {
        let (_temp, dir) = centre();
        let first = cert(&dir);
        let again = |clock| make(&dir, &Wanted::default(), clock).expect("repeated");
        again(later(334));
        assert_eq!(cert(&dir), first, "control: 31 days are left");
        again(later(336));
        let second = cert(&dir);
        assert_ne!(second, first, "29 days are left");
        assert_eq!(certificate::operator_of(&dir).as_deref(), Some("olga"));
        for file in ["key.pem", "ca.pem", "cert.pem"] {
            let path = dir.operator().join(file);
            dir::write_private(&path, b"damaged").expect("written");
            let told = again(Clock::system());
            assert!(told.contains("new certificate"), "{told}");
            assert!(told.contains(file), "{told}");
            usable(
                &dir.operator(),
                &dir::read(&dir.ca().join("ca.der")).expect("a CA"),
            )
            .expect("it works again");
        }
        std::fs::remove_file(dir.operator().join("cert.pem")).expect("there");
        again(Clock::system());
        assert!(dir.operator().join("cert.pem").exists());
    }
}
