//! For tests: a whole centre behind the doors, and gateways that seal as agents do.

use std::sync::Arc;

use proto::clock::Clock;
use proto::seal::{
    KeyId, Label, Lane, NewContext, PatientPublic, Predecessor, Sealer, SigningKey, Suite, command,
    crypto, receipt,
};
use proto::v1::{
    self, AssignmentList, BatchBody, CentreStatus, CentreToGateway, Command, GatewayToCentre,
    Hello, OpenContext, RecordPiece, RefusalReason, SealedBatches, centre_to_gateway,
    gateway_to_centre,
};
use tokio::sync::mpsc;
use vitals::{ContextId, GatewayId, PatientId, SourceId, Span, StreamId, Time};

use super::enrol::Enrolment;
use super::{Flow, Ingest, Parts, Room, Session};
use crate::admin::{Admin, AdminParts, Live};
use crate::ca::{self, Authority};
use crate::counters::{Counters, Refused, Transport};
use crate::dir::CentreDir;
use crate::journal::{Committed, Entry, Journal, Log, Position};
use crate::registry::Books;
use crate::vault::Vault;

/// A centre without doors.
pub(crate) struct Rig {
    pub(crate) dir: CentreDir,
    pub(crate) authority: Arc<Authority>,
    pub(crate) books: Arc<Books>,
    pub(crate) journal: Journal,
    pub(crate) feed: mpsc::Receiver<Committed>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) ingest: Arc<Ingest>,
    pub(crate) enrolment: Arc<Enrolment>,
    pub(crate) admin: Arc<Admin>,
    pub(crate) command_point: [u8; 65],
    _temp: Option<tempfile::TempDir>,
}

/// Who acts.
pub(crate) const BY: &str = "operator olga";

struct Nobody;

impl Live for Nobody {
    fn devices(&self, _: &PatientId) -> Vec<(StreamId, SourceId, String)> {
        Vec::new()
    }

    fn fill(&self, _: &mut CentreStatus) {}

    fn sign_in(&self, _: &str) -> Option<String> {
        None
    }
}

impl Rig {
    pub(crate) async fn new() -> Self {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let dir = CentreDir::new(temp.path());
        dir.create().expect("folders");
        Vault::create(&dir.vault()).expect("a vault");
        Authority::create(&dir, Clock::system()).expect("a CA");
        let mut rig = Self::open(dir, None, 0).await;
        rig._temp = Some(temp);
        rig
    }

    /// Ends this life and begins the next on the same directory.
    pub(crate) async fn restart(self, max_mib: Option<u32>) -> Self {
        self.restart_with(max_mib, 0).await
    }

    /// Likewise, with this much room to be kept on the disk.
    pub(crate) async fn restart_with(mut self, max_mib: Option<u32>, least_mib: u64) -> Self {
        let (dir, temp) = (self.dir.clone(), self._temp.take());
        self.journal.close().await;
        while self.feed.recv().await.is_some() {}
        let mut rig = Self::open(dir, max_mib, least_mib).await;
        rig._temp = temp;
        rig
    }

    pub(crate) async fn open(dir: CentreDir, max_mib: Option<u32>, least_mib: u64) -> Self {
        let clock = Clock::system();
        let authority = Arc::new(Authority::open(&dir, clock).expect("a CA"));
        let books = Arc::new(Books::new(Arc::new(
            Vault::open(&dir.vault()).expect("a vault"),
        )));
        let keeper = Arc::clone(&books);
        let log = Log::open(&dir.journal(), max_mib, clock, keeper).expect("a journal");
        log.replay(Position::START, |_| {}).expect("it reads");
        let (journal, feed) = log.start().expect("it starts");
        if books.registry().epoch() == 0 {
            let epoch = Entry::EpochStarted {
                epoch: 1,
                program: "test".into(),
            };
            journal.append(vec![epoch.into()]).await.expect("durable");
        }
        let counters: Arc<Counters> = Arc::default();
        let room = Arc::new(Room::new(dir.store(), least_mib));
        let command_key = ca::command_key(&dir).expect("a key");
        let command_point = command_key.public_point();
        let ingest = Arc::new(Ingest::new(Parts {
            books: Arc::clone(&books),
            journal: journal.clone(),
            command_key,
            ca: authority.ca().to_vec(),
            clock,
            counters: Arc::clone(&counters),
            flow: Flow::default(),
            room: Arc::clone(&room),
            late: crate::ingest::Late::never(),
        }));
        let enrolment = Enrolment::new(
            Arc::clone(&books),
            journal.clone(),
            Arc::clone(&authority),
            clock,
            Arc::clone(&counters),
            Span::from_mins(90 * 24 * 60),
        );
        let admin = Admin::new(AdminParts {
            books: Arc::clone(&books),
            journal: journal.clone(),
            clock,
            counters: Arc::clone(&counters),
            ca_sha256: authority.fingerprint(),
            grpc_address: Some("localhost:8443".into()),
            sessions: Arc::clone(ingest.sessions()),
            live: Arc::new(Nobody),
            room,
            budget: crate::config::Config::default().budget(),
        });
        Self {
            dir,
            authority,
            books,
            journal,
            feed,
            counters,
            ingest,
            enrolment: Arc::new(enrolment),
            admin: Arc::new(admin),
            command_point,
            _temp: None,
        }
    }

    /// An enrolled gateway.
    pub(crate) async fn gateway(&self) -> Gateway {
        let (token, ..) = self
            .admin
            .create_token("test", 0, BY)
            .await
            .expect("a token");
        let pkcs8 = SigningKey::generate_pkcs8();
        let (id, issued) = self
            .enrolment
            .enrol(&token, &ca::tests::request(&pkcs8))
            .await
            .expect("the token holds");
        Gateway {
            id,
            chain: issued.chain,
            pkcs8: pkcs8.to_vec(),
        }
    }

    /// A patient whose device is collected by the gateway.
    pub(crate) async fn assign(&self, gateway: &Gateway) -> Assigned {
        let patient = self
            .admin
            .add_patient("Ann", true)
            .await
            .expect("a patient")
            .patient;
        let device = format!("AA:BB:CC:{:02X}:{:02X}:{:02X}", rand(), rand(), rand());
        let devices = [device];
        self.admin
            .assign(&patient, gateway.id.as_str(), &devices, BY)
            .await
            .expect("assigned");
        self.assigned(gateway, &patient)
    }

    /// What the gateway's newest list says of a patient.
    pub(crate) fn assigned(&self, gateway: &Gateway, patient: &str) -> Assigned {
        let streams = self.admin.patients();
        let of = streams
            .iter()
            .find(|of| of.patient == patient)
            .expect("a patient");
        let stream = &of
            .assignments
            .iter()
            .find(|at| at.gateway == gateway.id.as_str())
            .expect("assigned")
            .stream;
        let list = self.list(gateway);
        let hex = |bytes: &[u8]| {
            bytes
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        };
        let found = list
            .assignments
            .iter()
            .find(|one| hex(&one.stream) == *stream)
            .expect("in the list");
        Assigned {
            patient: patient.to_owned(),
            stream: StreamId::from_slice(&found.stream).expect("16 bytes"),
            key_id: KeyId::from_slice(&found.key_id).expect("8 bytes"),
            public_key: PatientPublic::from_slice(&found.public_key).expect("32 bytes"),
            devices: found.devices.clone(),
        }
    }

    fn list(&self, gateway: &Gateway) -> AssignmentList {
        let (commands, _) = self.ingest.commands(&gateway.id, 0);
        let verified = commands.iter().map(|signed| {
            command::verify(&self.command_point, &gateway.id, 0, signed).expect("signed")
        });
        verified.filter_map(list_of).next_back().expect("a list")
    }

    pub(crate) fn session(&self, gateway: &Gateway) -> Session {
        self.ingest
            .sessions()
            .open(gateway.id.clone(), Transport::Grpc, Time::ZERO)
    }

    /// Handles one message and returns the answers.
    pub(crate) async fn say(
        &self,
        session: &Session,
        message: GatewayToCentre,
    ) -> Vec<CentreToGateway> {
        self.ingest.handle(session, vec![message]).await.messages
    }

    pub(crate) fn refused(&self, reason: Refused) -> u64 {
        self.counters.refused(reason)
    }

    /// Numbers of the batches that were journaled since the last call, in order.
    pub(crate) fn journaled(&mut self) -> Vec<u64> {
        let mut numbers = Vec::new();
        while let Ok(committed) = self.feed.try_recv() {
            if let Entry::Batch { record, .. } = &*committed.entry {
                numbers.push(proto::seal::parse_stub(record).expect("a record").number);
            }
        }
        numbers
    }
}

fn rand() -> u8 {
    let [byte] = crypto::random::<1>();
    byte
}

pub(crate) fn list_of(command: Command) -> Option<AssignmentList> {
    match command.kind {
        Some(v1::command::Kind::Assignments(list)) => Some(list),
        Some(
            v1::command::Kind::SetAside(_)
            | v1::command::Kind::Configuration(_)
            | v1::command::Kind::Rules(_),
        )
        | None => None,
    }
}

/// A gateway's identity.
#[derive(Clone)]
pub(crate) struct Gateway {
    pub(crate) id: GatewayId,
    pub(crate) chain: Vec<Vec<u8>>,
    pub(crate) pkcs8: Vec<u8>,
}

impl Gateway {
    pub(crate) fn key(&self) -> SigningKey {
        SigningKey::from_pkcs8(&self.pkcs8).expect("our own key")
    }

    /// A context for an assignment, as an agent opens it at `opened_at`.
    pub(crate) fn open(
        &self,
        to: &Assigned,
        predecessor: Option<Predecessor>,
        opened_at: Time,
    ) -> (GatewayToCentre, Sealer) {
        let new = NewContext {
            suite: Suite::Aes256Gcm,
            key_id: to.key_id,
            public_key: to.public_key,
            stream: to.stream,
            predecessor,
            gateway: self.id.clone(),
            opened_at,
        };
        let (header, sealer) = Sealer::open_context(new, &self.key()).expect("a good key");
        (open_message(header, self.chain.clone()), sealer)
    }
}

/// What a gateway knows of an assignment.
#[derive(Clone)]
pub(crate) struct Assigned {
    pub(crate) patient: String,
    pub(crate) stream: StreamId,
    pub(crate) key_id: KeyId,
    pub(crate) public_key: PatientPublic,
    pub(crate) devices: Vec<String>,
}

pub(crate) fn hello(command_number: u64) -> GatewayToCentre {
    let hello = Hello {
        agent_version: "test".into(),
        command_number,
        configuration: None,
        health: None,
    };
    GatewayToCentre {
        kind: Some(gateway_to_centre::Kind::Hello(hello)),
    }
}

pub(crate) fn open_message(header: Vec<u8>, certificate_chain: Vec<Vec<u8>>) -> GatewayToCentre {
    let open = OpenContext {
        header,
        certificate_chain,
    };
    GatewayToCentre {
        kind: Some(gateway_to_centre::Kind::OpenContext(open)),
    }
}

pub(crate) fn batches(records: Vec<Vec<u8>>) -> GatewayToCentre {
    GatewayToCentre {
        kind: Some(gateway_to_centre::Kind::Batches(SealedBatches { records })),
    }
}

/// A record in pieces of `size` bytes.
pub(crate) fn pieces(record: &[u8], size: usize) -> Vec<GatewayToCentre> {
    let piece = |(n, data): (usize, &[u8])| RecordPiece {
        offset: u32::try_from(n * size).expect("small"),
        data: data.to_vec(),
        last: n * size + data.len() == record.len(),
    };
    let message = |piece| GatewayToCentre {
        kind: Some(gateway_to_centre::Kind::Piece(piece)),
    };
    record
        .chunks(size)
        .enumerate()
        .map(piece)
        .map(message)
        .collect()
}

/// Seals the sealer's next number: one reading at `at`, claimed by the stub; the body is empty but sound.
pub(crate) fn seal_at(sealer: &mut Sealer, at: Time) -> Vec<u8> {
    let label = label(sealer.next_number(), at);
    sealer.seal(&label, &BatchBody::default()).expect("it fits")
}

pub(crate) fn seal(sealer: &mut Sealer) -> Vec<u8> {
    seal_at(sealer, Clock::system().now())
}

pub(crate) fn label(number: u64, at: Time) -> Label {
    Label {
        number,
        lane: Lane::Vitals,
        source: 1,
        count: 1,
        oldest: at,
        newest: at,
    }
}

/// What the centre answered, in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Receipt(ContextId, Vec<(u64, u64)>),
    Command,
    Refused(RefusalReason),
    Admitted(ContextId),
    Held(u32),
}

pub(crate) fn said(answers: &[CentreToGateway]) -> Vec<Said> {
    let context = |bytes: &[u8]| ContextId::from_slice(bytes).expect("16 bytes");
    let one = |answer: &CentreToGateway| match answer.kind.as_ref().expect("with content") {
        centre_to_gateway::Kind::Receipt(receipt) => {
            let ranges = receipt
                .ranges
                .iter()
                .map(|range| (range.first, range.last))
                .collect();
            Said::Receipt(context(&receipt.context), ranges)
        }
        centre_to_gateway::Kind::Command(_) => Said::Command,
        centre_to_gateway::Kind::Refusal(refusal) => Said::Refused(refusal.reason()),
        centre_to_gateway::Kind::ContextAdmitted(admitted) => {
            Said::Admitted(context(&admitted.context))
        }
        centre_to_gateway::Kind::PieceTaken(taken) => Said::Held(taken.held),
    };
    answers.iter().map(one).collect()
}

/// Whether the answers hold a receipt that the agent would act upon for exactly these records.
pub(crate) fn receipted(answers: &[CentreToGateway], sealer: &Sealer, records: &[Vec<u8>]) -> bool {
    let tags = |first: u64, last: u64| {
        (first..=last).map(|number| {
            let of = |record: &&Vec<u8>| {
                proto::seal::parse_stub(record).is_ok_and(|stub| stub.number == number)
            };
            records
                .iter()
                .find(of)
                .and_then(|record| proto::seal::tag_of(record).ok())
        })
    };
    answers.iter().any(|answer| {
        let Some(centre_to_gateway::Kind::Receipt(message)) = &answer.kind else {
            return false;
        };
        let Ok(verified) = receipt::verify(sealer.receipt_key(), message) else {
            return false;
        };
        let covered: u64 = verified
            .ranges
            .iter()
            .map(|range| range.last - range.first + 1)
            .sum();
        covered == records.len() as u64
            && verified.ranges.iter().all(|range| {
                let tags: Option<Vec<_>> = tags(range.first, range.last).collect();
                tags.is_some_and(|tags| receipt::tags_hash(tags) == range.tags_hash)
            })
    })
}
