//! Certificates of people and platforms as files: `cert.pem`, `key.pem`, `ca.pem` in one folder.
//!
//! Needs the CA's files and not the running centre. Invariants: the key is written before the certificate, so a
//! certificate that is there has its key; a platform's files are never overwritten. Must not know: the journal.

use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use proto::cert::{Role, peer_identity};
use proto::clock::Clock;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::office::Office;
use super::{print, show, word};
use crate::ca::{Authority, Credentials, pem};
use crate::dir::{self, CentreDir};

/// A name that fits into a certificate's subject (at most 64 characters).
pub(super) fn name_of<'a>(field: &str, name: &'a str) -> Result<&'a str> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 60 || name.chars().any(char::is_control) {
        bail!("{field}: give a name of at most 60 characters");
    }
    Ok(name)
}

/// Refuses every certificate of this name for good.
pub(super) async fn revoke(role: Role, name: &str, dir: CentreDir, clock: Clock) -> Result<()> {
    let name = name_of("NAME", name)?;
    let own = role == Role::Operator && operator_of(&dir).as_deref() == Some(name);
    let mut office = Office::open(dir, clock).await?;
    let revoked = office.revoke_certificate(role, name).await;
    office.close().await;
    revoked?;
    if own {
        let hint = "this was the operator of this directory: remove operator/cert.pem and run `init --operator` with another name";
        writeln!(std::io::stderr(), "{hint}").context("standard error")?;
    }
    print(&show::refused(role, name))
}

/// Writes the three files into `folder`, which exists.
pub(super) fn write(folder: &Path, of: &Credentials, ca: &[u8]) -> Result<()> {
    let chain: String = of.chain.iter().map(|der| pem("CERTIFICATE", der)).collect();
    dir::write_private(
        &folder.join("key.pem"),
        pem("PRIVATE KEY", &of.key).as_bytes(),
    )?;
    dir::write_private(&folder.join("ca.pem"), pem("CERTIFICATE", ca).as_bytes())?;
    dir::write_private(&folder.join("cert.pem"), chain.as_bytes())?;
    Ok(())
}

/// The operator whose certificate lies in the centre's directory, if one does.
pub(super) fn operator_of(dir: &CentreDir) -> Option<String> {
    let leaf = CertificateDer::from_pem_file(dir.operator().join("cert.pem")).ok()?;
    peer_identity(&leaf).ok().map(|identity| identity.name)
}

/// A new platform's certificate, for a year.
pub(super) fn add_platform(dir: &CentreDir, name: &str, out: &Path, clock: Clock) -> Result<()> {
    let name = name_of("NAME", name)?;
    super::settings(dir)?;
    for file in ["cert.pem", "key.pem", "ca.pem"].map(|file| out.join(file)) {
        if file.exists() {
            bail!(
                "{} is there already and is not overwritten: give an empty folder as --out",
                file.display()
            );
        }
    }
    let authority = Authority::open(dir, clock)?;
    let issued = authority.person(name, Role::Platform)?;
    let mut folder = std::fs::DirBuilder::new();
    let made = folder.recursive(true).mode(0o700).create(out);
    made.with_context(|| out.display().to_string())?;
    write(out, &issued, authority.ca())?;
    let leaf = issued.chain.first().map(Vec::as_slice).unwrap_or_default();
    let identity = peer_identity(leaf).context("the certificate that was just made")?;
    writeln!(
        std::io::stderr(),
        "certificate of platform {} (serial {}) holds until {}: cert.pem, key.pem, ca.pem in {}\n\
         give them to the platform, keep no copy of key.pem; to take it back: platform revoke {}",
        word(name),
        identity.serial,
        show::time(identity.not_after.as_micros()),
        out.display(),
        word(name),
    )
    .context("standard error")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use vitals::Span;

    use super::*;
    use crate::config::Config;

    #[test]
    fn a_platform_gets_a_certificate_of_its_own_for_a_year() {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let (dir, out) = (CentreDir::new(temp.path().join("c")), temp.path().join("p"));
        let clock = Clock::system();
        assert!(
            add_platform(&dir, "tele", &out, clock).is_err(),
            "no centre yet"
        );
        dir.create().expect("folders");
        let text = Config::default().to_text();
        dir::write_private(&dir.config(), text.as_bytes()).expect("written");
        Authority::create(&dir, clock).expect("a CA");
        for bad in ["", " ", "a\nb", &"x".repeat(61)] {
            assert!(add_platform(&dir, bad, &out, clock).is_err(), "{bad:?}");
        }
        add_platform(&dir, "tele", &out, clock).expect("issued");
        let chain: Vec<_> = CertificateDer::pem_file_iter(out.join("cert.pem"))
            .expect("there")
            .collect::<Result<_, _>>()
            .expect("PEM");
        let ca = CertificateDer::from_pem_file(out.join("ca.pem")).expect("PEM");
        assert!(proto::cert::issued_by(&chain[0], &ca).is_ok());
        let identity = peer_identity(&chain[0]).expect("one of ours");
        assert_eq!((identity.role, &*identity.name), (Role::Platform, "tele"));
        let left = identity.not_after.since(clock.now());
        let days = |days: i64| Span::from_mins(days * 24 * 60);
        assert!(left > days(364) && left <= days(365));
        let key = std::fs::metadata(out.join("key.pem")).expect("there");
        assert_eq!(key.permissions().mode() & 0o777, 0o600);
        let again = add_platform(&dir, "tele", &out, clock).expect_err("kept");
        assert!(again.to_string().contains("cert.pem"), "{again}");
    }
}
