//! Who this gateway is: its key, its certificate, the centre's CA and command key, and what it obeyed.
//!
//! In `identity/` of the agent's folder:
//!
//! | file | holds |
//! |---|---|
//! | `key.pem` | the gateway's P-256 key, PKCS#8, mode 0600; made here, never leaves |
//! | `enrolment.pb` | the centre's `EnrolResponse`: gateway id, certificate chain, CA, command key, addresses |
//! | `settings.pb` | what the centre has set, what is on trial of it, and what became of the last |
//! | `commands.pb` | the highest command obeyed, and the signed assignment list in force |
//!
//! Invariants: files change by rename, so a crash leaves the old or the new one; what `commands.pb` holds is
//! the centre's signed word and is verified anew by [`crate::command`] each time it is loaded.
//! Must not know: sealing, transports.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prost::Message as _;
use proto::seal::SigningKey;
use proto::v1::{EnrolResponse, SignedCommand};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use vitals::GatewayId;
use zeroize::Zeroizing;

use crate::remote::Remote;

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Never enrolled.
    #[error(
        "this gateway is not enrolled: run `vitaltwin-agent enrol TOKEN` with a token from the centre"
    )]
    NotEnrolled,
    /// A file cannot be read or written.
    #[error("{path} cannot be read or written")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path} is damaged: enrol this gateway again with a fresh token and --replace")]
    Damaged {
        /// Which.
        path: PathBuf,
    },
}

/// Everything that `run` needs to be this gateway.
#[derive(Debug)]
pub struct Identity {
    /// Its id.
    pub gateway: GatewayId,
    /// Signs context headers.
    pub key: Arc<SigningKey>,
    /// The same key for TLS, PKCS#8.
    pub key_pkcs8: Zeroizing<Vec<u8>>,
    /// DER, leaf first.
    pub chain: Vec<Vec<u8>>,
    /// The centre's CA, DER.
    pub ca: Vec<u8>,
    /// Verifies commands.
    pub command_key: [u8; 65],
    /// "host:port".
    pub grpc_address: String,
    /// "host:port".
    pub mqtt_address: String,
}

/// What was obeyed so far.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Obeyed {
    /// The highest number.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// The command whose assignment list is in force.
    #[prost(message, optional, tag = "2")]
    pub assignments: Option<SignedCommand>,
    /// The command whose rules are gone by while the centre is silent.
    #[prost(message, optional, tag = "3")]
    pub rules: Option<SignedCommand>,
}

/// A new key and the request for its certificate.
#[derive(Debug)]
pub struct Request {
    key: KeyPair,
    /// PKCS#10, DER. The centre ignores its names.
    pub csr: Vec<u8>,
}

impl Request {
    /// For a fresh key.
    ///
    /// # Errors
    /// None in practice; the generator's.
    pub fn fresh() -> Result<Self, rcgen::Error> {
        Self::of(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?)
    }

    /// For the key of an identity, to renew its certificate.
    ///
    /// # Errors
    /// None in practice; the generator's.
    pub fn renewal(identity: &Identity) -> Result<Self, rcgen::Error> {
        let der = PrivatePkcs8KeyDer::from(identity.key_pkcs8.as_slice());
        Self::of(KeyPair::try_from(&der)?)
    }

    fn of(key: KeyPair) -> Result<Self, rcgen::Error> {
        let csr = CertificateParams::default().serialize_request(&key)?;
        Ok(Self {
            csr: csr.der().to_vec(),
            key,
        })
    }

    /// The uncompressed public point.
    #[must_use]
    pub fn public_point(&self) -> &[u8] {
        self.key.public_key_raw()
    }
}

/// What the centre has set.
const SETTINGS: &str = "settings.pb";

/// The folder `identity/`.
#[derive(Clone, Debug)]
pub struct IdentityDir(PathBuf);

impl IdentityDir {
    /// Inside the agent's folder.
    #[must_use]
    pub fn of(dir: &Path) -> Self {
        Self(dir.join("identity"))
    }

    /// True if there is an identity.
    #[must_use]
    pub fn is_enrolled(&self) -> bool {
        self.enrolment().exists()
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn load(&self) -> Result<Identity, IdentityError> {
        let path = self.enrolment();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(IdentityError::NotEnrolled);
            }
            Err(source) => return Err(IdentityError::Io { path, source }),
        };
        let damaged = || IdentityError::Damaged { path: path.clone() };
        let told = EnrolResponse::decode(bytes.as_slice()).map_err(|_| damaged())?;
        let key_path = self.0.join("key.pem");
        let key_damaged = || IdentityError::Damaged {
            path: key_path.clone(),
        };
        let pem = fs::read(&key_path).map(Zeroizing::new);
        let pem = pem.map_err(|source| IdentityError::Io {
            path: key_path.clone(),
            source,
        })?;
        let der = PrivatePkcs8KeyDer::from_pem_slice(&pem).map_err(|_| key_damaged())?;
        let key_pkcs8 = Zeroizing::new(der.secret_pkcs8_der().to_vec());
        let key = SigningKey::from_pkcs8(&key_pkcs8).map_err(|_| key_damaged())?;
        Ok(Identity {
            gateway: GatewayId::parse(&told.gateway).ok_or_else(damaged)?,
            key: Arc::new(key),
            key_pkcs8,
            chain: told.certificate_chain,
            ca: told.ca,
            command_key: told.command_key.try_into().map_err(|_| damaged())?,
            grpc_address: told.grpc_address,
            mqtt_address: told.mqtt_address,
        })
    }

    /// Keeps a first enrolment: the key, then what the centre told. What another enrolment obeyed is void.
    ///
    /// # Errors
    /// [`IdentityError::Io`].
    pub fn store_new(&self, request: &Request, told: &EnrolResponse) -> Result<(), IdentityError> {
        own_dir(&self.0).map_err(|source| self.io("", source))?;
        let pem = Zeroizing::new(request.key.serialize_pem());
        self.write("key.pem", pem.as_bytes())?;
        for former in ["commands.pb", SETTINGS] {
            match fs::remove_file(self.0.join(former)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(self.io(former, error));
                }
                _ => {}
            }
        }
        self.store_renewed(told)
    }

    /// Keeps a renewed certificate.
    ///
    /// # Errors
    /// [`IdentityError::Io`].
    pub fn store_renewed(&self, told: &EnrolResponse) -> Result<(), IdentityError> {
        self.write("enrolment.pb", &told.encode_to_vec())
    }

    /// What was obeyed so far; nothing if the file is missing or damaged: the centre then tells again, and
    /// until it does no device is read, which must not go unsaid.
    #[must_use]
    pub fn obeyed(&self) -> Obeyed {
        let obeyed = match fs::read(self.commands()) {
            Ok(bytes) => Obeyed::decode(bytes.as_slice()).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Obeyed::default(),
            Err(error) => Err(error),
        };
        obeyed.unwrap_or_else(|error| {
            let error = crate::status::describe(&error);
            tracing::error!(
                error,
                "commands.pb is damaged: no device is read until the centre was reached"
            );
            Obeyed::default()
        })
    }

    /// Makes what was obeyed durable.
    ///
    /// # Errors
    /// [`IdentityError::Io`].
    pub fn store_obeyed(&self, obeyed: &Obeyed) -> Result<(), IdentityError> {
        self.write("commands.pb", &obeyed.encode_to_vec())
    }

    /// The centre's settings; none if the file is missing or damaged.
    #[must_use]
    pub fn remote(&self) -> Remote {
        let bytes = fs::read(self.0.join(SETTINGS)).ok();
        let remote = bytes.and_then(|bytes| Remote::decode(bytes.as_slice()).ok());
        remote.unwrap_or_default()
    }

    /// Makes the centre's settings durable.
    ///
    /// # Errors
    /// [`IdentityError::Io`].
    pub fn store_remote(&self, remote: &Remote) -> Result<(), IdentityError> {
        self.write(SETTINGS, &remote.encode_to_vec())
    }

    fn enrolment(&self) -> PathBuf {
        self.0.join("enrolment.pb")
    }

    fn commands(&self) -> PathBuf {
        self.0.join("commands.pb")
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), IdentityError> {
        write_atomically(&self.0, name, bytes).map_err(|source| self.io(name, source))
    }

    fn io(&self, name: &str, source: io::Error) -> IdentityError {
        let path = self.0.join(name);
        IdentityError::Io { path, source }
    }
}

/// Makes a folder, and those above it, for this user alone; one that is there stays as it is.
///
/// # Errors
/// The disk's.
pub fn private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// As [`private_dir`], for a folder that is the agent's own: one that is there is closed to others.
///
/// # Errors
/// The disk's, or the folder is not this user's.
pub fn own_dir(path: &Path) -> io::Result<()> {
    private_dir(path)?;
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    tracing::warn!(path = %path.display(), "others could look into this folder: it is closed to them");
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

/// Replaces a file whole, mode 0600, durable when it returns.
///
/// # Errors
/// The disk's.
pub fn write_atomically(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = dir.join(format!(".{name}.new"));
    // One that a crash left, or that somebody laid there, keeps its mode or leads elsewhere: always a new one.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, dir.join(name))?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enrolled() -> (tempfile::TempDir, IdentityDir, EnrolResponse) {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = IdentityDir::of(folder.path());
        let told = EnrolResponse {
            gateway: "g-1".into(),
            certificate_chain: vec![vec![1], vec![2]],
            ca: vec![3],
            command_key: vec![4; 65],
            grpc_address: "localhost:1".into(),
            mqtt_address: "localhost:2".into(),
        };
        let request = Request::fresh().expect("a request");
        dir.store_new(&request, &told).expect("stored");
        (folder, dir, told)
    }

    #[test]
    fn an_identity_round_trips_and_its_key_is_private() {
        let (folder, dir, _) = enrolled();
        let identity = dir.load().expect("there");
        assert_eq!(identity.gateway.as_str(), "g-1");
        assert_eq!(identity.chain, [vec![1], vec![2]]);
        let again = Request::renewal(&identity).expect("a request");
        assert_eq!(again.public_point(), identity.key.public_point());
        for (path, mode) in [("identity/key.pem", 0o600), ("identity", 0o700)] {
            let found = fs::metadata(folder.path().join(path)).expect("there");
            assert_eq!(found.permissions().mode() & 0o777, mode, "{path}");
        }
    }

    #[test]
    fn what_lay_there_before_does_not_weaken_a_private_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let mode = |name: &str| {
            let found = fs::symlink_metadata(path(name)).expect("there");
            assert!(!found.is_symlink(), "{name}");
            found.permissions().mode() & 0o777
        };
        fs::write(path(".key.new"), "left by a crash").expect("written");
        fs::set_permissions(path(".key.new"), fs::Permissions::from_mode(0o644)).expect("ours");
        write_atomically(folder.path(), "key", b"secret").expect("written");
        assert_eq!(mode("key"), 0o600);
        fs::write(path("elsewhere"), "untouched").expect("written");
        std::os::unix::fs::symlink(path("elsewhere"), path(".key.new")).expect("linked");
        write_atomically(folder.path(), "key", b"secret").expect("written");
        assert_eq!(mode("key"), 0o600);
        assert_eq!(fs::read(path("elsewhere")).expect("there"), b"untouched");
        fs::create_dir(path("open")).expect("made");
        fs::set_permissions(path("open"), fs::Permissions::from_mode(0o755)).expect("ours");
        own_dir(&path("open")).expect("closed");
        assert_eq!(mode("open"), 0o700);
    }

    #[test]
    fn a_missing_or_damaged_identity_says_what_to_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = IdentityDir::of(folder.path()).load().expect_err("none");
        assert!(error.to_string().contains("enrol TOKEN"));
        let (folder, dir, _) = enrolled();
        fs::write(folder.path().join("identity/key.pem"), "rubbish").expect("written");
        let error = dir.load().expect_err("damaged");
        assert!(error.to_string().contains("key.pem"));
    }

    #[test]
    fn what_was_obeyed_is_kept_until_a_new_enrolment() {
        let (_folder, dir, told) = enrolled();
        assert_eq!(dir.obeyed(), Obeyed::default());
        let obeyed = Obeyed {
            number: 4,
            assignments: Some(SignedCommand::default()),
            rules: None,
        };
        dir.store_obeyed(&obeyed).expect("stored");
        assert_eq!(dir.obeyed(), obeyed);
        dir.store_renewed(&told).expect("stored");
        assert_eq!(dir.obeyed(), obeyed);
        let request = Request::fresh().expect("a request");
        dir.store_new(&request, &told).expect("stored");
        assert_eq!(dir.obeyed(), Obeyed::default());
    }
}
