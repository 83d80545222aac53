//! The whole centre over real TLS: enrolment, the gRPC door, the operator, its orderly end and its next life.

use http::Uri;
use hyper_util::rt::TokioIo;
use proto::seal::{Label, NewContext, Sealer, SigningKey, Suite};
use proto::tls;
use proto::token::EnrolmentToken;
use proto::v1::enrolment_service_client::EnrolmentServiceClient;
use proto::v1::operator_service_client::OperatorServiceClient;
use proto::v1::uplink_service_client::UplinkServiceClient;
use proto::v1::{
    AddPatientRequest, AssignRequest, CentreToGateway, CreateTokenRequest, EnrolRequest,
    GatewayToCentre, RenewRequest, RevokeGatewayRequest, StatusRequest,
};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use vitals::GatewayId;

use super::*;
use crate::ingest::rig::{Assigned, Gateway, batches, hello, list_of, receipted, said, seal};

const DEADLINE: Duration = Duration::from_secs(20);

struct House {
    _temp: tempfile::TempDir,
    dir: CentreDir,
    config: Config,
}

struct Life {
    ready: Ready,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<()>>,
}

impl House {
    fn new() -> Self {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let dir = CentreDir::new(temp.path());
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let config = Config {
            listen,
            mqtt_listen: listen,
            ..Config::default()
        };
        dir.create().expect("folders");
        Vault::create(&dir.vault()).expect("a vault");
        dir::write_private(&dir.serve_key(), &[5; 32]).expect("written");
        Authority::create(&dir, Clock::system()).expect("a CA");
        Self {
            _temp: temp,
            dir,
            config,
        }
    }

    fn open(&self) -> Core {
        let lock = StoreLock::take(&self.dir.lock()).expect("nobody else works here");
        Core::open(lock, self.dir.clone(), self.config.clone(), Clock::system()).expect("it opens")
    }

    async fn run(&self) -> Life {
        let stop = CancellationToken::new();
        let task = tokio::spawn(self.open().run(stop.clone(), Accepted::default()));
        let ready = tokio::time::timeout(DEADLINE, async {
            loop {
                if let Ok(bytes) = dir::read(&self.dir.ready()) {
                    let ready: Ready = serde_json::from_slice(&bytes).expect("it is written whole");
                    if ready.current {
                        return ready;
                    }
                }
                tokio::task::yield_now().await;
            }
        });
        Life {
            ready: ready.await.expect("it listens"),
            stop,
            task,
        }
    }

    fn ca(&self) -> Vec<u8> {
        dir::read(&self.dir.ca().join("ca.der")).expect("a CA")
    }

    /// A connection with this identity.
    async fn channel(&self, life: &Life, identity: Option<(&[Vec<u8>], &[u8])>) -> Channel {
        let identity = identity.map(|(chain, key)| tls::credentials(chain, key));
        let config =
            tls::client_config(&self.ca(), identity, Clock::system()).expect("good credentials");
        connect(&life.ready.grpc, config).await
    }

    async fn operator(&self, life: &Life) -> OperatorServiceClient<Channel> {
        let authority = Authority::open(&self.dir, Clock::system()).expect("a CA");
        let person = authority
            .person("op", proto::cert::Role::Operator)
            .expect("a certificate");
        OperatorServiceClient::new(self.channel(life, Some((&person.chain, &person.key))).await)
    }
}

impl Life {
    async fn end(self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(DEADLINE, self.task)
            .await
            .expect("it ends");
        ended.expect("no panic").expect("in order");
    }
}

async fn connect(address: &str, mut config: rustls::ClientConfig) -> Channel {
    config.alpn_protocols = vec![tls::ALPN_H2.to_vec()];
    let (connector, address) = (TlsConnector::from(Arc::new(config)), address.to_owned());
    let connect = tower::service_fn(move |_: Uri| {
        let (connector, address) = (connector.clone(), address.clone());
        async move {
            let socket = TcpStream::connect(address).await?;
            let name = ServerName::try_from("localhost").expect("a name");
            connector.connect(name, socket).await.map(TokioIo::new)
        }
    });
    let endpoint = Endpoint::from_static("http://centre");
    endpoint
        .connect_with_connector(connect)
        .await
        .expect("it listens")
}

/// An open exchange.
struct Exchange {
    up: mpsc::Sender<GatewayToCentre>,
    down: tonic::Streaming<CentreToGateway>,
}

impl Exchange {
    async fn open(channel: Channel) -> Result<Self, tonic::Status> {
        let (up, stream) = mpsc::channel(16);
        let mut client = UplinkServiceClient::new(channel);
        let down = client
            .exchange(ReceiverStream::new(stream))
            .await?
            .into_inner();
        Ok(Self { up, down })
    }

    async fn say(&self, message: GatewayToCentre) {
        self.up.send(message).await.expect("the stream is open");
    }

    async fn hear(&mut self) -> Result<CentreToGateway, tonic::Status> {
        let heard = tokio::time::timeout(DEADLINE, self.down.message())
            .await
            .expect("in time");
        heard.map(|message| message.expect("the centre ends streams with a status"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_enrols_delivers_and_is_revoked_over_real_tls() {
    let house = House::new();
    let life = house.run().await;
    let mut operator = house.operator(&life).await;
    let made = operator
        .create_token(CreateTokenRequest {
            label: "x".into(),
            valid_s: 60,
        })
        .await;
    let token = made.expect("a token").into_inner().token;

    // Enrol as an agent does: nothing is trusted but the fingerprint in the token.
    let parsed = EnrolmentToken::parse(&token).expect("a token");
    let pinned = tls::pinned_client_config(parsed.ca_sha256, Clock::system());
    let pkcs8 = SigningKey::generate_pkcs8();
    let csr = ca::tests::request(&pkcs8);
    let mut desk = EnrolmentServiceClient::new(connect(&life.ready.grpc, pinned).await);
    let request = EnrolRequest {
        token,
        csr: csr.clone(),
    };
    let enrolled = desk
        .enrol(request.clone())
        .await
        .expect("the token holds")
        .into_inner();
    assert_eq!(
        desk.enrol(request).await.expect_err("spent").code(),
        Code::PermissionDenied
    );
    assert_eq!(enrolled.ca, house.ca());
    let of = |address: &str| address.rsplit_once(':').map(|(_, port)| port.to_owned());
    assert_eq!(of(&enrolled.grpc_address), of(&life.ready.grpc));
    assert_eq!(of(&enrolled.mqtt_address), of(&life.ready.mqtt));
    let id = GatewayId::parse(&enrolled.gateway).expect("fine id");
    let gateway = Gateway {
        id,
        chain: enrolled.certificate_chain,
        pkcs8: pkcs8.to_vec(),
    };

    let patient = operator
        .add_patient(AddPatientRequest {
            display_name: "Ann".into(),
            test_data: true,
        })
        .await;
    let patient = patient.expect("added").into_inner().patient;
    let (name, devices) = (gateway.id.to_string(), vec!["AA:BB:CC:DD:EE:01".to_owned()]);
    let request = AssignRequest {
        patient: patient.clone(),
        gateway: name.clone(),
        devices,
    };
    operator.assign(request).await.expect("assigned");

    let channel = house
        .channel(&life, Some((&gateway.chain, &gateway.pkcs8)))
        .await;
    let mut exchange = Exchange::open(channel.clone()).await.expect("welcome");
    exchange.say(hello(0)).await;
    let command = exchange.hear().await.expect("the list");
    let Some(proto::v1::centre_to_gateway::Kind::Command(signed)) = command.kind else {
        panic!("a command")
    };
    let point = enrolled.command_key.try_into().expect("65 bytes");
    let command = proto::seal::command::verify(&point, &gateway.id, 0, &signed).expect("signed");
    let list = list_of(command).expect("a list").assignments;
    let assigned = Assigned {
        patient,
        stream: vitals::StreamId::from_slice(&list[0].stream).expect("16 bytes"),
        key_id: proto::seal::KeyId::from_slice(&list[0].key_id).expect("8 bytes"),
        public_key: proto::seal::PatientPublic::from_slice(&list[0].public_key).expect("32 bytes"),
        devices: list[0].devices.clone(),
    };
    let (open, mut sealer) = gateway.open(&assigned, None, Clock::system().now());
    exchange.say(open).await;
    let records: Vec<_> = (0..20).map(|_| seal(&mut sealer)).collect();
    exchange.say(batches(records.clone())).await;
    let answers = [
        exchange.hear().await.expect("admitted"),
        exchange.hear().await.expect("receipt"),
    ];
    assert!(
        receipted(&answers, &sealer, &records),
        "{:?}",
        said(&answers)
    );

    // Renewal needs the key, not a certificate that still holds.
    let nobody = house.channel(&life, None).await;
    let mut desk = EnrolmentServiceClient::new(nobody.clone());
    let certificate = gateway.chain[0].clone();
    let renewed = desk.renew(RenewRequest { csr, certificate }).await;
    assert_eq!(renewed.expect("not revoked").into_inner().gateway, name);
    let (certificate, csr) = (
        gateway.chain[0].clone(),
        crate::ca::tests::request(&SigningKey::generate_pkcs8()),
    );
    let stolen = desk.renew(RenewRequest { csr, certificate }).await;
    assert_eq!(
        stolen.expect_err("another key").code(),
        Code::PermissionDenied
    );
    assert!(
        Exchange::open(nobody).await.is_err(),
        "without a certificate"
    );

    let status = operator
        .status(StatusRequest {})
        .await
        .expect("the operator may")
        .into_inner();
    assert_eq!(
        (status.batches_journaled, status.readings_receipted["grpc"]),
        (20, 20)
    );
    assert_eq!(status.gateways[0].connected_by, "grpc");
    let cut = operator
        .revoke_gateway(RevokeGatewayRequest { gateway: name })
        .await
        .expect("revoked");
    assert_eq!(cut.into_inner().connections_cut, 1);
    let ended = tokio::time::timeout(Duration::from_secs(2), exchange.hear())
        .await
        .expect("within two seconds");
    assert_eq!(ended.expect_err("cut").code(), Code::PermissionDenied);
    assert!(
        Exchange::open(channel).await.is_err(),
        "nor may it come back"
    );
    let mut as_gateway = OperatorServiceClient::new(
        house
            .channel(&life, Some((&gateway.chain, &gateway.pkcs8)))
            .await,
    );
    assert!(
        as_gateway.status(StatusRequest {}).await.is_err(),
        "a gateway is no operator"
    );
    life.end().await;
    assert!(!house.dir.ready().exists());

    let (admin, closing) = house.open().desk().await.expect("it opens");
    let status = admin.status();
    assert_eq!(
        (status.batches_journaled, status.gateways[0].revoked),
        (20, true)
    );
    drop(admin);
    closing.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_finishes_what_was_taken_and_the_next_life_goes_on() {
    let house = House::new();
    let life = house.run().await;
    let mut operator = house.operator(&life).await;
    let mut added = Vec::new();
    for _ in 0..3 {
        let request = AddPatientRequest {
            display_name: String::new(),
            test_data: true,
        };
        added.push(
            operator
                .add_patient(request)
                .await
                .expect("added")
                .into_inner()
                .patient,
        );
    }
    assert!(
        StoreLock::take(&house.dir.lock()).is_err(),
        "locked while it runs"
    );
    life.end().await;
    let life = house.run().await;
    let mut operator = house.operator(&life).await;
    let status = operator
        .status(StatusRequest {})
        .await
        .expect("the operator may")
        .into_inner();
    assert_eq!((status.patients, status.journal_epoch), (3, 1));
    // A port that is taken is told by its name in config.toml.
    let other = House::new();
    let taken = life.ready.grpc.parse().expect("an address");
    let other = House {
        config: Config {
            listen: taken,
            ..other.config.clone()
        },
        ..other
    };
    let refused = other
        .open()
        .run(CancellationToken::new(), Accepted::default())
        .await
        .expect_err("taken");
    assert!(format!("{refused:#}").contains("listen ="), "{refused:#}");
    life.end().await;
}

#[tokio::test]
async fn a_clock_that_went_back_is_told_at_the_start() {
    let house = House::new();
    let now = Clock::system().now();
    let core = |minutes: i64| {
        let clock = Clock::test(now, now + Span::from_mins(minutes), 1.0).expect("a fine rate");
        let lock = StoreLock::take(&house.dir.lock()).expect("nobody else works here");
        Core::open(lock, house.dir.clone(), house.config.clone(), clock).expect("it opens")
    };
    let (admin, closing) = core(0).desk().await.expect("it opens");
    drop(admin);
    closing.close().await;
    let stopped = CancellationToken::new();
    stopped.cancel();
    let back = core(-11)
        .run(stopped.clone(), Accepted::default())
        .await
        .expect_err("it went back");
    assert!(back.to_string().contains("behind the journal"), "{back}");
    let offline = core(-11).desk().await.expect_err("commands look too");
    assert!(offline.to_string().contains("behind the journal"));
    core(-9)
        .run(stopped.clone(), Accepted::default())
        .await
        .expect("control: a little is no matter");
    let days = |days: i64| days * 24 * 60;
    let ahead = core(days(401))
        .run(stopped.clone(), Accepted::default())
        .await
        .expect_err("a clock of another year");
    assert!(ahead.to_string().contains("--accept-clock"), "{ahead}");
    let offline = core(days(401)).desk().await.expect_err("commands look too");
    assert!(offline.to_string().contains("--accept-clock"), "{offline}");
    core(days(399))
        .run(stopped.clone(), Accepted::default())
        .await
        .expect("control: a centre may rest for a year");
    core(days(802))
        .run(
            stopped,
            Accepted {
                clock: true,
                damage: false,
            },
        )
        .await
        .expect("a person says that it is right");
}

#[tokio::test]
async fn a_lost_administrative_entry_is_told_at_the_start() {
    let house = House::new();
    let (admin, closing) = house.open().desk().await.expect("it opens");
    let patient = admin.add_patient("", true).await.expect("added");
    drop((admin, patient));
    closing.close().await;
    // The row after the epoch's holds the patient and its key.
    crate::journal::damage(&house.dir.journal(), 2, 30);
    let stopped = CancellationToken::new();
    stopped.cancel();
    let run = |accepted| house.open().run(stopped.clone(), accepted);
    let told = run(Accepted::default()).await.expect_err("it is lost");
    for named in ["position 2", "--accept-damage", "backup"] {
        assert!(told.to_string().contains(named), "{told}");
    }
    assert!(house.open().desk().await.is_err());
    let damage = Accepted {
        damage: true,
        clock: false,
    };
    run(damage).await.expect("a person looked at it");
}

#[tokio::test]
async fn a_damaged_batch_is_named_and_declared_lost_once() {
    let house = House::new();
    let core = house.open();
    let books = Arc::clone(&core.books);
    let (admin, closing) = core.desk().await.expect("it opens");
    admin.add_patient("", true).await.expect("added");
    let (patient, (key_id, public_key)) = {
        let registry = books.registry();
        let (id, of) = registry.patients().next().expect("one");
        (id.clone(), *of.keys.last().expect("a key"))
    };
    let stream = vitals::StreamId([7; 16]);
    let gateway = GatewayId::parse("g-1").expect("an id");
    let begin = Clock::system().now() - Span::from_mins(30);
    let devices = ["AA:BB:CC:DD:EE:01".to_owned()];
    let devices = books.seal_devices(&patient, &devices).expect("a key");
    let new = NewContext {
        suite: Suite::for_this_cpu(),
        key_id,
        public_key,
        stream,
        predecessor: None,
        gateway: gateway.clone(),
        opened_at: begin,
    };
    let key = SigningKey::from_pkcs8(&SigningKey::generate_pkcs8()).expect("a key");
    let (header, mut sealer) = Sealer::open_context(new, &key).expect("a context");
    let assigned = Entry::Assigned {
        patient,
        gateway: gateway.clone(),
        stream,
        key_id: key_id.0,
        devices,
        from: begin,
    };
    let admitted = Entry::ContextAdmitted {
        gateway: gateway.clone(),
        header,
        chain: Vec::new(),
        forked: false,
    };
    let append = |entries: Vec<Entry>| {
        let drafts = entries.into_iter().map(Into::into).collect();
        closing.journal.append(drafts)
    };
    append(vec![assigned, admitted]).await.expect("durable");
    let mut rows = Vec::new();
    for minute in 0..3 {
        let reading = |second: i64| vitals::Reading {
            kind: vitals::Kind::HeartRate,
            value: vitals::Value::Measured(vitals::Fixed(60)),
            source: vitals::SourceId(1),
            sequence: (minute * 60 + second).unsigned_abs(),
            effective: begin + Span::from_secs(minute * 300 + second),
            received: begin + Span::from_secs(minute * 300 + second),
            quality: vitals::Quality::GOOD,
            device: None,
        };
        let readings: Vec<_> = (0..60).map(reading).collect();
        let batch = proto::wire::split_to_fit(&readings, 0).remove(0);
        let label = Label {
            number: sealer.next_number(),
            lane: proto::seal::Lane::Vitals,
            source: 1,
            count: batch.count,
            oldest: batch.oldest,
            newest: batch.newest,
        };
        let record = sealer.seal(&label, &batch.into_body()).expect("it fits");
        let gateway = gateway.clone();
        let appended = append(vec![Entry::Batch { gateway, record }]).await;
        rows.push(appended.expect("durable").first.0);
    }
    drop(admin);
    closing.close().await;
    let look = async || {
        let (admin, closing) = house.open().desk().await.expect("it opens");
        let status = admin.status();
        drop(admin);
        closing.close().await;
        status
    };
    let whole = look().await;
    assert_eq!(
        (whole.readings_applied, whole.readings_declared_lost),
        (180, 0),
        "control"
    );
    // A bit of what is sealed: the record's stub still says whose it was, and the index agrees.
    journal::damage(&house.dir.journal(), rows[1], 150);
    let stopped = CancellationToken::new();
    stopped.cancel();
    let started = house.open().run(stopped.clone(), Accepted::default()).await;
    started.expect("it goes on without it");
    let after = look().await;
    assert_eq!(
        (after.readings_applied, after.readings_declared_lost),
        (120, 60)
    );
    assert_eq!(after.refused["damaged_entry"], 1);
    assert!(
        after
            .warnings
            .iter()
            .any(|told| told.contains("damaged at rest"))
    );
    assert_eq!(
        after.journal_position,
        whole.journal_position + 1,
        "one entry says so"
    );
    house
        .open()
        .run(stopped, Accepted::default())
        .await
        .expect("it goes on");
    let again = look().await;
    assert_eq!(again.journal_position, after.journal_position, "once");
}
