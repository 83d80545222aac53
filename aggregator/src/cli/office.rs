//! Where a command is done: at the running centre, or directly at the store when none runs.
//!
//! Invariants: exactly one of both, decided by the store's lock; a centre that is starting is waited for. Must not
//! know: what is printed.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use http::Uri;
use hyper_util::rt::TokioIo;
use proto::cert::Role;
use proto::clock::Clock;
use proto::text::host_port;
use proto::v1::fleet_service_client::FleetServiceClient;
use proto::v1::history_service_client::HistoryServiceClient;
use proto::v1::operator_service_client::OperatorServiceClient;
use proto::v1::twin_service_client::TwinServiceClient;
use proto::v1::{
    AddPatientRequest, AssignRequest, CentreStatus, Collection, ConfigureGatewayRequest,
    CoverageRequest, CoverageResponse, CreateSignInRequest, CreateTokenRequest, Fleet,
    ImportRecordsRequest, ImportRecordsResponse, ListPatientsRequest, ListTwinsRequest,
    ListVoidsRequest, NoteAccessRequest, Patient, PatientAssignment, PatientVoid, ReadFleetRequest,
    RevokeCertificateRequest, RevokeGatewayRequest, RotateKeyRequest, RotateKeyResponse,
    Scoreboard, ScoreboardRequest, SetCollectionRequest, StatusRequest, SumScoreboardRequest, Twin,
    VoidReadingsRequest, VoidReadingsResponse,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::Status;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use vitals::Time;

use super::people::AT_THE_STORE;
use crate::admin::{Admin, Misattributed};
use crate::app::{Closing, Core, Ready};
use crate::dir::{self, CentreDir};
use crate::lock::{LockError, StoreLock};
use crate::serve::error::KEPT_SINCE;

/// A centre that is replaying its journal is waited for this long.
const STARTING: Duration = Duration::from_secs(30);
/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// Bytes of an answer with thousands of gateways.
const LONGEST_FLEET: usize = 64 << 20;
/// A call to the centre takes at most this long.
const CALL: Duration = Duration::from_secs(20);

/// One command's way to the centre.
pub(super) enum Office {
    Running(OperatorServiceClient<Channel>, Channel),
    Direct(Box<Admin>, Closing),
}

impl Office {
    pub(super) async fn open(dir: CentreDir, clock: Clock) -> Result<Self> {
        Self::open_for(dir, clock, CALL).await
    }

    /// For a command whose calls take up to `within`.
    pub(super) async fn open_for(dir: CentreDir, clock: Clock, within: Duration) -> Result<Self> {
        let config = super::settings(&dir)?;
        let deadline = tokio::time::Instant::now() + STARTING;
        loop {
            let why = match StoreLock::take(&dir.lock()) {
                Ok(lock) => {
                    // Left behind by a centre that was killed.
                    let _ = std::fs::remove_file(dir.ready());
                    let (admin, closing) = Core::open(lock, dir, config, clock)?.desk().await?;
                    return Ok(Self::Direct(Box::new(admin), closing));
                }
                Err(LockError::Held) => {
                    match call_as(&dir, &dir.operator(), clock, within).await? {
                        Ok(channel) => {
                            let client = OperatorServiceClient::new(channel.clone());
                            return Ok(Self::Running(client, channel));
                        }
                        Err(why) => why,
                    }
                }
                Err(error @ LockError::Io { .. }) => return Err(error.into()),
            };
            if tokio::time::Instant::now() >= deadline {
                let root = dir.root().display();
                bail!("the centre works on {root} but does not answer ({why:#}): look at its log");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(super) async fn close(self) {
        match self {
            Self::Running(..) => {}
            Self::Direct(admin, closing) => {
                drop(admin);
                closing.close().await;
            }
        }
    }

    pub(super) async fn add_patient(&mut self, name: &str, test_data: bool) -> Result<Patient> {
        match self {
            Self::Direct(admin, _) => Ok(admin.add_patient(name, test_data).await?),
            Self::Running(client, _) => {
                let request = AddPatientRequest {
                    display_name: name.into(),
                    test_data,
                };
                client
                    .add_patient(request)
                    .await
                    .map(tonic::Response::into_inner)
                    .map_err(said)
            }
        }
    }

    pub(super) async fn patients(&mut self) -> Result<Vec<Patient>> {
        match self {
            Self::Direct(admin, _) => Ok(admin.patients()),
            Self::Running(client, _) => {
                let listed = client
                    .list_patients(ListPatientsRequest {})
                    .await
                    .map_err(said)?;
                Ok(listed.into_inner().patients)
            }
        }
    }

    pub(super) async fn assign(
        &mut self,
        patient: &str,
        gateway: &str,
        devices: &[String],
    ) -> Result<PatientAssignment> {
        match self {
            Self::Direct(admin, _) => Ok(admin
                .assign(patient, gateway, devices, AT_THE_STORE)
                .await?),
            Self::Running(client, _) => {
                let request = AssignRequest {
                    patient: patient.into(),
                    gateway: gateway.into(),
                    devices: devices.to_vec(),
                };
                let assigned = client.assign(request).await.map_err(said)?.into_inner();
                assigned
                    .assignment
                    .context("the centre's answer lacks the assignment: it is another version")
            }
        }
    }

    pub(super) async fn token(&mut self, label: &str, valid_s: u32) -> Result<(String, String)> {
        match self {
            Self::Direct(admin, _) => {
                let made = admin.create_token(label, valid_s, AT_THE_STORE).await;
                let (token, gateway, _) = made?;
                Ok((token, gateway.as_str().to_owned()))
            }
            Self::Running(client, _) => {
                let request = CreateTokenRequest {
                    label: label.into(),
                    valid_s,
                };
                let made = client
                    .create_token(request)
                    .await
                    .map_err(said)?
                    .into_inner();
                Ok((made.token, made.gateway))
            }
        }
    }

    pub(super) async fn revoke(&mut self, gateway: &str) -> Result<u32> {
        match self {
            Self::Direct(admin, _) => Ok(admin.revoke(gateway, AT_THE_STORE).await?),
            Self::Running(client, _) => {
                let request = RevokeGatewayRequest {
                    gateway: gateway.into(),
                };
                Ok(client
                    .revoke_gateway(request)
                    .await
                    .map_err(said)?
                    .into_inner()
                    .connections_cut)
            }
        }
    }

    pub(super) async fn configure(&mut self, gateway: &str, settings: &str) -> Result<u64> {
        match self {
            Self::Direct(admin, _) => Ok(admin.configure(gateway, settings, AT_THE_STORE).await?),
            Self::Running(client, _) => {
                let request = ConfigureGatewayRequest {
                    gateway: gateway.into(),
                    settings: settings.into(),
                };
                let sent = client.configure_gateway(request).await.map_err(said)?;
                Ok(sent.into_inner().number)
            }
        }
    }

    pub(super) async fn set_collection(
        &mut self,
        patient: &str,
        collection: Collection,
        erase_unsent: bool,
    ) -> Result<()> {
        match self {
            Self::Direct(admin, _) => {
                let by = AT_THE_STORE;
                let set = admin.set_collection(patient, collection, erase_unsent, by);
                Ok(set.await.map(drop)?)
            }
            Self::Running(client, _) => {
                let request = SetCollectionRequest {
                    patient: patient.into(),
                    collection: collection.into(),
                    erase_unsent,
                };
                client.set_collection(request).await.map(drop).map_err(said)
            }
        }
    }

    pub(super) async fn rotate_key(&mut self, patient: &str) -> Result<RotateKeyResponse> {
        match self {
            Self::Direct(admin, _) => Ok(admin.rotate_key(patient).await?),
            Self::Running(client, _) => {
                let request = RotateKeyRequest {
                    patient: patient.into(),
                };
                let rotated = client.rotate_key(request).await.map_err(said)?;
                Ok(rotated.into_inner())
            }
        }
    }

    pub(super) async fn void(
        &mut self,
        request: VoidReadingsRequest,
    ) -> Result<VoidReadingsResponse> {
        match self {
            Self::Direct(admin, _) => {
                let what = Misattributed {
                    patient: &request.patient,
                    device: &request.device,
                    from: Time::from_micros(request.from_us),
                    to: Time::from_micros(request.to_us),
                    to_patient: &request.to_patient,
                    reason: &request.reason,
                };
                // Whoever may write to the store is not asked who they are.
                let voided = admin.void(what, AT_THE_STORE).await?;
                // The log is not read again once this is closed.
                admin.settled(&request.patient).await?;
                Ok(voided)
            }
            Self::Running(client, _) => {
                let voided = client.void_readings(request).await.map_err(said)?;
                Ok(voided.into_inner())
            }
        }
    }

    pub(super) async fn voids(&mut self, patient: &str) -> Result<Vec<PatientVoid>> {
        match self {
            Self::Direct(admin, _) => Ok(admin.voids(patient)?),
            Self::Running(client, _) => {
                let patient = patient.to_owned();
                let listed = client.list_voids(ListVoidsRequest { patient }).await;
                Ok(listed.map_err(said)?.into_inner().voids)
            }
        }
    }

    pub(super) async fn revoke_certificate(&mut self, role: Role, name: &str) -> Result<()> {
        match self {
            Self::Direct(admin, _) => Ok(admin.revoke_certificate(role, name).await?),
            Self::Running(client, _) => {
                let request = RevokeCertificateRequest {
                    role: role.as_str().into(),
                    name: name.into(),
                };
                let revoked = client.revoke_certificate(request).await;
                revoked.map(drop).map_err(said)
            }
        }
    }

    pub(super) async fn import_records(
        &mut self,
        request: ImportRecordsRequest,
    ) -> Result<ImportRecordsResponse> {
        match self {
            Self::Direct(..) => bail!("the centre is not running: start it first"),
            Self::Running(client, _) => {
                let imported = client.import_records(request).await.map_err(said)?;
                Ok(imported.into_inner())
            }
        }
    }

    /// Of a person, or of the patient of this id where it is not empty.
    pub(super) async fn sign_in(
        &mut self,
        person: &str,
        patient: &str,
    ) -> Result<(String, String)> {
        match self {
            Self::Direct(admin, _) => Ok(admin.sign_in(person, patient)?),
            Self::Running(client, _) => {
                let request = CreateSignInRequest {
                    person: person.into(),
                    patient: patient.into(),
                };
                let made = client
                    .create_sign_in(request)
                    .await
                    .map_err(said)?
                    .into_inner();
                Ok((made.link, made.ca_fingerprint))
            }
        }
    }

    /// All gateways with their devices, or (not empty) one.
    pub(super) async fn fleet(&mut self, gateway: &str) -> Result<Fleet> {
        match self {
            Self::Direct(admin, _) => Ok(admin.fleet(gateway)?),
            Self::Running(_, channel) => {
                let mut client = FleetServiceClient::new(channel.clone())
                    .max_decoding_message_size(LONGEST_FLEET);
                let gateway = gateway.to_owned();
                let read = client.read(ReadFleetRequest { gateway }).await;
                Ok(read.map_err(said)?.into_inner())
            }
        }
    }

    pub(super) async fn status(&mut self) -> Result<CentreStatus> {
        match self {
            Self::Direct(admin, _) => Ok(admin.status()),
            Self::Running(client, _) => Ok(client
                .status(StatusRequest {})
                .await
                .map_err(said)?
                .into_inner()),
        }
    }
}

/// What the centre said, without gRPC's wrapping.
pub(super) fn said(status: Status) -> anyhow::Error {
    if status.message().is_empty() {
        return anyhow::anyhow!("the centre answered {:?}", status.code());
    }
    anyhow::anyhow!("{}", status.message())
}

/// Who reads a patient's past in the files of a centre that runs has it written down there first, as for every other look.
/// Where none runs there is nobody to write it down: whoever has such files can read them with any program.
pub(super) async fn note_access(dir: &CentreDir, clock: Clock, patient: &str) -> Result<()> {
    if !StoreLock::is_held(&dir.lock()) {
        let mut errors = std::io::stderr();
        // It may be closed: what counts is the answer.
        let _ = writeln!(
            errors,
            "no centre runs here: this look is written down nowhere"
        );
        return Ok(());
    }
    let channel = reader(dir, &Reader::default(), clock).await?;
    let patient = patient.to_owned();
    let mut client = OperatorServiceClient::new(channel);
    let noted = client.note_access(NoteAccessRequest { patient }).await;
    noted.map(drop).map_err(said)
}

/// A patient's, or that of all.
pub(super) async fn scoreboard(
    dir: &CentreDir,
    clock: Clock,
    patient: Option<String>,
) -> Result<Scoreboard> {
    let channel = reader(dir, &Reader::default(), clock).await?;
    let mut client = TwinServiceClient::new(channel);
    let answer = match patient {
        Some(patient) => client.get_scoreboard(ScoreboardRequest { patient }).await,
        None => client.sum_scoreboard(SumScoreboardRequest {}).await,
    };
    Ok(answer.map_err(said)?.into_inner())
}

/// What only the running centre can answer: its twins are in its memory.
pub(super) async fn coverage(
    dir: &CentreDir,
    clock: Clock,
    request: CoverageRequest,
) -> Result<CoverageResponse> {
    let channel = reader(dir, &Reader::default(), clock).await?;
    let answer = HistoryServiceClient::new(channel).coverage(request).await;
    Ok(answer.map_err(said)?.into_inner())
}

/// From which known time on the centre keeps what it was sent, microseconds, where an answer lacks something for that.
pub(super) fn kept_since(metadata: &MetadataMap) -> Option<i64> {
    metadata.get(KEPT_SINCE)?.to_str().ok()?.parse().ok()
}

/// Who reads at which centre.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Reader {
    /// Read as the one whose cert.pem, key.pem and ca.pem lie in this folder, such as that of `platform add`.
    /// Default: as the operator.
    #[arg(long = "as", value_name = "FOLDER")]
    identity: Option<PathBuf>,
    /// The centre's gRPC address. Default: the one that runs in --dir.
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<String>,
}

/// A connection to the running centre.
pub(super) async fn reader(dir: &CentreDir, reader: &Reader, clock: Clock) -> Result<Channel> {
    let operator = dir.operator();
    let identity = reader.identity.as_deref().unwrap_or(&operator);
    if let Some(address) = &reader.address {
        return connect(address, identity, clock, CALL).await?;
    }
    let channel = call_as(dir, identity, clock, CALL).await?;
    channel.context("the centre must run for this: start it with `run`")
}

/// All twins that the reader may see.
pub(super) async fn twins(channel: Channel) -> Result<Vec<Twin>> {
    let mut client = TwinServiceClient::new(channel);
    let (mut twins, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListTwinsRequest {
            page_token,
            ..ListTwinsRequest::default()
        };
        let page = client.list(request).await.map_err(said)?.into_inner();
        twins.extend(page.twins);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(twins);
        }
    }
}

/// What the running centre says of itself, or why it does not; `None` when none listens.
pub(super) async fn ask(dir: &CentreDir, clock: Clock) -> Option<Result<CentreStatus, String>> {
    if !StoreLock::is_held(&dir.lock()) || !dir.ready().exists() {
        return None;
    }
    let asked = async {
        let channel = call(dir, clock).await??;
        let status = OperatorServiceClient::new(channel)
            .status(StatusRequest {})
            .await;
        anyhow::Ok(status.map_err(said)?.into_inner())
    };
    Some(asked.await.map_err(|error| format!("{error:#}")))
}

/// A connection to the centre that runs; within: why it does not answer, which may pass.
async fn call(dir: &CentreDir, clock: Clock) -> Result<Result<Channel>> {
    call_as(dir, &dir.operator(), clock, CALL).await
}

async fn call_as(
    dir: &CentreDir,
    identity: &Path,
    clock: Clock,
    within: Duration,
) -> Result<Result<Channel>> {
    let ready = match dir::read(&dir.ready()) {
        Ok(ready) => ready,
        Err(error) => return Ok(Err(error.into())),
    };
    let ready: Ready = match serde_json::from_slice(&ready) {
        Ok(ready) => ready,
        Err(error) => return Ok(Err(error).with_context(|| dir.ready().display().to_string())),
    };
    connect(&ready.grpc, identity, clock, within).await
}

async fn connect(
    address: &str,
    identity: &Path,
    clock: Clock,
    within: Duration,
) -> Result<Result<Channel>> {
    let mut tls = credentials(identity, clock)?;
    tls.alpn_protocols = vec![proto::tls::ALPN_H2.to_vec()];
    let connector = TlsConnector::from(std::sync::Arc::new(tls));
    let called = address.to_owned();
    let connect = tower::service_fn(move |_: Uri| {
        let (connector, address) = (connector.clone(), called.clone());
        async move {
            let host = host_port(&address).map_or(address.as_str(), |(host, _)| host);
            let name = ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
            let socket = TcpStream::connect(&address).await?;
            connector.connect(name, socket).await.map(TokioIo::new)
        }
    });
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?.timeout(within);
    // Not there (yet): a file that a killed centre left behind, or one that is just stopping.
    let channel = endpoint.connect_with_connector(connect).await;
    Ok(channel.with_context(|| format!("connecting to {address}")))
}

/// The operator's certificate, key and CA; an error names the file and the remedy.
fn credentials(folder: &Path, clock: Clock) -> Result<rustls::ClientConfig> {
    let path = |file: &str| folder.join(file);
    let of = |file: &'static str| {
        move || format!("{}: run `init` again, or restore it", path(file).display())
    };
    let chain = dir::read(&path("cert.pem")).with_context(of("cert.pem"))?;
    let chain = CertificateDer::pem_slice_iter(&chain).collect::<Result<Vec<_>, _>>();
    let chain = chain.with_context(of("cert.pem"))?;
    let leaf = chain.first().context("it holds no certificate");
    let identity = leaf.and_then(|leaf| Ok(proto::cert::peer_identity(leaf)?));
    let identity = identity.with_context(of("cert.pem"))?;
    if identity.not_after < clock.now() {
        return Err(anyhow::anyhow!("the certificate has ended")).with_context(of("cert.pem"));
    }
    let key = dir::read_secret(&path("key.pem")).with_context(of("key.pem"))?;
    let key = PrivateKeyDer::from_pem_slice(&key).with_context(of("key.pem"))?;
    let ca = dir::read(&path("ca.pem")).with_context(of("ca.pem"))?;
    let ca = CertificateDer::from_pem_slice(&ca).with_context(of("ca.pem"))?;
    proto::tls::client_config(&ca, Some((chain, key)), clock)
        .with_context(|| folder.display().to_string())
}

#[cfg(test)]
mod tests {
    use proto::cert::Role;
    use vitals::Span;

    use super::*;
    use crate::ca::Authority;
    use crate::cli::certificate;

    #[test]
    fn a_broken_certificate_of_the_operator_is_named() {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let (dir, clock) = (CentreDir::new(temp.path()), Clock::system());
        dir.create().expect("folders");
        Authority::create(&dir, clock).expect("a CA");
        let authority = Authority::open(&dir, clock).expect("it opens");
        let olga = authority.person("olga", Role::Operator).expect("issued");
        let fresh = || certificate::write(&dir.operator(), &olga, authority.ca()).expect("written");
        for file in ["cert.pem", "key.pem", "ca.pem"] {
            fresh();
            credentials(&dir.operator(), clock).expect("control: it works");
            for bytes in [b"".as_slice(), b"damaged"] {
                dir::write_private(&dir.operator().join(file), bytes).expect("written");
                let told = credentials(&dir.operator(), clock).expect_err("damaged");
                let told = format!("{told:#}");
                assert!(told.contains(file) && told.contains("init"), "{told}");
            }
        }
        fresh();
        let now = clock.now();
        let later = Clock::test(now, now + Span::from_mins(366 * 24 * 60), 1.0);
        let told = credentials(&dir.operator(), later.expect("a fine rate")).expect_err("ended");
        assert!(format!("{told:#}").contains("cert.pem"), "{told:#}");
    }

    #[tokio::test]
    async fn why_a_centre_does_not_answer_is_kept() {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let (dir, clock) = (CentreDir::new(temp.path()), Clock::system());
        dir.create().expect("folders");
        let why = call(&dir, clock).await.expect("it may pass").err();
        let why = format!("{:#}", why.expect("nobody is there"));
        assert!(why.contains("ready.json"), "{why}");
    }
}
