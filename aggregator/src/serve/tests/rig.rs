//! A centre in one process: real journal, vault, fold and port; entries are appended by hand.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, Response, header};
use hyper_util::rt::TokioIo;
use prost::Message;
use proto::clock::Clock;
use proto::seal::Secret;
use proto::tls::{ALPN_H2, ALPN_HTTP1, Identity, Role};
use proto::v1;
use proto::v1::StaffRole;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint, Uri};
use vitals::{GatewayId, PatientId, StreamId, Time};

use crate::app::again::FromLog;
use crate::ca::Authority;
use crate::dir::CentreDir;
use crate::history::{Following, History};
use crate::journal::{Draft, Entry, Journal, Log, Opened, Position, TeamAct, on_disk};
use crate::patient::{Fold, Folder, Patients};
use crate::publish::{AlertIds, CursorKey, Hub, Limits};
use crate::registry::Books;
use crate::scope::Scope;
use crate::serve::access::Access;
use crate::serve::front::{Front, Wire};
use crate::serve::looks::Looks;
use crate::serve::peer::PeerIdentity;
use crate::serve::signin::{Place, SignIn};
use crate::serve::tls::Port;
use crate::serve::{About, Parts, Ways, front};
use crate::vault::Vault;

/// Where requests of tests come from.
pub(super) const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Where people of tests sign in.
pub(super) fn place() -> Place {
    Place {
        address: HERE,
        browser: String::new(),
    }
}

pub(super) struct Rig {
    folder: Arc<tempfile::TempDir>,
    pub(super) clock: Clock,
    pub(super) books: Arc<Books>,
    pub(super) journal: Journal,
    pub(super) patients: Patients,
    pub(super) access: Arc<Access>,
    pub(super) front: Front,
    authority: Authority,
    folding: Folder,
    following: Following,
    pub(super) history: History,
    pub(super) stop: CancellationToken,
}

impl Rig {
    pub(super) async fn new() -> Self {
        Self::with(Clock::system()).await
    }

    /// On a clock whose minutes last a few milliseconds: silences become alerts while a test looks on.
    pub(super) async fn fast() -> Self {
        let start = Time::from_micros(1_800_000_000_000_000);
        let clock = Clock::test(proto::clock::wall_now(), start, 5_000.0).expect("a fine rate");
        Self::with(clock).await
    }

    async fn with(clock: Clock) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a temporary directory"));
        let dir = CentreDir::new(folder.path());
        dir.create().expect("a centre's directory");
        Vault::create(&dir.vault()).expect("a vault");
        Authority::create(&dir, clock).expect("an authority");
        let rig = Self::open(folder, clock);
        rig.append(vec![
            Entry::EpochStarted {
                epoch: 1,
                program: "test".into(),
            }
            .into(),
        ])
        .await;
        rig
    }

    fn open(folder: Arc<tempfile::TempDir>, clock: Clock) -> Self {
        let dir = CentreDir::new(folder.path());
        let authority = Authority::open(&dir, clock).expect("an authority");
        let vault = Arc::new(Vault::open(&dir.vault()).expect("a vault"));
        let books = Arc::new(Books::new(Arc::clone(&vault)));
        let keeper = Arc::clone(&books);
        let log = Log::open(&dir.journal(), None, clock, keeper).expect("a journal");
        let hub = Arc::new(Hub::new(
            CursorKey::new(Secret::new([5; 32])),
            Limits::default(),
        ));
        let fold = Fold::new(hub, AlertIds::new(Secret::new([5; 32])));
        let again = FromLog::new(on_disk(&dir.journal()), Arc::clone(&vault));
        let mut fold = fold.reading(Arc::new(again));
        log.replay(Position::START, |committed| fold.apply(&committed))
            .expect("a replay");
        let (journal, feed) = log.start().expect("a writer");
        let stop = CancellationToken::new();
        let (folding, patients) =
            Folder::start(fold, feed, &journal, vault, clock, &stop).expect("a fold");
        let sign_in = Arc::new(SignIn::new(clock));
        let directory = Arc::clone(&books);
        let access = Arc::new(Access::new(
            clock,
            sign_in,
            directory,
            Arc::default(),
            Looks::new(journal.clone(), clock),
        ));
        let about = About {
            ca_fingerprint: "AA:BB".into(),
            test_data: Arc::new(|| true),
        };
        let streams = Arc::clone(&books);
        let begins = move |stream| Some(streams.registry().stream(stream)?.from);
        let (history, following) = History::start(
            &dir.history(),
            Arc::clone(books.vault_handle()),
            journal.clone(),
            Arc::new(begins),
        )
        .expect("a history");
        let front = front(Parts {
            patients: patients.clone(),
            journal: journal.clone(),
            history: history.clone(),
            access: Arc::clone(&access),
            about,
            ways: Ways::default(),
            others: Routes::default(),
        });
        Self {
            folder,
            clock,
            books,
            journal,
            patients,
            access,
            front,
            authority,
            folding,
            following,
            history,
            stop,
        }
    }

    /// The same centre after a clean stop and a start.
    pub(super) async fn restart(self) -> Self {
        self.restart_after(|_| {}).await
    }

    /// The same, with something done to its files while it is down.
    pub(super) async fn restart_after(self, meanwhile: impl FnOnce(&CentreDir)) -> Self {
        let Self {
            folder,
            clock,
            journal,
            patients,
            front,
            access,
            folding,
            following,
            stop,
            ..
        } = self;
        stop.cancel();
        drop((patients, front, access));
        journal.close().await;
        folding.join().await;
        following.stop();
        meanwhile(&CentreDir::new(folder.path()));
        Self::open(folder, clock)
    }

    /// Its files.
    pub(super) fn dir(&self) -> CentreDir {
        CentreDir::new(self.folder.path())
    }

    /// Appends, and waits until it is folded.
    pub(super) async fn append(&self, drafts: Vec<Draft>) -> u64 {
        let appended = self.journal.append(drafts).await.expect("durable");
        self.patients.hub().wait_folded(appended.last.0).await;
        appended.last.0
    }

    /// A patient with a key.
    pub(super) async fn patient(&self, id: &str) -> PatientId {
        let patient = PatientId::parse(id).expect("a patient id");
        let (key_id, public) = self.books.vault().generate(&patient).expect("a key");
        let name = self.books.seal_name(&patient, "").expect("a key");
        let added = Entry::PatientAdded {
            patient: patient.clone(),
            name,
            test_data: true,
        };
        let key = Entry::KeyAdded {
            patient: patient.clone(),
            key_id: key_id.0,
            public_key: public.0,
        };
        self.append(vec![added.into(), key.into()]).await;
        patient
    }

    /// An assignment from `from` on; its gateway will be silent, which is an alert.
    pub(super) async fn assign(&self, patient: &PatientId, gateway: &str, from: Time) -> StreamId {
        let stream = StreamId(proto::seal::crypto::random());
        let key_id = {
            let registry = self.books.registry();
            let known = registry.patient(patient).expect("added before");
            known.keys.last().expect("it has a key").0.0
        };
        let devices = vec!["AA:BB:CC:DD:EE:FF".to_owned()];
        let entry = Entry::Assigned {
            patient: patient.clone(),
            gateway: GatewayId::parse(gateway).expect("a gateway id"),
            stream,
            key_id,
            devices: self
                .books
                .seal_devices(patient, &devices)
                .expect("it has a key"),
            from,
        };
        let body = Some(Arc::new(Opened::Devices(devices)));
        self.append(vec![Draft {
            body,
            ..entry.into()
        }])
        .await;
        stream
    }

    /// Listens on a free port.
    pub(super) async fn listen(&self) -> SocketAddr {
        let dir = CentreDir::new(self.folder.path());
        let server = self
            .authority
            .server(&dir.ca(), &[])
            .expect("a certificate");
        let (chain, key) = proto::tls::credentials(&server.chain, &server.key);
        let ca = Some(self.authority.ca());
        let alpn = [ALPN_H2, ALPN_HTTP1];
        let tls =
            proto::tls::server_config(chain, key, ca, self.clock, &alpn).expect("a TLS config");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let counters = Arc::clone(self.access.counters());
        let port = Port::bind(address, Arc::new(tls), 16, counters)
            .await
            .expect("a free port");
        let address = port.address().expect("it listens");
        tokio::spawn(port.run(self.front.clone(), self.stop.clone()));
        address
    }

    /// A TLS configuration that trusts this centre, with a certificate of `issuer` where one is given.
    pub(super) fn client(&self, certificate: Option<(&Self, &str, Role)>) -> rustls::ClientConfig {
        let identity = certificate.map(|(issuer, name, role)| {
            let person = issuer.authority.person(name, role).expect("a certificate");
            proto::tls::credentials(&person.chain, &person.key)
        });
        proto::tls::client_config(self.authority.ca(), identity, self.clock).expect("a TLS config")
    }

    /// An operator's identity, as the port would have found it.
    pub(super) fn operator(&self) -> Identity {
        Identity {
            role: Role::Operator,
            name: "olga".into(),
            serial: "1".into(),
            not_after: Time::MAX,
        }
    }

    /// Somebody who may sign in.
    pub(super) async fn person(&self, name: &str, role: StaffRole) {
        let entry = Entry::Person {
            person: name.into(),
            role,
            by: "olga".into(),
        };
        self.append(vec![entry.into()]).await;
    }

    /// What a platform may have.
    pub(super) async fn platform(&self, name: &str, scope: Option<&proto::v1::PlatformScope>) {
        let scope = scope.map(|asked| Arc::new(Scope::of(asked).expect("it is whole")));
        let entry = Entry::Platform {
            platform: name.into(),
            scope,
            since: self.clock.now(),
            by: "olga".into(),
        };
        self.append(vec![entry.into()]).await;
    }

    /// Something about a team.
    pub(super) async fn team(&self, name: &str, act: TeamAct) {
        let entry = Entry::Team {
            team: name.into(),
            act,
            by: "olga".into(),
        };
        self.append(vec![entry.into()]).await;
    }

    /// Somebody of `person` signed in: the cookie header.
    pub(super) fn signed_in(&self, person: &str) -> String {
        let code = self.access.sign_in().create_code(person);
        let cookie = self
            .access
            .sign_in()
            .spend(&code, place())
            .expect("a fresh code");
        format!("__Host-vitaltwin={cookie}")
    }

    /// From now on people sign in so.
    pub(super) fn sign_in_by(&mut self, ways: Ways) {
        self.front = front(Parts {
            patients: self.patients.clone(),
            journal: self.journal.clone(),
            history: self.history.clone(),
            access: Arc::clone(&self.access),
            about: About {
                ca_fingerprint: "AA:BB".into(),
                test_data: Arc::new(|| true),
            },
            ways,
            others: Routes::default(),
        });
    }

    /// Answers a request as if it had come through the port.
    pub(super) async fn ask(
        &self,
        request: Request<Body>,
        certificate: Option<Identity>,
    ) -> Response<Body> {
        self.ask_from(HERE, request, certificate).await
    }

    /// The same from another address.
    pub(super) async fn ask_from(
        &self,
        address: IpAddr,
        mut request: Request<Body>,
        certificate: Option<Identity>,
    ) -> Response<Body> {
        let certificate = certificate.map(Arc::new);
        request.extensions_mut().insert(PeerIdentity {
            certificate,
            address,
            connection: 1,
        });
        match self.front.answer(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// A gRPC call with one message: the status and the message's bytes.
    pub(super) async fn call<M: Message>(
        &self,
        path: &str,
        message: &M,
        wire: Wire,
        certificate: Option<Identity>,
        headers: &[(&str, &str)],
    ) -> (tonic::Code, Bytes) {
        let body = message.encode_to_vec();
        self.call_raw(path, &body, wire, certificate, headers).await
    }

    /// The same with the message's bytes.
    pub(super) async fn call_raw(
        &self,
        path: &str,
        body: &[u8],
        wire: Wire,
        certificate: Option<Identity>,
        headers: &[(&str, &str)],
    ) -> (tonic::Code, Bytes) {
        let content = match wire {
            Wire::Native => "application/grpc",
            Wire::Web => "application/grpc-web+proto",
        };
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!("https://centre:8443{path}"))
            .version(http::Version::HTTP_2)
            .header(header::CONTENT_TYPE, content);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut framed = vec![0];
        framed.extend(
            u32::try_from(body.len())
                .expect("a small message")
                .to_be_bytes(),
        );
        framed.extend(body);
        let request = request.body(Body::from(framed)).expect("a request");
        let response = self.ask(request, certificate).await;
        code_of(response).await
    }
}

/// The gRPC status of a response, and its body.
async fn code_of(response: Response<Body>) -> (tonic::Code, Bytes) {
    use http_body_util::BodyExt as _;
    assert_eq!(
        response.status(),
        200,
        "gRPC errors are statuses, not HTTP errors"
    );
    let of = |headers: &http::HeaderMap| {
        let status = headers.get("grpc-status")?;
        Some(tonic::Code::from_bytes(status.as_bytes()))
    };
    let early = of(response.headers());
    let body = response.into_body().collect().await.expect("a whole body");
    let late = body.trailers().and_then(of);
    let bytes = body.to_bytes();
    // gRPC-web has its trailers at the end of the body.
    let text = String::from_utf8_lossy(&bytes);
    let web = text.split("grpc-status:").nth(1).and_then(|rest| {
        let number: String = rest
            .trim_start()
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        number.parse::<i32>().ok().map(tonic::Code::from)
    });
    (
        early
            .or(late)
            .or(web)
            .expect("every call ends with a status"),
        bytes,
    )
}

/// A gRPC channel over TLS.
pub(super) async fn channel(
    address: SocketAddr,
    mut config: rustls::ClientConfig,
) -> Result<Channel, tonic::transport::Error> {
    config.alpn_protocols = vec![ALPN_H2.to_vec()];
    let connector = TlsConnector::from(Arc::new(config));
    let connect = tower::service_fn(move |_| {
        let connector = connector.clone();
        async move {
            let tcp = TcpStream::connect(address).await?;
            let name = "localhost".try_into().expect("a name");
            Ok::<_, std::io::Error>(TokioIo::new(connector.connect(name, tcp).await?))
        }
    });
    Endpoint::from_static("http://localhost")
        .origin(Uri::from_static("https://localhost"))
        .connect_with_connector(connect)
        .await
}

/// The alert of a change or of a snapshot.
pub(super) fn alert_of(event: v1::AlertEvent) -> Option<v1::Alert> {
    use v1::alert_event::Kind;
    match event.kind? {
        Kind::Snapshot(alert) | Kind::Change(alert) => Some(alert),
        Kind::SnapshotEnd(_) | Kind::KeepAlive(_) => None,
    }
}
